// SOCKS5, the client's side: see socks5.h.
#include "codec/socks5.h"

enum { VERSION = 5, NO_METHOD = 0, BY_PASSWORD = 2, CONNECT = 1, UDP_ASSOCIATE = 3, IS_IPV4 = 1, IS_NAME = 3, IS_IPV6 = 4, PASSWORD_VERSION = 1 };

static void fail(struct socks5 *s, enum err e)
{
    s->state = SOCKS5_FAILED;
    s->want = 0;
    s->err = e;
}

static void expect(struct socks5 *s, enum socks5_state what, uint8_t bytes)
{
    s->state = what;
    s->want = bytes;
}

void socks5_begin(struct socks5 *s, const struct addr *to, struct slice user, struct slice password, struct wr *w)
{
    ASSERT(user.n <= SOCKS5_TEXT_MAX);
    ASSERT(password.n <= SOCKS5_TEXT_MAX);
    *s = (struct socks5){.to = *to, .user = user, .password = password};
    wr_u8(w, VERSION);
    wr_u8(w, user.n != 0 ? 2 : 1);
    wr_u8(w, NO_METHOD);
    if (user.n != 0)
        wr_u8(w, BY_PASSWORD);
    expect(s, SOCKS5_GREETING, 2);
}

void socks5_begin_udp(struct socks5 *s, struct slice user, struct slice password, struct wr *w)
{
    socks5_begin(s, &(struct addr){0}, user, password, w);
}

static void write_address(struct wr *w, const struct addr *a)
{
    wr_u8(w, a->family == ADDR_IPV4 ? IS_IPV4 : IS_IPV6);
    wr_bytes(w, addr_ip(a));
    wr_be16(w, a->port);
}

static void write_request(struct socks5 *s, struct wr *w)
{
    static const uint8_t unknown[4];
    const struct addr any = addr_ipv4(unknown, 0);
    const bool udp = s->to.family == ADDR_NONE;
    wr_u8(w, VERSION);
    wr_u8(w, udp ? UDP_ASSOCIATE : CONNECT);
    wr_u8(w, 0);
    write_address(w, udp ? &any : &s->to);
    expect(s, SOCKS5_HEAD, 5);          // with the first byte of the address, which may be a length
}

static void write_password(struct socks5 *s, struct wr *w)
{
    wr_u8(w, PASSWORD_VERSION);
    wr_u8(w, u8_of(s->user.n));
    wr_bytes(w, s->user);
    wr_u8(w, u8_of(s->password.n));
    wr_bytes(w, s->password);
    expect(s, SOCKS5_PASSWORD, 2);
}

// RFC 1928 section 6.
static enum err err_of_reply(uint8_t reply)
{
    switch (reply) {
    case 2: return ERR_ACCESS;
    case 3: case 4: return ERR_UNREACHABLE;
    case 5: return ERR_REFUSED;
    case 6: return ERR_TIMEOUT;
    case 7: case 8: return ERR_UNSUPPORTED;
    default: return ERR_IO;
    }
}

static void head(struct socks5 *s, const uint8_t *b)
{
    if (b[0] != VERSION) {
        fail(s, ERR_PROTOCOL);
    } else if (b[1] != 0) {
        fail(s, err_of_reply(b[1]));
    } else if (b[3] == IS_IPV4) {
        expect(s, SOCKS5_BOUND, 3 + 2);
    } else if (b[3] == IS_IPV6) {
        expect(s, SOCKS5_BOUND, 15 + 2);
    } else if (b[3] == IS_NAME && b[4] <= 250) {
        expect(s, SOCKS5_BOUND, (uint8_t)(b[4] + 2));
    } else {
        fail(s, ERR_PROTOCOL);
    }
    s->bound_kind = b[3];
    s->bound_first = b[4];
}

// What follows the first byte of the address. A name is not looked up: it can only be that of the proxy.
static void bound(struct socks5 *s, const uint8_t *b)
{
    uint8_t ip[16] = {s->bound_first};
    const size_t n = s->bound_kind == IS_IPV4 ? 4 : 16;
    struct rd r = rd_make(slice_of(b, s->want));
    if (s->bound_kind == IS_NAME) {
        (void)rd_bytes(&r, s->bound_first);
        ip[0] = 0;
    } else {
        memcpy(ip + 1, rd_bytes(&r, n - 1).p, n - 1);
    }
    const uint16_t port = rd_be16(&r);
    ASSERT(r.ok);
    s->bound = n == 4 ? addr_ipv4(ip, port) : addr_ipv6(ip, port);
    expect(s, SOCKS5_DONE, 0);
}

void socks5_answer(struct socks5 *s, const uint8_t *b, struct wr *w)
{
    switch (s->state) {
    case SOCKS5_GREETING:
        if (b[0] != VERSION)
            fail(s, ERR_PROTOCOL);
        else if (b[1] == NO_METHOD)
            write_request(s, w);
        else if (b[1] == BY_PASSWORD && s->user.n != 0)
            write_password(s, w);
        else
            fail(s, ERR_ACCESS);
        break;
    case SOCKS5_PASSWORD:
        if (b[1] == 0)
            write_request(s, w);
        else
            fail(s, ERR_ACCESS);
        break;
    case SOCKS5_HEAD: head(s, b); break;
    case SOCKS5_BOUND: bound(s, b); break;
    case SOCKS5_DONE:
    case SOCKS5_FAILED: ASSERT(false); break;
    }
}

void socks5_udp_write(struct wr *w, const struct socks5_udp *to)
{
    ASSERT(to->name.n <= SOCKS5_TEXT_MAX);
    wr_be16(w, 0);
    wr_u8(w, 0);                        // not a fragment
    if (to->addr.family != ADDR_NONE) {
        write_address(w, &to->addr);
        return;
    }
    wr_u8(w, IS_NAME);
    wr_u8(w, u8_of(to->name.n));
    wr_bytes(w, to->name);
    wr_be16(w, to->addr.port);
}

enum err socks5_udp_read(struct rd *r, struct socks5_udp *out)
{
    struct socks5_udp h = {0};
    (void)rd_be16(r);
    const uint8_t fragment = rd_u8(r), kind = rd_u8(r);
    const size_t n = kind == IS_IPV4 ? 4 : kind == IS_IPV6 ? 16 : kind == IS_NAME ? rd_u8(r) : 0;
    const struct slice bytes = rd_bytes(r, n);
    const uint16_t port = rd_be16(r);
    if (!r->ok || n == 0)
        return ERR_SYNTAX;
    if (fragment != 0)
        return ERR_UNSUPPORTED;
    if (kind == IS_IPV4)
        h.addr = addr_ipv4(bytes.p, port);
    else if (kind == IS_IPV6)
        h.addr = addr_ipv6(bytes.p, port);
    else
        h = (struct socks5_udp){.name = bytes, .addr.port = port};
    *out = h;
    return ERR_OK;
}
