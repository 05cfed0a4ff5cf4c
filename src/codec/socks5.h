// The client's side of SOCKS5: what to say, and how long the next answer is. RFC 1928; name and password: RFC 1929.
#pragma once
#include "base/addr.h"

enum {
    SOCKS5_TEXT_MAX = 255,              // name, password
    SOCKS5_TX_MAX = 3 + 2 * SOCKS5_TEXT_MAX,
};

enum socks5_state { SOCKS5_GREETING, SOCKS5_PASSWORD, SOCKS5_HEAD, SOCKS5_BOUND, SOCKS5_DONE, SOCKS5_FAILED };

// Plain data; the texts are borrowed for its life.
struct socks5 {
    enum socks5_state state;            // the answer that is waited for
    struct addr to;
    struct slice user, password;        // empty user: none
    uint8_t want;                       // bytes of that answer
    enum err err;                       // SOCKS5_FAILED: why
};

// Begins a CONNECT to an address; writes the greeting.
void socks5_begin(struct socks5 *s, const struct addr *to, struct slice user, struct slice password, struct wr *w);
// The `want` bytes of the answer; writes what to say next, if anything. Then s->state tells.
void socks5_answer(struct socks5 *s, const uint8_t *bytes, struct wr *w);
