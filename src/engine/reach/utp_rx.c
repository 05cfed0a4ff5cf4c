// What arrives: whose it is, in which order, what of it can be kept. See utp.h.
#include "engine/reach/utp_conn.h"
#include "engine/reach/utp_int.h"

enum {
    STORE_MAX = 1 << 14,                // packets kept by the receiver, and how far ahead one may be;
    SPAN_START = 1 << 10,               // at first no further than this, and one more for so many bytes that came
    SPAN_BYTES = 256,
    WINDOW_START = 1 << 20,             // receive window; each byte received in order adds one, up to UTP_WINDOW_MAX
    LEFT_SHARE = 4,                     // of the memory left for all, such a part may be one connection's,
    WINDOW_FLOOR = 16 * 1024,           // but so much always
    ACK_PACKETS = 2,                    // BEP 29: every second packet is acknowledged at once
    RESET_BEHIND = 32,                  // a RESET may answer a packet that has been acknowledged meanwhile, so far back
    WINDOW_WAKE = 16 * 1024,            // a window that was nearly shut is said again when so much has opened
};

// ---- the receiver's store: packets out of order, or in order and not taken

static struct kept **slot(const struct conn *c, uint64_t seq) { return &c->store[seq & (c->store_cap - 1)]; }

static struct kept *kept(const struct conn *c, uint64_t seq)
{
    return c->store_cap == 0 || seq < c->read || seq >= c->read + c->store_cap ? NULL : *slot(c, seq);
}

static bool store_grow(struct utp *u, struct conn *c, uint64_t span)
{
    uint32_t cap = u32_max(c->store_cap, 16);
    while (cap < span)
        cap *= 2;
    if (cap == c->store_cap)
        return true;
    struct kept **store = mem_zarray(u->mem, cap, sizeof *store);
    if (store == NULL)
        return false;
    for (uint64_t seq = c->read; seq < c->read + c->store_cap; seq++)
        store[seq & (cap - 1)] = *slot(c, seq);
    mem_free(u->mem, c->store, c->store_cap * sizeof *store);
    u->stats.rx_memory += (cap - c->store_cap) * sizeof *store;
    c->store = store;
    c->store_cap = cap;
    return true;
}

static bool store_add(struct utp *u, struct conn *c, uint64_t seq, struct slice bytes)
{
    ASSERT(seq >= c->read);
    if (!store_grow(u, c, seq - c->read + 1))
        return false;
    struct kept *k = mem_zalloc(u->mem, sizeof *k + bytes.n);
    if (k == NULL)
        return false;
    k->len = (uint32_t)bytes.n;
    if (bytes.n != 0)
        memcpy(k->bytes, bytes.p, bytes.n);
    *slot(c, seq) = k;
    c->high = u64_max(c->high, seq);
    c->store_bytes += sizeof *k + bytes.n;
    u->stats.rx_memory += sizeof *k + bytes.n;
    return true;
}

static void store_drop(struct utp *u, struct conn *c, uint64_t seq)
{
    struct kept *k = *slot(c, seq);
    *slot(c, seq) = NULL;
    c->store_bytes -= sizeof *k + k->len;
    u->stats.rx_memory -= sizeof *k + k->len;
    mem_free(u->mem, k, sizeof *k + k->len);
}

void utp_rx_done(struct utp *u, struct conn *c)
{
    for (uint64_t seq = c->read; c->store_bytes != 0 && seq < c->read + c->store_cap; seq++)
        if (*slot(c, seq) != NULL)
            store_drop(u, c, seq);
    ASSERT(c->store_bytes == 0);
    u->stats.rx_memory -= c->store_cap * sizeof *c->store;
    mem_free(u->mem, c->store, c->store_cap * sizeof *c->store);
    c->store = NULL;
    c->store_cap = 0;
}

// One connection's part of the memory for all. Strangers may take what they can and keep it: what little the others need is always
// theirs, beyond that memory if need be.
static uint64_t share(const struct utp *u)
{
    return u64_max(u64_sub_sat(u->cfg.rx_bytes_max, u->stats.rx_memory) / LEFT_SHARE, WINDOW_FLOOR);
}

// A stranger gets a small window; whoever brings bytes gets a larger one.
uint32_t utp_window(const struct utp *u, const struct conn *c)
{
    const uint64_t whole = u64_min(UTP_WINDOW_MAX, WINDOW_START + c->delivered);
    return (uint32_t)u64_sub_sat(u64_min(whole, share(u)), c->store_bytes);
}

uint32_t utp_sack(const struct conn *c, uint8_t mask[UTP_SACK_MAX])
{
    const uint64_t first = c->ack + 2, last = u64_max(c->high, c->eof);
    if (last < first)
        return 0;
    const uint32_t bits = (uint32_t)u64_min(last - first + 1, 8 * UTP_SACK_MAX);
    const uint32_t n = (bits + 31) / 32 * 4;
    memset(mask, 0, n);
    for (uint32_t i = 0; i < bits; i++)
        if (kept(c, first + i) != NULL || (c->eof != 0 && first + i == c->eof))
            mask[i / 8] |= (uint8_t)(1 << i % 8);
    return n;
}

