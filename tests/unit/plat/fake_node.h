// A node with no protocol: outputs are pushed by the test, inputs go to its hooks. For testing the host alone.
#pragma once
#include "engine/node/node.h"

struct fake_hooks {
    bool (*accept)(enum node_port port, uint32_t conn);         // NULL: all
    void (*connected)(uint32_t conn, enum err e);
    void (*rx_room)(uint32_t conn, struct node_room *out);      // NULL: one span of 64 KiB
    void (*rx)(uint32_t conn, struct slice data);               // data: empty if rx_room is the test's
    void (*rx_len)(uint32_t conn, size_t len);
    void (*sent)(uint32_t conn, uint64_t len);
    void (*closed)(uint32_t conn, enum err e);
    void (*datagram)(enum node_port port, const struct addr *from, struct slice data);
    void (*job_done)(uint32_t id, enum err e, uint32_t file);
    void (*fetched)(uint32_t id, enum err e, int status, struct slice body);
    void (*stream_head)(uint32_t id, int status, struct slice lines);
    size_t (*stream_room)(uint32_t id, struct span *out);       // NULL: as much as comes; 0: none now
    void (*stream_rx)(uint32_t id, struct slice data);
    void (*resolved)(uint32_t id, enum err e, const struct addr *addrs, uint32_t n);
    void (*saved)(uint32_t id, enum err e);
    void (*read_failed)(uint32_t store, uint32_t file, enum err e);
    void (*stop)(void);                                         // NULL: NODE_EVENT_STOPPED at once
    void (*tick)(void);
    void (*network_changed)(void);
};

// The test's; all NULL by default.
extern struct fake_hooks fake;
// The files of every store.
extern struct io_file fake_files[8];
extern uint32_t fake_files_n;
extern nsec fake_deadline;

// Queues an output; bytes and segments are copied, what a job points to is not.
void fake_push(enum node_kind kind, const struct node_out *o);
void fake_bytes(uint32_t conn, struct slice s);
void fake_close(uint32_t conn, bool flush);
void fake_stopped(void);
uint32_t fake_queued(void);
