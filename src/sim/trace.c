// The trace of a world: see trace.h.
#include "sim/trace.h"

static_assert(sizeof(struct trace_record) == 32, "a record has no padding");

static const uint64_t STEP = 0x9fb21c651e98df25;        // an odd constant with many bits set

enum err trace_init(struct trace *t, const struct mem *mem, uint32_t ring_n)
{
    ASSERT(ring_n != 0);
    ASSERT((ring_n & (ring_n - 1)) == 0);
    struct trace_record *ring = mem_zarray(mem, ring_n, sizeof *ring);
    if (ring == NULL)
        return ERR_NOMEM;
    *t = (struct trace){.hash = STEP, .ring = ring, .ring_n = ring_n, .mem = mem};
    return ERR_OK;
}

void trace_done(struct trace *t)
{
    mem_free(t->mem, t->ring, t->ring_n * sizeof *t->ring);
    *t = (struct trace){0};
}

static uint64_t absorb(uint64_t h, uint64_t word)
{
    h = (h ^ word) * STEP;
    return h ^ h >> 29;
}

void trace_add(struct trace *t, const struct trace_record *r)
{
    ASSERT(r->type < TRACE_TYPES);
    uint64_t h = absorb(t->hash, r->t);
    h = absorb(h, (uint64_t)r->node << 32 | (uint64_t)r->type << 16 | r->sub);
    h = absorb(h, r->a);
    t->hash = absorb(h, r->b);
    t->ring[t->count & (t->ring_n - 1)] = *r;
    t->count++;
    if (t->sink != NULL)
        t->sink(t->sink_ctx, r);
}

uint32_t trace_kept(const struct trace *t)
{
    return (uint32_t)u64_min(t->count, t->ring_n);
}

const struct trace_record *trace_last(const struct trace *t, uint32_t i)
{
    const uint32_t kept = trace_kept(t);
    if (i >= kept)
        return NULL;
    return &t->ring[(t->count - kept + i) & (t->ring_n - 1)];
}

static const char *const names[TRACE_TYPES] = {
    [TRACE_NONE] = "none", [TRACE_START] = "start", [TRACE_END] = "end", [TRACE_TICK] = "tick",
    [TRACE_CONNECT] = "connect", [TRACE_ACCEPT] = "accept", [TRACE_CONNECTED] = "connected",
    [TRACE_SEND] = "send", [TRACE_SENT] = "sent", [TRACE_RX] = "rx", [TRACE_CLOSE] = "close",
    [TRACE_CLOSED] = "closed", [TRACE_LOST] = "lost", [TRACE_DGRAM_TX] = "dgram-tx", [TRACE_DGRAM_RX] = "dgram-rx",
    [TRACE_JOB] = "job", [TRACE_JOB_DONE] = "job-done", [TRACE_FETCH] = "fetch", [TRACE_FETCHED] = "fetched",
    [TRACE_RESOLVE] = "resolve", [TRACE_SAVE] = "save", [TRACE_SAVED] = "saved", [TRACE_EVENT] = "event",
    [TRACE_ACTION] = "action", [TRACE_HOSTILE] = "hostile", [TRACE_CRASH_PAGE] = "crash-page",
};

const char *trace_name(enum trace_type type)
{
    ASSERT(type < TRACE_TYPES);
    return names[type];
}

void trace_line(const struct trace_record *r, struct wr *w)
{
    wr_fmt(w, "%6llu.%06llu n%u %s/%u %llu %llu", (unsigned long long)(r->t / NSEC_S),
        (unsigned long long)(r->t % NSEC_S / NSEC_US), r->node, names[r->type], (unsigned)r->sub,
        (unsigned long long)r->a, (unsigned long long)r->b);
}
