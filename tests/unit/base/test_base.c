// The ground that everything stands on: cursors, heap, map, addresses, random streams.
#include "test.h"

#include "base/addr.h"
#include "base/bits.h"
#include "base/fold.h"
#include "base/heap.h"
#include "base/map.h"

// Without this a truncated message could be read past its end.
static void reading_past_the_end_is_sticky(void **state)
{
    UNUSED_STATE(state);
    const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct rd r = rd_make(slice_of(bytes, sizeof bytes));
    assert_int_equal(rd_be32(&r), 0x01020304);
    assert_int_equal(rd_be16(&r), 0);
    assert_false(r.ok);
    assert_int_equal(rd_u8(&r), 0);
    assert_false(r.ok);
}

// Without this a full buffer would be overrun or half a number sent.
static void writing_without_room_writes_nothing(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[5];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    wr_be32(&w, 0xdeadbeef);
    wr_be16(&w, 1);
    assert_false(w.ok);
    assert_int_equal(b.n, 4);
    wr_u8(&w, 1);
    assert_int_equal(b.n, 4);
}

// Without this a header or a scheme that is written in capitals would be another one; or "[" would be "{".
static void case_does_not_count(void **state)
{
    UNUSED_STATE(state);
    assert_true(fold_eq(SLICE_LIT("Content-Range"), SLICE_LIT("cONTENT-rANGE")));
    assert_true(fold_eq_str(SLICE_LIT("AZ[@"), "az[@"));
    assert_false(fold_eq_str(SLICE_LIT("["), "{"));
    assert_false(fold_eq_str(SLICE_LIT("@"), "`"));
    assert_false(fold_eq_str(SLICE_LIT("ab"), "abc"));
    assert_false(fold_eq(SLICE_LIT("\xc3\x84"), SLICE_LIT("\xc3\xa4")));        // no letters of ASCII
    assert_true(fold_eq_str((struct slice){0}, ""));
    assert_true(fold_starts(SLICE_LIT("MAGNET:?x"), "magnet:"));
    assert_true(fold_starts(SLICE_LIT("a"), ""));
    assert_false(fold_starts(SLICE_LIT("MAGNET"), "magnet:"));
}

// Without this a header's value would keep a blank, or lose a zero byte that is part of it.
static void blanks_are_cut_off(void **state)
{
    UNUSED_STATE(state);
    assert_true(slice_eq_str(slice_trim(SLICE_LIT(" \t a b\t"), " \t"), "a b"));
    assert_true(slice_eq_str(slice_trim(SLICE_LIT("a\n"), " \t"), "a\n"));
    assert_true(slice_eq(slice_trim(SLICE_LIT("\0a\0"), " "), SLICE_LIT("\0a\0")));
    assert_int_equal(slice_trim(SLICE_LIT(" \t "), " \t").n, 0);
    assert_int_equal(slice_trim((struct slice){0}, " ").n, 0);
}

