// BEP 52's tree of one file, built from its leaves in order with a few KiB of memory, whatever the file's size.
#pragma once
#include "base/bytes.h"
#include "crypto/hash.h"

enum {
    MERKLE_LEAF_LEN = 16384,            // bytes of the file in one leaf; the last may be shorter and is hashed as it is
    MERKLE_LEVELS_MAX = 50,
};

// Plain data. Missing leaves count as 32 zero bytes.
struct merkle_builder {
    uint64_t leaves_n, leaves_want;
    uint32_t piece_level;               // 2^piece_level leaves make a node of the piece layer
    bool has_layer;                     // the file is longer than a piece
    uint8_t node[MERKLE_LEVELS_MAX][SHA256_LEN];    // node[i] waits for its right neighbour if bit i of leaves_n is set
};

// len: bytes of the file, > 0. piece_len: a power of two >= MERKLE_LEAF_LEN.
void merkle_builder_init(struct merkle_builder *m, uint64_t len, uint32_t piece_len);
// The SHA-256 of the next 16 KiB of the file. Appends to `layer` when that completes a node of the piece layer; files
// of at most one piece have none.
void merkle_builder_add(struct merkle_builder *m, const uint8_t leaf[SHA256_LEN], struct wr *layer);
// After the last leaf: appends the last node of the piece layer and gives the root.
void merkle_builder_finish(struct merkle_builder *m, struct wr *layer, uint8_t root[SHA256_LEN]);
// The root of n >= 1 nodes of a piece layer, 32 bytes each; as merkle_root(), but nothing is overwritten.
void merkle_layer_root(const uint8_t *layer, uint64_t n, uint32_t piece_len, uint8_t root[SHA256_LEN]);
