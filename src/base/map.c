// Chained hash map in insertion order: see map.h.
#include "base/map.h"

enum { MAP_BUCKETS_MIN = 16 };

void map_init(struct map *m, const struct mem *mem, uint32_t max, uint64_t seed)
{
    *m = (struct map){.mem = mem, .max = max, .key = {mix64(seed), mix64(seed + 1)}};
    list_init(&m->order);
}

void map_done(struct map *m)
{
    mem_free(m->mem, m->buckets, m->buckets_n * sizeof(struct map_node *));
    *m = (struct map){0};
}

static struct map_node *find(const struct map *m, uint64_t hash, struct slice key)
{
    if (m->buckets_n == 0)
        return NULL;
    for (struct map_node *n = m->buckets[hash & (m->buckets_n - 1)]; n != NULL; n = n->next)
        if (n->hash == hash && slice_eq(n->key, key))
            return n;
    return NULL;
}

struct map_node *map_get(const struct map *m, struct slice key)
{
    return m->n == 0 ? NULL : find(m, siphash(m->key, key), key);
}

static enum err grow(struct map *m)
{
    const uint32_t want = m->buckets_n == 0 ? MAP_BUCKETS_MIN : m->buckets_n * 2;
    struct map_node **buckets = mem_zarray(m->mem, want, sizeof(struct map_node *));
    if (buckets == NULL)
        return m->buckets_n == 0 ? ERR_NOMEM : ERR_OK;      // a full table is slower, not wrong
    LIST_EACH(&m->order, link, save) {
        struct map_node *n = CONTAINER(link, struct map_node, order);
        struct map_node **head = &buckets[n->hash & (want - 1)];
        n->next = *head;
        *head = n;
    }
    mem_free(m->mem, m->buckets, m->buckets_n * sizeof(struct map_node *));
    m->buckets = buckets;
    m->buckets_n = want;
    return ERR_OK;
}

enum err map_put(struct map *m, struct map_node *n, struct slice key)
{
    const uint64_t hash = siphash(m->key, key);
    if (find(m, hash, key) != NULL)
        return ERR_EXISTS;
    if (m->n >= m->max)
        return ERR_FULL;
    if (m->n >= m->buckets_n && m->buckets_n < (uint32_t)1 << 30) {
        const enum err e = grow(m);
        if (e != ERR_OK)
            return e;
    }
    struct map_node **head = &m->buckets[hash & (m->buckets_n - 1)];
    *n = (struct map_node){.next = *head, .hash = hash, .key = key};
    *head = n;
    list_init(&n->order);
    list_push_back(&m->order, &n->order);
    m->n++;
    return ERR_OK;
}

void map_remove(struct map *m, struct map_node *n)
{
    struct map_node **at = &m->buckets[n->hash & (m->buckets_n - 1)];
    while (*at != n) {
        ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = n->next;
    list_remove(&n->order);
    m->n--;
}

struct map_node *map_first(const struct map *m)
{
    return m->n == 0 ? NULL : CONTAINER(m->order.next, struct map_node, order);
}

struct map_node *map_next(const struct map *m, const struct map_node *n)
{
    return n->order.next == &m->order ? NULL : CONTAINER(n->order.next, struct map_node, order);
}
