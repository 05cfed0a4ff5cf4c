// Access links: uplinks that serve streams in turn, downlinks that take one thing after the other, and datagrams. See net.h.
//
// A block goes out in one piece, but small messages and datagrams do not wait for its end: they go at the next packet boundary and
// put the end off. So what happens is as if packets took turns, at a tenth of the events.
#include "sim/link.h"
#include "sim/net.h"
#include "sim/net_int.h"
#include "sim/oracle.h"
#include "sim/stream.h"

enum { DGRAM_OVERHEAD = 28, PACKET_LEN = 1500 };          // IPv4 and UDP headers

void link_init(struct link *l, uint64_t up_bps, uint64_t down_bps, nsec latency)
{
    *l = (struct link){.up_bps = up_bps, .down_bps = down_bps, .latency = latency};
    list_init(&l->fast);
    list_init(&l->bulk);
}

nsec net_base_latency(const struct world *w, const struct host *a, const struct host *b)
{
    nsec t = w->cfg.latency + a->link.latency + b->link.latency;
    const uint64_t pair = w->cfg.seed ^ mix64((uint64_t)u32_min(a->index, b->index) << 32 | u32_max(a->index, b->index));
    if (w->cfg.latency_spread != 0)
        t += mix64(pair) % w->cfg.latency_spread;
    if (w->cfg.model == LATENCY_PLANETLAB)
        t += geo_rtt(&a->place, &b->place, pair) / 2;
    else if (w->cfg.model == LATENCY_PLANET)
        t += (nsec)geo_regions[a->region].rtt_ms[b->region] * NSEC_MS / 2;
    return t;
}

nsec net_latency(const struct world *w, const struct host *a, const struct host *b)
{
    const nsec t = net_base_latency(w, a, b);
    return w->faults.n == 0 ? t : fault_latency(w, a, b, t);
}

