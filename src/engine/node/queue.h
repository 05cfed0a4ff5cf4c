// Which torrents run: one pure decision on a table, for whoever has more of them than should run at once. Bittorrent note,
// section 1: queue, ratio and idle limits.
#pragma once
#include "base/base.h"

enum {
    QUEUE_DOWNLOADS = 5,                // at once, if nobody says otherwise
    QUEUE_SEEDS = 50,
    QUEUE_RUNNING_MAX = 500,            // in all, those that do not count included
    QUEUE_SLOW_BPS = 2048,              // under this for so long a torrent takes no place from others;
    QUEUE_SLOW_S = 60,                  // over it for as long, and it counts again
    QUEUE_RATIO_PM_MAX = 1000000,       // a ratio of 1000
};

// When seeding ends; 0: that is no reason. The first that is reached counts.
struct queue_goals {
    uint64_t ratio_pm;                  // bytes sent, per mille of what was fetched, or of the content if that is more;
                                        // at most QUEUE_RATIO_PM_MAX
    nsec seed_time;                     // of seeding, over all runs
    nsec idle;                          // without a byte sent
};

enum queue_end { QUEUE_NO_END, QUEUE_END_RATIO, QUEUE_END_TIME, QUEUE_END_IDLE };

// How far a seed has come.
struct queue_totals {
    uint64_t size, down_bytes, up_bytes;        // down, up: over all runs
    nsec seeded, idle;                          // idle: since it last sent something
};

// Whether, and why, it has seeded enough.
enum queue_end queue_goal(const struct queue_goals *goals, const struct queue_totals *t);

// A torrent, in the order of the queue.
struct queue_row {
    bool seed;                          // complete: takes a place of a seed
    bool held;                          // ended, or paused by the user: does not run, whatever is free
    bool running;
    bool slow;                          // kept by queue_look
    nsec turned_at;                     // kept by queue_look: since when its rate says otherwise than `slow`; 0: it does not
    bool run;                           // the decision
};

// What it moves now: content down, of a seed content up. To be called about once a second while it runs; running false begins
// anew: a torrent that starts counts.
void queue_look(struct queue_row *row, nsec now, uint64_t bps);
// Decides for all rows, each either runs or not: the first ones that want to, up to downloads_max and seeds_max of those that count
// and QUEUE_RUNNING_MAX of all. 0: no limit. Whoever runs and does not count goes on.
void queue_decide(struct queue_row *rows, uint32_t n, uint32_t downloads_max, uint32_t seeds_max);
