// Reads torrent files: the outer dictionary, limits, trackers, web seeds. BEP 3, 12, 19, 27, 52. See metainfo.h.
#include "codec/metainfo.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "codec/metainfo_int.h"
#include "codec/url.h"

enum { TEXT_CHUNK_MIN = 4096, TEXT_CHUNK_MAX = 1 << 20 };

// Memory that texts are cut from, newest first; never moved, so that slices into it stay.
struct metainfo_text {
    struct metainfo_text *next;
    size_t n, cap;
    uint8_t bytes[];
};

enum root_key {
    ROOT_ANNOUNCE, ROOT_ANNOUNCE_LIST, ROOT_COLLECTIONS, ROOT_COMMENT, ROOT_COMMENT_UTF8, ROOT_CREATED_BY, ROOT_CREATION_DATE,
    ROOT_INFO, ROOT_NODES, ROOT_PIECE_LAYERS, ROOT_SIMILAR, ROOT_URL_LIST, ROOT_KEYS,
};

static const char *const root_keys[ROOT_KEYS] = {
    "announce", "announce-list", "collections", "comment", "comment.utf-8", "created by", "creation date",
    "info", "nodes", "piece layers", "similar", "url-list",
};

static const char *const info_keys[INFO_KEYS] = {
    "attr", "collections", "file tree", "files", "length", "meta version", "name", "name.utf-8",
    "originator", "piece length", "pieces", "private", "similar", "update-url",
};

enum err metainfo_refuse(struct metainfo_reader *r, enum err e, const char *fmt, ...)
{
    ASSERT(e != ERR_OK);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(r->why, METAINFO_WHY_LEN, fmt, args);
    va_end(args);
    return e;
}

enum err metainfo_nomem(struct metainfo_reader *r)
{
    return metainfo_refuse(r, ERR_NOMEM, "not enough memory for this torrent");
}

enum err metainfo_keep(struct metainfo_reader *r, struct slice text, struct slice *out)
{
    struct metainfo *m = r->m;
    if (text.n == 0) {
        *out = (struct slice){0};
        return ERR_OK;
    }
    if (text.n > METAINFO_TEXT_MAX - r->text_n)
        return metainfo_refuse(r, ERR_TOO_LONG, "the paths of all files take up more than %d MiB", METAINFO_TEXT_MAX >> 20);
    if (m->text == NULL || text.n > m->text->cap - m->text->n) {
        size_t cap = m->text == NULL ? TEXT_CHUNK_MIN : size_min(m->text->cap * 2, TEXT_CHUNK_MAX);
        if (cap < text.n)
            cap = text.n;
        struct metainfo_text *fresh = mem_zalloc(m->mem, sizeof *fresh + cap);
        if (fresh == NULL)
            return metainfo_nomem(r);
        *fresh = (struct metainfo_text){.next = m->text, .cap = cap};
        m->text = fresh;
    }
    uint8_t *at = m->text->bytes + m->text->n;
    memcpy(at, text.p, text.n);
    m->text->n += text.n;
    r->text_n += text.n;
    *out = slice_of(at, text.n);
    return ERR_OK;
}

uint32_t metainfo_flags(struct slice raw_attr)
{
    struct slice attr = {0};
    uint32_t flags = 0;
    if (!bencode_raw_str(raw_attr, &attr))
        return 0;
    for (size_t i = 0; i < attr.n; i++)
        switch (attr.p[i]) {
        case 'p': flags |= FILE_PAD; break;
        case 'l': flags |= FILE_SYMLINK; break;
        case 'x': flags |= FILE_EXECUTABLE; break;
        case 'h': flags |= FILE_HIDDEN; break;
        default: break;                 // BEP 47: unknown letters are ignored
        }
    return flags;
}

enum err metainfo_alloc_files(struct metainfo_reader *r, uint64_t n, struct metainfo_file **out)
{
    if (n == 0)
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has no files");
    if (n > METAINFO_FILES_MAX)
        return metainfo_refuse(r, ERR_TOO_LONG, "the torrent has more than %d files", METAINFO_FILES_MAX);
    struct metainfo_file *files = mem_zarray(r->m->mem, (size_t)n, sizeof *files);
    if (files == NULL)
        return metainfo_nomem(r);
    *out = files;
    return ERR_OK;
}

