// What nodes are told and what they ask: the simulated counterpart of the real host's loop. See host.h.
#include "codec/peerwire.h"
#include "sim/fetch.h"
#include "sim/host_int.h"
#include "sim/hostile.h"
#include "sim/job.h"
#include "sim/net.h"
#include "sim/oracle.h"
#include "sim/stream.h"
#include "sim/web.h"

// The stream end that a conn of the node names; NULL: it is gone already.
static struct end *end_of(struct world *w, struct host *h, uint32_t conn)
{
    uint32_t value;
    if (!idmap_get(&h->conns, conn, &value))
        return NULL;
    struct conn *c = slots_get(&w->conns, value / 2);
    ASSERT(c != NULL);
    return &c->ends[value % 2];
}

static void register_end(struct host *h, struct end *end)
{
    uint32_t value;
    if (end->id == 0 || idmap_get(&h->conns, end->id, &value)) {
        world_fail(h->world, "n%u uses conn %u twice", h->index, end->id);
        return;
    }
    idmap_put(&h->conns, end->id, end->conn->index * 2 + end->side);
}

static void carry_connect(struct world *w, struct host *h, const struct node_out *out)
{
    struct conn *c = net_connect(w, h, END_NODE, out->conn, &out->addr);
    register_end(h, &c->ends[0]);
}

static void carry_send(struct world *w, struct host *h, const struct node_out *out)
{
    uint64_t len = 0;
    for (uint32_t i = 0; i < out->segs_n; i++)
        len += out->segs[i].kind == SEG_BYTES ? out->segs[i].bytes.n : out->segs[i].len;
    world_trace(w, h, TRACE_SEND, out->segs_n, out->conn, len);
    struct end *end = end_of(w, h, out->conn);
    if (end == NULL)
        return;                                         // it ended meanwhile
    if (out->segs_n > IO_SEGS_MAX)
        world_fail(w, "n%u sends %u segments", h->index, out->segs_n);
    uint32_t bad = 0;
    const enum err e = net_send(w, end, out->segs, out->segs_n, &bad);
    if (e == ERR_OK)
        return;
    // The host cannot keep its promise to send: the stream is broken and the node hears both.
    struct task *t = task_new(w, h, TASK_READ_FAILED, out->conn, sizeof *t);
    t->err = e;
    t->store = out->segs[bad].store;
    t->file = out->segs[bad].file;
    world_at(w, w->now, EV_READ_FAILED, t->index, 0);
}

// A train is as many datagrams.
static void carry_datagrams(struct world *w, struct host *h, const struct node_out *out)
{
    if (out->port == NODE_PORT_LSD) {
        net_multicast(w, h, NET_LSD_PORT, out->bytes);
        return;
    }
    const uint16_t port = out->port == NODE_PORT_TRACKER ? NET_TRACKER_PORT : h->cfg.node.listen_port;
    const size_t len = out->segment == 0 ? out->bytes.n : out->segment;
    size_t at = 0;
    do {
        net_datagram(w, h, port, &out->addr, slice_sub(out->bytes, at, len));
        at += len;
    } while (at < out->bytes.n);
}

static void carry_event(struct world *w, struct host *h, const struct node_event *ev)
{
    const uint64_t what = ev->kind == NODE_EVENT_ERROR ? (uint64_t)ev->err : ev->file;
    world_trace(w, h, TRACE_EVENT, (uint32_t)ev->kind, ev->torrent, what);
    if (ev->kind == NODE_EVENT_METADATA)
        host_metadata(w, h, ev);
    if (ev->kind == NODE_EVENT_REMOVED && host_want(h, ev->torrent) != NULL)
        host_want(h, ev->torrent)->given = false;
    oracle_event(w, h, ev);
}

static void carry_out(struct world *w, struct host *h, enum node_kind kind, const struct node_out *out)
{
    struct end *end;
    switch (kind) {
    case NODE_IDLE: break;
    case NODE_DGRAM: carry_datagrams(w, h, out); break;
    case NODE_CONNECT: carry_connect(w, h, out); break;
    case NODE_SEND: carry_send(w, h, out); break;
    case NODE_CLOSE:
        world_trace(w, h, TRACE_CLOSE, out->flush, out->conn, 0);
        end = end_of(w, h, out->conn);
        if (end != NULL)
            net_close(w, end->conn, end->side, out->flush);
        break;
    case NODE_RESUME:
        end = end_of(w, h, out->conn);
        if (end != NULL && end->conn->pipes[1 - end->side].no_room) {
            end->conn->pipes[1 - end->side].no_room = false;
            end->conn->pending++;
            world_at(w, w->now, EV_PUMP, end->conn->pipes[1 - end->side].id, 0);
        }
        break;
    case NODE_JOB: job_start(w, h, &out->job); break;
    case NODE_FETCH: fetch_start(w, h, out->id, out->bytes); break;
    case NODE_STREAM: web_start(w, h, out); break;
    case NODE_STREAM_RESUME: web_resume(w, h, out->id); break;
    case NODE_STREAM_CANCEL: web_cancel(w, h, out->id); break;
    case NODE_RESOLVE: resolve_start(w, h, out->id, out->bytes); break;
    case NODE_MAP: map_start_task(w, h, &out->map); break;
    case NODE_SAVE: save_start(w, h, out->id, out->key, out->bytes); break;
    case NODE_EVENT: carry_event(w, h, &out->event); break;
    }
}

