// All connections of a node: their table, their lives, one poll. See utp.h.
#include "engine/reach/utp_conn.h"
#include "engine/reach/utp_int.h"

enum {
    CONN_INDEX_BITS = 12,
    RESETS_PER_S = 50,                  // for packets of no known connection
};

#define KEEPALIVE (29 * NSEC_S)         // NATs forget silent UDP after 30 s
#define SYN_WAIT (10 * NSEC_S)          // an accepted one that says nothing
#define LINGER_MAX (30 * NSEC_S)        // after the owner has left

static_assert(UTP_CONNS_MAX <= 1 << CONN_INDEX_BITS, "a connection's index fits its id");

enum err utp_new(struct utp **out, const struct utp_config *cfg, const struct env *env, nsec now)
{
    ASSERT(cfg->conns_max != 0);
    ASSERT(cfg->conns_max <= UTP_CONNS_MAX);
    struct utp *u = mem_zalloc(env->mem, sizeof *u);
    if (u == NULL)
        return ERR_NOMEM;
    u->cfg = *cfg;
    u->mem = env->mem;
    u->log = env->log;
    u->rare = env->rare;
    u->now = now;
    u->rng = rng_make(env->seed, 0x757470);
    u->resets_left = RESETS_PER_S;
    map_init(&u->map, u->mem, UTP_CONNS_MAX, rng_u64(&u->rng));
    heap_init(&u->timers, u->mem, UTP_CONNS_MAX);
    list_init(&u->touched);
    list_init(&u->syns);
    *out = u;
    return ERR_OK;
}

void utp_free(struct utp *u)
{
    if (u == NULL)
        return;
    for (uint32_t i = 0; i < u->conns_high; i++)
        if (u->conns[i] != NULL)
            utp_conn_free(u, u->conns[i]);
    ASSERT(u->stats.tx_memory == 0);
    ASSERT(u->stats.rx_memory == 0);
    map_done(&u->map);
    heap_done(&u->timers);
    mem_free(u->mem, u, sizeof *u);
}

// ---- the table

struct conn *utp_conn(const struct utp *u, uint32_t id)
{
    struct conn *c = u->conns[id & (UTP_CONNS_MAX - 1)];
    return c == NULL || c->id != id ? NULL : c;
}

static struct conn *owned(const struct utp *u, uint32_t id)
{
    struct conn *c = utp_conn(u, id);
    ASSERT(c != NULL);
    ASSERT(c->state != CONN_LEAVING);
    return c;
}

static void make_key(uint8_t key[KEY_LEN], const struct addr *a, uint16_t recv_id)
{
    key[0] = a->family;
    memcpy(key + 1, a->ip, 16);
    key[17] = (uint8_t)(a->port >> 8);
    key[18] = (uint8_t)a->port;
    key[19] = (uint8_t)(recv_id >> 8);
    key[20] = (uint8_t)recv_id;
}

struct conn *utp_find(struct utp *u, const struct addr *addr, uint16_t recv_id)
{
    struct conn *c = u->recent;
    if (c != NULL && c->recv_id == recv_id && addr_eq(&c->addr, addr))
        return c;
    uint8_t key[KEY_LEN];
    make_key(key, addr, recv_id);
    struct map_node *m = map_get(&u->map, slice_of(key, sizeof key));
    if (m == NULL)
        return NULL;
    u->recent = CONTAINER(m, struct conn, node);
    return u->recent;
}

struct conn *utp_conn_new(struct utp *u, const struct addr *addr, uint16_t recv_id, uint16_t send_id)
{
    uint32_t i = 0;
    while (i < u->conns_high && u->conns[i] != NULL)
        i++;
    if (u->conns_n >= u->cfg.conns_max)
        return NULL;
    struct conn *c = mem_zalloc(u->mem, sizeof *c);
    if (c == NULL)
        return NULL;
    u->generation = u->generation % ((1u << (32 - CONN_INDEX_BITS)) - 1) + 1;
    *c = (struct conn){.id = u->generation << CONN_INDEX_BITS | i, .addr = *addr, .recv_id = recv_id, .send_id = send_id, .since = u->now};
    list_init(&c->touched);
    list_init(&c->syns);
    c->timer.id = i;
    make_key(c->key, addr, recv_id);
    utp_cc_init(c);
    c->una = c->next = c->lost_from = 0x10000u + (uint16_t)rng_u64(&u->rng);
    c->sent_at = u->now;
    c->rto_at = c->ack_at = c->window_at = NSEC_NEVER;
    if (map_put(&u->map, &c->node, slice_of(c->key, KEY_LEN)) != ERR_OK) {
        mem_free(u->mem, c, sizeof *c);
        return NULL;
    }
    if (heap_set(&u->timers, &c->timer, u->now + KEEPALIVE) != ERR_OK) {
        map_remove(&u->map, &c->node);
        mem_free(u->mem, c, sizeof *c);
        return NULL;
    }
    u->conns[i] = c;
    u->conns_n++;
    u->conns_high = u32_max(u->conns_high, i + 1);
    return c;
}

