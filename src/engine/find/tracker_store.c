// Swarms and peers of the tracker: see tracker_store.h.
#include "engine/find/tracker_store.h"

enum {
    SCAN_MAX = 16,                      // peers up to which a pool has no index: two cache lines of IPv4
    POOL_CAP_MIN = 2,
    POOL_CAP_DOUBLES = 16,              // above it a pool grows by an eighth only
    INDEX_CAP_MIN = 24,
    INDEX_TINY_MAX = UINT8_MAX,         // slots up to which a place takes one byte: there are fewer places than slots
    INDEX_NARROW_MAX = UINT16_MAX,      // and two
};

static size_t ip_len(bool ipv6) { return ipv6 ? 16 : 4; }
static size_t stride(bool ipv6) { return ip_len(ipv6) + 2 + 2; }
static uint8_t *record(const struct peer_pool *p, bool ipv6, uint32_t place) { return p->peers + place * stride(ipv6); }
static uint32_t pool_n(const struct peer_pool *p) { return p->end[CLASSES_N - 1]; }

static size_t index_width(uint32_t cap) { return cap <= INDEX_TINY_MAX ? 1 : cap <= INDEX_NARROW_MAX ? 2 : 4; }

static uint32_t index_get(const struct peer_pool *p, uint32_t slot)
{
    uint16_t narrow;
    uint32_t wide;
    if (p->index_cap <= INDEX_TINY_MAX)
        return p->index[slot];
    if (p->index_cap <= INDEX_NARROW_MAX) {
        memcpy(&narrow, p->index + slot * sizeof narrow, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, p->index + slot * sizeof wide, sizeof wide);
    return wide;
}

static void index_set(struct peer_pool *p, uint32_t slot, uint32_t value)
{
    const uint16_t narrow = (uint16_t)value;
    if (p->index_cap <= INDEX_TINY_MAX)
        p->index[slot] = (uint8_t)value;
    else if (p->index_cap <= INDEX_NARROW_MAX)
        memcpy(p->index + slot * sizeof narrow, &narrow, sizeof narrow);
    else
        memcpy(p->index + slot * sizeof value, &value, sizeof value);
}

static uint32_t index_next(const struct peer_pool *p, uint32_t slot) { return slot + 1 == p->index_cap ? 0 : slot + 1; }

void store_init(struct tracker_store *s, const struct mem *mem, const struct store_limits *limits, const uint64_t secret[2])
{
    *s = (struct tracker_store){.mem = mem, .limits = *limits, .key = {mix64(secret[0] + 1), mix64(secret[1] + 2)}};
    map_init(&s->swarms, mem, limits->swarms_max, mix64(secret[0] ^ mix64(secret[1] + 3)));
}

// Resizes memory and counts it; NULL when it cannot, then nothing has changed.
static void *resize(struct tracker_store *s, void *p, size_t old_n, size_t new_n)
{
    void *fresh = s->mem->resize(s->mem->ctx, p, old_n, new_n);
    if (fresh == NULL && new_n != 0)
        return NULL;
    s->bytes += new_n;
    s->bytes -= old_n;
    return fresh;
}

static void pool_release(struct tracker_store *s, struct peer_pool *p, bool ipv6)
{
    if (p->peers != NULL)
        (void)resize(s, p->peers, p->cap * stride(ipv6), 0);
    if (p->index != NULL)
        (void)resize(s, p->index, p->index_cap * index_width(p->index_cap), 0);
    *p = (struct peer_pool){0};
}

static void swarm_free(struct tracker_store *s, struct tracker_swarm *w)
{
    map_remove(&s->swarms, &w->node);
    pool_release(s, &w->pools[0], false);
    pool_release(s, &w->pools[1], true);
    (void)resize(s, w, sizeof *w, 0);
}

void store_done(struct tracker_store *s)
{
    for (struct map_node *n = map_first(&s->swarms); n != NULL; n = map_first(&s->swarms))
        swarm_free(s, CONTAINER(n, struct tracker_swarm, node));
    ASSERT(s->bytes == 0);
    map_done(&s->swarms);
}

struct tracker_swarm *store_find(const struct tracker_store *s, const uint8_t hash[20])
{
    struct map_node *n = map_get(&s->swarms, slice_of(hash, 20));
    return n == NULL ? NULL : CONTAINER(n, struct tracker_swarm, node);
}

// What one customer has: an IPv4 address, or an IPv6 /64. Records of one customer start at the same place of the index.
static size_t customer_len(bool ipv6) { return ipv6 ? 8 : 4; }

static uint32_t home(const struct tracker_store *s, const struct peer_pool *p, bool ipv6, const uint8_t *ip)
{
    const uint64_t h = siphash(s->key, slice_of(ip, customer_len(ipv6))) >> 32;
    return (uint32_t)(h * p->index_cap >> 32);
}

// Where the index names this place; it does.
static uint32_t index_slot(const struct tracker_store *s, const struct peer_pool *p, bool ipv6, uint32_t place)
{
    uint32_t i = home(s, p, ipv6, record(p, ipv6, place));
    for (uint32_t at = index_get(p, i); at != place + 1; at = index_get(p, i)) {
        ASSERT(at != 0);
        i = index_next(p, i);
    }
    return i;
}

static void index_put(const struct tracker_store *s, struct peer_pool *p, bool ipv6, uint32_t place)
{
    uint32_t i = home(s, p, ipv6, record(p, ipv6, place));
    while (index_get(p, i) != 0)
        i = index_next(p, i);
    index_set(p, i, place + 1);
}

// Slots from a to b, going round.
static uint32_t index_ahead(const struct peer_pool *p, uint32_t a, uint32_t b) { return b >= a ? b - a : b + (p->index_cap - a); }

// Linear probing without tombstones: what follows moves back into the hole if its home allows. Knuth 6.4, algorithm R.
static void index_remove(const struct tracker_store *s, struct peer_pool *p, bool ipv6, uint32_t place)
{
    uint32_t hole = index_slot(s, p, ipv6, place);
    for (uint32_t i = index_next(p, hole); index_get(p, i) != 0; i = index_next(p, i)) {
        const uint32_t h = home(s, p, ipv6, record(p, ipv6, index_get(p, i) - 1));
        if (index_ahead(p, h, i) < index_ahead(p, hole, i))
            continue;                   // its home lies behind the hole
        index_set(p, hole, index_get(p, i));
        hole = i;
    }
    index_set(p, hole, 0);
}

// An index of `cap` slots in place of the old one; cap 0: none. ERR_NOMEM: nothing has changed.
static enum err index_rebuild(struct tracker_store *s, struct peer_pool *p, bool ipv6, uint32_t cap)
{
    uint8_t *fresh = NULL;
    const size_t len = cap * index_width(cap);
    if (cap != 0) {
        fresh = resize(s, NULL, 0, len);
        if (fresh == NULL)
            return ERR_NOMEM;
        memset(fresh, 0, len);
    }
    if (p->index != NULL)
        (void)resize(s, p->index, p->index_cap * index_width(p->index_cap), 0);
    p->index = fresh;
    p->index_cap = cap;
    for (uint32_t i = 0; cap != 0 && i < pool_n(p); i++)
        index_put(s, p, ipv6, i);
    return ERR_OK;
}

// Makes room for one more record. ERR_NOMEM: nothing is lost.
static enum err pool_reserve(struct tracker_store *s, struct peer_pool *p, bool ipv6)
{
    const uint32_t n = pool_n(p);
    if (n == p->cap) {
        const uint32_t cap = n == 0 ? POOL_CAP_MIN : n < POOL_CAP_DOUBLES ? 2 * n : n + n / 8;
        void *peers = resize(s, p->peers, p->cap * stride(ipv6), cap * stride(ipv6));
        if (peers == NULL)
            return ERR_NOMEM;
        p->peers = peers;
        p->cap = cap;
    }
    if (n < SCAN_MAX)
        return ERR_OK;
    if (p->index == NULL)
        return index_rebuild(s, p, ipv6, INDEX_CAP_MIN);
    if ((uint64_t)(n + 1) * 5 > (uint64_t)p->index_cap * 4)
        return index_rebuild(s, p, ipv6, p->index_cap + p->index_cap / 4);
    return ERR_OK;
}

// Place of (ip, port), or STORE_NOBODY; *same: records of the same customer that were seen on the way.
static uint32_t pool_find(const struct tracker_store *s, const struct peer_pool *p, const struct addr *a, uint32_t *same)
{
    const bool ipv6 = a->family == ADDR_IPV6;
    const uint8_t port[2] = {(uint8_t)(a->port >> 8), (uint8_t)a->port};
    *same = 0;
    if (p->index == NULL && pool_n(p) == 0)
        return STORE_NOBODY;
    const bool scanned = p->index == NULL;
    for (uint32_t i = scanned ? 0 : home(s, p, ipv6, a->ip);; i = scanned ? i + 1 : index_next(p, i)) {
        if (scanned ? i == pool_n(p) : index_get(p, i) == 0)
            return STORE_NOBODY;
        const uint32_t place = scanned ? i : index_get(p, i) - 1;
        const uint8_t *r = record(p, ipv6, place);
        if (memcmp(r, a->ip, customer_len(ipv6)) != 0)
            continue;
        (*same)++;
        if (memcmp(r, a->ip, ip_len(ipv6)) == 0 && memcmp(r + ip_len(ipv6), port, 2) == 0)
            return place;
    }
}

static void swap(struct tracker_store *s, struct peer_pool *p, bool ipv6, uint32_t a, uint32_t b)
{
    if (a == b)
        return;
    const size_t n = stride(ipv6);
    if (p->index != NULL) {
        const uint32_t slot_a = index_slot(s, p, ipv6, a), slot_b = index_slot(s, p, ipv6, b);
        index_set(p, slot_a, b + 1);
        index_set(p, slot_b, a + 1);
    }
    uint8_t held[20];
    ASSERT(n <= sizeof held);
    memcpy(held, record(p, ipv6, a), n);
    memcpy(record(p, ipv6, a), record(p, ipv6, b), n);
    memcpy(record(p, ipv6, b), held, n);
}

static enum peer_class class_of(const struct peer_pool *p, uint32_t place)
{
    return place < p->end[CLASS_LEECH] ? CLASS_LEECH : place < p->end[CLASS_PARTIAL] ? CLASS_PARTIAL : CLASS_SEED;
}

// Moves a record into another class by one swap over each bound; returns its new place.
static uint32_t reclass(struct tracker_store *s, struct peer_pool *p, bool ipv6, uint32_t place, enum peer_class to)
{
    enum peer_class at = class_of(p, place);
    for (; at < to; at++) {
        const uint32_t last = --p->end[at];
        swap(s, p, ipv6, place, last);
        place = last;
    }
    for (; at > to; at--) {
        const uint32_t first = p->end[at - 1]++;
        swap(s, p, ipv6, place, first);
        place = first;
    }
    return place;
}

static uint32_t seeds_of(const struct peer_pool *p) { return p->end[CLASS_SEED] - p->end[CLASS_PARTIAL]; }

static void pool_remove(struct tracker_store *s, struct peer_pool *p, bool ipv6, uint32_t place)
{
    s->n_seeds -= seeds_of(p);
    place = reclass(s, p, ipv6, place, CLASS_SEED);
    const uint32_t last = pool_n(p) - 1;
    swap(s, p, ipv6, place, last);
    if (p->index != NULL)
        index_remove(s, p, ipv6, last);
    p->end[CLASS_SEED]--;
    s->n_seeds += seeds_of(p);
    s->n_peers[ipv6]--;
}

static void note_seen(struct peer_pool *p, bool ipv6, uint32_t place, uint16_t minute)
{
    uint8_t *seen = record(p, ipv6, place) + ip_len(ipv6) + 2;
    seen[0] = (uint8_t)(minute >> 8);
    seen[1] = (uint8_t)minute;
}

static enum err pool_add(struct tracker_store *s, struct peer_pool *p, const struct store_announce *a, uint32_t *out)
{
    const bool ipv6 = a->peer.family == ADDR_IPV6;
    if (s->n_peers[0] + s->n_peers[1] >= s->limits.peers_max || pool_n(p) >= s->limits.swarm_peers_max)
        return ERR_FULL;
    const enum err e = pool_reserve(s, p, ipv6);
    if (e != ERR_OK)
        return e;
    const uint32_t place = p->end[CLASS_SEED]++;
    uint8_t *r = record(p, ipv6, place);
    memcpy(r, a->peer.ip, ip_len(ipv6));
    r[ip_len(ipv6)] = (uint8_t)(a->peer.port >> 8);
    r[ip_len(ipv6) + 1] = (uint8_t)a->peer.port;
    if (p->index != NULL)
        index_put(s, p, ipv6, place);
    s->n_peers[ipv6]++;
    s->n_seeds++;
    *out = place;
    return ERR_OK;
}

static enum err swarm_new(struct tracker_store *s, const uint8_t hash[20], struct tracker_swarm **out)
{
    if (s->swarms.n >= s->limits.swarms_max)
        return ERR_FULL;
    struct tracker_swarm *w = resize(s, NULL, 0, sizeof *w);
    if (w == NULL)
        return ERR_NOMEM;
    *w = (struct tracker_swarm){0};
    memcpy(w->hash, hash, sizeof w->hash);
    const enum err e = map_put(&s->swarms, &w->node, slice_of(w->hash, sizeof w->hash));
    if (e != ERR_OK) {
        (void)resize(s, w, sizeof *w, 0);
        return e;
    }
    *out = w;
    return ERR_OK;
}

enum err store_announce(struct tracker_store *s, const struct store_announce *a, struct tracker_swarm **out_swarm,
                        uint32_t *out_self)
{
    ASSERT(a->peer.family != ADDR_NONE);
    ASSERT(a->peer.port != 0);
    const bool ipv6 = a->peer.family == ADDR_IPV6;
    struct tracker_swarm *w = store_find(s, a->hash);
    *out_swarm = w;
    *out_self = STORE_NOBODY;
    if (w == NULL && a->stopped)
        return ERR_OK;
    if (w == NULL) {
        const enum err e = swarm_new(s, a->hash, &w);
        if (e != ERR_OK)
            return e;
        *out_swarm = w;
    }
    struct peer_pool *p = &w->pools[ipv6];
    uint32_t same;
    uint32_t place = pool_find(s, p, &a->peer, &same);
    if (a->stopped) {
        if (place != STORE_NOBODY)
            pool_remove(s, p, ipv6, place);
        return ERR_OK;
    }
    const bool was_seed = place != STORE_NOBODY && class_of(p, place) == CLASS_SEED;
    if (place == STORE_NOBODY) {
        const enum err e = same >= s->limits.ip_peers_max ? ERR_FULL : pool_add(s, p, a, &place);
        if (e != ERR_OK)
            return e;
    }
    if (a->completed && !was_seed && w->downloaded < UINT32_MAX)
        w->downloaded++;
    s->n_seeds -= seeds_of(p);
    place = reclass(s, p, ipv6, place, a->class);
    s->n_seeds += seeds_of(p);
    note_seen(p, ipv6, place, a->minute);
    *out_self = place;
    return ERR_OK;
}

uint32_t store_count(const struct tracker_swarm *swarm, enum peer_class class)
{
    uint32_t n = 0;
    for (int i = 0; i < 2; i++) {
        const struct peer_pool *p = &swarm->pools[i];
        n += p->end[class] - (class == CLASS_LEECH ? 0 : p->end[class - 1]);
    }
    return n;
}

// k of the n others from place `from` on: one of each of k equal parts, so that they are distinct and all equally likely.
static void draw(struct rng *rng, uint32_t from, uint32_t n, uint32_t self, uint32_t k, uint32_t *out)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < k; i++) {
        const uint32_t to = (uint32_t)((uint64_t)n * (i + 1) / k);
        const uint32_t place = from + (to - at == 1 ? at : at + (uint32_t)rng_below(rng, to - at));
        out[i] = place >= self ? place + 1 : place;
        at = to;
    }
}

