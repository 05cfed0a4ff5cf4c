// The vocabulary of every file: exact-width types, time, assertions, checked narrowing.
#pragma once
#undef NDEBUG
#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

// Nanoseconds. As a point in time: monotonic, from an arbitrary start. NSEC_NEVER: no deadline.
typedef uint64_t nsec;

#define NSEC_NEVER UINT64_MAX
#define NSEC_US ((nsec)1000)
#define NSEC_MS ((nsec)1000000)
#define NSEC_S ((nsec)1000000000)

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define MUST_USE __attribute__((warn_unused_result))
#define FORMAT(fmt, args) __attribute__((format(__printf__, fmt, args)))

// For bugs only (a caller's error, a broken invariant); stays on in release builds. No side effects.
#define ASSERT(x) assert(x)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

// The struct that holds `member` at `ptr`.
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline uint64_t u64_min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t u64_max(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint32_t u32_min(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t u32_max(uint32_t a, uint32_t b) { return a > b ? a : b; }
static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

// Narrowing that is a bug if it loses bits.
static inline uint8_t u8_of(uint64_t v) { ASSERT(v <= UINT8_MAX); return (uint8_t)v; }
static inline uint16_t u16_of(uint64_t v) { ASSERT(v <= UINT16_MAX); return (uint16_t)v; }
static inline uint32_t u32_of(uint64_t v) { ASSERT(v <= UINT32_MAX); return (uint32_t)v; }

// a / b rounded up; b > 0.
static inline uint64_t u64_div_up(uint64_t a, uint64_t b) { ASSERT(b != 0); return a / b + (a % b != 0); }

// a + b, UINT64_MAX where it would overflow: adding to NSEC_NEVER stays never.
static inline uint64_t u64_add_sat(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

// The bigger of 0 and a - b.
static inline uint64_t u64_sub_sat(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// Asks for n bytes to be fetched from memory meanwhile; changes nothing, any address will do, NULL too.
static inline void prefetch(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + i));
}
