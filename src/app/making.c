// See making.h.
#include "app/making.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "app/fileio.h"
#include "app/hashing.h"
#include "app/interrupt.h"
#include "app/progress.h"
#include "base/units.h"
#include "codec/create.h"
#include "codec/path.h"

// Arrays that live from listing to writing.
struct parts {
    struct create_file *files;
    struct hashing_file *spans;         // files and pads in piece space
    uint32_t *file_of_span;
    uint32_t spans_n;
    uint32_t pieces_n;
    uint8_t (*sha1)[SHA1_LEN];
    uint8_t (*sha256)[SHA256_LEN];
    uint8_t (*roots)[SHA256_LEN];
    struct metainfo_url *trackers;
    struct slice *web_seeds, *similar, *collections;
    uint8_t (*hashes)[SHA256_LEN];      // of similar
};

static void parts_done(struct parts *p)
{
    free(p->files);
    free(p->spans);
    free(p->file_of_span);
    free(p->sha1);
    free(p->sha256);
    free(p->roots);
    free(p->trackers);
    free(p->web_seeds);
    free(p->similar);
    free(p->collections);
    free(p->hashes);
}

static int no_memory(struct app *a)
{
    return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
}

static void *array_of(size_t n, size_t size)
{
    return calloc(n > 0 ? n : 1, size);
}

// SOURCE_DATE_EPOCH in place of now, for builds that must repeat.
static int64_t creation_date(void)
{
    const char *const text = getenv("SOURCE_DATE_EPOCH");
    uint64_t v = 0;
    if (text != NULL && dec_parse(slice_str(text), INT64_MAX, &v) == ERR_OK)
        return (int64_t)v;
    return (int64_t)time(NULL);
}

static int check_options(struct app *a)
{
    const uint64_t n = a->options.piece_len;
    if (n == 0 || ((n & (n - 1)) == 0 && n >= BLOCK_LEN && n <= METAINFO_PIECE_LEN_MAX))
        return 0;
    return talk_fail(&a->talk, FAIL_USAGE, "write 16K, 256K, 1M, 16M or the like", "--piece-length %llu: no power of two from 16K to 256M",
        (unsigned long long)n);
}

// BEP 38.
static int fill_hints(struct app *a, struct parts *p, struct create_spec *spec)
{
    const struct options *o = &a->options;
    p->similar = array_of(o->similar.n, sizeof *p->similar);
    p->hashes = array_of(o->similar.n, sizeof *p->hashes);
    p->collections = array_of(o->collections.n, sizeof *p->collections);
    if (p->similar == NULL || p->hashes == NULL || p->collections == NULL)
        return no_memory(a);
    if (o->similar.n > METAINFO_HINTS_MAX || o->collections.n > METAINFO_HINTS_MAX)
        return talk_fail(&a->talk, FAIL_USAGE, NULL, "more than %d of --similar or --collection", METAINFO_HINTS_MAX);
    for (uint32_t i = 0; i < o->similar.n; i++) {
        const struct slice text = slice_str(o->similar.items[i]);
        const size_t n = text.n / 2;
        if ((n != SHA1_LEN && n != SHA256_LEN) || hex_parse(text, p->hashes[i], n) != ERR_OK)
            return talk_fail(&a->talk, FAIL_USAGE, "`kith show` prints the hash of a torrent", "--similar %.100s: not 40 or 64 hex digits",
                o->similar.items[i]);
        p->similar[i] = slice_of(p->hashes[i], n);
    }
    for (uint32_t i = 0; i < o->collections.n; i++) {
        p->collections[i] = slice_str(o->collections.items[i]);
        if (p->collections[i].n == 0)
            return talk_fail(&a->talk, FAIL_USAGE, "write a name that is yours, such as org.example.series", "--collection has no name");
    }
    spec->similar = p->similar;
    spec->similar_n = o->similar.n;
    spec->collections = p->collections;
    spec->collections_n = o->collections.n;
    return 0;
}

