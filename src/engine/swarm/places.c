// Who makes room when all places of a swarm are taken. BEP 40; bittorrent note, section 1.
#include "engine/swarm/blame.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/rounds.h"
#include "engine/swarm/swarm_int.h"

#include "codec/peer_priority.h"

enum { PLACE_SETTLED_S = 30 };          // until a peer has shown whether either side wants anything of the other

static uint32_t site_peers(const struct swarm *s, const struct addr *a)
{
    uint32_t n = 0;
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next) {
        const struct swarm_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link);
        n += !p->closing && same_site(&p->addr, a);
    }
    return n;
}

// Nobody loses by it: neither side wants a thing of the other, and both had the time to say so.
static bool is_of_use(const struct swarm *s, const struct swarm_peer *p)
{
    return p->am_interested || p->peer_interested || s->now - p->joined_at < PLACE_SETTLED_S * NSEC_S;
}

// Of those of no use the last by BEP 40, if `a` ranks before it: both sides of the connection rank it alike, so nobody is let go
// and taken back in turns. NULL: nobody.
static struct swarm_peer *outranked(struct swarm *s, const struct addr *a)
{
    const struct addr *own = &s->known.own[a->family == ADDR_IPV6];
    if (own->family == ADDR_NONE)
        return NULL;
    struct swarm_peer *last = NULL;
    uint32_t least = peer_priority(own, a);
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (p->closing || p->addr.family != a->family || is_of_use(s, p))
            continue;
        const uint32_t its = peer_priority(own, &p->addr);
        if (its >= least)
            continue;
        least = its;
        last = p;
    }
    return last;
}

// All places are taken: the newest peer of the site that has most of them makes room, if `a` comes from one that has
// fewer. So nobody can fill a swarm from one address. Before that: who is of no use and ranks behind `a`, which is new here.
bool places_make(struct swarm *s, const struct addr *a)
{
    const uint32_t own = site_peers(s, a);
    uint32_t most = own + 1;
    struct swarm_peer *goes = NULL;
    if (own >= s->cfg.peers_max / 2)
        return false;
    if (own == 0 && (goes = outranked(s, a)) != NULL) {
        rx_close(s, goes, ERR_FULL);
        return true;
    }
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