enum err metainfo_add_parts(struct metainfo_reader *r, struct buf *into, struct slice raw_list, enum path_dots dots, uint32_t file)
{
    struct bencode b;
    bencode_init(&b, raw_list, BENCODE_LENIENT);
    if (bencode_peek(&b) != BENCODE_LIST || !bencode_list(&b))
        return metainfo_refuse(r, ERR_SYNTAX, "file %u has no path", file + 1);
    struct wr w = wr_make(into);
    uint32_t parts = 0;
    bool any = false;
    for (; bencode_more(&b); parts++) {
        struct slice part = {0};
        if (!bencode_str(&b, &part))
            return metainfo_refuse(r, ERR_SYNTAX, "the path of file %u has a part that is not a string", file + 1);
        if (parts == PATH_PARTS_MAX - 1)
            return metainfo_refuse(r, ERR_TOO_LONG, "the path of file %u has more than %d parts", file + 1, PATH_PARTS_MAX);
        any |= path_add(&w, part, dots);
    }
    if (parts == 0)
        return metainfo_refuse(r, ERR_SYNTAX, "file %u has no path", file + 1);
    if (!any)
        (void)path_add(&w, (struct slice){0}, dots);
    ASSERT(w.ok);                       // PATH_BYTES_MAX holds PATH_PARTS_MAX parts
    return ERR_OK;
}

enum err metainfo_keep_target(struct metainfo_reader *r, struct slice raw_list, struct metainfo_file *f)
{
    f->target = (struct slice){0};
    if (raw_list.n == 0)
        return ERR_OK;
    r->target.n = 0;                    // r->path may hold the directory that is being walked
    struct wr w = wr_make(&r->target);
    wr_bytes(&w, r->m->name);
    const enum err e = metainfo_add_parts(r, &r->target, raw_list, PATH_DOTS_REPLACE, 0);
    return e == ERR_OK ? metainfo_keep(r, buf_slice(&r->target), &f->target) : ERR_OK;      // a link without target is kept
}

// ---- names

static enum err read_name(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    struct slice raw = {0};
    if (!bencode_raw_str(r->info[INFO_NAME_UTF8].raw, &raw) && !bencode_raw_str(r->info[INFO_NAME].raw, &raw))
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has no name");
    r->path.n = 0;
    struct wr w = wr_make(&r->path);
    if (raw.n == 0 || !path_add(&w, raw, PATH_DOTS_DROP)) {
        r->path.n = 0;
        wr_hex(&w, slice_of(m->has_v1 ? m->hash_v1 : m->hash_v2, SHA1_LEN));
    }
    path_replace_colons(&r->path, 0);
    return metainfo_keep(r, buf_slice(&r->path), &m->name);
}

// ---- trackers and web seeds

static bool has_url(const struct metainfo_url *urls, uint32_t n, struct slice url)
{
    for (uint32_t i = 0; i < n; i++)
        if (slice_eq(urls[i].url, url))
            return true;
    return false;
}

// Makes room for one more; *out_room is false if METAINFO_URLS_MAX is reached.
static enum err grow_urls(struct metainfo_reader *r, struct metainfo_url **urls, uint32_t n, uint32_t *cap, bool *out_room)
{
    void *items = *urls;
    const enum err e = mem_grow(r->m->mem, &items, cap, n + 1, METAINFO_URLS_MAX, sizeof **urls);
    *urls = items;
    *out_room = e == ERR_OK;
    return e == ERR_NOMEM ? metainfo_nomem(r) : ERR_OK;
}

// Adds all URLs of a text, which may be many.
static enum err add_trackers(struct metainfo_reader *r, struct slice text, uint32_t tier)
{
    struct metainfo *m = r->m;
    for (struct slice url; r->urls_n < METAINFO_URL_TRIES_MAX && url_list_next(&text, &url);) {
        r->urls_n++;
        if (has_url(m->trackers, m->trackers_n, url))
            continue;
        bool room = false;
        const enum err e = grow_urls(r, &m->trackers, m->trackers_n, &m->trackers_cap, &room);
        if (e != ERR_OK || !room)
            return e;
        m->trackers[m->trackers_n++] = (struct metainfo_url){.url = url, .tier = tier};
    }
    return ERR_OK;
}

