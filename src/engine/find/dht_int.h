// The DHT node inside: what all its files work on. Nobody else includes it.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/rng.h"
#include "codec/krpc.h"
#include "engine/find/dht.h"
#include "engine/find/dht_guard.h"
#include "engine/find/dht_proof.h"
#include "engine/find/dht_store.h"
#include "engine/find/dht_table.h"
#include "engine/votes.h"

#define STALE_NS (15 * 60 * NSEC_S)     // BEP 5: a node not heard of for so long is asked; a bucket untouched is looked into
#define SELF_NS (10 * 60 * NSEC_S)      // our own neighbourhood more often
#define LOST_NS (10 * NSEC_S)           // between questions to nodes that went
#define DEAF_NS (30 * NSEC_S)           // for so long, and
enum { DEAF_QUESTIONS = 3 };            // to so many questions, no answer: it is our line that is down, not everybody else
#define LONELY_NS (5 * NSEC_S)          // between calls for help, then twice as long each time
#define LONELY_MAX_NS (60 * NSEC_S)
#define RENAME_NS (300 * NSEC_S)        // between changes of our id

struct dht_packet {
    struct list link;
    struct addr to;
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
    struct proof proof;
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

// dht_serve.c
void serve_query(struct dht *d, const struct addr *from, const struct krpc *q);
// An answer to no question of the node's own: whoever was asked back is real, and gets its answer. False: it is not that.
bool serve_proved(struct dht *d, const struct addr *from, const struct krpc *m);
