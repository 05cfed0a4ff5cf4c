// See peer_priority.h. BEP 40.
//
// For IPv6 libtorrent keeps one byte more than the BEP; we follow the BEP, as Transmission does. Of an order that peers need
// not agree on this is no harm.
#include "codec/peer_priority.h"

#include "base/crc32c.h"

enum { KEPT_IPV4 = 2, KEPT_IPV6 = 6, MASK = 0x55 };    // bytes that count whole, at least; of the others every second bit does

static uint32_t of_ports(uint16_t a, uint16_t b)
{
    uint8_t bytes[4];
    struct buf out = {bytes, 0, sizeof bytes};
    struct wr w = wr_make(&out);
    wr_be16(&w, a < b ? a : b);
    wr_be16(&w, a < b ? b : a);
    return crc32c(buf_slice(&out));
}

uint32_t peer_priority(const struct addr *a, const struct addr *b)
{
    ASSERT(a->family == b->family);
    if (addr_same_ip(a, b))
        return of_ports(a->port, b->port);
    const struct addr *const low = addr_cmp(a, b) < 0 ? a : b, *const high = low == a ? b : a;
    const uint32_t n = (uint32_t)addr_ip_len(a);
    uint32_t kept = 0;
    while (a->ip[kept] == b->ip[kept])
        kept++;
    kept = u32_max(kept + 1, n == 4 ? KEPT_IPV4 : KEPT_IPV6);
    uint8_t bytes[32];
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t mask = i < kept ? 0xff : MASK;
        bytes[i] = low->ip[i] & mask;
        bytes[n + i] = high->ip[i] & mask;
    }
    return crc32c(slice_of(bytes, (size_t)2 * n));
}
