// `kith get`: fetches what torrents describe.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/fileio.h"
#include "app/follow.h"
#include "app/get.h"
#include "app/link.h"
#include "app/probe.h"
#include "app/metalink.h"
#include "app/reuse.h"
#include "app/select.h"
#include "app/session.h"
#include "base/units.h"
#include "plat/file.h"

enum { PRIORITY_LAST = 1, PRIORITY_NORMAL = 4, PRIORITY_FIRST = 7, READ_LEN = 1 << 18 };

// What `get` keeps of one torrent while the session runs.
struct get {
    struct app *a;
    const char *source;                 // of the command line
    struct link link;                   // text NULL: it was a torrent file
    struct metainfo file;               // as read
    struct metainfo layers;             // where its piece layers are if the file came without
    struct metainfo meta;               // the same with more trackers
    bool own_trackers, own_web_seeds;
    const char *root;
    uint8_t *priorities;
    bool known;                         // else all there is is a link
};

static bool has_tracker(const struct metainfo *m, struct slice url)
{
    for (uint32_t i = 0; i < m->trackers_n; i++)
        if (slice_eq(m->trackers[i].url, url))
            return true;
    return false;
}

// The torrent's trackers and behind them those of the link and of the command line, each a tier.
static int add_trackers(struct get *g)
{
    struct metainfo *m = &g->meta;
    const struct texts *more = &g->a->options.trackers;
    const struct magnet *link = &g->link.magnet;
    struct metainfo_url *all = calloc((size_t)m->trackers_n + link->trackers_n + more->n + 1, sizeof *all);
    if (all == NULL)
        return talk_fail(&g->a->talk, FAIL_INTERNAL, NULL, "out of memory");
    uint32_t tier = 0;
    for (uint32_t i = 0; i < m->trackers_n; i++) {
        all[i] = m->trackers[i];
        tier = u32_max(tier, all[i].tier + 1);
    }
    m->trackers = all;
    g->own_trackers = true;
    for (uint32_t i = 0; i < link->trackers_n + more->n && m->trackers_n < METAINFO_URLS_MAX; i++) {
        const struct slice url = i < link->trackers_n ? link->trackers[i] : slice_str(more->items[i - link->trackers_n]);
        if (!has_tracker(m, url))
            all[m->trackers_n++] = (struct metainfo_url){url, tier++};
    }
    return 0;
}

// The torrent's web seeds and behind them those of the command line.
static int add_web_seeds(struct get *g)
{
    struct metainfo *m = &g->meta;
    const struct texts *more = &g->a->options.web_seeds;
    struct metainfo_url *all = calloc((size_t)m->web_seeds_n + more->n + 1, sizeof *all);
    if (all == NULL)
        return talk_fail(&g->a->talk, FAIL_INTERNAL, NULL, "out of memory");
    for (uint32_t i = 0; i < m->web_seeds_n; i++)
        all[i] = m->web_seeds[i];
    for (uint32_t i = 0; i < more->n && m->web_seeds_n < METAINFO_URLS_MAX; i++)
        all[m->web_seeds_n++] = (struct metainfo_url){.url = slice_str(more->items[i])};
    m->web_seeds = all;
    g->own_web_seeds = true;
    return 0;
}

// BEP 53: by index in the torrent's order, pads counted.
static int select_linked(struct get *g, const struct metainfo *m, uint8_t *priorities)
{
    const struct magnet *link = &g->link.magnet;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->files_n && i <= MAGNET_FILE_MAX; i++) {
        priorities[i] = bits_get(link->files_wanted, i) ? PRIORITY_NORMAL : 0;
        n += priorities[i] != 0 && (m->files[i].flags & FILE_PAD) == 0;
    }
    // it may select nothing that there is
    return n != 0 ? 0 : talk_fail(&g->a->talk, FAIL_USAGE, "choose files with --select", "the link's so= names no file of the torrent");
}

