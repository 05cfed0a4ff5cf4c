// The choke decision on literal tables. BEP 3; Cohen 2003. Without it, who gives most could go unrewarded.
#include "test.h"

#include "engine/swarm/choker.h"

static struct rng draws;

static void decide(struct choke_row *rows, uint32_t n, struct choke_config cfg)
{
    draws = rng_make(7, 7);
    choker_decide(rows, n, &cfg, &draws);
}

static uint32_t count(const struct choke_row *rows, uint32_t n)
{
    uint32_t c = 0;
    for (uint32_t i = 0; i < n; i++)
        c += rows[i].unchoke;
    return c;
}

#define LEECH(...) ((struct choke_config){.mode = CHOKE_LEECH, .regular_slots = 4, .optimistic_slots = 1, .piece_len = 262144, __VA_ARGS__})

// Tit-for-tat: of seven interested peers the four that gave most, and one of the others by luck.
static void the_four_best_givers_and_one_by_luck(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[7] = {
        {.id = 1, .interested = true, .gave = 10, .net = 1}, {.id = 2, .interested = true, .gave = 70, .net = 2},
        {.id = 3, .interested = true, .gave = 60, .net = 3}, {.id = 4, .interested = true, .gave = 20, .net = 4},
        {.id = 5, .interested = true, .gave = 50, .net = 5}, {.id = 6, .interested = true, .gave = 40, .net = 6},
        {.id = 7, .interested = true, .gave = 30, .net = 7},
    };
    decide(rows, 7, LEECH(.rotate = true));
    const bool regular[7] = {false, true, true, false, true, true, false};
    uint32_t optimistic = 0;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(rows[i].unchoke && !rows[i].unchoke_optimistic, regular[i]);
        optimistic += rows[i].unchoke_optimistic;
    }
    assert_int_equal(optimistic, 1);
    assert_int_equal(count(rows, 7), 5);
}

// What the optimistic unchoke is compared with: nobody by luck, not even into a slot that snubbing left empty.
static void without_luck_only_givers(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[6];
    for (uint32_t i = 0; i < 6; i++)
        rows[i] = (struct choke_row){.id = i, .interested = true, .gave = 10 + i, .snubbed = i >= 3, .net = i};
    decide(rows, 6, LEECH(.optimistic_slots = 0, .no_optimistic = true, .rotate = true));
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(rows[i].unchoke, i < 3);
}

// A peer that wants nothing takes no slot, however much it gave.
static void who_is_not_interested_takes_no_slot(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[3] = {{.id = 1, .gave = 1000}, {.id = 2, .interested = true, .gave = 1}, {.id = 3, .upload_only = true, .interested = true}};
    decide(rows, 3, LEECH());
    assert_false(rows[0].unchoke);
    assert_true(rows[1].unchoke);
    assert_false(rows[2].unchoke);
}

// Anti-snubbing: who has let us wait a minute is served by luck only, and the empty slots become optimistic ones.
static void the_snubbed_are_served_by_luck_only(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[6];
    for (uint32_t i = 0; i < 6; i++)
        rows[i] = (struct choke_row){.id = i, .interested = true, .gave = 100 - i, .snubbed = i < 5, .net = i};
    decide(rows, 6, LEECH(.rotate = true));
    assert_true(rows[5].unchoke);
    assert_false(rows[5].unchoke_optimistic);
    assert_int_equal(count(rows, 6), 5);        // 1 regular, and 1 + 3 optimistic
    for (int i = 0; i < 5; i++)
        assert_int_equal(rows[i].unchoke, rows[i].unchoke_optimistic);
}

// Rounds without rotation keep the optimistic peer: it needs 30 s to prove itself.
static void the_optimistic_one_stays_three_rounds(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[8];
    for (uint32_t i = 0; i < 8; i++)
        rows[i] = (struct choke_row){.id = i, .interested = true, .gave = i < 4 ? 100 : 0, .net = i};
    rows[6].unchoked = rows[6].optimistic = true;
    decide(rows, 8, LEECH());
    assert_true(rows[6].unchoke_optimistic);
    assert_int_equal(count(rows, 8), 5);
}

