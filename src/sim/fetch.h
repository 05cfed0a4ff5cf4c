// Fetches of simulated hosts: from a table of answers, or by a small HTTP client over a simulated stream to whoever has that address.
#pragma once
#include "sim/world.h"

enum { FETCH_HEAD_MAX = 16384, FETCH_URL_MAX = 8192 };

#define FETCH_TIMEOUT (30 * NSEC_S)

// Starts a fetch for a host's node (id: the node's number) or hostile script (id 0).
void fetch_start(struct world *w, struct host *h, uint32_t id, struct slice url);
// Upcalls of the network; id: the task's number.
void fetch_connected(struct world *w, struct conn *c, enum err e);
void fetch_rx(struct world *w, struct pipe *p);
void fetch_closed(struct world *w, uint32_t id, enum err e);
// The host died and its stream with it: nobody is told.
void fetch_dropped(struct world *w, uint32_t id);
void fetch_on_timer(struct world *w, uint32_t id);
void fetch_free(struct world *w, void *task);
// Resolves a name by the world's table, after a delay.
void resolve_start(struct world *w, struct host *h, uint32_t id, struct slice name);
void resolve_on_timer(struct world *w, uint32_t id);
// A request to the host's router, and its answer.
void map_start_task(struct world *w, struct host *h, const struct node_map *m);
void map_on_timer(struct world *w, uint32_t id);
