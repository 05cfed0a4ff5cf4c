// One connection of uTP: what is under way, what the other side said, what waits for its owner. Inside uTP.
//
// Sequence numbers inside never wrap: 64 bits whose low 16 go over the wire.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/reach/utp.h"

enum {
    SENTS_MAX = 1 << 14,                // packets under way of one connection: far below half of the 16-bit numbers
    KEY_LEN = 21,                       // family, ip, port, our id
    BASE_HISTORY = 10,                  // minutes, RFC 6817
    DELAY_SAMPLES = 4,                  // RFC 6817 CURRENT_FILTER
};

enum utp_state {
    CONN_FREE,
    CONN_SYN_SENT,
    CONN_SYN_RECV,                      // answered; nothing came yet that proves the address
    CONN_OFFERED,                       // the owner is asked whether it wants it
    CONN_OPEN,
    CONN_LEAVING,                       // the owner has left: what is written goes out, then FIN
};

enum sent_state { SENT_FLYING, SENT_LOST, SENT_ACKED };

struct sent {
    uint64_t off;                       // in the stream
    uint16_t len;
    uint8_t tries;
    uint8_t state;                      // enum sent_state
    bool fin, probe;
    uint64_t serial;                    // order of transmission, over all packets of the connection
    nsec at;
};

// A packet kept by the receiver.
struct kept {
    uint32_t len, taken;
    uint8_t bytes[];
};

struct conn {
    struct map_node node;
    uint8_t key[KEY_LEN];
    struct heap_node timer;
    struct list touched, syns;
    uint32_t id, user;
    enum utp_state state;
    struct addr addr;
    uint16_t recv_id, send_id;
    nsec since;                         // the present state
    enum err closing;                   // not ERR_OK: to be told and freed

    // Sending.
    uint8_t *ring;                      // bytes from una_off to end_off, at their offset modulo its size
    uint32_t ring_cap;
    uint64_t una_off, next_off, end_off;        // not acknowledged, not yet in a packet, end of what was written
    struct sent *sents;                 // packets una … next - 1, at their number modulo the size
    uint32_t sents_cap, lost_n;
    uint64_t lost_from, sack_high;      // no packet before lost_from is SENT_LOST; highest acknowledged
    uint32_t dup_acks;
    uint64_t una, next;
    uint64_t serial, serial_acked, serial_recovery;
    uint32_t flight, peer_window;
    bool more, full, fin_written, fin_sent, probing_window, syn_due;
    nsec sent_at, rto_at, window_at;

    // Congestion.
    uint32_t cwnd, ssthresh, mss;
    bool slow_start;
    uint64_t gain_rest;
    uint32_t base_us[BASE_HISTORY], base_n, base_i;
    nsec base_minute;
    uint32_t delays[DELAY_SAMPLES], delays_n, delays_i, delay_us;
    bool delay_known, thin;             // thin: the window is small because the line is, not because packets get lost
    nsec srtt, rttvar, rto, min_rtt;
    uint32_t rto_n;
    uint32_t mtu_floor, mtu_ceiling, mtu_losses, mtu_size;     // UDP payload: fits for sure, may fit; of the probe
    uint64_t mtu_probe;                 // its sequence number, 0: none is under way
    bool mtu_tried;                     // the ceiling has changed
    nsec mtu_at;
    uint64_t acked_bytes;

    // Receiving.
    uint64_t ack, read;                 // last in order; next for the owner
    uint64_t high;                      // highest kept
    struct kept **store;
    uint32_t store_cap;
    uint64_t store_bytes, delivered;
    uint64_t eof;                       // number of FIN, 0: none yet
    uint32_t their_us, reply_us;        // timestamp_difference for the next packet
    bool their_known;
    uint32_t ack_owed;
    bool ack_now, sack_now, readable, offer_told, connected_told;
    uint32_t window_said;
    nsec ack_at;
};

static inline struct sent *sent_at(const struct conn *c, uint64_t seq) { return &c->sents[seq & (c->sents_cap - 1)]; }
