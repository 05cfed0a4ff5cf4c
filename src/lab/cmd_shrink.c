// `kith lab shrink`: the smallest scenario that fails the same way. Faults by delta debugging (Zeller and Hildebrandt 2002), then nodes, sizes,
// and options, one after the other, until nothing can go.
#include <stdio.h>
#include <stdlib.h>

#include "lab/cli.h"
#include "lab/draw.h"
#include "lab/fuzz.h"
#include "lab/scenario_int.h"

struct shrink {
    struct scenario s;                  // the smallest so far
    char sign[DRAW_SIGN_MAX];
    uint32_t tried;
    uint64_t end_ms;                    // of the machine
};

static void work(void *ctx, uint32_t i, struct cell *out)
{
    (void)i;
    const struct buf *text = ctx;
    fuzz_text(buf_slice(text), out);
}

// How a scenario fails; "" if it does not.
static void fails_how(const struct scenario *s, char out[DRAW_SIGN_MAX])
{
    struct cell c;
    struct buf text = fuzz_print(s);
    out[0] = '\0';
    if (text.p != NULL && parallel_cells(1, FUZZ_SECONDS, work, &text, &c) == ERR_OK)
        draw_signature(c.why, out);
    free(text.p);
}

// Takes the candidate if it fails the same way; it is given away in any case.
static bool take(struct shrink *k, struct scenario *candidate)
{
    char sign[DRAW_SIGN_MAX] = "";
    if (stage_clock_ms() < k->end_ms) {
        k->tried++;
        fails_how(candidate, sign);
    }
    const bool same = strcmp(sign, k->sign) == 0;
    if (same) {
        scenario_done(&k->s);
        k->s = *candidate;
        (void)fprintf(stderr, "%u nodes, %u faults, %u runs\n", k->s.nodes_n, k->s.faults_n, k->tried);
    } else {
        scenario_done(candidate);
    }
    return same;
}

static bool without_faults(struct shrink *k, uint32_t from, uint32_t n)
{
    struct scenario c;
    if (scenario_copy(&c, &k->s) != ERR_OK)
        return false;
    n = u32_min(n, c.faults_n - from);
    memmove(c.faults + from, c.faults + from + n, (c.faults_n - from - n) * sizeof *c.faults);
    c.faults_n -= n;
    return take(k, &c);
}

static void shrink_faults(struct shrink *k)
{
    for (uint32_t n = k->s.faults_n; n > 0; n /= 2)
        for (uint32_t from = 0; from < k->s.faults_n;)
            if (!without_faults(k, from, n))
                from += n;
}

// Hosts first … first + *n - 1 after the n_gone from `gone` on are away. False: none is left.
static bool hosts_without(uint32_t *first, uint32_t *n, uint32_t gone, uint32_t gone_n)
{
    if (*n == ACTION_EVERY)
        return true;
    const uint32_t end = *first + u32_max(*n, 1), gone_end = gone + gone_n;
    const uint32_t before = u32_min(end, gone) - u32_min(*first, gone);
    const uint32_t behind = u32_max(end, gone_end) - u32_max(*first, gone_end);
    *first = *first < gone ? *first : u32_max(*first, gone_end) - gone_n;
    *n = before + behind;
    return *n > 0;
}

static bool fault_without(struct action *a, uint32_t gone, uint32_t gone_n)
{
    uint32_t to = a->to - 1;
    if (action_info(a->kind)->scope == SCOPE_WORLD || (a->count == 0 && a->kind == ACTION_LOSS))
        return true;
    if (!hosts_without(&a->host, &a->count, gone, gone_n) || (a->to != 0 && !hosts_without(&to, &a->to_count, gone, gone_n)))
        return false;
    a->to = a->to == 0 ? 0 : to + 1;
    return true;
}

// A copy without node group i, and without what names it.
static bool without_group(struct shrink *k, uint32_t i)
{
    struct scenario c;
    if (scenario_copy(&c, &k->s) != ERR_OK)
        return false;
    const uint32_t host = scenario_host(&c, i, 0), hosts_n = c.groups[i].count;
    c.nodes_n -= hosts_n;
    memmove(c.groups + i, c.groups + i + 1, (c.groups_n - i - 1) * sizeof *c.groups);
    c.groups_n--;
    uint32_t kept = 0;
    for (uint32_t f = 0; f < c.faults_n; f++) {
        struct scenario_fault fault = c.faults[f];
        if (fault_without(&fault.action, host, hosts_n))
            c.faults[kept++] = fault;
    }
    c.faults_n = kept;
    for (uint32_t g = 0; g < c.groups_n; g++) {
        const uint32_t whom = (uint32_t)c.groups[g].knows;
        if (whom == i + 1)
            c.groups[g].knows = 0;
        else if (whom > i + 1)
            c.groups[g].knows--;
    }
    return take(k, &c);
}

