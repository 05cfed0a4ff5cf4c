// What peers ask of us. Inside the swarm.
#pragma once
#include "engine/swarm/peer.h"

uint32_t serve_high(const struct swarm_peer *p);                        // bytes at the host up to which its next request is answered
static inline bool serve_is_low(const struct swarm_peer *p) { return p->out_pending <= serve_high(p) / 2; }
void serve_request(struct swarm *s, struct swarm_peer *p, const struct wanted *w);
void serve_cancel(struct swarm *s, struct swarm_peer *p, const struct wanted *w);
void serve_choked(struct swarm *s, struct swarm_peer *p);
void serve_allowed_fast(struct swarm *s, struct swarm_peer *p);
uint32_t serve_compose(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t segs_n, uint64_t *bytes);
