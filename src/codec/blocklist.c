// Lines of blocklists: see blocklist.h.
#include "codec/blocklist.h"

static struct slice trim(struct slice s) { return slice_trim(s, " \t\r\n"); }

static const uint8_t *last(struct slice s, uint8_t c)
{
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == c)
            return s.p + i - 1;
    return NULL;
}

// Four numbers with points between, leading zeros welcome: DAT has them, and they are not octal.
static bool parse_v4(struct slice s, struct addr *out)
{
    uint8_t ip[4];
    for (size_t i = 0; i < 4; i++) {
        uint32_t v = 0, digits = 0;
        for (; s.n != 0 && s.p[0] >= '0' && s.p[0] <= '9' && digits < 4; digits++) {
            v = v * 10 + (s.p[0] - '0');
            s = slice_sub(s, 1, s.n);
        }
        if (digits == 0 || digits > 3 || v > 255 || (i < 3 && (s.n == 0 || s.p[0] != '.')))
            return false;
        s = slice_sub(s, i < 3, s.n);
        ip[i] = (uint8_t)v;
    }
    if (s.n != 0)
        return false;
    *out = addr_ipv4(ip, 0);
    return true;
}

static bool parse_ip(struct slice s, struct addr *out)
{
    s = trim(s);
    if (parse_v4(s, out))
        return true;
    struct addr a;
    if (s.n == 0 || memchr(s.p, ':', s.n) == NULL || addr_parse(s, 0, &a) != ERR_OK || a.port != 0)
        return false;
    *out = a;
    return true;
}

static bool parse_cidr(struct slice s, struct addr *from, struct addr *to)
{
    uint64_t bits = 0;
    const uint8_t *slash = last(s, '/');
    struct addr a;
    if (slash == NULL || !parse_ip(slice_of(s.p, (size_t)(slash - s.p)), &a))
        return false;
    const size_t n = addr_ip_len(&a);
    if (dec_parse(trim(slice_sub(s, (size_t)(slash - s.p) + 1, s.n)), 8 * n, &bits) != ERR_OK)
        return false;
    *from = *to = a;
    for (size_t i = 0; i < n; i++) {
        const uint8_t mask = bits >= 8 * (i + 1) ? 0xff : bits <= 8 * i ? 0 : (uint8_t)(0xff << (8 - bits % 8));
        from->ip[i] = a.ip[i] & mask;
        to->ip[i] = (uint8_t)(a.ip[i] | (uint8_t)~mask);
    }
    return true;
}

static bool parse_range(struct slice s, struct addr *from, struct addr *to)
{
    const uint8_t *dash = last(s, '-');
    struct addr a, b;
    if (dash == NULL || !parse_ip(slice_of(s.p, (size_t)(dash - s.p)), &a) ||
        !parse_ip(slice_sub(s, (size_t)(dash - s.p) + 1, s.n), &b))
        return false;
    if (a.family != b.family || memcmp(a.ip, b.ip, sizeof a.ip) > 0)
        return false;
    *from = a;
    *to = b;
    return true;
}

// DAT: "range , level , name". True: it is one; *blocks tells the level.
static bool parse_dat(struct slice s, struct addr *from, struct addr *to, bool *blocks)
{
    const uint8_t *comma = s.n == 0 ? NULL : memchr(s.p, ',', s.n);
    if (comma == NULL || !parse_range(slice_of(s.p, (size_t)(comma - s.p)), from, to))
        return false;
    struct slice rest = slice_sub(s, (size_t)(comma - s.p) + 1, s.n);
    const uint8_t *end = rest.n == 0 ? NULL : memchr(rest.p, ',', rest.n);
    uint64_t level = 0;
    rest = trim(end == NULL ? rest : slice_of(rest.p, (size_t)(end - rest.p)));
    while (rest.n > 1 && rest.p[0] == '0')
        rest = slice_sub(rest, 1, rest.n);
    if (dec_parse(rest, 1000, &level) != ERR_OK)
        return false;
    *blocks = level < BLOCKLIST_DAT_ALLOWED;
    return true;
}

enum blocklist_line blocklist_line(struct slice line, struct addr *from, struct addr *to)
{
    bool blocks = true;
    struct addr a, b;
    const struct slice s = trim(line);
    if (s.n == 0 || s.p[0] == '#' || s.p[0] == ';' || slice_starts(s, "//"))
        return BLOCKLIST_NOTHING;
    bool found = parse_cidr(s, &a, &b) || parse_range(s, &a, &b) || parse_dat(s, &a, &b, &blocks);
    if (!found && parse_ip(s, &a)) {
        b = a;
        found = true;
    }
    // P2P: what stands before the last colon is a name, of any characters.
    const uint8_t *colon = last(s, ':');
    if (!found && colon != NULL)
        found = parse_range(slice_sub(s, (size_t)(colon - s.p) + 1, s.n), &a, &b);
    if (!found)
        return BLOCKLIST_BAD;
    *from = a;
    *to = b;
    return blocks ? BLOCKLIST_RANGE : BLOCKLIST_NOTHING;
}
