// Ourselves as an only seed: see superseed.h. Inside the swarm.
#pragma once
#include "engine/swarm/peer.h"
#include "engine/swarm/superseed.h"
#include "engine/swarm/swarm_int.h"

enum err super_init(struct swarm *s);                                   // if the configuration says so. ERR_NOMEM
void super_done(struct swarm *s);
void super_begin(struct swarm *s, struct swarm_peer *p);                // a peer that was told that we have nothing
void super_has(struct swarm *s, struct swarm_peer *from);               // it says that it has more than before
void super_sent(struct swarm *s, struct swarm_peer *p, uint32_t piece, uint32_t n);
void super_left(struct swarm *s, const struct swarm_peer *p);
void super_beat(struct swarm *s);
void super_compose(struct swarm_peer *p, struct wr *w);                 // what it is shown
static inline bool super_hides(const struct swarm *s, const struct swarm_peer *p, uint32_t index)
{
    return s->super != NULL && p->super_on && !superseed_may(s->super, index, p->serial);
}
