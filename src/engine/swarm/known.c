// Known addresses: see known.h.
#include "engine/swarm/known.h"

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
}

struct known *known_find(const struct known_set *k, const struct addr *a)
{
    uint8_t key[KNOWN_KEY_LEN];
    struct map_node *n = map_get(&k->map, key_of(a, key));
    return n == NULL ? NULL : CONTAINER(n, struct known, node);
}

void known_add(struct known_set *k, const struct addr *a, bool trusted)
{
    struct known *old = known_find(k, a);
    if (old != NULL) {
        old->trusted |= trusted;
        return;
    }
    if (k->map.n >= k->map.max || a->port == 0 || addr_is_any(a) || addr_is_multicast(a))
        return;
    struct known *e = mem_zalloc(k->mem, sizeof *e);
    if (e == NULL)
        return;
    e->addr = *a;
    e->trusted = trusted;
    if (map_put(&k->map, &e->node, key_of(a, e->key)) != ERR_OK)
        mem_free(k->mem, e, sizeof *e);
    known_wake(k);
}

static void drop(struct known_set *k, struct known *e)
{
    if (k->cursor == &e->node)
        k->cursor = map_next(&k->map, &e->node);
    map_remove(&k->map, &e->node);
    mem_free(k->mem, e, sizeof *e);
}

bool known_next(struct known_set *k, nsec now, struct addr *out)
{
    if (now < k->idle_until)
        return false;
    nsec due = NSEC_NEVER;
    for (uint32_t i = 0; i < k->map.n; i++) {
        struct map_node *n = k->cursor != NULL ? k->cursor : map_first(&k->map);
        k->cursor = map_next(&k->map, n);
        struct known *e = CONTAINER(n, struct known, node);
        if (e->state == KNOWN_FREE && e->retry_at <= now) {
            e->state = KNOWN_CONNECTING;
            *out = e->addr;
            return true;
        }
        if (e->state == KNOWN_FREE)
            due = u64_min(due, e->retry_at);
    }
    k->idle_until = due;
    return false;
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

void known_forget(struct known_set *k, const struct addr *a)
{
    struct known *e = known_find(k, a);
    if (e != NULL)
        drop(k, e);
}
