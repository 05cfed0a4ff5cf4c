// Bytes of a peer: in (peer_rx.c), what they mean (peer_msg.c), and out (peer_tx.c). Inside the swarm.
#pragma once
#include "engine/swarm/peer.h"

enum {
    OUT_MIN = 32 * 1024,                // bytes of one peer at the host, not composed beyond: about a second of what
    OUT_START = 64 * 1024,              // the peer takes, so that chokes and cancels still act; composed again below half
    OUT_MAX = 512 * 1024,
    OUT_SMALL_LEN = 1024,               // answers below this are dear to keep for what they bring: OUT_MIN holds for them
    OUT_CONTROL = 64 * 1024,            // over that only what must be said, so much of it; then nothing until the peer reads
    OUT_FAST_MS = 200,                  // drained so soon: more may be composed
};

// peer_rx.c
void rx_close(struct swarm *s, struct swarm_peer *p, enum err e);
void rx_give_ahead(struct swarm *s, struct swarm_peer *p);
void rx_abort_block(struct swarm *s, struct swarm_peer *p);
void rx_skip_block(struct swarm *s, struct swarm_peer *p);              // the rest of the block is thrown away

// peer_msg.c
void msg_handle(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m);
void interest_update(struct swarm *s, struct swarm_peer *p);

// peer_tx.c
bool tx_compose(struct swarm *s, struct swarm_peer *p, struct buf *tx, struct swarm_out *out);
void have_tell(struct swarm *s, struct swarm_peer *p);                  // of a piece that we have now and it has not
void have_tell_again(struct swarm *s, struct swarm_peer *p, uint32_t index);    // of one that it had, if we have that
bool tx_pending(const struct swarm *s, const struct swarm_peer *p);
static inline bool tx_is_stuck(const struct swarm_peer *p)
{
    return p->out_pending > p->out_high + OUT_CONTROL;      // it asks and does not read: what it is told stays here, within limits
}
