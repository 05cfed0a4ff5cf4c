// Bytes out: what a peer must be told is derived from the state, so that a full buffer loses nothing. BEP 3, 6, 10.
#include "engine/swarm/beat.h"
#include "engine/swarm/extend.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/request.h"
#include "engine/swarm/serve.h"
#include "engine/swarm/super.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum {
    CONTROL_MIN = 512,                  // room that the first messages need
    AGAIN_MAX = 1024,                   // more are lost at a time by who had better join anew
    HAVES_LATE_S = 10, HAVES_PART = 64, // how long, and up to which part of all pieces, who cannot ask for them is not told
};

// The segments of one send under construction: bytes written to tx since `from` become a segment when something else comes.
struct composer {
    struct swarm *s;
    struct wr w;
    size_t from;
    uint32_t n;
    uint64_t bytes;
};

static void flush_bytes(struct composer *c)
{
    const size_t len = c->w.b->n - c->from;
    if (len == 0)
        return;
    c->s->segs[c->n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(c->w.b->p + c->from, len)};
    c->bytes += len;
    c->from = c->w.b->n;
}

static void write_simple(struct composer *c, uint16_t id)
{
    peer_msg_write(&c->w, &(struct peer_msg){.id = id});
}

static void compose_bitfield(struct composer *c)
{
    const size_t n = bits_bytes(c->s->meta->pieces_n);
    wr_be32(&c->w, u32_of(1 + n));
    wr_u8(&c->w, MSG_BITFIELD);
    flush_bytes(c);
    c->s->segs[c->n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(c->s->have, n)};
    c->bytes += n;
}

// The first messages: what we have, then the extension handshake.
static void compose_first(struct composer *c, struct swarm_peer *p)
{
    struct swarm *s = c->s;
    const bool hidden = s->super != NULL && s->state == SWARM_SEEDING;
    if (hidden) {
        if (p->fast)
            write_simple(c, MSG_HAVE_NONE);
    } else if (p->fast && s->picker.had_n == s->meta->pieces_n)
        write_simple(c, MSG_HAVE_ALL);
    else if (s->picker.had_n != 0)
        compose_bitfield(c);
    else if (p->fast)
        write_simple(c, MSG_HAVE_NONE);
    p->have_pos = s->have_log_n;
    p->ext.lost_pos = s->lost.n;
    p->sent_first = true;
    if (s->cfg.dht && p->dht)
        peer_msg_write(&c->w, &(struct peer_msg){.id = MSG_PORT, .port = s->cfg.listen_port});      // BEP 5
    if (p->extended)
        ext_write_handshake(s, p, &c->w);
    if (hidden)
        super_begin(s, p);
    else
        serve_allowed_fast(s, p);
}

static void compose_state(struct composer *c, struct swarm_peer *p)
{
    if (p->am_choking != p->choke_sent) {
        write_simple(c, p->am_choking ? MSG_CHOKE : MSG_UNCHOKE);
        p->choke_sent = p->am_choking;
    }
    if (p->am_interested != p->interested_sent) {
        write_simple(c, p->am_interested ? MSG_INTERESTED : MSG_NOT_INTERESTED);
        p->interested_sent = p->am_interested;
    }
    for (; p->allowed_out_sent < p->allowed_out_n && buf_room(c->w.b) >= CONTROL_MIN; p->allowed_out_sent++) {
        const uint32_t index = p->allowed_out[p->allowed_out_sent];
        if (bits_get(c->s->have, index))
            peer_msg_write(&c->w, &(struct peer_msg){.id = MSG_ALLOWED_FAST, .index = index});
    }
}

// Whom we choke and who is interested already can do nothing with what we got, if it is too far for gifts (BEP 6): it is told of
// several pieces at once, with the next message to it or before it is unchoked. Of all that is said on the wire but for requests, most
// was `have`, each in its own packet.
static bool haves_wait(const struct swarm *s, const struct swarm_peer *p)
{
    return p->haves_n != 0 && p->haves_n < s->meta->pieces_n / HAVES_PART && s->now < p->haves_at &&
           p->am_choking && p->choke_sent && p->peer_interested && p->has_n > ALLOWED_FAST_K;
}

void have_tell(struct swarm *s, struct swarm_peer *p)
{
    if (p->haves_n++ == 0)
        p->haves_at = s->now + HAVES_LATE_S * NSEC_S;
    if (haves_wait(s, p))
        beat_by(s, p, p->haves_at);
    else
        ready_set(s, p);
}

