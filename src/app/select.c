// See select.h.
#include "app/select.h"

#include <fnmatch.h>
#include <stdio.h>

enum { ITEM_MAX = 1024, PATH_TEXT_MAX = 8192 };

static bool is_number(struct slice s)
{
    bool digits = s.n > 0;
    for (size_t i = 0; i < s.n; i++)
        digits = digits && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-');
    return digits;
}

static enum err bad_item(struct slice item, const char *what, enum err e, char why[SELECT_WHY_MAX])
{
    snprintf(why, SELECT_WHY_MAX, "%.*s %s", (int)size_min(item.n, 200), (const char *)item.p, what);
    return e;
}

// Sets the files with numbers first … last.
static void set_range(const struct metainfo *meta, uint64_t first, uint64_t last, bool *out)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < meta->files_n; i++) {
        if ((meta->files[i].flags & FILE_PAD) != 0)
            continue;
        number++;
        if (number >= first && number <= last)
            out[i] = true;
    }
}

static enum err parse_numbers(struct slice item, const struct metainfo *meta, bool *out, char why[SELECT_WHY_MAX])
{
    uint64_t files = 0, first = 1, last = 0;
    for (uint32_t i = 0; i < meta->files_n; i++)
        files += (meta->files[i].flags & FILE_PAD) == 0;
    size_t dash = 0;
    while (dash < item.n && item.p[dash] != '-')
        dash++;
    last = files;
    // "3-" and "-3" are open ranges, "-" alone is none
    if (item.n == 1 && dash == 0)
        return bad_item(item, "is no number, range or glob", ERR_SYNTAX, why);
    if (dash > 0 && dec_parse(slice_sub(item, 0, dash), UINT32_MAX, &first) != ERR_OK)
        return bad_item(item, "is no number", ERR_SYNTAX, why);
    if (dash == item.n)
        last = first;
    else if (dash + 1 < item.n && dec_parse(slice_sub(item, dash + 1, item.n), UINT32_MAX, &last) != ERR_OK)
        return bad_item(item, "is no range", ERR_SYNTAX, why);
    if (first == 0 || first > last || last > files) {
        char what[64];
        snprintf(what, sizeof what, "is not within 1-%llu", (unsigned long long)files);
        return bad_item(item, what, ERR_RANGE, why);
    }
    set_range(meta, first, last, out);
    return ERR_OK;
}

static bool glob_matches(const char *glob, const struct metainfo *meta, const struct metainfo_file *f)
{
    char path[PATH_TEXT_MAX];
    if (f->path.n >= sizeof path)
        return false;
    memcpy(path, f->path.p, f->path.n);
    path[f->path.n] = 0;
    const char *const slash = meta->is_dir ? strchr(path, '/') : NULL, *const last = strrchr(path, '/');
    return fnmatch(glob, path, 0) == 0 || (slash != NULL && fnmatch(glob, slash + 1, 0) == 0) ||
        (last != NULL && fnmatch(glob, last + 1, 0) == 0);
}

static enum err parse_glob(struct slice item, const struct metainfo *meta, bool *out, char why[SELECT_WHY_MAX])
{
    char glob[ITEM_MAX];
    if (item.n >= sizeof glob)
        return bad_item(item, "… is too long", ERR_SYNTAX, why);
    memcpy(glob, item.p, item.n);
    glob[item.n] = 0;
    bool found = false;
    for (uint32_t i = 0; i < meta->files_n; i++) {
        if ((meta->files[i].flags & FILE_PAD) == 0 && glob_matches(glob, meta, &meta->files[i])) {
            out[i] = true;
            found = true;
        }
    }
    return found ? ERR_OK : bad_item(item, "matches no file", ERR_NOT_FOUND, why);
}

enum err select_parse(const char *list, const struct metainfo *meta, bool *out, char why[SELECT_WHY_MAX])
{
    for (uint32_t i = 0; i < meta->files_n; i++)
        out[i] = false;
    const struct slice all = slice_str(list);
    size_t at = 0;
    while (at <= all.n) {
        size_t end = at;
        while (end < all.n && all.p[end] != ',')
            end++;
        const struct slice item = slice_sub(all, at, end - at);
        if (item.n == 0)
            return bad_item(all, "has an empty item", ERR_SYNTAX, why);
        const enum err e = is_number(item) ? parse_numbers(item, meta, out, why) : parse_glob(item, meta, out, why);
        if (e != ERR_OK)
            return e;
        at = end + 1;
    }
    return ERR_OK;
}
