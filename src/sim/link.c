// Access links: uplinks that serve streams in turn, downlinks that take one thing after the other, and datagrams. See net.h.
#include "sim/net_int.h"

enum { DGRAM_OVERHEAD = 28, QUANTUM_MS = 50 };          // IPv4 and UDP headers

void link_init(struct link *l, uint64_t up_bps, uint64_t down_bps, nsec latency)
{
    *l = (struct link){.up_bps = up_bps, .down_bps = down_bps, .latency = latency};
    list_init(&l->fast);
    list_init(&l->bulk);
}

nsec net_latency(const struct world *w, const struct host *a, const struct host *b)
{
    nsec t = w->cfg.latency + a->link.latency + b->link.latency;
    if (w->cfg.latency_spread != 0) {
        const uint64_t low = u64_min(a->index, b->index), high = u64_max(a->index, b->index);
        t += mix64(w->cfg.seed ^ mix64(low << 32 | high)) % w->cfg.latency_spread;
    }
    return t;
}

// Each host has a /24 of its own: neighbours would share allowed-fast sets (BEP 6) and count as one place for some decisions.
struct addr net_addr(uint32_t host, uint16_t port)
{
    ASSERT(host < (uint32_t)254 << 16);
    const uint8_t ip[4] = {10, (uint8_t)(host >> 8), (uint8_t)host, (uint8_t)(1 + (host >> 16))};
    return addr_ipv4(ip, port);
}

struct host *net_host(const struct world *w, const struct addr *a)
{
    if (a->family != ADDR_IPV4 || a->ip[0] != 10 || a->ip[3] == 0)
        return NULL;
    const uint32_t host = (uint32_t)(a->ip[3] - 1) << 16 | (uint32_t)a->ip[1] << 8 | a->ip[2];
    return host >= w->hosts_n ? NULL : w->hosts[host];
}

bool net_cut(const struct host *a, const struct host *b)
{
    return a->side != b->side;
}

static nsec wire_time(uint64_t bytes, uint64_t bps)
{
    return bps == 0 ? 0 : bytes * NSEC_S / bps;
}

static uint32_t quantum_max(const struct link *l)
{
    if (l->up_bps == 0)
        return NET_QUANTUM_MAX;
    return (uint32_t)u64_max(NET_QUANTUM_MIN, u64_min(NET_QUANTUM_MAX, l->up_bps * QUANTUM_MS / 1000));
}

uint32_t pipe_quantum(struct world *w, struct pipe *p)
{
    const uint64_t unsent = p->queued - p->sent;
    ASSERT(unsent > 0);
    const uint64_t window = u64_min(p->cwnd, w->cfg.window_bytes);
    const uint64_t room = u64_max(u64_sub_sat(window, p->inflight), NET_MSS);
    uint64_t left = u64_min(unsent, u64_min(quantum_max(&pipe_from(p)->host->link), room)), len = 0;
    while (left > 0) {
        ASSERT(p->cursor != NULL);
        const uint64_t rest = p->cursor->len - p->cursor_off;
        uint64_t n = u64_min(rest, left);
        if (rest - n <= NET_SMALL)
            n = rest;                                   // no crumbs: a block goes as one
        len += n;
        left = u64_sub_sat(left, n);
        p->cursor_off += n;
        if (p->cursor_off == p->cursor->len) {
            p->cursor = p->cursor->next;
            p->cursor_off = 0;
        }
    }
    p->sent += len;
    p->inflight += len;
    return u32_of(len);
}

static struct pipe *next_pipe(struct link *l)
{
    struct pipe *p = LIST_FIRST(&l->fast, struct pipe, ring);
    if (p == NULL)
        p = LIST_FIRST(&l->bulk, struct pipe, ring);
    if (p != NULL)
        list_remove(&p->ring);
    return p;
}

void net_kick(struct world *w, struct host *h)
{
    struct link *l = &h->link;
    if (l->busy || h->paused_until > w->now)
        return;
    size_t len = 0;
    if (l->dgrams != NULL) {
        l->tx_dgram = l->dgrams;
        l->dgrams = l->tx_dgram->next;
        l->dgram_bytes -= l->tx_dgram->n;
        len = l->tx_dgram->n + DGRAM_OVERHEAD;
    } else {
        struct pipe *p = next_pipe(l);
        if (p == NULL)
            return;
        l->tx_pipe = p;
        l->tx_len = pipe_quantum(w, p);
        p->conn->pending++;
        len = l->tx_len;
    }
    l->busy = true;
    world_at(w, w->now + wire_time(len, l->up_bps), EV_UPLINK, h->index, 0);
}

static void dgram_free(struct world *w, struct dgram *d)
{
    slots_remove(&w->dgrams, d->index);
    mem_free(w->env->mem, d, sizeof *d + d->n);
}

static void dgram_departed(struct world *w, struct host *h, struct dgram *d)
{
    struct host *to = w->hosts[d->to];
    h->link.up_bytes += d->n;
    d->departed = true;
    if (net_cut(h, to) || (w->cfg.loss_ppm != 0 && rng_chance(&h->link.loss, w->cfg.loss_ppm, 1000000))) {
        world_trace(w, h, TRACE_LOST, 1, d->n, d->to);
        h->link.dropped_bytes += d->n;
        dgram_free(w, d);
        return;
    }
    nsec t = w->now + net_latency(w, h, to);
    if (w->cfg.reorder_ppm != 0 && rng_chance(&h->link.loss, w->cfg.reorder_ppm, 1000000))
        t += rng_below(&h->link.loss, 500 * NSEC_MS);
    if (w->cfg.duplicate_ppm != 0 && rng_chance(&h->link.loss, w->cfg.duplicate_ppm, 1000000)) {
        struct dgram *twin = mem_zalloc(w->env->mem, sizeof *twin + d->n);
        ASSERT(twin != NULL);
        memcpy(twin, d, sizeof *twin + d->n);
        twin->index = slots_add(&w->dgrams, twin);
        h->link.up_bytes += d->n;
        world_at(w, t + NSEC_MS, EV_DGRAM_ARRIVE, twin->index, 0);
    }
    world_at(w, t, EV_DGRAM_ARRIVE, d->index, 0);
}

