// The DHT node's doors, and its upkeep: joining, keeping the table fresh, coming back after an outage. See dht.h.
#include "engine/find/dht_int.h"
#include "engine/find/dht_lookup.h"
#include "engine/find/dht_op.h"
#include "engine/find/dht_rpc.h"

enum { PURPOSE_DHT = 0x646874, PROBES_PER_STEP = 2, STEP_BUSY_S = 1, STEP_CALM_S = 4, NODES_FEW = 32 };

static void advance(struct dht *d, nsec now)
{
    ASSERT(now >= d->now);
    d->now = now;
}

static void side_init(struct dht *d, struct dht_side *s, enum addr_family family)
{
    uint8_t own[NODE_ID_LEN];
    node_id_make(&(struct addr){0}, &d->rng, own);
    s->family = family;
    s->short_ns = SHORT_START_NS;
    s->lonely_at = d->now;
    table_init(&s->table, d->mem, family, own);
}

enum err dht_new(struct dht **out, const struct dht_config *cfg, const struct env *env, nsec now)
{
    struct dht *d = mem_zalloc(env->mem, sizeof *d);
    if (d == NULL)
        return ERR_NOMEM;
    d->cfg = *cfg;
    d->env = env;
    d->mem = env->mem;
    d->rare = env->rare;
    d->now = d->heard = d->upkeep_at = now;
    d->sweep_at = now + DHT_SWEEP_S * NSEC_S;
    d->rng = rng_make(env->seed, PURPOSE_DHT);
    const uint64_t secret[2] = {rng_u64(&d->rng), rng_u64(&d->rng)};
    list_init(&d->lookups);
    list_init(&d->ops);
    list_init(&d->queue);
    list_init(&d->events);
    heap_init(&d->timers, d->mem, RPCS_MAX);
    guard_init(&d->guard, d->mem, secret);
    proof_init(&d->proof, d->mem, (const uint64_t[]){~secret[0], secret[1]});
    dht_store_init(&d->store, d->mem, secret);
    side_init(d, &d->sides[0], ADDR_IPV4);
    side_init(d, &d->sides[1], ADDR_IPV6);
    d->sides[0].on = cfg->ipv4;
    d->sides[1].on = cfg->ipv6;
    if ((cfg->ipv4 && table_open(&d->sides[0].table) != ERR_OK) || (cfg->ipv6 && table_open(&d->sides[1].table) != ERR_OK)) {
        dht_free(d);
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < 2; i++)
        d->store.own[i] = d->sides[i].on ? d->sides[i].table.own : NULL;
    if (cfg->hashes_max != 0)
        d->store.hashes_max = cfg->hashes_max;
    if (cfg->hash_peers_max != 0)
        d->store.hash_peers_max = cfg->hash_peers_max;
    if (cfg->items_max != 0)
        d->store.items_max = cfg->items_max;
    if (cfg->peers_max != 0)
        d->store.peers_max = cfg->peers_max;
    *out = d;
    return ERR_OK;
}

static void event_free(struct dht *d, struct dht_event *e)
{
    if (e != NULL)
        mem_free(d->mem, e, sizeof *e + e->n);
}

void dht_free(struct dht *d)
{
    if (d == NULL)
        return;
    LIST_EACH(&d->ops, link, save)
        op_free(d, CONTAINER(link, struct dht_op, link));
    LIST_EACH(&d->lookups, link, save)
        lookup_free(d, CONTAINER(link, struct dht_lookup, link));
    for (uint32_t i = 0; i < d->rpcs_cap; i++)
        if (d->rpcs[i] != NULL)
            rpc_free(d, d->rpcs[i]);
    mem_free(d->mem, d->rpcs, d->rpcs_cap * sizeof *d->rpcs);
    LIST_EACH(&d->queue, link, save) {
        struct dht_packet *p = CONTAINER(link, struct dht_packet, link);
        mem_free(d->mem, p, sizeof *p + p->n);
    }
    LIST_EACH(&d->events, link, save)
        event_free(d, CONTAINER(link, struct dht_event, link));
    event_free(d, d->told);
    for (uint32_t i = 0; i < 2; i++) {
        table_done(&d->sides[i].table);
        mem_free(d->mem, d->sides[i].contacts, d->sides[i].contacts == NULL ? 0 : DHT_CONTACTS_MAX * sizeof(struct addr));
    }
    dht_store_done(&d->store);
    guard_done(&d->guard);
    proof_done(&d->proof);
    heap_done(&d->timers);
    mem_free(d->mem, d, sizeof *d);
}

// ---- contacts

