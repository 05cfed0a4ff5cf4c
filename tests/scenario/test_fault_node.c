// Faults of nodes, clocks, addresses and services do what they say.
#include "probe.h"
#include "sim/net.h"
#include "sim/stream.h"

#include "sim/fetch.h"

static const struct host_config plain;

static struct host *host(const struct probe *p, uint32_t i) { return p->w->hosts[i]; }

// So many allocations, then none; what was there can still be freed, and afterwards all is well.
static void memory_ends(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    const struct mem *mem = &host(&p, 0)->face, *other = &host(&p, 1)->face;
    void *had = mem_zalloc(mem, 100);
    probe_fault(&p, "nomem node=h0 after=3 for=5s");
    void *more[3];
    for (int i = 0; i < 3; i++)
        assert_non_null(more[i] = mem_zalloc(mem, 10));
    assert_null(mem_zalloc(mem, 10));
    void *elsewhere = mem_zalloc(other, 10);
    assert_non_null(elsewhere);
    mem_free(other, elsewhere, 10);
    mem_free(mem, had, 100);
    assert_null(mem_zalloc(mem, 10));
    probe_run(&p, 5 * NSEC_S);
    void *again = mem_zalloc(mem, 10);
    assert_non_null(again);
    mem_free(mem, again, 10);
    for (int i = 0; i < 3; i++)
        mem_free(mem, more[i], 10);
    probe_close(&p);
}

// Each input costs 50 ms: ten that come together are through after half a second.
static void a_slow_processor_takes_its_time(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    probe_run(&p, NSEC_S / 2);
    probe_fault(&p, "cpu node=h1 cost=50ms for=10s");
    const nsec begin = p.w->now;
    for (int i = 0; i < 10; i++) {
        probe_send(&p, 0, 1, 20, 1);
        probe_send(&p, 0, 2, 20, 1);
    }
    probe_run(&p, 245 * NSEC_MS);
    assert_in_range(p.heard[1], 4, 5);
    assert_int_equal(p.heard[2], 10);
    probe_run(&p, NSEC_S);
    assert_int_equal(p.heard[1], 10);
    assert_in_range(p.heard_at[1], begin + 460 * NSEC_MS, begin + 600 * NSEC_MS);
    probe_run(&p, 10 * NSEC_S);
    const nsec later = p.w->now;
    for (int i = 0; i < 10; i++)
        probe_send(&p, 0, 1, 20, 1);
    probe_run(&p, NSEC_S);
    assert_int_equal(p.heard_at[1], later + 10 * NSEC_MS);
    probe_close(&p);
}

// With one stream allowed the second that comes is refused, and none more goes out.
static void descriptors_run_out(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    struct host_config line = {.up_bps = KBPS(20)};
    probe_copying(&p, __func__, 5, &line);
    probe_fault(&p, "descriptors node=h0 n=2 for=1m");
    probe_run(&p, 10 * NSEC_S);
    uint32_t served = 0;
    for (uint32_t i = 1; i < 5; i++)
        served += probe_copied(&p, i) > 0;
    assert_int_equal(served, 2);
    assert_int_equal(host(&p, 0)->ends_n, 2);
    const uint32_t busy = probe_copied(&p, 1) > 0 ? 1 : 2;
    probe_fault(&p, "descriptors node=* n=1");
    const struct addr a = net_addr(4, 6881);
    struct conn *c = net_connect(p.w, host(&p, busy), END_HOSTILE, 0, &a);
    probe_run(&p, 0);
    assert_int_equal(c->route.target, 0);               // it did not even get on its way
    net_close(p.w, c, 0, false);
    probe_close(&p);
}

