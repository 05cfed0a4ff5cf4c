// The real host: runs one node on the operating system. Sockets, disks, workers and libcurl live behind it.
// One thread owns a host and its node; only `save` and the `run` of host_work are called on another one.
#pragma once
#include "engine/node/node.h"

struct host;

enum { HOST_WHY_MAX = 256, HOST_PROXY_PORT = 1080 };    // port: where a proxy listens if its URL does not say it

struct host_config {
    const char *listen;                 // numeric address to bind and to connect from; NULL: all, IPv4 and IPv6
    const char *device;                 // network device of every socket (SO_BINDTODEVICE); NULL: any
    const char *proxy;                  // socks5://[user:password@]host:port: of every stream that we open, every fetch and every datagram of
                                        // NODE_PORT_PEER; NULL: none. With one no peer port is opened here
    uint16_t port;                      // TCP and UDP of NODE_PORT_PEER; 0: any free one
    uint16_t port_last;                 // in use: the next one is tried, up to this; 0: only `port`
    uint16_t tracker_http_port;         // TCP of NODE_PORT_TRACKER; 0: none
    uint16_t tracker_udp_port;          // UDP of NODE_PORT_TRACKER; 0: none
    bool tracker_any_port;              // tracker ports of 0 mean any free one instead: for tests
    bool peer_closed;                   // open no peer port at all: a tracker alone
    struct node_config node;            // listen_port is filled in by host_new
    uint32_t hash_workers;              // threads; 0: one for each core
    uint32_t disk_workers;              // threads that read; 0: 4 to 16, by cores. Writes have four of their own
    enum log_level log_level;

    // An event of the node; what it points to lives for the call. May call commands of the node and host_stop.
    void (*event)(void *ctx, const struct node_event *e);
    // Once a second while running; NULL: not wanted. May do what `event` may; host_drain is called after it.
    void (*tick)(void *ctx);
    // Makes `blob` durable under `key` (empty: forget it); ON A WORKER, one at a time and in order. NULL: nothing is kept.
    enum err (*save)(void *ctx, struct slice key, struct slice blob);
    // One line of the log; any thread. NULL: standard error.
    void (*log)(void *ctx, enum log_level level, const char *text);
    void *ctx;
};

struct host_stats {
    uint64_t rx_bytes, tx_bytes;        // of streams
    uint64_t rx_calls, tx_calls;        // system calls that moved them
    uint64_t reads_warm, reads_cold;    // reads for sending: from the page cache at once, or by a disk worker
    uint64_t heap_bytes, payload_bytes; // memory handed out to the node now
    uint32_t conns;
};

// Binds the ports and makes the node; nothing runs before host_run. On failure `why` has one line for the user, such as
// "port 6881 (TCP) is in use by another program". ERR_EXISTS: a port is in use; ERR_ACCESS: a port below 1024, or the
// device; ERR_SYNTAX: listen is no address; ERR_UNREACHABLE: not an address of this machine; ERR_NOMEM.
// cfg is copied; its strings are only read here. SIGPIPE is ignored from now on.
MUST_USE enum err host_new(struct host **out, const struct host_config *cfg, char why[HOST_WHY_MAX]);
// NULL is fine. Waits for the workers' present jobs; wants host_run to have returned.
void host_free(struct host *h);

struct node *host_node(struct host *h);
// What every call of the node wants as `now`.
nsec host_now(struct host *h);
// The node's memory and log, for what must live in the same place (metainfo_parse).
const struct env *host_env(const struct host *h);
// The port that NODE_PORT_PEER got, 0: none; and those of the tracker.
uint16_t host_port(const struct host *h);
uint16_t host_tracker_http_port(const struct host *h);
uint16_t host_tracker_udp_port(const struct host *h);
// Carries out what the node asks for. Call it after commands of the node; inside a callback it does nothing (the caller
// of the callback does it).
void host_drain(struct host *h);

// Runs until host_stop is carried out, or the first SIGINT or SIGTERM, which count as host_stop; a second one ends at
// once. ERR_OK: NODE_EVENT_STOPPED came; ERR_TIMEOUT: not within HOST_STOP_MAX; ERR_CANCELLED: ended at once.
enum err host_run(struct host *h);
// node_stop, then host_run returns. Again: returns at once. Not from another thread.
void host_stop(struct host *h);

// Runs run(ctx) on the worker that also saves, then done(ctx) on the host's thread (may be NULL). ERR_NOMEM.
MUST_USE enum err host_work(struct host *h, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx);

void host_stats(const struct host *h, struct host_stats *out);
