// Inside the DHT node: shared by dht.c, dht_rpc.c, dht_serve.c, dht_lookup.c and dht_op.c only.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "codec/krpc.h"
#include "engine/find/dht.h"
#include "engine/find/dht_guard.h"
#include "engine/find/dht_store.h"
#include "engine/find/dht_table.h"
#include "engine/votes.h"

enum {
    RPCS_MAX = 1024,                    // questions under way
    PROBES_MAX = 24,                    // of them to nodes we do not know yet
    TID_LEN = 6,
    STORE_TIMES_SHORT = 3,              // short times that storing may take

    LOOKUP_K = 8,                       // nodes that a lookup ends with
    LOOKUP_ALPHA = 8,                   // questions at a time
    LOOKUP_ALPHA_SOURCE = 4,            // of them to what one node alone has named
    LOOKUP_CANDS_MAX = 72,
    LOOKUP_ASKED_MAX = 56,              // questions of one lookup: no chain of ever nearer nodes is endless
    LOOKUP_TAKEN_MAX = 16,              // nodes taken from one answer

};

#define RPC_TIMEOUT_NS (4 * NSEC_S)     // then a question counts as unanswered
#define SHORT_MIN_NS (100 * NSEC_MS)    // a lookup goes on without a slow node after the delay that nine of ten keep
#define SHORT_MAX_NS (1500 * NSEC_MS)
#define SHORT_START_NS (500 * NSEC_MS)
#define STALE_NS (15 * 60 * NSEC_S)     // BEP 5: a node not heard of for so long is asked; a bucket untouched is looked into
#define SELF_NS (10 * 60 * NSEC_S)      // our own neighbourhood more often
#define CALM_NS (1 * NSEC_S)            // least time between steps of upkeep
#define LOST_NS (10 * NSEC_S)           // between questions to nodes that went
#define DEAF_NS (30 * NSEC_S)           // for so long, and
enum { DEAF_QUESTIONS = 3 };            // to so many questions, no answer: it is our line that is down, not everybody else
#define LONELY_NS (5 * NSEC_S)          // between calls for help, then twice as long each time
#define LONELY_MAX_NS (60 * NSEC_S)
#define WAIT_NODES_NS (20 * NSEC_S)     // an op waits so long for the first nodes
#define RENAME_NS (300 * NSEC_S)        // between changes of our id

enum rpc_purpose { RPC_PROBE, RPC_LOOKUP, RPC_STORE };

struct dht_rpc {
    struct heap_node timer;
    uint32_t index, salt;               // its transaction id
    enum rpc_purpose purpose;
    enum krpc_method method;
    struct addr to;
    bool slow;                          // the short time is over
    nsec sent;
    struct dht_lookup *lookup;          // RPC_LOOKUP
    uint32_t cand;
    uint32_t op;                        // RPC_STORE
};

enum cand_state { CAND_FRESH, CAND_ASKED, CAND_SLOW, CAND_REPLIED, CAND_FAILED };

enum { SOURCE_TABLE = 254, SOURCE_SEVERAL = 255, CAND_TOKEN_MAX = 40 };

struct dht_cand {
    uint8_t id[NODE_ID_LEN];
    struct addr addr;
    uint8_t state, source, depth, token_n;
    bool secure;
    uint8_t token[CAND_TOKEN_MAX];
};

// One walk towards a target in one family.
struct dht_lookup {
    struct list link;
    struct dht_op *op;                  // NULL: upkeep
    enum addr_family family;
    enum krpc_method method;
    uint8_t target[NODE_ID_LEN];
    struct dht_cand cands[LOOKUP_CANDS_MAX];
    uint8_t order[LOOKUP_CANDS_MAX];    // nearest first
    uint32_t n, asked, replied, inflight;
    nsec started;
    bool over;
};

struct dht_op {
    struct list link;
    uint32_t id;
    struct dht_ask ask;                 // item's slices: into bytes
    uint8_t bytes[ITEM_VALUE_MAX + ITEM_SALT_MAX];
    uint32_t lookups, stores;           // under way
    nsec started, first;
    uint32_t asked, replied, stored, hops, found, store_tries;
    bool has_item;
    int64_t best_seq;
    int32_t code;
    char text[64];
    uint8_t blooms[2][BLOOM_LEN];       // seeds, peers
    bool scraped;
};

struct dht_packet {
    struct list link;
    struct addr to;
    size_t n;
    uint8_t bytes[];
};

struct dht_event {
    struct list link;
    enum dht_kind kind;
    struct dht_out out;                 // its slices: into bytes
    size_t n;
    uint8_t bytes[];
};

