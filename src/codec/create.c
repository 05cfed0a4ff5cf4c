// Writes torrent files: see create.h. Byte for byte what BEP 52's reference creator writes.
#include "codec/create.h"

#include "base/sort.h"
#include "codec/bencode.h"
#include "codec/path.h"

enum {
    PIECES_AIM = 2000,                  // pieces, at most, that a piece length is chosen for
    ATTR_MAX = 3,
    FILE_BYTES_MAX = 400,               // what a file needs beside its path, in both parts, with its pad
    OUTER_BYTES_MAX = 1024,             // all keys and numbers outside of files
    PART_BYTES_MAX = 16,                // what a part of a path needs beside its bytes, in both parts
};

uint32_t create_piece_len(uint64_t total)
{
    uint32_t len = CREATE_PIECE_LEN_MIN;
    while (len < CREATE_PIECE_LEN_MAX && total / len >= PIECES_AIM)
        len *= 2;
    return len;
}

static int cmp_paths(const void *ctx, uint32_t a, uint32_t b)
{
    const struct create_file *files = ctx;
    return path_cmp(files[a].path, files[b].path);
}

enum err create_sort(const struct mem *mem, struct create_file *files, uint32_t n)
{
    if (n < 2)
        return ERR_OK;
    uint32_t *order = mem_zarray(mem, (size_t)n * 2, sizeof *order);
    struct create_file *copy = mem_zarray(mem, n, sizeof *copy);
    if (order != NULL && copy != NULL) {
        memcpy(copy, files, n * sizeof *files);
        for (uint32_t i = 0; i < n; i++)
            order[i] = i;
        sort_indices(order, order + n, n, &(struct sort_order){.cmp = cmp_paths, .ctx = copy});
        for (uint32_t i = 0; i < n; i++)
            files[i] = copy[order[i]];
    }
    const bool done = order != NULL && copy != NULL;
    mem_free(mem, copy, n * sizeof *copy);
    mem_free(mem, order, (size_t)n * 2 * sizeof *order);
    return done ? ERR_OK : ERR_NOMEM;
}

uint64_t create_pad_len(const struct create_spec *s, uint32_t i)
{
    ASSERT(i < s->files_n);
    if (!s->has_v1 || !s->has_v2 || s->files_n < 2)
        return 0;
    const uint64_t rest = s->files[i].len % s->piece_len;
    return rest == 0 ? 0 : s->piece_len - rest;
}

uint64_t create_pieces_n(const struct create_spec *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->files_n; i++)
        sum = u64_add_sat(sum, u64_add_sat(s->files[i].len, create_pad_len(s, i)));
    return u64_div_up(sum, s->piece_len);
}

uint64_t create_layer_len(uint64_t len, uint32_t piece_len)
{
    return len > piece_len ? u64_div_up(len, piece_len) * SHA256_LEN : 0;
}

static uint32_t count_parts(struct slice path)
{
    uint32_t n = 0;
    for (struct slice part; path_next(&path, &part);)
        n++;
    return n;
}

static uint64_t path_size_max(struct slice path)
{
    return 2 * path.n + (uint64_t)PART_BYTES_MAX * count_parts(path);
}

uint64_t create_size_max(const struct create_spec *s)
{
    uint64_t n = OUTER_BYTES_MAX + s->name.n + s->comment.n + s->created_by.n + s->source.n;
    for (uint32_t i = 0; i < s->files_n; i++) {
        const struct create_file *f = &s->files[i];
        n += FILE_BYTES_MAX + path_size_max(f->path) + path_size_max(f->target);
        n += s->has_v2 ? create_layer_len(f->len, s->piece_len) + 64 : 0;
    }
    for (uint32_t i = 0; i < s->trackers_n; i++)
        n += 32 + 2 * s->trackers[i].url.n;
    for (uint32_t i = 0; i < s->web_seeds_n; i++)
        n += 32 + s->web_seeds[i].n;
    for (uint32_t i = 0; i < s->similar_n; i++)
        n += 8 + s->similar[i].n;
    for (uint32_t i = 0; i < s->collections_n; i++)
        n += 16 + s->collections[i].n;
    return s->has_v1 ? n + create_pieces_n(s) * SHA1_LEN : n;
}

