// A set of IP addresses as sorted ranges: 8 bytes for each of IPv4, 32 for IPv6. Filled once, then asked many times.
#pragma once
#include "base/addr.h"
#include "base/env.h"

enum { RANGES_MAX = 1 << 20 };          // of each family

struct range4 {
    uint32_t from, to;                  // inclusive
};

struct range6 {
    uint8_t from[16], to[16];
};

struct ranges {
    const struct mem *mem;
    struct range4 *v4;
    struct range6 *v6;
    uint32_t v4_n, v4_cap, v6_n, v6_cap;
    bool sorted;
};

void ranges_init(struct ranges *r, const struct mem *mem);
void ranges_done(struct ranges *r);
// from … to, inclusive; ports do not count. ERR_RANGE: other families, or to is below from; ERR_FULL; ERR_NOMEM.
MUST_USE enum err ranges_add(struct ranges *r, const struct addr *from, const struct addr *to);
// Sorts, joins what overlaps or touches, gives spare memory back. ranges_add is over then. ERR_NOMEM: as before.
MUST_USE enum err ranges_finish(struct ranges *r);
// After ranges_finish. O(log n).
bool ranges_has(const struct ranges *r, const struct addr *a);
// Bytes of memory.
size_t ranges_bytes(const struct ranges *r);
