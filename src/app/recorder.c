// See recorder.h. One node, one thread: the host's.
#include "app/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/ranges.h"
#include "codec/magnet.h"
#include "codec/record.h"
#include "engine/find/dht.h"
#include "engine/node/out_hash.h"

enum {
    JOBS_KEPT = 4096,                   // under way at once; more are not recorded, and the replay says so
    ADDED_KEPT = 4096,                  // torrents of which the selection may change
};

struct added {
    uint32_t torrent, files;
};

static struct {
    FILE *f;
    const struct node *node;            // the recorded one
    struct buf frame;
    uint64_t hash, polls;               // since the last frame
    nsec polled_at;
    struct node_room room, web_room;    // what the last node_rx_room and node_stream_room gave
    struct io_job jobs[JOBS_KEPT];
    uint32_t jobs_n;
    struct added added[ADDED_KEPT];
    uint32_t added_n;
    uint32_t depth;                     // inside of the node
    bool failed;
} rec;

// Calls that the node's own parts make of each other, as uTP does for its streams, are no inputs.
static bool active(const struct node *n) { return rec.f != NULL && n == rec.node && rec.depth == 0; }

static void put(const struct record *r)
{
    const size_t n = record_size(r);
    if (n > rec.frame.cap) {
        uint8_t *p = realloc(rec.frame.p, n);
        if (p == NULL) {
            rec.failed = true;
            return;
        }
        rec.frame.p = p;
        rec.frame.cap = n;
    }
    rec.frame.n = 0;
    struct wr w = wr_make(&rec.frame);
    record_write(&w, r);
    ASSERT(w.ok);
    rec.failed |= fwrite(rec.frame.p, 1, rec.frame.n, rec.f) != rec.frame.n;
}

// What the node was asked since the last input, before the next one.
static void put_polls(void)
{
    if (rec.polls == 0)
        return;
    put(&(struct record){.kind = RECORD_DRAINED, .now = rec.polled_at, .num = {rec.hash, rec.polls}});
    rec.hash = rec.polls = 0;
}

static void input(const struct node *n, const struct record *r)
{
    if (!active(n))
        return;
    put_polls();
    put(r);
}

// What --record may overwrite: the empty, and what began as a recording of any version.
static bool is_ours(const char *path)
{
    static const size_t n = sizeof "kith-record" - 1;
    char head[sizeof "kith-record"] = "";
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return true;
    FILE *f = fopen(path, "rb");
    const bool ours = f == NULL || (fread(head, 1, n, f) == n && memcmp(head, RECORD_MAGIC, n) == 0);
    if (f != NULL)
        (void)fclose(f);
    return ours;
}

enum err recorder_open(const char *path)
{
    if (!is_ours(path))
        return ERR_EXISTS;
    rec.f = fopen(path, "wb");
    if (rec.f == NULL)
        return ERR_IO;
    rec.failed = fputs(RECORD_MAGIC, rec.f) < 0;
    return ERR_OK;
}

bool recorder_close(void)
{
    if (rec.f == NULL)
        return true;
    put_polls();
    const bool good = fclose(rec.f) == 0 && !rec.failed;
    rec.f = NULL;
    free(rec.frame.p);
    rec.frame = (struct buf){0};
    return good;
}

// ---- between host and node: __wrap_X is what the host calls, __real_X the node's own

#define BETWEEN(type, name, ...) \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

// The routers of the DHT, a line each.
static struct slice routers_of(const struct node_config *cfg, struct buf *b)
{
    struct wr w = wr_make(b);
    for (uint32_t i = 0; i < cfg->dht.routers_n; i++) {
        wr_bytes(&w, cfg->dht.routers[i]);
        wr_u8(&w, '\n');
    }
    rec.failed |= !w.ok;
    return buf_slice(b);
}

