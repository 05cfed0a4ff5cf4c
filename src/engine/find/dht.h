// A node of the Mainline DHT: who has a torrent, and small items, kept by everybody together.
// BEP 5, 32 (two families, two tables), 33 (scrape), 42 (secure ids), 43 (read-only), 44 (items), 51 (sampling).
//
// The owner calls an input, then polls until DHT_IDLE. Nothing an output points to lives past the next call.
//
// What it does for strangers is bounded: see dht_guard.h for answers, the limits below for what it keeps.
#pragma once
#include "base/addr.h"
#include "base/env.h"
#include "codec/dht_item.h"

struct dht;

enum {
    DHT_TX_MIN = 2048,                  // bytes of room in `tx` for one datagram
    DHT_OPS_MAX = 256,                  // questions of the owner at a time
    DHT_QUEUE_MAX = 512,                // composed datagrams that wait for room; more are dropped and counted
    DHT_EVENTS_MAX = 1024,
    DHT_CONTACTS_MAX = 320,             // addresses to be tried as nodes
    DHT_SAVED_MAX = 300,                // nodes of dht_save, both families together
    DHT_SAVED_BYTES = 12 * 1024,        // room for dht_save

    DHT_HASHES_MAX = 2000,              // what is kept for others: info-hashes,
    DHT_HASH_PEERS_MAX = 500,           // peers of one,
    DHT_PEERS_MAX = 50000,              // peers of all,
    DHT_OWNER_HASHES_MAX = 50,          // hashes or items that one address (IPv6: /64) may stand for,
    DHT_ITEMS_MAX = 1000,               // items of ITEM_VALUE_MAX bytes
    DHT_STRANGERS_BYTES_MAX = 6 << 20,  // of memory for all of that with its tables, and for what waits to be sent
};

struct dht_config {
    bool ipv4, ipv6;                    // families to take part in
    bool read_only;                     // answers nobody and is in nobody's table (BEP 43): for who is not reachable, or short-lived
    uint32_t hashes_max, hash_peers_max, items_max, peers_max;      // 0: the defaults above
};

enum dht_ask_kind {
    DHT_FIND,                           // the nodes nearest to target
    DHT_GET_PEERS,
    DHT_ANNOUNCE,                       // get_peers, then tell the nearest nodes that we are one
    DHT_GET,                            // an item
    DHT_PUT,                            // store an item at the nearest nodes
    DHT_SAMPLE,                         // which info-hashes do nodes near target know? (BEP 51)
};

struct dht_ask {
    enum dht_ask_kind kind;
    uint8_t target[NODE_ID_LEN];        // DHT_PUT and mutable DHT_GET: filled in by dht_ask
    uint8_t family;                     // enum addr_family; ADDR_NONE: all that are configured
    uint16_t port;                      // DHT_ANNOUNCE: of the peer
    bool implied_port;                  // DHT_ANNOUNCE: others shall take the datagram's port instead (right behind a NAT)
    bool seed;                          // DHT_ANNOUNCE: BEP 33
    bool scrape;                        // DHT_GET_PEERS: count peers (BEP 33); many nodes send no peers then
    bool is_mutable, has_cas;           // DHT_GET, DHT_PUT; cas: only if the stored seq is this
    struct dht_item item;               // DHT_PUT: whole and signed; mutable DHT_GET: key and salt. Copied
    int64_t cas;
};

enum dht_kind {
    DHT_IDLE = 0,                       // deadline
    DHT_SEND,                           // addr, bytes
    DHT_PEERS,                          // op, peers: more peers; the same one may come again
    DHT_ITEM,                           // op, item, is_mutable: verified; a mutable one once more if a newer one is found
    DHT_SAMPLES,                        // op, addr, samples (20 bytes each), num, interval_s
    DHT_DONE,                           // op and the figures below; the op is over
    DHT_LONELY,                         // family: no nodes and nobody to ask: dht_add some; comes again after a while
    DHT_EXTERNAL,                       // addr (port 0): our address, as others agree
};

