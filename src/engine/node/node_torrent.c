// A torrent in the node: its swarm and its announcer, and what they ask carried to the host or to each other.
#include "engine/find/announcer.h"
#include "engine/node/node_conn.h"
#include "engine/node/node_crypt.h"
#include "engine/node/node_dht.h"
#include "engine/node/node_external.h"
#include "engine/node/node_int.h"
#include "engine/node/node_lsd.h"
#include "engine/node/node_magnet.h"
#include "engine/node/node_stream.h"
#include "engine/node/node_torrent.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

#include "codec/url.h"

enum {
    WANT_PEERS_BELOW = 20,              // fewer known addresses: the trackers are asked again when they allow it
    TORRENT_HOLES_MAX = 32,             // numbers of removed torrents that rest
};

struct torrent *torrent_get(const struct node *n, uint32_t number)
{
    return number == 0 || number > n->torrents_n ? NULL : n->torrents[number - 1];
}

struct torrent *torrent_by_hash(const struct node *n, const uint8_t hash[INFO_HASH_LEN])
{
    struct map_node *m = map_get(&n->hashes, slice_of(hash, INFO_HASH_LEN));
    if (m == NULL)
        return NULL;
    // Two links in one struct: the key tells which one this is.
    struct torrent *t = CONTAINER(m, struct torrent, by_v1);
    if (m->key.p == CONTAINER(m, struct torrent, by_v2)->hash_v2)
        t = CONTAINER(m, struct torrent, by_v2);
    return t->removing ? NULL : t;
}

void torrent_touch(struct node *n, struct torrent *t)
{
    if (list_empty(&t->touched))
        list_push_back(&n->touched, &t->touched);
}

void torrent_stirred(struct node *n, struct torrent *t)
{
    if (swarm_stir(t->swarm) != SWARM_CALM)
        torrent_touch(n, t);
}

static enum err skey_add(struct node *n, struct skey *k, const uint8_t hash[INFO_HASH_LEN])
{
    mse_skey_hash(hash, k->key);
    const enum err e = map_put(&n->skeys, &k->node, slice_of(k->key, sizeof k->key));
    k->hash = e == ERR_OK ? hash : NULL;
    return e;
}

static enum err hash_add(struct node *n, struct map_node *by, struct skey *k, const uint8_t hash[INFO_HASH_LEN], bool *in)
{
    const enum err e = map_put(&n->hashes, by, slice_of(hash, INFO_HASH_LEN));
    if (e != ERR_OK)
        return e;
    *in = true;
    return skey_add(n, k, hash) == ERR_OK ? ERR_OK : ERR_NOMEM;
}

enum err torrent_hashes_add(struct node *n, struct torrent *t)
{
    const struct metainfo *m = t->meta;
    if (!t->in_v1)
        memcpy(t->hash_v1, m->hash_v1, INFO_HASH_LEN);
    if (!t->in_v2)
        memcpy(t->hash_v2, m->hash_v2, INFO_HASH_LEN);  // BEP 52: truncated to 20 bytes
    if (m->has_v1 && !t->in_v1) {
        const enum err e = hash_add(n, &t->by_v1, &t->skey_v1, t->hash_v1, &t->in_v1);
        if (e != ERR_OK)
            return e;
    }
    if (m->has_v2 && !t->in_v2)
        return hash_add(n, &t->by_v2, &t->skey_v2, t->hash_v2, &t->in_v2);
    return ERR_OK;
}

