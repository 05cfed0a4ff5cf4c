// The v2 part of a torrent: the file tree, what a hybrid must agree on, the piece layers. BEP 52.
#include "base/sort.h"
#include "codec/merkle.h"
#include "codec/metainfo_int.h"

enum leaf_key { LEAF_ATTR, LEAF_LENGTH, LEAF_ROOT, LEAF_SYMLINK_PATH, LEAF_KEYS };

static const struct bencode_field leaf_keys[LEAF_KEYS] = {
    {.key = "attr"}, {.key = "length"}, {.key = "pieces root"}, {.key = "symlink path"},
};

// The files of the tree in its order, each beginning a piece.
struct tree {
    struct metainfo_file *files;
    uint32_t n, cap;
    uint64_t end, len, pieces_n;        // end of the last file, bytes of all, pieces so far
};

static enum err read_root(struct metainfo_reader *r, struct slice raw, const uint8_t **out)
{
    static const uint8_t zero[SHA256_LEN] = {0};
    struct slice root = {0};
    if (!bencode_raw_str(raw, &root) || root.n != SHA256_LEN || memcmp(root.p, zero, SHA256_LEN) == 0)
        return metainfo_refuse(r, ERR_SYNTAX, "a file of the file tree has no pieces root");
    *out = root.p;
    return ERR_OK;
}

// The file whose path is in r->path.
static enum err read_leaf(struct metainfo_reader *r, struct tree *t, struct slice raw)
{
    const struct metainfo *m = r->m;
    struct bencode_field fields[LEAF_KEYS];
    memcpy(fields, leaf_keys, sizeof fields);
    if (!bencode_fields(raw, fields, LEAF_KEYS))
        return metainfo_refuse(r, ERR_SYNTAX, "file %u of the file tree is not a dictionary", t->n + 1);
    struct metainfo_file f = {.flags = metainfo_flags(fields[LEAF_ATTR].raw)};
    if ((f.flags & FILE_PAD) != 0)
        return metainfo_refuse(r, ERR_SYNTAX, "file %u of the file tree is a pad file", t->n + 1);
    int64_t len = 0;
    const bool has_len = bencode_raw_int(fields[LEAF_LENGTH].raw, &len);
    if ((f.flags & FILE_SYMLINK) != 0)
        len = 0;
    else if (!has_len || len < 0)
        return metainfo_refuse(r, ERR_SYNTAX, "file %u of the file tree has no length", t->n + 1);
    f.len = (uint64_t)len;
    enum err e = f.len > 0 ? read_root(r, fields[LEAF_ROOT].raw, &f.root) : ERR_OK;
    if (e == ERR_OK)
        e = metainfo_keep(r, buf_slice(&r->path), &f.path);
    if (e == ERR_OK && (f.flags & FILE_SYMLINK) != 0)
        e = metainfo_keep_target(r, fields[LEAF_SYMLINK_PATH].raw, &f);
    if (e != ERR_OK)
        return e;
    if (f.len > (METAINFO_PIECES_MAX - t->pieces_n) * m->piece_len)
        return metainfo_refuse(r, ERR_TOO_LONG, "the torrent has more than %d pieces", METAINFO_PIECES_MAX);
    f.offset = f.len == 0 ? t->end : t->pieces_n * m->piece_len;
    t->end = f.offset + f.len;
    t->len += f.len;
    t->pieces_n += u64_div_up(f.len, m->piece_len);
    ASSERT(t->n < t->cap);
    t->files[t->n++] = f;
    return ERR_OK;
}

// Leaves are the values of empty keys.
static uint64_t count_leaves(struct slice tree)
{
    struct bencode b;
    uint64_t n = 0;
    bencode_init(&b, tree, BENCODE_LENIENT);
    if (bencode_peek(&b) != BENCODE_DICT)
        return 0;
    for (bool in = bencode_dict(&b); in && b.depth > 0 && b.error == BENCODE_OK;) {
        struct slice key;
        if (!bencode_key(&b, &key))
            continue;
        n += key.n == 0;
        if (key.n == 0 || bencode_peek(&b) != BENCODE_DICT)
            (void)bencode_raw(&b);
        else
            (void)bencode_dict(&b);
    }
    return n;
}

// Enters the directory or the file `key`. mark: the length of r->path to come back to.
static enum err enter(struct metainfo_reader *r, struct bencode *b, struct slice key)
{
    struct wr w = wr_make(&r->path);
    (void)path_add(&w, key, PATH_DOTS_REPLACE);
    ASSERT(w.ok);
    if (b->depth > PATH_PARTS_MAX - 2)
        return metainfo_refuse(r, ERR_TOO_LONG, "the file tree is deeper than %d", PATH_PARTS_MAX - 2);
    if (!bencode_dict(b))
        return metainfo_refuse(r, ERR_SYNTAX, "the file tree holds something else than files and directories");
    return ERR_OK;
}

