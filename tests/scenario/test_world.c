// The simulated world itself, with a toy in place of the node: exact times, exact disks, equal traces, judges that fire.
#include "lab.h"
#include "sim/stream.h"

#include "sim/fetch.h"
#include "sim/oracle.h"

enum { FILE_LEN = 1000000 };

static const uint64_t one_file[] = {FILE_LEN};
static const struct stage_torrent one = {.v1 = true, .piece_len = 65536, .lens = one_file, .files_n = 1};

static const uint32_t the_seed = 0;

// A seed (host 0) and hosts that copy from it.
static void copying(struct lab *l, const char *name, const struct world_config *cfg, const struct host_config *seed,
    const struct host_config *leech, uint32_t leeches)
{
    lab_open(l, name, cfg);
    const uint32_t t = lab_torrent(l, &one);
    world_want(l->world, world_host(l->world, seed), t, WANT_SEED);
    for (uint32_t i = 0; i < leeches; i++) {
        struct host_config c = *leech;
        c.friends = &the_seed;
        c.friends_n = 1;
        c.arrive = (i + 1) * 10 * NSEC_MS;
        world_want(l->world, world_host(l->world, &c), t, WANT_LEECH);
    }
}

static const struct host_config plain;

// Without this, extents that overlap would say that bytes are where they are not.
static void extents_are_as_bytes(void **state)
{
    UNUSED_STATE(state);
    enum { LEN = 300 };
    struct {
        uint32_t content, taint;
        uint64_t off;
    } model[LEN] = {0};
    struct extents x = {0};
    struct rng r = rng_make(7, 1);
    for (int round = 0; round < 3000; round++) {
        struct extent e = {.pos = rng_below(&r, LEN - 40), .len = 1 + rng_below(&r, 40), .off = rng_below(&r, 50)};
        e.content = (uint32_t)rng_below(&r, 3) == 0 ? CONTENT_NONE : CONTENT_FIRST + (uint32_t)rng_below(&r, 2);
        e.taint = (uint32_t)rng_below(&r, 2);
        extents_put(&x, &test_mem, &e);
        for (uint64_t i = 0; i < e.len; i++) {
            model[e.pos + i].content = e.content;
            model[e.pos + i].taint = e.content == CONTENT_NONE ? 0 : e.taint;
            model[e.pos + i].off = e.content == CONTENT_NONE ? 0 : e.off + i;
        }
        for (uint64_t i = 0; i < LEN; i++) {
            const struct extent at = extents_at(&x, i, 1);
            assert_int_equal(at.content, model[i].content);
            assert_int_equal(at.taint, model[i].taint);
            if (at.content != CONTENT_NONE)
                assert_int_equal(at.off, model[i].off);
        }
        for (uint32_t i = 1; i < x.n; i++)
            assert_true(x.items[i - 1].pos + x.items[i - 1].len <= x.items[i].pos);
    }
    extents_done(&x, &test_mem);
}

// Order is (time, order of pushing): without it two events at one instant would change places between compilers.
static void events_come_in_order(void **state)
{
    UNUSED_STATE(state);
    struct queue q;
    queue_init(&q, &test_mem);
    struct rng r = rng_make(3, 1);
    for (uint32_t i = 0; i < 5000; i++)
        queue_push(&q, rng_below(&r, 100), 0, i, 0);
    nsec t = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        const struct ev e = queue_pop(&q);
        assert_true(e.t > t || i == 0 || (e.t == t && e.a > last));
        t = e.t;
        last = e.a;
    }
    assert_true(queue_next(&q) == NSEC_NEVER);
    queue_done(&q);
}

