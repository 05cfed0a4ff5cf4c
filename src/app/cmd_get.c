// `kith get`: fetches what a torrent describes.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/fileio.h"
#include "app/select.h"
#include "app/session.h"
#include "app/units.h"
#include "plat/file.h"

enum { PRIORITY_NORMAL = 4, READ_LEN = 1 << 18 };

// The torrent's trackers and behind them those of the command line, each a tier. The array is the caller's.
static int add_trackers(struct app *a, struct metainfo *m)
{
    const struct texts *more = &a->options.trackers;
    struct metainfo_url *all = calloc((size_t)m->trackers_n + more->n + 1, sizeof *all);
    if (all == NULL)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    uint32_t tier = 0;
    for (uint32_t i = 0; i < m->trackers_n; i++) {
        all[i] = m->trackers[i];
        tier = u32_max(tier, all[i].tier + 1);
    }
    for (uint32_t i = 0; i < more->n && m->trackers_n < METAINFO_URLS_MAX; i++)
        all[m->trackers_n++] = (struct metainfo_url){slice_str(more->items[i]), tier + i};
    m->trackers = all;
    return 0;
}

// *out NULL: all files.
static int select_files(struct app *a, const struct metainfo *m, uint8_t **out)
{
    if (a->options.select == NULL)
        return 0;
    char why[SELECT_WHY_MAX] = "";
    const size_t n = m->files_n > 0 ? m->files_n : 1;
    bool *wanted = calloc(n, sizeof *wanted);
    uint8_t *priorities = calloc(n, sizeof *priorities);
    enum err e = ERR_NOMEM;
    if (wanted != NULL && priorities != NULL)
        e = select_parse(a->options.select, m, wanted, why);
    if (e != ERR_OK) {
        free(wanted);
        free(priorities);
        if (e == ERR_NOMEM)
            return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
        return talk_fail(&a->talk, FAIL_USAGE, "`kith show` lists the files with their numbers", "%s", why);
    }
    for (uint32_t i = 0; i < m->files_n; i++)
        priorities[i] = wanted[i] ? PRIORITY_NORMAL : 0;
    free(wanted);
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
static void print_sha256(struct app *a, const struct session_config *c)
{
    uint8_t *const chunk = malloc(READ_LEN), hash[SHA256_LEN], hex[2 * SHA256_LEN];
    char path[TALK_NAME_MAX];
    for (uint32_t i = 0; i < c->meta->files_n && chunk != NULL; i++) {
        const struct metainfo_file *f = &c->meta->files[i];
        const struct file_name name = {slice_str(c->root), f->path};
        if ((f->flags & (FILE_PAD | FILE_SYMLINK)) != 0 || (c->priorities != NULL && c->priorities[i] == 0))
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

static int make_root(struct app *a, char **out)
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
    char path[PATH_MAX], name[TALK_NAME_MAX];
    const int n = snprintf(path, sizeof path, "%s/%.*s", root, (int)m->name.n, (const char *)m->name.p);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) == 0 || access(root, W_OK | X_OK) == 0)
        return 0;
    return talk_fail(&a->talk, fail_of_errno(errno), "choose another directory with -o", "cannot write in %s: %s",
        talk_clean(slice_str(root), name), strerror(errno));
}

static void say_head(struct app *a, const struct metainfo *m)
{
    char name[TALK_NAME_MAX], size[UNITS_TEXT_MAX];
    talk_note(&a->talk, "%s  %s  %u piece%s", talk_clean(m->name, name), units_size(m->len, size), m->pieces_n,
        m->pieces_n == 1 ? "" : "s");
}

int cmd_get(struct app *a)
{
    struct metainfo file = {0};
    int status = torrent_load(a, a->options.args.items[0], &file);
    if (status != 0)
        return status;
    struct metainfo m = file;
    char *root = NULL;
    uint8_t *priorities = NULL;
    status = add_trackers(a, &m);
    const bool own_trackers = status == 0;
    if (status == 0)
        status = select_files(a, &m, &priorities);
    if (status == 0)
        status = make_root(a, &root);
    if (status == 0)
        status = check_writable(a, &m, root);
    if (status == 0) {
        ASSERT(root != NULL);
        const struct session_config c = {.meta = &m, .root = root, .priorities = priorities, .stay = a->options.seed};
        say_head(a, &m);
        status = session_run(a, &c);
        if (status == 0 && a->options.sha256)
            print_sha256(a, &c);
    }
    if (own_trackers)
        free(m.trackers);
    free(priorities);
    free(root);
    metainfo_free(&file);
    return status;
}
