// Its requests: checked, queued, answered one by one, never dropped in silence. BEP 3, 6; bittorrent note 2.5, 2.7.
#include "engine/swarm/beat.h"
#include "engine/swarm/files.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/request.h"
#include "engine/swarm/serve.h"
#include "engine/swarm/super.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "codec/allowed_fast.h"

enum {
    REJECT_QUEUE_MAX = 4096,
    CANCEL_LOOKS_MAX = 1 << 17,         // queued requests looked at for one peer's cancels in a second
};

// Not read beyond this: what one receive may still bring has room, or a request would be lost in silence.
enum { PLAIN_PAUSE = SWARM_REQQ_PLAIN - POOL_STAGING_LEN / REQUEST_MSG_LEN, QUEUE_FIRST = 16 };
static_assert(PLAIN_PAUSE > 0, "a plain peer's queue holds what one receive brings");

static struct wanted *queue_nth(const struct swarm_peer *p, uint32_t i)
{
    return &p->queue[(p->queue_at + i) % p->queue_cap];
}

static bool is_allowed_out(const struct swarm_peer *p, uint32_t index)
{
    for (uint32_t i = 0; i < p->allowed_out_n; i++)
        if (p->allowed_out[i] == index)
            return true;
    return false;
}

// BEP 6: while choked, a beginner may ask for its allowed-fast pieces: once, they are no way around the choking.
static bool is_gift(const struct swarm_peer *p, const struct wanted *w)
{
    return p->fast && is_allowed_out(p, w->index) && w->len <= p->gift_left && p->has_n <= ALLOWED_FAST_K;
}

static void reject(struct swarm *s, struct swarm_peer *p, const struct wanted *w)
{
    if (!p->fast)
        return;                         // choke says it all
    void *items = p->rejects.items;
    if (mem_grow(s->mem, &items, &p->rejects.cap, p->rejects.n + 1, REJECT_QUEUE_MAX, sizeof *w) != ERR_OK) {
        rx_close(s, p, ERR_PROTOCOL);   // floods us with what we refuse
        return;
    }
    p->rejects.items = items;
    p->rejects.items[p->rejects.n++] = *w;
    ready_set(s, p);
}

// v2 only: the last block of a file may be asked for whole, as libtorrent does; past the file's end it is zeros.
static bool is_legal(const struct swarm *s, const struct wanted *w)
{
    if (w->index >= s->meta->pieces_n || w->len == 0 || w->len > BLOCK_LEN)
        return false;
    const uint32_t len = metainfo_piece_len(s->meta, w->index);
    const uint64_t end = s->meta->has_v1 ? len : u64_div_up(len, BLOCK_LEN) * BLOCK_LEN;
    return w->begin < len && (uint64_t)w->begin + w->len <= end;
}

// The file ranges under a request from its byte `done` on; zeros behind the end of a v2 file.
static uint32_t wanted_parts(const struct swarm *s, const struct wanted *q, uint32_t done, struct io_part *parts, uint32_t max, uint64_t *covered)
{
    const uint32_t at = q->begin + done, len = metainfo_piece_len(s->meta, q->index);
    const uint64_t real = at < len ? u64_min(len - at, q->len - done) : 0;
    uint32_t n = piece_parts(s, (uint64_t)q->index * s->meta->piece_len + at, real, parts, max, covered);
    if (*covered == real && real < q->len - done && n < max) {
        parts[n++] = (struct io_part){IO_FILE_ZERO, 0, q->len - done - real};
        *covered = q->len - done;
    }
    return n;
}

uint32_t serve_high(const struct swarm_peer *p)
{
    return p->queue_n != 0 && queue_nth(p, 0)->len < OUT_SMALL_LEN ? OUT_MIN : p->out_high;
}

static bool queue_push(struct swarm *s, struct swarm_peer *p, const struct wanted *w)
{
    const uint32_t max = p->fast ? SWARM_REQQ : SWARM_REQQ_PLAIN;
    if (p->queue_n == max)
        return false;
    if (p->queue_n == p->queue_cap) {
        const uint32_t cap = u32_min(u32_max(p->queue_cap * 2, QUEUE_FIRST), max);
        struct wanted *ring = mem_zarray(s->mem, cap, sizeof *ring);
        if (ring == NULL)
            return false;
        for (uint32_t i = 0; i < p->queue_n; i++)
            ring[i] = *queue_nth(p, i);
        mem_free(s->mem, p->queue, p->queue_cap * sizeof *p->queue);
        p->queue = ring;
        p->queue_cap = cap;
        p->queue_at = 0;
    }
    p->queue_n++;
    *queue_nth(p, p->queue_n - 1) = *w;
    return true;
}

void serve_request(struct swarm *s, struct swarm_peer *p, const struct wanted *w)
{
    beat_wake(s, p);
    if (!is_legal(s, w)) {
        if (p->fast)
            reject(s, p, w);
        else
            rx_close(s, p, ERR_PROTOCOL);
        return;
    }
    const bool served = !p->am_choking || is_gift(p, w);
    if (!served || !bits_get(s->have, w->index) || super_hides(s, p, w->index) || !queue_push(s, p, w)) {
        reject(s, p, w);
        return;
    }
    if (p->am_choking)
        p->gift_left -= w->len;
    if (!p->fast && p->queue_n >= PLAIN_PAUSE)
        p->read_paused = true;          // it cannot be told to ask less: it is not read until half are served
    if (serve_is_low(p))
        ready_set(s, p);
}

