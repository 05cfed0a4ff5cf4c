// Peers that a node must survive: small scripts that speak the peer wire over raw simulated streams. What each does is in host.h's
// enum hostile_kind.
#pragma once
#include "codec/peerwire.h"
#include "sim/world.h"

enum {
    HOSTILE_PIPELINE = 16,              // requests that the free rider keeps under way on a stream
    HOSTILE_FLOOD_REQUESTS = 250,       // of each burst
    HOSTILE_FLOOD_BYTES = 1 << 20,      // no more than so much unsent
    HOSTILE_CONNS_MAX = 100,
    HOSTILE_HEAD_MAX = 13,              // id and three numbers
    HOSTILE_SAID_MAX = 512,             // bytes of an extended message that are read
};

#define HOSTILE_BEAT (200 * NSEC_MS)
#define HOSTILE_REDIAL_BEATS 100

// One stream of a hostile peer.
struct hostile_conn {
    struct list link;
    uint32_t id;                        // in hostile.conns
    struct conn *conn;
    uint32_t side;
    bool connected, shaken, unchoked, interested;       // they unchoked us; they want from us
    uint8_t head[HANDSHAKE_LEN];        // of what is being read
    uint32_t head_n;
    uint64_t skip;                      // bytes of a body that nobody looks at
    uint8_t *bits;                      // pieces they have
    uint32_t bits_at, bits_left;        // of a bitfield being read
    uint32_t piece, block, outstanding; // FREE_RIDER: what is asked here; piece UINT32_MAX: none
    uint32_t asked;                     // requests they made
    uint8_t said[HOSTILE_SAID_MAX];     // an extended message being read
    uint32_t said_n, said_left;
    uint8_t meta_id;                    // of ut_metadata at the peer; 0: not said yet
};

struct hostile {
    struct rng rng;
    struct slots conns;
    struct list order;                  // of hostile_conn
    uint32_t conns_n, beats;
    uint8_t *state;                     // FREE_RIDER, by piece: enum piece_state in hostile_act.c
    uint32_t *progress;                 // blocks that came
    uint32_t got_n;
    uint64_t taken_bytes, given_bytes, corrupt_blocks;
    bool done;
    nsec done_at;
};

void hostile_start(struct world *w, struct host *h);
void hostile_stop(struct world *w, struct host *h);
void hostile_free(struct world *w, struct host *h);

// Upcalls of the network and the clock.
void hostile_accept(struct world *w, struct host *h, struct conn *c);
void hostile_connected(struct world *w, struct conn *c, enum err e);
void hostile_rx(struct world *w, struct pipe *p);
void hostile_sent(struct world *w, struct host *h, uint32_t id);
void hostile_closed(struct world *w, struct host *h, uint32_t id);
void hostile_fetched(struct world *w, struct host *h, enum err e, struct slice body);
void hostile_on_timer(struct world *w, struct host *h, uint32_t life);

// hostile_act.c: what each kind does.
const struct metainfo *hostile_meta(const struct world *w, const struct host *h);
void hostile_say(struct world *w, struct hostile_conn *hc, const struct peer_msg *m);
void hostile_greet(struct world *w, struct host *h, struct hostile_conn *hc);       // the handshakes are done
void hostile_heard(struct world *w, struct host *h, struct hostile_conn *hc, const struct peer_msg *m);
void hostile_beat(struct world *w, struct host *h, struct hostile_conn *hc);
void hostile_lost(struct host *h, struct hostile_conn *hc);                         // the stream is gone

// hostile_meta.c: those that spoil metadata.
void hostile_meta_greet(struct world *w, struct host *h, struct hostile_conn *hc);
void hostile_meta_heard(struct world *w, struct host *h, struct hostile_conn *hc, struct slice body);      // of an extended message
void hostile_meta_flood(struct world *w, struct host *h, struct hostile_conn *hc);