enum err torrent_announcer_make(struct node *n, struct torrent *t)
{
    struct announcer_tracker trackers[ANNOUNCER_TRACKERS_MAX];
    struct announcer_config cfg = {.port = n->port_told, .is_private = t->meta->is_private, .trackers = trackers};
    struct rng r = rng_make(n->env->seed, 0x6b6579);
    cfg.key = (uint32_t)rng_u64(&r);
    memcpy(cfg.peer_id, n->cfg.peer_id, sizeof cfg.peer_id);
    if (t->meta->has_v1)
        memcpy(cfg.info_hash[cfg.n_hashes++], t->hash_v1, INFO_HASH_LEN);
    if (t->meta->has_v2)
        memcpy(cfg.info_hash[cfg.n_hashes++], t->hash_v2, INFO_HASH_LEN);
    if (cfg.n_hashes == 0)              // a file by its URLs: it has no trackers, nothing is announced
        memcpy(cfg.info_hash[cfg.n_hashes++], t->hash_v2, INFO_HASH_LEN);
    cfg.n_trackers = u32_min(t->meta->trackers_n, ANNOUNCER_TRACKERS_MAX);
    for (uint32_t i = 0; i < cfg.n_trackers; i++)
        trackers[i] = (struct announcer_tracker){t->meta->trackers[i].url, t->meta->trackers[i].tier};
    t->port_told = n->port_told;
    const enum err e = announcer_new(&t->announcer, &cfg, n->env, n->now);
    external_tell(n, t);
    return e;
}

static_assert((int)NODE_CHOKE_BLIND == (int)SWARM_CHOKE_BLIND, "the same list twice");

enum err torrent_swarm_make(struct node *n, struct torrent *t, const struct node_add *add)
{
    const struct swarm_config cfg = {
        .meta = add->meta, .store = t->number, .pool = &n->pool, .up = &n->up, .down = &n->down, .up_bps = add->up_bps, .down_bps = add->down_bps,
        .peer_id = n->cfg.peer_id,
        .listen_port = n->port_told, .utp = n->utp != NULL, .dht = n->dht.dht != NULL && !add->meta->is_private,
        .slots = n->cfg.slots_max, .peers_max = u32_min(SWARM_PEERS_MAX, n->cfg.peers_max),
        .choke = (enum swarm_choke)n->cfg.choke, .no_optimistic = n->cfg.no_optimistic,
        .no_allowed_fast = n->cfg.no_allowed_fast,
        .sequential = add->sequential, .strict_order = add->strict_order, .random_order = add->random_order, .trust = add->trust, .check = add->check,
        .check_only = add->check_only, .keep = add->keep, .super_seed = add->super_seed, .priorities = add->priorities, .resume = add->resume,
    };
    struct buf b = {(uint8_t *)t->parts_path, 0, sizeof t->parts_path - 1};
    struct wr w = wr_make(&b);
    wr_str(&w, ".");
    wr_hex(&w, slice_of(add->meta->has_v1 ? add->meta->hash_v1 : add->meta->hash_v2, INFO_HASH_LEN));
    wr_str(&w, ".parts");
    t->parts_path[b.n] = 0;
    t->up_bps = add->up_bps;
    t->down_bps = add->down_bps;
    const enum err e = swarm_new(&t->swarm, &cfg, n->env, n->now);
    external_tell(n, t);
    return e;
}

void torrent_free(struct node *n, struct torrent *t)
{
    if (t->in_v1)
        map_remove(&n->hashes, &t->by_v1);
    if (t->in_v2)
        map_remove(&n->hashes, &t->by_v2);
    node_dht_torrent_gone(n, t);
    node_lsd_torrent_gone(n, t);
    if (t->skey_v1.hash != NULL)
        map_remove(&n->skeys, &t->skey_v1.node);
    if (t->skey_v2.hash != NULL)
        map_remove(&n->skeys, &t->skey_v2.node);
    swarm_free(t->swarm);
    metadata_free(t->metadata);
    announcer_free(t->announcer);
    heap_remove(&n->timers, &t->swarm_timer);
    heap_remove(&n->timers, &t->announcer_timer);
    list_remove(&t->touched);
    metainfo_free(&t->stub);
    mem_free(n->mem, t, sizeof *t);
}

