// Digests. The only users of OpenSSL's low-level calls: no allocation, no error path.
#pragma once
#include "base/bytes.h"

enum { SHA1_LEN = 20, SHA256_LEN = 32, SHA1_STATE_LEN = 104, SHA256_STATE_LEN = 120 };

// A running SHA-1 (FIPS 180-4). Plain data: may be copied and moved.
struct sha1 {
    alignas(8) uint8_t state[SHA1_STATE_LEN];
};

void sha1_init(struct sha1 *h);
void sha1_update(struct sha1 *h, struct slice data);
// Leaves h unusable until sha1_init.
void sha1_final(struct sha1 *h, uint8_t out[SHA1_LEN]);
void sha1_of(struct slice data, uint8_t out[SHA1_LEN]);

// Whether this processor hashes two streams at a time faster than one after the other. Slow: ask once.
bool sha1_two_fast(void);
// The same as sha1_update of a, then of b. fast: what sha1_two_fast said. Pays where both slices are of like length and both
// states have seen whole 64-byte chunks so far.
void sha1_update_two(bool fast, struct sha1 *a, struct slice a_data, struct sha1 *b, struct slice b_data);

// A running SHA-256 (FIPS 180-4). Plain data.
struct sha256 {
    alignas(8) uint8_t state[SHA256_STATE_LEN];
};

void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, struct slice data);
void sha256_final(struct sha256 *h, uint8_t out[SHA256_LEN]);
void sha256_of(struct slice data, uint8_t out[SHA256_LEN]);
// SHA-256 of left then right: an inner node of a BEP 52 tree.
void sha256_pair(const uint8_t left[SHA256_LEN], const uint8_t right[SHA256_LEN], uint8_t out[SHA256_LEN]);

// The root of a BEP 52 tree over n leaves padded on the right with `pad` to `width` (a power of two >= n, n >= 1).
// `nodes` holds the n leaves and is overwritten.
void merkle_root(uint8_t (*nodes)[SHA256_LEN], uint64_t n, uint64_t width, const uint8_t pad[SHA256_LEN], uint8_t out[SHA256_LEN]);
// The digest of a subtree of `width` (a power of two) leaves that are all 32 zero bytes, the padding of BEP 52.
void merkle_pad(uint64_t width, uint8_t out[SHA256_LEN]);
