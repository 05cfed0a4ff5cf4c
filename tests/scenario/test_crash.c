// Crashes at random moments with torn writes, full disks, failing disks: nothing false is ever claimed, little is lost.
#include "lab.h"

#include "base/bits.h"

static const uint64_t mb3[] = {3000000}, mb12[] = {12000000};

static struct lab_run pair(struct lab *l, const char *name, uint64_t seed, enum payload_mode mode, bool v2)
{
    const struct lab_swarm s = {.name = name,
        .world = {.seed = seed, .payload = mode, .latency = 10 * NSEC_MS, .check = true},
        .torrent = {.v1 = !v2, .v2 = v2, .piece_len = 65536, .lens = mb3, .files_n = 1},
        .seed = {.up_bps = KBPS(150)}, .leech = {.dials = 4}, .seeds = 1, .leeches = 1};
    return lab_swarm(l, &s);
}

static uint32_t pieces(const struct lab *l, uint32_t host) { return lab_stats(l, host, 0).pieces_have; }

// The oracle looks at every start: a piece that is claimed must be on the disk. Here pages tear, vanish and turn to garbage.
static void torn_writes_never_make_a_false_claim(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct lab l;
        const struct lab_run run = pair(&l, __func__, seed, seed % 5 == 0 ? PAYLOAD_BYTES : PAYLOAD_REF, seed % 2 == 0);
        struct rng r = rng_make(seed, 5);
        nsec t = NSEC_S;
        for (uint32_t i = 0; i < 4; i++) {
            t += 100 * NSEC_MS + rng_below(&r, 9 * NSEC_S);
            const struct action crash = {.kind = ACTION_CRASH, .host = run.first_leech, .a = CRASH_MIXED, .b = i % 2};
            world_plan(l.world, t, &crash);
            t += rng_below(&r, 2 * NSEC_S);
            const struct action start = {.kind = ACTION_START, .host = run.first_leech};
            world_plan(l.world, t, &start);
        }
        lab_complete(&l, 300 * NSEC_S);
        lab_expect(&l, l.world->totals.crashes >= 1, "no crash");
        lab_close(&l);
    }
}

// Downloads for a while, crashes, comes back: what was there `age` before is still there.
static void crash_keeps_what_is_older(const char *name, enum crash_fate fate, nsec age, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct lab l;
        const struct lab_swarm s = {.name = name, .world = {.seed = seed, .latency = 10 * NSEC_MS, .check = true},
            .torrent = {.v1 = true, .v2 = seed % 3 == 0, .piece_len = 65536, .lens = mb12, .files_n = 1},
            .seed = {.up_bps = KBPS(150)}, .leech = {.dials = 4}, .seeds = 1, .leeches = 1};
        const struct lab_run run = lab_swarm(&l, &s);
        struct rng r = rng_make(seed, 6);
        const nsec t = age + 2 * NSEC_S + rng_below(&r, 30 * NSEC_S);
        world_run(l.world, t - age);
        const uint32_t before = pieces(&l, run.first_leech);
        world_run(l.world, t);
        const struct action crash = {.kind = ACTION_CRASH, .host = run.first_leech, .a = fate, .b = seed % 2};
        const struct action start = {.kind = ACTION_START, .host = run.first_leech};
        world_plan(l.world, t, &crash);
        world_plan(l.world, t + NSEC_S, &start);
        world_run(l.world, t + 3 * NSEC_S / 2);
        const uint32_t after = pieces(&l, run.first_leech);
        if (after < before)
            print_message("seed %llu: %u pieces before, %u after\n", (unsigned long long)seed, before, after);
        lab_expect(&l, after >= before, "an old piece was lost");
        lab_complete(&l, 300 * NSEC_S);
        lab_close(&l);
    }
}

// kill -9: the page cache lives on, and at most five seconds of verified pieces are lost.
static void a_kill_loses_five_seconds_at_most(void **state)
{
    UNUSED_STATE(state);
    crash_keeps_what_is_older(__func__, CRASH_KEPT, 5 * NSEC_S + NSEC_S / 2, 20);
}

// Power loss: what was synced is there, and syncs come at least each half minute.
static void power_loss_loses_half_a_minute_at_most(void **state)
{
    UNUSED_STATE(state);
    crash_keeps_what_is_older(__func__, CRASH_DROPPED, 36 * NSEC_S, 10);
    crash_keeps_what_is_older(__func__, CRASH_MIXED, 36 * NSEC_S, 10);
}

// Crashes of one node after the other in a swarm.
static void a_swarm_survives_crashes(void **state)
{
    UNUSED_STATE(state);
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 8, .latency = 20 * NSEC_MS, .check = true},
        .torrent = {.v1 = true, .v2 = true, .piece_len = 65536, .lens = mb3, .files_n = 1},
        .seed = {.up_bps = KBPS(300)}, .leech = {.up_bps = KBPS(100), .dials = 8}, .seeds = 1, .leeches = 15, .tracker = true};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    struct rng r = rng_make(8, 7);
    for (uint32_t i = 0; i < 60; i++) {
        const uint32_t host = run.first_leech + (uint32_t)rng_below(&r, 15);
        const nsec t = 2 * NSEC_S + rng_below(&r, 40 * NSEC_S);
        const struct action crash = {.kind = ACTION_CRASH, .host = host, .a = rng_below(&r, 3), .b = rng_below(&r, 2)};
        const struct action start = {.kind = ACTION_START, .host = host};
        world_plan(l.world, t, &crash);
        world_plan(l.world, t + rng_below(&r, 5 * NSEC_S), &start);
        world_plan(l.world, 50 * NSEC_S, &start);
    }
    lab_complete(&l, 400 * NSEC_S);
    lab_close(&l);
}

