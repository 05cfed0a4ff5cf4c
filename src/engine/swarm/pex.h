// Peer exchange: addresses told and heard. Inside the swarm.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "engine/swarm/swarm.h"

struct swarm_peer;                      // peer.h
struct ut_pex;                          // codec/ut_pex.h

enum {
    PEX_KNOWN_MAX = SWARM_KNOWN_MAX / 4 * 3,            // addresses known when peer exchange adds no more: trackers and others keep a share
};

// Messages of peer exchange that came from one peer.
struct pex_heard {
    bool any;
    nsec at;                            // when the last came that was taken
    uint32_t early;                     // that came too soon after it
};

// Peer exchange with one peer.
struct peer_pex {
    bool due;                           // there may be news to be told
    nsec at;                            // not before; 0: not planned yet
    uint32_t met;                       // which one it was of those whose address became known, from 1; 0: it has none that is known
    uint32_t told, gone;                // it has heard of those met up to here, and of those lost before this one
    struct pex_heard heard;
};

// An address that somebody may know of by us and where nobody is now.
struct pex_gone {
    struct addr addr;
    uint32_t met;
};

void pex_beat(struct swarm *s, struct swarm_peer *p);
void pex_compose(struct swarm *s, struct swarm_peer *p, struct wr *w);
void pex_handle(struct swarm *s, struct swarm_peer *p, struct slice payload);
void pex_met(struct swarm *s, struct swarm_peer *p);                    // others can reach it at an address we know
void pex_lost(struct swarm *s, struct swarm_peer *p);                   // or not any more
// The limits of what is heard: *n addresses of *out are to be looked at. ERR_AGAIN: none, it came too soon; ERR_PROTOCOL: none, no
// message; ERR_ACCESS: too many came too soon, the connection should end.
MUST_USE enum err pex_hear(struct pex_heard *heard, nsec now, struct slice payload, struct ut_pex *out, uint32_t *n);
// Is `a`, told by a peer at `from`, an address that may be connected to?
bool pex_is_usable(const struct addr *from, const struct addr *a);

// Where others can reach it; false: nobody knows.
bool pex_address(const struct swarm_peer *q, struct addr *out);
