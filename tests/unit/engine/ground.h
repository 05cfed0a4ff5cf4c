// One swarm and peers that are scripts: what unit tests of the swarm stand on.
#pragma once
#include "test.h"

#include "base/bits.h"
#include "codec/extended.h"
#include "codec/ut_pex.h"
#include "engine/swarm/swarm.h"

enum { STRANGERS_MAX = 12, PIECES = 24, PIECE_LEN = 65536, BLOCKS = PIECE_LEN / BLOCK_LEN, LEN = PIECES * PIECE_LEN, HEARD_MAX = 1 << 20 };

struct stranger {
    struct swarm_peer *peer;            // NULL: closed
    bool deaf;                          // reads nothing
    uint64_t unread;
    uint8_t *heard;                     // control bytes, the data of pieces left out
    size_t heard_n;
    uint32_t pieces;                    // piece messages that it got
};

struct ground {
    struct metainfo meta;
    struct metainfo_file file;
    struct swarm *swarm;
    struct pool pool;
    struct limit up, down;
    struct env env;
    nsec now;
    struct stranger all[STRANGERS_MAX];
    uint32_t jobs[256], jobs_n, stats_n;
    uint32_t banned, finished, punches;
    struct addr punch;                  // the last that we were told to connect to
    uint64_t heap, heap_most;
    bool super_seed;
};

extern uint8_t content[LEN];

void hear(struct ground *g, const struct swarm_out *out);
void drain(struct ground *g);
void ground_meta(struct ground *g);
// A swarm of g->meta.
void ground_open(struct ground *g, bool seed);
void ground_init(struct ground *g, bool seed);
void ground_done(struct ground *g);
// Stranger i connects, from 10.0.net.i and with its own id or that of another.
enum err meet_as(struct ground *g, uint32_t i, bool fast, uint8_t net, uint32_t id);
void meet(struct ground *g, uint32_t i, bool fast);
void leave(struct ground *g, uint32_t i);
void say(struct ground *g, uint32_t i, const uint8_t *bytes, size_t n);
void tell(struct ground *g, uint32_t i, uint16_t id, uint32_t index, uint32_t begin, uint32_t len);
// Block after block of a piece message; wrong ones are only zeros.
void give(struct ground *g, uint32_t i, uint32_t index, uint32_t begin, bool right);
// Takes the next message that stranger i heard off its record; false: none.
bool next_heard(struct stranger *t, struct peer_msg *out);
uint32_t heard(struct ground *g, uint32_t i, uint16_t id);
void pass(struct ground *g, uint32_t seconds);
// The peer exchange messages among what i heard: how many, what the last said.
uint32_t heard_pex(struct ground *g, uint32_t i, struct ut_pex *out);
