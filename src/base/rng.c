// SplitMix64 streams: see rng.h. Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
#include "base/rng.h"

static const uint64_t GOLDEN = 0x9e3779b97f4a7c15;

uint64_t mix64(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
    v = (v ^ v >> 27) * 0x94d049bb133111eb;
    return v ^ v >> 31;
}

struct rng rng_make(uint64_t seed, uint64_t purpose)
{
    return (struct rng){.key = mix64(seed ^ mix64(purpose + GOLDEN))};
}

uint64_t rng_u64(struct rng *r)
{
    return mix64(r->key + GOLDEN * ++r->count);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    ASSERT(n != 0);
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n;     // refuse the uneven rest, so that all are equally likely
    uint64_t v = rng_u64(r);
    while (v >= limit)
        v = rng_u64(r);
    return v % n;
}

bool rng_chance(struct rng *r, uint64_t num, uint64_t den)
{
    return rng_below(r, den) < num;
}

void rng_bytes(struct rng *r, void *out, size_t n)
{
    uint8_t *p = out;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_u64(r);
}
