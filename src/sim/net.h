// The simulated network: what hosts may do with streams (stream.h) and exact datagrams over their links (link.h), and what becomes
// of events on the way.
#pragma once
#include "base/addr.h"
#include "engine/io.h"
#include "sim/link.h"
#include "sim/route.h"
#include "sim/stream.h"

struct extent;                          // extent.h
struct host;                            // host.h
struct world;                           // world.h

enum {
    NET_DGRAM_QUEUE = 65536,            // bytes of datagrams waiting for an uplink; more are dropped
    NET_TRACKER_PORT = 6969, NET_PEER_PORT = 6881,
    NET_LSD_PORT = 6771,                // BEP 14
};

struct dgram {
    uint32_t index, from, to;           // hosts
    struct route route;
    uint16_t port;                      // of the target, once it has arrived
    size_t n;
    uint8_t bytes[];
};

// One-way, ns; under faults of the moment.
nsec net_latency(const struct world *w, const struct host *a, const struct host *b);
// Without faults.
nsec net_base_latency(const struct world *w, const struct host *a, const struct host *b);
struct addr net_addr(uint32_t host, uint16_t port);
// The host with that address; NULL: none.
struct host *net_host(const struct world *w, const struct addr *a);

// Opens a stream for an END of host; the answer comes by an upcall. Never fails at once.
struct conn *net_connect(struct world *w, struct host *from, enum end_kind kind, uint32_t id, const struct addr *to);
// Queues segments of a node's send; file ranges are read now. On failure out_bad is the segment that could not be read.
MUST_USE enum err net_send(struct world *w, struct end *end, const struct io_seg *segs, uint32_t n, uint32_t *out_bad);
void net_send_bytes(struct world *w, struct conn *c, uint32_t end, struct slice bytes);
// Queues content without a disk: for hostile peers.
void net_send_extent(struct world *w, struct conn *c, uint32_t end, const struct extent *e);
// The end forgets the stream. flush: what is queued still goes out.
void net_close(struct world *w, struct conn *c, uint32_t i, bool flush);
// All streams of a host die with it. silent: nobody is told.
void net_abort(struct world *w, struct host *h, bool silent);
// All streams of a host break, for both ends. port: only those to or from it, 0: all.
void net_reset(struct world *w, struct host *h, uint16_t port);
// The NAT box in front of a host forgets everything, and may get another public address.
void net_nat_restart(struct world *w, const struct host *h, bool fresh_address);
// The downlink of h has this rate from now on, bytes/s; 0: no limit. What waits for a slower one waits longer.
void net_down_rate(struct world *w, struct host *h, uint64_t bps);
// To all that are behind the same NAT box; nobody where there is none.
void net_multicast(struct world *w, struct host *from, uint16_t port, struct slice bytes);
void net_datagram(struct world *w, struct host *from, uint16_t from_port, const struct addr *to, struct slice bytes);

// Events.
void net_on_uplink(struct world *w, struct host *h);
void net_on_arrive(struct world *w, struct pipe *p, uint32_t len);
void net_on_deliver(struct world *w, struct pipe *p, uint32_t len);
void net_on_wake(struct world *w, struct pipe *p);
void net_on_syn(struct world *w, struct conn *c);
void net_on_synack(struct world *w, struct conn *c, enum err e);
void net_on_fin(struct world *w, struct pipe *p);
void net_on_reset(struct world *w, struct pipe *p, enum err e);
void net_on_retry(struct world *w, struct pipe *p);
void net_on_dgram_arrive(struct world *w, struct dgram *d);
void net_on_dgram_deliver(struct world *w, struct dgram *d);
void net_conn_released(struct world *w, struct conn *c);        // one event that named c is done
void net_kick(struct world *w, struct host *h);                 // the uplink may go on
void net_done(struct world *w);                                 // frees all
