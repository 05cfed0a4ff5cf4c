// See dht_store.h.
#include "engine/find/dht_store.h"

#include "codec/bencode.h"
#include "codec/krpc.h"
#include "engine/find/dht.h"

enum {
    PEERS_STEP = 8,                     // lists grow and shrink by so many: there are thousands of them
    PASSES_MAX = 16,                    // claims that change hands for one that wants a place; then it is refused
};

void dht_store_init(struct dht_store *s, const struct mem *mem, const uint64_t secret[2])
{
    *s = (struct dht_store){.mem = mem, .secret = {secret[0], secret[1]}, .hashes_max = DHT_HASHES_MAX,
        .hash_peers_max = DHT_HASH_PEERS_MAX, .items_max = DHT_ITEMS_MAX, .peers_max = DHT_PEERS_MAX};
    s->swarm_claims.mem = s->item_claims.mem = mem;
    map_init(&s->swarms, mem, UINT32_MAX, mix64(secret[0] + 1));
    map_init(&s->items, mem, UINT32_MAX, mix64(secret[0] + 2));
}

static void swarm_drop(struct dht_store *s, struct dht_swarm *w)
{
    map_remove(&s->swarms, &w->node);
    claims_leave(&s->swarm_claims, &w->claim);
    for (uint32_t i = 0; i < 2; i++) {
        s->peers_n -= w->peers[i].n;
        mem_free(s->mem, w->peers[i].items, w->peers[i].cap * sizeof *w->peers[i].items);
    }
    mem_free(s->mem, w, sizeof *w);
}

