// Numbers for things that events refer to: a table of pointers whose free places are reused, newest first.
#pragma once
#include "base/env.h"

enum { SLOTS_MAX = 1 << 26 };

struct slots {
    void **items;
    uint32_t *spare;
    uint32_t n, cap, free_n, free_cap;
    const struct mem *mem;
};

void slots_init(struct slots *s, const struct mem *mem);
void slots_done(struct slots *s);
// The number of item (not NULL) until slots_remove. Out of memory is an assertion.
uint32_t slots_add(struct slots *s, void *item);
// NULL: no such number now.
static inline void *slots_get(const struct slots *s, uint32_t i) { return i < s->n ? s->items[i] : NULL; }
void slots_remove(struct slots *s, uint32_t i);

// From the number that an engine uses to ours: open addressing, never walked.
struct idmap {
    struct idmap_entry {
        uint32_t key, value;            // key 0: empty
    } *items;
    uint32_t n, cap;                    // cap: a power of two
    const struct mem *mem;
};

void idmap_init(struct idmap *m, const struct mem *mem);
void idmap_done(struct idmap *m);
// key is not 0 and not there yet.
void idmap_put(struct idmap *m, uint32_t key, uint32_t value);
bool idmap_get(const struct idmap *m, uint32_t key, uint32_t *out);
// Fetches the place of a key, for an idmap_get to come.
void idmap_warm(const struct idmap *m, uint32_t key);
// Harmless for a key that is not there.
void idmap_remove(struct idmap *m, uint32_t key);
