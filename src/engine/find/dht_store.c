// See dht_store.h.
#include "engine/find/dht_store.h"

#include "codec/bencode.h"
#include "codec/krpc.h"
#include "engine/find/dht.h"

void dht_store_init(struct dht_store *s, const struct mem *mem, const uint64_t secret[2])
{
    *s = (struct dht_store){.mem = mem, .secret = {secret[0], secret[1]}, .hashes_max = DHT_HASHES_MAX,
        .hash_peers_max = DHT_HASH_PEERS_MAX, .items_max = DHT_ITEMS_MAX};
    map_init(&s->swarms, mem, UINT32_MAX, mix64(secret[0] + 1));
    map_init(&s->items, mem, UINT32_MAX, mix64(secret[0] + 2));
}

static void swarm_drop(struct dht_store *s, struct dht_swarm *w)
{
    map_remove(&s->swarms, &w->node);
    for (uint32_t i = 0; i < 2; i++) {
        s->peers_n -= w->peers[i].n;
        mem_free(s->mem, w->peers[i].items, w->peers[i].cap * sizeof *w->peers[i].items);
    }
    mem_free(s->mem, w, sizeof *w);
}

static void item_drop(struct dht_store *s, struct dht_stored *i)
{
    map_remove(&s->items, &i->node);
    mem_free(s->mem, i, sizeof *i + i->bytes_n);
}

void dht_store_done(struct dht_store *s)
{
    for (struct map_node *n = map_first(&s->swarms); n != NULL; n = map_first(&s->swarms))
        swarm_drop(s, CONTAINER(n, struct dht_swarm, node));
    for (struct map_node *n = map_first(&s->items); n != NULL; n = map_first(&s->items))
        item_drop(s, CONTAINER(n, struct dht_stored, node));
    map_done(&s->swarms);
    map_done(&s->items);
}

// ---- tokens

static void token_of(const struct dht_store *s, uint64_t epoch, const struct addr *a, const uint8_t target[NODE_ID_LEN], uint8_t out[TOKEN_LEN])
{
    uint8_t bytes[8 + 1 + 16 + NODE_ID_LEN];
    struct buf b = {bytes, 0, sizeof bytes};
    struct wr w = wr_make(&b);
    wr_be64(&w, epoch);
    wr_u8(&w, a->family);
    wr_bytes(&w, slice_of(a->ip, sizeof a->ip));
    wr_bytes(&w, slice_of(target, NODE_ID_LEN));
    ASSERT(w.ok);
    const uint64_t h = siphash(s->secret, buf_slice(&b));
    b = (struct buf){out, 0, TOKEN_LEN};
    w = wr_make(&b);
    wr_be64(&w, h);
}

void dht_store_token(const struct dht_store *s, nsec now, const struct addr *a, const uint8_t target[NODE_ID_LEN], uint8_t out[TOKEN_LEN])
{
    token_of(s, now / (TOKEN_EPOCH_S * NSEC_S), a, target, out);
}

bool dht_store_token_ok(const struct dht_store *s, nsec now, const struct addr *a, const uint8_t target[NODE_ID_LEN], struct slice token)
{
    const uint64_t epoch = now / (TOKEN_EPOCH_S * NSEC_S);
    uint8_t expect[TOKEN_LEN];
    for (uint64_t back = 0; back < 2 && back <= epoch; back++) {
        token_of(s, epoch - back, a, target, expect);
        if (slice_eq(token, slice_of(expect, TOKEN_LEN)))
            return true;
    }
    return false;
}

// ---- limits

static uint64_t owner_of(const struct dht_store *s, const struct addr *a)
{
    return siphash(s->secret, slice_of(a->ip, a->family == ADDR_IPV4 ? 4 : 8));
}

// How far a target is from us: the nearer of our two ids counts.
static int farther(const struct dht_store *s, const uint8_t *a, const uint8_t *b)
{
    const uint8_t *own = s->own[0] != NULL ? s->own[0] : s->own[1];
    return own == NULL ? 0 : node_id_nearer(own, b, a);
}

// Makes room for `target` of `owner` in a full map. False: it has no claim, all others are nearer or the owner has its share.
// `get` reads target and owner of an element.
struct claim {
    const uint8_t *target;
    uint64_t owner;
};

static struct claim claim_of(const struct dht_store *s, const struct map *m, struct map_node *n)
{
    if (m == &s->swarms) {
        const struct dht_swarm *w = CONTAINER(n, struct dht_swarm, node);
        return (struct claim){w->hash, w->owner};
    }
    const struct dht_stored *i = CONTAINER(n, struct dht_stored, node);
    return (struct claim){i->target, i->owner};
}

