// Memory for content on its way between wire and disk: page-aligned 16 KiB slots, shared by all torrents of a node.
//
// A slot is reserved when a block is requested and taken when its bytes come, so that a requested block always finds
// room: the pool can be full, but never stuck. The last slot given back is the next taken: its pages are warm.
#pragma once
#include "base/env.h"
#include "codec/metainfo.h"

enum {
    POOL_SLAB_LEN = 1 << 20,
    POOL_AHEAD_MAX = 8,                 // blocks that one receive may bring
    POOL_STAGING_LEN = (POOL_AHEAD_MAX + 1) * (BLOCK_LEN + 16),
};

struct pool {
    const struct mem *payload, *mem;
    uint8_t **slabs;                    // POOL_SLAB_LEN each
    uint32_t slabs_n, slabs_max;
    uint8_t **stack;                    // stack of slots
    uint32_t stack_n, stack_cap;
    uint8_t *staging;                   // shared by all streams of the node: bytes received with no better place
    size_t staging_len;
    uint32_t slots_max;                 // named limit of the node
    struct rare *rare;
    uint32_t reserved, taken;           // reserved + taken <= slots_max
};

// bytes: at least POOL_SLAB_LEN. ERR_NOMEM. Slabs are taken when they are needed.
MUST_USE enum err pool_init(struct pool *p, const struct env *env, uint64_t bytes);
// All slots are back.
void pool_done(struct pool *p);
// len bytes, at most POOL_STAGING_LEN, good until the next receive; what they hold at first is anything. NULL: no memory.
uint8_t *pool_staging(struct pool *p, size_t len);
// False: full.
MUST_USE bool pool_reserve(struct pool *p);
void pool_unreserve(struct pool *p);
// Turns one reservation into a slot of BLOCK_LEN bytes. NULL: no memory; the reservation stays.
uint8_t *pool_take(struct pool *p);
void pool_give(struct pool *p, uint8_t *slot);
// A slot given back becomes a reservation again.
void pool_untake(struct pool *p, uint8_t *slot);
