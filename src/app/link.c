// See link.h.
#include "app/link.h"

#include <stdlib.h>

#include "app/fileio.h"
#include "app/state.h"

enum { KEY_MAX = 128 };

bool link_is(const char *text) { return slice_starts(slice_str(text), "magnet:"); }

int link_read(struct app *a, const char *text, struct link *out)
{
    const size_t n = strlen(text);
    struct link l = {.text = malloc(n + 1)};
    struct buf scratch = {l.text, 0, n + 1};
    if (l.text == NULL)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    const enum err e = magnet_parse(&l.magnet, slice_str(text), &scratch);
    if (e == ERR_OK) {
        *out = l;
        return 0;
    }
    free(l.text);
    return talk_fail(&a->talk, FAIL_USAGE, "quote it: 'magnet:?xt=urn:btih:…'; & means something to the shell",
        "not a magnet link with a hash (btih or btmh) or a key (btpk): %s", err_text(e));
}

void link_done(struct link *l)
{
    free(l->text);
    *l = (struct link){0};
}

enum err link_stub(const struct link *l, struct metainfo *out)
{
    const struct magnet *g = &l->magnet;
    struct metainfo m = {.name = g->name, .has_v1 = g->has_v1, .has_v2 = g->has_v2, .mem = &app_mem};
    memcpy(m.hash_v1, g->hash_v1, sizeof m.hash_v1);
    memcpy(m.hash_v2, g->hash_v2, sizeof m.hash_v2);
    m.trackers = mem_zarray(&app_mem, (size_t)g->trackers_n + 1, sizeof *m.trackers);
    if (m.trackers == NULL)
        return ERR_NOMEM;
    m.trackers_cap = g->trackers_n + 1;
    m.trackers_n = g->trackers_n;
    for (uint32_t i = 0; i < g->trackers_n; i++)
        m.trackers[i] = (struct metainfo_url){g->trackers[i], i};
    *out = m;
    return ERR_OK;
}

static int by_root(const void *a, const void *b)
{
    return memcmp(((const struct metainfo_layer *)a)->root, ((const struct metainfo_layer *)b)->root, SHA256_LEN);
}

// Sorted by root, each once; from malloc.
static struct metainfo_layer *layers_of(const struct metainfo *m, uint32_t *out_n)
{
    struct metainfo_layer *all = calloc((size_t)m->files_n + 1, sizeof *all);
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; all != NULL && i < m->files_n; i++)
        if (m->files[i].layer != NULL)
            all[n++] = (struct metainfo_layer){m->files[i].root,
                slice_of(m->files[i].layer, (size_t)u64_div_up(m->files[i].len, m->piece_len) * SHA256_LEN)};
    if (all != NULL)
        qsort(all, n, sizeof *all, by_root);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || memcmp(all[kept - 1].root, all[i].root, SHA256_LEN) != 0)
            all[kept++] = all[i];
    *out_n = kept;
    return all;
}

static enum err wrap(const struct metainfo_wrapping *m, struct buf *out)
{
    const size_t cap = metainfo_wrap_len(m);
    struct buf b = {malloc(cap), 0, cap};
    if (b.p == NULL)
        return ERR_NOMEM;
    struct wr w = wr_make(&b);
    metainfo_wrap(&w, m);
    ASSERT(w.ok);
    *out = b;
    return ERR_OK;
}

enum err link_wrap(const struct link *l, struct slice info, struct buf *out)
{
    struct metainfo stub;
    if (link_stub(l, &stub) != ERR_OK)
        return ERR_NOMEM;
    const struct metainfo_wrapping m = {.info = info, .trackers = stub.trackers, .trackers_n = stub.trackers_n,
        .web_seeds = l->magnet.web_seeds, .web_seeds_n = l->magnet.web_seeds_n};
    const enum err e = wrap(&m, out);
    metainfo_free(&stub);
    return e;
}

enum err link_wrap_layers(const struct metainfo *m, struct buf *out)
{
    struct metainfo_wrapping all = {.info = m->info, .trackers = m->trackers, .trackers_n = m->trackers_n};
    struct slice *seeds = calloc((size_t)m->web_seeds_n + 1, sizeof *seeds);
    struct metainfo_layer *layers = layers_of(m, &all.layers_n);
    for (uint32_t i = 0; i < m->web_seeds_n && seeds != NULL; i++)
        seeds[i] = m->web_seeds[i].url;
    all.layers = layers;
    all.web_seeds = seeds;
    all.web_seeds_n = m->web_seeds_n;
    const enum err e = seeds != NULL && layers != NULL ? wrap(&all, out) : ERR_NOMEM;
    free(seeds);
    free(layers);
    return e;
}

void link_key(const struct metainfo *m, struct wr *w)
{
    wr_str(w, "metadata/");
    wr_hex(w, m->has_v1 ? slice_of(m->hash_v1, SHA1_LEN) : slice_of(m->hash_v2, SHA256_LEN));
}

static bool is_for(const struct magnet *g, const struct metainfo *m)
{
    return (!g->has_v1 || (m->has_v1 && memcmp(g->hash_v1, m->hash_v1, SHA1_LEN) == 0)) &&
           (!g->has_v2 || (m->has_v2 && memcmp(g->hash_v2, m->hash_v2, SHA256_LEN) == 0));
}

