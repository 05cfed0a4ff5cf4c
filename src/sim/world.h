// The simulated internet: hosts, network, disks, torrents, faults, oracles, in one thread and on one clock.
//
// The harness makes a world, adds torrents and hosts, plans faults, runs it, and asks what happened. Same seed and same calls:
// same trace. Everything it needs comes through env; it opens nothing and reads no clock.
#pragma once
#include "base/heap.h"
#include "sim/action.h"
#include "sim/content.h"
#include "sim/host.h"
#include "sim/nat.h"
#include "sim/payload.h"
#include "sim/queue.h"
#include "sim/route.h"
#include "sim/slots.h"
#include "sim/trace.h"
#include "sim/world_config.h"

struct conn;                            // stream.h

enum {
    WORLD_HOSTS_MAX = 1 << 20,
    WORLD_TORRENTS_MAX = DISK_STORES_MAX,
    WORLD_BURST_MAX = 10000,            // inputs of one node at one instant before it counts as a livelock
    WORLD_FAILURE_MAX = 256,
    WORLD_MESSAGE_KINDS = 32,           // ids of messages that are counted
};

enum ev_kind {
    EV_UPLINK, EV_ARRIVE, EV_DELIVER, EV_WAKE, EV_SYN, EV_SYNACK, EV_FIN, EV_RESET, EV_RETRY, EV_PUMP,
    EV_DGRAM_ARRIVE, EV_DGRAM_DELIVER, EV_JOB, EV_FETCH, EV_RESOLVED, EV_MAPPED, EV_SAVED, EV_READ_FAILED, EV_ACTION, EV_VANISH, EV_HOSTILE,
};

enum { EV_KINDS = EV_HOSTILE + 1 };

// Purposes of random streams; each host has its own of each.
enum world_purpose {
    PURPOSE_NODE = 1, PURPOSE_LINK, PURPOSE_DISK, PURPOSE_CHURN, PURPOSE_HOSTILE, PURPOSE_PATH, PURPOSE_CONTENT, PURPOSE_PEER_ID,
    PURPOSE_NAT, PURPOSE_CITY, PURPOSE_RARE,
};

struct torrent {
    const struct metainfo *meta;        // outlives the world
    uint32_t content;
    uint8_t info_hash[20];              // of the wire
    char root[32];                      // where hosts keep it
    uint32_t leeches_n, done_n;         // wants of honest hosts
};

struct world_totals {
    uint64_t stream_bytes, dgram_bytes, payload_up_bytes;
    uint64_t jobs, accepts, bans, honest_bans, crashes, restarts;
};

struct world {
    struct world_config cfg;
    const struct env *env;
    nsec now;
    struct trace trace;
    struct queue queue;
    struct heap timers;                 // deadlines of nodes
    const struct host *warm_host;       // whose tick is made ready; see warm.h
    uint32_t warm_step;
    struct content content;
    struct payload_arena arena;
    struct host **hosts;
    uint32_t hosts_n, hosts_cap;
    struct torrent *torrents;
    uint32_t torrents_n, torrents_cap;
    struct action *actions;
    uint32_t actions_n, actions_cap;
    struct fault_rules faults;
    struct nat_boxes nats;
    struct slots conns, dgrams, tasks;
    const struct world_answer *answers;
    uint32_t answers_n;
    const struct world_name *names;
    uint32_t names_n;
    struct world_web *webs;
    uint32_t webs_n;
    struct buf tx;                      // for node_poll
    struct world_totals totals;
    char failure[WORLD_FAILURE_MAX];    // what the first oracle that fired said; "": none did
    uint64_t steps;                     // events and ticks so far
    uint64_t events[EV_KINDS];          // of those, events of each enum ev_kind; the rest are ticks of nodes
    uint64_t messages[WORLD_MESSAGE_KINDS];     // said by nodes, by their id; watch only
};

// ERR_NOMEM. env and cfg's arena outlive the world.
MUST_USE enum err world_new(struct world **out, const struct world_config *cfg, const struct env *env);
void world_free(struct world *w);

// A torrent whose content the world makes up: byte o of piece space is content_bytes of the returned number's content, pads are
// zeros. meta outlives the world.
uint32_t world_torrent(struct world *w, const struct metainfo *meta);
// The content number that the next world_torrent will have, to make its metainfo from; and its bytes.
uint32_t world_content_next(const struct world *w);
void world_content(const struct world *w, uint32_t content, uint64_t off, struct span out);
// A host; it starts at cfg->arrive. The torrents that it wants come by world_want, before that time.
uint32_t world_host(struct world *w, const struct host_config *cfg);
// kind WANT_SEED also fills the host's disk.
struct want *world_want(struct world *w, uint32_t host, uint32_t torrent, enum want_kind kind);
void world_plan(struct world *w, nsec t, const struct action *a);
// A NAT box, for host_config.nat and for nat_config.outer of boxes behind it: its number plus one.
uint32_t world_nat(struct world *w, const struct nat_config *cfg);
// What UPnP or PCP would do for a host: out is its public address. ERR_UNSUPPORTED: a box on the way does not; ERR_FULL.
MUST_USE enum err world_portmap(struct world *w, uint32_t host, bool tcp, uint16_t port, struct addr *out);
// Tables for fetches and names; borrowed.
void world_answers(struct world *w, const struct world_answer *answers, uint32_t n);
void world_names(struct world *w, const struct world_name *names, uint32_t n);
void world_webs(struct world *w, struct world_web *webs, uint32_t n);

// Runs until `until`, a failure, or nothing is left to happen. False: an oracle fired (world.failure).
bool world_run(struct world *w, nsec until);
// As world_run, but stops when every honest leech that was ever started is complete. *out_t: when; false: not by then, or a failure.
bool world_run_complete(struct world *w, nsec until, nsec *out_t);
// Oracles that look at the end: bytes conserved, memory back. Call before world_free.
bool world_settled(struct world *w);

// For the rooms of sim.
// The process of h does nothing now.
static inline bool host_asleep(const struct world *w, const struct host *h) { return host_wakes(h) > w->now; }
struct extent world_extent(const struct world *w, uint32_t torrent, uint64_t off, uint64_t len);  // first run of piece space
void world_fail(struct world *w, const char *fmt, ...) FORMAT(2, 3);
void world_trace(struct world *w, const struct host *h, enum trace_type type, uint32_t sub, uint64_t a, uint64_t b);
void world_at(struct world *w, nsec t, enum ev_kind kind, uint32_t a, uint32_t b);
struct rng world_rng(const struct world *w, uint32_t host, enum world_purpose purpose);
