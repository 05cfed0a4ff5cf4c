// The simulated network: access links, modelled streams, exact datagrams.
//
// A stream is two pipes. What a node sends becomes parts; quanta of it wait for their turn on the uplink, travel, wait for
// the downlink, and are taken by the receiver as its room allows; then the credit travels back.
#pragma once
#include "base/addr.h"
#include "base/list.h"
#include "engine/io.h"
#include "sim/disk.h"
#include "sim/route.h"

struct world;
struct host;

enum {
    NET_MSS = 1460,
    NET_QUANTUM_MIN = 1500,
    NET_QUANTUM_MAX = 16384,
    NET_QUANTUM_MS = 400,               // of the sender's line, if that is between these
    NET_QUANTUM_BIG = 12288,            // from here on the first half is acknowledged while the second is on the downlink
    NET_DOWN_LUMPS = 2,                 // quanta that a downlink's queue holds besides NET_DOWN_QUEUE: as packets they would have
                                        // come between those of others
    NET_SMALL = 1024,                   // messages up to this go between quanta, and do not split a part's rest off
    NET_CWND_START = 10 * NET_MSS,      // RFC 6928
    NET_CWND_MIN = 1 * NET_MSS,
    NET_DGRAM_QUEUE = 65536,            // bytes of datagrams waiting for an uplink; more are dropped
    NET_FIFO_QUEUE = 256 * 1024,
    NET_TRACKER_PORT = 6969, NET_PEER_PORT = 6881,
    NET_LSD_PORT = 6771,                // BEP 14
    NET_GROWTH_PERCENT = 53,            // of a segment for each window: RFC 8312 section 4.2, as fast as Reno for the softer
    NET_BACKOFF_PERCENT = 70,           // backing off
    NET_RETRIES = 6,                    // of a quantum that meets a partition
};

#define NET_CONNECT_TIMEOUT (20 * NSEC_S)
#define NET_DARK_TIMEOUT (30 * NSEC_S)          // until a silent peer's stream is given up
#define NET_RTO (1 * NSEC_S)                    // RFC 6298's initial and least value
#define NET_DOWN_QUEUE (100 * NSEC_MS)          // a downlink queue longer than this tells its senders to slow down

enum end_kind { END_NODE, END_FETCH, END_HOSTILE };
enum end_state { END_CONNECTING, END_OPEN, END_GONE };

// One side of a stream.
struct end {
    enum end_kind kind;
    enum end_state state;
    struct host *host;
    struct conn *conn;
    uint32_t side;                      // its place in conn->ends
    uint32_t id;                        // END_NODE: the node's conn; otherwise the number of whoever owns it
    struct list link;                   // of host->ends
};

// What was given to one send, in order; bytes or payload.
struct part {
    struct part *next;
    uint64_t len, taken;                // bytes; already consumed by the receiver
    bool payload;                       // content: lands alone in the receiver's room
    struct extents ref;                 // by reference: what it is, pos from 0
    size_t bytes_n;
    uint8_t bytes[];                    // otherwise
};

struct credit {
    nsec t;
    uint32_t len;
};

struct pipe {
    struct conn *conn;
    uint32_t id;                        // conn's number * 2 + direction
    struct part *head, *tail;           // not yet consumed
    struct part *cursor;                // part that the next byte to send is in
    uint64_t cursor_off;
    uint64_t queued, sent, arrived, taken;      // bytes so far
    uint64_t departed, dropped;         // left the uplink; and never arrived
    uint64_t inflight, cwnd, ssthresh;
    uint64_t line_bps;                  // of the uplink that the last quantum left
    uint64_t early;                     // bytes whose credit was sent off before they were taken
    nsec last_arrival, recover_until;
    nsec wake_at;                       // of the EV_WAKE under way, 0: none
    struct credit *credits;             // a ring in order of time: on their way back
    uint32_t credits_at, credits_n, credits_cap;
    struct list ring;                   // of the uplink
    bool starved;                       // has bytes, window closed
    bool fin, fin_sent, fin_arrived, no_room, blocked;
    uint32_t retry_len, retries;
};

struct conn {
    uint32_t index;
    uint32_t pending;                   // events that name it
    nsec latency;                       // of the path without faults
    struct watch *watch;                // NULL: nobody looks
    bool timeout_set, forgotten;        // forgotten: an end died without a word
    bool unmapped;                      // a NAT box has forgotten it
    struct end ends[2];                 // the connecting, the accepting
    struct pipe pipes[2];               // [i]: from ends[i]
    struct addr from, to;
    uint16_t from_port;
    struct route route;                 // of the connecting side's packets
    uint32_t boots;                     // of the NAT boxes on the way, when it began
    nsec used_at, patience;             // last traffic; how long the boxes wait for the next
};

struct dgram {
    uint32_t index, from, to;           // hosts
    struct route route;
    uint16_t port;                      // of the target, once it has arrived
    size_t n;
    uint8_t bytes[];
};

// The access link of a host.
struct link {
    uint64_t up_bps, down_bps;          // bytes/s, 0: no limit
    nsec latency;
    struct list fast, bulk;             // pipes that may send
    bool fifo;                          // one queue for all
    uint64_t queue_bytes;               // fifo: what does not fit is lost; 0: NET_FIFO_QUEUE
    bool armed;                         // an EV_UPLINK is under way
    struct pipe *tx_pipe;               // whose quantum is on the line
    uint32_t tx_len;
    nsec tx_start, up_until;            // of that quantum; when the line is free
    nsec down_busy;
    uint64_t up_bytes, down_bytes, dropped_bytes;
    struct { uint64_t second, bytes; } busy[2];         // up, down: bytes in the last second that had any
    bool garbled;                       // bits of its datagrams were flipped: of content as well, maybe
    struct rng loss;
};

void link_init(struct link *l, uint64_t up_bps, uint64_t down_bps, nsec latency);
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

// What has arrived at the far side of p and was not taken: of one part, or of neighbouring parts of bytes. False: nothing.
struct arrival {
    const struct part *part;
    uint64_t off, len;                  // in that part
};
bool pipe_peek(const struct pipe *p, struct arrival *out);
// Copies up to max arrived plain bytes, across parts of bytes, without taking them.
size_t pipe_copy(struct world *w, const struct pipe *p, uint8_t *out, size_t max);
void pipe_take(struct world *w, struct pipe *p, uint64_t len);
// The receiver has taken all it could: reports an end that arrived behind the data.
void pipe_settle(struct world *w, struct pipe *p);

// The side that p comes from, and goes to.
static inline struct end *pipe_from(const struct pipe *p) { return &p->conn->ends[p->id & 1]; }
static inline struct end *pipe_to(const struct pipe *p) { return &p->conn->ends[1 - (p->id & 1)]; }

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
