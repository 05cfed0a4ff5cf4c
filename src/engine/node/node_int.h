// The node inside: what all its files work on. Nobody else includes it.
#pragma once
#include "base/heap.h"
#include "base/limit.h"
#include "base/list.h"
#include "base/map.h"
#include "base/ranges.h"
#include "base/rate.h"
#include "base/rng.h"
#include "engine/node/node.h"
#include "engine/node/node_dht.h"
#include "engine/node/node_load.h"
#include "engine/node/node_map.h"
#include "engine/swarm/pool.h"
#include "engine/votes.h"

enum {
    NODE_PEERS_MAX = 2000,
    NODE_RX_LEN = 4096,                 // bytes read at once from a tracker's client
    NODE_EXCHANGES_PER_S = 200,         // of keys, for MSE/PE
    NODE_PLAIN_MAX = 4096,              // addresses remembered as speaking no MSE/PE
};

#define NODE_POOL_DEFAULT (40 * MIB)

struct node {
    // What every input and poll looks at: few lines of the cache
    nsec now;
    struct conn **conns;                // NODE_CONNS_MAX
    uint32_t conns_n, conns_high, conns_cap, generation;
    uint32_t half_open, shaking_n, connects_left, connect_turn;
    struct torrent **torrents;          // NODE_TORRENTS_MAX
    uint32_t torrents_n, torrents_cap;  // torrents_n: places in use up to here; a hole is NULL
    uint32_t holes, place_turn;
    struct list touched, pending, hellos, closes;
    struct list exchanges, crypt_ready; // of crypt.wait, crypt.ready
    struct heap timers;
    nsec tracker_at, beat_at, utp_at;
    struct tracker *tracker;
    struct utp *utp;                    // NULL: not wanted
    uint32_t reads_busy, reads_due;     // with the host; to be given to it
    bool tracker_touched, utp_touched, lsd_touched, stopping, stopped_told;
    bool maps_due, externals_due;       // there may be something to ask the router; of our address, to be told
    uint16_t port_told;                 // to trackers and peers
    struct lsd *lsd;                    // NULL: off
    nsec lsd_at;
    const struct env *env;
    const struct mem *mem;
    struct limit up, down;
    struct pool pool;
    struct loads loads;                 // of streams that are sent from memory
    struct node_dht dht;
    struct port_map maps[2];            // TCP, UDP
    struct node_config cfg;

    struct map hashes;                  // info-hash -> torrent
    struct pending *requests;           // NODE_PENDING_MAX
    uint32_t requests_n, requests_cap, request_serial;
    struct list read_waits;             // conns whose files wait for a stream_read
    struct stream_read *reads;          // STREAM_READS_MAX; NULL: none was ever needed
    struct addr *swapped;               // a ring of STREAM_SWAPPED_MAX; NULL: nobody was ever put into it
    uint32_t swapped_i;
    bool no_datagrams;                  // node_datagrams
    struct votes votes[2];              // on our address: IPv4, IPv6
    struct addr external[2];            // what came of it; family ADDR_NONE: not known
    bool external_due[2];               // to be told to the front ends
    nsec map_stop_at, map_news_at;      // no news are heard before
    struct addr map_address;            // that the router has outside; family ADDR_NONE: it did not say
    struct io_seg seg, *segs;           // segs: IO_SEGS_MAX, from the first RC4 stream on
    struct map skeys;
    struct rate exchange_rate;
    struct rng crypt_rng;
    uint64_t plain_key[2];
    uint32_t *plain_only;               // NODE_PLAIN_MAX tags; NULL: no address is remembered
    char text[512];
    uint8_t rx[NODE_RX_LEN];
};

static inline bool conn_is_blocked(const struct node *n, const struct addr *a) { return n->cfg.blocked != NULL && ranges_has(n->cfg.blocked, a); }