// Gives the files of a list this priority, if they are wanted; PRIORITY_NORMAL: these are wanted, and no others.
static int select_list(struct get *g, const struct metainfo *m, const char *option, const char *list, uint8_t priority, uint8_t *priorities)
{
    struct app *a = g->a;
    const bool all = priority == PRIORITY_NORMAL;
    char why[SELECT_WHY_MAX] = "";
    bool *named = list == NULL ? NULL : calloc(m->files_n > 0 ? m->files_n : 1, sizeof *named);
    if (list == NULL)
        return 0;
    const enum err e = named == NULL ? ERR_NOMEM : select_parse(list, m, named, why);
    for (uint32_t i = 0; i < m->files_n && e == ERR_OK; i++)
        if (all || priorities[i] != 0)
            priorities[i] = named[i] ? priority : all ? 0 : priorities[i];
    free(named);
    if (e == ERR_NOMEM)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    return e == ERR_OK ? 0 : talk_fail(&a->talk, FAIL_USAGE, "`kith show` lists the files with their numbers", "--%s: %s", option, why);
}

// *out NULL: all files, in no order of their own.
static int select_files(struct get *g, const struct metainfo *m, uint8_t **out)
{
    const struct options *o = &g->a->options;
    const bool linked = o->select == NULL && g->link.text != NULL && g->link.magnet.has_files;
    if (o->select == NULL && !linked && o->first == NULL && o->last == NULL)
        return 0;
    uint8_t *priorities = malloc(m->files_n > 0 ? m->files_n : 1);
    if (priorities == NULL)
        return talk_fail(&g->a->talk, FAIL_INTERNAL, NULL, "out of memory");
    memset(priorities, PRIORITY_NORMAL, m->files_n);
    int status = linked ? select_linked(g, m, priorities) : select_list(g, m, "select", o->select, PRIORITY_NORMAL, priorities);
    if (status == 0)
        status = select_list(g, m, "last", o->last, PRIORITY_LAST, priorities);
    if (status == 0)                    // whoever is in both lists comes first
        status = select_list(g, m, "first", o->first, PRIORITY_FIRST, priorities);
    if (status != 0) {
        free(priorities);
        return status;
    }
    *out = priorities;
    return 0;
}

static enum err sha256_of_file(const struct file_name *name, uint8_t *chunk, uint8_t out[SHA256_LEN])
{
    int fd = -1;
    const enum err e = file_open(name, FILE_READ, &fd);
    if (e != ERR_OK)
        return e;
    struct sha256 h;
    sha256_init(&h);
    ssize_t n = 0;
    while ((n = read(fd, chunk, READ_LEN)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            sha256_update(&h, slice_of(chunk, (size_t)n));
    close(fd);
    sha256_final(&h, out);
    return n < 0 ? ERR_IO : ERR_OK;
}

// As sha256sum prints it, or an event for each file.
static void print_sha256(struct app *a, const struct metainfo *m, const char *root, const uint8_t *priorities)
{
    if (!a->options.sha256)
        return;
    uint8_t *const chunk = malloc(READ_LEN), hash[SHA256_LEN], hex[2 * SHA256_LEN];
    char path[TALK_NAME_MAX];
    for (uint32_t i = 0; i < m->files_n && chunk != NULL; i++) {
        const struct metainfo_file *f = &m->files[i];
        const struct file_name name = {slice_str(root), f->path};
        if ((f->flags & (FILE_PAD | FILE_SYMLINK)) != 0 || (priorities != NULL && priorities[i] == 0))
            continue;
        if (sha256_of_file(&name, chunk, hash) != ERR_OK)
            continue;
        struct buf b = {hex, 0, sizeof hex};
        struct wr w = wr_make(&b);
        wr_hex(&w, slice_of(hash, sizeof hash));
        json_t *e = talk_event("sha256");
        json_object_set_new(e, "path", talk_json_text(f->path));
        json_object_set_new(e, "sha256", talk_json_hex(slice_of(hash, sizeof hash)));
        talk_emit(&a->talk, e);
        if (!a->talk.json)
            talk_data(&a->talk, "%.*s  %s", (int)b.n, (const char *)hex, talk_clean(f->path, path));
    }
    free(chunk);
}

static void on_complete(struct app *a, const struct metainfo *m, const char *root, const uint8_t *priorities)
{
    reuse_remember(a, m, root);
    print_sha256(a, m, root, priorities);
}

void get_print_sha256(struct app *a, const char *root, const char *name)
{
    struct metainfo_file file = {.path = slice_str(name)};
    print_sha256(a, &(struct metainfo){.files = &file, .files_n = 1}, root, NULL);
}

int get_make_root(struct app *a, char **out)
{
    const char *const dir = a->options.output != NULL ? a->options.output : ".";
    char name[TALK_NAME_MAX];
    const int e = fileio_mkdirs(dir);
    *out = e == 0 ? realpath(dir, NULL) : NULL;
    if (*out != NULL)
        return 0;
    const int why = e != 0 ? e : errno;
    return talk_fail(&a->talk, why == ENOTDIR || why == EEXIST ? FAIL_USAGE : fail_of_errno(why), "choose another directory with -o",
        "cannot make %s: %s", talk_clean(slice_str(dir), name), strerror(why));
}

// Said now and not when the first peer is found. Content that is there may be seeded from where nothing can be written.
static int check_writable(struct app *a, const struct metainfo *m, const char *root)
{
    ASSERT(root != NULL);
    char path[PATH_MAX], name[TALK_NAME_MAX];
    const int n = snprintf(path, sizeof path, "%s/%.*s", root, (int)m->name.n, (const char *)m->name.p);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) == 0 || access(root, W_OK | X_OK) == 0)
        return 0;
    return talk_fail(&a->talk, fail_of_errno(errno), "choose another directory with -o", "cannot write in %s: %s",
        talk_clean(slice_str(root), name), strerror(errno));
}

