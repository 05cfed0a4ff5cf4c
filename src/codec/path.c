// File names from strangers: see path.h. The rules are those that libtorrent keeps on POSIX systems.
#include "codec/path.h"

#include "codec/utf8.h"

// Characters that are left out: separators, zero width, marks and overrides of direction, invisible operators.
static bool is_dropped(int32_t c)
{
    return c == '/' || c == '\\' || c == 0x061c || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static bool is_control(int32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

// Where the extension of a part that must be cut begins, at or behind `from`; part.n: there is none.
static size_t kept_extension(struct slice part, size_t from)
{
    const size_t lowest = part.n > PATH_EXTENSION_MAX ? part.n - PATH_EXTENSION_MAX : 0;
    for (size_t i = part.n; i > from && i > lowest + 1; i--)
        if (part.p[i - 1] == '.')
            return i - 1;
    return part.n;
}

bool path_add(struct wr *w, struct slice part, enum path_dots dots)
{
    const size_t before = w->b->n;
    if (before != 0)
        wr_u8(w, '/');
    const size_t from = w->b->n;
    bool cut = false;
    for (size_t at = 0, n = 0; at < part.n && w->ok; at += n) {
        const int32_t c = utf8_next(slice_sub(part, at, part.n), &n);
        if (c >= 0 && is_dropped(c))
            continue;
        if (is_control(c))              // UTF8_INVALID too
            wr_u8(w, '_');
        else
            wr_bytes(w, slice_sub(part, at, n));
        if (w->b->n - from >= PATH_PART_CUT && !cut) {
            cut = true;
            at = kept_extension(part, at + n) - n;
        }
    }
    const struct slice made = slice_sub(buf_slice(w->b), from, w->b->n);
    if (made.n == 0 || slice_eq_str(made, ".") || slice_eq_str(made, "..")) {
        const bool drop = made.n != 0 && dots == PATH_DOTS_DROP;
        w->b->n = drop ? before : from;
        if (drop)
            return false;
        wr_u8(w, '_');
    }
    return w->ok;
}

void path_replace_colons(struct buf *b, size_t from)
{
    for (size_t i = from; i < b->n; i++)
        if (b->p[i] == ':')
            b->p[i] = '_';
}

bool path_is_safe(struct slice path)
{
    uint32_t parts = 0;
    if (path.n == 0 || path.p[0] == '/' || path.p[path.n - 1] == '/')
        return false;
    for (struct slice part; path_next(&path, &part); parts++) {
        if (part.n == 0 || slice_eq_str(part, ".") || slice_eq_str(part, ".."))
            return false;
        for (size_t at = 0, n = 0; at < part.n; at += n) {
            const int32_t c = utf8_next(slice_sub(part, at, part.n), &n);
            if (is_control(c) || is_dropped(c))
                return false;
        }
    }
    return parts <= PATH_PARTS_MAX;
}

size_t path_extension_at(struct slice path)
{
    for (size_t i = path.n; i > 1; i--) {
        if (path.p[i - 1] == '/')
            break;
        if (path.p[i - 1] == '.')
            return path.p[i - 2] == '/' ? path.n : i - 1;
    }
    return path.n;
}

bool path_next(struct slice *path, struct slice *out_part)
{
    if (path->p == NULL)
        return false;
    size_t n = 0;
    while (n < path->n && path->p[n] != '/')
        n++;
    *out_part = (struct slice){path->p, n};
    *path = n < path->n ? (struct slice){path->p + n + 1, path->n - n - 1} : (struct slice){0};
    return true;
}

struct slice path_parent(struct slice path)
{
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '/')
            return slice_sub(path, 0, i - 1);
    return (struct slice){0};
}

int path_cmp(struct slice a, struct slice b)
{
    for (;;) {
        struct slice part_a = {0}, part_b = {0};
        const bool more_a = path_next(&a, &part_a), more_b = path_next(&b, &part_b);
        if (!more_a || !more_b)
            return more_a - more_b;
        const int c = slice_cmp(part_a, part_b);
        if (c != 0)
            return c;
    }
}
