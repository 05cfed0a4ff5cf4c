// See geo.h.
#include "sim/geo.h"

#define MBIT(tenths) ((uint64_t)(tenths) * 100000 / 8)

enum {
    NEAR = 52739,                       // 336 km: hosts of a city stand within so much of it, by each coordinate
    HEIGHT_MIN_US = 1000, HEIGHT_MORE_US = 24000,       // 1 … 25 ms, most of them small
    DRAW = 1000,
};

// Its numbers are means between regions; they are taken for round trips, as their size says (across the North Atlantic 124 ms).
const struct geo_region geo_regions[GEO_REGIONS] = {
    {"north-america", 3316, MBIT(192), MBIT(520), {32, 124, 184, 198, 151, 189}},
    {"europe", 4998, MBIT(207), MBIT(400), {124, 11, 227, 237, 252, 294}},
    {"south-america", 90, MBIT(58), MBIT(180), {184, 227, 88, 325, 301, 322}},
    {"asia-pacific", 1177, MBIT(157), MBIT(228), {198, 237, 325, 85, 58, 198}},
    {"japan", 224, MBIT(102), MBIT(228), {151, 252, 301, 58, 12, 126}},
    {"australia", 195, MBIT(113), MBIT(299), {189, 294, 322, 198, 126, 16}},
};

static uint64_t root_of(uint64_t n)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 31; bit != 0; bit /= 2)
        if ((root + bit) * (root + bit) <= n)
            root += bit;
    return root;
}

static uint64_t square(int64_t v) { return (uint64_t)(v * v); }

static uint32_t draw_city(struct rng *r)
{
    const uint64_t at = rng_below(r, geo_cities[geo_cities_n - 1].share_end);
    uint32_t i = 0;
    while (geo_cities[i].share_end <= at)
        i++;
    return i;
}

struct geo_place geo_place(struct rng *r, uint32_t city)
{
    ASSERT(city <= geo_cities_n);
    const struct geo_city *c = &geo_cities[city == 0 ? draw_city(r) : city - 1];
    const int64_t x = c->x - NEAR + (int64_t)rng_below(r, 2 * NEAR), y = c->y - NEAR + (int64_t)rng_below(r, 2 * NEAR);
    const int64_t z = c->z - NEAR + (int64_t)rng_below(r, 2 * NEAR), len = (int64_t)root_of(square(x) + square(y) + square(z));
    const uint64_t u = rng_below(r, DRAW);
    return (struct geo_place){.x = (int32_t)(x * GEO_ONE / len), .y = (int32_t)(y * GEO_ONE / len), .z = (int32_t)(z * GEO_ONE / len),
        .height = (HEIGHT_MIN_US + HEIGHT_MORE_US * u * u * u / DRAW / DRAW / DRAW) * NSEC_US};
}

// Between two neighbours of a table: `at` is an index and a fraction of 2^-32.
static uint64_t between(uint64_t low, uint64_t high, uint64_t fraction)
{
    return low + ((high - low) * fraction >> 32);
}

nsec geo_rtt(const struct geo_place *a, const struct geo_place *b, uint64_t pair)
{
    const uint64_t chord = root_of(square(a->x - b->x) + square(a->y - b->y) + square(a->z - b->z));
    const uint64_t at = u64_min((chord << 32) * GEO_ASIN_STEPS / (2 * GEO_ONE), ((uint64_t)GEO_ASIN_STEPS << 32) - 1);
    const uint64_t chance = mix64(pair) >> (64 - 8 - 32);               // 8 bits before the point
    const uint64_t us = between(geo_fibre_us[at >> 32], geo_fibre_us[(at >> 32) + 1], at & UINT32_MAX);
    const uint64_t thousandths = between(geo_inflation[chance >> 32], geo_inflation[(chance >> 32) + 1], chance & UINT32_MAX);
    return us * thousandths + a->height + b->height;                    // us / 10^3 is ns / 10^6
}

uint32_t geo_region_draw(struct rng *r)
{
    uint64_t at = rng_below(r, 10000);
    uint32_t i = 0;
    for (; i + 1 < GEO_REGIONS && at >= geo_regions[i].share; i++)
        at -= geo_regions[i].share;
    return i;
}
