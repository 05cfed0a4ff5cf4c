// Who has how much of what is kept for strangers. When something is full, whoever has most of it makes way.
#pragma once
#include "base/addr.h"
#include "base/env.h"
#include "codec/node_id.h"

enum { SHARE_SLOTS = 1024 };            // two networks or owners in one slot count as one: seldom, and nobody can choose it

struct share {
    uint16_t n[SHARE_SLOTS];
};

// The network of an address as a number: IPv4 /24, IPv6 /48, which are about what one hand gets for nothing. A local address is one by
// itself. key: a secret, so that nobody can tell who is counted with whom.
uint32_t share_network(const uint64_t key[2], const struct addr *a);
// How many it has; one more, and how many it has then.
static inline uint32_t share_count(const struct share *s, uint32_t who) { return s->n[who % SHARE_SLOTS]; }
uint32_t share_add(struct share *s, uint32_t who);

// A hash or item that is kept.
struct claim {
    uint8_t target[NODE_ID_LEN];
    uint32_t owner;                     // the address that began it, as a number
    uint32_t network;                   // whose share it counts for
    uint32_t index;                     // in claims.places
};

struct claim_place;

// All hashes, or all items.
struct claims {
    const struct mem *mem;
    struct claim_place *places;
    uint32_t n, cap;
    struct share *networks, *owners;    // made with the first claim
};

void claims_done(struct claims *c);
// `claim` lives until it leaves. ERR_NOMEM.
MUST_USE enum err claims_enter(struct claims *c, struct claim *claim);
void claims_leave(struct claims *c, struct claim *claim);
// Who makes way for `mine`: of the network with the most claims, `mine` counted, the farthest from `own`. NULL: that is `mine` itself.
struct claim *claims_worst(const struct claims *c, const struct claim *mine, const uint8_t own[NODE_ID_LEN]);
uint32_t claims_owned(const struct claims *c, uint32_t owner);
// Somebody else wants a claim to be kept, too: it counts for whoever has less.
void claims_share(struct claims *c, struct claim *claim, uint32_t owner, uint32_t network);
// How much hangs on a claim: peers. Of those with most, the first; NULL: there is none.
void claims_weigh(struct claims *c, const struct claim *claim, uint32_t weight);
struct claim *claims_heaviest(const struct claims *c);
void claims_check(const struct claims *c);
