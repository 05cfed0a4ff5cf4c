// A peer of the swarm: all that is known of it. Inside the swarm.
#pragma once
#include "base/bits.h"
#include "base/list.h"
#include "engine/swarm/extend.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/pool.h"
#include "engine/swarm/punch.h"
#include "engine/swarm/superseed.h"
#include "engine/swarm/swarm.h"

struct piece;                           // piece.h

enum {
    AHEAD_MAX = POOL_AHEAD_MAX,
    ALLOWED_FAST_K = 10,                // BEP 6
    KEEPALIVE_S = 110, SILENT_MAX_S = 240,
    UNASKED_MAX = 64, UNASKED_ROUNDS = 6,               // unasked blocks in a minute before the peer is closed
};

struct asked {
    uint32_t piece, begin, len;
    uint32_t at_s;                      // when
    bool passed;                        // a later request was answered first
};

struct wanted {                         // a request of a peer
    uint32_t index, begin, len;
};

enum rx_state { RX_HEAD, RX_BODY, RX_BLOCK, RX_SKIP };

// Fields stand together by what looks at them: of thousands of peers most are far from the cache when something comes for them.
struct swarm_peer {
    struct list link;                   // swarm.peers
    struct list ready;                  // swarm.ready

    // What every message and every answer looks at
    uint32_t conn, serial;
    enum rx_state rx;
    uint32_t head_n, ahead_n, room_n;   // room_n: spans given by the last swarm_rx_room
    nsec rx_at, tx_at;
    nsec ask_at;                        // not asked before
    uint64_t out_pending;               // bytes composed and not yet sent
    uint8_t *has;                       // bitfield; NULL until its first have
    uint8_t *rx_slot;                   // RX_BLOCK: memory of the block
    uint32_t has_n, useful_n;           // pieces; of those, pieces we want
    uint32_t have_pos;                  // of swarm.have_log: told up to here
    uint32_t haves_n;                   // pieces it is to be told of, together
    nsec haves_at;                      // and by then
    uint32_t depth, asked_n, asked_at, asked_cap;
    bool closing, pointless, has_all, am_choking, am_interested, peer_choking, peer_interested;
    bool choke_sent, interested_sent;   // what the peer was told last
    bool optimistic, upload_only, snubbed, slow_start, starved;     // starved: room was refused, SWARM_RESUME is owed
    bool sent_first, sent_extended, read_paused, room_planned;      // room_planned: it was {rest of slot} {header, slot}…
    bool incoming, utp, fast, extended, dht, v2, got_first;
    bool took_back;                     // said that a piece is gone: its pieces are counted one by one from then on
    uint32_t allowed_n, queue_n;
    uint32_t punch_n;                   // of punch.out
    uint32_t grant;                     // bytes of content that it may bring: charged already
    uint32_t allowed_out_n, allowed_out_sent;
    struct { struct wanted *items; uint32_t n, cap; } rejects;
    struct { struct asked *items; uint32_t n, cap; } cancels;
    struct { uint32_t *items; uint32_t n, cap; } again;     // pieces that it had when it was told of others, and has no longer
    uint32_t out_high;                  // composed up to here: OUT_MIN … OUT_MAX
    struct peer_hash hash;
    // Of us as an only seed
    struct superseed_peer super;
    bool super_on, super_due;           // it sees only what it is shown; and is still to be told of the last one
    nsec super_at;                      // nothing is looked for to be shown to it before
    struct peer_ext ext;
    struct peer_pex pex;

    // What beats and rounds look at
    nsec joined_at, choked_changed_at;
    nsec block_at;                      // last block, or when we began to ask
    nsec choked_us_at;
    uint64_t down_bytes, up_bytes, down_last, up_last, down_bps, up_bps;    // …_last: at the last second
    uint64_t down_prev;                 // bytes of the second before
    uint64_t sent_bytes, sent_last;     // all that left; at the last second
    uint64_t down_round[2], up_round, down_mark, up_mark, took_turn;
    uint32_t beat_i;                    // its place in swarm.beats
    uint32_t reqq, cancel_looks;        // cancel_looks: in this second
    uint32_t rounds, turns_wasted;
    struct addr addr;

    // Receiving
    uint8_t head[PIECE_HEADER_LEN];
    struct asked rx_block;
    uint32_t rx_pos, rx_skip;
    uint8_t *body;
    uint32_t body_n, body_len;
    uint8_t *ahead[AHEAD_MAX];

    // Our requests
    struct asked *asked;                // ring of ASKED_MAX, grown by need
    struct piece *piece;                // affinity
    uint32_t rejects_row;
    uint32_t *allowed;                  // pieces we may ask for while choked

    // Its requests
    struct wanted *queue;               // ring
    uint32_t queue_at, queue_cap;
    uint64_t gift_left;                 // bytes it may still ask for while choked: its allowed-fast set once
    uint32_t sending;                   // bytes of the first request already composed, header included
    uint32_t allowed_out[ALLOWED_FAST_K];
    nsec out_at;                        // when payload was composed last

    struct peer_punch punch;
    uint8_t peer_id[PEER_ID_LEN];
    bool said_port;                     // of its DHT node
    bool gave_in_turn, is_source;
    enum err close_err;
    uint32_t unasked, excused;          // blocks we did not ask for; late ones that we took back
};

// What beats, rounds and the endgame look at, one peer after the other: fetched ahead.
static inline void peer_fetch(const struct swarm_peer *p)
{
    prefetch(p, offsetof(struct swarm_peer, grant));
    prefetch(&p->joined_at, offsetof(struct swarm_peer, beat_i) - offsetof(struct swarm_peer, joined_at));
}

static inline bool peer_has(const struct swarm_peer *p, uint32_t index)
{
    return p->has_all || (p->has != NULL && bits_get(p->has, index));
}

static inline bool punch_pending(const struct swarm_peer *p) { return p->punch_n != 0; }