// ---- what may be written

static enum err check_path(struct slice path)
{
    if (!path_is_safe(path))
        return ERR_SYNTAX;
    return count_parts(path) > CREATE_PARTS_MAX ? ERR_RANGE : ERR_OK;
}

// A path twice, or both a file and a directory, are neighbours in the order of the tree. order: as for put_layers.
static enum err check_paths(const struct create_spec *s, uint32_t *order)
{
    for (uint32_t i = 0; i < s->files_n; i++) {
        const struct create_file *f = &s->files[i];
        enum err e = check_path(f->path);
        if (e == ERR_OK && (f->flags & FILE_SYMLINK) != 0)
            e = check_path(f->target);
        if (e != ERR_OK)
            return e;
        order[i] = i;
    }
    sort_indices(order, order + s->files_n, s->files_n, &(struct sort_order){.cmp = cmp_paths, .ctx = s->files});
    for (uint32_t i = 1; i < s->files_n; i++) {
        const struct slice a = s->files[order[i - 1]].path, b = s->files[order[i]].path;
        if (slice_eq(a, b) || (b.n > a.n && b.p[a.n] == '/' && slice_eq(a, slice_sub(b, 0, a.n))))
            return ERR_EXISTS;
        if (s->has_v2)
            ASSERT(order[i - 1] < order[i]);    // create_sort was called
    }
    return ERR_OK;
}

static enum err check_sizes(const struct create_spec *s)
{
    if (s->piece_len == 0 || s->piece_len > METAINFO_PIECE_LEN_MAX)
        return ERR_RANGE;
    if (s->has_v2 && (s->piece_len < CREATE_PIECE_LEN_MIN || (s->piece_len & (s->piece_len - 1)) != 0))
        return ERR_RANGE;
    if (s->trackers_n > METAINFO_URLS_MAX || s->web_seeds_n > METAINFO_URLS_MAX)
        return ERR_RANGE;
    if (s->similar_n > METAINFO_HINTS_MAX || s->collections_n > METAINFO_HINTS_MAX)
        return ERR_RANGE;
    uint64_t pieces = 0;
    for (uint32_t i = 0; i < s->files_n; i++) {
        const struct create_file *f = &s->files[i];
        pieces += u64_div_up(f->len, s->piece_len);
        if (pieces > METAINFO_PIECES_MAX)
            return ERR_RANGE;
        ASSERT((f->flags & FILE_PAD) == 0);
        ASSERT((f->flags & FILE_SYMLINK) == 0 || f->len == 0);
        ASSERT(!s->has_v2 || f->len == 0 || f->root != NULL);
        ASSERT(!s->has_v2 || create_layer_len(f->len, s->piece_len) == 0 || f->layer != NULL);
    }
    return pieces == 0 ? ERR_RANGE : ERR_OK;
}

static enum err check(const struct create_spec *s, uint32_t *order)
{
    ASSERT(s->has_v1 || s->has_v2);
    ASSERT(s->is_dir || s->files_n == 1);
    if (!path_is_safe(s->name) || count_parts(s->name) != 1)
        return ERR_SYNTAX;
    const enum err e = check_sizes(s);
    return e == ERR_OK && s->is_dir ? check_paths(s, order) : e;
}

// ---- the info dictionary

static void put_attr(struct bencode_out *o, uint32_t flags)
{
    uint8_t attr[ATTR_MAX];
    size_t n = 0;
    if ((flags & FILE_HIDDEN) != 0)
        attr[n++] = 'h';
    if ((flags & FILE_SYMLINK) != 0)
        attr[n++] = 'l';
    if ((flags & FILE_EXECUTABLE) != 0)
        attr[n++] = 'x';
    if (n > 0)
        bencode_put_key_str(o, "attr", slice_of(attr, n));
}

static void put_parts(struct bencode_out *o, const char *key, struct slice path)
{
    bencode_put_key_list(o, key);
    for (struct slice part; path_next(&path, &part);)
        bencode_put_str(o, part);
    bencode_put_end(o);
}

