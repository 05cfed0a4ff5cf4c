// Known addresses: see known.h.
#include "engine/swarm/known.h"

#include "codec/peer_priority.h"
#include "codec/ut_pex.h"

static struct slice key_of(const struct addr *a, uint8_t key[KNOWN_KEY_LEN])
{
    memset(key, 0, KNOWN_KEY_LEN);
    memcpy(key, a->ip, 16);
    key[16] = (uint8_t)(a->port >> 8);
    key[17] = (uint8_t)a->port;
    key[18] = a->family;
    return slice_of(key, KNOWN_KEY_LEN);
}

void known_init(struct known_set *k, const struct mem *mem, uint32_t max, uint64_t seed)
{
    *k = (struct known_set){.mem = mem};
    map_init(&k->map, mem, max, seed);
}

void known_done(struct known_set *k)
{
    for (struct map_node *n = map_first(&k->map); n != NULL; n = map_first(&k->map)) {
        map_remove(&k->map, n);
        mem_free(k->mem, CONTAINER(n, struct known, node), sizeof(struct known));
    }
    map_done(&k->map);
    mem_free(k->mem, k->sites, KNOWN_SITES);
    k->sites = NULL;
}

static uint8_t *site_of(const struct known_set *k, const struct addr *a)
{
    return &k->sites[siphash(k->map.key, slice_of(a->ip, a->family == ADDR_IPV4 ? 4 : 8)) % KNOWN_SITES];
}

// True: there is room for one more of its site, and it is taken. Of the machines of a local network many may share an address.
static bool site_take(struct known_set *k, struct known *e)
{
    if (e->trusted || addr_is_local(&e->addr))
        return true;
    if (k->sites == NULL && (k->sites = mem_zalloc(k->mem, KNOWN_SITES)) == NULL)
        return false;
    if (*site_of(k, &e->addr) == KNOWN_SITE_MAX)
        return false;
    ++*site_of(k, &e->addr);
    return e->counted = true;
}

static void known_free(struct known_set *k, struct known *e)
{
    if (e->counted)
        --*site_of(k, &e->addr);
    mem_free(k->mem, e, sizeof *e);
}

struct known *known_find(const struct known_set *k, const struct addr *a)
{
    uint8_t key[KNOWN_KEY_LEN];
    struct map_node *n = map_get(&k->map, key_of(a, key));
    return n == NULL ? NULL : CONTAINER(n, struct known, node);
}

static void rank(const struct known_set *k, struct known *e)
{
    const struct addr *own = &k->own[e->addr.family == ADDR_IPV6];
    e->rank = own->family == ADDR_NONE ? (uint32_t)e->node.hash : peer_priority(own, &e->addr);
}

void known_own(struct known_set *k, const struct addr *own)
{
    ASSERT(own->family != ADDR_NONE);
    k->own[own->family == ADDR_IPV6] = *own;
    for (struct map_node *n = map_first(&k->map); n != NULL; n = map_next(&k->map, n))
        rank(k, CONTAINER(n, struct known, node));
}

void known_add(struct known_set *k, const struct addr *a, bool trusted)
{
    struct known *old = known_find(k, a);
    if (old != NULL) {
        old->trusted |= trusted;
        return;
    }
    if (k->map.n >= k->map.max || a->port == 0 || addr_is_any(a) || addr_is_multicast(a) || addr_is_reserved(a))
        return;
    struct known *e = mem_zalloc(k->mem, sizeof *e);
    if (e == NULL)
        return;
    e->addr = *a;
    e->trusted = trusted;
    if (!site_take(k, e) || map_put(&k->map, &e->node, key_of(a, e->key)) != ERR_OK) {
        known_free(k, e);
        return;
    }
    rank(k, e);
    known_wake(k);
}

