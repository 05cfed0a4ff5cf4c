// How a node and its torrents are to be run. Part of node.h.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "codec/metainfo.h"

struct ranges;                          // base/ranges.h

// How upload slots are given. All but the first are for comparison, in the laboratory above all.
enum node_choke {
    NODE_CHOKE_KITH,                    // leech: who gives most; seed: rotation
    NODE_CHOKE_ORIGINAL,                // seeds serve the fastest takers, as Cohen 2003
    NODE_CHOKE_BLIND,                   // rotation, whatever peers give: no tit-for-tat
};

#define NODE_DHT_KEY "dht/nodes"        // of NODE_SAVE: what node_dht_config.saved wants back

// Taking part in the DHT, on NODE_PORT_PEER.
struct node_dht_config {
    bool on;
    bool read_only;                     // BEP 43: asks, but answers nobody
    bool ipv4, ipv6;                    // families that have a socket; neither: both
    const struct slice *routers;        // "HOST:PORT" to begin with; outlive the node
    uint32_t routers_n;
    struct slice saved;                 // of the last run; read by node_new only
};

// Local discovery (BEP 14), by NODE_PORT_LSD.
struct node_lsd_config {
    bool on;
    bool ipv4, ipv6;                    // families whose group the host has joined
};

// MSE/PE: connections that do not show what they are. 0 is off, which the simulator wants: it sends content by reference.
enum node_encryption { NODE_ENCRYPTION_OFF, NODE_ENCRYPTION_PREFER, NODE_ENCRYPTION_REQUIRE };

struct node_config {
    uint8_t peer_id[20];                // BEP 20; -KHxxxx- and random characters
    uint16_t listen_port;               // announced to trackers and peers
    uint64_t up_bps, down_bps;          // bytes/s of payload, all torrents together; 0: no limit
    enum node_encryption encryption;
    const struct ranges *blocked;       // addresses that are not talked to; NULL: none. Outlives the node
    bool map_ports;                     // ask the router by NODE_MAP
    uint64_t pool_bytes;                // memory for content on its way to disk; 0: NODE_POOL_DEFAULT
    uint32_t peers_max;                 // connections, all torrents together; 0: default
    uint32_t slots_max;                 // unchoke slots for each torrent; 0: follows the uplink (bittorrent note 3.2)
    enum node_choke choke;
    bool no_optimistic;                 // no optimistic unchoke: for comparison
    bool no_allowed_fast;               // no pieces for choked peers (BEP 6): for comparison
    bool tracker;                       // run a tracker on NODE_PORT_TRACKER
    bool tracker_whitelist;             // only hashes admitted by node_tracker_admit
    bool tracker_metrics;               // its HTTP side serves /metrics
    uint32_t tracker_interval_s;        // 0: default
    bool no_utp, no_tcp;                // peers: not over this transport, in neither direction
    struct node_dht_config dht;
    struct node_lsd_config lsd;
};

// How a torrent is to be run.
struct node_add {
    const struct metainfo *meta;        // outlives the torrent
    struct slice root;                  // directory of its files; outlives the torrent
    struct slice resume;                // what NODE_SAVE gave earlier, empty: none
    bool trust;                         // the files are complete and just hashed: no check
    bool check;                         // hash everything that exists before starting
    bool check_only;                    // stop after that
    bool keep;                          // the files are the user's own: one that is too long is not cut
    bool sequential;                    // in order of the files, but for a window of pieces: peers must have something for each other
    bool strict_order;                  // with sequential: no window, for comparison
    bool random_order;                  // pieces at random instead of rarest first: for comparison
    bool reserve;                       // preallocate
    bool super_seed;                    // we are the only seed: BEP 16, until there is a second copy
    const uint8_t *priorities;          // one for each file, 0 skip, 1-7; NULL: all 4
    uint64_t up_bps, down_bps;          // limits of its own, bytes/s of content; 0: none
};