static int fill_spec(struct app *a, const struct making *m, struct parts *p, struct create_spec *spec)
{
    const struct options *o = &a->options;
    const struct walk *w = &m->walk;
    p->files = array_of(w->files_n, sizeof *p->files);
    p->trackers = array_of(o->trackers.n, sizeof *p->trackers);
    p->web_seeds = array_of(o->web_seeds.n, sizeof *p->web_seeds);
    if (p->files == NULL || p->trackers == NULL || p->web_seeds == NULL)
        return no_memory(a);
    for (uint32_t i = 0; i < w->files_n; i++) {
        const struct walk_file *f = &w->files[i];
        p->files[i] = (struct create_file){.path = slice_str(f->path), .len = f->len,
            .flags = (f->target != NULL ? FILE_SYMLINK : 0) | (f->executable ? FILE_EXECUTABLE : 0)};
        if (f->target != NULL)
            p->files[i].target = slice_str(f->target);
    }
    for (uint32_t i = 0; i < o->trackers.n; i++)
        p->trackers[i] = (struct metainfo_url){slice_str(o->trackers.items[i]), i};
    for (uint32_t i = 0; i < o->web_seeds.n; i++)
        p->web_seeds[i] = slice_str(o->web_seeds.items[i]);
    *spec = (struct create_spec){
        .name = slice_str(w->name), .is_dir = w->is_dir, .has_v1 = !o->v2, .has_v2 = o->v2 || o->hybrid, .is_private = o->is_private,
        .piece_len = o->piece_len != 0 ? (uint32_t)o->piece_len : create_piece_len(w->total),
        .files = p->files, .files_n = w->files_n, .trackers = p->trackers, .trackers_n = o->trackers.n,
        .web_seeds = p->web_seeds, .web_seeds_n = o->web_seeds.n, .created_by = SLICE_LIT(KITH_AGENT),
        .created_s = o->date ? creation_date() : 0,
    };
    if (o->comment != NULL)
        spec->comment = slice_str(o->comment);
    return fill_hints(a, p, spec);
}

// Lays the files and pads out in piece space.
static int fill_spans(struct app *a, const struct create_spec *spec, struct parts *p)
{
    p->spans = array_of((size_t)spec->files_n * 2, sizeof *p->spans);
    p->file_of_span = array_of((size_t)spec->files_n * 2, sizeof *p->file_of_span);
    if (p->spans == NULL || p->file_of_span == NULL)
        return no_memory(a);
    uint64_t at = 0;
    for (uint32_t i = 0; i < spec->files_n; i++) {
        const struct create_file *f = &spec->files[i];
        if (f->len > 0) {
            p->file_of_span[p->spans_n] = i;
            p->spans[p->spans_n++] = (struct hashing_file){.path = f->path, .offset = at, .len = f->len};
        }
        at += f->len;
        const uint64_t pad = spec->has_v1 ? create_pad_len(spec, i) : 0;
        if (pad > 0)
            p->spans[p->spans_n++] = (struct hashing_file){.offset = at, .len = pad, .zeros = true};
        at += pad;
        if (!spec->has_v1)
            at = u64_div_up(at, spec->piece_len) * spec->piece_len;
    }
    const uint64_t pieces = u64_div_up(at, spec->piece_len);
    if (pieces > METAINFO_PIECES_MAX)
        return talk_fail(&a->talk, FAIL_USAGE, "choose a greater --piece-length", "%llu pieces are too many",
            (unsigned long long)pieces);
    uint64_t hashes = spec->has_v1 ? pieces * SHA1_LEN : 0;
    for (uint32_t i = 0; i < spec->files_n && spec->has_v2; i++)
        hashes += create_layer_len(spec->files[i].len, spec->piece_len);
    if (hashes > METAINFO_BYTES_MAX)
        return talk_fail(&a->talk, FAIL_USAGE, "choose a greater --piece-length",
            "%llu pieces are too many: their hashes alone are %llu bytes, and a torrent file has at most %d", (unsigned long long)pieces,
            (unsigned long long)hashes, METAINFO_BYTES_MAX);
    if (spec->has_v1)
        ASSERT(pieces == create_pieces_n(spec));
    p->pieces_n = (uint32_t)pieces;
    p->sha1 = spec->has_v1 ? array_of(p->pieces_n, sizeof *p->sha1) : NULL;
    p->sha256 = spec->has_v2 ? array_of(p->pieces_n, sizeof *p->sha256) : NULL;
    p->roots = array_of(spec->files_n, sizeof *p->roots);
    if (p->roots == NULL || (spec->has_v1 && p->sha1 == NULL) || (spec->has_v2 && p->sha256 == NULL))
        return no_memory(a);
    return 0;
}

static int hashing_failed(struct app *a, const struct making *m, enum err e, const char *path)
{
    char name[TALK_NAME_MAX + 8];
    snprintf(name, sizeof name, "%s/%s", m->walk.root, path);
    if (e == ERR_NOT_FOUND)
        return talk_fail(&a->talk, FAIL_IO, "wait until nothing writes to it, then try again", "%s became shorter while it was hashed", name);
    return talk_fail(&a->talk, fail_of_err(e), NULL, "cannot read %s: %s", name, err_text(e));
}

