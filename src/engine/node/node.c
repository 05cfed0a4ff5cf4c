// The composition: torrents, connections, the tracker, and one poll over all of them. See node.h.
#include "engine/find/announcer.h"
#include "engine/find/lsd.h"
#include "engine/find/tracker.h"
#include "engine/node/node_conn.h"
#include "engine/node/node_crypt.h"
#include "engine/node/node_dht.h"
#include "engine/node/node_external.h"
#include "engine/node/node_int.h"
#include "engine/node/node_load.h"
#include "engine/node/node_lsd.h"
#include "engine/node/node_map.h"
#include "engine/node/node_stream.h"
#include "engine/node/node_torrent.h"
#include "engine/reach/utp.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

enum err node_new(struct node **out, const struct node_config *cfg, const struct env *env, nsec now)
{
    struct node *n = mem_zalloc(env->mem, sizeof *n);
    if (n == NULL)
        return ERR_NOMEM;
    n->cfg = *cfg;
    n->env = env;
    n->mem = env->mem;
    n->now = now;
    n->beat_at = now + NSEC_S;
    n->tracker_at = NSEC_NEVER;
    n->connects_left = NODE_CONNECTS_PER_BEAT;
    if (n->cfg.peers_max == 0 || n->cfg.peers_max > NODE_PEERS_MAX)
        n->cfg.peers_max = NODE_PEERS_MAX;
    list_init(&n->touched);
    list_init(&n->pending);
    list_init(&n->hellos);
    list_init(&n->closes);
    limit_init(&n->up, now, cfg->up_bps);
    limit_init(&n->down, now, cfg->down_bps);
    map_start(n);
    list_init(&n->exchanges);
    list_init(&n->crypt_ready);
    loads_init(&n->loads, env);
    rate_init(&n->exchange_rate, NODE_EXCHANGES_PER_S);
    n->crypt_rng = rng_make(env->seed, 0x6d7365);
    n->plain_key[0] = rng_u64(&n->crypt_rng);
    n->plain_key[1] = rng_u64(&n->crypt_rng);
    map_init(&n->skeys, n->mem, 2 * NODE_TORRENTS_MAX, env->seed);
    map_init(&n->hashes, n->mem, 2 * NODE_TORRENTS_MAX, env->seed);
    heap_init(&n->timers, n->mem, 2 * NODE_TORRENTS_MAX);
    enum err e = pool_init(&n->pool, env, cfg->pool_bytes == 0 ? NODE_POOL_DEFAULT : u64_max(cfg->pool_bytes, POOL_SLAB_LEN));
    if (e == ERR_OK && cfg->tracker) {
        struct rng r = rng_make(env->seed, 0x747261636b);
        const struct tracker_config tc = {.secret = {rng_u64(&r), rng_u64(&r)}, .interval_s = cfg->tracker_interval_s,
                                          .whitelist = cfg->tracker_whitelist, .metrics = cfg->tracker_metrics};
        e = tracker_new(&n->tracker, &tc, env, now);
        n->tracker_touched = true;
    }
    if (e == ERR_OK)
        e = stream_start(n);
    if (e == ERR_OK)
        e = node_dht_new(n);
    if (e == ERR_OK)
        e = node_lsd_new(n);
    if (e != ERR_OK) {
        node_free(n);
        return e;
    }
    *out = n;
    return ERR_OK;
}

void node_free(struct node *n)
{
    if (n == NULL)
        return;
    for (uint32_t i = 0; i < n->conns_high; i++) {
        if (n->conns[i] != NULL)
            crypt_free(n, n->conns[i]);
        if (n->conns[i] != NULL)
            stream_done(n, n->conns[i]);
        mem_free(n->mem, n->conns[i], sizeof(struct conn));
    }
    loads_done_all(&n->loads);
    stream_stop(n);
    for (uint32_t i = 0; i < n->torrents_n; i++)
        if (n->torrents[i] != NULL)
            torrent_free(n, n->torrents[i]);
    tracker_free(n->tracker);
    node_dht_free(n);
    lsd_free(n->lsd);
    if (n->pool.slabs != NULL)
        pool_done(&n->pool);
    map_done(&n->hashes);
    map_done(&n->skeys);
    heap_done(&n->timers);
    mem_free(n->mem, n->conns, n->conns_cap * sizeof(struct conn *));
    mem_free(n->mem, n->torrents, n->torrents_cap * sizeof(struct torrent *));
    mem_free(n->mem, n->segs, IO_SEGS_MAX * sizeof *n->segs);
    mem_free(n->mem, n->plain_only, NODE_PLAIN_MAX * sizeof *n->plain_only);
    mem_free(n->mem, n->requests, n->requests_cap * sizeof *n->requests);
    mem_free(n->mem, n, sizeof *n);
}

