// Several torrents in one node: one leaves while the others go on, and comes back where it was.
#include "lab.h"

#include "sim/host_int.h"

static const uint64_t mb20[] = {20000000};

struct ground {
    struct lab l;
    uint32_t torrents[2], seeds[2], leech;
};

static void ground_open(struct ground *g, const char *name, enum want_kind kind, nsec seeds_come)
{
    const struct world_config cfg = {.seed = 41, .payload = PAYLOAD_REF, .latency = 20 * NSEC_MS, .check = true};
    lab_open(&g->l, name, &cfg);
    lab_tracker(&g->l);
    for (uint32_t i = 0; i < 2; i++) {
        g->torrents[i] = lab_torrent(&g->l, &(struct stage_torrent){.v1 = true, .piece_len = 262144, .lens = mb20, .files_n = 1, .tracker = LAB_TRACKER});
        const struct host_config seed = {.up_bps = KBPS(1000), .arrive = seeds_come};
        g->seeds[i] = world_host(g->l.world, &seed);
        world_want(g->l.world, g->seeds[i], g->torrents[i], WANT_SEED);
    }
    const struct host_config leech = {.arrive = 3 * NSEC_S, .down_bps = KBPS(1000), .up_bps = KBPS(1000)};
    g->leech = world_host(g->l.world, &leech);
    for (uint32_t i = 0; i < 2; i++)
        world_want(g->l.world, g->leech, g->torrents[i], kind);
}

static struct host *leech_of(struct ground *g) { return g->l.world->hosts[g->leech]; }

static void run_for(struct ground *g, nsec t) { lab_expect(&g->l, world_run(g->l.world, g->l.world->now + t), "the run"); }

static void take_away(struct ground *g, uint32_t which)
{
    struct host *h = leech_of(g);
    assert_int_equal(node_torrent_remove(h->node, host_now(g->l.world, h), h->wants[which].number), ERR_OK);
    assert_int_equal(node_torrent_remove(h->node, host_now(g->l.world, h), h->wants[which].number), ERR_AGAIN);
    host_settle(g->l.world, h);
}

static void give_again(struct ground *g, uint32_t which)
{
    struct host *h = leech_of(g);
    (void)host_give(g->l.world, h, &h->wants[which]);
    host_settle(g->l.world, h);
    assert_true(h->wants[which].given);
}

// Without this a queue could not take one torrent out of its turn, and `rm` would have to stop all.
static void one_leaves_and_comes_back(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    ground_open(&g, __func__, WANT_LEECH, 0);
    run_for(&g, 12 * NSEC_S);
    struct host *h = leech_of(&g);
    const struct node_torrent_stats before = lab_stats(&g.l, g.leech, 0);
    assert_in_range(before.pieces_have, 5, 60);
    take_away(&g, 0);
    run_for(&g, 3 * NSEC_S);
    assert_false(h->wants[0].given);
    assert_int_equal(lab_stats(&g.l, g.seeds[0], 0).peers, 0);
    assert_int_equal(lab_stats(&g.l, g.leech, 1).state, TORRENT_DOWNLOADING);
    run_for(&g, 30 * NSEC_S);
    assert_true(h->wants[1].done);
    assert_false(h->wants[0].done);
    give_again(&g, 0);
    assert_true(h->wants[0].number != h->wants[1].number);
    (void)lab_complete(&g.l, 120 * NSEC_S);
    const uint64_t again = lab_stats(&g.l, g.leech, 0).down_bytes;
    assert_in_range(again, 20000000 - before.down_bytes - 262144, 20000000 - (uint64_t)(before.pieces_have - 1) * 262144);
    lab_close(&g.l);
}

// The same hash cannot come again before the old one is gone, and then it can; also while all that is known is a link.
static void gone_is_gone(void **state)
{
    UNUSED_STATE(state);
    static const enum want_kind kinds[] = {WANT_LEECH, WANT_MAGNET};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct ground g;
        ground_open(&g, __func__, kinds[k], 200 * NSEC_S);
        run_for(&g, 10 * NSEC_S);
        struct host *h = leech_of(&g);
        for (uint32_t i = 0; i < 80; i++) {     // more often than numbers rest
            take_away(&g, i % 2);
            run_for(&g, NSEC_S);
            assert_false(h->wants[i % 2].given);
            give_again(&g, i % 2);
            assert_true(h->wants[0].number != h->wants[1].number);
            assert_in_range(h->wants[i % 2].number, 1, 40);
        }
        (void)lab_complete(&g.l, 600 * NSEC_S);
        lab_close(&g.l);
    }
}

// All of them stop while one is leaving: the node's last word comes all the same.
static void stopped_while_leaving(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    ground_open(&g, __func__, WANT_LEECH, 0);
    run_for(&g, 8 * NSEC_S);
    take_away(&g, 0);
    host_leave(g.l.world, leech_of(&g));
    run_for(&g, 15 * NSEC_S);
    assert_false(leech_of(&g)->up);
    lab_close(&g.l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_leaves_and_comes_back), cmocka_unit_test(gone_is_gone), cmocka_unit_test(stopped_while_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
