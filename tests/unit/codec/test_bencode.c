// Bencoding: the cursor against published verdicts, the writer, limits, truncation. BEP 3.
#include "codec/bencode.h"

#include "vectors.h"

static const char *error_name(enum bencode_error e)
{
    switch (e) {
    case BENCODE_OK: return "ok";
    case BENCODE_EOF: return "unexpected_eof";
    case BENCODE_WANT_DIGIT: return "expected_digit";
    case BENCODE_WANT_COLON: return "expected_colon";
    case BENCODE_WANT_VALUE: return "expected_value";
    case BENCODE_OVERFLOW: return "overflow";
    case BENCODE_NEGATIVE_ZERO: return "invalid";
    case BENCODE_TOO_DEEP: return "depth_exceeded";
    case BENCODE_TOO_BIG: return "limit_exceeded";
    case BENCODE_NOT_CANONICAL: return "invalid";
    }
    return "?";
}

static const struct {
    uint32_t flag;
    const char *text;
} soft_names[] = {
    {BENCODE_UNSORTED, "unsorted dictionary key"},
    {BENCODE_DUPLICATE, "duplicate dictionary key"},
    {BENCODE_ZERO_INT, "leading zero in integer"},
    {BENCODE_ZERO_LEN, "leading zero in string length"},
};

static void assert_soft(uint32_t soft, const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(soft_names); i++)
        if (strcmp(soft_names[i].text, text) == 0)
            assert_true((soft & soft_names[i].flag) != 0);
}

// The value that comes next is this one.
static void assert_value(struct bencode *b, const json_t *v)
{
    struct slice text;
    int64_t number = 0;
    size_t i;
    const char *key;
    json_t *item;
    if (json_is_integer(v)) {
        assert_true(bencode_int(b, &number));
        assert_int_equal(number, json_integer_value(v));
    } else if (json_is_string(v)) {
        assert_true(bencode_str(b, &text));
        assert_slice(text, json_string_value(v));
    } else if (json_is_array(v)) {
        assert_true(bencode_list(b));
        json_array_foreach(v, i, item) {
            assert_true(bencode_more(b));
            assert_value(b, item);
        }
        assert_false(bencode_more(b));
    } else {
        assert_true(bencode_dict(b));
        json_object_foreach((json_t *)(uintptr_t)v, key, item) {
            assert_true(bencode_key(b, &text));
            assert_slice(text, key);
            assert_value(b, item);
        }
        assert_false(bencode_key(b, &text));
    }
    assert_int_equal(b->error, BENCODE_OK);
}

// libtorrent's tests of its limits give it a length far beyond the bytes; ours is looked at before any byte is.
static size_t given_length(const json_t *c, size_t n)
{
    const char *error = json_text(c, "expect_error");
    return error != NULL && strcmp(error, "limit_exceeded") == 0 ? 0x3fffffff : n;
}

static struct slice copy_of(const char *text)
{
    const size_t n = strlen(text);
    return slice_of(memcpy(malloc(n + 1), text, n + 1), n);
}

