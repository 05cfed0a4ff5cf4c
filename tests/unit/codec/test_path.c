// File names from strangers: published cases, and no byte string gets out of the folder.
#include "codec/path.h"

#include "codec/utf8.h"
#include "vectors.h"

static void check_case(const json_t *c)
{
    uint8_t space[4096];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(c, "elements_hex"), i, e) {
        struct slice part = json_hex(e);
        const uint8_t *nul = memchr(part.p, 0, part.n);
        const size_t n = nul != NULL ? (size_t)(nul - part.p) : part.n;     // the source's test ends strings there
        (void)path_add(&w, slice_of(part.p, n), json_is_true(json_object_get(c, "force_element")) ? PATH_DOTS_REPLACE : PATH_DOTS_DROP);
        assert_true(w.ok);
        free((void *)(uintptr_t)part.p);
    }
    const struct slice expect = json_hex(json_object_get(c, "expect_hex"));
    if (!slice_eq(buf_slice(&b), expect))
        fail_msg("%s: \"%.*s\" in place of \"%s\"", json_text(c, "test"), (int)b.n, (char *)b.p, json_text(c, "expect_text"));
    assert_true(path_is_safe(buf_slice(&b)));
    free((void *)(uintptr_t)expect.p);
}

// Without this a torrent could write outside its folder, or other programs' names for its files would differ from ours.
static void published(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("path_sanitize.json");
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c)
        check_case(c);
    assert_int_equal(i, 59);
    // Transmission refuses what it would have to change; of these only its control character, "." and ".."
    json_array_foreach(json_object_get(root, "transmission_is_subpath_sanitized_posix"), i, c)
        assert_int_equal(path_is_safe(slice_str(json_string_value(json_array_get(c, 0)))), json_is_true(json_array_get(c, 1)));
    assert_int_equal(i, 18);
    json_decref(root);
}

// Any two bytes between any two others: always safe, never longer than the limit.
static void all_bytes(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[PATH_PART_MAX];
    for (uint32_t v = 0; v < 1 << 16; v++) {
        const uint8_t raw[4] = {'.', (uint8_t)(v >> 8), (uint8_t)v, '.'};
        for (size_t from = 0; from < 2; from++) {
            struct buf b = {space, 0, sizeof space};
            struct wr w = wr_make(&b);
            assert_true(path_add(&w, slice_of(raw + from, 4 - 2 * from), PATH_DOTS_REPLACE));
            assert_true(path_is_safe(buf_slice(&b)));
        }
    }
}

static void long_parts(void **state)
{
    UNUSED_STATE(state);
    uint8_t raw[600], space[PATH_PART_MAX];
    memset(raw, 'a', sizeof raw);
    for (size_t n = 230; n < sizeof raw; n++) {
        for (size_t dot = n - 12; dot < n; dot++) {
            raw[dot] = '.';
            struct buf b = {space, 0, sizeof space};
            struct wr w = wr_make(&b);
            assert_true(path_add(&w, slice_of(raw, n), PATH_DOTS_DROP));
            assert_true(b.n <= 255);
            if (n > PATH_PART_CUT + 12 && dot > n - PATH_EXTENSION_MAX) {
                assert_int_equal(b.n, PATH_PART_CUT + n - dot);
                assert_int_equal(space[PATH_PART_CUT], '.');
            }
            raw[dot] = 'a';
        }
    }
}

static void helpers(void **state)
{
    UNUSED_STATE(state);
    assert_int_equal(path_extension_at(slice_str("a/b.txt")), 3);
    assert_int_equal(path_extension_at(slice_str("a.d/b")), 5);
    assert_int_equal(path_extension_at(slice_str("a/.hidden")), 9);
    assert_int_equal(path_extension_at(slice_str(".hidden")), 7);
    assert_int_equal(path_extension_at(slice_str("x.")), 1);
    assert_int_equal(path_extension_at((struct slice){0}), 0);
    assert_slice(path_parent(slice_str("a/b/c")), "a/b");
    assert_int_equal(path_parent(slice_str("a")).n, 0);
    assert_true(path_cmp(slice_str("a/b"), slice_str("a.b")) < 0);
    assert_true(path_cmp(slice_str("a"), slice_str("a/b")) < 0);
    assert_true(path_cmp(slice_str("b"), slice_str("a/b")) > 0);
    assert_int_equal(path_cmp(slice_str("a/b"), slice_str("a/b")), 0);
    static const char *const bad[] = {"", "/a", "a/", "a//b", "a/./b", "../a", "a\\b", "a\tb", "\xff", "a/..", "\xe2\x80\xae", ".."};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(path_is_safe(slice_str(bad[i])));
    assert_true(path_is_safe(slice_str("a/..b/c..")));
    uint8_t name[] = "c:a:b";
    struct buf b = {name, 5, 5};
    path_replace_colons(&b, 2);
    assert_string_equal(name, "c:a_b");
}

// Sequences at the edges of RFC 3629's table.
static void utf8(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *text;
        int32_t c;
        size_t n;
    } cases[] = {
        {"a", 'a', 1}, {"\xc2\x80", 0x80, 2}, {"\xdf\xbf", 0x7ff, 2}, {"\xe0\xa0\x80", 0x800, 3}, {"\xef\xbf\xbf", 0xffff, 3},
        {"\xf0\x90\x80\x80", 0x10000, 4}, {"\xf4\x8f\xbf\xbf", 0x10ffff, 4}, {"\xed\x9f\xbf", 0xd7ff, 3}, {"\xee\x80\x80", 0xe000, 3},
        {"\xf4\x90\x80\x80", -1, 4}, {"\xed\xa0\x80", -1, 3}, {"\xc1\xbf", -1, 2}, {"\xe0\x9f\xbf", -1, 3}, {"\xf0\x8f\xbf\xbf", -1, 4},
        {"\x80", -1, 1}, {"\xbf\xbf", -1, 1}, {"\xfe", -1, 1}, {"\xff\x80", -1, 1}, {"\xe2\x80g", -1, 2}, {"\xc2g", -1, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = 0;
        assert_int_equal(utf8_next(slice_str(cases[i].text), &n), cases[i].c);
        assert_int_equal(n, cases[i].n);
        assert_int_equal(utf8_valid(slice_of(cases[i].text, n)), cases[i].c >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(all_bytes),
        cmocka_unit_test(long_parts),
        cmocka_unit_test(helpers),
        cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
