// Ed25519 on libsodium: see sign.h.
#include "crypto/sign.h"

#include <sodium.h>

static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == SIGN_PUBLIC_LEN, "public key");
static_assert(crypto_sign_ed25519_SECRETKEYBYTES == SIGN_SECRET_LEN, "secret key");
static_assert(crypto_sign_ed25519_SEEDBYTES == SIGN_SEED_LEN, "seed");
static_assert(crypto_sign_ed25519_BYTES == SIGN_LEN, "signature");

void sign_key(const uint8_t seed[SIGN_SEED_LEN], uint8_t public_key[SIGN_PUBLIC_LEN], uint8_t secret[SIGN_SECRET_LEN])
{
    const int status = crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    ASSERT(status == 0);
}

void sign_make(const uint8_t secret[SIGN_SECRET_LEN], struct slice message, uint8_t out[SIGN_LEN])
{
    const int status = crypto_sign_ed25519_detached(out, NULL, message.p, message.n, secret);
    ASSERT(status == 0);
}

bool sign_verify(const uint8_t public_key[SIGN_PUBLIC_LEN], struct slice message, const uint8_t sig[SIGN_LEN])
{
    return crypto_sign_ed25519_verify_detached(sig, message.p, message.n, public_key) == 0;
}

void sign_wipe(void *p, size_t n) { sodium_memzero(p, n); }
