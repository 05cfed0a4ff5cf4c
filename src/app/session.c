// See session.h.
#include "app/session_int.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/blocklist.h"
#include "app/fileio.h"
#include "app/interrupt.h"
#include "base/units.h"

enum {
    PORT_DEFAULT = 51413,               // Transmission's: router guides know it
    PORTS_TRIED = 20,
};

void session_name(struct session *s)
{
    torrent_id(s->meta, s->id);
    talk_clean(s->meta->name.n != 0 ? s->meta->name : slice_str(s->id), s->name);
}

static struct node_torrent_stats stats_of(struct session *s)
{
    struct node_torrent_stats st = {0};
    node_torrent_stats(host_node(s->host), s->torrent, &st);
    s->last = st;
    return st;
}

void session_stop(struct session *s, int status)
{
    s->stopping = true;
    s->status = status;
    host_stop(s->host);
}

json_t *session_event(struct session *s, const char *type)
{
    json_t *e = talk_event(type);
    json_object_set_new(e, "id", json_string(s->id));
    json_object_set_new(e, "name", talk_json_text(s->meta->name));
    return e;
}

// ---- progress

static struct progress_view view_of(struct session *s, const struct node_torrent_stats *st)
{
    struct progress_view v = {.verb = s->done && s->cfg->stay ? "seed" : s->cfg->share ? "share" : "get", .id = s->id, .name = s->name,
        .done = st->done_bytes, .size = st->wanted_bytes, .down_bps = st->down_bps, .up_bps = st->up_bps, .up_bytes = st->up_bytes,
        .peers = st->peers, .seeds = st->seeds, .known = st->known, .web = st->web_conns, .net = !s->cfg->plain};
    if (st->state == TORRENT_METADATA) {
        v.verb = "metadata";
        v.size = st->metadata_size;
        v.done = u64_min((uint64_t)st->metadata_here * UT_METADATA_PART, u64_sub_sat(v.size, 1));
    }
    if (st->state != TORRENT_CHECKING)
        return v;
    v.verb = "check";
    v.net = false;
    const struct metainfo *m = s->meta;
    const uint64_t checked = (uint64_t)st->pieces_checked * m->piece_len;
    v.size = m->len;
    // whoever reads along takes "all of it" for the end
    v.done = u64_min(checked, u64_sub_sat(v.size, 1));
    v.down_bps = units_per_second(v.done, host_now(s->host) - s->started);
    return v;
}

static void show(struct session *s, bool at_once)
{
    const struct node_torrent_stats st = stats_of(s);
    const struct progress_view v = view_of(s, &st);
    progress_show(&s->progress, host_now(s->host), &v, at_once);
}

// ---- the end of it

// "631.0 MiB in 15.2 s (41.5 MiB/s)".
static void say_done(struct session *s)
{
    char size[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];
    const struct node_torrent_stats *st = &s->last;
    const nsec t = s->done_at - s->started;
    if (s->a->talk.json || s->cfg->share)
        return;
    const char *const mark = s->a->talk.utf8 ? "✓ " : "";
    if (st->down_bytes == 0)
        talk_note(&s->a->talk, "%s%s were there already", mark, units_size(st->wanted_bytes, size));
    else
        talk_note(&s->a->talk, "%s%s in %s (%s)", mark, units_size(st->wanted_bytes, size), units_elapsed(t, took),
            units_rate(units_per_second(st->down_bytes, t), rate));
}

static void emit_totals(struct session *s, const char *type)
{
    const struct node_torrent_stats *st = &s->last;
    json_t *e = session_event(s, type);
    json_object_set_new(e, "size", talk_json_count(st->wanted_bytes));
    json_object_set_new(e, "done", talk_json_count(st->done_bytes));
    json_object_set_new(e, "down_bytes", talk_json_count(st->down_bytes));
    json_object_set_new(e, "down_seed_bytes", talk_json_count(st->down_seed_bytes));
    json_object_set_new(e, "web_bytes", talk_json_count(st->web_bytes));
    json_object_set_new(e, "up_bytes", talk_json_count(st->up_bytes));
    json_object_set_new(e, "waste_bytes", talk_json_count(st->waste_bytes));
    json_object_set_new(e, "ms", talk_json_count(((s->done ? s->done_at : host_now(s->host)) - s->started) / NSEC_MS));
    talk_emit(&s->a->talk, e);
}

