// Who really is at the address that a question comes from. See dht_guard.h for when that is asked.
//
// The question is kept, and its address is asked back, by less than it has sent: a ping whose transaction id is a keyed digest of the
// address, the id that asked and the time. Only who gets it can echo it; then the question is answered, and the address counts as real
// for PROOF_KEPT. Any live node echoes: the id tells those in whose name another has asked, unless that one knows their ids.
// For the proof itself nothing is kept, so no flood can push it out; a question that waits can be, and then the next one is answered
// at once. Read-only nodes (BEP 43) answer nobody and are not asked.
#pragma once
#include "base/env.h"
#include "codec/krpc.h"

enum {
    PROOF_WAITING = 2048,               // questions kept: at 4,000 forged ones a second for half a second
    PROOF_SLOTS = 512,                  // addresses that are real
    PROOF_TID_LEN = 10,                 // some nodes take no more than 16
    PROOF_THEIR_TID_MAX = 8,            // of questions that are kept
};

#define PROOF_KEPT (600 * NSEC_S)
#define PROOF_STEP (8 * NSEC_S)         // an answer counts for one to two of them

struct proof_question {
    struct addr from;                   // family ADDR_NONE: none
    enum krpc_method method;
    uint8_t id[NODE_ID_LEN], target[NODE_ID_LEN], tid[PROOF_THEIR_TID_MAX], tid_n;
    bool has_want, want_v4, want_v6, noseed, scrape, has_seq;
    int64_t seq;
};

struct proof_slot {
    uint64_t key;
    nsec until;
};

struct proof {
    const struct mem *mem;
    uint64_t key[2];
    struct proof_question *waiting;     // a ring, made at the first
    uint32_t at;
    struct proof_slot *slots;
};

void proof_init(struct proof *p, const struct mem *mem, const uint64_t key[2]);
void proof_done(struct proof *p);
bool proof_has(const struct proof *p, nsec now, const struct addr *a);
// Whether a question is one to keep.
bool proof_can_ask(const struct krpc *q);
// Keeps it; out is the id of the ping. False: no memory.
bool proof_ask(struct proof *p, nsec now, const struct addr *from, const struct krpc *q, uint8_t out[PROOF_TID_LEN]);
// An answer to no question of the DHT's own. True: the address is real, and *out is its question if that still waits, to be answered
// before the next call; else out->tid is empty.
bool proof_answer(struct proof *p, nsec now, const struct addr *from, const struct krpc *m, struct krpc *out);
