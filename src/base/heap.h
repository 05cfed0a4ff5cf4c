// An intrusive binary heap of deadlines: smallest (at, id) first, so that order never depends on addresses.
#pragma once
#include "base/env.h"

struct heap_node {
    nsec at;
    uint64_t id;            // breaks ties; unique in its heap
    uint32_t index;         // 1-based place in the heap, 0: not in it
};

// The key stands in the heap, too: to compare is not to go through the nodes, which lie far apart.
struct heap_item {
    nsec at;
    uint64_t id;
    struct heap_node *node;
};

struct heap {
    struct heap_item *items;
    uint32_t n, cap, max;
    const struct mem *mem;
};

// max: the named limit of the owner.
void heap_init(struct heap *h, const struct mem *mem, uint32_t max);
void heap_done(struct heap *h);
// Inserts the node or moves it to `at`; NSEC_NEVER removes it. ERR_FULL, ERR_NOMEM: only on insertion.
MUST_USE enum err heap_set(struct heap *h, struct heap_node *n, nsec at);
// Harmless for a node that is not in the heap.
void heap_remove(struct heap *h, struct heap_node *n);
// NULL: empty.
struct heap_node *heap_min(const struct heap *h);
// When it is due; NSEC_NEVER: empty.
static inline nsec heap_next(const struct heap *h) { return h->n == 0 ? NSEC_NEVER : h->items[0].at; }
