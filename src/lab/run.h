// Runs a scenario: makes its world, plans its faults, runs it and judges.
#pragma once
#include "lab/result.h"
#include "lab/stage.h"

struct run_options {
    bool check;                         // node_check after every step, whatever the scenario says
    void (*record)(void *ctx, const struct trace_record *r);    // each record as it happens; NULL: not wanted
    void (*sample)(void *ctx, const struct stage *st);          // after each second of virtual time; NULL: not wanted
    void *ctx;
    bool riders;                        // it goes on until free riders are complete, too
};

// ERR_NOMEM, or what is wrong with a content, in `why`. out needs result_done.
MUST_USE enum err run_scenario(const struct scenario *s, const struct run_options *o, struct result *out, char why[STAGE_WHY_MAX]);
