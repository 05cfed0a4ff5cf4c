// BEP 52's tree, from its leaves in order: see merkle.h.
#include "codec/merkle.h"

static uint32_t level_of(uint64_t leaves)
{
    uint32_t level = 0;
    for (; leaves > 1; leaves /= 2)
        level++;
    return level;
}

void merkle_builder_init(struct merkle_builder *m, uint64_t len, uint32_t piece_len)
{
    ASSERT(len > 0);
    ASSERT(piece_len >= MERKLE_LEAF_LEN);
    ASSERT((piece_len & (piece_len - 1)) == 0);
    *m = (struct merkle_builder){
        .leaves_want = u64_div_up(len, MERKLE_LEAF_LEN),
        .piece_level = level_of(piece_len / MERKLE_LEAF_LEN),
        .has_layer = len > piece_len,
    };
}

// A binary counter: node[i] is the root of a whole subtree of 2^i leaves. Adds one of `level` to it; those below are 0.
static void push(struct merkle_builder *m, uint32_t level, const uint8_t node[SHA256_LEN], struct wr *layer)
{
    uint8_t carry[SHA256_LEN];
    memcpy(carry, node, SHA256_LEN);
    for (;; level++) {
        ASSERT(level < MERKLE_LEVELS_MAX);
        if (level == m->piece_level && m->has_layer && layer != NULL)
            wr_bytes(layer, slice_of(carry, SHA256_LEN));
        const uint64_t bit = (uint64_t)1 << level;
        if ((m->leaves_n & bit) == 0) {
            memcpy(m->node[level], carry, SHA256_LEN);
            m->leaves_n |= bit;
            return;
        }
        sha256_pair(m->node[level], carry, carry);
        m->leaves_n &= ~bit;
    }
}

void merkle_builder_add(struct merkle_builder *m, const uint8_t leaf[SHA256_LEN], struct wr *layer)
{
    ASSERT(m->leaves_n < m->leaves_want);
    push(m, 0, leaf, layer);
}

// Fills up with padding, each time a subtree as big as the smallest waiting one, until one node is left.
static void fold(struct merkle_builder *m, struct wr *layer, uint8_t root[SHA256_LEN])
{
    ASSERT(m->leaves_n > 0);
    uint8_t pad[SHA256_LEN] = {0};      // the root of 2^level missing leaves
    uint32_t level = 0;
    while ((m->leaves_n & (m->leaves_n - 1)) != 0) {
        if ((m->leaves_n >> level & 1) != 0) {
            push(m, level, pad, level < m->piece_level ? layer : NULL);
        } else {
            sha256_pair(pad, pad, pad);
            level++;
        }
    }
    memcpy(root, m->node[level_of(m->leaves_n)], SHA256_LEN);
}

void merkle_builder_finish(struct merkle_builder *m, struct wr *layer, uint8_t root[SHA256_LEN])
{
    ASSERT(m->leaves_n == m->leaves_want);
    fold(m, layer, root);
}

void merkle_layer_root(const uint8_t *layer, uint64_t n, uint32_t piece_len, uint8_t root[SHA256_LEN])
{
    ASSERT(n >= 1);
    ASSERT(n < (uint64_t)1 << 32);
    struct merkle_builder m;
    merkle_builder_init(&m, piece_len, piece_len);
    for (uint64_t i = 0; i < n; i++)
        push(&m, m.piece_level, layer + i * SHA256_LEN, NULL);
    fold(&m, NULL, root);
}
