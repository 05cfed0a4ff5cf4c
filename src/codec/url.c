// URLs: see url.h.
#include "codec/url.h"

#include "base/fold.h"

static bool is_alpha(uint8_t c) { return fold(c) >= 'a' && fold(c) <= 'z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_blank(uint8_t c) { return c <= ' ' || c == 0x7f; }

// Index of the first byte that is in `set`, s.n if none is.
static size_t find_any(struct slice s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        for (const char *c = set; *c != 0; c++)
            if (s.p[i] == (uint8_t)*c)
                return i;
    return s.n;
}

// Length of "scheme" if s starts with "scheme://", else 0. RFC 3986 §3.1.
static size_t scheme_len(struct slice s)
{
    size_t i = 0;
    while (i < s.n && (is_alpha(s.p[i]) || (i > 0 && (is_digit(s.p[i]) || strchr("+-.", s.p[i]) != NULL) && s.p[i] != 0)))
        i++;
    return slice_starts(slice_sub(s, i, s.n), "://") ? i : 0;
}

bool url_is(const struct url *u, const char *scheme)
{
    return fold_eq_str(u->scheme, scheme);
}

static uint16_t default_port(const struct url *u)
{
    return url_is(u, "http") ? 80 : url_is(u, "https") ? 443 : url_is(u, "ftp") ? 21 : 0;
}

// "host", "host:port", "[::1]:port"
static enum err parse_authority(struct slice s, struct url *u)
{
    size_t end;
    u->bracketed = s.n != 0 && s.p[0] == '[';
    if (u->bracketed) {
        end = find_any(s, "]");
        if (end == s.n)
            return ERR_SYNTAX;
        u->host = slice_sub(s, 1, end - 1);
        end++;
    } else {
        end = find_any(s, ":");
        u->host = slice_sub(s, 0, end);
    }
    if (u->host.n == 0)
        return ERR_SYNTAX;
    u->port = default_port(u);
    const struct slice rest = slice_sub(s, end, s.n);
    if (rest.n == 0)
        return ERR_OK;
    if (rest.p[0] != ':')
        return ERR_SYNTAX;
    if (rest.n == 1)                    // "host:" is legal: RFC 3986 §3.2.3
        return ERR_OK;
    uint64_t port;
    if (dec_parse(slice_sub(rest, 1, rest.n), UINT16_MAX, &port) != ERR_OK || port == 0)
        return ERR_SYNTAX;
    u->port = u16_of(port);
    return ERR_OK;
}

enum err url_parse(struct slice text, struct url *out)
{
    for (size_t i = 0; i < text.n; i++)
        if (is_blank(text.p[i]))
            return ERR_SYNTAX;
    const size_t n = scheme_len(text);
    if (n == 0)
        return ERR_SYNTAX;
    struct url u = {.scheme = slice_sub(text, 0, n)};
    struct slice rest = slice_sub(text, n + 3, text.n);
    rest = slice_sub(rest, 0, find_any(rest, "#"));
    const size_t path = find_any(rest, "/?");
    u.path = slice_sub(rest, path, rest.n);
    struct slice authority = slice_sub(rest, 0, path);
    size_t at = authority.n;
    while (at > 0 && authority.p[at - 1] != '@')
        at--;
    if (at > 0)
        u.user = slice_sub(authority, 0, at - 1);
    const enum err e = parse_authority(slice_sub(authority, at, authority.n), &u);
    if (e != ERR_OK)
        return e;
    *out = u;
    return ERR_OK;
}

bool url_list_next(struct slice *list, struct slice *out)
{
    while (list->n != 0) {
        size_t n = 0;
        while (n < list->n && !is_blank(list->p[n])) {
            const uint8_t c = list->p[n];
            if ((c == ',' || c == ';') && scheme_len(slice_sub(*list, n + 1, list->n)) != 0)
                break;
            n++;
        }
        const struct slice found = slice_sub(*list, 0, n);
        *list = slice_sub(*list, n + 1, list->n);
        struct url u;
        if (url_parse(found, &u) == ERR_OK) {
            *out = found;
            return true;
        }
    }
    return false;
}

static bool is_unreserved(uint8_t c)
{
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void url_encode(struct wr *w, struct slice s)
{
    static const char digit[] = "0123456789ABCDEF";     // RFC 3986 §2.1: upper case should be used
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = s.p[i];
        const uint8_t escape[3] = {'%', (uint8_t)digit[c >> 4], (uint8_t)digit[c & 15]};
        if (is_unreserved(c))
            wr_u8(w, c);
        else
            wr_bytes(w, slice_of(escape, sizeof escape));
    }
}

enum err url_decode(struct wr *w, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '%') {
            if (hex_parse(slice_sub(s, i + 1, 2), &c, 1) != ERR_OK)
                return ERR_SYNTAX;
            i += 2;
        }
        wr_u8(w, c);
    }
    return w->ok ? ERR_OK : ERR_TOO_LONG;
}

bool url_query_next(struct slice *query, struct slice *name, struct slice *value)
{
    while (query->n != 0) {
        const size_t n = find_any(*query, "&");
        const struct slice pair = slice_sub(*query, 0, n);
        *query = slice_sub(*query, n + 1, query->n);
        if (pair.n == 0)
            continue;
        const size_t eq = find_any(pair, "=");
        *name = slice_sub(pair, 0, eq);
        *value = slice_sub(pair, eq + 1, pair.n);
        return true;
    }
    return false;
}
