// An intrusive hash map keyed by bytes (keyed SipHash), walked in insertion order and never in hash order.
#pragma once
#include "base/env.h"
#include "base/list.h"
#include "base/siphash.h"

// Inside an element. `key` points into the element and must not change while it is in the map.
struct map_node {
    struct map_node *next;
    struct list order;
    uint64_t hash;
    struct slice key;
};

struct map {
    struct map_node **buckets;
    uint32_t buckets_n, n, max;
    uint64_t key[2];
    struct list order;                  // of map_node.order
    const struct mem *mem;
};

// max: the named limit of the owner; seed: keys the hash.
void map_init(struct map *m, const struct mem *mem, uint32_t max, uint64_t seed);
void map_done(struct map *m);
struct map_node *map_get(const struct map *m, struct slice key);
// ERR_EXISTS: the key is there; ERR_FULL; ERR_NOMEM. On failure the map is as before.
MUST_USE enum err map_put(struct map *m, struct map_node *n, struct slice key);
// n is in m.
void map_remove(struct map *m, struct map_node *n);
// The oldest element, NULL: empty.
struct map_node *map_first(const struct map *m);
// The one inserted after n, NULL: n was the last.
struct map_node *map_next(const struct map *m, const struct map_node *n);
