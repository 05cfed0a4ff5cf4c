// What hostile peers do, kind by kind: see hostile.h.
#include "sim/hostile.h"
#include "sim/net.h"
#include "sim/stream.h"

#include "base/bits.h"

enum piece_state { PIECE_WANTED = 0, PIECE_ASKED, PIECE_GOT };

enum { GARBAGE_LEN = 4096, LIAR_PATIENCE = 3 };

void hostile_say(struct world *w, struct hostile_conn *hc, const struct peer_msg *m)
{
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    peer_msg_write(&wr, m);
    ASSERT(wr.ok);
    net_send_bytes(w, hc->conn, hc->side, buf_slice(&b));
}

static void say_id(struct world *w, struct hostile_conn *hc, enum peer_msg_id id)
{
    const struct peer_msg m = {.id = (uint16_t)id};
    hostile_say(w, hc, &m);
}

// Claims every piece.
static void say_all(struct world *w, struct host *h, struct hostile_conn *hc)
{
    const uint32_t pieces_n = hostile_meta(w, h)->pieces_n;
    const size_t n = bits_bytes(pieces_n);
    uint8_t *space = mem_zalloc(w->env->mem, n + 5);
    ASSERT(space != NULL);
    struct buf b = {space, 0, n + 5};
    struct wr wr = wr_make(&b);
    wr_be32(&wr, u32_of(n + 1));
    wr_u8(&wr, MSG_BITFIELD);
    bits_fill(space + 5, pieces_n);
    net_send_bytes(w, hc->conn, hc->side, slice_of(space, n + 5));
    mem_free(w->env->mem, space, n + 5);
}

static void say_garbage(struct world *w, struct host *h, struct hostile_conn *hc)
{
    uint8_t space[GARBAGE_LEN];
    rng_bytes(&h->hostile->rng, space, sizeof space);
    net_send_bytes(w, hc->conn, hc->side, slice_of(space, sizeof space));
}

static void say_oversize(struct world *w, struct hostile_conn *hc)
{
    uint8_t space[13];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    wr_be32(&wr, 0x7fffffff);
    wr_u8(&wr, MSG_PIECE);
    wr_be32(&wr, 0xffffffff);
    wr_be32(&wr, 0xffffffff);
    net_send_bytes(w, hc->conn, hc->side, buf_slice(&b));
}

void hostile_greet(struct world *w, struct host *h, struct hostile_conn *hc)
{
    world_trace(w, h, TRACE_HOSTILE, 0, hc->id, hc->side);
    switch (h->cfg.hostile.kind) {
    case HOSTILE_NONE: break;
    case HOSTILE_POISON:
    case HOSTILE_STALL:
    case HOSTILE_LIAR:
        say_all(w, h, hc);
        say_id(w, hc, MSG_UNCHOKE);
        break;
    case HOSTILE_FLOOD:
    case HOSTILE_FREE_RIDER: say_id(w, hc, MSG_INTERESTED); break;
    case HOSTILE_GARBAGE: say_garbage(w, h, hc); break;
    case HOSTILE_OVERSIZE: say_oversize(w, hc); break;
    case HOSTILE_META_HUGE:
    case HOSTILE_META_WRONG:
    case HOSTILE_META_SIZES:
    case HOSTILE_META_SILENT:
    case HOSTILE_META_REJECT:
    case HOSTILE_META_FLOOD: hostile_meta_greet(w, h, hc); break;
    }
}

static bool corrupts(struct host *h, uint32_t piece)
{
    const struct hostile_config *c = &h->cfg.hostile;
    if (c->piece_n != 0 && (piece < c->piece_first || piece - c->piece_first >= c->piece_n))
        return false;
    return rng_chance(&h->hostile->rng, c->corrupt_ppm, 1000000);
}

// A seed's answer, true or corrupt.
static void serve(struct world *w, struct host *h, struct hostile_conn *hc, const struct peer_msg *m)
{
    const struct metainfo *meta = hostile_meta(w, h);
    if (m->index >= meta->pieces_n || m->len == 0 || m->len > BLOCK_LEN || m->begin > metainfo_piece_len(meta, m->index) ||
        m->len > metainfo_piece_len(meta, m->index) - m->begin)
        return;
    const struct peer_msg head = {.id = MSG_PIECE, .index = m->index, .begin = m->begin, .len = m->len};
    hostile_say(w, hc, &head);
    const uint32_t taint = corrupts(h, m->index) ? (uint32_t)rng_u64(&h->hostile->rng) | 1 : 0;
    h->hostile->corrupt_blocks += taint != 0;
    h->hostile->given_bytes += m->len;
    uint64_t off = (uint64_t)m->index * meta->piece_len + m->begin;
    struct extent parts[IO_PARTS_MAX];
    uint32_t n = 0;
    for (uint64_t left = m->len; left > 0 && n < IO_PARTS_MAX; n++) {
        parts[n] = world_extent(w, h->cfg.hostile.torrent, off, left);
        parts[n].taint = taint;
        off += parts[n].len;
        left -= parts[n].len;
    }
    for (uint32_t i = 0; i < n; i++)
        net_send_extent(w, hc->conn, hc->side, &parts[i]);
}

static uint32_t blocks_of(const struct metainfo *meta, uint32_t piece)
{
    return (metainfo_piece_len(meta, piece) + BLOCK_LEN - 1) / BLOCK_LEN;
}

