// What the tracker remembers: swarms and their peers, 8 bytes for an IPv4 peer and 20 for IPv6, plus an index of 1 to 4 bytes
// a slot, which is kept between a half and four fifths full.
//
// The peers of a swarm and family lie in one array, ordered by class: leeches, then partial seeds, then seeds. So any
// range of classes is sampled at random without a look at the others, and the counts are the bounds.
#pragma once
#include "base/addr.h"
#include "base/env.h"
#include "base/map.h"

enum peer_class { CLASS_LEECH = 0, CLASS_PARTIAL = 1, CLASS_SEED = 2, CLASSES_N = 3 };    // BEP 21 for the second

enum { STORE_SAMPLE_MAX = 200, STORE_SEEDS_SHARE = 4 };

// A peer's record: ip, port, then the minute it was last seen, all big-endian; the first part is the compact wire form.
struct peer_pool {
    uint8_t *peers;
    uint8_t *index;                     // open addressing by ip: 1-based places in peers, 0 free; NULL: few, scanned
    uint32_t cap, index_cap;            // index_cap: slots, each of index_width() bytes
    uint32_t end[CLASSES_N];            // end[c]: where class c ends; the last is the number of peers
};

struct tracker_swarm {
    struct map_node node;               // keyed by hash
    uint8_t hash[20];
    uint32_t downloaded;                // `completed` events, BEP 48
    struct peer_pool pools[2];          // IPv4, IPv6
};

struct store_limits {
    uint32_t swarms_max, peers_max, swarm_peers_max, ip_peers_max;
    uint32_t expire_min;                // minutes without an announce after which a peer is forgotten
};

struct tracker_store {
    const struct mem *mem;
    struct store_limits limits;
    uint64_t key[2];                    // of the indices
    struct map swarms;
    uint32_t n_peers[2];                // IPv4, IPv6
    uint32_t n_seeds;
    uint64_t bytes;                     // of swarms, peers and indices
    uint64_t expired;
    struct map_node *sweep_at;          // the next swarm to look at, NULL: start over
    uint32_t sweep_pool, sweep_left;    // and its pool, and how many of that pool's records are still to be seen
};

struct store_announce {
    const uint8_t *hash;                // 20 bytes
    struct addr peer;
    enum peer_class class;
    bool stopped, completed;
    uint16_t minute;                    // now, in minutes, wrapping
};

#define STORE_NOBODY UINT32_MAX

// secret keys the hashes.
void store_init(struct tracker_store *s, const struct mem *mem, const struct store_limits *limits, const uint64_t secret[2]);
void store_done(struct tracker_store *s);
// NULL: nobody is there.
struct tracker_swarm *store_find(const struct tracker_store *s, const uint8_t hash[20]);
// Notes an announce. *out_swarm (NULL: none) and *out_self (place of the peer in its pool, or STORE_NOBODY) are always
// set. ERR_FULL, ERR_NOMEM: the peer could not be taken in, but may still be answered.
MUST_USE enum err store_announce(struct tracker_store *s, const struct store_announce *a, struct tracker_swarm **out_swarm,
                                 uint32_t *out_self);
// The numbers of both families together.
uint32_t store_count(const struct tracker_swarm *swarm, enum peer_class class);
// Draws up to k distinct peers (k <= STORE_SAMPLE_MAX) out of the first `classes` classes, without the one at `self`: all alike, but
// that of few seeds among many leeches at least k / STORE_SEEDS_SHARE are told, or all: whoever knows no seed is the last to be done.
// Returns how many; out holds places for store_compact. O(k).
uint32_t store_sample(const struct peer_pool *pool, uint32_t classes, uint32_t self, uint32_t k, struct rng *rng,
                      uint32_t out[STORE_SAMPLE_MAX]);
// The 6 or 18 bytes of the peer at a place of pools[ipv6]; borrowed until the store changes.
struct slice store_compact(const struct peer_pool *pool, bool ipv6, uint32_t place);
// Looks at up to `budget` records, forgets those not seen for expire_min, gives back memory.
void store_sweep(struct tracker_store *s, uint16_t minute, uint64_t budget);
// Asserts every invariant; O(everything).
void store_check(const struct tracker_store *s);
