// Statistics over a few numbers: for tables and figures, never for what happens in a world.
#pragma once
#include "base/base.h"

struct interval {
    double low, mid, high;
};

double stat_mean(const double *v, uint32_t n);
double stat_deviation(const double *v, uint32_t n);     // of a sample
// 0 … 1; sorts v. n 0: 0.
double stat_quantile(double *v, uint32_t n, double q);
// Median and its 95 % interval by 1,000 bootstrap draws from a fixed stream; sorts v.
struct interval stat_median(double *v, uint32_t n);
// Rank correlation; ties share their rank. n < 2: 0.
double stat_spearman(const double *x, const double *y, uint32_t n);
// Least-squares slope of y over x.
double stat_slope(const double *x, const double *y, uint32_t n);
