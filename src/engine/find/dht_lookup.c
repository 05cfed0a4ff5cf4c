// Walking towards a target: ask the nearest nodes that are known for nearer ones, until the eight nearest have answered. BEP 5.
//
// What makes it quick: a few questions at a time, and who is slower than nine of ten, or no longer among the nearest, is not
// waited for (its answer still counts). What makes it hard to mislead: it ends only when the eight nearest have answered *and* the eight
// nearest whose id is bound to their address (BEP 42) have, so that ids made up around a target do not hide those that
// were not; one place for each network; nodes that only one has named get at most half of the questions; a limit.
#include "engine/find/dht_int.h"
#include "engine/find/dht_lookup.h"
#include "engine/find/dht_op.h"
#include "engine/find/dht_rpc.h"

struct dht_lookup *lookup_new(struct dht *d, struct dht_op *op, enum addr_family family, enum krpc_method method, const uint8_t target[NODE_ID_LEN])
{
    struct dht_lookup *l = mem_zalloc(d->mem, sizeof *l);
    if (l == NULL)
        return NULL;
    l->op = op;
    l->family = family;
    l->method = method;
    l->started = d->now;
    memcpy(l->target, target, NODE_ID_LEN);
    list_init(&l->link);
    list_push_back(&d->lookups, &l->link);
    if (op != NULL)
        op->lookups++;
    return l;
}

void lookup_free(struct dht *d, struct dht_lookup *l)
{
    rpc_orphan(d, l, 0);
    list_remove(&l->link);
    mem_free(d->mem, l, sizeof *l);
}

// ---- candidates

static void insert(struct dht_lookup *l, uint8_t index)
{
    uint32_t at = l->n++;
    for (; at > 0 && node_id_nearer(l->target, l->cands[index].id, l->cands[l->order[at - 1]].id) < 0; at--)
        l->order[at] = l->order[at - 1];
    l->order[at] = index;
}

// A place for a new candidate: a free one, or that of the farthest if nobody asked it yet and the new one is nearer.
static int place(struct dht_lookup *l, const uint8_t id[NODE_ID_LEN])
{
    if (l->n < LOOKUP_CANDS_MAX)
        return (int)l->n;
    const uint8_t last = l->order[l->n - 1];
    if (l->cands[last].state != CAND_FRESH || node_id_nearer(l->target, id, l->cands[last].id) >= 0)
        return -1;
    l->n--;
    return last;
}

static void add(struct dht *d, struct dht_lookup *l, const uint8_t id[NODE_ID_LEN], const struct addr *a, uint8_t source)
{
    const struct dht_side *s = side_of(d, l->family);
    if (a->family != l->family || memcmp(id, s->table.own, NODE_ID_LEN) == 0)
        return;
    const bool local = addr_is_local(a);
    for (uint32_t i = 0; i < l->n; i++) {
        struct dht_cand *c = &l->cands[l->order[i]];
        if (local ? !addr_eq(&c->addr, a) : !table_same_net(&c->addr, a))
            continue;
        if (c->state == CAND_FRESH && c->source != source && memcmp(c->id, id, NODE_ID_LEN) == 0)
            c->source = SOURCE_SEVERAL;
        return;
    }
    const int at = place(l, id);
    if (at < 0)
        return;
    l->cands[at] = (struct dht_cand){.addr = *a, .source = source, .secure = node_id_fits(id, a),
        .depth = (uint8_t)(source < LOOKUP_CANDS_MAX ? l->cands[source].depth + 1 : 1)};
    memcpy(l->cands[at].id, id, NODE_ID_LEN);
    insert(l, (uint8_t)at);
}

void lookup_start(struct dht *d, struct dht_lookup *l)
{
    const struct dht_node *found[2 * LOOKUP_K];
    const uint32_t n = table_nearest(&side_of(d, l->family)->table, l->target, found, 2 * LOOKUP_K);
    for (uint32_t i = 0; i < n; i++)
        add(d, l, found[i]->id, &found[i]->addr, SOURCE_TABLE);
    lookup_step(d, l);
}

