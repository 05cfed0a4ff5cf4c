// `kith lab run` and `kith lab trace`.
#include <stdio.h>
#include <stdlib.h>

#include "lab/cli.h"
#include "lab/field.h"
#include "lab/published.h"

enum { VALUE_MAX = 64 };

static const char *value_text(const struct field *f, uint64_t v, char out[VALUE_MAX])
{
    if (f->type == FIELD_TIME)
        (void)snprintf(out, VALUE_MAX, "%.3f s", (double)v / 1e9);
    else
        (void)snprintf(out, VALUE_MAX, "%.2f %%", (double)v / 1e4);
    return out;
}

static void print_groups(const struct scenario *s, const struct result *r)
{
    (void)printf("%-16s %6s %9s %9s %9s %9s %9s %10s %10s %8s\n", "node", "done", "of", "mean s", "p50 s", "p95 s", "max s",
        "down MB", "up MB", "waste %");
    for (uint32_t i = 0; i < r->groups_n; i++) {
        const struct result_group *g = &r->groups[i];
        (void)printf("%-16s %6u %9u %9.2f %9.2f %9.2f %9.2f %10.2f %10.2f %8.2f\n", s->groups[i].name, g->done, g->wants,
            (double)g->metrics[METRIC_MEAN] / 1e9, (double)g->metrics[METRIC_P50] / 1e9, (double)g->metrics[METRIC_P95] / 1e9,
            (double)g->metrics[METRIC_MAX] / 1e9, (double)g->down / 1e6, (double)g->up / 1e6, (double)g->metrics[METRIC_WASTE] / 1e4);
    }
}

// Times are those of the nodes that completed: they say nothing while others have not.
static bool judge_complete(const struct scenario *s, const struct scenario_gate *gate, const struct result_group *g)
{
    const struct field *metric = &result_metrics[gate->metric];
    if (metric->type != FIELD_TIME || (g->done > 0 && g->done >= g->wants))
        return true;
    (void)printf("MISSED %s.%s: %u of %u complete\n", s->groups[gate->group].name, metric->name, g->done, g->wants);
    return false;
}

// One line for each gate; returns whether all hold.
static bool judge(const struct scenario *s, const struct result *r)
{
    bool good = true;
    for (uint32_t i = 0; i < s->gates_n; i++) {
        const struct scenario_gate *g = &s->gates[i];
        const struct field *metric = &result_metrics[g->metric];
        const uint64_t v = r->groups[g->group].metrics[g->metric];
        char measured[VALUE_MAX], wanted[VALUE_MAX];
        (void)value_text(metric, v, measured);
        if (!judge_complete(s, g, &r->groups[g->group])) {
            good = false;
            continue;
        }
        if (strcmp(g->id, "own") == 0) {
            const bool holds = g->op == GATE_LE ? v <= g->value : v >= g->value;
            good &= holds;
            (void)printf("%s %s.%s %s %s%s own\n", holds ? "holds " : "MISSED", s->groups[g->group].name, metric->name, measured,
                g->op == GATE_LE ? "<= " : ">= ", value_text(metric, g->value, wanted));
            continue;
        }
        struct published p;
        const bool found = published_find(g->id, &p);
        ASSERT(found);                  // find_rows has seen it
        const double x = metric->type == FIELD_TIME ? (double)v / 1e9 : (double)v / 1e4;
        const enum verdict verdict = published_judge(&p, x, x);
        good &= verdict != VERDICT_FAILED;
        (void)printf("%s %s %s.%s %s published %s %s, gate %s; %s\n", verdict == VERDICT_FAILED ? "MISSED" : "holds ",
            published_word(verdict), s->groups[g->group].name, metric->name, measured, p.value, p.unit, p.gate, p.source);
    }
    return good;
}