// Newcomers are three times as likely; who wasted two turns waits four times longer.
static void luck_favours_newcomers(void **state)
{
    UNUSED_STATE(state);
    uint32_t hits[3] = {0};
    draws = rng_make(1, 1);
    for (int k = 0; k < 16000; k++) {
        struct choke_row rows[3] = {{.id = 0, .interested = true, .rounds = 0, .net = 0, .snubbed = true},
                                    {.id = 1, .interested = true, .rounds = 9, .net = 1, .snubbed = true},
                                    {.id = 2, .interested = true, .rounds = 9, .turns_wasted = 2, .net = 2, .snubbed = true}};
        const struct choke_config cfg = {.mode = CHOKE_LEECH, .regular_slots = 0, .optimistic_slots = 1, .rotate = true};
        choker_decide(rows, 3, &cfg, &draws);
        for (int i = 0; i < 3; i++)
            hits[i] += rows[i].unchoke;
    }
    assert_in_range(hits[0], 10800, 11800);     // 12 of 17
    assert_in_range(hits[1], 3300, 4200);       // 4 of 17
    assert_in_range(hits[2], 750, 1150);        // 1 of 17
}

// One network may not hold two optimistic slots while another waits.
static void luck_spreads_over_networks(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct choke_row rows[5] = {{.id = 0, .interested = true, .net = 1}, {.id = 1, .interested = true, .net = 1},
                                    {.id = 2, .interested = true, .net = 1}, {.id = 3, .interested = true, .net = 1},
                                    {.id = 4, .interested = true, .net = 2}};
        const struct choke_config cfg = {.mode = CHOKE_LEECH, .regular_slots = 0, .optimistic_slots = 2, .rotate = true};
        struct rng r = rng_make(seed, 0);
        choker_decide(rows, 5, &cfg, &r);
        assert_true(rows[4].unchoke);
        assert_int_equal(count(rows, 5), 2);
    }
}

// Between rounds nobody loses a slot, and a free one is filled at once.
static void refilling_takes_from_nobody(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[7];
    for (uint32_t i = 0; i < 7; i++)
        rows[i] = (struct choke_row){.id = i, .interested = true, .gave = 10 * i, .net = i, .unchoked = i < 3};
    rows[1].snubbed = true;             // a round takes its slot, not the arrival of somebody else
    rows[3].unchoked = rows[3].optimistic = true;
    decide(rows, 7, LEECH(.refill = true));
    for (int i = 0; i < 4; i++)
        assert_true(rows[i].unchoke);
    assert_true(rows[6].unchoke);       // the free regular slot goes to the best giver
    assert_int_equal(count(rows, 7), 5);
}

// A seed rotates: a turn lasts 20 pieces and 30 s, then the longest waiting has it.
static void a_seed_serves_in_rotation(void **state)
{
    UNUSED_STATE(state);
    const uint64_t s = NSEC_S;
    struct choke_row rows[4] = {
        {.id = 0, .interested = true, .unchoked = true, .changed_at = 0, .took_turn = 20 * 262144, .net = 0},     // over
        {.id = 1, .interested = true, .unchoked = true, .changed_at = 80 * s, .took_turn = 90 * 262144, .net = 1}, // only 20 s
        {.id = 2, .interested = true, .changed_at = 10 * s, .net = 2},
        {.id = 3, .interested = true, .changed_at = 5 * s, .net = 3},
    };
    decide(rows, 4, (struct choke_config){.mode = CHOKE_SEED, .regular_slots = 2, .now = 100 * s, .piece_len = 262144});
    assert_false(rows[0].unchoke);
    assert_true(rows[1].unchoke);
    assert_false(rows[2].unchoke);
    assert_true(rows[3].unchoke);
}