uint32_t store_sample(const struct peer_pool *pool, uint32_t classes, uint32_t self, uint32_t k, struct rng *rng,
                      uint32_t out[STORE_SAMPLE_MAX])
{
    ASSERT(classes > 0);
    ASSERT(classes <= CLASSES_N);
    ASSERT(k <= STORE_SAMPLE_MAX);
    const uint32_t all = pool->end[classes - 1];
    const uint32_t n = self < all ? all - 1 : all;      // others
    k = u32_min(k, n);
    const uint32_t seeds_all = classes == CLASSES_N ? seeds_of(pool) : 0;
    const uint32_t seeds = self < all && self >= all - seeds_all ? seeds_all - 1 : seeds_all;
    const uint32_t least = u32_min(seeds, k / STORE_SEEDS_SHARE);
    if ((uint64_t)k * seeds >= (uint64_t)least * n) {
        draw(rng, 0, n, self, k, out);
        return k;
    }
    draw(rng, 0, n - seeds, self, k - least, out);
    draw(rng, n - seeds, seeds, self, least, out + (k - least));
    return k;
}

struct slice store_compact(const struct peer_pool *pool, bool ipv6, uint32_t place)
{
    ASSERT(place < pool_n(pool));
    return slice_of(record(pool, ipv6, place), ip_len(ipv6) + 2);
}

