// uTP: all connections of a node over one UDP port. BEP 29, with the congestion control of RFC 6817 (LEDBAT).
//
// The owner calls an input, then polls until UTP_OUT_IDLE. Received bytes lie in the datagram or in the engine; the owner
// looks at them with utp_peek and takes what it has room for with utp_take: what it leaves closes the window.
#pragma once
#include "base/addr.h"
#include "base/env.h"

struct utp;

enum {
    UTP_CONNS_MAX = 4096,
    UTP_TX_MIN = 2048,                  // bytes of tx that utp_poll wants to make progress
    UTP_TRAIN_MAX = 60 * 1024,          // bytes of one output: what fits in one UDP_SEGMENT send
    UTP_SEGMENTS_MAX = 64,              // and packets (UDP_MAX_SEGMENTS of Linux)
    UTP_WINDOW_MAX = 8 << 20,           // bytes under way, each direction
};

struct utp_config {
    uint32_t conns_max;                 // 1 … UTP_CONNS_MAX
    uint32_t syns_max;                  // accepted and silent so far; beyond it the oldest goes
    uint64_t tx_bytes_max;              // memory of all connections for what is not acknowledged
    uint64_t rx_bytes_max;              // the same for what came out of order or is not taken; a little of each connection, 24 KiB, comes on top
};

enum utp_kind {
    UTP_OUT_IDLE,                       // deadline
    UTP_OUT_DGRAM,                      // addr, bytes, segment
    UTP_OUT_ACCEPT,                     // conn, addr: the owner names it by utp_accept, or closes it
    UTP_OUT_CONNECTED,                  // user
    UTP_OUT_READABLE,                   // user: utp_peek has something
    UTP_OUT_WRITABLE,                   // user: utp_space has grown after utp_write was given all it could take
    UTP_OUT_CLOSED,                     // user, err: the engine has forgotten conn. ERR_CLOSED: it ended well
};

struct utp_out {
    nsec deadline;
    struct addr addr;
    struct slice bytes;                 // of equal packets of `segment` bytes, the last may be shorter
    uint32_t segment;                   // 0: one packet
    uint32_t conn, user;
    enum err err;
};

struct utp_stats {
    uint64_t rx_packets, rx_bad, rx_unknown, rx_duplicate, rx_refused;      // refused: no memory, outside the window, too many
    uint64_t tx_packets, tx_bytes, tx_again, resets;
    uint64_t lost, timeouts, probes, quiets;            // quiets: moments in which all connections held still
    uint64_t tx_memory, rx_memory;      // bytes now
    uint32_t conns, syns;
};

struct utp_conn_stats {
    uint32_t cwnd, flight, packet_len;  // bytes; packet_len: payload of a full packet now
    uint32_t rtt_us, delay_us;          // smoothed; delay: queueing of our packets, as the other side measures it
    uint64_t acked_bytes;
};

// ERR_NOMEM. env outlives it.
MUST_USE enum err utp_new(struct utp **out, const struct utp_config *cfg, const struct env *env, nsec now);
void utp_free(struct utp *u);
void utp_tick(struct utp *u, nsec now);
// tx: at least UTP_TX_MIN bytes free for datagrams; events come without.
enum utp_kind utp_poll(struct utp *u, nsec now, struct buf *tx, struct utp_out *out);

// One datagram. True: it is uTP (or made to look so) and nobody else's. Then *out_user names the connection whose bytes
// can be taken now, 0: none; `data` must live until utp_keep, which is called before any other input and any poll.
MUST_USE bool utp_datagram(struct utp *u, nsec now, const struct addr *from, struct slice data, uint32_t *out_user);
// What is left of the last datagram is copied.
void utp_keep(struct utp *u);

// user: the owner's name for it, never 0. ERR_FULL, ERR_NOMEM. UTP_OUT_CONNECTED or UTP_OUT_CLOSED follows.
MUST_USE enum err utp_connect(struct utp *u, nsec now, const struct addr *to, uint32_t user, uint32_t *out_conn);
// The other side begins to connect to us just now: a connection that has no answer yet says its word again, at once.
void utp_again(struct utp *u, nsec now, uint32_t conn);
void utp_accept(struct utp *u, nsec now, uint32_t conn, uint32_t user);
// The owner forgets it. flush: what was written still goes out, then the end is said; otherwise it is cut if something is left.
void utp_close(struct utp *u, nsec now, uint32_t conn, bool flush);

// The way that all of them took is no more, and another one will not lead to the same place: they end, UTP_OUT_CLOSED with
// ERR_UNREACHABLE, and the other sides are told nothing.
void utp_cut(struct utp *u, nsec now);

// The next bytes in order, borrowed until utp_take, utp_keep or another input; empty: none.
struct slice utp_peek(const struct utp *u, uint32_t conn);
void utp_take(struct utp *u, nsec now, uint32_t conn, size_t len);
// How many bytes utp_write takes now. It follows the congestion window, so that little waits that could be taken back.
size_t utp_space(const struct utp *u, uint32_t conn);
// What was written and is in no packet so far.
uint64_t utp_unsent(const struct utp *u, uint32_t conn);
// Copies bytes.n <= utp_space bytes. more: the owner has more that did not fit, so a short packet may wait for it.
void utp_write(struct utp *u, nsec now, uint32_t conn, struct slice bytes, bool more);

void utp_stats(const struct utp *u, struct utp_stats *out);
void utp_conn_stats(const struct utp *u, uint32_t conn, struct utp_conn_stats *out);
void utp_check(const struct utp *u);
