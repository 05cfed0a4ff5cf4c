// The client's side of SOCKS5: what to say, and how long the next answer is; and the head of each datagram that a proxy
// relays. RFC 1928; name and password: RFC 1929.
#pragma once
#include "base/addr.h"

enum {
    SOCKS5_TEXT_MAX = 255,              // name, password
    SOCKS5_TX_MAX = 3 + 2 * SOCKS5_TEXT_MAX,
    SOCKS5_UDP_HEAD_MAX = 4 + 1 + SOCKS5_TEXT_MAX + 2,
};

enum socks5_state { SOCKS5_GREETING, SOCKS5_PASSWORD, SOCKS5_HEAD, SOCKS5_BOUND, SOCKS5_DONE, SOCKS5_FAILED };

// Plain data; the texts are borrowed for its life.
struct socks5 {
    enum socks5_state state;            // the answer that is waited for
    struct addr to;                     // family ADDR_NONE: it is to relay datagrams
    struct addr bound;                  // SOCKS5_DONE: where the proxy listens for those; ip all zero: on its own address
    uint8_t bound_kind, bound_first;    // of the answer that is read
    struct slice user, password;        // empty user: none
    uint8_t want;                       // bytes of that answer
    enum err err;                       // SOCKS5_FAILED: why
};

// Begins a CONNECT to an address; writes the greeting.
void socks5_begin(struct socks5 *s, const struct addr *to, struct slice user, struct slice password, struct wr *w);
// The `want` bytes of the answer; writes what to say next, if anything. Then s->state tells.
void socks5_answer(struct socks5 *s, const uint8_t *bytes, struct wr *w);
// Begins a UDP ASSOCIATE for datagrams from an address that is not known yet (RFC 1928 section 4).
void socks5_begin_udp(struct socks5 *s, struct slice user, struct slice password, struct wr *w);

// What stands before each datagram between us and the proxy (RFC 1928 section 7).
struct socks5_udp {
    struct addr addr;                   // whose it is, or whom it is for; family ADDR_NONE: `name` says it, and addr.port
    struct slice name;                  // borrowed
};

// name.n <= SOCKS5_TEXT_MAX. At most SOCKS5_UDP_HEAD_MAX bytes.
void socks5_udp_write(struct wr *w, const struct socks5_udp *to);
// Takes the head off the front of r. ERR_SYNTAX: none; ERR_UNSUPPORTED: a fragment, which may be dropped.
MUST_USE enum err socks5_udp_read(struct rd *r, struct socks5_udp *out);
