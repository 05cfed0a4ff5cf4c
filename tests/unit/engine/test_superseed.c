// What an only seed shows to whom, and when: each rule alone, on literal tables.
#include "engine/swarm/superseed.h"

#include "test.h"

enum { N = 8, LEN = 100 };

static void each_piece_is_shown_once(void **state)
{
    UNUSED_STATE(state);
    struct superseed ss;
    struct rng r = rng_make(1, 1);
    uint16_t avail[N] = {0, 0, 3, 0, 0, 0, 0, 0};
    const uint8_t has[] = {0x80};               // piece 0
    uint32_t seen = 0;
    assert_int_equal(superseed_init(&ss, &test_mem, N), ERR_OK);
    for (uint32_t peer = 1; peer <= 6; peer++) {
        const uint32_t i = superseed_show(&ss, avail, has, peer, &r, NSEC_S);
        assert_in_range(i, 1, N - 1);
        assert_true(i != 2);                    // others have that
        assert_int_equal(seen >> i & 1, 0);
        assert_true(superseed_may(&ss, i, peer));
        assert_false(superseed_may(&ss, i, peer + 1));
        seen |= 1u << i;
    }
    assert_int_equal(superseed_show(&ss, avail, has, 7, &r, NSEC_S), SUPERSEED_NONE);
    assert_int_equal(superseed_show(&ss, avail, NULL, 7, &r, NSEC_S), 0);
    superseed_left(&ss, 3);                     // what it was shown is free again
    assert_int_not_equal(superseed_show(&ss, avail, has, 8, &r, NSEC_S), SUPERSEED_NONE);
    superseed_done(&ss);
}

// A peer that does not get its piece for a minute does not keep it from the others; one that got it does.
static void a_stuck_piece_goes_elsewhere(void **state)
{
    UNUSED_STATE(state);
    struct superseed ss;
    struct rng r = rng_make(1, 1);
    const uint16_t avail[2] = {0, 0};
    assert_int_equal(superseed_init(&ss, &test_mem, 2), ERR_OK);
    struct superseed_peer a = {.piece = superseed_show(&ss, avail, NULL, 1, &r, 0)}, b = {.piece = superseed_show(&ss, avail, NULL, 2, &r, 0)};
    superseed_sent(&ss, &a, a.piece, LEN, LEN, NSEC_S);
    superseed_sent(&ss, &b, b.piece, LEN, LEN - 1, NSEC_S);
    assert_int_equal(superseed_show(&ss, avail, NULL, 3, &r, 59 * NSEC_S), SUPERSEED_NONE);
    assert_int_equal(superseed_show(&ss, avail, NULL, 3, &r, 60 * NSEC_S), b.piece);
    assert_true(superseed_may(&ss, b.piece, 3));
    superseed_done(&ss);
}

static void the_next_one_is_due(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        struct superseed_peer p;
        bool elsewhere;
        uint32_t busy;
        nsec now;
        bool due;
    } rows[] = {
        {{.piece = SUPERSEED_NONE}, false, 9, 0, true},
        {{.piece = 3, .sent = 99}, false, 0, NSEC_S, false},            // not through
        {{.piece = 3, .sent = 99}, true, 9, NSEC_S, true},              // yet seen at another
        {{.piece = 3, .sent = 100, .sent_at = NSEC_S}, false, 4, 2 * NSEC_S, false},
        {{.piece = 3, .sent = 100, .sent_at = NSEC_S}, false, 3, 2 * NSEC_S, true},    // the line would fall silent
        {{.piece = 3, .sent = 100, .sent_at = NSEC_S}, false, 9, 60 * NSEC_S, false},
        {{.piece = 3, .sent = 100, .sent_at = NSEC_S}, false, 9, 61 * NSEC_S, true},   // it passes nothing on
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(superseed_due(&rows[i].p, LEN, rows[i].elsewhere, rows[i].busy, rows[i].now), rows[i].due);
}

// A copy at a peer, or all of it on its way to one: both are second copies.
static void the_end(void **state)
{
    UNUSED_STATE(state);
    struct superseed ss;
    struct rng r = rng_make(1, 1);
    uint16_t avail[2] = {0, 0};
    assert_int_equal(superseed_init(&ss, &test_mem, 2), ERR_OK);
    struct superseed_peer p = {.piece = superseed_show(&ss, avail, NULL, 1, &r, 0)};
    avail[1 - p.piece] = 1;
    superseed_sent(&ss, &p, 1 - p.piece, LEN, LEN, 0);         // not the piece it was shown
    assert_false(superseed_over(&ss, avail));
    superseed_sent(&ss, &p, p.piece, LEN, 40, 0);
    assert_false(superseed_over(&ss, avail));
    superseed_sent(&ss, &p, p.piece, LEN, 60, 0);
    assert_true(superseed_over(&ss, avail));
    superseed_left(&ss, 1);
    assert_false(superseed_over(&ss, avail));
    superseed_done(&ss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_is_shown_once), cmocka_unit_test(a_stuck_piece_goes_elsewhere), cmocka_unit_test(the_next_one_is_due),
        cmocka_unit_test(the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
