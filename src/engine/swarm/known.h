// Addresses of peers that might be connected to: bounded, tried with back-off. The best goes first: whom the user named, who has
// failed least, who ranks first by BEP 40; without our own address in turn.
#pragma once
#include "base/addr.h"
#include "base/map.h"

enum {
    KNOWN_RETRY_S = 60,                 // first pause after a failure, doubled each time
    KNOWN_PROXY_S = 10,                 // after our proxy has failed: that says nothing of the peer
    KNOWN_TRUSTED_S = 5,                // for addresses that the user gave
    KNOWN_POINTLESS_S = 1800,           // for a seed met by a seed
    KNOWN_FAILS_MAX = 5,                // untrusted addresses are forgotten after so many
    KNOWN_KEY_LEN = 20,
    KNOWN_VIAS_MAX = 4,                 // peers remembered because they told us of it: the first
    KNOWN_SITE_MAX = 16,                // addresses of one IPv4 address or IPv6 /64 on the internet that the user has not given
    KNOWN_SITES = 1024,                 // counters of that; two sites may share one
};

enum known_state { KNOWN_FREE, KNOWN_CONNECTING, KNOWN_CONNECTED };

struct known {
    struct map_node node;
    uint8_t key[KNOWN_KEY_LEN];
    struct addr addr;
    enum known_state state;
    uint32_t fails;
    uint32_t rank;                      // BEP 40; a number without meaning while our address of that family is not known
    nsec retry_at;
    bool trusted;                       // given by the user: never forgotten
    bool named;                         // by the user or a tracker (of use to metadata.c)
    uint32_t via[KNOWN_VIAS_MAX], via_n;        // conns of peers that told us of it; some may be gone
    bool hidden;                        // by what they say it speaks ut_holepunch and is not known to be reachable without
    nsec punch_at;                      // not asked for before
    uint32_t punches;                   // how often it was asked for in vain
    bool counted;                       // in known_set.sites
};

struct known_set {
    struct map map;
    const struct mem *mem;
    struct map_node *cursor;            // the next to look at; NULL: start over
    nsec idle_until;                    // nobody is due before
    struct addr own[2];                 // ours: IPv4, IPv6; family ADDR_NONE: not known
    uint8_t *sites;                     // by hash; NULL until the first
};

void known_init(struct known_set *k, const struct mem *mem, uint32_t max, uint64_t seed);
void known_done(struct known_set *k);
// How others reach us, with the port that we listen at. Everybody is ranked anew.
void known_own(struct known_set *k, const struct addr *own);
// Adding what is known, or more than max, does nothing; nor does adding more of one site than KNOWN_SITE_MAX: whoever names a thousand
// ports of one machine wants it flooded.
void known_add(struct known_set *k, const struct addr *a, bool trusted);
// A peer, by its conn, says that it is connected to `a`; it is added like any other. flags: enum ut_pex_flags.
void known_told(struct known_set *k, const struct addr *a, uint32_t conn, uint8_t flags);
// The same for all who told `from`, which may be another set's.
void known_adopt(struct known_set *k, const struct known *from);
// An address that we are told to connect to now, due or not. False: it is not known, or under way or connected.
MUST_USE bool known_take(struct known_set *k, const struct addr *a);
// The next address that is due, now KNOWN_CONNECTING; false: none. Looks at every address at most once.
MUST_USE bool known_next(struct known_set *k, nsec now, struct addr *out);
// NULL: not known.
struct known *known_find(const struct known_set *k, const struct addr *a);
void known_failed(struct known_set *k, nsec now, const struct addr *a);
// It was not tried at all: our proxy is to blame.
void known_postponed(struct known_set *k, nsec now, const struct addr *a);
// Whoever is not connected is due now.
void known_retry(struct known_set *k);
// Somebody's state or time changed: known_next looks again.
static inline void known_wake(struct known_set *k) { k->idle_until = 0; }
void known_forget(struct known_set *k, const struct addr *a);
