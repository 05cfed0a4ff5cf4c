// See reuse.h. Keys of the state database: place/HASH is the key of its metadata, a newline, and the directory; collection/DIGEST is the
// hashes of its torrents, one a line.
#include "app/reuse.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "app/fileio.h"
#include "app/interrupt.h"
#include "app/link.h"
#include "app/state.h"
#include "base/units.h"
#include "plat/file.h"

enum { KEY_MAX = 128, CHUNK = 1 << 18, HEX_MAX = 2 * SHA256_LEN, LONG_BYTES = 64 << 20 };

struct key {
    uint8_t bytes[KEY_MAX];
    struct buf b;
};

static struct slice key_of(struct key *k, const char *kind, struct slice bytes)
{
    k->b = (struct buf){k->bytes, 0, sizeof k->bytes};
    struct wr w = wr_make(&k->b);
    wr_str(&w, kind);
    wr_hex(&w, bytes);
    ASSERT(w.ok);
    return buf_slice(&k->b);
}

static struct slice key_of_collection(struct key *k, struct slice name)
{
    uint8_t digest[SHA1_LEN];
    sha1_of(name, digest);
    return key_of(k, "collection/", slice_of(digest, sizeof digest));
}

// ---- remembering

static void save_place(struct state *s, struct slice hash, const struct metainfo *m, const char *root)
{
    uint8_t text[PATH_MAX + KEY_MAX];
    struct buf b = {text, 0, sizeof text};
    struct wr w = wr_make(&b);
    struct key k;
    link_key(m, &w);
    wr_str(&w, "\n");
    wr_str(&w, root);
    if (w.ok)
        (void)!state_save(s, key_of(&k, "place/", hash), buf_slice(&b));
}

static struct slice id_of(const struct metainfo *m) { return m->has_v1 ? slice_of(m->hash_v1, SHA1_LEN) : slice_of(m->hash_v2, SHA256_LEN); }

// It comes first, and the last one goes.
static void join(struct state *s, struct slice name, const struct metainfo *m)
{
    uint8_t text[(HEX_MAX + 1) * REUSE_MEMBERS_MAX];
    struct buf b = {text, 0, sizeof text}, old = {0};
    struct wr w = wr_make(&b);
    struct key k;
    wr_hex(&w, id_of(m));
    wr_str(&w, "\n");
    const struct slice me = slice_sub(buf_slice(&b), 0, b.n - 1);
    uint32_t n = 1;
    if (state_load(s, key_of_collection(&k, name), &old) == ERR_OK) {
        for (size_t at = 0; at < old.n && n < REUSE_MEMBERS_MAX;) {
            const uint8_t *const end = memchr(old.p + at, '\n', old.n - at);
            const size_t len = end == NULL ? old.n - at : (size_t)(end - old.p) - at;
            const struct slice line = slice_of(old.p + at, len);
            at += len + 1;
            if (len == 0 || len > HEX_MAX || slice_eq(line, me))
                continue;
            wr_bytes(&w, line);
            wr_str(&w, "\n");
            n++;
        }
    }
    free(old.p);
    if (w.ok)
        (void)!state_save(s, key_of_collection(&k, name), buf_slice(&b));
}

static void save_metadata(struct state *s, const struct metainfo *m)
{
    uint8_t space[KEY_MAX];
    struct buf key = {space, 0, sizeof space}, there = {0}, file = {0};
    struct wr w = wr_make(&key);
    link_key(m, &w);
    if (state_load(s, buf_slice(&key), &there) != ERR_OK && link_wrap_layers(m, &file) == ERR_OK)
        (void)!state_save(s, buf_slice(&key), buf_slice(&file));
    free(there.p);
    free(file.p);
}

void reuse_remember(struct app *a, const struct metainfo *m, const char *root)
{
    struct state *s = NULL;
    char why[STATE_WHY_MAX];
    struct slice names[METAINFO_HINTS_MAX];
    if (m->is_private || m->bytes.n > REUSE_BYTES_MAX || m->info.n == 0 || state_open(&s, a->options.state, why) != ERR_OK)
        return;
    save_metadata(s, m);
    if (m->has_v1)
        save_place(s, slice_of(m->hash_v1, SHA1_LEN), m, root);
    if (m->has_v2) {
        save_place(s, slice_of(m->hash_v2, SHA256_LEN), m, root);
        save_place(s, slice_of(m->hash_v2, SHA1_LEN), m, root);
    }
    const uint32_t n = metainfo_hints(m->collections, names);
    for (uint32_t i = 0; i < n; i++)
        join(s, names[i], m);
    state_close(s);
}

