// Bytes in: where the next ones belong, and how messages are cut out of them. Blocks go from the socket straight into
// their slot; a wrong guess costs one copy. Bittorrent note 2.2; BEP 3.
#include "engine/swarm/beat.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/request.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum {
    EXTENDED_KEPT_MAX = 16 * 1024,      // a longer extension handshake is skipped: no memory by the length field alone
};

void rx_close(struct swarm *s, struct swarm_peer *p, enum err e)
{
    if (p->closing)
        return;
    p->closing = true;
    s->closing_n++;
    p->close_err = e;
    ready_set(s, p);                    // the poll frees it
}

void rx_give_ahead(struct swarm *s, struct swarm_peer *p)
{
    while (p->ahead_n != 0)
        pool_untake(s->cfg.pool, p->ahead[--p->ahead_n]);
}

void rx_abort_block(struct swarm *s, struct swarm_peer *p)
{
    if (p->rx_slot == NULL)
        return;
    pool_give(s->cfg.pool, p->rx_slot);
    p->rx_slot = NULL;
    request_unask(s, &p->rx_block);
}

void rx_skip_block(struct swarm *s, struct swarm_peer *p)
{
    ASSERT(p->rx == RX_BLOCK);
    rx_abort_block(s, p);
    p->rx = RX_SKIP;
    p->rx_skip = p->rx_block.len - p->rx_pos;
}

static bool room_is_open(struct swarm *s, struct swarm_peer *p)
{
    return !p->closing && !p->read_paused && limits_rx_open(s, p);
}

// Fills p->ahead for the next answers, as far as they are asked for and memory is there.
static void take_ahead(struct swarm *s, struct swarm_peer *p)
{
    const uint32_t want = tap_limited(&s->down) ? u32_min(1 + p->grant / BLOCK_LEN, AHEAD_MAX) : AHEAD_MAX;
    while (p->ahead_n < want && p->ahead_n < p->asked_n) {
        uint8_t *slot = pool_take(s->cfg.pool);
        if (slot == NULL)
            break;
        p->ahead[p->ahead_n++] = slot;
    }
}

void swarm_rx_room(struct swarm *s, nsec now, struct swarm_peer *p, struct span *spans, uint32_t *spans_n)
{
    ASSERT(now >= s->now);
    s->now = now;
    *spans_n = p->room_n = 0;
    if (!room_is_open(s, p)) {
        p->starved = true;
        return;
    }
    take_ahead(s, p);
    p->room_planned = p->rx == RX_BLOCK || (p->rx == RX_HEAD && p->ahead_n != 0);
    if (!p->room_planned) {
        uint8_t *staging = pool_staging(s->cfg.pool, BLOCK_LEN);
        if (staging == NULL) {
            rx_close(s, p, ERR_NOMEM);
            return;
        }
        spans[(*spans_n)++] = (struct span){staging, BLOCK_LEN};
        p->room_n = *spans_n;
        return;
    }
    uint32_t left = tap_limited(&s->down) ? p->grant : UINT32_MAX;      // of content
    if (p->rx == RX_BLOCK) {
        spans[(*spans_n)++] = (struct span){p->rx_slot + p->rx_pos, u32_min(p->rx_block.len - p->rx_pos, left)};
        left -= (uint32_t)spans[0].n;
    }
    for (uint32_t i = 0; i < p->ahead_n && *spans_n + 2 <= IO_ROOM_MAX && left != 0; i++) {
        const bool begun = i == 0 && p->rx == RX_HEAD;
        const uint32_t got = begun ? p->head_n : 0;
        uint8_t *head = begun ? p->head : s->heads[i];
        spans[(*spans_n)++] = (struct span){head + got, PIECE_HEADER_LEN - got};
        spans[(*spans_n)++] = (struct span){p->ahead[i], u32_min(BLOCK_LEN, left)};
        left -= u32_min(BLOCK_LEN, left);
    }
    p->room_n = *spans_n;
}

static void block_done(struct swarm *s, struct swarm_peer *p)
{
    uint8_t *slot = p->rx_slot;
    const struct asked a = p->rx_block;
    p->rx_slot = NULL;
    p->rx = RX_HEAD;
    p->head_n = 0;
    p->block_at = s->now;
    p->rejects_row = 0;
    p->snubbed = false;
    p->gave_in_turn = true;
    p->turns_wasted = 0;
    p->down_bytes += a.len;
    s->stats_now.down_bytes += a.len;
    if (p->has_n == s->meta->pieces_n)
        s->stats_now.down_seed_bytes += a.len;
    if (p->slow_start && p->depth < u32_min(p->reqq, ASKED_MAX))
        p->depth++;
    struct piece *piece = piece_find(s, a.piece);
    const uint32_t b = a.begin / BLOCK_LEN;
    if (piece == NULL || piece->blocks[b].state == BLOCK_HERE || piece->failed) {
        s->stats_now.waste_bytes += a.len;      // another copy was faster
        pool_give(s->cfg.pool, slot);
        request_unask(s, &a);
        return;
    }
    ASSERT(block_len(piece, b) == a.len);
    if (piece->blocks[b].asks != 0)
        piece->blocks[b].asks--;
    if (piece->blocks[b].asks != 0)
        request_cancel_others(s, a.piece, b, p);
    piece_block_here(s, piece, b, slot, p);
}

