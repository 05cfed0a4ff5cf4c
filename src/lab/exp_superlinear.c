// Two sides of growth. Capacity: every leecher brings an uplink. Stability (E09): when peers leave at once, a seed of U pieces a second
// keeps a swarm in check only if fewer than U peers a second arrive (Hajek and Zhu, arXiv 1002.3493).
#include <math.h>

#include "lab/exp.h"

#define SEED_UP 200000.0
#define UP 50000.0
#define DOWN 1000000.0
#define PIECE 32768.0
#define SEED_PIECES 0.5                 // a second
#define CLUB_BYTES (12 * PIECE)

enum { SIZES_MAX = 8, RATIOS = 4, POINTS = 50 };

static const double ratios[RATIOS] = {0.5, 0.8, 1.2, 2};

struct plan {
    const uint32_t *sizes;
    uint32_t sizes_n, runs, club_runs, horizon_s;
    double bytes;
};

// v[0] bytes/s of all downloads together while everybody downloads.
static void work_capacity(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const uint32_t n = p->sizes[i % p->sizes_n];
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", i / p->sizes_n + 1);
    exp_line(&t, "world latency=20ms spread=60ms end=6h");
    exp_line(&t, "content c0 size=%.0f piece=64KiB", p->bytes);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=%.0f has=c0", SEED_UP);
    exp_line(&t, "nodes p %u up=%.0f down=%.0f want=c0 from=1s", n, UP, DOWN);
    const struct run_options o = {0};
    struct result r;
    if (exp_run(&t, &o, out, &r))
        out->v[0] = p->bytes / ((double)r.groups[2].metrics[METRIC_MEAN] / 1e9) * n;
    result_done(&r);
}

struct population {
    uint32_t first, step_s, n;
    double v[POINTS];
};

static void sample(void *ctx, const struct stage *st)
{
    struct population *p = ctx;
    const uint64_t s = st->world->now / NSEC_S;
    if (s % p->step_s != 0 || p->n >= POINTS)
        return;
    uint32_t here = 0;
    for (uint32_t i = p->first; i < st->world->hosts_n; i++)
        here += st->world->hosts[i]->up;
    p->v[p->n++] = here;
}

// v[0] growth in peers a second over the second half, v[1] population at the end, v[2] mean stay, v[4 …] the population over time
static void work_club(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const double ratio = ratios[i % RATIOS], rate = ratio * SEED_PIECES;
    struct population pop = {.first = 2, .step_s = p->horizon_s / POINTS};
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", i / RATIOS + 1);
    exp_line(&t, "world latency=20ms spread=20ms end=%us", p->horizon_s);
    exp_line(&t, "content c0 size=%.0f piece=32KiB", CLUB_BYTES);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=%.0f has=c0", SEED_PIECES * PIECE);
    exp_line(&t, "nodes p %.0f up=64kB down=1MB peers=30 want=c0 from=1s arrive=poisson:%.0fms after=vanish", rate * p->horizon_s, 1000 / rate);
    const struct run_options o = {.sample = sample, .ctx = &pop};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        double x[POINTS];
        for (uint32_t k = 0; k < pop.n; k++) {
            x[k] = (k + 1.0) * pop.step_s;
            out->v[4 + k] = pop.v[k];
        }
        const uint32_t half = pop.n / 2;
        out->v[0] = stat_slope(x + half, pop.v + half, pop.n - half);
        out->v[1] = pop.n == 0 ? 0 : pop.v[pop.n - 1];
        out->v[2] = (double)r.groups[2].metrics[METRIC_MEAN] / 1e9;
    }
    result_done(&r);
}

static void figure_club(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double x[RATIOS][POINTS], y[RATIOS][POINTS];
    static const char *const names[RATIOS] = {"arrivals 0.5 U", "0.8 U", "1.2 U", "2 U"};
    struct plot plot = {.title = "When peers leave at once", .y_from_zero = true, .x_label = "seconds", .y_label = "peers in the swarm",
        .subtitle = "a seed of U = 0.5 pieces a second; Poisson arrivals; Hajek and Zhu: stable below U, and not above"};
    for (uint32_t k = 0; k < RATIOS; k++) {
        for (uint32_t i = 0; i < POINTS; i++) {
            x[k][i] = (i + 1.0) * ((double)p->horizon_s / POINTS);
            y[k][i] = exp_median(cells, k, RATIOS, p->club_runs, 4 + i).mid;
        }
        plot_add(&plot, names[k], SERIES_LINE, x[k], y[k], POINTS);
    }
    report_plot(r, &plot, "stability");
}