// ---- copying

struct reuse {
    struct app *a;
    struct state *state;
    const struct metainfo *m;
    const char *root;
    bool *wanted;                       // and not there yet, of each file
    uint32_t sources, files;
    uint64_t bytes, pairs;
    bool over;                          // no room, interrupted, or enough was compared
};

static enum err copy_plainly(int from, int to, uint64_t len)
{
    uint8_t *const chunk = malloc(CHUNK);
    enum err e = chunk == NULL ? ERR_NOMEM : ERR_OK;
    for (uint64_t at = 0; at < len && e == ERR_OK && !interrupted(); at += CHUNK) {
        const size_t n = (size_t)u64_min(CHUNK, len - at);
        struct iovec in = {chunk, n}, out = {chunk, n};
        e = file_read_all(from, &in, 1, at);
        if (e == ERR_OK)
            e = file_write_all(to, &out, 1, at);
    }
    free(chunk);
    return e;
}

// By reference where the file system can do that.
static enum err copy(int from, int to, uint64_t len)
{
    off_t in = 0, out = 0;
    while ((uint64_t)out < len && !interrupted()) {
        const ssize_t n = copy_file_range(from, &in, to, &out, (size_t)u64_min(len - (uint64_t)out, 64 * MIB), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ENOSPC)
            return ERR_NOSPACE;
        if (n <= 0)
            return copy_plainly(from, to, len);
    }
    return ERR_OK;
}

enum copied { COPIED, NO_SOURCE, NO_PLACE };

static enum copied copy_file(struct reuse *r, const struct metainfo_file *f, const struct file_name *from)
{
    const struct file_name to = {slice_str(r->root), f->path};
    char path[TALK_NAME_MAX], root[TALK_NAME_MAX];
    struct stat st;
    int in = -1, out = -1;
    if (file_open(from, FILE_READ, &in) != ERR_OK)
        return NO_SOURCE;
    enum err e = fstat(in, &st) == 0 && (uint64_t)st.st_size == f->len ? ERR_OK : ERR_NOT_FOUND;
    const bool usable = e == ERR_OK;
    if (usable)
        e = file_open(&to, (f->flags & FILE_EXECUTABLE) != 0 ? FILE_WRITE_EXECUTABLE : FILE_WRITE, &out);
    const bool placed = e == ERR_OK;
    if (placed && f->len >= LONG_BYTES)
        talk_note(&r->a->talk, "copying %s from %s", talk_clean(from->path, path), talk_clean(from->root, root));
    if (placed)
        e = copy(in, out, f->len);
    if (e == ERR_OK && fsync(out) != 0)
        e = ERR_IO;
    if (e == ERR_OK && interrupted())
        e = ERR_CLOSED;                 // half of it, perhaps
    (void)close(in);
    if (out >= 0)
        (void)close(out);
    r->over |= e == ERR_NOSPACE || interrupted();
    if (e != ERR_OK && out >= 0)
        (void)!file_remove(&to);
    if (e == ERR_OK)
        return COPIED;
    return usable && !placed ? NO_PLACE : NO_SOURCE;
}

static struct slice name_of(struct slice path)
{
    size_t at = path.n;
    while (at > 0 && path.p[at - 1] != '/')
        at--;
    return slice_sub(path, at, path.n);
}

static bool may_be_same(const struct metainfo_file *a, const struct metainfo_file *b)
{
    if (a->len != b->len || (b->flags & (FILE_PAD | FILE_SYMLINK)) != 0)
        return false;
    if (a->root != NULL && b->root != NULL)
        return memcmp(a->root, b->root, SHA256_LEN) == 0;
    return slice_eq(name_of(a->path), name_of(b->path));
}

