// One simulated machine: its node (or hostile script), access link, disk, durable state; and the carrying out of what the node asks.
#pragma once
#include "base/heap.h"
#include "engine/node/node.h"
#include "sim/disk.h"
#include "sim/fault.h"
#include "sim/geo.h"
#include "sim/host_config.h"
#include "sim/link.h"
#include "sim/payload.h"
#include "sim/slots.h"

struct conn;                            // stream.h
struct dgram;                           // net.h
struct pipe;                            // stream.h
struct world;                           // world.h

enum { HOST_WANTS_MAX = 64, HOST_KEY_MAX = 256 };

enum want_kind {
    WANT_LEECH,
    WANT_SEED,                          // the files are there and just hashed
    WANT_CHECK,                         // hash what exists before starting
    WANT_MAGNET,                        // knows only the magnet link
};

struct want {
    uint32_t torrent;                   // of the world
    enum want_kind kind;
    bool sequential, strict_order, random_order, reserve, super_seed;
    uint64_t up_bps, down_bps;          // limits of its own
    bool given;                         // to the present life of the node
    uint32_t number;                    // the node's
    bool done;                          // complete, ever
    nsec done_at;
    uint32_t checked;                   // NODE_EVENT_CHECKED seen in this life
    uint32_t errors, recovered, banned;
    enum err error;                     // of the last NODE_EVENT_ERROR
    uint64_t down_bytes, up_bytes, waste_bytes; // of ended lives
};

// A state blob of NODE_SAVE.
struct blob {
    struct blob *next;
    size_t key_n, n;
    uint8_t key[HOST_KEY_MAX];
    uint8_t *bytes;                     // durable
};

struct host {
    // What nearly every event looks at: few lines of the cache
    uint32_t index;
    uint32_t life;                      // counts starts
    struct world *world;
    struct node *node;                  // NULL: down
    struct hostile *hostile;
    bool up, dark, left;                // dark: no answer at all, as without power
    bool settling;
    bool faster;                        // its line was made faster than configured
    uint32_t side;                      // of a partition
    nsec paused_until;
    struct host_faults faults;
    struct link link;
    struct idmap conns;                 // the node's conn -> conn * 2 + end
    struct heap_node timer;
    nsec deadline;                      // the node's, by its own clock
    nsec burst_t;
    uint32_t burst_n;                   // inputs at that instant
    uint64_t inputs;
    // From here on what is seldom needed
    nsec started_at;
    struct geo_place place;             // LATENCY_PLANETLAB
    uint32_t region;                    // LATENCY_PLANET
    struct disk disk;
    struct rare rare;                   // of the present life, if the world has it
    struct env env;
    struct mem face;                    // the node's memory: counted, and taken back when it dies
    struct list blocks;
    uint64_t mem_used, mem_peak;
    struct payload payload;
    struct list ends;
    uint32_t ends_n;
    uint32_t unchoked_n;                // peers that were told so; see watch.h
    nsec choked_at, first_start;        // the last round that took a slot away; 0: none
    uint16_t port_next;
    struct host_config cfg;
    struct want wants[HOST_WANTS_MAX];
    uint32_t wants_n;
    struct blob *blobs;
    struct rng rng;                     // of host purposes: whom to dial
};

struct host *host_new(struct world *w, uint32_t index, const struct host_config *cfg);
void host_free(struct host *h);
// Begins a life: a node, its torrents with their resume data.
void host_start(struct world *w, struct host *h);
// kill -9, or power loss (silent: peers hear nothing). Disk pages meet their fate.
void host_crash(struct world *w, struct host *h, enum crash_fate fate, bool silent);
// Asks the node to stop; it is freed when it says so.
void host_leave(struct world *w, struct host *h);
void host_pause(struct world *w, struct host *h, nsec until);
// Gives a running node the addresses of its friends, and of up to n random hosts that are up and have the same torrent.
void host_dial(struct world *w, struct host *h, uint32_t n);
// A node has the metadata of a magnet link: it must be the torrent's, and the node goes on with it.
void host_metadata(struct world *w, struct host *h, const struct node_event *ev);
// The want for a torrent number of the node; NULL: none.
struct want *host_want(struct host *h, uint32_t number);
// When its process goes on: it may be paused, or busy with an earlier input.
static inline nsec host_wakes(const struct host *h) { return u64_max(h->paused_until, h->faults.cpu_busy); }
// Its clock goes differently now: the next tick is planned anew.
void host_rearm(struct world *w, struct host *h);
// Unix time as the host has it, ns.
int64_t host_wall(const struct world *w, const struct host *h);

// Upcalls of the network.
void host_accept(struct world *w, struct host *h, enum node_port port, struct conn *c);
void host_connected(struct world *w, struct conn *c, enum err e);
void host_pump(struct world *w, struct pipe *p);
void host_sent(struct world *w, struct host *h, uint32_t conn, uint64_t len);
void host_closed(struct world *w, struct host *h, uint32_t conn, enum err e);
void host_datagram(struct world *w, struct host *h, enum node_port port, const struct dgram *d);

// Completions and timers.
void host_tick(struct world *w, struct host *h);
void host_job_done(struct world *w, struct host *h, uint32_t id, enum err e, uint32_t file);
void host_fetched(struct world *w, struct host *h, uint32_t id, enum err e, int status, struct slice body);
void host_stream_head(struct world *w, struct host *h, uint32_t id, int status, struct slice lines);
// False: no room now.
bool host_stream_room(struct world *w, struct host *h, uint32_t id, struct span *out);
void host_stream_rx(struct world *w, struct host *h, uint32_t id, size_t len);
void host_resolved(struct world *w, struct host *h, uint32_t id, enum err e, const struct addr *addrs, uint32_t n);
void host_mapped(struct world *w, struct host *h, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s);
void host_saved(struct world *w, struct host *h, uint32_t id);
void host_read_failed(struct world *w, struct host *h, uint32_t store, uint32_t file, enum err e);
// The node's clock: virtual time with another start, so that nobody counts on zero.
nsec host_now(const struct world *w, const struct host *h);