void net_on_uplink(struct world *w, struct host *h)
{
    struct link *l = &h->link;
    ASSERT(l->busy);
    l->busy = false;
    if (l->tx_dgram != NULL) {
        struct dgram *d = l->tx_dgram;
        l->tx_dgram = NULL;
        dgram_departed(w, h, d);
        net_kick(w, h);
        return;
    }
    struct pipe *p = l->tx_pipe;
    l->tx_pipe = NULL;
    l->up_bytes += l->tx_len;
    p->departed += l->tx_len;
    w->totals.stream_bytes += l->tx_len;
    pipe_departed(w, p, l->tx_len);
    net_conn_released(w, p->conn);
    net_kick(w, h);
}

void net_datagram(struct world *w, struct host *from, uint16_t from_port, const struct addr *to, struct slice bytes)
{
    const struct host *target = net_host(w, to);
    world_trace(w, from, TRACE_DGRAM_TX, 0, bytes.n, target == NULL ? UINT32_MAX : target->index);
    w->totals.dgram_bytes += bytes.n;
    if (target == NULL || from->link.dgram_bytes + bytes.n > NET_DGRAM_QUEUE)
        return;                                         // no route, or tail drop
    struct dgram *d = mem_zalloc(w->env->mem, sizeof *d + bytes.n);
    ASSERT(d != NULL);
    *d = (struct dgram){.from = from->index, .to = target->index, .src = net_addr(from->index, from_port), .port = to->port, .n = bytes.n};
    if (bytes.n > 0)
        memcpy(d->bytes, bytes.p, bytes.n);
    d->index = slots_add(&w->dgrams, d);
    if (from->link.dgrams == NULL)
        from->link.dgrams = d;
    else
        from->link.dgrams_tail->next = d;
    from->link.dgrams_tail = d;
    from->link.dgram_bytes += bytes.n;
    net_kick(w, from);
}

// When something of len bytes that is at the downlink now is through it.
static nsec through_downlink(struct world *w, struct link *l, size_t len, nsec *out_queue)
{
    const nsec start = u64_max(w->now, l->down_busy);
    *out_queue = start - w->now;
    l->down_busy = start + wire_time(len, l->down_bps);
    return l->down_busy;
}

void net_on_dgram_arrive(struct world *w, struct dgram *d)
{
    struct host *to = w->hosts[d->to];
    d->next = NULL;
    nsec queue;
    const nsec t = through_downlink(w, &to->link, d->n + DGRAM_OVERHEAD, &queue);
    if (queue > 10 * NET_DOWN_QUEUE) {
        world_trace(w, to, TRACE_LOST, 2, d->n, d->from);
        w->hosts[d->from]->link.dropped_bytes += d->n;
        dgram_free(w, d);
        return;
    }
    world_at(w, t, EV_DGRAM_DELIVER, d->index, 0);
}

void net_on_dgram_deliver(struct world *w, struct dgram *d)
{
    struct host *to = w->hosts[d->to];
    to->link.down_bytes += d->n;
    if (to->node != NULL) {
        if (d->port == to->cfg.node.listen_port)
            host_datagram(w, to, NODE_PORT_PEER, &d->src, slice_of(d->bytes, d->n));
        else if (d->port == NET_TRACKER_PORT && to->cfg.node.tracker)
            host_datagram(w, to, NODE_PORT_TRACKER, &d->src, slice_of(d->bytes, d->n));
    }
    dgram_free(w, d);
}

// A quantum of a stream is at the downlink.
void net_on_arrive(struct world *w, struct pipe *p, uint32_t len)
{
    struct end *to = pipe_to(p);
    struct host *h = to->host;
    if (to->state == END_GONE || !h->up) {
        pipe_drop(p, len);
        if ((h->dark || p->conn->forgotten) && !p->conn->timeout_set) {
            // Nobody answers, or a fresh kernel that knows of no such stream.
            const nsec t = h->dark ? NET_DARK_TIMEOUT : net_latency(w, pipe_from(p)->host, h);
            p->conn->timeout_set = true;
            pipe_event(w, &p->conn->pipes[1 - (p->id & 1)], w->now + t, EV_RESET, h->dark ? ERR_TIMEOUT : ERR_CLOSED);
        }
        return;
    }
    nsec queue;
    const nsec t = through_downlink(w, &h->link, len, &queue);
    if (queue > NET_DOWN_QUEUE && w->now >= p->recover_until) {
        // As a mark by the queue (RFC 3168): nothing is lost, the sender slows down.
        p->cwnd = u64_max(p->cwnd * 7 / 10, NET_CWND_MIN);
        p->ssthresh = p->cwnd;
        p->recover_until = t + 2 * net_latency(w, pipe_from(p)->host, h);
    }
    if (t == w->now)
        net_on_deliver(w, p, len);
    else
        pipe_event(w, p, t, EV_DELIVER, len);
}

void link_done(struct world *w, struct link *l)
{
    while (l->dgrams != NULL) {
        struct dgram *d = l->dgrams;
        l->dgrams = d->next;
        dgram_free(w, d);
    }
    l->dgram_bytes = 0;
}
