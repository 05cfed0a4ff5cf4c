// Scenario -> text: see scenario.h.
#include <stdio.h>

#include "lab/result.h"
#include "lab/scenario_int.h"

static void print_contents(const struct scenario *s, uint64_t bits, struct wr *w)
{
    const char *sep = "";
    for (uint32_t i = 0; i < s->contents_n; i++)
        if ((bits >> i & 1) != 0) {
            wr_fmt(w, "%s%s", sep, s->contents[i].name);
            sep = ",";
        }
}

static void print_sizes(const struct scenario_content *c, struct wr *w)
{
    const struct field size = {.type = FIELD_SIZE};
    for (uint32_t i = 0; i < c->files_n; i++) {
        if (i > 0)
            wr_str(w, ",");
        field_write(&size, c->lens[i], w);
    }
}

static void print_nodes(const struct scenario *s, uint64_t v, struct wr *w)
{
    const struct scenario_group *g = &s->groups[(uint32_t)v - 1];
    wr_str(w, g->name);
    if (g->plural && v >> 32 != 0)
        wr_fmt(w, "%u", (uint32_t)(v >> 32) - 1);
}

static void print_arrive(const struct scenario_group *g, struct wr *w)
{
    wr_fmt(w, "%s%s", g->arrive == ARRIVE_AT ? "" : scenario_arrive_words[g->arrive], g->arrive == ARRIVE_AT ? "" : ":");
    action_value_write(w, ARG_TIME, g->arrive_time);
}

// The options that are not what they are without being written.
static void print_options(const struct scenario *s, const struct field *fields, uint32_t n, const void *base, struct wr *w)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct field *f = &fields[i];
        const uint64_t v = field_get(base, f);
        const bool arrives = f->type == FIELD_ARRIVE && ((const struct scenario_group *)base)->arrive_time != 0;
        if (v == 0 && !arrives && f->type != FIELD_SIZES)
            continue;
        wr_fmt(w, " %s=", f->name);
        if (f->type == FIELD_CONTENTS)
            print_contents(s, v, w);
        else if (f->type == FIELD_SIZES)
            print_sizes(base, w);
        else if (f->type == FIELD_NODES)
            print_nodes(s, v, w);
        else if (f->type == FIELD_ARRIVE)
            print_arrive(base, w);
        else
            field_write(f, v, w);
    }
    wr_str(w, "\n");
}

static void print_group(const struct scenario *s, uint32_t index, bool expand, struct wr *w)
{
    const struct scenario_group *g = &s->groups[index];
    if (!expand) {
        if (g->plural)
            wr_fmt(w, "nodes %s %u", g->name, g->count);
        else
            wr_fmt(w, "node %s", g->name);
        print_options(s, scenario_node_fields, scenario_node_fields_n, g, w);
        return;
    }
    nsec *at = mem_zarray(s->mem, g->count, sizeof *at);
    if (at == NULL) {
        w->ok = false;
        return;
    }
    scenario_arrivals(s, index, at);
    for (uint32_t i = 0; i < g->count; i++) {
        struct scenario_group one = *g;
        one.from = 0;
        one.arrive = ARRIVE_AT;
        one.arrive_time = at[i];
        if (one.knows != 0 && one.knows >> 32 == 0)
            one.knows |= (uint64_t)(i % s->groups[(uint32_t)one.knows - 1].count + 1) << 32;
        if (g->plural)
            wr_fmt(w, "node %s%u", g->name, i);
        else
            wr_fmt(w, "node %s", g->name);
        print_options(s, scenario_node_fields, scenario_node_fields_n, &one, w);
    }
    mem_free(s->mem, at, g->count * sizeof *at);
}

// The group that a host belongs to; *out_at: which of it.
static const struct scenario_group *group_of(const struct scenario *s, uint32_t host, uint32_t *out_at)
{
    uint32_t i = 0;
    for (; i + 1 < s->groups_n && host >= s->groups[i].count; i++)
        host -= s->groups[i].count;
    *out_at = host;
    return &s->groups[i];
}

static void print_host(const struct scenario *s, uint32_t host, struct wr *w)
{
    uint32_t at;
    const struct scenario_group *g = group_of(s, host, &at);
    wr_str(w, g->name);
    if (g->plural)
        wr_dec(w, at);
}

// Names of groups are not there in the expanded form.
static void print_hosts(const struct scenario *s, uint32_t first, uint32_t count, bool expand, struct wr *w)
{
    uint32_t at;
    const struct scenario_group *g = group_of(s, first, &at);
    if (count == ACTION_EVERY) {
        wr_str(w, "*");
    } else if (at == 0 && count == g->count && !expand) {
        wr_str(w, g->name);
    } else {
        print_host(s, first, w);
        if (count > 1) {
            wr_str(w, "-");
            print_host(s, first + count - 1, w);
        }
    }
}

static void print_fault(const struct scenario *s, const struct scenario_fault *f, bool expand, struct wr *w)
{
    const struct action *a = &f->action;
    const struct action_info *info = action_info(a->kind);
    wr_str(w, "at ");
    action_value_write(w, ARG_TIME, f->t);
    wr_fmt(w, " fault %s", info->name);
    if (info->scope == SCOPE_HOSTS || (info->scope == SCOPE_PATHS && a->count != action_make(a->kind).count)) {
        wr_str(w, " node=");
        print_hosts(s, a->host, a->count, expand, w);
    }
    if (a->to != 0) {
        wr_str(w, " to=");
        print_hosts(s, a->to - 1, a->to_count, expand, w);
    }
    action_write(w, a);
    wr_str(w, "\n");
}

static void print_gate(const struct scenario *s, const struct scenario_gate *g, struct wr *w)
{
    wr_fmt(w, "gate %s %s.%s", g->id, s->groups[g->group].name, result_metrics[g->metric].name);
    if (strcmp(g->id, "own") == 0) {
        wr_str(w, g->op == GATE_LE ? " <= " : " >= ");
        field_write(&result_metrics[g->metric], g->value, w);
    }
    wr_str(w, "\n");
}

void scenario_print(const struct scenario *s, bool expand, struct wr *w)
{
    wr_fmt(w, "seed %llu\nworld", (unsigned long long)s->seed);
    print_options(s, scenario_world_fields, scenario_world_fields_n, &s->world, w);
    for (uint32_t i = 0; i < s->contents_n; i++) {
        wr_fmt(w, "content %s", s->contents[i].name);
        print_options(s, scenario_content_fields, scenario_content_fields_n, &s->contents[i], w);
    }
    for (uint32_t i = 0; i < s->groups_n; i++)
        print_group(s, i, expand, w);
    for (uint32_t i = 0; i < s->faults_n; i++)
        print_fault(s, &s->faults[i], expand, w);
    // Gates judge groups, which the expanded form does not have.
    for (uint32_t i = 0; i < s->gates_n && !expand; i++)
        print_gate(s, &s->gates[i], w);
}
