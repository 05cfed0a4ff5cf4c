// SHA-1 and SHA-256 on OpenSSL's low-level functions, and BEP 52's trees on those.
#define OPENSSL_SUPPRESS_DEPRECATED     // the EVP interface allocates for each digest
#include "crypto/hash.h"

#include <openssl/sha.h>

static_assert(sizeof(SHA_CTX) <= SHA1_STATE_LEN, "struct sha1 holds OpenSSL's state");
static_assert(sizeof(SHA256_CTX) <= SHA256_STATE_LEN, "struct sha256 holds OpenSSL's state");

void sha1_init(struct sha1 *h) { SHA1_Init((SHA_CTX *)(void *)h->state); }
void sha1_update(struct sha1 *h, struct slice data) { SHA1_Update((SHA_CTX *)(void *)h->state, data.p, data.n); }
void sha1_final(struct sha1 *h, uint8_t out[SHA1_LEN]) { SHA1_Final(out, (SHA_CTX *)(void *)h->state); }

void sha1_of(struct slice data, uint8_t out[SHA1_LEN])
{
    struct sha1 h;
    sha1_init(&h);
    sha1_update(&h, data);
    sha1_final(&h, out);
}

void sha256_init(struct sha256 *h) { SHA256_Init((SHA256_CTX *)(void *)h->state); }
void sha256_update(struct sha256 *h, struct slice data) { SHA256_Update((SHA256_CTX *)(void *)h->state, data.p, data.n); }
void sha256_final(struct sha256 *h, uint8_t out[SHA256_LEN]) { SHA256_Final(out, (SHA256_CTX *)(void *)h->state); }

void sha256_of(struct slice data, uint8_t out[SHA256_LEN])
{
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, data);
    sha256_final(&h, out);
}

void sha256_pair(const uint8_t left[SHA256_LEN], const uint8_t right[SHA256_LEN], uint8_t out[SHA256_LEN])
{
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, slice_of(left, SHA256_LEN));
    sha256_update(&h, slice_of(right, SHA256_LEN));
    sha256_final(&h, out);
}

void merkle_pad(uint64_t width, uint8_t out[SHA256_LEN])
{
    ASSERT(width != 0);
    ASSERT((width & (width - 1)) == 0);
    memset(out, 0, SHA256_LEN);
    for (; width > 1; width /= 2)
        sha256_pair(out, out, out);
}

void merkle_root(uint8_t (*nodes)[SHA256_LEN], uint64_t n, uint64_t width, const uint8_t pad[SHA256_LEN], uint8_t out[SHA256_LEN])
{
    ASSERT(n >= 1);
    ASSERT(width >= n);
    ASSERT((width & (width - 1)) == 0);
    uint8_t fill[SHA256_LEN];
    memcpy(fill, pad, SHA256_LEN);
    for (; width > 1; width /= 2) {
        for (uint64_t i = 0; i < n; i += 2)
            sha256_pair(nodes[i], i + 1 < n ? nodes[i + 1] : fill, nodes[i / 2]);
        n = (n + 1) / 2;
        sha256_pair(fill, fill, fill);
    }
    memcpy(out, nodes[0], SHA256_LEN);
}
