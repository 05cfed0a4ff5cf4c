// Swarms that begin with a magnet link: metadata spreads from peer to peer, and who has it goes on with the same peers.
#include "lab.h"

static const uint64_t mb1[] = {1000000}, two_files[] = {600000, 300000};

// Fifty people with nothing but the link, and one seed: all complete, and no connection is lost on the way: a peer that was
// asked for metadata is the one that gives pieces.
static void fifty_leeches_with_a_link_and_one_seed(void **state)
{
    UNUSED_STATE(state);
    enum { N = 50 };
    const struct lab_swarm s = {.name = __func__, .world = {.seed = 11, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS, .check = true},
        .torrent = {.v1 = true, .piece_len = 32768, .lens = mb1, .files_n = 1},
        .seed = {.up_bps = KBPS(400)}, .leech = {.up_bps = KBPS(200), .down_bps = KBPS(1000)}, .seeds = 1, .leeches = N, .tracker = true,
        .arrivals = 5 * NSEC_S};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    for (uint32_t i = 0; i < N; i++)
        l.world->hosts[run.first_leech + i]->wants[0].kind = WANT_MAGNET;
    lab_complete(&l, 600 * NSEC_S);
    lab_expect(&l, l.world->totals.bans == 0, "somebody was banned");
    lab_close(&l);
}

// A hybrid by its link, with losses, and each crashes once: it begins with the link again, and its data is not fetched twice.
static void links_and_crashes(void **state)
{
    UNUSED_STATE(state);
    enum { N = 8 };
    const struct lab_swarm s = {.name = __func__,
        .world = {.seed = 12, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS, .loss_ppm = 10000, .check = true},
        .torrent = {.v1 = true, .v2 = true, .piece_len = 32768, .lens = two_files, .files_n = 2},
        .seed = {.up_bps = KBPS(200)}, .leech = {.up_bps = KBPS(100), .down_bps = KBPS(1000)}, .seeds = 1, .leeches = N, .tracker = true};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t host = run.first_leech + i;
        const struct action crash = {.kind = ACTION_CRASH, .host = host, .a = CRASH_KEPT}, start = {.kind = ACTION_START, .host = host};
        l.world->hosts[host]->wants[0].kind = WANT_MAGNET;
        world_plan(l.world, (100 + 700 * i) * NSEC_MS, &crash);
        world_plan(l.world, (1100 + 700 * i) * NSEC_MS, &start);
    }
    lab_complete(&l, 600 * NSEC_S);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_leeches_with_a_link_and_one_seed),
        cmocka_unit_test(links_and_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
