// What a swarm wants sent, turned into memory: for streams that cannot be sent from files (RC4, uTP).
//
// load_push() takes segments as the swarm composed them; load_peek() gives them back in order as memory that may be changed
// (RC4 does), up to the first byte that is still on a disk. What lies in files is read by JOB_READ, LOAD_BUF_LEN at a time and
// one job for each stream, into buffers that all streams share; whoever finds none free waits its turn. How much is pushed
// is bounded by the swarm: it composes only so much for one peer before it is told by swarm_sent.
#pragma once
#include "base/env.h"
#include "base/list.h"
#include "engine/io.h"

enum {
    LOAD_BUF_LEN = 128 * 1024,          // one read
    LOAD_BUFS_MAX = 64,                 // 8 MiB, made when first needed
    LOAD_ITEMS_MAX = 1 << 16,           // of one stream
};

#define LOAD_JOB_BIT (1u << 31)         // set in the id of every job of this file

struct load_buf;

struct load_item {
    bool is_file;
    uint32_t store, file;
    uint64_t off, len;
};

// The queue of one stream; part of what owns it.
struct load {
    struct list link;                   // of loads.waiting: has something to read and no buffer
    uint32_t conn;                      // whose it is: comes back from loads_done
    struct load_item *items;            // ring
    uint32_t head, n, cap;
    struct buf bytes;                   // of the items that are no files, one after the other
    size_t bytes_at;
    struct load_buf *buf;               // being read into, or holding the first file items' next bytes
    uint64_t left;                      // bytes of all items
};

// What all streams share; part of the node.
struct loads {
    uint32_t bufs_n, reading_n;         // reading_n: jobs under way
    struct list waiting;
    const struct mem *mem, *payload;
    struct load_buf *bufs[LOAD_BUFS_MAX];
};

void loads_init(struct loads *s, const struct env *env);
// Wants all jobs ended and all queues done.
void loads_done_all(struct loads *s);

void load_init(struct load *l, uint32_t conn);
// A job under way goes on without it.
void load_done(struct loads *s, struct load *l);
// Copies bytes, notes file ranges. ERR_NOMEM, ERR_FULL: what came before it stays queued, the stream is broken.
MUST_USE enum err load_push(struct loads *s, struct load *l, const struct io_seg *segs, uint32_t n);
// The next bytes in order that are in memory, at most `max` spans; returns how many. They live until the next call with
// this queue but load_take.
uint32_t load_peek(struct load *l, struct span *out, uint32_t max);
// So many bytes were sent. What load_peek gave stays readable until the next load_push or loads_job.
void load_take(struct loads *s, struct load *l, uint64_t len);

// Somebody waits for bytes that are on the disk.
static inline bool loads_wait(const struct loads *s) { return !list_empty(&s->waiting); }
// The next job to hand to the host; false: none now. Its id has LOAD_JOB_BIT.
MUST_USE bool loads_job(struct loads *s, struct io_job *out);
// A job of ours ended. *conn: whose bytes are there or failed, 0: it is gone. On failure the queue must not be used any more.
void loads_job_done(struct loads *s, uint32_t id, enum err e, uint32_t *conn);
