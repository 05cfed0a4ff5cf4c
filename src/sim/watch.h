// A judge that reads the wire: an independent small parser of the peer protocol checks what nodes say against what they were told.
// It shares no code with codec/peerwire.h. BEP 3, 6.
#pragma once
#include "sim/stream.h"

enum { WATCH_ASKED_MAX = 1 << 16, WATCH_HEAD_MAX = 17, WATCH_HANDSHAKE = 68, WATCH_ALLOWED_MAX = 64 };

#define WATCH_ROUND_MIN (9 * NSEC_S)            // two rounds of choking are ten seconds apart (BEP 3), less what a tick may be late

// Cuts messages out of one direction of a stream.
struct wire {
    uint32_t shaken;                    // bytes of the handshake seen
    uint8_t hash[20];
    uint8_t head[WATCH_HEAD_MAX];       // length, id, up to three numbers
    uint32_t head_n;
    uint64_t skip;                      // rest of a message
    uint64_t messages;
    bool lost;                          // it makes no sense: nothing more is read into it
};

struct watch_block {
    uint32_t index, begin, len;
};

// What one side said and was told.
struct watch_side {
    struct wire said, heard;            // heard: what the other side has taken of it
    bool unchoked_said, unchoked_heard, interested_heard;
    nsec unchoked_at;
    uint32_t allowed[WATCH_ALLOWED_MAX];        // heard by the other side
    uint32_t allowed_n;
    struct watch_block *asked;          // requests heard by the other side and not answered yet
    uint32_t asked_n, asked_cap;
};

struct watch {
    struct watch_side side[2];
    uint32_t torrent;                   // of the world, 1 + number; 0: not known yet
};

// A part was queued on p.
void watch_said(struct world *w, struct pipe *p, const struct part *part);
// n bytes of a part from off on were taken by the far side of p.
void watch_heard(struct world *w, struct pipe *p, const struct part *part, uint64_t off, uint64_t n);
// The end has gone; free: the stream is freed.
void watch_gone(struct world *w, struct conn *c, uint32_t side);
void watch_free(struct world *w, struct conn *c);
