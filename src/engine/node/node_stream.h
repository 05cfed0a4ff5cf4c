// Streams over uTP: what a conn over it has waiting, and the reads of files for it. Part of node_int.h.
#pragma once
#include "engine/io.h"
#include "base/list.h"

enum {
    STREAM_READ_LEN = 256 * 1024,       // bytes of one read of a file
    STREAM_READS_MAX = 16,              // under way at a time: 4 MiB
    STREAM_READ_PARTS = IO_PARTS_MAX,
    STREAM_QUEUE_MAX = 1 << 16,         // pieces of what waits on one conn; the swarm stops long before
    STREAM_BYTES_MAX = 8 << 20,         // and bytes that are no part of a file
    STREAM_SWAPPED_MAX = 256,           // addresses remembered because the way that goes first did not reach them
    STREAM_OTHER_S = 2,                 // until the other transport is tried, too
    STREAM_UTP_MEMORY = 64 << 20,       // each way
    STREAM_SYNS_MAX = 256,
};

struct stream_item {
    bool is_file;
    uint32_t store, file;
    uint64_t off, len;
};

// What waits to go out, in order: a ring of items; the bytes of those that are no files lie one after the other.
struct stream {
    struct stream_item *items;
    uint32_t head, n, cap;
    uint8_t *bytes;
    uint32_t bytes_at, bytes_n, bytes_cap;
    struct stream_read *read;           // a file is being read for its first items
    bool blocked;                       // until the transport says that it takes more
    struct list wait;                   // of node.read_waits
};

struct stream_read {
    uint8_t *memory;                    // STREAM_READ_LEN, taken when first needed
    uint32_t conn;                      // whose: may be gone. 0: free
    uint32_t store;
    bool asked;                         // the host has it
    uint64_t total;                     // bytes of the queue that this completes
    struct span span;
    struct io_part parts[STREAM_READ_PARTS];
    uint32_t parts_n;
};
