// Where hosts stand and how far apart that is: a generator of round-trip times (simulation note, section 4) and six regions. Integers only.
//
// RTT = 2 * great circle / (2/3 of the speed of light) * inflation of the pair + height of both ends. Each pair has an inflation of its own,
// so that a way over a third host can be shorter.
#pragma once
#include "base/env.h"

enum { GEO_QUANTILES = 256, GEO_ASIN_STEPS = 1024, GEO_ONE = 1000000, GEO_REGIONS = 6 };

struct geo_city {
    const char *name;
    int32_t x, y, z;                    // of the unit sphere, in millionths
    uint32_t share_end;                 // of all hosts: its share ends here, the one before's too; the last one's is all
};

extern const struct geo_city geo_cities[];
extern const uint32_t geo_cities_n;
extern const uint16_t geo_inflation[GEO_QUANTILES + 1];
extern const uint32_t geo_fibre_us[GEO_ASIN_STEPS + 1];

struct geo_place {
    int32_t x, y, z;
    nsec height;                        // what the way from the host into the network adds to a round trip
};

// Somewhere near a city. city: 1 + row of geo_cities; 0: drawn.
struct geo_place geo_place(struct rng *r, uint32_t city);
// Round trip between two places; `pair` is a number that both directions of a pair share and no other pair has.
nsec geo_rtt(const struct geo_place *a, const struct geo_place *b, uint64_t pair);

// A region of the world as of 2019: dsg-titech/simblock, where they are named and sourced.
struct geo_region {
    const char *name;
    uint32_t share;                     // of hosts, in ten thousandths
    uint64_t up_bps, down_bps;          // bytes/s of a line there
    uint16_t rtt_ms[GEO_REGIONS];
};

extern const struct geo_region geo_regions[GEO_REGIONS];
uint32_t geo_region_draw(struct rng *r);