static bool make_place(struct dht_store *s, struct map *m, uint32_t max, const struct claim *mine, bool exempt)
{
    struct map_node *farthest = NULL;
    uint32_t owned = 0;
    for (struct map_node *n = map_first(m); n != NULL; n = map_next(m, n)) {
        const struct claim c = claim_of(s, m, n);
        owned += c.owner == mine->owner;
        if (farthest == NULL || farther(s, c.target, claim_of(s, m, farthest).target) < 0)
            farthest = n;
    }
    if (owned >= DHT_OWNER_HASHES_MAX && !exempt)
        return false;
    if (m->n < max)
        return true;
    if (farthest == NULL || farther(s, claim_of(s, m, farthest).target, mine->target) >= 0)
        return false;
    if (m == &s->swarms)
        swarm_drop(s, CONTAINER(farthest, struct dht_swarm, node));
    else
        item_drop(s, CONTAINER(farthest, struct dht_stored, node));
    return true;
}

// ---- peers

const struct dht_swarm *dht_store_swarm(const struct dht_store *s, const uint8_t hash[NODE_ID_LEN])
{
    struct map_node *n = map_get(&s->swarms, slice_of(hash, NODE_ID_LEN));
    return n == NULL ? NULL : CONTAINER(n, struct dht_swarm, node);
}

static struct dht_swarm *swarm_make(struct dht_store *s, const uint8_t hash[NODE_ID_LEN], const struct addr *peer)
{
    const struct claim mine = {hash, owner_of(s, peer)};
    if (!make_place(s, &s->swarms, s->hashes_max, &mine, addr_is_local(peer)))
        return NULL;
    struct dht_swarm *w = mem_zalloc(s->mem, sizeof *w);
    if (w == NULL)
        return NULL;
    memcpy(w->hash, hash, NODE_ID_LEN);
    w->owner = mine.owner;
    if (map_put(&s->swarms, &w->node, slice_of(w->hash, NODE_ID_LEN)) != ERR_OK) {
        mem_free(s->mem, w, sizeof *w);
        return NULL;
    }
    return w;
}

static bool at_ip(const struct dht_peer *p, const struct addr *a) { return memcmp(p->ip, a->ip, sizeof p->ip) == 0; }

// The place for a peer: its own; at an address with many ports, or in a full list, the oldest.
static struct dht_peer *place_for(struct dht_store *s, struct dht_peers *list, const struct addr *peer)
{
    struct dht_peer *oldest = NULL, *oldest_here = NULL;
    uint32_t here = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        struct dht_peer *p = &list->items[i];
        if (at_ip(p, peer) && p->port == peer->port)
            return p;
        if (at_ip(p, peer)) {
            here++;
            if (oldest_here == NULL || p->seen < oldest_here->seen)
                oldest_here = p;
        }
        if (oldest == NULL || p->seen < oldest->seen)
            oldest = p;
    }
    if (here >= HASH_IP_PORTS_MAX && !addr_is_local(peer))
        return oldest_here;
    if (list->n >= s->hash_peers_max)
        return oldest;
    void *items = list->items;
    const enum err e = mem_grow(s->mem, &items, &list->cap, list->n + 1, UINT32_MAX, sizeof *list->items);
    list->items = items;
    if (e != ERR_OK)
        return oldest;
    s->peers_n++;
    return &list->items[list->n++];
}

enum err dht_store_announce(struct dht_store *s, nsec now, const uint8_t hash[NODE_ID_LEN], const struct addr *peer, bool seed)
{
    struct map_node *n = map_get(&s->swarms, slice_of(hash, NODE_ID_LEN));
    struct dht_swarm *w = n != NULL ? CONTAINER(n, struct dht_swarm, node) : swarm_make(s, hash, peer);
    if (w == NULL)
        return ERR_FULL;
    struct dht_peer *p = place_for(s, &w->peers[peer->family == ADDR_IPV6], peer);
    if (p == NULL)
        return ERR_NOMEM;
    *p = (struct dht_peer){.port = peer->port, .seed = seed, .seen = now};
    memcpy(p->ip, peer->ip, sizeof p->ip);
    return ERR_OK;
}

void dht_store_values(const struct dht_swarm *swarm, enum addr_family family, bool noseed, uint32_t max, struct rng *rng, struct wr *w)
{
    const struct dht_peers *list = &swarm->peers[family == ADDR_IPV6];
    if (list->n == 0)
        return;
    // A run from a random place: each peer is as likely as any other.
    const uint32_t from = (uint32_t)rng_below(rng, list->n);
    const size_t ip_len = family == ADDR_IPV6 ? 16 : 4;
    for (uint32_t i = 0; i < list->n && max > 0; i++) {
        const struct dht_peer *p = &list->items[(from + i) % list->n];
        if (noseed && p->seed)
            continue;
        wr_dec(w, ip_len + 2);
        wr_str(w, ":");
        wr_bytes(w, slice_of(p->ip, ip_len));
        wr_be16(w, p->port);
        max--;
    }
}

void dht_store_blooms(const struct dht_swarm *swarm, uint8_t seeds[BLOOM_LEN], uint8_t peers[BLOOM_LEN])
{
    for (uint32_t f = 0; f < 2; f++) {
        for (uint32_t i = 0; i < swarm->peers[f].n; i++) {
            const struct dht_peer *p = &swarm->peers[f].items[i];
            struct addr a = {.family = f == 0 ? ADDR_IPV4 : ADDR_IPV6};
            memcpy(a.ip, p->ip, sizeof a.ip);
            bloom_add(p->seed ? seeds : peers, &a);
        }
    }
}