static enum err walk_tree(struct metainfo_reader *r, struct slice raw, struct tree *t)
{
    struct bencode b;
    struct slice key;
    size_t mark[BENCODE_DEPTH_MAX + 1] = {0};   // by depth: the length of the path of the directory that is open there
    bool is_file[BENCODE_DEPTH_MAX + 1] = {false};
    bencode_init(&b, raw, BENCODE_STRICT);
    bool in = bencode_dict(&b);
    mark[1] = r->path.n;
    while (in && b.depth > 0 && b.error == BENCODE_OK) {
        const uint32_t depth = b.depth;
        r->path.n = mark[depth];
        if (!bencode_key(&b, &key))
            continue;
        if (is_file[depth] || (key.n == 0 && depth == 1))
            return metainfo_refuse(r, ERR_SYNTAX, "the file tree has a file without a name, or one that is a directory too");
        if (key.n == 0) {
            is_file[depth] = true;
            const enum err e = read_leaf(r, t, bencode_raw(&b));
            if (e != ERR_OK)
                return e;
            continue;
        }
        const enum err e = enter(r, &b, key);
        if (e != ERR_OK)
            return e;
        mark[depth + 1] = r->path.n;
        is_file[depth + 1] = false;
    }
    return ERR_OK;
}

// BEP 52: a single file is one entry of the tree that is called as the torrent.
static bool is_single(const struct metainfo_reader *r, struct slice raw)
{
    struct bencode b;
    struct slice key, name = {0}, name_utf8 = {0};
    (void)bencode_raw_str(r->info[INFO_NAME].raw, &name);
    (void)bencode_raw_str(r->info[INFO_NAME_UTF8].raw, &name_utf8);
    bencode_init(&b, raw, BENCODE_LENIENT);
    if (!bencode_dict(&b) || !bencode_key(&b, &key) || (!slice_eq(key, name) && !slice_eq(key, name_utf8)))
        return false;
    struct slice inner;
    if (!bencode_dict(&b) || !bencode_key(&b, &inner) || inner.n != 0)
        return false;
    (void)bencode_raw(&b);
    while (bencode_key(&b, &inner))
        (void)bencode_raw(&b);
    return b.depth == 1 && !bencode_key(&b, &key);
}

static enum err read_tree(struct metainfo_reader *r, struct slice raw, struct tree *t)
{
    struct metainfo *m = r->m;
    const bool single = is_single(r, raw);
    if (m->has_v1 && !m->is_dir && !single)
        return metainfo_refuse(r, ERR_SYNTAX, "the v1 and v2 parts do not describe the same files");
    if (!m->has_v1)
        m->is_dir = !single;
    r->path.n = 0;
    if (m->is_dir) {
        struct wr w = wr_make(&r->path);
        wr_bytes(&w, m->name);
    }
    const enum err e = walk_tree(r, raw, t);
    if (e == ERR_OK && !m->is_dir)
        t->files[0].path = m->name;
    return e;
}

// BEP 52: both parts must list the same files at the same places.
static enum err match_v1(struct metainfo_reader *r, const struct tree *t)
{
    struct metainfo *m = r->m;
    uint32_t k = 0;
    for (uint32_t i = 0; i < m->files_n; i++) {
        struct metainfo_file *f = &m->files[i];
        if ((f->flags & FILE_PAD) != 0)
            continue;
        if (k == t->n)
            return metainfo_refuse(r, ERR_SYNTAX, "the v1 part has a file that the v2 part has not");
        const struct metainfo_file *v2 = &t->files[k++];
        const bool same_kind = ((f->flags ^ v2->flags) & FILE_SYMLINK) == 0;
        if (!slice_eq(f->path, v2->path) || f->len != v2->len || !same_kind)
            return metainfo_refuse(r, ERR_SYNTAX, "file %u differs between the v1 and v2 parts", i + 1);
        if (f->len > 0 && f->offset != v2->offset)
            return metainfo_refuse(r, ERR_SYNTAX, "file %u of the v1 part does not begin where the v2 part has it", i + 1);
        f->root = v2->root;
        f->flags |= v2->flags;
    }
    if (k != t->n || m->pieces_n != t->pieces_n)
        return metainfo_refuse(r, ERR_SYNTAX, "the v1 and v2 parts do not describe the same files");
    return ERR_OK;
}

