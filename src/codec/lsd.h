// Local discovery: who has which torrents, told to the local network by multicast. BEP 14; bittorrent note, trap 38.
#pragma once
#include "base/addr.h"

enum {
    LSD_PORT = 6771,
    LSD_MESSAGE_MAX = 1400,             // bytes of a datagram
    LSD_HASHES_MAX = 20,                // info-hashes of one; further ones are not read
    LSD_COOKIE_MAX = 32,                // bytes; a longer cookie is cut
    LSD_HASH_LEN = 20,
};

struct lsd_message {
    uint16_t port;                      // where the sender accepts peers, never 0
    struct slice cookie;                // borrowed; empty: none
    uint8_t hashes[LSD_HASHES_MAX][LSD_HASH_LEN];
    uint32_t hashes_n;                  // at least 1
};

// The group of a family, with its port: 239.192.152.143, [ff15::efc0:988f].
struct addr lsd_group(enum addr_family family);
// Reads a datagram. Names of headers in any case, lines that end with LF alone, and a missing end are taken, too; hashes that are none
// are left out. ERR_PROTOCOL: not BT-SEARCH, or without a port or a hash.
MUST_USE enum err lsd_parse(struct lsd_message *out, struct slice datagram);
// Writes one; nothing without room (LSD_MESSAGE_MAX is always enough). m->cookie: at most LSD_COOKIE_MAX bytes.
void lsd_write(struct wr *w, enum addr_family family, const struct lsd_message *m);
