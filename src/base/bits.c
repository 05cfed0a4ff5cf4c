// Bit sets: see bits.h.
#include "base/bits.h"

uint64_t bits_count(const uint8_t *b, uint64_t n)
{
    uint64_t count = 0;
    uint64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t word;
        memcpy(&word, b + i / 8, sizeof word);
        count += (uint64_t)__builtin_popcountll(word);
    }
    for (; i < n; i++)
        count += bits_get(b, i);
    return count;
}

void bits_fill(uint8_t *b, uint64_t n)
{
    if (n == 0)
        return;
    memset(b, 0xff, bits_bytes(n));
    if (n % 8 != 0)
        b[n / 8] = (uint8_t)(0xff << (8 - n % 8));
}
