// A rate limit by one virtual clock (GCRA), integers only: of bytes, or of things, per second. Whoever comes first draws, and one
// charge may overdraw; where many share a limit and each is to get its part, limit.h is the one.
#pragma once
#include "base/base.h"

enum { RATE_BURST_MS = 20 };

struct rate {
    uint64_t bps;                       // bytes or things; 0: no limit
    nsec free_at;                       // when what was charged has been paid
};

static inline void rate_init(struct rate *r, uint64_t bps) { *r = (struct rate){.bps = bps}; }

// True if something may be sent now. What is charged may overdraw: the debt delays the next.
static inline bool rate_ready(const struct rate *r, nsec now) { return r->bps == 0 || r->free_at <= now; }

// When rate_ready will be true; now, if it is.
static inline nsec rate_when(const struct rate *r, nsec now) { return rate_ready(r, now) ? now : r->free_at; }

static inline void rate_charge(struct rate *r, nsec now, uint64_t bytes)
{
    if (r->bps == 0)
        return;
    const nsec floor = u64_sub_sat(now, RATE_BURST_MS * NSEC_MS);
    r->free_at = u64_max(r->free_at, floor);
    // bytes * 1 s may not overflow: one charge is below 2^33 bytes
    ASSERT(bytes < (uint64_t)1 << 33);
    r->free_at = u64_add_sat(r->free_at, bytes * NSEC_S / r->bps);
}
