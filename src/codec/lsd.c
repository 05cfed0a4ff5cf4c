// See lsd.h. BEP 14.
#include "codec/lsd.h"

#include "base/fold.h"

static const char METHOD[] = "BT-SEARCH * HTTP/1.1";

struct addr lsd_group(enum addr_family family)
{
    static const uint8_t v4[4] = {239, 192, 152, 143}, v6[16] = {0xff, 0x15, [12] = 0xef, [13] = 0xc0, [14] = 0x98, [15] = 0x8f};
    ASSERT(family != ADDR_NONE);
    return family == ADDR_IPV4 ? addr_ipv4(v4, LSD_PORT) : addr_ipv6(v6, LSD_PORT);
}

// The next line without its end; false: no more.
static bool next_line(struct slice *rest, struct slice *out)
{
    if (rest->n == 0)
        return false;
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '\n')
        n++;
    *out = slice_sub(*rest, 0, n);
    *rest = slice_sub(*rest, n + 1, rest->n);
    if (out->n != 0 && out->p[out->n - 1] == '\r')
        out->n--;
    return true;
}

// "name: value"; name in lower case. False: another header.
static bool header(struct slice line, const char *name, struct slice *out)
{
    const size_t n = strlen(name);
    if (line.n <= n || line.p[n] != ':' || !fold_starts(line, name))
        return false;
    *out = slice_trim(slice_sub(line, n + 1, line.n), " \t");
    return true;
}

enum err lsd_parse(struct lsd_message *out, struct slice datagram)
{
    struct lsd_message m = {.port = 0};
    struct slice line, value;
    if (!next_line(&datagram, &line) || !slice_eq_str(line, METHOD))
        return ERR_PROTOCOL;
    while (next_line(&datagram, &line) && line.n != 0) {
        uint64_t port;
        if (header(line, "port", &value) && dec_parse(value, UINT16_MAX, &port) == ERR_OK)
            m.port = (uint16_t)port;
        else if (header(line, "cookie", &value))
            m.cookie = slice_sub(value, 0, LSD_COOKIE_MAX);
        else if (m.hashes_n < LSD_HASHES_MAX && header(line, "infohash", &value) && value.n == (size_t)2 * LSD_HASH_LEN)
            m.hashes_n += hex_parse(value, m.hashes[m.hashes_n], LSD_HASH_LEN) == ERR_OK;
    }
    if (m.port == 0 || m.hashes_n == 0)
        return ERR_PROTOCOL;
    *out = m;
    return ERR_OK;
}

void lsd_write(struct wr *w, enum addr_family family, const struct lsd_message *m)
{
    ASSERT(m->hashes_n <= LSD_HASHES_MAX);
    ASSERT(m->cookie.n <= LSD_COOKIE_MAX);
    uint8_t space[LSD_MESSAGE_MAX];
    char host[ADDR_TEXT_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr t = wr_make(&b);
    const struct addr group = lsd_group(family);
    wr_str(&t, METHOD);
    wr_str(&t, "\r\nHost: ");
    wr_str(&t, addr_format(&group, host));
    wr_str(&t, "\r\nPort: ");
    wr_dec(&t, m->port);
    for (uint32_t i = 0; i < m->hashes_n; i++) {
        wr_str(&t, "\r\nInfohash: ");
        wr_hex(&t, slice_of(m->hashes[i], LSD_HASH_LEN));
    }
    if (m->cookie.n != 0) {
        wr_str(&t, "\r\ncookie: ");
        wr_bytes(&t, m->cookie);
    }
    wr_str(&t, "\r\n\r\n\r\n");         // two more than a head has: BEP 14 says so
    ASSERT(t.ok);
    wr_bytes(w, buf_slice(&b));
}
