// A torrent of which only a magnet link is known: its peers belong to the metadata engine, and to the swarm afterwards.
// BEP 9; see swarm/metadata.h.
#include "engine/find/announcer.h"
#include "engine/node/node_conn.h"
#include "engine/node/node_crypt.h"
#include "engine/node/node_external.h"
#include "engine/node/node_int.h"
#include "engine/node/node_magnet.h"
#include "engine/node/node_stream.h"
#include "engine/node/node_torrent.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

// ---- the same with and without metadata

bool torrent_known_next(struct node *n, struct torrent *t, struct addr *out)
{
    return t->metadata != NULL ? metadata_known_next(t->metadata, n->now, out) : swarm_known_next(t->swarm, n->now, out);
}

void torrent_known_failed(struct node *n, struct torrent *t, const struct addr *a)
{
    if (t->metadata != NULL)
        known_failed(metadata_known(t->metadata), n->now, a);
    else
        swarm_known_failed(t->swarm, n->now, a);
}

void torrent_known_postponed(struct node *n, struct torrent *t, const struct addr *a)
{
    if (t->metadata != NULL)
        known_postponed(metadata_known(t->metadata), n->now, a);
    else
        swarm_known_postponed(t->swarm, n->now, a);
}

void torrent_known_retry(struct torrent *t)
{
    if (t->metadata != NULL)
        known_retry(metadata_known(t->metadata));
    else if (t->swarm != NULL)
        swarm_known_retry(t->swarm);
}

void torrent_known_connected(struct node *n, struct torrent *t, const struct addr *a)
{
    if (t->metadata == NULL) {
        swarm_known_connected(t->swarm, n->now, a);
        return;
    }
    struct known *k = known_find(metadata_known(t->metadata), a);
    if (k == NULL)
        return;
    k->state = KNOWN_CONNECTED;
    k->fails = 0;
}

void torrent_known_add(struct node *n, struct torrent *t, const struct addr *a, bool trusted, bool named)
{
    if (conn_is_blocked(n, a))
        return;
    if (t->metadata != NULL)
        metadata_known_add(t->metadata, a, trusted, named);
    else
        swarm_known_add(t->swarm, n->now, a, trusted);
}

enum err torrent_peer_add(struct node *n, struct conn *c, const struct swarm_peer_new *in)
{
    struct torrent *t = c->torrent;
    return t->metadata != NULL ? metadata_peer_add(t->metadata, n->now, in, &c->metadata) : swarm_peer_add(t->swarm, n->now, in, &c->peer);
}

// ---- life

// What stands in for the torrent as long as only its link is known.
static enum err stub_make(struct node *n, struct torrent *t, const struct magnet *link)
{
    struct metainfo *m = &t->stub;
    *m = (struct metainfo){.name = link->name, .has_v1 = link->has_v1, .has_v2 = link->has_v2, .mem = n->mem};
    memcpy(m->hash_v1, link->hash_v1, sizeof m->hash_v1);
    memcpy(m->hash_v2, link->hash_v2, sizeof m->hash_v2);
    if (link->trackers_n != 0) {
        m->trackers = mem_zarray(n->mem, link->trackers_n, sizeof *m->trackers);
        if (m->trackers == NULL)
            return ERR_NOMEM;
        m->trackers_cap = m->trackers_n = link->trackers_n;
        for (uint32_t i = 0; i < link->trackers_n; i++)
            m->trackers[i] = (struct metainfo_url){link->trackers[i], i};
    }
    t->meta = m;
    t->trackers = m->trackers;
    return ERR_OK;
}

static enum err engine_make(struct node *n, struct torrent *t)
{
    struct metadata_config cfg = {.has_v1 = t->stub.has_v1, .has_v2 = t->stub.has_v2, .peer_id = n->cfg.peer_id,
                                  .listen_port = n->cfg.listen_port};
    memcpy(cfg.hash_v1, t->stub.hash_v1, sizeof cfg.hash_v1);
    memcpy(cfg.hash_v2, t->stub.hash_v2, sizeof cfg.hash_v2);
    const enum err e = metadata_new(&t->metadata, &cfg, n->env, n->now);
    external_tell(n, t);
    return e;
}

enum err node_magnet_add(struct node *n, nsec now, const struct magnet *link, uint32_t *torrent)
{
    ASSERT(now >= n->now);
    ASSERT(link->has_v1 || link->has_v2);
    n->now = now;
    struct torrent *t = NULL;
    enum err e = torrent_new(n, &t);
    if (e != ERR_OK)
        return e;
    e = stub_make(n, t, link);
    if (e == ERR_OK)
        e = torrent_hashes_add(n, t);
    if (e == ERR_OK)
        e = engine_make(n, t);
    if (e == ERR_OK)
        e = torrent_announcer_make(n, t);
    if (e != ERR_OK) {
        torrent_free(n, t);
        return e;
    }
    for (uint32_t i = 0; i < link->peers_n; i++)
        metadata_known_add(t->metadata, &link->peers[i], true, true);
    const struct announcer_progress p = {.left = ANNOUNCE_LEFT_UNKNOWN};
    announcer_update(announcer_of(t), &p);
    announcer_start(announcer_of(t), now);
    torrent_place(n, t);
    *torrent = t->number;
    return ERR_OK;
}

