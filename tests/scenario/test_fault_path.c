// Faults of paths and partitions do what they say.
#include "probe.h"

static const struct host_config plain;

// When a datagram sent now arrives, ns from now.
static nsec travel(struct probe *p, uint32_t from, uint32_t to)
{
    const nsec sent = p->w->now;
    assert_true(probe_hears(p, from, to));
    return p->heard_at[to] - sent;
}

// Nothing is lost: it comes when the clog ends, in order, and the other paths do not care.
static void a_clog_holds_back(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    const nsec begin = p.w->now;
    probe_fault(&p, "clog node=h0 to=h1 for=5s");
    assert_false(probe_hears(&p, 0, 1));
    assert_true(probe_hears(&p, 1, 0));
    assert_true(probe_hears(&p, 0, 2));
    probe_run(&p, begin + 5 * NSEC_S + 20 * NSEC_MS - p.w->now);
    assert_int_equal(p.heard[1], 1);
    assert_in_range(p.heard_at[1], begin + 5 * NSEC_S, begin + 5 * NSEC_S + 20 * NSEC_MS);
    probe_close(&p);
}

// Each host has its own times, all within the fault's; before and behind it all is well.
static void a_swizzle_stops_one_by_one(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    enum { HOSTS = 8 };
    probe_open(&p, __func__, HOSTS, &plain);
    probe_fault(&p, "swizzle node=h1-h7 for=20s");
    nsec stopped[HOSTS] = {0}, freed[HOSTS] = {0};
    for (int step = 0; step < 210; step++)
        for (uint32_t i = 1; i < HOSTS; i++) {
            const uint32_t before = p.heard[i];
            probe_send(&p, 0, i, 20, 1);
            probe_run(&p, 100 * NSEC_MS / (HOSTS - 1));
            probe_run(&p, 0);
            if (p.heard[i] == before && stopped[i] == 0)
                stopped[i] = p.w->now;
            if (p.heard[i] > before && stopped[i] != 0 && freed[i] == 0)
                freed[i] = p.w->now;
        }
    uint32_t order = 0;
    for (uint32_t i = 1; i < HOSTS; i++) {
        assert_true(stopped[i] != 0);
        assert_true(freed[i] > stopped[i]);
        for (uint32_t k = 1; k < i; k++) {
            assert_true(stopped[i] != stopped[k]);
            order += (stopped[i] < stopped[k]) != (freed[i] < freed[k]);
        }
    }
    assert_true(order > 0);
    probe_close(&p);
}

// One way only: datagrams one way, and streams not at all, since their acknowledgements are lost.
static void a_hole_is_one_way(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    probe_fault(&p, "hole node=h0 to=h1 for=10s");
    assert_false(probe_hears(&p, 0, 1));
    assert_true(probe_hears(&p, 1, 0));
    assert_true(probe_hears(&p, 0, 2));
    probe_run(&p, 10 * NSEC_S);
    assert_true(probe_hears(&p, 0, 1));
    assert_int_equal(p.heard[1], 1);    // the lost one does not come later
    probe_close(&p);

    const struct host_config line = {.up_bps = KBPS(100)};
    probe_copying(&p, __func__, 3, &line);
    probe_run(&p, 2 * NSEC_S);
    probe_fault(&p, "hole node=h1 to=h0 for=4s");
    probe_run(&p, NSEC_S);
    const uint64_t one = probe_copied(&p, 1), two = probe_copied(&p, 2);
    probe_run(&p, 2 * NSEC_S);
    assert_int_equal(probe_copied(&p, 1), one);
    assert_true(probe_copied(&p, 2) > two + 100000);
    probe_run(&p, 30 * NSEC_S);
    assert_int_equal(probe_copied(&p, 1), PROBE_FILE_LEN);
    probe_close(&p);
}

static void paths_become_longer(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    assert_int_equal(travel(&p, 0, 1), 10 * NSEC_MS);
    probe_fault(&p, "slow node=h0 to=h1 factor=10000 for=5s");
    assert_int_equal(travel(&p, 0, 1), 100 * NSEC_MS);
    assert_int_equal(travel(&p, 1, 0), 10 * NSEC_MS);
    assert_int_equal(travel(&p, 0, 2), 10 * NSEC_MS);
    probe_run(&p, 5 * NSEC_S);
    assert_int_equal(travel(&p, 0, 1), 10 * NSEC_MS);
    probe_fault(&p, "route more=70ms for=5s");
    assert_int_equal(travel(&p, 0, 1), 80 * NSEC_MS);
    assert_int_equal(travel(&p, 2, 0), 80 * NSEC_MS);
    probe_run(&p, 5 * NSEC_S);
    assert_int_equal(travel(&p, 2, 0), 10 * NSEC_MS);
    probe_close(&p);
}

