// The owner's questions: what answers on the way mean, and what is stored at the end of it. BEP 5, 33, 44, 51.
#include "engine/find/dht_int.h"
#include "engine/find/dht_lookup.h"
#include "engine/find/dht_op.h"
#include "engine/find/dht_rpc.h"

enum { PEERS_OF_REPLY_MAX = 128 };

// ---- events

struct dht_event *event_add(struct dht *d, enum dht_kind kind, size_t n)
{
    struct dht_event *e = d->events_n < DHT_EVENTS_MAX ? mem_zalloc(d->mem, sizeof *e + n) : NULL;
    if (e == NULL) {
        d->stats.events_dropped++;
        return NULL;
    }
    e->kind = kind;
    e->n = n;
    list_init(&e->link);
    list_push_back(&d->events, &e->link);
    d->events_n++;
    return e;
}

static struct slice keep(struct dht_event *e, size_t *at, struct slice s)
{
    if (s.n != 0)
        memcpy(e->bytes + *at, s.p, s.n);
    *at += s.n;
    return slice_of(e->bytes + *at - s.n, s.n);
}

static void tell_item(struct dht *d, const struct dht_op *op, const struct dht_item *item)
{
    struct dht_event *e = event_add(d, DHT_ITEM, item->value.n + item->salt.n);
    size_t at = 0;
    if (e == NULL)
        return;
    e->out.op = op->id;
    e->out.is_mutable = op->ask.is_mutable;
    e->out.item = *item;
    e->out.item.value = keep(e, &at, item->value);
    e->out.item.salt = keep(e, &at, item->salt);
}

// ---- ops

struct dht_op *op_find(const struct dht *d, uint32_t id)
{
    for (struct list *link = d->ops.next; link != &d->ops; link = link->next) {
        struct dht_op *op = CONTAINER(link, struct dht_op, link);
        if (op->id == id)
            return op;
    }
    return NULL;
}

void op_free(struct dht *d, struct dht_op *op)
{
    LIST_EACH(&d->lookups, link, save) {
        struct dht_lookup *l = CONTAINER(link, struct dht_lookup, link);
        if (l->op == op) {
            l->op = NULL;
            l->over = true;
        }
    }
    rpc_orphan(d, NULL, op->id);
    list_remove(&op->link);
    d->ops_n--;
    mem_free(d->mem, op, sizeof *op);
}

static enum err outcome(const struct dht_op *op)
{
    if (op->replied == 0)
        return ERR_UNREACHABLE;
    switch (op->ask.kind) {
    case DHT_FIND: return op->found != 0 ? ERR_OK : ERR_NOT_FOUND;
    case DHT_SAMPLE: case DHT_GET_PEERS: return op->found != 0 || op->scraped ? ERR_OK : ERR_NOT_FOUND;
    case DHT_GET: return op->has_item ? ERR_OK : ERR_NOT_FOUND;
    case DHT_ANNOUNCE: case DHT_PUT: return op->stored != 0 ? ERR_OK : ERR_REFUSED;
    }
    return ERR_OK;
}

static void finish(struct dht *d, struct dht_op *op)
{
    const size_t text_n = strlen(op->text);
    struct dht_event *e = event_add(d, DHT_DONE, text_n);
    size_t at = 0;
    if (e != NULL) {
        e->out = (struct dht_out){.op = op->id, .err = outcome(op), .asked = op->asked, .replied = op->replied, .stored = op->stored,
            .hops = op->hops, .found = op->found, .took = d->now - op->started, .first = op->first, .code = op->code};
        e->out.text = keep(e, &at, slice_of(op->text, text_n));
        if (op->scraped) {
            e->out.seeds = bloom_count(op->blooms[0]);
            e->out.leeches = bloom_count(op->blooms[1]);
        }
    }
    op_free(d, op);
}

static void found_some(struct dht *d, struct dht_op *op, const struct dht_cand *c)
{
    if (op->first != 0)
        return;
    op->first = u64_max(d->now - op->started, 1);
    op->hops = c->depth;
}

// ---- answers on the way

static void take_peers(struct dht *d, struct dht_op *op, const struct dht_cand *c, const struct krpc *m)
{
    struct addr peers[PEERS_OF_REPLY_MAX];
    uint32_t n = 0;
    struct bencode b;
    if (m->bloom_seeds.n != 0 && m->bloom_peers.n != 0 && op->ask.scrape) {
        bloom_merge(op->blooms[0], m->bloom_seeds.p);
        bloom_merge(op->blooms[1], m->bloom_peers.p);
        op->scraped = true;
        found_some(d, op, c);
    }
    if (m->values.n == 0)
        return;
    krpc_values(&b, m->values);
    while (n < PEERS_OF_REPLY_MAX && krpc_value(&b, &peers[n]))
        n += rpc_plausible(&peers[n], &c->addr);
    if (n == 0)
        return;
    found_some(d, op, c);
    op->found += n;
    struct dht_event *e = event_add(d, DHT_PEERS, n * sizeof *peers);
    if (e == NULL)
        return;
    memcpy(e->bytes, peers, n * sizeof *peers);
    e->out.op = op->id;
    e->out.addr = c->addr;
    e->out.peers_n = n;
}

