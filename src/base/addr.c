// Addresses: see addr.h.
#include "base/addr.h"

struct addr addr_ipv4(const uint8_t ip[4], uint16_t port)
{
    struct addr a = {.family = ADDR_IPV4, .port = port};
    memcpy(a.ip, ip, 4);
    return a;
}

struct addr addr_ipv6(const uint8_t ip[16], uint16_t port)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};    // RFC 4291 §2.5.5.2
    if (memcmp(ip, mapped, sizeof mapped) == 0)
        return addr_ipv4(ip + 12, port);
    struct addr a = {.family = ADDR_IPV6, .port = port};
    memcpy(a.ip, ip, 16);
    return a;
}

size_t addr_ip_len(const struct addr *a)
{
    return a->family == ADDR_IPV4 ? 4 : a->family == ADDR_IPV6 ? 16 : 0;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return addr_same_ip(a, b) && a->port == b->port;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    const int c = memcmp(a->ip, b->ip, sizeof a->ip);
    if (c != 0)
        return c;
    return a->port < b->port ? -1 : a->port > b->port;
}

static bool parse_ipv4(struct slice s, uint8_t ip[4])
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        size_t n = 0;
        unsigned v = 0;
        while (at + n < s.n && n < 3 && s.p[at + n] >= '0' && s.p[at + n] <= '9')
            v = v * 10 + (unsigned)(s.p[at + n++] - '0');
        if (n == 0 || v > 255 || (n > 1 && s.p[at] == '0'))
            return false;
        at += n;
        ip[i] = (uint8_t)v;
        if (i < 3 && (at >= s.n || s.p[at++] != '.'))
            return false;
    }
    return at == s.n;
}

static int hex_value(uint8_t c)
{
    uint8_t v;
    const uint8_t pair[2] = {'0', c};
    return hex_parse(slice_of(pair, 2), &v, 1) == ERR_OK ? v : -1;
}

// RFC 4291 §2.2: eight groups, one run of zeros as "::", the last two groups perhaps as an IPv4 address.
static bool parse_ipv6(struct slice s, uint8_t ip[16])
{
    uint8_t out[16] = {0};
    size_t n = 0, gap = SIZE_MAX, at = 0;
    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < s.n) {
        if (n > 14)
            return false;
        size_t k = 0;
        unsigned v = 0;
        while (at + k < s.n && k < 5 && hex_value(s.p[at + k]) >= 0)
            v = v << 4 | (unsigned)hex_value(s.p[at + k++]);
        if (at + k < s.n && s.p[at + k] == '.') {
            if (n > 12 || !parse_ipv4(slice_sub(s, at, s.n), out + n))
                return false;
            n += 4;
            at = s.n;
            break;
        }
        if (k == 0 || k > 4)
            return false;
        out[n++] = (uint8_t)(v >> 8);
        out[n++] = (uint8_t)v;
        at += k;
        if (at == s.n)
            break;
        if (s.p[at++] != ':' || at == s.n)
            return false;
        if (s.p[at] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = n;
            at++;
        }
    }
    if (gap == SIZE_MAX ? n != 16 : n > 14)
        return false;
    if (gap != SIZE_MAX) {
        memmove(out + gap + 16 - n, out + gap, n - gap);
        memset(out + gap, 0, 16 - n);
    }
    memcpy(ip, out, 16);
    return true;
}