// What is of one family.
struct dht_side {
    bool on, self_due;
    enum addr_family family;
    struct dht_table table;
    nsec short_ns;                      // the delay that nine of ten answers keep
    struct addr external;
    struct votes votes;
    nsec renamed, self_at, bucket_at, lost_at, lonely_at, lonely_wait;
    uint64_t mean_distance;             // of the eighth node from a target, in 2^-64 of all ids: tells the size of the DHT
    struct addr *contacts;              // a ring
    uint32_t contacts_n, contacts_at;
};

struct dht {
    struct dht_config cfg;
    const struct env *env;
    const struct mem *mem;
    struct rare *rare;
    nsec now;
    struct rng rng;
    struct dht_side sides[2];           // IPv4, IPv6
    struct dht_store store;
    struct guard guard;
    struct dht_rpc **rpcs;
    uint32_t rpcs_cap, rpcs_n, rpc_free, probes;
    struct heap timers;
    struct list lookups, ops, queue, events;
    uint32_t ops_n, op_serial, queue_n, events_n;
    struct dht_event *told;
    nsec upkeep_at, sweep_at;
    nsec heard;                         // any answer
    uint32_t silent;                    // questions without one since then
    struct dht_stats stats;
};

static inline bool dht_deaf(const struct dht *d) { return d->silent >= DEAF_QUESTIONS && d->now - d->heard > DEAF_NS; }

static inline struct dht_side *side_of(struct dht *d, enum addr_family f) { return &d->sides[f == ADDR_IPV6]; }

// dht_rpc.c
// Sends a question; the answer or its failure goes where `purpose` says. False: limits or memory; nothing was sent.
bool rpc_ask(struct dht *d, const struct dht_rpc *what, struct krpc *m);
// Asks a possible node for its neighbours: its answer brings it into the table.
bool rpc_probe(struct dht *d, const struct addr *to, const uint8_t target[NODE_ID_LEN]);
void rpc_tick(struct dht *d);
void rpc_free(struct dht *d, struct dht_rpc *r);
// Forgets all questions of a lookup or op: answers still count for the table.
void rpc_orphan(struct dht *d, const struct dht_lookup *l, uint32_t op);
void rpc_input(struct dht *d, const struct addr *from, struct slice data);
// Queues a message; returns its length, 0: dropped.
size_t rpc_send(struct dht *d, const struct addr *to, const struct krpc *m);
// Nodes named by somebody: those that fit are asked.
void rpc_heard_of(struct dht *d, const uint8_t id[NODE_ID_LEN], const struct addr *a);
// Whether an address that `by` names may be talked to: nobody outside sends us into our own network.
bool rpc_plausible(const struct addr *a, const struct addr *by);
extern const struct slice dht_version;

// dht_serve.c
void serve_query(struct dht *d, const struct addr *from, const struct krpc *q);

// dht_lookup.c
// NULL: no memory. Feed it nodes, then step it.
struct dht_lookup *lookup_new(struct dht *d, struct dht_op *op, enum addr_family family, enum krpc_method method, const uint8_t target[NODE_ID_LEN]);
void lookup_free(struct dht *d, struct dht_lookup *l);
// Takes the nearest nodes of the table.
void lookup_start(struct dht *d, struct dht_lookup *l);
// A node has come into the table: for lookups that have too few.
void lookup_feed(struct dht *d, const uint8_t id[NODE_ID_LEN], const struct addr *a);
void lookup_reply(struct dht *d, struct dht_rpc *r, const struct krpc *m);
void lookup_slow(struct dht *d, struct dht_rpc *r);
void lookup_failed(struct dht *d, struct dht_rpc *r);
// Asks on, or ends. Lookups that ended are freed by lookup_reap only.
void lookup_step(struct dht *d, struct dht_lookup *l);
void lookup_reap(struct dht *d);
nsec lookup_due(const struct dht *d);

// dht_op.c
struct dht_op *op_find(const struct dht *d, uint32_t id);
void op_free(struct dht *d, struct dht_op *op);
// A node's answer on the way.
void op_answer(struct dht *d, struct dht_lookup *l, const struct dht_cand *c, const struct krpc *m);
// One of its lookups is over.
void op_lookup_over(struct dht *d, struct dht_lookup *l);
void op_store_reply(struct dht *d, struct dht_rpc *r, const struct krpc *m);    // m NULL: none came
// Room for an event with n bytes behind it; NULL: dropped.
struct dht_event *event_add(struct dht *d, enum dht_kind kind, size_t n);
