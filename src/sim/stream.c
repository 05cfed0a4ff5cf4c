// Modelled streams: windows, losses as delay, order, ends. See net.h.
#include "sim/fetch.h"
#include "sim/hostile.h"
#include "sim/net.h"
#include "sim/net_int.h"
#include "sim/oracle.h"
#include "sim/stream.h"
#include "sim/watch.h"

enum { PORT_FIRST = 32768, CREDITS_MAX = 1 << 20 };

void pipe_event(struct world *w, struct pipe *p, nsec t, enum ev_kind kind, uint32_t b)
{
    p->conn->pending++;
    world_at(w, t, kind, p->id, b);
}

void conn_event(struct world *w, struct conn *c, nsec t, enum ev_kind kind, uint32_t b)
{
    c->pending++;
    world_at(w, t, kind, c->index, b);
}

void pipe_drop(struct pipe *p, uint32_t len)
{
    p->dropped += len;
    pipe_from(p)->host->link.dropped_bytes += len;
}

static void part_free(struct world *w, struct part *part)
{
    extents_done(&part->ref, w->env->mem);
    mem_free(w->env->mem, part, sizeof *part + part->bytes_n);
}

static void pipe_done(struct world *w, struct pipe *p)
{
    while (p->head != NULL) {
        struct part *part = p->head;
        p->head = part->next;
        part_free(w, part);
    }
    list_remove(&p->ring);
    mem_free(w->env->mem, p->credits, p->credits_cap * sizeof *p->credits);
    p->credits = NULL;
    p->credits_cap = 0;
}

static void reap(struct world *w, struct conn *c)
{
    if (c->pending > 0 || c->ends[0].state != END_GONE || c->ends[1].state != END_GONE)
        return;
    for (int i = 0; i < 2; i++) {
        ASSERT(c->pipes[i].departed == c->pipes[i].arrived + c->pipes[i].dropped);
        pipe_done(w, &c->pipes[i]);
    }
    slots_remove(&w->conns, c->index);
    watch_free(w, c);
    mem_free(w->env->mem, c, sizeof *c);
}

void net_conn_released(struct world *w, struct conn *c)
{
    ASSERT(c->pending > 0);
    c->pending--;
    reap(w, c);
}

static void pipe_init(const struct world *w, struct conn *c, uint32_t i)
{
    c->pipes[i] = (struct pipe){.conn = c, .id = c->index * 2 + i, .cwnd = NET_CWND_START, .ssthresh = w->cfg.window_bytes};
    list_init(&c->pipes[i].ring);
}

struct conn *net_connect(struct world *w, struct host *from, enum end_kind kind, uint32_t id, const struct addr *to)
{
    struct conn *c = mem_zalloc(w->env->mem, sizeof *c);
    ASSERT(c != NULL);
    c->index = slots_add(&w->conns, c);
    from->port_next = from->port_next < PORT_FIRST ? PORT_FIRST : (uint16_t)(from->port_next + 1);
    c->from_port = from->port_next;
    c->from = net_addr(from->index, c->from_port);
    c->to = *to;
    c->used_at = w->now;
    pipe_init(w, c, 0);
    pipe_init(w, c, 1);
    const bool full = from->faults.descriptors != 0 && from->ends_n >= from->faults.descriptors;
    const enum err e = full ? ERR_FULL : route_depart(w, from, true, c->from_port, to, &c->route);
    struct host *target = e == ERR_OK ? w->hosts[c->route.target] : NULL;
    c->ends[0] = (struct end){.kind = kind, .state = END_CONNECTING, .host = from, .conn = c, .id = id};
    c->ends[1] = (struct end){.state = END_GONE, .host = target == NULL ? from : target, .conn = c, .side = 1};
    list_init(&c->ends[0].link);
    list_init(&c->ends[1].link);
    list_push_back(&from->ends, &c->ends[0].link);
    from->ends_n++;
    world_trace(w, from, TRACE_CONNECT, (uint32_t)kind, id, target == NULL ? UINT32_MAX : target->index);
    if (target == NULL) {
        const bool silent = e == ERR_NOT_FOUND && !route_resets(w, to);     // a NAT box has no mapping for it
        conn_event(w, c, w->now + (silent ? NET_CONNECT_TIMEOUT : 50 * NSEC_MS), EV_SYNACK, silent ? ERR_TIMEOUT : ERR_UNREACHABLE);
        return c;
    }
    c->from = c->route.src;
    c->latency = net_base_latency(w, from, target);
    c->boots = route_boots(w, from) + route_boots(w, target);
    c->patience = u64_min(route_tcp_timeout(w, from), route_tcp_timeout(w, target));
    conn_event(w, c, w->now + conn_latency(w, c, 0), EV_SYN, 0);
    return c;
}

