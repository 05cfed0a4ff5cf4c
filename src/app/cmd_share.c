// `kith share`: seeds files and directories, making their torrents first if none is given.
//
// The torrent is v1 unless asked otherwise. A hybrid would cost twice the hashing, here and on every peer; programs that do
// not know BEP 47 (rtorrent 0.9, aria2) make real files of its pads; and it is two swarms in the place of one.
#include <errno.h>
#include <stdlib.h>

#include "app/cmd.h"
#include "app/link.h"
#include "app/making.h"
#include "app/reuse.h"
#include "app/session.h"
#include "base/units.h"

// Not before others can come: the port may be taken.
static void announce(struct app *a, const struct session_config *cfg)
{
    const struct metainfo *const m = cfg->meta;
    const char *const torrent = cfg->torrent;
    char name[TALK_NAME_MAX], size[UNITS_TEXT_MAX], path[TALK_NAME_MAX];
    char *const link = torrent_magnet(m);
    json_t *e = talk_event("metadata");
    torrent_describe(m, e);
    json_object_set_new(e, "torrent", talk_json_text(slice_str(torrent)));
    talk_emit(&a->talk, e);
    if (!a->talk.json && link != NULL)
        talk_data(&a->talk, "%s", link);
    free(link);
    talk_note(&a->talk, "%s  %s  %u piece%s", talk_clean(m->name, name), units_size(m->len, size), m->pieces_n,
        m->pieces_n == 1 ? "" : "s");
    talk_note(&a->talk, "torrent file: %s", talk_clean(slice_str(torrent), path));
    // The DHT, if peers may come from it, tells them where we are.
    if (m->trackers_n == 0 && (a->options.no_dht || m->is_private))
        talk_note(&a->talk, "no tracker%s: peers%s must be told this address (`kith get … --peer HOST:PORT`)",
            m->is_private ? "" : ", no DHT", m->is_private || a->options.no_lsd ? "" : " outside this network");
}

static void remember(struct app *a, const struct metainfo *m, const char *root, const uint8_t *priorities)
{
    (void)priorities;
    reuse_remember(a, m, root);
}

static int share_given(struct app *a)
{
    const char *const path = a->options.args.items[0];
    struct metainfo m = {0};
    char shown[TALK_NAME_MAX], name[TALK_NAME_MAX];
    int status = torrent_load(a, a->options.torrent, &m);
    if (status != 0)
        return status;
    struct metainfo layers;
    link_layers(a, &m, &layers);
    struct metainfo with = m;
    struct metainfo_url *const all = calloc((size_t)m.trackers_n + a->options.trackers.n + 1, sizeof *all);
    char *const root = torrent_find_root(&m, path);
    if (all == NULL) {
        status = talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    } else if (root == NULL) {
        status = talk_fail(&a->talk, FAIL_NOT_FOUND, "give the file or directory of that name, or the directory that contains it",
            "%s is not %s, which the torrent describes", talk_clean(slice_str(path), shown), talk_clean(m.name, name));
    } else {
        for (uint32_t i = 0; i < m.trackers_n; i++)
            all[i] = m.trackers[i];
        const uint32_t first_tier = m.trackers_n > 0 ? m.trackers[m.trackers_n - 1].tier + 1 : 0;
        for (uint32_t i = 0; i < a->options.trackers.n && with.trackers_n < METAINFO_URLS_MAX; i++)
            all[with.trackers_n++] = (struct metainfo_url){slice_str(a->options.trackers.items[i]), first_tier + i};
        with.trackers = all;
        const struct session_config c = {.meta = &with, .root = root, .torrent = a->options.torrent, .ready = announce, .done = remember,
            .stay = true, .share = true};
        status = session_run(a, &c, 1);
    }
    free(all);
    free(root);
    metainfo_free(&m);
    metainfo_free(&layers);
    return status;
}

// What is kept of one path while the session runs.
struct shared {
    struct making made;
    char *torrent, *root;
};

static int make(struct app *a, const char *path, struct shared *out, struct session_config *config)
{
    int status = making_run(a, path, &out->made);
    if (status == 0)
        status = making_write(a, &out->made, &out->torrent);
    if (status != 0)
        return status;
    out->root = making_root(&out->made);
    if (out->root == NULL)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    *config = (struct session_config){.meta = &out->made.meta, .root = out->root, .torrent = out->torrent, .ready = announce, .done = remember,
        .trust = true, .stay = true, .share = true};
    return 0;
}

int cmd_share(struct app *a)
{
    if (a->options.torrent != NULL)
        return share_given(a);
    const uint32_t n = a->options.args.n;
    struct shared *all = calloc(n, sizeof *all);
    struct session_config *configs = calloc(n, sizeof *configs);
    int status = all != NULL && configs != NULL ? 0 : talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    uint32_t made = 0;
    while (made < n && status == 0) {
        ASSERT(all != NULL);
        ASSERT(configs != NULL);
        status = make(a, a->options.args.items[made], &all[made], &configs[made]);
        made++;
    }
    if (status == 0)
        status = session_clash(a, configs, n);
    if (status == 0)
        status = session_run(a, configs, n);
    for (uint32_t i = 0; i < made; i++) {
        ASSERT(all != NULL);
        free(all[i].root);
        free(all[i].torrent);
        making_done(&all[i].made);
    }
    free(all);
    free(configs);
    return status;
}
