// Peers come and go: sessions with Weibull lengths, as measured in Debian's torrents (Stutzbach and Rejaie 2006, second-hand).
#include "lab/exp.h"

#define UP 60000.0
#define DOWN 500000.0

enum { LEVELS = 5 };

static const double sessions[LEVELS] = {0, 600, 240, 120, 60};          // mean seconds between crashes; 0: none

struct plan {
    uint32_t peers, runs;
    double bytes;
};

// v[0] mean time, v[1] last, v[2] waste %, v[3] crashes for each peer until all were done
static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const double mean = sessions[i % LEVELS], end = 20 * exp_bound(p->bytes, 4 * UP, DOWN, UP, p->peers);
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", i / LEVELS + 1);
    exp_line(&t, "world latency=20ms spread=60ms end=%.0fs", end);
    exp_line(&t, "content c0 size=%.0f piece=64KiB", p->bytes);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=%.0f has=c0", 4 * UP);
    char online[64] = "";
    if (mean > 0)
        (void)snprintf(online, sizeof online, " sessions=debian online=%.0fs away=10s", mean);
    exp_line(&t, "nodes p %u up=%.0f down=%.0f want=c0 from=1s arrive=flash:10s%s", p->peers, UP, DOWN, online);
    const struct run_options o = {0};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        out->v[0] = (double)r.groups[2].metrics[METRIC_MEAN] / 1e9;
        out->v[1] = (double)r.groups[2].metrics[METRIC_MAX] / 1e9;
        out->v[2] = (double)r.groups[2].metrics[METRIC_WASTE] / 1e4;
        out->v[3] = (double)r.crashes / p->peers;
        if (r.groups[2].done < p->peers)
            (void)snprintf(out->why, CELL_WHY_MAX, "only %u of %u complete", r.groups[2].done, p->peers);
    }
    result_done(&r);
}

int exp_churn(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    struct plan p = {.peers = o->quick ? 15 : 40, .runs = u32_min(exp_seeds(o, 1, 10), EXP_CELLS_MAX / LEVELS), .bytes = o->quick ? 4e6 : 8e6};
    struct report r;
    report_begin(&r, "churn", o);
    if (!exp_cells(&r, LEVELS * p.runs, work, &p, cells))
        return report_end(&r);
    report_row(&r, "mean_session_s\tcrashes_per_peer\tmean_s\tlow\thigh\tlast_s\twaste_%%");
    static double y[LEVELS], low[LEVELS], high[LEVELS], x[LEVELS], last[LEVELS];
    static const char *const names[LEVELS] = {"none", "600 s", "240 s", "120 s", "60 s"};
    for (uint32_t i = 0; i < LEVELS; i++) {
        const struct interval m = exp_median(cells, i, LEVELS, p.runs, 0);
        x[i] = i;
        y[i] = m.mid;
        low[i] = m.low;
        high[i] = m.high;
        last[i] = exp_median(cells, i, LEVELS, p.runs, 1).mid;
        report_row(&r, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.2f", names[i], exp_median(cells, i, LEVELS, p.runs, 3).mid, m.mid, m.low, m.high, last[i],
            exp_median(cells, i, LEVELS, p.runs, 2).mid);
    }
    report_table(&r);
    double ratio[EXP_CELLS_MAX];
    for (uint32_t i = 0; i < p.runs; i++)
        ratio[i] = cells[i * LEVELS + 3].v[0] / cells[i * LEVELS].v[0];
    report_own(&r, "mean time, sessions of 120 s / no churn", stat_median(ratio, p.runs), "x", "reproduced <= 1.5; better <= 1.2");
    report_own(&r, "waste, sessions of 120 s", exp_median(cells, 3, LEVELS, p.runs, 2), "%", "reproduced <= 10; better <= 5");
    struct plot plot = {.title = "Churn",
        .subtitle = "everybody completes; peers crash after Weibull sessions (k 0.38) and come back after 10 s on average",
        .y_from_zero = true,
        .x_label = "mean length of a session", .y_label = "seconds until complete", .categories = names, .categories_n = LEVELS};
    struct series *s = plot_add(&plot, "mean of peers", SERIES_BARS, x, y, LEVELS);
    s->low = low;
    s->high = high;
    plot_add(&plot, "last peer", SERIES_BARS, x, last, LEVELS);
    report_plot(&r, &plot, NULL);
    return report_end(&r);
}