static void block_unasked(struct swarm *s, struct swarm_peer *p, uint32_t len)
{
    p->rx = RX_SKIP;
    p->rx_skip = len;
    s->stats_now.waste_bytes += len;
    if (p->excused != 0)
        p->excused--;
    else if (++p->unasked > UNASKED_MAX)
        rx_close(s, p, ERR_PROTOCOL);
}

// The header of a piece message is complete: its data goes to a slot if it is of use, else nowhere.
static void block_begin(struct swarm *s, struct swarm_peer *p, const struct asked *a)
{
    p->rx_block = *a;
    p->rx_pos = 0;
    beat_wake(s, p);
    const bool asked = request_take(p, a);
    if (!asked && !request_adopt(s, a)) {
        block_unasked(s, p, a->len);
        return;
    }
    p->rx = RX_BLOCK;
    if (asked && p->ahead_n != 0) {
        p->rx_slot = p->ahead[0];
        memmove(p->ahead, p->ahead + 1, (p->ahead_n - 1) * sizeof p->ahead[0]);
        p->ahead_n--;
        return;
    }
    p->rx_slot = pool_take(s->cfg.pool);
    if (p->rx_slot != NULL)
        return;
    pool_unreserve(s->cfg.pool);
    request_unask(s, a);
    p->rx = RX_SKIP;
    p->rx_skip = a->len;
}

// Index and begin of a piece message of `len` bytes.
static struct asked asked_read(struct rd *r, uint32_t len)
{
    const uint32_t piece = rd_be32(r);
    const uint32_t begin = rd_be32(r);
    return (struct asked){piece, begin, len - 9};
}

static bool body_begin(struct swarm *s, struct swarm_peer *p, uint32_t len)
{
    p->body = mem_zalloc(s->mem, len);
    p->body_len = p->body == NULL ? 0 : len;
    p->body_n = 0;
    if (p->body == NULL)
        rx_close(s, p, ERR_NOMEM);
    return p->body != NULL;
}

static void body_done(struct swarm *s, struct swarm_peer *p, struct slice body)
{
    struct peer_msg m;
    if (peer_msg_parse(&m, body) != ERR_OK)
        rx_close(s, p, ERR_PROTOCOL);
    else
        msg_handle(s, p, &m);
}

// The head has its length and id, and for a piece all 13 bytes. Decides what follows.
static void head_done(struct swarm *s, struct swarm_peer *p, uint32_t len)
{
    if (p->head[4] == MSG_PIECE) {
        struct rd r = rd_make(slice_of(p->head + 5, 8));
        const struct asked a = asked_read(&r, len);
        block_begin(s, p, &a);
        if (a.len == 0 && !p->closing)
            p->rx = RX_HEAD;
        p->head_n = 0;
        return;
    }
    p->rx = RX_BODY;
    if (!body_begin(s, p, len))
        return;
    memcpy(p->body, p->head + 4, p->head_n - 4);
    p->body_n = p->head_n - 4;
    p->head_n = 0;
}

// Copies up to `want` bytes of a head together.
static void head_fill(struct swarm_peer *p, struct slice *in, uint32_t want)
{
    if (p->head_n >= want)
        return;
    const uint32_t n = (uint32_t)size_min(want - p->head_n, in->n);
    if (n != 0)
        memcpy(p->head + p->head_n, in->p, n);
    p->head_n += n;
    *in = slice_sub(*in, n, in->n);
}

static bool len_is_legal(const struct swarm *s, uint8_t id, uint32_t len)
{
    if (id == MSG_PIECE)
        return len >= 9 && len <= 9 + BLOCK_LEN;
    return len <= peer_msg_len_max(id, (uint32_t)bits_bytes(s->meta->pieces_n));
}

