// Who sent a bad block, and who is banned. Inside the swarm.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "engine/swarm/swarm.h"

struct piece;                           // piece.h
struct swarm_peer;                      // peer.h

enum { SOURCE_UNKNOWN = 0 };            // no peer has this serial

struct source {
    uint32_t serial;
    struct addr addr;
};

bool blame_single_source(const struct piece *p);
bool blame_known(const struct swarm *s, uint32_t index);                // failed before, culprit unknown
void blame_record(struct swarm *s, const struct piece *p);              // p failed and its leaves are complete
void blame_settle(struct swarm *s, const struct piece *p);              // p is right: bans who sent other blocks
uint32_t blame_first(const struct swarm *s);                            // pieces with digests of a bad copy; UINT32_MAX: no more
uint32_t blame_next(const struct swarm *s, uint32_t index);
void blame_leaves(struct swarm *s, uint32_t index, struct slice leaves);        // what the blocks should have been
void blame_done(struct swarm *s);
void blame_source(struct swarm *s, struct swarm_peer *p);               // it gave a block: its address is remembered
void ban(struct swarm *s, uint32_t serial);
bool is_banned(const struct swarm *s, const struct addr *a);

// One customer's addresses: one of IPv4, a /64 of IPv6.
static inline bool same_site(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == ADDR_IPV4 ? 4 : 8) == 0;
}