static void a_storm_blows_over(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    enum { HOSTS = 20 };
    probe_open(&p, __func__, HOSTS, &plain);
    probe_fault(&p, "storm node=* share=50% within=20s");
    uint32_t hit = 0, back[3] = {0};
    for (uint32_t i = 0; i < HOSTS; i++)
        hit += !host(&p, i)->up;
    assert_in_range(hit, 5, 15);
    for (int step = 0; step < 3; step++) {
        probe_run(&p, step == 2 ? 10 * NSEC_S : 5 * NSEC_S);
        for (uint32_t i = 0; i < HOSTS; i++)
            back[step] += host(&p, i)->up && host(&p, i)->life == 2;
    }
    assert_true(back[0] > 0);
    assert_true(back[1] > back[0]);
    assert_int_equal(back[2], hit);
    assert_int_equal(p.w->totals.restarts, hit);
    probe_close(&p);
}

// crash for=, start, leave: lives end and begin when they should.
static void lives_end_and_begin(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    probe_fault(&p, "crash node=h0-h1 for=5s");
    probe_fault(&p, "leave node=h2");
    assert_false(host(&p, 0)->up);
    probe_fault(&p, "start node=h1");
    assert_true(host(&p, 1)->up);
    probe_run(&p, 4999 * NSEC_MS);
    assert_false(host(&p, 0)->up);
    probe_run(&p, 2 * NSEC_MS);
    assert_true(host(&p, 0)->up);
    assert_int_equal(host(&p, 0)->life, 2);
    assert_int_equal(host(&p, 1)->life, 2);
    probe_fault(&p, "start node=h2");
    assert_false(host(&p, 2)->up);      // who left stays away
    probe_close(&p);
}

static void a_clock_that_goes_wrong(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 3, &plain);
    const nsec right = host_now(p.w, host(&p, 0)), fast = host_now(p.w, host(&p, 1)), slow = host_now(p.w, host(&p, 2));
    probe_fault(&p, "skew node=h1 by=+20% for=50s");
    probe_fault(&p, "skew node=h2 by=-20%");
    probe_run(&p, 50 * NSEC_S);
    assert_int_equal(host_now(p.w, host(&p, 0)) - right, 50 * NSEC_S);
    assert_int_equal(host_now(p.w, host(&p, 1)) - fast, 60 * NSEC_S);
    assert_int_equal(host_now(p.w, host(&p, 2)) - slow, 40 * NSEC_S);
    // The toy ticks once a second by its own clock.
    assert_in_range(p.ticks[0], 49, 51);
    assert_in_range(p.ticks[1], 59, 61);
    assert_in_range(p.ticks[2], 39, 41);
    probe_run(&p, 10 * NSEC_S);
    assert_int_equal(host_now(p.w, host(&p, 1)) - fast, 70 * NSEC_S);
    probe_close(&p);
}

// Only what the wall shows: nothing that waits comes sooner or later.
static void a_wall_clock_that_jumps(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    const int64_t wall = host_wall(p.w, host(&p, 0)), other = host_wall(p.w, host(&p, 1));
    const nsec now = host_now(p.w, host(&p, 0));
    probe_fault(&p, "jump node=h0 by=-3650d for=10s");
    assert_true(host_wall(p.w, host(&p, 0)) == wall - 315360000 * (int64_t)NSEC_S);
    assert_true(host_wall(p.w, host(&p, 1)) == other);
    assert_int_equal(host_now(p.w, host(&p, 0)), now);
    probe_run(&p, 10 * NSEC_S);
    assert_true(host_wall(p.w, host(&p, 0)) == wall + 10 * (int64_t)NSEC_S);
    probe_fault(&p, "jump node=h0 by=+1h");
    assert_true(host_wall(p.w, host(&p, 0)) == wall + 3610 * (int64_t)NSEC_S);
    assert_in_range(p.ticks[0], 9, 11);
    probe_close(&p);
}

