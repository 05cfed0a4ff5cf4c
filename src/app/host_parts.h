// What the files of the host share; nobody else includes it.
#pragma once
#include "app/host.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/socks5.h"
#include "plat/plat.h"

#include <sys/uio.h>

enum {
    HOST_TX_BYTES = 2 * NODE_TX_MIN,
    HOST_FILES_MAX = 256,               // descriptors kept open
    HOST_DISK_WORKERS = 4,              // at least, and at most
    HOST_DISK_WORKERS_MAX = 16,
    HOST_WRITE_LANES = 4,               // of one worker each
    HOST_NAME_WORKERS = 2,
    HOST_CONNS_MAX = 16384,
    HOST_SCRATCH_BYTES = 256 * 1024,    // one read for sending: half an L2 cache
    HOST_SCRATCH_MAX = 32,              // 8 MiB in all
    HOST_ACCEPTS = 64,                  // of one turn and listener
    HOST_READS = 4,                     // of one turn and connection
    HOST_ROUNDS = 4,                    // of sending in one turn
    HOST_IOV_MAX = 80,                  // of one sendmsg
};

#define HOST_PAIR_WAIT (4 * NSEC_MS)    // a hash job waits for another one to go with
#define HOST_STOP_MAX (5 * NSEC_S)
#define HOST_FLUSH_MAX (15 * NSEC_S)    // a NODE_CLOSE that flushes is cut then

struct scratch {
    struct scratch *next;
    uint8_t *p;
    uint32_t left;                      // bytes in it that are not sent
};

// One thing to send. A file range that is loaded keeps its origin, so that its memory can be taken back.
struct out_item {
    enum { OUT_BYTES, OUT_FILE } kind;
    uint32_t store, file;
    uint64_t off, len;
    const uint8_t *mem;                 // OUT_FILE: its first `loaded` bytes, in the connection's scratch
    uint64_t loaded;
};

// What waits to be sent on one stream, in order: a ring of items; the bytes of OUT_BYTES lie one after the other.
struct out {
    struct out_item *items;
    uint32_t head, n, cap;              // cap: a power of two or 0
    struct buf bytes;
    size_t bytes_at;                    // first unsent
    uint64_t left;                      // bytes of all items
    struct scratch *scratch;
    uint32_t chunk;                     // how much to load at once: follows what the socket takes
};

enum conn_state { CONN_CONNECTING, CONN_PROXY, CONN_OPEN, CONN_FLUSHING, CONN_GONE };

// Where all streams go first, and all datagrams of NODE_PORT_PEER.
struct proxy {
    bool on, said;                      // said: that it does not serve us
    struct addr addr;
    char user[SOCKS5_TEXT_MAX + 1], password[SOCKS5_TEXT_MAX + 1];
};

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

struct listener {
    struct host *h;
    enum node_port port;
    int fd;
    struct watch *watch;
};

struct socket_udp {
    struct host *h;
    enum node_port port;
    uint8_t family;
    struct udp *udp;
    struct watch *watch;
    int fd;                             // of udp
};

struct dirty_file {
    uint32_t store, file;
};

struct host {
    struct host_config cfg;
    struct node *node;
    struct mem heap, payload;
    struct log log;
    struct env env;
    struct loop *loop;
    struct jobs *jobs;
    struct pool *hash, *disk, *names, *state, *router_worker;
    // A file's writes stay on one lane: two at a time would spin on its inode's lock (a sixth of a leech's CPU, measured).
    struct pool *lanes[HOST_WRITE_LANES];
    struct files *files;
    struct timer *deadline, *second, *stop_timer, *hash_timer;
    struct fetcher *fetcher, *streams;  // short answers; bodies of files, which do not keep those waiting
    nsec due;                           // of the node
    bool hash_by_two;                   // sha1_two_fast
    nsec hash_kick_at;                  // 0: no lone hash job waits
    struct buf tx;
    bool draining, stopping, stopped;
    enum err outcome;

    struct addr from;                   // family ADDR_NONE: any
    char device[16];
    unsigned device_index;              // that the sockets are bound to
    struct proxy proxy;
    struct relay *relay;                // NULL: no proxy
    uint16_t port, tracker_http, tracker_udp;
    struct listener listeners[4];
    struct socket_udp udps[7];
    uint32_t listeners_n, udps_n;

