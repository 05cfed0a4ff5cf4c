// See bloom.h.
#include "codec/bloom.h"

#include "base/bits.h"
#include "crypto/hash.h"

enum { BLOOM_COUNT_MAX = 6000 };

void bloom_add(uint8_t filter[BLOOM_LEN], const struct addr *a)
{
    uint8_t h[SHA1_LEN];
    sha1_of(addr_ip(a), h);
    // Two indices of 11 bits, little-endian; bit i is bit i % 8, from the lowest, of byte i / 8.
    for (uint32_t k = 0; k < 2; k++) {
        const uint32_t i = (h[2 * k] | (uint32_t)h[2 * k + 1] << 8) % BLOOM_BITS;
        filter[i / 8] = (uint8_t)(filter[i / 8] | 1 << i % 8);
    }
}

void bloom_merge(uint8_t filter[BLOOM_LEN], const uint8_t other[BLOOM_LEN])
{
    for (uint32_t i = 0; i < BLOOM_LEN; i++)
        filter[i] |= other[i];
}

// log2(v / 2048) as a positive number of 2^-32, for 1 <= v <= 2048: bit by bit, by squaring.
static uint64_t log2_below(uint32_t v)
{
    uint64_t whole = 0, x = (uint64_t)v << 20, part = 0;       // x: v / 2048 as 1.31 bits
    while (x < (uint64_t)1 << 31) {
        x <<= 1;
        whole++;
    }
    for (uint32_t i = 0; i < 32; i++) {
        x = x * x >> 31;
        part <<= 1;
        if (x >= (uint64_t)1 << 32) {
            x >>= 1;
            part |= 1;
        }
    }
    return (whole << 32) - part;
}

uint32_t bloom_count(const uint8_t filter[BLOOM_LEN])
{
    const uint32_t zeros = BLOOM_BITS - u32_of(bits_count(filter, BLOOM_BITS));
    if (zeros == 0)
        return BLOOM_COUNT_MAX;
    // BEP 33: ln(zeros / m) / (2 ln(1 - 1/m)), m = 2048; the same with log2, and -2 log2(1 - 1/m) * 2^32 is 6052579 and a bit.
    const uint64_t n = (log2_below(zeros) + 3026289) / 6052579;
    return (uint32_t)u64_min(n, BLOOM_COUNT_MAX);
}