static void accept_end(struct conn *c, enum end_kind kind)
{
    struct end *end = &c->ends[1];
    end->kind = kind;
    end->state = END_OPEN;
    list_push_back(&end->host->ends, &end->link);
    end->host->ends_n++;
}

void net_on_syn(struct world *w, struct conn *c)
{
    struct host *to = c->ends[1].host;
    struct addr at;
    if (c->ends[0].state == END_GONE)
        return;                                         // given up, or its host died: nobody to talk to
    const enum err way = route_arrive(w, true, &c->route, &at);
    if (conn_cut(w, c) || to->dark || (way != ERR_OK && !route_resets(w, &c->to))) {
        conn_event(w, c, w->now + NET_CONNECT_TIMEOUT, EV_SYNACK, ERR_TIMEOUT);
        return;
    }
    const nsec back = w->now + conn_latency(w, c, 1);
    const bool peer = at.port == to->cfg.node.listen_port && way == ERR_OK;
    const bool tracker = at.port == NET_TRACKER_PORT && way == ERR_OK && to->cfg.node.tracker;
    if (to->up && to->hostile != NULL && peer) {
        accept_end(c, END_HOSTILE);
        conn_event(w, c, back, EV_SYNACK, ERR_OK);
        hostile_accept(w, to, c);
        return;
    }
    const bool full = to->faults.descriptors != 0 && to->ends_n >= to->faults.descriptors;
    if (!to->up || to->node == NULL || full || (!peer && !tracker)) {
        conn_event(w, c, back, EV_SYNACK, ERR_REFUSED);
        return;
    }
    accept_end(c, END_NODE);
    conn_event(w, c, back, EV_SYNACK, ERR_OK);          // before anything that the node may send
    host_accept(w, to, peer ? NODE_PORT_PEER : NODE_PORT_TRACKER, c);
}

// Tells an end, whoever it is.
static void tell_closed(struct world *w, struct end *end, enum err e)
{
    ASSERT(end->state == END_GONE);
    switch (end->kind) {
    case END_NODE: host_closed(w, end->host, end->id, e); break;
    case END_FETCH: fetch_closed(w, end->id, e); break;
    case END_HOSTILE: hostile_closed(w, end->host, end->id); break;
    }
}

static void gone(struct conn *c, uint32_t i)
{
    struct end *end = &c->ends[i];
    if (end->state == END_GONE)
        return;
    end->state = END_GONE;
    list_remove(&end->link);
    end->host->ends_n--;
    watch_gone(end->host->world, c, i);
    if (end->kind == END_NODE)
        idmap_remove(&end->host->conns, end->id);
    // What it had not sent yet is never sent, but for a flush.
    struct pipe *p = &c->pipes[i];
    if (!p->fin) {
        p->queued = p->sent;
        list_remove(&p->ring);
    }
}

void net_on_synack(struct world *w, struct conn *c, enum err e)
{
    struct end *end = &c->ends[0];
    if (end->state == END_GONE) {
        if (c->ends[1].state == END_OPEN)
            pipe_event(w, &c->pipes[0], w->now + conn_latency(w, c, 0), EV_RESET, ERR_CLOSED);
        return;
    }
    if (e == ERR_OK)
        end->state = END_OPEN;
    else
        gone(c, 0);
    switch (end->kind) {
    case END_NODE: host_connected(w, c, e); break;
    case END_FETCH: fetch_connected(w, c, e); break;
    case END_HOSTILE: hostile_connected(w, c, e); break;
    }
}

