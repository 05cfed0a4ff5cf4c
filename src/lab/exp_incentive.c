// Why people upload: E06, E13 of the catalogue. Bandwidth is scarce, peers leave when they are done, and rates are measured until then: with
// seeds that stay and slots to spare everybody would look alike. So it is when the seed is the bottleneck: then all get what there is.
#include <stdlib.h>

#include "lab/exp.h"

enum { CLASSES = 8, MODES = 2, RIDERS_AT = CLASSES, LARGE_AT = CLASSES + 1, SPEARMAN_AT = 20, SHARES = 5, SHARE_CHOKES = 2 };

static const double ups[CLASSES] = {10e3, 20e3, 30e3, 45e3, 65e3, 95e3, 140e3, 200e3};
static const char *const chokes[MODES] = {"kith", "blind"};
static const char *const mode_names[MODES] = {"tit-for-tat", "no tit-for-tat"};
static const uint32_t shares[SHARES] = {5, 10, 20, 35, 50};
static const char *const share_chokes[SHARE_CHOKES] = {"blind", "kith"};

struct plan {
    uint32_t each, runs, share_runs, peers;
    double bytes;
};

static double rate_of(const struct result *r, uint32_t group, double bytes)
{
    const struct result_group *g = &r->groups[group];
    return g->done == 0 ? 0 : bytes / ((double)g->metrics[METRIC_MEAN] / 1e9) / 1e3;
}

// Eight classes of honest peers, free riders, and free riders that know everybody.
static void work_classes(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", i / MODES + 1);
    exp_line(&t, "world latency=20ms spread=60ms end=6h");
    exp_line(&t, "content c0 size=%.0f piece=64KiB", p->bytes);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=400kB has=c0 choke=%s", chokes[i % MODES]);
    for (uint32_t c = 0; c < CLASSES; c++)
        exp_line(&t, "nodes u%c %u up=%.0f down=2MB want=c0 from=1s arrive=flash:5s after=vanish choke=%s", 'a' + (char)c, p->each, ups[c],
            chokes[i % MODES]);
    exp_line(&t, "nodes r %u hostile=freerider up=65kB down=2MB want=c0 from=1s arrive=flash:5s", p->each / 2 + 1);
    exp_line(&t, "nodes l %u hostile=freerider dials=100 up=65kB down=2MB want=c0 from=8s", p->each / 2 + 1);
    const struct run_options o = {.riders = true};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        for (uint32_t c = 0; c < CLASSES + 2; c++)
            out->v[c] = rate_of(&r, 2 + c, p->bytes);
        out->v[SPEARMAN_AT] = stat_spearman(ups, out->v, CLASSES);
    }
    result_done(&r);
}

// A share of free riders that know everybody among equals: do they finish before those who give? Sirivianos et al. 2007.
static void work_shares(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const uint32_t share = shares[i % SHARES];
    const char *choke = share_chokes[i / SHARES % SHARE_CHOKES];
    const uint32_t riders = p->peers * share / 100;
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", i / SHARES / SHARE_CHOKES + 1);
    exp_line(&t, "world latency=20ms spread=60ms end=6h");
    exp_line(&t, "content c0 size=%.0f piece=64KiB", p->bytes);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=200kB has=c0 choke=%s", choke);
    exp_line(&t, "nodes p %u up=60kB down=1MB want=c0 from=1s arrive=flash:5s after=vanish choke=%s", p->peers - riders, choke);
    exp_line(&t, "nodes l %u hostile=freerider dials=100 up=60kB down=1MB want=c0 from=8s", riders == 0 ? 1 : riders);
    const struct run_options o = {.riders = true};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        out->v[0] = (double)r.groups[2].metrics[METRIC_MEAN] / 1e9;
        out->v[1] = (double)r.groups[3].metrics[METRIC_MEAN] / 1e9;
        if (r.groups[3].done < r.groups[3].wants)
            (void)snprintf(out->why, CELL_WHY_MAX, "only %u of %u free riders complete", r.groups[3].done, r.groups[3].wants);
        out->v[2] = out->v[1] / out->v[0];
    }
    result_done(&r);
}

static void figure(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double x[CLASSES], y[MODES][CLASSES], low[MODES][CLASSES], high[MODES][CLASSES], rx[1] = {0.5}, ry[MODES], rl[MODES], rh[MODES];
    struct plot plot = {.title = "What one gives and what one gets", .log_x = true, .y_from_zero = true,
        .x_label = "uplink, kB/s (free riders: at 5)",
        .subtitle = "mean rate while leeching; a seed of 400 kB/s, peers leave when they are done", .y_label = "download rate, kB/s"};
    rx[0] = 5;
    for (uint32_t c = 0; c < CLASSES; c++)
        x[c] = ups[c] / 1e3;
    for (uint32_t m = 0; m < MODES; m++) {
        for (uint32_t c = 0; c < CLASSES; c++) {
            const struct interval v = exp_median(cells, m, MODES, p->runs, c);
            y[m][c] = v.mid;
            low[m][c] = v.low;
            high[m][c] = v.high;
        }
        struct series *s = plot_add(&plot, mode_names[m], SERIES_LINE_POINTS, x, y[m], CLASSES);
        s->low = low[m];
        s->high = high[m];
        s->color = (int)m + 1;
    }
    static const char *const riders[MODES] = {"free riders, tit-for-tat", "free riders, no tit-for-tat"};
    for (uint32_t m = 0; m < MODES; m++) {
        const struct interval v = exp_median(cells, m, MODES, p->runs, RIDERS_AT);
        ry[m] = v.mid;
        rl[m] = v.low;
        rh[m] = v.high;
        struct series *s = plot_add(&plot, riders[m], SERIES_POINTS, rx, &ry[m], 1);
        s->low = &rl[m];
        s->high = &rh[m];
        s->color = (int)m + 1;
    }
    report_plot(r, &plot, NULL);
}