// One tier: a list, or just a string as some write it.
static enum err read_tier(struct metainfo_reader *r, struct bencode *b, uint32_t tier)
{
    struct slice text = {0};
    enum err e = ERR_OK;
    if (bencode_peek(b) == BENCODE_STR)
        return bencode_str(b, &text) ? add_trackers(r, text, tier) : ERR_OK;
    if (!bencode_list(b))
        return ERR_OK;
    while (e == ERR_OK && bencode_more(b))
        if (bencode_str(b, &text))
            e = add_trackers(r, text, tier);
    return e;
}

// BEP 12: the list counts, and "announce" only without it. A tier without a usable URL has no number.
static enum err read_trackers(struct metainfo_reader *r, const struct bencode_field *root)
{
    struct metainfo *m = r->m;
    struct bencode b;
    struct slice text = {0};
    uint32_t tier = 0;
    bencode_init(&b, root[ROOT_ANNOUNCE_LIST].raw, BENCODE_LENIENT);
    if (bencode_peek(&b) == BENCODE_LIST && bencode_list(&b)) {
        while (bencode_more(&b)) {
            const uint32_t before = m->trackers_n;
            const enum err e = read_tier(r, &b, tier);
            if (e != ERR_OK)
                return e;
            tier += m->trackers_n > before;
        }
    }
    if (m->trackers_n == 0 && bencode_raw_str(root[ROOT_ANNOUNCE].raw, &text))
        return add_trackers(r, text, 0);
    return ERR_OK;
}

static bool is_blank(uint8_t c) { return c <= ' ' || c == 0x7f; }

static struct slice trim(struct slice s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = slice_sub(s, 1, s.n);
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

// BEP 19: what may not stand in a URL is escaped; of several files it is the folder, so it ends with '/'.
static enum err add_web_seed(struct metainfo_reader *r, struct slice text)
{
    struct metainfo *m = r->m;
    text = trim(text);
    r->path.n = 0;
    struct wr w = wr_make(&r->path);
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t c = text.p[i];
        if (is_blank(c) || c > 0x7f)
            wr_fmt(&w, "%%%02X", c);
        else
            wr_u8(&w, c);
    }
    if (m->is_dir && text.n > 0 && text.p[text.n - 1] != '/')
        wr_u8(&w, '/');
    struct url url;
    if (!w.ok || url_parse(buf_slice(&r->path), &url) != ERR_OK)
        return ERR_OK;
    if (!url_is(&url, "http") && !url_is(&url, "https") && !url_is(&url, "ftp"))
        return ERR_OK;
    if (r->urls_n++ >= METAINFO_URL_TRIES_MAX)
        return ERR_OK;
    bool room = false;
    enum err e = grow_urls(r, &m->web_seeds, m->web_seeds_n, &m->web_seeds_cap, &room);
    if (e != ERR_OK || !room || has_url(m->web_seeds, m->web_seeds_n, buf_slice(&r->path)))
        return e;
    struct slice kept = {0};
    e = metainfo_keep(r, buf_slice(&r->path), &kept);
    if (e == ERR_OK)
        m->web_seeds[m->web_seeds_n++] = (struct metainfo_url){.url = kept};
    return e;
}

static enum err read_web_seeds(struct metainfo_reader *r, struct slice raw)
{
    struct bencode b;
    struct slice text = {0};
    if (bencode_raw_str(raw, &text))
        return add_web_seed(r, text);
    bencode_init(&b, raw, BENCODE_LENIENT);
    if (bencode_peek(&b) != BENCODE_LIST || !bencode_list(&b))
        return ERR_OK;
    enum err e = ERR_OK;
    while (e == ERR_OK && bencode_more(&b))
        if (bencode_str(&b, &text))
            e = add_web_seed(r, text);
    return e;
}

// ---- the whole

static enum err read_piece_len(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    int64_t v = 0;
    if (!bencode_raw_int(r->info[INFO_PIECE_LENGTH].raw, &v))
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has no piece length");
    if (v <= 0 || v > METAINFO_PIECE_LEN_MAX)
        return metainfo_refuse(r, ERR_SYNTAX, "piece length %" PRId64 " is not between 1 and %d", v, METAINFO_PIECE_LEN_MAX);
    if (m->has_v2 && (v & (v - 1)) != 0)
        return metainfo_refuse(r, ERR_SYNTAX, "piece length %" PRId64 " is not a power of two", v);
    if (m->has_v2 && v < BLOCK_LEN)
        return metainfo_refuse(r, ERR_SYNTAX, "piece length %" PRId64 " is less than %d", v, BLOCK_LEN);
    m->piece_len = (uint32_t)v;
    return ERR_OK;
}

