// Names to addresses: by the system's resolver, or, bound to a network device, by one of ours whose questions leave through
// that device and nowhere else (getaddrinfo cannot be bound). Blocks: for a worker, or before anything runs.
#pragma once
#include "plat/resolve.h"

enum { NAMES_SERVERS_MAX = 3, NAMES_TRIES = 2, NAMES_WAIT_MS = 2000 };

// As resolve_name. device NULL: the system's resolver. Otherwise the name servers of /etc/resolv.conf are asked through the
// device, over UDP, IPv4 and IPv6 at once; numeric addresses ask nobody; /etc/hosts is not looked at. ERR_UNREACHABLE: the
// device is gone, or no name server answers through it.
MUST_USE enum err names_resolve(const char *device, struct slice name, struct addr out[RESOLVE_ADDRS_MAX], uint32_t *out_n);
// Why a name has no address, for people.
const char *names_why(enum err e);
