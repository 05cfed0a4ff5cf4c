// What is looked at once a second. Inside the swarm.
#pragma once
#include "engine/swarm/peer.h"
#include "engine/swarm/swarm_int.h"

// When a peer needs its next beat: apart from the peers, most of which are idle and far from the cache.
struct beat {
    nsec at;                            // 0: at the next one of the swarm; NSEC_NEVER: it is being closed
    uint64_t name;                      // of its peer id the end, where programs put what is random
    struct swarm_peer *peer;
};

MUST_USE enum err beat_join(struct swarm *s, struct swarm_peer *p);     // ERR_NOMEM
uint64_t beat_name(const uint8_t peer_id[PEER_ID_LEN]);
void beat_leave(struct swarm *s, const struct swarm_peer *p);
void beat_all(struct swarm *s);

static inline void peers_fetch(const struct swarm *s)
{
    for (uint32_t i = 0; i < s->peers_n; i++)
        peer_fetch(s->beats[i].peer);
}

// p is looked at by the first beat from `at` on.
static inline void beat_by(struct swarm *s, const struct swarm_peer *p, nsec at)
{
    if (!p->closing)
        s->beats[p->beat_i].at = u64_min(s->beats[p->beat_i].at, at);
}

// Something happened to p that the next beat must see: bytes of blocks, requests, what it may be asked.
static inline void beat_wake(struct swarm *s, const struct swarm_peer *p) { beat_by(s, p, 0); }