void utp_conn_free(struct utp *u, struct conn *c)
{
    if (!list_empty(&c->syns))
        u->syns_n--;
    list_remove(&c->syns);
    list_remove(&c->touched);
    heap_remove(&u->timers, &c->timer);
    map_remove(&u->map, &c->node);
    if (u->recent == c)
        u->recent = NULL;
    if (u->lent == c)
        u->lent = NULL;
    utp_tx_done(u, c);
    utp_rx_done(u, c);
    u->conns[c->id & (UTP_CONNS_MAX - 1)] = NULL;
    u->conns_n--;
    mem_free(u->mem, c, sizeof *c);
}

void utp_touch(struct utp *u, struct conn *c)
{
    if (list_empty(&c->touched))
        list_push_back(&u->touched, &c->touched);
}

void utp_set_state(struct utp *u, struct conn *c, enum utp_state state)
{
    switch (state) {
    case CONN_FREE: ASSERT(false); break;
    case CONN_SYN_SENT:
    case CONN_SYN_RECV: ASSERT(c->state == CONN_FREE); break;
    case CONN_OFFERED: ASSERT(c->state == CONN_SYN_RECV); break;
    case CONN_OPEN: ASSERT(c->state == CONN_SYN_SENT || c->state == CONN_OFFERED); break;
    case CONN_LEAVING: ASSERT(c->state != CONN_LEAVING); break;
    }
    if (c->state == CONN_SYN_RECV) {
        list_remove(&c->syns);
        u->syns_n--;
    }
    if (state == CONN_SYN_RECV) {
        list_push_back(&u->syns, &c->syns);
        u->syns_n++;
    }
    if (state == CONN_LEAVING) {
        utp_rx_done(u, c);              // nobody takes it any more
        c->read = c->ack + 1;
        c->high = c->ack;
        if (u->lent == c)
            u->lent = NULL;
    }
    c->state = state;
    c->since = u->now;
    utp_touch(u, c);
}

void utp_end(struct utp *u, struct conn *c, enum err e)
{
    if (c->closing == ERR_OK)
        c->closing = e;
    utp_touch(u, c);
}

// ---- verbs

enum err utp_connect(struct utp *u, nsec now, const struct addr *to, uint32_t user, uint32_t *out_conn)
{
    ASSERT(now >= u->now);
    ASSERT(user != 0);
    ASSERT(to->port != 0);
    u->now = now;
    uint16_t id = 0;
    struct conn *c = NULL;
    for (int i = 0; i < 4 && c == NULL; i++) {
        id = (uint16_t)rng_u64(&u->rng);
        if (utp_find(u, to, id) == NULL)
            c = utp_conn_new(u, to, id, (uint16_t)(id + 1));
    }
    if (c == NULL)
        return ERR_FULL;
    c->user = user;
    c->syn_due = true;
    utp_set_state(u, c, CONN_SYN_SENT);
    *out_conn = c->id;
    return ERR_OK;
}

void utp_again(struct utp *u, nsec now, uint32_t conn)
{
    ASSERT(now >= u->now);
    u->now = now;
    struct conn *c = owned(u, conn);
    if (c->state != CONN_SYN_SENT || c->closing != ERR_OK)
        return;
    c->syn_due = true;
    utp_touch(u, c);
}

void utp_accept(struct utp *u, nsec now, uint32_t conn, uint32_t user)
{
    ASSERT(now >= u->now);
    ASSERT(user != 0);
    u->now = now;
    struct conn *c = owned(u, conn);
    ASSERT(c->state == CONN_OFFERED);
    c->user = user;
    c->connected_told = true;
    utp_set_state(u, c, CONN_OPEN);
    c->readable = true;
}

void utp_refuse(struct utp *u, const struct addr *to, uint16_t conn_id, uint16_t ack)
{
    if (u->now >= u->reset_at) {
        u->reset_at = u->now + NSEC_S;
        u->resets_left = RESETS_PER_S;
    }
    if (u->resets_left == 0 || u->resets_n == ARRAY_LEN(u->resets))
        return;
    u->resets_left--;
    u->resets[u->resets_n].addr = *to;
    u->resets[u->resets_n].conn_id = conn_id;
    u->resets[u->resets_n++].ack = ack;
}

