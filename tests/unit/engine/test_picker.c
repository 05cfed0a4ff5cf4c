// Which piece next. Without it a rare piece could die with its last owner, or a pick could cost a scan.
#include "test.h"

#include "base/bits.h"
#include "engine/swarm/picker.h"

static struct picker make(uint32_t pieces_n)
{
    struct picker p;
    assert_int_equal(picker_init(&p, &test_mem, pieces_n, 1), ERR_OK);
    return p;
}

static void had(struct picker *p, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        picker_set_state(p, i, PICKER_HAD);
}

static void the_rarest_comes_first(void **state)
{
    UNUSED_STATE(state);
    struct picker p = make(100);
    had(&p, 0, PICKER_RANDOM_FIRST);
    for (uint32_t i = 0; i < 100; i++)
        for (uint32_t k = 0; k < (i == 42 ? 1 : 3); k++)
            picker_inc(&p, i);
    picker_check(&p);
    assert_int_equal(picker_next(&p, NULL, 100), 42);
    picker_set_state(&p, 42, PICKER_OPEN);
    assert_int_not_equal(picker_next(&p, NULL, 100), 42);
    picker_set_state(&p, 42, PICKER_MISSING);
    assert_int_equal(picker_next(&p, NULL, 100), 42);
    picker_done(&p);
}

// Before we have anything to trade, rare pieces are slow to get: the first ones are random. But a seed is asked for the rarest from the
// start: a weak one has no time to send anything twice.
static void the_first_pieces_are_random(void **state)
{
    UNUSED_STATE(state);
    uint8_t has[13];
    memset(has, 0xff, sizeof has);
    bits_clear(has, 99);
    uint32_t others = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct picker p;
        assert_int_equal(picker_init(&p, &test_mem, 100, seed), ERR_OK);
        for (uint32_t i = 0; i < 100; i++)
            for (uint32_t k = 0; k < (i == 42 ? 1 : 3); k++)
                picker_inc(&p, i);
        others += picker_next(&p, has, 99) != 42;
        assert_int_equal(picker_next(&p, NULL, 100), 42);
        picker_done(&p);
    }
    assert_in_range(others, 15, 20);
}

static void priority_beats_rarity(void **state)
{
    UNUSED_STATE(state);
    struct picker p = make(50);
    had(&p, 0, PICKER_RANDOM_FIRST);
    for (uint32_t k = 0; k < 9; k++)
        picker_inc(&p, 30);
    picker_set_priority(&p, 30, 7);
    assert_int_equal(picker_next(&p, NULL, 50), 30);
    picker_set_priority(&p, 30, 0);
    for (int k = 0; k < 100; k++)
        assert_int_not_equal(picker_next(&p, NULL, 50), 30);
    assert_int_equal(p.missing_n, 50 - PICKER_RANDOM_FIRST - 1);
    picker_check(&p);
    picker_done(&p);
}

static void only_what_the_peer_has(void **state)
{
    UNUSED_STATE(state);
    struct picker p = make(1000);
    had(&p, 0, PICKER_RANDOM_FIRST);
    uint8_t has[200] = {0};
    assert_int_equal(picker_next(&p, has, 0), UINT32_MAX);
    bits_set(has, 777);                 // few: searched by its own bits
    assert_int_equal(picker_next(&p, has, 1), 777);
    bits_set(has, 2);                   // had already
    assert_int_equal(picker_next(&p, has, 2), 777);
    picker_set_state(&p, 777, PICKER_HAD);
    assert_int_equal(picker_next(&p, has, 2), UINT32_MAX);
    picker_done(&p);
}

