// SOCKS5 as a client. Without it a proxy that refuses or rambles is taken for one that connects.
#include "test.h"

#include "codec/socks5.h"

static uint8_t space[SOCKS5_TX_MAX];

static struct slice said(struct socks5 *s, const void *answer, size_t n)
{
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    assert_int_equal(s->want, n);
    socks5_answer(s, answer, &w);
    assert_true(w.ok);
    return buf_slice(&b);
}

static struct socks5 begin(const char *user, const char *password)
{
    struct socks5 s;
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const uint8_t ip[4] = {192, 0, 2, 1};
    const struct addr to = addr_ipv4(ip, 6881);
    socks5_begin(&s, &to, slice_str(user), slice_str(password), &w);
    assert_memory_equal(space, *user != 0 ? "\5\2\0\2" : "\5\1\0", b.n);
    return s;
}

static void a_proxy_without_password(void **state)
{
    UNUSED_STATE(state);
    struct socks5 s = begin("", "");
    const struct slice q = said(&s, "\5\0", 2);
    assert_int_equal(q.n, 10);
    assert_memory_equal(q.p, "\5\1\0\1\300\0\2\1\32\341", 10);
    assert_int_equal(said(&s, "\5\0\0\1\12", 5).n, 0);
    assert_int_equal(said(&s, "\0\0\1\4\2", 5).n, 0);
    assert_int_equal(s.state, SOCKS5_DONE);
}

static void a_proxy_that_names_itself_and_wants_a_password(void **state)
{
    UNUSED_STATE(state);
    struct socks5 s = begin("me", "pw");
    const struct slice q = said(&s, "\5\2", 2);
    assert_int_equal(q.n, 7);
    assert_memory_equal(q.p, "\1\2me\2pw", 7);
    assert_int_equal(said(&s, "\1\0", 2).n, 10);
    said(&s, "\5\0\0\3\3", 5);
    said(&s, "a.b\1\1", 5);
    assert_int_equal(s.state, SOCKS5_DONE);
}

static void refusals_have_a_reason(void **state)
{
    UNUSED_STATE(state);
    static const struct { const char *head; enum err err; } CASES[] = {
        {"\5\5\0\1\0", ERR_REFUSED}, {"\5\4\0\1\0", ERR_UNREACHABLE}, {"\5\2\0\1\0", ERR_ACCESS}, {"\5\1\0\1\0", ERR_IO},
        {"\4\0\0\1\0", ERR_PROTOCOL}, {"\5\0\0\7\0", ERR_PROTOCOL}, {"\5\0\0\3\377", ERR_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct socks5 s = begin("", "");
        said(&s, "\5\0", 2);
        said(&s, CASES[i].head, 5);
        assert_int_equal(s.state, SOCKS5_FAILED);
        assert_int_equal(s.err, CASES[i].err);
    }
    struct socks5 s = begin("", "");
    said(&s, "\5\2", 2);                // a password that nobody gave
    assert_int_equal(s.err, ERR_ACCESS);
    s = begin("me", "no");
    said(&s, "\5\2", 2);
    said(&s, "\1\1", 2);
    assert_int_equal(s.err, ERR_ACCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_without_password),
        cmocka_unit_test(a_proxy_that_names_itself_and_wants_a_password),
        cmocka_unit_test(refusals_have_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