// Gives memory back when three quarters of it are unused; keeps it when the smaller one cannot be had.
static void pool_shrink(struct tracker_store *s, struct peer_pool *p, bool ipv6)
{
    const uint32_t n = pool_n(p);
    if (n == 0) {
        pool_release(s, p, ipv6);
        return;
    }
    if (p->cap <= SCAN_MAX || n > p->cap / 4)
        return;
    const bool sparse = p->index_cap / 2 >= INDEX_CAP_MIN && (uint64_t)(n + 1) * 5 <= (uint64_t)p->index_cap * 2;
    if (sparse && index_rebuild(s, p, ipv6, p->index_cap / 2) != ERR_OK)
        return;
    const uint32_t cap = p->cap / 2;
    void *peers = resize(s, p->peers, p->cap * stride(ipv6), cap * stride(ipv6));
    if (peers == NULL)
        return;
    p->peers = peers;
    p->cap = cap;
}

// Walks a pool from its end, so that what a removal moves down has been seen already. Returns what is left of budget.
static uint64_t sweep_pool(struct tracker_store *s, struct peer_pool *p, bool ipv6, uint16_t minute, uint64_t budget)
{
    s->sweep_left = u32_min(s->sweep_left, pool_n(p));
    while (s->sweep_left != 0 && budget != 0) {
        const uint32_t place = --s->sweep_left;
        budget--;
        const uint8_t *seen = record(p, ipv6, place) + ip_len(ipv6) + 2;
        const uint16_t age = (uint16_t)(minute - (seen[0] << 8 | seen[1]));
        if (age < s->limits.expire_min)
            continue;
        pool_remove(s, p, ipv6, place);
        s->expired++;
    }
    if (s->sweep_left == 0)
        pool_shrink(s, p, ipv6);
    return budget;
}

