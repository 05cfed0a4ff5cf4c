// RC4, which MSE/PE wants. It hides, it does not protect: nothing else here uses it.
#pragma once
#include "base/bytes.h"

enum { RC4_STATE_LEN = 1032 };

// A running key stream. Plain data: may be copied and moved.
struct rc4 {
    alignas(8) uint8_t state[RC4_STATE_LEN];
};

void rc4_init(struct rc4 *r, struct slice key);
// Moves the key stream on by n bytes.
void rc4_skip(struct rc4 *r, size_t n);
// Encrypts or decrypts in place.
void rc4_crypt(struct rc4 *r, struct span data);
