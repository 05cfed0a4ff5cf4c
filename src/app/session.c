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

static struct task *task_of(struct session *s, uint32_t torrent)
{
    for (uint32_t i = 0; i < s->tasks_n; i++)
        if (s->tasks[i].torrent == torrent && (s->tasks[i].state == TASK_RUNNING || s->tasks[i].state == TASK_LEAVING))
            return &s->tasks[i];
    return NULL;
}

static void on_event(void *ctx, const struct node_event *e)
{
    struct session *s = ctx;
    struct task *const t = task_of(s, e->torrent);
    char addr[ADDR_TEXT_MAX];
    if (e->kind == NODE_EVENT_EXTERNAL)
        talk_debug(&s->a->talk, "our address, as others see it, is %s", addr_format_ip(&e->addr, addr));
    if (t == NULL)
        return;
    s->a->talk.about = t->id;
    task_event(t, e);
    s->a->talk.about = NULL;
}

static void show(struct session *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->tasks_n; i++)
        if (s->tasks[i].state == TASK_RUNNING)
            s->views[n++] = task_view(&s->tasks[i]);
    if (n != 0)
        progress_show(&s->progress, host_now(s->host), s->views, n, false);
}

static void on_tick(void *ctx)
{
    struct session *s = ctx;
    const nsec now = host_now(s->host);
    for (uint32_t i = 0; i < s->tasks_n; i++) {
        s->a->talk.about = s->tasks[i].id;
        task_tick(&s->tasks[i], now);
    }
    s->a->talk.about = NULL;
    queue_work(s);
    if (!s->stopping)
        show(s);
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
    if (level >= LOG_WARNING)
        talk_warn(&s->a->talk, "%s", text);
    else
        talk_log(&s->a->talk, level, text);
}

// ---- starting

static void fill_host(struct session *s, struct host_config *cfg)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const struct options *o = &s->a->options;
    const bool plain = s->tasks[0].cfg->plain;
    bool all_private = true;
    for (uint32_t i = 0; i < s->tasks_n; i++)
        all_private &= s->tasks[i].meta->is_private;
    *cfg = (struct host_config){
        .listen = o->listen, .device = o->interface, .proxy = o->proxy, .port = (uint16_t)(o->port != 0 ? o->port : PORT_DEFAULT),
        .port_last = (uint16_t)(o->port != 0 ? 0 : PORT_DEFAULT + PORTS_TRIED),
        .peer_closed = plain,
        .node = {.up_bps = o->up_bps, .down_bps = o->down_bps, .slots_max = o->slots, .no_utp = o->no_utp, .no_tcp = o->no_tcp,
                 .encryption = (enum node_encryption)o->encryption, .map_ports = !o->no_port_map && !plain,
                 .blocked = o->blocklist != NULL ? &s->blocked : NULL},
        .log_level = s->a->talk.verbose > 1 ? LOG_DEBUG : LOG_INFO,
        .event = on_event, .tick = on_tick, .save = on_save, .log = on_log, .ctx = s,
    };
    cfg->node.lsd.on = !o->no_lsd && !plain;
    dht_setup(&s->dht, o, s->state, &cfg->node.dht);
    if (plain || all_private)
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
static bool content_gone(const struct task *t)
{
    char path[PATH_MAX];
    struct stat st;
    const struct slice first = t->cfg->plain ? t->meta->files[0].path : t->meta->name;
    const int n = snprintf(path, sizeof path, "%s/%.*s", t->cfg->root, (int)first.n, (const char *)first.p);
    return n > 0 && (size_t)n < sizeof path && lstat(path, &st) != 0 && errno == ENOENT;
}

