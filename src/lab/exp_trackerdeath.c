// The only tracker of a swarm dies. Who is in has his partners; who comes later finds nobody, unless he knows one peer or the DHT.
#include "lab/exp.h"

enum { MODES = 4, POINTS = 50, DIES_S = 60, LATE_S = 90, STEP_S = 6 };

static const char *const modes[MODES] = {"the tracker lives", "it dies", "it dies, late ones know a peer", "it dies, all are in the DHT"};

struct plan {
    uint32_t early, late, runs;
    double bytes;
};

struct count {
    uint32_t first, n, points;
    double v[POINTS];
};

static void sample(void *ctx, const struct stage *st)
{
    struct count *c = ctx;
    if (st->world->now / NSEC_S % STEP_S != 0 || c->points >= POINTS)
        return;
    uint32_t done = 0;
    for (uint32_t i = 0; i < c->n; i++)
        done += st->world->hosts[c->first + i]->wants[0].done;
    c->v[c->points++] = done;
}

// v[0] early ones done %, v[1] late ones done %, v[2] early mean, v[3] late mean, v[4 …] late ones done over time
static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const uint32_t mode = i % MODES;
    struct count late = {.first = 3 + p->early, .n = p->late};
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", i / MODES + 1);
    exp_line(&t, "world latency=20ms spread=60ms end=%us", STEP_S * POINTS + 1);
    exp_line(&t, "content c0 size=%.0f piece=64KiB", p->bytes);
    exp_line(&t, "node t0 tracker=yes interval=30s");
    const char *const dht = mode == 3 ? " dht=yes" : "";
    exp_line(&t, "node d0%s", dht);     // whom they know of the DHT, and who knows nothing of the file
    exp_line(&t, "node s0 up=300kB has=c0%s", dht);
    exp_line(&t, "nodes p %u up=80kB down=1MB want=c0 from=1s arrive=flash:10s%s", p->early, dht);
    exp_line(&t, "nodes l %u up=80kB down=1MB want=c0 from=%us arrive=every:2s%s%s", p->late, (unsigned)LATE_S, mode == 2 ? " knows=p" : "", dht);
    if (mode != 0)
        exp_line(&t, "at %us fault crash node=t0 silent=yes", (unsigned)DIES_S);
    const struct run_options o = {.sample = sample, .ctx = &late};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        out->v[0] = (double)r.groups[3].metrics[METRIC_DONE] / 1e4;
        out->v[1] = (double)r.groups[4].metrics[METRIC_DONE] / 1e4;
        out->v[2] = (double)r.groups[3].metrics[METRIC_MEAN] / 1e9;
        out->v[3] = (double)r.groups[4].metrics[METRIC_MEAN] / 1e9;
        for (uint32_t k = 0; k < POINTS; k++)
            out->v[4 + k] = k < late.points ? 100.0 * late.v[k] / p->late : out->v[1];      // the world ends when all are done
    }
    result_done(&r);
}

int exp_trackerdeath(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    struct plan p = {.early = o->quick ? 15 : 60, .late = o->quick ? 10 : 30, .runs = u32_min(exp_seeds(o, 1, 5), 100),
        .bytes = o->quick ? 4e6 : 8e6};
    struct report r;
    report_begin(&r, "trackerdeath", o);
    if (!exp_cells(&r, MODES * p.runs, work, &p, cells))
        return report_end(&r);
    report_row(&r, "case\tearly_done_%%\tearly_mean_s\tlate_done_%%\tlate_mean_s");
    static double x[POINTS], y[MODES][POINTS];
    struct plot plot = {.title = "The tracker dies", .y_from_zero = true, .x_label = "seconds", .y_label = "% of the late ones that are complete",
        .subtitle = "at 60 s; the late ones come from 90 s on, one every two seconds"};
    for (uint32_t m = 0; m < MODES; m++) {
        report_row(&r, "%s\t%.1f\t%.1f\t%.1f\t%.1f", modes[m], exp_median(cells, m, MODES, p.runs, 0).mid, exp_median(cells, m, MODES, p.runs, 2).mid,
            exp_median(cells, m, MODES, p.runs, 1).mid, exp_median(cells, m, MODES, p.runs, 3).mid);
        for (uint32_t k = 0; k < POINTS; k++) {
            x[k] = STEP_S * (k + 1.0);
            y[m][k] = exp_median(cells, m, MODES, p.runs, 4 + k).mid;
        }
        plot_add(&plot, modes[m], SERIES_LINE, x, y[m], POINTS);
    }
    report_table(&r);
    report_own(&r, "complete of those who were in when it died", exp_median(cells, 1, MODES, p.runs, 0), "%", "reproduced >= 99");
    report_own(&r, "complete of those who came later and know nobody", exp_median(cells, 1, MODES, p.runs, 1), "%", "reproduced <= 1");
    report_own(&r, "complete of those who came later and know one peer", exp_median(cells, 2, MODES, p.runs, 1), "%",
        "reproduced >= 50; better >= 99");
    report_own(&r, "complete of those who came later and know one DHT node", exp_median(cells, 3, MODES, p.runs, 1), "%",
        "reproduced >= 99");
    struct interval slower = exp_median(cells, 3, MODES, p.runs, 3);
    const double alive = exp_median(cells, 0, MODES, p.runs, 3).mid;
    slower = (struct interval){slower.low - alive, slower.mid - alive, slower.high - alive};
    report_own(&r, "later than with the tracker, mean", slower, "s", "reproduced <= 10; better <= 2");
    report_plot(&r, &plot, NULL);
    return report_end(&r);
}