static void figure_shares(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double x[SHARES], y[SHARE_CHOKES][SHARES], low[SHARE_CHOKES][SHARES], high[SHARE_CHOKES][SHARES], one[SHARES];
    struct plot plot = {.title = "Free riders that know everybody", .x_label = "share of free riders, %",
        .subtitle = "their mean completion time over that of those who give", .y_label = "time of free riders / of givers", .y_from_zero = true};
    for (uint32_t m = 0; m < SHARE_CHOKES; m++) {
        for (uint32_t k = 0; k < SHARES; k++) {
            const struct interval v = exp_median(cells, m * SHARES + k, SHARES * SHARE_CHOKES, p->share_runs, 2);
            x[k] = shares[k];
            one[k] = 1;
            y[m][k] = v.mid;
            low[m][k] = v.low;
            high[m][k] = v.high;
        }
        struct series *s = plot_add(&plot, m == 0 ? "no tit-for-tat" : "tit-for-tat", SERIES_LINE_POINTS, x, y[m], SHARES);
        s->low = low[m];
        s->high = high[m];
        s->color = m == 0 ? 2 : 1;
    }
    plot_add(&plot, "as fast as who gives", SERIES_DASHED, x, one, SHARES);
    report_plot(r, &plot, "freeriders");
}

static void tell_shares(struct report *r, const struct plan *p, const struct cell *cells)
{
    double threshold = 0;
    for (uint32_t k = 0; k < SHARES; k++) {
        const struct interval off = exp_median(cells, k, SHARES * SHARE_CHOKES, p->share_runs, 2);
        const struct interval on = exp_median(cells, SHARES + k, SHARES * SHARE_CHOKES, p->share_runs, 2);
        (void)printf("  %2u %% free riders that know everybody: %.2f times the givers' time without tit-for-tat, %.2f with\n", shares[k], off.mid,
            on.mid);
        if (off.mid < 1)
            threshold = shares[k];
    }
    const struct interval at = {threshold, threshold, threshold};
    report_published(r, "E13.threshold", "share below which they win, without tit-for-tat", at);
    report_own(r, "10 % of them, with tit-for-tat", exp_median(cells, SHARES + 1, SHARES * SHARE_CHOKES, p->share_runs, 2), "x",
        "reproduced >= 1; better >= 1.5");
}

int exp_incentive(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX], share_cells[EXP_CELLS_MAX];
    struct plan p = {.each = o->quick ? 2 : 5, .runs = u32_min(exp_seeds(o, 1, 10), EXP_CELLS_MAX / MODES), .peers = o->quick ? 20 : 40,
        .share_runs = o->quick ? 1 : 3, .bytes = o->quick ? 4e6 : 16e6};
    struct report r;
    report_begin(&r, "incentive", o);
    if (!exp_cells(&r, MODES * p.runs, work_classes, &p, cells) ||
        !exp_cells(&r, SHARES * SHARE_CHOKES * p.share_runs, work_shares, &p, share_cells))
        return report_end(&r);
    report_row(&r, "uplink_kB/s\ttit-for-tat_kB/s\tlow\thigh\twithout_kB/s\tlow\thigh");
    for (uint32_t c = 0; c < CLASSES + 2; c++) {
        const struct interval on = exp_median(cells, 0, MODES, p.runs, c), off = exp_median(cells, 1, MODES, p.runs, c);
        char name[32];
        (void)snprintf(name, sizeof name, "%.0f", c < CLASSES ? ups[c] / 1e3 : 0.0);
        report_row(&r, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f", c == RIDERS_AT ? "free riders" : c == LARGE_AT ? "knowing all" : name, on.mid,
            on.low,
            on.high, off.mid, off.low, off.high);
    }
    report_table(&r);
    report_own(&r, "rank correlation of giving and getting, tit-for-tat", exp_median(cells, 0, MODES, p.runs, SPEARMAN_AT), "", "reproduced >= 0.9");
    double ratio[EXP_CELLS_MAX];
    for (uint32_t i = 0; i < p.runs; i++)
        ratio[i] = cells[i * MODES].v[RIDERS_AT] / cells[i * MODES].v[4];
    report_own(&r, "rate of free riders / of a contributor with the same line", stat_median(ratio, p.runs), "x", "reproduced <= 0.67; better <= 0.5");
    tell_shares(&r, &p, share_cells);
    figure(&r, &p, cells);
    figure_shares(&r, &p, share_cells);
    return report_end(&r);
}
