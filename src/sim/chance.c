// See chance.h.
#include "sim/chance.h"

#define LN2 693147181
#define LN_ONE 20723265837              // ln(CHANCE_ONE), in billionths
#define YEARS_10 (315360000 * NSEC_S)
#define SCALE_US_MAX ((uint64_t)10000000000000)

enum { EXP_TERMS = 14, SHAPES_ONE = 1000 };

// ln of an integer.
static int64_t ln_of(uint64_t v)
{
    const uint64_t top = (uint64_t)1 << 52;
    int64_t log2 = 52;
    ASSERT(v > 0);
    for (; v < top; log2--)
        v <<= 1;
    for (; v >= 2 * top; log2++)
        v >>= 1;
    // v = f 2^log2 with f in [1, 2); ln f = 2 (z + z^3/3 + z^5/5 …) with z = (f - 1) / (f + 1)
    const uint64_t z = ((v - top) >> 22) * CHANCE_ONE / ((v + top) >> 22), z2 = z * z / CHANCE_ONE;
    uint64_t ln = 0, power = z;
    for (uint64_t i = 1; power > 0; i += 2) {
        ln += 2 * power / i;
        power = power * z2 / CHANCE_ONE;
    }
    return log2 * LN2 + (int64_t)ln;
}

int64_t chance_ln(uint64_t v) { return ln_of(v) - LN_ONE; }

uint64_t chance_exp(int64_t x)
{
    if (x < -(int64_t)32 * LN2)
        return 0;
    int64_t doublings = x / LN2, rest = x % LN2;
    if (rest < 0) {
        rest += LN2;
        doublings--;
    }
    uint64_t sum = CHANCE_ONE, term = CHANCE_ONE;
    for (uint64_t i = 1; i <= EXP_TERMS; i++) {
        term = term * (uint64_t)rest / CHANCE_ONE / i;
        sum += term;
    }
    if (doublings < 0)
        return sum >> -doublings;
    return doublings >= 31 ? (uint64_t)1 << 62 : sum << doublings;
}

uint64_t chance_exponential(struct rng *r)
{
    const uint64_t u = (rng_u64(r) >> 11) + 1;          // of 2^53
    return (uint64_t)(53 * (int64_t)LN2 - ln_of(u) > 0 ? 53 * (int64_t)LN2 - ln_of(u) : 0);
}

nsec chance_weibull(struct rng *r, nsec scale, uint32_t shape)
{
    ASSERT(shape >= 100);
    ASSERT(shape <= 10000);
    const uint64_t factor = chance_exp(chance_ln(chance_exponential(r) + 1) * SHAPES_ONE / (int64_t)shape);
    const uint64_t us = u64_min(u64_max(scale / NSEC_US, 1), SCALE_US_MAX), thousand = CHANCE_ONE / NSEC_US;
    if (factor / thousand >= YEARS_10 / us)
        return YEARS_10;
    return us * (factor / thousand) + us * (factor % thousand) / thousand;
}

struct swarm_times {
    uint32_t session_shape, session_scale_ms, session_mean, gap_shape, gap_mean;    // ..._mean: with scale 1, in millionths: Γ(1 + 1/shape)
};

// λ as minutes, which is our reading of it.
static const struct swarm_times swarms[] = {
    [CHANCE_DEBIAN] = {380, 42400 * 60, 3853359, 790, 1143393},
    [CHANCE_REDHAT] = {340, 21300 * 60, 5575400, 530, 1806245},
    [CHANCE_FLATOUT] = {590, 41900 * 60, 1538449, 620, 1443602},
};

nsec chance_session(struct rng *r, enum chance_swarm s)
{
    ASSERT(s != CHANCE_NONE);
    return chance_weibull(r, swarms[s].session_scale_ms * NSEC_MS, swarms[s].session_shape);
}

nsec chance_session_of(struct rng *r, enum chance_swarm s, nsec mean)
{
    ASSERT(s != CHANCE_NONE);
    return chance_weibull(r, mean / NSEC_US * 1000000 / swarms[s].session_mean * NSEC_US, swarms[s].session_shape);
}

nsec chance_gap(struct rng *r, enum chance_swarm s, nsec mean)
{
    ASSERT(s != CHANCE_NONE);
    return chance_weibull(r, mean / NSEC_US * 1000000 / swarms[s].gap_mean * NSEC_US, swarms[s].gap_shape);
}

nsec chance_sine(struct rng *r, nsec period)
{
    // 1 - cos x = 2 sin^2(x/2), and sin by Bhaskara: 16 h / (5 - 4 h) with h = p (1 - p), within 0.2 %.
    for (;;) {
        const uint64_t p = rng_below(r, 1000000), h = p * (1000000 - p) / 1000000;
        const uint64_t sine = u64_min(16 * h * 1000000 / (5 * 1000000 - 4 * h), 1000000);
        if (rng_below(r, 1000000) < sine * sine / 1000000)
            return period / 1000000 * p;
    }
}
