// `kith verify`: compares files with their torrent, on all cores.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/fileio.h"
#include "app/hashing.h"
#include "app/interrupt.h"
#include "app/progress.h"
#include "base/units.h"
#include "plat/file.h"

enum file_state { FILE_GOOD, FILE_DAMAGED, FILE_MISSING, FILE_SIZE, FILE_UNREADABLE };

struct verify {
    struct app *a;
    struct metainfo meta;
    char *root;
    struct hashing_file *files;
    uint8_t (*sha1)[SHA1_LEN];
    uint8_t (*sha256)[SHA256_LEN];
    uint8_t *results;                   // of pieces; then: is it good?
    uint8_t *states;                    // enum file_state of each file
    uint64_t *bad_bytes;                // of each file: in bad pieces
    uint64_t *sizes;                    // on disk
    nsec took;
};

static void verify_done(struct verify *v)
{
    free(v->root);
    free(v->files);
    free(v->sha1);
    free(v->sha256);
    free(v->results);
    free(v->states);
    free(v->bad_bytes);
    free(v->sizes);
    metainfo_free(&v->meta);
}

static int prepare(struct verify *v)
{
    const struct metainfo *m = &v->meta;
    const size_t files_n = m->files_n > 0 ? m->files_n : 1, pieces_n = m->pieces_n > 0 ? m->pieces_n : 1;
    v->files = calloc(files_n, sizeof *v->files);
    v->states = calloc(files_n, sizeof *v->states);
    v->bad_bytes = calloc(files_n, sizeof *v->bad_bytes);
    v->sizes = calloc(files_n, sizeof *v->sizes);
    v->results = calloc(pieces_n, sizeof *v->results);
    v->sha1 = m->has_v1 ? calloc(pieces_n, sizeof *v->sha1) : NULL;
    v->sha256 = m->has_v2 ? calloc(pieces_n, sizeof *v->sha256) : NULL;
    if (v->files == NULL || v->states == NULL || v->bad_bytes == NULL || v->sizes == NULL || v->results == NULL ||
        (m->has_v1 && v->sha1 == NULL) || (m->has_v2 && v->sha256 == NULL))
        return talk_fail(&v->a->talk, FAIL_INTERNAL, NULL, "out of memory");
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        v->files[i] = (struct hashing_file){f->path, f->offset, f->len, (f->flags & FILE_PAD) != 0};
    }
    return 0;
}

static bool can_read(const struct file_name *name)
{
    int fd = -1;
    if (file_open(name, FILE_READ, &fd) != ERR_OK)
        return false;
    close(fd);
    return true;
}

// What can be said without reading: is it there, as long as it should be, and may it be read?
static void look(struct verify *v)
{
    for (uint32_t i = 0; i < v->meta.files_n; i++) {
        const struct metainfo_file *f = &v->meta.files[i];
        const struct file_name name = {slice_str(v->root), f->path};
        struct file_stat st = {0};
        if ((f->flags & FILE_PAD) != 0)
            continue;
        const enum err e = file_stat_of(&name, &st);
        v->sizes[i] = st.size;
        if (e == ERR_NOT_FOUND || e == ERR_NOT_DIR || e == ERR_VANISHED)
            v->states[i] = FILE_MISSING;
        else if (e != ERR_OK)
            v->states[i] = FILE_UNREADABLE;
        else if ((f->flags & FILE_SYMLINK) == 0 && (!st.is_file || st.size != f->len))
            v->states[i] = FILE_SIZE;
        else if (st.is_file && !can_read(&name))
            v->states[i] = FILE_UNREADABLE;
    }
}