static void slots_follow_the_uplink(void **state)
{
    UNUSED_STATE(state);
    struct choke_row rows[60];
    for (uint32_t i = 0; i < 60; i++)
        rows[i] = (struct choke_row){.id = i, .unchoked = true, .took = 0};
    assert_int_equal(choker_slots(rows, 60, 4, false), 4);          // nobody takes anything: the least
    for (uint32_t i = 0; i < 6; i++)
        rows[i].took = 100 * KIB * CHOKE_ROUND_S;
    assert_int_equal(choker_slots(rows, 60, 4, false), 8);          // six fast ones leave room for more: twice as many at a time
    assert_int_equal(choker_slots(rows, 60, 30, false), 17);        // 600 KiB/s: the 17th of as many would get 35, and must get 33
    for (uint32_t i = 0; i < 6; i++)
        rows[i].took = 12 * KIB * CHOKE_ROUND_S;
    assert_int_equal(choker_slots(rows, 60, 6, false), 7);          // six slow ones, and one more to try
    for (uint32_t i = 0; i < 6; i++)
        rows[i].took = 100 * KIB * CHOKE_ROUND_S;
    assert_int_equal(choker_slots(rows, 60, 5, true), 5);           // a full uplink is not cut finer
    for (uint32_t i = 0; i < 60; i++)
        rows[i].took = 1000 * KIB * CHOKE_ROUND_S;
    assert_int_equal(choker_slots(rows, 60, 50, false), CHOKE_SLOTS_MAX);
}

// With five slots a seed on a fast line would leave most of it idle for ten seconds; a slow line keeps few slots.
static void a_fast_uplink_does_not_wait_for_the_round(void **state)
{
    UNUSED_STATE(state);
    assert_int_equal(choker_slots_early(0, 4), 4);
    assert_int_equal(choker_slots_early(50 * KIB, 4), 4);           // 25 KiB/s feed five evenly; half of that does not
    assert_int_equal(choker_slots_early(1200 * KIB, 4), 8);         // twice as many in a second
    assert_int_equal(choker_slots_early(1200 * KIB, 8), 16);
    assert_int_equal(choker_slots_early(1200 * KIB, 16), 17);       // the 17th gets 35 of 600, and must get 33
    assert_int_equal(choker_slots_early(1 << 30, 40), CHOKE_SLOTS_MAX);
}

// A leech that was unchoked by a seed and asks for nothing keeps its slot half a minute, not for ever.
static void the_idle_keep_no_slot(void **state)
{
    UNUSED_STATE(state);
    const uint64_t s = NSEC_S;
    struct choke_row rows[3] = {
        {.id = 0, .interested = true, .unchoked = true, .changed_at = 10 * s, .took = 100, .net = 0},
        {.id = 1, .interested = true, .unchoked = true, .changed_at = 10 * s, .took = 40000, .took_turn = 200000, .net = 1},
        {.id = 2, .interested = true, .changed_at = 20 * s, .net = 2},
    };
    decide(rows, 3, (struct choke_config){.mode = CHOKE_SEED, .regular_slots = 2, .now = 39 * s, .piece_len = 262144});
    assert_true(rows[0].unchoke);
    decide(rows, 3, (struct choke_config){.mode = CHOKE_SEED, .regular_slots = 2, .now = 41 * s, .piece_len = 262144});
    assert_false(rows[0].unchoke);
    assert_true(rows[1].unchoke);
    assert_true(rows[2].unchoke);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_best_givers_and_one_by_luck), cmocka_unit_test(who_is_not_interested_takes_no_slot), cmocka_unit_test(without_luck_only_givers),
        cmocka_unit_test(the_snubbed_are_served_by_luck_only),  cmocka_unit_test(the_optimistic_one_stays_three_rounds),
        cmocka_unit_test(luck_favours_newcomers),               cmocka_unit_test(luck_spreads_over_networks),
        cmocka_unit_test(refilling_takes_from_nobody),          cmocka_unit_test(a_seed_serves_in_rotation),
        cmocka_unit_test(the_idle_keep_no_slot),                cmocka_unit_test(slots_follow_the_uplink),
        cmocka_unit_test(a_fast_uplink_does_not_wait_for_the_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
