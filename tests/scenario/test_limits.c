// R10: limits of rate are kept in every second, both ways and at any speed, are shared fairly, can be changed while bytes flow,
// and a limit of one direction does not strangle the other.
#include "lab.h"

#include "sim/host_int.h"

enum { TORRENTS = 2, PEERS = 3, SETTLE_S = 12, WINDOWS = 15 };

// `one` in the middle has TORRENTS torrents, with PEERS hosts for each at the other end.
struct star {
    struct lab l;
    uint32_t one;
    bool up;                            // it seeds; else it fetches
};

static struct node_torrent_stats at(struct star *s, uint32_t torrent) { return lab_stats(&s->l, s->one, torrent); }

static uint64_t moved(struct star *s, uint32_t torrent)
{
    const struct node_torrent_stats st = at(s, torrent);
    return s->up ? st.up_bytes : st.rx_bytes;
}

static uint64_t all_moved(struct star *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TORRENTS; i++)
        sum += moved(s, i);
    return sum;
}

static void star_open(struct star *s, const char *name, bool up, uint64_t len, const struct host_config *one, uint64_t own_bps)
{
    const struct world_config cfg = {.seed = 31, .payload = one->node.encryption != NODE_ENCRYPTION_OFF || one->utp ? PAYLOAD_BYTES : PAYLOAD_REF,
        .latency = 10 * NSEC_MS};
    *s = (struct star){.up = up};
    lab_open(&s->l, name, &cfg);
    const uint64_t lens[] = {len};
    uint32_t torrents[TORRENTS];
    for (uint32_t i = 0; i < TORRENTS; i++)
        torrents[i] = lab_torrent(&s->l, &(struct stage_torrent){.v1 = true, .piece_len = 1048576, .lens = lens, .files_n = 1});
    s->one = world_host(s->l.world, one);
    for (uint32_t i = 0; i < TORRENTS; i++) {
        struct want *w = world_want(s->l.world, s->one, torrents[i], up ? WANT_SEED : WANT_LEECH);
        *(up ? &w->up_bps : &w->down_bps) = i == 0 ? own_bps : 0;
    }
    for (uint32_t i = 0; i < TORRENTS; i++)
        for (uint32_t k = 0; k < PEERS; k++) {
            const struct host_config c = {.arrive = NSEC_S, .friends = &s->one, .friends_n = 1, .utp = one->utp, .node = {.no_tcp = one->utp}};
            world_want(s->l.world, world_host(s->l.world, &c), torrents[i], up ? WANT_LEECH : WANT_SEED);
        }
}

static void run_to(struct star *s, nsec t) { lab_expect(&s->l, world_run(s->l.world, t), "the run"); }

// Every window of a second: within 2 %.
static void expect_rate(struct star *s, uint64_t bps)
{
    uint64_t least = UINT64_MAX, most = 0, before = all_moved(s);
    for (uint32_t i = 0; i < WINDOWS; i++) {
        run_to(s, s->l.world->now + NSEC_S);
        const uint64_t now = all_moved(s);
        least = u64_min(least, now - before);
        most = u64_max(most, now - before);
        before = now;
    }
    print_message("%s, %s %llu B/s: windows of %llu to %llu\n", s->l.name, s->up ? "up" : "down", (unsigned long long)bps,
        (unsigned long long)least, (unsigned long long)most);
    assert_in_range(least, bps / 100 * 98, bps / 100 * 102);
    assert_in_range(most, bps / 100 * 98, bps / 100 * 102);
}

static void change(struct star *s, uint64_t up, uint64_t down)
{
    struct host *h = s->l.world->hosts[s->one];
    node_limits(h->node, host_now(s->l.world, h), up, down);
    host_settle(s->l.world, h);
}

// 20 KiB/s to 100 MiB/s, both ways; two torrents get the same, within 3 %.
static void windows(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t rates[] = {20 * KIB, 33 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, MIB, 10 * MIB, 100 * MIB};
    for (uint32_t i = 0; i < 2 * ARRAY_LEN(rates); i++) {
        const bool up = i % 2 == 0;
        const uint64_t bps = rates[i / 2];
        struct host_config one = {0};
        *(up ? &one.node.up_bps : &one.node.down_bps) = bps;
        struct star s;
        star_open(&s, __func__, up, u64_max(bps * 30, 4 * MIB), &one, 0);
        run_to(&s, SETTLE_S * NSEC_S);
        const uint64_t a = moved(&s, 0), b = moved(&s, 1);
        expect_rate(&s, bps);
        const uint64_t first = moved(&s, 0) - a, second = moved(&s, 1) - b;
        assert_in_range(first * 100 / (first + second), 48, 52);
        lab_free(&s.l);
    }
}

// Over uTP it is the same: what is not read holds the sender back.
static void over_utp(void **state)
{
    UNUSED_STATE(state);
    for (int up = 0; up < 2; up++) {
        struct host_config one = {.utp = true, .node = {.no_tcp = true}};
        *(up ? &one.node.up_bps : &one.node.down_bps) = MIB;
        struct star s;
        star_open(&s, __func__, up, 60 * MIB, &one, 0);
        run_to(&s, SETTLE_S * NSEC_S);
        expect_rate(&s, MIB);
        lab_free(&s.l);
    }
}