static void numbers_are_parsed_exactly(void **state)
{
    UNUSED_STATE(state);
    uint64_t v = 7;
    assert_int_equal(dec_parse(SLICE_LIT("18446744073709551615"), UINT64_MAX, &v), ERR_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(dec_parse(SLICE_LIT("18446744073709551616"), UINT64_MAX, &v), ERR_RANGE);
    assert_int_equal(dec_parse(SLICE_LIT(""), 9, &v), ERR_SYNTAX);
    assert_int_equal(dec_parse(SLICE_LIT("1x"), 99, &v), ERR_SYNTAX);
    uint8_t space[32];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    wr_dec_signed(&w, INT64_MIN);
    assert_true(slice_eq_str(buf_slice(&b), "-9223372036854775808"));
}

// Deadlines come in order of time, then id: the order may not depend on addresses.
static void heap_yields_in_order(void **state)
{
    UNUSED_STATE(state);
    struct heap h;
    heap_init(&h, &test_mem, 1000);
    struct heap_node nodes[200] = {0};
    struct rng r = rng_make(1, 2);
    for (uint64_t i = 0; i < 200; i++) {
        nodes[i].id = i;
        assert_int_equal(heap_set(&h, &nodes[i], rng_below(&r, 50)), ERR_OK);
    }
    for (uint64_t i = 0; i < 200; i += 3)
        assert_int_equal(heap_set(&h, &nodes[i], rng_below(&r, 50)), ERR_OK);
    assert_int_equal(heap_set(&h, &nodes[7], NSEC_NEVER), ERR_OK);
    nsec at = 0;
    uint64_t id = 0;
    for (int n = 0; n < 199; n++) {
        struct heap_node *m = heap_min(&h);
        assert_non_null(m);
        assert_true(n == 0 || m->at > at || (m->at == at && m->id > id));
        at = m->at;
        id = m->id;
        heap_remove(&h, m);
    }
    assert_null(heap_min(&h));
    heap_done(&h);
}

struct word {
    struct map_node node;
    uint8_t key[4];
};

static void map_keeps_insertion_order(void **state)
{
    UNUSED_STATE(state);
    struct map m;
    map_init(&m, &test_mem, 500, 3);
    struct word words[501] = {0};
    for (uint32_t i = 0; i < 501; i++) {
        memcpy(words[i].key, &i, 4);
        assert_int_equal(map_put(&m, &words[i].node, slice_of(words[i].key, 4)), i < 500 ? ERR_OK : ERR_FULL);
    }
    struct word again = {0};
    assert_int_equal(map_put(&m, &again.node, slice_of(words[4].key, 4)), ERR_EXISTS);
    map_remove(&m, &words[0].node);
    assert_null(map_get(&m, slice_of(words[0].key, 4)));
    uint32_t i = 1;
    for (struct map_node *n = map_first(&m); n != NULL; n = map_next(&m, n))
        assert_ptr_equal(n, &words[i++].node);
    assert_int_equal(i, 500);
    map_done(&m);
}

static void addresses_round_trip(void **state)
{
    UNUSED_STATE(state);
    static const char *const good[][2] = {
        {"1.2.3.4:80", "1.2.3.4:80"},   {"[::1]:6881", "[::1]:6881"},
        {"[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"},      // RFC 5952 §4.2.3
        {"[::ffff:10.0.0.1]:5", "10.0.0.1:5"},                      // mapped IPv6 is IPv4
        {"::", "[::]:7"},               {"10.0.0.1", "10.0.0.1:7"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct addr a;
        char text[ADDR_TEXT_MAX];
        assert_int_equal(addr_parse(slice_str(good[i][0]), 7, &a), ERR_OK);
        assert_string_equal(addr_format(&a, text), good[i][1]);
    }
    static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4:99999", "[::1", "::1::2", "1:2:3:4:5:6:7:8:9",
                                      "[1.2.3.4]:5:", "01.2.3.4", "1.2.3.4:", "host:80", ":::", "1:2:3:4:5:6:7:", "[::1]x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr a;
        if (addr_parse(slice_str(bad[i]), 7, &a) == ERR_OK)
            fail_msg("accepted %s", bad[i]);
    }
}

// A bitfield is sent as it is stored: the spare bits must be zero (BEP 3).
static void bit_sets_are_wire_form(void **state)
{
    UNUSED_STATE(state);
    uint8_t b[10] = {0};
    bits_fill(b, 75);
    assert_int_equal(bits_count(b, 75), 75);
    assert_int_equal(b[9], 0xe0);
    bits_clear(b, 0);
    assert_int_equal(b[0], 0x7f);
    assert_int_equal(bits_count(b, 75), 74);
}

// The reference vector of the SipHash paper, appendix A.
static void siphash_matches_the_paper(void **state)
{
    UNUSED_STATE(state);
    uint8_t data[15];
    for (uint8_t i = 0; i < 15; i++)
        data[i] = i;
    const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    assert_true(siphash(key, slice_of(data, 15)) == 0xa129ca6149be45e5);
}

static void random_streams_are_apart(void **state)
{
    UNUSED_STATE(state);
    struct rng a = rng_make(1, 1), b = rng_make(1, 2), again = rng_make(1, 1);
    const uint64_t first = rng_u64(&a);
    assert_true(first != rng_u64(&b));
    assert_true(first == rng_u64(&again));
    for (int i = 0; i < 1000; i++)
        assert_true(rng_below(&a, 7) < 7);
}

// Armed for life or not, and then a quarter of the time, the same again from the same seed; nothing after it is over.
static void rare_things_repeat_themselves(void **state)
{
    UNUSED_STATE(state);
    uint32_t armed = 0, fired = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct rare a = {.seed = seed}, b = {.seed = seed};
        uint32_t n = 0;
        for (uint32_t i = 0; i < 100; i++) {
            const bool fires = rare_fires(&a, RARE_POOL_FULL);
            assert_int_equal(fires, rare_fires(&b, RARE_POOL_FULL));
            n += fires;
        }
        armed += n != 0;
        fired += n;
        a.over = true;
        assert_false(rare_fires(&a, RARE_POOL_FULL));
    }
    assert_in_range(armed, 70, 130);
    assert_in_range(fired / armed, 20, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rare_things_repeat_themselves),
        cmocka_unit_test(reading_past_the_end_is_sticky), cmocka_unit_test(writing_without_room_writes_nothing),
        cmocka_unit_test(numbers_are_parsed_exactly),     cmocka_unit_test(heap_yields_in_order),
        cmocka_unit_test(map_keeps_insertion_order),      cmocka_unit_test(addresses_round_trip),
        cmocka_unit_test(bit_sets_are_wire_form),         cmocka_unit_test(siphash_matches_the_paper),
        cmocka_unit_test(random_streams_are_apart),       cmocka_unit_test(case_does_not_count),
        cmocka_unit_test(blanks_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