// Of no meaning to us, or too long to be meant well: skipped as it comes, so that a length alone takes no memory (trap 1).
static bool is_skipped(uint8_t id, uint32_t len)
{
    switch (id) {
    case MSG_CHOKE: case MSG_UNCHOKE: case MSG_INTERESTED: case MSG_NOT_INTERESTED: case MSG_HAVE: case MSG_BITFIELD:
    case MSG_REQUEST: case MSG_CANCEL: case MSG_PORT: case MSG_SUGGEST: case MSG_HAVE_ALL: case MSG_HAVE_NONE:
    case MSG_REJECT: case MSG_ALLOWED_FAST: case MSG_HASH_REQUEST: case MSG_HASHES: case MSG_HASH_REJECT:
        return false;
    case MSG_EXTENDED:
        return len > EXTENDED_KEPT_MAX;
    default:
        return true;
    }
}

static void feed_head(struct swarm *s, struct swarm_peer *p, struct slice *in)
{
    head_fill(p, in, 4);
    if (p->head_n < 4)
        return;
    struct rd r = rd_make(slice_of(p->head, 4));
    const uint32_t len = rd_be32(&r);
    if (len == 0) {
        p->head_n = 0;                  // keep-alive
        return;
    }
    head_fill(p, in, 5);
    if (p->head_n < 5)
        return;
    if (!len_is_legal(s, p->head[4], len)) {
        rx_close(s, p, ERR_PROTOCOL);
        return;
    }
    if (p->head[4] == MSG_PIECE) {
        head_fill(p, in, PIECE_HEADER_LEN);
        if (p->head_n == PIECE_HEADER_LEN)
            head_done(s, p, len);
        return;
    }
    if (is_skipped(p->head[4], len)) {
        p->rx = len == 1 ? RX_HEAD : RX_SKIP;
        p->rx_skip = len - 1;
        p->head_n = 0;
        return;
    }
    if (p->head_n == 5 && in->n >= len - 1) {           // all here: no copy of the rest but for the id in front
        uint8_t small[PIECE_HEADER_LEN + 4];
        if (len <= sizeof small) {
            small[0] = p->head[4];
            if (len != 1)
                memcpy(small + 1, in->p, len - 1);
            *in = slice_sub(*in, len - 1, in->n);
            p->head_n = 0;
            body_done(s, p, slice_of(small, len));
            return;
        }
    }
    head_done(s, p, len);
}

static void feed_body(struct swarm *s, struct swarm_peer *p, struct slice *in)
{
    const uint32_t n = (uint32_t)size_min(p->body_len - p->body_n, in->n);
    if (n != 0 && in->p != NULL)
        memcpy(p->body + p->body_n, in->p, n);
    p->body_n += n;
    *in = slice_sub(*in, n, in->n);
    if (p->body_n < p->body_len)
        return;
    uint8_t *body = p->body;
    const uint32_t len = p->body_len;
    p->rx = RX_HEAD;
    p->body = NULL;
    p->body_len = 0;
    body_done(s, p, slice_of(body, len));
    mem_free(s->mem, body, len);
}

static void feed_block(struct swarm *s, struct swarm_peer *p, struct slice *in)
{
    const uint32_t n = (uint32_t)size_min(p->rx_block.len - p->rx_pos, in->n);
    memcpy(p->rx_slot + p->rx_pos, in->p, n);
    p->rx_pos += n;
    limits_rx(s, p, n);
    s->stats_now.rx_moved += n;
    *in = slice_sub(*in, n, in->n);
    if (p->rx_pos == p->rx_block.len)
        block_done(s, p);
}

static void feed_skip(struct swarm *s, struct swarm_peer *p, struct slice *in)
{
    const uint32_t n = (uint32_t)size_min(p->rx_skip, in->n);
    p->rx_skip -= n;
    limits_rx(s, p, n);
    *in = slice_sub(*in, n, in->n);
    if (p->rx_skip != 0)
        return;
    p->rx = RX_HEAD;
    p->head_n = 0;
}

// Bytes that lie anywhere but in their place; never in a slot of the pool.
static void feed(struct swarm *s, struct swarm_peer *p, struct slice in)
{
    while (!p->closing && (in.n != 0 || (p->rx == RX_BODY && p->body_n == p->body_len))) {
        switch (p->rx) {
        case RX_HEAD: feed_head(s, p, &in); break;
        case RX_BODY: feed_body(s, p, &in); break;
        case RX_BLOCK: feed_block(s, p, &in); break;
        case RX_SKIP: feed_skip(s, p, &in); break;
        }
    }
}