static int hash_all(struct verify *v)
{
    struct app *a = v->a;
    const struct metainfo *m = &v->meta;
    const struct hashing_config cfg = {.root = slice_str(v->root), .files = v->files, .files_n = m->files_n, .piece_len = m->piece_len,
        .pieces_n = m->pieces_n, .threads = a->options.threads, .keep_going = true, .sha1 = v->sha1, .sha256 = v->sha256,
        .results = v->results};
    struct hashing *h = NULL;
    const nsec begun = app_now();
    interrupt_catch();
    const enum err e = hashing_start(&h, &cfg);
    if (e != ERR_OK)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "cannot start hashing: %s", err_text(e));
    struct progress progress;
    char id[2 * SHA1_LEN + 1], name[TALK_NAME_MAX];
    progress_init(&progress, &a->talk, (enum progress_mode)a->options.progress);
    progress.next = begun + NSEC_S / 2;
    torrent_id(m, id);
    talk_clean(m->name, name);
    while (!hashing_wait(h, 50) && !interrupted()) {
        const nsec now = app_now();
        const uint64_t done = hashing_bytes(h);
        const struct progress_view view = {.verb = "verify", .id = id, .name = name, .done = done, .size = m->len,
            .down_bps = units_per_second(done, now - begun)};
        progress_show(&progress, now, &view, 1, false);
    }
    progress_end(&progress);
    hashing_free(h);
    v->took = app_now() - begun;
    return interrupted() ? talk_fail(&a->talk, FAIL_INTERRUPTED, NULL, "stopped before all was hashed") : 0;
}

// The v2 digest that piece i must have; NULL: the torrent file does not have it.
static const uint8_t *layer_of(const struct metainfo *m, uint32_t i)
{
    const struct metainfo_file *f = &m->files[metainfo_file_at(m, (uint64_t)i * m->piece_len)];
    if (f->len <= m->piece_len)
        return f->root;
    return f->layer != NULL ? f->layer + ((uint64_t)i - f->offset / m->piece_len) * SHA256_LEN : NULL;
}

static bool piece_good(const struct verify *v, uint32_t i)
{
    const struct metainfo *m = &v->meta;
    if (v->results[i] != HASHING_DONE)
        return false;
    if (m->has_v1 && memcmp(v->sha1[i], m->pieces + (size_t)i * SHA1_LEN, SHA1_LEN) != 0)
        return false;
    const uint8_t *const want = m->has_v2 ? layer_of(m, i) : NULL;
    return want == NULL ? m->has_v1 : memcmp(v->sha256[i], want, SHA256_LEN) == 0;
}

// Sums up the bad pieces of each file. Returns how many pieces are bad.
static uint32_t judge(struct verify *v)
{
    const struct metainfo *m = &v->meta;
    uint32_t bad = 0;
    for (uint32_t i = 0; i < m->pieces_n; i++) {
        v->results[i] = piece_good(v, i);
        bad += v->results[i] == 0;
    }
    for (uint32_t f = 0; f < m->files_n; f++) {
        const struct metainfo_file *file = &m->files[f];
        if (file->len == 0 || (file->flags & FILE_PAD) != 0)
            continue;
        const uint64_t end = file->offset + file->len;
        for (uint64_t i = file->offset / m->piece_len; i * m->piece_len < end; i++) {
            const uint64_t from = u64_max(i * m->piece_len, file->offset), to = u64_min((i + 1) * m->piece_len, end);
            v->bad_bytes[f] += v->results[i] == 0 ? to - from : 0;
        }
        if (v->states[f] == FILE_UNREADABLE)
            v->bad_bytes[f] = 0;            // nobody knows
        if (v->states[f] == FILE_GOOD && v->bad_bytes[f] > 0)
            v->states[f] = FILE_DAMAGED;
    }
    return bad;
}

static const char *state_name(enum file_state s)
{
    switch (s) {
    case FILE_GOOD: return "good";
    case FILE_DAMAGED: return "damaged";
    case FILE_MISSING: return "missing";
    case FILE_SIZE: return "size";
    case FILE_UNREADABLE: return "unreadable";
    }
    return "";
}

static void report_json(struct verify *v, uint32_t i)
{
    const struct metainfo_file *f = &v->meta.files[i];
    json_t *e = talk_event("file");
    json_object_set_new(e, "path", talk_json_text(f->path));
    json_object_set_new(e, "state", json_string(state_name((enum file_state)v->states[i])));
    json_object_set_new(e, "size", talk_json_count(f->len));
    json_object_set_new(e, "on_disk", talk_json_count(v->sizes[i]));
    json_object_set_new(e, "bad_bytes", talk_json_count(v->bad_bytes[i]));
    talk_emit(&v->a->talk, e);
}