static void item_drop(struct dht_store *s, struct dht_stored *i)
{
    map_remove(&s->items, &i->node);
    claims_leave(&s->item_claims, &i->claim);
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
    claims_done(&s->swarm_claims);
    claims_done(&s->item_claims);
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

static uint32_t owner_of(const struct dht_store *s, const struct addr *a)
{
    return (uint32_t)siphash(s->secret, slice_of(a->ip, a->family == ADDR_IPV4 ? 4 : 8));
}

static struct claim claim_make(const struct dht_store *s, const uint8_t target[NODE_ID_LEN], const struct addr *from)
{
    struct claim c = {.owner = owner_of(s, from), .network = share_network(s->secret, from)};
    memcpy(c.target, target, NODE_ID_LEN);
    return c;
}

static struct dht_swarm *swarm_of(struct claim *c) { return CONTAINER(c, struct dht_swarm, claim); }

// A hash that was begun by one, or taken over by who had less then, counts for whoever of its peers has least now: else a quiet network
// takes over what others want, grows, and has it pushed out with its own. False: nobody has less.
static bool passes_on(struct dht_store *s, struct claim *c)
{
    const struct dht_swarm *w = swarm_of(c);
    const struct dht_peer *found = NULL;
    uint8_t family = ADDR_NONE;
    for (uint32_t f = 0; f < 2; f++)
        for (uint32_t i = 0; i < w->peers[f].n; i++) {
            const struct dht_peer *p = &w->peers[f].items[i];
            if (found != NULL && share_count(s->swarm_claims.networks, p->network) >= share_count(s->swarm_claims.networks, found->network))
                continue;
            found = p;
            family = f == 0 ? ADDR_IPV4 : ADDR_IPV6;
        }
    if (found == NULL)
        return false;
    const uint32_t before = c->network;
    struct addr a = {.family = family};
    memcpy(a.ip, found->ip, sizeof a.ip);
    claims_share(&s->swarm_claims, c, owner_of(s, &a), found->network);
    return c->network != before;
}

// Makes room for a claim. False: nobody has more to give than it, or the owner has its share.
static bool make_place(struct dht_store *s, struct map *m, uint32_t max, const struct claim *mine, bool exempt)
{
    static const uint8_t nowhere[NODE_ID_LEN];
    const struct claims *all = m == &s->swarms ? &s->swarm_claims : &s->item_claims;
    const uint8_t *own = s->own[0] != NULL ? s->own[0] : s->own[1];
    if (claims_owned(all, mine->owner) >= DHT_OWNER_HASHES_MAX && !exempt)
        return false;
    if (m->n < max)
        return true;
    struct claim *worst = claims_worst(all, mine, own == NULL ? nowhere : own);
    for (uint32_t i = 0; worst != NULL && m == &s->swarms && passes_on(s, worst); i++)
        worst = i == PASSES_MAX ? NULL : claims_worst(all, mine, own == NULL ? nowhere : own);
    if (worst == NULL)
        return false;
    if (m == &s->swarms)
        swarm_drop(s, swarm_of(worst));
    else
        item_drop(s, CONTAINER(worst, struct dht_stored, claim));
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
    const struct claim mine = claim_make(s, hash, peer);
    if (!make_place(s, &s->swarms, s->hashes_max, &mine, addr_is_local(peer)))
        return NULL;
    struct dht_swarm *w = mem_zalloc(s->mem, sizeof *w);
    if (w == NULL)
        return NULL;
    w->claim = mine;
    if (claims_enter(&s->swarm_claims, &w->claim) != ERR_OK) {
        mem_free(s->mem, w, sizeof *w);
        return NULL;
    }
    if (map_put(&s->swarms, &w->node, slice_of(w->claim.target, NODE_ID_LEN)) != ERR_OK) {
        claims_leave(&s->swarm_claims, &w->claim);
        mem_free(s->mem, w, sizeof *w);
        return NULL;
    }
    return w;
}

// The list has room for n peers and little more; false: no memory.
static bool peers_fit(struct dht_store *s, struct dht_peers *list, uint32_t n)
{
    const uint32_t cap = (n + PEERS_STEP - 1) / PEERS_STEP * PEERS_STEP;
    if (cap == list->cap || (cap < list->cap && list->cap - cap <= PEERS_STEP))
        return true;
    struct dht_peer *items = s->mem->resize(s->mem->ctx, list->items, list->cap * sizeof *items, cap * sizeof *items);
    if (items == NULL && cap != 0)
        return cap <= list->cap;
    list->items = items;
    list->cap = cap;
    return true;
}

static void weigh(struct dht_store *s, const struct dht_swarm *w)
{
    claims_weigh(&s->swarm_claims, &w->claim, u32_max(w->peers[0].n, w->peers[1].n));
}

static void peer_drop(struct dht_store *s, struct dht_swarm *w, uint32_t f, uint32_t i)
{
    struct dht_peers *list = &w->peers[f];
    list->items[i] = list->items[--list->n];
    s->peers_n--;
    weigh(s, w);
    (void)peers_fit(s, list, list->n);
}

// Who makes way for a peer of `network`: the oldest of those whose network has most of the list.
static uint32_t peer_that_goes(const struct dht_peers *list, uint32_t network)
{
    struct share share = {0};
    uint32_t most = 0, found = 0;
    ASSERT(list->n > 0);
    for (uint32_t i = 0; i < list->n; i++)
        (void)share_add(&share, list->items[i].network);
    (void)share_add(&share, network);
    for (uint32_t i = 0; i < list->n; i++) {
        const uint32_t has = share_count(&share, list->items[i].network);
        if (has < most || (has == most && list->items[i].seen >= list->items[found].seen))
            continue;
        found = i;
        most = has;
    }
    return found;
}

static bool at_ip(const struct dht_peer *p, const struct addr *a) { return memcmp(p->ip, a->ip, sizeof p->ip) == 0; }

// The place for a peer: its own; at an address with many ports the oldest; when its list is full, or all lists together, somebody
// makes way, there or in the longest list.
static struct dht_peer *place_for(struct dht_store *s, struct dht_swarm *w, const struct addr *peer, uint32_t network)
{
    struct dht_peers *list = &w->peers[peer->family == ADDR_IPV6];
    struct dht_peer *oldest_here = NULL;
    uint32_t here = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        struct dht_peer *p = &list->items[i];
        if (!at_ip(p, peer))
            continue;
        if (p->port == peer->port)
            return p;
        here++;
        if (oldest_here == NULL || p->seen < oldest_here->seen)
            oldest_here = p;
    }
    if (here >= HASH_IP_PORTS_MAX && !addr_is_local(peer))
        return oldest_here;
    if (list->n >= s->hash_peers_max)
        return &list->items[peer_that_goes(list, network)];
    if (s->peers_n >= s->peers_max) {
        struct dht_swarm *heaviest = swarm_of(claims_heaviest(&s->swarm_claims));
        const uint32_t f = heaviest->peers[1].n > heaviest->peers[0].n;
        const uint32_t i = peer_that_goes(&heaviest->peers[f], network);
        if (&heaviest->peers[f] == list)
            return &list->items[i];
        peer_drop(s, heaviest, f, i);
    }
    if (!peers_fit(s, list, list->n + 1))
        return list->n == 0 ? NULL : &list->items[peer_that_goes(list, network)];
    s->peers_n++;
    list->n++;
    weigh(s, w);
    return &list->items[list->n - 1];
}

