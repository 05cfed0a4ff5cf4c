// What scenarios are built with: a world on the C library's heap, torrents made of computed content, and words when it fails.
#pragma once
#include "test.h"

#include "lab/stage.h"

struct lab {
    struct stage stage;
    struct world *world;                // the stage's
    const char *name;
    bool failed;
};

// The seed: KITH_SEED from the environment is mixed into it, so that soak runs differ.
void lab_open(struct lab *l, const char *name, const struct world_config *cfg);
// Asserts that no oracle fired and that all memory came back; returns the trace's hash.
uint64_t lab_close(struct lab *l);
// The same without judging.
void lab_free(struct lab *l);
// Makes the torrent file, reads it back, gives it to the world.
uint32_t lab_torrent(struct lab *l, const struct stage_torrent *t);
// Prints what an oracle said and the end of the trace, and fails the test; nothing if none fired.
void lab_expect_good(struct lab *l);
// Prints the same if ok is false, then fails.
void lab_expect(struct lab *l, bool ok, const char *what);
// Where a node's torrent stands.
struct node_torrent_stats lab_stats(const struct lab *l, uint32_t host, uint32_t want);
// A tracker for the lab, as its own host: the first of the world, so that its address is LAB_TRACKER.
uint32_t lab_tracker(struct lab *l);
#define LAB_TRACKER STAGE_TRACKER

#define KBPS(n) ((uint64_t)(n) * 1000)

// A swarm of one torrent: hosts first … first + seeds - 1 have it, the next `leeches` want it.
struct lab_swarm {
    const char *name;
    struct world_config world;
    struct stage_torrent torrent;
    struct host_config seed, leech;
    uint32_t seeds, leeches;
    bool tracker;                       // host 0 is a tracker; its address is in the torrent
    nsec arrivals;                      // the leeches arrive spread over this
};

struct lab_run {
    uint32_t torrent, first_seed, first_leech;
};

struct lab_run lab_swarm(struct lab *l, const struct lab_swarm *s);
// Runs until all honest leeches are complete, or fails the test at `until`; prints a line of numbers; returns when, ns.
nsec lab_complete(struct lab *l, nsec until);
// Hosts added now will have this index.
uint32_t lab_next(const struct lab *l);