enum err metainfo_read_v2(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    const struct slice raw = r->info[INFO_FILE_TREE].raw;
    struct tree t = {0};
    const uint64_t leaves = count_leaves(raw);
    if (leaves == 0)
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has no file tree, or an empty one");
    enum err e = metainfo_alloc_files(r, leaves, &t.files);
    if (e != ERR_OK)
        return e;
    t.cap = (uint32_t)leaves;
    e = read_tree(r, raw, &t);
    if (e == ERR_OK && t.len == 0)
        e = metainfo_refuse(r, ERR_SYNTAX, "the torrent's files are all empty");
    if (e == ERR_OK && m->has_v1)
        e = match_v1(r, &t);
    if (e != ERR_OK || m->has_v1) {
        mem_free(m->mem, t.files, t.cap * sizeof *t.files);
        return e;
    }
    m->files = t.files;
    m->files_n = t.n;
    m->files_cap = t.cap;
    m->span = t.end;
    m->len = t.len;
    m->pieces_n = u32_of(t.pieces_n);
    return ERR_OK;
}

// ---- piece layers

// Files with a layer, by their roots.
struct by_root {
    struct metainfo *m;
    uint32_t *index;
    uint32_t n;
};

static int cmp_roots(const void *ctx, uint32_t a, uint32_t b)
{
    const struct metainfo *m = ctx;
    return memcmp(m->files[a].root, m->files[b].root, SHA256_LEN);
}

// The first place of a root that is not smaller.
static uint32_t first_of(const struct by_root *s, const uint8_t *root)
{
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (memcmp(s->m->files[s->index[mid]].root, root, SHA256_LEN) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static enum err take_layer(struct metainfo_reader *r, const struct by_root *s, struct slice key, struct slice layer)
{
    struct metainfo *m = r->m;
    uint32_t i = key.n == SHA256_LEN ? first_of(s, key.p) : s->n;
    if (i == s->n || memcmp(m->files[s->index[i]].root, key.p, SHA256_LEN) != 0)
        return metainfo_refuse(r, ERR_SYNTAX, "a piece layer belongs to no file");
    if (m->files[s->index[i]].layer != NULL)
        return ERR_OK;                  // a duplicate key: the first one counts
    for (; i < s->n && memcmp(m->files[s->index[i]].root, key.p, SHA256_LEN) == 0; i++) {
        struct metainfo_file *f = &m->files[s->index[i]];
        if (layer.n != u64_div_up(f->len, m->piece_len) * SHA256_LEN)
            return metainfo_refuse(r, ERR_SYNTAX, "the piece layer of file %u has a wrong length", s->index[i] + 1);
        f->layer = layer.p;
    }
    uint8_t root[SHA256_LEN];
    merkle_layer_root(layer.p, layer.n / SHA256_LEN, m->piece_len, root);
    if (memcmp(root, key.p, SHA256_LEN) != 0)
        return metainfo_refuse(r, ERR_SYNTAX, "the piece layer of file %u does not match its root", s->index[i - 1] + 1);
    return ERR_OK;
}

static enum err take_layers(struct metainfo_reader *r, struct slice raw, struct by_root *s)
{
    struct bencode b;
    struct slice key, layer = {0};
    enum err e = ERR_OK;
    bencode_init(&b, raw, BENCODE_LENIENT);
    if (bencode_peek(&b) != BENCODE_DICT || !bencode_dict(&b))
        return metainfo_refuse(r, ERR_SYNTAX, "the piece layers are not a dictionary");
    while (e == ERR_OK && bencode_key(&b, &key))
        e = bencode_str(&b, &layer) ? take_layer(r, s, key, layer) : metainfo_refuse(r, ERR_SYNTAX, "a piece layer is not a string");
    return e;
}

enum err metainfo_read_layers(struct metainfo_reader *r, struct slice raw)
{
    struct metainfo *m = r->m;
    if (raw.n == 0)
        return ERR_OK;                  // as for a magnet link: peers have them
    struct by_root s = {.m = m};
    uint32_t *space = mem_zarray(m->mem, (size_t)m->files_n * 2, sizeof *space);
    if (space == NULL)
        return metainfo_nomem(r);
    s.index = space;
    for (uint32_t i = 0; i < m->files_n; i++)
        if (m->files[i].root != NULL && m->files[i].len > m->piece_len)
            s.index[s.n++] = i;
    sort_indices(s.index, space + m->files_n, s.n, &(struct sort_order){.cmp = cmp_roots, .ctx = m});
    const enum err e = take_layers(r, raw, &s);
    mem_free(m->mem, space, (size_t)m->files_n * 2 * sizeof *space);
    return e;
}
