// Encrypted swarms, byte for byte: whoever wants encryption and whoever does not meet where they can, and only there.
#include "lab.h"

static const uint64_t mb2[] = {2000000, 70000};

static struct lab_swarm encrypted(const char *name, enum node_encryption seed, enum node_encryption leech)
{
    return (struct lab_swarm){.name = name,
        .world = {.seed = 7, .payload = PAYLOAD_BYTES, .latency = 20 * NSEC_MS, .loss_ppm = 2000, .check = true},
        .torrent = {.v1 = true, .piece_len = 32768, .lens = mb2, .files_n = 2},
        .seed = {.up_bps = KBPS(400), .node = {.encryption = seed}},
        .leech = {.up_bps = KBPS(200), .down_bps = KBPS(1000), .node = {.encryption = leech}},
        .seeds = 1, .leeches = 6, .tracker = true, .arrivals = 2 * NSEC_S};
}

static nsec run(const char *name, enum node_encryption seed, enum node_encryption leech)
{
    const struct lab_swarm s = encrypted(name, seed, leech);
    struct lab l;
    lab_swarm(&l, &s);
    const nsec t = lab_complete(&l, 600 * NSEC_S);
    lab_close(&l);
    return t;
}

static void everybody_requires_it(void **state)
{
    UNUSED_STATE(state);
    assert_true(run(__func__, NODE_ENCRYPTION_REQUIRE, NODE_ENCRYPTION_REQUIRE) < 60 * NSEC_S);
}

static void everybody_prefers_it(void **state)
{
    UNUSED_STATE(state);
    assert_true(run(__func__, NODE_ENCRYPTION_PREFER, NODE_ENCRYPTION_PREFER) < 60 * NSEC_S);
}

// The seed hangs up on what is not BitTorrent: every leech tries again in the clear.
static void the_seed_does_not_speak_it(void **state)
{
    UNUSED_STATE(state);
    assert_true(run(__func__, NODE_ENCRYPTION_OFF, NODE_ENCRYPTION_PREFER) < 60 * NSEC_S);
}

static void who_requires_it_never_meets_who_has_none(void **state)
{
    UNUSED_STATE(state);
    const struct lab_swarm s = encrypted(__func__, NODE_ENCRYPTION_REQUIRE, NODE_ENCRYPTION_OFF);
    struct lab l;
    lab_swarm(&l, &s);
    world_run(l.world, 120 * NSEC_S);
    lab_expect_good(&l);
    for (uint32_t i = 0; i < l.world->hosts_n; i++) {
        if (l.world->hosts[i]->wants_n == 0)
            continue;
        const struct node_torrent_stats st = lab_stats(&l, i, 0);
        assert_true(st.down_bytes == 0);
    }
    lab_free(&l);
}

// A disk that fails under a read for an encrypted stream, and seeds that die with such reads under way.
static void reads_fail_and_seeds_die(void **state)
{
    UNUSED_STATE(state);
    struct lab_swarm s = encrypted(__func__, NODE_ENCRYPTION_REQUIRE, NODE_ENCRYPTION_REQUIRE);
    s.seeds = 2;
    struct lab l;
    const struct lab_run r = lab_swarm(&l, &s);
    world_plan(l.world, 3 * NSEC_S, &(struct action){.kind = ACTION_EIO, .host = r.first_seed, .a = 200000});
    world_plan(l.world, 4 * NSEC_S, &(struct action){.kind = ACTION_CRASH, .host = r.first_seed + 1});
    world_plan(l.world, 9 * NSEC_S, &(struct action){.kind = ACTION_START, .host = r.first_seed + 1});
    world_plan(l.world, 5 * NSEC_S, &(struct action){.kind = ACTION_LEAVE, .host = r.first_seed});
    world_plan(l.world, 7 * NSEC_S, &(struct action){.kind = ACTION_CRASH, .host = r.first_leech});
    world_plan(l.world, 8 * NSEC_S, &(struct action){.kind = ACTION_START, .host = r.first_leech});
    lab_complete(&l, 900 * NSEC_S);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_requires_it),
        cmocka_unit_test(everybody_prefers_it),
        cmocka_unit_test(the_seed_does_not_speak_it),
        cmocka_unit_test(who_requires_it_never_meets_who_has_none),
        cmocka_unit_test(reads_fail_and_seeds_die),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
