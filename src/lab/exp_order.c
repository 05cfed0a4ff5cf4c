// E04 of the catalogue: in which order to fetch pieces. Why rarest first.
#include "lab/exp.h"

#define UP 50000.0
#define DOWN 400000.0
#define PIECE 16384.0

enum { RAREST, RANDOM, IN_ORDER, STRICT, ORDERS, SEEDS = 3 };         // seed: weak, strong, leaving early

static const char *const orders[ORDERS] = {"rarest", "random", "sequential", "strict"};
static const char *const seeds[SEEDS] = {"seed 2x a peer", "seed 15x a peer", "seed leaves early"};
static const double seed_up[SEEDS] = {2 * UP, 15 * UP, 4 * UP};

enum { LEAVES = 2, LEFT_RUNS = 3 };     // whether somebody is left over is a race: so many times the seeds for that case

struct plan {
    uint32_t peers, pieces, runs;
};

// All cases, then the further runs of the one whose seed leaves, rarest first.
static uint32_t grid(const struct plan *p) { return ORDERS * SEEDS * p->runs; }
static uint32_t cells_all(const struct plan *p) { return grid(p) + (LEFT_RUNS - 1) * p->runs; }

static struct interval complete_rarest(const struct plan *p, const struct cell *cells)
{
    double values[EXP_CELLS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->runs; i++)
        values[n++] = cells[i * ORDERS * SEEDS + LEAVES * ORDERS].v[1];
    for (uint32_t i = grid(p); i < cells_all(p); i++)
        values[n++] = cells[i].v[1];
    return stat_median(values, n);
}

// v[0] mean time, v[1] share that completed, v[2] last.
static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const bool more = i >= grid(p);
    const uint32_t order = more ? RAREST : i % ORDERS, seed = more ? LEAVES : i / ORDERS % SEEDS;
    const uint32_t run = more ? i - grid(p) + p->runs + 1 : i / ORDERS / SEEDS + 1;
    const double bytes = PIECE * p->pieces, bound = exp_bound(bytes, seed_up[seed], DOWN, UP, p->peers);
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", run);
    exp_line(&t, "world latency=20ms spread=60ms end=%.0fs", 1 + 12 * bound);
    exp_line(&t, "content c0 size=%.0f piece=16KiB", bytes);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=%.0f has=c0", seed_up[seed]);
    exp_line(&t, "nodes p %u up=%.0f down=%.0f want=c0 from=1s arrive=flash:5s order=%s after=vanish", p->peers, UP, DOWN, orders[order]);
    if (seed == LEAVES)                 // it has given twice the file's bytes, in whatever pieces it was asked for
        exp_line(&t, "at %.0fs fault leave node=s0", 2 + 2 * bytes / seed_up[seed]);
    const struct run_options o = {0};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        out->v[0] = (double)r.groups[2].metrics[METRIC_MEAN] / 1e9;
        // With the seed gone the last one to be done has nobody left to take from: all others have gone as soon as they were done.
        const double can = p->peers - (seed == LEAVES ? 1 : 0), done = r.groups[2].done;
        out->v[1] = done < can ? 100 * done / can : 100;
        out->v[2] = (double)r.groups[2].metrics[METRIC_MAX] / 1e9;
    }
    result_done(&r);
}

