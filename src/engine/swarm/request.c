// What we ask of a peer: how deep, which block next, what happens when it does not come. Bittorrent note 2.6, 2.7.
#include "engine/swarm/beat.h"
#include "engine/swarm/choker.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/request.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "engine/swarm/webseed.h"

enum {
    STALL_S = 20, DROP_S = 60,          // no block while asked: one request only; requests given up
    ASK_MAX_S = 60,                     // a request that was passed over is given up
    CHOKED_ANSWER_S = 5,                // a peer with fast that chokes us neither answers nor rejects: not waited for any longer
    ASK_PAUSE_S = 2,                    // who did not deliver is asked after all others have had their choice
    REJECTS_ROW_MAX = 16,               // without a block in between
    OWN_S = 30,                         // piece affinity holds while the owner can finish within this
    OWN_GRACE_S = 10,                   // and at the beginning, when its rate is not known
    PARTIALS_BASE = 8,
    QUEUE_MS = 500,                     // of the peer's rate is asked ahead: with 1 s a seed sent 20 % more to a swarm of four
    BATCH_MAX = 64,                     // requests are topped up in batches of a quarter of the depth, at most this many,
    BATCH_MIN = 2,                      // and two at least: half of the least depth goes on under way
};

static bool is_allowed(const struct swarm_peer *p, uint32_t index)
{
    for (uint32_t i = 0; i < p->allowed_n; i++)
        if (p->allowed[i] == index)
            return true;
    return false;
}

bool request_may_ask(const struct swarm *s, const struct swarm_peer *p, uint32_t index)
{
    return peer_has(p, index) && s->picker.priority[index] != 0 && (!p->peer_choking || is_allowed(p, index));
}

bool request_find(const struct swarm_peer *p, uint32_t index, uint32_t begin, uint32_t *at)
{
    for (uint32_t i = 0; i < p->asked_n; i++) {
        const struct asked *a = asked_nth(p, i);
        if (a->piece == index && a->begin == begin) {
            *at = i;
            return true;
        }
    }
    return false;
}

static void asked_remove(struct swarm_peer *p, uint32_t i)
{
    for (; i > 0; i--)                  // answers come in order: i is nearly always 0
        *asked_nth(p, i) = *asked_nth(p, i - 1);
    p->asked_at = (p->asked_at + 1) % p->asked_cap;
    p->asked_n--;
}

static bool asked_push(struct swarm *s, struct swarm_peer *p, const struct asked *a)
{
    if (p->asked_n == p->asked_cap) {
        const uint32_t cap = p->asked_cap == 0 ? 16 : u32_min(p->asked_cap * 2, ASKED_MAX);
        if (cap == p->asked_cap)
            return false;
        struct asked *ring = mem_zarray(s->mem, cap, sizeof *ring);
        if (ring == NULL)
            return false;
        for (uint32_t i = 0; i < p->asked_n; i++)
            ring[i] = *asked_nth(p, i);
        mem_free(s->mem, p->asked, p->asked_cap * sizeof *p->asked);
        p->asked = ring;
        p->asked_cap = cap;
        p->asked_at = 0;
    }
    p->asked_n++;
    *asked_nth(p, p->asked_n - 1) = *a;
    return true;
}

// One asker fewer of this block; it is free again when it was the last.
static void block_unask(struct piece *piece, uint32_t block)
{
    struct block *b = &piece->blocks[block];
    ASSERT(b->asks != 0);
    b->asks--;
    if (b->state != BLOCK_ASKED || b->asks != 0)
        return;
    b->state = BLOCK_FREE;
    piece->free_n++;
    piece->free_at = u32_min(piece->free_at, block);
}

// The request of `a` is over without a block.
void request_unask(struct swarm *s, const struct asked *a)
{
    struct piece *piece = piece_find(s, a->piece);
    if (piece != NULL && piece->blocks[a->begin / BLOCK_LEN].asks != 0)
        block_unask(piece, a->begin / BLOCK_LEN);
}