static int hash_all(struct app *a, struct making *m, const struct create_spec *spec, struct parts *p)
{
    const struct hashing_config cfg = {.root = slice_str(m->walk.root), .files = p->spans, .files_n = p->spans_n,
        .piece_len = spec->piece_len, .pieces_n = p->pieces_n, .threads = a->options.threads, .sha1 = p->sha1, .sha256 = p->sha256};
    struct hashing *h = NULL;
    const nsec begun = app_now();
    interrupt_catch();
    const enum err started = hashing_start(&h, &cfg);
    if (started != ERR_OK)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "cannot start hashing: %s", err_text(started));
    struct progress progress;
    progress_init(&progress, &a->talk, (enum progress_mode)a->options.progress);
    progress.next = begun + NSEC_S / 2;             // nothing is shown of what is done at once
    while (!hashing_wait(h, 50) && !interrupted()) {
        const nsec now = app_now();
        const uint64_t done = hashing_bytes(h);
        const struct progress_view v = {.verb = "hash", .id = "", .name = m->walk.name, .done = done, .size = m->walk.total,
            .down_bps = units_per_second(done, now - begun)};
        progress_show(&progress, now, &v, 1, false);
    }
    progress_end(&progress);
    uint32_t span = 0, changed = 0;
    const enum err e = hashing_failure(h, &span);
    hashing_free(h);
    m->took = app_now() - begun;
    if (interrupted())
        return talk_fail(&a->talk, FAIL_INTERRUPTED, NULL, "stopped while hashing; nothing was written");
    if (e != ERR_OK)
        return hashing_failed(a, m, e, m->walk.files[p->file_of_span[span]].path);
    if (walk_unchanged(&m->walk, &changed))
        return 0;
    return talk_fail(&a->talk, FAIL_IO, "wait until nothing writes to it, then try again", "%s/%s changed while it was hashed",
        m->walk.root, m->walk.files[changed].path);
}

// The roots and layers of v2 from the hashes of pieces, which lie one file after the other.
static void fill_roots(const struct create_spec *spec, struct parts *p)
{
    for (uint32_t s = 0; s < p->spans_n && spec->has_v2; s++) {
        const struct hashing_file *span = &p->spans[s];
        if (span->zeros)
            continue;
        const uint32_t i = p->file_of_span[s];
        const uint64_t first = span->offset / spec->piece_len, n = u64_div_up(span->len, spec->piece_len);
        p->files[i].root = p->roots[i];
        if (n == 1) {
            memcpy(p->roots[i], p->sha256[first], SHA256_LEN);
            continue;
        }
        p->files[i].layer = p->sha256[first];
        merkle_layer_root(p->sha256[first], n, spec->piece_len, p->roots[i]);
    }
}

static int compose(struct app *a, struct making *m, const struct create_spec *spec)
{
    const size_t cap = create_size_max(spec);
    m->bytes = (struct buf){malloc(cap), 0, cap};
    if (m->bytes.p == NULL)
        return no_memory(a);
    struct wr w = wr_make(&m->bytes);
    const enum err e = create_write(&w, &app_mem, spec);
    if (e == ERR_NOMEM)
        return no_memory(a);
    if (e != ERR_OK)
        return talk_fail(&a->talk, FAIL_USAGE, "rename it, or choose another --piece-length", "%s cannot be a torrent: %s", m->walk.name,
            e == ERR_SYNTAX ? "a name in it is not allowed" : err_text(e));
    char why[160] = "";
    const enum err bad = metainfo_parse(&m->meta, &app_mem, buf_slice(&m->bytes), why);
    if (bad != ERR_OK)
        return talk_fail(&a->talk, FAIL_USAGE, bad == ERR_TOO_LONG ? "choose a greater --piece-length" : NULL,
            "%s cannot be a torrent: %s", m->walk.name, why[0] != 0 ? why : err_text(bad));
    return 0;
}

// Readers make names safe. One that they change could not be seeded from where it lies.
static int check_names(struct app *a, const struct making *m)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < m->meta.files_n; i++) {
        const struct metainfo_file *f = &m->meta.files[i];
        if ((f->flags & FILE_PAD) != 0)
            continue;
        ASSERT(k < m->walk.files_n);
        const struct walk_file *mine = &m->walk.files[k++];
        char want[PATH_MAX + 256], got[TALK_NAME_MAX];
        snprintf(want, sizeof want, "%s%s%s", m->walk.is_dir ? m->walk.name : "", m->walk.is_dir ? "/" : "", mine->path);
        if (!slice_eq_str(f->path, want))
            return talk_fail(&a->talk, FAIL_USAGE, "rename it", "%s: other programs would call it %s", want, talk_clean(f->path, got));
    }
    return 0;
}

