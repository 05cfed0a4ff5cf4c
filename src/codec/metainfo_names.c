// Paths that are there twice get another name, and symlinks keep only targets inside the torrent. BEP 47.
//
// Letters of either case count as the same: the other peers' disks may not tell them apart. One hash table holds all
// files and directories; it is keyed by the info-hash, so that who makes a torrent cannot make its names collide.
#include "base/fold.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "codec/metainfo_int.h"

enum {
    LINK_HOPS_MAX = 16,                 // symlinks on the way to a target
    LINK_WORK_MAX = 256 << 20,          // bytes of paths walked for all symlinks: many may share one long way
};

// The path of a file, or its first n bytes: a directory.
struct name {
    uint64_t hash;
    uint32_t file;
    uint32_t n;                         // 0: a free place
};

struct names {
    struct metainfo_reader *r;
    struct name *slots;
    uint32_t cap, used, dirs;           // cap: a power of two
    uint64_t key[2];
    uint64_t link_work;                 // of LINK_WORK_MAX
};

// Continues the hash of a directory with one part, so that all directories of a path cost one pass.
static uint64_t hash_part(const struct names *s, uint64_t parent, struct slice part)
{
    uint8_t low[2 * PATH_PART_MAX];
    ASSERT(part.n <= sizeof low);
    for (size_t i = 0; i < part.n; i++)
        low[i] = fold(part.p[i]);
    return mix64(parent + 0x9e3779b97f4a7c15) ^ siphash(s->key, slice_of(low, part.n));
}

static uint64_t hash_path(const struct names *s, struct slice path)
{
    uint64_t hash = 0;
    for (struct slice part; path_next(&path, &part);)
        hash = hash_part(s, hash, part);
    return hash;
}

static struct slice text_of(const struct names *s, const struct name *e)
{
    return slice_sub(s->r->m->files[e->file].path, 0, e->n);
}

// The place of this path, or the free one where it belongs.
static struct name *place_of(const struct names *s, struct slice path, uint64_t hash)
{
    ASSERT(s->used < s->cap);
    for (uint32_t i = (uint32_t)hash & (s->cap - 1);; i = (i + 1) & (s->cap - 1)) {
        struct name *e = &s->slots[i];
        if (e->n == 0 || (e->hash == hash && fold_eq(text_of(s, e), path)))
            return e;
    }
}

static enum err grow(struct names *s)
{
    const uint32_t cap = s->cap == 0 ? 64 : s->cap * 2;
    struct name *fresh = mem_zarray(s->r->m->mem, cap, sizeof *fresh);
    if (fresh == NULL)
        return metainfo_nomem(s->r);
    for (uint32_t k = 0; k < s->cap; k++) {
        if (s->slots[k].n == 0)
            continue;
        uint32_t i = (uint32_t)s->slots[k].hash & (cap - 1);
        while (fresh[i].n != 0)
            i = (i + 1) & (cap - 1);
        fresh[i] = s->slots[k];
    }
    mem_free(s->r->m->mem, s->slots, s->cap * sizeof *s->slots);
    s->slots = fresh;
    s->cap = cap;
    return ERR_OK;
}

// Notes that the first n bytes of the file's path are taken. The path must not be there.
static enum err insert(struct names *s, uint32_t file, size_t n, uint64_t hash)
{
    if (s->used >= s->cap / 4 * 3) {
        const enum err e = grow(s);
        if (e != ERR_OK)
            return e;
    }
    struct name *at = place_of(s, slice_sub(s->r->m->files[file].path, 0, n), hash);
    ASSERT(at->n == 0);
    *at = (struct name){.hash = hash, .file = file, .n = u32_of(n)};
    s->used++;
    return ERR_OK;
}