// Numbers of removed torrents come again late: what a host still does with files of the old one must not meet the new one.
static uint32_t free_place(struct node *n)
{
    if (n->holes < TORRENT_HOLES_MAX && n->torrents_n < NODE_TORRENTS_MAX)
        return n->torrents_n;
    for (uint32_t k = 0; k < n->torrents_n; k++) {
        const uint32_t i = (n->place_turn + k) % n->torrents_n;
        if (n->torrents[i] != NULL)
            continue;
        n->place_turn = i + 1;
        return i;
    }
    return NODE_TORRENTS_MAX;
}

enum err torrent_new(struct node *n, struct torrent **out)
{
    const uint32_t i = free_place(n);
    if (i == NODE_TORRENTS_MAX || n->stopping)
        return ERR_FULL;
    void *items = n->torrents;
    if (mem_grow(n->mem, &items, &n->torrents_cap, i + 1, NODE_TORRENTS_MAX, sizeof(struct torrent *)) != ERR_OK)
        return ERR_NOMEM;
    n->torrents = items;
    struct torrent *t = mem_zalloc(n->mem, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    t->number = i + 1;
    t->swarm_timer.id = 2 * (uint64_t)t->number;
    t->announcer_timer.id = t->swarm_timer.id + 1;
    list_init(&t->touched);
    *out = t;
    return ERR_OK;
}

void torrent_place(struct node *n, struct torrent *t)
{
    n->holes -= t->number <= n->torrents_n;
    n->torrents[t->number - 1] = t;
    n->torrents_n = u32_max(n->torrents_n, t->number);
    torrent_touch(n, t);
}

enum err node_torrent_add(struct node *n, nsec now, const struct node_add *add, uint32_t *torrent)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = NULL;
    enum err e = torrent_new(n, &t);
    if (e != ERR_OK)
        return e;
    t->meta = add->meta;
    t->trackers = add->meta->trackers;
    t->root = add->root;
    t->reserve = add->reserve;
    e = torrent_hashes_add(n, t);
    if (e == ERR_OK)
        e = torrent_announcer_make(n, t);
    if (e == ERR_OK)
        e = torrent_swarm_make(n, t, add);              // last: it has jobs to do at once, and cannot be freed before they are done
    if (e != ERR_OK) {
        torrent_free(n, t);
        return e;
    }
    torrent_place(n, t);
    *torrent = t->number;
    return ERR_OK;
}

enum err node_torrent_priorities(struct node *n, nsec now, uint32_t torrent, const uint8_t *priorities)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = torrent_get(n, torrent);
    if (t == NULL)
        return ERR_NOT_FOUND;
    if (t->swarm == NULL)
        return ERR_AGAIN;
    torrent_touch(n, t);
    return swarm_set_priorities(t->swarm, now, priorities);
}

enum err node_torrent_limits(struct node *n, nsec now, uint32_t torrent, uint64_t up_bps, uint64_t down_bps)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = torrent_get(n, torrent);
    if (t == NULL)
        return ERR_NOT_FOUND;
    if (t->swarm == NULL)
        return ERR_AGAIN;
    swarm_limits(t->swarm, now, up_bps, down_bps);
    t->up_bps = up_bps;
    t->down_bps = down_bps;
    torrent_touch(n, t);
    return ERR_OK;
}

void node_limits(struct node *n, nsec now, uint64_t up_bps, uint64_t down_bps)
{
    ASSERT(now >= n->now);
    n->now = now;
    limit_set(&n->up, now, up_bps);
    limit_set(&n->down, now, down_bps);
    for (uint32_t i = 0; i < n->torrents_n; i++) {
        struct torrent *t = n->torrents[i];
        if (t == NULL || t->swarm == NULL)
            continue;
        swarm_limits(t->swarm, now, t->up_bps, t->down_bps);
        torrent_touch(n, t);
    }
}

enum err node_peer_add(struct node *n, nsec now, uint32_t torrent, const struct addr *peer)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = torrent_get(n, torrent);
    if (t == NULL || t->removing)
        return ERR_NOT_FOUND;
    torrent_known_add(n, t, peer, true, true);
    torrent_touch(n, t);
    return ERR_OK;
}

