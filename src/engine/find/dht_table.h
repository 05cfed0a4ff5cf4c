// The routing table of one family: nodes that have answered us, in buckets by the length of the prefix that they share
// with our own id. BEP 5; the far buckets are wider than 8, so that the first hop of a lookup is a long one.
//
// A node comes in only after an answer of its own. Each address has one place, a network (IPv4 /24, IPv6 /64) two:
// what one owner can take of the table is bounded. Local addresses are exempt from both.
#pragma once
#include "base/env.h"
#include "codec/node_id.h"

enum {
    TABLE_K = 8,                        // nodes of a bucket; BEP 5
    TABLE_SPARE_MAX = 8,                // nodes that wait for a place in it
    TABLE_FAR = 4,                      // so many far buckets hold 128, 64, 32, 16
    TABLE_NET_MAX = 2,                  // nodes of one network
    TABLE_FAILS_MAX = 3,                // questions without answer in a row, then a node goes; with a spare: 2
    TABLE_LOST_MAX = 64,                // nodes that went are remembered, to be asked again after an outage
};

struct dht_node {
    uint8_t id[NODE_ID_LEN];
    struct addr addr;
    nsec seen;                          // its last answer
    nsec tried;                         // our last question that kept it busy; 0: none
    uint32_t rtt_us;
    uint8_t fails;
    bool secure;                        // BEP 42
};

struct dht_bucket {
    struct dht_node *nodes, *spare;
    uint16_t n, cap;
    uint8_t spare_n, spare_cap;
    nsec refreshed;                     // of the last lookup into it
};

struct dht_table {
    const struct mem *mem;
    enum addr_family family;
    uint8_t own[NODE_ID_LEN];
    struct dht_bucket *buckets;         // NODE_ID_BITS; NULL: the table is not used
    uint32_t n;                         // nodes, spares not counted
    uint32_t deepest;                   // no bucket behind it ever held a node
    struct addr *lost;                  // a ring, made when the first is lost
    uint32_t lost_at, lost_n;
};

enum table_result {
    TABLE_REFUSED,                      // no place, or its owner has enough
    TABLE_KNOWN,                        // was there, is fresher now
    TABLE_ADDED,
    TABLE_SPARED,                       // waits for a place
};

// A table that is not used yet; table_open gives it its buckets. ERR_NOMEM.
void table_init(struct dht_table *t, const struct mem *mem, enum addr_family family, const uint8_t own[NODE_ID_LEN]);
MUST_USE enum err table_open(struct dht_table *t);
void table_done(struct dht_table *t);
// A node has answered, rtt_us after the question.
enum table_result table_seen(struct dht_table *t, nsec now, const uint8_t id[NODE_ID_LEN], const struct addr *a, uint32_t rtt_us);
// It has not; true: it was dropped.
bool table_failed(struct dht_table *t, const struct addr *a);
// Whether a node of this id would find a place: then it is worth a question.
bool table_wants(const struct dht_table *t, const uint8_t id[NODE_ID_LEN], const struct addr *a);
// NULL: not in it.
struct dht_node *table_find(const struct dht_table *t, const struct addr *a);
// The same for whoever knows the id, too: quicker.
const struct dht_node *table_node(const struct dht_table *t, const uint8_t id[NODE_ID_LEN], const struct addr *a);
// The up to `max` nodes nearest to target, nearest first; those that failed lately only for want of others.
uint32_t table_nearest(const struct dht_table *t, const uint8_t target[NODE_ID_LEN], const struct dht_node **out, uint32_t max);
// A node to be asked whether it is still there: one that failed and was not asked for retry_ns, else one that was neither
// heard of nor asked for stale_ns. NULL: none.
struct dht_node *table_due(const struct dht_table *t, nsec now, nsec stale_ns, nsec retry_ns);
// A random id of the bucket that `id` belongs to: shares exactly `prefix` bits with our own.
void table_random_id(const struct dht_table *t, uint32_t prefix, struct rng *rng, uint8_t out[NODE_ID_LEN]);
// The deepest bucket that holds a node; 0: none does.
uint32_t table_depth(const struct dht_table *t);
// The oldest remembered lost node, taken out. False: none.
bool table_take_lost(struct dht_table *t, struct addr *out);
// Changes our own id: nodes are sorted anew. Without memory the table is empty after it.
void table_rename(struct dht_table *t, nsec now, const uint8_t own[NODE_ID_LEN]);
// Whether two addresses belong to one owner, as far as limits go: the same IPv4 /24 or IPv6 /64.
bool table_same_net(const struct addr *a, const struct addr *b);
void table_check(const struct dht_table *t);
