// A bit set in BEP 3's order: bit 0 is the highest bit of byte 0, so that a bitfield is its own wire form.
#pragma once
#include "base/bytes.h"

static inline size_t bits_bytes(uint64_t n) { return (size_t)(n / 8 + (n % 8 != 0)); }
static inline bool bits_get(const uint8_t *b, uint64_t i) { return b[i / 8] >> (7 - i % 8) & 1; }
static inline void bits_set(uint8_t *b, uint64_t i) { b[i / 8] = (uint8_t)(b[i / 8] | 0x80 >> i % 8); }
static inline void bits_clear(uint8_t *b, uint64_t i) { b[i / 8] = (uint8_t)(b[i / 8] & ~(0x80 >> i % 8)); }
// How many of the first n bits are set.
uint64_t bits_count(const uint8_t *b, uint64_t n);
// Sets the first n bits and clears the spare ones of the last byte.
void bits_fill(uint8_t *b, uint64_t n);
