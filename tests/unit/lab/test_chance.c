// Times drawn by integers against their formulas: a crowd that does not come and go as people do proves nothing about people.
#include "test.h"

#include <math.h>

#include "sim/chance.h"

enum { DRAWS = 200000 };

static void logarithms_are_right(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t values[] = {1, 2, 999, 1000000, 500000000, CHANCE_ONE, 2718281828, 36700000000};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        const double want = log((double)values[i] / 1e9);
        assert_true(fabs((double)chance_ln(values[i]) / 1e9 - want) < 2e-7);
    }
    for (double x = -20; x < 15; x += 0.37) {
        const double got = (double)chance_exp((int64_t)(x * 1e9)) / 1e9;
        assert_true(fabs(got - exp(x)) < exp(x) * 1e-6 + 2e-9);
    }
    assert_int_equal(chance_exp(0), CHANCE_ONE);
    assert_int_equal(chance_exp(-100 * (int64_t)CHANCE_ONE), 0);
    assert_int_equal(chance_exp(1000 * (int64_t)CHANCE_ONE), (uint64_t)1 << 62);
}

// The share of draws below the time where the formula says `share` of them are.
static void expect_quantile(const nsec *t, double scale_s, double shape, double share)
{
    const double at = scale_s * pow(-log(1 - share), 1 / shape);
    uint32_t n = 0;
    for (uint32_t i = 0; i < DRAWS; i++)
        n += (double)t[i] / 1e9 < at;
    const double got = (double)n / DRAWS;
    if (fabs(got - share) > 0.006)
        fail_msg("shape %g: %g of the draws are below %g s, %g should be", shape, got, at, share);
}

static void weibull_is_weibull(void **state)
{
    UNUSED_STATE(state);
    static nsec t[DRAWS];
    static const struct {
        double shape, scale_s;
    } cases[] = {{0.38, 2544}, {0.34, 1278}, {0.59, 2514}, {1, 10}, {3, 0.5}};
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct rng r = rng_make(1, c);
        for (uint32_t i = 0; i < DRAWS; i++)
            t[i] = c < 3 ? chance_session(&r, (enum chance_swarm)(CHANCE_DEBIAN + c))
                         : chance_weibull(&r, (nsec)(cases[c].scale_s * 1e9), (uint32_t)(cases[c].shape * 1000));
        for (double share = 0.05; share < 1; share += 0.09)
            expect_quantile(t, cases[c].scale_s, cases[c].shape, share);
    }
    struct rng r = rng_make(2, 2);
    for (int i = 0; i < 10000; i++)
        assert_true(chance_weibull(&r, 100 * 86400 * NSEC_S, 100) <= 315360000 * NSEC_S);
}

static void means_are_what_was_asked(void **state)
{
    UNUSED_STATE(state);
    for (int s = CHANCE_NONE; s <= CHANCE_FLATOUT; s++) {
        struct rng r = rng_make(3, (uint64_t)s);
        double sum = 0;
        for (uint32_t i = 0; i < DRAWS; i++)
            sum += s == CHANCE_NONE ? (double)chance_exponential(&r) * 7 : (double)chance_gap(&r, (enum chance_swarm)s, 7 * NSEC_S);
        assert_true(fabs(sum / DRAWS / 7e9 - 1) < 0.015);
        for (uint32_t i = 0; i < DRAWS && s != CHANCE_NONE; i++)
            sum += (double)chance_session_of(&r, (enum chance_swarm)s, 7 * NSEC_S);
        assert_true(fabs(sum / (s == CHANCE_NONE ? DRAWS : 2 * DRAWS) / 7e9 - 1) < 0.02);       // these vary more
    }
}

static void a_day_has_a_middle(void **state)
{
    UNUSED_STATE(state);
    struct rng r = rng_make(4, 4);
    uint32_t n[4] = {0};
    for (uint32_t i = 0; i < DRAWS; i++)
        n[chance_sine(&r, 86400 * NSEC_S) / (21600 * NSEC_S)]++;
    // The integral of 1 - cos over a quarter: 1/4 - 1/2π of all.
    assert_in_range(n[0], DRAWS * 87 / 1000, DRAWS * 95 / 1000);
    assert_in_range(n[1], DRAWS * 405 / 1000, DRAWS * 413 / 1000);
    assert_in_range(n[2], DRAWS * 405 / 1000, DRAWS * 413 / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_are_right), cmocka_unit_test(weibull_is_weibull), cmocka_unit_test(means_are_what_was_asked),
        cmocka_unit_test(a_day_has_a_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
