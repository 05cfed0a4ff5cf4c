// The host inside: what all its files work on. Nobody else includes it.
#pragma once
#include "app/host.h"
#include "app/host_net.h"
#include "app/host_out.h"
#include "base/list.h"
#include "base/map.h"
#include "plat/plat.h"

struct conn;                            // host_conn.h
struct host_job;                        // host_jobs.h
struct relay;                           // host_relay.c
struct router;                          // host_router.c

enum {
    HOST_TX_BYTES = 2 * NODE_TX_MIN,
    HOST_FILES_MAX = 256,               // descriptors kept open
    HOST_DISK_WORKERS = 4,              // at least, and at most
    HOST_DISK_WORKERS_MAX = 16,
    HOST_WRITE_LANES = 4,               // of one worker each
    HOST_NAME_WORKERS = 2,
    HOST_ROUNDS = 4,                    // of sending in one turn
};

#define HOST_PAIR_WAIT (4 * NSEC_MS)    // a hash job waits for another one to go with
#define HOST_STOP_MAX (5 * NSEC_S)

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
