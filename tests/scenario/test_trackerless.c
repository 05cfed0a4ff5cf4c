// Swarms without a tracker: magnet links and the DHT only, whole nodes.
#include "lab.h"

#include "engine/find/dht.h"

static const uint64_t mb1[] = {1000000};
static const struct slice routers[] = {{(const uint8_t *)"10.0.0.1:6881", 13}};

static struct host_config peer(uint64_t up, uint64_t down)
{
    return (struct host_config){.up_bps = up, .down_bps = down,
        .node = {.dht = {.on = true, .ipv4 = true, .routers = routers, .routers_n = 1}}};
}

static uint32_t dht_nodes(const struct lab *l, uint32_t host)
{
    struct dht_stats s = {0};
    assert_true(node_dht_stats(l->world->hosts[host]->node, &s));
    return s.nodes[0];
}

// Without this a magnet link without a tracker is dead: 20 people have nothing but the link, one has the content, and what they
// know of each other is one DHT node, which goes away in the middle.
static void a_link_and_the_dht_are_enough(void **state)
{
    UNUSED_STATE(state);
    enum { N = 20 };
    struct lab_swarm s = {.name = __func__, .world = {.seed = 31, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS, .check = true},
        .torrent = {.v1 = true, .v2 = true, .piece_len = 32768, .lens = mb1, .files_n = 1},
        .seed = peer(KBPS(400), 0), .leech = peer(KBPS(200), KBPS(1000)), .seeds = 1, .leeches = N, .arrivals = 20 * NSEC_S};
    struct lab l;
    lab_open(&l, __func__, &s.world);
    const struct host_config router = peer(0, 0);
    assert_int_equal(world_host(l.world, &router), 0);
    const uint32_t t = lab_torrent(&l, &s.torrent);
    const uint32_t seed = world_host(l.world, &s.seed);
    (void)world_want(l.world, seed, t, WANT_SEED);
    for (uint32_t i = 0; i < N; i++) {
        struct host_config c = s.leech;
        c.arrive = NSEC_S + i * s.arrivals / N;
        (void)world_want(l.world, world_host(l.world, &c), t, WANT_MAGNET);
    }
    const struct action leave = {.kind = ACTION_CRASH, .host = 0, .a = CRASH_KEPT, .b = true};
    world_plan(l.world, 21 * NSEC_S, &leave);
    lab_complete(&l, 600 * NSEC_S);
    for (uint32_t i = 0; i < N; i++)
        assert_in_range(dht_nodes(&l, seed + 1 + i), N / 2, 2 * N);
    lab_close(&l);
}

// Without this a restart begins from nothing: the router is gone for good, saved nodes are enough.
static void a_restart_needs_no_router(void **state)
{
    UNUSED_STATE(state);
    enum { N = 12 };
    const struct world_config w = {.seed = 32, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS, .check = true};
    struct lab l;
    lab_open(&l, __func__, &w);
    const struct host_config c = peer(KBPS(400), KBPS(1000));
    for (uint32_t i = 0; i < N; i++)
        (void)world_host(l.world, &c);
    const struct action gone = {.kind = ACTION_CRASH, .host = 0, .a = CRASH_KEPT, .b = true};
    const struct action crash = {.kind = ACTION_CRASH, .host = 1, .a = CRASH_KEPT}, start = {.kind = ACTION_START, .host = 1};
    world_plan(l.world, 100 * NSEC_S, &gone);
    world_plan(l.world, 110 * NSEC_S, &crash);
    world_plan(l.world, 120 * NSEC_S, &start);
    lab_expect(&l, world_run(l.world, 99 * NSEC_S), "it ran");
    assert_in_range(dht_nodes(&l, 1), N / 2, N);
    lab_expect(&l, world_run(l.world, 130 * NSEC_S), "it ran");
    assert_in_range(dht_nodes(&l, 1), N / 2, N);        // within ten seconds
    lab_close(&l);
}

// Without announcing again a torrent is lost after three quarters of an hour, and whenever the nodes that were told go: here every node of
// the DHT but the first goes for good within a day, one after the other, and others come. Who has the link then still finds the seed.
static void a_day_later_it_is_still_found(void **state)
{
    UNUSED_STATE(state);
    enum { N = 12, HOURS = 24 };
    const struct world_config w = {.seed = 34, .latency = 20 * NSEC_MS, .latency_spread = 60 * NSEC_MS, .check = true};
    const struct stage_torrent torrent = {.v1 = true, .v2 = true, .piece_len = 32768, .lens = mb1, .files_n = 1};
    struct lab l;
    lab_open(&l, __func__, &w);
    struct host_config c = peer(KBPS(400), KBPS(1000));
    assert_int_equal(world_host(l.world, &c), 0);
    const uint32_t t = lab_torrent(&l, &torrent);
    (void)world_want(l.world, world_host(l.world, &c), t, WANT_SEED);
    for (uint32_t i = 0; i < 2 * N; i++) {
        const nsec life = HOURS * 3600 * NSEC_S / N;
        c.arrive = i < N ? 0 : (i - N) * life;
        const uint32_t host = world_host(l.world, &c);
        const struct action leave = {.kind = ACTION_CRASH, .host = host, .a = CRASH_KEPT, .b = true};
        if (i < N)
            world_plan(l.world, c.arrive + (i + 1) * life - NSEC_S, &leave);
    }
    c.arrive = HOURS * 3600 * NSEC_S;
    (void)world_want(l.world, world_host(l.world, &c), t, WANT_MAGNET);
    lab_complete(&l, c.arrive + 60 * NSEC_S);
    lab_close(&l);
}

// Nothing but the local network: who is behind one box finds each other, one of them by a link alone; who is behind another box does
// not; and a private torrent is not told.
static void neighbours_find_each_other(void **state)
{
    UNUSED_STATE(state);
    for (int is_private = 0; is_private < 2; is_private++) {
        struct lab l;
        const struct world_config w = {.seed = 33, .latency = 20 * NSEC_MS, .check = true};
        lab_open(&l, __func__, &w);
        const struct stage_torrent t = {.v1 = true, .v2 = true, .is_private = is_private != 0, .piece_len = 32768, .lens = mb1, .files_n = 1};
        const uint32_t torrent = lab_torrent(&l, &t);
        const struct nat_config box = {.filter = NAT_PORT};
        const uint32_t here = world_nat(l.world, &box), there = world_nat(l.world, &box);
        struct host_config c = {.up_bps = KBPS(400), .down_bps = KBPS(1000), .nat = here, .node = {.lsd = {.on = true, .ipv4 = true}}};
        world_want(l.world, world_host(l.world, &c), torrent, WANT_SEED);
        for (uint32_t i = 0; i < 4; i++) {
            c.arrive = (10 + 15 * i) * NSEC_S;
            c.nat = i < 3 ? here : there;
            world_want(l.world, world_host(l.world, &c), torrent, i == 1 && !is_private ? WANT_MAGNET : WANT_LEECH);
        }
        world_run(l.world, 120 * NSEC_S);
        for (uint32_t i = 1; i < 5; i++)
            lab_expect(&l, l.world->hosts[i]->wants[0].done == (i < 4 && !is_private), "the wrong ones are complete");
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_and_the_dht_are_enough), cmocka_unit_test(a_restart_needs_no_router),
        cmocka_unit_test(a_day_later_it_is_still_found), cmocka_unit_test(neighbours_find_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
