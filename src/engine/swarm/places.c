// Who makes room when all places of a swarm are taken.
#include "engine/swarm/swarm_int.h"

static uint32_t site_peers(const struct swarm *s, const struct addr *a)
{
    uint32_t n = 0;
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next) {
        const struct swarm_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link);
        n += !p->closing && same_site(&p->addr, a);
    }
    return n;
}

// All places are taken: the newest peer of the site that has most of them makes room, if `a` comes from one that has
// fewer. So nobody can fill a swarm from one address.
bool places_make(struct swarm *s, const struct addr *a)
{
    const uint32_t own = site_peers(s, a);
    uint32_t most = own + 1;
    struct swarm_peer *goes = NULL;
    if (own >= s->cfg.peers_max / 2)
        return false;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        const uint32_t n = p->closing ? 0 : site_peers(s, &p->addr);
        if (n < most || (n == most && (goes == NULL || goes->serial > p->serial)))
            continue;
        most = n;
        goes = p;
    }
    if (goes == NULL || most <= own + 1)
        return false;
    rx_close(s, goes, ERR_FULL);
    return true;
}
