// Messages of the ut_pex extension: addresses of peers that the sender has met and lost. BEP 11.
#pragma once
#include "base/addr.h"

enum {
    UT_PEX_ADDED_MAX = 50,              // in one message, of both families together; the same of those dropped. BEP 11
    UT_PEX_FIRST_MAX = 200,             // taken from the first message of a peer, which may hold more
    UT_PEX_MESSAGE_MAX = 4096,          // bytes of one that ut_pex_write makes
};

enum ut_pex_flags {
    UT_PEX_ENCRYPTION = 1,              // prefers it
    UT_PEX_SEED = 2,                    // seed, or only uploads
    UT_PEX_UTP = 4,
    UT_PEX_HOLEPUNCH = 8,
    UT_PEX_REACHABLE = 16,              // the sender connected to it
};

struct ut_pex_peer {
    struct addr addr;
    uint8_t flags;                      // enum ut_pex_flags
};

// Parsed, borrowed from the input: compact addresses, what does not fit a whole one is left out.
struct ut_pex {
    struct slice added, added_flags, added6, added6_flags, dropped, dropped6;
};

// Reads the payload of an extended message (behind its id). Fields of a wrong type count as not there. ERR_PROTOCOL: no dictionary.
MUST_USE enum err ut_pex_parse(struct ut_pex *out, struct slice payload);
// How many were added, and the i-th of them, IPv4 first; as sent: any address and port.
uint32_t ut_pex_added_n(const struct ut_pex *m);
struct ut_pex_peer ut_pex_added(const struct ut_pex *m, uint32_t i);
// The same of those dropped.
uint32_t ut_pex_dropped_n(const struct ut_pex *m);
struct addr ut_pex_dropped(const struct ut_pex *m, uint32_t i);

// What goes into a message, each list at most UT_PEX_ADDED_MAX.
struct ut_pex_news {
    struct ut_pex_peer added[UT_PEX_ADDED_MAX];
    struct addr dropped[UT_PEX_ADDED_MAX];
    uint32_t added_n, dropped_n;
};

// Writes the whole message: length, 20, id, dictionary. Nothing without room (UT_PEX_MESSAGE_MAX is always enough).
void ut_pex_write(struct wr *w, uint8_t id, const struct ut_pex_news *news);