// Which versions it has, and their hashes. BEP 52: what calls itself version 2 must be written as prescribed.
static enum err read_version(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    int64_t version = 1;
    if (!bencode_raw_int(r->info[INFO_META_VERSION].raw, &version) || version < 1)
        version = 1;
    if (version > 2)
        return metainfo_refuse(r, ERR_SYNTAX, "meta version %" PRId64 " is not known", version);
    m->has_v2 = version == 2;
    m->has_v1 = !m->has_v2 || r->info[INFO_PIECES].raw.n != 0;
    struct bencode b;
    bencode_init(&b, m->info, m->has_v2 ? BENCODE_STRICT : BENCODE_NORMAL);
    if (!bencode_check(&b))
        return metainfo_refuse(r, ERR_SYNTAX, "byte %zu of the info dictionary: %s", b.error_at, bencode_error_text(b.error));
    if (m->has_v1)
        sha1_of(m->info, m->hash_v1);
    if (m->has_v2)
        sha256_of(m->info, m->hash_v2);
    return ERR_OK;
}

static enum err read_info(struct metainfo_reader *r, const struct bencode_field *root)
{
    struct metainfo *m = r->m;
    for (uint32_t i = 0; i < INFO_KEYS; i++)
        r->info[i].key = info_keys[i];
    if (!bencode_fields(m->info, r->info, INFO_KEYS))
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has no info dictionary");
    int64_t private = 0;
    m->is_private = bencode_raw_int(r->info[INFO_PRIVATE].raw, &private) && private != 0;
    m->similar[0] = r->info[INFO_SIMILAR].raw;
    m->similar[1] = root[ROOT_SIMILAR].raw;
    m->collections[0] = r->info[INFO_COLLECTIONS].raw;
    m->collections[1] = root[ROOT_COLLECTIONS].raw;
    (void)bencode_raw_str(r->info[INFO_UPDATE_URL].raw, &m->update_url);
    m->has_originator = r->info[INFO_ORIGINATOR].raw.n != 0;
    enum err e = read_version(r);
    if (e == ERR_OK)
        e = read_piece_len(r);
    if (e == ERR_OK)
        e = read_name(r);
    if (e == ERR_OK && m->has_v1)
        e = metainfo_read_v1(r);
    if (e == ERR_OK && m->has_v2)
        e = metainfo_read_v2(r);
    if (e == ERR_OK && m->has_v2)
        e = metainfo_read_layers(r, root[ROOT_PIECE_LAYERS].raw);
    return e == ERR_OK ? metainfo_make_unique(r) : e;
}

uint32_t metainfo_hints(const struct slice lists[2], struct slice out[METAINFO_HINTS_MAX])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct bencode b;
        struct slice text = {0};
        bencode_init(&b, lists[i], BENCODE_LENIENT);
        if (lists[i].n == 0 || bencode_peek(&b) != BENCODE_LIST || !bencode_list(&b))
            continue;
        while (bencode_more(&b) && n < METAINFO_HINTS_MAX) {
            if (bencode_peek(&b) != BENCODE_STR || !bencode_str(&b, &text)) {
                (void)bencode_raw(&b);
                continue;
            }
            bool there = text.n == 0;
            for (uint32_t k = 0; k < n && !there; k++)
                there = slice_eq(out[k], text);
            if (!there)
                out[n++] = text;
        }
    }
    return n;
}

static enum err read_root(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    struct bencode b;
    bencode_init(&b, m->bytes, BENCODE_NORMAL);
    if (!bencode_check(&b))
        return metainfo_refuse(r, b.error == BENCODE_TOO_BIG ? ERR_TOO_LONG : ERR_SYNTAX, "byte %zu of the torrent file: %s",
                               b.error_at, bencode_error_text(b.error));
    struct bencode_field root[ROOT_KEYS];
    for (uint32_t i = 0; i < ROOT_KEYS; i++)
        root[i].key = root_keys[i];
    if (!bencode_fields(m->bytes, root, ROOT_KEYS))
        return metainfo_refuse(r, ERR_SYNTAX, "this is not a torrent file: it is not a bencoded dictionary");
    m->info = root[ROOT_INFO].raw;
    enum err e = read_info(r, root);
    if (e != ERR_OK)
        return e;
    if (!bencode_raw_str(root[ROOT_COMMENT_UTF8].raw, &m->comment))
        (void)bencode_raw_str(root[ROOT_COMMENT].raw, &m->comment);
    (void)bencode_raw_str(root[ROOT_CREATED_BY].raw, &m->created_by);
    (void)bencode_raw_int(root[ROOT_CREATION_DATE].raw, &m->created_s);
    m->nodes = root[ROOT_NODES].raw;
    e = read_trackers(r, root);
    return e == ERR_OK ? read_web_seeds(r, root[ROOT_URL_LIST].raw) : e;
}

