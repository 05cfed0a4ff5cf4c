// BEP 52's trees: roots and piece layers of the reference creator, two ways.
#include "codec/merkle.h"

#include "content.h"

static void check_file(const json_t *f, const uint8_t *content)
{
    const uint64_t len = (uint64_t)json_integer_value(json_object_get(f, "length"));
    const uint32_t piece_len = (uint32_t)json_integer_value(json_object_get(f, "piece_length"));
    const json_t *layer = json_object_get(f, "piece_layer");
    if (len == 0) {
        assert_true(json_is_null(json_object_get(f, "pieces_root")));
        return;
    }
    const uint64_t leaves = u64_div_up(len, MERKLE_LEAF_LEN), nodes = json_array_size(layer);
    uint8_t(*leaf)[32] = malloc((size_t)leaves * 32), root[32];
    struct merkle_builder m;
    struct buf b = {malloc((size_t)nodes * 32 + 1), 0, (size_t)nodes * 32};
    struct wr w = wr_make(&b);
    merkle_builder_init(&m, len, piece_len);
    for (uint64_t i = 0; i < leaves; i++) {
        content_leaf(content, len, i, leaf[i]);
        merkle_builder_add(&m, leaf[i], &w);
    }
    merkle_builder_finish(&m, &w, root);
    assert_true(w.ok);
    assert_hex(root, 32, json_text(f, "pieces_root"));
    assert_int_equal(b.n, nodes * 32);
    for (size_t i = 0; i < nodes; i++)
        assert_hex(b.p + i * 32, 32, json_string_value(json_array_get(layer, i)));
    if (nodes > 0) {
        merkle_layer_root(b.p, nodes, piece_len, root);
        assert_hex(root, 32, json_text(f, "pieces_root"));
        uint8_t pad[32];
        merkle_pad(piece_len / MERKLE_LEAF_LEN, pad);
        uint64_t width = 1;
        while (width < nodes)
            width *= 2;
        merkle_root((uint8_t(*)[32])b.p, nodes, width, pad, root);
        assert_hex(root, 32, json_text(f, "pieces_root"));
    }
    const uint8_t zero[32] = {0};
    uint64_t width = 1;
    while (width < leaves)
        width *= 2;
    merkle_root(leaf, leaves, width, zero, root);
    assert_hex(root, 32, json_text(f, "pieces_root"));
    free(b.p);
    free(leaf);
}

// Without this our v2 torrents would have roots that no other program can verify.
static void published(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("bep52_merkle.json");
    size_t i, longest = 0;
    json_t *f;
    const json_t *files = json_object_get(root, "files");
    json_array_foreach(files, i, f) {
        const size_t n = (size_t)json_integer_value(json_object_get(f, "length"));
        longest = n > longest ? n : longest;
    }
    uint8_t *content = malloc(longest + 1);
    content_fill(content, longest);
    json_array_foreach(files, i, f)
        check_file(f, content);
    assert_int_equal(i, 36);
    free(content);
    json_decref(root);
}

// Every shape of a small tree: the builder agrees with the plain way.
static void all_shapes(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t leaves = 1; leaves <= 70; leaves++) {
        for (uint32_t piece_len = MERKLE_LEAF_LEN; piece_len <= 16 * MERKLE_LEAF_LEN; piece_len *= 2) {
            const uint64_t per_piece = piece_len / MERKLE_LEAF_LEN, len = leaves * MERKLE_LEAF_LEN - 1;
            uint8_t leaf[70][32], layer[70 * 32], root[32], expect[32], node[32];
            const uint8_t zero[32] = {0};
            struct buf b = {layer, 0, sizeof layer};
            struct wr w = wr_make(&b);
            struct merkle_builder m;
            merkle_builder_init(&m, len, piece_len);
            for (uint64_t i = 0; i < leaves; i++) {
                memset(leaf[i], (int)i + 1, 32);
                merkle_builder_add(&m, leaf[i], &w);
            }
            merkle_builder_finish(&m, &w, root);
            assert_true(w.ok);
            assert_int_equal(b.n, leaves > per_piece ? (leaves + per_piece - 1) / per_piece * 32 : 0);
            for (uint64_t i = 0; i < b.n / 32; i++) {
                uint8_t copy[16][32];
                const uint64_t n = u64_min(per_piece, leaves - i * per_piece);
                memcpy(copy, leaf[i * per_piece], (size_t)n * 32);
                merkle_root(copy, n, per_piece, zero, node);
                assert_memory_equal(layer + i * 32, node, 32);
            }
            uint64_t width = 1;
            while (width < leaves)
                width *= 2;
            merkle_root(leaf, leaves, width, zero, expect);
            assert_memory_equal(root, expect, 32);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(all_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
