// E01 of the catalogue: how long until all of N have a file, from one server, from k mirrors, from each other. Kumar and Ross 2006.
#include "lab/exp.h"

#define US 3750000.0                    // bytes/s: 30 Mbit/s, as in the paper
#define DOWN 250000.0                   // 2 Mbit/s
#define UP 87500.0                      // 700 kbit/s
#define PAPER_BYTES (15.0 * 1024 * 1e6 / 8)

enum { SIZES_MAX = 8 };

enum mode { MODE_SERVER, MODE_CDN4, MODE_CDN16, MODE_SWARM, MODES };

// The paper's file is 1.9 GB; less of it takes proportionally less time, and the start weighs more. Each size is divided by so much.
struct size {
    uint32_t n, divide;
    bool servers;                       // also with servers alone: their time grows with n, so only while it is short
};

static const struct size full[] = {{10, 32, true}, {30, 64, true}, {100, 64, true}, {300, 128, false}};
static const struct size quick[] = {{10, 256, true}, {30, 512, true}, {60, 512, false}};
static const struct size big[] = {{10, 16, true}, {30, 32, true}, {100, 32, true}, {300, 32, false}, {1000, 64, false}, {3000, 128, false}, {10000,
    256, false}};

struct plan {
    const struct size *sizes;
    uint32_t sizes_n, seeds;
};

static double bytes_of(const struct size *s) { return PAPER_BYTES / s->divide; }

static uint32_t mirrors(enum mode m) { return m == MODE_CDN4 ? 4 : m == MODE_CDN16 ? 16 : 1; }

static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const struct size *s = &p->sizes[i / MODES % p->sizes_n];
    const enum mode mode = (enum mode)(i % MODES);
    const uint32_t seed = i / MODES / p->sizes_n + 1;
    if ((!s->servers && mode != MODE_SWARM) || (mode != MODE_SWARM && seed > 1))
        return;                         // servers alone vary by a few milliseconds only
    static struct exp_text t;
    t.n = 0;
    exp_line(&t, "seed %u", seed);
    exp_line(&t, "world latency=20ms spread=40ms end=100h");
    exp_line(&t, "content c0 size=%.0f piece=128KiB tracker=%s private=yes", bytes_of(s), mode == MODE_SWARM ? "yes" : "no");
    exp_line(&t, "node t0 tracker=yes interval=60s");
    char slots[32] = "";                // a server serves whoever asks: choking is between peers
    if (mode != MODE_SWARM)
        (void)snprintf(slots, sizeof slots, " slots=%u", s->n);
    exp_line(&t, "nodes s %u up=%.0f has=c0%s", mirrors(mode), US, slots);
    exp_line(&t, "nodes p %u up=%.0f down=%.0f want=c0 from=1s%s after=%s", s->n, UP, DOWN, mode == MODE_SWARM ? "" : " knows=s",
        mode == MODE_SWARM ? "stay" : "leave");
    const struct run_options o = {0};
    struct result r;
    if (exp_run(&t, &o, out, &r)) {
        out->v[0] = (double)(r.last - NSEC_S) / 1e9;
        if (r.groups[2].done < s->n)
            (void)snprintf(out->why, CELL_WHY_MAX, "only %u of %u complete", r.groups[2].done, s->n);
    }
    result_done(&r);
}

static struct interval scaled(struct interval v, double by)
{
    return (struct interval){v.low * by, v.mid * by, v.high * by};
}

static double formula(const struct size *s, enum mode m, double bytes)
{
    const double n = s->n, k = mirrors(m);
    if (m == MODE_SWARM)
        return exp_bound(bytes, US, DOWN, UP, n);
    const double t = n * bytes / (US * (n < k ? n : k));
    return t > bytes / DOWN ? t : bytes / DOWN;
}