static void beat(struct node *n)
{
    n->beat_at = n->now + NSEC_S;
    n->connects_left = NODE_CONNECTS_PER_BEAT;
    conn_beat(n);
    map_beat(n);
    n->up.used_bps = n->down.used_bps = 0;      // the torrents add theirs
    for (uint32_t i = 0; i < n->torrents_n; i++)
        if (n->torrents[i] != NULL)
            torrent_beat(n, n->torrents[i]);
    node_dht_beat(n);
    node_lsd_beat(n);
    conn_work(n);
}

void node_tick(struct node *n, nsec now)
{
    ASSERT(now >= n->now);
    n->now = now;
    for (struct heap_node *h = heap_min(&n->timers); h != NULL && h->at <= now; h = heap_min(&n->timers)) {
        heap_remove(&n->timers, h);
        struct torrent *t = torrent_get(n, (uint32_t)(h->id / 2));
        if (h->id % 2 == 0)
            swarm_tick(t->swarm, now);
        else
            announcer_tick(announcer_of(t), now);
        torrent_touch(n, t);
    }
    if (n->tracker != NULL && n->tracker_at <= now) {
        tracker_tick(n->tracker, now);
        n->tracker_touched = true;
    }
    if (n->utp != NULL && n->utp_at <= now) {
        utp_tick(n->utp, now);
        n->utp_touched = true;
    }
    node_dht_tick(n);
    node_lsd_tick(n);
    if (n->beat_at <= now && n->torrents_n != 0)
        beat(n);
}

static bool tracker_carry(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    struct tracker_out to = {0};
    struct conn *c;
    switch (tracker_poll(n->tracker, n->now, tx, &to)) {
    case TRACKER_IDLE:
        n->tracker_at = to.deadline;
        n->tracker_touched = false;
        return false;
    case TRACKER_DGRAM:
        out->port = NODE_PORT_TRACKER;
        out->addr = to.addr;
        out->bytes = to.bytes;
        *kind = NODE_DGRAM;
        return true;
    case TRACKER_SEND:
        n->seg = (struct io_seg){.kind = SEG_BYTES, .bytes = to.bytes};
        out->conn = to.conn;
        out->segs = &n->seg;
        out->segs_n = 1;
        *kind = NODE_SEND;
        return true;
    case TRACKER_CLOSE:
        c = conn_get(n, to.conn);
        ASSERT(c != NULL);
        c->flush = true;
        conn_drop(n, c, true);
        return conn_poll(n, tx, out, kind);
    }
    return false;
}

// Whose turn has come at a limit that torrents share.
static bool limits_call(struct node *n)
{
    struct limit *const all[] = {&n->up, &n->down};
    bool called = false;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const uint32_t owner = limit_call(all[i]);
        if (owner == 0)
            continue;
        torrent_touch(n, torrent_get(n, owner));
        called = true;
    }
    return called;
}

static bool stop_done(struct node *n)
{
    if (!n->stopping || n->stopped_told || n->reads_busy + n->reads_due + n->loads.reading_n != 0 || !map_is_stopped(n))
        return false;
    for (uint32_t i = 0; i < n->torrents_n; i++)
        if (n->torrents[i] != NULL && (!n->torrents[i]->swarm_stopped || !n->torrents[i]->announcer_stopped))
            return false;
    if (!node_dht_stopped(n))
        return false;
    n->stopped_told = true;
    return true;
}

static nsec deadline(const struct node *n)
{
    nsec at = heap_next(&n->timers);
    if (n->tracker != NULL)
        at = u64_min(at, n->tracker_at);
    if (n->utp != NULL)
        at = u64_min(at, n->utp_at);
    if (n->dht.dht != NULL)
        at = u64_min(at, node_dht_deadline(n));
    if (n->lsd != NULL)
        at = u64_min(at, n->lsd_at);
    if (n->torrents_n != 0 && !n->stopped_told)
        at = u64_min(at, n->beat_at);
    if (!list_empty(&n->exchanges))
        at = u64_min(at, rate_when(&n->exchange_rate, n->now));
    return at;
}

// All but torrents and streams: flags and lists first, nearly always there is nothing.
static bool poll_own(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    if (!list_empty(&n->exchanges))
        crypt_work(n);
    if ((!list_empty(&n->hellos) || !list_empty(&n->closes)) && conn_poll(n, tx, out, kind))
        return true;
    if ((!list_empty(&n->crypt_ready) || loads_wait(&n->loads)) && crypt_poll(n, out, kind))
        return true;
    if (n->maps_due && map_poll(n, out, kind))
        return true;
    if (n->tracker_touched && tracker_carry(n, tx, out, kind))
        return true;
    if (n->dht.touched && node_dht_poll(n, tx, out, kind))
        return true;
    if (n->lsd_touched && node_lsd_poll(n, tx, out, kind))
        return true;
    return n->externals_due && external_poll(n, out, kind);
}

