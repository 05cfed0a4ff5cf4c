// URLs and the allowed-fast set.
#include "test.h"

#include "codec/allowed_fast.h"
#include "codec/url.h"

// Without this a tracker on IPv6, with a password or with a query of its own is asked at the wrong place.
static void urls_are_taken_apart(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *text, *scheme, *user, *host, *path;
        uint16_t port;
    } good[] = {
        {"http://t.example/announce", "http", "", "t.example", "/announce", 80},
        {"HTTPS://t.example", "HTTPS", "", "t.example", "", 443},
        {"udp://tracker.example.com:80/dir?a=b&c=d", "udp", "", "tracker.example.com", "/dir?a=b&c=d", 80},
        {"udp://t.example", "udp", "", "t.example", "", 0},
        {"udp://[2001:db8::1]:6969/announce#frag", "udp", "", "2001:db8::1", "/announce", 6969},
        {"http://a:b@c@host:8080?x=1/2", "http", "a:b@c", "host", "?x=1/2", 8080},
        {"ftp://host:/f", "ftp", "", "host", "/f", 21},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct url u;
        assert_int_equal(url_parse(slice_str(good[i].text), &u), ERR_OK);
        assert_true(slice_eq_str(u.scheme, good[i].scheme));
        assert_true(slice_eq_str(u.user, good[i].user));
        assert_true(slice_eq_str(u.host, good[i].host));
        assert_true(slice_eq_str(u.path, good[i].path));
        assert_int_equal(u.port, good[i].port);
    }
    static const char *const bad[] = {
        "", "x", "//host", "://host", "1http://host", "http://", "http://:80/", "http://host:0/", "http://host:65536",
        "http://host:8x", "http://[::1", "http://[]:80", "http://[::1]x", "http://ho st/", "http://host/\n", "http//host",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct url u;
        assert_int_equal(url_parse(slice_str(bad[i]), &u), ERR_SYNTAX);
    }
}

// Trap 20: lists in the wild hold blanks, bare words and a hundred trackers in one string.
static void lists_in_the_wild_are_split(void **state)
{
    UNUSED_STATE(state);
    struct slice list = SLICE_LIT("  http://a/x\n\tudp://b:1/y , tracker.c,https://d/?q=1,2;udp://e:2\r\nhttp://  ");
    static const char *const expect[] = {"http://a/x", "udp://b:1/y", "https://d/?q=1,2", "udp://e:2"};
    struct slice one;
    for (size_t i = 0; i < ARRAY_LEN(expect); i++) {
        assert_true(url_list_next(&list, &one));
        assert_true(slice_eq_str(one, expect[i]));
    }
    assert_false(url_list_next(&list, &one));
    char many[119 * 20];
    size_t n = 0;
    for (int i = 0; i < 119; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "udp://t%d.x:80%c", i, i % 2 ? ',' : ' ');
    list = slice_of(many, n);
    n = 0;
    while (url_list_next(&list, &one))
        n++;
    assert_int_equal(n, 119);
}

// Without this an info-hash with a byte like '&' breaks the announce; every byte must survive.
static void percent_encoding_round_trips(void **state)
{
    UNUSED_STATE(state);
    uint8_t all[256], space[768], back[256];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    url_encode(&w, slice_of(all, sizeof all));
    assert_true(w.ok);
    assert_int_equal(b.n, 66 + 190 * 3);            // 26 + 26 + 10 + "-._~" stay
    struct buf c = {back, 0, sizeof back};
    struct wr v = wr_make(&c);
    assert_int_equal(url_decode(&v, buf_slice(&b)), ERR_OK);
    assert_true(slice_eq(buf_slice(&c), slice_of(all, sizeof all)));
    b.n = 0;
    w = wr_make(&b);
    url_encode(&w, SLICE_LIT("a b/~\xff"));
    assert_true(slice_eq_str(buf_slice(&b), "a%20b%2F~%FF"));
    static const char *const bad[] = {"%", "%1", "%zz", "a%4"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        c.n = 0;
        v = wr_make(&c);
        assert_int_equal(url_decode(&v, slice_str(bad[i])), ERR_SYNTAX);
    }
    c = (struct buf){back, 0, 2};
    v = wr_make(&c);
    assert_int_equal(url_decode(&v, SLICE_LIT("a%41b")), ERR_TOO_LONG);
}

static void queries_are_walked(void **state)
{
    UNUSED_STATE(state);
    struct slice q = SLICE_LIT("&a=1&&b&c==x&=y"), name, value;
    static const char *const expect[][2] = {{"a", "1"}, {"b", ""}, {"c", "=x"}, {"", "y"}};
    for (size_t i = 0; i < ARRAY_LEN(expect); i++) {
        assert_true(url_query_next(&q, &name, &value));
        assert_true(slice_eq_str(name, expect[i][0]));
        assert_true(slice_eq_str(value, expect[i][1]));
    }
    assert_false(url_query_next(&q, &name, &value));
}

// bep06_allowed_fast.json: both sides must compute the same set, or a newcomer's requests are refused.
static void the_allowed_fast_set_is_the_beps(void **state)
{
    UNUSED_STATE(state);
    static const uint32_t expect[9] = {1059, 431, 808, 1217, 287, 376, 1188, 353, 508};
    const uint8_t ip[4] = {80, 4, 4, 200};
    uint8_t hash[20];
    memset(hash, 0xaa, sizeof hash);
    const struct addr a = addr_ipv4(ip, 1);
    uint32_t out[ALLOWED_FAST_MAX];
    assert_int_equal(allowed_fast_set(&a, hash, 1313, 7, out), 7);
    assert_memory_equal(out, expect, 7 * sizeof out[0]);
    assert_int_equal(allowed_fast_set(&a, hash, 1313, 9, out), 9);
    assert_memory_equal(out, expect, sizeof expect);
    assert_int_equal(allowed_fast_set(&a, hash, 3, 10, out), 3);
    assert_int_equal(allowed_fast_set(&a, hash, 0, 10, out), 0);
    assert_int_equal(allowed_fast_set(&a, hash, 11, 10, out), 10);
    const uint8_t six[16] = {0x20, 1};
    const struct addr v6 = addr_ipv6(six, 1);
    assert_int_equal(allowed_fast_set(&v6, hash, 1313, 7, out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart), cmocka_unit_test(lists_in_the_wild_are_split),
        cmocka_unit_test(percent_encoding_round_trips), cmocka_unit_test(queries_are_walked),
        cmocka_unit_test(the_allowed_fast_set_is_the_beps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