static void figure(struct report *r, const struct plan *p, const struct cell *cells)
{
    static double x[SIZES_MAX], bound[MODES][SIZES_MAX], got[MODES][SIZES_MAX];
    static const char *const names[MODES] = {"one server", "4 mirrors", "16 mirrors", "swarm"};
    static const char *const dashed[MODES] = {"one server, formula", "4 mirrors, formula", "16 mirrors, formula", "swarm, lower bound"};
    struct plot plot = {.title = "Time until everybody has the file", .log_x = true, .log_y = true,
        .subtitle = "1.9 GB, server 30 Mbit/s, clients 2 Mbit/s down and 0.7 Mbit/s up; Kumar and Ross 2006",
        .x_label = "clients", .y_label = "seconds until the last one is done"};
    for (uint32_t i = 0; i < p->sizes_n; i++)
        x[i] = p->sizes[i].n;
    for (uint32_t m = 0; m < MODES; m++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->sizes_n; i++) {
            const struct size *s = &p->sizes[i];
            bound[m][i] = formula(s, (enum mode)m, PAPER_BYTES);
            if (m == MODE_SWARM || s->servers)
                got[m][n++] = exp_median(cells, i * MODES + m, MODES * p->sizes_n, m == MODE_SWARM ? p->seeds : 1, 0).mid * s->divide;
        }
        plot_add(&plot, dashed[m], SERIES_DASHED, x, bound[m], p->sizes_n)->color = (int)m + 1;
        plot_add(&plot, names[m], SERIES_POINTS, x, got[m], n)->color = (int)m + 1;
    }
    report_plot(r, &plot, NULL);
}

static void judge(struct report *r, const struct plan *p, const struct cell *cells)
{
    for (uint32_t i = 0; i < p->sizes_n; i++) {
        const struct size *s = &p->sizes[i];
        char id[32], what[96];
        struct published row;
        const struct interval swarm = scaled(exp_median(cells, i * MODES + MODE_SWARM, MODES * p->sizes_n, p->seeds, 0), s->divide);
        (void)snprintf(id, sizeof id, "E01.p2p.%u.700k", s->n);
        (void)snprintf(what, sizeof what, "last of %u, swarm, 1/%u of the file times %u", s->n, s->divide, s->divide);
        if (s->n > 10 && published_find(id, &row))
            report_published(r, id, what, swarm);
        (void)snprintf(id, sizeof id, "E01.cs.%u", s->n);
        (void)snprintf(what, sizeof what, "last of %u, one server, 1/%u of the file times %u", s->n, s->divide, s->divide);
        if (s->servers && published_find(id, &row))
            report_published(r, id, what, scaled(exp_median(cells, i * MODES, 1, 1, 0), s->divide));
    }
}

int exp_distribution(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    struct plan p = {.sizes = o->quick ? quick : o->big ? big : full, .seeds = exp_seeds(o, 1, 10)};
    p.sizes_n = o->quick ? ARRAY_LEN(quick) : o->big ? ARRAY_LEN(big) : ARRAY_LEN(full);
    struct report r;
    report_begin(&r, "distribution", o);
    p.seeds = u32_min(p.seeds, EXP_CELLS_MAX / MODES / p.sizes_n);
    if (!exp_cells(&r, p.sizes_n * MODES * p.seeds, work, &p, cells))
        return report_end(&r);
    report_row(&r, "N\tfile_MB\tserver_s\tmirrors4_s\tmirrors16_s\tswarm_s\tswarm_low\tswarm_high\tbound_s\tswarm/bound");
    for (uint32_t i = 0; i < p.sizes_n; i++) {
        const struct size *s = &p.sizes[i];
        const struct interval sw = exp_median(cells, i * MODES + MODE_SWARM, MODES * p.sizes_n, p.seeds, 0);
        char server[3][32];
        for (uint32_t m = 0; m < 3; m++)
            (void)snprintf(server[m], sizeof server[m], s->servers ? "%.1f" : "(%.1f)",
                s->servers ? cells[i * MODES + m].v[0] : formula(s, (enum mode)m, bytes_of(s)));
        const double bound = formula(s, MODE_SWARM, bytes_of(s));
        report_row(&r, "%u\t%.1f\t%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f", s->n, bytes_of(s) / 1e6, server[0], server[1], server[2],
            sw.mid, sw.low, sw.high, bound, sw.mid / bound);
    }
    report_table(&r);
    (void)puts("  in brackets: by the formula NF/(k us), not run");
    judge(&r, &p, cells);
    figure(&r, &p, cells);
    return report_end(&r);
}