void session_load_resume(struct task *t, struct buf *resume)
{
    struct session *s = t->s;
    uint8_t key[KEY_BYTES];
    struct buf b = {key, 0, sizeof key};
    struct wr w = wr_make(&b);
    node_resume_key(&w, t->meta, slice_str(t->cfg->root));
    const bool gone = !t->cfg->share && content_gone(t);
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

static int load_blocklist(struct session *s)
{
    const char *const path = s->a->options.blocklist;
    char why[BLOCKLIST_WHY_MAX] = "";
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

// A second Ctrl-C: jobs are still under way, they use what would be freed and can be slow. What is durable is safe.
static int finish(struct session *s, enum err ran)
{
    progress_end(&s->progress);
    if (ran == ERR_CANCELLED)
        _exit(128 + interrupt_last());
    for (uint32_t i = 0; i < s->tasks_n; i++) {
        struct task *const t = &s->tasks[i];
        task_stats(t);
        const int status = task_finish(t);
        s->a->talk.about = NULL;
        if (s->status == 0)
            s->status = status;
    }
    return s->status;
}

static int make_tasks(struct session *s, const struct session_config *cfg, uint32_t n)
{
    s->tasks = calloc(n, sizeof *s->tasks);
    s->rows = calloc(n, sizeof *s->rows);
    s->views = calloc(n, sizeof *s->views);
    if (s->tasks == NULL || s->rows == NULL || s->views == NULL)
        return talk_fail(&s->a->talk, FAIL_INTERNAL, NULL, "out of memory");
    s->tasks_n = n;
    for (uint32_t i = 0; i < n; i++)
        task_init(&s->tasks[i], s, &cfg[i]);
    return 0;
}

static void free_all(struct session *s)
{
    host_free(s->host);
    ranges_done(&s->blocked);
    state_close(s->state);
    dht_setup_done(&s->dht);
    for (uint32_t i = 0; i < s->tasks_n; i++)
        metainfo_free(&s->tasks[i].fetched);
    free(s->tasks);
    free(s->rows);
    free(s->views);
    free(s->peers.items);
}

int session_run(struct app *a, const struct session_config *cfg, uint32_t n)
{
    const struct options *o = &a->options;
    struct session s = {.a = a, .goals = {.ratio_pm = o->ratio_pm, .seed_time = o->seed_time, .idle = o->seed_idle}};
    ASSERT(n != 0);
    interrupt_release();
    ranges_init(&s.blocked, &app_mem);
    progress_init(&s.progress, &a->talk, (enum progress_mode)o->progress);
    int status = make_tasks(&s, cfg, n);
    if (status == 0)
        status = load_blocklist(&s);
    if (status == 0)
        status = session_peers(a, o->blocklist != NULL ? &s.blocked : NULL, &s.peers);
    if (status == 0) {
        open_state(&s);
        status = open_host(&s);
    }
    if (status == 0) {
        talk_debug(&a->talk, "listening on port %u", host_port(s.host));
        for (uint32_t i = 0; i < n; i++)
            if (cfg[i].ready != NULL)
                cfg[i].ready(a, &cfg[i]);
        queue_work(&s);
        interrupt_watch();
        host_drain(s.host);
        const enum err ran = host_run(s.host);
        status = finish(&s, ran);
        if (ran == ERR_TIMEOUT)
            return status;              // a job still uses what would be freed: a disk that does not answer. The process ends here
    }
    free_all(&s);
    return status;
}

// ---- before it begins

static bool is_same(const struct metainfo *a, const struct metainfo *b)
{
    return (a->has_v1 && b->has_v1 && memcmp(a->hash_v1, b->hash_v1, sizeof a->hash_v1) == 0) ||
           (a->has_v2 && b->has_v2 && memcmp(a->hash_v2, b->hash_v2, SHA1_LEN) == 0);
}

int session_clash(struct app *a, const struct session_config *cfg, uint32_t n)
{
    char name[TALK_NAME_MAX], id[2 * SHA1_LEN + 1];
    for (uint32_t i = 1; i < n; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const struct metainfo *const one = cfg[k].meta, *const two = cfg[i].meta;
            const struct slice shown = two->name.n != 0 ? two->name : slice_str(torrent_id(two, id));
            if (is_same(one, two))
                return talk_fail(&a->talk, FAIL_DUPLICATE, "name each torrent once", "%s is there twice", talk_clean(shown, name));
            if (cfg[k].link == NULL && cfg[i].link == NULL && slice_eq(one->name, two->name) && strcmp(cfg[k].root, cfg[i].root) == 0)
                return talk_fail(&a->talk, FAIL_DUPLICATE, "fetch them into different directories, by two commands",
                    "two torrents are called %s: they would write the same files", talk_clean(shown, name));
        }
    }
    return 0;
}
