// Our address, as trackers (BEP 24), peers (BEP 10), the DHT (BEP 42) and the router see it, and who needs to know it: the order
// of candidates (BEP 40), our id in the DHT, trackers of private torrents (BEP 7), and the front ends.
#include "engine/find/announcer.h"
#include "engine/node/node_dht.h"
#include "engine/node/node_external.h"
#include "engine/node/node_int.h"
#include "engine/node/node_torrent.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

static uint32_t side(const struct addr *a) { return a->family == ADDR_IPV6; }

void external_vote(struct node *n, uint32_t source, const struct addr *says)
{
    struct votes *v = &n->votes[side(says)];
    if (source != 0 && votes_add(v, source, says))
        external_set(n, &v->agreed);
}

static void tell(struct node *n, struct torrent *t, const struct addr *a)
{
    struct addr own = *a;
    own.port = n->port_told;
    if (t->swarm != NULL)
        swarm_external(t->swarm, &own);
    if (t->metadata != NULL)
        known_own(metadata_known(t->metadata), &own);
    if (t->announcer != NULL)
        announcer_external(t->announcer, a);
}

void external_set(struct node *n, const struct addr *a)
{
    if (addr_same_ip(&n->external[side(a)], a))
        return;
    n->external[side(a)] = *a;
    n->external_due[side(a)] = n->externals_due = true;
    for (uint32_t i = 0; i < n->torrents_n; i++)
        if (n->torrents[i] != NULL)
            tell(n, n->torrents[i], a);
    node_dht_external(n, a);
}

void external_tell(struct node *n, struct torrent *t)
{
    for (uint32_t i = 0; i < ARRAY_LEN(n->external); i++)
        if (n->external[i].family != ADDR_NONE)
            tell(n, t, &n->external[i]);
}

// What was told stays until there is something better.
void external_forget(struct node *n)
{
    for (uint32_t i = 0; i < ARRAY_LEN(n->external); i++) {
        n->votes[i] = (struct votes){.n = 0};
        n->external[i] = (struct addr){0};
        n->external_due[i] = false;
    }
}

bool external_poll(struct node *n, struct node_out *out, enum node_kind *kind)
{
    for (uint32_t i = 0; i < ARRAY_LEN(n->external); i++) {
        if (!n->external_due[i])
            continue;
        n->external_due[i] = false;
        out->event = (struct node_event){.kind = NODE_EVENT_EXTERNAL, .addr = n->external[i]};
        *kind = NODE_EVENT;
        return true;
    }
    n->externals_due = false;
    return false;
}
