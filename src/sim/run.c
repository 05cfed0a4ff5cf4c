// The clock of a world: one event after the other. See world.h.
#include "sim/fetch.h"
#include "sim/host_int.h"
#include "sim/hostile.h"
#include "sim/job.h"
#include "sim/net.h"
#include "sim/oracle.h"
#include "sim/stream.h"
#include "sim/warm.h"

// An action begins, or the time of one is over.
static void act(struct world *w, uint32_t index, bool undo)
{
    const struct action a = w->actions[index];          // a copy: actions may plan others
    ASSERT(a.host < w->hosts_n);
    if (undo && w->faults.healed_at != 0 && w->now - a.lasts <= w->faults.healed_at)
        return;                                         // it was ended already
    world_trace(w, w->hosts[a.host], TRACE_ACTION, (uint32_t)a.kind, a.a, undo ? UINT64_MAX : a.b);
    if (!undo && a.lasts != 0)
        world_at(w, u64_add_sat(w->now, a.lasts), EV_ACTION, index, 1);
    fault_act(w, &a, undo);
}

static void read_failed(struct world *w, uint32_t task)
{
    struct task *t = slots_get(&w->tasks, task);
    ASSERT(t != NULL);
    struct host *h = task_host(w, t);
    uint32_t value;
    if (h != NULL && h->node != NULL) {
        host_read_failed(w, h, t->store, t->file, t->err);
        if (idmap_get(&h->conns, t->id, &value)) {
            struct conn *c = slots_get(&w->conns, value / 2);
            net_close(w, c, value % 2, false);
            host_closed(w, h, t->id, ERR_IO);
        }
    }
    task_free(w, t);
}

// A paused host wakes: everything that piled up in its kernel is offered.
static void wake(struct world *w, struct host *h)
{
    if (h->paused_until > w->now)
        return;
    net_kick(w, h);
    if (h->node != NULL)
        host_tick(w, h);
    for (uint32_t i = 0; i < w->conns.n; i++) {
        struct conn *c = slots_get(&w->conns, i);
        for (uint32_t k = 0; c != NULL && k < 2 && slots_get(&w->conns, i) == c; k++)
            if (c->ends[k].host == h && c->ends[k].state == END_OPEN) {
                c->pending++;
                world_at(w, w->now, EV_PUMP, c->index * 2 + (1 - k), 0);
            }
    }
}

// The host whose process an event of a stream would run; NULL: only its kernel.
static struct host *runs_on(const struct conn *c, const struct ev *ev)
{
    const uint32_t from = ev->a & 1;
    switch ((enum ev_kind)ev->kind) {
    case EV_DELIVER:
    case EV_FIN:
    case EV_RESET:
    case EV_PUMP: return c->ends[1 - from].host;
    case EV_SYN: return c->ends[1].host;
    case EV_SYNACK: return c->ends[0].host;
    case EV_ARRIVE:
    case EV_WAKE:
    case EV_RETRY:
    case EV_UPLINK:
    case EV_DGRAM_ARRIVE:
    case EV_DGRAM_DELIVER:
    case EV_JOB:
    case EV_FETCH:
    case EV_RESOLVED:
    case EV_MAPPED:
    case EV_SAVED:
    case EV_READ_FAILED:
    case EV_ACTION:
    case EV_VANISH:
    case EV_HOSTILE: break;
    }
    return NULL;
}

static void stream_event(struct world *w, const struct ev *ev)
{
    const bool whole = ev->kind == EV_SYN || ev->kind == EV_SYNACK;
    struct conn *c = slots_get(&w->conns, whole ? ev->a : ev->a / 2);
    ASSERT(c != NULL);
    struct pipe *p = &c->pipes[ev->a & 1];
    const struct host *sleeper = runs_on(c, ev);
    if (sleeper != NULL && host_asleep(w, sleeper)) {
        world_at(w, host_wakes(sleeper), (enum ev_kind)ev->kind, ev->a, ev->b);
        return;
    }
    switch ((enum ev_kind)ev->kind) {
    case EV_ARRIVE: net_on_arrive(w, p, ev->b); break;
    case EV_DELIVER: net_on_deliver(w, p, ev->b); break;
    case EV_WAKE: net_on_wake(w, p); break;
    case EV_SYN: net_on_syn(w, c); break;
    case EV_SYNACK: net_on_synack(w, c, (enum err)ev->b); break;
    case EV_FIN: net_on_fin(w, p); break;
    case EV_RESET: net_on_reset(w, p, (enum err)ev->b); break;
    case EV_RETRY: net_on_retry(w, p); break;
    case EV_PUMP: host_pump(w, p); break;
    case EV_UPLINK:
    case EV_DGRAM_ARRIVE:
    case EV_DGRAM_DELIVER:
    case EV_JOB:
    case EV_FETCH:
    case EV_RESOLVED:
    case EV_MAPPED:
    case EV_SAVED:
    case EV_READ_FAILED:
    case EV_ACTION:
    case EV_VANISH:
    case EV_HOSTILE: ASSERT(false); break;
    }
    net_conn_released(w, c);
}