static struct credit *credit_at(struct pipe *p, uint32_t i)
{
    return &p->credits[(p->credits_at + i) % p->credits_cap];
}

static void credits_grow(struct world *w, struct pipe *p)
{
    const uint32_t cap = p->credits_cap == 0 ? 8 : p->credits_cap * 2;
    ASSERT(cap <= CREDITS_MAX);
    struct credit *fresh = mem_zarray(w->env->mem, cap, sizeof *fresh);
    ASSERT(fresh != NULL);
    for (uint32_t i = 0; i < p->credits_n; i++)
        fresh[i] = *credit_at(p, i);
    mem_free(w->env->mem, p->credits, p->credits_cap * sizeof *p->credits);
    p->credits = fresh;
    p->credits_cap = cap;
    p->credits_at = 0;
}

static void credit_push(struct world *w, struct pipe *p, nsec t, uint32_t len)
{
    if (len == 0)
        return;
    if (p->credits_n > 0 && credit_at(p, p->credits_n - 1)->t == t) {
        credit_at(p, p->credits_n - 1)->len += len;
        return;
    }
    if (p->credits_n == p->credits_cap)
        credits_grow(w, p);
    uint32_t i = p->credits_n++;
    for (; i > 0 && credit_at(p, i - 1)->t > t; i--)
        *credit_at(p, i) = *credit_at(p, i - 1);
    *credit_at(p, i) = (struct credit){t, len};
}

// Takes the credits that have come back; the congestion window grows with them. RFC 5681 section 3.1.
static void credits_take(const struct world *w, struct pipe *p)
{
    while (p->credits_n > 0 && credit_at(p, 0)->t <= w->now) {
        const uint64_t len = credit_at(p, 0)->len;
        const bool limited = p->inflight * 2 >= p->cwnd;
        ASSERT(p->inflight >= len);
        p->inflight -= len;
        if (limited && p->cwnd < p->ssthresh)
            p->cwnd += len;
        else if (limited && p->cwnd < w->cfg.window_bytes)
            p->cwnd += NET_MSS * len * NET_GROWTH_PERCENT / 100 / p->cwnd + 1;
        p->credits_at = (p->credits_at + 1) % p->credits_cap;
        p->credits_n--;
    }
}

static void wake_at(struct world *w, struct pipe *p, nsec t)
{
    t = u64_max(t, w->now);
    if (p->wake_at != 0 && p->wake_at <= t)
        return;
    p->wake_at = t;
    pipe_event(w, p, t, EV_WAKE, 0);
}

static bool window_is_shut(const struct world *w, const struct pipe *p)
{
    return p->inflight >= u64_min(p->cwnd, w->cfg.window_bytes);
}

void pipe_kick(struct world *w, struct pipe *p)
{
    struct host *h = pipe_from(p)->host;
    for (;;) {
        const uint64_t unsent = p->queued - p->sent;
        if (unsent == 0 || p->blocked || !list_empty(&p->ring) || !h->up || pipe_from(p)->state == END_CONNECTING)
            return;
        credits_take(w, p);
        if (window_is_shut(w, p)) {
            p->starved = true;
            if (p->credits_n > 0)
                wake_at(w, p, credit_at(p, 0)->t);
            return;
        }
        p->starved = false;
        if (!link_send_now(w, p)) {
            list_push_back(unsent <= NET_SMALL ? &h->link.fast : &h->link.bulk, &p->ring);
            net_kick(w, h);
            return;
        }
    }
}

void net_on_wake(struct world *w, struct pipe *p)
{
    if (p->wake_at == w->now)
        p->wake_at = 0;
    pipe_kick(w, p);
}

// A stream's end goes out behind its last byte.
static void fin_send(struct world *w, struct pipe *p)
{
    if (!p->fin || p->fin_sent || p->departed != p->queued || p->blocked)
        return;
    p->fin_sent = true;
    const nsec t = u64_max(p->last_arrival, w->now + conn_latency(w, p->conn, p->id & 1));
    p->last_arrival = t;
    pipe_event(w, p, t, EV_FIN, 0);
}