// ---- the owner's side

// Packets without anything left are done with; behind the last one the stream ends.
static void read_on(struct utp *u, struct conn *c)
{
    for (; c->read <= c->ack; c->read++) {
        if (c->eof != 0 && c->read == c->eof) {
            if (c->state == CONN_OPEN)
                utp_end(u, c, ERR_CLOSED);
            return;
        }
        const struct kept *k = kept(c, c->read);
        ASSERT(k != NULL);
        if (k->taken < k->len)
            return;
        store_drop(u, c, c->read);
    }
}

struct slice utp_peek(const struct utp *u, uint32_t conn)
{
    const struct conn *c = utp_conn(u, conn);
    ASSERT(c != NULL);
    if (u->lent == c)
        return u->lent_bytes;
    const struct kept *k = c->read <= c->ack && c->state == CONN_OPEN ? kept(c, c->read) : NULL;
    return k == NULL ? (struct slice){0} : slice_of(k->bytes + k->taken, k->len - k->taken);
}

void utp_take(struct utp *u, nsec now, uint32_t conn, size_t len)
{
    ASSERT(now >= u->now);
    u->now = now;
    struct conn *c = utp_conn(u, conn);
    ASSERT(c != NULL);
    ASSERT(len <= utp_peek(u, conn).n);
    c->delivered += len;
    if (u->lent == c) {
        u->lent_bytes = slice_sub(u->lent_bytes, len, u->lent_bytes.n);
        if (u->lent_bytes.n == 0) {
            u->lent = NULL;
            c->read++;
            read_on(u, c);
        }
        return;
    }
    kept(c, c->read)->taken += (uint32_t)len;
    read_on(u, c);
    if (c->window_said < WINDOW_WAKE && utp_window(u, c) >= u64_min(share(u), 2 * WINDOW_WAKE)) {
        c->ack_now = true;              // it waits for that
        utp_touch(u, c);
    }
}

void utp_keep(struct utp *u)
{
    struct conn *c = u->lent;
    if (c == NULL)
        return;
    u->lent = NULL;
    if (!store_add(u, c, c->read, u->lent_bytes))
        utp_end(u, c, ERR_NOMEM);       // it counts as received: without it the stream has a hole
    c->readable = true;
}

// ---- arriving

static void owe_ack(struct utp *u, struct conn *c, bool at_once)
{
    c->ack_owed++;
    if (at_once || c->ack_owed >= ACK_PACKETS)
        c->ack_now = true;
    else
        c->ack_at = u64_min(c->ack_at, u->now + ACK_DELAY);
    utp_touch(u, c);
}

// What follows in order and was there before.
static bool advance(struct conn *c)
{
    const uint64_t was = c->ack;
    while ((c->eof != 0 && c->ack + 1 == c->eof) || kept(c, c->ack + 1) != NULL)
        c->ack++;
    return c->ack != was;
}

// How far ahead a packet may be. Of a stranger not very far: its place alone takes memory, and those of all before it.
static uint64_t span_max(const struct conn *c)
{
    return u64_min(STORE_MAX, SPAN_START + (c->delivered + c->store_bytes) / SPAN_BYTES);
}

static bool has_room(const struct utp *u, const struct conn *c, size_t n)
{
    return utp_window(u, c) >= n + sizeof(struct kept);
}

static void take_fin(struct utp *u, struct conn *c, uint64_t seq)
{
    if (c->eof == 0 && seq > c->high)
        c->eof = seq;
    (void)advance(c);
    if (u->lent != c)
        read_on(u, c);
    owe_ack(u, c, true);
}

// The owner has left: what still comes is acknowledged, so that the other side comes to its end, and thrown away.
static void take_nothing(struct utp *u, struct conn *c, const struct utp_packet *p, uint64_t seq)
{
    if (p->type == UTP_FIN)
        c->eof = seq;
    c->ack = c->high = seq;
    c->read = seq + 1;
    owe_ack(u, c, true);
}

static void receive(struct utp *u, struct conn *c, const struct utp_packet *p)
{
    const uint64_t seq = seq16_unwrap(c->ack, p->seq);
    if (seq <= c->ack || kept(c, seq) != NULL || (c->eof != 0 && seq >= c->eof)) {
        u->stats.rx_duplicate++;
        owe_ack(u, c, true);            // our word of it was lost, or it is one too many
        return;
    }
    const bool in_order = seq == c->ack + 1;
    const bool lends = in_order && c->read == seq && c->user != 0 && p->payload.n != 0;        // takes no memory
    if (seq - c->read >= span_max(c) || (p->type == UTP_DATA && !lends && !has_room(u, c, p->payload.n))) {
        u->stats.rx_refused++;
        owe_ack(u, c, true);
        return;
    }
    if (c->state == CONN_LEAVING) {
        take_nothing(u, c, p, seq);
        return;
    }
    if (p->type == UTP_FIN) {
        take_fin(u, c, seq);
        return;
    }
    if (lends && p->type == UTP_DATA) {
        u->lent = c;
        u->lent_bytes = p->payload;
        c->ack = seq;
        c->high = u64_max(c->high, seq);
        owe_ack(u, c, advance(c));
        return;
    }
    if (!store_add(u, c, seq, p->payload)) {
        u->stats.rx_refused++;
        return;
    }
    const bool filled = in_order && advance(c);
    if (in_order) {
        read_on(u, c);
        c->readable = true;
    }
    c->sack_now |= !in_order;
    owe_ack(u, c, !in_order || filled);
}

