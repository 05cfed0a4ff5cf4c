// See queue.h.
#include "sim/queue.h"

enum { WORD_BITS = 64 };

void queue_init(struct queue *q, const struct mem *mem) { *q = (struct queue){.mem = mem}; }

static void list_done(const struct queue *q, struct ev_list *l) { mem_free(q->mem, l->items, l->cap * sizeof *l->items); }

void queue_done(struct queue *q)
{
    for (uint32_t i = 0; i < QUEUE_BUCKETS; i++)
        list_done(q, &q->near[i]);
    list_done(q, &q->soon);
    list_done(q, &q->far);
    *q = (struct queue){0};
}

static bool before(const struct ev *a, const struct ev *b)
{
    // Serial-number order: seq may wrap in a very long run, but never within one instant.
    return a->t != b->t ? a->t < b->t : (int32_t)(a->seq - b->seq) < 0;
}

static uint64_t bucket_of(nsec t) { return t >> QUEUE_BUCKET_BITS; }

// One more place at the end.
static struct ev *add(struct queue *q, struct ev_list *l)
{
    if (l->n == l->cap) {
        void *items = l->items;
        const enum err e = mem_grow(q->mem, &items, &l->cap, l->n + 1, QUEUE_EVENTS_MAX, sizeof *l->items);
        ASSERT(e == ERR_OK);
        l->items = items;
    }
    return &l->items[l->n++];
}

// ---- the heap. Four children share a cache line or two, so it is shallower and faster than two.

static void far_push(struct queue *q, const struct ev *fresh)
{
    (void)add(q, &q->far);
    struct ev *items = q->far.items;
    uint32_t i = q->far.n - 1;
    while (i > 0 && before(fresh, &items[(i - 1) / 4])) {
        items[i] = items[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    items[i] = *fresh;
}

static struct ev far_pop(struct queue *q)
{
    struct ev *items = q->far.items;
    const struct ev top = items[0], last = items[--q->far.n];
    uint32_t i = 0;
    for (;;) {
        const uint32_t first = 4 * i + 1, end = u32_min(first + 4, q->far.n);
        if (first >= q->far.n)
            break;
        uint32_t best = first;
        for (uint32_t c = first + 1; c < end; c++)
            if (before(&items[c], &items[best]))
                best = c;
        if (!before(&items[best], &last))
            break;
        items[i] = items[best];
        i = best;
    }
    items[i] = last;
    return top;
}

// ---- the calendar

static void near_push(struct queue *q, const struct ev *ev)
{
    const uint32_t i = bucket_of(ev->t) % QUEUE_BUCKETS;
    *add(q, &q->near[i]) = *ev;
    q->full[i / WORD_BITS] |= (uint64_t)1 << i % WORD_BITS;
    q->near_n++;
}

// Into what is sorted; late ones are the rule, so from behind.
static void soon_push(struct queue *q, const struct ev *fresh)
{
    (void)add(q, &q->soon);
    uint32_t i = q->soon.n - 1;
    for (; i > q->soon_at && before(fresh, &q->soon.items[i - 1]); i--)
        q->soon.items[i] = q->soon.items[i - 1];
    q->soon.items[i] = *fresh;
}

void queue_push(struct queue *q, nsec t, uint32_t kind, uint32_t a, uint32_t b)
{
    ASSERT(t != NSEC_NEVER);
    const struct ev fresh = {.t = t, .seq = (uint32_t)q->pushed++, .kind = kind, .a = a, .b = b};
    const uint64_t bucket = bucket_of(t);
    if (bucket < q->at)
        soon_push(q, &fresh);
    else if (bucket - q->at < QUEUE_BUCKETS)
        near_push(q, &fresh);
    else
        far_push(q, &fresh);
}

// The first bucket from `at` on that holds something; there is one.
static uint64_t next_full(const struct queue *q)
{
    const uint32_t start = q->at % QUEUE_BUCKETS;
    uint64_t word = q->full[start / WORD_BITS] & (UINT64_MAX << start % WORD_BITS);
    for (uint32_t k = 0; k <= QUEUE_BUCKETS / WORD_BITS; k++) {
        const uint32_t w = (start / WORD_BITS + k) % (QUEUE_BUCKETS / WORD_BITS);
        if (k != 0)
            word = q->full[w];
        if (word != 0)
            return q->at + (w * WORD_BITS + (uint32_t)__builtin_ctzll(word) - start) % QUEUE_BUCKETS;
    }
    ASSERT(false);
    return 0;
}

// The calendar begins at `bucket` now.
static void turn_to(struct queue *q, uint64_t bucket)
{
    q->at = bucket;
    while (q->far.n != 0 && bucket_of(q->far.items[0].t) - q->at < QUEUE_BUCKETS) {
        const struct ev ev = far_pop(q);
        near_push(q, &ev);
    }
}

// Shell's sort with Ciura's gaps: a bucket holds some ten, or thousands where a hundred thousand hosts do the same thing.
static void sort(struct ev *items, uint32_t n)
{
    static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < ARRAY_LEN(gaps); g++) {
        const uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < n; i++) {
            const struct ev ev = items[i];
            uint32_t k = i;
            for (; k >= gap && before(&ev, &items[k - gap]); k -= gap)
                items[k] = items[k - gap];
            items[k] = ev;
        }
    }
}

