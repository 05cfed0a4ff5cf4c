// A torrent that began with a magnet link: what happens when peers have given the metadata. See session.h.
#include <errno.h>
#include <stdlib.h>

#include "app/fileio.h"
#include "app/session_int.h"

// What is kept in the state, on a worker.
struct keep {
    struct state *state;
    struct buf file;
    enum err err;                       // it is fetched again next time
    size_t key_n;
    uint8_t key[KEY_BYTES];
};

static void keep_run(void *ctx)
{
    struct keep *k = ctx;
    k->err = state_save(k->state, slice_of(k->key, k->key_n), buf_slice(&k->file));
}

static void keep_done(void *ctx)
{
    struct keep *k = ctx;
    free(k->file.p);
    free(k);
}

// The next `get` of the same link starts without asking for it. Takes over file->p.
static void keep(struct task *t, struct buf *file)
{
    struct keep *k = t->s->state != NULL && file->n <= STATE_BLOB_MAX ? calloc(1, sizeof *k) : NULL;
    if (k != NULL) {
        struct buf b = {k->key, 0, sizeof k->key};
        struct wr w = wr_make(&b);
        link_key(t->meta, &w);
        k->state = t->s->state;
        k->key_n = b.n;
        k->file = *file;
        if (host_work(t->s->host, keep_run, keep_done, k) == ERR_OK)
            return;
    }
    free(k);
    free(file->p);
}

static int save_torrent(struct task *t, struct slice file, bool overwrite)
{
    const char *const path = t->s->a->options.save_torrent;
    char name[TALK_NAME_MAX];
    const int e = path != NULL ? fileio_write(path, file, overwrite) : 0;
    if (e == 0)
        return 0;
    return talk_fail(&t->s->a->talk, fail_of_errno(e), e == EEXIST ? "choose another name, or --force" : NULL, "cannot write %s: %s",
        talk_clean(slice_str(path), name), strerror(e));
}

// Only now its name is known: another torrent of this session may write there.
static bool is_taken(const struct task *t)
{
    for (uint32_t i = 0; i < t->s->tasks_n; i++) {
        const struct task *const other = &t->s->tasks[i];
        const bool known = other->cfg->link == NULL || other->meta == &other->fetched;
        if (other != t && known && slice_eq(other->meta->name, t->meta->name) && strcmp(other->cfg->root, t->cfg->root) == 0)
            return true;
    }
    return false;
}

// 0: the download has begun.
static int begin(struct task *t)
{
    struct buf resume = {0};
    if (is_taken(t))
        return talk_fail(&t->s->a->talk, FAIL_DUPLICATE, "fetch it into another directory, by a command of its own",
            "another torrent is called %s, too: they would write the same files", t->name);
    int status = t->cfg->metadata(t->cfg->ctx, t->meta, &t->priorities);
    if (status != 0)
        return status;
    session_load_resume(t, &resume);
    const struct node_add add = task_how(t, &resume);
    const enum err e = node_magnet_begin(host_node(t->s->host), host_now(t->s->host), t->torrent, &add);
    free(resume.p);
    t->started_once = true;
    if (e != ERR_OK)
        status = task_cannot_start(t, e);
    return status;
}

void task_metadata(struct task *t, struct slice info)
{
    struct buf file = {0};
    char why[160] = "";
    if (t->ended)
        return;
    enum err e = link_wrap(t->cfg->link, info, &file);
    if (e == ERR_OK)
        e = metainfo_parse_own(&t->fetched, &app_mem, buf_slice(&file), why);
    if (e != ERR_OK) {
        free(file.p);
        task_end(t, talk_fail(&t->s->a->talk, e == ERR_NOMEM ? FAIL_INTERNAL : FAIL_BAD_TORRENT, NULL, "the metadata of %s: %s", t->name,
            why[0] != 0 ? why : err_text(e)));
        return;
    }
    t->meta = &t->fetched;
    task_name(t);
    json_t *event = task_event_json(t, "metadata");
    torrent_describe(t->meta, event);
    talk_emit(&t->s->a->talk, event);
    int status = save_torrent(t, buf_slice(&file), t->s->a->options.force);
    keep(t, &file);
    if (status == 0)
        status = begin(t);
    if (status != 0)
        task_end(t, status);
}

void task_layers(struct task *t)
{
    struct buf file = {0};
    const bool from_link = t->cfg->link != NULL && t->meta == &t->fetched;
    struct metainfo m = *t->meta;
    m.files = calloc((size_t)m.files_n + 1, sizeof *m.files);
    for (uint32_t i = 0; m.files != NULL && i < m.files_n; i++) {
        m.files[i] = t->meta->files[i];
        m.files[i].layer = node_torrent_layer(host_node(t->s->host), t->torrent, i);
    }
    const enum err e = m.files == NULL ? ERR_NOMEM : link_wrap_layers(&m, &file);
    free(m.files);
    if (e != ERR_OK)
        return;                         // they are fetched again next time
    const int status = from_link ? save_torrent(t, buf_slice(&file), true) : 0;     // another torrent file is the user's, it stays as it is
    keep(t, &file);
    if (status != 0)
        task_end(t, status);
}
