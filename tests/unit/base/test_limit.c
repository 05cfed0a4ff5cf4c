// Without these a limit is a number that nobody keeps: windows, turns, and what a change does while bytes flow.
#include "base/limit.h"
#include "base/rate.h"

#include "test.h"

enum { OWNERS = 4 };

// Takes as much as it gets, `want` at a time, at every point in time where it says that there is something. Bytes of each
// window of a second.
static void drive(struct tap *t, uint32_t want, nsec from, uint32_t seconds, uint64_t *out)
{
    for (nsec now = from; now < from + seconds * NSEC_S; now = tap_wait(t, now)) {
        for (uint32_t n = tap_take(t, now, want); n != 0; n = tap_take(t, now, want))
            out[(now - from) / NSEC_S] += n;
    }
}

// From the slowest to the fastest, blocks and crumbs, each second is within 2 % of what was asked for.
static void windows_are_kept(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t rates[] = {64 * KIB, 256 * KIB, 1000000, 10 * MIB, 100 * MIB, GIB};
    static const uint32_t wants[] = {16384, 100, 7777};
    for (size_t r = 0; r < ARRAY_LEN(rates); r++)
        for (size_t w = 0; w < ARRAY_LEN(wants); w++)
            for (int own = 0; own < 2; own++) {
                struct limit all;
                struct tap t;
                uint64_t got[5] = {0};
                limit_init(&all, 7, own ? 0 : rates[r]);
                tap_init(&t, &all, 7, own ? rates[r] : 0, 1);
                drive(&t, wants[w], 100 * NSEC_S, ARRAY_LEN(got), got);     // it was idle, and saved up what it may
                for (size_t i = 0; i < ARRAY_LEN(got); i++)
                    assert_in_range(got[i], rates[r] / 100 * 98, rates[r] / 100 * 102);
            }
}

// On a crowded machine its owner comes up to 60 ms late. What it may have is not lost, or 64 KiB/s would be 50; and it saves up
// only while it is wanted.
static void who_comes_late_loses_nothing(void **state)
{
    UNUSED_STATE(state);
    for (int own = 0; own < 2; own++) {
        struct limit all;
        struct tap t;
        struct rng rng = rng_make(1, 2);
        uint64_t got = 0;
        limit_init(&all, 7, own ? 0 : 65536);
        tap_init(&t, &all, 7, own ? 65536 : 0, 1);
        nsec now = 100 * NSEC_S;
        while (now < 110 * NSEC_S) {
            for (uint32_t n = tap_take(&t, now, 16384); n != 0; n = tap_take(&t, now, 16384))
                got += n;
            now = tap_wait(&t, now) + rng_below(&rng, 60) * NSEC_MS;
        }
        assert_in_range(got, 65536 * 10 / 100 * 99, 65536 * 10 / 100 * 101);
        tap_leave(&t);
        now += NSEC_S;
        assert_in_range(tap_take(&t, now, 16384), 1, 65536 * 2 * LIMIT_BITE_MS / 1000 + 16);
    }
}

// One KiB/s gives something twice a second, and not a block every 16 s.
static void slow_is_smooth(void **state)
{
    UNUSED_STATE(state);
    struct limit all;
    struct tap t;
    uint64_t got[60] = {0};
    limit_init(&all, 0, 1024);
    tap_init(&t, &all, 0, 0, 1);
    drive(&t, 16384, 0, ARRAY_LEN(got), got);
    for (size_t i = 1; i < ARRAY_LEN(got); i++)
        assert_in_range(got[i], 512, 1536);
}

// The simpler one. Without this it would let through too much after a rest, or forget what was overdrawn.
static void a_rate_is_kept(void **state)
{
    UNUSED_STATE(state);
    struct rate r;
    rate_init(&r, 1000);
    const nsec now = 100 * NSEC_S;
    uint32_t n = 0;
    for (; rate_ready(&r, now); n++)
        rate_charge(&r, now, 1);
    assert_int_equal(n, RATE_BURST_MS + 1);                     // what it had saved up, and one that overdraws
    assert_true(rate_when(&r, now) == now + NSEC_MS);
    assert_true(rate_ready(&r, now + NSEC_MS));
    rate_charge(&r, now + NSEC_MS, 500);
    assert_true(rate_when(&r, now + NSEC_MS) == now + 501 * NSEC_MS);
    rate_init(&r, 0);                                           // no limit
    rate_charge(&r, now, 1 << 30);
    assert_true(rate_when(&r, now) == now);
}

