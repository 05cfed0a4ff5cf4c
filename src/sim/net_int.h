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
// A quantum has left the uplink.
void pipe_departed(struct world *w, struct pipe *p, uint32_t len);
// A quantum that left never arrives.
void pipe_drop(struct pipe *p, uint32_t len);
bool net_cut(const struct host *a, const struct host *b);
void link_done(struct world *w, struct link *l);
