// Ports: listening for streams, and datagrams in batches.
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "app/host_conn.h"
#include "app/host_net.h"
#include "app/host_parts.h"
#include "codec/lsd.h"
#include "codec/pcp.h"

static void on_accept(void *ctx, unsigned ready)
{
    struct listener *l = ctx;
    (void)ready;
    for (int i = 0; i < HOST_ACCEPTS; i++) {
        int fd = -1;
        struct addr from;
        const enum err e = net_accept(l->fd, &fd, &from);
        if (e == ERR_AGAIN)
            return;
        if (e == ERR_FULL || e == ERR_NOMEM) {
            // Level-triggered: without a pause this would spin. The once-a-second call listens again.
            watch_set(l->watch, 0);
            return;
        }
        if (e != ERR_OK)
            continue;                   // that one went away before it was accepted
        if (l->h->stats.conns >= HOST_CONNS_MAX)
            (void)close(fd);
        else
            conn_adopt(l->h, fd, l->port, &from);
    }
}

static void on_datagrams(void *ctx, unsigned ready)
{
    struct socket_udp *s = ctx;
    struct host *h = s->h;
    (void)ready;
    struct udp_datagram in[UDP_BATCH];
    for (int i = 0; i < HOST_READS; i++) {
        bool more = false;
        const uint32_t n = udp_receive(s->udp, in, &more);
        for (uint32_t k = 0; k < n; k++) {
            const size_t len = in[k].segment == 0 ? in[k].data.n : in[k].segment;
            size_t at = 0;
            do {                        // a train is one piece of news: one answer
                node_datagram(h->node, loop_now(h->loop), s->port, &in[k].from, slice_sub(in[k].data, at, len));
                at += len;
            } while (at < in[k].data.n);
            host_turn_node(h);
        }
        if (!more)
            return;
    }
}

static struct group_config group_of(const struct host *h, enum node_port port, enum addr_family family)
{
    static const uint8_t all_hosts[4] = {224, 0, 0, 1};
    const struct addr group = port == NODE_PORT_LSD ? lsd_group(family) : addr_ipv4(all_hosts, PCP_NEWS_PORT);
    return (struct group_config){.group = group, .from = h->from, .device = h->device[0] != 0 ? h->device : NULL};
}

// Interfaces may have come since the last time.
static void send_to_group(const struct socket_udp *s, const struct node_out *o)
{
    const struct group_config g = group_of(s->h, s->port, (enum addr_family)s->family);
    (void)group_join(s->fd, &g);
    group_send(s->fd, &g, o->bytes);
}

void net_datagram(struct host *h, const struct node_out *o)
{
    if (h->proxy.on && o->port == NODE_PORT_PEER) {
        relay_send(h, o);               // never around it
        return;
    }
    for (uint32_t i = 0; i < h->udps_n; i++) {
        if (h->udps[i].port == o->port && h->udps[i].family == o->addr.family) {
            if (o->port == NODE_PORT_LSD) {
                send_to_group(&h->udps[i], o);
                return;
            }
            udp_queue(h->udps[i].udp, &o->addr, o->bytes, o->segment);
            return;
        }
    }
}

void net_flush_udp(struct host *h)
{
    for (uint32_t i = 0; i < h->udps_n; i++)
        udp_flush(h->udps[i].udp);
    relay_flush(h);
}

static enum err add_listener(struct host *h, enum node_port port, const struct addr *at, uint16_t *out_port)
{
    ASSERT(h->listeners_n < ARRAY_LEN(h->listeners));
    struct listener *l = &h->listeners[h->listeners_n];
    struct addr bound;
    int fd = -1;
    enum err e = net_listen(at, h->device[0] != 0 ? h->device : NULL, &fd, &bound);
    if (e != ERR_OK)
        return e;
    if (port == NODE_PORT_TRACKER)
        net_defer_accept(fd);
    *l = (struct listener){.h = h, .port = port, .fd = fd};
    e = watch_new(&l->watch, h->loop, fd, on_accept, l);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    watch_set(l->watch, WATCH_READ);
    h->listeners_n++;
    *out_port = bound.port;
    return ERR_OK;
}

