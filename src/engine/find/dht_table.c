// See dht_table.h. BEP 5, 42.
#include "engine/find/dht_table.h"

enum { FAR_K = 128, RTT_UNKNOWN = 0 };

static uint32_t capacity(uint32_t bucket) { return bucket < TABLE_FAR ? (uint32_t)FAR_K >> bucket : TABLE_K; }

void table_init(struct dht_table *t, const struct mem *mem, enum addr_family family, const uint8_t own[NODE_ID_LEN])
{
    *t = (struct dht_table){.mem = mem, .family = family};
    memcpy(t->own, own, NODE_ID_LEN);
}

enum err table_open(struct dht_table *t)
{
    ASSERT(t->buckets == NULL);
    t->buckets = mem_zarray(t->mem, NODE_ID_BITS, sizeof *t->buckets);
    return t->buckets != NULL ? ERR_OK : ERR_NOMEM;
}

static void buckets_free(struct dht_table *t)
{
    for (uint32_t i = 0; i < NODE_ID_BITS && t->buckets != NULL; i++) {
        struct dht_bucket *b = &t->buckets[i];
        mem_free(t->mem, b->nodes, b->cap * sizeof *b->nodes);
        mem_free(t->mem, b->spare, b->spare_cap * sizeof *b->spare);
    }
    mem_free(t->mem, t->buckets, t->buckets == NULL ? 0 : NODE_ID_BITS * sizeof *t->buckets);
    t->buckets = NULL;
    t->n = t->deepest = 0;
}

void table_done(struct dht_table *t)
{
    buckets_free(t);
    mem_free(t->mem, t->lost, t->lost == NULL ? 0 : TABLE_LOST_MAX * sizeof *t->lost);
    t->lost = NULL;
    t->lost_n = 0;
}

// How many buckets have to be looked at.
static uint32_t used(const struct dht_table *t) { return t->buckets == NULL ? 0 : t->deepest + 1; }

bool table_same_net(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == ADDR_IPV4 ? 3 : 8) == 0;
}

static struct dht_bucket *bucket_of(struct dht_table *t, const uint8_t id[NODE_ID_LEN], uint32_t *out_index)
{
    const uint32_t prefix = node_id_prefix(t->own, id);
    *out_index = prefix;
    return prefix < NODE_ID_BITS && t->buckets != NULL ? &t->buckets[prefix] : NULL;      // our own id has no bucket
}

struct dht_node *table_find(const struct dht_table *t, const struct addr *a)
{
    for (uint32_t i = 0; i < used(t); i++)
        for (uint32_t k = 0; k < t->buckets[i].n; k++)
            if (t->buckets[i].nodes[k].addr.port == a->port && addr_same_ip(&t->buckets[i].nodes[k].addr, a))
                return &t->buckets[i].nodes[k];
    return NULL;
}

// Whether the owner of the address has its share already.
static bool crowded(const struct dht_table *t, const struct addr *a)
{
    uint32_t n = 0;
    if (addr_is_local(a))
        return false;
    const size_t net = a->family == ADDR_IPV4 ? 3 : 8;
    for (uint32_t i = 0; i < used(t); i++) {
        const struct dht_bucket *b = &t->buckets[i];
        for (uint32_t k = 0; k < b->n; k++) {
            if (memcmp(b->nodes[k].addr.ip, a->ip, net) != 0)
                continue;
            if (addr_same_ip(&b->nodes[k].addr, a) || ++n >= TABLE_NET_MAX)
                return true;
        }
    }
    return false;
}

// Grows an array of nodes by doubling; false: no memory.
static bool grow(struct dht_table *t, struct dht_node **items, uint32_t *cap, uint32_t max)
{
    const uint32_t want = u32_min(*cap == 0 ? 2 : 2 * *cap, max);
    struct dht_node *fresh = t->mem->resize(t->mem->ctx, *items, *cap * sizeof **items, want * sizeof **items);
    if (fresh == NULL)
        return false;
    *items = fresh;
    *cap = want;
    return true;
}

