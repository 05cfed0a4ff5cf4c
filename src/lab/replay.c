// See replay.h.
#include "lab/replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ranges.h"
#include "codec/magnet.h"
#include "codec/record.h"
#include "engine/find/dht.h"
#include "engine/node/out_hash.h"
#include "lab/cli.h"

enum { JOBS_MAX = 65536, TORRENTS_MAX = 256, ROUTERS_MAX = 64, URLS_MAX = 64, TX_BYTES = 2 * NODE_TX_MIN };

// A file by URLs alone: the metainfo comes first, as in `metas` of the player.
struct plain {
    struct metainfo meta;
    struct metainfo_file file;
    struct metainfo_url urls[URLS_MAX];
};

struct player {
    struct replay *out;
    struct node *node;
    struct env env;
    struct buf tx;
    struct node_room room, web_room;
    struct ranges blocked;
    bool is_blocked;
    struct io_job *jobs;                // under way
    uint32_t jobs_n;
    struct metainfo *metas[TORRENTS_MAX];
    uint8_t *roots[TORRENTS_MAX], *links[TORRENTS_MAX];
    uint32_t numbers[TORRENTS_MAX];     // of the torrents of metas
    uint32_t metas_n, links_n;
    bool is_plain[TORRENTS_MAX];
    struct slice priorities, routers[ROUTERS_MAX];
    struct record plain;                // RECORD_PLAIN of the torrent to be added
    bool ended;
};

static void *pages_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    (void)old_n;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    ASSERT(p == NULL);
    return aligned_alloc(4096, (new_n + 4095) / 4096 * 4096);
}

static const struct mem pages = {.resize = pages_resize};

FORMAT(2, 3)
static void differs(struct player *p, const char *fmt, ...)
{
    char text[REPLAY_WHY_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (p->out->why[0] == '\0')
        (void)snprintf(p->out->why, REPLAY_WHY_MAX, "frame %llu, at %.6f s: %.180s", (unsigned long long)p->out->frames,
            (double)(p->out->now - p->out->start) / 1e9, text);
    p->ended = true;
}

static void blocked(struct player *p, const struct record *r)
{
    struct addr from, to;
    struct range4 a;
    struct range6 b;
    if (p->is_blocked || p->node != NULL) {
        differs(p, "a blocklist comes once, and first");
        return;
    }
    ranges_init(&p->blocked, &lab_heap);
    p->is_blocked = true;
    enum err e = ERR_OK;
    for (size_t at = 0; at + sizeof a <= r->slice[0].n && e == ERR_OK; at += sizeof a) {
        memcpy(&a, r->slice[0].p + at, sizeof a);
        const uint8_t ips[2][4] = {{(uint8_t)(a.from >> 24), (uint8_t)(a.from >> 16), (uint8_t)(a.from >> 8), (uint8_t)a.from},
                                   {(uint8_t)(a.to >> 24), (uint8_t)(a.to >> 16), (uint8_t)(a.to >> 8), (uint8_t)a.to}};
        from = addr_ipv4(ips[0], 0);
        to = addr_ipv4(ips[1], 0);
        e = ranges_add(&p->blocked, &from, &to);
    }
    for (size_t at = 0; at + sizeof b <= r->slice[1].n && e == ERR_OK; at += sizeof b) {
        memcpy(&b, r->slice[1].p + at, sizeof b);
        from = addr_ipv6(b.from, 0);
        to = addr_ipv6(b.to, 0);
        e = ranges_add(&p->blocked, &from, &to);
    }
    if (e != ERR_OK || ranges_finish(&p->blocked) != ERR_OK)
        differs(p, "the blocklist cannot be used");
}

static void begin(struct player *p, const struct record *r)
{
    struct node_config cfg;
    if (r->slice[0].n != sizeof cfg) {
        differs(p, "made by another version of kith: its configuration has %zu bytes, ours %zu", r->slice[0].n, sizeof cfg);
        return;
    }
    memcpy(&cfg, r->slice[0].p, sizeof cfg);
    struct slice rest = r->slice[2];
    cfg.dht.routers_n = 0;
    cfg.dht.saved = r->slice[1];
    while (rest.n > 0 && cfg.dht.routers_n < ROUTERS_MAX) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        const size_t n = end == NULL ? rest.n : (size_t)(end - rest.p);
        p->routers[cfg.dht.routers_n] = slice_sub(rest, 0, n);
        cfg.dht.routers_n++;
        rest = slice_sub(rest, n + 1, rest.n);
    }
    cfg.dht.routers = p->routers;       // they outlive the node
    cfg.blocked = p->is_blocked ? &p->blocked : NULL;
    p->env.seed = r->num[0];
    p->out->start = r->now;
    if (p->node != NULL || node_new(&p->node, &cfg, &p->env, r->now) != ERR_OK)
        differs(p, "the node cannot be made");
}

