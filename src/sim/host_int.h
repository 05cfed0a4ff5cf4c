// Between host.c and host_io.c.
#pragma once
#include "sim/world.h"

// Polls the node until it is idle and carries out what it asks.
void host_settle(struct world *w, struct host *h);
// Plans the next tick: deadline is the node's.
void host_arm(struct world *w, struct host *h);
// The host sleeps at the time of its tick.
void host_put_off_tick(struct world *w, struct host *h);
// The node has said that it stopped: its life ends well.
void host_stopped(struct world *w, struct host *h);
// Adds what it wants to the running node; false: the process has ended, for lack of memory.
bool host_give(struct world *w, struct host *h, struct want *want);
bool host_has_torrent(const struct host *h, uint32_t torrent);
