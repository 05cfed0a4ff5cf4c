// Our own address by the votes of others. BEP 10, 24, 42.
#include "test.h"

#include "engine/votes.h"

static struct addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d) { return addr_ipv4((uint8_t[4]){a, b, c, d}, 6881); }

static bool says(struct votes *v, struct addr from, struct addr what)
{
    const uint32_t source = votes_source(&from);
    return source != 0 && votes_add(v, source, &what);
}

// Without this one liar, or one with many hosts in one network, decides who we think we are.
static void three_networks_agree(void **state)
{
    UNUSED_STATE(state);
    struct votes v = {.n = 0};
    const struct addr mine = ip(50, 60, 70, 80), lie = ip(66, 66, 66, 66);
    for (uint8_t i = 0; i < 200; i++)
        assert_false(says(&v, ip(20, 1, i, 1), lie));
    assert_false(says(&v, ip(21, 1, 1, 1), mine));
    assert_false(says(&v, ip(21, 2, 1, 1), mine));
    assert_true(says(&v, ip(21, 3, 1, 1), mine));
    assert_true(addr_same_ip(&v.agreed, &mine));
    assert_int_equal(v.agreed.port, 0);
    assert_false(says(&v, ip(21, 4, 1, 1), mine));      // no news
    assert_false(says(&v, ip(22, 1, 1, 1), lie));
    assert_false(says(&v, ip(22, 2, 1, 1), lie));       // three of seven: not most
    assert_true(addr_same_ip(&v.agreed, &mine));
}

// We have moved: whoever is heard again says the new address, the others are not heard for ever.
static void a_new_address_wins(void **state)
{
    UNUSED_STATE(state);
    struct votes v = {.n = 0};
    const struct addr before = ip(50, 60, 70, 80), after = ip(51, 61, 71, 81);
    for (uint8_t i = 0; i < VOTES_MAX; i++)
        (void)says(&v, ip(20, i, 1, 1), before);
    uint32_t changes = 0, at = 0;
    for (uint8_t i = 0; i < VOTES_MAX; i++)
        if (says(&v, ip(30, i, 1, 1), after)) {
            changes++;
            at = i;
        }
    assert_int_equal(changes, 1);
    assert_int_equal(at, 2 * VOTES_MAX / 3);            // more than two thirds
    assert_true(addr_same_ip(&v.agreed, &after));
}

// Half of those heard last may be liars by chance: that moves nobody who knows where he is.
static void a_chance_majority_changes_nothing(void **state)
{
    UNUSED_STATE(state);
    struct votes v = {.n = 0};
    const struct addr mine = ip(50, 60, 70, 80), lie = ip(66, 66, 66, 66);
    for (uint8_t i = 0; i < VOTES_MAX; i++)
        (void)says(&v, ip(20, i, 1, 1), mine);
    for (uint8_t i = 0; i < 2 * VOTES_MAX / 3; i++)
        assert_false(says(&v, ip(30, i, 1, 1), lie));
    assert_true(addr_same_ip(&v.agreed, &mine));
}

static void some_have_no_vote(void **state)
{
    UNUSED_STATE(state);
    struct votes v = {.n = 0};
    const struct addr mine = ip(50, 60, 70, 80);
    const struct addr local[] = {ip(10, 0, 0, 1), ip(127, 0, 0, 1), ip(192, 168, 1, 1), ip(100, 64, 0, 1), {0}};
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        assert_int_equal(votes_source(&local[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        for (uint8_t k = 0; k < 5; k++)
            assert_false(says(&v, ip(20, k, 1, 1), local[i]));
    const struct addr group = ip(239, 1, 1, 1), router = ip(0, 0, 0, 0);
    for (uint8_t k = 0; k < 5; k++) {
        assert_false(says(&v, ip(20, k, 1, 1), group));
        assert_false(says(&v, ip(20, k, 1, 1), router));
    }
    // A tracker's name proves no network: all of them are one source, the router another.
    for (int i = 0; i < 9; i++)
        assert_false(votes_add(&v, VOTES_TRACKERS, &mine));
    assert_false(votes_add(&v, VOTES_ROUTER, &mine));
    assert_true(says(&v, ip(20, 1, 1, 1), mine));
    const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, 1}, near[16] = {0x20, 0x01, 0x0d, 0xb8, 2}, far[16] = {0x20, 0x01, 0x0d, 0xb9};
    const struct addr a = addr_ipv6(six, 1), b = addr_ipv6(near, 2), c = addr_ipv6(far, 3);
    assert_int_equal(votes_source(&a), votes_source(&b));
    assert_int_not_equal(votes_source(&a), votes_source(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_networks_agree), cmocka_unit_test(a_new_address_wins), cmocka_unit_test(a_chance_majority_changes_nothing),
        cmocka_unit_test(some_have_no_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
