// Who is served (rounds.c), and who has a place (places.c). Inside the swarm.
#pragma once
#include "engine/swarm/swarm.h"

void choke_round(struct swarm *s, bool refill);
void choke_beat(struct swarm *s);                                       // more slots before the next round, if the uplink feeds them
void choke_refill(struct swarm *s);
void choke_wanted(struct swarm *s);

MUST_USE bool places_make(struct swarm *s, const struct addr *a);         // for a peer at `a`: somebody is let go; false: nobody
