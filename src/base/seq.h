// Sequence numbers that wrap.
#pragma once
#include "base/base.h"

static inline bool seq16_lt(uint16_t a, uint16_t b) { return (uint16_t)(a - b) >= 0x8000; }

// The number nearest to `near` whose low 16 bits are `wire`: one that never wraps, for inside. near >= 0x8000.
static inline uint64_t seq16_unwrap(uint64_t near, uint16_t wire)
{
    ASSERT(near >= 0x8000);
    const uint16_t ahead = (uint16_t)(wire - (uint16_t)near);
    return ahead < 0x8000 ? near + ahead : near - (0x10000u - ahead);
}
