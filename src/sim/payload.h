// Payload memory of the simulated nodes. By reference: addresses that nobody may touch, with extents beside them that say
// what would be there. By bytes: real pages.
#pragma once
#include "base/list.h"
#include "sim/content.h"

enum payload_mode { PAYLOAD_REF, PAYLOAD_BYTES };

enum {
    PAYLOAD_GRANULE = 16384,            // extents are kept for each so many bytes
    PAYLOAD_CHUNK = 65536,              // unit of the address space
};

struct payload_slab {
    struct list link;                   // of its owner's slabs
    uint8_t *base;
    size_t len;
    struct extents *granules;           // REF: one for each PAYLOAD_GRANULE
    struct payload_slab *next_free;
};

// The address space of all nodes of a world, and who has which part.
struct payload_arena {
    enum payload_mode mode;
    uint8_t *base;                      // REF: PROT_NONE pages of the harness
    size_t chunks_n, chunks_used;
    struct payload_slab **chunks;       // owner of each chunk, NULL: free
    struct payload_slab *spare;          // slabs given back, newest first
    const struct mem *mem;              // for what is kept beside
    const struct mem *pages;            // BYTES: real memory
    struct content *content;
};

// One node's payload memory: `face` goes into its env.
struct payload {
    struct mem face;
    struct payload_arena *arena;
    struct list slabs;
    size_t used, peak;                  // bytes
};

// base, len: REF only, never read or written here. ERR_NOMEM.
MUST_USE enum err payload_arena_init(struct payload_arena *a, struct content *content, const struct env *env,
    enum payload_mode mode, struct span space);
void payload_arena_done(struct payload_arena *a);

void payload_init(struct payload *p, struct payload_arena *a);
// Takes back everything, as the death of a process does.
void payload_done(struct payload *p);

// p lies in reference memory.
bool payload_is_ref(const struct payload_arena *a, const void *p);
// Content lands at p (reference memory).
void payload_land(struct payload_arena *a, uint8_t *p, const struct extent *e);
// What lies at p (reference memory), at most len bytes of it; pos is 0.
struct extent payload_at(const struct payload_arena *a, const uint8_t *p, uint64_t len);