static int print_expanded(const struct scenario *s)
{
    const size_t cap = (size_t)4 * SCENARIO_BYTES_MAX;
    struct buf b = {malloc(cap), 0, cap};
    if (b.p == NULL)
        return lab_say(LAB_FAILED, "not enough memory");
    struct wr w = wr_make(&b);
    scenario_print(s, true, &w);
    const bool good = w.ok && fwrite(b.p, 1, b.n, stdout) == b.n;
    free(b.p);
    return good ? LAB_DONE : lab_say(LAB_IO, "cannot print the scenario");
}

// Before the run, which may take long.
static int find_rows(const struct scenario *s, const char *file)
{
    for (uint32_t i = 0; i < s->gates_n; i++) {
        struct published p;
        const struct scenario_gate *g = &s->gates[i];
        if (strcmp(g->id, "own") != 0 && !published_find(g->id, &p))
            return lab_say(LAB_USAGE, "%s:%u: no published row %s: tests/bench/published.tsv has them", file, g->line, g->id);
    }
    return LAB_DONE;
}

static int run_loaded(const struct lab_options *o, struct scenario *s)
{
    if (o->seeded)
        s->seed = o->seed;
    if (o->expand)
        return print_expanded(s);
    const int status = find_rows(s, o->words[1]);
    if (status != LAB_DONE)
        return status;
    struct result r;
    char why[STAGE_WHY_MAX];
    const struct run_options options = {.check = o->check};
    if (run_scenario(s, &options, &r, why) != ERR_OK) {
        result_done(&r);
        return lab_say(LAB_FAILED, "%s: %s", o->words[1], why);
    }
    print_groups(s, &r);
    const bool gates = judge(s, &r);
    (void)printf("seed %llu, %.3f s of virtual time, %llu events in %llu ms (%llu a second), trace %016llx\n", (unsigned long long)s->seed,
        (double)r.end / 1e9, (unsigned long long)r.events, (unsigned long long)r.ms, (unsigned long long)(r.events * 1000 / (r.ms + 1)),
        (unsigned long long)r.hash);
    if (r.failure[0] != '\0')
        (void)printf("FAILED at %.3f s: %s\n", (double)r.end / 1e9, r.failure);
    else if (r.stuck)
        (void)printf("FAILED: healed at %.3f s, and at %.3f s not everybody is complete\n", (double)s->world.heal / 1e9, (double)r.end / 1e9);
    const bool good = gates && r.failure[0] == '\0' && !r.stuck;
    result_done(&r);
    return good ? LAB_DONE : LAB_FAILED;
}

int lab_run(const struct lab_options *o)
{
    struct scenario s;
    int status = lab_load(o->words[1], &s);
    if (status == LAB_DONE)
        status = run_loaded(o, &s);
    scenario_done(&s);
    return status;
}

static void print_record(void *ctx, const struct trace_record *r)
{
    const bool *tsv = ctx;
    if (*tsv) {
        (void)printf("%llu\t%u\t%s\t%u\t%llu\t%llu\n", (unsigned long long)r->t, r->node, trace_name((enum trace_type)r->type), r->sub,
            (unsigned long long)r->a, (unsigned long long)r->b);
        return;
    }
    uint8_t space[200];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    trace_line(r, &w);
    (void)printf("%.*s\n", (int)b.n, (const char *)space);
}

int lab_trace(const struct lab_options *o)
{
    struct scenario s;
    int status = lab_load(o->words[1], &s);
    if (status == LAB_DONE) {
        if (o->seeded)
            s.seed = o->seed;
        bool tsv = o->tsv;
        if (tsv)
            (void)puts("t_ns\tnode\ttype\tsub\ta\tb");
        struct result r;
        char why[STAGE_WHY_MAX];
        const struct run_options options = {.check = o->check, .record = print_record, .ctx = &tsv};
        if (run_scenario(&s, &options, &r, why) != ERR_OK)
            status = lab_say(LAB_FAILED, "%s: %s", o->words[1], why);
        else if (r.failure[0] != '\0' || r.stuck)
            status = lab_say(LAB_FAILED, "%s: %s", o->words[1], r.stuck ? "not everybody completes" : r.failure);
        result_done(&r);
    }
    scenario_done(&s);
    return status;
}
