// Randomness that repeats: one counter-based stream (SplitMix64) per engine and purpose. Not for keys.
#pragma once
#include "base/base.h"

struct rng {
    uint64_t key, count;
};

// The finaliser of SplitMix64: a good 64-bit mixing function.
uint64_t mix64(uint64_t v);

// A stream of its own for (seed, purpose): drawing from one never moves another.
struct rng rng_make(uint64_t seed, uint64_t purpose);
uint64_t rng_u64(struct rng *r);
// Uniform in 0 … n-1; n > 0.
uint64_t rng_below(struct rng *r, uint64_t n);
// True `num` times out of `den`.
bool rng_chance(struct rng *r, uint64_t num, uint64_t den);
void rng_bytes(struct rng *r, void *out, size_t n);