static void take_item(struct dht *d, struct dht_op *op, const struct dht_cand *c, const struct krpc *m)
{
    struct dht_item item = {.value = m->value, .salt = op->ask.item.salt, .seq = m->seq};
    uint8_t target[NODE_ID_LEN];
    if (m->value.n == 0 || m->value.n > ITEM_VALUE_MAX)
        return;
    if (!op->ask.is_mutable) {
        dht_item_immutable(m->value, target);
        if (memcmp(target, op->ask.target, NODE_ID_LEN) != 0 || op->has_item)
            return;
    } else {
        if (!m->has_seq || !m->has_sig || (op->has_item && m->seq <= op->best_seq))
            return;
        memcpy(item.key, op->ask.item.key, SIGN_PUBLIC_LEN);
        memcpy(item.sig, m->sig, SIGN_LEN);
        if (!dht_item_verify(&item))
            return;
        op->best_seq = m->seq;
    }
    op->has_item = true;
    op->found++;
    found_some(d, op, c);
    tell_item(d, op, &item);
}

static void take_samples(struct dht *d, struct dht_op *op, const struct dht_cand *c, const struct krpc *m)
{
    if (!m->has_interval)
        return;
    struct dht_event *e = event_add(d, DHT_SAMPLES, m->samples.n);
    size_t at = 0;
    if (e == NULL)
        return;
    op->found += u32_of(m->samples.n / NODE_ID_LEN);
    found_some(d, op, c);
    e->out.op = op->id;
    e->out.addr = c->addr;
    e->out.num = m->num;
    e->out.interval_s = m->interval_s;
    e->out.samples = keep(e, &at, m->samples);
}

static void shorten(struct dht *d, const struct dht_op *op)
{
    LIST_EACH(&d->lookups, link, save) {
        struct dht_lookup *l = CONTAINER(link, struct dht_lookup, link);
        if (l->op == op && !l->over) {
            l->over = true;
            op_lookup_over(d, l);
            return;                     // op may be gone; another family's lookup went with it or ends by itself
        }
    }
}

void op_answer(struct dht *d, struct dht_lookup *l, const struct dht_cand *c, const struct krpc *m)
{
    struct dht_op *op = l->op;
    switch (op->ask.kind) {
    case DHT_FIND: op->hops = u32_max(op->hops, c->depth); break;
    case DHT_GET_PEERS: case DHT_ANNOUNCE: take_peers(d, op, c, m); break;
    case DHT_GET:
        take_item(d, op, c, m);
        if (op->has_item && !op->ask.is_mutable)
            shorten(d, op);             // there can be no other
        break;
    case DHT_SAMPLE: take_samples(d, op, c, m); break;
    case DHT_PUT: break;
    }
}

// ---- storing

static void store_at(struct dht *d, struct dht_op *op, const struct dht_cand *c)
{
    const struct dht_ask *a = &op->ask;
    struct krpc m = {.method = a->kind == DHT_PUT ? KRPC_PUT : KRPC_ANNOUNCE_PEER, .token = slice_of(c->token, c->token_n)};
    if (a->kind == DHT_PUT) {
        m.value = a->item.value;
        if (a->is_mutable) {
            m.has_key = m.has_sig = m.has_seq = true;
            memcpy(m.key, a->item.key, SIGN_PUBLIC_LEN);
            memcpy(m.sig, a->item.sig, SIGN_LEN);
            m.seq = a->item.seq;
            m.salt = a->item.salt;
            m.has_cas = a->has_cas;
            m.cas = a->cas;
        }
    } else {
        m.has_target = true;
        memcpy(m.target, a->target, NODE_ID_LEN);
        m.port = a->port;
        m.implied_port = a->implied_port;
        m.seed = a->seed;
    }
    if (rpc_ask(d, &(struct dht_rpc){.purpose = RPC_STORE, .to = c->addr, .op = op->id}, &m))
        op->stores++;
}

// At the nearest nodes that gave a token: of all, and of those whose id is bound to their address.
static void store_all(struct dht *d, struct dht_op *op, struct dht_lookup *l)
{
    uint32_t all = 0, secure = 0;
    for (uint32_t i = 0; i < l->n && (all < LOOKUP_K || secure < LOOKUP_K); i++) {
        const struct dht_cand *c = &l->cands[l->order[i]];
        if (c->state != CAND_REPLIED || c->token_n == 0)
            continue;
        if (all < LOOKUP_K || (c->secure && secure < LOOKUP_K))
            store_at(d, op, c);
        all++;
        secure += c->secure;
    }
}