static void say_head(struct app *a, const struct metainfo *m, const uint8_t *priorities)
{
    char name[TALK_NAME_MAX], size[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX + 16] = "";
    const uint64_t chosen = torrent_chosen_bytes(m, priorities);
    if (chosen != m->len)
        (void)snprintf(all, sizeof all, " of %s", units_size(m->len, size));
    talk_note(&a->talk, "%s  %s%s  %u piece%s", talk_clean(m->name, name), units_size(chosen, size), all, m->pieces_n,
        m->pieces_n == 1 ? "" : "s");
}

// A link's metadata is here.
static int on_metadata(void *ctx, const struct metainfo *m, const uint8_t **out_priorities)
{
    struct get *g = ctx;
    const int status = select_files(g, m, &g->priorities);
    if (status != 0)
        return status;
    *out_priorities = g->priorities;
    say_head(g->a, m, g->priorities);
    return check_writable(g->a, m, g->root);
}

// The torrent file, or what an earlier run got for the link, or else the link alone: *out_known false.
static int load(struct get *g, const char *what, bool *out_known)
{
    *out_known = true;
    if (!link_is(what)) {
        const int loaded = torrent_load(g->a, what, &g->file);
        if (loaded == 0)
            link_layers(g->a, &g->file, &g->layers);
        return loaded;
    }
    int status = link_read(g->a, what, &g->link);
    if (status == 0)
        status = follow_link(g->a, &g->link);
    if (status != 0 || link_saved(g->a, &g->link, &g->file) == ERR_OK)
        return status;
    *out_known = false;
    if (link_stub(&g->link, &g->file) != ERR_OK)
        return talk_fail(&g->a->talk, FAIL_INTERNAL, NULL, "out of memory");
    for (uint32_t i = 0; i < g->a->options.trackers.n && g->link.magnet.trackers_n < MAGNET_TRACKERS_MAX; i++)
        g->link.magnet.trackers[g->link.magnet.trackers_n++] = slice_str(g->a->options.trackers.items[i]);
    for (uint32_t i = 0; i < g->a->options.web_seeds.n && g->link.magnet.web_seeds_n < MAGNET_WEB_SEEDS_MAX; i++)
        g->link.magnet.web_seeds[g->link.magnet.web_seeds_n++] = slice_str(g->a->options.web_seeds.items[i]);
    return 0;
}

// As session_magnet.c does for metadata that is new.
static int save_known(struct get *g)
{
    struct app *a = g->a;
    char name[TALK_NAME_MAX];
    if (a->options.save_torrent == NULL)
        return 0;
    const int e = fileio_write(a->options.save_torrent, g->file.bytes, a->options.force);
    return e == 0 ? 0 : talk_fail(&a->talk, fail_of_errno(e), e == EEXIST ? "choose another name, or --force" : NULL, "cannot write %s: %s",
        talk_clean(slice_str(a->options.save_torrent), name), strerror(e));
}

