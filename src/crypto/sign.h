// Signatures: Ed25519 (RFC 8032). Deterministic: nothing is drawn, the caller brings the seed.
#pragma once
#include "base/bytes.h"

enum { SIGN_PUBLIC_LEN = 32, SIGN_SECRET_LEN = 64, SIGN_SEED_LEN = 32, SIGN_LEN = 64 };

// The key pair of a seed of SIGN_SEED_LEN random bytes. Wipe `secret` (sign_wipe) when it is not needed any more.
void sign_key(const uint8_t seed[SIGN_SEED_LEN], uint8_t public_key[SIGN_PUBLIC_LEN], uint8_t secret[SIGN_SECRET_LEN]);
void sign_make(const uint8_t secret[SIGN_SECRET_LEN], struct slice message, uint8_t out[SIGN_LEN]);
// Whether `sig` is the key's signature of the message.
bool sign_verify(const uint8_t public_key[SIGN_PUBLIC_LEN], struct slice message, const uint8_t sig[SIGN_LEN]);
// Overwrites what must not stay in memory.
void sign_wipe(void *p, size_t n);
