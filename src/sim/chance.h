// Random times of people: exponential and Weibull, by integers alone, the same on every machine (simulation note, sections 5 and 7).
#pragma once
#include "base/env.h"

#define CHANCE_ONE 1000000000           // fixed point: billionths

// -ln(u), u uniform in (0, 1]: mean CHANCE_ONE.
uint64_t chance_exponential(struct rng *r);
// Weibull with that scale (its 63rd percentile, at most 115 days) and a shape in thousandths, 100 … 10000; at most 10 years.
nsec chance_weibull(struct rng *r, nsec scale, uint32_t shape);

// Stutzbach and Rejaie 2006, three swarms: how long peers stay and how they follow each other.
enum chance_swarm { CHANCE_NONE, CHANCE_DEBIAN, CHANCE_REDHAT, CHANCE_FLATOUT };
nsec chance_session(struct rng *r, enum chance_swarm s);
// As long on the average as `mean`, and spread as there.
nsec chance_session_of(struct rng *r, enum chance_swarm s, nsec mean);
// Until the next one comes, where that is `mean` on the average.
nsec chance_gap(struct rng *r, enum chance_swarm s, nsec mean);
// A time in 0 … period, the middle as likely as a sine is high there: 1 - cos.
nsec chance_sine(struct rng *r, nsec period);

// For tests: natural logarithm of v / CHANCE_ONE, v > 0; and e^x, at most 2^62, in billionths both.
int64_t chance_ln(uint64_t v);
uint64_t chance_exp(int64_t x);