// Takes request i off the list; its memory goes back to the pool.
static void release(struct swarm *s, struct swarm_peer *p, uint32_t i)
{
    const struct asked a = *asked_nth(p, i);
    asked_remove(p, i);
    if (p->ahead_n > p->asked_n)
        pool_untake(s->cfg.pool, p->ahead[--p->ahead_n]);
    pool_unreserve(s->cfg.pool);
    request_unask(s, &a);
}

// It holds no more than others leave: who stalls, rejects or chokes cannot keep a block by being first again.
static void request_pause(struct swarm *s, struct swarm_peer *p) { p->ask_at = s->now + ASK_PAUSE_S * NSEC_S; }

void request_drop_all(struct swarm *s, struct swarm_peer *p, bool keep_allowed)
{
    if (p->asked_n != 0)
        request_pause(s, p);
    for (uint32_t i = p->asked_n; i-- > 0;)
        if (!keep_allowed || !is_allowed(p, asked_nth(p, i)->piece)) {
            release(s, p, i);
            p->excused++;               // it may be under way
        }
}

bool request_rejected(struct swarm *s, struct swarm_peer *p, const struct asked *a)
{
    uint32_t i;
    if (!request_find(p, a->piece, a->begin, &i) || asked_nth(p, i)->len != a->len)
        return false;
    release(s, p, i);
    if (++p->rejects_row > REJECTS_ROW_MAX || p->asked_n == 0) {
        p->rejects_row = 0;
        request_pause(s, p);            // asking it again at once would go on for ever
    }
    return true;
}

// A late answer to a request that we took back, or a gift: good if the block is still missing.
bool request_adopt(struct swarm *s, const struct asked *a)
{
    struct piece *piece = a->piece < s->meta->pieces_n ? piece_find(s, a->piece) : NULL;
    if (piece == NULL || piece->failed || piece->single || a->begin % BLOCK_LEN != 0 || a->begin >= piece->len)
        return false;
    const uint32_t block = a->begin / BLOCK_LEN;
    struct block *b = &piece->blocks[block];
    if (b->state == BLOCK_HERE || a->len != block_len(piece, block) || b->asks == UINT8_MAX || !pool_reserve(s->cfg.pool))
        return false;
    if (b->state == BLOCK_FREE) {
        b->state = BLOCK_ASKED;
        piece->free_n--;
    }
    b->asks++;
    return true;
}

bool request_take(struct swarm_peer *p, const struct asked *a)
{
    uint32_t i;
    if (!request_find(p, a->piece, a->begin, &i) || asked_nth(p, i)->len != a->len)
        return false;
    for (uint32_t k = 0; k < i; k++)
        asked_nth(p, k)->passed = true;
    asked_remove(p, i);
    return true;
}

static uint32_t next_free(struct piece *piece)
{
    for (; piece->free_at < piece->blocks_n; piece->free_at++)
        if (piece->blocks[piece->free_at].state == BLOCK_FREE)
            return piece->free_at;
    return UINT32_MAX;
}

static bool owner_is_slow(const struct swarm *s, const struct piece *piece)
{
    const uint64_t left = (uint64_t)(piece->blocks_n - piece->here_n) * BLOCK_LEN;
    return s->now - piece->opened_at > OWN_GRACE_S * NSEC_S && piece->owner->down_bps * OWN_S < left;
}

// A partial piece with free blocks: first one that nobody is at, then (help) one whose owner is there.
static struct piece *pick_partial(const struct swarm *s, const struct swarm_peer *p, bool help)
{
    for (const struct list *l = s->partials.next; l != &s->partials; l = l->next) {
        struct piece *piece = CONTAINER((struct list *)(uintptr_t)l, struct piece, link);
        if (piece->free_n == 0 || piece->failed || !request_may_ask(s, p, piece->index))
            continue;
        if (piece->owner == NULL || piece->owner == p)
            return piece;
        if ((!piece->single && help) || owner_is_slow(s, piece))
            return piece;
    }
    return NULL;
}

