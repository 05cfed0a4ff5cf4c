// See dht_share.h.
#include "engine/find/dht_share.h"

#include "base/siphash.h"

enum { NET_BYTES_V4 = 3, NET_BYTES_V6 = 6 };

// What the search for the worst and the heaviest needs of a claim, side by side: with the claims it would wait for memory two thousand times.
struct claim_place {
    uint32_t head;                      // of its target
    uint32_t network;
    uint32_t weight;
    struct claim *claim;
};

uint32_t share_network(const uint64_t key[2], const struct addr *a)
{
    size_t n = a->family == ADDR_IPV4 ? NET_BYTES_V4 : NET_BYTES_V6;
    if (addr_is_local(a))
        n = addr_ip_len(a);
    return (uint32_t)siphash(key, slice_of(a->ip, n));
}

uint32_t share_add(struct share *s, uint32_t who)
{
    uint16_t *n = &s->n[who % SHARE_SLOTS];
    if (*n < UINT16_MAX)
        (*n)++;
    return *n;
}

static void take_back(struct share *s, uint32_t who)
{
    uint16_t *n = &s->n[who % SHARE_SLOTS];
    ASSERT(*n > 0);
    (*n)--;
}

void claims_done(struct claims *c)
{
    ASSERT(c->n == 0);
    mem_free(c->mem, c->places, c->cap * sizeof *c->places);
    mem_free(c->mem, c->networks, c->networks == NULL ? 0 : sizeof *c->networks);
    mem_free(c->mem, c->owners, c->owners == NULL ? 0 : sizeof *c->owners);
    *c = (struct claims){.mem = c->mem};
}

static uint32_t head_of(const uint8_t id[NODE_ID_LEN])
{
    struct rd r = rd_make(slice_of(id, NODE_ID_LEN));
    return rd_be32(&r);
}

enum err claims_enter(struct claims *c, struct claim *claim)
{
    ASSERT(c->n < UINT16_MAX);
    if (c->networks == NULL)
        c->networks = mem_zalloc(c->mem, sizeof *c->networks);
    if (c->owners == NULL)
        c->owners = mem_zalloc(c->mem, sizeof *c->owners);
    void *places = c->places;
    const enum err e = mem_grow(c->mem, &places, &c->cap, c->n + 1, UINT16_MAX, sizeof *c->places);
    c->places = places;
    if (e != ERR_OK || c->networks == NULL || c->owners == NULL)
        return ERR_NOMEM;
    (void)share_add(c->networks, claim->network);
    (void)share_add(c->owners, claim->owner);
    claim->index = c->n;
    c->places[c->n++] = (struct claim_place){head_of(claim->target), claim->network, 0, claim};
    return ERR_OK;
}

void claims_leave(struct claims *c, struct claim *claim)
{
    ASSERT(claim->index < c->n);
    ASSERT(c->places[claim->index].claim == claim);
    take_back(c->networks, claim->network);
    take_back(c->owners, claim->owner);
    c->places[claim->index] = c->places[--c->n];
    c->places[claim->index].claim->index = claim->index;
}

// Whether a target is farther from `own` than another; heads tell nearly always.
static bool farther(const uint8_t own[NODE_ID_LEN], const struct claim_place *a, const struct claim_place *b)
{
    const uint32_t own_head = head_of(own), to_a = own_head ^ a->head, to_b = own_head ^ b->head;
    if (to_a != to_b)
        return to_a > to_b;
    return node_id_nearer(own, a->claim->target, b->claim->target) > 0;
}

struct claim *claims_worst(const struct claims *c, const struct claim *mine, const uint8_t own[NODE_ID_LEN])
{
    struct claim self = *mine;
    const struct claim_place me = {head_of(mine->target), mine->network, 0, &self};
    const struct claim_place *worst = &me;
    uint32_t most = 1 + (c->n == 0 ? 0 : share_count(c->networks, mine->network));
    for (uint32_t i = 0; i < c->n; i++) {
        const struct claim_place *p = &c->places[i];
        const uint32_t has = share_count(c->networks, p->network) + (p->network % SHARE_SLOTS == mine->network % SHARE_SLOTS);
        if (has < most || (has == most && !farther(own, p, worst)))
            continue;
        worst = p;
        most = has;
    }
    return worst == &me ? NULL : worst->claim;
}

uint32_t claims_owned(const struct claims *c, uint32_t owner) { return c->n == 0 ? 0 : share_count(c->owners, owner); }

void claims_share(struct claims *c, struct claim *claim, uint32_t owner, uint32_t network)
{
    if (share_count(c->networks, network) + 1 >= share_count(c->networks, claim->network))
        return;
    take_back(c->networks, claim->network);
    take_back(c->owners, claim->owner);
    claim->owner = owner;
    claim->network = c->places[claim->index].network = network;
    (void)share_add(c->networks, network);
    (void)share_add(c->owners, owner);
}

void claims_weigh(struct claims *c, const struct claim *claim, uint32_t weight)
{
    ASSERT(claim->index < c->n);
    c->places[claim->index].weight = weight;
}

struct claim *claims_heaviest(const struct claims *c)
{
    const struct claim_place *found = NULL;
    for (uint32_t i = 0; i < c->n; i++)
        if (found == NULL || c->places[i].weight > found->weight)
            found = &c->places[i];
    return found == NULL ? NULL : found->claim;
}

void claims_check(const struct claims *c)
{
    uint32_t networks = 0, owners = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        ASSERT(c->places[i].claim->index == i);
        ASSERT(c->places[i].network == c->places[i].claim->network);
    }
    for (uint32_t i = 0; i < SHARE_SLOTS && c->n != 0; i++) {
        networks += c->networks->n[i];
        owners += c->owners->n[i];
    }
    ASSERT(networks == c->n);
    ASSERT(owners == c->n);
}