static void check_case(const json_t *c)
{
    const char *name = json_text(c, "name"), *error = json_text(c, "expect_error"), *soft = json_text(c, "soft_error");
    struct slice bytes = {0};
    if (json_object_get(c, "input_hex") != NULL)
        bytes = json_hex(json_object_get(c, "input_hex"));
    else
        bytes = copy_of(json_text(c, "input_text"));
    struct bencode b;
    const bool from_bep = strncmp(name, "bep3_", 5) == 0;
    bencode_init(&b, slice_of(bytes.p, given_length(c, bytes.n)), from_bep ? BENCODE_STRICT : BENCODE_LENIENT);
    const bool ok = bencode_check(&b);
    if (ok != (error == NULL))
        fail_msg("%s: %s", name, error_name(b.error));
    if (error != NULL)
        assert_string_equal(error_name(b.error), error);
    if (json_object_get(c, "error_pos") != NULL)
        assert_int_equal(b.error_at, json_integer_value(json_object_get(c, "error_pos")));
    if (soft != NULL)
        assert_soft(b.soft, soft);
    if (json_object_get(c, "no_soft_error") != NULL)
        assert_int_equal(b.soft, 0);
    if (ok) {
        assert_int_equal(b.at, bytes.n);
        const uint32_t found = b.soft, found_at = b.soft_at;
        bencode_init(&b, bytes, BENCODE_STRICT);
        assert_int_equal(bencode_check(&b), found == 0);
        if (found != 0) {
            assert_int_equal(b.error, BENCODE_NOT_CANONICAL);
            assert_int_equal(b.error_at, found_at);
        }
    }
    bencode_init(&b, bytes, BENCODE_LENIENT);
    if (json_object_get(c, "value") != NULL)
        assert_value(&b, json_object_get(c, "value"));
    if (json_object_get(c, "int_value") != NULL)
        assert_value(&b, json_object_get(c, "int_value"));
    for (size_t n = 0; ok && n < bytes.n; n++) {
        bencode_init(&b, slice_of(bytes.p, n), BENCODE_LENIENT);
        assert_false(bencode_check(&b));
        assert_true(b.error == BENCODE_EOF || b.error == BENCODE_WANT_COLON);
    }
    free((void *)(uintptr_t)bytes.p);
}

// Without this we would refuse torrents that others load, or read another number than they do.
static void published(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("bep03_bencode.json");
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c)
        check_case(c);
    assert_int_equal(i, 55);
    json_array_foreach(json_object_get(root, "must_not_crash_seeds"), i, c) {
        const struct slice bytes = json_hex(json_object_get(c, "hex"));
        struct bencode b;
        bencode_init(&b, bytes, BENCODE_LENIENT);
        (void)bencode_check(&b);
        free((void *)(uintptr_t)bytes.p);
    }
    assert_int_equal(i, 19);
    json_decref(root);
}

static enum bencode_error check_text(const char *text, uint32_t strict)
{
    struct bencode b;
    bencode_init(&b, slice_str(text), strict);
    (void)bencode_check(&b);
    return b.error;
}

// Numbers at the edge of 64 bits: a wrap would make a huge length out of a small one.
static void integers(void **state)
{
    UNUSED_STATE(state);
    int64_t v = 0;
    assert_true(bencode_raw_int(SLICE_LIT("i9223372036854775807e"), &v));
    assert_true(v == INT64_MAX);
    assert_true(bencode_raw_int(SLICE_LIT("i-9223372036854775808e"), &v));
    assert_true(v == INT64_MIN);
    assert_int_equal(check_text("i9223372036854775808e", 0), BENCODE_OVERFLOW);
    assert_int_equal(check_text("i-9223372036854775809e", 0), BENCODE_OVERFLOW);
    assert_int_equal(check_text("i99999999999999999999999999999999999999e", 0), BENCODE_OVERFLOW);
    assert_int_equal(check_text("i-0e", 0), BENCODE_NEGATIVE_ZERO);
    assert_int_equal(check_text("i-03e", BENCODE_NORMAL), BENCODE_NOT_CANONICAL);
    assert_int_equal(check_text("i-03e", BENCODE_LENIENT), BENCODE_OK);
    assert_int_equal(check_text("i+3e", 0), BENCODE_WANT_DIGIT);
    assert_int_equal(check_text("99999999999:x", 0), BENCODE_EOF);
    assert_false(bencode_raw_int(SLICE_LIT("3:abc"), &v));
    assert_false(bencode_raw_int((struct slice){0}, &v));
    assert_true(v == INT64_MIN);
}