static void report_file(struct verify *v, uint32_t i)
{
    const struct metainfo_file *f = &v->meta.files[i];
    char path[TALK_NAME_MAX], a[UNITS_TEXT_MAX];
    talk_clean(f->path, path);
    switch ((enum file_state)v->states[i]) {
    case FILE_GOOD:
        if (v->a->talk.verbose > 0)
            talk_data(&v->a->talk, "good        %s", path);
        break;
    case FILE_DAMAGED:
        talk_data(&v->a->talk, "damaged     %s  (%s in bad pieces)", path, units_share(v->bad_bytes[i], f->len, a));
        break;
    case FILE_MISSING: talk_data(&v->a->talk, "missing     %s", path); break;
    case FILE_SIZE:
        talk_data(&v->a->talk, "wrong size  %s  (%llu bytes, should be %llu)", path, (unsigned long long)v->sizes[i],
            (unsigned long long)f->len);
        break;
    case FILE_UNREADABLE: talk_data(&v->a->talk, "unreadable  %s", path); break;
    }
}

static int report(struct verify *v, uint32_t bad)
{
    struct app *a = v->a;
    uint32_t files = 0, bad_files = 0, unreadable = 0;
    for (uint32_t i = 0; i < v->meta.files_n; i++) {
        if ((v->meta.files[i].flags & FILE_PAD) != 0)
            continue;
        files++;
        bad_files += v->states[i] != FILE_GOOD;
        unreadable += v->states[i] == FILE_UNREADABLE;
        if (a->talk.json)
            report_json(v, i);
        else if (!a->talk.quiet)
            report_file(v, i);
    }
    char size[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX], id[2 * SHA1_LEN + 1];
    json_t *e = talk_event("result");
    json_object_set_new(e, "id", json_string(torrent_id(&v->meta, id)));
    json_object_set_new(e, "good", json_boolean(bad == 0 && bad_files == 0));
    json_object_set_new(e, "pieces", talk_json_count(v->meta.pieces_n));
    json_object_set_new(e, "bad_pieces", talk_json_count(bad));
    json_object_set_new(e, "files_n", talk_json_count(files));
    json_object_set_new(e, "bad_files", talk_json_count(bad_files));
    json_object_set_new(e, "ms", talk_json_count(v->took / NSEC_MS));
    talk_emit(&a->talk, e);
    if (unreadable != 0 && unreadable == bad_files)
        return talk_fail(&a->talk, FAIL_PERMISSION, "allow reading it, and try again", "%u of %u files cannot be read", unreadable, files);
    if (bad > 0 || bad_files > 0)
        return talk_fail(&a->talk, FAIL_HASH_MISMATCH, "`kith get` with the same directory fetches what is bad",
            "%u of %u files and %u of %u pieces are not as they should be", bad_files, files, bad, v->meta.pieces_n);
    talk_note(&a->talk, "%s%s in %u files are good, hashed in %s (%s)", a->talk.utf8 ? "✓ " : "", units_size(v->meta.len, size), files,
        units_elapsed(v->took, took), units_rate(units_per_second(v->meta.len, v->took), rate));
    return 0;
}

int cmd_verify(struct app *a)
{
    struct verify v = {.a = a};
    int status = torrent_load(a, a->options.args.items[0], &v.meta);
    if (status != 0)
        return status;
    const char *const dir = a->options.args.items[1];
    v.root = torrent_find_root(&v.meta, dir);
    if (v.root == NULL)
        v.root = realpath(dir, NULL);               // nothing of it is there: every file is reported as missing
    if (v.root == NULL) {
        char name[TALK_NAME_MAX];
        status = talk_fail(&a->talk, fail_of_errno(errno), "check the path", "cannot read %s: %s", talk_clean(slice_str(dir), name),
            strerror(errno));
    }
    if (status == 0)
        status = prepare(&v);
    if (status == 0) {
        look(&v);
        status = hash_all(&v);
    }
    if (status == 0)
        status = report(&v, judge(&v));
    verify_done(&v);
    return status;
}