// ---- whose it is

static void on_syn(struct utp *u, const struct addr *from, const struct utp_packet *p)
{
    struct conn *c = utp_find(u, from, (uint16_t)(p->conn_id + 1));
    if (c != NULL) {
        c->ack_now |= c->state == CONN_SYN_RECV && (uint16_t)c->ack == p->seq;     // our answer was lost
        utp_touch(u, c);
        return;
    }
    if (u->syns_n >= u->cfg.syns_max)
        utp_conn_free(u, CONTAINER(u->syns.next, struct conn, syns));
    c = utp_conn_new(u, from, (uint16_t)(p->conn_id + 1), p->conn_id);
    if (c == NULL) {
        u->stats.rx_refused++;
        return;                         // it tries again
    }
    c->ack = c->high = 0x10000u + p->seq;
    c->read = c->ack + 1;
    c->reply_us = micros(u->now) - p->timestamp_us;
    c->peer_window = p->window;
    c->ack_now = true;
    utp_set_state(u, c, CONN_SYN_RECV);
}

// BEP 29 does not say so, but all who send it name the packet that it answers: without that whoever knows both addresses ends a
// connection by trying 65,536 ids.
static void on_reset(struct utp *u, const struct addr *from, const struct utp_packet *p)
{
    // Trap 36: some name the id that they receive with, others the one they send with.
    for (int d = -1; d <= 1; d++) {
        struct conn *c = utp_find(u, from, (uint16_t)(p->conn_id + d));
        if (c == NULL || (d != 0 && c->send_id != p->conn_id))
            continue;
        const uint64_t behind = c->state == CONN_SYN_SENT ? 0 : RESET_BEHIND;
        if ((uint16_t)(p->ack - (uint16_t)(c->una - behind)) > (uint16_t)(c->next - c->una + behind)) {
            u->stats.rx_bad++;
            continue;                   // no answer to a packet of ours: who sends it has not seen one
        }
        utp_end(u, c, ERR_REFUSED);
        return;
    }
}

// False: p is no part of the connection's opening, or is its whole story.
static bool opens(struct utp *u, struct conn *c, const struct utp_packet *p)
{
    switch (c->state) {
    case CONN_SYN_SENT:
        if (p->type != UTP_STATE || p->ack != (uint16_t)c->una)
            return false;
        c->ack = c->high = 0x10000u + (uint16_t)(p->seq - 1);   // a STATE uses up no number
        c->read = c->ack + 1;
        utp_set_state(u, c, CONN_OPEN);
        return true;
    case CONN_SYN_RECV:
        // It knows the number that we answered with, so it is where it says it is.
        if ((p->type != UTP_DATA && p->type != UTP_FIN) || p->ack != (uint16_t)(c->una - 1))
            return false;
        utp_set_state(u, c, CONN_OFFERED);
        return true;
    case CONN_OFFERED:
    case CONN_OPEN:
    case CONN_LEAVING: return true;
    case CONN_FREE: break;
    }
    return false;
}

bool utp_datagram(struct utp *u, nsec now, const struct addr *from, struct slice data, uint32_t *out_user)
{
    ASSERT(now >= u->now);
    ASSERT(u->lent == NULL);
    u->now = now;
    *out_user = 0;
    struct utp_packet p;
    if (utp_packet_parse(&p, data) != ERR_OK) {
        u->stats.rx_bad++;
        return false;
    }
    u->stats.rx_packets++;
    if (p.type == UTP_SYN) {
        on_syn(u, from, &p);
        return true;
    }
    if (p.type == UTP_RESET) {
        on_reset(u, from, &p);
        return true;
    }
    struct conn *c = utp_find(u, from, p.conn_id);
    if (c == NULL) {
        u->stats.rx_unknown++;
        utp_refuse(u, from, p.conn_id, p.seq);
        return true;
    }
    if (c->closing != ERR_OK || !opens(u, c, &p))
        return true;
    if (!utp_acked(u, c, &p)) {
        u->stats.rx_bad++;
        return true;
    }
    c->reply_us = micros(now) - p.timestamp_us;
    utp_cc_delay(c, now, p.timestamp_diff_us);
    if (p.type == UTP_DATA || p.type == UTP_FIN)
        receive(u, c, &p);
    if (u->lent == c)
        *out_user = c->user;
    return true;
}