    struct map conns;
    struct list busy, holders, hungry, flushing, gone;
    struct scratch *scratch_free;
    struct scratch scratches[HOST_SCRATCH_MAX];
    uint32_t scratches_n;
    struct dirty_file *dirty;           // written and not synced since
    uint32_t dirty_n, dirty_cap;
    struct host_job *spare_jobs;
    struct router *router;              // used on its worker alone
    struct host_stats stats;
};

// host.c
// Calls of the node go on: polls it and carries out what it wants.
void host_turn_node(struct host *h);

// host_net.c
MUST_USE enum err net_open(struct host *h, char why[HOST_WHY_MAX]);
bool net_can_map(const struct host *h);  // there may be a router to ask
// After accepting had to stop for want of descriptors.
void net_listen_again(struct host *h);
// The device went away or came back: what was bound to it is bound anew.
void net_watch_device(struct host *h);
void net_close(struct host *h);
void net_flush_udp(struct host *h);
void net_datagram(struct host *h, const struct node_out *o);

// host_relay.c: datagrams through the proxy
MUST_USE enum err relay_new(struct host *h);    // with the node there; relay_free also after a failure
void relay_free(struct host *h);
void relay_stop(struct host *h);        // until relay_restart: the way to the proxy is gone
void relay_restart(struct host *h);
void relay_send(struct host *h, const struct node_out *o);      // drops what cannot go through the proxy
void relay_flush(struct host *h);
// An address to send to whom the proxy shall find by name. ERR_UNREACHABLE: it relays nothing now; ERR_SYNTAX, ERR_FULL, ERR_NOMEM.
MUST_USE enum err relay_name(struct host *h, struct slice name, struct addr *out);

// host_conn.c
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

// host_out.c: the queue alone
// Copies bytes. ERR_NOMEM: nothing was added.
MUST_USE enum err out_add(struct out *o, const struct io_seg *seg);
struct out_item *out_at(const struct out *o, uint32_t i);
// What can be sent now, in order: up to what is not loaded. Returns the entries of iov, their bytes in *out_total.
uint32_t out_gather(const struct out *o, struct iovec iov[HOST_IOV_MAX], size_t *out_total);
// n bytes are sent.
void out_consume(struct out *o, size_t n);
// Forgets what is loaded: it is read again when its turn comes. The scratch stays.
void out_unload(struct out *o);
// Frees what it owns; the scratch was given back before.
void out_done(struct out *o);

// host_send.c
void send_queue(struct host *h, const struct node_out *o);
// Sends what it can of all busy connections.
void send_round(struct host *h);
void send_loaded(struct conn *c, enum err e, size_t got);
void send_release(struct conn *c);      // gives the scratch back
void send_done(struct host *h);

// host_disk.c
void disk_job(struct host *h, const struct io_job *io);
void disk_kick(struct host *h);
void disk_done(struct host *h);
void disk_forget(struct host *h, uint32_t store);       // its number will mean another one
uint64_t disk_key(uint32_t store, uint32_t file);
// Fills `to`, in the connection's scratch, with a cold file range; send_loaded answers, never from inside. ERR_NOMEM.
MUST_USE enum err disk_load(struct conn *c, uint32_t store, uint32_t file, uint64_t off, struct span to);

// host_ask.c
void ask_fetch(struct host *h, const struct node_out *o);
void ask_stream(struct host *h, const struct node_out *o);
void ask_stream_head(void *ctx, uint32_t id, int status, struct slice lines);
size_t ask_stream_rx(void *ctx, uint32_t id, struct slice data);
void ask_resolve(struct host *h, uint32_t id, struct slice name);
void ask_save(struct host *h, uint32_t id, struct slice key, struct slice blob);
void ask_redirected(void *ctx, const struct fetch_want *next);
void ask_fetched(void *ctx, uint32_t id, enum err e, int status, struct slice body);

// host_router.c
void router_done(struct host *h);
void router_ask(struct host *h, const struct node_map *m);
