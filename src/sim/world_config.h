// What a world is like: its network, and the servers outside of it.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "sim/payload.h"

enum world_latency {
    LATENCY_FLAT,                       // latency and latency_spread
    LATENCY_PLANETLAB,                  // and the generator of geo.h on top
    LATENCY_PLANET,                     // and the six regions of geo.h; a host without limits has the line of its region
};

struct world_config {
    uint64_t seed;
    enum payload_mode payload;
    struct span arena;                  // PAYLOAD_REF: address space that will never be touched
    nsec latency;                       // of every path, one way, on top of the access lines
    nsec latency_spread;                // and up to so much more, fixed for each pair
    enum world_latency model;
    uint32_t loss_ppm;                  // of each packet
    uint32_t duplicate_ppm, reorder_ppm;        // of datagrams
    uint64_t window_bytes;              // receive window of streams; 0: 1 MiB
    uint32_t quantum_bytes;             // of a stream that leave a line at once, at most; 0: NET_QUANTUM_MAX
    bool rare;                          // what is rare in engines happens often (base/rare.h), until all faults end
    bool check;                         // node_check after every step
    uint32_t ring_n;                    // records kept; 0: 4096
    bool watch;                         // judges read the wire: watch.h
    uint64_t memory_max;                // of a node's engines, bytes; more is a failure. 0: no limit
    bool forgive_unsynced;              // files that are done need not be durable: to look past a known fault
};

// An answer to fetches of URLs that begin with prefix.
struct world_answer {
    struct slice prefix;
    enum err err;
    int status;
    struct slice body;
    nsec delay;
};

struct world_name {
    struct slice name;
    struct addr addr;
};

// A server that has a torrent's files below prefix (or, if that is all of the URL, the first one), and how it fails.
enum server_fault {
    SERVER_GOOD,
    SERVER_BUSY,                           // 503, come again in 5 s
    SERVER_GONE,                           // 404
    SERVER_DEAD,                           // nobody listens
    SERVER_SILENT,                         // never answers
    SERVER_WHOLE,                          // 200 and the whole file, whatever range was asked for
    SERVER_TRUNCATE,                       // breaks off half way
    SERVER_WRONG,                          // every byte is wrong
    SERVER_OTHER_RANGE,                    // from the start of the file on, and says so
};

struct world_web {
    struct slice prefix;
    uint32_t torrent;                   // of the world
    uint64_t bps;                       // for all transfers together; 0: no limit
    nsec delay;                         // before an answer
    enum server_fault fault;
    uint32_t faults_n;                  // only the first so many requests; 0: all
    // What happened
    uint32_t requests, running, running_max;
    uint64_t bytes;
    nsec free_at;
};