static bool push(struct dht_table *t, uint32_t bucket, const struct dht_node *node)
{
    struct dht_bucket *b = &t->buckets[bucket];
    uint32_t cap = b->cap;
    if (b->n == cap && !grow(t, &b->nodes, &cap, capacity(bucket)))
        return false;
    b->cap = u16_of(cap);
    b->nodes[b->n++] = *node;
    t->n++;
    t->deepest = u32_max(t->deepest, bucket);
    return true;
}

static bool push_spare(struct dht_table *t, struct dht_bucket *b, const struct dht_node *node)
{
    for (uint32_t i = 0; i < b->spare_n; i++) {
        if (addr_is_local(&node->addr) ? addr_eq(&b->spare[i].addr, &node->addr) : table_same_net(&b->spare[i].addr, &node->addr)) {
            b->spare[i] = *node;
            return true;
        }
    }
    uint32_t cap = b->spare_cap;
    if (b->spare_n == TABLE_SPARE_MAX) {        // the one heard of longest ago makes way
        memmove(&b->spare[0], &b->spare[1], (TABLE_SPARE_MAX - 1) * sizeof *b->spare);
        b->spare_n--;
    } else if (b->spare_n == cap && !grow(t, &b->spare, &cap, TABLE_SPARE_MAX)) {
        return false;
    }
    b->spare_cap = u8_of(cap);
    b->spare[b->spare_n++] = *node;
    return true;
}

// In a full bucket: one that failed lately, else one whose id is not bound to its address if the new one's is.
static struct dht_node *weakest(struct dht_bucket *b, const struct dht_node *node)
{
    struct dht_node *found = NULL;
    for (uint32_t i = 0; i < b->n; i++) {
        struct dht_node *o = &b->nodes[i];
        if (o->fails > 0 && (found == NULL || o->fails > found->fails))
            found = o;
    }
    for (uint32_t i = 0; i < b->n && found == NULL; i++)
        if (node->secure && !b->nodes[i].secure)
            found = &b->nodes[i];
    return found;
}

static struct dht_node *in_bucket(const struct dht_bucket *b, const uint8_t id[NODE_ID_LEN])
{
    for (uint32_t i = 0; i < b->n; i++)
        if (memcmp(b->nodes[i].id, id, NODE_ID_LEN) == 0)
            return &b->nodes[i];
    return NULL;
}

enum table_result table_seen(struct dht_table *t, nsec now, const uint8_t id[NODE_ID_LEN], const struct addr *a, uint32_t rtt_us)
{
    uint32_t index;
    struct dht_bucket *b = bucket_of(t, id, &index);
    if (b == NULL || a->port == 0 || a->family != t->family)
        return TABLE_REFUSED;
    struct dht_node *known = in_bucket(b, id);
    if (known != NULL && addr_eq(&known->addr, a)) {
        known->seen = now;
        known->fails = 0;
        known->rtt_us = known->rtt_us == RTT_UNKNOWN ? rtt_us : (3 * known->rtt_us + rtt_us) / 4;
        return TABLE_KNOWN;
    }
    known = table_find(t, a);
    if (known != NULL) {                        // another id at the same place: the old one is gone
        known->fails = TABLE_FAILS_MAX;
        (void)table_failed(t, a);
    }
    struct dht_node node = {.addr = *a, .seen = now, .rtt_us = rtt_us, .secure = node_id_fits(id, a)};
    memcpy(node.id, id, NODE_ID_LEN);
    if (crowded(t, a))
        return TABLE_REFUSED;
    if (b->n < capacity(index))
        return push(t, index, &node) ? TABLE_ADDED : TABLE_REFUSED;
    struct dht_node *loser = weakest(b, &node);
    if (loser == NULL)
        return push_spare(t, b, &node) ? TABLE_SPARED : TABLE_REFUSED;
    *loser = node;
    return TABLE_ADDED;
}