static void progress(struct torrent *t, const struct swarm_stats *s)
{
    const struct announcer_progress p = {.uploaded = s->up_bytes, .downloaded = s->down_bytes, .left = s->left_bytes,
                                         .partial_seed = s->left_bytes == 0 && s->pieces_have < t->meta->pieces_n};
    announcer_update(announcer_of(t), &p);
}

void torrent_port(struct node *n, struct torrent *t)
{
    if (t->swarm != NULL)
        swarm_listen_port(t->swarm, n->port_told);
    // Trackers are told at once, even if they asked not to be: the old number leads nowhere.
    if (announcer_port(announcer_of(t), n->now, n->port_told))
        t->port_told = n->port_told;
    torrent_touch(n, t);
}

void node_network_changed(struct node *n, nsec now)
{
    ASSERT(now >= n->now);
    n->now = now;
    external_forget(n);
    node_dht_network_changed(n);
    node_lsd_network_changed(n);
    for (uint32_t i = 0; i < n->torrents_n && !n->stopping; i++)
        if (n->torrents[i] != NULL)
            torrent_known_retry(n->torrents[i]);
    torrents_tell_again(n);
}

void torrents_tell_again(struct node *n)
{
    for (uint32_t i = 0; i < n->torrents_n && !n->stopping; i++) {
        struct torrent *t = n->torrents[i];
        if (t == NULL)
            continue;
        t->port_told = 0;               // announced again, from where we are now
        torrent_port(n, t);
    }
}

// Its timers may not have been set: all that time does is done now, and they are set again.
static void torrent_make_up(struct node *n, struct torrent *t)
{
    t->untimed = false;
    if (t->swarm != NULL)
        swarm_tick(t->swarm, n->now);
    announcer_tick(announcer_of(t), n->now);
    torrent_touch(n, t);
}

void torrent_beat(struct node *n, struct torrent *t)
{
    if (t->untimed)
        torrent_make_up(n, t);
    if (t->port_told != n->port_told)
        torrent_port(n, t);             // an announce was under way
    struct swarm_stats s;
    if (t->metadata != NULL)
        magnet_beat(n, t);
    if (t->swarm == NULL)
        return;
    swarm_stats(t->swarm, &s);
    progress(t, &s);
    n->up.used_bps += s.up_bps;
    n->down.used_bps += s.down_bps;
    if (s.state == SWARM_DOWNLOADING && s.known < WANT_PEERS_BELOW && t->announcing)
        announcer_want_peers(announcer_of(t), n->now);
}

void torrent_stop(struct node *n, struct torrent *t)
{
    if (t->swarm == NULL) {
        t->swarm_stopped = true;
    } else {
        struct swarm_stats s;
        swarm_stats(t->swarm, &s);
        const struct announcer_progress p = {.uploaded = s.up_bytes, .downloaded = s.down_bytes, .left = s.left_bytes};
        announcer_update(announcer_of(t), &p);
        swarm_stop(t->swarm, n->now);
    }
    announcer_stop(announcer_of(t), n->now);
    torrent_touch(n, t);
}

static struct slice file_path(const struct torrent *t, uint32_t file)
{
    return file < t->meta->files_n ? t->meta->files[file].path : slice_str(t->parts_path);
}

