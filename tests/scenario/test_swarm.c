// Swarms of whole nodes: they complete, within the bound of physics, under churn and loss, with two kinds of payload.
#include "lab.h"

#include "sim/oracle.h"

static const uint64_t mb2[] = {2000000}, mb8[] = {8388608 + 5000}, mb16[] = {16777216}, kb300[] = {300000};

// Without this nothing else here means anything.
static void two_nodes_copy_a_file(void **state)
{
    UNUSED_STATE(state);
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 1, .latency = 20 * NSEC_MS, .check = true, .watch = true},
        .torrent = {.v1 = true, .piece_len = 32768, .lens = kb300, .files_n = 1},
        .seed = {.up_bps = KBPS(200)}, .leech = {.dials = 1}, .seeds = 1, .leeches = 1};
    struct lab l;
    lab_swarm(&l, &s);
    const nsec t = lab_complete(&l, 60 * NSEC_S);
    assert_true(t < 15 * NSEC_S);
    world_run(l.world, l.world->now + 20 * NSEC_S);
    lab_close(&l);
}

static nsec twenty(const char *name, enum payload_mode mode, uint64_t *out_hash)
{
    const struct lab_swarm s = {.name = name,
        .world = {.seed = 42, .payload = mode, .latency = 30 * NSEC_MS, .latency_spread = 40 * NSEC_MS, .loss_ppm = 2000, .check = true, .watch = true},
        .torrent = {.v1 = true, .piece_len = 65536, .lens = mb2, .files_n = 1},
        .seed = {.up_bps = KBPS(200), .down_bps = KBPS(1000)}, .leech = {.up_bps = KBPS(100), .down_bps = KBPS(1000)},
        .seeds = 1, .leeches = 20, .tracker = true, .arrivals = 5 * NSEC_S};
    struct lab l;
    lab_swarm(&l, &s);
    const nsec t = lab_complete(&l, 600 * NSEC_S);
    *out_hash = lab_close(&l);
    return t;
}

// By reference and by bytes the same things happen at the same instants; a second run is the first.
static void references_and_bytes_agree(void **state)
{
    UNUSED_STATE(state);
    uint64_t ref, bytes, again;
    twenty("references", PAYLOAD_REF, &ref);
    twenty("bytes", PAYLOAD_BYTES, &bytes);
    twenty("references again", PAYLOAD_REF, &again);
    assert_int_equal(ref, bytes);
    assert_int_equal(ref, again);
}

// Everybody there from the start: nobody beats physics, and the swarm comes near it.
static void a_swarm_comes_near_the_bound(void **state)
{
    UNUSED_STATE(state);
    enum { N = 50 };
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 3, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS},
        .torrent = {.v1 = true, .piece_len = 65536, .lens = mb8, .files_n = 1},
        .seed = {.up_bps = KBPS(400)}, .leech = {.up_bps = KBPS(100), .down_bps = KBPS(1000), .dials = 20}, .seeds = 1, .leeches = N};
    struct lab l;
    lab_swarm(&l, &s);
    const nsec t = lab_complete(&l, 2000 * NSEC_S);
    const nsec bound = oracle_bound(mb8[0], KBPS(400), KBPS(100) * N, KBPS(1000), N);
    print_message("last of %d after %llu ms, bound %llu ms\n", N, (unsigned long long)(t / NSEC_MS), (unsigned long long)(bound / NSEC_MS));
    lab_expect(&l, t >= bound, "faster than physics");
    lab_expect(&l, t <= 2 * bound, "far from the bound");
    lab_close(&l);
}

// When the last of twenty has it who fetch in order, with a seed four times as fast as they are.
static nsec twenty_in_order(const char *name, bool strict)
{
    enum { N = 20 };
    const struct lab_swarm s = {.name = name, .world = {.seed = 5, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS},
        .torrent = {.v1 = true, .piece_len = 32768, .lens = mb8, .files_n = 1},
        .seed = {.up_bps = KBPS(400)}, .leech = {.up_bps = KBPS(100), .down_bps = KBPS(1000), .dials = 20}, .seeds = 1, .leeches = N};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    for (uint32_t i = 0; i < N; i++) {
        l.world->hosts[run.first_leech + i]->wants[0].sequential = true;
        l.world->hosts[run.first_leech + i]->wants[0].strict_order = strict;
    }
    const nsec t = lab_complete(&l, 2000 * NSEC_S);
    lab_close(&l);
    return t;
}