BETWEEN(enum err, node_new, struct node **out, const struct node_config *cfg, const struct env *env, nsec now)
{
    rec.depth++;
    const enum err e = __real_node_new(out, cfg, env, now);
    rec.depth--;
    if (e == ERR_OK && rec.f != NULL && rec.node == NULL) {
        rec.node = *out;
        uint8_t space[4096];
        struct buf b = {space, 0, sizeof space};
        struct node_config plain = *cfg;
        plain.blocked = NULL;
        if (cfg->blocked != NULL)
            put(&(struct record){.kind = RECORD_BLOCKED, .now = now,
                .slice = {slice_of(cfg->blocked->v4, cfg->blocked->v4_n * sizeof *cfg->blocked->v4),
                          slice_of(cfg->blocked->v6, cfg->blocked->v6_n * sizeof *cfg->blocked->v6)}});
        put(&(struct record){.kind = RECORD_NEW, .now = now, .num = {env->seed},
            .slice = {slice_of(&plain, sizeof plain), cfg->dht.saved, routers_of(cfg, &b)}});
    }
    return e;
}

BETWEEN(void, node_tick, struct node *n, nsec now)
{
    input(n, &(struct record){.kind = RECORD_TICK, .now = now});
    rec.depth++;
    __real_node_tick(n, now);
    rec.depth--;
}

static void keep_job(const struct io_job *j)
{
    if (rec.jobs_n == JOBS_KEPT)
        rec.failed = true;
    else
        rec.jobs[rec.jobs_n++] = *j;
}

BETWEEN(enum node_kind, node_poll, struct node *n, nsec now, struct buf *tx, struct node_out *out)
{
    if (active(n) && rec.polls > 0 && rec.polled_at != now)
        put_polls();
    rec.depth++;
    const enum node_kind kind = __real_node_poll(n, now, tx, out);
    rec.depth--;
    if (!active(n))
        return kind;
    rec.hash = node_out_hash(rec.hash, kind, out);
    rec.polls++;
    rec.polled_at = now;
    if (kind == NODE_JOB)
        keep_job(&out->job);
    if (kind == NODE_IDLE) {
        put_polls();
        rec.failed |= fflush(rec.f) != 0;
    }
    return kind;
}

BETWEEN(uint32_t, node_accept, struct node *n, nsec now, enum node_port port, const struct addr *from)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const uint32_t conn = __real_node_accept(n, now, port, from);
    rec.depth--;
    input(n, &(struct record){.kind = RECORD_ACCEPT, .now = now, .num = {(uint64_t)port, conn}, .addr = *from});
    return conn;
}

BETWEEN(void, node_connected, struct node *n, nsec now, uint32_t conn, enum err e)
{
    input(n, &(struct record){.kind = RECORD_CONNECTED, .now = now, .num = {conn, (uint64_t)e}});
    rec.depth++;
    __real_node_connected(n, now, conn, e);
    rec.depth--;
}

BETWEEN(void, node_rx_room, struct node *n, nsec now, uint32_t conn, struct node_room *out)
{
    input(n, &(struct record){.kind = RECORD_ROOM, .now = now, .num = {conn}});
    rec.depth++;
    __real_node_rx_room(n, now, conn, out);
    rec.depth--;
    if (active(n))
        rec.room = *out;
}

// The bytes lie where the room was.
static void put_rx(enum record_kind kind, nsec now, uint32_t id, const struct node_room *room, size_t len)
{
    uint8_t *flat = malloc(len + 1);
    size_t at = 0;
    for (uint32_t i = 0; flat != NULL && i < room->spans_n && at < len; i++) {
        const size_t n = size_min(len - at, room->spans[i].n);
        memcpy(flat + at, room->spans[i].p, n);
        at += n;
    }
    rec.failed |= at != len;
    put_polls();
    put(&(struct record){.kind = kind, .now = now, .num = {id}, .slice = {slice_of(flat, at)}});
    free(flat);
}

BETWEEN(void, node_rx, struct node *n, nsec now, uint32_t conn, size_t len)
{
    if (active(n))
        put_rx(RECORD_RX, now, conn, &rec.room, len);
    rec.depth++;
    __real_node_rx(n, now, conn, len);
    rec.depth--;
}

