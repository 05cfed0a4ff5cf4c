// Local discovery in the node: which torrents are to be found (never private ones), and what becomes of who is heard. BEP 14, 27, 52
// (both hashes of a hybrid).
#include "engine/find/lsd.h"
#include "engine/node/node_int.h"
#include "engine/node/node_lsd.h"
#include "engine/node/node_magnet.h"
#include "engine/node/node_torrent.h"

enum err node_lsd_new(struct node *n)
{
    n->lsd_at = NSEC_NEVER;
    const struct node_lsd_config *c = &n->cfg.lsd;
    if (!c->on || (!c->ipv4 && !c->ipv6))
        return ERR_OK;
    // Neighbours come to the port that we listen at, whatever the router calls it.
    const struct lsd_config cfg = {.ipv4 = c->ipv4, .ipv6 = c->ipv6, .port = n->cfg.listen_port};
    return lsd_new(&n->lsd, &cfg, n->env, n->now);
}

void node_lsd_tick(struct node *n)
{
    if (n->lsd == NULL || n->lsd_at > n->now)
        return;
    lsd_tick(n->lsd, n->now);
    n->lsd_touched = true;
}

static void show(struct node *n, bool open, const uint8_t hash[INFO_HASH_LEN], bool *is_told)
{
    if (open == *is_told)
        return;
    *is_told = open;
    if (open)
        lsd_add(n->lsd, n->now, hash);
    else
        lsd_remove(n->lsd, hash);
    n->lsd_touched = true;
}

void node_lsd_beat(struct node *n)
{
    for (uint32_t i = 0; i < n->torrents_n && n->lsd != NULL; i++) {
        struct torrent *t = n->torrents[i];
        if (t == NULL)
            continue;
        const bool open = torrent_is_open(t) && !n->stopping;
        show(n, open && t->in_v1, t->hash_v1, &t->lsd_v1);
        show(n, open && t->in_v2, t->hash_v2, &t->lsd_v2);
    }
}

void node_lsd_torrent_gone(struct node *n, struct torrent *t)
{
    if (n->lsd == NULL)
        return;
    show(n, false, t->hash_v1, &t->lsd_v1);
    show(n, false, t->hash_v2, &t->lsd_v2);
}

void node_lsd_network_changed(struct node *n)
{
    if (n->lsd == NULL)
        return;
    lsd_network_changed(n->lsd, n->now);
    n->lsd_touched = true;
}

void node_lsd_datagram(struct node *n, const struct addr *from, struct slice data)
{
    if (n->lsd == NULL || n->stopping)
        return;
    lsd_datagram(n->lsd, n->now, from, data);
    n->lsd_touched = true;
}

bool node_lsd_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    for (;;) {
        struct lsd_out o = {0};
        struct torrent *t;
        switch (lsd_poll(n->lsd, n->now, tx, &o)) {
        case LSD_OUT_IDLE:
            n->lsd_at = o.deadline;
            n->lsd_touched = false;
            return false;
        case LSD_OUT_PEER:
            t = torrent_by_hash(n, o.hash);
            if (t == NULL)
                break;
            torrent_known_add(n, t, &o.addr, false, false);
            torrent_touch(n, t);
            break;
        case LSD_OUT_SEND:
            out->port = NODE_PORT_LSD;
            out->addr = o.addr;
            out->bytes = o.bytes;
            *kind = NODE_DGRAM;
            return true;
        }
    }
}
