// Which piece next: missing pieces in order of (priority, availability), random inside, kept sorted by one swap per
// level and `have`. Pure data structure; knows nothing of peers but how many have a piece.
#pragma once
#include "base/env.h"

enum {
    PICKER_PRIORITIES = 8,              // 0 skip, 1 … 7 most wanted
    PICKER_AVAIL_MAX = 255,             // more copies than this count as this many
    PICKER_WALK_MAX = 1024,             // steps of one search in the order
    PICKER_RANK_NONE = UINT8_MAX,
    PICKER_RANDOM_FIRST = 4,            // pieces picked at random, of peers that do not have all, before rarest first begins
    PICKER_WINDOW_MAX = 32,             // in order means: of so many, a sixteenth of the torrent in small ones, the rarest first. If all
    PICKER_WINDOW_MIN = 8,              // want the same next piece, peers have nothing for each other, and the seed gives it to each
    PICKER_WINDOW_SHARE = 16,
};

struct picker {
    const struct mem *mem;
    uint32_t pieces_n;
    uint32_t *order;                    // pieces, sorted by level; the last level: not to be picked
    uint32_t *pos;                      // where a piece is in order
    uint32_t *level_end;                // end of each level in order
    uint32_t ranks_n;                   // priorities that were ever in use: only these have levels, most torrents know one
    uint8_t rank[PICKER_PRIORITIES];    // of those in use the highest first, 0 …; PICKER_RANK_NONE: it has no levels
    uint16_t *avail;                    // copies at peers that do not have everything
    uint8_t *priority;
    uint8_t *state;                     // enum picker_state
    uint32_t seeds;                     // peers that have everything
    uint32_t missing_n;                 // wanted and not had, also the open and held ones
    uint32_t closed_n;                  // wanted, missing and neither open nor held
    uint32_t had_n;
    uint32_t sequential_at;             // no piece below it can be picked in sequential mode
    struct rng rng;
};

enum picker_state {
    PICKER_MISSING,
    PICKER_OPEN,                        // being fetched
    PICKER_HAD,
    PICKER_HELD,                        // missing, and not to be fetched yet
};

// All pieces missing with priority 4. ERR_NOMEM.
MUST_USE enum err picker_init(struct picker *p, const struct mem *mem, uint32_t pieces_n, uint64_t seed);
void picker_done(struct picker *p);
void picker_set_priority(struct picker *p, uint32_t piece, uint8_t priority);
void picker_set_state(struct picker *p, uint32_t piece, enum picker_state state);
// A peer that does not have everything got or lost a copy.
void picker_inc(struct picker *p, uint32_t piece);
void picker_dec(struct picker *p, uint32_t piece);
static inline bool picker_wants(const struct picker *p, uint32_t i) { return p->priority[i] != 0 && p->state[i] != PICKER_HAD; }
// The best missing piece that `has` (a bitfield; NULL: everything) has, or UINT32_MAX. has_n: how many pieces it has.
uint32_t picker_next(struct picker *p, const uint8_t *has, uint32_t has_n);
// In order: of the `window` pieces from the lowest missing one on, the rarest that it has; else the lowest beyond that it has.
uint32_t picker_next_sequential(struct picker *p, const uint8_t *has, uint32_t window);
// The window of a torrent: 5 to 10 % were best of all for playing (BiToS 2006).
uint32_t picker_window(const struct picker *p);
// Any missing piece that it has, all alike: what rarest first is compared with. Draws once; O(pieces).
uint32_t picker_next_random(struct picker *p, const uint8_t *has);
// Copies of the rarest piece at connected peers, seeds included.
uint32_t picker_rarest(const struct picker *p);
void picker_check(const struct picker *p);
