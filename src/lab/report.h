// What an experiment says: a table, notes, verdicts against gates, a TSV file and a figure.
#pragma once
#include "lab/cli.h"
#include "lab/plot.h"
#include "lab/published.h"
#include "lab/stat.h"

enum { REPORT_ROWS_MAX = 400, REPORT_ROW_MAX = 400 };

struct report {
    const char *name;
    const struct lab_options *o;
    char (*rows)[REPORT_ROW_MAX];       // cells apart by tabs; the first row is the head
    uint32_t rows_n;
    uint32_t failed;
    bool broken;                        // a run did not work at all
    bool unwritten;                     // a file could not be written
};

void report_begin(struct report *r, const char *name, const struct lab_options *o);
// A row of the table; cells apart by tabs. The first one is the head.
FORMAT(2, 3) void report_row(struct report *r, const char *fmt, ...);
// A run went wrong: said at once, and the experiment fails.
void report_broken(struct report *r, const char *what);
// Prints the table and writes NAME.tsv.
void report_table(struct report *r);
// One verdict line against a published row; `what` says what was measured.
void report_published(struct report *r, const char *id, const char *what, struct interval measured);
// The same against a gate of our own: conditions as in the published file.
void report_own(struct report *r, const char *what, struct interval measured, const char *unit, const char *gate);
// Writes NAME.svg (or NAME-more.svg).
void report_plot(struct report *r, const struct plot *p, const char *more);
// Frees; the exit status.
int report_end(struct report *r);