BETWEEN(void, node_sent, struct node *n, nsec now, uint32_t conn, uint64_t len)
{
    input(n, &(struct record){.kind = RECORD_SENT, .now = now, .num = {conn, len}});
    rec.depth++;
    __real_node_sent(n, now, conn, len);
    rec.depth--;
}

BETWEEN(void, node_closed, struct node *n, nsec now, uint32_t conn, enum err e)
{
    input(n, &(struct record){.kind = RECORD_CLOSED, .now = now, .num = {conn, (uint64_t)e}});
    rec.depth++;
    __real_node_closed(n, now, conn, e);
    rec.depth--;
}

BETWEEN(void, node_datagram, struct node *n, nsec now, enum node_port port, const struct addr *from, struct slice data)
{
    input(n, &(struct record){.kind = RECORD_DATAGRAM, .now = now, .num = {(uint64_t)port}, .addr = *from, .slice = {data}});
    rec.depth++;
    __real_node_datagram(n, now, port, from, data);
    rec.depth--;
}

static struct slice flat_spans(const struct io_job *j, uint8_t **out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < j->spans_n; i++)
        n += j->spans[i].n;
    uint8_t *p = malloc(n + 1), *at = p;
    for (uint32_t i = 0; p != NULL && i < j->spans_n; i++) {
        memcpy(at, j->spans[i].p, j->spans[i].n);
        at += j->spans[i].n;
    }
    *out = p;
    return p == NULL ? (struct slice){0} : slice_of(p, n);
}

// What the worker wrote into the engine's memory comes along.
static void put_job(const struct node *n, nsec now, uint32_t id, enum err e, uint32_t file)
{
    uint32_t at = 0;
    while (at < rec.jobs_n && rec.jobs[at].id != id)
        at++;
    struct record r = {.kind = RECORD_JOB_DONE, .now = now, .num = {id, (uint64_t)e, file}};
    uint8_t *read = NULL;
    if (at < rec.jobs_n) {
        const struct io_job *j = &rec.jobs[at];
        if (j->sha1 != NULL)
            r.slice[0] = slice_of(j->sha1, sizeof *j->sha1);
        if (j->leaves != NULL)
            r.slice[1] = slice_of(j->leaves, (size_t)u64_div_up(j->leaves_len, 16384) * SHA256_LEN);
        if (j->kind == JOB_STAT)
            r.slice[1] = slice_of(j->stats, node_store_files(n, j->store) * sizeof *j->stats);
        if (j->kind == JOB_READ)
            r.slice[2] = flat_spans(j, &read);
    }
    put_polls();
    put(&r);
    free(read);
    if (at < rec.jobs_n)
        rec.jobs[at] = rec.jobs[--rec.jobs_n];
}

BETWEEN(void, node_job_done, struct node *n, nsec now, uint32_t id, enum err e, uint32_t file)
{
    if (active(n))
        put_job(n, now, id, e, file);
    rec.depth++;
    __real_node_job_done(n, now, id, e, file);
    rec.depth--;
}

BETWEEN(void, node_fetched, struct node *n, nsec now, uint32_t id, enum err e, int status, struct slice body)
{
    input(n, &(struct record){.kind = RECORD_FETCHED, .now = now, .num = {id, (uint64_t)e, (uint64_t)status}, .slice = {body}});
    rec.depth++;
    __real_node_fetched(n, now, id, e, status, body);
    rec.depth--;
}

BETWEEN(void, node_resolved, struct node *n, nsec now, uint32_t id, enum err e, const struct addr *addrs, uint32_t n_addrs)
{
    uint8_t space[64 * 19];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    for (uint32_t i = 0; i < n_addrs && i < 64; i++) {
        wr_u8(&w, addrs[i].family);
        wr_bytes(&w, slice_of(addrs[i].ip, sizeof addrs[i].ip));
        wr_be16(&w, addrs[i].port);
    }
    rec.failed |= n_addrs > 64 && active(n);
    input(n, &(struct record){.kind = RECORD_RESOLVED, .now = now, .num = {id, (uint64_t)e}, .slice = {buf_slice(&b)}});
    rec.depth++;
    __real_node_resolved(n, now, id, e, addrs, n_addrs);
    rec.depth--;
}