// One loss in len bytes? Packets have a chance each; what went over the end of a full queue is lost for certain.
static bool quantum_lost(struct world *w, struct host *h, const struct host *to, uint32_t len)
{
    if (w->cfg.loss_ppm == 0 && w->faults.n == 0)
        return false;
    const struct fault_path f = fault_path(w, h, to);
    bool lost = false;
    for (uint32_t i = 0; i < (len + NET_MSS - 1) / NET_MSS; i++)
        lost |= packet_lost(h, &f);
    return lost;
}

static void slow_down(const struct world *w, struct pipe *p, nsec rtt)
{
    if (w->now < p->recover_until)
        return;
    p->cwnd = u64_max(p->cwnd * NET_BACKOFF_PERCENT / 100, NET_CWND_MIN);
    p->ssthresh = p->cwnd;
    p->recover_until = w->now + rtt;
}

// When a quantum that leaves at t is there: a lost one comes a round trip later, and what follows waits behind it. What waits is
// acknowledged all the same (RFC 2018), so that the sender goes on.
static nsec arrival(struct world *w, struct pipe *p, uint32_t len, nsec t, bool lost)
{
    struct end *from = pipe_from(p);
    struct host *to = pipe_to(p)->host;
    const nsec one_way = conn_latency(w, p->conn, p->id & 1);
    lost = lost || quantum_lost(w, from->host, to, len);
    t += one_way;
    if (lost) {
        world_trace(w, from->host, TRACE_LOST, 0, len, p->cwnd);
        slow_down(w, p, 2 * one_way);
    }
    if (w->faults.n != 0)
        t = u64_max(t, fault_path(w, from->host, to).hold_until);
    if (lost) {
        t += 2 * one_way;
    } else if (t < p->last_arrival) {
        credit_push(w, p, t + one_way, len);
        p->early += len;
    }
    return u64_max(t, p->last_arrival);
}

// A box that has not seen the stream for long, or that was restarted, knows it no more.
static void check_boxes(struct world *w, struct conn *c)
{
    const bool late = c->patience != NSEC_NEVER && w->now - c->used_at > c->patience;
    if (late || route_boots(w, c->ends[0].host) + route_boots(w, c->ends[1].host) != c->boots)
        c->unmapped = true;
    c->used_at = w->now;
}

static void block(struct world *w, struct pipe *p, uint32_t len)
{
    ASSERT(!p->blocked);
    p->blocked = true;
    list_remove(&p->ring);
    p->retry_len = len;
    p->retries = 0;
    pipe_event(w, p, w->now + NET_RTO, EV_RETRY, 0);
}

void pipe_departed(struct world *w, struct pipe *p, uint32_t len, nsec t, bool lost)
{
    struct end *from = pipe_from(p);
    p->line_bps = from->host->link.up_bps;
    if (w->nats.n != 0)
        check_boxes(w, p->conn);
    if (conn_cut(w, p->conn)) {
        block(w, p, len);
    } else {
        p->last_arrival = arrival(w, p, len, t, lost);
        pipe_event(w, p, p->last_arrival, EV_ARRIVE, len);
    }
    fin_send(w, p);
    if (from->state == END_OPEN && from->kind == END_NODE)
        host_sent(w, from->host, from->id, len);
    else if (from->state == END_OPEN && from->kind == END_HOSTILE)
        hostile_sent(w, from->host, from->id);
}

void net_on_retry(struct world *w, struct pipe *p)
{
    if (!conn_cut(w, p->conn)) {
        p->blocked = false;
        p->cwnd = NET_CWND_MIN;
        p->last_arrival = u64_max(p->last_arrival, w->now + conn_latency(w, p->conn, p->id & 1));
        pipe_event(w, p, p->last_arrival, EV_ARRIVE, p->retry_len);
        pipe_kick(w, p);
        fin_send(w, p);
        return;
    }
    if (++p->retries < NET_RETRIES) {
        pipe_event(w, p, w->now + (NET_RTO << p->retries), EV_RETRY, 0);
        return;
    }
    pipe_drop(p, p->retry_len);
    struct pipe *other = &p->conn->pipes[1 - (p->id & 1)];
    pipe_event(w, other, w->now, EV_RESET, ERR_TIMEOUT);
    pipe_event(w, p, w->now, EV_RESET, ERR_TIMEOUT);    // the far side finds out about as late
}