static void drained(struct player *p, const struct record *r)
{
    uint64_t hash = 0;
    for (uint64_t i = 0; i < r->num[1]; i++) {
        struct node_out o = {0};
        p->tx.n = 0;
        const enum node_kind kind = node_poll(p->node, r->now, &p->tx, &o);
        hash = node_out_hash(hash, kind, &o);
        if (kind == NODE_JOB && p->jobs_n < JOBS_MAX)
            p->jobs[p->jobs_n++] = o.job;
        p->out->polls++;
        if (kind == NODE_IDLE && i + 1 < r->num[1]) {
            differs(p, "the node has said all after %llu outputs; recorded are %llu", (unsigned long long)i + 1, (unsigned long long)r->num[1]);
            return;
        }
    }
    p->out->checked++;
    if (hash != r->num[0])
        differs(p, "the node's outputs are not those that were recorded");
}

// True: the bytes that were received are where the room was.
static bool lands(struct player *p, const struct record *r, const struct node_room *room)
{
    size_t at = 0;
    for (uint32_t i = 0; i < room->spans_n && at < r->slice[0].n; i++) {
        const size_t n = size_min(r->slice[0].n - at, room->spans[i].n);
        memcpy(room->spans[i].p, r->slice[0].p + at, n);
        at += n;
    }
    p->out->bytes += at;
    if (at != r->slice[0].n)
        differs(p, "there is no room for %zu bytes that were received", r->slice[0].n);
    return at == r->slice[0].n;
}

// Content is hashed again: bytes that were not received as recorded are found here.
static bool hashes_alike(const struct io_job *j, struct slice recorded)
{
    static const uint8_t zeros[4096];
    if (j->kind != JOB_HASH || j->sha1 == NULL)
        return true;
    struct sha1 run = *j->sha1;
    for (uint32_t i = 0; i < j->spans_n; i++)
        sha1_update(&run, slice_of(j->spans[i].p, j->spans[i].n));
    for (uint64_t left = j->zeros; left > 0; left -= u64_min(left, sizeof zeros))
        sha1_update(&run, slice_of(zeros, (size_t)u64_min(left, sizeof zeros)));
    return slice_eq(slice_of(&run, sizeof run), recorded);
}

static void put_back(const struct io_job *j, const struct record *r)
{
    struct rd read = rd_make(r->slice[2]);
    if (j->sha1 != NULL && r->slice[0].n == sizeof *j->sha1)
        memcpy(j->sha1, r->slice[0].p, r->slice[0].n);
    if (j->leaves != NULL && r->slice[1].n == u64_div_up(j->leaves_len, 16384) * SHA256_LEN)
        memcpy(j->leaves, r->slice[1].p, r->slice[1].n);
    for (uint32_t i = 0; j->kind == JOB_READ && i < j->spans_n; i++)
        rd_copy(&read, j->spans[i].p, j->spans[i].n);
}

