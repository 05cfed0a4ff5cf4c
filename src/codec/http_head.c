// Header lines of HTTP answers: see http_head.h.
#include "codec/http_head.h"

#include "base/fold.h"
#include "codec/path.h"
#include "codec/url.h"

static struct slice trim(struct slice a)
{
    while (a.n != 0 && (a.p[0] == ' ' || a.p[0] == '\t'))
        a = slice_sub(a, 1, a.n);
    while (a.n != 0 && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t' || a.p[a.n - 1] == '\r'))
        a = slice_sub(a, 0, a.n - 1);
    return a;
}

// Up to `end`, which is taken too; all of it if `end` is not there.
static struct slice take_until(struct slice *a, uint8_t end)
{
    size_t n = 0;
    while (n < a->n && a->p[n] != end)
        n++;
    const struct slice head = slice_sub(*a, 0, n);
    *a = slice_sub(*a, n < a->n ? n + 1 : n, a->n);
    return head;
}

// RFC 9110 §14.4: "bytes 0-499/1234" or "bytes 0-499/*". "bytes */1234" says only the total (416).
static void read_range(struct slice value, struct http_head *h)
{
    uint64_t first = 0, last = 0, total = HTTP_LEN_UNKNOWN;
    if (!fold_starts(value, "bytes "))
        return;
    value = trim(slice_sub(value, 6, value.n));
    struct slice range = take_until(&value, '/');
    value = trim(value);
    if (!fold_eq_str(value, "*") && dec_parse(value, INT64_MAX, &total) != ERR_OK)
        return;
    h->total = total;
    const struct slice a = take_until(&range, '-');
    if (dec_parse(trim(a), INT64_MAX, &first) != ERR_OK || dec_parse(trim(range), INT64_MAX, &last) != ERR_OK)
        return;
    if (last < first || (total != HTTP_LEN_UNKNOWN && last >= total))
        return;
    h->has_range = true;
    h->first = first;
    h->last = last;
}

static void read_line(struct slice line, struct http_head *h)
{
    const struct slice name = trim(take_until(&line, ':')), value = trim(line);
    uint64_t v;
    if (fold_eq_str(name, "content-range")) {
        h->has_range = false;
        read_range(value, h);
    } else if (fold_eq_str(name, "content-length")) {
        h->len = dec_parse(value, INT64_MAX, &v) == ERR_OK ? v : HTTP_LEN_UNKNOWN;
    } else if (fold_eq_str(name, "accept-ranges")) {
        h->accepts_ranges = fold_eq_str(value, "bytes");
    } else if (fold_eq_str(name, "content-encoding")) {
        h->encoded = !fold_eq_str(value, "identity") && value.n != 0;
    } else if (fold_eq_str(name, "retry-after")) {
        const bool number = dec_parse(value, HTTP_RETRY_MAX_S, &v) == ERR_OK;
        h->retry_after_s = number ? (uint32_t)u64_max(v, 1) : value.n != 0 ? HTTP_RETRY_DATE_S : 0;
    } else if (fold_eq_str(name, "etag")) {
        h->etag = value;
    } else if (fold_eq_str(name, "last-modified")) {
        h->modified = value;
    } else if (fold_eq_str(name, "content-disposition")) {
        h->disposition = value;
    } else if (fold_eq_str(name, "content-type")) {
        h->type = value;
    }
}

void http_head_parse(struct slice lines, struct http_head *out)
{
    *out = (struct http_head){.total = HTTP_LEN_UNKNOWN, .len = HTTP_LEN_UNKNOWN};
    while (lines.n != 0)
        read_line(take_until(&lines, '\n'), out);
}

// The value of a parameter: a quoted string without its quotes (backslashes stay in front of what they guard), or a token.
// *rest: what follows.
static struct slice parameter_value(struct slice v, struct slice *rest)
{
    v = trim(v);
    if (v.n == 0 || v.p[0] != '"') {
        const struct slice token = trim(take_until(&v, ';'));
        *rest = v;
        return token;
    }
    v = slice_sub(v, 1, v.n);
    size_t n = 0;
    while (n < v.n && v.p[n] != '"')
        n += v.p[n] == '\\' && n + 1 < v.n ? 2 : 1;
    n = size_min(n, v.n);
    *rest = slice_sub(v, size_min(n + 1, v.n), v.n);
    (void)take_until(rest, ';');
    return slice_sub(v, 0, n);
}

// A name from outside as one safe part. Only what follows the last '/' counts: some servers send a path.
static bool write_name(struct wr *w, struct slice name)
{
    for (size_t i = name.n; i-- > 0;)
        if (name.p[i] == '/' || name.p[i] == '\\') {
            name = slice_sub(name, i + 1, name.n);
            break;
        }
    const size_t from = w->b->n;
    if (name.n == 0 || !path_add(w, name, PATH_DOTS_DROP))
        return false;
    path_replace_colons(w->b, from);
    return w->ok;
}

bool http_disposition_name(struct slice disposition, struct wr *w)
{
    struct slice plain = {0}, extended = {0}, rest = disposition;
    (void)take_until(&rest, ';');       // "attachment"
    while (rest.n != 0) {
        const struct slice name = trim(take_until(&rest, '='));
        const struct slice value = parameter_value(rest, &rest);
        if (fold_eq_str(name, "filename"))
            plain = value;
        else if (fold_eq_str(name, "filename*"))
            extended = value;
    }
    uint8_t space[PATH_PART_MAX * 3];
    struct buf b = {space, 0, sizeof space};
    struct wr raw = wr_make(&b);
    if (fold_starts(extended, "utf-8'")) {   // RFC 8187: UTF-8'language'percent-encoded
        (void)take_until(&extended, '\'');
        (void)take_until(&extended, '\'');
        if (url_decode(&raw, extended) == ERR_OK && write_name(w, buf_slice(&b)))
            return true;
    }
    return write_name(w, plain);
}

bool http_url_name(struct slice path, struct wr *w)
{
    uint8_t space[PATH_PART_MAX * 3];
    struct buf b = {space, 0, sizeof space};
    struct wr raw = wr_make(&b);
    path = take_until(&path, '?');
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == '/') {
            path = slice_sub(path, i + 1, path.n);
            break;
        }
    return path.n != 0 && url_decode(&raw, path) == ERR_OK && write_name(w, buf_slice(&b));
}
