// Fetches a magnet link's info dictionary from several peers at once and finds out who lies. BEP 9, 10.
//
// Peers come after their handshake. What they send beyond the metadata is kept, so that a swarm can take them over as if
// it had heard everything itself: nobody reconnects. A round takes parts from everybody; if the whole is wrong, each peer
// has to deliver a whole of its own in the next one, and the first that is right ends it.
#pragma once
#include "codec/ut_metadata.h"
#include "engine/swarm/known.h"
#include "engine/swarm/swarm.h"

struct metadata;
struct metadata_peer;

enum {
    METADATA_PEERS_MAX = 50,
    METADATA_SIZES_MAX = 4,             // different sizes that are followed at a time
    METADATA_ASKS_MAX = 3,              // parts asked of one peer at a time
    METADATA_COPIES_MAX = 4,            // peers that deliver a whole of their own at a time
    METADATA_KEPT_MAX = 320 * 1024,     // bytes kept of one peer for the swarm: the greatest bitfield and some more
    METADATA_KEPT_ALL_MAX = 8 << 20,    // and of all together
    METADATA_PARTS_BYTES = 64 << 20,    // parts in memory, of all sizes and copies
    METADATA_BANNED_MAX = 64,
    METADATA_TX_MIN = 2048,             // bytes of tx that metadata_poll wants
    METADATA_SLOW_S = 3,                // then a part is asked of another, too
    METADATA_ASK_S = 15,                // then it will not come
    METADATA_PAUSE_S = 10,              // who refused or did not answer is left alone for so long
};

struct metadata_config {
    bool has_v1, has_v2;                // at least one; what is given must all be right
    uint8_t hash_v1[SHA1_LEN], hash_v2[SHA256_LEN];
    const uint8_t *peer_id;             // ours; 20 bytes, outlives the engine
    uint16_t listen_port;
};

enum metadata_kind {
    METADATA_IDLE,                      // deadline
    METADATA_SEND,                      // conn, bytes
    METADATA_CLOSE,                     // conn: the peer is forgotten
    METADATA_DONE,                      // bytes: the info dictionary, until metadata_free
    METADATA_BANNED,                    // addr sent wrong metadata
};

struct metadata_out {
    nsec deadline;
    uint32_t conn;
    struct slice bytes;
    struct addr addr;
};

struct metadata_stats {
    uint64_t size;                      // of what is being fetched, 0: nobody said yet
    uint32_t parts_n, parts_here;       // of it
    uint32_t peers, offering;           // connected; that have metadata
    uint32_t failures, banned;          // wholes that were wrong; peers
    uint64_t bytes;                     // of parts in memory
};

// ERR_NOMEM.
MUST_USE enum err metadata_new(struct metadata **out, const struct metadata_config *cfg, const struct env *env, nsec now);
void metadata_free(struct metadata *m);
void metadata_tick(struct metadata *m, nsec now);
enum metadata_kind metadata_poll(struct metadata *m, nsec now, struct buf *tx, struct metadata_out *out);

// ERR_UNSUPPORTED: it has no extensions; ERR_EXISTS: that peer id is connected, or it is ourselves; ERR_ACCESS: banned;
// ERR_FULL; ERR_NOMEM.
MUST_USE enum err metadata_peer_add(struct metadata *m, nsec now, const struct swarm_peer_new *in, struct metadata_peer **out);
// Bytes of its stream. A peer that misbehaves is let go by METADATA_CLOSE.
void metadata_rx(struct metadata *m, nsec now, struct metadata_peer *p, struct slice bytes);
// The stream ended, or a swarm has taken it over; p is freed.
void metadata_peer_closed(struct metadata *m, nsec now, struct metadata_peer *p);
// What a swarm needs to go on with the peer: *in for swarm_peer_add, and what it has said since, until the next call.
// False: it is being let go.
MUST_USE bool metadata_handover(const struct metadata *m, const struct metadata_peer *p, struct swarm_peer_new *in, struct slice *out_said);

// Addresses, as of a swarm. named: by the user or a tracker, not by other peers.
void metadata_known_add(struct metadata *m, const struct addr *a, bool trusted, bool named);
MUST_USE bool metadata_known_next(struct metadata *m, nsec now, struct addr *out);
struct known_set *metadata_known(struct metadata *m);

void metadata_stats(const struct metadata *m, struct metadata_stats *out);
void metadata_check(const struct metadata *m);
