// Which content lies where: sorted runs (content, offset, taint) in place of bytes. The lab's disks and buffers are made of it.
#pragma once
#include "base/env.h"

// What a run is made of; CONTENT_FIRST and up are numbered by the world.
enum {
    CONTENT_NONE = 0,                   // a hole: never written; reads as zeros
    CONTENT_ZERO = 1,
    CONTENT_LITERAL = 2,                // bytes of somebody's own making; taint is their hash. Never equals a content
    CONTENT_FIRST = 8,
};

enum { EXTENTS_MAX = 1 << 24 };

struct extent {
    uint64_t pos, len;                  // where it lies, bytes
    uint64_t off;                       // where in the content
    uint32_t content;
    uint32_t taint;                     // not 0: changed bytes, see content.h
};

// Disjoint, sorted by pos, neighbours that continue each other joined.
struct extents {
    struct extent *items;
    uint32_t n, cap;
};

void extents_done(struct extents *x, const struct mem *mem);
// Overwrites e's range with e; CONTENT_NONE punches a hole. e->len > 0. Out of memory is an assertion.
void extents_put(struct extents *x, const struct mem *mem, const struct extent *e);
// What begins at pos, at most len bytes of it (len > 0): part of one run, or of one hole.
struct extent extents_at(const struct extents *x, uint64_t pos, uint64_t len);
// Bytes that are not holes.
uint64_t extents_bytes(const struct extents *x);
// Replaces x by a copy of from.
void extents_copy(struct extents *x, const struct mem *mem, const struct extents *from);
void extents_clear(struct extents *x);
// Adds all ranges of from to x (used as sets of ranges).
void extents_merge(struct extents *x, const struct mem *mem, const struct extents *from);
// True if exactly the bytes pos … pos+len are content's from off on, without taint.
bool extents_equal(const struct extents *x, uint64_t pos, uint64_t len, uint32_t content, uint64_t off);

// Whether the bytes of b are those that follow a's. Of zeros all do.
static inline bool extent_continues(const struct extent *a, const struct extent *b)
{
    const bool zero = a->content == CONTENT_ZERO || a->content == CONTENT_NONE;
    return a->content == b->content && a->taint == b->taint && (zero || a->off + a->len == b->off);
}

// A range as a set: content does not matter.
static inline struct extent extent_range(uint64_t pos, uint64_t len)
{
    return (struct extent){.pos = pos, .len = len, .off = pos, .content = CONTENT_ZERO};
}
