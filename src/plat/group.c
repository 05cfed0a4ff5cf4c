// See group.h. Membership ends with the socket. Datagrams go one hop (the kernel's default) and come back to this machine, where
// other programs may listen.
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plat/group.h"
#include "plat/net.h"
#include "plat/oserr.h"

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

struct interface {
    unsigned index;
    struct addr addr;
};

static enum err bind_shared(int fd, const struct group_config *cfg)
{
    const int on = 1, off = 0;
    struct sockaddr_storage at;
    const socklen_t n = net_sockaddr(&cfg->group, &at);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (cfg->group.family == ADDR_IPV6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    // Without this a socket hears what any program of this machine has joined.
    (void)setsockopt(fd, cfg->group.family == ADDR_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP,
        cfg->group.family == ADDR_IPV6 ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL, &off, sizeof off);
    if (cfg->device != NULL && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, cfg->device, (socklen_t)strlen(cfg->device)) != 0)
        return errno == ENODEV ? ERR_NOT_FOUND : err_of_errno(errno);
    return bind(fd, (struct sockaddr *)&at, n) == 0 ? ERR_OK : err_of_errno(errno);
}

enum err group_open(const struct group_config *cfg, int *out_fd)
{
    ASSERT(addr_is_multicast(&cfg->group));
    const int domain = cfg->group.family == ADDR_IPV6 ? AF_INET6 : AF_INET;
    const int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_of_errno(errno);
    const enum err e = bind_shared(fd, cfg);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}

static bool is_link_local(const struct addr *a)
{
    return a->family == ADDR_IPV6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

// Adds an interface once, by its first address that fits.
static void consider(const struct ifaddrs *i, const struct group_config *cfg, struct interface *all, uint32_t *n)
{
    struct addr a;
    if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_MULTICAST) == 0 || *n == GROUP_INTERFACES_MAX)
        return;
    if (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6)
        return;
    struct sockaddr_storage s = {0};
    memcpy(&s, i->ifa_addr, i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    if (net_addr_of(&s, &a) != ERR_OK || a.family != cfg->group.family || is_link_local(&a))
        return;
    if (cfg->device != NULL && strcmp(cfg->device, i->ifa_name) != 0)
        return;
    if (cfg->from.family != ADDR_NONE && !addr_is_any(&cfg->from) && !addr_same_ip(&cfg->from, &a))
        return;
    const unsigned index = if_nametoindex(i->ifa_name);
    for (uint32_t k = 0; k < *n; k++)
        if (all[k].index == index)
            return;
    if (index != 0)
        all[(*n)++] = (struct interface){index, a};
}

static uint32_t interfaces(const struct group_config *cfg, struct interface all[GROUP_INTERFACES_MAX])
{
    uint32_t n = 0;
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return 0;
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
        consider(i, cfg, all, &n);
    freeifaddrs(list);
    return n;
}

static struct ip_mreqn request_v4(const struct group_config *cfg, const struct interface *i)
{
    struct ip_mreqn r = {.imr_ifindex = (int)i->index};
    memcpy(&r.imr_multiaddr, cfg->group.ip, 4);
    memcpy(&r.imr_address, i->addr.ip, 4);
    return r;
}

uint32_t group_join(int fd, const struct group_config *cfg)
{
    struct interface all[GROUP_INTERFACES_MAX];
    const uint32_t n = interfaces(cfg, all);
    for (uint32_t i = 0; i < n; i++) {                  // EADDRINUSE: we have
        if (cfg->group.family == ADDR_IPV4) {
            const struct ip_mreqn r = request_v4(cfg, &all[i]);
            (void)setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof r);
        } else {
            struct ipv6_mreq r = {.ipv6mr_interface = all[i].index};
            memcpy(&r.ipv6mr_multiaddr, cfg->group.ip, 16);
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &r, sizeof r);
        }
    }
    return n;
}

void group_send(int fd, const struct group_config *cfg, struct slice data)
{
    struct interface all[GROUP_INTERFACES_MAX];
    struct sockaddr_storage to;
    const socklen_t to_len = net_sockaddr(&cfg->group, &to);
    const uint32_t n = interfaces(cfg, all);
    for (uint32_t i = 0; i < n; i++) {
        const struct ip_mreqn r = request_v4(cfg, &all[i]);
        const int index = (int)all[i].index;
        const int failed = cfg->group.family == ADDR_IPV4 ? setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &r, sizeof r)
                                                          : setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
        if (failed == 0)
            (void)sendto(fd, data.p, data.n, MSG_DONTWAIT, (struct sockaddr *)&to, to_len);
    }
}
