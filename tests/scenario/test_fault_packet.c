// Faults of packets do what they say: else a protocol would be called robust against what never happened.
#include "probe.h"

static const struct host_config plain;

static void lost_packets_are_those_of_the_path(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    probe_fault(&p, "loss node=h0 to=h1 p=100% for=10s");
    assert_false(probe_hears(&p, 0, 1));
    assert_true(probe_hears(&p, 1, 0));
    assert_true(probe_hears(&p, 0, 2));
    probe_run(&p, 10 * NSEC_S);
    assert_true(probe_hears(&p, 0, 1));
    // Of the world: a third of all, until it is undone.
    probe_fault(&p, "loss p=30% for=20s");
    const uint32_t before = p.heard[2];
    for (int i = 0; i < 1000; i++) {
        probe_send(&p, 1, 2, 20, 1);
        probe_run(&p, 10 * NSEC_MS);
    }
    probe_run(&p, 11 * NSEC_S);
    assert_in_range(p.heard[2] - before, 640, 760);
    assert_true(probe_hears(&p, 1, 2));
    probe_close(&p);
}

// Bursts: as many are lost as the chances say, and they come in runs of 1 / end.
static void bursts_have_a_length(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    probe_fault(&p, "burst node=h0 begin=5% end=25%");
    uint32_t lost = 0, runs = 0;
    bool was = false;
    for (int i = 0; i < 2000; i++) {
        const uint32_t before = p.heard[1];
        probe_send(&p, 0, 1, 20, 1);
        probe_run(&p, 20 * NSEC_MS);
        const bool is = p.heard[1] == before;
        lost += is;
        runs += is && !was;
        was = is;
    }
    assert_in_range(lost, 2000 / 6 - 100, 2000 / 6 + 100);      // 5 / (5 + 25)
    assert_in_range(lost * 10 / runs, 32, 50);
    assert_true(probe_hears(&p, 1, 0));
    probe_close(&p);
}

static void datagrams_come_twice_late_and_again(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    probe_fault(&p, "duplicate node=h0 to=h1 p=100% for=2s");
    for (int i = 0; i < 10; i++)
        probe_send(&p, 0, 1, 20, 1);
    probe_send(&p, 0, 2, 20, 1);
    probe_run(&p, NSEC_S);
    assert_int_equal(p.heard[1], 20);
    assert_int_equal(p.heard[2], 1);
    probe_run(&p, NSEC_S);
    probe_fault(&p, "replay node=h0 p=100% after=30s for=1s");
    probe_send(&p, 0, 1, 20, 1);
    probe_run(&p, 29 * NSEC_S);
    assert_int_equal(p.heard[1], 21);
    probe_run(&p, 2 * NSEC_S);
    assert_int_equal(p.heard[1], 22);
    // Late by up to 400 ms: half a second holds all of them, and the order changes.
    probe_fault(&p, "reorder node=h0 p=100% by=400ms");
    uint32_t overtaken = 0;
    for (uint8_t i = 0; i < 50; i++) {
        probe_send(&p, 0, 1, 20, i);
        probe_run(&p, NSEC_MS);
    }
    uint8_t last = 0;
    for (int i = 0; i < 500; i++) {
        probe_run(&p, NSEC_MS);
        const uint8_t now = toy_news(p.w->hosts[1]->node)->heard[0];
        overtaken += now < last;
        last = now;
    }
    assert_int_equal(p.heard[1], 72);
    assert_true(overtaken > 5);
    probe_close(&p);
}

static void one_bit_turns_over(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    probe_fault(&p, "flip node=h0 p=100%");
    for (int round = 0; round < 50; round++) {
        assert_true(probe_hears(&p, 0, 1));
        const struct toy_news *n = toy_news(p.w->hosts[1]->node);
        uint32_t bits = 0;
        assert_int_equal(n->heard_n, 100);
        for (size_t i = 0; i < n->heard_n; i++)
            bits += (uint32_t)__builtin_popcount(n->heard[i] ^ 1u);
        assert_int_equal(bits, 1);
    }
    probe_close(&p);
}

// Without a word: neither end is told, and only what is too long.
static void an_mtu_hole_takes_the_long_ones(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    probe_fault(&p, "mtu node=h0 bytes=1000 for=10s");
    probe_send(&p, 0, 1, 972, 1);       // and 28 bytes of headers
    probe_run(&p, NSEC_S);
    assert_int_equal(p.heard[1], 1);
    probe_send(&p, 0, 1, 973, 1);
    probe_send(&p, 1, 0, 1400, 1);
    probe_run(&p, NSEC_S);
    assert_int_equal(p.heard[1], 1);
    assert_int_equal(p.heard[0], 1);
    probe_run(&p, 10 * NSEC_S);
    probe_send(&p, 0, 1, 1400, 1);
    probe_run(&p, NSEC_S);
    assert_int_equal(p.heard[1], 2);
    probe_close(&p);
}

static void a_mask_says_which_are_lost(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    probe_fault(&p, "mask node=h0 bits=0x8000000000000025");
    uint64_t lost = 0;
    for (uint32_t i = 0; i < 66; i++) {
        const uint32_t before = p.heard[1];
        probe_send(&p, 0, 1, 20, 1);
        probe_run(&p, 20 * NSEC_MS);
        if (p.heard[1] == before)
            lost |= (uint64_t)1 << (i % 64);
    }
    assert_true(lost == 0x8000000000000025);
    probe_close(&p);
}

// share=: some of them, the same ones all the time.
static void a_share_is_drawn_once(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 60, &plain);
    probe_fault(&p, "loss node=* share=30% p=100%");
    bool hit[60];
    uint32_t n = 0;
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 1; i < 60; i++) {
            const bool lost = !probe_hears(&p, i, 0);
            if (round == 0)
                n += hit[i] = lost;
            assert_int_equal(lost, hit[i]);
        }
    assert_in_range(n, 8, 28);
    probe_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_packets_are_those_of_the_path), cmocka_unit_test(bursts_have_a_length),
        cmocka_unit_test(datagrams_come_twice_late_and_again), cmocka_unit_test(one_bit_turns_over),
        cmocka_unit_test(an_mtu_hole_takes_the_long_ones), cmocka_unit_test(a_mask_says_which_are_lost),
        cmocka_unit_test(a_share_is_drawn_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
