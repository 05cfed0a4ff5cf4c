// How somebody who has nothing to give gets his first piece: by the optimistic unchoke, or by pieces that choked peers may ask for (BEP 6,
// allowed fast). The seed is gone, everybody has found partners.
#include "lab/exp.h"

enum { MODES = 4, COMERS_MAX = 16, WAIT_S = 600 };

static const char *const modes[MODES] = {"both", "optimistic unchoke only", "allowed fast only", "neither"};
static const char *const options[MODES] = {"", " gifts=no", " optimistic=no", " optimistic=no gifts=no"};

struct plan {
    uint32_t peers, comers, runs;
    double bytes;
};

// When each newcomer had its first piece and had sent its first block, in seconds after its arrival.
struct watch {
    uint32_t first, n;
    double piece[COMERS_MAX], gave[COMERS_MAX];
};

static void sample(void *ctx, const struct stage *st)
{
    struct watch *w = ctx;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct host *h = st->world->hosts[w->first + i];
        const double age = ((double)st->world->now - (double)h->cfg.arrive) / 1e9;
        const struct node_torrent_stats s = stage_stats(st, w->first + i, 0);
        if (age < 0 || h->node == NULL)
            continue;
        if (s.pieces_have > 0 && w->piece[i] > age)
            w->piece[i] = age;
        if (s.up_bytes > 0 && w->gave[i] > age)
            w->gave[i] = age;
    }
}

static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const char *more = options[i % MODES];
    struct watch w = {.first = 2 + p->peers, .n = p->comers};
    for (uint32_t k = 0; k < p->comers; k++)
        w.piece[k] = w.gave[k] = WAIT_S;
    static struct exp_text t;
    t.n = 0;
    // The seed leaves when it has given a copy and a half: from then on only leechers can help.
    const double seed_s = 1.5 * p->bytes / 240e3, come_s = 1 + seed_s + 20;
    exp_line(&t, "seed %u", i / MODES + 1);
    exp_line(&t, "world latency=20ms spread=60ms end=%.0fs", come_s + p->comers + WAIT_S);
    exp_line(&t, "content c0 size=%.0f piece=64KiB", p->bytes);
    exp_line(&t, "node t0 tracker=yes interval=60s");
    exp_line(&t, "node s0 up=240kB has=c0");
    exp_line(&t, "nodes p %u up=40kB down=1MB want=c0 from=1s arrive=flash:5s slots=4%s", p->peers, more);
    exp_line(&t, "nodes n %u up=40kB down=1MB want=c0 from=%.0fs arrive=every:1s slots=4%s", p->comers, come_s, more);
    exp_line(&t, "at %.0fs fault leave node=s0", 1 + seed_s);
    const struct run_options o = {.sample = sample, .ctx = &w};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        out->v[0] = stat_quantile(w.piece, p->comers, 0.5);
        out->v[1] = stat_quantile(w.piece, p->comers, 0.9);
        out->v[2] = stat_quantile(w.gave, p->comers, 0.5);
        out->v[3] = stat_quantile(w.gave, p->comers, 0.9);
        for (uint32_t k = 0; k < p->comers; k++)
            out->v[4 + k] = w.piece[k];
    }
    result_done(&r);
}

static void figure(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double x[MODES][EXP_CELLS_MAX * COMERS_MAX / 8], y[MODES][EXP_CELLS_MAX * COMERS_MAX / 8];
    struct plot plot = {.title = "The first piece of a newcomer", .y_from_zero = true, .x_label = "seconds after it came",
        .y_label = "% of newcomers that have a piece",
        .subtitle = "no seed, everybody else has found partners; all seeds together (at 600 s: none within that time)"};
    for (uint32_t m = 0; m < MODES; m++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->runs; i++)
            for (uint32_t k = 0; k < p->comers && n < ARRAY_LEN(x[0]); k++)
                x[m][n++] = cells[i * MODES + m].v[4 + k];
        (void)stat_quantile(x[m], n, 0);                // sorts
        for (uint32_t k = 0; k < n; k++)
            y[m][k] = 100.0 * (k + 1) / n;
        plot_add(&plot, modes[m], SERIES_LINE, x[m], y[m], n);
    }
    report_plot(r, &plot, NULL);
}

int exp_newcomer(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    struct plan p = {.peers = o->quick ? 15 : 40, .comers = o->quick ? 4 : 10, .runs = u32_min(exp_seeds(o, 1, 5), 20),
        .bytes = o->quick ? 4e6 : 12e6};
    struct report r;
    report_begin(&r, "newcomer", o);
    if (!exp_cells(&r, MODES * p.runs, work, &p, cells))
        return report_end(&r);
    report_row(&r, "help\tfirst_piece_p50_s\tlow\thigh\tfirst_piece_p90_s\tfirst_upload_p50_s\tfirst_upload_p90_s");
    for (uint32_t m = 0; m < MODES; m++) {
        const struct interval a = exp_median(cells, m, MODES, p.runs, 0);
        report_row(&r, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f", modes[m], a.mid, a.low, a.high,
            exp_median(cells, m, MODES, p.runs, 1).mid, exp_median(cells, m, MODES, p.runs, 2).mid, exp_median(cells, m, MODES, p.runs, 3).mid);
    }
    report_table(&r);
    (void)puts("  600 s: not within ten minutes");
    report_own(&r, "first piece, median, optimistic unchoke only", exp_median(cells, 1, MODES, p.runs, 0), "s", "reproduced <= 60; better <= 30");
    double ratio[EXP_CELLS_MAX];
    for (uint32_t i = 0; i < p.runs; i++)
        ratio[i] = cells[i * MODES + 3].v[0] / cells[i * MODES + 1].v[0];
    report_own(&r, "first piece, neither / optimistic unchoke only", stat_median(ratio, p.runs), "x", "reproduced >= 2");
    figure(&r, &p, cells);
    return report_end(&r);
}
