// A modelled stream: two ends, and a pipe each way.
//
// What a node sends becomes parts; quanta of it wait for their turn on the uplink, travel, wait for the downlink, and are taken by
// the receiver as its room allows; then the credit travels back.
#pragma once
#include "base/addr.h"
#include "base/list.h"
#include "sim/extent.h"
#include "sim/route.h"

struct host;                            // host.h
struct watch;                           // watch.h
struct world;                           // world.h

enum {
    NET_MSS = 1460,
    NET_QUANTUM_BIG = 12288,            // from here on the first half is acknowledged while the second is on the downlink
    NET_SMALL = 1024,                   // messages up to this go between quanta, and do not split a part's rest off
    NET_CWND_START = 10 * NET_MSS,      // RFC 6928
    NET_CWND_MIN = 1 * NET_MSS,
    NET_GROWTH_PERCENT = 53,            // of a segment for each window: RFC 8312 section 4.2, as fast as Reno for the softer
    NET_BACKOFF_PERCENT = 70,           // backing off
    NET_RETRIES = 6,                    // of a quantum that meets a partition
};

#define NET_CONNECT_TIMEOUT (20 * NSEC_S)
#define NET_DARK_TIMEOUT (30 * NSEC_S)          // until a silent peer's stream is given up
#define NET_RTO (1 * NSEC_S)                    // RFC 6298's initial and least value

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
