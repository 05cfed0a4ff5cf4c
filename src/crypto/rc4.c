// RC4 on OpenSSL's low-level functions: see rc4.h.
#define OPENSSL_SUPPRESS_DEPRECATED     // the EVP interface allocates, and hides RC4 in a provider of its own
#include "crypto/rc4.h"

#include <openssl/rc4.h>

static_assert(sizeof(RC4_KEY) <= RC4_STATE_LEN, "struct rc4 holds OpenSSL's state");

void rc4_init(struct rc4 *r, struct slice key) { RC4_set_key((RC4_KEY *)(void *)r->state, (int)key.n, key.p); }

void rc4_skip(struct rc4 *r, size_t n)
{
    uint8_t none[256] = {0};
    for (size_t k = 0; n > 0; n -= k) {
        k = size_min(n, sizeof none);
        rc4_crypt(r, (struct span){none, k});
    }
}

void rc4_crypt(struct rc4 *r, struct span data) { RC4((RC4_KEY *)(void *)r->state, data.n, data.p, data.p); }