// One torrent has a limit of its own: it keeps it, and the other takes what is left of the limit of all.
static void one_torrent(void **state)
{
    UNUSED_STATE(state);
    for (int up = 0; up < 2; up++) {
        struct host_config one = {0};
        *(up ? &one.node.up_bps : &one.node.down_bps) = 2 * MIB;
        struct star s;
        star_open(&s, __func__, up, 120 * MIB, &one, 300000);
        run_to(&s, SETTLE_S * NSEC_S);
        const uint64_t before = moved(&s, 0);
        expect_rate(&s, 2 * MIB);
        assert_in_range((moved(&s, 0) - before) / WINDOWS, 294000, 306000);
        lab_free(&s.l);
    }
}

// Up, down, off and on again while bytes flow: in force with the next second.
static void changed_while_running(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t rates[] = {500000, 4000000, 200000, 2000000};
    for (int up = 0; up < 2; up++) {
        struct host_config one = {.up_bps = 20000000, .down_bps = 20000000};
        struct star s;
        star_open(&s, __func__, up, 600 * MIB, &one, 0);
        run_to(&s, 3 * NSEC_S);
        for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
            change(&s, up ? rates[i] : 0, up ? 0 : rates[i]);
            run_to(&s, s.l.world->now + NSEC_S);
            expect_rate(&s, rates[i]);
            change(&s, 0, 0);
            const uint64_t before = all_moved(&s);
            run_to(&s, s.l.world->now + 2 * NSEC_S);
            assert_true(all_moved(&s) - before > 20000000);     // the line's 20 MB/s, less its ramp
        }
        lab_free(&s.l);
    }
}

// Requests, haves and answers go free: with 1 KiB/s for uploads the download takes no longer, although others ask for blocks.
static void a_capped_upload_does_not_strangle(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t lens[] = {100000000};
    nsec took[2];
    for (int capped = 0; capped < 2; capped++) {
        const struct world_config cfg = {.seed = 32, .payload = PAYLOAD_REF, .latency = 20 * NSEC_MS};
        struct lab l;
        lab_open(&l, __func__, &cfg);
        const uint32_t t = lab_torrent(&l, &(struct stage_torrent){.v1 = true, .piece_len = 262144, .lens = lens, .files_n = 1});
        const struct host_config seed = {.up_bps = 3000000};
        const uint32_t first = world_host(l.world, &seed);
        world_want(l.world, first, t, WANT_SEED);
        struct host_config c = {.arrive = NSEC_S, .friends = &first, .friends_n = 1, .down_bps = 2000000, .up_bps = 2000000};
        c.node.up_bps = capped ? 1024 : 0;
        const uint32_t leech = world_host(l.world, &c);
        struct want *w = world_want(l.world, leech, t, WANT_LEECH);
        const uint32_t both[] = {leech};
        const struct host_config beggar = {.arrive = 2 * NSEC_S, .friends = both, .friends_n = 1, .down_bps = 2000000};
        world_want(l.world, world_host(l.world, &beggar), t, WANT_LEECH);       // hears of the seed by exchange
        lab_expect(&l, world_run(l.world, 60 * NSEC_S), "the run");
        assert_true(w->done);
        took[capped] = w->done_at;
        if (capped)
            assert_in_range(lab_stats(&l, leech, 0).up_bytes, 56 * 1024, 72 * 1024);   // a block each 16 s
        lab_free(&l);
    }
    print_message("100 MB: %llu ms, with 1 KiB/s for uploads %llu ms\n", (unsigned long long)(took[0] / NSEC_MS), (unsigned long long)(took[1] / NSEC_MS));
    assert_in_range(took[1], took[0] / 100 * 95, took[0] / 100 * 105);
}

// The same between two that give to each other: requests wait behind the parts of a block, and there are enough of them.
static void parts_of_blocks_do_not_strangle(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t lens[] = {30000000}, caps[] = {0, 33 * KIB};
    nsec took[2];
    for (int i = 0; i < 2; i++) {
        const struct world_config cfg = {.seed = 34, .payload = PAYLOAD_REF, .latency = 20 * NSEC_MS};
        struct lab l;
        lab_open(&l, __func__, &cfg);
        const uint32_t t = lab_torrent(&l, &(struct stage_torrent){.v1 = true, .piece_len = 262144, .lens = lens, .files_n = 1});
        const struct host_config seed = {.up_bps = 1000000};
        const uint32_t first = world_host(l.world, &seed);
        world_want(l.world, first, t, WANT_SEED);
        const struct host_config other = {.arrive = NSEC_S, .friends = &first, .friends_n = 1, .down_bps = 2000000, .up_bps = 2000000};
        const uint32_t partner = world_host(l.world, &other);
        world_want(l.world, partner, t, WANT_LEECH);
        const uint32_t both[] = {first, partner};
        struct host_config c = {.arrive = NSEC_S, .friends = both, .friends_n = 2, .down_bps = 2000000, .up_bps = 2000000};
        c.node.up_bps = caps[i];
        const uint32_t leech = world_host(l.world, &c);
        struct want *w = world_want(l.world, leech, t, WANT_LEECH);
        lab_expect(&l, world_run(l.world, 80 * NSEC_S), "the run");
        assert_true(w->done);
        took[i] = w->done_at;
        lab_free(&l);
    }
    print_message("30 MB from one that takes, too: %llu ms, with 33 KiB/s for uploads %llu ms\n", (unsigned long long)(took[0] / NSEC_MS),
        (unsigned long long)(took[1] / NSEC_MS));
    assert_in_range(took[1], took[0] / 100 * 90, took[0] / 100 * 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows), cmocka_unit_test(over_utp), cmocka_unit_test(one_torrent), cmocka_unit_test(changed_while_running),
        cmocka_unit_test(a_capped_upload_does_not_strangle), cmocka_unit_test(parts_of_blocks_do_not_strangle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