enum node_kind node_poll(struct node *n, nsec now, struct buf *tx, struct node_out *out)
{
    ASSERT(now >= n->now);
    ASSERT(buf_room(tx) >= NODE_TX_MIN);
    n->now = now;
    *out = (struct node_out){0};
    enum node_kind kind;
    bool worked = false;
    for (;;) {
        if (poll_own(n, tx, out, &kind))
            return kind;
        if (list_empty(&n->touched)) {
            if (worked)
                conn_work(n);           // a torrent may have addresses to connect to
            if (!list_empty(&n->hellos) || !list_empty(&n->closes) || !list_empty(&n->crypt_ready) || !list_empty(&n->touched))
                continue;
            if (stream_poll(n, tx, out, &kind))     // last: acknowledgements go with what there is to say
                return kind;
            if (limits_call(n))
                continue;
            if (list_empty(&n->hellos) && list_empty(&n->closes) && list_empty(&n->touched) && list_empty(&n->crypt_ready) && !n->utp_touched)
                break;
            continue;
        }
        struct torrent *t = CONTAINER(n->touched.next, struct torrent, touched);
        worked = true;
        if (torrent_poll(n, t, tx, out, &kind))
            return kind;
        list_remove(&t->touched);
        if (torrent_leave(n, t, out, &kind))
            return kind;
    }
    if (stop_done(n)) {
        out->event = (struct node_event){.kind = NODE_EVENT_STOPPED};
        return NODE_EVENT;
    }
    out->deadline = deadline(n);
    return NODE_IDLE;
}

void node_datagram(struct node *n, nsec now, enum node_port port, const struct addr *from, struct slice data)
{
    ASSERT(now >= n->now);
    n->now = now;
    if (port == NODE_PORT_TRACKER && n->tracker != NULL) {
        tracker_datagram(n->tracker, now, from, data);
        n->tracker_touched = true;
        return;
    }
    if (port == NODE_PORT_ROUTER) {
        map_news(n, from, data);
        return;
    }
    if (port == NODE_PORT_LSD) {
        node_lsd_datagram(n, from, data);
        return;
    }
    if (node_dht_datagram(n, from, data))
        return;
    if (port == NODE_PORT_PEER && stream_datagram(n, from, data))
        return;
    for (uint32_t i = 0; i < n->torrents_n; i++) {
        if (n->torrents[i] == NULL || !announcer_datagram(announcer_of(n->torrents[i]), now, from, data))
            continue;
        torrent_touch(n, n->torrents[i]);
        return;
    }
}

void node_job_done(struct node *n, nsec now, uint32_t id, enum err e, uint32_t file)
{
    ASSERT(now >= n->now);
    n->now = now;
    if ((id & LOAD_JOB_BIT) != 0) {
        crypt_job_done(n, id, e, file);
        return;
    }
    if (id >> JOB_BITS == 0) {
        stream_job_done(n, id, e, file);
        return;
    }
    struct torrent *t = torrent_get(n, id >> JOB_BITS);
    ASSERT(t != NULL);
    swarm_job_done(t->swarm, now, id & ((1u << JOB_BITS) - 1), e, file);
    torrent_touch(n, t);
}

void node_fetched(struct node *n, nsec now, uint32_t id, enum err e, int status, struct slice body)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct pending p;
    if (!request_end(n, id, &p))
        return;
    struct torrent *t = torrent_get(n, p.torrent);
    if (p.stream)
        swarm_fetched(t->swarm, now, p.local, e, status);
    else
        announcer_fetched(announcer_of(t), now, p.local, e, status, body);
    torrent_touch(n, t);
}

void node_stream_head(struct node *n, nsec now, uint32_t id, int status, struct slice lines)
{
    ASSERT(now >= n->now);
    n->now = now;
    const struct pending *p = request_stream(n, id);
    if (p == NULL)
        return;
    struct torrent *t = torrent_get(n, p->torrent);
    swarm_fetch_head(t->swarm, now, p->local, status, lines);
    torrent_touch(n, t);
}

void node_stream_room(struct node *n, nsec now, uint32_t id, struct node_room *out)
{
    ASSERT(now >= n->now);
    n->now = now;
    out->spans_n = 0;
    const struct pending *p = request_stream(n, id);
    if (p == NULL)
        return;
    struct torrent *t = torrent_get(n, p->torrent);
    swarm_fetch_room(t->swarm, now, p->local, &out->spans[0]);
    out->spans_n = out->spans[0].n != 0;
    if (out->spans_n == 0)
        torrent_touch(n, t);
}