// Begun pieces of which not every block is asked for: few of them, so that pieces get whole and can be traded.
static uint32_t with_gaps(const struct swarm *s)
{
    uint32_t n = 0;
    for (const struct list *l = s->partials.next; l != &s->partials; l = l->next)
        n += CONTAINER((struct list *)(uintptr_t)l, struct piece, link)->free_n != 0;
    return n;
}

// Whoever is alone, or among seeds, has nothing to trade and can be strict.
static uint32_t window(const struct swarm *s)
{
    return s->cfg.strict_order || s->peers_n == s->picker.seeds ? 1 : picker_window(&s->picker);
}

static struct piece *pick_new(struct swarm *s, struct swarm_peer *p)
{
    if ((s->picker.closed_n == 0 && !web_yield(s)) || with_gaps(s) >= PARTIALS_BASE + s->peers_n * 3 / 2)
        return NULL;
    uint32_t index = UINT32_MAX;
    for (uint32_t i = 0; i < p->allowed_n && p->peer_choking; i++)
        if (peer_has(p, p->allowed[i]) && s->picker.state[p->allowed[i]] == PICKER_MISSING && s->picker.priority[p->allowed[i]] != 0)
            index = p->allowed[i];
    const uint8_t *const has = p->has_all ? NULL : p->has;
    if (!p->peer_choking)
        index = s->cfg.sequential ? picker_next_sequential(&s->picker, has, window(s))
            : s->cfg.random_order ? picker_next_random(&s->picker, has) : picker_next(&s->picker, has, p->has_n);
    return index == UINT32_MAX ? NULL : piece_open(s, index);
}

static bool pick(struct swarm *s, struct swarm_peer *p, struct piece **out, uint32_t *block)
{
    struct piece *piece = p->piece;
    if (piece == NULL || piece->free_n == 0 || piece->failed || !request_may_ask(s, p, piece->index)) {
        // Until a few are whole there is nothing to trade: then all work on the same pieces.
        piece = pick_partial(s, p, s->picker.had_n < PICKER_RANDOM_FIRST);
        if (piece == NULL)
            piece = pick_new(s, p);
        if (piece == NULL)
            piece = pick_partial(s, p, true);
        p->piece = piece;
        if (piece != NULL && (piece->owner == NULL || !piece->single))
            piece->owner = p;
    }
    if (piece == NULL) {
        const bool again = endgame_pick(s, p, out, block);
        s->again_n += again;
        return again;
    }
    *out = piece;
    *block = next_free(piece);
    return *block != UINT32_MAX;
}

bool request_due(const struct swarm *s, const struct swarm_peer *p)
{
    if (p->closing || !p->interested_sent || s->error != ERR_OK || s->state != SWARM_DOWNLOADING || p->useful_n == 0)
        return false;
    if (s->now < p->ask_at)
        return false;
    if (p->peer_choking && (p->allowed_n == 0 || s->picker.had_n >= PICKER_RANDOM_FIRST))
        return false;                   // BEP 6: the allowed-fast set is to get started with
    const uint32_t batch = p->depth < DEPTH_MIN ? 1 : u32_max(BATCH_MIN, u32_min(p->depth / 4, BATCH_MAX));
    return p->asked_n + batch <= p->depth;
}

