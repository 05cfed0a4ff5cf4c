// Whole nodes whose peers meet over uTP alone, every packet of it: they complete on bad paths, and a home's uplink stays usable.
#include "lab.h"
#include "sim/link.h"

static const uint64_t mb10[] = {10000000}, mb3[] = {3000000};

static const struct host_config PEER = {.utp = true, .node = {.no_tcp = true}};

static struct host_config peer(uint64_t up, uint64_t down)
{
    struct host_config c = PEER;
    c.up_bps = up;
    c.down_bps = down;
    return c;
}

// Twenty peers, loss, duplicates, reordering: every file comes whole, and a second run is the first.
static nsec twenty(const char *name, uint64_t *out_hash)
{
    const struct lab_swarm s = {.name = name,
        .world = {.seed = 21, .payload = PAYLOAD_BYTES, .latency = 20 * NSEC_MS, .latency_spread = 40 * NSEC_MS, .loss_ppm = 5000,
                  .duplicate_ppm = 1000, .reorder_ppm = 1000},
        .torrent = {.v1 = true, .piece_len = 262144, .lens = mb10, .files_n = 1},
        .seed = peer(KBPS(1000), KBPS(2000)), .leech = peer(KBPS(500), KBPS(2000)),
        .seeds = 1, .leeches = 20, .tracker = true, .arrivals = 5 * NSEC_S};
    struct lab l;
    lab_swarm(&l, &s);
    const nsec t = lab_complete(&l, 600 * NSEC_S);
    assert_true(l.world->totals.stream_bytes < 1000000);        // the tracker's, nothing else
    *out_hash = lab_close(&l);
    return t;
}

static void twenty_peers_on_bad_paths(void **state)
{
    UNUSED_STATE(state);
    uint64_t first, second;
    const nsec t = twenty(__func__, &first);
    print_message("twenty over uTP: %llu s\n", (unsigned long long)(t / NSEC_S));
    assert_true(t < 120 * NSEC_S);
    (void)twenty(__func__, &second);
    assert_int_equal(first, second);
}

// Without this a peer that dies in silence, or comes back, leaves others waiting or leaks.
static void some_crash_and_come_back(void **state)
{
    UNUSED_STATE(state);
    const struct lab_swarm s = {.name = __func__,
        .world = {.seed = 22, .payload = PAYLOAD_BYTES, .latency = 30 * NSEC_MS, .loss_ppm = 2000, .check = true},
        .torrent = {.v1 = true, .piece_len = 65536, .lens = mb3, .files_n = 1},
        .seed = peer(KBPS(200), KBPS(1000)), .leech = peer(KBPS(100), KBPS(1000)), .seeds = 1, .leeches = 8, .tracker = true};
    struct lab l;
    const struct lab_run r = lab_swarm(&l, &s);
    for (uint32_t i = 0; i < 4; i++) {
        world_plan(l.world, (10 + 3 * i) * NSEC_S, &(struct action){.kind = ACTION_CRASH, .host = r.first_leech + i, .b = i % 2});
        world_plan(l.world, (20 + 3 * i) * NSEC_S, &(struct action){.kind = ACTION_START, .host = r.first_leech + i});
    }
    (void)lab_complete(&l, 600 * NSEC_S);
    world_run(l.world, l.world->now + 60 * NSEC_S);
    lab_close(&l);
}

// The time that a new packet would wait on a host's uplink behind the one that is on the line, ms.
static uint64_t queue_ms(const struct lab *l, uint32_t host)
{
    const struct link *k = &l->world->hosts[host]->link;
    return u64_sub_sat(k->up_until, l->world->now + 1500 * NSEC_S / k->up_bps) / NSEC_MS;
}

// E20: at home, 50 kB/s up, 10 s of queue would fit. The line is used, and what else goes over it does not wait long.
static void a_home_uplink(void **state)
{
    UNUSED_STATE(state);
    static const uint32_t LEECHES[] = {1, 4};
    for (size_t k = 0; k < ARRAY_LEN(LEECHES); k++) {
        const struct lab_swarm s = {.name = __func__, .world = {.seed = 23, .payload = PAYLOAD_BYTES, .latency = 20 * NSEC_MS},
            .torrent = {.v1 = true, .piece_len = 262144, .lens = mb10, .files_n = 1},
            .seed = peer(KBPS(50), KBPS(1000)), .leech = peer(KBPS(1000), KBPS(1000)), .seeds = 1, .leeches = LEECHES[k], .tracker = true};
        struct lab l;
        const struct lab_run r = lab_swarm(&l, &s);
        lab_expect(&l, world_run(l.world, 40 * NSEC_S), "the start");
        const struct link *up = &l.world->hosts[r.first_seed]->link;
        const uint64_t before = up->up_bytes;
        uint64_t least = UINT64_MAX, best = 0, had[4];
        for (uint32_t i = 0; i < LEECHES[k]; i++)
            had[i] = l.world->hosts[r.first_leech + i]->link.down_bytes;
        uint64_t sum = 0, most = 0;
        enum { SAMPLES = 1000 };
        for (uint32_t i = 0; i < SAMPLES; i++) {
            lab_expect(&l, world_run(l.world, l.world->now + 97 * NSEC_MS), "the middle");
            const uint64_t q = queue_ms(&l, r.first_seed);
            sum += q;
            most = u64_max(most, q);
        }
        const uint64_t rate = (up->up_bytes - before) / (SAMPLES * 97 / 1000);
        print_message("50 kB/s up, %u leeches: %llu B/s used, queue %llu ms on average, %llu at most\n", LEECHES[k],
                      (unsigned long long)rate, (unsigned long long)(sum / SAMPLES), (unsigned long long)most);
        for (uint32_t i = 0; i < LEECHES[k]; i++) {
            const uint64_t got = l.world->hosts[r.first_leech + i]->link.down_bytes - had[i];
            least = u64_min(least, got);
            best = u64_max(best, got);
        }
        print_message("  the one who got least: %llu %% of the one who got most\n", (unsigned long long)(100 * least / best));
        lab_expect(&l, rate > 43000, "the line is not used");
        lab_expect(&l, sum / SAMPLES <= 100, "too long a queue");
        lab_expect(&l, least * 3 >= best * 2, "who came late took more than 60 to 40");
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twenty_peers_on_bad_paths), cmocka_unit_test(some_crash_and_come_back),
                                       cmocka_unit_test(a_home_uplink)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