const struct dht_node *table_node(const struct dht_table *t, const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    const uint32_t prefix = node_id_prefix(t->own, id);
    const struct dht_node *node = prefix < NODE_ID_BITS && t->buckets != NULL ? in_bucket(&t->buckets[prefix], id) : NULL;
    return node != NULL && addr_eq(&node->addr, a) ? node : NULL;
}

bool table_wants(const struct dht_table *t, const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    const uint32_t prefix = node_id_prefix(t->own, id);
    if (prefix >= NODE_ID_BITS || a->port == 0 || a->family != t->family || t->buckets == NULL)
        return false;
    const struct dht_bucket *b = &t->buckets[prefix];
    if (b->n == capacity(prefix) && (b->spare_n > 0 || prefix < TABLE_FAR))
        return false;                           // the wide buckets need no spares: who is lost is soon made good
    return in_bucket(b, id) == NULL && table_find(t, a) == NULL && !crowded(t, a);
}

static void remember_lost(struct dht_table *t, const struct addr *a)
{
    if (t->lost == NULL)
        t->lost = mem_zarray(t->mem, TABLE_LOST_MAX, sizeof *t->lost);
    if (t->lost == NULL)
        return;
    t->lost[(t->lost_at + t->lost_n) % TABLE_LOST_MAX] = *a;
    if (t->lost_n < TABLE_LOST_MAX)
        t->lost_n++;
    else
        t->lost_at = (t->lost_at + 1) % TABLE_LOST_MAX;
}

bool table_take_lost(struct dht_table *t, struct addr *out)
{
    if (t->lost_n == 0)
        return false;
    *out = t->lost[t->lost_at];
    t->lost_at = (t->lost_at + 1) % TABLE_LOST_MAX;
    t->lost_n--;
    return true;
}

bool table_failed(struct dht_table *t, const struct addr *a)
{
    struct dht_node *node = table_find(t, a);
    if (node == NULL)
        return false;
    uint32_t index;
    struct dht_bucket *b = bucket_of(t, node->id, &index);
    node->fails = u8_of(u64_min(node->fails + 1U, TABLE_FAILS_MAX));
    if (node->fails < (b->spare_n > 0 ? TABLE_FAILS_MAX - 1 : TABLE_FAILS_MAX))
        return false;
    remember_lost(t, a);
    t->n--;
    *node = b->nodes[--b->n];
    while (b->spare_n > 0) {
        const struct dht_node heir = b->spare[--b->spare_n];
        if (table_find(t, &heir.addr) == NULL && !crowded(t, &heir.addr)) {
            (void)push(t, index, &heir);
            break;
        }
    }
    return true;
}

// ---- looking

struct nearest {
    const uint8_t *target;
    const struct dht_node **out;
    uint32_t n, max;
};

static int compare(const struct nearest *w, const struct dht_node *a, const struct dht_node *b)
{
    if ((a->fails > 0) != (b->fails > 0))
        return a->fails > 0 ? 1 : -1;
    return node_id_nearer(w->target, a->id, b->id);
}

static void offer(struct nearest *w, const struct dht_node *node)
{
    if (w->n == w->max && compare(w, w->out[w->n - 1], node) <= 0)
        return;
    uint32_t at = w->n < w->max ? w->n++ : w->n - 1;
    for (; at > 0 && compare(w, node, w->out[at - 1]) < 0; at--)
        w->out[at] = w->out[at - 1];
    w->out[at] = node;
}

// What is settled so far: nodes that did not fail, so that a farther bucket cannot push them out.
static bool settled(const struct nearest *w)
{
    return w->n == w->max && w->out[w->n - 1]->fails == 0;
}