static enum err read_all(struct metainfo_reader *r, struct slice bytes, size_t max)
{
    struct metainfo *m = r->m;
    if (bytes.n == 0)
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent file is empty");
    if (bytes.n > max)
        return metainfo_refuse(r, ERR_TOO_LONG, "the torrent file has more than %zu bytes", max);
    uint8_t *copy = mem_zalloc(m->mem, bytes.n);
    if (copy == NULL)
        return metainfo_nomem(r);
    memcpy(copy, bytes.p, bytes.n);
    m->bytes = slice_of(copy, bytes.n);
    return read_root(r);
}

static enum err parse(struct metainfo *out, const struct mem *mem, struct slice bytes, size_t max, char why[METAINFO_WHY_LEN])
{
    *out = (struct metainfo){.mem = mem};
    struct metainfo_reader r = {.m = out, .why = why};
    uint8_t *space = mem_zalloc(mem, 2 * PATH_BYTES_MAX);
    enum err e;
    if (space != NULL) {
        r.path = (struct buf){.p = space, .cap = PATH_BYTES_MAX};
        r.target = (struct buf){.p = space + PATH_BYTES_MAX, .cap = PATH_BYTES_MAX};
        e = read_all(&r, bytes, max);
    } else {
        e = metainfo_nomem(&r);
    }
    mem_free(mem, space, 2 * PATH_BYTES_MAX);
    if (e == ERR_OK)
        why[0] = '\0';                  // something was wrong, but could be left out
    else
        metainfo_free(out);
    return e;
}

enum err metainfo_parse(struct metainfo *out, const struct mem *mem, struct slice bytes, char why[METAINFO_WHY_LEN])
{
    return parse(out, mem, bytes, METAINFO_BYTES_MAX, why);
}

enum err metainfo_parse_own(struct metainfo *out, const struct mem *mem, struct slice bytes, char why[METAINFO_WHY_LEN])
{
    return parse(out, mem, bytes, METAINFO_OWN_MAX, why);
}

void metainfo_free(struct metainfo *m)
{
    const struct mem *mem = m->mem;
    if (mem == NULL)
        return;
    while (m->text != NULL) {
        struct metainfo_text *next = m->text->next;
        mem_free(mem, m->text, sizeof *m->text + m->text->cap);
        m->text = next;
    }
    mem_free(mem, m->web_seeds, m->web_seeds_cap * sizeof *m->web_seeds);
    mem_free(mem, m->trackers, m->trackers_cap * sizeof *m->trackers);
    mem_free(mem, m->files, m->files_cap * sizeof *m->files);
    mem_free(mem, (void *)(uintptr_t)m->bytes.p, m->bytes.n);
    *m = (struct metainfo){0};
}

uint32_t metainfo_file_at(const struct metainfo *m, uint64_t offset)
{
    ASSERT(offset < m->span);
    uint32_t lo = 0, hi = m->files_n;   // files[lo].offset <= offset, and files[hi].offset > offset
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (m->files[mid].offset <= offset)
            lo = mid;
        else
            hi = mid;
    }
    while (m->files[lo].len == 0) {     // an empty file behind the last byte of the one that is meant
        ASSERT(lo > 0);
        lo--;
    }
    ASSERT(offset - m->files[lo].offset < m->files[lo].len);
    return lo;
}

uint32_t metainfo_piece_len(const struct metainfo *m, uint32_t i)
{
    ASSERT(i < m->pieces_n);
    const uint64_t start = (uint64_t)i * m->piece_len;
    uint64_t end = m->span;
    if (!m->has_v1) {
        const struct metainfo_file *f = &m->files[metainfo_file_at(m, start)];
        end = f->offset + f->len;
    }
    return u32_of(u64_min(m->piece_len, end - start));
}