enum err dht_store_announce(struct dht_store *s, nsec now, const uint8_t hash[NODE_ID_LEN], const struct addr *peer, bool seed)
{
    struct map_node *n = map_get(&s->swarms, slice_of(hash, NODE_ID_LEN));
    struct dht_swarm *w = n != NULL ? CONTAINER(n, struct dht_swarm, node) : swarm_make(s, hash, peer);
    if (w == NULL)
        return ERR_FULL;
    const uint32_t network = share_network(s->secret, peer);
    claims_share(&s->swarm_claims, &w->claim, owner_of(s, peer), network);
    struct dht_peer *p = place_for(s, w, peer, network);
    if (p == NULL)
        return ERR_NOMEM;
    *p = (struct dht_peer){.port = peer->port, .seed = seed, .network = network, .seen = now};
    memcpy(p->ip, peer->ip, sizeof p->ip);
    return ERR_OK;
}

// Puts `key` among the `max` smallest.
static void keep_small(uint64_t *keys, uint32_t *n, uint32_t max, uint64_t key)
{
    if (*n == max && key >= keys[max - 1])
        return;
    uint32_t at = *n == max ? max - 1 : (*n)++;
    for (; at > 0 && keys[at - 1] > key; at--)
        keys[at] = keys[at - 1];
    keys[at] = key;
}