void node_stream_rx(struct node *n, nsec now, uint32_t id, size_t len)
{
    ASSERT(now >= n->now);
    n->now = now;
    const struct pending *p = request_stream(n, id);
    ASSERT(p != NULL);
    struct torrent *t = torrent_get(n, p->torrent);
    if (swarm_fetch_rx(t->swarm, now, p->local, len))
        torrent_touch(n, t);
}

void node_resolved(struct node *n, nsec now, uint32_t id, enum err e, const struct addr *addrs, uint32_t n_addrs)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct pending p;
    if (!request_end(n, id, &p))
        return;
    if (p.torrent == 0) {
        node_dht_resolved(n, p.local, addrs, e == ERR_OK ? n_addrs : 0);
        return;
    }
    struct torrent *t = torrent_get(n, p.torrent);
    announcer_resolved(announcer_of(t), now, p.local, e, addrs, n_addrs);
    torrent_touch(n, t);
}

void node_saved(struct node *n, nsec now, uint32_t id, enum err e)
{
    ASSERT(now >= n->now);
    n->now = now;
    if (id == 0) {
        node_dht_saved(n);
        return;
    }
    struct torrent *t = torrent_get(n, id);
    ASSERT(t != NULL);
    swarm_saved(t->swarm, now, e);
    torrent_touch(n, t);
}

void node_read_failed(struct node *n, nsec now, uint32_t store, uint32_t file, enum err e)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct torrent *t = torrent_get(n, store);
    if (t == NULL || t->swarm == NULL)
        return;                         // it has been removed meanwhile
    log_line(n->env->log, LOG_WARNING, "file %u of torrent %u could not be read: %s", file, store, err_text(e));
    swarm_read_failed(t->swarm, now, file);
    torrent_touch(n, t);
}

void node_stop(struct node *n, nsec now)
{
    ASSERT(now >= n->now);
    n->now = now;
    if (n->stopping)
        return;
    n->stopping = true;
    node_dht_stop(n);
    map_stop(n);
    conn_drop_shaking(n, NULL);
    for (uint32_t i = 0; i < n->torrents_n; i++)
        if (n->torrents[i] != NULL && !n->torrents[i]->removing)
            torrent_stop(n, n->torrents[i]);
}

enum err node_tracker_admit(struct node *n, const uint8_t hash[20])
{
    ASSERT(n->tracker != NULL);
    return tracker_admit(n->tracker, hash);
}

enum err node_tracker_revoke(struct node *n, const uint8_t hash[20])
{
    ASSERT(n->tracker != NULL);
    return tracker_revoke(n->tracker, hash);
}

void node_tracker_stats(const struct node *n, struct tracker_stats *out)
{
    ASSERT(n->tracker != NULL);
    tracker_stats(n->tracker, out);
}

void node_check(const struct node *n)
{
    for (uint32_t i = 0; i < n->torrents_n; i++) {
        const struct torrent *t = n->torrents[i];
        if (t == NULL)
            continue;
        if (t->swarm != NULL) {
            swarm_check(t->swarm);
            ASSERT(!list_empty(&t->touched) || swarm_stir(t->swarm) != SWARM_STIRRED);
        }
        if (t->metadata != NULL)
            metadata_check(t->metadata);
        announcer_check(t->announcer);
    }
    if (n->tracker != NULL)
        tracker_check(n->tracker);
    node_dht_check(n);
    if (n->lsd != NULL)
        lsd_check(n->lsd);
    ASSERT(n->pool.reserved + n->pool.taken <= n->pool.slots_max);
}

void node_warm(const struct node *n, uint32_t id, uint32_t step)
{
    const uint32_t i = id & (NODE_CONNS_MAX - 1);
    if (n->torrents_n != 1 || (id != 0 && i >= n->conns_high))
        return;                         // of several torrents it is not known which
    if (step == 0) {
        prefetch(n->torrents, 8);
        if (n->conns != NULL)
            prefetch(&n->conns[i], 8);
        prefetch(n->timers.items, 1);
        return;
    }
    const struct conn *c = id == 0 ? NULL : n->conns[i];
    const struct torrent *t = n->torrents[0];
    if (t == NULL)
        return;
    if (step == 1) {
        prefetch(t, offsetof(struct torrent, by_v1));
        if (c != NULL)
            prefetch(c, 64);
        return;
    }
    if (t->swarm != NULL)
        swarm_warm(t->swarm, c == NULL ? NULL : c->peer, step - 2);
}
