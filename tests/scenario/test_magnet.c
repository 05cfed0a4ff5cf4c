// Swarms that begin with a magnet link: metadata spreads from peer to peer, and who has it goes on with the same peers.
#include "lab.h"

#include "engine/swarm/metadata.h"

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

// Metadata bombs of one kind each, six around three people with a link; the one honest seed comes half a minute later. They complete soon
// after it, who sent a wrong whole is banned and nobody else, and memory stays within what metadata.h says.
static void bombs_only_delay(void **state)
{
    UNUSED_STATE(state);
    enum { LEECHES = 3, BOMBS = 6, SEED_AT_S = 30, SOON_S = 15, CONTENT_MIB = 24 };
    static const struct {
        enum hostile_kind kind;
        bool banned;
    } kinds[] = {{HOSTILE_META_HUGE, true}, {HOSTILE_META_WRONG, true}, {HOSTILE_META_SIZES, true}, {HOSTILE_META_SILENT, false},
        {HOSTILE_META_REJECT, false}, {HOSTILE_META_FLOOD, true}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct lab_swarm s = {.name = __func__, .world = {.seed = 13, .latency = 20 * NSEC_MS, .latency_spread = 20 * NSEC_MS, .check = true},
            .torrent = {.v1 = true, .piece_len = 32768, .lens = mb1, .files_n = 1},
            .seed = {.up_bps = KBPS(400), .arrive = SEED_AT_S * NSEC_S, .dials = 10}, .leech = {.up_bps = KBPS(200), .down_bps = KBPS(8000), .dials = 10},
            .seeds = 1, .leeches = LEECHES};
        struct lab l;
        const struct lab_run run = lab_swarm(&l, &s);
        for (uint32_t k = 0; k < LEECHES; k++)
            l.world->hosts[run.first_leech + k]->wants[0].kind = WANT_MAGNET;
        for (uint32_t k = 0; k < BOMBS; k++) {
            const struct host_config bomb = {.up_bps = KBPS(8000),
                .hostile = {.kind = kinds[i].kind, .torrent = run.torrent, .dials = LEECHES + 2}};
            world_host(l.world, &bomb);
        }
        const nsec t = lab_complete(&l, 300 * NSEC_S);
        uint64_t peak = 0;
        for (uint32_t k = 0; k < LEECHES; k++)
            peak = u64_max(peak, l.world->hosts[run.first_leech + k]->mem_peak);
        print_message("kind %d: complete after %llu ms, %llu bans, %llu MiB\n", kinds[i].kind, (unsigned long long)(t / NSEC_MS),
            (unsigned long long)l.world->totals.bans, (unsigned long long)(peak / MIB));
        lab_expect(&l, t < (SEED_AT_S + SOON_S) * NSEC_S, "the bombs held it up");
        lab_expect(&l, (l.world->totals.bans > 0) == kinds[i].banned, "the wrong ones were banned, or the liars not");
        lab_expect(&l, l.world->totals.honest_bans == 0, "an honest peer was banned");
        lab_expect(&l, peak < METADATA_PARTS_BYTES + METADATA_KEPT_ALL_MAX + CONTENT_MIB * MIB, "too much memory");
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_leeches_with_a_link_and_one_seed),
        cmocka_unit_test(links_and_crashes),
        cmocka_unit_test(bombs_only_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
