// `kith lab fuzz`: scenarios drawn from seeds, each in a process of its own.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lab/cli.h"
#include "lab/draw.h"
#include "lab/fuzz.h"

enum { CHUNK = 64, CORPUS_MAX = 1 << 20, PATH_TEXT_MAX = 1024 };

struct buf fuzz_print(const struct scenario *s)
{
    const size_t cap = 65536 + (size_t)(s->nodes_n + s->faults_n) * 512;
    struct buf b = {malloc(cap), 0, cap};
    if (b.p == NULL)
        return b;
    struct wr w = wr_make(&b);
    scenario_print(s, false, &w);
    ASSERT(w.ok);
    return b;
}

void fuzz_text(struct slice text, struct cell *out)
{
    struct scenario s;
    struct result r = {0};
    char why[SCENARIO_WHY_MAX];
    const struct run_options o = {0};
    enum err e = scenario_parse(&s, &lab_heap, "drawn", text, why);
    if (e == ERR_OK)
        e = run_scenario(&s, &o, &r, why);
    if (e != ERR_OK)
        (void)snprintf(out->why, CELL_WHY_MAX, "%.230s", why);
    else if (r.failure[0] != '\0')
        (void)snprintf(out->why, CELL_WHY_MAX, "at %.3f s: %.200s", (double)r.end / 1e9, r.failure);
    else if (r.stuck)
        (void)snprintf(out->why, CELL_WHY_MAX, "at %.3f s: healed at %.3f s, and not everybody is complete", (double)r.end / 1e9,
            (double)s.world.heal / 1e9);
    out->v[0] = (double)(r.hash >> 32);
    out->v[1] = (double)(r.hash & UINT32_MAX);
    out->v[2] = (double)r.events;
    result_done(&r);
    scenario_done(&s);
}

struct job {
    enum draw_class class;
    uint64_t seed;
    bool known;                         // fails for a reason that is written down
};

struct batch {
    const struct job *jobs;
};

static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct batch *b = ctx;
    struct scenario s;
    if (draw_scenario(&s, &lab_heap, b->jobs[i].class, b->jobs[i].seed) != ERR_OK) {
        (void)snprintf(out->why, CELL_WHY_MAX, "not enough memory");
        return;
    }
    struct buf text = fuzz_print(&s);
    scenario_done(&s);
    if (text.p != NULL)
        fuzz_text(buf_slice(&text), out);
    free(text.p);
}

// Keeps the scenario of a failing seed as CLASS-SEED.scn.
static void keep(const struct lab_options *o, const struct job *j)
{
    char path[PATH_TEXT_MAX];
    struct scenario s;
    if (o->out == NULL || draw_scenario(&s, &lab_heap, j->class, j->seed) != ERR_OK)
        return;
    (void)mkdir(o->out, 0777);
    (void)snprintf(path, sizeof path, "%s/%s-%llu.scn", o->out, draw_classes[j->class], (unsigned long long)j->seed);
    struct buf text = fuzz_print(&s);
    FILE *f = text.p == NULL ? NULL : fopen(path, "w");
    if (f != NULL && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0)
        (void)printf("  kept as %s\n", path);
    else
        (void)lab_say(LAB_IO, "cannot write %s", path);
    free(text.p);
    scenario_done(&s);
}

struct tally {
    uint64_t runs, failed, known;
    double events;
};

static bool run_batch(const struct lab_options *o, const struct job *jobs, uint32_t n, struct tally *t)
{
    static struct cell cells[CHUNK];
    struct batch b = {.jobs = jobs};
    if (parallel_cells(n, FUZZ_SECONDS, work, &b, cells) != ERR_OK)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        const bool bad = c->why[0] != '\0';
        t->runs++;
        t->failed += bad && !jobs[i].known;
        t->known += bad && jobs[i].known;
        t->events += c->v[2];
        if (!bad && jobs[i].known)
            (void)printf("seed %llu class %s is good now: take `known` away\n", (unsigned long long)jobs[i].seed, draw_classes[jobs[i].class]);
        if (bad == jobs[i].known && n > 1)
            continue;
        (void)printf("%s seed %llu class %s trace %08x%08x%s%s\n", c->why[0] == '\0' ? "OK" : "FAIL", (unsigned long long)jobs[i].seed,
            draw_classes[jobs[i].class], (unsigned)c->v[0], (unsigned)c->v[1], c->why[0] == '\0' ? "" : ": ", c->why);
        if (c->why[0] == '\0')
            continue;
        (void)printf("  again: kith lab fuzz --seed %llu --class %s\n", (unsigned long long)jobs[i].seed, draw_classes[jobs[i].class]);
        keep(o, &jobs[i]);
    }
    (void)fflush(stdout);
    return true;
}