void serve_cancel(struct swarm *s, struct swarm_peer *p, const struct wanted *w)
{
    if (p->cancel_looks > CANCEL_LOOKS_MAX)
        return;                         // a flood of them: the block is sent, which BEP 3 and 6 allow
    p->cancel_looks += p->queue_n;
    for (uint32_t i = p->sending != 0 ? 1 : 0; i < p->queue_n; i++) {
        const struct wanted *q = queue_nth(p, i);
        if (q->index != w->index || q->begin != w->begin || q->len != w->len)
            continue;
        for (uint32_t k = i; k + 1 < p->queue_n; k++)
            *queue_nth(p, k) = *queue_nth(p, k + 1);
        p->queue_n--;
        reject(s, p, w);                // BEP 6: every request gets a piece or a reject
        ready_set(s, p);                // what is first now may go
        return;
    }
}

// We choke it now: what it asked is rejected, but for allowed-fast pieces and the block already begun.
void serve_choked(struct swarm *s, struct swarm_peer *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->queue_n; i++) {
        const struct wanted w = *queue_nth(p, i);
        if ((i == 0 && p->sending != 0) || (p->fast && is_allowed_out(p, w.index)))
            *queue_nth(p, kept++) = w;
        else
            reject(s, p, &w);
    }
    p->queue_n = kept;
    p->read_paused = false;
    ready_set(s, p);
}

// BEP 6: a newcomer may ask for some pieces while choked; not when it has many already.
void serve_allowed_fast(struct swarm *s, struct swarm_peer *p)
{
    uint32_t set[ALLOWED_FAST_MAX];
    if (!p->fast || s->cfg.no_allowed_fast || s->meta->pieces_n <= ALLOWED_FAST_K)
        return;
    const uint8_t *hash = s->meta->has_v1 ? s->meta->hash_v1 : s->meta->hash_v2;
    p->allowed_out_n = allowed_fast_set(&p->addr, hash, s->meta->pieces_n, ALLOWED_FAST_K, set);
    memcpy(p->allowed_out, set, p->allowed_out_n * sizeof set[0]);
    p->gift_left = (uint64_t)p->allowed_out_n * s->meta->piece_len;
}

static void queue_pop(struct swarm *s, struct swarm_peer *p)
{
    p->queue_at = (p->queue_at + 1) % p->queue_cap;
    p->queue_n--;
    p->sending = 0;
    if (p->read_paused && p->queue_n <= PLAIN_PAUSE / 2) {
        p->read_paused = false;
        ready_set(s, p);
    }
}

// Puts the first request, or up to `most` bytes of the rest of it, into segments from n on; returns how many are used then. A
// block over many small files, or under a rate limit, may take several sends.
static uint32_t compose_block(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t n, uint32_t most, uint64_t *bytes)
{
    const struct wanted q = *queue_nth(p, 0);
    if (p->sending == 0) {
        const size_t at = w->b->n;
        peer_msg_write(w, &(struct peer_msg){.id = MSG_PIECE, .index = q.index, .begin = q.begin, .len = q.len});
        s->segs[n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(w->b->p + at, PIECE_HEADER_LEN)};
        *bytes += PIECE_HEADER_LEN;
        p->sending = PIECE_HEADER_LEN;
    }
    const uint32_t done = p->sending - PIECE_HEADER_LEN;
    struct io_part parts[IO_PARTS_MAX];
    uint64_t covered;
    const struct wanted now = {q.index, q.begin, done + most};
    const uint32_t parts_n = wanted_parts(s, &now, done, parts, u32_min(IO_PARTS_MAX, IO_SEGS_MAX - n), &covered);
    for (uint32_t i = 0; i < parts_n; i++)
        s->segs[n++] = (struct io_seg){.kind = SEG_FILE, .store = s->cfg.store, .file = parts[i].file, .off = parts[i].off, .len = parts[i].len};
    p->sending += (uint32_t)covered;
    *bytes += covered;
    p->up_bytes += covered;
    p->took_turn += covered;
    s->stats_now.up_bytes += covered;
    tap_back(&s->up, most - covered);
    super_sent(s, p, q.index, (uint32_t)covered);
    if (p->sending == PIECE_HEADER_LEN + q.len)
        queue_pop(s, p);
    return n;
}

// Answers requests into s->segs from n on, as far as the peer's share of the host's queue, the rate limit and tx allow;
// returns the new number of segments and adds to *bytes.
uint32_t serve_compose(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t n, uint64_t *bytes)
{
    const bool limited = tap_limited(&s->up), rest = p->sending != 0;
    bool served = false;
    while (!(limited && served) && !(rest && served && p->sending == 0) && p->queue_n != 0 &&
           p->out_pending + *bytes < serve_high(p) && n + 2 <= IO_SEGS_MAX && buf_room(w->b) >= PIECE_HEADER_LEN) {
        const struct wanted q = *queue_nth(p, 0);
        if (!bits_get(s->have, q.index) && p->sending == 0) {   // lost meanwhile
            queue_pop(s, p);
            reject(s, p, &q);
            continue;
        }
        const uint32_t left = q.len - (p->sending == 0 ? 0 : p->sending - PIECE_HEADER_LEN);
        const uint32_t most = limits_send(s, p, left);
        if (most == 0)
            break;
        n = compose_block(s, p, w, n, most, bytes);
        served = true;
        p->out_at = s->now;
    }
    if (limited && served)
        limits_served(s, p);            // a scarce uplink goes round: one bite, then the others
    // The segments were used up: many small answers, or files. Or a block is complete, and other things come before the next.
    else if (served && p->queue_n != 0 && p->out_pending + *bytes <= serve_high(p) / 2)
        ready_set(s, p);
    if (rest && p->sending == 0 && (tx_pending(s, p) || request_due(s, p)))
        ready_set(s, p);
    return n;
}
