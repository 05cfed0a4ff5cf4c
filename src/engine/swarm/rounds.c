// Choking rounds: the table is filled, the choker decides, the peers are told. BEP 3; bittorrent note, section 3.
#include "engine/swarm/beat.h"
#include "engine/swarm/choker.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/rounds.h"
#include "engine/swarm/serve.h"
#include "engine/swarm/swarm_int.h"

static uint32_t net_of(const struct addr *a)
{
    const unsigned n = a->family == ADDR_IPV4 ? 3 : 6;      // /24, /48
    uint32_t v = a->family;
    for (unsigned i = 0; i < n; i++)
        v = v * 257 + a->ip[i];
    return v;
}

static struct choke_row row_of(const struct swarm *s, const struct swarm_peer *p)
{
    return (struct choke_row){
        .id = p->serial, .interested = p->peer_interested, .upload_only = p->has_n == s->meta->pieces_n,
        .snubbed = p->snubbed, .unchoked = !p->am_choking, .optimistic = p->optimistic,
        .gave = p->down_round[0] + p->down_round[1], .took = p->up_round, .took_turn = p->took_turn,
        .changed_at = p->choked_changed_at, .rounds = p->rounds, .turns_wasted = p->turns_wasted, .net = net_of(&p->addr),
    };
}

static void apply(struct swarm *s, struct swarm_peer *p, const struct choke_row *row)
{
    if (p->optimistic && !row->unchoke_optimistic && !p->gave_in_turn)
        p->turns_wasted++;
    if (!p->optimistic && row->unchoke_optimistic)
        p->gave_in_turn = false;
    p->optimistic = row->unchoke_optimistic;
    if (p->am_choking != row->unchoke)
        return;
    p->am_choking = !row->unchoke;
    s->unchoked_n += p->am_choking ? UINT32_MAX : 1;    // - 1 or + 1
    p->choked_changed_at = s->now;
    p->took_turn = 0;
    if (p->am_choking)
        serve_choked(s, p);
    ready_set(s, p);
}

// The bytes of a round: what came and went since the last one, and the one before that.
static void close_round(struct swarm_peer *p)
{
    p->down_round[1] = p->down_round[0];
    p->down_round[0] = p->down_bytes - p->down_mark;
    p->up_round = p->up_bytes - p->up_mark;
    p->down_mark = p->down_bytes;
    p->up_mark = p->up_bytes;
    p->rounds++;
    if (p->rounds % UNASKED_ROUNDS == 0)
        p->unasked = 0;
}

static enum choke_mode mode_of(const struct swarm *s)
{
    const bool seed = s->picker.missing_n == 0;
    switch (s->cfg.choke) {
    case SWARM_CHOKE_KITH: break;
    case SWARM_CHOKE_ORIGINAL: return seed ? CHOKE_SEED_FASTEST : CHOKE_LEECH;
    case SWARM_CHOKE_BLIND: return CHOKE_SEED;
    }
    return seed ? CHOKE_SEED : CHOKE_LEECH;
}

static uint32_t optimistic_slots(const struct swarm *s) { return s->cfg.no_optimistic ? 0 : u32_max(1, s->slots / 8); }

static void decide(struct swarm *s, bool refill, bool rotate)
{
    struct choke_row rows[SWARM_PEERS_MAX];
    struct swarm_peer *peers[SWARM_PEERS_MAX];
    uint32_t n = 0;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (p->closing)
            continue;
        ASSERT(n < SWARM_PEERS_MAX);
        peers[n] = p;
        rows[n++] = row_of(s, p);
    }
    if (s->cfg.slots != 0)
        s->slots = s->cfg.slots;
    else if (!refill)
        s->slots = choker_slots(rows, n, s->slots, limits_up_full(s));
    const struct choke_config cfg = {
        .mode = mode_of(s), .regular_slots = s->slots, .optimistic_slots = optimistic_slots(s),
        .no_optimistic = s->cfg.no_optimistic, .rotate = rotate, .refill = refill, .now = s->now, .piece_len = s->meta->piece_len,
    };
    choker_decide(rows, n, &cfg, &s->rng);
    for (uint32_t i = 0; i < n; i++)
        apply(s, peers[i], &rows[i]);
}

void choke_round(struct swarm *s, bool refill)
{
    peers_fetch(s);
    if (!refill) {
        LIST_EACH(&s->peers, link, save)
            close_round(CONTAINER(link, struct swarm_peer, link));
        s->round++;
    }
    decide(s, refill, !refill && s->round % CHOKE_OPTIMISTIC_ROUNDS == 0);
}

void choke_beat(struct swarm *s)
{
    if (s->cfg.slots != 0 || s->slots >= CHOKE_SLOTS_MAX || limits_up_full(s))
        return;
    const uint32_t slots = choker_slots_early(s->stats_now.up_bps, s->slots);
    if (slots == s->slots)
        return;
    s->slots = slots;
    choke_refill(s);
}

// Somebody more wants to be unchoked: that changes nothing while all slots are taken.
void choke_wanted(struct swarm *s)
{
    if (s->unchoked_n < s->slots + optimistic_slots(s))
        choke_refill(s);
}

// Between rounds nobody loses a slot; a free one is filled at once.
void choke_refill(struct swarm *s)
{
    s->refill = true;                   // by the next poll, once, however often a peer changes its mind
}
