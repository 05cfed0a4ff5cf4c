// The allowed-fast set: see allowed_fast.h. BEP 6, "Allowed Fast Set Generation".
#include "codec/allowed_fast.h"

#include "crypto/hash.h"

static bool holds(const uint32_t *set, uint32_t n, uint32_t piece)
{
    for (uint32_t i = 0; i < n; i++)
        if (set[i] == piece)
            return true;
    return false;
}

uint32_t allowed_fast_set(const struct addr *ip, const uint8_t info_hash[20], uint32_t n_pieces, uint32_t k,
                          uint32_t out[ALLOWED_FAST_MAX])
{
    ASSERT(k <= ALLOWED_FAST_MAX);
    if (ip->family != ADDR_IPV4)
        return 0;
    if (n_pieces <= k) {                // all of them; the walk below would take long for the last ones
        for (uint32_t i = 0; i < n_pieces; i++)
            out[i] = i;
        return n_pieces;
    }
    uint8_t seed[4 + 20] = {ip->ip[0], ip->ip[1], ip->ip[2], 0};    // the last byte is masked: one set for each /24
    memcpy(seed + 4, info_hash, 20);
    uint8_t x[SHA1_LEN];
    sha1_of(slice_of(seed, sizeof seed), x);
    uint32_t n = 0;
    while (n < k) {
        struct rd r = rd_make(slice_of(x, sizeof x));
        for (int i = 0; i < 5 && n < k; i++) {
            const uint32_t piece = rd_be32(&r) % n_pieces;
            if (!holds(out, n, piece))
                out[n++] = piece;
        }
        sha1_of(slice_of(x, sizeof x), x);
    }
    return n;
}
