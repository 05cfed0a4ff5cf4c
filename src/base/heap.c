// Binary heap of deadlines: see heap.h.
#include "base/heap.h"

void heap_init(struct heap *h, const struct mem *mem, uint32_t max)
{
    *h = (struct heap){.mem = mem, .max = max};
}

void heap_done(struct heap *h)
{
    mem_free(h->mem, h->items, h->cap * sizeof *h->items);
    *h = (struct heap){0};
}

static bool before(const struct heap_item *a, const struct heap_item *b)
{
    return a->at != b->at ? a->at < b->at : a->id < b->id;
}

static void put(struct heap *h, uint32_t i, const struct heap_item *item)
{
    h->items[i] = *item;
    item->node->index = i + 1;
}

static void sift_up(struct heap *h, uint32_t i, struct heap_item item)
{
    while (i > 0 && before(&item, &h->items[(i - 1) / 2])) {
        put(h, i, &h->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, &item);
}

static void sift_down(struct heap *h, uint32_t i, struct heap_item item)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!before(&h->items[child], &item))
            break;
        put(h, i, &h->items[child]);
        i = child;
    }
    put(h, i, &item);
}

static struct heap_item item_of(struct heap_node *n) { return (struct heap_item){n->at, n->id, n}; }

enum err heap_set(struct heap *h, struct heap_node *n, nsec at)
{
    if (at == NSEC_NEVER) {
        heap_remove(h, n);
        return ERR_OK;
    }
    if (n->index == 0) {
        void *items = h->items;
        const enum err e = mem_grow(h->mem, &items, &h->cap, h->n + 1, h->max, sizeof *h->items);
        h->items = items;
        if (e != ERR_OK)
            return e;
        n->at = at;
        sift_up(h, h->n++, item_of(n));
        return ERR_OK;
    }
    if (at == n->at)
        return ERR_OK;
    const bool earlier = at < n->at;
    n->at = at;
    if (earlier)
        sift_up(h, n->index - 1, item_of(n));
    else
        sift_down(h, n->index - 1, item_of(n));
    return ERR_OK;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->index == 0)
        return;
    const uint32_t i = n->index - 1;
    ASSERT(i < h->n);
    ASSERT(h->items[i].node == n);
    n->index = 0;
    const struct heap_item last = h->items[--h->n];
    if (last.node == n)
        return;
    if (i > 0 && before(&last, &h->items[(i - 1) / 2]))
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->n == 0 ? NULL : h->items[0].node;
}