// False: it is nothing to the front ends.
static bool swarm_event(struct node *n, struct torrent *t, const struct swarm_out *so, struct node_out *out)
{
    struct swarm_stats s;
    out->event = (struct node_event){.torrent = t->number, .file = so->file, .err = so->err, .addr = so->addr};
    swarm_stats(t->swarm, &s);
    progress(t, &s);
    switch (so->event) {
    case SWARM_EVENT_CHECKED:
        out->event.kind = NODE_EVENT_CHECKED;
        t->announcing = true;
        announcer_start(announcer_of(t), n->now);
        node_dht_work(n);
        if (t->metadata != NULL)
            magnet_handover(n, t);
        break;
    case SWARM_EVENT_COMPLETE:
        if (s.down_bytes != 0)
            announcer_completed(announcer_of(t), n->now);
        return false;
    case SWARM_EVENT_LAYERS: out->event.kind = NODE_EVENT_LAYERS; break;
    case SWARM_EVENT_DONE: out->event.kind = NODE_EVENT_DONE; break;
    case SWARM_EVENT_FILE_DONE: out->event.kind = NODE_EVENT_FILE_DONE; break;
    case SWARM_EVENT_ERROR:
        out->event.kind = NODE_EVENT_ERROR;
        out->event.text = file_path(t, so->file);
        break;
    case SWARM_EVENT_RECOVERED: out->event.kind = NODE_EVENT_RECOVERED; break;
    case SWARM_EVENT_GONE:
        out->event.kind = NODE_EVENT_GONE;
        out->event.text = file_path(t, so->file);
        break;
    case SWARM_EVENT_DHT_NODE: node_dht_peer(n, &so->addr); return false;
    case SWARM_EVENT_PUNCH: conn_punch(n, t, &so->addr); return false;
    case SWARM_EVENT_SEEN_AS: external_vote(n, votes_source(&so->addr), &so->seen); return false;
    case SWARM_EVENT_BANNED: out->event.kind = NODE_EVENT_BANNED; break;
    case SWARM_EVENT_WEB_SEED:
        out->event.kind = NODE_EVENT_WEB_SEED;
        out->event.text = so->bytes;
        break;
    case SWARM_EVENT_STOPPED: t->swarm_stopped = true; return false;   // the node's last word is said once for all torrents
    }
    return true;
}

static struct slice resume_key(struct node *n, const struct torrent *t)
{
    struct buf b = {(uint8_t *)n->text, 0, sizeof n->text};
    struct wr w = wr_make(&b);
    node_resume_key(&w, t->meta, t->root);
    return buf_slice(&b);
}

void node_resume_key(struct wr *w, const struct metainfo *meta, struct slice root)
{
    wr_str(w, "resume/");
    wr_hex(w, meta->has_v1 ? slice_of(meta->hash_v1, SHA1_LEN) : slice_of(meta->hash_v2, SHA256_LEN));
    wr_str(w, "/");
    // A very long path is told apart by its digest.
    uint8_t digest[SHA1_LEN];
    sha1_of(root, digest);
    if (root.n > 300)
        wr_hex(w, slice_of(digest, sizeof digest));
    else
        wr_bytes(w, root);
}

// The swarm names its fetches by small numbers of its own; `global` finds the host's.
static uint32_t stream_id(const struct node *n, const struct torrent *t, uint32_t local)
{
    for (uint32_t i = 0; i < NODE_PENDING_MAX; i++) {
        const struct pending *p = &n->requests[i];
        if (p->id != 0 && p->stream && p->torrent == t->number && p->local == local)
            return p->id;
    }
    return 0;
}

static bool fetch_carry(struct node *n, struct torrent *t, enum swarm_kind what, const struct swarm_out *so, struct node_out *out,
                        enum node_kind *kind)
{
    struct pending gone;
    if (what == SWARM_FETCH) {
        out->id = request_add(n, t->number, so->id);
        if (out->id == 0) {
            swarm_fetched(t->swarm, n->now, so->id, ERR_FULL, 0);
            return false;
        }
        n->requests[out->id % NODE_PENDING_MAX].stream = true;
        out->bytes = so->bytes;
        out->fetch = so->fetch;
        *kind = NODE_STREAM;
        return true;
    }
    out->id = stream_id(n, t, so->id);
    if (out->id == 0)
        return false;
    *kind = what == SWARM_FETCH_RESUME ? NODE_STREAM_RESUME : NODE_STREAM_CANCEL;
    if (what == SWARM_FETCH_CANCEL)
        (void)request_end(n, out->id, &gone);
    return true;
}

