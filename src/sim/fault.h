// What faults do: rules on paths, and the state of faults at a host. The menu is action.h.
#pragma once
#include "sim/action.h"

struct world;
struct host;

enum { FAULT_RULES_MAX = 1 << 16, FAULT_SIDE_FIRST = 1 << 16 };

// A fault of a path that is at work, from some hosts to some hosts.
struct fault_rule {
    enum action_kind kind;
    uint32_t from, from_n, to, to_n;    // n ACTION_EVERY: all
    uint32_t share_ppm, salt;           // drawn by hash, so that a path keeps its fate
    bool both;                          // also the other way round
    nsec since, until;
    uint64_t a, b;
};

struct fault_rules {
    struct fault_rule *items;
    uint32_t n, cap, side_next;
    bool sided;                         // a host was ever on a side of a partition
    bool dns_dead;
    uint32_t web;                       // enum web_fault, of all fetches
    uint32_t loss_before;               // the world's loss_ppm as configured
    nsec healed_at;                     // what began until then is over; 0: never healed
};

// What the rules say about one path at one time.
struct fault_path {
    uint32_t loss_ppm, burst_begin_ppm, burst_end_ppm, duplicate_ppm, reorder_ppm, replay_ppm, flip_ppm;
    nsec reorder_max, replay_after;
    uint32_t mtu;                       // 0: none
    nsec hold_until;                    // nothing arrives before
    bool no_udp, no_tcp, hole;
};

// Faults at a host.
struct host_faults {
    bool bridge, nomem, burst_bad;
    uint64_t allocations_left;
    uint64_t mask;                      // datagrams still to come: bit 0 is the next
    uint32_t mask_left;
    nsec cpu_cost, cpu_busy;            // an input occupies the process until then
    uint32_t descriptors;               // 0: no limit
    int64_t skew_ppm, wall_jump;
    nsec skew_from, skew_base;          // from when the skew counts; the node's clock then
    uint32_t web;                       // enum web_fault of what it serves
};

// Carries out an action. undo: its time is over.
void fault_act(struct world *w, const struct action *a, bool undo);
// The faults of packets from one host to another now.
struct fault_path fault_path(const struct world *w, const struct host *from, const struct host *to);
// One-way latency under the rules.
nsec fault_latency(const struct world *w, const struct host *from, const struct host *to, nsec latency);
// Nothing passes from a to b: partitions, holes, protocols.
bool fault_cut(const struct world *w, const struct host *a, const struct host *b, bool udp);
void fault_done(struct world *w);