static enum err load_saved(struct app *a, const struct metainfo *of, struct metainfo *out)
{
    struct state *state = NULL;
    struct buf file = {0};
    uint8_t key[KEY_MAX];
    char why[STATE_WHY_MAX];
    struct buf b = {key, 0, sizeof key};
    struct wr w = wr_make(&b);
    link_key(of, &w);
    if (state_open(&state, a->options.state, why) != ERR_OK)
        return ERR_NOT_FOUND;           // the session says it
    enum err e = state_load(state, buf_slice(&b), &file);
    state_close(state);
    if (e == ERR_OK)
        e = metainfo_parse_own(out, &app_mem, buf_slice(&file), why);
    free(file.p);
    return e == ERR_OK ? ERR_OK : ERR_NOT_FOUND;
}

enum err link_saved(struct app *a, const struct link *l, struct metainfo *out)
{
    struct metainfo of = {.has_v1 = l->magnet.has_v1, .has_v2 = l->magnet.has_v2};
    memcpy(of.hash_v1, l->magnet.hash_v1, sizeof of.hash_v1);
    memcpy(of.hash_v2, l->magnet.hash_v2, sizeof of.hash_v2);
    const enum err e = load_saved(a, &of, out);
    if (e != ERR_OK || is_for(&l->magnet, out))
        return e;
    metainfo_free(out);
    return ERR_NOT_FOUND;
}

static bool wants_layer(const struct metainfo *m, const struct metainfo_file *f)
{
    return f->root != NULL && f->layer == NULL && f->len > m->piece_len;
}

void link_layers(struct app *a, struct metainfo *m, struct metainfo *out_saved)
{
    bool wants = false;
    for (uint32_t i = 0; i < m->files_n; i++)
        wants |= wants_layer(m, &m->files[i]);
    *out_saved = (struct metainfo){0};
    if (!wants || load_saved(a, m, out_saved) != ERR_OK)
        return;
    if (!slice_eq(out_saved->info, m->info) || out_saved->files_n != m->files_n)
        return;
    for (uint32_t i = 0; i < m->files_n; i++)
        if (wants_layer(m, &m->files[i]))
            m->files[i].layer = out_saved->files[i].layer;
}

// ---- kith show

static json_t *json_texts(const struct slice *items, uint32_t n)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(all, talk_json_text(items[i]));
    return all;
}

static void show_json(struct app *a, const struct magnet *m)
{
    char text[ADDR_TEXT_MAX];
    json_t *e = talk_event("result"), *peers = json_array(), *files = json_array();
    json_object_set_new(e, "name", talk_json_text(m->name));
    if (m->has_v1)
        json_object_set_new(e, "hash_v1", talk_json_hex(slice_of(m->hash_v1, SHA1_LEN)));
    if (m->has_v2)
        json_object_set_new(e, "hash_v2", talk_json_hex(slice_of(m->hash_v2, SHA256_LEN)));
    if (m->has_key)
        json_object_set_new(e, "key", talk_json_hex(slice_of(m->key, SIGN_PUBLIC_LEN)));
    if (m->salt.n != 0)
        json_object_set_new(e, "salt", talk_json_hex(m->salt));
    json_object_set_new(e, "trackers", json_texts(m->trackers, m->trackers_n));
    json_object_set_new(e, "web_seeds", json_texts(m->web_seeds, m->web_seeds_n));
    for (uint32_t i = 0; i < m->peers_n; i++)
        json_array_append_new(peers, json_string(addr_format(&m->peers[i], text)));
    json_object_set_new(e, "peers", peers);
    for (uint32_t i = 0; i <= MAGNET_FILE_MAX && m->has_files; i++)
        if (bits_get(m->files_wanted, i))
            json_array_append_new(files, talk_json_count(i));
    if (m->has_files)
        json_object_set(e, "files_selected", files);
    json_decref(files);
    talk_emit(&a->talk, e);
}

static void show_text(struct app *a, const struct magnet *m)
{
    char text[ADDR_TEXT_MAX];
    uint32_t selected = 0;
    talk_field(&a->talk, "name", m->name);
    if (m->has_v1)
        talk_field_hash(&a->talk, "hash v1", slice_of(m->hash_v1, SHA1_LEN));
    if (m->has_v2)
        talk_field_hash(&a->talk, "hash v2", slice_of(m->hash_v2, SHA256_LEN));
    if (m->has_key)
        talk_field_hash(&a->talk, "key", slice_of(m->key, SIGN_PUBLIC_LEN));
    if (m->salt.n != 0)
        talk_field_hash(&a->talk, "salt", m->salt);
    for (uint32_t i = 0; i < m->trackers_n; i++)
        talk_field(&a->talk, i == 0 ? "trackers" : "", m->trackers[i]);
    for (uint32_t i = 0; i < m->web_seeds_n; i++)
        talk_field(&a->talk, i == 0 ? "web seeds" : "", m->web_seeds[i]);
    for (uint32_t i = 0; i < m->peers_n; i++)
        talk_field(&a->talk, i == 0 ? "peers" : "", slice_str(addr_format(&m->peers[i], text)));
    for (uint32_t i = 0; i <= MAGNET_FILE_MAX && m->has_files; i++)
        selected += bits_get(m->files_wanted, i);
    if (m->has_files)
        talk_data(&a->talk, "%-10s %u file%s selected", "files", selected, selected == 1 ? "" : "s");
    talk_data(&a->talk, "%-10s %s: `kith get` asks %s", "",
        m->has_v1 || m->has_v2 ? "its size and files are known to its peers" : "which torrent it means now is in the DHT",
        m->has_v1 || m->has_v2 ? "them" : "it");
}

int link_show(struct app *a, const char *text)
{
    struct link l = {0};
    const int status = link_read(a, text, &l);
    if (status != 0)
        return status;
    if (a->talk.json)
        show_json(a, &l.magnet);
    else
        show_text(a, &l.magnet);
    link_done(&l);
    return 0;
}
