// E03 of the catalogue: everybody comes within ten seconds. Set-up after Bharambe et al. 2006.
#include "lab/exp.h"

#define SEED_UP 768000.0                // bytes/s: 6000 kbit/s, 1 kbit = 1024 bit, as in the row E03.bound
#define UP 51200.0
#define DOWN 192000.0
#define PAPER_BYTES (100.0 * 1024 * 1024)

// Connections of a node: with 200, the product's limit, 400 of them take three times as long to simulate.
enum { SIZES_MAX = 8, PEERS = 80 };

struct plan {
    const uint32_t *sizes;
    uint32_t sizes_n, runs, divide;     // of the file
};

// v[0] mean, v[1] last, v[2] use of the leechers' uplinks until the mean completion, v[3] seconds for the machine
static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const uint32_t n = p->sizes[i % p->sizes_n], run = i / p->sizes_n + 1;
    const double bytes = PAPER_BYTES / p->divide, seed_up = SEED_UP * n / 1000 < 4 * UP ? 4 * UP : SEED_UP * n / 1000;
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", run);
    exp_line(&t, "world latency=20ms spread=80ms end=24h");
    exp_line(&t, "content c0 size=%.0f piece=%s", bytes, p->divide >= 16 ? "32KiB" : p->divide >= 4 ? "64KiB" : "256KiB");
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=%.0f has=c0", seed_up);
    exp_line(&t, "nodes p %u up=%.0f down=%.0f peers=%u want=c0 from=1s arrive=flash:10s after=vanish", n, UP, DOWN, PEERS);
    const struct run_options o = {0};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        const struct result_group *g = &r.groups[2];
        out->v[0] = (double)g->metrics[METRIC_MEAN] / 1e9;
        out->v[1] = (double)g->metrics[METRIC_MAX] / 1e9;
        out->v[2] = (double)g->up / (UP * n * out->v[0]) * 100;
        out->v[3] = (double)r.ms / 1e3;
        out->v[4] = out->v[0] / exp_bound(bytes, seed_up, DOWN, UP, n);
        if (g->done < n)
            (void)snprintf(out->why, CELL_WHY_MAX, "only %u of %u complete", g->done, n);
    }
    result_done(&r);
}

int exp_flashcrowd(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    static const uint32_t quick[] = {20, 50}, full[] = {25, 50, 100, 200, 400}, big[] = {50, 100, 200, 500, 1000, 2000};
    struct plan p = {.sizes = o->quick ? quick : o->big ? big : full, .divide = o->quick ? 32 : o->big ? 4 : 16};
    p.sizes_n = o->quick ? ARRAY_LEN(quick) : o->big ? ARRAY_LEN(big) : ARRAY_LEN(full);
    p.runs = u32_min(exp_seeds(o, 2, 3), EXP_CELLS_MAX / p.sizes_n);
    struct report r;
    report_begin(&r, "flashcrowd", o);
    if (!exp_cells(&r, p.sizes_n * p.runs, work, &p, cells))
        return report_end(&r);
    report_row(&r, "N\tmean_s\tlow\thigh\tlast_s\tmean/bound\tuplink_use_%%\tmachine_s");
    static double x[SIZES_MAX], mean[SIZES_MAX], low[SIZES_MAX], high[SIZES_MAX], server[SIZES_MAX];
    for (uint32_t i = 0; i < p.sizes_n; i++) {
        const struct interval m = exp_median(cells, i, p.sizes_n, p.runs, 0), ratio = exp_median(cells, i, p.sizes_n, p.runs, 4);
        report_row(&r, "%u\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f\t%.1f\t%.1f", p.sizes[i], m.mid, m.low, m.high,
            exp_median(cells, i, p.sizes_n, p.runs, 1).mid, ratio.mid, exp_median(cells, i, p.sizes_n, p.runs, 2).mid,
            exp_median(cells, i, p.sizes_n, p.runs, 3).mid);
        x[i] = p.sizes[i];
        mean[i] = ratio.mid;
        low[i] = ratio.low;
        high[i] = ratio.high;
        server[i] = 1.15;
    }
    report_table(&r);
    const uint32_t last = p.sizes_n - 1;
    const struct interval ratio = exp_median(cells, last, p.sizes_n, p.runs, 4);
    char what[120];
    (void)snprintf(what, sizeof what, "mean of %u, 1/%u of the file, as that part of the bound", p.sizes[last], p.divide);
    report_published(&r, "E03.bound", what, (struct interval){ratio.low * 2018, ratio.mid * 2018, ratio.high * 2018});
    report_own(&r, "use of uplinks", exp_median(cells, last, p.sizes_n, p.runs, 2), "%", "reproduced >= 90; better >= 97");
    double flat[EXP_CELLS_MAX];
    for (uint32_t k = 0; k < p.runs; k++)
        flat[k] = cells[k * p.sizes_n + last].v[4] / cells[k * p.sizes_n + p.sizes_n / 2].v[4];
    report_own(&r, "largest crowd / middle one", stat_median(flat, p.runs), "x", "reproduced in 0.8..1.2");
    struct plot plot = {.title = "Flash crowd",
        .subtitle = "mean completion time over the lower bound; everybody comes within 10 s and leaves when done",
        .x_label = "peers", .y_label = "mean time / bound", .log_x = true, .y_from_zero = true};
    struct series *s = plot_add(&plot, "swarm", SERIES_LINE_POINTS, x, mean, p.sizes_n);
    s->low = low;
    s->high = high;
    plot_add(&plot, "gate: 1.15", SERIES_DASHED, x, server, p.sizes_n);
    report_plot(&r, &plot, NULL);
    return report_end(&r);
}