void store_sweep(struct tracker_store *s, uint16_t minute, uint64_t budget)
{
    budget = u64_min(budget, (uint64_t)s->n_peers[0] + s->n_peers[1] + 2 * (uint64_t)s->swarms.n);  // once round at most
    while (budget != 0) {
        if (s->sweep_at == NULL) {
            s->sweep_at = map_first(&s->swarms);
            if (s->sweep_at == NULL)
                return;
            s->sweep_pool = 0;
            s->sweep_left = UINT32_MAX;
        }
        struct tracker_swarm *w = CONTAINER(s->sweep_at, struct tracker_swarm, node);
        budget = sweep_pool(s, &w->pools[s->sweep_pool], s->sweep_pool == 1, minute, budget);
        if (s->sweep_left != 0)
            return;
        budget = u64_sub_sat(budget, 1);
        s->sweep_left = UINT32_MAX;
        s->sweep_pool++;
        if (s->sweep_pool < 2)
            continue;
        s->sweep_pool = 0;
        s->sweep_at = map_next(&s->swarms, s->sweep_at);
        if (pool_n(&w->pools[0]) + pool_n(&w->pools[1]) == 0)
            swarm_free(s, w);
    }
}

static void check_pool(const struct tracker_store *s, const struct peer_pool *p, bool ipv6)
{
    ASSERT(p->end[0] <= p->end[1]);
    ASSERT(p->end[1] <= p->end[2]);
    ASSERT(p->end[2] <= p->cap);
    ASSERT(p->index != NULL || pool_n(p) <= SCAN_MAX);
    if (p->index == NULL)
        return;
    uint32_t used = 0;
    for (uint32_t i = 0; i < p->index_cap; i++)
        used += index_get(p, i) != 0;
    ASSERT(used == pool_n(p));
    for (uint32_t i = 0; i < pool_n(p); i++)
        (void)index_slot(s, p, ipv6, i);
}

void store_check(const struct tracker_store *s)
{
    uint32_t n[2] = {0}, seeds = 0;
    uint64_t bytes = 0;
    bool swept = s->sweep_at == NULL;
    for (struct map_node *m = map_first(&s->swarms); m != NULL; m = map_next(&s->swarms, m)) {
        const struct tracker_swarm *w = CONTAINER(m, struct tracker_swarm, node);
        swept = swept || m == s->sweep_at;
        bytes += sizeof *w;
        for (int i = 0; i < 2; i++) {
            const struct peer_pool *p = &w->pools[i];
            check_pool(s, p, i == 1);
            n[i] += pool_n(p);
            seeds += seeds_of(p);
            bytes += p->cap * stride(i == 1) + p->index_cap * index_width(p->index_cap);
        }
    }
    ASSERT(swept);
    ASSERT(n[0] == s->n_peers[0]);
    ASSERT(n[1] == s->n_peers[1]);
    ASSERT(seeds == s->n_seeds);
    ASSERT(bytes == s->bytes);
}
