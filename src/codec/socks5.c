// SOCKS5, the client's side: see socks5.h.
#include "codec/socks5.h"

enum { VERSION = 5, NO_METHOD = 0, BY_PASSWORD = 2, CONNECT = 1, IS_IPV4 = 1, IS_NAME = 3, IS_IPV6 = 4, PASSWORD_VERSION = 1 };

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

static void write_connect(struct socks5 *s, struct wr *w)
{
    wr_u8(w, VERSION);
    wr_u8(w, CONNECT);
    wr_u8(w, 0);
    wr_u8(w, s->to.family == ADDR_IPV4 ? IS_IPV4 : IS_IPV6);
    wr_bytes(w, addr_ip(&s->to));
    wr_be16(w, s->to.port);
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
}

void socks5_answer(struct socks5 *s, const uint8_t *b, struct wr *w)
{
    switch (s->state) {
    case SOCKS5_GREETING:
        if (b[0] != VERSION)
            fail(s, ERR_PROTOCOL);
        else if (b[1] == NO_METHOD)
            write_connect(s, w);
        else if (b[1] == BY_PASSWORD && s->user.n != 0)
            write_password(s, w);
        else
            fail(s, ERR_ACCESS);
        break;
    case SOCKS5_PASSWORD:
        if (b[1] == 0)
            write_connect(s, w);
        else
            fail(s, ERR_ACCESS);
        break;
    case SOCKS5_HEAD: head(s, b); break;
    case SOCKS5_BOUND: expect(s, SOCKS5_DONE, 0); break;    // where the proxy leaves from is of no use here
    case SOCKS5_DONE:
    case SOCKS5_FAILED: ASSERT(false); break;
    }
}
