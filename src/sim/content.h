// Content as a function: byte `off` of content `c` is computed, never stored. And its digests, each computed only once.
#pragma once
#include "base/map.h"
#include "codec/metainfo.h"
#include "sim/extent.h"

enum { CONTENT_DIGESTS_MAX = 1 << 24, CONTENT_RUN_MAX = 1 << 30 };

struct content {
    uint64_t seed;
    struct map sha1, leaves;            // digest steps already taken
    uint8_t *scratch;                   // BLOCK_LEN bytes
    uint64_t hashed_bytes;              // really hashed: misses of the cache
    const struct mem *mem;
};

MUST_USE enum err content_init(struct content *c, const struct mem *mem, uint64_t seed);
void content_done(struct content *c);
// The e->len bytes that e stands for. Taint changes every byte.
void content_bytes(const struct content *c, const struct extent *e, uint8_t *out);
// Feeds e's bytes (at most CONTENT_RUN_MAX) to a running SHA-1: the longer the runs, the fewer there are to look up.
void content_sha1(struct content *c, struct sha1 *run, const struct extent *e);
// SHA-256 of the bytes of n extents in a row, at most BLOCK_LEN together.
void content_leaf(struct content *c, const struct extent *e, uint32_t n, uint8_t out[SHA256_LEN]);
// Makes an extent of bytes that somebody wrote himself.
struct extent content_literal(struct slice bytes);
