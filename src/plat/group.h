// A multicast group of the local network: joined on every interface that can, datagrams sent to each.
#pragma once
#include "base/addr.h"

enum { GROUP_INTERFACES_MAX = 32 };     // more are left alone

struct group_config {
    struct addr group;                  // with its port
    struct addr from;                   // only the interface that has this address, and as the source; family ADDR_NONE or any: all
    const char *device;                 // only this one; NULL: all
};

// A bound socket that other programs can share the port with; the caller closes it. ERR_UNSUPPORTED: no such family here;
// ERR_EXISTS: the port is in use by a program that does not share it; ERR_NOT_FOUND: no such device; ERR_ACCESS; ERR_FULL.
MUST_USE enum err group_open(const struct group_config *cfg, int *out_fd);
// Joins on interfaces that have come since; how many there are. IPv6 interfaces with link-local addresses alone do not count:
// nobody could use those addresses.
uint32_t group_join(int fd, const struct group_config *cfg);
// Once to each interface; what the kernel refuses is lost, as any datagram may be.
void group_send(int fd, const struct group_config *cfg, struct slice data);