// What waits at a downlink waits longer when that becomes slower, datagrams and blocks alike.
static void a_queue_feels_its_line(void **state)
{
    UNUSED_STATE(state);
    enum { N = 50 };
    struct probe p;
    const struct host_config line = {.down_bps = KBPS(100)};
    probe_open(&p, __func__, 2, &line);
    for (int i = 0; i < N; i++)
        probe_send(&p, 0, 1, 972, 0);                   // 1000 with their headers: all are through after half a second
    probe_run(&p, 110 * NSEC_MS);
    assert_in_range(p.heard[1], 9, 11);
    probe_fault(&p, "rate node=h1 down=10kB for=1h");
    probe_run(&p, NSEC_S);
    assert_in_range(p.heard[1], 19, 21);
    probe_run(&p, 3 * NSEC_S + NSEC_S / 10);
    assert_int_equal(p.heard[1], N);
    probe_close(&p);

    probe_open(&p, __func__, 2, &line);                 // and less long when it is fast again
    for (int i = 0; i < N; i++)
        probe_send(&p, 0, 1, 972, 0);
    probe_run(&p, 110 * NSEC_MS);
    probe_fault(&p, "rate node=h1 down=10kB for=1s");
    probe_run(&p, NSEC_S);
    assert_in_range(p.heard[1], 19, 21);
    probe_run(&p, NSEC_S / 10);
    assert_in_range(p.heard[1], 28, 31);
    probe_run(&p, NSEC_S / 4);
    assert_int_equal(p.heard[1], N);
    probe_close(&p);

    const struct host_config both = {.up_bps = KBPS(500), .down_bps = KBPS(100)};
    probe_copying(&p, __func__, 2, &both);
    probe_run(&p, 2 * NSEC_S);
    probe_fault(&p, "rate node=h1 down=1kB for=1h");
    const uint64_t before = probe_copied(&p, 1);
    probe_run(&p, 5 * NSEC_S);
    assert_in_range(probe_copied(&p, 1), before, before + BLOCK_LEN);       // its block is the only one under way
    probe_close(&p);
}

// Bytes that host 1 copies in the next ten seconds.
static uint64_t pace(struct probe *p)
{
    const uint64_t before = probe_copied(p, 1);
    probe_run(p, 10 * NSEC_S);
    return probe_copied(p, 1) - before;
}

static void lines_become_slower(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *line;
        uint64_t low, high;             // bytes in ten seconds
    } cases[] = {
        {"rate node=h0 up=10kB down=10kB for=10s", 80000, 120000},
        {"rate node=h1 down=20kB for=10s", 160000, 220000},
        {"throttle node=h0 up=50% for=10s", 180000, 225000},
        {"throttle node=h1 down=10% for=10s", 33000, 105000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct probe p;
        const struct host_config line = {.up_bps = KBPS(40), .down_bps = KBPS(100)};
        probe_copying(&p, __func__, 2, &line);
        probe_run(&p, 2 * NSEC_S);
        probe_fault(&p, cases[i].line);
        const uint64_t slow = pace(&p);
        if (slow < cases[i].low || slow > cases[i].high)
            fail_msg("%s: %llu bytes in 10 s", cases[i].line, (unsigned long long)slow);
        probe_run(&p, 3 * NSEC_S);
        const uint64_t healthy = pace(&p);
        if (healthy < 350000 || healthy > 420000)
            fail_msg("after %s: %llu bytes in 10 s", cases[i].line, (unsigned long long)healthy);
        probe_close(&p);
    }
}

// Away for half a second in every two: what is sent meanwhile comes when the card is back, both ways.
static void a_card_that_scans_is_away(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    probe_fault(&p, "scan node=h1 every=2s away=500ms for=20s");
    for (int i = 0; i < 40; i++) {
        const nsec at = p.w->now - NSEC_MS, phase = at % (2 * NSEC_S), sent = p.w->now;
        const uint32_t to = i % 2 == 0, from = 1 - to;
        probe_send(&p, from, to, 20, 1);
        probe_run(&p, 510 * NSEC_MS - 10 * NSEC_MS);
        const nsec took = p.heard_at[to] - sent;
        assert_int_equal(took, phase + 10 * NSEC_MS < 500 * NSEC_MS ? 500 * NSEC_MS - phase : 10 * NSEC_MS);
    }
    probe_close(&p);
}

static bool pair_hears(struct probe *p, uint32_t a, uint32_t b)
{
    const bool there = probe_hears(p, a, b), back = probe_hears(p, b, a);
    assert_int_equal(there, back);
    return there;
}