BETWEEN(void, node_saved, struct node *n, nsec now, uint32_t id, enum err e)
{
    input(n, &(struct record){.kind = RECORD_SAVED, .now = now, .num = {id, (uint64_t)e}});
    rec.depth++;
    __real_node_saved(n, now, id, e);
    rec.depth--;
}

BETWEEN(void, node_mapped, struct node *n, nsec now, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s)
{
    const struct addr none = {0};
    input(n, &(struct record){.kind = RECORD_MAPPED, .now = now, .num = {udp, (uint64_t)e, lifetime_s},
        .addr = external != NULL ? *external : none});
    rec.depth++;
    __real_node_mapped(n, now, udp, e, external, lifetime_s);
    rec.depth--;
}

BETWEEN(void, node_stream_head, struct node *n, nsec now, uint32_t id, int status, struct slice lines)
{
    input(n, &(struct record){.kind = RECORD_HEAD, .now = now, .num = {id, (uint64_t)status}, .slice = {lines}});
    rec.depth++;
    __real_node_stream_head(n, now, id, status, lines);
    rec.depth--;
}

BETWEEN(void, node_stream_room, struct node *n, nsec now, uint32_t id, struct node_room *out)
{
    input(n, &(struct record){.kind = RECORD_WEB_ROOM, .now = now, .num = {id}});
    rec.depth++;
    __real_node_stream_room(n, now, id, out);
    rec.depth--;
    if (active(n))
        rec.web_room = *out;
}

BETWEEN(void, node_stream_rx, struct node *n, nsec now, uint32_t id, size_t len)
{
    if (active(n))
        put_rx(RECORD_WEB_RX, now, id, &rec.web_room, len);
    rec.depth++;
    __real_node_stream_rx(n, now, id, len);
    rec.depth--;
}

BETWEEN(void, node_network_changed, struct node *n, nsec now)
{
    input(n, &(struct record){.kind = RECORD_NETWORK, .now = now});
    rec.depth++;
    __real_node_network_changed(n, now);
    rec.depth--;
}

BETWEEN(void, node_datagrams, struct node *n, nsec now, bool pass)
{
    input(n, &(struct record){.kind = RECORD_DATAGRAMS, .now = now, .num = {pass}});
    rec.depth++;
    __real_node_datagrams(n, now, pass);
    rec.depth--;
}

BETWEEN(void, node_read_failed, struct node *n, nsec now, uint32_t store, uint32_t file, enum err e)
{
    input(n, &(struct record){.kind = RECORD_READ_FAILED, .now = now, .num = {store, file, (uint64_t)e}});
    rec.depth++;
    __real_node_read_failed(n, now, store, file, e);
    rec.depth--;
}

// A file by URLs alone has no torrent file: what was made up in its place.
static void put_plain(const struct node *n, nsec now, const struct metainfo *m)
{
    size_t cap = sizeof m->hash_v2;
    for (uint32_t i = 0; i < m->web_seeds_n; i++)
        cap += m->web_seeds[i].url.n + 1;
    struct buf b = {malloc(cap), 0, cap};
    struct wr w = wr_make(&b);
    if (b.p != NULL)
        wr_bytes(&w, slice_of(m->hash_v2, sizeof m->hash_v2));
    for (uint32_t i = 0; b.p != NULL && i < m->web_seeds_n; i++) {
        wr_bytes(&w, m->web_seeds[i].url);
        wr_u8(&w, '\n');
    }
    rec.failed |= b.p == NULL || !w.ok;
    input(n, &(struct record){.kind = RECORD_PLAIN, .now = now, .num = {m->piece_len, m->len}, .slice = {m->name, m->files[0].path, buf_slice(&b)}});
    free(b.p);
}

