// See gateway.h.
#include "plat/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/route.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "plat/net.h"
#include "plat/oserr.h"

enum err gateway_find(struct addr *out)
{
    FILE *f = fopen("/proc/net/route", "re");
    if (f == NULL)
        return ERR_NOT_FOUND;
    char line[256];
    bool found = false;
    unsigned least = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned to, gateway, flags, metric, mask;
        if (sscanf(line, "%*s %x %x %x %*u %*u %u %x", &to, &gateway, &flags, &metric, &mask) != 5)
            continue;
        if (to != 0 || mask != 0 || (flags & RTF_GATEWAY) == 0 || (found && metric >= least))
            continue;
        found = true;
        least = metric;
        uint8_t ip[4];
        const uint32_t raw = gateway;   // in network order, read as a number of this machine
        memcpy(ip, &raw, sizeof ip);
        *out = addr_ipv4(ip, 0);
    }
    (void)fclose(f);
    return found ? ERR_OK : ERR_NOT_FOUND;
}

enum err gateway_open(const struct addr *to, const char *from, int *out_fd, struct addr *out_own)
{
    struct sockaddr_storage sa;
    socklen_t n = net_sockaddr(to, &sa);
    struct addr at = {.family = to->family};
    struct addr bound;
    int fd = -1;
    if (from != NULL && addr_parse(slice_str(from), 0, &at) != ERR_OK)
        return ERR_UNREACHABLE;
    enum err e = net_udp(&at, NULL, &fd, &bound);
    if (e != ERR_OK)
        return e;
    if (connect(fd, (struct sockaddr *)&sa, n) != 0)
        e = err_of_errno(errno);
    n = sizeof sa;
    if (e == ERR_OK && (getsockname(fd, (struct sockaddr *)&sa, &n) != 0 || net_addr_of(&sa, out_own) != ERR_OK))
        e = ERR_UNREACHABLE;
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}

enum err gateway_ask(int fd, struct slice data, nsec wait, struct buf *out)
{
    if (data.n != 0 && send(fd, data.p, data.n, 0) < 0)
        return ERR_REFUSED;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const int ready = poll(&p, 1, (int)u64_div_up(wait, NSEC_MS));
    if (ready <= 0)
        return ERR_TIMEOUT;
    const ssize_t n = recv(fd, out->p + out->n, buf_room(out), MSG_DONTWAIT);
    if (n < 0)
        return errno == ECONNREFUSED ? ERR_REFUSED : ERR_TIMEOUT;
    out->n += (size_t)n;
    return ERR_OK;
}

nsec gateway_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (nsec)t.tv_sec * NSEC_S + (nsec)t.tv_nsec;
}