void lookup_feed(struct dht *d, const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    LIST_EACH(&d->lookups, link, save) {
        struct dht_lookup *l = CONTAINER(link, struct dht_lookup, link);
        if (l->over || l->replied >= LOOKUP_K || l->family != a->family)
            continue;
        add(d, l, id, a, SOURCE_TABLE);
        lookup_step(d, l);
    }
}

// ---- asking

static void ask(struct dht *d, struct dht_lookup *l, uint8_t index)
{
    struct dht_cand *c = &l->cands[index];
    struct krpc m = {.method = l->method, .has_target = true};
    memcpy(m.target, l->target, NODE_ID_LEN);
    m.scrape = l->op != NULL && l->op->ask.scrape;
    l->asked++;
    if (!rpc_ask(d, &(struct dht_rpc){.purpose = RPC_LOOKUP, .to = c->addr, .lookup = l, .cand = index}, &m)) {
        c->state = CAND_FAILED;
        return;
    }
    c->state = CAND_ASKED;
    l->inflight++;
}

// The walk over those that matter: the nearest LOOKUP_K of all, and of the secure ones; silent ones do not count.
struct front {
    uint32_t i, all, secure;
};

static struct dht_cand *front_next(struct dht_lookup *l, struct front *f)
{
    while (f->i < l->n && (f->all < LOOKUP_K || f->secure < LOOKUP_K)) {
        struct dht_cand *c = &l->cands[l->order[f->i++]];
        if (c->state == CAND_FAILED || c->state == CAND_SLOW)
            continue;
        const bool in = f->all < LOOKUP_K || (c->secure && f->secure < LOOKUP_K);
        f->all++;
        f->secure += c->secure;
        if (in)
            return c;
    }
    return NULL;
}

// Whether one node alone has brought too many of those that are being asked.
static bool one_sided(const struct dht_lookup *l, const struct dht_cand *c)
{
    uint32_t n = 0;
    if (c->source >= SOURCE_TABLE)
        return false;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct dht_cand *o = &l->cands[l->order[i]];
        n += o->state == CAND_ASKED && o->source == c->source;
    }
    return n >= LOOKUP_ALPHA_SOURCE;
}

static struct dht_cand *choose(struct dht_lookup *l)
{
    struct front f = {0};
    for (struct dht_cand *c = front_next(l, &f); c != NULL; c = front_next(l, &f))
        if (c->state == CAND_FRESH && !one_sided(l, c))
            return c;
    return NULL;
}

// Questions under way to those that matter. Others are not waited for: the first answer brings nodes so much nearer that whoever else
// is still being asked is of no use any more.
static uint32_t waiting(struct dht_lookup *l)
{
    struct front f = {0};
    uint32_t n = 0;
    for (const struct dht_cand *c = front_next(l, &f); c != NULL; c = front_next(l, &f))
        n += c->state == CAND_ASKED;
    return n;
}

static bool unsettled(struct dht_lookup *l)
{
    struct front f = {0};
    for (struct dht_cand *c = front_next(l, &f); c != NULL; c = front_next(l, &f))
        if (c->state == CAND_ASKED || (c->state == CAND_FRESH && l->asked < LOOKUP_ASKED_MAX))
            return true;
    return false;
}

static bool may_wait(const struct dht *d, const struct dht_lookup *l)
{
    return l->op != NULL && l->replied == 0 && d->now - l->started < WAIT_NODES_NS;
}

