// See votes.h.
#include "engine/votes.h"

uint32_t votes_source(const struct addr *from)
{
    if (from->family == ADDR_NONE || addr_is_local(from) || addr_is_any(from))
        return 0;
    if (from->family == ADDR_IPV4)
        return (uint32_t)from->ip[0] << 24 | (uint32_t)from->ip[1] << 16 | 0xffff;
    return (uint32_t)from->ip[0] << 24 | (uint32_t)from->ip[1] << 16 | (uint32_t)from->ip[2] << 8 | from->ip[3];
}

static struct vote *vote_of(struct votes *v, uint32_t source)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->all[i].source == source)
            return &v->all[i];
    struct vote *fresh = &v->all[v->at];
    v->at = (v->at + 1) % VOTES_MAX;
    v->n = u32_min(v->n + 1, VOTES_MAX);
    return fresh;
}

bool votes_add(struct votes *v, uint32_t source, const struct addr *says)
{
    ASSERT(source != 0);
    if (says->family == ADDR_NONE || addr_is_local(says) || addr_is_any(says) || addr_is_multicast(says))
        return false;
    struct vote *mine = vote_of(v, source);
    *mine = (struct vote){source, *says};
    mine->says.port = 0;
    uint32_t same = 0;
    for (uint32_t i = 0; i < v->n; i++)
        same += addr_same_ip(&v->all[i].says, says);
    const bool most = v->agreed.family == ADDR_NONE ? 2 * same > v->n : 3 * same > 2 * v->n;
    if (same < VOTES_AGREE || !most || addr_same_ip(&v->agreed, says))
        return false;
    v->agreed = mine->says;
    return true;
}