static void on_done(struct session *s)
{
    if (s->done)
        return;
    s->done = true;
    s->done_at = host_now(s->host);
    show(s, true);
    emit_totals(s, "done");
    if (!s->cfg->stay) {
        session_stop(s, 0);
        return;
    }
    progress_end(&s->progress);
    say_done(s);
    talk_emit(&s->a->talk, session_event(s, "seeding"));
    talk_note(&s->a->talk, "seeding on port %u; Ctrl-C ends it", host_port(s->host));
}

// The check of a share has ended without all of the content.
static void on_checked(struct session *s)
{
    const struct node_torrent_stats st = stats_of(s);
    char bad[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
    if (!s->cfg->share || st.done_bytes >= st.wanted_bytes || st.state == TORRENT_ERROR)
        return;
    const int status = talk_fail(&s->a->talk, FAIL_HASH_MISMATCH, "`kith verify` says what is wrong, `kith get` fetches it",
        "%s of %s in %s are not as the torrent says", units_size(st.wanted_bytes - st.done_bytes, bad),
        units_size(st.wanted_bytes, all), s->name);
    session_stop(s, status);
}

// ---- events of the node

static void on_error(struct session *s, const struct node_event *e)
{
    char path[TALK_NAME_MAX];
    if (s->error_at == 0)
        s->error_at = host_now(s->host);
    talk_warn(&s->a->talk, "%s: %s; waiting, it goes on by itself when that is mended", talk_clean(e->text, path), err_text(e->err));
}

static void on_file_done(struct session *s, uint32_t file)
{
    const struct metainfo *m = s->meta;
    if (file >= m->files_n || !s->a->talk.json)
        return;
    json_t *e = session_event(s, "file_done");
    json_object_set_new(e, "path", talk_json_text(m->files[file].path));
    json_object_set_new(e, "size", talk_json_count(m->files[file].len));
    talk_emit(&s->a->talk, e);
}

static void on_event(void *ctx, const struct node_event *e)
{
    struct session *s = ctx;
    char text[TALK_NAME_MAX], addr[ADDR_TEXT_MAX];
    switch (e->kind) {
    case NODE_EVENT_METADATA: session_metadata(s, e->text); break;
    case NODE_EVENT_LAYERS: session_layers(s); break;
    case NODE_EVENT_CHECKED: on_checked(s); break;
    case NODE_EVENT_DONE: on_done(s); break;
    case NODE_EVENT_FILE_DONE: on_file_done(s, e->file); break;
    case NODE_EVENT_ERROR: on_error(s, e); break;
    case NODE_EVENT_RECOVERED:
        s->error_at = 0;
        talk_note(&s->a->talk, "the disk works again; going on");
        break;
    case NODE_EVENT_TRACKER: talk_warn(&s->a->talk, "tracker: %s", talk_clean(e->text, text)); break;
    case NODE_EVENT_BANNED: talk_note(&s->a->talk, "banned %s: it sent bad data", addr_format(&e->addr, addr)); break;
    case NODE_EVENT_WEB_SEED: talk_warn(&s->a->talk, "web seed %s", talk_clean(e->text, text)); break;
    case NODE_EVENT_EXTERNAL: talk_debug(&s->a->talk, "our address, as others see it, is %s", addr_format_ip(&e->addr, addr)); break;
    case NODE_EVENT_REMOVED:
    case NODE_EVENT_DHT:
    case NODE_EVENT_STOPPED: break;
    }
}

// Gives up what has stood still for --timeout.
static void check_timeout(struct session *s, const struct node_torrent_stats *st, nsec now)
{
    const nsec limit = s->a->options.timeout;
    char time[UNITS_TEXT_MAX];
    // what counts as life: bytes, pieces checked, and anything that is not waiting for peers
    const uint32_t steps = st->pieces_checked + st->metadata_here;
    const bool waits = st->state == TORRENT_DOWNLOADING || st->state == TORRENT_METADATA;
    if (st->down_bytes != s->last_bytes || steps != s->last_steps || !waits)
        s->alive_at = now;
    s->last_bytes = st->down_bytes;
    s->last_steps = steps;
    if (limit == 0 || s->stopping)
        return;
    if (st->state == TORRENT_ERROR && s->error_at != 0 && now - s->error_at >= limit) {
        session_stop(s, talk_fail(&s->a->talk, fail_of_err(st->error), "mend it and run the same command again: it goes on from there",
            "%s: %s for %s", st->error_path, err_text(st->error), units_time(limit / NSEC_S, time)));
        return;
    }
    if (s->done || now - s->alive_at < limit)
        return;
    if (s->cfg->plain) {
        session_stop(s, talk_fail(&s->a->talk, FAIL_TIMEOUT, "run the same command again: it goes on from there",
            "no data from any server for %s", units_time(limit / NSEC_S, time)));
        return;
    }
    const bool alone = st->peers == 0;
    session_stop(s, talk_fail(&s->a->talk, alone ? FAIL_NO_PEERS : FAIL_NO_ANSWER, "run the same command again: it goes on from there",
        alone ? "no peer for %s" : st->state == TORRENT_METADATA ? "no peer gave the metadata for %s" : "no data from any peer for %s",
        units_time(limit / NSEC_S, time)));
}

static void on_tick(void *ctx)
{
    struct session *s = ctx;
    const nsec now = host_now(s->host);
    const struct node_torrent_stats st = stats_of(s);
    if (st.state == TORRENT_SEEDING && !s->done)
        on_done(s);
    if (s->cfg->plain && st.web_seeds == 0 && st.state == TORRENT_DOWNLOADING && !s->stopping)
        session_stop(s, talk_fail(&s->a->talk, FAIL_NETWORK, NULL, "no server gives the file as it was any more"));
    check_timeout(s, &st, now);
    if (!s->stopping)
        show(s, false);
}

// On a worker.
static enum err on_save(void *ctx, struct slice key, struct slice blob)
{
    struct session *s = ctx;
    if (s->state == NULL)
        return ERR_OK;
    const enum err e = state_save(s->state, key, blob);
    if (e != ERR_OK && !s->save_warned)
        talk_warn(&s->a->talk, "cannot keep resume data: %s; after a restart all will be checked", err_text(e));
    s->save_warned = e != ERR_OK;
    return e;
}

static void on_log(void *ctx, enum log_level level, const char *text)
{
    struct session *s = ctx;
    if (level >= LOG_INFO || s->a->talk.verbose > 1)
        talk_debug(&s->a->talk, "%s", text);
}

// ---- starting

static void fill_host(struct session *s, struct host_config *cfg)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const struct options *o = &s->a->options;
    *cfg = (struct host_config){
        .listen = o->listen, .device = o->interface, .proxy = o->proxy, .port = (uint16_t)(o->port != 0 ? o->port : PORT_DEFAULT),
        .port_last = (uint16_t)(o->port != 0 ? 0 : PORT_DEFAULT + PORTS_TRIED),
        .peer_closed = s->cfg->plain,
        .node = {.up_bps = o->up_bps, .down_bps = o->down_bps, .slots_max = o->slots, .no_utp = o->no_utp, .no_tcp = o->no_tcp,
                 .encryption = (enum node_encryption)o->encryption, .map_ports = !o->no_port_map && !s->cfg->plain,
                 .blocked = o->blocklist != NULL ? &s->blocked : NULL},
        .log_level = s->a->talk.verbose > 1 ? LOG_DEBUG : LOG_INFO,
        .event = on_event, .tick = on_tick, .save = on_save, .log = on_log, .ctx = s,
    };
    cfg->node.lsd.on = !o->no_lsd && !s->cfg->plain;
    dht_setup(&s->dht, o, s->state, &cfg->node.dht);
    if (s->cfg->plain || (s->meta != NULL && s->meta->is_private))
        cfg->node.dht.on = false;                   // BEP 27
    uint8_t random[12] = {0};
    if (getrandom(random, sizeof random, 0) < 0)
        memset(random, 7, sizeof random);           // never fails for so few bytes on a machine that is up
    memcpy(cfg->node.peer_id, "-KH0100-", 8);
    for (size_t i = 0; i < sizeof random; i++)
        cfg->node.peer_id[8 + i] = (uint8_t)letters[random[i] % (sizeof letters - 1)];
}