// A full disk: the torrent says so and waits; when there is room again it goes on by itself.
static void a_full_disk_pauses_and_recovers(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct lab_run run = pair(&l, __func__, 3, PAYLOAD_REF, false);
    struct host *h = l.world->hosts[run.first_leech];
    h->disk.cfg.space_bytes = 1000000;
    const struct action room = {.kind = ACTION_SPACE, .host = run.first_leech};
    world_plan(l.world, 120 * NSEC_S, &room);
    world_run(l.world, 100 * NSEC_S);
    lab_expect_good(&l);
    const struct node_torrent_stats s = lab_stats(&l, run.first_leech, 0);
    lab_expect(&l, h->wants[0].errors > 0 && h->wants[0].error == ERR_NOSPACE, "nobody was told");
    lab_expect(&l, s.state == TORRENT_ERROR && s.error == ERR_NOSPACE, "the torrent is not in its error state");
    lab_complete(&l, 400 * NSEC_S);
    lab_expect(&l, h->wants[0].recovered > 0, "nobody was told of the recovery");
    lab_close(&l);
}

// A disk that fails now and then: retried, nothing wrong is written.
static void a_failing_disk_is_retried(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct lab l;
        const struct lab_run run = pair(&l, __func__, seed, PAYLOAD_REF, false);
        l.world->hosts[run.first_leech]->disk.cfg.eio_ppm = 50000;
        const struct action good = {.kind = ACTION_EIO, .host = run.first_leech};
        world_plan(l.world, 200 * NSEC_S, &good);
        lab_complete(&l, 600 * NSEC_S);
        lab_close(&l);
    }
}

// What is on the disk already is found by a check, and the rest is fetched.
static void a_check_finds_what_is_there(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 5, .latency = 10 * NSEC_MS, .check = true},
        .torrent = {.v1 = true, .piece_len = 65536, .lens = mb3, .files_n = 1}, .seed = {.up_bps = KBPS(100)}, .seeds = 1};
    const struct lab_run run = lab_swarm(&l, &s);
    const struct host_config c = {.dials = 4, .arrive = NSEC_S};
    const uint32_t host = world_host(l.world, &c);
    world_want(l.world, host, run.torrent, WANT_CHECK);
    struct disk_file *f = disk_file(&l.world->hosts[host]->disk, run.torrent, 0, 2, mb3[0]);
    const struct frag half = {.x = {.len = 2000000, .content = l.world->torrents[run.torrent].content}};
    assert_int_equal(disk_write(&l.world->hosts[host]->disk, f, 0, &half, 1), ERR_OK);
    disk_written(&l.world->hosts[host]->disk, f, 0, 2000000, 1);
    const nsec t = lab_complete(&l, 100 * NSEC_S);
    lab_expect(&l, lab_stats(&l, host, 0).down_bytes < 1200000, "fetched what was there");
    lab_expect(&l, t < 16 * NSEC_S, "too slow for a third of the file");
    lab_close(&l);
}

// Who comes while a seed hashes its files is let in when that is done, within a second, and not sent away to come again.
static void a_check_keeps_nobody_out(void **state)
{
    UNUSED_STATE(state);
    for (int crypted = 0; crypted < 2; crypted++) {
        struct lab l;
        const enum node_encryption e = crypted ? NODE_ENCRYPTION_REQUIRE : NODE_ENCRYPTION_OFF;
        const struct world_config cfg = {.seed = 9, .latency = 10 * NSEC_MS, .check = true, .payload = crypted ? PAYLOAD_BYTES : PAYLOAD_REF};
        lab_open(&l, __func__, &cfg);
        const uint32_t t = lab_torrent(&l, &(struct stage_torrent){.v1 = true, .piece_len = 65536, .lens = mb3, .files_n = 1});
        const struct host_config c = {.disk.bps = 1000000, .node.encryption = e};      // three seconds to read it, and to give it
        const uint32_t seed = world_host(l.world, &c);
        world_want(l.world, seed, t, WANT_SEED)->kind = WANT_CHECK;
        const struct host_config leech = {.arrive = NSEC_S, .friends = &seed, .friends_n = 1, .node.encryption = e};
        struct want *w = world_want(l.world, world_host(l.world, &leech), t, WANT_LEECH);
        lab_expect(&l, world_run(l.world, 3 * NSEC_S), "the run");
        lab_expect(&l, lab_stats(&l, seed, 0).state == TORRENT_CHECKING, "it is checked too fast for this test");
        lab_expect(&l, world_run(l.world, 5 * NSEC_S), "the run");
        lab_expect(&l, lab_stats(&l, seed, 0).peers == 1, "it was sent away");
        lab_expect(&l, world_run(l.world, 30 * NSEC_S) && w->done, "the rest");
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_writes_never_make_a_false_claim),
        cmocka_unit_test(a_kill_loses_five_seconds_at_most),
        cmocka_unit_test(power_loss_loses_half_a_minute_at_most),
        cmocka_unit_test(a_swarm_survives_crashes),
        cmocka_unit_test(a_full_disk_pauses_and_recovers),
        cmocka_unit_test(a_failing_disk_is_retried),
        cmocka_unit_test(a_check_finds_what_is_there),
        cmocka_unit_test(a_check_keeps_nobody_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
