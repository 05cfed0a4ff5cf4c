// What the files of uTP share; nobody else includes it.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/seq.h"
#include "codec/utp.h"
#include "engine/reach/utp.h"
#include "engine/reach/utp_conn.h"

enum {
    UNSENT_MIN = 16 * 1024,             // bytes beyond the congestion window that may be written, at least
    IP_HEADERS_V4 = 28, IP_HEADERS_V6 = 48,
    PACKET_MIN = 1280 - IP_HEADERS_V6,  // bytes of UDP payload that every path should carry (RFC 8200 section 5)
    MSS_MIN = PACKET_MIN - UTP_HEADER_LEN,
    CWND_START_PACKETS = 4,
};

#define TARGET_US 100000                // RFC 6817: at most 100 ms of queueing
#define ACK_DELAY (20 * NSEC_MS)

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
