// Blocklists in the forms that people have, and the table they go into. Without it an address that was to be kept out comes in.
#include "test.h"

#include "base/ranges.h"
#include "codec/blocklist.h"

static void lines_of_every_form(void **state)
{
    UNUSED_STATE(state);
    static const struct { const char *line, *from, *to; } GOOD[] = {
        {"Some: Company, Inc.:1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.9"},
        {"001.002.003.004 - 001.002.003.099 , 000 , somebody", "1.2.3.4", "1.2.3.99"},
        {"10.0.0.7/8", "10.0.0.0", "10.255.255.255"}, {"1.2.3.4/32\r\n", "1.2.3.4", "1.2.3.4"}, {"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
        {"1.2.3.0/23", "1.2.2.0", "1.2.3.255"}, {"  9.9.9.9 ", "9.9.9.9", "9.9.9.9"}, {"1.1.1.1-1.1.1.2", "1.1.1.1", "1.1.1.2"},
        {"2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"}, {"::1", "::1", "::1"},
        {"2001:db8::1-2001:db8::ff", "2001:db8::1", "2001:db8::ff"},
    };
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        struct addr from, to;
        char text[ADDR_TEXT_MAX];
        if (blocklist_line(slice_str(GOOD[i].line), &from, &to) != BLOCKLIST_RANGE)
            fail_msg("%s", GOOD[i].line);
        assert_string_equal(addr_format_ip(&from, text), GOOD[i].from);
        assert_string_equal(addr_format_ip(&to, text), GOOD[i].to);
    }
    static const char *const nothing[] = {"", "  \r\n", "# a comment", "; also", "// one", "1.2.3.4 - 1.2.3.9 , 200 , let in"};
    static const char *const bad[] = {"hello", "1.2.3", "1.2.3.4-", "1.2.3.256", "1.2.3.4/33", "1.2.3.9-1.2.3.4", "::1-1.2.3.4", "a:b",
        "1.2.3.4:80", "1.2.3.4/", "1.2.3.4 - 1.2.3.9 , x , y", "2001:db8::/129", "0001.2.3.4", "name:1.2.3.4"};
    struct addr from, to;
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        assert_int_equal(blocklist_line(slice_str(nothing[i]), &from, &to), BLOCKLIST_NOTHING);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (blocklist_line(slice_str(bad[i]), &from, &to) != BLOCKLIST_BAD)
            fail_msg("taken: %s", bad[i]);
}

static struct addr v4(uint32_t v)
{
    const uint8_t ip[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    return addr_ipv4(ip, 1);
}

// Against a plain table of bits: overlaps, neighbours, the ends of the space.
static void the_table_is_the_union(void **state)
{
    UNUSED_STATE(state);
    enum { SPACE = 4096 };
    struct rng r = rng_make(1, 2);
    for (int round = 0; round < 50; round++) {
        static bool in[SPACE];
        memset(in, 0, sizeof in);
        struct ranges t;
        ranges_init(&t, &test_mem);
        const uint32_t base = round % 2 == 0 ? 0 : UINT32_MAX - SPACE + 1;
        for (int i = 0; i < round; i++) {
            const uint32_t a = (uint32_t)rng_below(&r, SPACE), b = a + (uint32_t)rng_below(&r, u64_min(64, SPACE - a));
            const struct addr from = v4(base + a), to = v4(base + b);
            assert_int_equal(ranges_add(&t, &from, &to), ERR_OK);
            for (uint32_t k = a; k <= b; k++)
                in[k] = true;
        }
        assert_int_equal(ranges_finish(&t), ERR_OK);
        for (uint32_t k = 0; k < SPACE; k++) {
            const struct addr a = v4(base + k);
            assert_int_equal(ranges_has(&t, &a), in[k]);
        }
        ranges_done(&t);
    }
}

static void ipv6_is_apart(void **state)
{
    UNUSED_STATE(state);
    struct ranges t;
    struct addr from, to, a;
    ranges_init(&t, &test_mem);
    static const char *const lines[] = {"2001:db8::/64", "2001:db8:0:1::/64", "2001:db8:0:9::1", "ffff::/16"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_int_equal(blocklist_line(slice_str(lines[i]), &from, &to), BLOCKLIST_RANGE);
        assert_int_equal(ranges_add(&t, &from, &to), ERR_OK);
    }
    const struct addr low = v4(1), high = v4(2);
    assert_int_equal(ranges_add(&t, &low, &from), ERR_RANGE);
    assert_int_equal(ranges_add(&t, &high, &low), ERR_RANGE);
    assert_int_equal(ranges_finish(&t), ERR_OK);
    assert_int_equal(t.v6_n, 3);        // the first two touch
    static const struct { const char *ip; bool in; } CASES[] = {
        {"2001:db8::1", true}, {"2001:db8:0:1:ffff::", true}, {"2001:db8:0:2::", false}, {"2001:db8:0:9::1", true}, {"2001:db8:0:9::2", false},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true}, {"::", false}, {"0.0.0.1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        assert_int_equal(addr_parse(slice_str(CASES[i].ip), 0, &a), ERR_OK);
        assert_int_equal(ranges_has(&t, &a), CASES[i].in);
    }
    ranges_done(&t);
}

static void a_million_ranges_fit(void **state)
{
    UNUSED_STATE(state);
    struct ranges t;
    ranges_init(&t, &test_mem);
    for (uint32_t i = 0; i < RANGES_MAX; i++) {
        const struct addr from = v4(i * 2654435761u & ~3u), to = v4((i * 2654435761u & ~3u) + 1);
        assert_int_equal(ranges_add(&t, &from, &to), ERR_OK);
    }
    const struct addr more = v4(5);
    assert_int_equal(ranges_add(&t, &more, &more), ERR_FULL);
    assert_int_equal(ranges_finish(&t), ERR_OK);
    assert_true(ranges_bytes(&t) <= 16 * MIB);
    print_message("%u ranges in %zu bytes\n", t.v4_n, ranges_bytes(&t));
    ranges_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_every_form), cmocka_unit_test(the_table_is_the_union), cmocka_unit_test(ipv6_is_apart),
        cmocka_unit_test(a_million_ranges_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
