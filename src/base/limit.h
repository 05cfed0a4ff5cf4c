// Token buckets in two layers: a limit that many share (`struct limit`) and, for each of them, one of its own (`struct tap`).
// Who waits for the shared one gets it in turn, the same bytes each, whatever the size of what it sends: deficit round
// robin, where nobody carries a deficit over because a turn may end inside of a block. Integers only.
#pragma once
#include "base/list.h"

enum {
    LIMIT_BITE_MS = 8,                  // what goes at once, as time of the limit: under 1 % of a second
    LIMIT_BITE_MIN = 256,               // bytes: smaller bites cost more than they smooth
    LIMIT_BITE_MAX = 1 << 20,
    LIMIT_TURN_MIN = 16 * 1024,         // bytes of a turn, several bites: so that a block is not cut by others' turns
    LIMIT_BURST_BITES = 2,              // what an idle limit saves up
    LIMIT_LATE_MS = 100,                // and one that is wanted: whoever comes late, on a crowded machine, gets what it missed
};

#define LIMIT_BPS_MAX ((uint64_t)1 << 39)

struct bucket {
    uint64_t bps;                       // bytes/s; 0: no limit
    nsec free_at;                       // when what was charged has been paid
};

struct limit {
    struct bucket bucket;
    struct list waiting;                // of tap.turn; the first one has the turn
    nsec wanted_at;                     // since when somebody waits, NSEC_NEVER: nobody does
    uint64_t used_bps;                  // the owner's note: what goes through it; not used here
};

struct tap {
    struct limit *all;
    struct bucket own;
    struct list turn;
    nsec joined_at;                     // when it began to wait for its turn
    nsec wanted_at;                     // since when it waits for either limit, NSEC_NEVER: it does not
    uint64_t left;                      // of the turn it has begun
    uint32_t owner;                     // whose it is: for limit_call
    bool called;
};

// bps over LIMIT_BPS_MAX counts as that.
void limit_init(struct limit *l, nsec now, uint64_t bps);
// Another rate from now on; what was saved up or overdrawn is forgotten. Whoever waits must ask again.
void limit_set(struct limit *l, nsec now, uint64_t bps);
// The owner whose turn it is and that was not told so yet; 0: none. Owners are told once a turn.
uint32_t limit_call(struct limit *l);

// own_bps: as limit_init. all outlives the tap.
void tap_init(struct tap *t, struct limit *all, nsec now, uint64_t own_bps, uint32_t owner);
void tap_set(struct tap *t, nsec now, uint64_t own_bps);
// The lower of the limits, 0: none.
uint64_t tap_bps(const struct tap *t);
// Is there any limit?
static inline bool tap_limited(const struct tap *t) { return t->own.bps != 0 || t->all->bucket.bps != 0; }
// Takes up to `want` bytes, want not 0, and charges them. 0: none now, and the tap waits for its turn: ask again at tap_wait,
// or when limit_call names the owner. Without a limit: want.
MUST_USE uint32_t tap_take(struct tap *t, nsec now, uint32_t want);
// Would tap_take give something?
bool tap_ready(const struct tap *t, nsec now);
// Waits for its turn, if it does not yet. When tap_take will give something; NSEC_NEVER: when others have had their turn.
nsec tap_wait(struct tap *t, nsec now);
// Wants nothing more: others go on.
void tap_leave(struct tap *t);
// Charges n bytes that are beyond asking: the debt delays the next.
void tap_charge(struct tap *t, nsec now, uint64_t n);
// n bytes of what was taken were not used.
void tap_back(struct tap *t, uint64_t n);