// The room was guessed wrong: what is left of it is copied out, because a slot in it may be written before it is read.
static struct slice move_out(struct swarm *s, struct swarm_peer *p, const struct span *spans, uint32_t n)
{
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++)
        len += spans[i].n;
    uint8_t *staging = pool_staging(s->cfg.pool, len);
    len = 0;
    if (staging == NULL)
        rx_close(s, p, ERR_NOMEM);
    for (uint32_t i = 0; i < n && staging != NULL; i++) {
        ASSERT(len + spans[i].n <= POOL_STAGING_LEN);
        memcpy(staging + len, spans[i].p, spans[i].n);
        len += spans[i].n;
    }
    return slice_of(staging, len);
}

// True if the 13 bytes head the block that a slot lies ready for; then the receiver is in RX_BLOCK.
static bool planned_head(struct swarm *s, struct swarm_peer *p, const uint8_t *head)
{
    struct rd r = rd_make(slice_of(head, PIECE_HEADER_LEN));
    const uint32_t len = rd_be32(&r);
    uint32_t at;
    if (rd_u8(&r) != MSG_PIECE || len <= 9 || len > 9 + BLOCK_LEN)
        return false;
    const struct asked a = asked_read(&r, len);
    if (!request_find(p, a.piece, a.begin, &at) || p->asked[(p->asked_at + at) % p->asked_cap].len != a.len)
        return false;
    p->head_n = 0;
    block_begin(s, p, &a);
    return p->rx == RX_BLOCK;
}

// The room as it was given, cut to what landed; returns the number of spans that hold something.
static uint32_t landed(struct swarm *s, struct swarm_peer *p, size_t len, struct span *spans)
{
    uint32_t n = 0, ahead = 0;
    if (p->rx == RX_BLOCK) {
        const size_t room = p->rx_block.len - p->rx_pos;
        spans[n++] = (struct span){p->rx_slot + p->rx_pos, size_min(room, len)};
        len -= spans[0].n;
    }
    for (; len != 0; ahead++) {
        ASSERT(ahead < p->ahead_n);
        const bool begun = ahead == 0 && p->rx == RX_HEAD;
        const uint32_t got = begun ? p->head_n : 0;
        spans[n++] = (struct span){(begun ? p->head : s->heads[ahead]) + got, size_min(PIECE_HEADER_LEN - got, len)};
        len -= spans[n - 1].n;
        if (len == 0)
            break;
        spans[n++] = (struct span){p->ahead[ahead], size_min(BLOCK_LEN, len)};
        len -= spans[n - 1].n;
    }
    return n;
}

// Data of the block under way lies in its place. False: the block was short, and what follows it in the slot has been fed.
static bool rx_in_place(struct swarm *s, struct swarm_peer *p, struct span *spans, uint32_t n)
{
    const uint32_t want = p->rx_block.len - p->rx_pos;
    if (spans[0].n <= want) {
        p->rx_pos += (uint32_t)spans[0].n;
        limits_rx(s, p, (uint32_t)spans[0].n);
        if (p->rx_pos == p->rx_block.len)
            block_done(s, p);
        return true;
    }
    spans[0] = (struct span){spans[0].p + want, spans[0].n - want};
    const struct slice rest = move_out(s, p, spans, n);    // before the slot is handed on
    p->rx_pos += want;
    limits_rx(s, p, want);
    block_done(s, p);
    feed(s, p, rest);
    return false;
}

static void rx_planned(struct swarm *s, struct swarm_peer *p, size_t len)
{
    struct span spans[IO_ROOM_MAX];
    const uint32_t n = landed(s, p, len, spans);
    for (uint32_t i = 0; i < n && !p->closing; i++) {
        if (p->rx == RX_BLOCK) {
            if (!rx_in_place(s, p, spans + i, n - i))
                return;
            continue;
        }
        const size_t got = i == 0 ? p->head_n : 0;      // p->head holds the front of the first one
        const uint8_t *head = i == 0 ? p->head : spans[i].p;
        const bool whole = got + spans[i].n == PIECE_HEADER_LEN && i + 1 < n && spans[i + 1].p == p->ahead[0];
        if (!whole || !planned_head(s, p, head)) {
            feed(s, p, move_out(s, p, spans + i, n - i));
            return;
        }
    }
}

void swarm_rx(struct swarm *s, nsec now, struct swarm_peer *p, size_t len)
{
    ASSERT(now >= s->now);
    s->now = now;
    p->rx_at = now;
    if (p->room_planned)
        rx_planned(s, p, len);
    else
        feed(s, p, slice_of(s->cfg.pool->staging, len));
    if (p->asked_n == 0 && p->rx != RX_BLOCK)
        limits_return(s, p);
    if (p->closing || request_due(s, p))
        ready_set(s, p);
}

void swarm_replay(struct swarm *s, nsec now, struct swarm_peer *p, struct slice said)
{
    ASSERT(now >= s->now);
    s->now = now;
    feed(s, p, said);
    ready_set(s, p);
}