static void tell_nodes(struct dht *d, struct dht_op *op, const struct dht_lookup *l)
{
    struct addr nodes[LOOKUP_K];
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n && n < LOOKUP_K; i++)
        if (l->cands[l->order[i]].state == CAND_REPLIED)
            nodes[n++] = l->cands[l->order[i]].addr;
    op->found += n;
    struct dht_event *e = n != 0 ? event_add(d, DHT_PEERS, sizeof nodes) : NULL;
    if (e == NULL)
        return;
    memcpy(e->bytes, nodes, n * sizeof *nodes);
    e->out.op = op->id;
    e->out.peers_n = n;
}

void op_lookup_over(struct dht *d, struct dht_lookup *l)
{
    struct dht_op *op = l->op;
    op->lookups--;
    op->asked += l->asked;
    op->replied += l->replied;
    if (op->ask.kind == DHT_ANNOUNCE || op->ask.kind == DHT_PUT)
        store_all(d, op, l);
    if (op->ask.kind == DHT_FIND)
        tell_nodes(d, op, l);
    l->op = NULL;
    const bool done = op->ask.kind == DHT_GET && op->has_item && !op->ask.is_mutable;
    if (done || (op->lookups == 0 && op->stores == 0))
        finish(d, op);
}

void op_store_reply(struct dht *d, struct dht_rpc *r, const struct krpc *m)
{
    struct dht_op *op = op_find(d, r->op);
    if (op == NULL)
        return;
    op->stores--;
    if (m != NULL && m->kind == KRPC_REPLY)
        op->stored++;
    if (m != NULL && m->kind == KRPC_ERROR) {
        op->code = m->code;
        const size_t n = size_min(m->text.n, sizeof op->text - 1);
        memset(op->text, 0, sizeof op->text);
        if (n != 0)
            memcpy(op->text, m->text.p, n);
    }
    if (op->lookups == 0 && op->stores == 0)
        finish(d, op);
}

// ---- beginning

static enum err fill_in(struct dht_op *op, const struct dht_ask *ask)
{
    op->ask = *ask;
    const struct dht_item *item = &ask->item;
    if (ask->kind != DHT_PUT && ask->kind != DHT_GET)
        return ERR_OK;
    if (item->value.n > ITEM_VALUE_MAX || item->salt.n > ITEM_SALT_MAX || (ask->kind == DHT_PUT && item->value.n == 0))
        return ERR_RANGE;
    if (item->value.n != 0)
        memcpy(op->bytes, item->value.p, item->value.n);
    if (item->salt.n != 0)
        memcpy(op->bytes + item->value.n, item->salt.p, item->salt.n);
    op->ask.item.value = slice_of(op->bytes, item->value.n);
    op->ask.item.salt = slice_of(op->bytes + item->value.n, item->salt.n);
    if (ask->is_mutable)
        dht_item_mutable(item->key, item->salt, op->ask.target);
    else if (ask->kind == DHT_PUT)
        dht_item_immutable(item->value, op->ask.target);
    return ERR_OK;
}

static enum krpc_method method_of(enum dht_ask_kind kind)
{
    switch (kind) {
    case DHT_FIND: return KRPC_FIND_NODE;
    case DHT_GET_PEERS: case DHT_ANNOUNCE: return KRPC_GET_PEERS;
    case DHT_GET: case DHT_PUT: return KRPC_GET;
    case DHT_SAMPLE: return KRPC_SAMPLE;
    }
    return KRPC_FIND_NODE;
}

enum err dht_ask(struct dht *d, nsec now, const struct dht_ask *ask, uint32_t *out_op)
{
    ASSERT(now >= d->now);
    d->now = now;
    if (d->ops_n >= DHT_OPS_MAX)
        return ERR_FULL;
    if (ask->family != ADDR_NONE && !side_of(d, (enum addr_family)ask->family)->on)
        return ERR_UNSUPPORTED;
    struct dht_op *op = mem_zalloc(d->mem, sizeof *op);
    if (op == NULL)
        return ERR_NOMEM;
    const enum err e = fill_in(op, ask);
    if (e != ERR_OK) {
        mem_free(d->mem, op, sizeof *op);
        return e;
    }
    d->op_serial = d->op_serial == UINT32_MAX ? 1 : d->op_serial + 1;
    op->id = d->op_serial;
    op->started = now;
    list_init(&op->link);
    list_push_back(&d->ops, &op->link);
    d->ops_n++;
    *out_op = op->id;
    struct dht_lookup *begun[2] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        const struct dht_side *s = &d->sides[i];
        if (s->on && (ask->family == ADDR_NONE || ask->family == s->family))
            begun[i] = lookup_new(d, op, s->family, method_of(ask->kind), op->ask.target);
    }
    if (op->lookups == 0) {
        op_free(d, op);
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < 2; i++)
        if (begun[i] != NULL && op_find(d, *out_op) != NULL)
            lookup_start(d, begun[i]);
    lookup_reap(d);
    return ERR_OK;
}

void dht_cancel(struct dht *d, uint32_t op)
{
    struct dht_op *o = op_find(d, op);
    if (o == NULL)
        return;
    op_free(d, o);
    lookup_reap(d);
}
