// Super-seeding (BEP 16): an only seed shows each peer one piece that nobody else has, and the next when that one has been seen at
// another peer, so that it need not send twice what its peers can pass on. Pure decisions; bittorrent note, section 1.
#pragma once
#include "base/bits.h"
#include "base/env.h"
#include "base/rng.h"

enum {
    SUPERSEED_STUCK_S = 60,             // a peer that passes nothing on for so long gets another piece all the same; a piece
                                        // that does not get through to its peer may go to another one then
    SUPERSEED_BUSY_MIN = 4,             // fewer peers are being sent something: the line must not fall silent while pieces
};                                      // are passed on, so who has all of its piece gets another one

#define SUPERSEED_NONE UINT32_MAX

// Of a torrent.
struct superseed {
    const struct mem *mem;
    uint32_t pieces_n;
    uint32_t *owner;                    // who was shown the piece: a serial, 0: nobody
    nsec *shown_at;
    uint8_t *sent;                      // bits: the owner got all of it
};

// Of a peer.
struct superseed_peer {
    uint32_t piece;                     // the one it was shown last, SUPERSEED_NONE: none yet
    uint32_t sent;                      // bytes of it that went
    nsec sent_at;                       // when it was complete
};

// ERR_NOMEM.
MUST_USE enum err superseed_init(struct superseed *ss, const struct mem *mem, uint32_t pieces_n);
void superseed_done(struct superseed *ss);
// Should the peer be shown another piece? len: of its present one; elsewhere: that is at another peer; busy: peers, itself not
// counted, that have not got all of theirs yet.
bool superseed_due(const struct superseed_peer *p, uint32_t len, bool elsewhere, uint32_t busy, nsec now);
// A piece for the peer with this serial, which has `has` (NULL: nothing): one that nobody has or was shown; if there is none, one
// that is stuck. avail: copies at peers, of each piece. SUPERSEED_NONE: it waits.
uint32_t superseed_show(struct superseed *ss, const uint16_t *avail, const uint8_t *has, uint32_t serial, struct rng *r, nsec now);
// May it ask for the piece?
static inline bool superseed_may(const struct superseed *ss, uint32_t piece, uint32_t serial) { return ss->owner[piece] == serial; }
// n bytes of `piece`, of `len`, went to the peer.
void superseed_sent(struct superseed *ss, struct superseed_peer *p, uint32_t piece, uint32_t len, uint32_t n, nsec now);
// The peer is gone, and what only it was shown with it.
void superseed_left(struct superseed *ss, uint32_t serial);
// There is a second copy of everything, spread as it may be. O(pieces).
bool superseed_over(const struct superseed *ss, const uint16_t *avail);
