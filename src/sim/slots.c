// Tables of numbers: see slots.h.
#include "sim/slots.h"

void slots_init(struct slots *s, const struct mem *mem) { *s = (struct slots){.mem = mem}; }

void slots_done(struct slots *s)
{
    mem_free(s->mem, s->items, s->cap * sizeof *s->items);
    mem_free(s->mem, s->spare, s->free_cap * sizeof *s->spare);
    *s = (struct slots){0};
}

uint32_t slots_add(struct slots *s, void *item)
{
    ASSERT(item != NULL);
    if (s->free_n > 0) {
        const uint32_t i = s->spare[--s->free_n];
        s->items[i] = item;
        return i;
    }
    void *items = s->items;
    const enum err e = mem_grow(s->mem, &items, &s->cap, s->n + 1, SLOTS_MAX, sizeof *s->items);
    ASSERT(e == ERR_OK);
    s->items = items;
    s->items[s->n] = item;
    return s->n++;
}

void slots_remove(struct slots *s, uint32_t i)
{
    ASSERT(i < s->n);
    ASSERT(s->items[i] != NULL);
    s->items[i] = NULL;
    void *items = s->spare;
    const enum err e = mem_grow(s->mem, &items, &s->free_cap, s->free_n + 1, SLOTS_MAX, sizeof *s->spare);
    ASSERT(e == ERR_OK);
    s->spare = items;
    s->spare[s->free_n++] = i;
}

enum { IDMAP_MIN = 16 };

void idmap_init(struct idmap *m, const struct mem *mem) { *m = (struct idmap){.mem = mem}; }

void idmap_done(struct idmap *m)
{
    mem_free(m->mem, m->items, m->cap * sizeof *m->items);
    *m = (struct idmap){0};
}

// Where key is, or the empty place where it would go.
static uint32_t place(const struct idmap *m, uint32_t key)
{
    uint32_t i = (uint32_t)mix64(key) & (m->cap - 1);
    while (m->items[i].key != 0 && m->items[i].key != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void grow(struct idmap *m)
{
    const struct idmap old = *m;
    m->cap = old.cap == 0 ? IDMAP_MIN : old.cap * 2;
    m->items = mem_zarray(m->mem, m->cap, sizeof *m->items);
    ASSERT(m->items != NULL);
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.items[i].key != 0)
            m->items[place(m, old.items[i].key)] = old.items[i];
    mem_free(old.mem, old.items, old.cap * sizeof *old.items);
}

void idmap_put(struct idmap *m, uint32_t key, uint32_t value)
{
    ASSERT(key != 0);
    if (m->n * 2 >= m->cap)
        grow(m);
    const uint32_t i = place(m, key);
    ASSERT(m->items[i].key == 0);
    m->items[i] = (struct idmap_entry){key, value};
    m->n++;
}

bool idmap_get(const struct idmap *m, uint32_t key, uint32_t *out)
{
    if (m->n == 0 || key == 0)
        return false;
    const uint32_t i = place(m, key);
    if (m->items[i].key == 0)
        return false;
    *out = m->items[i].value;
    return true;
}

void idmap_warm(const struct idmap *m, uint32_t key)
{
    if (m->cap != 0)
        prefetch(&m->items[(uint32_t)mix64(key) & (m->cap - 1)], 1);
}

void idmap_remove(struct idmap *m, uint32_t key)
{
    if (m->n == 0 || key == 0)
        return;
    uint32_t hole = place(m, key);
    if (m->items[hole].key == 0)
        return;
    m->n--;
    m->items[hole] = (struct idmap_entry){0};
    // Those behind it that had to walk past it come forward.
    for (uint32_t i = (hole + 1) & (m->cap - 1); m->items[i].key != 0; i = (i + 1) & (m->cap - 1)) {
        const struct idmap_entry moved = m->items[i];
        m->items[i] = (struct idmap_entry){0};
        m->items[place(m, moved.key)] = moved;
    }
}
