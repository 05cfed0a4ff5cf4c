// From addresses to hosts, through NAT boxes. Every box makes a network: a host lives in the one of its box, or on the internet.
#pragma once
#include "sim/nat.h"

struct world;
struct host;

struct nat_box {
    struct nat nat;
    uint32_t boots, addresses;          // restarts so far; public addresses so far
};

struct nat_boxes {
    struct nat_box **items;
    uint32_t n, cap;
};

// Something on its way.
struct route {
    struct addr src, dst;               // as seen on the part of the way between the boxes
    uint32_t target;                    // the host that it will reach if no filter is in the way
};

// The first half, when something leaves a host: mappings are made. ERR_UNREACHABLE: no such place, or no way back in (hairpin);
// ERR_ACCESS: blocked; ERR_FULL: a box has no mapping left.
MUST_USE enum err route_depart(struct world *w, const struct host *from, bool tcp, uint16_t port, const struct addr *to, struct route *out);
// The second half, when it is at the outer box of its target: out is the address inside. ERR_ACCESS: filtered; ERR_NOT_FOUND: the
// mapping is gone.
MUST_USE enum err route_arrive(struct world *w, bool tcp, const struct route *r, struct addr *out);
// What counts in a stream's life: changes when a box on the host's way restarts.
uint32_t route_boots(const struct world *w, const struct host *h);
// The shortest patience with idle streams on the host's way; NSEC_NEVER: none.
nsec route_tcp_timeout(const struct world *w, const struct host *h);
// A SYN that a box refuses is answered by RST.
bool route_resets(const struct world *w, const struct addr *to);
void route_done(struct world *w);