void dht_add(struct dht *d, nsec now, const struct addr *a)
{
    struct dht_side *s = side_of(d, (enum addr_family)a->family);
    advance(d, now);
    if (!s->on || a->port == 0 || addr_is_any(a) || addr_is_multicast(a) || table_find(&s->table, a) != NULL)
        return;
    if (s->contacts == NULL)
        s->contacts = mem_zarray(d->mem, DHT_CONTACTS_MAX, sizeof *s->contacts);
    if (s->contacts == NULL || s->contacts_n == DHT_CONTACTS_MAX)
        return;
    for (uint32_t i = 0; i < s->contacts_n; i++)
        if (addr_eq(&s->contacts[(s->contacts_at + i) % DHT_CONTACTS_MAX], a))
            return;
    s->contacts[(s->contacts_at + s->contacts_n++) % DHT_CONTACTS_MAX] = *a;
    d->upkeep_at = now;
}

static void ask_contacts(struct dht *d, struct dht_side *s)
{
    while (s->contacts_n > 0 && d->probes < PROBES_MAX) {
        const struct addr a = s->contacts[s->contacts_at];
        s->contacts_at = (s->contacts_at + 1) % DHT_CONTACTS_MAX;
        s->contacts_n--;
        (void)rpc_probe(d, &a, s->table.own);
    }
}

// ---- upkeep

static void look_into(struct dht *d, const struct dht_side *s, const uint8_t target[NODE_ID_LEN])
{
    struct dht_lookup *l = lookup_new(d, NULL, s->family, KRPC_FIND_NODE, target);
    if (l != NULL)
        lookup_start(d, l);
}

// One bucket that has room and was not looked into for long.
static void refresh_bucket(struct dht *d, struct dht_side *s)
{
    const uint32_t depth = table_depth(&s->table);
    for (uint32_t i = 0; i <= depth; i++) {
        struct dht_bucket *b = &s->table.buckets[i];
        if (b->refreshed != 0 && d->now - b->refreshed < STALE_NS)
            continue;
        b->refreshed = u64_max(d->now, 1);
        uint8_t target[NODE_ID_LEN];
        table_random_id(&s->table, i, &d->rng, target);
        look_into(d, s, target);
        return;
    }
}

static void probe_stale(struct dht *d, struct dht_side *s)
{
    for (uint32_t i = 0; i < PROBES_PER_STEP; i++) {
        struct dht_node *node = table_due(&s->table, d->now, STALE_NS, 2 * RPC_TIMEOUT_NS);
        if (node == NULL)
            return;
        node->tried = d->now;
        uint8_t target[NODE_ID_LEN];
        table_random_id(&s->table, node_id_prefix(s->table.own, node->id), &d->rng, target);
        const struct addr a = node->addr;
        (void)rpc_probe(d, &a, target);
    }
}

// Our id follows our address, not more often than every RENAME_NS: what comes before that is made up for later.
static void follow(struct dht *d, struct dht_side *s)
{
    if (s->external.family == ADDR_NONE || node_id_fits(s->table.own, &s->external) || (s->renamed != 0 && d->now - s->renamed < RENAME_NS))
        return;
    uint8_t own[NODE_ID_LEN];
    node_id_make(&s->external, &d->rng, own);
    table_rename(&s->table, d->now, own);
    s->renamed = u64_max(d->now, 1);
    s->self_due = true;
    d->upkeep_at = d->now;
}

static void upkeep_side(struct dht *d, struct dht_side *s)
{
    struct addr lost;
    follow(d, s);
    ask_contacts(d, s);
    if (s->lost_at <= d->now && d->probes < PROBES_MAX / 2 && table_take_lost(&s->table, &lost)) {
        s->lost_at = d->now + LOST_NS;
        (void)rpc_probe(d, &lost, s->table.own);
    }
    if ((s->table.n == 0 || dht_deaf(d)) && s->contacts_n == 0 && s->lonely_at <= d->now) {
        s->lonely_wait = u64_min(u64_max(2 * s->lonely_wait, LONELY_NS), LONELY_MAX_NS);
        s->lonely_at = d->now + s->lonely_wait;
        struct dht_event *e = event_add(d, DHT_LONELY, 0);
        if (e != NULL)
            e->out.family = s->family;
    }
    if (s->table.n == 0)
        return;
    if (!dht_deaf(d))
        s->lonely_wait = 0;
    if (s->self_due || s->self_at <= d->now) {
        s->self_due = false;
        s->self_at = d->now + SELF_NS;
        look_into(d, s, s->table.own);
    } else {
        refresh_bucket(d, s);
    }
    probe_stale(d, s);
}

static void upkeep(struct dht *d)
{
    bool busy = false;
    for (uint32_t i = 0; i < 2; i++) {
        struct dht_side *s = &d->sides[i];
        if (!s->on)
            continue;
        upkeep_side(d, s);
        busy |= s->contacts_n > 0 || s->table.n < NODES_FEW;
    }
    d->upkeep_at = d->now + (busy ? STEP_BUSY_S : STEP_CALM_S) * NSEC_S;
}