static bool swarm_carry(struct node *n, struct torrent *t, enum swarm_kind what, struct swarm_out *so, struct node_out *out, enum node_kind *kind)
{
    struct conn *c;
    switch (what) {
    case SWARM_IDLE: return false;
    case SWARM_SEND:
        c = conn_get(n, so->conn);
        if (c != NULL && crypt_is_rc4(c)) {
            if (!crypt_send(n, c, so->segs, so->segs_n))
                stream_fail(n, c);
            return false;
        }
        if (c != NULL && stream_send(n, c, so->segs, so->segs_n))
            return false;
        out->conn = so->conn;
        out->segs = so->segs;
        out->segs_n = so->segs_n;
        *kind = NODE_SEND;
        return true;
    case SWARM_CLOSE:
        c = conn_get(n, so->conn);
        ASSERT(c != NULL);
        c->peer = NULL;
        c->known = false;
        conn_drop(n, c, true);
        return conn_poll(n, NULL, out, kind);
    case SWARM_RESUME:
        c = conn_get(n, so->conn);
        if (c != NULL && c->crypt != NULL)
            (void)crypt_feed(n, c);     // no socket will tell of what is here already
        if (c != NULL && stream_resume(n, c))
            return false;
        out->conn = so->conn;
        *kind = NODE_RESUME;
        return true;
    case SWARM_JOB:
        out->job = so->job;
        out->job.id = t->number << JOB_BITS | so->job.id;
        *kind = NODE_JOB;
        return true;
    case SWARM_FETCH:
    case SWARM_FETCH_RESUME:
    case SWARM_FETCH_CANCEL: return fetch_carry(n, t, what, so, out, kind);
    case SWARM_SAVE:
        out->id = t->number;
        out->key = resume_key(n, t);
        out->bytes = so->bytes;
        *kind = NODE_SAVE;
        return true;
    case SWARM_EVENT:
        *kind = NODE_EVENT;
        return swarm_event(n, t, so, out);
    }
    return false;
}

static struct slice tracker_text(struct node *n, const struct torrent *t, const struct announcer_out *ao)
{
    struct buf b = {(uint8_t *)n->text, 0, sizeof n->text};
    struct wr w = wr_make(&b);
    wr_bytes(&w, slice_sub(t->trackers[ao->tracker].url, 0, 200));
    wr_str(&w, ": ");
    if (ao->text.n != 0)
        wr_bytes(&w, ao->text);
    else
        wr_str(&w, err_text(ao->err));
    return buf_slice(&b);
}

static void tracker_event(struct node *n, struct torrent *t, const struct announcer_out *ao, struct node_out *out)
{
    out->event = (struct node_event){.kind = NODE_EVENT_TRACKER, .torrent = t->number, .err = ao->err, .text = tracker_text(n, t, ao)};
}

// Whom a tracker speaks for when it says how it sees us.
static uint32_t tracker_source(const struct torrent *t, uint32_t tracker)
{
    struct url u;
    struct addr a;
    if (url_parse(t->trackers[tracker].url, &u) != ERR_OK || addr_parse(u.host, 0, &a) != ERR_OK)
        return VOTES_TRACKERS;
    return votes_source(&a);
}