// What is about to be added, but for its priorities; they go before, because a frame has no place for them.
static void put_priorities(const struct node *n, nsec now, const struct node_add *add)
{
    if (active(n) && add->meta->bytes.n == 0)
        put_plain(n, now, add->meta);
    if (active(n) && add->priorities != NULL)
        input(n, &(struct record){.kind = RECORD_PRIORITIES, .now = now, .slice = {slice_of(add->priorities, add->meta->files_n)}});
    else if (active(n))
        put_polls();
}

static void put_add(const struct node *n, nsec now, enum record_kind kind, const struct node_add *add, uint32_t torrent, enum err e)
{
    const uint64_t flags = (uint64_t)add->trust * RECORD_TRUST | (uint64_t)add->check * RECORD_CHECK |
        (uint64_t)add->check_only * RECORD_CHECK_ONLY | (uint64_t)add->sequential * RECORD_SEQUENTIAL |
        (uint64_t)add->reserve * RECORD_RESERVE | (uint64_t)add->random_order * RECORD_RANDOM |
        (uint64_t)add->super_seed * RECORD_SUPER | (uint64_t)add->keep * RECORD_KEEP |
        (uint64_t)add->strict_order * RECORD_STRICT;
    if (active(n) && e == ERR_OK && rec.added_n < ADDED_KEPT)
        rec.added[rec.added_n++] = (struct added){torrent, add->meta->files_n};
    input(n, &(struct record){.kind = kind, .now = now, .num = {flags, torrent, (uint64_t)e, add->up_bps, add->down_bps},
        .slice = {add->meta->bytes, add->root, add->resume}});
}

BETWEEN(enum err, node_torrent_add, struct node *n, nsec now, const struct node_add *add, uint32_t *torrent)
{
    put_priorities(n, now, add);
    rec.depth++;
    const enum err e = __real_node_torrent_add(n, now, add, torrent);
    rec.depth--;
    put_add(n, now, RECORD_ADD, add, e == ERR_OK ? *torrent : 0, e);
    return e;
}

BETWEEN(enum err, node_magnet_add, struct node *n, nsec now, const struct magnet *link, uint32_t *torrent)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const enum err e = __real_node_magnet_add(n, now, link, torrent);
    rec.depth--;
    if (!active(n))
        return e;
    struct buf text = {malloc(MAGNET_BYTES_MAX), 0, MAGNET_BYTES_MAX};
    struct wr w = wr_make(&text);
    if (text.p != NULL)
        magnet_write(&w, link);
    rec.failed |= text.p == NULL || !w.ok;
    input(n, &(struct record){.kind = RECORD_MAGNET, .now = now, .num = {e == ERR_OK ? *torrent : 0, (uint64_t)e}, .slice = {buf_slice(&text)}});
    free(text.p);
    return e;
}

BETWEEN(enum err, node_magnet_begin, struct node *n, nsec now, uint32_t torrent, const struct node_add *add)
{
    put_priorities(n, now, add);
    rec.depth++;
    const enum err e = __real_node_magnet_begin(n, now, torrent, add);
    rec.depth--;
    put_add(n, now, RECORD_BEGIN, add, torrent, e);
    return e;
}

BETWEEN(enum err, node_torrent_priorities, struct node *n, nsec now, uint32_t torrent, const uint8_t *priorities)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const enum err e = __real_node_torrent_priorities(n, now, torrent, priorities);
    rec.depth--;
    uint32_t at = 0;
    while (at < rec.added_n && rec.added[at].torrent != torrent)
        at++;
    const uint32_t files = at < rec.added_n ? rec.added[at].files : 0;
    if (e == ERR_OK)                    // else nothing has changed
        input(n, &(struct record){.kind = RECORD_SELECT, .now = now, .num = {torrent}, .slice = {slice_of(priorities, files)}});
    return e;
}

BETWEEN(enum err, node_torrent_remove, struct node *n, nsec now, uint32_t torrent)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const enum err e = __real_node_torrent_remove(n, now, torrent);
    rec.depth--;
    input(n, &(struct record){.kind = RECORD_REMOVE, .now = now, .num = {torrent, (uint64_t)e}});
    return e;
}

