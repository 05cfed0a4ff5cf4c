// Our ports at the router.
#pragma once
#include "engine/node/node.h"

// A mapping at the router.
struct port_map {
    uint16_t external;
    nsec due;                           // to be asked for, or renewed
    bool wants, asking, releasing, held;
};

void map_start(struct node *n);
void map_beat(struct node *n);
void map_stop(struct node *n);
void map_news(struct node *n, const struct addr *from, struct slice data);      // at NODE_PORT_ROUTER
bool map_is_stopped(const struct node *n);                              // nothing left to take back, or it took too long
bool map_poll(struct node *n, struct node_out *out, enum node_kind *kind);