static void job_done(struct player *p, const struct record *r)
{
    uint32_t at = 0;
    while (at < p->jobs_n && p->jobs[at].id != r->num[0])
        at++;
    if (at == p->jobs_n) {
        differs(p, "job %llu ends, which the node has not asked for", (unsigned long long)r->num[0]);
        return;
    }
    const struct io_job *j = &p->jobs[at];
    if (r->num[1] == ERR_OK && !hashes_alike(j, r->slice[0]))
        differs(p, "content has another hash than recorded");
    put_back(j, r);
    if (j->kind == JOB_STAT && r->slice[1].n == node_store_files(p->node, j->store) * sizeof *j->stats)
        memcpy(j->stats, r->slice[1].p, r->slice[1].n);
    p->jobs[at] = p->jobs[--p->jobs_n];
    node_job_done(p->node, r->now, (uint32_t)r->num[0], (enum err)r->num[1], (uint32_t)r->num[2]);
}

// NULL: no memory, or no such file can be.
static struct metainfo *plain_meta(const struct record *r)
{
    struct plain *f = calloc(1, sizeof *f);
    if (f == NULL || r->kind != RECORD_PLAIN || r->num[0] == 0 || r->num[0] > UINT32_MAX || r->num[1] == 0 ||
        u64_div_up(r->num[1], r->num[0]) > METAINFO_PIECES_MAX || r->slice[2].n < sizeof f->meta.hash_v2) {
        free(f);
        return NULL;
    }
    f->file = (struct metainfo_file){.path = r->slice[1], .len = r->num[1]};
    f->meta = (struct metainfo){.name = r->slice[0], .piece_len = (uint32_t)r->num[0], .span = r->num[1], .len = r->num[1], .files = &f->file,
        .files_n = 1, .pieces_n = (uint32_t)u64_div_up(r->num[1], r->num[0]), .web_seeds = f->urls, .mem = &lab_heap};
    memcpy(f->meta.hash_v2, r->slice[2].p, sizeof f->meta.hash_v2);
    struct slice rest = slice_sub(r->slice[2], sizeof f->meta.hash_v2, r->slice[2].n);
    for (const uint8_t *end; rest.n != 0 && f->meta.web_seeds_n < URLS_MAX && (end = memchr(rest.p, '\n', rest.n)) != NULL;) {
        const size_t n = (size_t)(end - rest.p);
        f->urls[f->meta.web_seeds_n++].url = slice_sub(rest, 0, n);
        rest = slice_sub(rest, n + 1, rest.n);
    }
    return &f->meta;
}

static struct metainfo *read_meta(const struct player *p, const struct record *r, char why[160])
{
    if (p->metas_n == TORRENTS_MAX)
        return NULL;
    if (r->slice[0].n == 0)
        return plain_meta(&p->plain);
    struct metainfo *meta = calloc(1, sizeof *meta);
    if (meta == NULL || metainfo_parse(meta, &lab_heap, r->slice[0], why) == ERR_OK)
        return meta;
    free(meta);
    return NULL;
}