void dht_tick(struct dht *d, nsec now)
{
    advance(d, now);
    rpc_tick(d);
    if (d->upkeep_at <= now)
        upkeep(d);
    if (lookup_due(d) <= now) {
        LIST_EACH(&d->lookups, link, save)
            lookup_step(d, CONTAINER(link, struct dht_lookup, link));
    }
    if (d->sweep_at <= now) {
        dht_store_sweep(&d->store, now);
        d->sweep_at = now + DHT_SWEEP_S * NSEC_S;
    }
    lookup_reap(d);
}

void dht_datagram(struct dht *d, nsec now, const struct addr *from, struct slice data)
{
    advance(d, now);
    rpc_input(d, from, data);
    lookup_reap(d);
}

bool dht_looks_like(struct slice data)
{
    return data.n > 10 && data.p[0] == 'd' && data.p[1] >= '1' && data.p[1] <= '9' && data.p[2] == ':' && data.p[data.n - 1] == 'e';
}

// ---- output

static nsec deadline(const struct dht *d)
{
    const struct heap_node *h = heap_min(&d->timers);
    nsec at = u64_min(d->upkeep_at, lookup_due(d));
    if (h != NULL)
        at = u64_min(at, h->at);
    if (d->store.swarms.n + d->store.items.n != 0)
        at = u64_min(at, d->sweep_at);
    return at;
}

enum dht_kind dht_poll(struct dht *d, nsec now, struct buf *tx, struct dht_out *out)
{
    advance(d, now);
    *out = (struct dht_out){0};
    event_free(d, d->told);
    d->told = NULL;
    if (!list_empty(&d->events)) {
        struct dht_event *e = CONTAINER(d->events.next, struct dht_event, link);
        list_remove(&e->link);
        d->events_n--;
        d->told = e;
        *out = e->out;
        if (e->kind == DHT_PEERS)
            out->peers = (const struct addr *)(const void *)e->bytes;
        return e->kind;
    }
    if (!list_empty(&d->queue) && buf_room(tx) >= DHT_TX_MIN) {
        struct dht_packet *p = CONTAINER(d->queue.next, struct dht_packet, link);
        struct wr w = wr_make(tx);
        wr_bytes(&w, slice_of(p->bytes, p->n));
        ASSERT(w.ok);
        out->addr = p->to;
        out->bytes = slice_of(tx->p + tx->n - p->n, p->n);
        d->stats.tx_bytes += p->n;
        list_remove(&p->link);
        d->queue_n--;
        mem_free(d->mem, p, sizeof *p + p->n);
        return DHT_SEND;
    }
    out->deadline = deadline(d);
    return DHT_IDLE;
}

// ---- commands

const uint8_t *dht_id(const struct dht *d, enum addr_family family) { return d->sides[family == ADDR_IPV6].table.own; }

void dht_external(struct dht *d, nsec now, const struct addr *a)
{
    struct dht_side *s = side_of(d, (enum addr_family)a->family);
    advance(d, now);
    if (!s->on || addr_is_any(a) || addr_is_multicast(a))
        return;
    s->external = *a;
    s->external.port = 0;
    struct dht_event *e = event_add(d, DHT_EXTERNAL, 0);
    if (e != NULL)
        e->out.addr = s->external;
    follow(d, s);
}

void dht_network_changed(struct dht *d, nsec now)
{
    advance(d, now);
    for (uint32_t i = 0; i < 2; i++) {
        struct dht_side *s = &d->sides[i];
        s->votes = (struct votes){.n = 0};
        s->external = (struct addr){0};
        s->short_ns = SHORT_START_NS;
        s->self_due = true;
        s->renamed = 0;
        for (uint32_t b = 0; s->on && b < NODE_ID_BITS; b++)
            for (uint32_t k = 0; k < s->table.buckets[b].n; k++)
                s->table.buckets[b].nodes[k].seen = s->table.buckets[b].nodes[k].tried = 0;
    }
    d->upkeep_at = now;
}

void dht_plant(struct dht *d, nsec now, const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    struct dht_side *s = side_of(d, (enum addr_family)a->family);
    advance(d, now);
    if (!s->on)
        return;
    (void)table_seen(&s->table, now, id, a, 100000);
    s->self_at = s->self_at == 0 ? now + rng_below(&d->rng, SELF_NS) : s->self_at;
    for (uint32_t b = 0; b < NODE_ID_BITS; b++)
        if (s->table.buckets[b].refreshed == 0)
            s->table.buckets[b].refreshed = now == 0 ? 1 : now;
}

// ---- saving: d 2:id 20:… 3:id6 20:… 5:nodes … 6:nodes6 … e

