// Which address of ours others see: a vote among networks, because any one of them may lie. BEP 10, 24, 42.
#pragma once
#include "base/addr.h"

enum {
    VOTES_MAX = 24,                     // networks that are listened to: the ones heard last
    VOTES_AGREE = 3,                    // so many of them must say the same, and be more than half; to take back what was agreed on,
                                        // more than two thirds: those heard last are a sample, in which a quarter is a half now and then
};

struct vote {
    uint32_t source;
    struct addr says;
};

// Of one family.
struct votes {
    struct vote all[VOTES_MAX];         // a ring; one for each source
    uint32_t n, at;
    struct addr agreed;                 // port 0; family ADDR_NONE: they do not agree, or never did
};

// Sources that have no address, each with one vote in all: trackers known by a name only, because one hand may own many names;
// and the router.
enum { VOTES_TRACKERS = 1, VOTES_ROUTER = 2 };

// The network that somebody at `from` speaks for: IPv4 /16, IPv6 /32. 0: it has no vote, because it is local and sees
// something else than the internet does.
uint32_t votes_source(const struct addr *from);
// `source` (not 0) says that we are at `says`; takes back what it said before. Local and impossible addresses are ignored. True:
// v->agreed is another one now; it stays until two thirds agree on something else.
MUST_USE bool votes_add(struct votes *v, uint32_t source, const struct addr *says);
