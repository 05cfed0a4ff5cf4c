// Hole punching: peers behind routers (BEP 55). Inside the swarm.
#pragma once
#include "base/bytes.h"
#include "codec/ut_holepunch.h"
#include "engine/swarm/swarm.h"

struct known;                           // known.h
struct swarm_peer;                      // peer.h

enum {
    PUNCH_QUEUE_MAX = 8,                // messages of ut_holepunch that wait for one peer; more are dropped
};

// So many in a second.
struct allowance {
    nsec at;                            // of the next full one
    uint32_t left;
};

// Hole punching with one peer.
struct peer_punch {
    struct ut_holepunch out[PUNCH_QUEUE_MAX];
    struct allowance asks, told, hears; // rendezvous by it; connects told to it, by it
};

void punch_handle(struct swarm *s, struct swarm_peer *p, struct slice payload);
void punch_ask(struct swarm *s, struct known *k);                       // whoever told us of it, if it is time
void punch_compose(struct swarm_peer *p, struct wr *w);