static void save_nodes(const struct dht_side *s, uint32_t max, struct wr *w)
{
    // From the deepest bucket outwards, a few of each: the neighbourhood, and some everywhere.
    uint32_t n = 0;
    for (uint32_t round = 0; s->on && round < 128 && n < max; round++)
        for (uint32_t i = NODE_ID_BITS; i-- > 0 && n < max;)
            if (round < s->table.buckets[i].n && s->table.buckets[i].nodes[round].fails == 0) {
                krpc_node_write(w, s->table.buckets[i].nodes[round].id, &s->table.buckets[i].nodes[round].addr);
                n++;
            }
}

void dht_save(const struct dht *d, struct wr *w)
{
    static const char *const IDS[2] = {"id", "id6"}, *const NODES[2] = {"nodes", "nodes6"};
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    for (uint32_t i = 0; i < 2; i++)
        if (d->sides[i].on)
            bencode_put_key_str(&o, IDS[i], slice_of(d->sides[i].table.own, NODE_ID_LEN));
    const uint32_t max = d->sides[0].on && d->sides[1].on ? DHT_SAVED_MAX / 2 : DHT_SAVED_MAX;
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t space[DHT_SAVED_MAX * KRPC_NODE_V6_LEN];
        struct buf b = {space, 0, sizeof space};
        struct wr nodes = wr_make(&b);
        save_nodes(&d->sides[i], max, &nodes);
        ASSERT(nodes.ok);
        if (b.n != 0)
            bencode_put_key_str(&o, NODES[i], buf_slice(&b));
    }
    bencode_put_end(&o);
}

void dht_load(struct dht *d, nsec now, struct slice saved)
{
    struct bencode_field f[] = {{"id", {0}}, {"id6", {0}}, {"nodes", {0}}, {"nodes6", {0}}};
    advance(d, now);
    if (!bencode_fields(saved, f, ARRAY_LEN(f)))
        return;
    for (uint32_t i = 0; i < 2; i++) {
        struct dht_side *s = &d->sides[i];
        struct slice id = {0}, nodes = {0};
        if (bencode_raw_str(f[i].raw, &id) && id.n == NODE_ID_LEN && s->table.n == 0)
            memcpy(s->table.own, id.p, NODE_ID_LEN);
        (void)bencode_raw_str(f[2 + i].raw, &nodes);
        uint8_t node_id[NODE_ID_LEN];
        struct addr a;
        for (uint32_t k = 0; k < DHT_SAVED_MAX && krpc_node(nodes, s->family, k, node_id, &a); k++)
            if (!addr_is_reserved(&a))          // a name's, which meant something in that run only
                dht_add(d, now, &a);
    }
}

// ---- figures

void dht_stats(const struct dht *d, struct dht_stats *out)
{
    *out = d->stats;
    for (uint32_t i = 0; i < 2; i++) {
        const struct dht_side *s = &d->sides[i];
        out->nodes[i] = s->table.n;
        out->depth[i] = table_depth(&s->table);
        out->estimate[i] = s->mean_distance == 0 ? 0 : UINT64_MAX / s->mean_distance * LOOKUP_K;
    }
    out->hashes = d->store.swarms.n;
    out->peers = d->store.peers_n;
    out->items = d->store.items.n;
    out->ops = d->ops_n;
    out->pending = d->rpcs_n;
    for (const struct list *link = d->lookups.next; link != &d->lookups; link = link->next)
        out->lookups++;
}

void dht_check(const struct dht *d)
{
    uint32_t rpcs = 0, probes = 0;
    table_check(&d->sides[0].table);
    table_check(&d->sides[1].table);
    dht_store_check(&d->store);
    for (uint32_t i = 0; i < d->rpcs_cap; i++) {
        const struct dht_rpc *r = d->rpcs[i];
        if (r == NULL)
            continue;
        rpcs++;
        probes += r->purpose == RPC_PROBE;
        ASSERT(r->index == i);
        ASSERT(r->timer.index != 0);
        ASSERT((r->purpose == RPC_LOOKUP) == (r->lookup != NULL));
    }
    ASSERT(rpcs == d->rpcs_n);
    ASSERT(probes == d->probes);
    ASSERT(d->ops_n <= DHT_OPS_MAX);
    ASSERT(d->queue_n <= DHT_QUEUE_MAX);
    ASSERT(d->events_n <= DHT_EVENTS_MAX);
    for (struct list *link = d->lookups.next; link != &d->lookups; link = link->next) {
        const struct dht_lookup *l = CONTAINER(link, struct dht_lookup, link);
        uint32_t inflight = 0;
        for (uint32_t i = 0; i < l->n; i++)
            inflight += l->cands[l->order[i]].state == CAND_ASKED;
        ASSERT(!l->over);
        ASSERT(inflight == l->inflight);
        ASSERT(l->asked <= LOOKUP_ASKED_MAX);
    }
}
