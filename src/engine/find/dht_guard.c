// See dht_guard.h.
#include "engine/find/dht_guard.h"

#include "base/siphash.h"

enum { GUARD_WAYS = 4 };                // places that an address may have

void guard_init(struct guard *g, const struct mem *mem, const uint64_t key[2])
{
    *g = (struct guard){.mem = mem, .key = {key[0], key[1]}};
}

void guard_done(struct guard *g)
{
    mem_free(g->mem, g->slots, g->slots == NULL ? 0 : GUARD_SLOTS * sizeof *g->slots);
    *g = (struct guard){0};
}

static uint64_t key_of(const struct guard *g, const struct addr *a) { return siphash(g->key, slice_of(a->ip, a->family == ADDR_IPV4 ? 4 : 8)); }

// The slot of an address: its own, else a free one, else the one that is paid first: then two share it.
static struct guard_slot *slot_of(struct guard *g, nsec now, const struct addr *a)
{
    if (g->slots == NULL) {
        g->slots = mem_zarray(g->mem, GUARD_SLOTS, sizeof *g->slots);
        if (g->slots == NULL)
            return NULL;
    }
    const uint64_t key = key_of(g, a);
    struct guard_slot *found = NULL;
    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        struct guard_slot *s = &g->slots[(key + i) % GUARD_SLOTS];
        if (s->key == key)
            return s;
        if (found == NULL || s->paid_at < found->paid_at)
            found = s;
    }
    if (found->paid_at <= now)
        found->key = key;
    return found;
}

static nsec burst_ns(uint64_t bytes, uint64_t bps) { return bytes * NSEC_S / bps; }

enum guard_verdict guard_judge(struct guard *g, nsec now, const struct addr *to, enum guard_class class, bool can_ask)
{
    if (addr_is_local(to))
        return GUARD_ANSWER;
    const nsec debt = class == GUARD_PROVED ? 0 : u64_sub_sat(g->paid_at[class], now);
    if (debt > burst_ns(GUARD_ALL_BURST, GUARD_ALL_BPS))
        return GUARD_SILENCE;
    const struct guard_slot *s = slot_of(g, now, to);
    if (s != NULL && s->paid_at > now + burst_ns(GUARD_STRANGER_BURST, GUARD_STRANGER_BPS))
        return GUARD_SILENCE;
    if (debt <= burst_ns(GUARD_ALL_CALM, GUARD_ALL_BPS))
        return GUARD_ANSWER;
    if (class == GUARD_STRANGER && can_ask)
        return GUARD_ASK;
    if (class == GUARD_STRANGER && debt > burst_ns(GUARD_ALL_BLIND, GUARD_ALL_BPS))
        return GUARD_SILENCE;
    // What asking back has cost does not count as an answer.
    const nsec asked = class == GUARD_REAL ? burst_ns(GUARD_ASK_BYTES, GUARD_STRANGER_BPS) : 0;
    const bool begins = s == NULL || s->paid_at <= now + asked || s->key != key_of(g, to);
    return begins ? GUARD_ANSWER : GUARD_SILENCE;
}

void guard_charge(struct guard *g, nsec now, const struct addr *to, enum guard_class class, size_t bytes)
{
    if (addr_is_local(to))
        return;
    if (class != GUARD_PROVED)
        g->paid_at[class] = u64_max(g->paid_at[class], now) + burst_ns(bytes, GUARD_ALL_BPS);
    struct guard_slot *s = slot_of(g, now, to);
    if (s != NULL)
        s->paid_at = u64_max(s->paid_at, now) + bytes * NSEC_S / ((uint64_t)GUARD_STRANGER_BPS * (class >= GUARD_KNOWN ? GUARD_PROVED_TIMES : 1));
}