// fd becomes its own, also on failure. ERR_NOMEM.
static enum err add_socket(struct host *h, enum node_port port, uint8_t family, int fd)
{
    ASSERT(h->udps_n < ARRAY_LEN(h->udps));
    struct socket_udp *s = &h->udps[h->udps_n];
    *s = (struct socket_udp){.h = h, .port = port, .family = family, .fd = fd};
    enum err e = udp_new(&s->udp, fd, port == NODE_PORT_PEER);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    e = watch_new(&s->watch, h->loop, fd, on_datagrams, s);
    if (e != ERR_OK) {
        udp_free(s->udp);
        return e;
    }
    watch_set(s->watch, WATCH_READ);
    h->udps_n++;
    return ERR_OK;
}

static enum err add_udp(struct host *h, enum node_port port, const struct addr *at, uint16_t *out_port)
{
    struct addr bound;
    int fd = -1;
    enum err e = net_udp(at, h->device[0] != 0 ? h->device : NULL, &fd, &bound);
    if (e == ERR_OK)
        e = add_socket(h, port, at->family, fd);
    if (e == ERR_OK)
        *out_port = bound.port;
    return e;
}

// A help, not a need: what does not work here is done without. True: the family's group is joined.
static bool add_group(struct host *h, enum node_port port, enum addr_family family)
{
    const struct group_config g = group_of(h, port, family);
    int fd = -1;
    if (h->from.family != ADDR_NONE && h->from.family != family)
        return false;
    enum err e = group_open(&g, &fd);
    if (e == ERR_OK)
        e = add_socket(h, port, (uint8_t)family, fd);
    if (e != ERR_OK) {
        log_line(&h->log, LOG_DEBUG, "no group for %s over IPv%d: %s", port == NODE_PORT_LSD ? "local discovery" : "news of the router",
            (int)family, err_text(e));
        return false;
    }
    (void)group_join(fd, &g);
    return true;
}

static void cut_back(struct host *h, uint32_t listeners_n, uint32_t udps_n)
{
    while (h->listeners_n > listeners_n) {
        struct listener *l = &h->listeners[--h->listeners_n];
        watch_free(l->watch);
        (void)close(l->fd);
    }
    while (h->udps_n > udps_n) {
        struct socket_udp *s = &h->udps[--h->udps_n];
        watch_free(s->watch);
        udp_free(s->udp);
    }
}

// One port number in every family that this machine has. *out_port: 0 as input means any.
enum { OPEN_TCP = 1, OPEN_UDP = 2 };

static enum err open_families(struct host *h, enum node_port port, unsigned what, uint16_t *out_port)
{
    static const uint8_t FAMILIES[2] = {ADDR_IPV4, ADDR_IPV6};
    const uint32_t listeners_n = h->listeners_n, udps_n = h->udps_n;
    uint16_t number = *out_port;
    enum err missing = ERR_UNSUPPORTED;
    for (size_t i = 0; i < 2; i++) {
        if (h->from.family != ADDR_NONE && h->from.family != FAMILIES[i])
            continue;
        struct addr at = h->from.family != ADDR_NONE ? h->from : (struct addr){.family = FAMILIES[i]};
        at.port = number;
        enum err e = ERR_OK;
        if ((what & OPEN_TCP) != 0) {
            e = add_listener(h, port, &at, &number);
            at.port = number;
        }
        if (e == ERR_OK && (what & OPEN_UDP) != 0)
            e = add_udp(h, port, &at, &number);
        // A machine without IPv6 (or IPv4) is fine, if the address was not asked for.
        if (h->from.family == ADDR_NONE && (e == ERR_UNSUPPORTED || e == ERR_UNREACHABLE))
            continue;
        if (e != ERR_OK) {
            cut_back(h, listeners_n, udps_n);
            return e;
        }
        missing = ERR_OK;
    }
    if (missing == ERR_OK)
        *out_port = number;
    return missing;
}

static enum err explain(enum err e, const char *what, uint16_t from, uint16_t to, char why[HOST_WHY_MAX])
{
    char ports[32];
    if (to > from)
        (void)snprintf(ports, sizeof ports, "ports %u-%u", from, to);
    else
        (void)snprintf(ports, sizeof ports, "port %u", from);
    if (e == ERR_EXISTS)
        (void)snprintf(why, HOST_WHY_MAX, "%s (%s) %s in use by another program", ports, what, to > from ? "are all" : "is");
    else if (e == ERR_ACCESS)
        (void)snprintf(why, HOST_WHY_MAX, "%s (%s): not permitted", ports, what);
    else if (e == ERR_UNREACHABLE)
        (void)snprintf(why, HOST_WHY_MAX, "the address to listen on does not belong to this machine");
    else
        (void)snprintf(why, HOST_WHY_MAX, "%s (%s): %s", ports, what, err_text(e));
    return e;
}

