// Hash requests and answers: parts of a file's tree with a proof that they belong to its root. BEP 52, messages 21 to 23.
//
// Layer 0 are the leaves (SHA-256 of 16 KiB), the root is layer `height`. An answer brings `length` nodes of the base layer and
// behind them the uncles that lead to the root, from the bottom up; the first log2(length) - 1 proof layers follow from the nodes
// themselves, so they are counted in `proofs` and not sent.
#pragma once
#include "base/bytes.h"
#include "crypto/hash.h"

enum {
    HASH_REQUEST_LEN = 48,              // bytes of a request or reject behind the message id, and of an answer's head
    HASH_REQUEST_NODES_MAX = 512,       // BEP 52
    HASH_TREE_HEIGHT_MAX = 40,
};

struct hash_request {
    uint8_t root[SHA256_LEN];           // names the file
    uint32_t base, index, length, proofs;
};

// The height of a tree over so many leaves (or nodes of a layer), 1 or more: the smallest h with 2^h >= n.
uint32_t hash_tree_height(uint64_t n);
// What BEP 52 allows, for a tree of that height. Length 1 is not allowed: libtorrent's proofs for it are wrong.
bool hash_request_is_legal(const struct hash_request *r, uint32_t height);
// Hashes of the proof that an answer brings.
uint32_t hash_request_uncles(const struct hash_request *r);
// ERR_PROTOCOL: not HASH_REQUEST_LEN bytes or more.
MUST_USE enum err hash_request_parse(struct hash_request *out, struct slice payload);
bool hash_request_eq(const struct hash_request *a, const struct hash_request *b);
// A whole message of HASH_REQUEST_LEN + 5 bytes: id MSG_HASH_REQUEST or MSG_HASH_REJECT.
void hash_request_write(struct wr *w, uint8_t id, const struct hash_request *r);
// The head of an answer with n hashes, which follow.
void hash_answer_write(struct wr *w, const struct hash_request *r, uint32_t n);
// Are these the nodes and the whole proof? Only for requests whose proof goes up to the root (proofs == height - base - 1).
bool hash_answer_is_right(const struct hash_request *r, uint32_t height, struct slice hashes);