void dht_store_values(const struct dht_swarm *swarm, enum addr_family family, bool noseed, uint32_t max, struct rng *rng, struct wr *w)
{
    const struct dht_peers *list = &swarm->peers[family == ADDR_IPV6];
    // Key: how many of its network come before it, then networks in random order, then its place in the list.
    uint64_t keys[DHT_VALUES_MAX];
    struct share share = {0};
    uint32_t n = 0;
    ASSERT(max <= DHT_VALUES_MAX);
    ASSERT(list->n <= UINT16_MAX);
    if (list->n == 0 || max == 0)
        return;
    const uint32_t from = (uint32_t)rng_below(rng, list->n);
    const uint64_t salt = rng_u64(rng);
    for (uint32_t i = 0; i < list->n; i++) {
        const uint32_t at = (from + i) % list->n;
        const struct dht_peer *p = &list->items[at];
        if (noseed && p->seed)
            continue;
        const uint64_t before = share_add(&share, p->network);
        keep_small(keys, &n, max, before << 48 | (mix64(salt ^ p->network) & UINT32_MAX) << 16 | at);
    }
    const size_t ip_len = family == ADDR_IPV6 ? 16 : 4;
    for (uint32_t i = 0; i < n; i++) {
        const struct dht_peer *p = &list->items[keys[i] & UINT16_MAX];
        wr_dec(w, ip_len + 2);
        wr_str(w, ":");
        wr_bytes(w, slice_of(p->ip, ip_len));
        wr_be16(w, p->port);
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
        wr_bytes(w, slice_of(CONTAINER(m, struct dht_swarm, node)->claim.target, NODE_ID_LEN));
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
        claims_share(&s->item_claims, &old->claim, owner_of(s, put->from), share_network(s->secret, put->from));
        return ERR_OK;
    }
    const struct claim mine = claim_make(s, put->target, put->from);
    if (old == NULL && !make_place(s, &s->items, s->items_max, &mine, addr_is_local(put->from)))
        return ERR_FULL;
    const uint32_t bytes_n = u32_of(item->value.n + item->salt.n);
    struct dht_stored *fresh = mem_zalloc(s->mem, sizeof *fresh + bytes_n);
    if (fresh == NULL)
        return ERR_NOMEM;
    fresh->claim = old != NULL ? old->claim : mine;
    fresh->seen = now;
    fresh->is_mutable = put->is_mutable;
    fresh->item = *item;
    fresh->bytes_n = bytes_n;
    memcpy(fresh->bytes, item->value.p, item->value.n);
    if (item->salt.n != 0)
        memcpy(fresh->bytes + item->value.n, item->salt.p, item->salt.n);
    fresh->item.value = slice_of(fresh->bytes, item->value.n);
    fresh->item.salt = slice_of(fresh->bytes + item->value.n, item->salt.n);
    if (old != NULL)
        item_drop(s, old);
    enum err e = claims_enter(&s->item_claims, &fresh->claim);
    if (e == ERR_OK) {
        e = map_put(&s->items, &fresh->node, slice_of(fresh->claim.target, NODE_ID_LEN));
        if (e != ERR_OK)
            claims_leave(&s->item_claims, &fresh->claim);
    }
    if (e != ERR_OK)
        mem_free(s->mem, fresh, sizeof *fresh + bytes_n);
    return e;
}

static void sweep_peers(struct dht_store *s, struct dht_swarm *w, uint32_t f, nsec now)
{
    for (uint32_t i = w->peers[f].n; i-- > 0;) {
        if (now - w->peers[f].items[i].seen >= PEER_EXPIRE_S * NSEC_S)
            peer_drop(s, w, f, i);
    }
}

void dht_store_sweep(struct dht_store *s, nsec now)
{
    for (struct map_node *n = map_first(&s->swarms), *next; n != NULL; n = next) {
        struct dht_swarm *w = CONTAINER(n, struct dht_swarm, node);
        next = map_next(&s->swarms, n);
        sweep_peers(s, w, 0, now);
        sweep_peers(s, w, 1, now);
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
    uint32_t peers = 0, longest = 0;
    for (struct map_node *n = map_first(&s->swarms); n != NULL; n = map_next(&s->swarms, n)) {
        const struct dht_swarm *w = CONTAINER(n, struct dht_swarm, node);
        ASSERT(w->peers[0].n <= s->hash_peers_max);
        ASSERT(w->peers[1].n <= s->hash_peers_max);
        peers += w->peers[0].n + w->peers[1].n;
        longest = u32_max(longest, u32_max(w->peers[0].n, w->peers[1].n));
    }
    ASSERT(peers == s->peers_n);
    if (s->swarms.n != 0) {
        const struct dht_swarm *w = swarm_of(claims_heaviest(&s->swarm_claims));
        ASSERT(u32_max(w->peers[0].n, w->peers[1].n) == longest);
    }
    ASSERT(peers <= s->peers_max);
    claims_check(&s->swarm_claims);
    claims_check(&s->item_claims);
    ASSERT(s->swarm_claims.n == s->swarms.n);
    ASSERT(s->item_claims.n == s->items.n);
    ASSERT(s->swarms.n <= s->hashes_max);
    ASSERT(s->items.n <= s->items_max);
}