static void tell_club(struct report *r, const struct plan *p, const struct cell *cells)
{
    double stable = 0;
    for (uint32_t k = 0; k < RATIOS; k++) {
        const double rate = ratios[k] * SEED_PIECES;
        const struct interval growth = exp_median(cells, k, RATIOS, p->club_runs, 0);
        (void)printf("  arrivals %.1f U (%.2f/s): growth %.3f peers/s (%.3f to %.3f), theory %.3f; %.0f peers at the end, mean stay %.0f s\n",
            ratios[k],
            rate, growth.mid, growth.low, growth.high, fmax(0, rate - SEED_PIECES), exp_median(cells, k, RATIOS, p->club_runs, 1).mid,
            exp_median(cells, k, RATIOS, p->club_runs, 2).mid);
        if (growth.mid < 0.05 * rate && stable >= (k == 0 ? 0 : ratios[k - 1]))
            stable = ratios[k];
    }
    const struct interval at = {stable, stable, stable};
    report_published(r, "E09.threshold", "highest arrival rate tried at which the swarm does not grow", at);
}

int exp_superlinear(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX], club[EXP_CELLS_MAX];
    static const uint32_t quick[] = {1, 5, 20}, full[] = {1, 2, 5, 10, 20, 50, 100};
    struct plan p = {.sizes = o->quick ? quick : full, .runs = exp_seeds(o, 1, 3), .club_runs = exp_seeds(o, 1, 3),
        .horizon_s = o->quick ? 200 : 1000, .bytes = o->quick ? 2e6 : 8e6};
    p.sizes_n = o->quick ? ARRAY_LEN(quick) : ARRAY_LEN(full);
    p.runs = u32_min(p.runs, 50);
    p.club_runs = u32_min(p.club_runs, 50);
    struct report r;
    report_begin(&r, "superlinear", o);
    if (!exp_cells(&r, p.sizes_n * p.runs, work_capacity, &p, cells) || !exp_cells(&r, RATIOS * p.club_runs, work_club, &p, club))
        return report_end(&r);
    report_row(&r, "N\tgoodput_MB/s\tlow\thigh\tserver_alone_MB/s\tlimit_MB/s\tof_limit_%%");
    static double x[SIZES_MAX], y[SIZES_MAX], low[SIZES_MAX], high[SIZES_MAX], limit[SIZES_MAX], server[SIZES_MAX];
    for (uint32_t i = 0; i < p.sizes_n; i++) {
        const struct interval m = exp_median(cells, i, p.sizes_n, p.runs, 0);
        const double n = p.sizes[i];
        x[i] = n;
        y[i] = m.mid / 1e6;
        low[i] = m.low / 1e6;
        high[i] = m.high / 1e6;
        limit[i] = fmin(SEED_UP + n * UP, n * SEED_UP) / 1e6;
        server[i] = SEED_UP / 1e6;
        report_row(&r, "%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f", n, y[i], low[i], high[i], server[i], limit[i], y[i] / limit[i] * 100);
    }
    report_table(&r);
    const uint32_t last = p.sizes_n - 1;
    const struct interval share = {low[last] / limit[last] * 100, y[last] / limit[last] * 100, high[last] / limit[last] * 100};
    report_own(&r, "goodput of the largest swarm, of what all uplinks can", share, "%", "reproduced >= 85; better >= 95");
    tell_club(&r, &p, club);
    struct plot plot = {.title = "Capacity grows with the crowd", .log_x = true, .log_y = true, .x_label = "clients",
        .y_label = "MB/s received, all together",
        .subtitle = "one seed of 200 kB/s, clients with 50 kB/s up"};
    struct series *s = plot_add(&plot, "swarm", SERIES_LINE_POINTS, x, y, p.sizes_n);
    s->low = low;
    s->high = high;
    s->color = 1;
    plot_add(&plot, "all uplinks together", SERIES_DASHED, x, limit, p.sizes_n)->color = 3;
    plot_add(&plot, "the server alone", SERIES_DASHED, x, server, p.sizes_n)->color = 2;
    report_plot(&r, &plot, NULL);
    figure_club(&r, &p, club);
    return report_end(&r);
}