// Who sends blocks and who sends crumbs get the same bytes; who has a limit of its own takes only that, and the others the rest.
static void turns_are_fair(void **state)
{
    UNUSED_STATE(state);
    static const uint32_t wants[OWNERS] = {16384, 100, 5000, 16384};
    struct limit all;
    struct tap taps[OWNERS];
    uint64_t got[OWNERS] = {0};
    limit_init(&all, 0, 1000000);
    for (uint32_t i = 0; i < OWNERS; i++)
        tap_init(&taps[i], &all, 0, i == 3 ? 100000 : 0, i + 1);
    for (nsec now = 0; now < 100 * NSEC_S; now += NSEC_MS)      // always in this order: turns decide, not who comes first
        for (uint32_t i = 0; i < OWNERS; i++)
            for (uint32_t n = tap_take(&taps[i], now, wants[i]); n != 0; n = tap_take(&taps[i], now, wants[i]))
                got[i] += n;
    assert_in_range(got[3], 9800000, 10010000);
    for (uint32_t i = 0; i < 3; i++)
        assert_in_range(got[i], 29800000, 30200000);
}

// The first of those who wait is called, once; it knows when, and the others wait for its turn to end.
static void the_next_one_is_called(void **state)
{
    UNUSED_STATE(state);
    struct limit all;
    struct tap a, b;
    limit_init(&all, 0, 1000000);
    tap_init(&a, &all, 0, 0, 5);
    tap_init(&b, &all, 0, 0, 6);
    const nsec now = NSEC_S, bite = 8 * NSEC_MS + 1;
    assert_int_equal(limit_call(&all), 0);
    assert_int_equal(tap_take(&a, now, 10000), 10000);          // two bites of 8000 were saved up
    assert_int_equal(tap_take(&a, now, 16384), 0);
    assert_int_equal(tap_take(&b, now, 16384), 0);
    assert_int_equal(limit_call(&all), 0);                      // a was there and was told when
    assert_in_range(tap_wait(&a, now), now + 2 * NSEC_MS, now + 2 * NSEC_MS + 2);
    assert_int_equal(tap_wait(&b, now), NSEC_NEVER);
    assert_int_equal(tap_take(&a, now + bite, 16384), 6384);    // the end of its turn
    assert_int_equal(limit_call(&all), 6);
    assert_int_equal(limit_call(&all), 0);
    assert_true(tap_wait(&b, now + bite) < now + 2 * bite);
    tap_leave(&b);                                              // it wants nothing any more
    assert_int_equal(limit_call(&all), 0);
    assert_int_equal(tap_take(&a, now + 2 * bite, 100), 100);
    assert_int_equal(tap_take(&b, now + 3 * bite, 100), 0);     // a is in the middle of its turn
    tap_leave(&a);
    assert_int_equal(limit_call(&all), 6);
}

// What was owed to the old rate delays nothing under the new one; no limit lets everything through.
static void a_limit_may_change(void **state)
{
    UNUSED_STATE(state);
    struct limit all;
    struct tap t;
    uint64_t got[2] = {0};
    limit_init(&all, 0, 1024);
    tap_init(&t, &all, 0, 0, 1);
    tap_charge(&t, NSEC_S, 100000);                             // a debt of a hundred seconds
    assert_int_equal(tap_take(&t, NSEC_S, 1000), 0);
    limit_set(&all, NSEC_S, 1000000);
    assert_true(list_empty(&all.waiting));
    drive(&t, 16384, NSEC_S, 2, got);
    assert_in_range(got[0], 980000, 1020000);
    limit_set(&all, 3 * NSEC_S, 0);
    assert_false(tap_limited(&t));
    assert_int_equal(tap_take(&t, 3 * NSEC_S, 123456789), 123456789);
    tap_set(&t, 3 * NSEC_S, 500000);
    assert_true(tap_limited(&t));
    assert_int_equal(tap_take(&t, 4 * NSEC_S, 16384), 8000);    // two bites of 4000
    assert_int_equal(tap_take(&t, 4 * NSEC_S, 16384), 0);
    tap_back(&t, 8000);
    assert_int_equal(tap_take(&t, 4 * NSEC_S, 16384), 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_kept), cmocka_unit_test(windows_are_kept), cmocka_unit_test(who_comes_late_loses_nothing),
        cmocka_unit_test(slow_is_smooth), cmocka_unit_test(turns_are_fair), cmocka_unit_test(the_next_one_is_called),
        cmocka_unit_test(a_limit_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
