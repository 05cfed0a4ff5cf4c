// The tracker server's doors and what both protocols share: see tracker.h.
#include "engine/find/tracker_int.h"

enum {
    PURPOSE_SAMPLE = 0x7472616b,        // of the random stream
    MINUTE_S = 60,
    EXPIRE_SLACK_S = 120,               // on top of two intervals
    SWEEP_MIN_S = 10, SWEEP_MAX_S = 600,    // a sweep takes a quarter of the interval within these
    SWEEP_STEP_MIN = 16,                // records looked at in a second, at least
    SWEEP_LATE_MAX_S = 60,              // a late tick makes up for so many seconds at most
    EVICT_S = 5,                        // with conns_max open, one that has waited so long makes way
};

static uint32_t or_default(uint32_t v, uint32_t otherwise) { return v == 0 ? otherwise : v; }

static void advance(struct tracker *t, nsec now)
{
    ASSERT(now >= t->now);
    t->now = now;
}

enum err tracker_new(struct tracker **out, const struct tracker_config *cfg, const struct env *env, nsec now)
{
    struct tracker *t = mem_zalloc(env->mem, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    *t = (struct tracker){.cfg = *cfg, .env = env, .now = now, .sweep_at = NSEC_NEVER};
    struct tracker_config *c = &t->cfg;
    c->interval_s = or_default(c->interval_s, TRACKER_INTERVAL_S);
    c->swarms_max = or_default(c->swarms_max, TRACKER_SWARMS_MAX);
    c->peers_max = or_default(c->peers_max, TRACKER_PEERS_MAX);
    c->swarm_peers_max = or_default(c->swarm_peers_max, TRACKER_SWARM_PEERS_MAX);
    c->ip_peers_max = or_default(c->ip_peers_max, TRACKER_IP_PEERS_MAX);
    c->conns_max = or_default(c->conns_max, TRACKER_CONNS_MAX);
    c->hashes_max = or_default(c->hashes_max, TRACKER_HASHES_MAX);
    t->rng = rng_make(env->seed, PURPOSE_SAMPLE);
    t->sweep_s = u64_min(u64_max(c->interval_s / 4, SWEEP_MIN_S), SWEEP_MAX_S);
    const uint64_t expire_min = u64_div_up((uint64_t)c->interval_s * 2 + EXPIRE_SLACK_S, MINUTE_S);
    const struct store_limits limits = {
        .swarms_max = c->swarms_max, .peers_max = c->peers_max, .swarm_peers_max = c->swarm_peers_max,
        .ip_peers_max = c->ip_peers_max,
        .expire_min = (uint32_t)u64_min(expire_min, INT16_MAX),     // a minute's stamp has 16 bits
    };
    store_init(&t->store, env->mem, &limits, c->secret);
    map_init(&t->admitted, env->mem, c->hashes_max, mix64(c->secret[0] + 4));
    map_init(&t->conns, env->mem, UINT32_MAX, mix64(c->secret[0] + 5));
    list_init(&t->open);
    list_init(&t->ready);
    list_init(&t->closing);
    t->queue = (struct buf){mem_zalloc(env->mem, TRACKER_QUEUE_BYTES), 0, TRACKER_QUEUE_BYTES};
    t->body = (struct buf){mem_zalloc(env->mem, TRACKER_BODY_MAX), 0, TRACKER_BODY_MAX};
    if (t->queue.p == NULL || t->body.p == NULL) {
        tracker_free(t);
        return ERR_NOMEM;
    }
    *out = t;
    return ERR_OK;
}

static void conn_free(struct tracker *t, struct tracker_conn *c)
{
    if (c->state == CONN_CLOSING)
        t->n_closing--;
    list_remove(&c->link);
    list_remove(&c->age);
    map_remove(&t->conns, &c->node);
    mem_free(t->env->mem, c, sizeof *c);
}

void tracker_free(struct tracker *t)
{
    if (t == NULL)
        return;
    for (struct map_node *n = map_first(&t->conns); n != NULL; n = map_first(&t->conns))
        conn_free(t, CONTAINER(n, struct tracker_conn, node));
    for (struct map_node *n = map_first(&t->admitted); n != NULL; n = map_first(&t->admitted)) {
        map_remove(&t->admitted, n);
        mem_free(t->env->mem, CONTAINER(n, struct tracker_admitted, node), sizeof(struct tracker_admitted));
    }
    map_done(&t->conns);
    map_done(&t->admitted);
    store_done(&t->store);
    mem_free(t->env->mem, t->queue.p, TRACKER_QUEUE_BYTES);
    mem_free(t->env->mem, t->body.p, TRACKER_BODY_MAX);
    mem_free(t->env->mem, t, sizeof *t);
}

// ---- what both protocols share

bool tracker_is_admitted(const struct tracker *t, const uint8_t hash[20])
{
    return !t->cfg.whitelist || map_get(&t->admitted, slice_of(hash, 20)) != NULL;
}

static const char *refusal(const struct tracker *t, const struct announce *a)
{
    return a->port == 0 ? TRACKER_SAYS_PORT : !tracker_is_admitted(t, a->info_hash) ? TRACKER_SAYS_UNKNOWN : NULL;
}

void tracker_announce(struct tracker *t, const struct addr *from, const struct announce *a, uint32_t max,
                      struct tracker_answer *out)
{
    const bool ipv6 = from->family == ADDR_IPV6;
    out->swarm = NULL;
    out->n = 0;
    out->failure = refusal(t, a);
    if (out->failure != NULL) {
        t->stats.refused++;
        return;
    }
    struct store_announce sa = {
        .hash = a->info_hash, .peer = *from,
        .class = a->left == 0 ? CLASS_SEED : a->event == ANNOUNCE_PAUSED ? CLASS_PARTIAL : CLASS_LEECH,
        .stopped = a->event == ANNOUNCE_STOPPED, .completed = a->event == ANNOUNCE_COMPLETED,
        .minute = (uint16_t)(t->now / (MINUTE_S * NSEC_S)),
    };
    sa.peer.port = a->port;
    uint32_t self;
    const enum err e = store_announce(&t->store, &sa, &out->swarm, &self);
    if (e != ERR_OK)
        t->stats.refused++;
    if (t->sweep_at == NSEC_NEVER && t->store.swarms.n != 0)
        t->sweep_at = t->now + NSEC_S;
    if (out->swarm == NULL) {
        out->failure = e == ERR_OK ? NULL : TRACKER_SAYS_FULL;
        return;
    }
    if (sa.stopped)
        return;
    const uint32_t want = a->numwant == ANNOUNCE_UNKNOWN ? TRACKER_NUMWANT_DEFAULT : u32_min(a->numwant, TRACKER_NUMWANT_MAX);
    // Who has everything it wants needs nobody who has the same: seeds and partial seeds get leeches only. But for the first
    // time: aria2 says that nothing is left when it has a magnet link and does not know yet what there is to fetch.
    const uint32_t classes = sa.class == CLASS_LEECH || a->event == ANNOUNCE_STARTED ? CLASSES_N : 1;
    out->n = store_sample(&out->swarm->pools[ipv6], classes, self, u32_min(want, max), &t->rng, out->places);
}

void tracker_enqueue(struct tracker *t, const struct addr *to, struct slice bytes)
{
    if (bytes.n + sizeof *to + 2 > buf_room(&t->queue)) {
        t->stats.tx_dropped++;
        return;
    }
    struct wr w = wr_make(&t->queue);
    wr_bytes(&w, slice_of(to, sizeof *to));
    wr_be16(&w, u16_of(bytes.n));
    wr_bytes(&w, bytes);
    ASSERT(w.ok);
}

// ---- inputs

void tracker_datagram(struct tracker *t, nsec now, const struct addr *from, struct slice data)
{
    ASSERT(from->family != ADDR_NONE);
    advance(t, now);
    tracker_udp_input(t, from, data);
}

static void set_state(struct tracker *t, struct tracker_conn *c, enum tracker_conn_state to)
{
    ASSERT(c->state != CONN_CLOSING);
    list_remove(&c->link);
    c->state = to;
    if (to == CONN_READY)
        list_push_back(&t->ready, &c->link);
    if (to != CONN_CLOSING)
        return;
    list_push_back(&t->closing, &c->link);
    list_remove(&c->age);
    t->n_closing++;
}

static struct tracker_conn *find_conn(const struct tracker *t, uint32_t conn)
{
    struct map_node *n = map_get(&t->conns, slice_of(&conn, sizeof conn));
    return n == NULL ? NULL : CONTAINER(n, struct tracker_conn, node);
}

enum err tracker_accept(struct tracker *t, nsec now, uint32_t conn, const struct addr *from)
{
    ASSERT(conn != 0);
    ASSERT(from->family != ADDR_NONE);
    advance(t, now);
    if (t->conns.n - t->n_closing >= t->cfg.conns_max) {
        struct tracker_conn *oldest = LIST_FIRST(&t->open, struct tracker_conn, age);
        if (oldest == NULL || now - oldest->since < EVICT_S * NSEC_S)
            return ERR_FULL;
        set_state(t, oldest, CONN_CLOSING);
    }
    struct tracker_conn *c = mem_zalloc(t->env->mem, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->id = conn;
    c->from = *from;
    c->since = now;
    list_init(&c->link);
    list_init(&c->age);
    const enum err e = map_put(&t->conns, &c->node, slice_of(&c->id, sizeof c->id));
    ASSERT(e != ERR_EXISTS);
    if (e != ERR_OK) {
        mem_free(t->env->mem, c, sizeof *c);
        return e;
    }
    list_push_back(&t->open, &c->age);
    return ERR_OK;
}

void tracker_rx(struct tracker *t, nsec now, uint32_t conn, struct slice data)
{
    advance(t, now);
    struct tracker_conn *c = find_conn(t, conn);
    if (c == NULL || c->state == CONN_CLOSING || data.n == 0)
        return;
    const size_t n = size_min(data.n, sizeof c->bytes - c->n);
    memcpy(c->bytes + c->n, data.p, n);
    c->n += u32_of(n);
    c->overflowed = c->overflowed || n < data.n;
    if (c->state == CONN_READING)
        set_state(t, c, CONN_READY);
}

void tracker_closed(struct tracker *t, nsec now, uint32_t conn)
{
    advance(t, now);
    struct tracker_conn *c = find_conn(t, conn);
    if (c != NULL)
        conn_free(t, c);
}

enum err tracker_admit(struct tracker *t, const uint8_t hash[20])
{
    struct tracker_admitted *a = mem_zalloc(t->env->mem, sizeof *a);
    if (a == NULL)
        return ERR_NOMEM;
    memcpy(a->hash, hash, sizeof a->hash);
    const enum err e = map_put(&t->admitted, &a->node, slice_of(a->hash, sizeof a->hash));
    if (e != ERR_OK)
        mem_free(t->env->mem, a, sizeof *a);
    return e;
}

enum err tracker_revoke(struct tracker *t, const uint8_t hash[20])
{
    struct map_node *n = map_get(&t->admitted, slice_of(hash, 20));
    if (n == NULL)
        return ERR_NOT_FOUND;
    map_remove(&t->admitted, n);
    mem_free(t->env->mem, CONTAINER(n, struct tracker_admitted, node), sizeof(struct tracker_admitted));
    return ERR_OK;
}

// ---- time and outputs

static void sweep(struct tracker *t)
{
    if (t->now < t->sweep_at)
        return;
    const uint64_t late_s = u64_min((t->now - t->sweep_at) / NSEC_S + 1, SWEEP_LATE_MAX_S);
    const uint64_t all = (uint64_t)t->store.n_peers[0] + t->store.n_peers[1] + 2 * (uint64_t)t->store.swarms.n;
    store_sweep(&t->store, (uint16_t)(t->now / (MINUTE_S * NSEC_S)), late_s * (all / t->sweep_s + SWEEP_STEP_MIN));
    t->sweep_at = t->store.swarms.n == 0 ? NSEC_NEVER : t->now + NSEC_S;
}

void tracker_tick(struct tracker *t, nsec now)
{
    advance(t, now);
    sweep(t);
    LIST_EACH(&t->open, link, save) {
        struct tracker_conn *c = CONTAINER(link, struct tracker_conn, age);
        if (now < c->since + TRACKER_IDLE_S * NSEC_S)
            break;
        set_state(t, c, CONN_CLOSING);
    }
}

static bool poll_datagram(struct tracker *t, struct buf *tx, struct tracker_out *out)
{
    if (t->queue_at == t->queue.n)
        return false;
    struct rd r = rd_make(slice_sub(buf_slice(&t->queue), t->queue_at, t->queue.n));
    rd_copy(&r, &out->addr, sizeof out->addr);
    const struct slice bytes = rd_bytes(&r, rd_be16(&r));
    ASSERT(r.ok);
    const size_t at = tx->n;
    struct wr w = wr_make(tx);
    wr_bytes(&w, bytes);
    if (!w.ok)
        return false;
    out->bytes = slice_of(tx->p + at, bytes.n);
    t->queue_at = t->queue.n - r.n;
    if (t->queue_at == t->queue.n)
        t->queue_at = t->queue.n = 0;
    return true;
}

// Serves ready connections until one has something to send.
static bool poll_stream(struct tracker *t, struct buf *tx, struct tracker_out *out)
{
    while (!list_empty(&t->ready) && buf_room(tx) >= TRACKER_TX_MIN) {
        struct tracker_conn *c = LIST_FIRST(&t->ready, struct tracker_conn, link);
        const size_t at = tx->n;
        struct wr w = wr_make(tx);
        const enum http_served served = tracker_http_serve(t, c, &w);
        if (served == HTTP_NOTHING) {
            set_state(t, c, CONN_READING);
            continue;
        }
        ASSERT(w.ok);
        out->conn = c->id;
        out->bytes = slice_of(tx->p + at, tx->n - at);
        c->since = t->now;
        list_remove(&c->age);
        list_push_back(&t->open, &c->age);
        const bool more = c->n != 0 || c->overflowed;
        set_state(t, c, served == HTTP_LAST ? CONN_CLOSING : more ? CONN_READY : CONN_READING);
        return true;
    }
    return false;
}

enum tracker_kind tracker_poll(struct tracker *t, nsec now, struct buf *tx, struct tracker_out *out)
{
    advance(t, now);
    *out = (struct tracker_out){0};
    if (poll_datagram(t, tx, out))
        return TRACKER_DGRAM;
    if (poll_stream(t, tx, out))
        return TRACKER_SEND;
    struct tracker_conn *c = LIST_FIRST(&t->closing, struct tracker_conn, link);
    if (c != NULL) {
        out->conn = c->id;
        conn_free(t, c);
        return TRACKER_CLOSE;
    }
    const struct tracker_conn *oldest = LIST_FIRST(&t->open, struct tracker_conn, age);
    *out = (struct tracker_out){.deadline = t->sweep_at};
    if (oldest != NULL)
        out->deadline = u64_min(out->deadline, oldest->since + TRACKER_IDLE_S * NSEC_S);
    return TRACKER_IDLE;
}

void tracker_stats(const struct tracker *t, struct tracker_stats *out)
{
    *out = t->stats;
    out->swarms = t->store.swarms.n;
    out->peers_ipv4 = t->store.n_peers[0];
    out->peers_ipv6 = t->store.n_peers[1];
    out->seeds = t->store.n_seeds;
    out->conns = t->conns.n;
    out->hashes = t->admitted.n;
    out->bytes = t->store.bytes + t->store.swarms.buckets_n * sizeof(struct map_node *);
    out->expired = t->store.expired;
}

void tracker_check(const struct tracker *t)
{
    store_check(&t->store);
    ASSERT(t->queue_at <= t->queue.n);
    uint32_t n_open = 0, n_closing = 0;
    nsec since = 0;
    LIST_EACH(&t->open, link, save) {
        const struct tracker_conn *c = CONTAINER(link, struct tracker_conn, age);
        ASSERT(c->state != CONN_CLOSING);
        ASSERT(c->n <= sizeof c->bytes);
        ASSERT(c->since >= since);
        since = c->since;
        n_open++;
    }
    LIST_EACH(&t->closing, link, save) {
        ASSERT(CONTAINER(link, struct tracker_conn, link)->state == CONN_CLOSING);
        n_closing++;
    }
    ASSERT(n_open + n_closing == t->conns.n);
    ASSERT(n_closing == t->n_closing);
    ASSERT(t->conns.n - t->n_closing <= t->cfg.conns_max);
}
