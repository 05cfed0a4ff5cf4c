// See dhtnet.h.
#include "lab/dhtnet.h"

#include <stdlib.h>

#include "codec/krpc.h"
#include "engine/find/dht_table.h"
#include "lab/mem.h"

enum { DHTLAB_WAKE, DHTLAB_PACKET, DHTLAB_BEAT };

enum {
    CITIES = 40, PORT = 6881, PLANET_US = 420000, CITY_SPREAD = 300, SQUARE = 10000,
    WIDE = 32,                          // first bytes of addresses, where each host has a /16 of its own
};

static void *counted(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct dhtlab_host *h = ctx;
    h->mem += new_n;
    h->mem -= old_n;
    h->mem_peak = u64_max(h->mem_peak, h->mem);
    return lab_heap.resize(NULL, p, old_n, new_n);
}

static bool is_node(const struct dhtlab_host *h) { return h->kind == DHTLAB_NODE || h->kind == DHTLAB_MISTAKEN; }

static const struct log quiet = {.level = LOG_ERROR};

struct dhtlab *dhtlab_new(const struct dhtlab_config *cfg)
{
    struct dhtlab *l = calloc(1, sizeof *l);
    ASSERT(l != NULL);
    l->cfg = *cfg;
    l->now = NSEC_S;
    l->rng = rng_make(cfg->seed, 1);
    queue_init(&l->queue, &lab_heap);
    l->cfg.max = u32_max(cfg->max, cfg->n);
    l->hosts = calloc(l->cfg.max, sizeof *l->hosts);
    l->ops = calloc(DHTLAB_OPS_MAX, sizeof *l->ops);
    ASSERT(l->hosts != NULL);
    for (uint32_t i = 0; i < cfg->n; i++)
        dhtlab_start(l, dhtlab_host(l, DHTLAB_NODE, 0));
    return l;
}

void dhtlab_free(struct dhtlab *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        dht_free(l->hosts[i].dht);
    for (uint32_t i = 0; i < l->packets_cap; i++)
        free(l->packets[i]);
    free(l->packets);
    free(l->packets_free);
    free(l->hosts);
    free(l->ops);
    queue_done(&l->queue);
    free(l);
}