static enum err open_peer(struct host *h, char why[HOST_WHY_MAX])
{
    enum { ANY_TRIES = 16 };            // a free TCP port may be taken as UDP
    const uint16_t first = h->cfg.port, last = h->cfg.port_last > first && first != 0 ? h->cfg.port_last : first;
    enum err e = ERR_OK;
    for (uint32_t i = 0; first == 0 ? i < ANY_TRIES : i <= (uint32_t)(last - first); i++) {
        h->port = (uint16_t)(first == 0 ? 0 : first + i);
        e = open_families(h, NODE_PORT_PEER, (h->cfg.node.no_tcp ? 0u : OPEN_TCP) | OPEN_UDP, &h->port);
        if (e != ERR_EXISTS)
            break;
    }
    return e == ERR_OK ? ERR_OK : explain(e, "TCP and UDP", first, last, why);
}

// Nobody outside reaches a loopback address; and the libraries' sockets cannot be bound to a device.
bool net_can_map(const struct host *h)
{
    return h->cfg.node.map_ports && !addr_is_loopback(&h->from) && h->from.family != ADDR_IPV6 && h->device[0] == 0 && !h->proxy.on;
}

enum err net_open(struct host *h, char why[HOST_WHY_MAX])
{
    const struct host_config *cfg = &h->cfg;
    if (h->device[0] != 0) {
        h->device_index = if_nametoindex(h->device);
        if (h->device_index == 0) {
            (void)snprintf(why, HOST_WHY_MAX, "there is no network device %s", h->device);
            return ERR_NOT_FOUND;
        }
    }
    // Peers cannot come to us through a proxy, and without one they are not to come.
    if (h->proxy.on) {
        h->port = cfg->port;
    } else if (!cfg->peer_closed) {
        const enum err e = open_peer(h, why);
        if (e != ERR_OK)
            return e;
    }
    if (cfg->node.lsd.on && h->port != 0 && !h->proxy.on) {
        h->cfg.node.lsd.ipv4 = add_group(h, NODE_PORT_LSD, ADDR_IPV4);
        h->cfg.node.lsd.ipv6 = add_group(h, NODE_PORT_LSD, ADDR_IPV6);
    }
    if (net_can_map(h))
        (void)add_group(h, NODE_PORT_ROUTER, ADDR_IPV4);
    if (cfg->tracker_http_port != 0 || cfg->tracker_any_port) {
        h->tracker_http = cfg->tracker_http_port;
        const enum err e = open_families(h, NODE_PORT_TRACKER, OPEN_TCP, &h->tracker_http);
        if (e != ERR_OK)
            return explain(e, "TCP", cfg->tracker_http_port, 0, why);
    }
    if (cfg->tracker_udp_port != 0 || cfg->tracker_any_port) {
        h->tracker_udp = cfg->tracker_udp_port;
        const enum err e = open_families(h, NODE_PORT_TRACKER, OPEN_UDP, &h->tracker_udp);
        if (e != ERR_OK)
            return explain(e, "UDP", cfg->tracker_udp_port, 0, why);
    }
    return ERR_OK;
}

// Sockets are bound to a number, and a device that comes back has another one. While it is away nothing leaves at all.
void net_watch_device(struct host *h)
{
    char why[HOST_WHY_MAX];
    const unsigned index = h->device[0] == 0 ? 0 : if_nametoindex(h->device);
    if (index == h->device_index)
        return;
    if (index == 0) {
        log_line(&h->log, LOG_WARNING, "the network device %s is gone: nothing is sent until it is back", h->device);
        h->device_index = 0;
        cut_back(h, 0, 0);
        relay_stop(h);
        conn_fail_all(h, ERR_UNREACHABLE);
        host_turn_node(h);
        return;
    }
    cut_back(h, 0, 0);
    h->cfg.port = h->port;              // peers know it
    h->cfg.port_last = 0;
    if (net_open(h, why) != ERR_OK) {
        h->device_index = 0;            // not ready: again in a second
        return;
    }
    log_line(&h->log, LOG_WARNING, "the network device %s is back", h->device);
    relay_restart(h);
    conn_fail_all(h, ERR_UNREACHABLE);
    node_network_changed(h->node, loop_now(h->loop));
    host_turn_node(h);
}

void net_listen_again(struct host *h)
{
    for (uint32_t i = 0; i < h->listeners_n; i++)
        watch_set(h->listeners[i].watch, WATCH_READ);
}

void net_close(struct host *h)
{
    cut_back(h, 0, 0);
    relay_free(h);
}
