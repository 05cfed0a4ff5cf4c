// See stat.h.
#include "lab/stat.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

enum { DRAWS = 1000 };

static int order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stat_mean(const double *v, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += v[i];
    return n == 0 ? 0 : sum / n;
}

double stat_deviation(const double *v, uint32_t n)
{
    const double mean = stat_mean(v, n);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (v[i] - mean) * (v[i] - mean);
    return n < 2 ? 0 : sqrt(sum / (n - 1));
}

static double quantile_of_sorted(const double *v, uint32_t n, double q)
{
    if (n == 0)
        return 0;
    const double at = q * (n - 1);
    const uint32_t i = (uint32_t)at;
    return i + 1 >= n ? v[n - 1] : v[i] + (at - i) * (v[i + 1] - v[i]);
}

double stat_quantile(double *v, uint32_t n, double q)
{
    qsort(v, n, sizeof *v, order);
    return quantile_of_sorted(v, n, q);
}

struct interval stat_median(double *v, uint32_t n)
{
    struct interval out = {0};
    out.low = out.mid = out.high = stat_quantile(v, n, 0.5);
    double *draw = n < 2 ? NULL : calloc(n, sizeof *draw), *medians = n < 2 ? NULL : calloc(DRAWS, sizeof *medians);
    if (draw != NULL && medians != NULL) {
        struct rng r = rng_make(95, n);
        for (uint32_t d = 0; d < DRAWS; d++) {
            for (uint32_t i = 0; i < n; i++)
                draw[i] = v[rng_below(&r, n)];
            medians[d] = stat_quantile(draw, n, 0.5);
        }
        out.low = stat_quantile(medians, DRAWS, 0.025);
        out.high = quantile_of_sorted(medians, DRAWS, 0.975);
    }
    free(draw);
    free(medians);
    return out;
}

static double rank_of(const double *v, uint32_t n, uint32_t i)
{
    uint32_t below = 0, same = 0;
    for (uint32_t k = 0; k < n; k++) {
        below += v[k] < v[i];
        same += !(v[k] < v[i]) && !(v[k] > v[i]);
    }
    return below + (same + 1) / 2.0;
}

double stat_spearman(const double *x, const double *y, uint32_t n)
{
    double xy = 0, xx = 0, yy = 0;
    const double mean = (n + 1) / 2.0;
    for (uint32_t i = 0; i < n; i++) {
        const double a = rank_of(x, n, i) - mean, b = rank_of(y, n, i) - mean;
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

double stat_slope(const double *x, const double *y, uint32_t n)
{
    const double mx = stat_mean(x, n), my = stat_mean(y, n);
    double xy = 0, xx = 0;
    for (uint32_t i = 0; i < n; i++) {
        xy += (x[i] - mx) * (y[i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
    }
    return xx > 0 ? xy / xx : 0;
}