// By reference and by bytes everything happens at the same instants: else small runs would say nothing about big ones.
static void both_payload_modes_give_one_trace(void **state)
{
    UNUSED_STATE(state);
    uint64_t hash[2];
    for (int mode = 0; mode < 2; mode++) {
        struct lab l;
        const struct world_config cfg = {.seed = 5, .payload = (enum payload_mode)mode, .latency = 20 * NSEC_MS, .loss_ppm = 10000};
        const struct host_config host = {.up_bps = KBPS(500), .down_bps = KBPS(1000)};
        copying(&l, __func__, &cfg, &host, &host, 5);
        nsec t;
        lab_expect(&l, world_run_complete(l.world, 100 * NSEC_S, &t), "not complete");
        hash[mode] = lab_close(&l);
    }
    assert_int_equal(hash[0], hash[1]);
}

// One megabyte through 100 kB/s takes ten seconds, not eight and not twelve.
static void rates_and_delays_are_exact(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct world_config cfg = {.seed = 1, .latency = 50 * NSEC_MS};
    const struct host_config seed = {.up_bps = KBPS(100)};
    copying(&l, __func__, &cfg, &seed, &plain, 1);
    nsec t;
    lab_expect(&l, world_run_complete(l.world, 100 * NSEC_S, &t), "not complete");
    // 10 ms of arrival, 3 one-way trips before the first byte leaves, the bytes with their heads, one trip, the disk.
    const uint64_t blocks = (FILE_LEN + BLOCK_LEN - 1) / BLOCK_LEN;
    const nsec ideal = 10 * NSEC_MS + 200 * NSEC_MS + (FILE_LEN + 13 * blocks + 4) * NSEC_S / KBPS(100);
    assert_in_range(t, ideal, ideal + 40 * NSEC_MS);        // the first window goes in two halves
    lab_close(&l);

    // Through the downlink, with two who share the seed's fast line.
    const struct host_config slow = {.down_bps = KBPS(50)};
    copying(&l, __func__, &cfg, &plain, &slow, 2);
    lab_expect(&l, world_run_complete(l.world, 100 * NSEC_S, &t), "not complete");
    assert_in_range(t, 20 * NSEC_S, 21 * NSEC_S);
    lab_close(&l);
}

// Two that copy from one uplink get the same share of it.
static void an_uplink_is_shared_evenly(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct world_config cfg = {.seed = 1, .latency = 50 * NSEC_MS};
    const struct host_config seed = {.up_bps = KBPS(100)};
    copying(&l, __func__, &cfg, &seed, &plain, 4);
    lab_expect(&l, world_run(l.world, 20 * NSEC_S), "failed");
    const uint64_t first = lab_stats(&l, 1, 0).down_bytes;
    for (uint32_t i = 2; i <= 4; i++)
        assert_in_range(lab_stats(&l, i, 0).down_bytes, first - 5 * BLOCK_LEN, first + 5 * BLOCK_LEN);
    lab_close(&l);
}

// A path is limited by losses: MSS / RTT * sqrt(1.5 / p), Mathis et al. 1997, within 15 %. That is of a long stream: one that has just begun
// is faster, because its window doubles until the first loss.
static void loss_costs_what_it_should(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t loss_ppm[] = {1000, 10000, 30000}, rtt_ms[] = {20, 100, 400};
    static const uint64_t root[] = {3873, 1225, 707};   // of 1.5 / p, in hundredths
    enum { LOSSES = 120 };
    for (size_t i = 0; i < ARRAY_LEN(loss_ppm); i++)
        for (size_t k = 0; k < ARRAY_LEN(rtt_ms); k++) {
            const uint64_t mathis = NET_MSS * root[i] * 10 / rtt_ms[k], bytes = (uint64_t)LOSSES * 1000000 / loss_ppm[i] * NET_MSS;
            const nsec takes = bytes * NSEC_MS / mathis * 1000;
            const uint64_t len[] = {3 * bytes};
            const struct stage_torrent t = {.v1 = true, .piece_len = 4 * MIB, .lens = len, .files_n = 1};
            struct lab l;
            const struct world_config cfg = {.seed = 1, .latency = rtt_ms[k] * NSEC_MS / 2, .loss_ppm = (uint32_t)loss_ppm[i],
                .window_bytes = 16 * MIB};
            lab_open(&l, __func__, &cfg);
            const uint32_t torrent = lab_torrent(&l, &t);
            world_want(l.world, world_host(l.world, &plain), torrent, WANT_SEED);
            const struct host_config leech = {.friends = &the_seed, .friends_n = 1, .arrive = NSEC_S};
            world_want(l.world, world_host(l.world, &leech), torrent, WANT_LEECH);
            lab_expect(&l, world_run(l.world, takes / 2), "failed");
            const uint64_t before = lab_stats(&l, 1, 0).down_bytes;
            lab_expect(&l, world_run(l.world, takes / 2 + takes), "failed");
            const uint64_t percent = (lab_stats(&l, 1, 0).down_bytes - before) * 100 / bytes;
            print_message("loss %llu ppm, %llu ms: %llu %% of Mathis\n", (unsigned long long)loss_ppm[i], (unsigned long long)rtt_ms[k],
                (unsigned long long)percent);
            assert_in_range(percent, 85, 115);
            lab_close(&l);
        }
}