// A piece to ask for here: from a random place on, so that streams do not fight over one.
static uint32_t choose(const struct world *w, struct host *h, const struct hostile_conn *hc)
{
    const uint32_t n = hostile_meta(w, h)->pieces_n;
    const uint32_t start = (uint32_t)rng_below(&h->hostile->rng, n);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = (start + k) % n;
        if (h->hostile->state[i] == PIECE_WANTED && bits_get(hc->bits, i))
            return i;
    }
    return UINT32_MAX;
}

// The free rider keeps its pipeline full, one piece at a time on each stream.
static void ask(struct world *w, struct host *h, struct hostile_conn *hc)
{
    const struct metainfo *meta = hostile_meta(w, h);
    if (!hc->unchoked || h->hostile->done)
        return;
    if (hc->piece == UINT32_MAX) {
        hc->piece = choose(w, h, hc);
        if (hc->piece == UINT32_MAX)
            return;
        h->hostile->state[hc->piece] = PIECE_ASKED;
        hc->block = h->hostile->progress[hc->piece];
    }
    while (hc->outstanding < HOSTILE_PIPELINE && hc->block < blocks_of(meta, hc->piece)) {
        const uint32_t begin = hc->block * BLOCK_LEN;
        const struct peer_msg m = {.id = MSG_REQUEST, .index = hc->piece, .begin = begin,
            .len = u32_min(BLOCK_LEN, metainfo_piece_len(meta, hc->piece) - begin)};
        hostile_say(w, hc, &m);
        hc->block++;
        hc->outstanding++;
    }
}

static void took(struct world *w, struct host *h, struct hostile_conn *hc, const struct peer_msg *m)
{
    struct hostile *x = h->hostile;
    x->taken_bytes += m->len;
    if (m->index != hc->piece || m->begin != x->progress[hc->piece] * BLOCK_LEN)
        return;                                         // of a piece given up meanwhile
    hc->outstanding -= hc->outstanding > 0;
    if (++x->progress[hc->piece] < blocks_of(hostile_meta(w, h), hc->piece)) {
        ask(w, h, hc);
        return;
    }
    x->state[hc->piece] = PIECE_GOT;
    hc->piece = UINT32_MAX;
    hc->outstanding = 0;
    if (++x->got_n == hostile_meta(w, h)->pieces_n) {
        x->done = true;
        x->done_at = w->now;
        world_trace(w, h, TRACE_HOSTILE, 1, x->taken_bytes, 0);
    }
    ask(w, h, hc);
}

void hostile_lost(struct host *h, struct hostile_conn *hc)
{
    if (hc->piece != UINT32_MAX && h->hostile->state[hc->piece] == PIECE_ASKED)
        h->hostile->state[hc->piece] = PIECE_WANTED;
    hc->piece = UINT32_MAX;
    hc->outstanding = 0;
}

void hostile_heard(struct world *w, struct host *h, struct hostile_conn *hc, const struct peer_msg *m)
{
    const enum hostile_kind kind = h->cfg.hostile.kind;
    if (m->id == MSG_REQUEST && kind == HOSTILE_POISON)
        serve(w, h, hc, m);
    else if (m->id == MSG_REQUEST && kind == HOSTILE_LIAR && ++hc->asked % LIAR_PATIENCE == 0)
        say_id(w, hc, hc->asked % (2 * LIAR_PATIENCE) == 0 ? MSG_UNCHOKE : MSG_CHOKE);
    else if (kind == HOSTILE_FREE_RIDER && m->id == MSG_PIECE)
        took(w, h, hc, m);
    else if (kind == HOSTILE_FREE_RIDER && m->id == MSG_CHOKE)
        hostile_lost(h, hc);
    else if (kind == HOSTILE_FREE_RIDER && (m->id == MSG_UNCHOKE || m->id == MSG_HAVE))
        ask(w, h, hc);
}

// The flood: requests for whatever, choked or not.
static void flood(struct world *w, struct host *h, struct hostile_conn *hc)
{
    const struct metainfo *meta = hostile_meta(w, h);
    const struct pipe *p = &hc->conn->pipes[hc->side];
    for (uint32_t i = 0; i < HOSTILE_FLOOD_REQUESTS && p->queued - p->sent < HOSTILE_FLOOD_BYTES; i++) {
        const struct peer_msg m = {.id = MSG_REQUEST, .index = (uint32_t)rng_below(&h->hostile->rng, meta->pieces_n), .len = BLOCK_LEN};
        hostile_say(w, hc, &m);
    }
}

void hostile_beat(struct world *w, struct host *h, struct hostile_conn *hc)
{
    switch (h->cfg.hostile.kind) {
    case HOSTILE_FLOOD: flood(w, h, hc); break;
    case HOSTILE_FREE_RIDER: ask(w, h, hc); break;
    case HOSTILE_META_FLOOD: hostile_meta_flood(w, h, hc); break;
    case HOSTILE_NONE:
    case HOSTILE_POISON:
    case HOSTILE_STALL:
    case HOSTILE_GARBAGE:
    case HOSTILE_OVERSIZE:
    case HOSTILE_LIAR:
    case HOSTILE_META_HUGE:
    case HOSTILE_META_WRONG:
    case HOSTILE_META_SIZES:
    case HOSTILE_META_SILENT:
    case HOSTILE_META_REJECT: break;
    }
}
