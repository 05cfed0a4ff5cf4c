// UDP in batches: see net.h.
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plat/net.h"

struct udp {
    int fd;
    uint32_t tx_n;
    struct udp_stats stats;
    struct mmsghdr rx[UDP_BATCH], tx[UDP_BATCH];
    struct iovec rx_iov[UDP_BATCH], tx_iov[UDP_BATCH];
    struct sockaddr_storage rx_addr[UDP_BATCH], tx_addr[UDP_BATCH];
    uint8_t rx_data[UDP_BATCH][UDP_LEN_MAX], tx_data[UDP_BATCH][UDP_LEN_MAX];
};

enum err udp_new(struct udp **out, int fd)
{
    ASSERT(fd >= 0);
    struct udp *u = calloc(1, sizeof *u);
    if (u == NULL)
        return ERR_NOMEM;
    u->fd = fd;
    for (size_t i = 0; i < UDP_BATCH; i++) {
        u->rx_iov[i] = (struct iovec){u->rx_data[i], UDP_LEN_MAX};
        u->tx_iov[i].iov_base = u->tx_data[i];
        u->rx[i].msg_hdr = (struct msghdr){.msg_name = &u->rx_addr[i], .msg_iov = &u->rx_iov[i], .msg_iovlen = 1};
        u->tx[i].msg_hdr = (struct msghdr){.msg_name = &u->tx_addr[i], .msg_iov = &u->tx_iov[i], .msg_iovlen = 1};
    }
    *out = u;
    return ERR_OK;
}

void udp_free(struct udp *u)
{
    if (u == NULL)
        return;
    (void)close(u->fd);
    free(u);
}

uint32_t udp_receive(struct udp *u, struct udp_datagram out[UDP_BATCH])
{
    for (size_t i = 0; i < UDP_BATCH; i++)
        u->rx[i].msg_hdr.msg_namelen = sizeof u->rx_addr[i];
    int got = recvmmsg(u->fd, u->rx, UDP_BATCH, MSG_DONTWAIT, NULL);
    u->stats.rx_calls++;
    // ECONNREFUSED and the like report an ICMP answer to an earlier datagram; once more to get past it.
    if (got < 0 && errno != EAGAIN) {
        got = recvmmsg(u->fd, u->rx, UDP_BATCH, MSG_DONTWAIT, NULL);
        u->stats.rx_calls++;
    }
    uint32_t n = 0;
    for (int i = 0; i < got; i++) {
        const struct mmsghdr *m = &u->rx[i];
        if ((m->msg_hdr.msg_flags & MSG_TRUNC) != 0 || net_addr_of(&u->rx_addr[i], &out[n].from) != ERR_OK) {
            u->stats.rx_dropped++;
            continue;
        }
        out[n++].data = slice_of(u->rx_data[i], m->msg_len);
    }
    u->stats.rx += n;
    return n;
}

void udp_queue(struct udp *u, const struct addr *to, struct slice data)
{
    if (data.n > UDP_LEN_MAX) {
        u->stats.tx_dropped++;
        return;
    }
    if (u->tx_n == UDP_BATCH)
        udp_flush(u);
    const uint32_t i = u->tx_n++;
    u->tx[i].msg_hdr.msg_namelen = net_sockaddr(to, &u->tx_addr[i]);
    memcpy(u->tx_data[i], data.p, data.n);
    u->tx_iov[i].iov_len = data.n;
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
