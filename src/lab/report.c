// See report.h.
#include "lab/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { COLUMNS_MAX = 24, PATH_TEXT_MAX = 1024 };

void report_begin(struct report *r, const char *name, const struct lab_options *o)
{
    *r = (struct report){.name = name, .o = o};
    r->rows = calloc(REPORT_ROWS_MAX, sizeof *r->rows);
    ASSERT(r->rows != NULL);
}

void report_row(struct report *r, const char *fmt, ...)
{
    if (r->rows_n == REPORT_ROWS_MAX)
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(r->rows[r->rows_n++], REPORT_ROW_MAX, fmt, args);
    va_end(args);
}

void report_broken(struct report *r, const char *what)
{
    r->broken = true;
    (void)lab_say(LAB_FAILED, "%s: a run failed: %s", r->name, what);
}

// Opens NAME[-more].EXT in the directory of --out.
static FILE *open_file(const struct report *r, const char *more, const char *ext, char path[PATH_TEXT_MAX])
{
    const char *dir = r->o->out != NULL ? r->o->out : ".";
    (void)snprintf(path, PATH_TEXT_MAX, "%s/%s%s%s.%s", dir, r->name, more != NULL ? "-" : "", more != NULL ? more : "", ext);
    if (r->o->out != NULL && mkdir(dir, 0777) != 0 && errno != EEXIST)
        return NULL;
    return fopen(path, "w");
}

static void close_file(struct report *r, FILE *f, const char *path)
{
    const bool good = f != NULL && ferror(f) == 0;
    if (f == NULL || fclose(f) != 0 || !good) {
        r->unwritten = true;
        (void)lab_say(LAB_IO, "cannot write %s", path);
    }
}

static void measure(const char *row, size_t widths[COLUMNS_MAX])
{
    for (size_t c = 0; c < COLUMNS_MAX && *row != '\0'; c++) {
        const size_t n = strcspn(row, "\t");
        widths[c] = n > widths[c] ? n : widths[c];
        row += n + (row[n] == '\t');
    }
}

static void print_row(const char *row, const size_t widths[COLUMNS_MAX])
{
    for (size_t c = 0; c < COLUMNS_MAX && *row != '\0'; c++) {
        const size_t n = strcspn(row, "\t");
        (void)printf(c == 0 ? "  %-*.*s" : "  %*.*s", (int)widths[c], (int)n, row);
        row += n + (row[n] == '\t');
    }
    (void)puts("");
}

void report_table(struct report *r)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (uint32_t i = 0; i < r->rows_n; i++)
        measure(r->rows[i], widths);
    for (uint32_t i = 0; i < r->rows_n; i++)
        print_row(r->rows[i], widths);
    char path[PATH_TEXT_MAX] = "";
    FILE *f = open_file(r, NULL, "tsv", path);
    for (uint32_t i = 0; f != NULL && i < r->rows_n; i++)
        (void)fprintf(f, "%s\n", r->rows[i]);
    close_file(r, f, path);
}

static void say(struct report *r, enum verdict v, const char *what, struct interval m, const char *unit)
{
    // --quick is too small to judge: small files and few seeds say little. It shows that everything works.
    r->failed += v == VERDICT_FAILED && !r->o->quick;
    (void)printf("%s %s %s: %.4g %s", r->name, r->o->quick ? "quick" : published_word(v), what, m.mid, unit);
    if (m.high > m.low)
        (void)printf(" (95 %%: %.4g to %.4g)", m.low, m.high);
}

void report_published(struct report *r, const char *id, const char *what, struct interval measured)
{
    struct published p;
    if (!published_find(id, &p)) {
        report_broken(r, id);
        return;
    }
    say(r, published_judge(&p, measured.low, measured.high), what, measured, p.unit);
    (void)printf("; published %s %s, gate: %s; %s [%s, %s]\n", p.value, p.unit, p.gate, p.source, p.id, p.provenance);
}

void report_own(struct report *r, const char *what, struct interval measured, const char *unit, const char *gate)
{
    say(r, gate_judge(gate, 1, measured.low, measured.high), what, measured, unit);
    (void)printf("; gate: %s; own\n", gate);
}

void report_plot(struct report *r, const struct plot *p, const char *more)
{
    char path[PATH_TEXT_MAX] = "";
    FILE *f = open_file(r, more, "svg", path);
    if (f != NULL)
        plot_write(p, f);
    close_file(r, f, path);
}

int report_end(struct report *r)
{
    free(r->rows);
    r->rows = NULL;
    return r->broken || r->failed > 0 ? LAB_FAILED : r->unwritten ? LAB_IO : LAB_DONE;
}