void utp_close(struct utp *u, nsec now, uint32_t conn, bool flush)
{
    ASSERT(now >= u->now);
    u->now = now;
    struct conn *c = owned(u, conn);
    c->user = 0;
    if (c->closing != ERR_OK)
        return;                         // the poll frees it
    const bool unsaid = c->state == CONN_SYN_SENT || (!flush && !utp_tx_idle(c));
    if (unsaid) {
        if (c->state != CONN_SYN_SENT)
            utp_refuse(u, &c->addr, c->send_id, (uint16_t)c->ack);
        utp_end(u, c, ERR_CANCELLED);
        return;
    }
    utp_set_state(u, c, CONN_LEAVING);
    c->fin_written = true;
    c->more = false;
}

void utp_cut(struct utp *u, nsec now)
{
    ASSERT(now >= u->now);
    u->now = now;
    u->resets_n = 0;
    for (uint32_t i = 0; i < u->conns_high; i++)
        if (u->conns[i] != NULL && u->conns[i]->closing == ERR_OK)
            utp_end(u, u->conns[i], ERR_UNREACHABLE);
}

// ---- time

static nsec deadline(const struct conn *c)
{
    nsec at = u64_min(u64_min(c->rto_at, c->ack_at), u64_min(c->window_at, c->sent_at + KEEPALIVE));
    if (c->state == CONN_SYN_RECV)
        at = u64_min(at, c->since + SYN_WAIT);
    if (c->state == CONN_LEAVING)
        at = u64_min(at, c->since + LINGER_MAX);
    return at;
}

// An earlier time is set at once, a later one when the old one has come: most are moved on long before.
static void set_timer(struct utp *u, struct conn *c)
{
    const nsec at = c->closing != ERR_OK ? u->now + NSEC_S : deadline(c);      // closing: the poll has it
    if (at >= c->timer.at && c->timer.at > u->now)
        return;
    const enum err e = heap_set(&u->timers, &c->timer, at);
    ASSERT(e == ERR_OK);                // moving what is in it takes no memory
}

static void tick(struct utp *u, struct conn *c)
{
    const nsec now = u->now;
    if (c->state == CONN_SYN_RECV && now >= c->since + SYN_WAIT)
        utp_end(u, c, ERR_TIMEOUT);
    if (c->state == CONN_LEAVING && now >= c->since + LINGER_MAX)
        utp_end(u, c, ERR_TIMEOUT);
    if (now >= c->rto_at)
        utp_rto(u, c);
    if (now >= c->ack_at) {
        c->ack_at = NSEC_NEVER;
        c->ack_now = true;
        utp_touch(u, c);
    }
    if (now >= c->window_at) {
        c->window_at = NSEC_NEVER;
        c->probing_window = true;
        utp_touch(u, c);
    }
    if (now >= c->sent_at + KEEPALIVE) {
        if (utp_tx_idle(c))
            utp_tx_shrink(u, c);
        c->ack_now = c->state == CONN_OPEN || c->state == CONN_LEAVING;
        c->sent_at = now;
        utp_touch(u, c);
    }
    set_timer(u, c);
}

void utp_tick(struct utp *u, nsec now)
{
    ASSERT(now >= u->now);
    u->now = now;
    utp_quiet_tick(u);
    for (struct heap_node *h = heap_min(&u->timers); h != NULL && h->at <= now; h = heap_min(&u->timers)) {
        struct conn *c = u->conns[h->id];
        ASSERT(c != NULL);
        tick(u, c);
    }
}

// ---- poll

static void write_reset(struct utp *u, struct buf *tx, struct utp_out *out)
{
    u->resets_n--;
    struct wr w = wr_make(tx);
    const size_t at = tx->n;
    const struct utp_packet p = {.type = UTP_RESET, .conn_id = u->resets[u->resets_n].conn_id, .seq = (uint16_t)rng_u64(&u->rng),
                                 .ack = u->resets[u->resets_n].ack, .timestamp_us = micros(u->now)};
    utp_packet_write(&w, &p, 0);
    ASSERT(w.ok);
    out->addr = u->resets[u->resets_n].addr;
    out->bytes = slice_of(tx->p + at, tx->n - at);
    out->segment = 0;
    u->stats.resets++;
}

