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
    VIAS = 1024,                        // senders, by hash, of which we know at which of our addresses they write to us
    VIA_SPACE = CMSG_SPACE(sizeof(struct in6_pktinfo)),
};

// Somebody, and our address that he writes to. A socket of all addresses answers from there: an answer from another one is nobody's
// (BEP 29, 15; BEP 45 wants addresses to look like nodes of their own).
struct via {
    struct addr peer;                   // family ADDR_NONE: free
    uint8_t local[16];
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
    alignas(struct cmsghdr) uint8_t rx_control[UDP_BATCH][CMSG_SPACE(sizeof(int)) + VIA_SPACE], tx_control[UDP_BATCH][VIA_SPACE];
    struct via *vias;                   // NULL: the socket has one address only
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

// Whether it is bound to all addresses, and the kernel says to which one a datagram came.
static bool tells_where(int fd)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    struct addr a;
    const int on = 1;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0 || net_addr_of(&sa, &a) != ERR_OK || !addr_is_any(&a))
        return false;
    if (a.family == ADDR_IPV4)
        return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
}

static struct via *via_of(const struct udp *u, const struct addr *peer)
{
    uint64_t v[2];
    memcpy(v, peer->ip, sizeof v);
    return &u->vias[((v[0] ^ v[1] ^ peer->port) * 0x9e3779b97f4a7c15u) >> 32 & (VIAS - 1)];
}

// Notes where a datagram came to. Link-local addresses say nothing without their link, groups are not ours.
static void note_via(struct udp *u, struct msghdr *m, const struct addr *from)
{
    struct via v = {.peer = *from};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(v.local, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) && !IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                memcpy(v.local, &info.ipi6_addr, sizeof v.local);
        }
    }
    *via_of(u, from) = v;
}

// Writes from where to send to a peer; returns the length, 0: as the kernel likes.
static size_t put_via(const struct udp *u, const struct addr *to, uint8_t *out)
{
    static const uint8_t unknown[16];
    const struct via *v = u->vias == NULL ? NULL : via_of(u, to);
    if (v == NULL || !addr_eq(&v->peer, to) || memcmp(v->local, unknown, sizeof unknown) == 0)
        return 0;
    const bool v4 = to->family == ADDR_IPV4;
    struct in_pktinfo four = {0};
    struct in6_pktinfo six = {0};
    memcpy(&four.ipi_spec_dst, v->local, sizeof four.ipi_spec_dst);
    memcpy(&six.ipi6_addr, v->local, sizeof six.ipi6_addr);
    const size_t n = v4 ? sizeof four : sizeof six;
    struct cmsghdr c = {.cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6, .cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO, .cmsg_len = CMSG_LEN(n)};
    memset(out, 0, CMSG_SPACE(n));
    memcpy(out, &c, sizeof c);
    memcpy(out + CMSG_LEN(0), v4 ? (const void *)&four : (const void *)&six, n);
    return CMSG_SPACE(n);
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
    u->vias = tells_where(fd) ? calloc(VIAS, sizeof *u->vias) : NULL;
    if (u->rx_data == NULL) {
        free(u->vias);
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
    free(u->vias);
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
        if (u->vias != NULL)
            note_via(u, &m->msg_hdr, &out[n].from);
        const uint32_t segment = segment_of(&m->msg_hdr);
        out[n].segment = segment < m->msg_len ? segment : 0;
        u->stats.rx += out[n].segment == 0 ? 1 : u64_div_up(m->msg_len, segment);
        out[n++].data = slice_of(u->rx_iov[i].iov_base, m->msg_len);
    }
    *out_more = got == (int)u->rx_n;
    return n;
}

// We do not have the address any more that somebody wrote to.
static bool is_address_gone(int e) { return e == EINVAL || e == EADDRNOTAVAIL || e == ENETUNREACH || e == EHOSTUNREACH || e == ENODEV; }

// One call for all of it. False: the kernel does not take trains, or not this one.
static bool send_train(struct udp *u, const struct addr *addr, struct slice data, uint16_t segment)
{
    alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t)) + VIA_SPACE] = {0};
    struct sockaddr_storage to;
    const uint32_t to_len = net_sockaddr(addr, &to);
    const size_t via_n = put_via(u, addr, control + CMSG_SPACE(sizeof segment));
    struct iovec iov = {(void *)(uintptr_t)data.p, data.n};
    struct msghdr m = {.msg_name = &to, .msg_namelen = to_len, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = CMSG_SPACE(sizeof segment) + via_n};
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
    if (via_n != 0 && is_address_gone(errno)) {
        via_of(u, addr)->peer = (struct addr){0};
        return false;                   // one by one, as the kernel likes
    }
    if (errno == EINVAL || errno == EIO || errno == EOPNOTSUPP || errno == ENOPROTOOPT) {
        u->trains = ++u->refused < REFUSED_MAX;
        return false;
    }
    u->stats.tx_dropped += n;           // no room, no route: as any datagram, it may be lost
    return true;
}

static void queue_one(struct udp *u, const struct addr *to, struct slice data)
{
    if (data.n > UDP_LEN_MAX) {
        u->stats.tx_dropped++;
        return;
    }
    if (u->tx_n == UDP_BATCH)
        udp_flush(u);
    const uint32_t i = u->tx_n++;
    u->tx[i].msg_hdr.msg_namelen = net_sockaddr(to, &u->tx_addr[i]);
    u->tx[i].msg_hdr.msg_controllen = put_via(u, to, u->tx_control[i]);
    u->tx[i].msg_hdr.msg_control = u->tx[i].msg_hdr.msg_controllen == 0 ? NULL : u->tx_control[i];
    memcpy(u->tx_data[i], data.p, data.n);
    u->tx_iov[i].iov_len = data.n;
}

void udp_queue(struct udp *u, const struct addr *to, struct slice data, uint32_t segment)
{
    if (segment == 0) {
        queue_one(u, to, data);
        return;
    }
    udp_flush(u);                       // what came before goes first
    if (u->trains && send_train(u, to, data, u16_of(segment)))
        return;
    for (size_t at = 0; at < data.n; at += segment)
        queue_one(u, to, slice_sub(data, at, segment));
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
        } else if (u->tx[at].msg_hdr.msg_control != NULL && is_address_gone(errno)) {
            u->tx[at].msg_hdr.msg_control = NULL;       // once more, as the kernel likes; the next datagram that comes says where
            u->tx[at].msg_hdr.msg_controllen = 0;
        } else {
            at++;                       // the first one was refused: no route, no room, or an ICMP answer
            u->stats.tx_dropped++;
        }
    }
    u->tx_n = 0;
}

struct udp_stats udp_stats(const struct udp *u) { return u->stats; }