// A copy in which fault i concerns only half of its hosts.
static bool half_the_hosts(struct shrink *k, uint32_t i, bool upper)
{
    struct scenario c;
    if (scenario_copy(&c, &k->s) != ERR_OK)
        return false;
    struct action *a = &c.faults[i].action;
    const bool every = a->count == ACTION_EVERY;
    const uint32_t n = every ? c.nodes_n : a->count, half = n / 2;
    if (n < 2 || action_info(a->kind)->scope == SCOPE_WORLD) {
        scenario_done(&c);
        return false;
    }
    a->host = (every ? 0 : a->host) + (upper ? half : 0);
    a->count = upper ? n - half : half;
    return take(k, &c);
}

static bool shrink_hosts(struct shrink *k)
{
    bool any = false;
    for (uint32_t i = 0; i < k->s.faults_n; i++)
        while (half_the_hosts(k, i, false) || half_the_hosts(k, i, true))
            any = true;
    return any;
}

static bool smaller_contents(struct shrink *k)
{
    struct scenario c;
    bool any = false;
    if (scenario_copy(&c, &k->s) != ERR_OK)
        return false;
    for (uint32_t i = 0; i < c.contents_n; i++)
        for (uint32_t f = 0; f < c.contents[i].files_n; f++)
            if (c.contents[i].lens[f] > 1000) {
                c.contents[i].lens[f] /= 2;
                any = true;
            }
    if (any)
        return take(k, &c);
    scenario_done(&c);
    return false;
}

static bool plain_option(struct shrink *k, const struct field *f, void *base, struct scenario *c)
{
    // What makes the scenario a scenario stays.
    const bool needed = f->type == FIELD_CONTENTS || f->type == FIELD_SIZES || f->type == FIELD_ARRIVE || strcmp(f->name, "tracker") == 0 ||
        strcmp(f->name, "hostile") == 0 || strcmp(f->name, "heal") == 0 || strcmp(f->name, "end") == 0 || strcmp(f->name, "piece") == 0;
    if (needed || field_get(base, f) == 0) {
        scenario_done(c);
        return false;
    }
    field_set(base, f, 0);
    return take(k, c);
}

static bool plain_options(struct shrink *k)
{
    bool any = false;
    for (uint32_t i = 0; i < scenario_world_fields_n; i++) {
        struct scenario c;
        if (scenario_copy(&c, &k->s) == ERR_OK)
            any |= plain_option(k, &scenario_world_fields[i], &c.world, &c);
    }
    for (uint32_t g = 0; g < k->s.groups_n; g++)
        for (uint32_t i = 0; i < scenario_node_fields_n; i++) {
            struct scenario c;
            if (scenario_copy(&c, &k->s) == ERR_OK)
                any |= plain_option(k, &scenario_node_fields[i], &c.groups[g], &c);
        }
    return any;
}

static void shrink_all(struct shrink *k)
{
    for (bool any = true; any && stage_clock_ms() < k->end_ms;) {
        any = false;
        shrink_faults(k);
        for (uint32_t i = k->s.groups_n; i-- > 1;)
            any |= without_group(k, i);
        for (uint32_t n = 0; n < 10 && smaller_contents(k); n++)
            any = true;
        any |= shrink_hosts(k);
        any |= plain_options(k);
    }
}

int lab_shrink(const struct lab_options *o)
{
    struct shrink k = {.end_ms = stage_clock_ms() + (o->budget == 0 ? 600 * NSEC_S : o->budget) / NSEC_MS};
    struct scenario whole;
    int status = lab_load(o->words[1], &whole);
    if (status == LAB_DONE) {
        // Every node a line of its own, so that each can go alone.
        struct buf text = {malloc((size_t)4 * SCENARIO_BYTES_MAX), 0, (size_t)4 * SCENARIO_BYTES_MAX};
        char why[SCENARIO_WHY_MAX] = "not enough memory";
        struct wr w = wr_make(&text);
        scenario_init(&k.s, &lab_heap);
        if (text.p != NULL)
            scenario_print(&whole, true, &w);
        if (text.p == NULL || !w.ok || scenario_parse(&k.s, &lab_heap, o->words[1], buf_slice(&text), why) != ERR_OK)
            status = lab_say(LAB_FAILED, "%s", why);
        free(text.p);
    }
    if (status == LAB_DONE) {
        fails_how(&k.s, k.sign);
        if (k.sign[0] == '\0')
            status = lab_say(LAB_FAILED, "%s does not fail, gates aside: there is nothing to shrink", o->words[1]);
    }
    if (status == LAB_DONE) {
        (void)fprintf(stderr, "fails by: %s\n", k.sign);
        shrink_all(&k);
        struct buf text = fuzz_print(&k.s);
        (void)printf("# fails by: %s\n%.*s", k.sign, (int)text.n, text.p == NULL ? "" : (const char *)text.p);
        free(text.p);
    }
    scenario_done(&k.s);
    scenario_done(&whole);
    return status;
}