enum err addr_parse(struct slice text, uint16_t default_port, struct addr *out)
{
    uint8_t ip[16] = {0};
    struct slice host = text, port = {0};
    bool has_port = false;
    if (text.n != 0 && text.p[0] == '[') {
        const uint8_t *end = memchr(text.p, ']', text.n);
        if (end == NULL)
            return ERR_SYNTAX;
        const size_t close = (size_t)(end - text.p);
        host = slice_sub(text, 1, close - 1);
        has_port = close + 1 < text.n;
        if (has_port && text.p[close + 1] != ':')
            return ERR_SYNTAX;
        port = slice_sub(text, close + 2, text.n);
        if (!parse_ipv6(host, ip))
            return ERR_SYNTAX;
    } else {
        const uint8_t *colon = text.n == 0 ? NULL : memchr(text.p, ':', text.n);
        if (colon != NULL && memchr(colon + 1, ':', text.n - (size_t)(colon + 1 - text.p)) == NULL) {
            host = slice_sub(text, 0, (size_t)(colon - text.p));
            port = slice_sub(text, (size_t)(colon - text.p) + 1, text.n);
            has_port = true;
        }
    }
    uint64_t port_number = default_port;
    if (has_port && dec_parse(port, UINT16_MAX, &port_number) != ERR_OK)
        return ERR_SYNTAX;
    if (parse_ipv4(host, ip))
        *out = addr_ipv4(ip, (uint16_t)port_number);
    else if (parse_ipv6(host, ip) && (!has_port || text.p[0] == '['))
        *out = addr_ipv6(ip, (uint16_t)port_number);
    else
        return ERR_SYNTAX;
    return ERR_OK;
}

static unsigned group_of(const struct addr *a, unsigned i) { return (unsigned)a->ip[2 * i] << 8 | a->ip[2 * i + 1]; }

// RFC 5952 §4.2: the longest run of two or more zero groups becomes "::", the first one on a tie.
static void write_ipv6(struct wr *w, const struct addr *a)
{
    unsigned best = 8, best_n = 1;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && group_of(a, i + n) == 0)
            n++;
        if (n > best_n) {
            best = i;
            best_n = n;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == best) {
            wr_str(w, "::");
            i += best_n - 1;
            continue;
        }
        if (i != 0 && i != best + best_n)
            wr_str(w, ":");
        wr_fmt(w, "%x", group_of(a, i));
    }
}

static void write_ip(struct wr *w, const struct addr *a)
{
    switch ((enum addr_family)a->family) {
    case ADDR_NONE: wr_str(w, "none"); break;
    case ADDR_IPV4: wr_fmt(w, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]); break;
    case ADDR_IPV6: write_ipv6(w, a); break;
    }
}

char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    struct buf b = {(uint8_t *)out, 0, ADDR_TEXT_MAX};
    struct wr w = wr_make(&b);
    write_ip(&w, a);
    wr_u8(&w, 0);
    ASSERT(w.ok);
    return out;
}

char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    struct buf b = {(uint8_t *)out, 0, ADDR_TEXT_MAX};
    struct wr w = wr_make(&b);
    if (a->family == ADDR_IPV6)
        wr_str(&w, "[");
    write_ip(&w, a);
    wr_str(&w, a->family == ADDR_IPV6 ? "]:" : ":");
    wr_dec(&w, a->port);
    wr_u8(&w, 0);
    ASSERT(w.ok);
    return out;
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, 16) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return a->family == ADDR_IPV4 ? a->ip[0] == 127 : a->family == ADDR_IPV6 && memcmp(a->ip, one, 16) == 0;
}

bool addr_is_multicast(const struct addr *a)
{
    return a->family == ADDR_IPV4 ? (a->ip[0] & 0xf0) == 0xe0 : a->family == ADDR_IPV6 && a->ip[0] == 0xff;
}

bool addr_is_reserved(const struct addr *a) { return a->family == ADDR_IPV4 && a->ip[0] >= 240; }

bool addr_is_local(const struct addr *a)
{
    if (addr_is_loopback(a))
        return true;
    if (a->family == ADDR_IPV6)
        return (a->ip[0] & 0xfe) == 0xfc || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
    return a->ip[0] == 10 || (a->ip[0] == 172 && (a->ip[1] & 0xf0) == 16) || (a->ip[0] == 192 && a->ip[1] == 168) ||
           (a->ip[0] == 169 && a->ip[1] == 254) || (a->ip[0] == 100 && (a->ip[1] & 0xc0) == 64);
}
