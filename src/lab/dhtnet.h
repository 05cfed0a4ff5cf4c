// A small internet for DHT nodes only: thousands of engines, datagrams with the delays of a planet, churn, partitions, liars.
// The whole node is in sim's world; this one holds a hundred thousand.
#pragma once
#include "engine/find/dht.h"
#include "sim/queue.h"

enum { DHTLAB_OPS_MAX = 4096, DHTLAB_SEEN_MAX = 32 };

enum dhtlab_kind {
    DHTLAB_NODE,
    DHTLAB_SYBIL,                       // answers everything with its accomplices, never with peers
    DHTLAB_CHAIN,                       // names ever nearer ids that do not exist
    DHTLAB_FLOOD,                       // asks, announces and stores as fast as it is told to: dhtflood.c
    DHTLAB_MISTAKEN,                    // answers truly, but sees everybody at one false address (BEP 42's `ip`)
};

struct dhtlab_config {
    uint64_t seed;
    uint32_t n, max;                    // nodes at first; room for more hosts
    uint32_t nat_pct;                   // of the nodes: read-only behind a NAT that lets only answers in
    uint32_t loss_ppm;
    uint32_t local_pct;                 // nodes whose id is not bound to their address (BEP 42 not obeyed)
    bool nat_answers;                   // nodes behind a NAT answer whom they have asked (no BEP 43), as most do
    bool wide;                          // each host in an IPv4 /16 of its own; else 256 share one
};

// What each DHTLAB_FLOOD host does.
struct dhtlab_flood {
    uint8_t target[NODE_ID_LEN];        // the attacked info-hash
    uint32_t on[8], on_n;               // the hosts it goes to
    bool forged;                        // each question with another made-up address and id
    uint32_t qps;                       // questions a second, of each hostile host to all of them together
};

struct dhtlab_host {
    struct dht *dht;                    // NULL: it is down, or no node
    struct addr addr;
    enum dhtlab_kind kind;
    uint8_t id[NODE_ID_LEN];
    uint32_t city, height_us;
    int32_t x, y;
    uint32_t side;                      // of a partition
    bool nat;
    uint64_t nat_out;                   // whom it wrote to lately: a filter of 64 bits, cleared each minute
    nsec nat_at, due, started, until;
    uint64_t mem, mem_peak;
    struct mem face;
    struct env env;
    uint64_t tx, rx;
    uint32_t moves;                     // addresses that it had before
};

struct dhtlab_op {
    uint32_t host, op;
    bool done;
    struct dht_out out;
    uint32_t peers_n, honest;           // honest: of all it was told, those that are nodes of ours
    struct addr peers[DHTLAB_SEEN_MAX];
    struct dht_item item;
    uint8_t value[ITEM_VALUE_MAX];
};

struct dhtlab_packet {
    struct addr from;
    uint32_t to;
    uint32_t n;
    uint8_t bytes[];
};

struct dhtlab {
    struct dhtlab_config cfg;
    nsec now;
    struct queue queue;
    struct rng rng;
    struct dhtlab_host *hosts;
    uint32_t n;
    struct dhtlab_op *ops;
    uint32_t ops_n;
    struct dhtlab_packet **packets;
    uint32_t packets_cap, *packets_free, packets_free_n;
    struct dhtlab_flood flood;
    struct addr false_ip;               // of DHTLAB_MISTAKEN
    uint64_t sent, lost;
    bool check;                         // dht_check after every input
};

struct dhtlab *dhtlab_new(const struct dhtlab_config *cfg);
void dhtlab_free(struct dhtlab *l);
// A further host, not started. Its address: net 0 is a random one, else 198.NET.x.y.
uint32_t dhtlab_host(struct dhtlab *l, enum dhtlab_kind kind, uint32_t net);
void dhtlab_start(struct dhtlab *l, uint32_t i);
void dhtlab_stop(struct dhtlab *l, uint32_t i);
// Another address from now on, as after a new contract with the provider: what is under way to the old one is lost.
void dhtlab_move(struct dhtlab *l, uint32_t i);
// Hosts of kind DHTLAB_FLOOD begin.
void dhtlab_attack(struct dhtlab *l);
// Fills every table with nodes that are up, as a network that has run for long.
void dhtlab_fill(struct dhtlab *l);
void dhtlab_run(struct dhtlab *l, nsec until);
// Begins a question; its record, by number.
uint32_t dhtlab_ask(struct dhtlab *l, uint32_t host, const struct dht_ask *ask);
// A random node that is up and reachable.
uint32_t dhtlab_any(struct dhtlab *l);
// A datagram of host `from`, on its way.
void dhtlab_send(struct dhtlab *l, uint32_t from, const struct addr *to, struct slice bytes);
// The host at an address; UINT32_MAX: none.
uint32_t dhtlab_at(const struct dhtlab *l, const struct addr *a);
// Round-trip time of a pair, ns.
nsec dhtlab_rtt(const struct dhtlab *l, uint32_t a, uint32_t b);

// dhtflood.c: a tenth of a second of a DHTLAB_FLOOD host, and what it makes of an answer.
#define DHTFLOOD_BEAT (100 * NSEC_MS)
void dhtflood_beat(struct dhtlab *l, uint32_t i);
void dhtflood_heard(struct dhtlab *l, uint32_t i, const struct addr *from, struct slice data);