// The resume data of content that somebody has removed: the command means it to be fetched again. (What is left to the
// node is content that is gone in part, or goes while it runs.)
static bool content_gone(const struct session *s)
{
    char path[PATH_MAX];
    struct stat st;
    const struct slice first = s->cfg->plain ? s->meta->files[0].path : s->meta->name;
    const int n = snprintf(path, sizeof path, "%s/%.*s", s->cfg->root, (int)first.n, (const char *)first.p);
    return n > 0 && (size_t)n < sizeof path && lstat(path, &st) != 0 && errno == ENOENT;
}

void session_load_resume(struct session *s, struct buf *resume)
{
    uint8_t key[KEY_BYTES];
    struct buf b = {key, 0, sizeof key};
    struct wr w = wr_make(&b);
    node_resume_key(&w, s->meta, slice_str(s->cfg->root));
    const bool gone = !s->cfg->share && content_gone(s);
    const enum err loaded = s->state != NULL && w.ok && !gone ? state_load(s->state, buf_slice(&b), resume) : ERR_NOT_FOUND;
    if (loaded != ERR_OK && loaded != ERR_NOT_FOUND)
        talk_warn(&s->a->talk, "cannot read resume data: %s; all will be checked", err_text(loaded));
}

static void open_state(struct session *s)
{
    char why[STATE_WHY_MAX];
    const enum err e = state_open(&s->state, s->a->options.state, why);
    if (e != ERR_OK)
        s->state = NULL;
    if (why[0] != 0)
        talk_warn(&s->a->talk, "%s%s", why, e != ERR_OK ? "; resume data is not kept" : "");
}