static void add(struct player *p, const struct record *r)
{
    char why[160] = "";
    struct metainfo *meta = read_meta(p, r, why);
    uint8_t *root = calloc(1, r->slice[1].n + 1);
    if (meta == NULL || root == NULL) {
        differs(p, "a torrent cannot be read: %s", why);
        free(meta);
        free(root);
        return;
    }
    memcpy(root, r->slice[1].p, r->slice[1].n);
    p->metas[p->metas_n] = meta;
    p->is_plain[p->metas_n] = r->slice[0].n == 0;
    p->roots[p->metas_n++] = root;
    const struct node_add a = {.meta = meta, .root = slice_of(root, r->slice[1].n), .resume = r->slice[2],
        .trust = (r->num[0] & RECORD_TRUST) != 0, .check = (r->num[0] & RECORD_CHECK) != 0, .check_only = (r->num[0] & RECORD_CHECK_ONLY) != 0,
        .sequential = (r->num[0] & RECORD_SEQUENTIAL) != 0, .strict_order = (r->num[0] & RECORD_STRICT) != 0,
        .reserve = (r->num[0] & RECORD_RESERVE) != 0,
        .random_order = (r->num[0] & RECORD_RANDOM) != 0, .super_seed = (r->num[0] & RECORD_SUPER) != 0,
        .keep = (r->num[0] & RECORD_KEEP) != 0, .up_bps = r->num[3], .down_bps = r->num[4],
        .priorities = p->priorities.n == meta->files_n && meta->files_n > 0 ? p->priorities.p : NULL};
    uint32_t torrent = (uint32_t)r->num[1];
    const enum err e = r->kind == RECORD_BEGIN ? node_magnet_begin(p->node, r->now, torrent, &a) : node_torrent_add(p->node, r->now, &a, &torrent);
    if (e != (enum err)r->num[2] || (e == ERR_OK && torrent != r->num[1]))
        differs(p, "adding the torrent gave %s, number %u", err_text(e), torrent);
    p->numbers[p->metas_n - 1] = e == ERR_OK ? torrent : 0;
    p->priorities = (struct slice){0};
}

static void magnet(struct player *p, const struct record *r)
{
    struct magnet link;
    struct buf text = {p->links_n < TORRENTS_MAX ? malloc(r->slice[0].n + 1) : NULL, 0, r->slice[0].n};
    if (text.p == NULL || magnet_parse(&link, r->slice[0], &text) != ERR_OK || (!link.has_v1 && !link.has_v2)) {
        differs(p, "a magnet link cannot be read");
        free(text.p);
        return;
    }
    p->links[p->links_n++] = text.p;    // it outlives the torrent
    uint32_t torrent = 0;
    const enum err e = node_magnet_add(p->node, r->now, &link, &torrent);
    if (e != (enum err)r->num[1] || (e == ERR_OK && torrent != r->num[0]))
        differs(p, "adding the link gave %s, number %u", err_text(e), torrent);
}

static void select_files(struct player *p, const struct record *r)
{
    const uint32_t torrent = (uint32_t)r->num[0];
    uint32_t at = 0;
    while (at < p->metas_n && p->numbers[at] != torrent)
        at++;
    if (at == p->metas_n || r->slice[0].n != p->metas[at]->files_n || node_torrent_priorities(p->node, r->now, torrent, r->slice[0].p) != ERR_OK)
        differs(p, "the selection cannot be changed");
}

static void resolved(struct player *p, const struct record *r)
{
    struct addr addrs[64];
    uint32_t n = 0;
    struct rd d = rd_make(r->slice[0]);
    for (; d.n >= 19 && n < ARRAY_LEN(addrs); n++) {
        addrs[n].family = rd_u8(&d);
        rd_copy(&d, addrs[n].ip, sizeof addrs[n].ip);
        addrs[n].port = rd_be16(&d);
    }
    node_resolved(p->node, r->now, (uint32_t)r->num[0], (enum err)r->num[1], addrs, n);
}

static void admit(struct player *p, const struct record *r)
{
    enum err e = ERR_SYNTAX;
    if (r->slice[0].n == 20)
        e = r->num[0] == 0 ? node_tracker_admit(p->node, r->slice[0].p) : node_tracker_revoke(p->node, r->slice[0].p);
    if (e == ERR_SYNTAX || e == ERR_NOMEM)
        differs(p, "the whitelist cannot be changed: %s", err_text(e));
}