static void vanish(struct world *w, struct host *h, enum host_after after)
{
    if (after == AFTER_LEAVE)
        host_leave(w, h);
    else if (h->up)
        host_crash(w, h, CRASH_KEPT, false);
    h->left = true;
}

// The host that waits for a task's end.
static const struct host *waiter(const struct world *w, uint32_t task)
{
    const struct task *t = slots_get(&w->tasks, task);
    ASSERT(t != NULL);
    return w->hosts[t->host];
}

static void task_event(struct world *w, const struct ev *ev)
{
    const struct host *h = waiter(w, ev->a);
    if (host_asleep(w, h)) {
        world_at(w, host_wakes(h), (enum ev_kind)ev->kind, ev->a, ev->b);
        return;
    }
    if (ev->kind == EV_JOB)
        job_on_timer(w, ev->a);
    else if (ev->kind == EV_FETCH)
        fetch_on_timer(w, ev->a);
    else if (ev->kind == EV_RESOLVED)
        resolve_on_timer(w, ev->a);
    else if (ev->kind == EV_MAPPED)
        map_on_timer(w, ev->a);
    else if (ev->kind == EV_SAVED)
        save_on_timer(w, ev->a);
    else
        read_failed(w, ev->a);
}

static void dgram_event(struct world *w, const struct ev *ev)
{
    struct dgram *d = slots_get(&w->dgrams, ev->a);
    ASSERT(d != NULL);
    const struct host *to = w->hosts[d->to];
    if (ev->kind == EV_DGRAM_ARRIVE)
        net_on_dgram_arrive(w, d);
    else if (host_asleep(w, to))
        world_at(w, host_wakes(to), EV_DGRAM_DELIVER, ev->a, ev->b);
    else
        net_on_dgram_deliver(w, d);
}

static void dispatch(struct world *w, const struct ev *ev)
{
    switch ((enum ev_kind)ev->kind) {
    case EV_UPLINK: net_on_uplink(w, w->hosts[ev->a]); break;
    case EV_ARRIVE:
    case EV_DELIVER:
    case EV_WAKE:
    case EV_SYN:
    case EV_SYNACK:
    case EV_FIN:
    case EV_RESET:
    case EV_RETRY: stream_event(w, ev); break;
    case EV_PUMP:
        if (ev->a == UINT32_MAX)
            wake(w, w->hosts[ev->b]);
        else
            stream_event(w, ev);
        break;
    case EV_DGRAM_ARRIVE:
    case EV_DGRAM_DELIVER: dgram_event(w, ev); break;
    case EV_JOB:
    case EV_FETCH:
    case EV_RESOLVED:
    case EV_MAPPED:
    case EV_SAVED:
    case EV_READ_FAILED: task_event(w, ev); break;
    case EV_ACTION: act(w, ev->a, ev->b != 0); break;
    case EV_VANISH: vanish(w, w->hosts[ev->a], (enum host_after)ev->b); break;
    case EV_HOSTILE: hostile_on_timer(w, w->hosts[ev->a], ev->b); break;
    }
}

// One step; false: nothing happens up to `until`.
static bool step(struct world *w, nsec until)
{
    const nsec next = queue_next(&w->queue), tick = heap_next(&w->timers);
    if (u64_min(next, tick) > until || u64_min(next, tick) == NSEC_NEVER)
        return false;
    w->steps++;
    if (next <= tick) {
        const struct ev ev = queue_pop(&w->queue);
        ASSERT(ev.t >= w->now);
        warm(w);
        w->now = ev.t;
        w->events[ev.kind]++;
        dispatch(w, &ev);
        return true;
    }
    w->now = u64_max(w->now, tick);
    struct host *h = CONTAINER(heap_min(&w->timers), struct host, timer);
    if (host_asleep(w, h)) {
        host_put_off_tick(w, h);
        return true;
    }
    host_tick(w, h);
    return true;
}

bool world_run(struct world *w, nsec until)
{
    while (w->failure[0] == '\0')
        if (!step(w, until)) {
            w->now = u64_max(w->now, until == NSEC_NEVER ? w->now : until);
            break;
        }
    return w->failure[0] == '\0';
}

static bool all_complete(const struct world *w)
{
    for (uint32_t i = 0; i < w->torrents_n; i++)
        if (w->torrents[i].done_n < w->torrents[i].leeches_n)
            return false;
    return true;
}

bool world_run_complete(struct world *w, nsec until, nsec *out_t)
{
    while (w->failure[0] == '\0' && !all_complete(w))
        if (!step(w, until))
            return false;
    *out_t = w->now;
    return w->failure[0] == '\0';
}
