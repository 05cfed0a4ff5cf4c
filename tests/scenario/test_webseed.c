// Web seeds in whole swarms: alone, beside peers, lying, broken, dead, slow. Nobody is stuck, nobody is poisoned, and a server
// is not asked for what the peers bring anyway.
#include "lab.h"

#define WEB "http://web.example/"
#define OTHER "http://other.example/data/"

static const uint64_t many[] = {0, 1, 16384, 700000, 0, 65536, 1310730, 5, 3000010}, one[] = {20000000};

struct outcome {
    nsec t;
    uint64_t hash;
    struct node_torrent_stats stats;    // of the first leech
};

// One leech (or more) and these servers; `seeds` peers that have everything.
static struct outcome fetch(const char *name, const struct stage_torrent *t, struct world_web *webs, uint32_t webs_n, uint32_t seeds)
{
    struct lab_swarm s = {.name = name, .world = {.seed = 5, .payload = PAYLOAD_REF, .latency = 15 * NSEC_MS, .check = true},
        .torrent = *t, .seed = {.up_bps = KBPS(2000)}, .leech = {.up_bps = KBPS(500), .dials = 4}, .seeds = seeds, .leeches = 1};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    for (uint32_t i = 0; i < webs_n; i++)
        webs[i].torrent = run.torrent;
    world_webs(l.world, webs, webs_n);
    struct outcome o = {.t = lab_complete(&l, 900 * NSEC_S)};
    o.stats = lab_stats(&l, run.first_leech, 0);
    world_run(l.world, l.world->now + 40 * NSEC_S);
    for (uint32_t i = 0; i < webs_n; i++)
        assert_int_equal(webs[i].running, 0);
    o.hash = lab_close(&l);
    return o;
}

// Every shape of torrent comes from a server alone, and with either kind of payload in the same way.
static void alone(void **state)
{
    UNUSED_STATE(state);
    for (int v = 1; v <= 3; v++)
        for (int shape = 0; shape < 2; shape++) {
            const struct stage_torrent t = {.v1 = (v & 1) != 0, .v2 = (v & 2) != 0, .piece_len = 32768, .lens = shape == 0 ? one : many,
                                          .files_n = shape == 0 ? 1 : ARRAY_LEN(many), .web_seeds = {WEB}};
            struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 1000000, .delay = 50 * NSEC_MS};
            const struct outcome o = fetch("alone", &t, &web, 1, 0);
            assert_int_equal(o.stats.web_bytes, o.stats.wanted_bytes);
            assert_int_equal(o.stats.waste_bytes, 0);
            assert_in_range(web.running_max, 1, 4);
            // it is not slower than the server is, give or take round trips and the start
            assert_true(o.t < 2 * NSEC_S + o.stats.wanted_bytes * NSEC_S / 1000000 * 6 / 5);
        }
}

// v1 pieces of any length, which end inside a block.
static void odd_piece_length(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .piece_len = 50000, .lens = many, .files_n = ARRAY_LEN(many), .web_seeds = {WEB}};
    struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 5000000, .delay = 50 * NSEC_MS};
    const struct outcome o = fetch("odd", &t, &web, 1, 0);
    assert_int_equal(o.stats.web_bytes, o.stats.wanted_bytes);
}

// A fast server, small pieces and a slow disk: more pieces are begun than may be, and the server waits. Without a pause the loop would ask
// it to go on, and refuse it, without end; and what found no free job is not to wait for the next second.
static void too_many_begun(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t lens[] = {30000000};
    const struct stage_torrent t = {.v1 = true, .piece_len = 16384, .lens = lens, .files_n = 1, .web_seeds = {WEB}};
    static const struct { uint64_t disk_bps; nsec most; } cases[] = {{3000000, 12 * NSEC_S}, {12000000, 4 * NSEC_S}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 50000000, .delay = 20 * NSEC_MS};
        struct lab_swarm s = {.name = __func__, .world = {.seed = 5, .payload = PAYLOAD_REF, .latency = 15 * NSEC_MS, .check = true}, .torrent = t,
            .leech = {.disk.bps = cases[i].disk_bps}, .leeches = 1};
        struct lab l;
        const struct lab_run run = lab_swarm(&l, &s);
        web.torrent = run.torrent;
        world_webs(l.world, &web, 1);
        const nsec took = lab_complete(&l, 60 * NSEC_S);
        lab_expect(&l, took < cases[i].most, "slower than the disk");
        lab_close(&l);
    }
}

// A URL without a slash at its end is the file.
static void exact_url(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .piece_len = 1 << 20, .lens = one, .files_n = 1, .web_seeds = {WEB "any/name.iso"}};
    struct world_web web = {.prefix = SLICE_LIT(WEB "any/name.iso"), .bps = 5000000};
    const struct outcome o = fetch("exact", &t, &web, 1, 0);
    assert_int_equal(o.stats.web_bytes, 20000000);
}

