// What came out of a scenario: times and bytes of each group, gates, and whether an oracle fired.
#pragma once
#include "lab/scenario.h"

enum metric { METRIC_DONE, METRIC_MEAN, METRIC_P50, METRIC_P95, METRIC_MAX, METRIC_WASTE, METRICS_N };

// Names and types of metrics, by enum metric.
extern const struct field result_metrics[METRICS_N];

struct result_group {
    uint32_t wants, done;               // of honest nodes, and of free riders
    uint64_t metrics[METRICS_N];        // ns or ppm; times from a node's arrival to its last content
    uint64_t down, up, waste;           // bytes of payload
};

struct result {
    char failure[WORLD_FAILURE_MAX];    // what an oracle said; "": none fired
    bool stuck;                         // after heal, an honest node did not complete, though somebody has what it lacks
    uint64_t hash, records, events;     // of the trace
    nsec end;                           // when the run ended
    nsec last;                          // last completion
    uint64_t crashes;                   // of nodes
    uint64_t ms;                        // of the machine
    struct result_group *groups;        // one for each of the scenario
    uint32_t groups_n;
    const struct mem *mem;
};

void result_done(struct result *r);
