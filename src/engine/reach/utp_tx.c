// What goes out: acknowledgements, and trains of equal packets. A packet keeps its bytes for all its repetitions.
#include "engine/reach/utp_conn.h"
#include "engine/reach/utp_int.h"

enum {
    RING_MIN = 16 * 1024,
    UNSENT_MAX = 128 * 1024,            // bytes beyond the congestion window that may be written, at most
};

// ---- the bytes that are not acknowledged

static bool ring_grow(struct utp *u, struct conn *c, uint64_t want)
{
    uint32_t cap = u32_max(c->ring_cap, RING_MIN);
    while (cap < want)
        cap *= 2;
    if (cap == c->ring_cap)
        return true;
    uint8_t *ring = mem_zalloc(u->mem, cap);
    if (ring == NULL)
        return false;
    for (uint64_t off = c->una_off; off < c->end_off;) {
        const uint32_t from = (uint32_t)(off & (c->ring_cap - 1)), to = (uint32_t)(off & (cap - 1));
        const size_t n = size_min(size_min(c->ring_cap - from, cap - to), (size_t)(c->end_off - off));
        memcpy(ring + to, c->ring + from, n);
        off += n;
    }
    mem_free(u->mem, c->ring, c->ring_cap);
    u->stats.tx_memory += cap - c->ring_cap;
    c->ring = ring;
    c->ring_cap = cap;
    return true;
}

static bool sents_grow(struct utp *u, struct conn *c)
{
    if (c->next - c->una < c->sents_cap)
        return true;
    if (c->sents_cap == SENTS_MAX)
        return false;
    const uint32_t cap = c->sents_cap == 0 ? 16 : 2 * c->sents_cap;
    struct sent *sents = mem_zarray(u->mem, cap, sizeof *sents);
    if (sents == NULL)
        return false;
    for (uint64_t seq = c->una; seq < c->next; seq++)
        sents[seq & (cap - 1)] = *sent_at(c, seq);
    mem_free(u->mem, c->sents, c->sents_cap * sizeof *sents);
    u->stats.tx_memory += (cap - c->sents_cap) * sizeof *sents;
    c->sents = sents;
    c->sents_cap = cap;
    return true;
}

void utp_tx_done(struct utp *u, struct conn *c)
{
    u->stats.tx_memory -= c->ring_cap + c->sents_cap * sizeof *c->sents;
    mem_free(u->mem, c->ring, c->ring_cap);
    mem_free(u->mem, c->sents, c->sents_cap * sizeof *c->sents);
    c->ring = NULL;
    c->sents = NULL;
    c->ring_cap = c->sents_cap = 0;
}

bool utp_tx_idle(const struct conn *c)
{
    return c->una == c->next && c->next_off == c->end_off;
}

void utp_tx_shrink(struct utp *u, struct conn *c)
{
    ASSERT(utp_tx_idle(c));
    utp_tx_done(u, c);
}

size_t utp_space(const struct utp *u, uint32_t conn)
{
    const struct conn *c = utp_conn(u, conn);
    ASSERT(c != NULL);
    if (c->state != CONN_OPEN || c->closing != ERR_OK)
        return 0;
    const uint64_t limit = c->cwnd + u32_min(UNSENT_MAX, u32_max(UNSENT_MIN, c->cwnd)), used = c->end_off - c->una_off;
    uint64_t most = u64_max(c->ring_cap, RING_MIN);
    while (most < limit && u->stats.tx_memory + 2 * most <= u->cfg.tx_bytes_max)
        most *= 2;
    return (size_t)u64_sub_sat(u64_min(limit, most), used);
}

uint64_t utp_unsent(const struct utp *u, uint32_t conn)
{
    const struct conn *c = utp_conn(u, conn);
    ASSERT(c != NULL);
    return c->end_off - c->next_off;
}

void utp_write(struct utp *u, nsec now, uint32_t conn, struct slice bytes, bool more)
{
    ASSERT(now >= u->now);
    ASSERT(bytes.n <= utp_space(u, conn));
    u->now = now;
    struct conn *c = utp_conn(u, conn);
    c->more = more;
    c->full |= more;
    if (!ring_grow(u, c, c->end_off - c->una_off + bytes.n)) {
        utp_end(u, c, ERR_NOMEM);
        return;
    }
    for (size_t done = 0; done < bytes.n;) {
        const uint32_t to = (uint32_t)(c->end_off & (c->ring_cap - 1));
        const size_t n = size_min(c->ring_cap - to, bytes.n - done);
        memcpy(c->ring + to, bytes.p + done, n);
        done += n;
        c->end_off += n;
    }
    utp_touch(u, c);
}