static void put_v2_file(struct bencode_out *o, const struct create_file *f)
{
    bencode_put_key_dict(o, "");
    put_attr(o, f->flags);
    bencode_put_key_int(o, "length", (int64_t)f->len);
    if (f->len > 0)
        bencode_put_key_str(o, "pieces root", slice_of(f->root, SHA256_LEN));
    if ((f->flags & FILE_SYMLINK) != 0)
        put_parts(o, "symlink path", f->target);
    bencode_put_end(o);
}

// Bytes and number of the directories that both paths are in.
static size_t common_dirs(struct slice a, struct slice b, uint32_t *out_n)
{
    size_t at = 0;
    *out_n = 0;
    for (size_t i = 0; i < a.n && i < b.n && a.p[i] == b.p[i]; i++)
        if (a.p[i] == '/') {
            at = i + 1;
            (*out_n)++;
        }
    return at;
}

// The files are in order, so a directory is closed when the next file is not in it any more.
static void put_tree(struct bencode_out *o, const struct create_spec *s)
{
    bencode_put_key_dict(o, "file tree");
    const uint32_t floor = o->depth;
    struct slice last = {0};
    for (uint32_t i = 0; i < s->files_n; i++) {
        const struct slice path = s->is_dir ? s->files[i].path : s->name;
        uint32_t common = 0;
        struct slice rest = slice_sub(path, common_dirs(last, path, &common), path.n);
        while (o->depth > floor + common)
            bencode_put_end(o);
        for (struct slice part; path_next(&rest, &part);) {
            bencode_put_key(o, part);
            bencode_put_dict(o);
        }
        put_v2_file(o, &s->files[i]);
        bencode_put_end(o);             // the file's own name
        last = path;
    }
    while (o->depth >= floor)
        bencode_put_end(o);
}

static void put_pad(struct bencode_out *o, uint64_t len)
{
    uint8_t digits[20];
    struct buf b = {.p = digits, .cap = sizeof digits};
    struct wr w = wr_make(&b);
    wr_dec(&w, len);
    bencode_put_dict(o);
    bencode_put_key_str(o, "attr", SLICE_LIT("p"));
    bencode_put_key_int(o, "length", (int64_t)len);
    bencode_put_key_list(o, "path");
    bencode_put_str(o, SLICE_LIT(".pad"));
    bencode_put_str(o, buf_slice(&b));
    bencode_put_end(o);
    bencode_put_end(o);
}

static void put_v1_files(struct bencode_out *o, const struct create_spec *s)
{
    bencode_put_key_list(o, "files");
    for (uint32_t i = 0; i < s->files_n; i++) {
        const struct create_file *f = &s->files[i];
        bencode_put_dict(o);
        put_attr(o, f->flags);
        bencode_put_key_int(o, "length", (int64_t)f->len);
        put_parts(o, "path", f->path);
        if ((f->flags & FILE_SYMLINK) != 0)
            put_parts(o, "symlink path", f->target);
        bencode_put_end(o);
        const uint64_t pad = create_pad_len(s, i);
        if (pad > 0)
            put_pad(o, pad);
    }
    bencode_put_end(o);
}

static void put_texts(struct bencode_out *o, const char *key, const struct slice *texts, uint32_t n)
{
    if (n == 0)
        return;
    bencode_put_key_list(o, key);
    for (uint32_t i = 0; i < n; i++)
        bencode_put_str(o, texts[i]);
    bencode_put_end(o);
}

static void put_info(struct bencode_out *o, const struct create_spec *s)
{
    bencode_put_key_dict(o, "info");
    if (s->has_v1 && !s->is_dir)
        put_attr(o, s->files[0].flags & (FILE_EXECUTABLE | FILE_HIDDEN));
    put_texts(o, "collections", s->collections, s->collections_n);
    if (s->has_v2)
        put_tree(o, s);
    if (s->has_v1 && s->is_dir)
        put_v1_files(o, s);
    if (s->has_v1 && !s->is_dir)
        bencode_put_key_int(o, "length", (int64_t)s->files[0].len);
    if (s->has_v2)
        bencode_put_key_int(o, "meta version", 2);
    bencode_put_key_str(o, "name", s->name);
    bencode_put_key_int(o, "piece length", s->piece_len);
    if (s->has_v1)
        bencode_put_key_str(o, "pieces", slice_of(s->pieces, (size_t)create_pieces_n(s) * SHA1_LEN));
    if (s->is_private)
        bencode_put_key_int(o, "private", 1);
    put_texts(o, "similar", s->similar, s->similar_n);
    if (s->source.n > 0)
        bencode_put_key_str(o, "source", s->source);
    bencode_put_end(o);
}

