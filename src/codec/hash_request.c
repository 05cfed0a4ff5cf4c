// Hash requests: see hash_request.h. BEP 52; measured answers in bep52_hash_wire.json.
#include "codec/hash_request.h"

#include "codec/peerwire.h"

uint32_t hash_tree_height(uint64_t n)
{
    ASSERT(n != 0);
    uint32_t h = 0;
    while (((uint64_t)1 << h) < n)
        h++;
    return h;
}

bool hash_request_is_legal(const struct hash_request *r, uint32_t height)
{
    ASSERT(height <= HASH_TREE_HEIGHT_MAX);
    if (r->base >= height || r->length < 2 || r->length > HASH_REQUEST_NODES_MAX || (r->length & (r->length - 1)) != 0)
        return false;
    const uint64_t width = (uint64_t)1 << (height - r->base);
    return r->index % r->length == 0 && (uint64_t)r->index + r->length <= width && r->proofs <= height - r->base - 1;
}

uint32_t hash_request_uncles(const struct hash_request *r)
{
    const uint32_t implied = hash_tree_height(r->length) - 1;
    return r->proofs > implied ? r->proofs - implied : 0;
}

enum err hash_request_parse(struct hash_request *out, struct slice payload)
{
    struct rd r = rd_make(payload);
    struct hash_request q = {0};
    rd_copy(&r, q.root, sizeof q.root);
    q.base = rd_be32(&r);
    q.index = rd_be32(&r);
    q.length = rd_be32(&r);
    q.proofs = rd_be32(&r);
    if (!r.ok)
        return ERR_PROTOCOL;
    *out = q;
    return ERR_OK;
}

bool hash_request_eq(const struct hash_request *a, const struct hash_request *b)
{
    return memcmp(a->root, b->root, sizeof a->root) == 0 && a->base == b->base && a->index == b->index && a->length == b->length &&
           a->proofs == b->proofs;
}

static void write_head(struct wr *w, uint8_t id, const struct hash_request *r, uint32_t n)
{
    if (buf_room(w->b) < 5 + HASH_REQUEST_LEN) {
        w->ok = false;
        return;
    }
    wr_be32(w, 1 + HASH_REQUEST_LEN + n * SHA256_LEN);
    wr_u8(w, id);
    wr_bytes(w, slice_of(r->root, sizeof r->root));
    wr_be32(w, r->base);
    wr_be32(w, r->index);
    wr_be32(w, r->length);
    wr_be32(w, r->proofs);
}

void hash_request_write(struct wr *w, uint8_t id, const struct hash_request *r)
{
    ASSERT(id == MSG_HASH_REQUEST || id == MSG_HASH_REJECT);
    write_head(w, id, r, 0);
}

void hash_answer_write(struct wr *w, const struct hash_request *r, uint32_t n)
{
    ASSERT(n <= HASHES_MAX);
    write_head(w, MSG_HASHES, r, n);
}

bool hash_answer_is_right(const struct hash_request *r, uint32_t height, struct slice hashes)
{
    ASSERT(hash_request_is_legal(r, height));
    ASSERT(r->proofs == height - r->base - 1);
    uint8_t nodes[HASH_REQUEST_NODES_MAX][SHA256_LEN], node[SHA256_LEN];
    const uint32_t uncles = hash_request_uncles(r);
    if (hashes.n != ((size_t)r->length + uncles) * SHA256_LEN)
        return false;
    memcpy(nodes, hashes.p, (size_t)r->length * SHA256_LEN);
    const uint8_t zero[SHA256_LEN] = {0};
    merkle_root(nodes, r->length, r->length, zero, node);
    uint32_t at = r->index >> hash_tree_height(r->length);
    for (uint32_t i = 0; i < uncles; i++, at /= 2) {
        const uint8_t *uncle = slice_sub(hashes, ((size_t)r->length + i) * SHA256_LEN, SHA256_LEN).p;
        if (at % 2 == 0)
            sha256_pair(node, uncle, node);
        else
            sha256_pair(uncle, node, node);
    }
    return memcmp(node, r->root, SHA256_LEN) == 0;
}
