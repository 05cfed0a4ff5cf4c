// The faults that a scenario can name: one table from words to actions of the world.
#pragma once
#include "sim/world.h"

enum { FAULT_ARGS_MAX = 3 };

enum field_type {
    FIELD_TIME,                         // ns
    FIELD_SIZE,                         // bytes
    FIELD_RATE,                         // bytes/s
    FIELD_SHARE,                        // ppm: "2%", "0.02"
    FIELD_COUNT,
    FIELD_WORD,                         // index in `words`
    FIELD_CONTENTS,                     // bits of the scenario's contents, "c0,c1"
    FIELD_SIZES,                        // of files
    FIELD_NODES,                        // a line of nodes above: its group + 1, and << 32 the node in it + 1 (0: one after the other)
    FIELD_ARRIVE,                       // "10s", "flash:10s", "every:2s", "poisson:2s"
};

// One `name=value`. Absent or zero means the first word, or no limit.
struct field {
    const char *name;
    enum field_type type;
    size_t offset;                      // in the struct it belongs to
    const char *const *words;           // FIELD_WORD; ends with NULL
    uint64_t max;                       // 0: the type's own
};

struct fault_kind {
    const char *name;
    enum action_kind action;
    const char *help;
    bool world;                         // hits no node
    bool must_end;                      // `for` is wanted
    struct field args[FAULT_ARGS_MAX];  // offset: index in scenario_fault.args; name NULL: no more
    uint32_t a, b;                      // which argument is the action's a and b; FAULT_ARGS_MAX: none, 0
};

extern const struct fault_kind fault_kinds[];
extern const uint32_t fault_kinds_n;

// What ends an action that `for` limits; false: nothing can. home: the host as it was set up.
bool fault_undo(const struct fault_kind *k, uint32_t host, const struct host_config *home, const struct world_config *world, struct action *out);
// What heals a host of everything that lasts; returns how many actions, at most FAULT_HEALS_MAX.
enum { FAULT_HEALS_MAX = 6 };
uint32_t fault_heal(uint32_t host, const struct host_config *home, struct action out[FAULT_HEALS_MAX]);
