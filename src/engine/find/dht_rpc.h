// Questions to other nodes, and what becomes of them. Inside the DHT node.
#pragma once
#include "base/heap.h"
#include "codec/krpc.h"

struct dht;                             // dht_int.h
struct dht_lookup;                      // dht_lookup.h

enum {
    RPCS_MAX = 1024,                    // questions under way
    PROBES_MAX = 24,                    // of them to nodes we do not know yet
    TID_LEN = 6,
    STORE_TIMES_SHORT = 3,              // short times that storing may take
};

#define RPC_TIMEOUT_NS (4 * NSEC_S)     // then a question counts as unanswered
#define SHORT_MIN_NS (100 * NSEC_MS)    // a lookup goes on without a slow node after the delay that nine of ten keep
#define SHORT_MAX_NS (1500 * NSEC_MS)
#define SHORT_START_NS (500 * NSEC_MS)

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