enum err node_magnet_begin(struct node *n, nsec now, uint32_t torrent, const struct node_add *add)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = torrent_get(n, torrent);
    ASSERT(t != NULL);
    ASSERT(t->metadata != NULL);
    ASSERT(t->swarm == NULL);
    const enum err e = n->stopping || t->removing ? ERR_CANCELLED : torrent_swarm_make(n, t, add);
    if (e != ERR_OK)
        return e;
    t->meta = add->meta;
    t->root = add->root;
    t->reserve = add->reserve;
    const bool had_v1 = t->in_v1, had_v2 = t->in_v2;
    if (torrent_hashes_add(n, t) != ERR_OK) {   // a hybrid has another one that the link did not say
        log_line(n->env->log, LOG_WARNING, "torrent %u: its other hash is there already", t->number);
    } else if (t->in_v1 != had_v1 || t->in_v2 != had_v2) {
        if (announcer_hash(announcer_of(t), now, had_v1 ? t->hash_v2 : t->hash_v1) != ERR_OK)
            log_line(n->env->log, LOG_WARNING, "torrent %u: no memory to announce its other hash", t->number);
    }
    torrent_touch(n, t);
    return ERR_OK;
}

void magnet_beat(struct node *n, struct torrent *t)
{
    struct metadata_stats s;
    metadata_tick(t->metadata, n->now);
    metadata_stats(t->metadata, &s);
    torrent_touch(n, t);
    if (s.offering == 0 && t->swarm == NULL)
        announcer_want_peers(announcer_of(t), n->now);
}

void magnet_stats(const struct torrent *t, struct node_torrent_stats *out)
{
    struct metadata_stats s;
    metadata_stats(t->metadata, &s);
    *out = (struct node_torrent_stats){.state = TORRENT_METADATA, .peers = s.peers, .seeds = s.offering, .banned = s.banned,
                                       .hash_failures = s.failures, .known = metadata_known(t->metadata)->map.n,
                                       .metadata_size = s.size, .metadata_parts = s.parts_n, .metadata_here = s.parts_here};
}

// One connection changes hands. False: the swarm does not want it, it is closed.
static void take_over(struct node *n, struct torrent *t, struct conn *c)
{
    struct swarm_peer_new in;
    struct slice said;
    const struct known *k = known_find(metadata_known(t->metadata), &c->addr);
    const bool stranger = t->meta->is_private && (k == NULL || !k->named);
    bool stays = metadata_handover(t->metadata, c->metadata, &in, &said) && !stranger;
    if (stays && swarm_peer_add(t->swarm, n->now, &in, &c->peer) == ERR_OK)
        swarm_replay(t->swarm, n->now, c->peer, said);
    else
        stays = false;
    metadata_peer_closed(t->metadata, n->now, c->metadata);
    c->metadata = NULL;
    if (!stays) {
        c->known = false;
        conn_drop(n, c, true);
        return;
    }
    c->state = CONN_PEER;
    if (c->known)
        swarm_known_connected(t->swarm, n->now, &c->addr);
}

void magnet_handover(struct node *n, struct torrent *t)
{
    const struct known_set *known = metadata_known(t->metadata);
    for (struct map_node *m = map_first(&known->map); m != NULL; m = map_next(&known->map, m)) {
        const struct known *k = CONTAINER(m, struct known, node);
        if (!t->meta->is_private || k->named)
            swarm_known_adopt(t->swarm, n->now, k);
    }
    for (uint32_t i = 0; i < n->conns_high; i++)
        if (n->conns[i] != NULL && n->conns[i]->state == CONN_METADATA && n->conns[i]->torrent == t)
            take_over(n, t, n->conns[i]);
    metadata_free(t->metadata);
    t->metadata = NULL;
    torrent_touch(n, t);
}

// ---- outputs

static bool carry(struct node *n, struct torrent *t, enum metadata_kind what, const struct metadata_out *mo, struct node_out *out,
                  enum node_kind *kind)
{
    struct conn *c;
    switch (what) {
    case METADATA_IDLE: return false;
    case METADATA_SEND:
        c = conn_get(n, mo->conn);
        ASSERT(c != NULL);
        c->own_out += mo->bytes.n;      // the swarm need not know of it
        n->seg = (struct io_seg){.kind = SEG_BYTES, .bytes = mo->bytes};
        if (crypt_is_rc4(c)) {
            if (!crypt_send(n, c, &n->seg, 1))
                stream_fail(n, c);
            return false;
        }
        if (stream_send(n, c, &n->seg, 1))
            return false;
        out->conn = mo->conn;
        out->segs = &n->seg;
        out->segs_n = 1;
        *kind = NODE_SEND;
        return true;
    case METADATA_CLOSE:
        c = conn_get(n, mo->conn);
        ASSERT(c != NULL);
        c->metadata = NULL;
        c->known = false;
        conn_drop(n, c, true);
        return conn_poll(n, NULL, out, kind);
    case METADATA_DONE:
        out->event = (struct node_event){.kind = NODE_EVENT_METADATA, .torrent = t->number, .text = mo->bytes};
        *kind = NODE_EVENT;
        return true;
    case METADATA_BANNED:
        out->event = (struct node_event){.kind = NODE_EVENT_BANNED, .torrent = t->number, .addr = mo->addr};
        *kind = NODE_EVENT;
        return true;
    }
    return false;
}

bool magnet_poll(struct node *n, struct torrent *t, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    struct metadata_out mo = {0};
    for (;;) {
        const size_t at = tx->n;
        const enum metadata_kind what = metadata_poll(t->metadata, n->now, tx, &mo);
        if (what == METADATA_IDLE)
            break;
        if (carry(n, t, what, &mo, out, kind))
            return true;
        tx->n = at;                     // it stayed in the node
    }
    return false;                       // its beat is the node's
}