static void datagrams_are_answered_lost_and_doubled(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct world_config cfg = {.seed = 9, .latency = 10 * NSEC_MS};
    copying(&l, __func__, &cfg, &plain, &plain, 1);
    world_run(l.world, 100 * NSEC_S + NSEC_S / 2);
    assert_int_equal(lab_stats(&l, 1, 0).pieces_have, 100);
    lab_close(&l);
    const struct world_config bad = {.seed = 9, .latency = 10 * NSEC_MS, .loss_ppm = 300000, .duplicate_ppm = 100000,
        .reorder_ppm = 500000};
    copying(&l, __func__, &bad, &plain, &plain, 1);
    world_run(l.world, 1000 * NSEC_S + NSEC_S / 2);
    assert_in_range(lab_stats(&l, 1, 0).pieces_have, 480, 720);         // 1000 * 0.7^2 * 1.1^2 = 593
    lab_close(&l);
}

// A partition holds streams up; a short one only delays them, a long one breaks them.
static void partitions_delay_and_break(void **state)
{
    UNUSED_STATE(state);
    for (int round = 0; round < 2; round++) {
        struct lab l;
        const struct world_config cfg = {.seed = 2, .latency = 10 * NSEC_MS};
        const struct host_config seed = {.up_bps = KBPS(100)};
        copying(&l, __func__, &cfg, &seed, &plain, 1);
        const struct action cut = {.kind = ACTION_SIDE, .host = 1, .a = 1}, heal = {.kind = ACTION_SIDE, .host = 1};
        world_plan(l.world, 2 * NSEC_S, &cut);
        world_plan(l.world, (round == 0 ? 7 : 200) * NSEC_S, &heal);
        nsec t = 0;
        const bool complete = world_run_complete(l.world, 300 * NSEC_S, &t);
        lab_expect(&l, complete == (round == 0), "a partition's length decides");
        if (round == 0)
            assert_in_range(t, 14 * NSEC_S, 19 * NSEC_S);
        else
            assert_true(l.world->hosts[1]->conns.n == 0);
        lab_close(&l);
    }
}