static bool announcer_carry(struct node *n, struct torrent *t, enum announcer_kind what, const struct announcer_out *ao, struct node_out *out,
                            enum node_kind *kind)
{
    switch (what) {
    case ANNOUNCER_FETCH:
    case ANNOUNCER_RESOLVE:
        out->id = request_add(n, t->number, ao->id);
        out->bytes = ao->bytes;
        out->family = ao->family;
        *kind = what == ANNOUNCER_FETCH ? NODE_FETCH : NODE_RESOLVE;
        return out->id != 0;            // else the announcer's own time-out ends it
    case ANNOUNCER_SEND:
        out->port = NODE_PORT_PEER;
        out->addr = ao->addr;
        out->bytes = ao->bytes;
        *kind = NODE_DGRAM;
        return true;
    case ANNOUNCER_PEERS:
        for (uint32_t i = 0; i < ao->n_peers; i++)
            torrent_known_add(n, t, &ao->peers[i], false, true);
        return false;
    case ANNOUNCER_WARNING:
    case ANNOUNCER_ERROR:
        tracker_event(n, t, ao, out);
        *kind = NODE_EVENT;
        return true;
    case ANNOUNCER_STOPPED: t->announcer_stopped = true; return false;
    case ANNOUNCER_IDLE:
    case ANNOUNCER_COUNTS:
    case ANNOUNCER_OK: return false;
    case ANNOUNCER_EXTERNAL: external_vote(n, tracker_source(t, ao->tracker), &ao->addr); return false;
    }
    return false;
}

static void timer_set(struct node *n, struct torrent *t, struct heap_node *timer, nsec at)
{
    if (heap_set(&n->timers, timer, at) != ERR_OK)
        t->untimed = true;              // no memory for a timer: the beat stands in
}

// One output of a torrent; false: it has nothing more to say and its timers are set.
bool torrent_poll(struct node *n, struct torrent *t, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    if (t->metadata != NULL && magnet_poll(n, t, tx, out, kind))
        return true;
    while (t->swarm != NULL) {
        struct swarm_out so = {0};
        const size_t at = tx->n;
        const enum swarm_kind what = swarm_poll(t->swarm, n->now, tx, &so);
        if (what == SWARM_IDLE) {
            timer_set(n, t, &t->swarm_timer, so.deadline);
            break;
        }
        if (swarm_carry(n, t, what, &so, out, kind))
            return true;
        tx->n = at;                     // it stayed in the node
    }
    while (!t->announcer_quiet) {
        struct announcer_out ao = {0};
        const enum announcer_kind what = announcer_poll(t->announcer, n->now, tx, &ao);
        if (what == ANNOUNCER_IDLE) {
            timer_set(n, t, &t->announcer_timer, ao.deadline);
            t->announcer_quiet = true;
            break;
        }
        if (announcer_carry(n, t, what, &ao, out, kind))
            return true;
    }
    return false;
}

uint32_t request_add(struct node *n, uint32_t torrent, uint32_t local)
{
    uint32_t i = 0;
    while (i < n->requests_cap && n->requests[i].id != 0)
        i++;
    void *items = n->requests;
    if (mem_grow(n->mem, &items, &n->requests_cap, i + 1, NODE_PENDING_MAX, sizeof *n->requests) != ERR_OK)
        return 0;
    n->requests = items;
    n->requests_n++;
    n->request_serial = n->request_serial % (UINT32_MAX / NODE_PENDING_MAX - 1) + 1;
    n->requests[i] = (struct pending){.torrent = torrent, .local = local, .id = n->request_serial * NODE_PENDING_MAX + i};
    return n->requests[i].id;
}

bool request_end(struct node *n, uint32_t id, struct pending *out)
{
    const uint32_t i = id % NODE_PENDING_MAX;
    struct pending *p = i < n->requests_cap ? &n->requests[i] : NULL;
    if (id == 0 || p == NULL || p->id != id)
        return false;
    *out = *p;
    *p = (struct pending){0};
    n->requests_n--;
    return true;
}

struct pending *request_stream(struct node *n, uint32_t id)
{
    struct pending *p = &n->requests[id % NODE_PENDING_MAX];
    return id != 0 && p->id == id && p->stream ? p : NULL;
}

bool node_stream_wanted(struct node *n, uint32_t id) { return request_stream(n, id) != NULL; }