static void figure(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double x[ORDERS][SEEDS], y[ORDERS][SEEDS], low[ORDERS][SEEDS], high[ORDERS][SEEDS];
    const double bytes = PIECE * p->pieces;
    struct plot time = {.title = "Order of pieces", .subtitle = "mean completion time over the lower bound; peers leave when they are done",
        .x_label = "", .y_label = "time / bound", .categories = seeds, .categories_n = 2, .y_from_zero = true};
    struct plot done = {.title = "The seed leaves early",
        .subtitle = "after it has uploaded twice as many bytes as the file has: who can still complete",
        .x_label = "", .y_label = "% of those that can complete", .categories = orders, .categories_n = ORDERS, .y_from_zero = true};
    for (uint32_t k = 0; k < ORDERS; k++) {
        for (uint32_t s = 0; s < 2; s++) {
            const double bound = exp_bound(bytes, seed_up[s], DOWN, UP, p->peers);
            const struct interval m = exp_median(cells, s * ORDERS + k, ORDERS * SEEDS, p->runs, 0);
            x[k][s] = s;
            y[k][s] = m.mid / bound;
            low[k][s] = m.low / bound;
            high[k][s] = m.high / bound;
        }
        struct series *series = plot_add(&time, orders[k], SERIES_BARS, x[k], y[k], 2);
        series->low = low[k];
        series->high = high[k];
    }
    report_plot(r, &time, NULL);
    static double dx[ORDERS], dy[ORDERS], dl[ORDERS], dh[ORDERS];
    for (uint32_t k = 0; k < ORDERS; k++) {
        const struct interval m = k == RAREST ? complete_rarest(p, cells)
            : exp_median(cells, LEAVES * ORDERS + k, ORDERS * SEEDS, p->runs, 1);
        dx[k] = k;
        dy[k] = m.mid;
        dl[k] = m.low;
        dh[k] = m.high;
    }
    struct series *series = plot_add(&done, "complete", SERIES_BARS, dx, dy, ORDERS);
    series->low = dl;
    series->high = dh;
    report_plot(r, &done, "seedleaves");
}

static void judge(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double against_random[EXP_CELLS_MAX], against_strict[EXP_CELLS_MAX], bound[EXP_CELLS_MAX], in_order[EXP_CELLS_MAX];
    const double weak = exp_bound(PIECE * p->pieces, seed_up[0], DOWN, UP, p->peers);
    const double strong = exp_bound(PIECE * p->pieces, seed_up[1], DOWN, UP, p->peers);
    for (uint32_t i = 0; i < p->runs; i++) {
        const struct cell *c = &cells[i * ORDERS * SEEDS];
        against_random[i] = c[RAREST].v[0] / c[RANDOM].v[0];
        against_strict[i] = c[STRICT].v[0] / c[RAREST].v[0];
        bound[i] = c[RAREST].v[0] / weak;
        in_order[i] = c[ORDERS + IN_ORDER].v[0] / strong;
    }
    report_own(r, "rarest / random, weak seed", stat_median(against_random, p->runs), "x", "reproduced <= 1.02");
    report_own(r, "strict / rarest, weak seed", stat_median(against_strict, p->runs), "x", "reproduced >= 2");
    report_own(r, "rarest / bound, weak seed", stat_median(bound, p->runs), "x", "reproduced <= 2; better <= 1.3");
    report_own(r, "sequential / bound, strong seed", stat_median(in_order, p->runs), "x", "reproduced <= 1.12; better <= 1.06");
    report_own(r, "complete though the seed left, of all but the last, rarest", complete_rarest(p, cells), "%", "reproduced >= 99");
}

int exp_order(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    struct plan p = {.peers = o->quick ? 8 : 40, .pieces = o->quick ? 100 : 400, .runs = u32_min(exp_seeds(o, 1, 10),
        EXP_CELLS_MAX / (ORDERS * SEEDS + LEFT_RUNS - 1))};
    struct report r;
    report_begin(&r, "order", o);
    if (!exp_cells(&r, cells_all(&p), work, &p, cells))
        return report_end(&r);
    report_row(&r, "seed\torder\tmean_s\tlow\thigh\tbound_s\tmean/bound\tcomplete_%%");
    for (uint32_t s = 0; s < SEEDS; s++)
        for (uint32_t k = 0; k < ORDERS; k++) {
            const struct interval m = exp_median(cells, s * ORDERS + k, ORDERS * SEEDS, p.runs, 0);
            const double bound = exp_bound(PIECE * p.pieces, seed_up[s], DOWN, UP, p.peers);
            report_row(&r, "%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.2f\t%.1f", seeds[s], orders[k], m.mid, m.low, m.high, bound, m.mid / bound,
                exp_median(cells, s * ORDERS + k, ORDERS * SEEDS, p.runs, 1).mid);
        }
    report_table(&r);
    judge(&r, &p, cells);
    figure(&r, &p, cells);
    return report_end(&r);
}