// Who all want the same next piece have nothing for each other, and the seed sends it to each of them: more than twice the time.
static void who_fetches_in_order_has_something_for_others(void **state)
{
    UNUSED_STATE(state);
    const nsec bound = oracle_bound(mb8[0], KBPS(400), KBPS(100) * 20, KBPS(1000), 20);
    const nsec t = twenty_in_order("in order", false), strict = twenty_in_order("strictly in order", true);
    print_message("in order: last after %llu ms, strictly %llu ms, bound %llu ms\n", (unsigned long long)(t / NSEC_MS),
        (unsigned long long)(strict / NSEC_MS), (unsigned long long)(bound / NSEC_MS));
    assert_true(2 * t <= 3 * bound);
    assert_true(strict >= 2 * bound);
}

// The mean time of ten with slow downlinks and a seed that could fill them all; streams leave lines in lumps of up to `quantum` bytes.
static nsec ten_behind_slow_lines(uint32_t quantum)
{
    enum { N = 10 };
    const struct lab_swarm s = {.name = __func__,
        .world = {.seed = 1, .latency = 20 * NSEC_MS, .latency_spread = 40 * NSEC_MS, .quantum_bytes = quantum},
        .torrent = {.v1 = true, .piece_len = 131072, .lens = mb16, .files_n = 1},
        .seed = {.up_bps = KBPS(3750)}, .leech = {.up_bps = KBPS(88), .down_bps = KBPS(250), .dials = 10}, .seeds = 1, .leeches = N};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    lab_complete(&l, 200 * NSEC_S);
    nsec sum = 0;
    for (uint32_t i = 0; i < N; i++)
        sum += l.world->hosts[run.first_leech + i]->wants[0].done_at;
    lab_close(&l);
    return sum / N;
}

// For speed the simulation sends blocks, not packets; that must not change what comes out. It did: a block from a slow line stood in
// the queue of a slow downlink as a whole, its sender slowed down, and a tenth of the downlinks stayed unused.
static void lumps_are_as_packets(void **state)
{
    UNUSED_STATE(state);
    const nsec lumps = ten_behind_slow_lines(0), packets = ten_behind_slow_lines(1500);
    print_message("blocks: %llu ms, packets: %llu ms\n", (unsigned long long)(lumps / NSEC_MS), (unsigned long long)(packets / NSEC_MS));
    assert_in_range(lumps, packets / 100 * 98, packets / 100 * 102);
}

// Two hundred, arriving over a minute, with losses; some crash and come back, some pause, some are cut off for a while, most leave
// when they are done. One seed stays.
static void two_hundred_under_churn_and_loss(void **state)
{
    UNUSED_STATE(state);
    enum { N = 200 };
    const struct lab_swarm s = {.name = __func__,
        .world = {.seed = 4, .latency = 20 * NSEC_MS, .latency_spread = 80 * NSEC_MS, .loss_ppm = 10000},
        .torrent = {.v1 = true, .piece_len = 131072, .lens = mb8, .files_n = 1},
        .seed = {.up_bps = KBPS(2000)},
        .leech = {.up_bps = KBPS(200), .down_bps = KBPS(1000), .latency = 5 * NSEC_MS, .after = AFTER_LEAVE, .linger = 5 * NSEC_S},
        .seeds = 2, .leeches = N, .tracker = true, .arrivals = 60 * NSEC_S};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    struct rng r = rng_make(s.world.seed, 99);
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t host = run.first_leech + i;
        const nsec t = 2 * NSEC_S + s.arrivals * i / N + rng_below(&r, 30 * NSEC_S);
        const struct action start = {.kind = ACTION_START, .host = host};
        if (i % 5 == 0) {
            const struct action crash = {.kind = ACTION_CRASH, .host = host, .a = rng_below(&r, 3), .b = rng_below(&r, 2)};
            world_plan(l.world, t, &crash);
            world_plan(l.world, t + 3 * NSEC_S + rng_below(&r, 20 * NSEC_S), &start);
        } else if (i % 5 == 1) {
            const struct action pause = {.kind = ACTION_PAUSE, .host = host, .a = rng_below(&r, 20 * NSEC_S)};
            world_plan(l.world, t, &pause);
        } else if (i % 5 == 2) {
            const struct action cut = {.kind = ACTION_SIDE, .host = host, .a = 1 + i % 3}, heal = {.kind = ACTION_SIDE, .host = host};
            world_plan(l.world, t, &cut);
            world_plan(l.world, t + rng_below(&r, 60 * NSEC_S), &heal);
        }
    }
    lab_complete(&l, 1200 * NSEC_S);
    lab_expect(&l, l.world->totals.crashes >= 20, "too few crashes to mean anything");
    lab_expect(&l, l.world->totals.bans == 0, "somebody was banned");
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_copy_a_file),
        cmocka_unit_test(references_and_bytes_agree),
        cmocka_unit_test(a_swarm_comes_near_the_bound),
        cmocka_unit_test(who_fetches_in_order_has_something_for_others),
        cmocka_unit_test(lumps_are_as_packets),
        cmocka_unit_test(two_hundred_under_churn_and_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