static enum torrent_state state_of(enum swarm_state s)
{
    switch (s) {
    case SWARM_CHECKING: return TORRENT_CHECKING;
    case SWARM_DOWNLOADING: return TORRENT_DOWNLOADING;
    case SWARM_SEEDING: return TORRENT_SEEDING;
    case SWARM_ERROR: return TORRENT_ERROR;
    case SWARM_STOPPING:
    case SWARM_STOPPED: return TORRENT_PAUSED;
    }
    return TORRENT_PAUSED;
}

void node_torrent_stats(const struct node *n, uint32_t torrent, struct node_torrent_stats *out)
{
    const struct torrent *t = torrent_get(n, torrent);
    ASSERT(t != NULL);
    struct swarm_stats s;
    if (t->swarm == NULL) {
        magnet_stats(t, out);
        return;
    }
    swarm_stats(t->swarm, &s);
    *out = (struct node_torrent_stats){
        .state = state_of(s.state), .error = s.error, .done = s.done, .stuck = s.stuck, .broken = s.broken, .differ = s.differ,
        .wanted_bytes = s.wanted_bytes, .done_bytes = s.done_bytes,
        .down_bytes = s.down_bytes, .up_bytes = s.up_bytes, .down_seed_bytes = s.down_seed_bytes, .waste_bytes = s.waste_bytes,
        .down_total = s.down_total, .up_total = s.up_total,
        .rx_bytes = s.rx_bytes, .down_bps = s.down_bps, .up_bps = s.up_bps, .pieces_n = t->meta->pieces_n, .pieces_have = s.pieces_have,
        .pieces_checked = s.pieces_checked, .peers = s.peers, .seeds = s.seeds, .unchoked_by = s.unchoked_by,
        .unchoking = s.unchoking, .known = s.known, .hash_failures = s.hash_failures, .banned = s.banned,
        .web_bytes = s.web_bytes, .web_seeds = s.web_seeds, .web_conns = s.web_conns,
    };
    // Its own clock stands while it has nothing to do.
    out->seeded = s.seeded + (s.seeding ? n->now - swarm_now(t->swarm) : 0);
    if (s.error != ERR_OK) {
        const struct slice path = file_path(t, s.error_file);
        memcpy(out->error_path, path.p, size_min(path.n, sizeof out->error_path - 1));
    }
}

struct slice node_torrent_have(const struct node *n, uint32_t torrent)
{
    const struct torrent *t = torrent_get(n, torrent);
    ASSERT(t != NULL);
    return t->swarm == NULL ? (struct slice){0} : swarm_have(t->swarm);
}

const uint8_t *node_torrent_layer(const struct node *n, uint32_t torrent, uint32_t file)
{
    const struct torrent *t = torrent_get(n, torrent);
    ASSERT(t != NULL);
    ASSERT(file < t->meta->files_n);
    return t->swarm == NULL ? NULL : swarm_layer(t->swarm, file);
}

uint32_t node_store_files(const struct node *n, uint32_t store)
{
    const struct torrent *t = torrent_get(n, store);
    ASSERT(t != NULL);
    return t->meta->files_n + (swarm_has_parts(t->meta) ? 1 : 0);
}

void node_store_file(const struct node *n, uint32_t store, uint32_t file, struct io_file *out)
{
    const struct torrent *t = torrent_get(n, store);
    ASSERT(t != NULL);
    ASSERT(file < node_store_files(n, store));
    if (file == t->meta->files_n) {
        *out = (struct io_file){.root = t->root, .path = slice_str(t->parts_path), .unwanted = true};
        return;
    }
    const struct metainfo_file *f = &t->meta->files[file];
    const bool unwanted = t->swarm != NULL && !swarm_file_wanted(t->swarm, file);
    *out = (struct io_file){.root = t->root, .path = f->path, .target = f->target, .len = f->len,
                            .executable = (f->flags & FILE_EXECUTABLE) != 0, .skip = (f->flags & FILE_PAD) != 0,
                            .unwanted = unwanted, .reserve = t->reserve && !unwanted};
}