// How far the eighth node is tells how many there are.
static void learn_size(struct dht *d, struct dht_lookup *l)
{
    struct dht_side *s = side_of(d, l->family);
    uint32_t n = 0;
    uint64_t distance = 0;
    for (uint32_t i = 0; i < l->n && n < LOOKUP_K; i++) {
        const struct dht_cand *c = &l->cands[l->order[i]];
        if (c->state != CAND_REPLIED)
            continue;
        distance = 0;
        for (uint32_t k = 0; k < 8; k++)
            distance = distance << 8 | (uint8_t)(c->id[k] ^ l->target[k]);
        n++;
    }
    if (n < LOOKUP_K || distance == 0)
        return;
    s->mean_distance = s->mean_distance == 0 ? distance : s->mean_distance - s->mean_distance / 16 + distance / 16;
}

void lookup_step(struct dht *d, struct dht_lookup *l)
{
    if (l->over)
        return;
    while (l->inflight < LOOKUP_INFLIGHT_MAX && waiting(l) < LOOKUP_ALPHA && l->asked < LOOKUP_ASKED_MAX) {
        const struct dht_cand *c = choose(l);
        if (c == NULL)
            break;
        ask(d, l, (uint8_t)(c - l->cands));
    }
    if (unsettled(l) || may_wait(d, l))
        return;
    l->over = true;
    learn_size(d, l);
    if (l->op != NULL)
        op_lookup_over(d, l);
}

nsec lookup_due(const struct dht *d)
{
    nsec at = NSEC_NEVER;
    for (struct list *link = d->lookups.next; link != &d->lookups; link = link->next) {
        const struct dht_lookup *l = CONTAINER(link, struct dht_lookup, link);
        if (!l->over && l->inflight == 0)
            at = u64_min(at, l->started + WAIT_NODES_NS);
    }
    return at;
}

void lookup_reap(struct dht *d)
{
    LIST_EACH(&d->lookups, link, save) {
        struct dht_lookup *l = CONTAINER(link, struct dht_lookup, link);
        if (l->over)
            lookup_free(d, l);
    }
}

// ---- answers

static void take_nodes(struct dht *d, struct dht_lookup *l, uint8_t source, const struct krpc *m)
{
    const struct slice nodes = l->family == ADDR_IPV4 ? m->nodes : m->nodes6;
    uint8_t id[NODE_ID_LEN];
    struct addr a;
    for (uint32_t i = 0; i < LOOKUP_TAKEN_MAX && krpc_node(nodes, l->family, i, id, &a); i++)
        if (rpc_plausible(&a, &l->cands[source].addr))
            add(d, l, id, &a, source);
}

void lookup_reply(struct dht *d, struct dht_rpc *r, const struct krpc *m)
{
    struct dht_lookup *l = r->lookup;
    struct dht_cand *c = &l->cands[r->cand];
    if (l->over)
        return;
    if (c->state == CAND_ASKED)
        l->inflight--;
    c->state = memcmp(c->id, m->id, NODE_ID_LEN) == 0 ? CAND_REPLIED : CAND_FAILED;     // another id: not who was named
    if (c->state == CAND_REPLIED) {
        l->replied++;
        c->token_n = m->token.n <= CAND_TOKEN_MAX ? (uint8_t)m->token.n : 0;
        if (c->token_n != 0)
            memcpy(c->token, m->token.p, c->token_n);
        if (l->op != NULL)
            op_answer(d, l, c, m);
        take_nodes(d, l, (uint8_t)r->cand, m);
    }
    lookup_step(d, l);
}

void lookup_slow(struct dht *d, struct dht_rpc *r)
{
    struct dht_lookup *l = r->lookup;
    if (l->over)
        return;
    l->inflight--;
    l->cands[r->cand].state = CAND_SLOW;
    lookup_step(d, l);
}

void lookup_failed(struct dht *d, struct dht_rpc *r)
{
    struct dht_lookup *l = r->lookup;
    if (l->over)
        return;
    if (l->cands[r->cand].state == CAND_ASKED)
        l->inflight--;
    l->cands[r->cand].state = CAND_FAILED;
    lookup_step(d, l);
}