void have_tell_again(struct swarm *s, struct swarm_peer *p, uint32_t index)
{
    void *items = p->again.items;
    if (!p->sent_first || s->super != NULL || !bits_get(s->have, index) ||
        mem_grow(s->mem, &items, &p->again.cap, p->again.n + 1, AGAIN_MAX, sizeof *p->again.items) != ERR_OK)
        return;
    p->again.items = items;
    p->again.items[p->again.n++] = index;
    ready_set(s, p);
}

static void compose_haves(struct composer *c, struct swarm_peer *p)
{
    for (; p->again.n != 0 && buf_room(c->w.b) >= CONTROL_MIN; p->again.n--) {
        const uint32_t index = p->again.items[p->again.n - 1];
        if (bits_get(c->s->have, index) && !peer_has(p, index))
            peer_msg_write(&c->w, &(struct peer_msg){.id = MSG_HAVE, .index = index});
    }
    for (; p->have_pos < c->s->have_log_n && buf_room(c->w.b) >= CONTROL_MIN; p->have_pos++) {
        const uint32_t index = c->s->have_log[p->have_pos];
        if (index != UINT32_MAX && !peer_has(p, index))     // who has it need not know
            peer_msg_write(&c->w, &(struct peer_msg){.id = MSG_HAVE, .index = index});
    }
    if (p->have_pos == c->s->have_log_n)
        p->haves_n = 0;
}

static void compose_rejects(struct composer *c, struct swarm_peer *p)
{
    uint32_t i = 0;
    for (; i < p->rejects.n && buf_room(c->w.b) >= CONTROL_MIN; i++) {
        const struct wanted *q = &p->rejects.items[i];
        peer_msg_write(&c->w, &(struct peer_msg){.id = MSG_REJECT, .index = q->index, .begin = q->begin, .len = q->len});
    }
    p->rejects.n -= i;
    if (i != 0 && p->rejects.n != 0)
        memmove(p->rejects.items, p->rejects.items + i, p->rejects.n * sizeof *p->rejects.items);
}

bool tx_pending(const struct swarm *s, const struct swarm_peer *p)
{
    return !p->sent_first || p->super_due || p->am_choking != p->choke_sent || p->am_interested != p->interested_sent ||
           (p->have_pos < s->have_log_n && !haves_wait(s, p)) || (p->again.n | p->rejects.n | p->cancels.n) != 0 ||
           p->allowed_out_sent < p->allowed_out_n ||
           ext_pending(s, p) || hashes_pending(s, p);
}

// All but blocks.
static void compose_messages(struct composer *c, struct swarm_peer *p)
{
    struct swarm *s = c->s;
    if (!p->sent_first)
        compose_first(c, p);
    compose_haves(c, p);                // before an unchoke: what it may ask for
    compose_state(c, p);
    ext_compose(s, p, &c->w);
    hashes_request(s, p, &c->w);
    hashes_compose_rejects(p, &c->w);
    compose_rejects(c, p);
    super_compose(p, &c->w);
    request_compose(s, p, &c->w);
    if (s->now - p->tx_at >= KEEPALIVE_S * NSEC_S && c->n == 0 && c->w.b->n == c->from)
        write_simple(c, MSG_KEEP_ALIVE);
    flush_bytes(c);
    c->n = ext_compose_metadata(s, p, &c->w, c->n, &c->bytes);
    c->n = hashes_compose(s, p, c->n, &c->bytes);
}

bool tx_compose(struct swarm *s, struct swarm_peer *p, struct buf *tx, struct swarm_out *out)
{
    if (buf_room(tx) < SWARM_TX_MIN) {
        ready_set(s, p);
        return false;
    }
    if (tx_is_stuck(p))
        return false;                   // swarm_sent goes on with it
    struct composer c = {.s = s, .w = wr_make(tx), .from = tx->n};
    if (p->sending == 0)                // nothing may come into the middle of a block
        compose_messages(&c, p);
    if (serve_is_low(p))
        c.n = serve_compose(s, p, &c.w, c.n, &c.bytes);
    ASSERT(c.w.ok);
    if (buf_room(tx) < SWARM_TX_MIN / 2 && (tx_pending(s, p) || request_due(s, p)))
        ready_set(s, p);                // the rest with the next buffer
    if (c.n == 0)
        return false;
    p->out_pending += c.bytes;
    p->tx_at = s->now;
    out->segs = s->segs;
    out->segs_n = c.n;
    return true;
}