// What was not synced is at the mercy of the crash; what was synced is not.
static void a_crash_tears_only_what_was_not_synced(void **state)
{
    UNUSED_STATE(state);
    for (uint32_t by_bytes = 0; by_bytes < 2; by_bytes++) {
        struct content content;
        assert_int_equal(content_init(&content, &test_mem, 1), ERR_OK);
        struct trace trace;
        assert_int_equal(trace_init(&trace, &test_mem, 1024), ERR_OK);
        struct disk d;
        const struct disk_config cfg = {0};
        disk_init(&d, &cfg, &content, &test_mem, by_bytes != 0);
        d.fault = rng_make(11, 1);
        enum { LEN = 400000, HALF = 200000 };
        struct disk_file *f = disk_file(&d, 0, 0, 1, LEN);
        static uint8_t space[LEN];
        const struct extent all = {.len = LEN, .content = CONTENT_FIRST};
        content_bytes(&content, &all, space);
        struct frag half = {.x = {.len = HALF, .content = CONTENT_FIRST}, .bytes = by_bytes ? space : NULL};
        assert_int_equal(disk_write(&d, f, 0, &half, 1), ERR_OK);
        disk_written(&d, f, 0, HALF, 1);
        disk_sync_begin(&d, f);
        disk_sync_end(&d, f, true);
        half.x.off = HALF;
        half.bytes = by_bytes ? space + HALF : NULL;
        assert_int_equal(disk_write(&d, f, HALF, &half, 1), ERR_OK);
        assert_true(disk_holds(&d, f, 0, &all, false));
        disk_crash(&d, CRASH_MIXED, &trace, 0, 0);
        const struct extent first = {.len = HALF, .content = CONTENT_FIRST};
        assert_true(disk_holds(&d, f, 0, &first, false));
        uint32_t fates[4] = {0};
        for (uint32_t i = 0; i < trace_kept(&trace); i++)
            fates[trace_last(&trace, i)->sub]++;
        for (int i = 0; i < 4; i++)
            assert_true(fates[i] > 0);
        uint32_t whole = 0, broken = 0;
        for (uint64_t at = (HALF / DISK_PAGE + 1) * DISK_PAGE; at + DISK_PAGE <= LEN; at += DISK_PAGE) {
            const struct extent page = {.len = DISK_PAGE, .content = CONTENT_FIRST, .off = at};
            if (disk_holds(&d, f, at, &page, true))
                whole++;
            else
                broken++;
        }
        assert_true(whole > 0);
        assert_true(broken > 0);
        disk_done(&d);
        trace_done(&trace);
        content_done(&content);
    }
}

// An oracle that never fires proves nothing.
static void the_judges_fire(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct world_config cfg = {.seed = 2, .latency = 10 * NSEC_MS};

    // A seed that says it has what its disk has not; and one whose disk goes bad later, which uploads what is not the torrent's.
    for (int late = 0; late < 2; late++) {
        copying(&l, __func__, &cfg, &plain, &plain, 1);
        if (late)
            world_run(l.world, 5 * NSEC_MS);
        struct disk_file *f = disk_file(&l.world->hosts[0]->disk, 0, 0, 1, FILE_LEN);
        const struct extent rot = {.pos = 70000, .len = 1, .off = 70000, .content = CONTENT_FIRST, .taint = 1};
        extents_put(&f->now, &l.stage.mem, &rot);
        assert_false(world_run(l.world, 100 * NSEC_S));
        assert_non_null(strstr(l.world->failure, late ? "not the torrent's" : "claims piece 1"));
        l.world->failure[0] = '\0';
        lab_close(&l);
    }

    // A copy from it, unverified, is done but wrong.
    copying(&l, __func__, &cfg, &plain, &plain, 1);
    world_run(l.world, 15 * NSEC_MS);
    struct host *h = l.world->hosts[1];
    const struct node_event done = {.kind = NODE_EVENT_DONE, .torrent = 1};
    oracle_event(l.world, h, &done);
    assert_non_null(strstr(l.world->failure, "is done, but"));
    l.world->failure[0] = '\0';
    for (int i = 0; i <= WORLD_BURST_MAX; i++)
        oracle_input(l.world, h);
    assert_non_null(strstr(l.world->failure, "at one instant"));
    l.world->failure[0] = '\0';
    h->link.up_bytes++;
    oracle_sums(l.world);
    assert_non_null(strstr(l.world->failure, "not conserved"));
    h->link.up_bytes--;
    l.world->failure[0] = '\0';
    const struct extent bad = {.len = 10, .content = CONTENT_FIRST, .taint = 5};
    oracle_upload(l.world, h, &bad);
    assert_non_null(strstr(l.world->failure, "nobody verified"));
    l.world->failure[0] = '\0';
    lab_close(&l);
    // Kumar and Ross 2006: 1024 Mbit, seed 30 Mbit/s, 1000 leeches with 300 kbit/s up: 15 times 1024 Mbit in 47559 s.
    assert_in_range(oracle_bound(15 * 1024 * MIB / 8, 30 * MIB / 8, 1000 * 300 * KIB / 8, 2 * MIB / 8, 1000), 47500 * NSEC_S, 47600 * NSEC_S);
}

