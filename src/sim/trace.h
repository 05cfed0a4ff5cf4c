// What happened in a simulated world, as fixed records: a rolling fingerprint of all, and a ring of the last ones.
#pragma once
#include "base/env.h"

enum trace_type {
    TRACE_NONE = 0,
    TRACE_START,        // a life of a node begins; a: life
    TRACE_END,          // it ends; sub: enum trace_end
    TRACE_TICK,
    TRACE_CONNECT,      // a: conn, b: target host
    TRACE_ACCEPT,       // a: conn (0: refused), b: from host
    TRACE_CONNECTED,    // a: conn, sub: enum err
    TRACE_SEND,         // a: conn, b: bytes
    TRACE_SENT,         // a: conn, b: bytes
    TRACE_RX,           // a: conn, b: bytes; sub 1: no room
    TRACE_CLOSE,        // the node closes; a: conn, sub: flush
    TRACE_CLOSED,       // the node is told; a: conn, sub: enum err
    TRACE_LOST,         // a quantum or datagram was lost; a: bytes
    TRACE_DGRAM_TX,     // a: bytes, b: target host
    TRACE_DGRAM_RX,     // a: bytes, b: from host
    TRACE_JOB,          // sub: enum io_job_kind, a: id, b: bytes
    TRACE_JOB_DONE,     // sub: enum err, a: id
    TRACE_FETCH,        // a: id
    TRACE_FETCHED,      // a: id, sub: enum err, b: status
    TRACE_RESOLVE,      // a: id
    TRACE_SAVE,         // a: id, b: bytes
    TRACE_SAVED,        // a: id
    TRACE_EVENT,        // sub: enum node_event_kind, a: torrent, b: file or err
    TRACE_ACTION,       // sub: enum action_kind, a, b: its arguments
    TRACE_HOSTILE,      // a hostile step; sub: what, a, b: with what
    TRACE_CRASH_PAGE,   // sub: enum page_fate, a: file, b: offset
    TRACE_TYPES,
};

struct trace_record {
    uint64_t t;                         // virtual time, ns
    uint32_t node;
    uint16_t type, sub;
    uint64_t a, b;
};

struct trace {
    uint64_t hash, count;               // over all records since the start
    struct trace_record *ring;
    uint32_t ring_n;                    // a power of two
    void (*sink)(void *ctx, const struct trace_record *r);      // gets every record; NULL: nobody
    void *sink_ctx;
    const struct mem *mem;
};

// ring_n: how many records are kept, a power of two. ERR_NOMEM.
MUST_USE enum err trace_init(struct trace *t, const struct mem *mem, uint32_t ring_n);
void trace_done(struct trace *t);
void trace_add(struct trace *t, const struct trace_record *r);
// The i-th of the last records, 0 the oldest kept; NULL: there is none.
const struct trace_record *trace_last(const struct trace *t, uint32_t i);
// How many records trace_last has.
uint32_t trace_kept(const struct trace *t);
// The word for a type.
const char *trace_name(enum trace_type type);
// One line of text for a record, without newline; for people only.
void trace_line(const struct trace_record *r, struct wr *w);