BETWEEN(enum err, node_torrent_limits, struct node *n, nsec now, uint32_t torrent, uint64_t up_bps, uint64_t down_bps)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const enum err e = __real_node_torrent_limits(n, now, torrent, up_bps, down_bps);
    rec.depth--;
    input(n, &(struct record){.kind = RECORD_LIMITS, .now = now, .num = {torrent, up_bps, down_bps, (uint64_t)e}});
    return e;
}

BETWEEN(void, node_limits, struct node *n, nsec now, uint64_t up_bps, uint64_t down_bps)
{
    input(n, &(struct record){.kind = RECORD_LIMITS, .now = now, .num = {0, up_bps, down_bps}});
    rec.depth++;
    __real_node_limits(n, now, up_bps, down_bps);
    rec.depth--;
}

static void put_ask(const struct node *n, nsec now, const struct dht_ask *a, uint32_t op, enum err e)
{
    uint8_t space[NODE_ID_LEN + SIGN_PUBLIC_LEN + SIGN_LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    wr_bytes(&w, slice_of(a->target, sizeof a->target));
    wr_bytes(&w, slice_of(a->item.key, sizeof a->item.key));
    wr_bytes(&w, slice_of(a->item.sig, sizeof a->item.sig));
    const uint64_t what = (uint64_t)a->kind | (uint64_t)a->family << 8 | (uint64_t)a->implied_port * RECORD_ASK_IMPLIED |
        (uint64_t)a->seed * RECORD_ASK_SEED | (uint64_t)a->scrape * RECORD_ASK_SCRAPE | (uint64_t)a->is_mutable * RECORD_ASK_MUTABLE |
        (uint64_t)a->has_cas * RECORD_ASK_CAS;
    input(n, &(struct record){.kind = RECORD_ASK, .now = now, .num = {what, a->port, (uint64_t)a->item.seq, (uint64_t)a->cas, op, (uint64_t)e},
        .slice = {buf_slice(&b), a->item.value, a->item.salt}});
}

BETWEEN(enum err, node_dht_ask, struct node *n, nsec now, const struct dht_ask *ask, uint32_t *op)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const enum err e = __real_node_dht_ask(n, now, ask, op);
    rec.depth--;
    if (active(n))
        put_ask(n, now, ask, e == ERR_OK ? *op : 0, e);
    return e;
}

BETWEEN(void, node_dht_add, struct node *n, nsec now, const struct addr *a)
{
    input(n, &(struct record){.kind = RECORD_KNOWN, .now = now, .addr = *a});
    rec.depth++;
    __real_node_dht_add(n, now, a);
    rec.depth--;
}

BETWEEN(enum err, node_peer_add, struct node *n, nsec now, uint32_t torrent, const struct addr *peer)
{
    if (active(n))
        put_polls();
    rec.depth++;
    const enum err e = __real_node_peer_add(n, now, torrent, peer);
    rec.depth--;
    input(n, &(struct record){.kind = RECORD_PEER, .now = now, .num = {torrent, (uint64_t)e}, .addr = *peer});
    return e;
}

BETWEEN(void, node_stop, struct node *n, nsec now)
{
    input(n, &(struct record){.kind = RECORD_STOP, .now = now});
    rec.depth++;
    __real_node_stop(n, now);
    rec.depth--;
}

BETWEEN(enum err, node_tracker_admit, struct node *n, const uint8_t hash[20])
{
    input(n, &(struct record){.kind = RECORD_ADMIT, .slice = {slice_of(hash, 20)}});
    rec.depth++;
    const enum err e = __real_node_tracker_admit(n, hash);
    rec.depth--;
    return e;
}

BETWEEN(enum err, node_tracker_revoke, struct node *n, const uint8_t hash[20])
{
    input(n, &(struct record){.kind = RECORD_ADMIT, .num = {1}, .slice = {slice_of(hash, 20)}});
    rec.depth++;
    const enum err e = __real_node_tracker_revoke(n, hash);
    rec.depth--;
    return e;
}