// Each way to fail, in one of two servers or for the first few requests of the only one: it ends well, and the other one
// or a later try brings the rest.
static void faults(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *name;
        enum server_fault fault;
    } rows[] = {{"busy", SERVER_BUSY}, {"gone", SERVER_GONE}, {"dead", SERVER_DEAD}, {"silent", SERVER_SILENT}, {"whole", SERVER_WHOLE},
                {"truncate", SERVER_TRUNCATE}, {"wrong", SERVER_WRONG}, {"other range", SERVER_OTHER_RANGE}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct stage_torrent two = {.v1 = true, .piece_len = 65536, .lens = one, .files_n = 1, .web_seeds = {WEB, OTHER}};
        struct world_web webs[] = {{.prefix = SLICE_LIT(WEB), .bps = 1000000, .delay = 50 * NSEC_MS, .fault = rows[i].fault},
                                   {.prefix = SLICE_LIT(OTHER), .bps = 1000000, .delay = 50 * NSEC_MS}};
        struct outcome o = fetch(rows[i].name, &two, webs, 2, 0);
        print_message("  %s of two: %llu s, %u + %u requests, waste %llu\n", rows[i].name, (unsigned long long)(o.t / NSEC_S),
            webs[0].requests, webs[1].requests, (unsigned long long)o.stats.waste_bytes);
        assert_true(o.t < 60 * NSEC_S);
        assert_true(webs[0].requests < 40);
        if (rows[i].fault == SERVER_WRONG)
            assert_int_equal(o.stats.web_seeds, 1);         // the liar is not used any more
        if (rows[i].fault == SERVER_WRONG || rows[i].fault == SERVER_GONE || rows[i].fault == SERVER_DEAD)
            continue;
        const struct stage_torrent alone_t = {.v1 = true, .piece_len = 65536, .lens = one, .files_n = 1, .web_seeds = {WEB}};
        struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 1000000, .delay = 50 * NSEC_MS, .fault = rows[i].fault,
                                .faults_n = rows[i].fault == SERVER_WHOLE ? 0 : 3};
        o = fetch(rows[i].name, &alone_t, &web, 1, 0);
        print_message("  %s alone: %llu s, %u requests, waste %llu\n", rows[i].name, (unsigned long long)(o.t / NSEC_S), web.requests,
            (unsigned long long)o.stats.waste_bytes);
        assert_true(o.t < 120 * NSEC_S);
    }
}

// A liar among peers: what it spoilt comes from them, and nobody honest is banned.
static void liar_beside_peers(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .piece_len = 65536, .lens = one, .files_n = 1, .web_seeds = {WEB}};
    struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 3000000, .delay = 50 * NSEC_MS, .fault = SERVER_WRONG};
    const struct outcome o = fetch("liar", &t, &web, 1, 2);
    assert_int_equal(o.stats.web_seeds, 0);
    assert_int_equal(o.stats.banned, 0);
    assert_true(o.stats.waste_bytes < 5000000);
}

// Peers and a server together are faster than either, and a server that is much slower than the peers is left alone.
static void beside_peers(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .piece_len = 65536, .lens = one, .files_n = 1, .web_seeds = {WEB}};
    struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 2000000, .delay = 50 * NSEC_MS};
    struct outcome o = fetch("both", &t, &web, 1, 1);
    print_message("  both: %llu ms, web %llu, waste %llu\n", (unsigned long long)(o.t / NSEC_MS), (unsigned long long)o.stats.web_bytes,
        (unsigned long long)o.stats.waste_bytes);
    assert_true(o.t < 9 * NSEC_S);      // 10 s is what the peer or the server would take alone
    assert_in_range(o.stats.web_bytes, 5000000, 15000000);
    struct world_web slow = {.prefix = SLICE_LIT(WEB), .bps = 50000, .delay = 50 * NSEC_MS};
    o = fetch("slow server", &t, &slow, 1, 4);
    print_message("  slow server: %llu ms, web %llu, waste %llu\n", (unsigned long long)(o.t / NSEC_MS), (unsigned long long)o.stats.web_bytes,
        (unsigned long long)o.stats.waste_bytes);
    assert_true(o.t < 8 * NSEC_S);
    assert_true(o.stats.web_bytes < 1000000);
}

// The limit holds for servers as for peers.
static void rate_limit(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .piece_len = 65536, .lens = one, .files_n = 1, .web_seeds = {WEB}};
    struct lab_swarm s = {.name = "limit", .world = {.seed = 5, .payload = PAYLOAD_REF, .latency = 15 * NSEC_MS, .check = true},
        .torrent = t, .leech = {.node = {.down_bps = 500000}}, .leeches = 1};
    struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 5000000};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    web.torrent = run.torrent;
    world_webs(l.world, &web, 1);
    uint64_t last = 0;
    for (uint32_t second = 2; second < 30; second++) {
        world_run(l.world, second * NSEC_S);
        const uint64_t now = lab_stats(&l, run.first_leech, 0).down_bytes;
        if (second > 3)
            assert_in_range(now - last, 490000, 510000);
        last = now;
    }
    lab_complete(&l, 60 * NSEC_S);
    lab_close(&l);
}

// kill -9 in the middle: the next life goes on from what was safe.
static void crash(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .v2 = true, .piece_len = 65536, .lens = many, .files_n = ARRAY_LEN(many), .web_seeds = {WEB}};
    struct lab_swarm s = {.name = "crash", .world = {.seed = 6, .payload = PAYLOAD_BYTES, .check = true}, .torrent = t, .leeches = 1};
    struct world_web web = {.prefix = SLICE_LIT(WEB), .bps = 200000};
    struct lab l;
    const struct lab_run run = lab_swarm(&l, &s);
    web.torrent = run.torrent;
    world_webs(l.world, &web, 1);
    for (uint32_t i = 0; i < 3; i++) {
        world_plan(l.world, (8 + 8 * i) * NSEC_S, &(struct action){ACTION_CRASH, run.first_leech, CRASH_KEPT, 0});
        world_plan(l.world, (9 + 8 * i) * NSEC_S, &(struct action){ACTION_START, run.first_leech, 0, 0});
    }
    lab_complete(&l, 200 * NSEC_S);
    assert_true(web.bytes < 12000000);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone), cmocka_unit_test(too_many_begun), cmocka_unit_test(odd_piece_length), cmocka_unit_test(exact_url), cmocka_unit_test(faults),
        cmocka_unit_test(liar_beside_peers), cmocka_unit_test(beside_peers), cmocka_unit_test(rate_limit), cmocka_unit_test(crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
