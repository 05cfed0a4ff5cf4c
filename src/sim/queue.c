// 4-ary heap of events: see queue.h. Four children share a cache line or two, so it is shallower and faster than two.
#include "sim/queue.h"

void queue_init(struct queue *q, const struct mem *mem) { *q = (struct queue){.mem = mem}; }

void queue_done(struct queue *q)
{
    mem_free(q->mem, q->items, q->cap * sizeof *q->items);
    *q = (struct queue){0};
}

static bool before(const struct ev *a, const struct ev *b)
{
    // Serial-number order: seq may wrap in a very long run, but never within one instant.
    return a->t != b->t ? a->t < b->t : (int32_t)(a->seq - b->seq) < 0;
}

void queue_push(struct queue *q, nsec t, uint32_t kind, uint32_t a, uint32_t b)
{
    ASSERT(t != NSEC_NEVER);
    void *items = q->items;
    const enum err e = mem_grow(q->mem, &items, &q->cap, q->n + 1, QUEUE_EVENTS_MAX, sizeof *q->items);
    q->items = items;
    ASSERT(e == ERR_OK);
    const struct ev fresh = {.t = t, .seq = (uint32_t)q->pushed++, .kind = kind, .a = a, .b = b};
    uint32_t i = q->n++;
    while (i > 0 && before(&fresh, &q->items[(i - 1) / 4])) {
        q->items[i] = q->items[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    q->items[i] = fresh;
}

nsec queue_next(const struct queue *q)
{
    return q->n == 0 ? NSEC_NEVER : q->items[0].t;
}

struct ev queue_pop(struct queue *q)
{
    ASSERT(q->n > 0);
    const struct ev top = q->items[0];
    const struct ev last = q->items[--q->n];
    q->popped++;
    uint32_t i = 0;
    for (;;) {
        const uint32_t first = 4 * i + 1, end = u32_min(first + 4, q->n);
        if (first >= q->n)
            break;
        uint32_t best = first;
        for (uint32_t c = first + 1; c < end; c++)
            if (before(&q->items[c], &q->items[best]))
                best = c;
        if (!before(&q->items[best], &last))
            break;
        q->items[i] = q->items[best];
        i = best;
    }
    q->items[i] = last;
    return top;
}