// What the owner of c must hear; UTP_OUT_IDLE: nothing.
static enum utp_kind event(struct utp *u, struct conn *c, struct utp_out *out)
{
    out->conn = c->id;
    out->user = c->user;
    out->addr = c->addr;
    if (c->state == CONN_OFFERED && !c->offer_told) {
        c->offer_told = true;
        return UTP_OUT_ACCEPT;
    }
    if (c->state != CONN_OPEN)
        return UTP_OUT_IDLE;
    if (!c->connected_told) {
        c->connected_told = true;
        return UTP_OUT_CONNECTED;
    }
    if (c->readable) {
        c->readable = false;
        if (utp_peek(u, c->id).n != 0)
            return UTP_OUT_READABLE;
    }
    if (c->full && (utp_space(u, c->id) >= UNSENT_MIN / 2 || (c->next_off == c->end_off && utp_space(u, c->id) != 0))) {
        c->full = false;
        return UTP_OUT_WRITABLE;
    }
    return UTP_OUT_IDLE;
}

// The other side has ended the stream: what it has not been sent it will not read.
static void leave(struct utp *u, struct conn *c)
{
    c->closing = ERR_OK;
    c->user = 0;
    c->end_off = c->next_off;
    c->fin_written = true;
    c->more = false;
    utp_set_state(u, c, CONN_LEAVING);
}

enum utp_kind utp_poll(struct utp *u, nsec now, struct buf *tx, struct utp_out *out)
{
    ASSERT(now >= u->now);
    ASSERT(u->lent == NULL);
    ASSERT(buf_room(tx) >= UTP_TX_MIN);
    u->now = now;
    for (;;) {
        if (u->resets_n != 0) {
            write_reset(u, tx, out);
            return UTP_OUT_DGRAM;
        }
        struct conn *c = LIST_FIRST(&u->touched, struct conn, touched);
        if (c == NULL)
            break;
        const enum utp_kind kind = event(u, c, out);
        if (kind != UTP_OUT_IDLE)
            return kind;
        if (c->closing != ERR_OK) {
            const bool tell = c->user != 0;
            out->err = c->closing;
            if (c->closing == ERR_CLOSED)
                leave(u, c);            // our end of it is still to be said
            else
                utp_conn_free(u, c);
            if (tell)
                return UTP_OUT_CLOSED;
            continue;
        }
        list_remove(&c->touched);
        const bool sent = utp_tx(u, c, tx, out);
        set_timer(u, c);
        if (!sent)
            continue;
        utp_touch(u, c);                // to the back: the others first
        return UTP_OUT_DGRAM;
    }
    const struct heap_node *h = heap_min(&u->timers);
    out->deadline = u64_min(h == NULL ? NSEC_NEVER : h->at, utp_is_quiet(u) ? u->quiet_until : NSEC_NEVER);
    return UTP_OUT_IDLE;
}

// ---- looking

void utp_stats(const struct utp *u, struct utp_stats *out)
{
    *out = u->stats;
    out->conns = u->conns_n;
    out->syns = u->syns_n;
}

void utp_conn_stats(const struct utp *u, uint32_t conn, struct utp_conn_stats *out)
{
    const struct conn *c = utp_conn(u, conn);
    ASSERT(c != NULL);
    *out = (struct utp_conn_stats){.cwnd = c->cwnd, .flight = c->flight, .packet_len = c->mss, .rtt_us = (uint32_t)(c->srtt / NSEC_US),
                                   .delay_us = c->delay_us, .acked_bytes = c->acked_bytes};
}

void utp_check(const struct utp *u)
{
    uint64_t tx = 0, rx = 0;
    uint32_t n = 0, syns = 0;
    for (uint32_t i = 0; i < u->conns_high; i++) {
        const struct conn *c = u->conns[i];
        if (c == NULL)
            continue;
        n++;
        syns += c->state == CONN_SYN_RECV;
        ASSERT(c->state != CONN_FREE);
        ASSERT(c->una <= c->next);
        ASSERT(c->next - c->una <= SENTS_MAX);
        ASSERT(c->una_off <= c->next_off);
        ASSERT(c->next_off <= c->end_off);
        ASSERT(c->end_off - c->una_off <= c->ring_cap);
        ASSERT(c->cwnd <= UTP_WINDOW_MAX);
        tx += c->ring_cap + c->sents_cap * sizeof *c->sents;
        rx += c->store_bytes + c->store_cap * sizeof(struct kept *);
        uint64_t flight = 0, lost = 0;
        for (uint64_t seq = c->una; seq < c->next; seq++) {
            flight += sent_at(c, seq)->state == SENT_FLYING ? sent_at(c, seq)->len : 0;
            lost += sent_at(c, seq)->state == SENT_LOST;
        }
        ASSERT(flight == c->flight);
        ASSERT(lost == c->lost_n);
    }
    ASSERT(n == u->conns_n);
    ASSERT(syns == u->syns_n);
    ASSERT(tx == u->stats.tx_memory);
    ASSERT(rx == u->stats.rx_memory);
}
