// Streams over uTP: what a conn over it has waiting, and the reads of files for it.
#pragma once
#include "base/list.h"
#include "engine/io.h"
#include "engine/node/node.h"

struct conn;                            // node_conn.h

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

// node_stream.c
MUST_USE enum err stream_start(struct node *n);
void stream_stop(struct node *n);
// Begins to connect by what is likeliest to work. False: there is no way.
MUST_USE bool stream_connect(struct node *n, struct conn *c);
// TCP has failed: uTP is tried, or is under way. False: that was the last.
MUST_USE bool stream_other(struct node *n, struct conn *c, enum err e);
// The other side connects just now: uTP tries at once, or again.
void stream_punch(struct node *n, struct conn *c);
// The time for the other way has come.
void stream_other_due(struct node *n, struct conn *c);
// The host's stream won.
void stream_lost(struct node *n, struct conn *c);
// c has ended in its handshake, without a byte from the other side.
void stream_unheard(struct node *n, struct conn *c);
// True: c is over uTP and the segments are queued.
bool stream_send(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n);
// True: c is over uTP, and what it has goes to where it belongs.
bool stream_resume(struct node *n, struct conn *c);
void stream_done(struct node *n, struct conn *c);                       // c is about to be freed
bool stream_datagram(struct node *n, const struct addr *from, struct slice data);   // false: not uTP
void stream_job_done(struct node *n, uint32_t id, enum err e, uint32_t file);
bool stream_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
void stream_fail(struct node *n, struct conn *c);                       // gives it up

// node_stream_out.c
bool stream_out_add(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n);    // false: no memory, too much
void stream_out_done(struct node *n, struct conn *c);
void stream_push(struct node *n, struct conn *c);                       // what waits goes into the transport, as far as it takes it
bool stream_read_poll(struct node *n, struct node_out *out);            // true: out->job is a read
