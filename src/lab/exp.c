// See exp.h.
#include "lab/exp.h"

#include <stdarg.h>
#include <stdlib.h>

const struct experiment experiments[] = {
    {"distribution", "one server, k mirrors, the swarm: how long until N have the file, against the Kumar-Ross bound", exp_distribution},
    {"incentive", "why people upload: rate against what one gives; free riders; without tit-for-tat", exp_incentive},
    {"newcomer", "first piece and first upload of who has nothing, with and without the optimistic unchoke", exp_newcomer},
    {"order", "rarest first, random, in order with and without a window; a strong seed, a weak one, one that leaves early", exp_order},
    {"flashcrowd", "all come within ten seconds: time and use of uplinks as the crowd grows", exp_flashcrowd},
    {"churn", "peers that crash and come back: what it costs", exp_churn},
    {"superlinear", "capacity grows with the crowd; when a swarm whose peers leave at once is stable (Hajek-Zhu)", exp_superlinear},
    {"trackerdeath", "the only tracker dies: who is in stays in, who comes later stays out", exp_trackerdeath},
    {"dht", "how quickly peers are found without any server, as the DHT grows; and with liars around the target", exp_dht},
};
const uint32_t experiments_n = ARRAY_LEN(experiments);

void exp_line(struct exp_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(t->text + t->n, EXP_TEXT_MAX - t->n, fmt, args);
    va_end(args);
    ASSERT(n > 0);
    ASSERT(t->n + (size_t)n + 1 < EXP_TEXT_MAX);
    t->n += (size_t)n;
    t->text[t->n++] = '\n';
}

bool exp_run(const struct exp_text *t, const struct run_options *o, struct cell *cell, struct result *out)
{
    struct scenario s;
    char why[SCENARIO_WHY_MAX];
    *out = (struct result){0};
    enum err e = scenario_parse(&s, &lab_heap, "scenario", slice_of(t->text, t->n), why);
    if (e == ERR_OK)
        e = run_scenario(&s, o, out, why);
    scenario_done(&s);
    if (e != ERR_OK)
        (void)snprintf(cell->why, CELL_WHY_MAX, "%.230s", why);
    else if (out->failure[0] != '\0')
        (void)snprintf(cell->why, CELL_WHY_MAX, "at %.3f s: %.200s", (double)out->end / 1e9, out->failure);
    return cell->why[0] == '\0';
}

bool exp_cells(struct report *r, uint32_t n, void (*work)(void *ctx, uint32_t i, struct cell *out), void *ctx, struct cell *cells)
{
    ASSERT(n <= EXP_CELLS_MAX);
    if (parallel_cells(n, 0, work, ctx, cells) != ERR_OK) {
        report_broken(r, "not enough memory");
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        if (cells[i].why[0] != '\0') {
            report_broken(r, cells[i].why);
            return false;
        }
    return true;
}

struct interval exp_median(const struct cell *cells, uint32_t first, uint32_t step, uint32_t n, uint32_t v)
{
    double values[EXP_CELLS_MAX];
    ASSERT(n <= EXP_CELLS_MAX);
    for (uint32_t i = 0; i < n; i++)
        values[i] = cells[first + i * step].v[v];
    return stat_median(values, n);
}

uint32_t exp_seeds(const struct lab_options *o, uint32_t quick, uint32_t full)
{
    return o->seeds != 0 ? (uint32_t)o->seeds : o->quick ? quick : full;
}

double exp_bound(double bytes, double us, double dmin, double u, double n)
{
    double t = bytes / us;
    t = bytes / dmin > t ? bytes / dmin : t;
    const double sum = n * bytes / (us + n * u);
    return sum > t ? sum : t;
}