// Without the limits a few kilobytes of 'l' or a file of empty strings would cost us the stack or minutes.
static void limits(void **state)
{
    UNUSED_STATE(state);
    char deep[2 * BENCODE_DEPTH_MAX + 3] = {0};
    memset(deep, 'l', BENCODE_DEPTH_MAX);
    memset(deep + BENCODE_DEPTH_MAX, 'e', BENCODE_DEPTH_MAX);
    assert_int_equal(check_text(deep, 0), BENCODE_OK);
    memset(deep, 'l', BENCODE_DEPTH_MAX + 1);
    memset(deep + BENCODE_DEPTH_MAX + 1, 'e', BENCODE_DEPTH_MAX + 1);
    assert_int_equal(check_text(deep, 0), BENCODE_TOO_DEEP);

    const size_t n = 2 * (size_t)BENCODE_TOKENS_MAX + 2;
    uint8_t *many = malloc(n);
    many[0] = 'l';
    for (size_t i = 1; i + 1 < n; i += 2)
        memcpy(many + i, "0:", 2);
    many[n - 3] = 'e';
    struct bencode b;
    bencode_init(&b, slice_of(many, n), 0);
    assert_true(bencode_check(&b));
    assert_int_equal(b.tokens, BENCODE_TOKENS_MAX);
    many[n - 3] = '0';
    many[n - 1] = 'e';
    bencode_init(&b, slice_of(many, n), 0);
    assert_false(bencode_check(&b));
    assert_int_equal(b.error, BENCODE_TOO_BIG);
    free(many);
}

// A walk skips what it does not want, and other types than it expects, without losing its place.
static void walking(void **state)
{
    UNUSED_STATE(state);
    const struct slice in = SLICE_LIT("d1:ai1e1:bl1:x2:yyi7ee1:cd1:k1:ve1:d4:teste trailing");
    struct bencode b;
    struct slice key, text = {0};
    int64_t number = 5;
    bencode_init(&b, in, BENCODE_STRICT);
    assert_true(bencode_dict(&b));
    assert_true(bencode_key(&b, &key));
    assert_false(bencode_str(&b, &text));
    assert_true(bencode_key(&b, &key));
    assert_slice(key, "b");
    assert_false(bencode_int(&b, &number));
    assert_int_equal(number, 5);
    assert_true(bencode_key(&b, &key));
    assert_slice(bencode_raw(&b), "d1:k1:ve");
    assert_true(bencode_key(&b, &key));
    assert_true(bencode_str(&b, &text));
    assert_slice(text, "test");
    assert_false(bencode_key(&b, &key));
    assert_int_equal(b.error, BENCODE_OK);
    assert_slice(slice_sub(in, b.at, in.n), " trailing");

    struct bencode_field fields[] = {{.key = "d"}, {.key = "b"}, {.key = "none"}};
    assert_true(bencode_fields(in, fields, 3));
    assert_slice(fields[0].raw, "4:test");
    assert_slice(fields[1].raw, "l1:x2:yyi7ee");
    assert_int_equal(fields[2].raw.n, 0);
    assert_true(bencode_raw_str(fields[0].raw, &text));
    assert_false(bencode_raw_str(fields[1].raw, &text));
    assert_true(bencode_fields(SLICE_LIT("d1:di1e1:di2ee"), fields, 1));
    assert_slice(fields[0].raw, "i1e");
    assert_false(bencode_fields(SLICE_LIT("l1:de"), fields, 1));
}

// What we write is what everybody hashes: it must be canonical.
static void writing(void **state)
{
    UNUSED_STATE(state);
    const char *expect = "d0:le1:ai-5e2:aa3:abc4:dictd1:xi0ee4:listl1:qi9eee";
    uint8_t space[64];
    for (size_t cap = 0; cap <= sizeof space; cap++) {
        struct buf buf = {space, 0, cap};
        struct wr w = wr_make(&buf);
        struct bencode_out o;
        bencode_out_init(&o, &w);
        bencode_put_dict(&o);
        bencode_put_key_list(&o, "");
        bencode_put_end(&o);
        bencode_put_key_int(&o, "a", -5);
        bencode_put_key_str(&o, "aa", SLICE_LIT("abc"));
        bencode_put_key_dict(&o, "dict");
        bencode_put_key_int(&o, "x", 0);
        bencode_put_end(&o);
        bencode_put_key_list(&o, "list");
        bencode_put_raw(&o, SLICE_LIT("1:q"));
        bencode_put_int(&o, 9);
        bencode_put_end(&o);
        bencode_put_end(&o);
        assert_int_equal(w.ok, cap >= strlen(expect));
        if (w.ok)
            assert_slice(buf_slice(&buf), expect);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(integers),
        cmocka_unit_test(limits),
        cmocka_unit_test(walking),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
