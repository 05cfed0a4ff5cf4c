// The generator of round-trip times against PlanetLab's: rows LAT.pl.* of the published results; and the six regions.
#include "sim/net.h"
#include "test.h"

#include <stdlib.h>

#include "lab/published.h"
#include "lab/stage.h"

enum { HOSTS = 490, SEEDS = 4, PAIRS = HOSTS * (HOSTS - 1) / 2, TRIPLES = 400000 };

static const struct host_config plain;

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static struct world *world_of(struct stage *st, const struct world_config *cfg, uint32_t hosts)
{
    assert_int_equal(stage_open(st, cfg), ERR_OK);
    for (uint32_t i = 0; i < hosts; i++)
        (void)world_host(st->world, &plain);
    return st->world;
}

static nsec rtt(const struct world *w, uint32_t a, uint32_t b)
{
    return net_base_latency(w, w->hosts[a], w->hosts[b]) + net_base_latency(w, w->hosts[b], w->hosts[a]);
}

static void expect_row(const char *id, double value)
{
    struct published p;
    assert_true(published_find(id, &p));
    const enum verdict v = published_judge(&p, value, value);
    print_message("%s: %.2f, published %s %s: %s\n", id, value, p.value, p.unit, published_word(v));
    assert_int_not_equal(v, VERDICT_FAILED);
}

// Without this a scenario on "planetlab" would be one on some planet.
static void round_trips_are_as_on_planetlab(void **state)
{
    UNUSED_STATE(state);
    static uint64_t all[SEEDS * PAIRS];
    size_t n = 0, long_n = 0, worse = 0;
    double sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct stage st;
        const struct world_config cfg = {.seed = seed, .model = LATENCY_PLANETLAB};
        const struct world *w = world_of(&st, &cfg, HOSTS);
        for (uint32_t i = 0; i < HOSTS; i++)
            for (uint32_t k = 0; k < i; k++) {
                all[n] = rtt(w, i, k);
                sum += (double)all[n];
                long_n += all[n++] > 300 * NSEC_MS;
            }
        struct rng r = rng_make(seed, 1);
        for (uint32_t t = 0; t < TRIPLES / SEEDS; t++) {
            const uint32_t a = (uint32_t)rng_below(&r, HOSTS), b = (a + 1 + (uint32_t)rng_below(&r, HOSTS - 1)) % HOSTS;
            const uint32_t via = (uint32_t)rng_below(&r, HOSTS);
            worse += via != a && via != b && rtt(w, a, b) > rtt(w, a, via) + rtt(w, via, b);
        }
        stage_close(&st);
    }
    qsort(all, n, sizeof *all, by_size);
    static const struct {
        const char *id;
        uint32_t percent;
    } rows[] = {{"LAT.pl.p5", 5}, {"LAT.pl.p25", 25}, {"LAT.pl.p50", 50}, {"LAT.pl.p75", 75}, {"LAT.pl.p95", 95}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_row(rows[i].id, (double)all[n * rows[i].percent / 100] / 1e6);
    expect_row("LAT.pl.mean", sum / (double)n / 1e6);
    expect_row("LAT.pl.300", 100.0 * (double)long_n / (double)n);
    expect_row("LAT.pl.tiv", 100.0 * (double)worse / TRIPLES);
}

// Both ways the same, another seed another world, and never faster than light in fibre.
static void pairs_keep_their_distance(void **state)
{
    UNUSED_STATE(state);
    struct stage st, other;
    const struct world_config cfg = {.seed = 1, .model = LATENCY_PLANETLAB}, next = {.seed = 2, .model = LATENCY_PLANETLAB};
    const struct world *w = world_of(&st, &cfg, 40), *v = world_of(&other, &next, 40);
    uint32_t same = 0;
    for (uint32_t i = 0; i < 40; i++)
        for (uint32_t k = 0; k < i; k++) {
            assert_int_equal(net_base_latency(w, w->hosts[i], w->hosts[k]), net_base_latency(w, w->hosts[k], w->hosts[i]));
            same += net_base_latency(w, w->hosts[i], w->hosts[k]) == net_base_latency(v, v->hosts[i], v->hosts[k]);
        }
    assert_true(same < 5);
    stage_close(&other);
    stage_close(&st);
    // New York and Sydney: 15989 km, 160 ms there and back in fibre; the hosts may stand a bit nearer.
    struct rng r = rng_make(1, 1);
    uint32_t york = 0, sydney = 0;
    for (uint32_t i = 0; i < geo_cities_n; i++) {
        york = strcmp(geo_cities[i].name, "New_York") == 0 ? i + 1 : york;
        sydney = strcmp(geo_cities[i].name, "Sydney") == 0 ? i + 1 : sydney;
        const int64_t x = geo_cities[i].x, y = geo_cities[i].y, z = geo_cities[i].z;
        assert_in_range(x * x + y * y + z * z, 999997000000, 1000003000000);
    }
    for (uint64_t i = 0; i < 500; i++) {
        const struct geo_place a = geo_place(&r, york), b = geo_place(&r, sydney);
        assert_in_range(geo_rtt(&a, &b, i), 150 * NSEC_MS, 520 * NSEC_MS);
        assert_in_range(a.height, NSEC_MS, 25 * NSEC_MS);
    }
}

static void regions_are_as_published(void **state)
{
    UNUSED_STATE(state);
    struct stage st;
    const struct world_config cfg = {.seed = 1, .model = LATENCY_PLANET};
    struct world *w = world_of(&st, &cfg, 3000);
    uint32_t n[GEO_REGIONS] = {0};
    for (uint32_t i = 0; i < 3000; i++) {
        const struct host *h = w->hosts[i];
        n[h->region]++;
        assert_int_equal(rtt(w, 0, i), (nsec)geo_regions[w->hosts[0]->region].rtt_ms[h->region] * NSEC_MS);
        assert_int_equal(h->link.up_bps, geo_regions[h->region].up_bps);
        assert_int_equal(h->link.down_bps, geo_regions[h->region].down_bps);
    }
    assert_in_range(n[0], 900, 1090);
    assert_in_range(n[1], 1400, 1600);
    for (uint32_t i = 0; i < GEO_REGIONS; i++) {
        assert_in_range(geo_regions[i].up_bps * 8, 5800000, 20700000);
        assert_in_range(geo_regions[i].down_bps * 8, 18000000, 52000000);
        for (uint32_t k = 0; k < GEO_REGIONS; k++) {
            assert_int_equal(geo_regions[i].rtt_ms[k], geo_regions[k].rtt_ms[i]);
            assert_in_range(geo_regions[i].rtt_ms[k], 11, 325);
        }
    }
    // A line that was given stays, and so does a region.
    const struct host_config own = {.up_bps = 1000, .city = 5};
    const struct host *h = w->hosts[world_host(w, &own)];
    assert_int_equal(h->link.up_bps, 1000);
    assert_int_equal(h->link.down_bps, 0);
    assert_int_equal(h->region, 4);
    stage_close(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_are_as_on_planetlab), cmocka_unit_test(pairs_keep_their_distance), cmocka_unit_test(regions_are_as_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
