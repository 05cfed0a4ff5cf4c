// DNS questions and answers. Without it a name could be asked for outside of the device that kith is bound to.
#include "test.h"

#include "codec/dns.h"

// "a.example" A: two records, the first behind a pointer, the second spelt out; an alias between them.
static const uint8_t ANSWER[] = {
    0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0, 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1,
    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7,
    0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, 'b', 0xc0, 14,
    1, 'b', 0xc0, 14, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 8,
};

static void a_question_is_written(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[300];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    assert_int_equal(dns_question_write(&w, 0x1234, slice_str("a.example."), DNS_A), ERR_OK);
    static const uint8_t expect[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
    assert_int_equal(b.n, sizeof expect);
    assert_memory_equal(space, expect, sizeof expect);
    static const char *const bad[] = {"", ".", "a..b", ".a", "a b", "1234567890123456789012345678901234567890123456789012345678901234.x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        b.n = 0;
        w = wr_make(&b);
        assert_int_equal(dns_question_write(&w, 1, slice_str(bad[i]), DNS_A), ERR_SYNTAX);
    }
}

static void an_answer_is_read(void **state)
{
    UNUSED_STATE(state);
    struct dns_answer a;
    assert_int_equal(dns_answer_parse(slice_of(ANSWER, sizeof ANSWER), 0x1234, slice_str("A.example"), DNS_A, &a), ERR_OK);
    assert_int_equal(a.n, 2);
    assert_int_equal(a.addrs[0].ip[3], 7);
    assert_int_equal(a.addrs[1].ip[3], 8);
    // Another id, name or type: somebody guesses.
    assert_int_equal(dns_answer_parse(slice_of(ANSWER, sizeof ANSWER), 0x1235, slice_str("a.example"), DNS_A, &a), ERR_PROTOCOL);
    assert_int_equal(dns_answer_parse(slice_of(ANSWER, sizeof ANSWER), 0x1234, slice_str("b.example"), DNS_A, &a), ERR_PROTOCOL);
    assert_int_equal(dns_answer_parse(slice_of(ANSWER, sizeof ANSWER), 0x1234, slice_str("a.example"), DNS_AAAA, &a), ERR_PROTOCOL);
}

static void cut_short_it_is_none(void **state)
{
    UNUSED_STATE(state);
    for (size_t n = 0; n < sizeof ANSWER; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, ANSWER, n);
        struct dns_answer a;
        assert_int_equal(dns_answer_parse(slice_of(copy, n), 0x1234, slice_str("a.example"), DNS_A, &a), ERR_PROTOCOL);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_written),
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(cut_short_it_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