// ---- around it

static int cmp_roots(const void *ctx, uint32_t a, uint32_t b)
{
    const struct create_file *files = ctx;
    return memcmp(files[a].root, files[b].root, SHA256_LEN);
}

// By their roots; equal files share one layer. order: room for twice the number of files.
static void put_layers(struct bencode_out *o, const struct create_spec *s, uint32_t *order)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->files_n; i++)
        if (create_layer_len(s->files[i].len, s->piece_len) > 0)
            order[n++] = i;
    sort_indices(order, order + s->files_n, n, &(struct sort_order){.cmp = cmp_roots, .ctx = s->files});
    bencode_put_key_dict(o, "piece layers");
    for (uint32_t i = 0; i < n; i++) {
        const struct create_file *f = &s->files[order[i]];
        if (i > 0 && cmp_roots(s->files, order[i - 1], order[i]) == 0)
            continue;
        bencode_put_key(o, slice_of(f->root, SHA256_LEN));
        bencode_put_str(o, slice_of(f->layer, (size_t)create_layer_len(f->len, s->piece_len)));
    }
    bencode_put_end(o);
}

static void put_trackers(struct bencode_out *o, const struct metainfo_url *trackers, uint32_t n)
{
    if (n == 0)
        return;
    bencode_put_key_str(o, "announce", trackers[0].url);
    if (n == 1)
        return;
    bencode_put_key_list(o, "announce-list");
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || trackers[i].tier != trackers[i - 1].tier)
            bencode_put_list(o);
        bencode_put_str(o, trackers[i].url);
        if (i + 1 == n || trackers[i + 1].tier != trackers[i].tier)
            bencode_put_end(o);
    }
    bencode_put_end(o);
}

static enum err put_all(struct wr *w, const struct create_spec *s, uint32_t *order)
{
    const enum err e = check(s, order);
    if (e != ERR_OK)
        return e;
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    put_trackers(&o, s->trackers, s->trackers_n);
    if (s->comment.n > 0)
        bencode_put_key_str(&o, "comment", s->comment);
    if (s->created_by.n > 0)
        bencode_put_key_str(&o, "created by", s->created_by);
    if (s->created_s != 0)
        bencode_put_key_int(&o, "creation date", s->created_s);
    put_info(&o, s);
    if (s->has_v2)
        put_layers(&o, s, order);
    put_texts(&o, "url-list", s->web_seeds, s->web_seeds_n);
    bencode_put_end(&o);
    return w->ok ? ERR_OK : ERR_TOO_LONG;
}

enum err create_write(struct wr *w, const struct mem *mem, const struct create_spec *s)
{
    if (s->files_n == 0)
        return ERR_SYNTAX;
    if (s->files_n > METAINFO_FILES_MAX)
        return ERR_RANGE;
    uint32_t *order = mem_zarray(mem, (size_t)s->files_n * 2, sizeof *order);
    if (order == NULL)
        return ERR_NOMEM;
    const enum err e = put_all(w, s, order);
    mem_free(mem, order, (size_t)s->files_n * 2 * sizeof *order);
    return e;
}

enum err create_wrap(struct wr *w, struct slice info, const struct slice *trackers, uint32_t trackers_n,
                     const struct slice *web_seeds, uint32_t web_seeds_n)
{
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    if (trackers_n > 0)
        bencode_put_key_str(&o, "announce", trackers[0]);
    if (trackers_n > 1) {
        bencode_put_key_list(&o, "announce-list");
        for (uint32_t i = 0; i < trackers_n; i++) {
            bencode_put_list(&o);
            bencode_put_str(&o, trackers[i]);
            bencode_put_end(&o);
        }
        bencode_put_end(&o);
    }
    bencode_put_key(&o, SLICE_LIT("info"));
    bencode_put_raw(&o, info);
    put_texts(&o, "url-list", web_seeds, web_seeds_n);
    bencode_put_end(&o);
    return w->ok ? ERR_OK : ERR_TOO_LONG;
}
