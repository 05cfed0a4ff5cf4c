// Peers that lie, corrupt, flood and stall: the swarm completes, nothing bad is ever called good, the guilty go and the honest stay.
#include "lab.h"

#include "sim/hostile.h"

static const uint64_t mb1[] = {1000000}, mb4[] = {4000000};

// An honest seed, leeches, and one or more hostile hosts of one kind.
struct fight {
    const char *name;
    struct hostile_config hostile;
    const uint64_t *lens;
    uint32_t seeds, leeches, hostiles;
    bool v2;
    uint64_t hostile_up, seed_up;
    enum payload_mode mode;
    uint64_t seed;
};

static nsec fight(struct lab *l, const struct fight *f)
{
    const struct lab_swarm s = {.name = f->name,
        .world = {.seed = f->seed == 0 ? 17 : f->seed, .payload = f->mode, .latency = 20 * NSEC_MS, .latency_spread = 20 * NSEC_MS, .check = true, .watch = true},
        .torrent = {.v1 = !f->v2, .v2 = f->v2, .piece_len = 65536, .lens = f->lens, .files_n = 1},
        .seed = {.up_bps = f->seed_up == 0 ? KBPS(200) : f->seed_up}, .leech = {.up_bps = KBPS(200), .down_bps = KBPS(1000), .dials = 10},
        .seeds = f->seeds, .leeches = f->leeches};
    const struct lab_run run = lab_swarm(l, &s);
    for (uint32_t i = 0; i < f->hostiles; i++) {
        struct host_config c = {.hostile = f->hostile, .up_bps = f->hostile_up, .arrive = 2 * NSEC_S + i * 100 * NSEC_MS};
        c.hostile.torrent = run.torrent;
        c.hostile.dials = c.hostile.dials == 0 ? f->leeches + 2 : c.hostile.dials;
        world_host(l->world, &c);
    }
    return lab_complete(l, 1000 * NSEC_S);
}

static uint64_t corrupted(const struct lab *l)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->world->hosts_n; i++)
        if (l->world->hosts[i]->hostile != NULL)
            n += l->world->hosts[i]->hostile->corrupt_blocks;
    return n;
}

static uint32_t hash_failures(const struct lab *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->world->hosts_n; i++)
        if (l->world->hosts[i]->wants_n > 0)
            n += lab_stats(l, i, 0).hash_failures;
    return n;
}

// A seed that corrupts every block is alone to blame for whole pieces: it is banned, and nobody else.
static void a_poisoner_is_banned(void **state)
{
    UNUSED_STATE(state);
    for (int v2 = 0; v2 < 2; v2++) {
        struct lab l;
        const struct fight f = {.name = v2 ? "a_poisoner_is_banned v2" : "a_poisoner_is_banned v1",
            .hostile = {.kind = HOSTILE_POISON, .corrupt_ppm = 1000000}, .lens = mb1, .seeds = 1, .leeches = 6, .hostiles = 1,
            .v2 = v2 != 0, .hostile_up = KBPS(1000)};
        fight(&l, &f);
        print_message("%llu corrupt blocks, %u failures, %llu bans\n", (unsigned long long)corrupted(&l), hash_failures(&l),
            (unsigned long long)l.world->totals.bans);
        lab_expect(&l, corrupted(&l) > 0, "nothing was corrupted");
        lab_expect(&l, l.world->totals.bans > 0, "the poisoner was not banned");
        lab_expect(&l, l.world->totals.honest_bans == 0, "an honest peer was banned");
        lab_close(&l);
    }
}

// One bad block in twenty, in pieces that come from several peers: found out in time, no honest peer framed.
static void a_careful_poisoner_is_found_out(void **state)
{
    UNUSED_STATE(state);
    for (int v2 = 0; v2 < 2; v2++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct lab l;
            const struct fight f = {.name = v2 ? "a_careful_poisoner_is_found_out v2" : "a_careful_poisoner_is_found_out v1",
                .hostile = {.kind = HOSTILE_POISON, .corrupt_ppm = 50000}, .lens = mb4, .seeds = 2, .leeches = 10, .hostiles = 2,
                .v2 = v2 != 0, .hostile_up = KBPS(400), .seed = seed};
            fight(&l, &f);
            print_message("%llu corrupt blocks, %u failures, %llu bans\n", (unsigned long long)corrupted(&l), hash_failures(&l),
                (unsigned long long)l.world->totals.bans);
            lab_expect(&l, corrupted(&l) > 0, "nothing was corrupted");
            lab_expect(&l, l.world->totals.bans > 0, "no poisoner was banned");
            lab_expect(&l, l.world->totals.honest_bans == 0, "an honest peer was banned");
            lab_close(&l);
        }
}

// With references or bytes, poison has the same effect at the same time.
static void poison_is_poison_in_both_modes(void **state)
{
    UNUSED_STATE(state);
    uint64_t hash[2];
    for (int mode = 0; mode < 2; mode++) {
        struct lab l;
        const struct fight f = {.name = "poison_is_poison_in_both_modes", .hostile = {.kind = HOSTILE_POISON, .corrupt_ppm = 200000},
            .lens = mb1, .seeds = 1, .leeches = 5, .hostiles = 1, .hostile_up = KBPS(500), .mode = (enum payload_mode)mode};
        fight(&l, &f);
        hash[mode] = lab_close(&l);
    }
    assert_int_equal(hash[0], hash[1]);
}

// Those who only waste time: the honest complete, not much later than without them, and their memory stays bounded.
static void time_wasters_are_survived(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        enum hostile_kind kind;
        const char *name;
    } kinds[] = {
        {HOSTILE_NONE, "nobody hostile"}, {HOSTILE_STALL, "stall"}, {HOSTILE_FLOOD, "flood"}, {HOSTILE_GARBAGE, "garbage"},
        {HOSTILE_OVERSIZE, "oversize"}, {HOSTILE_LIAR, "liar"},
    };
    nsec alone = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct lab l;
        const struct fight f = {.name = kinds[i].name, .hostile = {.kind = kinds[i].kind}, .lens = mb4, .seeds = 1, .leeches = 10,
            .hostiles = kinds[i].kind == HOSTILE_NONE ? 0 : 5, .hostile_up = KBPS(500)};
        const nsec t = fight(&l, &f);
        uint64_t peak = 0;
        for (uint32_t h = 0; h < l.world->hosts_n; h++)
            peak = u64_max(peak, l.world->hosts[h]->mem_peak);
        print_message("%s: complete after %llu ms, peak of memory %llu KiB\n", kinds[i].name, (unsigned long long)(t / NSEC_MS),
            (unsigned long long)peak / 1024);
        if (kinds[i].kind == HOSTILE_NONE)
            alone = t;
        lab_expect(&l, t < 3 * alone + 60 * NSEC_S, "the time wasters won");
        lab_expect(&l, peak < 24 * MIB, "too much memory");
        lab_expect(&l, l.world->totals.honest_bans == 0, "an honest peer was banned");
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poisoner_is_banned),
        cmocka_unit_test(a_careful_poisoner_is_found_out),
        cmocka_unit_test(poison_is_poison_in_both_modes),
        cmocka_unit_test(time_wasters_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
