// What an engine gets from its host: memory, randomness, a log. Nothing else reaches it but its arguments.
#pragma once
#include "base/bytes.h"
#include "base/rare.h"
#include "base/rng.h"

// An allocator. `resize(ctx, NULL, 0, n)` allocates, `resize(ctx, p, old, 0)` frees; NULL when it cannot.
struct mem {
    void *(*resize)(void *ctx, void *p, size_t old_n, size_t new_n);
    void *ctx;
};

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log {
    void (*line)(void *ctx, enum log_level level, const char *text);
    void *ctx;
    enum log_level level;               // lines below it are not formatted
};

// Lent by the host for the life of the engine. `payload` hands out page-aligned memory for content; in the
// simulator it may be memory that must not be read, see docs/ARCHITECTURE.md.
struct env {
    const struct mem *mem;
    const struct mem *payload;
    const struct log *log;
    struct rare *rare;                  // NULL: outside of the laboratory
    uint64_t seed;                      // every engine makes its own streams from it: rng_make(seed, PURPOSE)
};

// n zeroed bytes, or NULL. mem_free wants the same n.
void *mem_zalloc(const struct mem *m, size_t n);
void mem_free(const struct mem *m, void *p, size_t n);
// count elements of size bytes, zeroed; NULL also if the product overflows.
void *mem_zarray(const struct mem *m, size_t count, size_t size);

// Grows *items (elements of `size` bytes) to hold `want`, doubling from 8; new space is zeroed.
// ERR_FULL: want > max; ERR_NOMEM.
MUST_USE enum err mem_grow(const struct mem *m, void **items, uint32_t *cap, uint32_t want, uint32_t max, size_t size);

// Formats one line of at most 256 bytes; longer ones are cut.
void log_line(const struct log *l, enum log_level level, const char *fmt, ...) FORMAT(3, 4);
