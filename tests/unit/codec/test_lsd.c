// Local discovery's datagrams. The example is BEP 14's layout; none is published.
#include "test.h"

#include "codec/lsd.h"

#define HASH "0123456789ABCDEF0123456789ABCDEF01234567"

static const char example[] = "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: " HASH
                              "\r\ncookie: 1a2b3c4d\r\n\r\n\r\n";

static void the_example_is_read_and_written(void **state)
{
    UNUSED_STATE(state);
    static const uint8_t hash[LSD_HASH_LEN] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
                                               0xef, 0x01, 0x23, 0x45, 0x67};
    struct lsd_message m;
    assert_int_equal(lsd_parse(&m, slice_str(example)), ERR_OK);
    assert_int_equal(m.port, 6881);
    assert_int_equal(m.hashes_n, 1);
    assert_memory_equal(m.hashes[0], hash, LSD_HASH_LEN);
    assert_true(slice_eq_str(m.cookie, "1a2b3c4d"));
    uint8_t space[LSD_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    lsd_write(&w, ADDR_IPV4, &m);
    assert_int_equal(b.n, sizeof example - 1);
    for (size_t i = 0; i < b.n; i++)    // but for the case of hex digits
        assert_int_equal(b.p[i] | 0x20, (uint8_t)example[i] | 0x20);
    b.n = 0;
    lsd_write(&w, ADDR_IPV6, &m);
    assert_true(slice_starts(buf_slice(&b), "BT-SEARCH * HTTP/1.1\r\nHost: [ff15::efc0:988f]:6771\r\n"));
}

static void as_many_hashes_as_fit(void **state)
{
    UNUSED_STATE(state);
    struct lsd_message m = {.port = 65535, .cookie = SLICE_LIT("01234567890123456789012345678901"), .hashes_n = LSD_HASHES_MAX}, back;
    for (uint32_t i = 0; i < LSD_HASHES_MAX; i++)
        memset(m.hashes[i], (int)i, LSD_HASH_LEN);
    uint8_t space[LSD_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    lsd_write(&w, ADDR_IPV6, &m);
    assert_true(w.ok);
    assert_int_equal(lsd_parse(&back, buf_slice(&b)), ERR_OK);
    assert_int_equal(back.hashes_n, LSD_HASHES_MAX);
    assert_memory_equal(back.hashes, m.hashes, sizeof m.hashes);
    for (size_t n = 0; n < b.n; n++) {  // cut anywhere: what is whole counts
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, b.p, n);
        if (lsd_parse(&back, slice_of(copy, n)) == ERR_OK)
            assert_true(back.hashes_n >= 1 && back.hashes_n <= LSD_HASHES_MAX);
        free(copy);
    }
}

static void odd_forms(void **state)
{
    UNUSED_STATE(state);
    struct lsd_message m;
    // As other programs write it: names in any case, no blank, no end.
    assert_int_equal(lsd_parse(&m, SLICE_LIT("BT-SEARCH * HTTP/1.1\nPORT:80 \nINFOHASH:" HASH "\nInfohash: nonsense\nInfoHash: " HASH)), ERR_OK);
    assert_int_equal(m.port, 80);
    assert_int_equal(m.hashes_n, 2);
    assert_int_equal(m.cookie.n, 0);
    static const char *const bad[] = {
        "", "\n", "BT-SEARCH * HTTP/1.1", "M-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " HASH "\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nInfohash: " HASH "\r\n\r\n", "BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: " HASH "\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 70000\r\nInfohash: " HASH "\r\n\r\n", "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: 12\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\nInfohash: " HASH "\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(lsd_parse(&m, slice_str(bad[i])), ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read_and_written), cmocka_unit_test(as_many_hashes_as_fit), cmocka_unit_test(odd_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
