// TCP sockets and the making of UDP sockets: see net.h.
#include "plat/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plat/oserr.h"

enum {
    LISTEN_BACKLOG = 1024,
    UDP_BUFFER_BYTES = 1 << 20,
    DEFER_ACCEPT_S = 10,                // then a silent connection is dropped by the kernel, unseen
};

enum err net_addr_of(const struct sockaddr_storage *s, struct addr *out)
{
    if (s->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, s, sizeof in);
        uint8_t ip[4];
        memcpy(ip, &in.sin_addr, 4);
        *out = addr_ipv4(ip, ntohs(in.sin_port));
        return ERR_OK;
    }
    if (s->ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, s, sizeof in);
        *out = addr_ipv6(in.sin6_addr.s6_addr, ntohs(in.sin6_port));
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

uint32_t net_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == ADDR_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    ASSERT(a->family == ADDR_IPV6);
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&in.sin6_addr, a->ip, 16);
    memcpy(out, &in, sizeof in);
    return sizeof in;
}

static bool set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static enum err socket_new(const struct addr *a, int type, const char *device, int *out_fd)
{
    const int fd = socket(a->family == ADDR_IPV4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_of_errno(errno);
    if (a->family == ADDR_IPV6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (device != NULL && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) != 0) {
        const enum err e = err_of_errno(errno);
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}

static enum err bind_to(int fd, const struct addr *at, struct addr *out_bound)
{
    struct sockaddr_storage s = {0};
    const socklen_t n = net_sockaddr(at, &s);
    if (bind(fd, (const struct sockaddr *)&s, n) != 0)
        return err_of_errno(errno);
    if (out_bound == NULL)
        return ERR_OK;
    socklen_t got = sizeof s;
    if (getsockname(fd, (struct sockaddr *)&s, &got) != 0)
        return err_of_errno(errno);
    return net_addr_of(&s, out_bound);
}

enum err net_listen(const struct addr *at, const char *device, int *out_fd, struct addr *out_bound)
{
    int fd = -1;
    enum err e = socket_new(at, SOCK_STREAM, device, &fd);
    if (e != ERR_OK)
        return e;
    (void)set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    // Both are inherited by what is accepted, which saves two calls for each.
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, TCP_NOTSENT_LOWAT_BYTES);
    struct addr bound;
    e = bind_to(fd, at, &bound);
    if (e == ERR_OK && listen(fd, LISTEN_BACKLOG) != 0)
        e = err_of_errno(errno);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    *out_bound = bound;
    return ERR_OK;
}

void net_defer_accept(int listener)
{
    (void)set_int(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_S);
}

enum err net_accept(int listener, int *out_fd, struct addr *out_from)
{
    struct sockaddr_storage s = {0};
    socklen_t n = sizeof s;
    const int fd = accept4(listener, (struct sockaddr *)&s, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return err_of_errno(errno);
    const enum err e = net_addr_of(&s, out_from);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}

enum err net_connect(const struct addr *to, const struct addr *from, const char *device, int *out_fd)
{
    int fd = -1;
    enum err e = socket_new(to, SOCK_STREAM, device, &fd);
    if (e != ERR_OK)
        return e;
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, TCP_NOTSENT_LOWAT_BYTES);
    if (from != NULL) {
        // The port is chosen at connect, so that many connections may share one.
        (void)set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        e = bind_to(fd, from, NULL);
    }
    if (e == ERR_OK) {
        struct sockaddr_storage s = {0};
        const socklen_t n = net_sockaddr(to, &s);
        if (connect(fd, (const struct sockaddr *)&s, n) != 0)
            e = err_of_errno(errno);
    }
    if (e != ERR_OK && e != ERR_AGAIN) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return e;
}

enum err net_connected(int fd)
{
    int e = 0;
    socklen_t n = sizeof e;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
        e = errno;
    return e == 0 ? ERR_OK : err_of_errno(e);
}

enum err net_udp(const struct addr *at, const char *device, int *out_fd, struct addr *out_bound)
{
    int fd = -1;
    enum err e = socket_new(at, SOCK_DGRAM, device, &fd);
    if (e != ERR_OK)
        return e;
    (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
    e = bind_to(fd, at, out_bound);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}