nsec conn_latency(const struct world *w, const struct conn *c, uint32_t from)
{
    return w->faults.n == 0 ? c->latency : fault_latency(w, c->ends[from].host, c->ends[1 - from].host, c->latency);
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

bool conn_cut(const struct world *w, const struct conn *c)
{
    if (c->unmapped)
        return true;
    if (!w->faults.sided && w->faults.n == 0)
        return false;
    const struct host *a = c->ends[0].host, *b = c->ends[1].host;
    if (a->side == b->side && w->faults.n == 0)
        return false;
    return fault_cut(w, a, b, false) || fault_cut(w, b, a, false);      // acknowledgements must come back
}

static nsec wire_time(uint64_t bytes, uint64_t bps)
{
    return bps == 0 ? 0 : bytes * NSEC_S / bps;
}

static uint32_t quantum_max(const struct world *w, const struct link *l)
{
    const uint32_t most = w->cfg.quantum_bytes;
    if (l->up_bps == 0)
        return most;
    return (uint32_t)u64_max(NET_QUANTUM_MIN, u64_min(most, l->up_bps * NET_QUANTUM_MS / 1000));
}

uint32_t pipe_quantum(struct world *w, struct pipe *p)
{
    const uint64_t unsent = p->queued - p->sent;
    ASSERT(unsent > 0);
    const uint64_t window = u64_min(p->cwnd, w->cfg.window_bytes);
    const uint64_t room = u64_max(u64_sub_sat(window, p->inflight), NET_MSS);
    // At most half a window at once, so that the first half's acknowledgements come while the second is on the line.
    uint64_t left = u64_min(quantum_max(w, &pipe_from(p)->host->link), u64_min(room, u64_max(window / 2, NET_MSS))), len = 0;
    left = u64_min(left, unsent);
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

static void arm(struct world *w, struct host *h)
{
    struct link *l = &h->link;
    if (l->armed)
        return;
    l->armed = true;
    world_at(w, l->up_until, EV_UPLINK, h->index, 0);
}

void net_kick(struct world *w, struct host *h)
{
    struct link *l = &h->link;
    if (l->tx_pipe != NULL || h->paused_until > w->now || (list_empty(&l->fast) && list_empty(&l->bulk)))
        return;
    if (l->up_until > w->now) {
        arm(w, h);
        return;
    }
    struct pipe *p = next_pipe(l);
    l->tx_pipe = p;
    l->tx_len = pipe_quantum(w, p);
    l->tx_start = w->now;
    l->up_until = w->now + wire_time(l->tx_len, l->up_bps);
    p->conn->pending++;
    arm(w, h);
}

// Puts len bytes between the packets of what is on the line; when they have left it.
static nsec slip_in(struct world *w, struct link *l, uint64_t len)
{
    const nsec takes = wire_time(len, l->up_bps), packet = wire_time(PACKET_LEN, l->up_bps);
    if (l->tx_pipe == NULL || packet == 0) {
        l->up_until = u64_max(l->up_until, w->now) + takes;
        return l->up_until;
    }
    nsec start = l->tx_start;           // everything before it is gone or promised
    if (start <= w->now)
        start = u64_min(start + ((w->now - start) / packet + 1) * packet, l->up_until);
    l->tx_start = start + takes;
    l->up_until += takes;
    return start + takes;
}

static nsec queue_up(struct world *w, struct link *l, uint64_t len, bool *out_lost)
{
    const uint64_t room = l->queue_bytes == 0 ? NET_FIFO_QUEUE : l->queue_bytes;
    *out_lost = l->up_until > w->now && l->up_until - w->now > wire_time(room, l->up_bps);
    if (*out_lost)
        return l->up_until;
    l->up_until = u64_max(l->up_until, w->now) + wire_time(len, l->up_bps);
    return l->up_until;
}

bool link_send_now(struct world *w, struct pipe *p)
{
    const struct end *from = pipe_from(p);
    struct link *l = &from->host->link;
    if (from->kind == END_HOSTILE || from->host->paused_until > w->now || l->tx_pipe == p)
        return false;
    if (!l->fifo && p->queued - p->sent > NET_SMALL)
        return false;
    const uint32_t len = pipe_quantum(w, p);
    bool lost = false;
    const nsec t = l->fifo ? queue_up(w, l, len, &lost) : slip_in(w, l, len);
    l->up_bytes += len;
    oracle_line(w, from->host, false, t, lost ? 0 : len);
    p->departed += len;
    w->totals.stream_bytes += len;
    p->conn->pending++;
    pipe_departed(w, p, len, t, lost);
    net_conn_released(w, p->conn);
    return true;
}

void net_on_uplink(struct world *w, struct host *h)
{
    struct link *l = &h->link;
    ASSERT(l->armed);
    l->armed = false;
    if (l->up_until > w->now) {
        arm(w, h);                                      // something slipped in
        return;
    }
    struct pipe *p = l->tx_pipe;
    if (p == NULL) {
        net_kick(w, h);
        return;
    }
    l->tx_pipe = NULL;
    l->up_bytes += l->tx_len;
    oracle_line(w, h, false, w->now, l->tx_len);
    p->departed += l->tx_len;
    w->totals.stream_bytes += l->tx_len;
    pipe_departed(w, p, l->tx_len, w->now, false);
    pipe_kick(w, p);
    net_conn_released(w, p->conn);
    net_kick(w, h);
}

static void dgram_free(struct world *w, struct dgram *d)
{
    slots_remove(&w->dgrams, d->index);
    mem_free(w->env->mem, d, sizeof *d + d->n);
}

static void dgram_lost(struct world *w, const struct host *at, struct dgram *d, uint32_t why)
{
    world_trace(w, at, TRACE_LOST, why, d->n, d->to);
    w->hosts[d->from]->link.dropped_bytes += d->n;
    dgram_free(w, d);
}

static struct dgram *dgram_new(struct world *w, uint32_t from, const struct route *r, struct slice bytes)
{
    struct dgram *d = mem_zalloc(w->env->mem, sizeof *d + bytes.n);
    ASSERT(d != NULL);
    *d = (struct dgram){.from = from, .to = r->target, .route = *r, .n = bytes.n};
    if (bytes.n > 0)
        memcpy(d->bytes, bytes.p, bytes.n);
    d->index = slots_add(&w->dgrams, d);
    w->hosts[from]->link.up_bytes += bytes.n;
    return d;
}

static bool chance(struct host *h, uint32_t ppm)
{
    return ppm != 0 && rng_chance(&h->link.loss, ppm, 1000000);
}

// One packet of h: bursts have a memory (Gilbert 1960, Elliott 1963).
bool packet_lost(struct host *h, const struct fault_path *f)
{
    if (f->burst_begin_ppm != 0 || h->faults.burst_bad) {
        h->faults.burst_bad = h->faults.burst_bad ? !chance(h, f->burst_begin_ppm == 0 ? 1000000 : f->burst_end_ppm) : chance(h, f->burst_begin_ppm);
        if (h->faults.burst_bad)
            return true;
    }
    return chance(h, f->loss_ppm);
}

static bool masked(struct host *h)
{
    if (h->faults.mask_left == 0)
        return false;
    const bool lost = (h->faults.mask & 1) != 0;
    h->faults.mask >>= 1;
    h->faults.mask_left--;
    return lost;
}

static bool dgram_survives(struct world *w, struct host *h, const struct host *to, const struct dgram *d, const struct fault_path *f)
{
    const bool lost = masked(h);
    return !lost && !fault_cut(w, h, to, true) && !packet_lost(h, f) && (f->mtu == 0 || d->n + DGRAM_OVERHEAD <= f->mtu);
}

static void dgram_departed(struct world *w, struct host *h, struct dgram *d, nsec t)
{
    const struct host *to = w->hosts[d->to];
    const struct fault_path f = fault_path(w, h, to);
    if (!dgram_survives(w, h, to, d, &f)) {
        dgram_lost(w, h, d, 1);
        return;
    }
    t = u64_max(t + net_latency(w, h, to), f.hold_until);
    if (chance(h, f.reorder_ppm))
        t += rng_below(&h->link.loss, f.reorder_max);
    if (d->n > 0 && chance(h, f.flip_ppm)) {
        h->link.garbled = true;
        d->bytes[rng_below(&h->link.loss, d->n)] ^= (uint8_t)(1u << rng_below(&h->link.loss, 8));
    }
    for (int again = 0; again < 2; again++) {
        if (!chance(h, again ? f.replay_ppm : f.duplicate_ppm))
            continue;
        const struct dgram *twin = dgram_new(w, d->from, &d->route, slice_of(d->bytes, d->n));
        world_at(w, t + (again ? f.replay_after : NSEC_MS), EV_DGRAM_ARRIVE, twin->index, 0);
    }
    world_at(w, t, EV_DGRAM_ARRIVE, d->index, 0);
}

void net_datagram(struct world *w, struct host *from, uint16_t from_port, const struct addr *to, struct slice bytes)
{
    struct route r;
    struct link *l = &from->link;
    const enum err e = route_depart(w, from, false, from_port, to, &r);
    world_trace(w, from, TRACE_DGRAM_TX, (uint32_t)e, bytes.n, e == ERR_OK ? r.target : UINT32_MAX);
    w->totals.dgram_bytes += bytes.n;
    bool lost = l->up_until > w->now && l->up_until - w->now > wire_time(NET_DGRAM_QUEUE + NET_QUANTUM_MAX, l->up_bps);
    if (e != ERR_OK || (lost && !l->fifo))
        return;                                         // no way, or tail drop
    const size_t len = bytes.n + DGRAM_OVERHEAD;
    const nsec t = l->fifo ? queue_up(w, l, len, &lost) : slip_in(w, l, len);
    if (!lost)
        dgram_departed(w, from, dgram_new(w, from->index, &r, bytes), t);
}

void net_multicast(struct world *w, struct host *from, uint16_t port, struct slice bytes)
{
    for (uint32_t i = 0; i < w->hosts_n && from->cfg.nat != 0; i++) {
        const struct addr to = net_addr(i, port);
        if (w->hosts[i] != from && w->hosts[i]->cfg.nat == from->cfg.nat)
            net_datagram(w, from, port, &to, bytes);
    }
}

// When something of len bytes is through the downlink: its last byte is there now, and the first has been since `took` ago.
static nsec through_downlink(struct world *w, struct link *l, size_t len, nsec took, nsec *out_queue)
{
    const nsec start = u64_max(u64_sub_sat(w->now, took), l->down_busy);
    *out_queue = u64_sub_sat(l->down_busy, w->now);
    l->down_busy = start + wire_time(len, l->down_bps);
    return u64_max(l->down_busy, w->now);
}

// A downlink that becomes slower, or faster.
struct pacing {
    struct world *w;
    const struct host *host;
    uint64_t old_bps, bps;
};

static bool is_in_downlink(const struct pacing *s, const struct ev *ev)
{
    if (ev->kind == EV_DGRAM_DELIVER)
        return ((const struct dgram *)slots_get(&s->w->dgrams, ev->a))->to == s->host->index;
    if (ev->kind != EV_DELIVER)
        return false;
    const struct conn *c = slots_get(&s->w->conns, ev->a / 2);
    return pipe_to(&c->pipes[ev->a & 1])->host == s->host;
}

// When what was to be through at t will be.
static nsec paced(const struct pacing *s, nsec t)
{
    const nsec left = t - s->w->now;
    if (s->bps == 0)
        return s->w->now;
    return s->w->now + left / s->bps * s->old_bps + left % s->bps * s->old_bps / s->bps;
}

static nsec time_of(void *ctx, const struct ev *ev)
{
    const struct pacing *s = ctx;
    return is_in_downlink(s, ev) ? paced(s, ev->t) : ev->t;
}

void net_down_rate(struct world *w, struct host *h, uint64_t bps)
{
    struct link *l = &h->link;
    struct pacing s = {w, h, l->down_bps, bps};
    l->down_bps = bps;
    if (s.old_bps == 0 || bps == s.old_bps || l->down_busy <= w->now)
        return;
    queue_retime(&w->queue, w->now, time_of, &s);
    l->down_busy = paced(&s, l->down_busy);
}

void net_on_dgram_arrive(struct world *w, struct dgram *d)
{
    struct addr to;
    struct host *h = NULL;
    const enum err e = route_arrive(w, false, &d->route, &to);
    if (e == ERR_OK)
        h = net_host(w, &to);
    if (h == NULL) {
        dgram_lost(w, w->hosts[d->to], d, 3);
        return;
    }
    d->to = h->index;
    d->port = to.port;
    nsec queue;
    const nsec t = through_downlink(w, &h->link, d->n + DGRAM_OVERHEAD, 0, &queue);
    if (queue > 10 * NET_DOWN_QUEUE) {
        dgram_lost(w, h, d, 2);
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
            host_datagram(w, to, NODE_PORT_PEER, d);
        else if (d->port == NET_TRACKER_PORT && to->cfg.node.tracker)
            host_datagram(w, to, NODE_PORT_TRACKER, d);
        else if (d->port == NET_LSD_PORT && to->cfg.node.lsd.on)
            host_datagram(w, to, NODE_PORT_LSD, d);
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
            const nsec t = h->dark ? NET_DARK_TIMEOUT : conn_latency(w, p->conn, p->id & 1);
            p->conn->timeout_set = true;
            pipe_event(w, &p->conn->pipes[1 - (p->id & 1)], w->now + t, EV_RESET, h->dark ? ERR_TIMEOUT : ERR_CLOSED);
        }
        return;
    }
    nsec queue;
    const nsec took = wire_time(len, p->line_bps);
    const nsec t = through_downlink(w, &h->link, len, took, &queue);
    const nsec lumps = NET_DOWN_LUMPS * wire_time(w->cfg.quantum_bytes, h->link.down_bps);
    if (queue > NET_DOWN_QUEUE + lumps && w->now >= p->recover_until) {
        // As a mark by the queue (RFC 3168): nothing is lost, the sender slows down.
        p->cwnd = u64_max(p->cwnd * 7 / 10, 2 * NET_MSS);
        p->ssthresh = p->cwnd;
        p->recover_until = t + 2 * conn_latency(w, p->conn, p->id & 1);
    }
    if (t == w->now && !host_asleep(w, h))
        net_on_deliver(w, p, len);
    else
        pipe_event(w, p, t, EV_DELIVER, len);           // the kernel of a sleeping host has it
}
