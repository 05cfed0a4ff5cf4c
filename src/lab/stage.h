// The ground that a simulated world stands on: the C library's heap, address space for payload, torrents of computed content.
#pragma once
#include "sim/world.h"

enum { STAGE_FILES_MAX = 16, STAGE_TORRENTS_MAX = 8, STAGE_WHY_MAX = 160 };

// Does not move while it is open: the world keeps pointers into it.
struct stage {
    struct world *world;
    struct mem mem, pages;
    struct env env;
    size_t used;                        // bytes lent to the world now
    void *arena;
    size_t arena_len;
    struct metainfo metas[STAGE_TORRENTS_MAX];
    uint32_t torrents_n;
};

struct stage_torrent {
    bool v1, v2;
    bool is_private;
    uint32_t piece_len;
    const uint64_t *lens;               // bytes of each file
    uint32_t files_n;                   // 1 … STAGE_FILES_MAX
    const char *tracker;                // NULL: none
    const char *web_seeds[4];           // NULL: no more
};

// cfg->arena is filled in. ERR_NOMEM.
MUST_USE enum err stage_open(struct stage *s, const struct world_config *cfg);
// Frees the world and all that belongs to it; s->used is 0 afterwards, or the world leaks.
void stage_close(struct stage *s);
// Makes the torrent file, reads it back, gives it to the world. ERR_FULL: STAGE_TORRENTS_MAX; otherwise what is wrong with it,
// with the reason in `why`.
MUST_USE enum err stage_torrent(struct stage *s, const struct stage_torrent *t, char why[STAGE_WHY_MAX], uint32_t *out);
// A tracker, as the first host of the world: its address is STAGE_TRACKER. Peers are told to come back every interval_s.
uint32_t stage_tracker(struct stage *s, uint32_t interval_s);
#define STAGE_TRACKER "http://10.0.0.1:6969/announce"
#define STAGE_TRACKER_UDP "udp://10.0.0.1:6969/announce"
// Where a node's torrent stands; zeros while the node is down.
struct node_torrent_stats stage_stats(const struct stage *s, uint32_t host, uint32_t want);
// Of the machine; only to print speeds: what happens never depends on it.
uint64_t stage_clock_ms(void);
