// Who is unchoked: one pure decision on a table. BEP 3; Cohen 2003, "Incentives Build Robustness in BitTorrent".
#pragma once
#include "base/rng.h"

enum {
    CHOKE_ROUND_S = 10,                 // BEP 3: tit-for-tat in rounds of ten seconds
    CHOKE_OPTIMISTIC_ROUNDS = 3,        // the optimistic unchoke rotates every third round
    CHOKE_SNUB_S = 60,                  // no block for so long: not one of the regular four
    CHOKE_SLOTS_MIN = 4,
    CHOKE_SLOTS_MAX = 50,
    CHOKE_NEW_ROUNDS = 3,               // a peer younger than this is three times as likely to be the optimistic one
    CHOKE_SEED_PIECES = 20,             // a seed's slot lasts so many pieces and so long: with longer turns some get two of them
    CHOKE_SEED_S = 30,                  // before the last has its first
    CHOKE_EARLY_SHARE = 2,              // slots that come between rounds must be worth so much more
    CHOKE_SEED_TAKES_MIN = 16 * 1024,   // who takes less in a round has had its turn: idle peers keep no slot
};

enum choke_mode {
    CHOKE_LEECH,                        // by what peers gave
    CHOKE_SEED,                         // rotation: the longest waiting
    CHOKE_SEED_FASTEST,                 // by what peers take (the original client's rule)
};

// One connected peer. The first part is the question, the last the answer.
struct choke_row {
    uint32_t id;                        // breaks ties
    bool interested, snubbed, upload_only;
    bool unchoked, optimistic;          // as it is now
    uint64_t gave;                      // payload bytes it gave us in the last two rounds
    uint64_t took;                      // payload bytes we sent it in the last round
    uint64_t took_turn;                 // payload bytes we sent it since it was unchoked
    uint64_t changed_at;                // ns: when it was last unchoked or choked
    uint32_t rounds;                    // since it connected
    uint32_t turns_wasted;              // optimistic turns in a row without a block from it
    uint32_t net;                       // same number: same /24 or /48

    bool unchoke;                       // the decision
    bool unchoke_optimistic;
};

struct choke_config {
    enum choke_mode mode;
    uint32_t regular_slots, optimistic_slots;
    bool no_optimistic;                 // nor instead of a regular slot that stays free
    bool rotate;                        // this round draws new optimistic peers
    bool refill;                        // between rounds: nobody loses a slot, free ones are filled
    uint64_t now;                       // ns
    uint32_t piece_len;                 // bytes
};

// Decides for all n rows; O(n * slots). Draws from r only for optimistic slots.
void choker_decide(struct choke_row *rows, uint32_t n, const struct choke_config *cfg, struct rng *r);

// How many regular slots the uplink feeds: the i-th fastest peer keeps its slot while it took 1 + 2i KiB/s in the last round, plus one;
// or as many as what all took together would feed so, at most twice `slots_now`. Within CHOKE_SLOTS_MIN and CHOKE_SLOTS_MAX.
// uplink_full: no growth over `slots_now`.
uint32_t choker_slots(const struct choke_row *rows, uint32_t n, uint32_t slots_now, bool uplink_full);
// Between rounds: slots_now, or more if bytes leave at all_bps (bytes/s) for many more, at most twice as many. A fast uplink would be
// idle until the next round else.
uint32_t choker_slots_early(uint64_t all_bps, uint32_t slots_now);
