// TCP and UDP sockets: always non-blocking and close-on-exec. IPv6 sockets carry IPv6 only.
#pragma once
#include "base/addr.h"

enum {
    UDP_BATCH = 32,                     // datagrams of one system call
    UDP_LEN_MAX = 2048,                 // longer ones are dropped
    TCP_NOTSENT_LOWAT_BYTES = 128 * 1024, // unsent bytes in the kernel: more would delay a choke or cancel
};

struct sockaddr_storage;
// ERR_OK, or ERR_UNSUPPORTED: neither IPv4 nor IPv6.
MUST_USE enum err net_addr_of(const struct sockaddr_storage *s, struct addr *out);
// Returns the length for the kernel.
uint32_t net_sockaddr(const struct addr *a, struct sockaddr_storage *out);

// Binds and listens. at->port 0: any. device: SO_BINDTODEVICE, NULL: none. ERR_EXISTS: in use; ERR_ACCESS;
// ERR_UNREACHABLE: not our address; ERR_UNSUPPORTED: no such family here; ERR_NOT_FOUND: no such device; ERR_FULL.
MUST_USE enum err net_listen(const struct addr *at, const char *device, int *out_fd, struct addr *out_bound);
// From now on a connection is accepted when its first bytes are there, so that they can be read at once: for protocols in which
// the client speaks first. tcp(7), TCP_DEFER_ACCEPT.
void net_defer_accept(int listener);
// ERR_AGAIN: nobody waits; ERR_FULL: no descriptors; others: this one failed, try the next.
MUST_USE enum err net_accept(int listener, int *out_fd, struct addr *out_from);
// Starts to connect; `from` (NULL: any) is bound first. On ERR_OK and ERR_AGAIN out_fd is set; ERR_AGAIN: wait until it is
// writable, then ask net_connected.
MUST_USE enum err net_connect(const struct addr *to, const struct addr *from, const char *device, int *out_fd);
// The outcome of a connect that had to wait.
MUST_USE enum err net_connected(int fd);

// Errors as net_listen. Buffers are 1 MiB where the system allows it.
MUST_USE enum err net_udp(const struct addr *at, const char *device, int *out_fd, struct addr *out_bound);

// A socket's batches: one system call for up to UDP_BATCH datagrams each way.
struct udp;

struct udp_datagram {
    struct addr from;
    struct slice data;                  // until the next udp_receive
    uint32_t segment;                   // data is a train of datagrams of this length, the last may be shorter; 0: one
};

struct udp_stats {
    uint64_t rx, tx, rx_calls, tx_calls;
    uint64_t rx_dropped, tx_dropped;    // too long or of no known family; the kernel had no room
};

// fd becomes the udp's and is closed by udp_free. Bound to all addresses, it sends to everybody from the one that he wrote to
// last. trains: neighbouring datagrams of one sender come as one (UDP_GRO), equal
// ones can be sent as one (UDP_SEGMENT; where the kernel cannot, they go one by one), and none is cut on its way.
MUST_USE enum err udp_new(struct udp **out, int fd, bool trains);
void udp_free(struct udp *u);
// How many of `out` are filled. *out_more: there may be more at once.
uint32_t udp_receive(struct udp *u, struct udp_datagram out[UDP_BATCH], bool *out_more);
// Copies it into the present batch; a full batch is sent first. data.n <= UDP_LEN_MAX, else dropped. segment not 0: a train
// of datagrams of that length, up to 64 KiB, is sent at once.
void udp_queue(struct udp *u, const struct addr *to, struct slice data, uint32_t segment);
// Sends the present batch. What the kernel refuses is dropped and counted: a datagram may be lost.
void udp_flush(struct udp *u);
struct udp_stats udp_stats(const struct udp *u);