void net_on_deliver(struct world *w, struct pipe *p, uint32_t len)
{
    struct end *to = pipe_to(p);
    if (to->state == END_GONE || !to->host->up) {
        pipe_drop(p, len);
        return;
    }
    p->arrived += len;
    to->host->link.down_bytes += len;
    if (w->now > host_wakes(to->host))  // what came while its process slept is not carried at once
        oracle_line(w, to->host, true, w->now, len);
    host_pump(w, p);
}

bool pipe_peek(const struct pipe *p, struct arrival *out)
{
    const struct part *part = p->head;
    const uint64_t left = p->arrived - p->taken;
    if (left == 0)
        return false;
    ASSERT(part != NULL);
    *out = (struct arrival){.part = part, .off = part->taken, .len = u64_min(part->len - part->taken, left)};
    return true;
}

size_t pipe_copy(struct world *w, const struct pipe *p, uint8_t *out, size_t max)
{
    uint64_t left = p->arrived - p->taken;
    size_t n = 0;
    for (const struct part *part = p->head; part != NULL && left > 0 && n < max; part = part->next) {
        if (part->payload && n > 0)
            break;
        const size_t len = (size_t)u64_min(u64_min(part->len - part->taken, left), max - n);
        if (part->ref.n == 0) {
            memcpy(out + n, part->bytes + part->taken, len);
        } else {
            for (size_t done = 0; done < len;) {
                struct extent e = extents_at(&part->ref, part->taken + done, len - done);
                content_bytes(&w->content, &e, out + n + done);
                done += (size_t)e.len;
            }
        }
        n += len;
        left -= len;
        if (part->payload)
            break;
    }
    return n;
}

// The receiver has taken len bytes. Packets are acknowledged one by one, those of the first half while the second is on its downlink.
static void acknowledge(struct world *w, struct pipe *p, uint32_t len)
{
    const nsec back = conn_latency(w, p->conn, 1 - (p->id & 1));
    const uint64_t down_bps = pipe_to(p)->host->link.down_bps;
    const uint32_t first = len >= NET_QUANTUM_BIG && down_bps != 0 ? len / 2 : 0;
    if (first != 0)
        credit_push(w, p, w->now + u64_sub_sat(back, (len - first) * NSEC_S / down_bps), first);
    credit_push(w, p, w->now + back, len - first);
}

void pipe_take(struct world *w, struct pipe *p, uint64_t len)
{
    ASSERT(len <= p->arrived - p->taken);
    p->taken += len;
    const uint64_t early = u64_min(p->early, len);
    p->early -= early;
    acknowledge(w, p, u32_of(len - early));
    while (len > 0) {
        struct part *part = p->head;
        ASSERT(part != NULL);
        const uint64_t n = u64_min(part->len - part->taken, len);
        watch_heard(w, p, part, part->taken, n);
        part->taken += n;
        len -= n;
        if (part->taken == part->len && part != p->cursor) {
            p->head = part->next;
            if (p->head == NULL)
                p->tail = NULL;
            part_free(w, part);
        }
    }
    if (p->starved && p->credits_n > 0)
        wake_at(w, p, credit_at(p, 0)->t);
}

void pipe_settle(struct world *w, struct pipe *p)
{
    struct end *to = pipe_to(p);
    // The end stands behind the data also in the queue of the downlink.
    if (!p->fin_arrived || p->arrived != p->taken || p->arrived + p->dropped != p->departed || to->state != END_OPEN)
        return;
    gone(p->conn, 1 - (p->id & 1));
    tell_closed(w, to, ERR_CLOSED);
}