static bool request_one(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    struct piece *piece;
    uint32_t block;
    if (buf_room(w->b) < REQUEST_MSG_LEN)
        return false;
    if (!pool_reserve(s->cfg.pool)) {
        s->hungry = true;               // asked again when a piece is done
        return false;
    }
    if (!pick(s, p, &piece, &block)) {
        pool_unreserve(s->cfg.pool);
        s->hungry = true;
        return false;
    }
    const struct asked a = {piece->index, block * BLOCK_LEN, block_len(piece, block), (uint32_t)(s->now / NSEC_S), false};
    if (!asked_push(s, p, &a)) {
        pool_unreserve(s->cfg.pool);
        return false;
    }
    struct block *b = &piece->blocks[block];
    if (b->state == BLOCK_FREE) {
        b->state = BLOCK_ASKED;
        piece->free_n--;
    }
    b->asks++;
    b->source = p->serial;
    if (p->asked_n == 1)
        p->block_at = s->now;
    beat_wake(s, p);
    peer_msg_write(w, &(struct peer_msg){.id = MSG_REQUEST, .index = a.piece, .begin = a.begin, .len = a.len});
    return true;
}

void request_compose(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    for (; p->cancels.n != 0 && buf_room(w->b) >= REQUEST_MSG_LEN; p->cancels.n--) {
        const struct asked *a = &p->cancels.items[p->cancels.n - 1];
        peer_msg_write(w, &(struct peer_msg){.id = MSG_CANCEL, .index = a->piece, .begin = a->begin, .len = a->len});
    }
    if (!request_due(s, p))
        return;
    while (p->asked_n < p->depth && request_one(s, p, w))
        continue;
}

// `but` brought the block: whoever else was asked for it need not.
void request_cancel_others(struct swarm *s, uint32_t piece, uint32_t block, struct swarm_peer *but)
{
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        uint32_t i;
        if (p == but || p->closing || !request_find(p, piece, block * BLOCK_LEN, &i))
            continue;
        const struct asked a = *asked_nth(p, i);
        release(s, p, i);
        void *items = p->cancels.items;
        if (mem_grow(s->mem, &items, &p->cancels.cap, p->cancels.n + 1, ASKED_MAX, sizeof a) == ERR_OK) {
            p->cancels.items = items;
            p->cancels.items[p->cancels.n++] = a;
        }
        p->excused++;                   // it may be under way: a late answer is no offence
        ready_set(s, p);
    }
}

// Once a second: the depth follows the rate, and who is silent loses its requests.
void request_beat(struct swarm *s, struct swarm_peer *p)
{
    const uint64_t last = p->down_bytes - p->down_last;
    const uint32_t limit = u32_min(p->reqq, ASKED_MAX);
    const uint32_t by_rate = (uint32_t)u64_min(u64_max(last, p->down_prev) * QUEUE_MS / 1000 / BLOCK_LEN + DEPTH_MIN, limit);
    // A queue deeper than the rate asks for is stale: what waits in it others have long got elsewhere.
    if (p->slow_start && last != 0 && last < p->down_prev + p->down_prev / 8)
        p->slow_start = false;
    if (!p->slow_start || by_rate > p->depth)
        p->depth = by_rate;
    p->down_prev = last;
    while (p->asked_n != 0 && asked_nth(p, 0)->passed && s->now / NSEC_S - asked_nth(p, 0)->at_s >= ASK_MAX_S) {
        release(s, p, 0);               // TR 3.00 drops silently (trap 5); others hold a block back to spoil a piece
        p->excused++;
        request_pause(s, p);
    }
    if (p->peer_choking && s->now - p->choked_us_at >= CHOKED_ANSWER_S * NSEC_S)
        request_drop_all(s, p, true);
    if (p->asked_n == 0 && p->rx != RX_BLOCK)
        return;
    const nsec silent = s->now - p->block_at;
    if (silent >= STALL_S * NSEC_S && p->rx != RX_BLOCK) {
        log_line(s->env->log, LOG_DEBUG, "peer %u stalled with %u requests", p->serial, p->asked_n);
        request_drop_all(s, p, false);
        p->depth = 1;
        p->slow_start = true;
    }
    if (silent >= DROP_S * NSEC_S && p->rx == RX_BLOCK)
        rx_skip_block(s, p);            // a trickle may not hold a block for ever
    if (silent >= CHOKE_SNUB_S * NSEC_S)
        p->snubbed = true;
}
