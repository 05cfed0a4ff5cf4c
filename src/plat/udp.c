// UDP in batches: see net.h.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plat/net.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    TRAIN_LEN = 64 * 1024,
    TRAINS_BATCH = 8,                   // of one receive: half a MiB of buffers
    REFUSED_MAX = 3,                    // trains refused and none sent: this machine does not know them
};

struct udp {
    int fd;
    uint32_t tx_n, rx_n;
    size_t rx_len;                      // bytes of one buffer
    bool trains;                        // may be sent
    uint32_t refused;
    struct udp_stats stats;
    struct mmsghdr rx[UDP_BATCH], tx[UDP_BATCH];
    struct iovec rx_iov[UDP_BATCH], tx_iov[UDP_BATCH];
    struct sockaddr_storage rx_addr[UDP_BATCH], tx_addr[UDP_BATCH];
    alignas(struct cmsghdr) uint8_t rx_control[UDP_BATCH][CMSG_SPACE(sizeof(int))];
    uint8_t tx_data[UDP_BATCH][UDP_LEN_MAX];
    uint8_t *rx_data;
};

// Trains both ways, and packets that are never cut by the way (uTP looks for the greatest that fits). What the kernel does
// not know is done without.
static bool make_trains(int fd)
{
    const int on = 1, v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;
    if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4) != 0)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6);
    return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
}

enum err udp_new(struct udp **out, int fd, bool trains)
{
    ASSERT(fd >= 0);
    struct udp *u = calloc(1, sizeof *u);
    if (u == NULL)
        return ERR_NOMEM;
    u->fd = fd;
    u->trains = trains;
    const bool gro = trains && make_trains(fd);
    u->rx_n = gro ? TRAINS_BATCH : UDP_BATCH;
    u->rx_len = gro ? TRAIN_LEN : UDP_LEN_MAX;
    u->rx_data = malloc(u->rx_n * u->rx_len);
    if (u->rx_data == NULL) {
        free(u);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < UDP_BATCH; i++) {
        u->tx_iov[i].iov_base = u->tx_data[i];
        u->tx[i].msg_hdr = (struct msghdr){.msg_name = &u->tx_addr[i], .msg_iov = &u->tx_iov[i], .msg_iovlen = 1};
    }
    for (size_t i = 0; i < u->rx_n; i++) {
        u->rx_iov[i] = (struct iovec){u->rx_data + i * u->rx_len, u->rx_len};
        u->rx[i].msg_hdr = (struct msghdr){.msg_name = &u->rx_addr[i], .msg_iov = &u->rx_iov[i], .msg_iovlen = 1};
    }
    *out = u;
    return ERR_OK;
}

void udp_free(struct udp *u)
{
    if (u == NULL)
        return;
    (void)close(u->fd);
    free(u->rx_data);
    free(u);
}

static uint32_t segment_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        int segment = 0;
        memcpy(&segment, CMSG_DATA(c), sizeof segment);
        return segment > 0 ? (uint32_t)segment : 0;
    }
    return 0;
}

static int receive(struct udp *u)
{
    for (size_t i = 0; i < u->rx_n; i++) {
        u->rx[i].msg_hdr.msg_namelen = sizeof u->rx_addr[i];
        u->rx[i].msg_hdr.msg_control = u->rx_control[i];
        u->rx[i].msg_hdr.msg_controllen = sizeof u->rx_control[i];
    }
    u->stats.rx_calls++;
    return recvmmsg(u->fd, u->rx, u->rx_n, MSG_DONTWAIT, NULL);
}

uint32_t udp_receive(struct udp *u, struct udp_datagram out[UDP_BATCH], bool *out_more)
{
    int got = receive(u);
    // ECONNREFUSED and the like report an ICMP answer to an earlier datagram; once more to get past it.
    if (got < 0 && errno != EAGAIN)
        got = receive(u);
    uint32_t n = 0;
    for (int i = 0; i < got; i++) {
        struct mmsghdr *m = &u->rx[i];
        if ((m->msg_hdr.msg_flags & MSG_TRUNC) != 0 || net_addr_of(&u->rx_addr[i], &out[n].from) != ERR_OK) {
            u->stats.rx_dropped++;
            continue;
        }
        const uint32_t segment = segment_of(&m->msg_hdr);
        out[n].segment = segment < m->msg_len ? segment : 0;
        u->stats.rx += out[n].segment == 0 ? 1 : u64_div_up(m->msg_len, segment);
        out[n++].data = slice_of(u->rx_iov[i].iov_base, m->msg_len);
    }
    *out_more = got == (int)u->rx_n;
    return n;
}

// One call for all of it. False: the kernel does not take trains, or not this one.
static bool send_train(struct udp *u, struct sockaddr_storage *to, uint32_t to_len, struct slice data, uint16_t segment)
{
    alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct iovec iov = {(void *)(uintptr_t)data.p, data.n};
    struct msghdr m = {.msg_name = to, .msg_namelen = to_len, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    ssize_t sent = 0;
    do
        sent = sendmsg(u->fd, &m, MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    u->stats.tx_calls++;
    const uint64_t n = u64_div_up(data.n, segment);
    if (sent >= 0) {
        u->refused = 0;
        u->stats.tx += n;
        return true;
    }
    if (errno == EINVAL || errno == EIO || errno == EOPNOTSUPP || errno == ENOPROTOOPT) {
        u->trains = ++u->refused < REFUSED_MAX;
        return false;
    }
    u->stats.tx_dropped += n;           // no room, no route: as any datagram, it may be lost
    return true;
}

static void queue_one(struct udp *u, const struct sockaddr_storage *to, uint32_t to_len, struct slice data)
{
    if (data.n > UDP_LEN_MAX) {
        u->stats.tx_dropped++;
        return;
    }
    if (u->tx_n == UDP_BATCH)
        udp_flush(u);
    const uint32_t i = u->tx_n++;
    u->tx_addr[i] = *to;
    u->tx[i].msg_hdr.msg_namelen = to_len;
    memcpy(u->tx_data[i], data.p, data.n);
    u->tx_iov[i].iov_len = data.n;
}

void udp_queue(struct udp *u, const struct addr *to, struct slice data, uint32_t segment)
{
    struct sockaddr_storage sa;
    const uint32_t sa_len = net_sockaddr(to, &sa);
    if (segment == 0) {
        queue_one(u, &sa, sa_len, data);
        return;
    }
    udp_flush(u);                       // what came before goes first
    if (u->trains && send_train(u, &sa, sa_len, data, u16_of(segment)))
        return;
    for (size_t at = 0; at < data.n; at += segment)
        queue_one(u, &sa, sa_len, slice_sub(data, at, segment));
}

void udp_flush(struct udp *u)
{
    uint32_t at = 0;
    while (at < u->tx_n) {
        const int sent = sendmmsg(u->fd, &u->tx[at], u->tx_n - at, MSG_DONTWAIT);
        u->stats.tx_calls++;
        if (sent > 0) {
            at += (uint32_t)sent;
            u->stats.tx += (uint32_t)sent;
        } else if (errno == EINTR) {
            continue;
        } else {
            at++;                       // the first one was refused: no route, no room, or an ICMP answer
            u->stats.tx_dropped++;
        }
    }
    u->tx_n = 0;
}

struct udp_stats udp_stats(const struct udp *u) { return u->stats; }
