// Torrents that leave while the node goes on: they say goodbye to peers and trackers, save, and are forgotten.
#include "engine/node/node_conn.h"
#include "engine/node/node_crypt.h"
#include "engine/node/node_int.h"
#include "engine/node/node_torrent.h"
#include "engine/swarm/metadata.h"

void conn_drop_shaking(struct node *n, const struct torrent *of)
{
    for (uint32_t i = 0; i < n->conns_high; i++) {
        struct conn *c = n->conns[i];
        if (c == NULL || c->state == CONN_PEER || c->state == CONN_TRACKER || c->state == CONN_DEAD)
            continue;
        if (of != NULL && c->torrent != of)
            continue;
        if (c->state == CONN_METADATA)
            metadata_peer_closed(c->torrent->metadata, n->now, c->metadata);
        c->metadata = NULL;
        conn_drop(n, c, true);
    }
}

enum err node_torrent_remove(struct node *n, nsec now, uint32_t torrent)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = torrent_get(n, torrent);
    if (t == NULL)
        return ERR_NOT_FOUND;
    if (t->removing || n->stopping)
        return ERR_AGAIN;
    t->removing = true;
    t->announcing = false;
    conn_drop_shaking(n, t);
    torrent_stop(n, t);
    return ERR_OK;
}

// What was asked for it and is not answered: nobody waits for the answer.
static void forget_requests(struct node *n, uint32_t torrent)
{
    for (uint32_t i = 0; i < n->requests_cap; i++) {
        struct pending gone;
        if (n->requests[i].id != 0 && n->requests[i].torrent == torrent)
            (void)request_end(n, n->requests[i].id, &gone);
    }
}

bool torrent_leave(struct node *n, struct torrent *t, struct node_out *out, enum node_kind *kind)
{
    if (!t->removing || !t->swarm_stopped || !t->announcer_stopped)
        return false;
    forget_requests(n, t->number);
    for (uint32_t i = 0; i < n->conns_high; i++) {
        struct conn *c = n->conns[i];
        if (c == NULL || c->torrent != t)
            continue;
        ASSERT(c->state == CONN_DEAD);
        c->torrent = NULL;
    }
    out->event = (struct node_event){.kind = NODE_EVENT_REMOVED, .torrent = t->number};
    *kind = NODE_EVENT;
    n->torrents[t->number - 1] = NULL;
    n->holes++;
    torrent_free(n, t);
    return true;
}
