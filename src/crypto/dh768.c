// Modular powers on OpenSSL's numbers: see dh768.h.
#include "crypto/dh768.h"

#include <openssl/bn.h>

static const uint8_t PRIME[DH768_LEN] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc9, 0x0f, 0xda, 0xa2, 0x21, 0x68, 0xc2, 0x34, 0xc4, 0xc6, 0x62, 0x8b,
    0x80, 0xdc, 0x1c, 0xd1, 0x29, 0x02, 0x4e, 0x08, 0x8a, 0x67, 0xcc, 0x74, 0x02, 0x0b, 0xbe, 0xa6, 0x3b, 0x13, 0x9b, 0x22,
    0x51, 0x4a, 0x08, 0x79, 0x8e, 0x34, 0x04, 0xdd, 0xef, 0x95, 0x19, 0xb3, 0xcd, 0x3a, 0x43, 0x1b, 0x30, 0x2b, 0x0a, 0x6d,
    0xf2, 0x5f, 0x14, 0x37, 0x4f, 0xe1, 0x35, 0x6d, 0x6d, 0x51, 0xc2, 0x45, 0xe4, 0x85, 0xb5, 0x76, 0x62, 0x5e, 0x7e, 0xc6,
    0xf4, 0x4c, 0x42, 0xe9, 0xa6, 0x3a, 0x36, 0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x05, 0x63,
};

static enum err power(const uint8_t base[DH768_LEN], const uint8_t private_key[DH768_PRIVATE_LEN], uint8_t out[DH768_LEN])
{
    BN_CTX *const ctx = BN_CTX_new();
    BIGNUM *const b = BN_bin2bn(base, DH768_LEN, NULL), *const e = BN_bin2bn(private_key, DH768_PRIVATE_LEN, NULL);
    BIGNUM *const p = BN_bin2bn(PRIME, DH768_LEN, NULL), *const r = BN_new();
    bool done = ctx != NULL && b != NULL && e != NULL && p != NULL && r != NULL;
    done = done && BN_mod_exp_mont_consttime(r, b, e, p, ctx, NULL) == 1 && BN_bn2binpad(r, out, DH768_LEN) == DH768_LEN;
    BN_clear_free(r);
    BN_free(p);
    BN_clear_free(e);
    BN_free(b);
    BN_CTX_free(ctx);
    return done ? ERR_OK : ERR_NOMEM;
}

enum err dh768_public(const uint8_t private_key[DH768_PRIVATE_LEN], uint8_t out[DH768_LEN])
{
    const uint8_t two[DH768_LEN] = {[DH768_LEN - 1] = 2};
    return power(two, private_key, out);
}

enum err dh768_secret(const uint8_t private_key[DH768_PRIVATE_LEN], const uint8_t theirs[DH768_LEN], uint8_t out[DH768_LEN])
{
    static const uint8_t one[DH768_LEN] = {[DH768_LEN - 1] = 1};
    uint8_t last[DH768_LEN];            // p - 1
    memcpy(last, PRIME, DH768_LEN);
    last[DH768_LEN - 1]--;
    if (memcmp(theirs, one, DH768_LEN) <= 0 || memcmp(theirs, last, DH768_LEN) >= 0)
        return ERR_RANGE;
    return power(theirs, private_key, out);
}
