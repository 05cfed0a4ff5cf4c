// The end of a torrent: everything that is missing is asked for, and slow peers owe the last blocks. A peer that has time is asked for
// such a block a second time, but only if it is likely to bring it well before: what comes twice is waste. Bittorrent note 2.6.
#include "engine/swarm/beat.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/request.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "engine/swarm/webseed.h"

enum {
    ENDGAME_ASKS_MAX = 2,
    GAIN_MS = 2000,                      // the second answer must be expected so much sooner, and in half the time
    SILENT_MS = 5000,                   // no block for so long: it may never come
    RATE_MIN = BLOCK_LEN / 2,           // bytes/s: what nobody is thought to be slower than, as long as it is not silent
    AGAIN_MIN = 4,                      // blocks asked for again of peers that do answer: so many, and one in
    AGAIN_SHARE = 100,                  // so many of the content
    LOOKS_MAX = 64,                     // requests looked at from the end of one peer's queue
};

// A block that somebody owes.
struct debt {
    struct piece *piece;
    uint32_t block;
    uint64_t ms;                        // until it is there
};

// What is on its way already comes twice whatever is cancelled: only so much of it.
static bool may_spend(const struct swarm *s) { return s->again_n < AGAIN_MIN + s->meta->len / BLOCK_LEN / AGAIN_SHARE; }

// `bytes` at a rate; whoever has been silent will be so for twice as long.
static uint64_t ms_until(uint64_t bps, nsec silent, uint64_t bytes)
{
    return u64_max(bytes * 1000 / u64_max(bps, RATE_MIN), 2 * (silent / NSEC_MS));
}

static uint64_t peer_ms(const struct swarm *s, const struct swarm_peer *p, uint32_t requests)
{
    const bool owes = p->asked_n != 0 || p->rx == RX_BLOCK;
    return ms_until(u64_max(p->down_bps, p->down_prev), owes ? s->now - p->block_at : 0, (uint64_t)requests * BLOCK_LEN);
}

// Takes the debt if it is the latest so far and `p` may be asked for it.
static bool consider(const struct swarm *s, const struct swarm_peer *p, const struct debt *d, struct debt *latest)
{
    const struct piece *piece = d->piece;
    if (d->ms <= latest->ms || piece == NULL || piece->failed || piece->single || !request_may_ask(s, p, piece->index))
        return false;
    const struct block *b = &piece->blocks[d->block];
    const struct asked a = {.piece = piece->index, .begin = d->block * BLOCK_LEN};
    uint32_t at;
    if (b->state != BLOCK_ASKED || b->asks >= ENDGAME_ASKS_MAX || request_find(p, a.piece, a.begin, &at) ||
        (p->rx_slot != NULL && p->rx_block.piece == a.piece && p->rx_block.begin == a.begin))
        return false;
    *latest = *d;
    return true;
}

// What `o` will bring last, but for what is too soon to be of interest.
static void consider_peer(const struct swarm *s, const struct swarm_peer *p, const struct swarm_peer *o, struct debt *latest)
{
    const bool receiving = o->rx == RX_BLOCK && o->rx_slot != NULL;
    if (!may_spend(s) && s->now - o->block_at < SILENT_MS * NSEC_MS)
        return;
    for (uint32_t i = o->asked_n, looks = 0; i-- > 0 && looks < LOOKS_MAX; looks++) {
        const struct asked *a = asked_nth(o, i);
        const struct debt d = {piece_find(s, a->piece), a->begin / BLOCK_LEN, peer_ms(s, o, i + 1 + receiving)};
        if (d.ms <= latest->ms || consider(s, p, &d, latest))
            return;
    }
    if (receiving)
        consider(s, p, &(struct debt){piece_find(s, o->rx_block.piece), o->rx_block.begin / BLOCK_LEN, peer_ms(s, o, 1)}, latest);
}

// The blocks that a server brings come in order, to the end of the piece that it is at.
static void consider_web(const struct swarm *s, const struct swarm_peer *p, struct debt *latest)
{
    for (uint32_t i = 0; s->web != NULL && i < WEB_CONNS_MAX; i++) {
        const struct web_conn *c = &s->web->conns[i];
        struct piece *piece = c->source != NULL && c->mine != NULL ? piece_find(s, c->index) : NULL;
        for (uint32_t b = piece == NULL ? 0 : piece->blocks_n; b-- > 0;) {
            const uint64_t end = (uint64_t)c->index * s->meta->piece_len + (uint64_t)(b + 1) * BLOCK_LEN;
            const struct debt d = {piece, b, ms_until(c->self.down_bps, s->now - c->rx_at, end > c->at ? end - c->at : 0)};
            if (d.ms <= latest->ms || (bits_get(c->mine, b) && consider(s, p, &d, latest)))
                break;
        }
    }
}

bool endgame_pick(const struct swarm *s, const struct swarm_peer *p, struct piece **out, uint32_t *block)
{
    if (s->picker.closed_n != 0)
        return false;
    for (const struct list *l = s->partials.next; l != &s->partials; l = l->next)
        if (CONTAINER((struct list *)(uintptr_t)l, struct piece, link)->free_n != 0)
            return false;
    peers_fetch(s);
    struct debt latest = {.ms = 2 * peer_ms(s, p, p->asked_n + 1) + GAIN_MS};
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next) {
        const struct swarm_peer *o = CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link);
        if (o != p && !o->closing)
            consider_peer(s, p, o, &latest);
    }
    consider_web(s, p, &latest);
    *out = latest.piece;
    *block = latest.block;
    return latest.piece != NULL;
}
