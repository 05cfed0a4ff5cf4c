// Questions and their answers: transactions, time-outs, what is learnt from every message. BEP 5, 42, 43.
#include "engine/find/dht_int.h"
#include "engine/find/dht_lookup.h"
#include "engine/find/dht_op.h"
#include "engine/find/dht_rpc.h"

const struct slice dht_version = {(const uint8_t *)"KH\0\1", KRPC_VERSION_LEN};

// ---- sending

size_t rpc_send(struct dht *d, const struct addr *to, const struct krpc *m)
{
    uint8_t space[KRPC_BYTES_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    krpc_write(&w, m);
    struct dht_packet *p = w.ok && d->queue_n < DHT_QUEUE_MAX ? mem_zalloc(d->mem, sizeof *p + b.n) : NULL;
    if (p == NULL) {
        d->stats.tx_dropped++;
        return 0;
    }
    p->to = *to;
    p->n = b.n;
    memcpy(p->bytes, b.p, b.n);
    list_init(&p->link);
    list_push_back(&d->queue, &p->link);
    d->queue_n++;
    return b.n;
}

static struct dht_rpc *rpc_new(struct dht *d)
{
    uint32_t i = d->rpc_free;
    if (RARE(d->rare, RARE_NO_RPC))
        return NULL;
    while (i < d->rpcs_cap && d->rpcs[i] != NULL)
        i++;
    if (i == d->rpcs_cap) {
        void *items = d->rpcs;
        const enum err e = mem_grow(d->mem, &items, &d->rpcs_cap, i + 1, RPCS_MAX, sizeof *d->rpcs);
        d->rpcs = items;
        if (e != ERR_OK)
            return NULL;
    }
    struct dht_rpc *r = mem_zalloc(d->mem, sizeof *r);
    if (r == NULL)
        return NULL;
    d->rpcs[i] = r;
    d->rpcs_n++;
    d->rpc_free = i + 1;
    r->index = i;
    return r;
}

void rpc_free(struct dht *d, struct dht_rpc *r)
{
    heap_remove(&d->timers, &r->timer);
    if (r->purpose == RPC_PROBE)
        d->probes--;
    d->rpcs[r->index] = NULL;
    d->rpc_free = u32_min(d->rpc_free, r->index);
    d->rpcs_n--;
    mem_free(d->mem, r, sizeof *r);
}

static nsec patience(const struct dht_side *s, enum rpc_purpose purpose)
{
    switch (purpose) {
    case RPC_PROBE: return RPC_TIMEOUT_NS;
    case RPC_LOOKUP: return s->short_ns;
    case RPC_STORE: return STORE_TIMES_SHORT * s->short_ns;     // it answered a moment ago
    }
    return RPC_TIMEOUT_NS;
}

bool rpc_ask(struct dht *d, const struct dht_rpc *what, struct krpc *m)
{
    const struct dht_side *s = side_of(d, what->to.family);
    if (!s->on || what->to.port == 0)
        return false;
    struct dht_rpc *r = rpc_new(d);
    if (r == NULL)
        return false;
    const uint32_t index = r->index;
    *r = *what;
    r->index = index;
    r->salt = (uint32_t)rng_u64(&d->rng);
    r->method = m->method;
    r->sent = d->now;
    r->timer = (struct heap_node){.id = (uint64_t)r->salt << 32 | index};
    if (r->purpose == RPC_PROBE)
        d->probes++;
    uint8_t tid[TID_LEN];
    struct buf b = {tid, 0, sizeof tid};
    struct wr w = wr_make(&b);
    wr_be16(&w, u16_of(index));
    wr_be32(&w, r->salt);
    m->kind = KRPC_QUERY;
    m->tid = buf_slice(&b);
    m->version = dht_version;
    m->has_id = true;
    memcpy(m->id, s->table.own, NODE_ID_LEN);
    m->read_only = d->cfg.read_only;
    if (m->method == KRPC_FIND_NODE || m->method == KRPC_GET_PEERS || m->method == KRPC_GET || m->method == KRPC_SAMPLE) {
        m->has_want = d->sides[0].on && d->sides[1].on;
        m->want_v4 = m->want_v6 = m->has_want;
    }
    if (heap_set(&d->timers, &r->timer, d->now + patience(s, r->purpose)) != ERR_OK ||
        rpc_send(d, &what->to, m) == 0) {
        rpc_free(d, r);
        return false;
    }
    d->stats.tx_queries++;
    return true;
}

static bool asked_already(const struct dht *d, const struct addr *to)
{
    for (uint32_t i = 0; i < d->rpcs_cap; i++)
        if (d->rpcs[i] != NULL && addr_eq(&d->rpcs[i]->to, to))
            return true;
    return false;
}

bool rpc_probe(struct dht *d, const struct addr *to, const uint8_t target[NODE_ID_LEN])
{
    if (d->probes >= PROBES_MAX || asked_already(d, to))
        return false;
    struct krpc m = {.method = KRPC_FIND_NODE, .has_target = true};
    memcpy(m.target, target, NODE_ID_LEN);
    return rpc_ask(d, &(struct dht_rpc){.purpose = RPC_PROBE, .to = *to}, &m);
}

void rpc_heard_of(struct dht *d, const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    struct dht_side *s = side_of(d, a->family);
    if (!s->on || d->probes >= PROBES_MAX / 2 || !table_wants(&s->table, id, a))
        return;
    (void)rpc_probe(d, a, s->table.own);
}

void rpc_orphan(struct dht *d, const struct dht_lookup *l, uint32_t op)
{
    for (uint32_t i = 0; i < d->rpcs_cap; i++) {
        struct dht_rpc *r = d->rpcs[i];
        if (r == NULL || r->purpose == RPC_PROBE)
            continue;
        if (l != NULL ? r->lookup == l : r->op == op && r->purpose == RPC_STORE) {
            r->purpose = RPC_PROBE;
            d->probes++;
            r->lookup = NULL;
            (void)!heap_set(&d->timers, &r->timer, r->sent + RPC_TIMEOUT_NS);
        }
    }
}

// Our address, as others see it.
static void vote(struct dht *d, struct dht_side *s, const struct addr *from, const struct addr *ip)
{
    const uint32_t source = votes_source(from);
    if (ip->family == s->family && source != 0 && votes_add(&s->votes, source, ip))
        dht_external(d, d->now, &s->votes.agreed);
}

// ---- receiving

// The delay that nine of ten answers keep: up by nine steps above it, down by one below it.
static void learn_delay(struct dht_side *s, nsec took)
{
    const nsec step = s->short_ns / 32;
    s->short_ns = took > s->short_ns ? s->short_ns + 9 * step : s->short_ns - step;
    s->short_ns = u64_min(u64_max(s->short_ns, SHORT_MIN_NS), SHORT_MAX_NS);
}

static struct dht_rpc *rpc_of(struct dht *d, const struct addr *from, struct slice tid)
{
    struct rd r = rd_make(tid);
    const uint32_t index = rd_be16(&r), salt = rd_be32(&r);
    if (!r.ok || r.n != 0 || index >= d->rpcs_cap)
        return NULL;
    struct dht_rpc *rpc = d->rpcs[index];
    return rpc != NULL && rpc->salt == salt && addr_eq(&rpc->to, from) ? rpc : NULL;
}

bool rpc_plausible(const struct addr *a, const struct addr *by)
{
    if (a->port == 0 || addr_is_any(a) || addr_is_multicast(a) || addr_is_reserved(a))
        return false;
    return addr_is_local(by) || !addr_is_local(a);
}

static void take_nodes(struct dht *d, const struct addr *by, struct slice nodes, enum addr_family family)
{
    uint8_t id[NODE_ID_LEN];
    struct addr a;
    for (uint32_t i = 0; i < LOOKUP_TAKEN_MAX && krpc_node(nodes, family, i, id, &a); i++)
        if (rpc_plausible(&a, by))
            rpc_heard_of(d, id, &a);
}

static void answered(struct dht *d, struct dht_rpc *r, const struct krpc *m)
{
    struct dht_side *s = side_of(d, r->to.family);
    const nsec took = d->now - r->sent;
    d->heard = d->now;
    d->silent = 0;
    learn_delay(s, took);
    vote(d, s, &r->to, &m->ip);
    if (m->kind == KRPC_REPLY && memcmp(m->id, s->table.own, NODE_ID_LEN) != 0 &&
        table_seen(&s->table, d->now, m->id, &r->to, (uint32_t)u64_max(took / NSEC_US, 1)) == TABLE_ADDED) {
        if (s->table.n == 1) {
            s->self_due = true;
            d->upkeep_at = d->now;
        }
        lookup_feed(d, m->id, &r->to);
    }
    take_nodes(d, &r->to, m->nodes, ADDR_IPV4);
    take_nodes(d, &r->to, m->nodes6, ADDR_IPV6);
}

static void reply(struct dht *d, const struct addr *from, const struct krpc *m)
{
    struct dht_rpc *r = rpc_of(d, from, m->tid);
    if (r == NULL) {
        if (!serve_proved(d, from, m))
            d->stats.rx_unasked++;
        return;
    }
    if (m->kind == KRPC_REPLY)
        d->stats.rx_replies++;
    else
        d->stats.rx_errors++;
    answered(d, r, m);
    switch (r->purpose) {
    case RPC_LOOKUP:
        if (m->kind == KRPC_REPLY)
            lookup_reply(d, r, m);
        else
            lookup_failed(d, r);
        break;
    case RPC_STORE: op_store_reply(d, r, m); break;
    case RPC_PROBE: break;
    }
    rpc_free(d, r);
}

void rpc_input(struct dht *d, const struct addr *from, struct slice data)
{
    struct krpc m;
    d->stats.rx_bytes += data.n;
    if (!side_of(d, from->family)->on || from->port == 0 || krpc_parse(&m, data) != ERR_OK) {
        d->stats.rx_bad++;
        return;
    }
    if (m.kind != KRPC_QUERY) {
        reply(d, from, &m);
        return;
    }
    d->stats.rx_queries++;
    serve_query(d, from, &m);
    // Who asks may be worth asking; only its own answer brings it into the table. BEP 43: not who never answers.
    if (!m.read_only)
        rpc_heard_of(d, m.id, from);
}

void rpc_tick(struct dht *d)
{
    for (struct heap_node *h = heap_min(&d->timers); h != NULL && h->at <= d->now; h = heap_min(&d->timers)) {
        struct dht_rpc *r = CONTAINER(h, struct dht_rpc, timer);
        if (r->purpose == RPC_LOOKUP && !r->slow) {
            r->slow = true;
            (void)!heap_set(&d->timers, h, u64_max(r->sent + RPC_TIMEOUT_NS, d->now + 1));
            lookup_slow(d, r);
            continue;
        }
        d->stats.timeouts++;
        d->silent++;
        if (!dht_deaf(d))
            (void)table_failed(&side_of(d, r->to.family)->table, &r->to);
        if (r->purpose == RPC_LOOKUP)
            lookup_failed(d, r);
        if (r->purpose == RPC_STORE)
            op_store_reply(d, r, NULL);
        rpc_free(d, r);
    }
}