// What cannot be read is not tried again: thousands of files of one name and length, all gone, are otherwise opened each for each.
static void take_from(struct reuse *r, const struct metainfo *other, struct slice root)
{
    bool *const useless = calloc(other->files_n, sizeof *useless);
    r->over |= useless == NULL;
    for (uint32_t i = 0; i < r->m->files_n && !r->over; i++) {
        const struct metainfo_file *const f = &r->m->files[i];
        for (uint32_t k = 0; k < other->files_n && r->wanted[i] && !r->over; k++) {
            r->over |= ++r->pairs == REUSE_PAIRS_MAX;
            if (useless[k] || !may_be_same(f, &other->files[k]))
                continue;
            switch (copy_file(r, f, &(struct file_name){root, other->files[k].path})) {
            case COPIED:
                r->files++;
                r->bytes += f->len;
                r->wanted[i] = false;
                break;
            case NO_SOURCE: useless[k] = true; break;
            case NO_PLACE: r->wanted[i] = false; break;
            }
        }
    }
    free(useless);
}

// A torrent by its hash, if it is known.
static void look_at(struct reuse *r, struct slice hash)
{
    struct buf place = {0}, file = {0};
    struct metainfo other = {0};
    struct key k;
    char why[160];
    if (r->over || (hash.n != SHA1_LEN && hash.n != SHA256_LEN) || r->sources == REUSE_SOURCES_MAX)
        return;
    if (state_load(r->state, key_of(&k, "place/", hash), &place) != ERR_OK)
        return;
    r->sources++;
    const uint8_t *const end = memchr(place.p, '\n', place.n);
    if (end != NULL && state_load(r->state, slice_of(place.p, (size_t)(end - place.p)), &file) == ERR_OK &&
        metainfo_parse_own(&other, &app_mem, buf_slice(&file), why) == ERR_OK) {
        const size_t at = (size_t)(end - place.p) + 1;
        take_from(r, &other, slice_of(place.p + at, place.n - at));
        metainfo_free(&other);
    }
    free(place.p);
    free(file.p);
}

static void look_at_collection(struct reuse *r, struct slice name)
{
    struct buf list = {0};
    struct key k;
    uint8_t hash[SHA256_LEN];
    if (state_load(r->state, key_of_collection(&k, name), &list) != ERR_OK)
        return;
    for (size_t at = 0; at < list.n;) {
        const uint8_t *const end = memchr(list.p + at, '\n', list.n - at);
        const size_t len = end == NULL ? list.n - at : (size_t)(end - list.p) - at;
        if (len <= HEX_MAX && len % 2 == 0 && hex_parse(slice_of(list.p + at, len), hash, len / 2) == ERR_OK)
            look_at(r, slice_of(hash, len / 2));
        at += len + 1;
    }
    free(list.p);
}

static bool is_there(const struct metainfo *m, const char *root)
{
    char path[PATH_MAX];
    struct stat st;
    const int n = snprintf(path, sizeof path, "%s/%.*s", root, (int)m->name.n, (const char *)m->name.p);
    return n < 0 || (size_t)n >= sizeof path || lstat(path, &st) == 0;
}

int reuse_files(struct app *a, const struct metainfo *m, const char *root, const uint8_t *priorities)
{
    struct slice similar[METAINFO_HINTS_MAX], names[METAINFO_HINTS_MAX];
    const uint32_t similar_n = metainfo_hints(m->similar, similar), names_n = metainfo_hints(m->collections, names);
    char why[STATE_WHY_MAX], size[UNITS_TEXT_MAX];
    struct reuse r = {.a = a, .m = m, .root = root};
    if (similar_n + names_n == 0 || is_there(m, root) || state_open(&r.state, a->options.state, why) != ERR_OK)
        return 0;                       // the session says what is wrong with the state
    interrupt_catch();
    r.wanted = calloc(m->files_n > 0 ? m->files_n : 1, sizeof *r.wanted);
    for (uint32_t i = 0; i < m->files_n && r.wanted != NULL; i++)
        r.wanted[i] = m->files[i].len != 0 && (m->files[i].flags & (FILE_PAD | FILE_SYMLINK)) == 0 && (priorities == NULL || priorities[i] != 0);
    for (uint32_t i = 0; i < similar_n && r.wanted != NULL; i++)
        look_at(&r, similar[i]);
    for (uint32_t i = 0; i < names_n && r.wanted != NULL; i++)
        look_at_collection(&r, names[i]);
    if (r.files != 0)
        talk_note(&a->talk, "%u file%s (%s) copied from torrents that are here already", r.files, r.files == 1 ? "" : "s",
            units_size(r.bytes, size));
    free(r.wanted);
    state_close(r.state);
    interrupt_release();
    return !interrupted() ? 0 : talk_fail(&a->talk, FAIL_INTERRUPTED, "run the same command again: what is not there is fetched",
        "stopped while files were copied");
}
