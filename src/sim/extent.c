// Sorted runs of content: see extent.h.
#include "sim/extent.h"

enum { FEW = 2 };                       // a block on its way, or in its slot, is one run

void extents_done(struct extents *x, const struct mem *mem)
{
    mem_free(mem, x->items, x->cap * sizeof *x->items);
    *x = (struct extents){0};
}

// Index of the first run that ends behind pos.
static uint32_t first_behind(const struct extents *x, uint64_t pos)
{
    uint32_t low = 0, high = x->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (x->items[middle].pos + x->items[middle].len > pos)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool joins(const struct extent *a, const struct extent *b)
{
    return a->pos + a->len == b->pos && a->content == b->content && a->taint == b->taint && a->off + a->len == b->off;
}

static void append(struct extent fresh[3], uint32_t *n, struct extent e)
{
    if (e.content == CONTENT_ZERO)
        e.off = e.pos;                  // zeros continue each other wherever they come from
    if (*n > 0 && joins(&fresh[*n - 1], &e)) {
        fresh[*n - 1].len += e.len;
        return;
    }
    ASSERT(*n < 3);
    fresh[(*n)++] = e;
}

static struct extent cut(const struct extent *e, uint64_t pos, uint64_t end)
{
    ASSERT(pos >= e->pos);
    ASSERT(end <= e->pos + e->len);
    return (struct extent){.pos = pos, .len = end - pos, .off = e->off + (pos - e->pos), .content = e->content, .taint = e->taint};
}

// Replaces items i … j-1 by the n of fresh.
static void splice(struct extents *x, const struct mem *mem, uint32_t i, uint32_t j, const struct extent *fresh, uint32_t n)
{
    const uint32_t want = x->n - (j - i) + n;
    void *items = x->items;
    if (x->cap == 0 && want <= FEW && (items = mem_zarray(mem, FEW, sizeof *x->items)) != NULL)
        x->cap = FEW;
    const enum err e = mem_grow(mem, &items, &x->cap, want, EXTENTS_MAX, sizeof *x->items);
    ASSERT(e == ERR_OK);
    x->items = items;
    if (i + n != j)
        memmove(&x->items[i + n], &x->items[j], (x->n - j) * sizeof *x->items);
    for (uint32_t k = 0; k < n; k++)
        x->items[i + k] = fresh[k];
    x->n = want;
}

void extents_put(struct extents *x, const struct mem *mem, const struct extent *e)
{
    ASSERT(e->len > 0);
    const uint64_t end = e->pos + e->len;
    uint32_t i = first_behind(x, e->pos), j = i;
    while (j < x->n && x->items[j].pos < end)
        j++;
    struct extent fresh[3];
    uint32_t n = 0;
    if (j > i && x->items[i].pos < e->pos)
        append(fresh, &n, cut(&x->items[i], x->items[i].pos, e->pos));
    else if (i > 0 && e->content != CONTENT_NONE && x->items[i - 1].pos + x->items[i - 1].len == e->pos)
        append(fresh, &n, x->items[--i]);
    if (e->content != CONTENT_NONE)
        append(fresh, &n, *e);
    const struct extent *last = j > i ? &x->items[j - 1] : NULL;
    if (last != NULL && last->pos + last->len > end)
        append(fresh, &n, cut(last, end, last->pos + last->len));
    else if (j < x->n && n > 0 && joins(&fresh[n - 1], &x->items[j]))
        append(fresh, &n, x->items[j++]);
    splice(x, mem, i, j, fresh, n);
}

struct extent extents_at(const struct extents *x, uint64_t pos, uint64_t len)
{
    ASSERT(len > 0);
    const uint32_t i = first_behind(x, pos);
    if (i == x->n || x->items[i].pos >= pos + len)
        return (struct extent){.pos = pos, .len = len, .content = CONTENT_NONE};
    const struct extent *e = &x->items[i];
    if (e->pos > pos)
        return (struct extent){.pos = pos, .len = e->pos - pos, .content = CONTENT_NONE};
    return cut(e, pos, u64_min(e->pos + e->len, pos + len));
}

uint64_t extents_bytes(const struct extents *x)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < x->n; i++)
        sum += x->items[i].len;
    return sum;
}

void extents_clear(struct extents *x) { x->n = 0; }

void extents_copy(struct extents *x, const struct mem *mem, const struct extents *from)
{
    x->n = 0;
    if (from->n > 0)
        splice(x, mem, 0, 0, from->items, from->n);
}

void extents_merge(struct extents *x, const struct mem *mem, const struct extents *from)
{
    for (uint32_t i = 0; i < from->n; i++)
        extents_put(x, mem, &from->items[i]);
}

bool extents_equal(const struct extents *x, uint64_t pos, uint64_t len, uint32_t content, uint64_t off)
{
    while (len > 0) {
        const struct extent e = extents_at(x, pos, len);
        if (e.content != content || e.taint != 0 || e.off != off)
            return false;
        pos += e.len;
        off += e.len;
        len -= e.len;
    }
    return true;
}