// The next bucket, sorted, goes behind what is sorted.
static void open_bucket(struct queue *q)
{
    if (q->near_n == 0)
        turn_to(q, bucket_of(q->far.items[0].t));
    const uint64_t bucket = next_full(q);
    const uint32_t i = bucket % QUEUE_BUCKETS;
    struct ev_list *l = &q->near[i];
    sort(l->items, l->n);
    for (uint32_t k = 0; k < l->n; k++)
        soon_push(q, &l->items[k]);
    q->near_n -= l->n;
    l->n = 0;
    q->full[i / WORD_BITS] &= ~((uint64_t)1 << i % WORD_BITS);
    turn_to(q, bucket + 1);
}

// What is pushed before `at` has to be sorted in at once. So it may be ahead of the next event a little only: nothing to open yet.
static bool is_ahead(const struct queue *q)
{
    if (q->soon_at == q->soon.n)
        return false;
    return q->near_n == 0 || next_full(q) > bucket_of(q->soon.items[q->soon_at].t) + QUEUE_AHEAD;
}

// Whoever asks for the next gets to know those behind it, too.
static void look_ahead(struct queue *q)
{
    while (q->soon.n - q->soon_at < QUEUE_SOON && (q->near_n != 0 || q->far.n != 0) && !is_ahead(q)) {
        if (q->soon_at != 0) {
            q->soon.n -= q->soon_at;
            memmove(q->soon.items, q->soon.items + q->soon_at, q->soon.n * sizeof *q->soon.items);
            q->soon_at = 0;
        }
        open_bucket(q);
    }
}

nsec queue_next(struct queue *q)
{
    look_ahead(q);
    return q->soon_at == q->soon.n ? NSEC_NEVER : q->soon.items[q->soon_at].t;
}

struct ev queue_pop(struct queue *q)
{
    look_ahead(q);
    ASSERT(q->soon_at < q->soon.n);
    q->popped++;
    return q->soon.items[q->soon_at++];
}

void queue_retime(struct queue *q, nsec now, nsec (*time_of)(void *ctx, const struct ev *ev), void *ctx)
{
    const uint32_t n = u32_of(q->pushed - q->popped);
    struct ev *all = mem_zarray(q->mem, n, sizeof *all);
    ASSERT(n == 0 || all != NULL);
    for (uint32_t i = 0; i < n; i++)
        all[i] = queue_pop(q);
    q->soon.n = q->soon_at = 0;
    q->at = bucket_of(now);
    for (uint32_t i = 0; i < n; i++) {
        const nsec t = time_of(ctx, &all[i]);
        ASSERT(t >= now);
        queue_push(q, t, all[i].kind, all[i].a, all[i].b);
    }
    mem_free(q->mem, all, n * sizeof *all);
}