void host_settle(struct world *w, struct host *h)
{
    if (h->node == NULL || h->settling)
        return;
    h->settling = true;
    const nsec now = host_now(w, h);
    nsec deadline = NSEC_NEVER;
    bool stopped = false;
    for (uint32_t n = 0;; n++) {
        struct node_out out = {0};
        w->tx.n = 0;
        const enum node_kind kind = node_poll(h->node, now, &w->tx, &out);
        if (kind == NODE_IDLE) {
            deadline = out.deadline;
            break;
        }
        stopped |= kind == NODE_EVENT && out.event.kind == NODE_EVENT_STOPPED;
        carry_out(w, h, kind, &out);
        if (n == WORLD_BURST_MAX) {
            world_fail(w, "n%u has no end of things to ask", h->index);
            break;
        }
    }
    h->settling = false;
    if (w->cfg.check)
        node_check(h->node);
    if (stopped) {
        host_stopped(w, h);
        return;
    }
    h->deadline = deadline;
    host_arm(w, h);
    if (h->faults.cpu_cost != 0)
        h->faults.cpu_busy = u64_max(w->now, h->faults.cpu_busy) + h->faults.cpu_cost;
}

void host_accept(struct world *w, struct host *h, enum node_port port, struct conn *c)
{
    oracle_input(w, h);
    c->ends[1].id = node_accept(h->node, host_now(w, h), port, &c->route.src);
    w->totals.accepts++;
    world_trace(w, h, TRACE_ACCEPT, (uint32_t)port, c->ends[1].id, c->ends[0].host->index);
    if (c->ends[1].id == 0)
        net_close(w, c, 1, false);
    else
        register_end(h, &c->ends[1]);
    host_settle(w, h);
}

void host_connected(struct world *w, struct conn *c, enum err e)
{
    struct host *h = c->ends[0].host;
    oracle_input(w, h);
    world_trace(w, h, TRACE_CONNECTED, (uint32_t)e, c->ends[0].id, 0);
    node_connected(h->node, host_now(w, h), c->ends[0].id, e);
    host_settle(w, h);
}

// Fills the first memory of the room, never across the end of a part.
static size_t fill(struct world *w, struct pipe *p, const struct span *to)
{
    struct arrival in;
    if (!pipe_peek(p, &in))
        return 0;
    const bool ref = payload_is_ref(&w->arena, to->p);
    if (!ref) {
        const size_t n = pipe_copy(w, p, to->p, to->n);
        pipe_take(w, p, n);
        return n;
    }
    const uint64_t len = u64_min(in.len, to->n);
    for (uint64_t done = 0; done < len;) {
        struct extent e;
        if (in.part->ref.n > 0) {
            e = extents_at(&in.part->ref, in.off + done, len - done);
        } else {
            e = content_literal(slice_of(in.part->bytes + in.off, (size_t)len));
        }
        e.pos = 0;
        payload_land(&w->arena, to->p + done, &e);
        done += e.len;
    }
    pipe_take(w, p, len);
    return (size_t)len;
}

// The n bytes just taken were the header of a piece message whose block is here too.
static bool heads_block(const struct pipe *p, size_t n)
{
    struct arrival next;
    return n == PIECE_HEADER_LEN && pipe_peek(p, &next) && next.part->payload && next.off == 0;
}

static void pump_node(struct world *w, struct pipe *p)
{
    struct end *to = pipe_to(p);
    struct host *h = to->host;
    while (to->state == END_OPEN && p->arrived > p->taken && h->node != NULL) {
        struct node_room room = {.spans_n = 0};
        oracle_input(w, h);
        node_rx_room(h->node, host_now(w, h), to->id, &room);
        if (room.spans_n == 0 || to->state != END_OPEN) {
            p->no_room = true;
            world_trace(w, h, TRACE_RX, 1, to->id, 0);
            host_settle(w, h);
            return;
        }
        ASSERT(room.spans_n <= IO_ROOM_MAX);
        ASSERT(room.spans[0].n > 0);
        const size_t n = fill(w, p, &room.spans[0]);
        world_trace(w, h, TRACE_RX, 0, to->id, n);
        const bool header = heads_block(p, n);
        node_rx(h->node, host_now(w, h), to->id, n);
        if (!header)
            host_settle(w, h);          // the real host reads both at once
    }
}