static void ask(struct player *p, const struct record *r)
{
    struct rd d = rd_make(r->slice[0]);
    const uint64_t what = r->num[0];
    struct dht_ask a = {.kind = (enum dht_ask_kind)(what & 0xff), .family = (uint8_t)(what >> 8), .port = (uint16_t)r->num[1],
        .implied_port = (what & RECORD_ASK_IMPLIED) != 0, .seed = (what & RECORD_ASK_SEED) != 0, .scrape = (what & RECORD_ASK_SCRAPE) != 0,
        .is_mutable = (what & RECORD_ASK_MUTABLE) != 0, .has_cas = (what & RECORD_ASK_CAS) != 0, .cas = (int64_t)r->num[3],
        .item = {.value = r->slice[1], .salt = r->slice[2], .seq = (int64_t)r->num[2]}};
    rd_copy(&d, a.target, sizeof a.target);
    rd_copy(&d, a.item.key, sizeof a.item.key);
    rd_copy(&d, a.item.sig, sizeof a.item.sig);
    uint32_t op = 0;
    const enum err e = d.ok ? node_dht_ask(p->node, r->now, &a, &op) : ERR_SYNTAX;
    if (e != (enum err)r->num[5] || (e == ERR_OK && op != r->num[4]))
        differs(p, "the question to the DHT gave %s, number %u", err_text(e), op);
}

// The node's own checks are for its host's mistakes; a file may hold any number.
static bool plausible(struct player *p, const struct record *r)
{
    if (p->node == NULL && r->kind != RECORD_NEW && r->kind != RECORD_BLOCKED)
        differs(p, "the recording does not begin with a new node");
    else if (r->now < p->out->now && r->kind != RECORD_ADMIT)
        differs(p, "time runs backwards");
    return !p->ended;
}

static void play(struct player *p, const struct record *r)
{
    const uint32_t a = (uint32_t)r->num[0];
    p->out->now = r->kind == RECORD_ADMIT ? p->out->now : r->now;
    switch (r->kind) {
    case RECORD_NEW: begin(p, r); break;
    case RECORD_TICK: node_tick(p->node, r->now); break;
    case RECORD_ACCEPT:
        if (node_accept(p->node, r->now, (enum node_port)a, &r->addr) != r->num[1])
            differs(p, "a stream was not accepted as it was");
        break;
    case RECORD_CONNECTED: node_connected(p->node, r->now, a, (enum err)r->num[1]); break;
    case RECORD_ROOM: node_rx_room(p->node, r->now, a, &p->room); break;
    case RECORD_RX:
        if (lands(p, r, &p->room))
            node_rx(p->node, r->now, a, r->slice[0].n);
        break;
    case RECORD_BLOCKED: blocked(p, r); break;
    case RECORD_MAGNET: magnet(p, r); break;
    case RECORD_SELECT: select_files(p, r); break;
    case RECORD_HEAD: node_stream_head(p->node, r->now, a, (int)r->num[1], r->slice[0]); break;
    case RECORD_WEB_ROOM: node_stream_room(p->node, r->now, a, &p->web_room); break;
    case RECORD_WEB_RX:
        if (lands(p, r, &p->web_room))
            node_stream_rx(p->node, r->now, a, r->slice[0].n);
        break;
    case RECORD_DATAGRAMS: node_datagrams(p->node, r->now, r->num[0] != 0); break;
    case RECORD_NETWORK: node_network_changed(p->node, r->now); break;
    case RECORD_SENT: node_sent(p->node, r->now, a, r->num[1]); break;
    case RECORD_CLOSED: node_closed(p->node, r->now, a, (enum err)r->num[1]); break;
    case RECORD_DATAGRAM:
        p->out->bytes += r->slice[0].n;
        node_datagram(p->node, r->now, (enum node_port)a, &r->addr, r->slice[0]);
        break;
    case RECORD_JOB_DONE: job_done(p, r); break;
    case RECORD_FETCHED: node_fetched(p->node, r->now, a, (enum err)r->num[1], (int)r->num[2], r->slice[0]); break;
    case RECORD_RESOLVED: resolved(p, r); break;
    case RECORD_SAVED: node_saved(p->node, r->now, a, (enum err)r->num[1]); break;
    case RECORD_READ_FAILED: node_read_failed(p->node, r->now, a, (uint32_t)r->num[1], (enum err)r->num[2]); break;
    case RECORD_ADD:
    case RECORD_BEGIN: add(p, r); break;
    case RECORD_PRIORITIES: p->priorities = r->slice[0]; break;
    case RECORD_PEER:
        if (node_peer_add(p->node, r->now, a, &r->addr) != (enum err)r->num[1])
            differs(p, "adding a peer did not give what it gave");
        break;
    case RECORD_STOP: node_stop(p->node, r->now); break;
    case RECORD_ADMIT:
        admit(p, r);
        break;
    case RECORD_DRAINED: drained(p, r); break;
    case RECORD_MAPPED: node_mapped(p->node, r->now, a != 0, (enum err)r->num[1], &r->addr, (uint32_t)r->num[2]); break;
    case RECORD_REMOVE:
        if (node_torrent_remove(p->node, r->now, a) != (enum err)r->num[1])
            differs(p, "removing a torrent did not give what it gave");
        break;
    case RECORD_LIMITS:
        if (a == 0)
            node_limits(p->node, r->now, r->num[1], r->num[2]);
        else if (node_torrent_limits(p->node, r->now, a, r->num[1], r->num[2]) != (enum err)r->num[3])
            differs(p, "limiting a torrent did not give what it gave");
        break;
    case RECORD_PLAIN: p->plain = *r; break;
    case RECORD_ASK: ask(p, r); break;
    case RECORD_KNOWN: node_dht_add(p->node, r->now, &r->addr); break;
    case RECORD_NONE:
    case RECORD_KINDS: break;
    }
}

