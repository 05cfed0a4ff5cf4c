// A session that began with a magnet link: what happens when peers have given the metadata. See session.h.
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
static void keep(struct session *s, struct buf *file)
{
    struct keep *k = s->state != NULL && file->n <= STATE_BLOB_MAX ? calloc(1, sizeof *k) : NULL;
    if (k != NULL) {
        struct buf b = {k->key, 0, sizeof k->key};
        struct wr w = wr_make(&b);
        link_key(&s->cfg->link->magnet, &w);
        k->state = s->state;
        k->key_n = b.n;
        k->file = *file;
        if (host_work(s->host, keep_run, keep_done, k) == ERR_OK)
            return;
    }
    free(k);
    free(file->p);
}

static int save_torrent(struct session *s, struct slice file, bool overwrite)
{
    const char *const path = s->a->options.save_torrent;
    char name[TALK_NAME_MAX];
    const int e = path != NULL ? fileio_write(path, file, overwrite) : 0;
    if (e == 0)
        return 0;
    return talk_fail(&s->a->talk, fail_of_errno(e), e == EEXIST ? "choose another name, or --force" : NULL, "cannot write %s: %s",
        talk_clean(slice_str(path), name), strerror(e));
}

// 0: the download has begun.
static int begin(struct session *s)
{
    struct buf resume = {0};
    int status = s->cfg->metadata(s->cfg->ctx, s->meta, &s->priorities);
    if (status != 0)
        return status;
    session_load_resume(s, &resume);
    const struct node_add add = session_how(s, &resume);
    const enum err e = node_magnet_begin(host_node(s->host), host_now(s->host), s->torrent, &add);
    free(resume.p);
    if (e != ERR_OK)
        status = session_cannot_start(s, e);
    return status;
}

void session_metadata(struct session *s, struct slice info)
{
    struct buf file = {0};
    char why[160] = "";
    if (s->stopping)
        return;
    enum err e = link_wrap(s->cfg->link, info, NULL, &file);
    if (e == ERR_OK)
        e = metainfo_parse_own(&s->fetched, &app_mem, buf_slice(&file), why);
    if (e != ERR_OK) {
        free(file.p);
        session_stop(s, talk_fail(&s->a->talk, e == ERR_NOMEM ? FAIL_INTERNAL : FAIL_BAD_TORRENT, NULL, "the metadata of %s: %s", s->name,
            why[0] != 0 ? why : err_text(e)));
        return;
    }
    s->meta = &s->fetched;
    session_name(s);
    json_t *event = session_event(s, "metadata");
    torrent_describe(s->meta, event);
    talk_emit(&s->a->talk, event);
    int status = save_torrent(s, buf_slice(&file), s->a->options.force);
    keep(s, &file);
    if (status == 0)
        status = begin(s);
    if (status != 0)
        session_stop(s, status);
}

void session_layers(struct session *s)
{
    struct buf file = {0};
    if (s->cfg->link == NULL || s->meta != &s->fetched)
        return;                         // a torrent file without layers: the user's, it stays as it is
    struct metainfo m = s->fetched;
    m.files = calloc((size_t)m.files_n + 1, sizeof *m.files);
    for (uint32_t i = 0; m.files != NULL && i < m.files_n; i++) {
        m.files[i] = s->fetched.files[i];
        m.files[i].layer = node_torrent_layer(host_node(s->host), s->torrent, i);
    }
    const enum err e = m.files == NULL ? ERR_NOMEM : link_wrap(s->cfg->link, m.info, &m, &file);
    free(m.files);
    if (e != ERR_OK)
        return;                         // they are fetched again next time
    const int status = save_torrent(s, buf_slice(&file), true);
    keep(s, &file);
    if (status != 0)
        session_stop(s, status);
}