void net_on_fin(struct world *w, struct pipe *p)
{
    p->fin_arrived = true;
    pipe_settle(w, p);
}

void net_on_reset(struct world *w, struct pipe *p, enum err e)
{
    struct end *to = pipe_to(p);
    if (to->state == END_GONE)
        return;
    if (e == ERR_CLOSED && p->arrived + p->dropped != p->departed && to->host->link.down_busy > w->now) {
        pipe_event(w, p, to->host->link.down_busy, EV_RESET, (uint32_t)e);      // behind the data in the queue
        return;
    }
    gone(p->conn, 1 - (p->id & 1));
    tell_closed(w, to, e);
}

void net_close(struct world *w, struct conn *c, uint32_t i, bool flush)
{
    struct end *end = &c->ends[i], *other = &c->ends[1 - i];
    struct pipe *p = &c->pipes[i];
    if (end->state == END_GONE)
        return;
    const bool connecting = end->state == END_CONNECTING;
    p->fin = flush && !connecting;
    gone(c, i);
    if (connecting)
        return;                                         // net_on_synack takes care of the other side
    if (p->fin) {
        fin_send(w, p);
    } else if (other->state != END_GONE && !conn_cut(w, c)) {
        p->last_arrival = u64_max(p->last_arrival, w->now + conn_latency(w, c, i));
        pipe_event(w, p, p->last_arrival, EV_RESET, ERR_CLOSED);
    } else if (other->state != END_GONE) {
        pipe_event(w, p, w->now + NET_DARK_TIMEOUT, EV_RESET, ERR_TIMEOUT);
    }
    c->pending++;
    net_conn_released(w, c);                            // it may be the last
}

// Streams that were closed with bytes still to send.
static void rings_abort(struct world *w, struct list *ring, bool silent)
{
    LIST_EACH(ring, link, save) {
        struct pipe *p = CONTAINER(link, struct pipe, ring);
        list_remove(&p->ring);
        p->queued = p->sent;
        p->conn->forgotten |= silent;
        if (!silent && !p->fin_sent)
            pipe_event(w, p, u64_max(p->last_arrival, w->now + conn_latency(w, p->conn, p->id & 1)), EV_RESET, ERR_CLOSED);
        p->fin_sent = true;
    }
}

void net_abort(struct world *w, struct host *h, bool silent)
{
    LIST_EACH(&h->ends, link, save) {
        struct end *end = CONTAINER(link, struct end, link);
        struct conn *c = end->conn;
        if (end->kind == END_FETCH)
            fetch_dropped(w, end->id);
        if (!silent) {
            net_close(w, c, end->side, false);
            continue;
        }
        c->forgotten = true;
        gone(c, end->side);
        c->pending++;
        net_conn_released(w, c);
    }
    rings_abort(w, &h->link.fast, silent);
    rings_abort(w, &h->link.bulk, silent);
}

void net_reset(struct world *w, struct host *h, uint16_t port)
{
    LIST_EACH(&h->ends, link, save) {
        const struct end *end = CONTAINER(link, struct end, link);
        struct conn *c = end->conn;
        if (end->state != END_OPEN || (port != 0 && c->to.port != port && c->from_port != port))
            continue;
        for (uint32_t i = 0; i < 2; i++)
            pipe_event(w, &c->pipes[i], w->now, EV_RESET, ERR_CLOSED);
    }
}

void net_done(struct world *w)
{
    for (uint32_t i = 0; i < w->conns.n; i++) {
        struct conn *c = slots_get(&w->conns, i);
        for (uint32_t k = 0; c != NULL && k < 2; k++) {
            list_remove(&c->ends[k].link);
            pipe_done(w, &c->pipes[k]);
        }
        if (c != NULL)
            watch_free(w, c);
        mem_free(w->env->mem, c, sizeof *c);
    }
    for (uint32_t i = 0; i < w->dgrams.n; i++) {
        struct dgram *d = slots_get(&w->dgrams, i);
        mem_free(w->env->mem, d, d == NULL ? 0 : sizeof *d + d->n);
    }
}
