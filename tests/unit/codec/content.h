// The content that bep52_merkle.json is about, and its leaves. For tests only.
#pragma once
#include "crypto/hash.h"
#include "vectors.h"

static inline void content_fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) * 31);
}

static inline void content_leaf(const uint8_t *p, uint64_t len, uint64_t i, uint8_t out[32])
{
    const uint64_t from = i * 16384;
    sha256_of(slice_of(p + from, (size_t)(len - from < 16384 ? len - from : 16384)), out);
}
