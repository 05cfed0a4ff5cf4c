// The event queue of a world: events in the order (t, seq), never by address.
//
// A calendar (Brown 1988): what comes within a second lies in buckets of a millisecond, unsorted; a bucket is sorted when its time
// comes. What is further off waits in a 4-ary implicit heap.
#pragma once
#include "base/env.h"

enum {
    QUEUE_EVENTS_MAX = 1 << 28,
    QUEUE_SOON = 8,                     // so many are known to be the next ones, while there are so many within
    QUEUE_AHEAD = 16,                   // so many buckets
    QUEUE_BUCKETS = 1024,
    QUEUE_BUCKET_BITS = 20,             // of ns: 1.05 ms
};

struct ev {
    nsec t;
    uint32_t seq;                       // order of pushing among equal t
    uint32_t kind;                      // enum ev_kind of the owner
    uint32_t a, b;
};

struct ev_list {
    struct ev *items;
    uint32_t n, cap;
};

struct queue {
    struct ev_list soon;                // sorted, from soon_at on; all before bucket `at`
    uint32_t soon_at;
    uint64_t at;                        // number of the first bucket: t >> QUEUE_BUCKET_BITS
    struct ev_list near[QUEUE_BUCKETS]; // buckets at … at + QUEUE_BUCKETS - 1, each at its number modulo that
    uint64_t full[QUEUE_BUCKETS / 64];  // bits: buckets that hold something
    uint32_t near_n;
    struct ev_list far;                 // the heap
    uint64_t pushed, popped;
    const struct mem *mem;
};

void queue_init(struct queue *q, const struct mem *mem);
void queue_done(struct queue *q);
// Runs out of memory by assertion: the lab's own memory is no input of the experiment.
void queue_push(struct queue *q, nsec t, uint32_t kind, uint32_t a, uint32_t b);
// The i-th of those to come, 0: what the next pop gives; NULL: not known so far ahead.
static inline const struct ev *queue_soon(const struct queue *q, uint32_t i)
{
    return i < q->soon.n - q->soon_at ? &q->soon.items[q->soon_at + i] : NULL;
}
// When the next one is; NSEC_NEVER: empty.
nsec queue_next(struct queue *q);
// The queue is not empty.
struct ev queue_pop(struct queue *q);
// Asks for another time of each event, not before `now`, which is not after any of them; those that get the same one keep their order.
void queue_retime(struct queue *q, nsec now, nsec (*time_of)(void *ctx, const struct ev *ev), void *ctx);
