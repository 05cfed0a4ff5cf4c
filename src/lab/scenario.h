// A scenario: what is in a world and what goes wrong there, as lines of text (docs/LAB.md describes the language). Reading never
// fails but with a line number and a reason; printing gives the expanded form, which reads back as the same scenario.
#pragma once
#include "lab/field.h"
#include "sim/world.h"

enum {
    SCENARIO_NAME_MAX = 24,
    SCENARIO_CONTENTS_MAX = 8,
    SCENARIO_FILES_MAX = 16,
    SCENARIO_NODES_MAX = 20000,         // all hosts together
    SCENARIO_FAULTS_MAX = 20000,
    SCENARIO_GATES_MAX = 64,
    SCENARIO_BYTES_MAX = 8 << 20,       // of the text
    SCENARIO_LINE_MAX = 1024,
    SCENARIO_WHY_MAX = 320,
};

// All values of options are u64, so that one table reads and writes them: ns, bytes, bytes/s, ppm, or the index of a word.
struct scenario_world {
    uint64_t payload, latency, model, spread, loss, duplicate, reorder, window, check, rare;
    uint64_t end;                       // 0: an hour
    uint64_t heal;                      // all faults end here; 0: never
};

struct scenario_content {
    char name[SCENARIO_NAME_MAX];
    uint32_t line;
    uint64_t lens[SCENARIO_FILES_MAX];
    uint64_t files_n;
    uint64_t piece, form;               // form: v1, v2, hybrid
    uint64_t tracker, is_private;       // tracker: its metainfo names the world's tracker
};

// What each node of a line is behind, a box of its own: of a mix (nat.h), or of one class.
enum scenario_nat { SCENARIO_PUBLIC, SCENARIO_NAT_2025, SCENARIO_NAT_2010, SCENARIO_NAT_2005, SCENARIO_NAT_CLASS };

enum arrive_kind {
    ARRIVE_AT, ARRIVE_FLASH, ARRIVE_EVERY, ARRIVE_POISSON,
    ARRIVE_DEBIAN, ARRIVE_REDHAT, ARRIVE_FLATOUT,       // Weibull, so much apart on the average: chance.h
    ARRIVE_DECAY,                       // ever fewer: a time constant
    ARRIVE_SINE,                        // all within a day, most of them in its middle
    ARRIVE_KINDS,
};

extern const char *const scenario_nat_words[];
extern const char *const scenario_arrive_words[ARRIVE_KINDS];

// One line of nodes: `count` hosts that are set up alike.
struct scenario_group {
    char name[SCENARIO_NAME_MAX];
    uint32_t line, count;
    bool plural;                        // `nodes`: they are called name0, name1 …
    uint64_t tracker, interval, hostile, corrupt;       // tracker: 1 asked by HTTP, 2 by UDP
    uint64_t nat, utp, dht;             // nat: enum scenario_nat; dht: the first node of all with it is the router that the others know
    uint64_t up, down, latency;
    uint64_t has, want;                 // bits of contents
    uint64_t magnet;                    // what it wants it knows by a link only
    uint64_t check, order, optimistic, gifts, choke, slots, dials, peers;
    uint64_t knows;                     // FIELD_NODES: connects to that one by itself
    uint64_t from, arrive, arrive_time; // arrive: enum arrive_kind
    uint64_t sessions, online, away;    // enum chance_swarm of times online; their mean, 0: as measured; mean time off, 0: stays away
    uint64_t after, linger;
    uint64_t disk_latency, disk_rate, hash_rate, space, eio;
};

struct scenario_fault {
    nsec t;
    uint32_t line;
    struct action action;               // hosts by their numbers in the world
};

enum gate_op { GATE_LE, GATE_GE };

// `gate SOURCE GROUP.METRIC OP VALUE`, or `gate ID GROUP.METRIC`: a row of the published results.
struct scenario_gate {
    uint32_t line, group, metric;       // metric: of result.h
    char id[SCENARIO_NAME_MAX];         // "own", or of the row
    enum gate_op op;
    uint64_t value;                     // ns or ppm
};

struct scenario {
    uint64_t seed;
    struct scenario_world world;
    struct scenario_content contents[SCENARIO_CONTENTS_MAX];
    uint32_t contents_n;
    struct scenario_group *groups;
    uint32_t groups_n, groups_cap;
    uint32_t nodes_n;                   // of all groups
    struct scenario_fault *faults;
    uint32_t faults_n, faults_cap;
    struct scenario_gate gates[SCENARIO_GATES_MAX];
    uint32_t gates_n;
    const struct mem *mem;
};

void scenario_init(struct scenario *s, const struct mem *mem);
void scenario_done(struct scenario *s);
// ERR_NOMEM.
MUST_USE enum err scenario_copy(struct scenario *out, const struct scenario *s);
// Reads a whole text. `file` is its name in `why`: "FILE:LINE: what is wrong". ERR_SYNTAX: that; ERR_NOMEM. out needs
// scenario_done in every case.
MUST_USE enum err scenario_parse(struct scenario *out, const struct mem *mem, const char *file, struct slice text, char why[SCENARIO_WHY_MAX]);
// Writes it; every node a line of its own, with its time of arrival, if expand. The writer lacks room: w->ok is false.
void scenario_print(const struct scenario *s, bool expand, struct wr *w);
// Adds one; ERR_NOMEM, ERR_FULL. The result lives until the next one is added.
MUST_USE enum err scenario_add_group(struct scenario *s, const char *name, struct scenario_group **out);
MUST_USE enum err scenario_add_fault(struct scenario *s, struct scenario_fault **out);
// When the nodes of a group arrive (out: one for each): drawn from the seed.
void scenario_arrivals(const struct scenario *s, uint32_t group, nsec *out);
// The host of the world that node i of a group becomes.
uint32_t scenario_host(const struct scenario *s, uint32_t group, uint32_t i);