// ---- one packet

static struct utp_packet header(struct utp *u, struct conn *c, enum utp_type type)
{
    c->window_said = RARE(u->rare, RARE_SMALL_WINDOW) ? u32_min(MSS_MIN, utp_window(u, c)) : utp_window(u, c);
    return (struct utp_packet){.type = type, .conn_id = c->send_id, .seq = (uint16_t)c->next, .ack = (uint16_t)c->ack,
                               .timestamp_us = micros(u->now), .timestamp_diff_us = c->reply_us, .window = c->window_said};
}

static void ack_is_said(struct conn *c)
{
    c->ack_now = c->sack_now = false;
    c->ack_owed = 0;
    c->ack_at = NSEC_NEVER;
}

static void counted(struct utp *u, struct conn *c, struct utp_out *out, struct slice bytes, uint32_t segment)
{
    out->addr = c->addr;
    out->bytes = bytes;
    out->segment = segment;
    u->stats.tx_packets += segment == 0 ? 1 : u64_div_up(bytes.n, segment);
    u->stats.tx_bytes += bytes.n;
    c->sent_at = u->now;
}

static void write_syn(struct utp *u, struct conn *c, struct buf *tx, struct utp_out *out)
{
    const size_t at = tx->n;
    struct wr w = wr_make(tx);
    struct utp_packet p = header(u, c, UTP_SYN);
    p.conn_id = c->recv_id;             // only here: it sends with the next one
    p.ack = 0;
    if (c->next == c->una) {
        c->next++;                      // SYN uses up a number; nothing is kept for it but this
        *sent_at(c, c->una) = (struct sent){.state = SENT_FLYING};
    }
    struct sent *s = sent_at(c, c->una);
    p.seq = (uint16_t)c->una;
    s->tries++;
    s->at = u->now;
    s->serial = ++c->serial;
    utp_packet_write(&w, &p, 0);
    ASSERT(w.ok);
    c->syn_due = false;
    c->rto_at = u->now + c->rto;
    counted(u, c, out, slice_of(tx->p + at, tx->n - at), 0);
}

static void write_state(struct utp *u, struct conn *c, struct buf *tx, struct utp_out *out)
{
    uint8_t mask[UTP_SACK_MAX];
    const size_t at = tx->n;
    struct wr w = wr_make(tx);
    struct utp_packet p = header(u, c, UTP_STATE);
    p.sack = slice_of(mask, c->state == CONN_SYN_RECV ? 0 : utp_sack(c, mask));
    utp_packet_write(&w, &p, 0);
    ASSERT(w.ok);
    ack_is_said(c);
    counted(u, c, out, slice_of(tx->p + at, tx->n - at), 0);
}

// ---- trains

struct pick {
    uint64_t seq;
    uint32_t len, pad;
    bool fresh, fin;
};

static bool window_open(const struct conn *c, uint32_t len)
{
    return c->next_off - c->una_off + len <= c->peer_window || c->probing_window;
}

static bool pick_lost(struct conn *c, bool quiet, struct pick *out)
{
    c->lost_from = u64_max(c->lost_from, c->una);
    while (sent_at(c, c->lost_from)->state != SENT_LOST)
        c->lost_from++;
    ASSERT(c->lost_from < c->next);
    const struct sent *s = sent_at(c, c->lost_from);
    if (c->flight != 0 && (quiet || c->flight + s->len > c->cwnd))
        return false;
    *out = (struct pick){.seq = c->lost_from, .len = s->len, .fin = s->fin};
    return true;
}

// The next packet to be sent, if it may be.
static bool pick_next(const struct utp *u, struct conn *c, struct pick *out)
{
    const bool quiet = utp_is_quiet(u);
    if (c->lost_n != 0)
        return pick_lost(c, quiet, out);
    const uint64_t left = c->end_off - c->next_off;
    if (c->next - c->una >= SENTS_MAX)
        return false;
    if (left == 0) {
        *out = (struct pick){.seq = c->next, .fresh = true, .fin = true};
        return c->fin_written && !c->fin_sent;
    }
    const uint32_t most = utp_cc_packet(c, quiet), len = (uint32_t)u64_min(most, left);
    if (c->flight != 0 && ((len < most && c->more) || quiet || c->flight + len > c->cwnd))
        return false;
    if (!window_open(c, len)) {
        if (c->una == c->next && c->window_at == NSEC_NEVER)
            c->window_at = u->now + c->rto;
        return false;
    }
    *out = (struct pick){.seq = c->next, .len = len, .fresh = true};
    const uint32_t size = len == c->mss && c->cwnd >= 2 * CWND_START_PACKETS * c->mss ? utp_mtu_next(c, u->now) : 0;
    if (size >= UTP_HEADER_LEN + len + 2)
        out->pad = size - UTP_HEADER_LEN - len;
    return true;
}

