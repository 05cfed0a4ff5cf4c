// What events to come will look at is fetched from memory while others are worked on. A host is looked at some times a second and
// the others are thousands: nearly all of it is far from the cache each time. A step follows one pointer, which the step before
// has fetched, so that nothing is waited for.
#include "sim/net.h"
#include "sim/stream.h"
#include "sim/warm.h"

#include "sim/task.h"

enum { STEP_ITEM, STEP_HOST, STEP_NODE, STEP_INSIDE };       // then the node's own
static_assert(STEP_INSIDE + NODE_WARM_STEPS <= QUEUE_SOON, "each step has its event");

enum { HOST_WARM_LEN = offsetof(struct host, started_at), CONN_HEAD_LEN = offsetof(struct conn, pipes) };

static void warm_node(const struct host *h, uint32_t conn, uint32_t step)
{
    if (step == STEP_NODE) {
        prefetch(h->node, NODE_WARM_LEN);
        idmap_warm(&h->conns, conn);
    } else if (step >= STEP_INSIDE && h->node != NULL) {
        node_warm(h->node, conn, step - STEP_INSIDE);
    }
}

static void warm_credits(const struct pipe *p)
{
    if (p->credits_n != 0)
        prefetch(&p->credits[p->credits_at], sizeof p->credits[0]);
}

// The event runs an end of a stream.
static void warm_stream(const struct world *w, const struct ev *ev, uint32_t step)
{
    const struct conn *c = slots_get(&w->conns, ev->a / 2);
    const struct pipe *p = &c->pipes[ev->a & 1];
    const struct end *to = &c->ends[1 - (ev->a & 1)];
    if (step == STEP_ITEM) {
        prefetch(c, offsetof(struct conn, from));       // what is answered goes by the other pipe
    } else if (step == STEP_HOST) {
        prefetch(to->host, HOST_WARM_LEN);
        prefetch(p->head, 2 * 64);
        warm_credits(&c->pipes[1 - (ev->a & 1)]);
    } else if (to->kind == END_NODE) {
        warm_node(to->host, to->id, step);
    }
}

static void warm_uplink(const struct world *w, const struct ev *ev, uint32_t step)
{
    const struct host *h = w->hosts[ev->a];
    if (step == STEP_ITEM) {
        prefetch(h, HOST_WARM_LEN);
        return;
    }
    const struct pipe *p = h->link.tx_pipe;
    if (p == NULL)
        return;
    if (step == STEP_HOST) {
        prefetch(p, sizeof *p);
    } else if (step == STEP_NODE) {
        warm_node(h, 0, step);
        prefetch(p->conn, CONN_HEAD_LEN);
        prefetch(p->cursor, 2 * 64);
        warm_credits(p);
    } else if (pipe_from(p)->kind == END_NODE) {
        warm_node(h, pipe_from(p)->id, step);
    }
}

static void warm_task(const struct world *w, const struct ev *ev, uint32_t step)
{
    const struct task *t = slots_get(&w->tasks, ev->a);
    if (step == STEP_ITEM)
        prefetch(t, sizeof *t);
    else if (step == STEP_HOST)
        prefetch(w->hosts[t->host], HOST_WARM_LEN);
    else
        warm_node(w->hosts[t->host], 0, step);
}

static void warm_dgram(const struct world *w, const struct ev *ev, uint32_t step)
{
    const struct dgram *d = slots_get(&w->dgrams, ev->a);
    if (step == STEP_ITEM)
        prefetch(d, 2 * 64);
    else if (step == STEP_HOST)
        prefetch(w->hosts[d->to], HOST_WARM_LEN);
    else
        warm_node(w->hosts[d->to], 0, step);
}

// The host whose tick is the next: a step with each event. Of its torrent it looks at all peers.
static void warm_tick(struct world *w)
{
    const struct heap_node *timer = heap_min(&w->timers);
    if (timer == NULL)
        return;
    const struct host *h = CONTAINER((struct heap_node *)(uintptr_t)timer, struct host, timer);
    if (h != w->warm_host) {
        w->warm_host = h;
        w->warm_step = STEP_HOST;
        prefetch(h, HOST_WARM_LEN);
    } else if (++w->warm_step < QUEUE_SOON) {
        warm_node(h, 0, w->warm_step);
    }
}

void warm(struct world *w)
{
    warm_tick(w);
    for (uint32_t i = 0; i < QUEUE_SOON; i++) {
        const struct ev *ev = queue_soon(&w->queue, i);
        const uint32_t step = QUEUE_SOON - 1 - i;
        if (ev == NULL)
            return;
        switch ((enum ev_kind)ev->kind) {
        case EV_ARRIVE:
        case EV_DELIVER:
        case EV_WAKE: warm_stream(w, ev, step); break;
        case EV_UPLINK: warm_uplink(w, ev, step); break;
        case EV_JOB: warm_task(w, ev, step); break;
        case EV_DGRAM_ARRIVE:
        case EV_DGRAM_DELIVER: warm_dgram(w, ev, step); break;
        case EV_SYN:
        case EV_SYNACK:
        case EV_FIN:
        case EV_RESET:
        case EV_RETRY:
        case EV_PUMP:
        case EV_FETCH:
        case EV_RESOLVED:
        case EV_MAPPED:
        case EV_SAVED:
        case EV_READ_FAILED:
        case EV_ACTION:
        case EV_VANISH:
        case EV_HOSTILE: break;         // seldom
        }
    }
}