uint32_t table_nearest(const struct dht_table *t, const uint8_t target[NODE_ID_LEN], const struct dht_node **out, uint32_t max)
{
    struct nearest w = {.target = target, .out = out, .max = max};
    const uint32_t prefix = u32_min(node_id_prefix(t->own, target), NODE_ID_BITS - 1);
    // Those that share a longer prefix with the target than we do; then all deeper ones, which differ from it where we
    // do; then one bucket after the other, each farther than the one before.
    for (uint32_t k = 0; prefix < used(t) && k < t->buckets[prefix].n; k++)
        offer(&w, &t->buckets[prefix].nodes[k]);
    if (settled(&w))
        return w.n;
    for (uint32_t i = prefix + 1; i < used(t); i++)
        for (uint32_t k = 0; k < t->buckets[i].n; k++)
            offer(&w, &t->buckets[i].nodes[k]);
    for (uint32_t i = u32_min(prefix, used(t)); i-- > 0 && !settled(&w);)
        for (uint32_t k = 0; k < t->buckets[i].n; k++)
            offer(&w, &t->buckets[i].nodes[k]);
    return w.n;
}

struct dht_node *table_due(const struct dht_table *t, nsec now, nsec stale_ns, nsec retry_ns)
{
    struct dht_node *found = NULL;
    nsec oldest = u64_sub_sat(now, stale_ns);
    for (uint32_t i = 0; i < used(t); i++) {
        for (uint32_t k = 0; k < t->buckets[i].n; k++) {
            struct dht_node *node = &t->buckets[i].nodes[k];
            if (node->fails > 0 && now - node->tried >= retry_ns)
                return node;
            const nsec at = u64_max(node->seen, node->tried);
            if (at < oldest) {
                oldest = at;
                found = node;
            }
        }
    }
    return found;
}

void table_random_id(const struct dht_table *t, uint32_t prefix, struct rng *rng, uint8_t out[NODE_ID_LEN])
{
    ASSERT(prefix < NODE_ID_BITS);
    uint8_t any[NODE_ID_LEN];
    rng_bytes(rng, any, NODE_ID_LEN);
    memcpy(out, t->own, NODE_ID_LEN);
    for (uint32_t bit = prefix; bit < NODE_ID_BITS; bit++) {
        const uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        const uint8_t from = bit == prefix ? (uint8_t)~t->own[bit / 8] : any[bit / 8];
        out[bit / 8] = (uint8_t)((out[bit / 8] & ~mask) | (from & mask));
    }
}

uint32_t table_depth(const struct dht_table *t)
{
    for (uint32_t i = used(t); i-- > 0;)
        if (t->buckets[i].n > 0)
            return i;
    return 0;
}

void table_rename(struct dht_table *t, nsec now, const uint8_t own[NODE_ID_LEN])
{
    struct dht_table old = *t;
    table_init(t, old.mem, old.family, own);
    t->lost = old.lost;
    t->lost_at = old.lost_at;
    t->lost_n = old.lost_n;
    const bool open = old.buckets == NULL || table_open(t) == ERR_OK;
    for (uint32_t i = 0; i < used(&old) && open; i++) {
        for (uint32_t k = 0; k < old.buckets[i].n; k++) {
            const struct dht_node *node = &old.buckets[i].nodes[k];
            if (node->fails == 0)
                (void)table_seen(t, u64_min(now, node->seen), node->id, &node->addr, node->rtt_us);
        }
    }
    buckets_free(&old);
}

void table_check(const struct dht_table *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < NODE_ID_BITS && t->buckets != NULL; i++) {
        const struct dht_bucket *b = &t->buckets[i];
        ASSERT(i <= t->deepest || b->n == 0);
        ASSERT(b->n <= b->cap);
        ASSERT(b->cap <= capacity(i));
        ASSERT(b->spare_n <= b->spare_cap);
        ASSERT(b->spare_cap <= TABLE_SPARE_MAX);
        for (uint32_t k = 0; k < b->n; k++) {
            ASSERT(node_id_prefix(t->own, b->nodes[k].id) == i);
            ASSERT(b->nodes[k].addr.family == t->family);
            ASSERT(b->nodes[k].fails < TABLE_FAILS_MAX);
            ASSERT(table_find(t, &b->nodes[k].addr) == &b->nodes[k]);
        }
        n += b->n;
    }
    ASSERT(n == t->n);
    ASSERT(t->lost_n <= TABLE_LOST_MAX);
}