struct node_add session_how(const struct session *s, const struct buf *resume)
{
    const struct options *o = &s->a->options;
    return (struct node_add){.meta = s->meta, .root = slice_str(s->cfg->root), .resume = buf_slice(resume), .trust = s->cfg->trust,
        .check = o->check, .sequential = o->sequential, .reserve = o->preallocate, .priorities = s->priorities};
}

int session_cannot_start(struct session *s, enum err e)
{
    return talk_fail(&s->a->talk, FAIL_INTERNAL, NULL, "cannot start %s: %s", s->name, err_text(e));
}

// What fails here leaves nothing under way: node_torrent_add starts jobs only if it is fine, and after it nothing can fail.
static int add_torrent(struct session *s, const struct buf *resume, const struct peer_list *peers)
{
    const struct node_add add = session_how(s, resume);
    struct node *n = host_node(s->host);
    const nsec now = host_now(s->host);
    const enum err e = s->cfg->link != NULL ? node_magnet_add(n, now, &s->cfg->link->magnet, &s->torrent) :
        node_torrent_add(n, now, &add, &s->torrent);
    if (e != ERR_OK)
        return session_cannot_start(s, e);
    json_t *added = session_event(s, "added");
    if (s->cfg->link == NULL)
        torrent_describe(s->meta, added);
    talk_emit(&s->a->talk, added);
    for (uint32_t i = 0; i < s->cfg->peers_n && s->cfg->link == NULL; i++)
        if (node_peer_add(n, now, s->torrent, &s->cfg->peers[i]) != ERR_OK)
            break;
    for (uint32_t i = 0; i < peers->n; i++) {
        char text[ADDR_TEXT_MAX];
        const enum err refused = node_peer_add(host_node(s->host), host_now(s->host), s->torrent, &peers->items[i]);
        if (refused != ERR_OK)
            talk_debug(&s->a->talk, "peer %s: %s", addr_format(&peers->items[i], text), err_text(refused));
    }
    return 0;
}

