// PCP: the bytes of RFC 6887 (figures 2, 3, 9 and 10, worked out by hand), and one request with literal times.
#include "test.h"

#include "engine/reach/pcp.h"

static const char request[] = "02010000" "00000e10" "00000000000000000000ffffc0a8010a" "000102030405060708090a0b" "06000000" "1ae1" "1ae1"
                              "00000000000000000000ffff00000000";
static const char answer[] = "02810000" "00000708" "00000064" "000000000000000000000000" "000102030405060708090a0b" "06000000" "1ae1" "2329"
                             "00000000000000000000ffffcb007109";

static struct pcp_map ask(void)
{
    struct pcp_map m = {.port = 6881, .client = addr_ipv4((uint8_t[4]){192, 168, 1, 10}, 0), .external = {.port = 6881}, .lifetime_s = 3600};
    for (uint8_t i = 0; i < PCP_NONCE_LEN; i++)
        m.nonce[i] = i;
    return m;
}

static size_t bytes_of(const char *hex, uint8_t out[PCP_MAP_LEN])
{
    assert_int_equal(strlen(hex), 2 * PCP_MAP_LEN);
    assert_int_equal(hex_parse(slice_str(hex), out, PCP_MAP_LEN), ERR_OK);
    return PCP_MAP_LEN;
}

static void messages_are_as_in_the_figures(void **state)
{
    UNUSED_STATE(state);
    uint8_t expect[PCP_MAP_LEN], space[PCP_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const struct pcp_map m = ask();
    pcp_map_write(&w, &m);
    assert_int_equal(b.n, bytes_of(request, expect));
    assert_memory_equal(b.p, expect, b.n);
    struct pcp_answer a;
    assert_int_equal(pcp_answer_parse(&a, slice_of(expect, sizeof expect)), ERR_PROTOCOL);     // a request is no answer
    (void)bytes_of(answer, expect);
    assert_int_equal(pcp_answer_parse(&a, slice_of(expect, sizeof expect)), ERR_OK);
    const struct addr given = addr_ipv4((uint8_t[4]){203, 0, 113, 9}, 9001);
    assert_true(addr_eq(&a.map.external, &given));
    assert_int_equal(a.map.lifetime_s, 1800);
    assert_int_equal(a.epoch_s, 100);
    for (size_t n = 0; n < sizeof expect; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, expect, n);
        assert_int_equal(pcp_answer_parse(&a, slice_of(copy, n)), ERR_PROTOCOL);
        free(copy);
    }
    // A router that knows NAT-PMP only: RFC 6886 section 3.5.
    assert_int_equal(pcp_answer_parse(&a, slice_of("\0\x81\0\1\0\0\0\1", 8)), ERR_UNSUPPORTED);
}

static void news_are_told_from_other_things(void **state)
{
    UNUSED_STATE(state);
    uint8_t announce[24] = {2, 0x80}, address[12] = {0, 0x80};
    assert_true(pcp_is_news(slice_of(announce, sizeof announce)));
    assert_true(pcp_is_news(slice_of(address, sizeof address)));
    assert_false(pcp_is_news(slice_of(announce, 23)));
    assert_false(pcp_is_news(slice_of(address, 11)));
    announce[1] = 0;                    // the question of a client
    assert_false(pcp_is_news(slice_of(announce, sizeof announce)));
    address[3] = 3;
    assert_false(pcp_is_news(slice_of(address, sizeof address)));
    assert_false(pcp_is_news((struct slice){0}));
}

static bool sends(struct pcp *p, nsec ms)
{
    uint8_t space[PCP_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    return pcp_next(p, ms * NSEC_MS, &b) == PCP_SEND && b.n == PCP_MAP_LEN;
}

// Silence costs less than two seconds; then the other protocols have their turn.
static void silence_is_soon_over(void **state)
{
    UNUSED_STATE(state);
    struct pcp p;
    const struct pcp_map m = ask();
    pcp_begin(&p, &m, 1000 * NSEC_MS);
    assert_true(sends(&p, 1000));
    assert_false(sends(&p, 1249));
    assert_true(sends(&p, 1250));
    assert_false(sends(&p, 1749));
    assert_true(sends(&p, 1750));
    struct buf none = {0};
    assert_int_equal(pcp_next(&p, 2749 * NSEC_MS, &none), PCP_WAIT);
    assert_int_equal(pcp_next(&p, 2750 * NSEC_MS, &none), PCP_OVER);
    assert_int_equal(p.err, ERR_TIMEOUT);
}

static enum err ends(const uint8_t *bytes, size_t n)
{
    struct pcp p;
    struct buf none = {0};
    const struct pcp_map m = ask();
    pcp_begin(&p, &m, 0);
    assert_true(sends(&p, 0));
    pcp_input(&p, slice_of(bytes, n));
    pcp_input(&p, slice_of(bytes, n));  // twice: nothing more
    return pcp_next(&p, 1, &none) == PCP_OVER ? p.err : ERR_AGAIN;
}

// Without this a stranger's datagram, or the answer for another port, becomes our mapping.
static void only_our_answer_counts(void **state)
{
    UNUSED_STATE(state);
    uint8_t a[PCP_MAP_LEN];
    const size_t n = bytes_of(answer, a);
    assert_int_equal(ends(a, n), ERR_OK);
    static const struct {
        size_t at;
        uint8_t value;
        enum err err;
    } changes[] = {
        {3, 2, ERR_REFUSED}, {3, 8, ERR_REFUSED}, {3, 1, ERR_UNSUPPORTED}, {0, 0, ERR_UNSUPPORTED}, {1, 0x82, ERR_AGAIN},
        {24, 0xff, ERR_AGAIN},          // nonce
        {36, 17, ERR_AGAIN},            // UDP
        {41, 0, ERR_AGAIN},             // another port
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        (void)bytes_of(answer, a);
        a[changes[i].at] = changes[i].value;
        assert_int_equal(ends(a, n), changes[i].err);
    }
    (void)bytes_of(answer, a);
    a[42] = a[43] = 0;                  // yes, but no port
    assert_int_equal(ends(a, n), ERR_AGAIN);
    assert_int_equal(ends(a, 3), ERR_AGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_as_in_the_figures), cmocka_unit_test(news_are_told_from_other_things),
        cmocka_unit_test(silence_is_soon_over), cmocka_unit_test(only_our_answer_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
