// The event queue of a world: a 4-ary implicit heap of small values in the order (t, seq), never by address.
#pragma once
#include "base/env.h"

enum { QUEUE_EVENTS_MAX = 1 << 28 };

struct ev {
    nsec t;
    uint32_t seq;                       // order of pushing among equal t
    uint32_t kind;                      // enum ev_kind of the owner
    uint32_t a, b;
};

struct queue {
    struct ev *items;
    uint32_t n, cap;
    uint64_t pushed, popped;
    const struct mem *mem;
};

void queue_init(struct queue *q, const struct mem *mem);
void queue_done(struct queue *q);
// Runs out of memory by assertion: the lab's own memory is no input of the experiment.
void queue_push(struct queue *q, nsec t, uint32_t kind, uint32_t a, uint32_t b);
// NSEC_NEVER: empty.
nsec queue_next(const struct queue *q);
// The queue is not empty.
struct ev queue_pop(struct queue *q);