// What is wrong with one part of a path: readers make another name of it.
static bool say_part(struct app *a, struct slice part, bool top, uint32_t n)
{
    enum { SHOWN = 60, SAID_MAX = 10 };
    uint8_t space[PATH_PART_MAX + 1];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    (void)path_add(&w, part, PATH_DOTS_DROP);
    if (top)
        path_replace_colons(&b, 0);
    if (slice_eq(buf_slice(&b), part))
        return true;
    char name[TALK_NAME_MAX], got[TALK_NAME_MAX];
    talk_clean(slice_sub(part, 0, size_min(part.n, SHOWN)), name);
    if (n < SAID_MAX && part.n > PATH_PART_CUT)
        talk_warn(&a->talk, "%s%s: a name of %zu bytes, at most %d are allowed", name, part.n > SHOWN ? "..." : "", part.n, PATH_PART_CUT);
    else if (n < SAID_MAX)
        talk_warn(&a->talk, "%s%s: other programs would call it %.80s", name, part.n > SHOWN ? "..." : "", talk_clean(buf_slice(&b), got));
    return false;
}

// Before hours of hashing: all names that could not be kept. A directory's is said once.
static int check_parts(struct app *a, const struct walk *w)
{
    uint32_t bad = !say_part(a, slice_str(w->name), true, 0);
    struct slice before = {0};          // path of the file before this one
    for (uint32_t i = 0; i < w->files_n && w->is_dir; i++) {
        struct slice rest = slice_str(w->files[i].path), part;
        const struct slice path = rest;
        while (path_next(&rest, &part)) {
            const size_t end = path.n - rest.n;
            const bool known = rest.n != 0 && before.n > end && memcmp(before.p, path.p, end) == 0;
            bad += !known && !say_part(a, part, false, bad);
        }
        before = path;
    }
    if (bad == 0)
        return 0;
    return talk_fail(&a->talk, FAIL_USAGE, "rename what is listed above", "%u name%s cannot be in a torrent", bad, bad == 1 ? "" : "s");
}

int making_run(struct app *a, const char *path, struct making *out)
{
    *out = (struct making){0};
    struct parts p = {0};
    struct create_spec spec = {0};
    int status = check_options(a);
    if (status == 0)
        status = walk_path(a, path, &out->walk);
    if (status == 0 && out->walk.total == 0)
        status = talk_fail(&a->talk, FAIL_USAGE, NULL, "%s has no content: a torrent needs at least one byte", out->walk.name);
    if (status == 0)
        status = check_parts(a, &out->walk);
    if (status == 0)
        status = fill_spec(a, out, &p, &spec);
    if (status == 0)
        status = fill_spans(a, &spec, &p);
    if (status == 0)
        status = hash_all(a, out, &spec, &p);
    if (status == 0) {
        fill_roots(&spec, &p);
        spec.pieces = p.sha1 != NULL ? p.sha1[0] : NULL;
        status = compose(a, out, &spec);
    }
    if (status == 0)
        status = check_names(a, out);
    parts_done(&p);
    return status;
}

void making_done(struct making *m)
{
    metainfo_free(&m->meta);
    free(m->bytes.p);
    walk_done(&m->walk);
    *m = (struct making){0};
}

static bool same_content(const char *path, struct slice bytes)
{
    struct buf b = {0};
    if (fileio_read(path, METAINFO_BYTES_MAX, &b) != 0)
        return false;
    const bool same = slice_eq(buf_slice(&b), bytes);
    free(b.p);
    return same;
}

int making_write(struct app *a, const struct making *m, char **out_path)
{
    char path[PATH_MAX], name[TALK_NAME_MAX];
    const char *const given = a->options.output;
    const int n = snprintf(path, sizeof path, "%s%s", given != NULL ? given : m->walk.name, given != NULL ? "" : ".torrent");
    if (n < 0 || (size_t)n >= sizeof path)
        return talk_fail(&a->talk, FAIL_USAGE, NULL, "the path of the torrent file is too long");
    talk_clean(slice_str(path), name);
    int e = fileio_write(path, buf_slice(&m->bytes), a->options.force);
    if (e == EEXIST && same_content(path, buf_slice(&m->bytes)))
        e = 0;
    if (e == EEXIST)
        return talk_fail(&a->talk, FAIL_DUPLICATE, "choose another name with -o, or overwrite it with --force", "%s is there already", name);
    if (e != 0)
        return talk_fail(&a->talk, fail_of_errno(e), "choose another place with -o", "cannot write %s: %s", name, strerror(e));
    *out_path = strdup(path);
    return *out_path != NULL ? 0 : no_memory(a);
}

char *making_root(const struct making *m)
{
    const char *const root = m->walk.root, *const slash = strrchr(root, '/');
    if (!m->walk.is_dir)
        return strdup(root);
    return strndup(root, slash == root ? 1 : (size_t)(slash - root));
}