static bool commit(struct utp *u, struct conn *c, const struct pick *k, const struct utp_packet *like, struct buf *tx)
{
    if (k->fresh) {
        if (!sents_grow(u, c))
            return false;
        *sent_at(c, k->seq) = (struct sent){.off = c->next_off, .len = u16_of(k->len), .fin = k->fin, .probe = k->pad != 0};
        c->next++;
        c->next_off += k->len;
        c->fin_sent |= k->fin;
        c->probing_window = false;
    } else {
        c->lost_n--;
        u->stats.tx_again++;
    }
    if (k->pad != 0) {
        c->mtu_probe = k->seq;
        c->mtu_size = UTP_HEADER_LEN + k->len + k->pad;
        u->stats.probes++;
    }
    struct sent *s = sent_at(c, k->seq);
    s->state = SENT_FLYING;
    s->tries = (uint8_t)u32_min(s->tries + 1u, UINT8_MAX);
    s->serial = ++c->serial;
    s->at = u->now;
    c->flight += s->len;
    if (c->rto_at == NSEC_NEVER)
        c->rto_at = u->now + c->rto;
    struct utp_packet p = *like;
    p.type = k->fin ? UTP_FIN : UTP_DATA;
    p.seq = (uint16_t)k->seq;
    struct wr w = wr_make(tx);
    utp_packet_write(&w, &p, k->pad);
    for (uint64_t off = s->off; off < s->off + s->len;) {
        const uint32_t from = (uint32_t)(off & (c->ring_cap - 1));
        const size_t n = size_min(c->ring_cap - from, (size_t)(s->off + s->len - off));
        wr_bytes(&w, slice_of(c->ring + from, n));
        off += n;
    }
    ASSERT(w.ok);
    return true;
}

// Packets of one size, back to back; the last may be shorter.
static bool write_train(struct utp *u, struct conn *c, struct buf *tx, struct utp_out *out)
{
    const size_t at = tx->n, room = size_min(buf_room(tx), UTP_TRAIN_MAX);
    const struct utp_packet like = header(u, c, UTP_DATA);
    uint32_t segment = 0, n = 0;
    struct pick k;
    while (n < UTP_SEGMENTS_MAX && pick_next(u, c, &k)) {
        const uint32_t size = UTP_HEADER_LEN + k.len + k.pad;
        if (n != 0 && (size > segment || k.pad != 0 || tx->n - at + size > room))
            break;
        if (!commit(u, c, &k, &like, tx))
            break;
        segment = n == 0 ? size : segment;
        n++;
        if (size < segment || k.pad != 0)
            break;
    }
    if (n == 0)
        return false;
    if (!c->sack_now)
        ack_is_said(c);
    counted(u, c, out, slice_of(tx->p + at, tx->n - at), n == 1 ? 0 : segment);
    return true;
}

bool utp_tx(struct utp *u, struct conn *c, struct buf *tx, struct utp_out *out)
{
    switch (c->state) {
    case CONN_SYN_SENT:
        if (!c->syn_due || !sents_grow(u, c))
            return false;
        write_syn(u, c, tx, out);
        return true;
    case CONN_SYN_RECV:
    case CONN_OFFERED:
        if (!c->ack_now)
            return false;
        write_state(u, c, tx, out);
        return true;
    case CONN_OPEN:
    case CONN_LEAVING:
        if (write_train(u, c, tx, out))
            return true;
        if (c->state == CONN_LEAVING && c->fin_sent && c->una == c->next && (c->eof == 0 || !c->ack_now)) {
            utp_end(u, c, ERR_CANCELLED);       // all is said and heard
            return false;
        }
        if (!c->ack_now)
            return false;
        write_state(u, c, tx, out);
        return true;
    case CONN_FREE: break;
    }
    ASSERT(false);
    return false;
}