static void a_full_disk_says_so(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct world_config cfg = {.seed = 2, .latency = 10 * NSEC_MS};
    const struct host_config leech = {.disk = {.space_bytes = 500000}};
    copying(&l, __func__, &cfg, &plain, &leech, 1);
    lab_expect(&l, world_run(l.world, 10 * NSEC_S), "failed");
    assert_int_equal(l.world->hosts[1]->wants[0].errors, 1);
    assert_int_equal(l.world->hosts[1]->wants[0].error, ERR_NOSPACE);
    assert_in_range(l.world->hosts[1]->disk.used, 480000, 500000);
    lab_close(&l);
}

// A process that dies and comes back finds its disk, and its peers find out.
static void hosts_die_and_return(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t silent = 0; silent < 2; silent++) {
        struct lab l;
        const struct world_config cfg = {.seed = 2, .latency = 10 * NSEC_MS};
        const struct host_config seed = {.up_bps = KBPS(100)};
        copying(&l, __func__, &cfg, &seed, &plain, 1);
        const struct action crash = {.kind = ACTION_CRASH, .host = 1, .a = CRASH_MIXED, .b = silent}, back = {.kind = ACTION_START, .host = 1};
        world_plan(l.world, 3 * NSEC_S, &crash);
        world_plan(l.world, 50 * NSEC_S, &back);
        nsec t;
        lab_expect(&l, world_run_complete(l.world, 100 * NSEC_S, &t), "not complete");
        assert_in_range(t, 60 * NSEC_S, 61 * NSEC_S);
        assert_int_equal(l.world->hosts[0]->conns.n, 0);             // the old stream is forgotten, the new one was closed when all was sent
        lab_close(&l);
    }
}

// What a paused machine missed is there when it wakes.
static void a_pause_only_delays(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct world_config cfg = {.seed = 2, .latency = 10 * NSEC_MS};
    const struct host_config seed = {.up_bps = KBPS(100)};
    copying(&l, __func__, &cfg, &seed, &plain, 2);
    const struct action pause = {.kind = ACTION_PAUSE, .host = 1, .a = 30 * NSEC_S};
    world_plan(l.world, 3 * NSEC_S, &pause);
    nsec t;
    lab_expect(&l, world_run_complete(l.world, 100 * NSEC_S, &t), "not complete");
    assert_true(l.world->hosts[1]->wants[0].done_at >= 33 * NSEC_S);
    assert_true(l.world->hosts[1]->wants[0].done_at <= 45 * NSEC_S);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extents_are_as_bytes),
        cmocka_unit_test(events_come_in_order),
        cmocka_unit_test(both_payload_modes_give_one_trace),
        cmocka_unit_test(rates_and_delays_are_exact),
        cmocka_unit_test(an_uplink_is_shared_evenly),
        cmocka_unit_test(loss_costs_what_it_should),
        cmocka_unit_test(datagrams_are_answered_lost_and_doubled),
        cmocka_unit_test(partitions_delay_and_break),
        cmocka_unit_test(a_crash_tears_only_what_was_not_synced),
        cmocka_unit_test(the_judges_fire),
        cmocka_unit_test(a_full_disk_says_so),
        cmocka_unit_test(hosts_die_and_return),
        cmocka_unit_test(a_pause_only_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
