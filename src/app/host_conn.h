// One stream of the host, and its way through a proxy.
#pragma once
#include "app/host_out.h"
#include "base/addr.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/socks5.h"
#include "engine/node/node.h"

struct host;                            // host_parts.h
struct watch;                           // plat/loop.h

enum {
    HOST_CONNS_MAX = 16384,
    HOST_READS = 4,                     // of one turn and connection
};

#define HOST_FLUSH_MAX (15 * NSEC_S)    // a NODE_CLOSE that flushes is cut then

enum conn_state { CONN_CONNECTING, CONN_PROXY, CONN_OPEN, CONN_FLUSHING, CONN_GONE };

// A proxy's part of a connection: what it has said so far.
struct socks {
    struct socks5 talk;
    uint8_t got[SOCKS5_TEXT_MAX + 2];
    uint8_t got_n;
    bool let_in;                        // it knows us: what it refuses from there on is what was asked for
};

struct conn {
    struct host *h;
    uint32_t id;
    enum conn_state state;
    int fd;
    struct watch *watch;
    struct map_node node;               // in host.conns while the node knows it
    struct list busy;                   // in host.busy: has to send
    struct list hold;                   // in host.holders: has a scratch; or in host.hungry: waits for one
    struct list flush;                  // in host.flushing
    struct list gone;                   // in host.gone
    bool rx_paused, tx_blocked, loading;    // loading: a worker fills the scratch
    nsec flush_until;
    struct socks *socks;                // CONN_PROXY
    struct out out;
};

void conn_open(struct host *h, const struct addr *to, uint32_t id);
// To a proxy: it takes all, or is of no use (false).
MUST_USE bool socks_say(int fd, const struct buf *b);
// Reads what it answers, never a byte more, and says what comes next. ERR_OK: talk.state is SOCKS5_DONE or SOCKS5_FAILED; ERR_AGAIN: more
// is to come; ERR_CLOSED or another: the stream has ended.
MUST_USE enum err socks_hear(struct socks *s, int fd);
// The proxy cannot be reached or does not let us in, because of e: warns, once until it serves again.
void proxy_failed(struct host *h, enum err e);
void conn_adopt(struct host *h, int fd, enum node_port port, const struct addr *from);
struct conn *conn_of(struct host *h, uint32_t id);
void conn_close(struct host *h, uint32_t id, bool flush);
void conn_resume(struct host *h, uint32_t id);
// The stream failed: the node is told unless it has closed it.
void conn_fail(struct conn *c, enum err e);
// Tells the loop what this connection waits for.
void conn_interest(struct conn *c);
// All bytes are out.
void conn_flushed(struct conn *c);
void conn_sweep(struct host *h);        // frees what is gone
void conn_expire(struct host *h);       // cuts what flushes for too long
void conn_close_all(struct host *h);
void conn_fail_all(struct host *h, enum err e);
