// See node_id.h. BEP 5 (distance), BEP 42 (secure ids).
//
// BEP 42's text speaks of hashing a 64-bit integer for IPv4; its code and vectors hash the 4 masked bytes, and so do we.
#include "codec/node_id.h"

#include "base/crc32c.h"

enum { SEED_BITS = 3 };

// The CRC whose top 21 bits an id must begin with; r: the low three bits of the id's last byte.
static uint32_t address_crc(const struct addr *a, uint8_t r)
{
    static const uint8_t MASK_V4[4] = {0x03, 0x0f, 0x3f, 0xff}, MASK_V6[8] = {0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff};
    const uint8_t *const mask = a->family == ADDR_IPV4 ? MASK_V4 : MASK_V6;
    const size_t n = a->family == ADDR_IPV4 ? sizeof MASK_V4 : sizeof MASK_V6;
    uint8_t ip[8] = {0};
    for (size_t i = 0; i < n; i++)
        ip[i] = a->ip[i] & mask[i];
    ip[0] = (uint8_t)(ip[0] | (r & 7) << (8 - SEED_BITS));
    return crc32c(slice_of(ip, n));
}

static bool exempt(const struct addr *a) { return a->family == ADDR_NONE || addr_is_local(a); }

void node_id_make(const struct addr *a, struct rng *rng, uint8_t out[NODE_ID_LEN])
{
    rng_bytes(rng, out, NODE_ID_LEN);
    if (exempt(a))
        return;
    const uint32_t crc = address_crc(a, out[NODE_ID_LEN - 1]);
    out[0] = (uint8_t)(crc >> 24);
    out[1] = (uint8_t)(crc >> 16);
    out[2] = (uint8_t)((crc >> 8 & 0xf8) | (out[2] & 7));
}

bool node_id_fits(const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    if (exempt(a))
        return true;
    const uint32_t crc = address_crc(a, id[NODE_ID_LEN - 1]);
    return id[0] == (uint8_t)(crc >> 24) && id[1] == (uint8_t)(crc >> 16) && (id[2] & 0xf8) == (crc >> 8 & 0xf8);
}

uint32_t node_id_prefix(const uint8_t a[NODE_ID_LEN], const uint8_t b[NODE_ID_LEN])
{
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        uint8_t x = a[i] ^ b[i];
        if (x == 0)
            continue;
        uint32_t n = 8 * i;
        for (; (x & 0x80) == 0; x = (uint8_t)(x << 1))
            n++;
        return n;
    }
    return NODE_ID_BITS;
}

int node_id_nearer(const uint8_t target[NODE_ID_LEN], const uint8_t a[NODE_ID_LEN], const uint8_t b[NODE_ID_LEN])
{
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        const uint8_t x = a[i] ^ target[i], y = b[i] ^ target[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}
