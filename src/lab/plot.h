// Figures as SVG: axes, lines, points with error bars, bars. One page, no scripts, readable on white and on paper.
#pragma once
#include <stdio.h>

#include "base/base.h"

enum { PLOT_SERIES_MAX = 12 };

enum series_kind { SERIES_LINE, SERIES_DASHED, SERIES_POINTS, SERIES_LINE_POINTS, SERIES_BARS };

// All arrays have n values and are borrowed until plot_write. low, high: ends of error bars; NULL: none.
struct series {
    const char *name;
    enum series_kind kind;
    const double *x, *y, *low, *high;
    uint32_t n;
    int color;                          // 1 …: of the palette; 0: by its place
};

struct plot {
    const char *title, *subtitle, *x_label, *y_label;
    bool log_x, log_y;
    bool y_from_zero;
    const char *const *categories;      // names of x = 0, 1 …; NULL: numbers
    uint32_t categories_n;
    struct series series[PLOT_SERIES_MAX];
    uint32_t series_n;
};

// Adds one; NULL arrays of error bars are fine. The result may be changed until plot_write.
struct series *plot_add(struct plot *p, const char *name, enum series_kind kind, const double *x, const double *y, uint32_t n);
void plot_write(const struct plot *p, FILE *to);