// The host number is in the address: the first 100 million are easy to find again. 20.0.0.0 and up are public.
static struct addr addr_of(const struct dhtlab *l, uint32_t i, uint32_t net)
{
    uint32_t v = (20u << 24) + i * 257u;
    if (net != 0)
        v = 198u << 24 | net << 16 | i % 65536;
    else if (l->cfg.wide)
        v = (20 + i % WIDE) << 24 | i / WIDE << 16 | (0x0101 + l->hosts[i].moves % 256);
    const uint8_t ip[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    return addr_ipv4(ip, (uint16_t)(PORT + i / 65536));
}

uint32_t dhtlab_at(const struct dhtlab *l, const struct addr *a)
{
    const uint32_t v = (uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 | a->ip[3];
    uint32_t i = (v - (20u << 24)) / 257;
    if (a->ip[0] == 198)
        i = (v & 0xffff) + (uint32_t)(a->port - PORT) * 65536;
    else if (l->cfg.wide)
        i = a->ip[0] - 20u + a->ip[1] * WIDE;
    return i < l->n && addr_eq(&l->hosts[i].addr, a) ? i : UINT32_MAX;
}

uint32_t dhtlab_host(struct dhtlab *l, enum dhtlab_kind kind, uint32_t net)
{
    ASSERT(l->n < l->cfg.max);
    ASSERT(!l->cfg.wide || l->cfg.max <= WIDE * 256);
    const uint32_t i = l->n++;
    struct dhtlab_host *h = &l->hosts[i];
    struct rng r = rng_make(l->cfg.seed, 1000 + i);
    h->kind = kind;
    h->addr = addr_of(l, i, net);
    h->city = (uint32_t)(rng_below(&r, CITIES) * rng_below(&r, CITIES) / CITIES);
    struct rng city = rng_make(l->cfg.seed, 500 + h->city);
    h->x = (int32_t)rng_below(&city, SQUARE) + (int32_t)rng_below(&r, CITY_SPREAD);
    h->y = (int32_t)rng_below(&city, SQUARE / 2) + (int32_t)rng_below(&r, CITY_SPREAD);
    h->height_us = 1000 + (uint32_t)(rng_below(&r, 4900) * rng_below(&r, 4900) / 1000);     // 1 to 25 ms
    h->nat = rng_below(&r, 100) < l->cfg.nat_pct && kind == DHTLAB_NODE;
    h->face = (struct mem){counted, h};
    node_id_make(&h->addr, &r, h->id);
    return i;
}

static nsec isqrt(uint64_t v)
{
    uint64_t x = v, y = (x + 1) / 2;
    while (y < x) {
        x = y;
        y = (x + v / x) / 2;
    }
    return x;
}

nsec dhtlab_rtt(const struct dhtlab *l, uint32_t a, uint32_t b)
{
    const struct dhtlab_host *p = &l->hosts[a], *q = &l->hosts[b];
    int64_t dx = llabs((int64_t)p->x - q->x), dy = (int64_t)p->y - q->y;
    dx = dx > SQUARE / 2 ? llabs(SQUARE - dx) : dx;
    const uint64_t distance = isqrt((uint64_t)(dx * dx + dy * dy));
    // detours differ by pair: 0.7 to 1.9 times
    const uint64_t detour = 70 + mix64(l->cfg.seed ^ ((uint64_t)u32_min(a, b) << 32 | u32_max(a, b))) % 1100 * (mix64(a ^ b) % 110) / 1000;
    return (p->height_us + q->height_us + PLANET_US * distance / SQUARE * detour / 100) * NSEC_US;
}

// Of nobody here, nor local.
static struct addr forged_addr(struct dhtlab *l)
{
    const uint32_t v = (uint32_t)rng_u64(&l->rng);
    const uint8_t ip[4] = {(uint8_t)(130 + v % 30), (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    return addr_ipv4(ip, (uint16_t)(1024 + v % 60000));
}

void dhtlab_send(struct dhtlab *l, uint32_t from, const struct addr *to, struct slice bytes)
{
    struct dhtlab_host *h = &l->hosts[from];
    const uint32_t at = dhtlab_at(l, to);
    l->sent++;
    h->tx++;
    if (l->now - h->nat_at > 60 * NSEC_S) {
        h->nat_at = l->now;
        h->nat_out = 0;
    }
    h->nat_out |= (uint64_t)1 << mix64(at) % 64;
    if (at == UINT32_MAX || rng_below(&l->rng, 1000000) < l->cfg.loss_ppm || h->side != l->hosts[at].side) {
        l->lost++;
        return;
    }
    if (l->packets_free_n == 0) {
        const uint32_t cap = l->packets_cap == 0 ? 1024 : 2 * l->packets_cap;
        l->packets = realloc(l->packets, cap * sizeof *l->packets);
        l->packets_free = realloc(l->packets_free, cap * sizeof *l->packets_free);
        for (uint32_t i = l->packets_cap; i < cap; i++) {
            l->packets[i] = NULL;
            l->packets_free[l->packets_free_n++] = i;
        }
        l->packets_cap = cap;
    }
    const uint32_t slot = l->packets_free[--l->packets_free_n];
    struct dhtlab_packet *p = malloc(sizeof *p + bytes.n);
    *p = (struct dhtlab_packet){.from = h->addr, .to = at, .n = (uint32_t)bytes.n};
    memcpy(p->bytes, bytes.p, bytes.n);
    nsec spread = 0;
    if (h->kind == DHTLAB_FLOOD && l->flood.forged) {
        p->from = forged_addr(l);
        spread = rng_below(&l->rng, DHTFLOOD_BEAT);     // between its bursts others would get through
    }
    if (h->kind == DHTLAB_MISTAKEN && bytes.n > 13 && memcmp(bytes.p, "d2:ip6:", 7) == 0)
        memcpy(p->bytes + 7, l->false_ip.ip, 4);
    l->packets[slot] = p;
    const nsec jitter = rng_below(&l->rng, 4) * rng_below(&l->rng, 4) * NSEC_MS;
    queue_push(&l->queue, l->now + dhtlab_rtt(l, from, at) / 2 + jitter + spread, DHTLAB_PACKET, slot, 0);
}

static struct dhtlab_op *op_of(struct dhtlab *l, uint32_t host, uint32_t op)
{
    for (uint32_t i = l->ops_n; i-- > 0;)
        if (l->ops[i].host == host && l->ops[i].op == op)
            return &l->ops[i];
    return NULL;
}

static void told(struct dhtlab *l, uint32_t i, enum dht_kind kind, const struct dht_out *out)
{
    struct dhtlab_op *o = op_of(l, i, out->op);
    if (o == NULL)
        return;
    if (kind == DHT_PEERS) {
        for (uint32_t k = 0; k < out->peers_n; k++) {
            const uint32_t at = dhtlab_at(l, &out->peers[k]);
            o->honest += at != UINT32_MAX && l->hosts[at].kind == DHTLAB_NODE;
        }
        for (uint32_t k = 0; k < out->peers_n && o->peers_n < DHTLAB_SEEN_MAX; k++)
            o->peers[o->peers_n++] = out->peers[k];
    } else if (kind == DHT_ITEM) {
        o->item = out->item;
        memcpy(o->value, out->item.value.p, out->item.value.n);
        o->item.value = slice_of(o->value, out->item.value.n);
    } else if (kind == DHT_DONE) {
        o->done = true;
        o->out = *out;
    }
}

static void drain(struct dhtlab *l, uint32_t i)
{
    static uint8_t space[DHT_TX_MIN];
    struct dhtlab_host *h = &l->hosts[i];
    if (l->check)
        dht_check(h->dht);
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct dht_out out;
        const enum dht_kind kind = dht_poll(h->dht, l->now, &tx, &out);
        if (kind == DHT_SEND)
            dhtlab_send(l, i, &out.addr, out.bytes);
        else if (kind == DHT_LONELY && l->n > 0) {
            for (uint32_t k = 0; k < 4; k++)
                dht_add(h->dht, l->now, &l->hosts[k].addr);         // the first four are the routers
        } else if (kind != DHT_IDLE)
            told(l, i, kind, &out);
        if (kind != DHT_IDLE)
            continue;
        const nsec due = u64_max(out.deadline, l->now + 1);
        if (due != NSEC_NEVER && (h->due <= l->now || due < h->due)) {
            h->due = due;
            queue_push(&l->queue, due, DHTLAB_WAKE, i, 0);
        }
        return;
    }
}

void dhtlab_start(struct dhtlab *l, uint32_t i)
{
    struct dhtlab_host *h = &l->hosts[i];
    ASSERT(h->dht == NULL);
    h->started = l->now;
    h->due = 0;
    h->side = 0;
    if (!is_node(h))
        return;
    const struct dht_config cfg = {.ipv4 = true, .read_only = h->nat && !l->cfg.nat_answers};
    h->env = (struct env){.mem = &h->face, .log = &quiet, .seed = mix64(l->cfg.seed ^ mix64(i)) + l->now};
    const enum err made = dht_new(&h->dht, &cfg, &h->env, l->now);
    ASSERT(made == ERR_OK);
    struct rng r = rng_make(l->cfg.seed, 77 + i);
    if (rng_below(&r, 100) >= l->cfg.local_pct)
        dht_external(h->dht, l->now, &h->addr);
    memcpy(h->id, dht_id(h->dht, ADDR_IPV4), NODE_ID_LEN);
    drain(l, i);
}

void dhtlab_stop(struct dhtlab *l, uint32_t i)
{
    dht_free(l->hosts[i].dht);
    l->hosts[i].dht = NULL;
}

void dhtlab_move(struct dhtlab *l, uint32_t i)
{
    ASSERT(l->cfg.wide);
    l->hosts[i].moves++;
    l->hosts[i].addr = addr_of(l, i, 0);
}

void dhtlab_attack(struct dhtlab *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->hosts[i].kind == DHTLAB_FLOOD)
            queue_push(&l->queue, l->now + rng_below(&l->rng, DHTFLOOD_BEAT), DHTLAB_BEAT, i, 0);
}

// ---- liars

static void lie(struct dhtlab *l, uint32_t i, const struct addr *from, struct slice data)
{
    struct dhtlab_host *h = &l->hosts[i];
    struct krpc q, r = {.kind = KRPC_REPLY, .has_id = true, .token = SLICE_LIT("liar")};
    uint8_t nodes[8 * KRPC_NODE_V4_LEN], space[KRPC_BYTES_MAX], id[NODE_ID_LEN];
    if (krpc_parse(&q, data) != ERR_OK || q.kind != KRPC_QUERY)
        return;
    struct buf b = {nodes, 0, sizeof nodes};
    struct wr w = wr_make(&b);
    for (uint32_t k = 0, at = i; k < 8 && at < i + l->n; at++) {
        const struct dhtlab_host *o = &l->hosts[at % l->n];
        if (o->kind != h->kind)
            continue;
        memcpy(id, o->id, NODE_ID_LEN);
        if (h->kind == DHTLAB_CHAIN) {          // nearer than all, at addresses that answer
            memcpy(id, q.target, NODE_ID_LEN);
            const uint64_t bits = rng_u64(&l->rng);
            memcpy(id + 12, &bits, 8);
        }
        krpc_node_write(&w, id, &o->addr);
        k++;
    }
    r.tid = q.tid;
    r.ip = *from;
    r.nodes = buf_slice(&b);
    memcpy(r.id, h->id, NODE_ID_LEN);
    b = (struct buf){space, 0, sizeof space};
    w = wr_make(&b);
    krpc_write(&w, &r);
    dhtlab_send(l, i, from, buf_slice(&b));
}

// ---- running

static void deliver(struct dhtlab *l, uint32_t slot)
{
    struct dhtlab_packet *p = l->packets[slot];
    struct dhtlab_host *h = &l->hosts[p->to];
    const uint32_t from = dhtlab_at(l, &p->from);
    l->packets[slot] = NULL;
    l->packets_free[l->packets_free_n++] = slot;
    h->rx++;
    if (h->kind == DHTLAB_FLOOD)
        dhtflood_heard(l, p->to, &p->from, slice_of(p->bytes, p->n));
    else if (!is_node(h))
        lie(l, p->to, &p->from, slice_of(p->bytes, p->n));
    else if (h->dht != NULL && (!h->nat || (h->nat_out >> mix64(from) % 64 & 1) != 0)) {
        dht_datagram(h->dht, l->now, &p->from, slice_of(p->bytes, p->n));
        drain(l, p->to);
    }
    free(p);
}

void dhtlab_run(struct dhtlab *l, nsec until)
{
    while (queue_next(&l->queue) <= until) {
        const struct ev e = queue_pop(&l->queue);
        l->now = e.t;
        struct dhtlab_host *h = &l->hosts[e.a];
        if (e.kind == DHTLAB_PACKET) {
            deliver(l, e.a);
        } else if (e.kind == DHTLAB_BEAT) {
            dhtflood_beat(l, e.a);
            queue_push(&l->queue, l->now + DHTFLOOD_BEAT, DHTLAB_BEAT, e.a, 0);
        } else if (h->dht != NULL && h->due == e.t) {
            dht_tick(h->dht, l->now);
            drain(l, e.a);
        }
    }
    l->now = until;
}

uint32_t dhtlab_ask(struct dhtlab *l, uint32_t host, const struct dht_ask *ask)
{
    ASSERT(l->ops_n < DHTLAB_OPS_MAX);
    struct dhtlab_op *o = &l->ops[l->ops_n];
    *o = (struct dhtlab_op){.host = host};
    const enum err e = dht_ask(l->hosts[host].dht, l->now, ask, &o->op);
    ASSERT(e == ERR_OK);
    l->ops_n++;
    drain(l, host);
    return l->ops_n - 1;
}

uint32_t dhtlab_any(struct dhtlab *l)
{
    for (;;) {
        const uint32_t i = (uint32_t)rng_below(&l->rng, l->n);
        if (l->hosts[i].dht != NULL && !l->hosts[i].nat)
            return i;
    }
}

// ---- filling

static const struct dhtlab *sorting;

static int by_id(const void *a, const void *b)
{
    return memcmp(sorting->hosts[*(const uint32_t *)a].id, sorting->hosts[*(const uint32_t *)b].id, NODE_ID_LEN);
}

// The first of `order` in [from, to) whose id has bit `bit` set: ids in between share all bits before it.
static uint32_t split(const struct dhtlab *l, const uint32_t *order, uint32_t from, uint32_t to, uint32_t bit)
{
    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        if ((l->hosts[order[mid]].id[bit / 8] >> (7 - bit % 8) & 1) != 0)
            to = mid;
        else
            from = mid + 1;
    }
    return from;
}

void dhtlab_fill(struct dhtlab *l)
{
    uint32_t *order = calloc(l->n, sizeof *order), n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->hosts[i].dht != NULL && !l->hosts[i].nat)
            order[n++] = i;
    sorting = l;
    qsort(order, n, sizeof *order, by_id);
    for (uint32_t i = 0; i < l->n; i++) {
        struct dhtlab_host *h = &l->hosts[i];
        if (h->dht == NULL)
            continue;
        uint32_t from = 0, to = n;
        for (uint32_t bit = 0; bit < NODE_ID_BITS && to > from; bit++) {
            const uint32_t mid = split(l, order, from, to, bit);
            const bool one = (h->id[bit / 8] >> (7 - bit % 8) & 1) != 0;
            const uint32_t a = one ? from : mid, b = one ? mid : to;        // the other half: bucket `bit`
            const uint32_t want = u32_min(bit < TABLE_FAR ? 128u >> bit : TABLE_K, b - a);
            const uint32_t start = b > a ? (uint32_t)rng_below(&l->rng, b - a) : 0;
            const uint32_t stride = want == 0 ? 1 : (b - a) / want;
            for (uint32_t k = 0; k < want; k++) {
                const struct dhtlab_host *o = &l->hosts[order[a + (start + k * stride) % (b - a)]];
                dht_plant(h->dht, l->now, o->id, &o->addr);
            }
            from = one ? mid : from;
            to = one ? to : mid;
        }
    }
    free(order);
}
