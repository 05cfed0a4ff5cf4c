// The v1 part of a torrent: one list of files in a row, and a digest for each piece. BEP 3, 47.
#include "codec/metainfo_int.h"

#include <inttypes.h>

enum file_key { FILE_ATTR, FILE_LENGTH, FILE_PATH, FILE_PATH_UTF8, FILE_SYMLINK_PATH, FILE_KEYS };

static const struct bencode_field file_keys[FILE_KEYS] = {
    {.key = "attr"}, {.key = "length"}, {.key = "path"}, {.key = "path.utf-8"}, {.key = "symlink path"},
};

// BitComet's pad files, from before BEP 47, are known by their name.
static bool is_named_pad(struct slice path)
{
    const struct slice parent = path_parent(path);
    return slice_starts(slice_sub(path, parent.n == 0 ? 0 : parent.n + 1, path.n), "_____padding_file_");
}

// Places the file behind those before it.
static enum err add_file(struct metainfo_reader *r, const struct metainfo_file *f)
{
    struct metainfo *m = r->m;
    const uint64_t span_max = (uint64_t)METAINFO_PIECES_MAX * m->piece_len;
    if (f->len > span_max - m->span)
        return metainfo_refuse(r, ERR_TOO_LONG, "the torrent has more than %d pieces", METAINFO_PIECES_MAX);
    struct metainfo_file *place = &m->files[m->files_n++];
    *place = *f;
    place->offset = m->span;
    m->span += f->len;
    if ((f->flags & FILE_PAD) == 0)
        m->len += f->len;
    return ERR_OK;
}

static enum err make_path(struct metainfo_reader *r, const struct bencode_field *fields, struct metainfo_file *f)
{
    struct metainfo *m = r->m;
    struct slice raw = fields[FILE_PATH_UTF8].raw.n != 0 ? fields[FILE_PATH_UTF8].raw : fields[FILE_PATH].raw;
    r->path.n = 0;
    struct wr w = wr_make(&r->path);
    wr_bytes(&w, m->name);
    if (raw.n == 0 && (f->flags & FILE_PAD) != 0) {
        wr_fmt(&w, "/.pad/%" PRIu64, f->len);
    } else {
        // A hybrid's v2 tree keeps its depth, so that the paths can be compared
        const enum err e = metainfo_add_parts(r, &r->path, raw, m->has_v2 ? PATH_DOTS_REPLACE : PATH_DOTS_DROP, m->files_n);
        if (e != ERR_OK)
            return e;
    }
    const enum err e = metainfo_keep(r, buf_slice(&r->path), &f->path);
    if (e == ERR_OK && is_named_pad(f->path))
        f->flags |= FILE_PAD;
    return e;
}

static enum err read_file(struct metainfo_reader *r, struct slice raw)
{
    const uint32_t index = r->m->files_n;
    struct bencode_field fields[FILE_KEYS];
    memcpy(fields, file_keys, sizeof fields);
    if (!bencode_fields(raw, fields, FILE_KEYS))
        return metainfo_refuse(r, ERR_SYNTAX, "file %u is not a dictionary", index + 1);
    struct metainfo_file f = {.flags = metainfo_flags(fields[FILE_ATTR].raw)};
    int64_t len = 0;
    if ((f.flags & FILE_SYMLINK) == 0) {
        if (!bencode_raw_int(fields[FILE_LENGTH].raw, &len))
            return metainfo_refuse(r, ERR_SYNTAX, "file %u has no length", index + 1);
        if (len < 0)
            return metainfo_refuse(r, ERR_SYNTAX, "the length of file %u is negative", index + 1);
    }
    f.len = (uint64_t)len;
    enum err e = make_path(r, fields, &f);
    if (e == ERR_OK && (f.flags & FILE_SYMLINK) != 0)
        e = metainfo_keep_target(r, fields[FILE_SYMLINK_PATH].raw, &f);
    return e == ERR_OK ? add_file(r, &f) : e;
}

static enum err read_files(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    const struct slice raw = r->info[INFO_FILES].raw;
    struct bencode b;
    bencode_init(&b, raw, BENCODE_LENIENT);
    if (bencode_peek(&b) != BENCODE_LIST || !bencode_list(&b))
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent's files are not a list");
    uint64_t n = 0;
    for (; bencode_more(&b); n++)
        (void)bencode_raw(&b);
    enum err e = metainfo_alloc_files(r, n, &m->files);
    m->files_cap = e == ERR_OK ? (uint32_t)n : 0;
    bencode_init(&b, raw, BENCODE_LENIENT);
    for (bool in = bencode_list(&b); in && e == ERR_OK && bencode_more(&b);)
        e = read_file(r, bencode_raw(&b));
    return e;
}

static enum err read_single(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    int64_t len = 0;
    if (!bencode_raw_int(r->info[INFO_LENGTH].raw, &len))
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has neither files nor a length");
    if (len < 0)
        return metainfo_refuse(r, ERR_SYNTAX, "the length of the file is negative");
    const enum err e = metainfo_alloc_files(r, 1, &m->files);
    if (e != ERR_OK)
        return e;
    m->files_cap = 1;
    const uint32_t flags = metainfo_flags(r->info[INFO_ATTR].raw) & (FILE_EXECUTABLE | FILE_HIDDEN);
    return add_file(r, &(struct metainfo_file){.path = m->name, .len = (uint64_t)len, .flags = flags});
}

enum err metainfo_read_v1(struct metainfo_reader *r)
{
    struct metainfo *m = r->m;
    m->is_dir = r->info[INFO_FILES].raw.n != 0;
    const enum err e = m->is_dir ? read_files(r) : read_single(r);
    if (e != ERR_OK)
        return e;
    if (m->span == 0)
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent's files are all empty");
    m->pieces_n = u32_of(u64_div_up(m->span, m->piece_len));
    struct slice pieces = {0};
    if (!bencode_raw_str(r->info[INFO_PIECES].raw, &pieces))
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has no piece digests");
    if (pieces.n != (size_t)m->pieces_n * SHA1_LEN)
        return metainfo_refuse(r, ERR_SYNTAX, "the torrent has %zu bytes of digests for its %u pieces", pieces.n, m->pieces_n);
    m->pieces = pieces.p;
    return ERR_OK;
}