// What rarest first is compared with: every missing piece that the peer has is as likely, and no other is picked.
static void random_order_knows_no_rarity(void **state)
{
    UNUSED_STATE(state);
    struct picker p;
    assert_int_equal(picker_init(&p, &test_mem, 16, 5), ERR_OK);
    for (uint32_t i = 0; i < 8; i++)
        picker_inc(&p, i);                              // the others are rarer
    picker_set_state(&p, 3, PICKER_HAD);
    const uint8_t has[] = {0xff, 0x80};
    uint32_t seen[16] = {0};
    for (uint32_t i = 0; i < 800; i++)
        seen[picker_next_random(&p, has)]++;
    for (uint32_t i = 0; i < 16; i++) {
        const bool possible = i <= 8 && i != 3;
        assert_true(possible ? seen[i] > 60 && seen[i] < 140 : seen[i] == 0);
    }
    const uint8_t none[] = {0x10, 0};
    assert_int_equal(picker_next_random(&p, none), UINT32_MAX);
    picker_done(&p);
}

static void sequential_is_in_order(void **state)
{
    UNUSED_STATE(state);
    struct picker p = make(20);
    assert_int_equal(picker_next_sequential(&p, NULL, 1), 0);
    picker_set_state(&p, 0, PICKER_OPEN);
    assert_int_equal(picker_next_sequential(&p, NULL, 1), 1);
    picker_set_state(&p, 0, PICKER_MISSING);            // its hash failed
    assert_int_equal(picker_next_sequential(&p, NULL, 1), 0);
    picker_done(&p);
}

// All who fetch in order want the same pieces: a seed must be asked for different ones, or it sends each to everybody.
static void in_order_is_a_window(void **state)
{
    UNUSED_STATE(state);
    struct picker p = make(100);
    had(&p, 0, 10);
    for (uint32_t i = 0; i < 100; i++)
        for (uint32_t k = 0; k < (i == 50 ? 0 : i == 13 || i == 17 ? 1 : 2); k++)
            picker_inc(&p, i);
    uint32_t seen[2] = {0};
    for (uint32_t i = 0; i < 200; i++) {
        const uint32_t piece = picker_next_sequential(&p, NULL, 8);
        assert_true(piece == 13 || piece == 17);        // the rarest of 10 … 17; not 50, which is rarer still
        seen[piece == 17]++;
    }
    assert_in_range(seen[0], 70, 130);
    uint8_t has[13] = {0};
    bits_set(has, 12);
    bits_set(has, 50);
    bits_set(has, 70);
    assert_int_equal(picker_next_sequential(&p, has, 8), 12);
    picker_set_state(&p, 12, PICKER_OPEN);
    assert_int_equal(picker_next_sequential(&p, has, 8), 50);           // nothing in the window: the next that it has
    had(&p, 0, 100);
    assert_int_equal(picker_next_sequential(&p, NULL, 8), UINT32_MAX);
    assert_int_equal(picker_window(&p), PICKER_WINDOW_MIN);
    picker_done(&p);
}

// Thousands of random operations: the order stays sorted, the counts right.
static void any_history_keeps_the_order(void **state)
{
    UNUSED_STATE(state);
    struct picker p = make(257);
    struct rng r = rng_make(3, 3);
    for (int k = 0; k < 20000; k++) {
        const uint32_t i = (uint32_t)rng_below(&r, 257);
        switch (rng_below(&r, 4)) {
        case 0:
            if (p.avail[i] < 300)
                picker_inc(&p, i);
            break;
        case 1:
            if (p.avail[i] != 0)
                picker_dec(&p, i);
            break;
        case 2: picker_set_priority(&p, i, (uint8_t)rng_below(&r, PICKER_PRIORITIES)); break;
        default: picker_set_state(&p, i, (enum picker_state)rng_below(&r, 3)); break;
        }
        if (k % 100 == 0)
            picker_check(&p);
    }
    picker_check(&p);
    picker_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rarest_comes_first), cmocka_unit_test(the_first_pieces_are_random), cmocka_unit_test(priority_beats_rarity),
        cmocka_unit_test(only_what_the_peer_has), cmocka_unit_test(sequential_is_in_order), cmocka_unit_test(in_order_is_a_window),
        cmocka_unit_test(random_order_knows_no_rarity), cmocka_unit_test(any_history_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