static bool find_class(const char *name, enum draw_class *out)
{
    for (uint32_t i = 0; draw_classes[i] != NULL; i++)
        if (strcmp(draw_classes[i], name) == 0) {
            *out = (enum draw_class)i;
            return true;
        }
    return false;
}

// Lines `CLASS SEED`, with comments behind `#`. What went wrong was said.
static int run_corpus(const struct lab_options *o, struct tally *t)
{
    struct buf text;
    const int status = lab_read(o->corpus, CORPUS_MAX, &text);
    if (status != LAB_DONE)
        return status;
    text.p[text.n] = '\0';
    bool good = true, bad_line = false;
    uint32_t line = 0, n = 0;
    static struct job jobs[CHUNK];
    for (char *at = (char *)text.p; good && *at != '\0';) {
        const size_t len = strcspn(at, "\n");
        char class[16] = "";
        unsigned long long seed = 0;
        line++;
        char *hash = memchr(at, '#', len);
        const size_t used = hash != NULL ? (size_t)(hash - at) : len;
        char row[128] = "", mark[16] = "";
        memcpy(row, at, size_min(used, sizeof row - 1));
        const int words = sscanf(row, "%15s %llu %15s", class, &seed, mark);
        good = words <= 0 || (words >= 2 && find_class(class, &jobs[n].class) && (mark[0] == '\0' || strcmp(mark, "known") == 0));
        bad_line = !good;
        if (bad_line)
            (void)lab_say(LAB_USAGE, "%s:%u: write `CLASS SEED` or `CLASS SEED known`", o->corpus, line);
        if (good && words >= 2) {
            jobs[n].known = mark[0] != '\0';
            jobs[n++].seed = seed;
            if (n == CHUNK) {
                good = run_batch(o, jobs, n, t);
                n = 0;
            }
        }
        at += len + (at[len] == '\n');
    }
    if (good && n > 0)
        good = run_batch(o, jobs, n, t);
    free(text.p);
    return good ? LAB_DONE : bad_line ? LAB_USAGE : lab_say(LAB_FAILED, "not enough memory");
}

static int print_drawn(enum draw_class class, uint64_t seed)
{
    struct scenario s;
    struct buf text = {0};
    if (draw_scenario(&s, &lab_heap, class, seed) == ERR_OK)
        text = fuzz_print(&s);
    scenario_done(&s);
    const bool good = text.p != NULL && fwrite(text.p, 1, text.n, stdout) == text.n;
    free(text.p);
    return good ? LAB_DONE : lab_say(LAB_FAILED, "cannot print the scenario");
}

int lab_fuzz(const struct lab_options *o)
{
    enum draw_class class = DRAW_MIXED;
    if (o->class != NULL && !find_class(o->class, &class))
        return lab_say(LAB_USAGE, "--class %s: write swarm, tracker or mixed", o->class);
    if (o->expand)
        return print_drawn(class, o->seed);
    static struct job jobs[CHUNK];
    struct tally t = {0};
    const uint64_t start = stage_clock_ms(), end = o->budget == 0 ? UINT64_MAX : start + o->budget / NSEC_MS;
    const int status = o->corpus != NULL ? run_corpus(o, &t) : LAB_DONE;
    if (status != LAB_DONE)
        return status;
    const uint64_t runs = o->runs != 0 ? o->runs : o->budget != 0 ? UINT64_MAX : o->corpus != NULL ? 0 : 1;
    for (uint64_t i = 0; i < runs && stage_clock_ms() < end;) {
        const uint32_t n = (uint32_t)u64_min(o->budget != 0 ? 8 : CHUNK, runs - i);
        for (uint32_t k = 0; k < n; k++)
            jobs[k] = (struct job){.class = class, .seed = o->seed + i + k};
        if (!run_batch(o, jobs, n, &t))
            return lab_say(LAB_FAILED, "not enough memory");
        i += n;
    }
    if (t.runs != 1)
        (void)printf("%llu seeds, %llu failed, %llu known to fail, %.1f million events, %.1f s\n", (unsigned long long)t.runs,
            (unsigned long long)t.failed, (unsigned long long)t.known, t.events / 1e6, (double)(stage_clock_ms() - start) / 1e3);
    return t.failed > 0 ? LAB_FAILED : LAB_DONE;
}