struct dht_out {
    nsec deadline;
    struct addr addr;
    struct slice bytes;
    uint32_t op;
    enum addr_family family;
    const struct addr *peers;
    uint32_t peers_n;
    struct dht_item item;
    bool is_mutable;
    struct slice samples;
    uint32_t num, interval_s;
    // DHT_DONE. ERR_OK; ERR_NOT_FOUND: no peers or item; ERR_REFUSED: no node took it (code, text of the last error);
    // ERR_UNREACHABLE: no nodes to ask. asked … stored: nodes; hops: to the answer, or to the nearest node.
    enum err err;
    uint32_t asked, replied, stored, hops, found;
    uint32_t seeds, leeches;            // scrape, estimated
    nsec took, first;                   // whole; until the first answer that had peers or the item, 0: none
    int32_t code;
    struct slice text;
};

struct dht_stats {
    uint32_t nodes[2], depth[2];        // IPv4, IPv6
    uint32_t hashes, peers, items, ops, lookups, pending;
    uint64_t estimate[2];               // nodes in the whole DHT, from how near our neighbours are; 0: unknown
    uint64_t rx_queries, rx_replies, rx_errors;
    uint64_t rx_bad, rx_unasked;        // not KRPC; answers to no question of ours
    uint64_t tx_queries, tx_replies;
    uint64_t timeouts, limited;         // queries not answered because of limits
    uint64_t asked_back, real;          // strangers asked back before they were answered, and how many of them are real
    uint64_t tx_dropped, events_dropped;
    uint64_t taken_peers, taken_items;  // announces and puts of others
    uint64_t refused;                   // announces and puts refused: token, signature, limits
    uint64_t tx_bytes, rx_bytes;
};

// ERR_NOMEM. env and what it points to outlive the dht.
MUST_USE enum err dht_new(struct dht **out, const struct dht_config *cfg, const struct env *env, nsec now);
void dht_free(struct dht *d);
void dht_tick(struct dht *d, nsec now);
// Wants DHT_TX_MIN of room in tx to send.
enum dht_kind dht_poll(struct dht *d, nsec now, struct buf *tx, struct dht_out *out);

void dht_datagram(struct dht *d, nsec now, const struct addr *from, struct slice data);
// Whether it can be a message of the DHT: to tell it from what else arrives at a port.
bool dht_looks_like(struct slice data);

// An address where a node may be: of a router, a torrent's `nodes`, a peer's PORT message. Bounded, the newest go.
void dht_add(struct dht *d, nsec now, const struct addr *a);
// Begins a question; answers carry *op. ERR_FULL: DHT_OPS_MAX; ERR_UNSUPPORTED: the family is not configured; ERR_RANGE: value or
// salt too long; ERR_NOMEM.
MUST_USE enum err dht_ask(struct dht *d, nsec now, const struct dht_ask *ask, uint32_t *op);
// Ends it without DHT_DONE. Unknown ones are ignored.
void dht_cancel(struct dht *d, uint32_t op);
// Our address is known from elsewhere: the id follows (BEP 42).
void dht_external(struct dht *d, nsec now, const struct addr *a);
// Another network: old answers say nothing about it. All nodes are asked anew.
void dht_network_changed(struct dht *d, nsec now);
// Ids and good nodes, for dht_load after a restart. DHT_SAVED_BYTES of room is enough.
void dht_save(const struct dht *d, struct wr *w);
// Before any traffic. Other bytes than dht_save's are ignored.
void dht_load(struct dht *d, nsec now, struct slice saved);
// Puts a node into the table as if it had answered: for whoever starts a large DHT without a hundred thousand joins.
void dht_plant(struct dht *d, nsec now, const uint8_t id[NODE_ID_LEN], const struct addr *a);
// Our id in a family, borrowed.
const uint8_t *dht_id(const struct dht *d, enum addr_family family);

void dht_stats(const struct dht *d, struct dht_stats *out);
void dht_check(const struct dht *d);
