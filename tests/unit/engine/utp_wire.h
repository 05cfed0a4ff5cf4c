// Two uTP engines joined by a wire with delay, a rate with a queue, loss, duplication, reordering; for tests only.
#pragma once
#include "test.h"

#include "base/rng.h"
#include "codec/utp.h"
#include "engine/reach/utp.h"

enum { WIRE_PACKETS = 1 << 15, WIRE_READ = 64 * 1024 };

struct wire_packet {
    nsec at;
    uint64_t serial;
    uint8_t to, *bytes;                 // bytes NULL: of the cross flow
    uint32_t n;
};

struct wire_end {
    struct utp *u;
    struct addr addr;
    uint32_t conn;
    bool open, connected, closed;
    enum err err;
    uint64_t to_send, sent, got;        // bytes; content of byte i is wire_byte(i)
    uint64_t take_max;                  // how much may be taken in all; UINT64_MAX: everything
    bool close_when_sent, bad;
    nsec due;
    uint64_t packets, largest;
};

struct wire {
    struct wire_end end[2];
    nsec now, delay[2];                 // from end i, one way
    uint64_t bps[2];                    // bytes/s of the way from end i; 0: no limit
    nsec queue_max, free_at[2], queue_seen;
    uint32_t loss_ppm[2], dup_ppm, reorder_ppm;
    uint32_t mtu;                       // longer packets vanish; 0: none do
    uint32_t cut;                       // drops everything from end i if bit i is set
    struct rng rng;
    uint64_t serial;
    struct wire_packet *heap;
    uint32_t heap_n;
    uint64_t (*cross)(struct wire *w);  // a cross flow: called with every arrival of its packets
    void *ctx;
};

// Puts one packet on the way from end `from`; NULL bytes: of the cross flow, which hears of a full queue by false.
bool wire_put(struct wire *w, uint32_t from, const uint8_t *bytes, uint32_t n);
void wire_read(struct wire *w, struct wire_end *e);
void wire_write(struct wire *w, struct wire_end *e);
void wire_drain(struct wire *w, uint32_t i);
// Runs until `until`, or until both ends have what the other sends, or are closed; wire_run_on: until `until`.
void wire_run(struct wire *w, nsec until);
void wire_run_on(struct wire *w, nsec until);
void wire_new(struct wire *w, uint64_t seed);
void wire_connect(struct wire *w);
void wire_free(struct wire *w);
