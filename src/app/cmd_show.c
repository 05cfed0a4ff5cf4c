// `kith show`: what a torrent file says.
#include <stdlib.h>
#include <time.h>

#include "app/cmd.h"
#include "app/link.h"
#include "base/units.h"

static json_t *json_urls(const struct metainfo_url *urls, uint32_t n, bool tiers)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < n; i++) {
        json_t *url = talk_json_text(urls[i].url);
        if (!tiers) {
            json_array_append_new(all, url);
            continue;
        }
        json_t *row = json_object();
        json_object_set_new(row, "url", url);
        json_object_set_new(row, "tier", talk_json_count(urls[i].tier));
        json_array_append_new(all, row);
    }
    return all;
}

static json_t *json_files(const struct metainfo *m)
{
    json_t *all = json_array();
    uint32_t number = 0;
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        if ((f->flags & FILE_PAD) != 0)
            continue;
        json_t *row = json_object();
        json_object_set_new(row, "number", talk_json_count(++number));
        json_object_set_new(row, "path", talk_json_text(f->path));
        json_object_set_new(row, "size", talk_json_count(f->len));
        if (f->root != NULL)
            json_object_set_new(row, "root", talk_json_hex(slice_of(f->root, SHA256_LEN)));
        if ((f->flags & FILE_SYMLINK) != 0)
            json_object_set_new(row, "target", talk_json_text(f->target));
        if ((f->flags & FILE_EXECUTABLE) != 0)
            json_object_set_new(row, "executable", json_true());
        json_array_append_new(all, row);
    }
    return all;
}

// BEP 38, 39.
static void json_hints(json_t *e, const struct metainfo *m)
{
    struct slice all[METAINFO_HINTS_MAX];
    json_t *similar = json_array(), *collections = json_array();
    uint32_t n = metainfo_hints(m->similar, all);
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(similar, talk_json_hex(all[i]));
    n = metainfo_hints(m->collections, all);
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(collections, talk_json_text(all[i]));
    if (json_array_size(similar) != 0)
        json_object_set(e, "similar", similar);
    if (json_array_size(collections) != 0)
        json_object_set(e, "collections", collections);
    json_decref(similar);
    json_decref(collections);
    if (m->update_url.n != 0)
        json_object_set_new(e, "update_url", talk_json_text(m->update_url));
    if (m->has_originator)
        json_object_set_new(e, "originator", json_true());
}

static void show_hints(struct app *a, const struct metainfo *m)
{
    struct slice all[METAINFO_HINTS_MAX];
    uint32_t n = metainfo_hints(m->similar, all);
    for (uint32_t i = 0; i < n; i++)
        if (all[i].n == SHA1_LEN || all[i].n == SHA256_LEN)
            talk_field_hash(&a->talk, "similar", all[i]);
    n = metainfo_hints(m->collections, all);
    for (uint32_t i = 0; i < n; i++)
        talk_field(&a->talk, "collection", all[i]);
    talk_field(&a->talk, "update-url", m->update_url);
    if (m->has_originator)
        talk_data(&a->talk, "%-10s %s", "originator", "it says who may sign its updates (BEP 39); kith does not follow them");
}

static void show_json(struct app *a, const struct metainfo *m)
{
    json_t *e = talk_event("result");
    torrent_describe(m, e);
    json_object_set_new(e, "files", json_files(m));
    json_object_set_new(e, "trackers", json_urls(m->trackers, m->trackers_n, true));
    json_object_set_new(e, "web_seeds", json_urls(m->web_seeds, m->web_seeds_n, false));
    json_hints(e, m);
    if (m->comment.n > 0)
        json_object_set_new(e, "comment", talk_json_text(m->comment));
    if (m->created_by.n > 0)
        json_object_set_new(e, "created_by", talk_json_text(m->created_by));
    if (m->created_s != 0)
        json_object_set_new(e, "created", json_integer(m->created_s * 1000));
    talk_emit(&a->talk, e);
}

static void show_files(struct app *a, const struct metainfo *m)
{
    char path[TALK_NAME_MAX], target[TALK_NAME_MAX], size[UNITS_TEXT_MAX];
    uint32_t number = 0;
    talk_data(&a->talk, "files");
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        if ((f->flags & FILE_PAD) != 0)
            continue;
        const bool link = (f->flags & FILE_SYMLINK) != 0;
        talk_data(&a->talk, "%6u  %10s  %s%s%s", ++number, units_size(f->len, size), talk_clean(f->path, path), link ? " -> " : "",
            link ? talk_clean(f->target, target) : "");
    }
}

static void show_text(struct app *a, const struct metainfo *m)
{
    char size[UNITS_TEXT_MAX], piece[UNITS_TEXT_MAX], when[64] = "";
    talk_field(&a->talk, "name", m->name);
    if (m->has_v1)
        talk_field_hash(&a->talk, "hash v1", slice_of(m->hash_v1, SHA1_LEN));
    if (m->has_v2)
        talk_field_hash(&a->talk, "hash v2", slice_of(m->hash_v2, SHA256_LEN));
    talk_data(&a->talk, "%-10s %s (%llu bytes)", "size", units_size(m->len, size), (unsigned long long)m->len);
    talk_data(&a->talk, "%-10s %u of %s", "pieces", m->pieces_n, units_size(m->piece_len, piece));
    talk_data(&a->talk, "%-10s %s", "version", m->has_v1 && m->has_v2 ? "v1 + v2 (hybrid)" : m->has_v2 ? "v2" : "v1");
    talk_data(&a->talk, "%-10s %s", "private", m->is_private ? "yes: peers only from its trackers" : "no");
    const time_t at = (time_t)m->created_s;
    struct tm tm;
    if (m->created_s != 0 && gmtime_r(&at, &tm) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    talk_field(&a->talk, "created", slice_str(when));
    talk_field(&a->talk, "created by", m->created_by);
    talk_field(&a->talk, "comment", m->comment);
    for (uint32_t i = 0; i < m->trackers_n; i++)
        talk_field(&a->talk, i == 0 ? "trackers" : "", m->trackers[i].url);
    for (uint32_t i = 0; i < m->web_seeds_n; i++)
        talk_field(&a->talk, i == 0 ? "web seeds" : "", m->web_seeds[i].url);
    show_hints(a, m);
    char *const link = torrent_magnet(m);
    if (link != NULL)
        talk_data(&a->talk, "%-10s %s", "magnet", link);
    free(link);
    show_files(a, m);
}

int cmd_show(struct app *a)
{
    struct metainfo m = {0};
    if (link_is(a->options.args.items[0]))
        return link_show(a, a->options.args.items[0]);
    const int status = torrent_load(a, a->options.args.items[0], &m);
    if (status != 0)
        return status;
    if (a->talk.json)
        show_json(a, &m);
    else
        show_text(a, &m);
    metainfo_free(&m);
    return 0;
}