void dht_store_samples(const struct dht_store *s, uint32_t n, struct rng *rng, struct wr *w)
{
    // Each of those left is taken with chance (wanted / left): every set of n is as likely as any other.
    uint32_t left = s->swarms.n;
    for (struct map_node *m = map_first(&s->swarms); m != NULL && n > 0; m = map_next(&s->swarms, m), left--) {
        if (!rng_chance(rng, u32_min(n, left), left))
            continue;
        wr_bytes(w, slice_of(CONTAINER(m, struct dht_swarm, node)->hash, NODE_ID_LEN));
        n--;
    }
}

// ---- items

const struct dht_stored *dht_store_item(const struct dht_store *s, const uint8_t target[NODE_ID_LEN])
{
    struct map_node *n = map_get(&s->items, slice_of(target, NODE_ID_LEN));
    return n == NULL ? NULL : CONTAINER(n, struct dht_stored, node);
}

enum err dht_store_put(struct dht_store *s, nsec now, const struct dht_put *put)
{
    const struct dht_item *item = put->item;
    ASSERT(item->value.n <= ITEM_VALUE_MAX);
    ASSERT(item->salt.n <= ITEM_SALT_MAX);
    struct map_node *n = map_get(&s->items, slice_of(put->target, NODE_ID_LEN));
    struct dht_stored *old = n == NULL ? NULL : CONTAINER(n, struct dht_stored, node);
    if (old != NULL && slice_eq(old->item.value, item->value) && old->item.seq == item->seq) {
        old->seen = now;
        return ERR_OK;
    }
    const struct claim mine = {put->target, owner_of(s, put->from)};
    if (old == NULL && !make_place(s, &s->items, s->items_max, &mine, addr_is_local(put->from)))
        return ERR_FULL;
    const uint32_t bytes_n = u32_of(item->value.n + item->salt.n);
    struct dht_stored *fresh = mem_zalloc(s->mem, sizeof *fresh + bytes_n);
    if (fresh == NULL)
        return ERR_NOMEM;
    fresh->owner = old != NULL ? old->owner : mine.owner;
    fresh->seen = now;
    fresh->is_mutable = put->is_mutable;
    fresh->item = *item;
    fresh->bytes_n = bytes_n;
    memcpy(fresh->target, put->target, NODE_ID_LEN);
    memcpy(fresh->bytes, item->value.p, item->value.n);
    if (item->salt.n != 0)
        memcpy(fresh->bytes + item->value.n, item->salt.p, item->salt.n);
    fresh->item.value = slice_of(fresh->bytes, item->value.n);
    fresh->item.salt = slice_of(fresh->bytes + item->value.n, item->salt.n);
    if (old != NULL)
        item_drop(s, old);
    const enum err e = map_put(&s->items, &fresh->node, slice_of(fresh->target, NODE_ID_LEN));
    if (e != ERR_OK)
        mem_free(s->mem, fresh, sizeof *fresh + bytes_n);
    return e;
}

static void sweep_peers(struct dht_store *s, struct dht_peers *list, nsec now)
{
    for (uint32_t i = list->n; i-- > 0;) {
        if (now - list->items[i].seen < PEER_EXPIRE_S * NSEC_S)
            continue;
        list->items[i] = list->items[--list->n];
        s->peers_n--;
    }
}

void dht_store_sweep(struct dht_store *s, nsec now)
{
    for (struct map_node *n = map_first(&s->swarms), *next; n != NULL; n = next) {
        struct dht_swarm *w = CONTAINER(n, struct dht_swarm, node);
        next = map_next(&s->swarms, n);
        sweep_peers(s, &w->peers[0], now);
        sweep_peers(s, &w->peers[1], now);
        if (w->peers[0].n + w->peers[1].n == 0)
            swarm_drop(s, w);
    }
    for (struct map_node *n = map_first(&s->items), *next; n != NULL; n = next) {
        struct dht_stored *i = CONTAINER(n, struct dht_stored, node);
        next = map_next(&s->items, n);
        if (now - i->seen >= ITEM_EXPIRE_S * NSEC_S)
            item_drop(s, i);
    }
}

void dht_store_check(const struct dht_store *s)
{
    uint32_t peers = 0;
    for (struct map_node *n = map_first(&s->swarms); n != NULL; n = map_next(&s->swarms, n)) {
        const struct dht_swarm *w = CONTAINER(n, struct dht_swarm, node);
        ASSERT(w->peers[0].n <= s->hash_peers_max);
        ASSERT(w->peers[1].n <= s->hash_peers_max);
        peers += w->peers[0].n + w->peers[1].n;
    }
    ASSERT(peers == s->peers_n);
    ASSERT(s->swarms.n <= s->hashes_max);
    ASSERT(s->items.n <= s->items_max);
}
