// The Diffie-Hellman exchange of MSE/PE: a prime of 768 bits (RFC 2409 section 6.1), generator 2, exponents of 160 bits.
#pragma once
#include "base/bytes.h"

enum { DH768_LEN = 96, DH768_PRIVATE_LEN = 20 };

// 2^private mod p, big-endian, leading zeros kept. ERR_NOMEM.
MUST_USE enum err dh768_public(const uint8_t private_key[DH768_PRIVATE_LEN], uint8_t out[DH768_LEN]);
// theirs^private mod p. ERR_RANGE: a degenerate key, one of 0, 1, p-1, p and above; ERR_NOMEM.
MUST_USE enum err dh768_secret(const uint8_t private_key[DH768_PRIVATE_LEN], const uint8_t theirs[DH768_LEN], uint8_t out[DH768_LEN]);
