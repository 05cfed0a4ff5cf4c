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

static void where_a_proxy_relays(void **state)
{
    UNUSED_STATE(state);
    struct socks5 s;
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    socks5_begin_udp(&s, slice_str(""), slice_str(""), &w);
    const struct slice q = said(&s, "\5\0", 2);
    assert_int_equal(q.n, 10);
    assert_memory_equal(q.p, "\5\3\0\1\0\0\0\0\0\0", 10);      // RFC 1928 section 4: zeros, our address is not known yet
    const struct socks5 asked = s;
    said(&s, "\5\0\0\1\300", 5);
    said(&s, "\0\2\11\32\341", 5);
    assert_int_equal(s.state, SOCKS5_DONE);
    char text[ADDR_TEXT_MAX];
    assert_string_equal(addr_format(&s.bound, text), "192.0.2.9:6881");
    s = asked;
    said(&s, "\5\0\0\4\40", 5);
    said(&s, "\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\0\120", 17);
    assert_string_equal(addr_format(&s.bound, text), "[2001:db8::1]:80");
    s = asked;
    said(&s, "\5\0\0\3\3", 5);
    said(&s, "a.b\0\120", 5);
    assert_true(addr_is_any(&s.bound));
    assert_int_equal(s.bound.port, 80);
}

static void heads_of_datagrams(void **state)
{
    UNUSED_STATE(state);
    const uint8_t ip4[4] = {192, 0, 2, 1}, ip6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
    const struct socks5_udp all[] = {{.addr = addr_ipv4(ip4, 6881)}, {.addr = addr_ipv6(ip6, 80)}, {.name = slice_str("a.test"), .addr.port = 6969}};
    static const size_t LENGTHS[] = {10, 22, 13};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        socks5_udp_write(&w, &all[i]);
        assert_int_equal(b.n, LENGTHS[i]);
        struct socks5_udp back;
        for (size_t cut = 0; cut < b.n; cut++) {
            struct rd r = rd_make(slice_of(space, cut));
            assert_int_equal(socks5_udp_read(&r, &back), ERR_SYNTAX);
        }
        wr_str(&w, "data");
        struct rd r = rd_make(buf_slice(&b));
        assert_int_equal(socks5_udp_read(&r, &back), ERR_OK);
        assert_int_equal(r.n, 4);
        assert_true(addr_eq(&back.addr, &all[i].addr));
        assert_true(slice_eq(back.name, all[i].name));
        space[2] = 1;
        r = rd_make(buf_slice(&b));
        assert_int_equal(socks5_udp_read(&r, &back), ERR_UNSUPPORTED);
        space[2] = 0;
        space[3] = 2;
        r = rd_make(buf_slice(&b));
        assert_int_equal(socks5_udp_read(&r, &back), ERR_SYNTAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_without_password),
        cmocka_unit_test(a_proxy_that_names_itself_and_wants_a_password),
        cmocka_unit_test(refusals_have_a_reason),
        cmocka_unit_test(where_a_proxy_relays),
        cmocka_unit_test(heads_of_datagrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
