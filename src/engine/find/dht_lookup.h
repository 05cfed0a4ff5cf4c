// Walks towards a target. Inside the DHT node.
#pragma once
#include "base/list.h"
#include "codec/krpc.h"

struct dht;                             // dht_int.h
struct dht_op;                          // dht_op.h
struct dht_rpc;                         // dht_rpc.h

enum {
    LOOKUP_K = 8,                       // nodes that a lookup ends with
    LOOKUP_ALPHA = 6,                   // questions at a time to those that are the nearest now,
    LOOKUP_INFLIGHT_MAX = 16,           // and in all
    LOOKUP_ALPHA_SOURCE = 4,            // of them to what one node alone has named
    LOOKUP_CANDS_MAX = 72,
    LOOKUP_ASKED_MAX = 56,              // questions of one lookup: no chain of ever nearer nodes is endless
    LOOKUP_TAKEN_MAX = 16,              // nodes taken from one answer
};

#define WAIT_NODES_NS (20 * NSEC_S)     // an op waits so long for the first nodes

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