static void add_via(struct known *e, uint32_t conn)
{
    for (uint32_t i = 0; i < e->via_n; i++)
        if (e->via[i] == conn)
            return;
    if (e->via_n < KNOWN_VIAS_MAX)
        e->via[e->via_n++] = conn;
}

void known_told(struct known_set *k, const struct addr *a, uint32_t conn, uint8_t flags)
{
    known_add(k, a, false);
    struct known *e = known_find(k, a);
    if (e == NULL)
        return;
    add_via(e, conn);
    e->hidden |= (flags & UT_PEX_HOLEPUNCH) != 0;
    e->hidden &= (flags & UT_PEX_REACHABLE) == 0;
}

void known_adopt(struct known_set *k, const struct known *from)
{
    known_add(k, &from->addr, from->trusted);
    struct known *e = known_find(k, &from->addr);
    for (uint32_t i = 0; e != NULL && i < from->via_n; i++)
        add_via(e, from->via[i]);
    if (e != NULL)
        e->hidden |= from->hidden;
}

bool known_take(struct known_set *k, const struct addr *a)
{
    struct known *e = known_find(k, a);
    if (e == NULL || e->state != KNOWN_FREE)
        return false;
    e->state = KNOWN_CONNECTING;
    return true;
}

static void drop(struct known_set *k, struct known *e)
{
    if (k->cursor == &e->node)
        k->cursor = map_next(&k->map, &e->node);
    map_remove(&k->map, &e->node);
    known_free(k, e);
}

static bool goes_before(const struct known *a, const struct known *b)
{
    if (a->trusted != b->trusted)
        return a->trusted;
    return a->fails != b->fails ? a->fails < b->fails : a->rank > b->rank;
}

bool known_next(struct known_set *k, nsec now, struct addr *out)
{
    if (now < k->idle_until)
        return false;
    const bool ranked = k->own[0].family != ADDR_NONE || k->own[1].family != ADDR_NONE;
    nsec due = NSEC_NEVER;
    struct known *best = NULL;
    for (uint32_t i = 0; i < k->map.n && (best == NULL || ranked); i++) {
        struct map_node *n = k->cursor != NULL ? k->cursor : map_first(&k->map);
        k->cursor = map_next(&k->map, n);
        struct known *e = CONTAINER(n, struct known, node);
        if (e->state != KNOWN_FREE)
            continue;
        due = u64_min(due, e->retry_at);
        if (e->retry_at <= now && (best == NULL || goes_before(e, best)))
            best = e;
    }
    if (best == NULL) {
        k->idle_until = due;
        return false;
    }
    best->state = KNOWN_CONNECTING;
    *out = best->addr;
    return true;
}

void known_failed(struct known_set *k, nsec now, const struct addr *a)
{
    struct known *e = known_find(k, a);
    if (e == NULL)
        return;
    e->state = KNOWN_FREE;
    known_wake(k);
    if (++e->fails >= KNOWN_FAILS_MAX && !e->trusted) {
        drop(k, e);
        return;
    }
    const uint64_t pause_s = (uint64_t)KNOWN_RETRY_S << u32_min(e->fails - 1, 5);
    e->retry_at = now + (e->trusted ? KNOWN_TRUSTED_S : pause_s) * NSEC_S;
}

void known_postponed(struct known_set *k, nsec now, const struct addr *a)
{
    struct known *e = known_find(k, a);
    if (e == NULL)
        return;
    e->state = KNOWN_FREE;
    e->retry_at = now + (e->trusted ? KNOWN_TRUSTED_S : KNOWN_PROXY_S) * NSEC_S;
    known_wake(k);
}

void known_retry(struct known_set *k)
{
    for (struct map_node *n = map_first(&k->map); n != NULL; n = map_next(&k->map, n))
        CONTAINER(n, struct known, node)->retry_at = 0;
    known_wake(k);
}

void known_forget(struct known_set *k, const struct addr *a)
{
    struct known *e = known_find(k, a);
    if (e != NULL)
        drop(k, e);
}
