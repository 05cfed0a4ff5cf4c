// What the files of uTP share; nobody else includes it.
//
// Sequence numbers inside never wrap: 64 bits whose low 16 go over the wire.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/seq.h"
#include "codec/utp.h"
#include "engine/reach/utp.h"

enum {
    SENTS_MAX = 1 << 14,                // packets under way of one connection: far below half of the 16-bit numbers
    STORE_MAX = 1 << 14,                // packets kept by the receiver, and how far ahead one may be;
    SPAN_START = 1 << 10,               // at first no further than this, and one more for so many bytes that came
    SPAN_BYTES = 256,
    WINDOW_START = 1 << 20,             // receive window; each byte received in order adds one, up to UTP_WINDOW_MAX
    LEFT_SHARE = 4,                     // of the memory left for all, such a part may be one connection's,
    WINDOW_FLOOR = 16 * 1024,           // but so much always
    RING_MIN = 16 * 1024,
    UNSENT_MIN = 16 * 1024,             // bytes beyond the congestion window that may be written
    UNSENT_MAX = 128 * 1024,
    CONN_INDEX_BITS = 12,
    KEY_LEN = 21,                       // family, ip, port, our id
    IP_HEADERS_V4 = 28, IP_HEADERS_V6 = 48,
    PACKET_MIN = 1280 - IP_HEADERS_V6,  // bytes of UDP payload that every path should carry (RFC 8200 section 5)
    ETHERNET_MTU = 1500,
    MTU_CLOSE_ENOUGH = 8,               // the search ends when its bounds are so near
    MTU_LOSSES = 2,                     // of a probe of one size before that size is given up
    MSS_MIN = PACKET_MIN - UTP_HEADER_LEN,
    CWND_MIN_PACKETS = 2,               // RFC 6817 MIN_CWND
    MSS_SMALL = 400,                    // bytes of a packet at least, where a thin line makes windows small
    CWND_FULL_PACKETS = 4,              // a window that holds so many of them is filled with packets of full size
    CWND_START_PACKETS = 4,
    GAIN_BYTES = 3000,                  // growth per round trip with an empty queue, as in libutp and libtorrent
    GAIN_SHARE_UP = 8, GAIN_SHARE_DOWN = 4,     // but of a small window no more than such a part
    REORDER_PACKETS = 3,                // later ones acknowledged before one counts as lost (RFC 5681, 9002)
    BASE_HISTORY = 10,                  // minutes, RFC 6817
    DELAY_SAMPLES = 4,                  // RFC 6817 CURRENT_FILTER
    SYN_TRIES = 3, FIN_TRIES = 4, DATA_TRIES = 8,
    ACK_PACKETS = 2,                    // BEP 29: every second packet is acknowledged at once
    RESET_BEHIND = 32,                  // a RESET may answer a packet that has been acknowledged meanwhile, so far back
    RESETS_PER_S = 50,                  // for packets of no known connection
    WINDOW_WAKE = 16 * 1024,            // a window that was nearly shut is said again when so much has opened
};

#define TARGET_US 100000                // RFC 6817: at most 100 ms of queueing
#define RANDOM_LOSS_US 10000            // less queueing than this: a loss says little about our rate
#define RTO_MIN (500 * NSEC_MS)         // BEP 29
#define RTO_START (1000 * NSEC_MS)
#define RTO_MAX (16 * NSEC_S)
#define ACK_DELAY (20 * NSEC_MS)
#define KEEPALIVE (29 * NSEC_S)         // NATs forget silent UDP after 30 s
#define SYN_WAIT (10 * NSEC_S)          // an accepted one that says nothing
#define LINGER_MAX (30 * NSEC_S)        // after the owner has left
#define QUIET_MAX (1000 * NSEC_MS)       // of one quiet moment
#define QUIET_PAUSE (15 * NSEC_S)       // between two
#define QUIET_LOOK (1 * NSEC_S)         // whether more than one sends
#define MTU_PAUSE (600 * NSEC_S)        // until larger packets are tried again

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

