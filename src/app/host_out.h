// What waits to be sent on one stream: bytes, and ranges of files that are read just before.
#pragma once
#include <sys/uio.h>

#include "base/bytes.h"
#include "engine/io.h"

enum {
    HOST_SCRATCH_BYTES = 256 * 1024,    // one read for sending: half an L2 cache
    HOST_SCRATCH_MAX = 32,              // 8 MiB in all
    HOST_IOV_MAX = 80,                  // of one sendmsg
};

struct scratch {
    struct scratch *next;
    uint8_t *p;
    uint32_t left;                      // bytes in it that are not sent
};

// One thing to send. A file range that is loaded keeps its origin, so that its memory can be taken back.
struct out_item {
    enum { OUT_BYTES, OUT_FILE } kind;
    uint32_t store, file;
    uint64_t off, len;
    const uint8_t *mem;                 // OUT_FILE: its first `loaded` bytes, in the connection's scratch
    uint64_t loaded;
};

// What waits to be sent on one stream, in order: a ring of items; the bytes of OUT_BYTES lie one after the other.
struct out {
    struct out_item *items;
    uint32_t head, n, cap;              // cap: a power of two or 0
    struct buf bytes;
    size_t bytes_at;                    // first unsent
    uint64_t left;                      // bytes of all items
    struct scratch *scratch;
    uint32_t chunk;                     // how much to load at once: follows what the socket takes
};

// Copies bytes. ERR_NOMEM: nothing was added.
MUST_USE enum err out_add(struct out *o, const struct io_seg *seg);
struct out_item *out_at(const struct out *o, uint32_t i);
// What can be sent now, in order: up to what is not loaded. Returns the entries of iov, their bytes in *out_total.
uint32_t out_gather(const struct out *o, struct iovec iov[HOST_IOV_MAX], size_t *out_total);
// n bytes are sent.
void out_consume(struct out *o, size_t n);
// Forgets what is loaded: it is read again when its turn comes. The scratch stays.
void out_unload(struct out *o);
// Frees what it owns; the scratch was given back before.
void out_done(struct out *o);
