// What the two files of the metadata engine share.
#pragma once
#include "base/list.h"
#include "engine/swarm/known.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/swarm.h"

struct metadata_ask {
    uint32_t part;
    bool slow;                          // does not keep others from being asked any more
    nsec at;
};

struct metadata_peer {
    struct list link;                   // metadata.peers, oldest first
    struct swarm_peer_new in;
    uint32_t conn, serial;
    struct addr addr;
    bool closing, said_first;
    uint8_t id;                         // of ut_metadata at the peer; 0: it has none
    uint64_t size;                      // that it claims; 0: it has no metadata, or did not say
    struct buf kept;                    // what it said for the swarm; behind `parsed` a message that is not yet whole
    size_t parsed;
    struct pex_heard pex;
    uint32_t refused[8], refused_n;     // parts it asked for: we have none
    struct metadata_ask asks[METADATA_ASKS_MAX];
    uint32_t asks_n;
    nsec paused_until, joined_at, rx_at, tx_at;
    uint32_t silent, unasked;           // parts that did not come, in a row; that came unasked
    uint8_t **own;                      // its own whole, part by part; NULL: none
    uint32_t own_n;                     // parts of that which are here
};

// What everybody who claims this size delivers together.
struct metadata_copy {
    uint64_t size;                      // 0: free
    nsec since;                         // it is followed
    uint32_t parts_n, here_n, came_n;   // came_n: of all, again and again
    uint8_t **parts;
    uint32_t *source;                   // serial of who sent it
    uint8_t *asks;                      // outstanding, but for the slow ones
    bool apart;                         // it was wrong once: now each peer has to deliver a whole of its own
};

struct metadata {
    struct metadata_config cfg;
    const struct env *env;
    const struct mem *mem;
    nsec now, beat_at;
    struct list peers;
    uint32_t peers_n, serial;
    bool closing, done_told, work;      // work: somebody may have something to be told
    size_t kept_n;
    struct known_set known;
    struct addr banned[METADATA_BANNED_MAX], told[METADATA_BANNED_MAX];     // rings
    uint32_t banned_n, told_n, told_at, failures;
    struct metadata_copy copies[METADATA_SIZES_MAX];
    uint64_t parts_bytes;
    struct buf info;                    // n != 0: done
};

// metadata.c
void metadata_let_go(struct metadata *m, struct metadata_peer *p);      // closed by the next poll
void metadata_ban(struct metadata *m, struct metadata_peer *p);

// metadata_copy.c: parts, wholes, and who is to blame.
// The next part to ask of p, noted as asked; false: none.
MUST_USE bool copies_next(struct metadata *m, struct metadata_peer *p, uint32_t *out);
void copies_data(struct metadata *m, struct metadata_peer *p, const struct ut_metadata *u);
void copies_rejected(struct metadata *m, struct metadata_peer *p, uint32_t part);
void copies_late(struct metadata *m, struct metadata_peer *p);          // gives up what did not come in time
void copies_forget(struct metadata *m, struct metadata_peer *p);        // p goes
void copies_free(struct metadata *m);
void copies_stats(const struct metadata *m, struct metadata_stats *out);
void copies_check(const struct metadata *m);
