// ut_pex. Vector: the message of BEP 11's text, and what Transmission and libtorrent send.
#include "test.h"

#include "codec/peerwire.h"
#include "codec/ut_pex.h"

static void what_others_send(void **state)
{
    UNUSED_STATE(state);
    static const char text[] = "d5:added12:\x0a\x00\x00\x01\x1a\xe1\xc0\x00\x02\x07\x00\x50" "7:added.f2:\x12\x00" "6:added60:8:added6.f0:7:dropped6:\x0a\x00\x00\x02\x1a\xe2"
                               "8:dropped60:e";
    struct ut_pex m;
    assert_int_equal(ut_pex_parse(&m, slice_of(text, sizeof text - 1)), ERR_OK);
    assert_int_equal(ut_pex_added_n(&m), 2);
    const struct ut_pex_peer first = ut_pex_added(&m, 0);
    assert_int_equal(first.flags, UT_PEX_SEED | UT_PEX_REACHABLE);
    assert_int_equal(first.addr.port, 6881);
    assert_int_equal(ut_pex_added(&m, 1).addr.port, 80);
    assert_int_equal(ut_pex_dropped_n(&m), 1);
    assert_int_equal(ut_pex_dropped(&m, 0).port, 6882);
}

// Lengths that fit no whole address, missing flags, wrong types: what fits is used.
static void crooked_messages(void **state)
{
    UNUSED_STATE(state);
    struct ut_pex m;
    assert_int_equal(ut_pex_parse(&m, SLICE_LIT("d5:added7:abcdefge")), ERR_OK);
    assert_int_equal(ut_pex_added_n(&m), 1);
    assert_int_equal(ut_pex_added(&m, 0).flags, 0);
    assert_int_equal(ut_pex_parse(&m, SLICE_LIT("d5:addedi7e6:added617:aaaaaaaaaaaaaaaaae")), ERR_OK);
    assert_int_equal(ut_pex_added_n(&m), 0);
    assert_int_equal(ut_pex_parse(&m, SLICE_LIT("le")), ERR_PROTOCOL);
    static const char whole[] = "d5:added6:abcdef7:added.f1:\x01" "e";
    for (size_t n = 0; n + 1 < sizeof whole; n++) {
        char *copy = malloc(n + 1);     // exactly so long: a sanitizer sees a step too far
        memcpy(copy, whole, n);
        const enum err e = ut_pex_parse(&m, slice_of(copy, n));
        assert_int_equal(e, ERR_PROTOCOL);
        free(copy);
    }
}

static void both_families_and_flags_come_back(void **state)
{
    UNUSED_STATE(state);
    struct ut_pex_news news = {.added_n = UT_PEX_ADDED_MAX, .dropped_n = UT_PEX_ADDED_MAX};
    for (uint32_t i = 0; i < UT_PEX_ADDED_MAX; i++) {
        const uint8_t ip[16] = {0x20, 1, (uint8_t)i, 7};
        news.added[i] = (struct ut_pex_peer){i % 2 == 0 ? addr_ipv4(ip, (uint16_t)(1000 + i)) : addr_ipv6(ip, (uint16_t)(1000 + i)), (uint8_t)i};
        news.dropped[i] = addr_ipv6(ip, 9);
    }
    static uint8_t space[UT_PEX_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    ut_pex_write(&w, 1, &news);
    assert_true(w.ok);
    struct peer_msg msg;
    struct ut_pex m;
    assert_int_equal(peer_msg_parse(&msg, slice_sub(buf_slice(&b), 4, b.n)), ERR_OK);
    assert_int_equal(ut_pex_parse(&m, msg.payload), ERR_OK);
    assert_int_equal(ut_pex_added_n(&m), UT_PEX_ADDED_MAX);
    assert_int_equal(ut_pex_dropped_n(&m), UT_PEX_ADDED_MAX);
    for (uint32_t i = 0; i < UT_PEX_ADDED_MAX; i++) {
        const uint32_t was = i < UT_PEX_ADDED_MAX / 2 ? 2 * i : 2 * (i - UT_PEX_ADDED_MAX / 2) + 1;     // IPv4 first
        const struct ut_pex_peer p = ut_pex_added(&m, i);
        assert_true(addr_eq(&p.addr, &news.added[was].addr));
        assert_int_equal(p.flags, was);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_send),
        cmocka_unit_test(crooked_messages),
        cmocka_unit_test(both_families_and_flags_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
