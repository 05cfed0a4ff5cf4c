// Experiments: each makes scenarios as text, runs them over seeds, and says what it saw beside what was published.
#pragma once
#include "lab/parallel.h"
#include "lab/report.h"

struct experiment {
    const char *name, *line;
    int (*run)(const struct lab_options *o);
};

extern const struct experiment experiments[];
extern const uint32_t experiments_n;

enum { EXP_TEXT_MAX = 1 << 16, EXP_CELLS_MAX = 600 };

// A scenario under way.
struct exp_text {
    char text[EXP_TEXT_MAX];
    size_t n;
};

FORMAT(2, 3) void exp_line(struct exp_text *t, const char *fmt, ...);       // adds the newline
// Runs it. False: it could not be run or an oracle fired, and cell->why says what. out needs result_done in every case.
MUST_USE bool exp_run(const struct exp_text *t, const struct run_options *o, struct cell *cell, struct result *out);
// Runs n cells in parallel and reports those that went wrong; false: there were some.
bool exp_cells(struct report *r, uint32_t n, void (*work)(void *ctx, uint32_t i, struct cell *out), void *ctx, struct cell *cells);
// Value v of the cells first, first + step … (n of them).
struct interval exp_median(const struct cell *cells, uint32_t first, uint32_t step, uint32_t n, uint32_t v);
// Number of seeds: of --seeds, or the given ones.
uint32_t exp_seeds(const struct lab_options *o, uint32_t quick, uint32_t full);
// Kumar and Ross 2006, in seconds: max{F/us, F/dmin, NF/(us + N u)}; bytes and bytes/s.
double exp_bound(double bytes, double us, double dmin, double u, double n);

int exp_distribution(const struct lab_options *o);
int exp_incentive(const struct lab_options *o);
int exp_newcomer(const struct lab_options *o);
int exp_order(const struct lab_options *o);
int exp_flashcrowd(const struct lab_options *o);
int exp_churn(const struct lab_options *o);
int exp_superlinear(const struct lab_options *o);
int exp_dht(const struct lab_options *o);
int exp_trackerdeath(const struct lab_options *o);