static void sides_do_not_hear_each_other(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 6, &plain);
    probe_fault(&p, "partition node=h0-h1 side=1 for=30s");
    assert_true(pair_hears(&p, 0, 1));
    assert_false(pair_hears(&p, 1, 2));
    assert_true(pair_hears(&p, 2, 3));
    probe_fault(&p, "bridge node=h2 for=10s");
    assert_true(pair_hears(&p, 1, 2));
    assert_true(pair_hears(&p, 2, 3));
    assert_false(pair_hears(&p, 1, 3));
    probe_run(&p, 30 * NSEC_S);
    assert_true(pair_hears(&p, 1, 3));
    probe_fault(&p, "isolate node=h0-h1 for=20s");
    assert_false(pair_hears(&p, 0, 1));
    assert_false(pair_hears(&p, 0, 2));
    assert_true(pair_hears(&p, 2, 3));
    probe_run(&p, 20 * NSEC_S);
    assert_true(pair_hears(&p, 0, 1));
    probe_close(&p);
}

static void a_split_makes_two_sides(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    enum { HOSTS = 40 };
    probe_open(&p, __func__, HOSTS, &plain);
    probe_fault(&p, "split node=* p=40% for=1h");
    bool with[HOSTS];
    uint32_t n = 0, other = 0;
    for (uint32_t i = 1; i < HOSTS; i++) {
        n += with[i] = pair_hears(&p, 0, i);
        other = with[i] ? other : i;
    }
    assert_in_range(n, HOSTS / 4, HOSTS * 4 / 5);
    for (uint32_t i = 1; i < HOSTS; i++)
        if (i != other)
            assert_int_equal(pair_hears(&p, other, i), !with[i]);
    probe_close(&p);
}

// Datagrams go and streams do not, or the other way round.
static void protocols_are_swallowed(void **state)
{
    UNUSED_STATE(state);
    static const char *const lines[] = {"no-tcp node=h1 for=5s", "no-udp node=h1 for=5s"};
    const struct host_config line = {.up_bps = KBPS(100)};
    for (int udp = 0; udp < 2; udp++) {
        struct probe p;
        probe_open(&p, __func__, 3, &line);
        probe_fault(&p, lines[udp]);
        assert_int_equal(probe_hears(&p, 1, 0), !udp);
        assert_int_equal(probe_hears(&p, 0, 1), !udp);
        assert_true(probe_hears(&p, 2, 0));
        probe_run(&p, 5 * NSEC_S);
        assert_true(probe_hears(&p, 1, 0));
        probe_close(&p);

        probe_copying(&p, __func__, 3, &line);
        probe_run(&p, 2 * NSEC_S);
        probe_fault(&p, lines[udp]);
        probe_run(&p, NSEC_S);
        const uint64_t one = probe_copied(&p, 1), two = probe_copied(&p, 2);
        probe_run(&p, NSEC_S);
        assert_int_equal(probe_copied(&p, 1) > one, udp);
        assert_true(probe_copied(&p, 2) > two);
        probe_run(&p, 30 * NSEC_S);
        assert_int_equal(probe_copied(&p, 1), PROBE_FILE_LEN);
        probe_close(&p);
    }
}

// Both ends see the end at once; a port chooses which streams.
static void streams_are_reset(void **state)
{
    UNUSED_STATE(state);
    const struct host_config line = {.up_bps = KBPS(50)};
    struct probe p;
    probe_copying(&p, __func__, 3, &line);
    probe_run(&p, 2 * NSEC_S);
    assert_int_equal(p.w->hosts[0]->ends_n, 2);
    probe_fault(&p, "reset node=h1 port=80");
    probe_run(&p, NSEC_S);
    assert_int_equal(p.w->hosts[0]->ends_n, 2);
    probe_fault(&p, "reset node=h1 port=6881");
    probe_run(&p, NSEC_S);
    assert_int_equal(p.w->hosts[0]->ends_n, 1);
    assert_int_equal(p.w->hosts[1]->ends_n, 0);
    assert_int_equal(p.w->hosts[2]->ends_n, 1);
    probe_fault(&p, "reset node=h0");
    probe_run(&p, NSEC_S);
    assert_int_equal(p.w->hosts[2]->ends_n, 0);
    probe_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clog_holds_back), cmocka_unit_test(a_swizzle_stops_one_by_one), cmocka_unit_test(a_hole_is_one_way),
        cmocka_unit_test(paths_become_longer), cmocka_unit_test(lines_become_slower), cmocka_unit_test(a_queue_feels_its_line),
        cmocka_unit_test(a_card_that_scans_is_away),
        cmocka_unit_test(sides_do_not_hear_each_other), cmocka_unit_test(a_split_makes_two_sides),
        cmocka_unit_test(protocols_are_swallowed), cmocka_unit_test(streams_are_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