void host_pump(struct world *w, struct pipe *p)
{
    struct end *to = pipe_to(p);
    if (to->state != END_OPEN || !to->host->up)
        return;
    switch (to->kind) {
    case END_NODE:
        if (!p->no_room)
            pump_node(w, p);
        break;
    case END_FETCH: fetch_rx(w, p); break;
    case END_HOSTILE: hostile_rx(w, p); break;
    }
    pipe_settle(w, p);
}

void host_sent(struct world *w, struct host *h, uint32_t conn, uint64_t len)
{
    if (h->node == NULL)
        return;
    oracle_input(w, h);
    world_trace(w, h, TRACE_SENT, 0, conn, len);
    node_sent(h->node, host_now(w, h), conn, len);
    host_settle(w, h);
}

void host_closed(struct world *w, struct host *h, uint32_t conn, enum err e)
{
    if (h->node == NULL)
        return;
    oracle_input(w, h);
    world_trace(w, h, TRACE_CLOSED, (uint32_t)e, conn, 0);
    node_closed(h->node, host_now(w, h), conn, e);
    host_settle(w, h);
}

void host_datagram(struct world *w, struct host *h, enum node_port port, const struct dgram *d)
{
    oracle_input(w, h);
    world_trace(w, h, TRACE_DGRAM_RX, (uint32_t)port, d->n, d->from);
    node_datagram(h->node, host_now(w, h), port, &d->route.src, slice_of(d->bytes, d->n));
    host_settle(w, h);
}

void host_tick(struct world *w, struct host *h)
{
    oracle_input(w, h);
    world_trace(w, h, TRACE_TICK, 0, 0, 0);
    node_tick(h->node, host_now(w, h));
    host_settle(w, h);
}

void host_job_done(struct world *w, struct host *h, uint32_t id, enum err e, uint32_t file)
{
    oracle_input(w, h);
    world_trace(w, h, TRACE_JOB_DONE, (uint32_t)e, id, file);
    node_job_done(h->node, host_now(w, h), id, e, file);
    host_settle(w, h);
}

void host_fetched(struct world *w, struct host *h, uint32_t id, enum err e, int status, struct slice body)
{
    oracle_input(w, h);
    world_trace(w, h, TRACE_FETCHED, (uint32_t)e, id, (uint64_t)status);
    node_fetched(h->node, host_now(w, h), id, e, status, body);
    host_settle(w, h);
}

void host_stream_head(struct world *w, struct host *h, uint32_t id, int status, struct slice lines)
{
    oracle_input(w, h);
    world_trace(w, h, TRACE_FETCHED, 1000, id, (uint64_t)status);
    node_stream_head(h->node, host_now(w, h), id, status, lines);
    host_settle(w, h);
}

bool host_stream_room(struct world *w, struct host *h, uint32_t id, struct span *out)
{
    struct node_room room = {.spans_n = 0};
    oracle_input(w, h);
    node_stream_room(h->node, host_now(w, h), id, &room);
    if (room.spans_n != 0) {
        *out = room.spans[0];
        return true;
    }
    world_trace(w, h, TRACE_RX, 3, id, 0);
    host_settle(w, h);
    return false;
}

void host_stream_rx(struct world *w, struct host *h, uint32_t id, size_t len)
{
    world_trace(w, h, TRACE_RX, 2, id, len);
    node_stream_rx(h->node, host_now(w, h), id, len);
    host_settle(w, h);
}

void host_resolved(struct world *w, struct host *h, uint32_t id, enum err e, const struct addr *addrs, uint32_t n)
{
    oracle_input(w, h);
    node_resolved(h->node, host_now(w, h), id, e, addrs, n);
    host_settle(w, h);
}

void host_mapped(struct world *w, struct host *h, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s)
{
    oracle_input(w, h);
    node_mapped(h->node, host_now(w, h), udp, e, external, lifetime_s);
    host_settle(w, h);
}

void host_saved(struct world *w, struct host *h, uint32_t id)
{
    oracle_input(w, h);
    world_trace(w, h, TRACE_SAVED, 0, id, 0);
    node_saved(h->node, host_now(w, h), id, ERR_OK);
    host_settle(w, h);
}

void host_read_failed(struct world *w, struct host *h, uint32_t store, uint32_t file, enum err e)
{
    oracle_input(w, h);
    node_read_failed(h->node, host_now(w, h), store, file, e);
    host_settle(w, h);
}