static int finish(struct session *s, enum err ran)
{
    char share[UNITS_TEXT_MAX];
    progress_end(&s->progress);
    // a second Ctrl-C: jobs are still under way, they use what would be freed and can be slow. What is durable is safe.
    if (ran == ERR_CANCELLED)
        _exit(128 + interrupt_last());
    if (!s->stopping && !s->done && s->last.state == TORRENT_METADATA)
        return talk_fail(&s->a->talk, FAIL_INTERRUPTED, NULL, "stopped before any peer gave the metadata");
    if (!s->stopping && !s->done)
        return talk_fail(&s->a->talk, FAIL_INTERRUPTED, "run the same command again: it goes on from there", "stopped at %u%% (%s)",
            units_percent(s->last.done_bytes, s->last.wanted_bytes), units_share(s->last.done_bytes, s->last.wanted_bytes, share));
    if (s->stopping && s->status != 0)
        return s->status;
    if (!s->cfg->stay)
        say_done(s);
    emit_totals(s, "result");
    return 0;
}

static int load_blocklist(struct session *s)
{
    const char *const path = s->a->options.blocklist;
    char why[BLOCKLIST_WHY_MAX] = "";
    ranges_init(&s->blocked, &app_mem);
    if (path == NULL)
        return 0;
    const enum err e = blocklist_read(path, &s->blocked, why);
    if (e == ERR_NOT_FOUND || e == ERR_ACCESS || e == ERR_IO)
        return talk_fail(&s->a->talk, e == ERR_ACCESS ? FAIL_PERMISSION : FAIL_NOT_FOUND, NULL, "--blocklist %s", why);
    if (e != ERR_OK)
        return talk_fail(&s->a->talk, e == ERR_NOMEM ? FAIL_INTERNAL : FAIL_USAGE,
            "lines like 192.0.2.0/24, name:192.0.2.0-192.0.2.9 or 192.0.2.7", "--blocklist %s", why);
    if (why[0] != 0)
        talk_warn(&s->a->talk, "--blocklist %s", why);
    talk_debug(&s->a->talk, "%u ranges of IPv4 and %u of IPv6 are blocked", s->blocked.v4_n, s->blocked.v6_n);
    return 0;
}

static int open_host(struct session *s)
{
    struct host_config cfg;
    char why[HOST_WHY_MAX] = "";
    fill_host(s, &cfg);
    const enum err e = host_new(&s->host, &cfg, why);
    if (e == ERR_OK)
        return 0;
    s->host = NULL;
    return talk_fail(&s->a->talk, e == ERR_SYNTAX ? FAIL_USAGE : e == ERR_ACCESS ? FAIL_PERMISSION : FAIL_NETWORK,
        e == ERR_EXISTS ? "choose another --port" : NULL, "%s", why[0] != 0 ? why : err_text(e));
}

int session_run(struct app *a, const struct session_config *cfg)
{
    struct session s = {.a = a, .cfg = cfg};
    struct peer_list peers = {0};
    struct buf resume = {0};
    interrupt_release();
    s.meta = cfg->meta;
    s.priorities = cfg->priorities;
    session_name(&s);
    progress_init(&s.progress, &a->talk, (enum progress_mode)a->options.progress);
    int status = load_blocklist(&s);
    if (status == 0)
        status = session_peers(a, &peers);
    if (status == 0) {
        open_state(&s);
        status = open_host(&s);
    }
    if (status == 0) {
        if (!cfg->trust && cfg->link == NULL)
            session_load_resume(&s, &resume);
        s.started = s.alive_at = host_now(s.host);
        status = add_torrent(&s, &resume, &peers);
    }
    if (status == 0) {
        talk_debug(&a->talk, "listening on port %u", host_port(s.host));
        interrupt_watch();
        host_drain(s.host);
        const enum err ran = host_run(s.host);
        stats_of(&s);
        status = finish(&s, ran);
        if (status == 0 && cfg->done != NULL && s.done)
            cfg->done(a, s.meta, cfg->root, s.priorities);
        if (ran == ERR_TIMEOUT)
            return status;              // a job still uses what would be freed: a disk that does not answer. The process ends here
    }
    host_free(s.host);
    ranges_done(&s.blocked);
    state_close(s.state);
    dht_setup_done(&s.dht);
    metainfo_free(&s.fetched);
    free(resume.p);
    free(peers.items);
    return status;
}