// What is sent to a public address of a box arrives inside, until the box forgets; a new address is another place.
static void boxes_forget_and_move(void **state)
{
    UNUSED_STATE(state);
    for (int moves = 0; moves < 2; moves++) {
        struct probe p;
        probe_open(&p, __func__, 1, &plain);
        const struct nat_config box = {0};
        const struct host_config inside = {.nat = world_nat(p.w, &box), .arrive = p.w->now};
        const uint32_t h = world_host(p.w, &inside);
        probe_run(&p, NSEC_MS);
        assert_true(probe_hears(&p, h, 0));
        struct addr door = p.w->nats.items[0]->nat.address;
        const struct addr before = door;
        door.port = 6881;
        net_datagram(p.w, host(&p, 0), 6881, &door, SLICE_LIT("hello"));
        probe_run(&p, NSEC_S);
        assert_int_equal(p.heard[h], 1);
        probe_fault(&p, moves ? "nat-address node=h1" : "nat-reboot node=h1");
        net_datagram(p.w, host(&p, 0), 6881, &door, SLICE_LIT("hello"));
        probe_run(&p, NSEC_S);
        assert_int_equal(p.heard[h], 1);
        assert_int_equal(addr_same_ip(&before, &p.w->nats.items[0]->nat.address), !moves);
        assert_true(probe_hears(&p, h, 0));             // and a new mapping is made
        door.ip[3] = p.w->nats.items[0]->nat.address.ip[3];
        net_datagram(p.w, host(&p, 0), 6881, &door, SLICE_LIT("hello"));
        probe_run(&p, NSEC_S);
        assert_int_equal(p.heard[h], 2);
        probe_fault(&p, "nat-reboot node=h0");          // who has no box does not mind
        probe_close(&p);
    }
}

static void fetches_fail_as_told(void **state)
{
    UNUSED_STATE(state);
    const struct world_answer page = {.prefix = SLICE_LIT("http://site/"), .status = 200, .body = SLICE_LIT("good"), .delay = NSEC_MS};
    static const struct {
        const char *line;
        enum err err;
        int status;
        nsec at_least;
    } cases[] = {
        {"web node=* is=fine", ERR_OK, 200, 0}, {"web node=* is=dead for=1m", ERR_TIMEOUT, 0, 20 * NSEC_S},
        {"web node=* is=slow for=1m", ERR_OK, 200, 20 * NSEC_S}, {"web node=* is=garbage for=1m", ERR_OK, 200, 0},
        {"web node=* is=errors for=1m", ERR_OK, 503, 0}, {"web node=* is=cut for=1m", ERR_CLOSED, 200, 0},
    };
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    world_answers(p.w, &page, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        probe_fault(&p, cases[i].line);
        fetch_start(p.w, host(&p, 0), 1, SLICE_LIT("http://site/a"));
        const struct toy_news *n = toy_news(host(&p, 0)->node);
        if (cases[i].at_least != 0)
            probe_run(&p, cases[i].at_least - NSEC_S);
        assert_int_equal(n->fetches, i);
        probe_run(&p, 40 * NSEC_S);
        assert_int_equal(n->fetches, i + 1);
        assert_int_equal(n->fetch_err, cases[i].err);
        assert_int_equal(n->fetch_status, cases[i].status);
        assert_int_equal(n->fetch_n == 4, cases[i].err == ERR_OK && i != 3 && i != 4);
        probe_run(&p, 60 * NSEC_S);
    }
    // Of one server: the fault is of who is asked, not of who asks.
    probe_fault(&p, "web node=h1 is=errors for=1m");
    fetch_start(p.w, host(&p, 0), 1, SLICE_LIT("http://10.0.1.1:6969/announce"));
    probe_run(&p, NSEC_S);
    assert_int_equal(toy_news(host(&p, 0)->node)->fetch_status, 503);
    fetch_start(p.w, host(&p, 1), 1, SLICE_LIT("http://10.0.0.1:6969/announce"));
    probe_run(&p, NSEC_S);
    assert_int_equal(toy_news(host(&p, 1)->node)->fetch_status, 0);
    assert_int_equal(toy_news(host(&p, 1)->node)->fetch_err, ERR_REFUSED);
    probe_close(&p);
}

