// What we ask of peers: request.c, endgame.c. Inside the swarm.
#pragma once
#include "engine/swarm/peer.h"

struct piece;                           // piece.h

enum {
    ASKED_MAX = SWARM_REQQ,             // requests of ours at one peer
    DEPTH_MIN = 4,                      // requests to begin with
};

void request_compose(struct swarm *s, struct swarm_peer *p, struct wr *w);
bool request_due(const struct swarm *s, const struct swarm_peer *p);
void request_drop_all(struct swarm *s, struct swarm_peer *p, bool keep_allowed);
bool request_adopt(struct swarm *s, const struct asked *a);             // takes memory for a block that came unasked; false: of no use
bool request_take(struct swarm_peer *p, const struct asked *a);        // its block comes; false: not asked
bool request_rejected(struct swarm *s, struct swarm_peer *p, const struct asked *a);    // false: not asked
void request_unask(struct swarm *s, const struct asked *a);
void request_beat(struct swarm *s, struct swarm_peer *p);
void request_cancel_others(struct swarm *s, uint32_t piece, uint32_t block, struct swarm_peer *but);
bool request_find(const struct swarm_peer *p, uint32_t index, uint32_t begin, uint32_t *at);
bool request_may_ask(const struct swarm *s, const struct swarm_peer *p, uint32_t index);
static inline struct asked *asked_nth(const struct swarm_peer *p, uint32_t i)
{
    return &p->asked[(p->asked_at + i) % p->asked_cap];
}

// endgame.c: whom to ask for what is asked for already; false: nobody, for now.
bool endgame_pick(const struct swarm *s, const struct swarm_peer *p, struct piece **out, uint32_t *block);
