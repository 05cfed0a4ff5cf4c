// kith-lab: the laboratory, as a program of its own; `kith lab` runs it. The simulator never meets the real host.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/near.h"
#include "base/units.h"
#include "lab/exp.h"

int lab_say(enum lab_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("kith lab: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputs("\n", stderr);
    va_end(args);
    return (int)status;
}

int lab_read(const char *path, size_t max, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return lab_say(errno == ENOENT ? LAB_NOT_FOUND : LAB_IO, "cannot open %s: %s", path, strerror(errno));
    *out = (struct buf){.p = malloc(max + 1), .cap = max + 1};
    if (out->p != NULL)
        out->n = fread(out->p, 1, max + 1, f);
    const bool failed = ferror(f) != 0;
    (void)fclose(f);
    if (out->p == NULL)
        return lab_say(LAB_FAILED, "not enough memory");
    if (!failed && out->n <= max)
        return LAB_DONE;
    free(out->p);
    out->p = NULL;
    return failed ? lab_say(LAB_IO, "cannot read %s", path) : lab_say(LAB_USAGE, "%s is longer than %zu bytes", path, max);
}

int lab_load(const char *path, struct scenario *out)
{
    struct buf text = {0};
    scenario_init(out, &lab_heap);
    const int status = lab_read(path, SCENARIO_BYTES_MAX, &text);
    if (status != LAB_DONE)
        return status;
    char why[SCENARIO_WHY_MAX];
    const enum err e = scenario_parse(out, &lab_heap, path, buf_slice(&text), why);
    free(text.p);
    return e == ERR_OK ? LAB_DONE : lab_say(LAB_USAGE, "%s", why);
}

// ---- the command line

struct command {
    const char *name, *args, *line, *takes;     // takes: the options that say something to it
    int (*run)(const struct lab_options *o);
    uint32_t words;                             // behind the name
};

#define OF_EXPERIMENTS "--quick --big --seeds --out"

static int list(const struct lab_options *o);
static int help(const struct lab_options *o);

static const struct command commands[] = {
    {"list", "", "the experiments, and the faults of scenarios with their options", "", list, 0},
    {"run", "FILE.scn", "run one scenario and print what came out", "--seed --expand --check", lab_run, 1},
    {"trace", "FILE.scn", "print every record of its trace", "--seed --check --tsv", lab_trace, 1},
    {"fuzz", "", "scenarios drawn from seeds: everything may break, then all is healed and must complete",
        "--seed --class --runs --budget --corpus --expand --out", lab_fuzz, 0},
    {"shrink", "FILE.scn", "the smallest scenario that fails the same way (gates are not looked at), on stdout", "--budget", lab_shrink, 1},
    {"replay", "FILE", "what `kith get --record FILE` wrote: the same inputs, the same outputs?", "", lab_replay, 1},
    {"all", "", "every experiment", OF_EXPERIMENTS, lab_all, 0},
    {"help", "", "this", "", help, 0},
};

static int help(const struct lab_options *o)
{
    (void)o;
    (void)puts("usage: kith lab COMMAND [argument] [option...]\n\n"
               "Whole nodes, hundreds and thousands of them, in a simulated internet. Same seed, same run.\n\ncommands:");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        (void)printf("  %-9s %-10s %s\n", commands[i].name, commands[i].args, commands[i].line);
    (void)puts("  NAME                 an experiment of `kith lab list`: its table, NAME.tsv, NAME.svg and verdicts\n\noptions:\n"
               "  --quick       experiments: small, at most 5 seconds\n"
               "  --big         experiments: larger, minutes to an hour\n"
               "  --seeds N     experiments: so many runs of each case\n"
               "  --out DIR     experiments: where files go, default: here; fuzz: where failing scenarios are kept\n"
               "  --seed N      run, trace: instead of the scenario's; fuzz: the first one\n"
               "  --class C     fuzz: swarm, tracker or mixed\n"
               "  --runs K      fuzz: so many seeds, one after the other\n"
               "  --budget T    fuzz, shrink: stop after so long; shrink: 10m\n"
               "  --corpus FILE fuzz: first the seeds in this file, lines `CLASS SEED`\n"
               "  --expand      run: print the scenario, every node and arrival a line of its own, and do not run it\n"
               "                fuzz: print what is drawn from the first seed, and do not run it\n"
               "  --check       run, trace: check the invariants of every engine after every step (slow)\n"
               "  --tsv         trace: tab-separated columns\n"
               "  --help, -h    this\n\n"
               "examples:\n"
               "  kith lab list\n"
               "  kith lab run tests/scenario/flash.scn\n"
               "  kith lab run tests/scenario/flash.scn --expand\n"
               "  kith lab trace tests/scenario/flash.scn --tsv | grep crash\n\n"
               "Exit codes: 0 done, 1 a gate missed, an oracle fired or a replay differs (one of a recording that ends early, as of a process\n"
               "that was killed, is done where that ends, and says so), 2 wrong usage, a bad scenario or no recording, 3 no such file, 8 cannot\n"
               "read or write.");
    return LAB_DONE;
}

static void list_param(const struct action_param *p)
{
    uint8_t space[200];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    if (p->key == NULL)
        return;
    wr_fmt(&w, p->optional ? " [%s=" : " %s=", p->key);
    const bool words = p->kind == ARG_FATE || p->kind == ARG_WEB || p->kind == ARG_FLAG;
    for (uint64_t v = p->low; words && v <= p->high; v++) {
        action_value_write(&w, p->kind, v);
        wr_str(&w, v < p->high ? "|" : "");
    }
    if (!words && p->high != 0) {
        action_value_write(&w, p->kind, p->low);
        wr_str(&w, "..");
        action_value_write(&w, p->kind, p->high);
    }
    wr_str(&w, p->optional ? "]" : "");
    (void)printf("%.*s", (int)b.n, (const char *)space);
}

static int list(const struct lab_options *o)
{
    static const char *const whom[] = {[SCOPE_HOSTS] = " node=", [SCOPE_PATHS] = " [node=] [to=]", [SCOPE_WORLD] = ""};
    (void)o;
    (void)puts("experiments:");
    for (uint32_t i = 0; i < experiments_n; i++)
        (void)printf("  %-13s %s\n", experiments[i].name, experiments[i].line);
    (void)puts("\nfaults of scenarios: `at TIME fault NAME option=value ...`. node= and to= take a node, a line of nodes, FIRST-LAST or *;\n"
               "all but those without node= take share=PERCENT: so many of them. Ranges are those that `fuzz` draws from.");
    for (uint32_t g = 0; g < ACTION_GROUPS; g++) {
        (void)printf("%s:\n", action_group_name((enum action_group)g));
        for (uint32_t i = 0; i < ACTION_KINDS; i++) {
            const struct action_info *info = action_info((enum action_kind)i);
            if ((uint32_t)info->group != g)
                continue;
            (void)printf("  %s%s", info->name, whom[info->scope]);
            list_param(&info->a);
            list_param(&info->b);
            (void)printf("%s\n      %s\n", info->lasts ? " [for=]" : "", info->help);
        }
    }
    return LAB_DONE;
}

// The value behind an option; NULL: there is none, and it was said.
static const char *value_of(int argc, char **argv, int *i)
{
    if (*i + 1 < argc)
        return argv[++*i];
    (void)lab_say(LAB_USAGE, "%s wants a value", argv[*i]);
    return NULL;
}

static bool read_count(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    if (text != NULL && dec_parse(slice_str(text), max, out) == ERR_OK && *out >= min)
        return true;
    if (text != NULL)
        (void)lab_say(LAB_USAGE, "%s %s: write a number from %llu to %llu", name, text, (unsigned long long)min, (unsigned long long)max);
    return false;
}

static bool read_option(struct lab_options *o, int argc, char **argv, int *i)
{
    static const char *const names[] = {"--quick", "--tsv", "--help", "--expand", "--check", "--big", "--seed", "--seeds", "--runs", "--budget",
        "--out", "--class", "--corpus"};
    const char *a = argv[*i];
    bool *const flags[] = {&o->quick, &o->tsv, &o->help, &o->expand, &o->check, &o->big};
    if (strcmp(a, "-h") == 0) {
        o->help = true;
        return true;
    }
    if (o->given_n < ARRAY_LEN(o->given))
        o->given[o->given_n++] = a;
    for (size_t k = 0; k < ARRAY_LEN(flags); k++)
        if (strcmp(a, names[k]) == 0) {
            *flags[k] = true;
            return true;
        }
    o->seeded |= strcmp(a, "--seed") == 0;
    if (strcmp(a, "--seed") == 0)
        return read_count(a, value_of(argc, argv, i), 0, UINT64_MAX, &o->seed);
    if (strcmp(a, "--seeds") == 0)
        return read_count(a, value_of(argc, argv, i), 1, 1000, &o->seeds);
    if (strcmp(a, "--runs") == 0)
        return read_count(a, value_of(argc, argv, i), 1, 100000000, &o->runs);
    if (strcmp(a, "--out") == 0)
        return (o->out = value_of(argc, argv, i)) != NULL;
    if (strcmp(a, "--class") == 0)
        return (o->class = value_of(argc, argv, i)) != NULL;
    if (strcmp(a, "--corpus") == 0)
        return (o->corpus = value_of(argc, argv, i)) != NULL;
    if (strcmp(a, "--budget") == 0) {
        const char *v = value_of(argc, argv, i);
        if (v != NULL && units_parse_time(v, &o->budget) == ERR_OK && o->budget != 0)
            return true;
        return v != NULL && lab_say(LAB_USAGE, "--budget %s: write a time such as 30s or 5m", v) == LAB_DONE;
    }
    struct near near = {.written = a};
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        near_consider(&near, names[k]);
    (void)lab_say(LAB_USAGE, near.best != NULL ? "unknown option %s; did you mean %s?" : "unknown option %s", a, near.best);
    return false;
}

static int usage(const char *name, const char *args)
{
    return lab_say(LAB_USAGE, "usage: kith lab %s%s%s", name, *args != '\0' ? " " : "", args);
}

// What a command does not know says nothing to it: whoever writes it means something else.
static bool takes_all(const struct lab_options *o, const char *name, const char *takes)
{
    char word[64], all[160];
    (void)snprintf(all, sizeof all, " %s ", takes);
    for (uint32_t i = 0; i < o->given_n; i++) {
        (void)snprintf(word, sizeof word, " %.60s ", o->given[i]);
        if (strstr(all, word) == NULL)
            return lab_say(LAB_USAGE, "%s is no option of %s; `kith lab help` says whose it is", o->given[i], name) == LAB_DONE;
    }
    return true;
}

static int dispatch(const struct lab_options *o)
{
    struct near near = {.written = o->words[0]};
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        near_consider(&near, commands[i].name);
        if (strcmp(commands[i].name, o->words[0]) != 0)
            continue;
        if (o->help)
            return help(o);
        if (o->words_n - 1 != commands[i].words)
            return usage(commands[i].name, commands[i].args);
        return takes_all(o, commands[i].name, commands[i].takes) ? commands[i].run(o) : LAB_USAGE;
    }
    if (o->help)
        return help(o);
    for (uint32_t i = 0; i < experiments_n; i++) {
        near_consider(&near, experiments[i].name);
        if (strcmp(experiments[i].name, o->words[0]) != 0)
            continue;
        if (o->words_n != 1)
            return usage(experiments[i].name, "");
        return takes_all(o, experiments[i].name, OF_EXPERIMENTS) ? lab_experiment(o) : LAB_USAGE;
    }
    if (near.best != NULL)
        return lab_say(LAB_USAGE, "no experiment or command %s; did you mean %s?", o->words[0], near.best);
    return lab_say(LAB_USAGE, "no experiment or command %s; `kith lab list` lists them", o->words[0]);
}

int main(int argc, char **argv)
{
    struct lab_options o = {0};
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!read_option(&o, argc, argv, &i))
                return LAB_USAGE;
        } else if (o.words_n == ARRAY_LEN(o.words)) {
            return lab_say(LAB_USAGE, "one word too many: %s", argv[i]);
        } else {
            o.words[o.words_n++] = argv[i];
        }
    }
    int status = o.words_n == 0 ? help(&o) : dispatch(&o);
    if (o.words_n == 0 && !o.help)
        status = LAB_USAGE;
    if (fflush(stdout) != 0 || ferror(stdout))
        return status != 0 ? status : lab_say(LAB_IO, "cannot write to standard output");
    return status;
}