static enum err insert_dirs(struct names *s, uint32_t file)
{
    const struct slice path = s->r->m->files[file].path;
    struct slice rest = path, part;
    uint64_t hash = 0;
    while (path_next(&rest, &part)) {
        if (rest.p == NULL)
            break;                      // the file's own name
        hash = hash_part(s, hash, part);
        const size_t n = path.n - rest.n - 1;
        if (s->cap != 0 && place_of(s, slice_sub(path, 0, n), hash)->n != 0)
            continue;
        if (s->dirs++ == METAINFO_DIRS_MAX)
            return metainfo_refuse(s->r, ERR_TOO_LONG, "the torrent has more than %d directories", METAINFO_DIRS_MAX);
        const enum err e = insert(s, file, n, hash);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err insert_all_dirs(struct names *s)
{
    const struct metainfo *m = s->r->m;
    struct slice last = {0};
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct slice parent = path_parent(m->files[i].path);
        if (parent.n == 0 || slice_eq(parent, last))
            continue;                   // most files lie beside the one before
        const enum err e = insert_dirs(s, i);
        if (e != ERR_OK)
            return e;
        last = parent;
    }
    return ERR_OK;
}

// Finds "a.1.txt" for "a.txt" that is taken, or the next one that is free. tries: those of all files so far.
static enum err rename_file(struct names *s, uint32_t file, uint32_t *tries)
{
    struct metainfo_file *f = &s->r->m->files[file];
    const size_t dot = path_extension_at(f->path);
    for (uint32_t count = 1; ++*tries <= METAINFO_RENAMES_MAX; count++) {
        s->r->path.n = 0;
        struct wr w = wr_make(&s->r->path);
        wr_bytes(&w, slice_sub(f->path, 0, dot));
        wr_u8(&w, '.');
        wr_dec(&w, count);
        wr_bytes(&w, slice_sub(f->path, dot, f->path.n));
        ASSERT(w.ok);
        const struct slice path = buf_slice(&s->r->path);
        const uint64_t hash = hash_path(s, path);
        if (place_of(s, path, hash)->n != 0)
            continue;
        const enum err e = metainfo_keep(s->r, path, &f->path);
        return e == ERR_OK ? insert(s, file, path.n, hash) : e;
    }
    return metainfo_refuse(s->r, ERR_SYNTAX, "too many files of the torrent have the same path");
}

static enum err insert_files(struct names *s)
{
    const struct metainfo *m = s->r->m;
    uint32_t tries = 0;
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        const uint64_t hash = hash_path(s, f->path);
        const struct name *other = s->cap == 0 ? NULL : place_of(s, f->path, hash);
        if (other == NULL || other->n == 0) {
            const enum err e = insert(s, i, f->path.n, hash);
            if (e != ERR_OK)
                return e;
            continue;
        }
        const struct metainfo_file *o = &m->files[other->file];
        const bool is_dir = other->n < o->path.n;
        if (!is_dir && (f->flags & o->flags & FILE_PAD) != 0 && f->len == o->len)
            continue;                   // pads of one length may share a name: they are never on disk
        const enum err e = rename_file(s, i, &tries);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

// ---- symlinks

static const struct metainfo_file *link_of(const struct names *s, const struct name *e)
{
    const struct metainfo_file *f = &s->r->m->files[e->file];
    return e->n == f->path.n && (f->flags & FILE_SYMLINK) != 0 ? f : NULL;
}

// Goes down the path to its end, or to the first symlink: then *out_n tells where in the path that is. NULL: not there.
static const struct name *descend(const struct names *s, struct slice path, size_t *out_n)
{
    const struct name *e = NULL;
    struct slice rest = path, part;
    uint64_t hash = 0;
    while (path_next(&rest, &part)) {
        const size_t n = rest.p == NULL ? path.n : path.n - rest.n - 1;
        hash = hash_part(s, hash, part);
        e = place_of(s, slice_sub(path, 0, n), hash);
        if (e->n == 0 || !slice_eq(text_of(s, e), slice_sub(path, 0, n)))
            return NULL;
        *out_n = n;
        if (link_of(s, e) != NULL)
            break;
    }
    return e;
}

// Whether the path in r->path leads to a file or directory, through symlinks if need be. Uses r->path and r->target.
static bool leads_somewhere(struct names *s)
{
    struct buf *path = &s->r->path, *next = &s->r->target;
    for (uint32_t hops = 0; hops < LINK_HOPS_MAX && s->link_work < LINK_WORK_MAX; hops++) {
        size_t n = 0;
        const struct name *e = descend(s, buf_slice(path), &n);
        s->link_work += path->n;
        if (e == NULL)
            return false;
        const struct metainfo_file *link = link_of(s, e);
        if (link == NULL) {
            const struct metainfo_file *f = &s->r->m->files[e->file];
            return (f->flags & FILE_PAD) == 0 || e->n < f->path.n;
        }
        next->n = 0;
        struct wr w = wr_make(next);
        wr_bytes(&w, link->target);
        wr_bytes(&w, slice_sub(buf_slice(path), n, path->n));
        if (!w.ok || link->target.n == 0)
            return false;
        struct buf *swap = path;
        path = next;
        next = swap;
    }
    return false;
}

static bool is_good_target(struct names *s, struct slice path)
{
    s->r->path.n = 0;
    struct wr w = wr_make(&s->r->path);
    wr_bytes(&w, path);
    return w.ok && leads_somewhere(s);
}

// Targets begin at the torrent's root (BEP 47); some programs count from the symlink's own directory.
static enum err resolve_link(struct names *s, struct metainfo_file *f)
{
    if (f->target.n == 0 || is_good_target(s, f->target))
        return ERR_OK;
    const struct slice parent = path_parent(f->path);
    const size_t name_n = s->r->m->name.n;
    if (parent.n <= name_n)
        return ERR_OK;
    uint8_t space[PATH_BYTES_MAX];
    struct buf b = {.p = space, .cap = sizeof space};
    struct wr w = wr_make(&b);
    wr_bytes(&w, parent);
    wr_bytes(&w, slice_sub(f->target, name_n, f->target.n));    // with its '/'
    if (!w.ok || !path_is_safe(buf_slice(&b)) || !is_good_target(s, buf_slice(&b)))
        return ERR_OK;
    return metainfo_keep(s->r, buf_slice(&b), &f->target);
}

// Twice, because a target may be reached through a symlink further down; then what leads nowhere or round in a circle goes.
static enum err resolve_links(struct names *s)
{
    struct metainfo *m = s->r->m;
    enum err e = ERR_OK;
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < m->files_n && e == ERR_OK; i++)
            if ((m->files[i].flags & FILE_SYMLINK) != 0)
                e = resolve_link(s, &m->files[i]);
    for (uint32_t i = 0; i < m->files_n && e == ERR_OK; i++)
        if ((m->files[i].flags & FILE_SYMLINK) != 0 && !is_good_target(s, m->files[i].target))
            m->files[i].target = (struct slice){0};
    return e;
}

enum err metainfo_make_unique(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    struct names s = {.r = r};
    memcpy(s.key, m->has_v1 ? m->hash_v1 : m->hash_v2, sizeof s.key);
    enum err e = insert_all_dirs(&s);
    if (e == ERR_OK)
        e = insert_files(&s);
    if (e == ERR_OK)
        e = resolve_links(&s);
    mem_free(m->mem, s.slots, s.cap * sizeof *s.slots);
    return e;
}
