// What a DHT node keeps for others: peers of info-hashes (BEP 5, 33) and items (BEP 44), and the tokens that say who may
// store. Everything is bounded. When a limit is reached, the network that has most of it makes way (dht_share.h): of its hashes or items
// the one farthest from our own id, of its peers the oldest. So what one hand pours in from many addresses pushes out its own, and
// where nobody has more than others what belongs here stays.
#pragma once
#include "base/addr.h"
#include "base/map.h"
#include "base/rng.h"
#include "codec/bloom.h"
#include "codec/dht_item.h"
#include "engine/find/dht_share.h"

enum {
    TOKEN_LEN = 8,
    TOKEN_EPOCH_S = 300,                // BEP 5: a token is made from a secret of five minutes, and taken for up to ten
    PEER_EXPIRE_S = 45 * 60,            // without an announce; clients announce every 15 to 30 minutes
    ITEM_EXPIRE_S = 2 * 3600,           // BEP 44
    DHT_SWEEP_S = 60,
    HASH_IP_PORTS_MAX = 4,              // peers of one hash at one address
    DHT_VALUES_MAX = 128,               // peers in one answer
};

struct dht_peer {
    uint8_t ip[16];
    uint16_t port;
    bool seed;
    uint32_t network;
    nsec seen;
};

struct dht_peers {
    struct dht_peer *items;
    uint32_t n, cap;
};

struct dht_swarm {
    struct map_node node;
    struct claim claim;
    struct dht_peers peers[2];          // IPv4, IPv6
};

struct dht_stored {
    struct map_node node;
    struct claim claim;
    nsec seen;
    bool is_mutable;
    struct dht_item item;               // slices into bytes
    uint32_t bytes_n;
    uint8_t bytes[];
};

struct dht_store {
    const struct mem *mem;
    const uint8_t *own[2];              // our ids
    uint32_t hashes_max, hash_peers_max, items_max, peers_max;
    uint64_t secret[2];
    struct map swarms, items;
    struct claims swarm_claims, item_claims;
    uint32_t peers_n;
};

void dht_store_init(struct dht_store *s, const struct mem *mem, const uint64_t secret[2]);
void dht_store_done(struct dht_store *s);
// The token that `a` may use for `target`.
void dht_store_token(const struct dht_store *s, nsec now, const struct addr *a, const uint8_t target[NODE_ID_LEN], uint8_t out[TOKEN_LEN]);
bool dht_store_token_ok(const struct dht_store *s, nsec now, const struct addr *a, const uint8_t target[NODE_ID_LEN], struct slice token);
// Notes a peer. ERR_FULL: a limit; ERR_NOMEM.
MUST_USE enum err dht_store_announce(struct dht_store *s, nsec now, const uint8_t hash[NODE_ID_LEN], const struct addr *peer, bool seed);
// NULL: nobody.
const struct dht_swarm *dht_store_swarm(const struct dht_store *s, const uint8_t hash[NODE_ID_LEN]);
// Writes up to `max` (DHT_VALUES_MAX) random peers of a family as the items of a bencoded list: of each network one before any has two.
void dht_store_values(const struct dht_swarm *swarm, enum addr_family family, bool noseed, uint32_t max, struct rng *rng, struct wr *w);
void dht_store_blooms(const struct dht_swarm *swarm, uint8_t seeds[BLOOM_LEN], uint8_t peers[BLOOM_LEN]);
// Up to n random hashes, 20 bytes each.
void dht_store_samples(const struct dht_store *s, uint32_t n, struct rng *rng, struct wr *w);
// NULL: not kept.
const struct dht_stored *dht_store_item(const struct dht_store *s, const uint8_t target[NODE_ID_LEN]);
// Keeps a verified item. ERR_FULL; ERR_NOMEM.
struct dht_put {
    const struct dht_item *item;
    bool is_mutable;
    const uint8_t *target;
    const struct addr *from;
};
MUST_USE enum err dht_store_put(struct dht_store *s, nsec now, const struct dht_put *put);
// Forgets what has expired.
void dht_store_sweep(struct dht_store *s, nsec now);
void dht_store_check(const struct dht_store *s);
