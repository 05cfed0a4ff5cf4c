// SipHash-2-4, names as in the paper.
#include "base/siphash.h"

static uint64_t rotl(uint64_t v, unsigned b) { return v << b | v >> (64 - b); }

struct sip {
    uint64_t v0, v1, v2, v3;
};

static void sip_round(struct sip *s)
{
    s->v0 += s->v1; s->v1 = rotl(s->v1, 13); s->v1 ^= s->v0; s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3; s->v3 = rotl(s->v3, 16); s->v3 ^= s->v2;
    s->v0 += s->v3; s->v3 = rotl(s->v3, 21); s->v3 ^= s->v0;
    s->v2 += s->v1; s->v1 = rotl(s->v1, 17); s->v1 ^= s->v2; s->v2 = rotl(s->v2, 32);
}

uint64_t siphash(const uint64_t key[2], struct slice data)
{
    struct sip s = {
        key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
        key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573,
    };
    for (size_t i = 0; i <= data.n / 8; i++) {
        const size_t left = size_min(8, data.n - 8 * i);
        uint64_t m = left < 8 ? (uint64_t)(data.n & 255) << 56 : 0;
        for (size_t k = 0; k < left; k++)
            m |= (uint64_t)data.p[8 * i + k] << (8 * k);
        s.v3 ^= m;
        sip_round(&s);
        sip_round(&s);
        s.v0 ^= m;
    }
    s.v2 ^= 255;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
