// Between link.c and stream.c.
#pragma once
#include "sim/world.h"

// Queues an event that names p or c, which then stays until the event is done.
void pipe_event(struct world *w, struct pipe *p, nsec t, enum ev_kind kind, uint32_t b);
void conn_event(struct world *w, struct conn *c, nsec t, enum ev_kind kind, uint32_t b);
// Puts p in its uplink's ring if it may send.
void pipe_kick(struct world *w, struct pipe *p);
// How many bytes p may send now as one quantum; advances its cursor over them.
uint32_t pipe_quantum(struct world *w, struct pipe *p);
// A quantum has left, or will have left the uplink at t. lost: the queue was full.
void pipe_departed(struct world *w, struct pipe *p, uint32_t len, nsec t, bool lost);
// Sends at once what is small, or all that the window allows where the line has one queue. False: it must wait for its turn.
bool link_send_now(struct world *w, struct pipe *p);
// One-way latency of a stream's path.
nsec conn_latency(const struct world *w, const struct conn *c, uint32_t from);
// A quantum that left never arrives.
void pipe_drop(struct pipe *p, uint32_t len);
// One packet of h meets its fate.
bool packet_lost(struct host *h, const struct fault_path *f);
// No packet of the stream gets through, one way or the other.
bool conn_cut(const struct world *w, const struct conn *c);