struct utp {
    struct utp_config cfg;
    const struct mem *mem;
    const struct log *log;
    struct rare *rare;
    nsec now;
    struct rng rng;
    struct map map;
    struct heap timers;
    struct list touched, syns;
    struct conn *conns[UTP_CONNS_MAX];
    uint32_t conns_n, conns_high, generation, syns_n;
    struct conn *recent;                // that the last datagram was for
    struct conn *lent;                  // whose next bytes are in `lent_bytes`
    struct slice lent_bytes;
    nsec reset_at;
    nsec quiet_until, quiet_next;       // quiet_until 0: not now
    uint32_t resets_left;
    struct { struct addr addr; uint16_t conn_id, ack; } resets[8];
    uint32_t resets_n;
    struct utp_stats stats;
};

static inline uint32_t micros(nsec t) { return (uint32_t)(t / NSEC_US); }
static inline struct sent *sent_at(const struct conn *c, uint64_t seq) { return &c->sents[seq & (c->sents_cap - 1)]; }

// utp.c
struct conn *utp_conn(const struct utp *u, uint32_t id);
struct conn *utp_find(struct utp *u, const struct addr *addr, uint16_t recv_id);
struct conn *utp_conn_new(struct utp *u, const struct addr *addr, uint16_t recv_id, uint16_t send_id);  // NULL: full, taken
void utp_conn_free(struct utp *u, struct conn *c);
void utp_touch(struct utp *u, struct conn *c);
void utp_set_state(struct utp *u, struct conn *c, enum utp_state state);
// The owner, if there is one, will be told; then it is freed.
void utp_end(struct utp *u, struct conn *c, enum err e);
// Queues a RESET, within a rate limit.
void utp_refuse(struct utp *u, const struct addr *to, uint16_t conn_id, uint16_t ack);

// utp_rx.c
uint32_t utp_window(const struct utp *u, const struct conn *c);        // to be announced
void utp_rx_done(struct utp *u, struct conn *c);
// Bytes of a bit mask of what was kept beyond ack + 1; 0: nothing.
uint32_t utp_sack(const struct conn *c, uint8_t mask[UTP_SACK_MAX]);

// utp_ack.c: what the other side says of our packets
// False: it acknowledges what was never sent, so it is made up.
bool utp_acked(struct utp *u, struct conn *c, const struct utp_packet *p);
void utp_rto(struct utp *u, struct conn *c);

// utp_cc.c
void utp_cc_init(struct conn *c);
void utp_cc_rtt(struct conn *c, nsec sample);
void utp_cc_delay(struct conn *c, nsec now, uint32_t diff_us);
void utp_cc_acked(struct conn *c, uint32_t bytes, bool was_full);
void utp_cc_lost(struct conn *c);
void utp_cc_timeout(struct conn *c);
// Bytes of stream in the next packet: fewer than fit if the line is so thin that the window would hold only one or two.
uint32_t utp_cc_packet(const struct conn *c, bool quiet);
uint32_t utp_mtu_next(const struct conn *c, nsec now);                 // size of the next probe, 0: none is due
void utp_mtu_result(struct conn *c, nsec now, bool arrived);

// utp_quiet.c
void utp_quiet_consider(struct utp *u, const struct conn *c);          // c has learnt of its queue: begins if it is time
void utp_quiet_tick(struct utp *u);
static inline bool utp_is_quiet(const struct utp *u) { return u->quiet_until != 0; }

// utp_tx.c
// Composes what is due of c into tx; false: nothing, or no room (then it stays touched).
bool utp_tx(struct utp *u, struct conn *c, struct buf *tx, struct utp_out *out);
void utp_tx_done(struct utp *u, struct conn *c);
void utp_tx_shrink(struct utp *u, struct conn *c);                     // gives memory back; wants utp_tx_idle
bool utp_tx_idle(const struct conn *c);                                // all is acknowledged
