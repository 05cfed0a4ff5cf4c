// The same work on many cases, on all cores: each case in a process of its own, so that a failed assertion is a result, too.
#pragma once
#include "base/base.h"

enum { CELL_VALUES_MAX = 64, CELL_WHY_MAX = 240 };

// What one case gives back.
struct cell {
    double v[CELL_VALUES_MAX];
    char why[CELL_WHY_MAX];             // "": it went well
};

// Runs work(ctx, i, &out[i]) for 0 <= i < n; work sets out->why if it goes wrong. A process that dies or takes longer than
// `seconds` (0: no limit) of CPU is said in `why`. ERR_NOMEM.
MUST_USE enum err parallel_cells(uint32_t n, uint32_t seconds, void (*work)(void *ctx, uint32_t i, struct cell *out), void *ctx, struct cell *out);