static void names_do_not_resolve(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_open(&p, __func__, 2, &plain);
    const struct world_name name = {.name = SLICE_LIT("site"), .addr = net_addr(1, 6969)};
    world_names(p.w, &name, 1);
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            probe_fault(&p, "dns-dead for=5s");
        resolve_start(p.w, host(&p, 0), 1, SLICE_LIT("site"));
        fetch_start(p.w, host(&p, 0), 2, SLICE_LIT("http://site:6969/a"));
        probe_run(&p, NSEC_S);
        const struct toy_news *n = toy_news(host(&p, 0)->node);
        assert_int_equal(n->resolves, round + 1);
        assert_int_equal(n->resolve_err, round == 1 ? ERR_AGAIN : ERR_OK);
        assert_int_equal(n->fetches, round + 1);
        assert_int_equal(n->fetch_err, round == 1 ? ERR_UNREACHABLE : ERR_REFUSED);
        probe_run(&p, 5 * NSEC_S);
    }
    probe_close(&p);
}

// heal ends what lasts, whatever its for= says, and starts who is down; what began later is not touched by an old end.
static void healing_ends_everything(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    const struct host_config line = {.up_bps = KBPS(100), .down_bps = KBPS(100), .disk = {.space_bytes = 5000}};
    probe_open(&p, __func__, 4, &line);
    static const char *const lines[] = {"hole node=h0", "partition node=h1 side=1 for=1h", "crash node=h2", "loss p=100% for=20s",
        "rate node=h0 up=1kB", "dns-dead", "web node=* is=dead", "nomem node=h1", "cpu node=h3 cost=1ms", "eio node=h3 p=100%",
        "disk-slow node=h3 seek=1s", "descriptors node=h3 n=1", "skew node=h3 by=+10%", "bridge node=h3", "short-write node=h3"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        probe_fault(&p, lines[i]);
    assert_false(probe_hears(&p, 0, 1));
    probe_run(&p, 10 * NSEC_S);
    probe_fault(&p, "heal");
    probe_fault(&p, "loss p=50% for=1h");
    probe_run(&p, 10 * NSEC_S);
    assert_int_equal(p.w->cfg.loss_ppm, 500000);        // not ended by the end of the loss before
    probe_fault(&p, "heal");
    for (uint32_t i = 1; i < 4; i++)
        assert_true(probe_hears(&p, 0, i));
    assert_true(host(&p, 2)->up);
    assert_int_equal(host(&p, 0)->link.up_bps, KBPS(100));
    assert_false(p.w->faults.dns_dead);
    assert_int_equal(p.w->faults.web, WEB_FINE);
    const struct host_faults *f = &host(&p, 3)->faults;
    assert_false(host(&p, 1)->faults.nomem);
    assert_int_equal(f->cpu_cost, 0);
    assert_int_equal(f->descriptors, 0);
    assert_int_equal(f->skew_ppm, 0);
    assert_false(f->bridge);
    const struct disk *d = &host(&p, 3)->disk;
    assert_int_equal(d->cfg.eio_ppm, 0);
    assert_int_equal(d->cfg.space_bytes, 0);
    assert_int_equal(d->cfg.latency, 100 * NSEC_US);
    assert_false(d->short_next);
    probe_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_ends), cmocka_unit_test(a_slow_processor_takes_its_time), cmocka_unit_test(descriptors_run_out),
        cmocka_unit_test(a_storm_blows_over), cmocka_unit_test(lives_end_and_begin), cmocka_unit_test(a_clock_that_goes_wrong),
        cmocka_unit_test(a_wall_clock_that_jumps), cmocka_unit_test(boxes_forget_and_move), cmocka_unit_test(fetches_fail_as_told),
        cmocka_unit_test(names_do_not_resolve), cmocka_unit_test(healing_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
