// Ports of the host: listening for streams, datagrams, and the proxy that all of them go through if there is one.
#pragma once
#include "app/host.h"
#include "base/addr.h"
#include "codec/socks5.h"
#include "engine/node/node.h"

struct udp;                             // plat/net.h
struct watch;                           // plat/loop.h

enum {
    HOST_ACCEPTS = 64,                  // of one turn and listener
};

// Where all streams go first, and all datagrams of NODE_PORT_PEER.
struct proxy {
    bool on, said;                      // said: that it does not serve us
    uint32_t open_n;                    // streams through it
    struct addr addr;
    char user[SOCKS5_TEXT_MAX + 1], password[SOCKS5_TEXT_MAX + 1];
};

struct listener {
    struct host *h;
    enum node_port port;
    int fd;
    struct watch *watch;
};

struct socket_udp {
    struct host *h;
    enum node_port port;
    uint8_t family;
    struct udp *udp;
    struct watch *watch;
    int fd;                             // of udp
};

MUST_USE enum err net_open(struct host *h, char why[HOST_WHY_MAX]);
bool net_can_map(const struct host *h);  // there may be a router to ask
// After accepting had to stop for want of descriptors.
void net_listen_again(struct host *h);
// The device went away or came back: what was bound to it is bound anew.
void net_watch_device(struct host *h);
void net_close(struct host *h);
void net_flush_udp(struct host *h);
void net_datagram(struct host *h, const struct node_out *o);

// host_relay.c: datagrams through the proxy
MUST_USE enum err relay_new(struct host *h);    // with the node there; relay_free also after a failure
void relay_free(struct host *h);
void relay_stop(struct host *h);        // until relay_restart: the way to the proxy is gone
void relay_restart(struct host *h);
void relay_doubt(struct host *h);       // is the proxy still there? Soon it is asked, and when it is back, all peers are due
void relay_send(struct host *h, const struct node_out *o);      // drops what cannot go through the proxy
void relay_flush(struct host *h);
// An address to send to whom the proxy shall find by name. ERR_UNREACHABLE: it relays nothing now; ERR_SYNTAX, ERR_FULL, ERR_NOMEM.
MUST_USE enum err relay_name(struct host *h, struct slice name, struct addr *out);
