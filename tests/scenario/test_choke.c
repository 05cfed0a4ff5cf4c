// Why people upload: who gives gets more, who gives nothing gets less, and who has nothing yet is started all the same.
#include "lab.h"

#include "sim/hostile.h"

static const uint64_t mb8[] = {8000000}, mb30[] = {30000000};

struct shares {
    uint64_t honest, riders;            // bytes taken by all of them so far
};

static struct shares shares(const struct lab *l, uint32_t first_leech, uint32_t leeches, uint32_t first_rider, uint32_t riders)
{
    struct shares sum = {0};
    for (uint32_t i = 0; i < leeches; i++)
        sum.honest += lab_stats(l, first_leech + i, 0).down_bytes;
    for (uint32_t i = 0; i < riders; i++)
        sum.riders += l->world->hosts[first_rider + i]->hostile->taken_bytes;
    return sum;
}

// Bandwidth is scarce and nobody is done yet: measured while the swarm is leeching, because seeds that stay would feed free riders for
// nothing. The seed must not be the bottleneck: then everybody has what there is, and spare uplink goes to whoever asks.
static void a_free_rider_gets_less(void **state)
{
    UNUSED_STATE(state);
    enum { N = 30, RIDERS = 4, FROM_S = 40, TO_S = 240 };
    uint64_t honest = 0, riders = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const struct lab_swarm s = {.name = __func__, .world = {.seed = seed, .latency = 20 * NSEC_MS, .latency_spread = 40 * NSEC_MS},
            .torrent = {.v1 = true, .piece_len = 131072, .lens = mb30, .files_n = 1}, .seed = {.up_bps = KBPS(200)},
            .leech = {.up_bps = KBPS(60), .down_bps = KBPS(1000), .after = AFTER_VANISH}, .seeds = 1, .leeches = N, .tracker = true};
        struct lab l;
        const struct lab_run run = lab_swarm(&l, &s);
        const uint32_t first = lab_next(&l);
        for (uint32_t i = 0; i < RIDERS; i++) {
            const struct host_config c = {.arrive = NSEC_S, .up_bps = KBPS(60), .down_bps = KBPS(1000),
                .hostile = {.kind = HOSTILE_FREE_RIDER, .torrent = run.torrent, .announces = true}};
            world_host(l.world, &c);
        }
        world_run(l.world, FROM_S * NSEC_S);
        const struct shares before = shares(&l, run.first_leech, N, first, RIDERS);
        world_run(l.world, TO_S * NSEC_S);
        const struct shares after = shares(&l, run.first_leech, N, first, RIDERS);
        lab_expect_good(&l);
        const uint64_t h = (after.honest - before.honest) / N / (TO_S - FROM_S), r = (after.riders - before.riders) / RIDERS / (TO_S - FROM_S);
        print_message("seed %llu: contributors %llu B/s each, free riders %llu B/s each\n", (unsigned long long)seed, (unsigned long long)h,
            (unsigned long long)r);
        honest += h;
        riders += r;
        lab_close(&l);
    }
    assert_true(riders > 0);                            // the optimistic unchoke leaks a little: as it should
    assert_true(riders * 2 < honest);
}

// Everybody has found his partners; the newcomer has nothing to give. The optimistic unchoke gives it its first piece.
static void a_newcomer_is_started(void **state)
{
    UNUSED_STATE(state);
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 6, .latency = 20 * NSEC_MS, .check = true},
        .torrent = {.v1 = true, .piece_len = 65536, .lens = mb8, .files_n = 1}, .seed = {.up_bps = KBPS(60)},
        .leech = {.up_bps = KBPS(60), .down_bps = KBPS(1000)}, .seeds = 1, .leeches = 20, .tracker = true};
    struct lab l;
    lab_swarm(&l, &s);
    const struct host_config c = {.arrive = 60 * NSEC_S, .up_bps = KBPS(60), .down_bps = KBPS(1000)};
    const uint32_t newcomer = world_host(l.world, &c);
    world_want(l.world, newcomer, 0, WANT_LEECH);
    nsec t = 60 * NSEC_S;
    while (t < 200 * NSEC_S && lab_stats(&l, newcomer, 0).pieces_have == 0) {
        t += NSEC_S;
        world_run(l.world, t);
        lab_expect_good(&l);
    }
    print_message("first piece after %llu s\n", (unsigned long long)((t - 60 * NSEC_S) / NSEC_S));
    lab_expect(&l, t <= 120 * NSEC_S, "the newcomer waits too long");
    lab_close(&l);
}

// Three classes of uplinks, scarce bandwidth: the more a class gives, the more it gets.
static void who_gives_more_gets_more(void **state)
{
    UNUSED_STATE(state);
    enum { CLASSES = 3, EACH = 12 };
    static const uint64_t up[CLASSES] = {KBPS(20), KBPS(60), KBPS(180)};
    uint64_t got[CLASSES] = {0};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const struct lab_swarm s = {.name = __func__, .world = {.seed = seed, .latency = 20 * NSEC_MS},
            .torrent = {.v1 = true, .piece_len = 131072, .lens = mb30, .files_n = 1}, .seed = {.up_bps = KBPS(300)}, .seeds = 1, .tracker = true};
        struct lab l;
        const struct lab_run run = lab_swarm(&l, &s);
        for (uint32_t i = 0; i < CLASSES * EACH; i++) {
            const struct host_config c = {.arrive = NSEC_S, .up_bps = up[i % CLASSES], .down_bps = KBPS(2000), .after = AFTER_VANISH};
            world_want(l.world, world_host(l.world, &c), run.torrent, WANT_LEECH);
        }
        world_run(l.world, 120 * NSEC_S);
        lab_expect_good(&l);
        for (uint32_t i = 0; i < CLASSES * EACH; i++)
            got[i % CLASSES] += lab_stats(&l, run.first_leech + i, 0).down_bytes / EACH;
        lab_close(&l);
    }
    print_message("uplinks 20, 60, 180 kB/s: got %llu, %llu, %llu kB\n", (unsigned long long)got[0] / 3000, (unsigned long long)got[1] / 3000,
        (unsigned long long)got[2] / 3000);
    assert_true(got[1] * 10 > got[0] * 12);
    assert_true(got[2] * 10 > got[1] * 12);
}

// A seed on a fast line whose leeches have slow ones: all of them are served within seconds, not five in the first round.
static void a_fast_seed_serves_all_at_once(void **state)
{
    UNUSED_STATE(state);
    enum { N = 20 };
    static const uint32_t the_seed = 0;
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 4, .latency = 20 * NSEC_MS},
        .torrent = {.v1 = true, .piece_len = 131072, .lens = mb30, .files_n = 1}, .seed = {.up_bps = KBPS(4000)},
        .leech = {.up_bps = KBPS(10), .down_bps = KBPS(200), .friends = &the_seed, .friends_n = 1},
        .seeds = 1, .leeches = N};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    world_run(l.world, 10 * NSEC_S);
    lab_expect_good(&l);
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < N; i++)
        least = u64_min(least, lab_stats(&l, run.first_leech + i, 0).down_seed_bytes);
    print_message("after 10 s each has %llu kB at least\n", (unsigned long long)least / 1000);
    assert_true(least > KBPS(200) * 6);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_rider_gets_less),
        cmocka_unit_test(a_newcomer_is_started),
        cmocka_unit_test(who_gives_more_gets_more),
        cmocka_unit_test(a_fast_seed_serves_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
