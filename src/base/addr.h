// A transport address: IPv4 or IPv6, with a port.
#pragma once
#include "base/bytes.h"

enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

// ip is in network order; IPv4 uses its first 4 bytes and the rest is zero. An IPv4-mapped IPv6 address is
// turned into IPv4 by whoever makes it (addr_ipv6).
struct addr {
    uint8_t family;                     // enum addr_family
    uint8_t ip[16];
    uint16_t port;                      // host order
};

enum { ADDR_TEXT_MAX = 56 };            // "[…]:65535" and its NUL

struct addr addr_ipv4(const uint8_t ip[4], uint16_t port);
struct addr addr_ipv6(const uint8_t ip[16], uint16_t port);
// 4 or 16.
size_t addr_ip_len(const struct addr *a);
static inline struct slice addr_ip(const struct addr *a) { return slice_of(a->ip, addr_ip_len(a)); }
bool addr_eq(const struct addr *a, const struct addr *b);
// Equal but for the port.
bool addr_same_ip(const struct addr *a, const struct addr *b);
// Total order: family, ip, port.
int addr_cmp(const struct addr *a, const struct addr *b);
// "1.2.3.4:80", "[::1]:80", or without a port (then default_port). No names. ERR_SYNTAX.
MUST_USE enum err addr_parse(struct slice text, uint16_t default_port, struct addr *out);
// Writes "1.2.3.4:80" or "[::1]:80" (RFC 5952), or only the IP; returns out.
char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);
char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX]);

bool addr_is_loopback(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
// Nobody has it: IPv4 240.0.0.0/4 (RFC 1112 section 4), with the broadcast. A host makes addresses of these for names that it may not look up.
bool addr_is_reserved(const struct addr *a);
bool addr_is_any(const struct addr *a);
// Private, link-local, unique-local or loopback: not routed on the internet (RFC 1918, 3927, 4193, 6598).
bool addr_is_local(const struct addr *a);
