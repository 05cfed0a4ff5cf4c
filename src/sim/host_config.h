// What a simulated machine is like, before its first start.
#pragma once
#include "engine/node/node.h"
#include "sim/disk.h"

// What a node does when all it wants is complete.
enum host_after { AFTER_STAY, AFTER_LEAVE, AFTER_VANISH };

// What is scripted in place of a node; see hostile.h.
enum hostile_kind {
    HOSTILE_NONE,
    HOSTILE_POISON,                     // a seed that corrupts blocks
    HOSTILE_STALL,                      // unchokes, never answers
    HOSTILE_FLOOD,                      // asks without end
    HOSTILE_GARBAGE,                    // random bytes after its handshake
    HOSTILE_OVERSIZE,                   // lengths of 2 GiB
    HOSTILE_LIAR,                       // claims pieces it has not, rejects what is asked
    HOSTILE_FREE_RIDER,                 // takes, never gives
    HOSTILE_META_HUGE,                  // of magnet links: says that the info dictionary has 30 MiB, and sends them,
    HOSTILE_META_WRONG,                 // sends random bytes of the right length,
    HOSTILE_META_SIZES,                 // the same, but each host says another length,
    HOSTILE_META_SILENT,                // has it and never answers,
    HOSTILE_META_REJECT,                // refuses every part,
    HOSTILE_META_FLOOD,                 // sends the first part again and again, unasked
};

struct hostile_config {
    enum hostile_kind kind;
    uint32_t corrupt_ppm;               // POISON: chance for each block
    uint32_t piece_first, piece_n;      // POISON: only these pieces; piece_n 0: all
    uint32_t torrent;                   // of the world
    uint16_t map_port;                  // what its router maps ports to; 0: it maps none
    uint32_t map_lifetime_s;            // and for how long; 0: as asked
    uint32_t dials;                     // how many peers it connects to by itself
    bool announces;                     // to the torrent's tracker
};

struct host_config {
    struct node_config node;            // peer_id and listen_port are filled in where 0
    bool utp;                           // peers over uTP, too, packet by packet; without it node.no_utp is set
    uint64_t up_bps, down_bps;          // of the line, bytes/s; 0: no limit
    nsec latency;                       // of the access line, one way
    struct disk_config disk;
    struct hostile_config hostile;
    nsec arrive;                        // when it first starts
    enum host_after after;
    nsec linger;                        // before `after`
    uint32_t dials;                     // given so many random peers at start (no tracker needed)
    uint16_t map_port;                  // what its router maps ports to; 0: it maps none
    uint32_t map_lifetime_s;            // and for how long; 0: as asked
    const uint32_t *friends;            // and these hosts; outlives the world
    uint32_t friends_n;
    uint32_t nat;                       // 1 + box of world_nat that it is behind; 0: on the internet
    bool fifo;                          // its line has one queue for all (bufferbloat); else streams take turns, small things first
    uint64_t queue_bytes;               // of that queue; 0: NET_FIFO_QUEUE
    uint32_t city;                      // LATENCY_PLANETLAB: 1 + row of geo_cities, 0: drawn; LATENCY_PLANET: 1 + region
};