// Everything but the session. One that is only a link is chosen from when its metadata comes.
static int prepare(struct get *g, const char *root, struct session_config *out)
{
    struct app *a = g->a;
    int status = 0;
    g->root = root;
    if (g->known)
        status = save_known(g);
    if (status == 0 && g->known)
        status = select_files(g, &g->meta, &g->priorities);
    if (status == 0 && g->known)
        status = check_writable(a, &g->meta, root);
    if (status != 0)
        return status;
    const struct options *o = &a->options;
    *out = (struct session_config){.meta = &g->meta, .root = root, .priorities = g->priorities,
        .stay = o->seed || o->ratio_pm != 0 || o->seed_time != 0 || o->seed_idle != 0, .done = on_complete};
    if (g->link.text != NULL) {
        out->peers = g->link.magnet.peers;
        out->peers_n = g->link.magnet.peers_n;
    }
    if (g->known) {
        say_head(a, &g->meta, g->priorities);
    } else {
        out->link = &g->link;
        out->metadata = on_metadata;
        out->ctx = g;
    }
    return 0;
}

static int load_metalink(struct get *g)
{
    struct buf bytes = {0};
    char name[TALK_NAME_MAX];
    const int e = fileio_read(g->source, METALINK_BYTES_MAX, &bytes);
    if (e != 0)
        return talk_fail(&g->a->talk, fail_of_errno(e), NULL, "cannot read %s: %s", talk_clean(slice_str(g->source), name), strerror(e));
    const int status = get_metalink(g->a, g->source, buf_slice(&bytes), &g->file, &g->known);
    free(bytes.p);
    return status;
}

// *out_over: it was an ordinary file, and that is done.
static int read_source(struct get *g, const struct texts *urls, bool alone, bool *out_over)
{
    int status;
    if (urls->n != 0) {
        status = get_urls(g->a, urls, !alone, &g->file, &g->known);
        *out_over = !g->known;
    } else if (metalink_is_name(g->source)) {
        status = alone ? load_metalink(g) :
            talk_fail(&g->a->talk, FAIL_USAGE, "fetch it by a command of its own", "%s is no torrent file", g->source);
        *out_over = !g->known;
    } else {
        status = load(g, g->source, &g->known);
    }
    g->meta = g->file;
    if (*out_over)
        return status;
    if (status == 0)
        status = add_trackers(g);
    if (status == 0)
        status = add_web_seeds(g);
    return status;
}

static void get_done(struct get *g)
{
    if (g->own_trackers)
        free(g->meta.trackers);
    if (g->own_web_seeds)
        free(g->meta.web_seeds);
    free(g->priorities);
    metainfo_free(&g->file);
    metainfo_free(&g->layers);
    link_done(&g->link);
}

static int get_all(struct app *a, struct get *gets, struct session_config *configs, uint32_t n)
{
    char *root = NULL;
    int status = get_make_root(a, &root);
    for (uint32_t i = 0; i < n && status == 0; i++) {
        ASSERT(root != NULL);
        status = prepare(&gets[i], root, &configs[i]);
    }
    if (status == 0)
        status = session_clash(a, configs, n);
    for (uint32_t i = 0; i < n && status == 0; i++)
        if (gets[i].known)
            status = reuse_files(a, &gets[i].meta, root, gets[i].priorities);
    if (status == 0)
        status = session_run(a, configs, n);
    free(root);
    return status;
}

int cmd_get(struct app *a)
{
    const struct texts *args = &a->options.args;
    bool mirrors = true, over = false;
    for (uint32_t i = 0; i < args->n; i++)
        mirrors &= probe_is_url(args->items[i]);
    const uint32_t n = mirrors ? 1 : args->n;
    struct get *gets = calloc(n, sizeof *gets);
    struct session_config *configs = calloc(n, sizeof *configs);
    int status = gets != NULL && configs != NULL ? 0 : talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    for (uint32_t i = 0; i < n && status == 0 && !over; i++) {
        struct texts one = {&args->items[i], probe_is_url(args->items[i])};
        ASSERT(gets != NULL);
        gets[i].a = a;
        gets[i].source = args->items[i];
        status = read_source(&gets[i], mirrors ? args : &one, mirrors || args->n == 1, &over);
    }
    if (status == 0 && !over)
        status = get_all(a, gets, configs, n);
    for (uint32_t i = 0; i < n && gets != NULL; i++)
        get_done(&gets[i]);
    free(gets);
    free(configs);
    return status;
}