void replay_run(struct slice recording, struct replay *out)
{
    *out = (struct replay){0};
    static const size_t magic_n = sizeof RECORD_MAGIC - 1;
    struct player p = {.out = out, .env = {.mem = &lab_heap, .payload = &pages}, .tx = {calloc(1, TX_BYTES), 0, TX_BYTES}};
    p.jobs = calloc(JOBS_MAX, sizeof *p.jobs);
    out->foreign = !slice_eq(slice_sub(recording, 0, magic_n), SLICE_LIT(RECORD_MAGIC));
    if (out->foreign)
        (void)snprintf(out->why, REPLAY_WHY_MAX, "no recording, or of another version: it does not begin with `kith-record 4`");
    else if (p.jobs == NULL || p.tx.p == NULL)
        (void)snprintf(out->why, REPLAY_WHY_MAX, "not enough memory");
    struct rd rest = rd_make(slice_sub(recording, magic_n, recording.n));
    bool stopped = false;
    while (out->why[0] == '\0' && !p.ended && rest.n > 0) {
        struct record r;
        out->frames++;
        const bool whole = record_is_whole(rest);
        if (record_read(&rest, &r) != ERR_OK) {
            if (whole)
                differs(&p, "no frame: the file is damaged");
            else
                out->frames--;          // a process that died has half a frame at the end
            break;
        }
        stopped |= r.kind == RECORD_STOP;
        if (plausible(&p, &r))
            play(&p, &r);
    }
    out->early = !stopped || rest.n != 0;
    if (out->why[0] == '\0' && p.node == NULL)
        (void)snprintf(out->why, REPLAY_WHY_MAX, "nothing is recorded");
    if (p.jobs_n == 0)
        node_free(p.node);              // with jobs under way it must not go; the process ends soon
    for (uint32_t i = 0; i < p.metas_n; i++) {
        if (!p.is_plain[i])
            metainfo_free(p.metas[i]);
        free(p.metas[i]);
        free(p.roots[i]);
    }
    for (uint32_t i = 0; i < p.links_n; i++)
        free(p.links[i]);
    if (p.is_blocked)
        ranges_done(&p.blocked);
    free(p.jobs);
    free(p.tx.p);
}
