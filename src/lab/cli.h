// The commands of `kith lab` and what they share.
#pragma once
#include "lab/mem.h"
#include "lab/run.h"

// As the codes of `kith help exit`.
enum lab_status { LAB_DONE = 0, LAB_FAILED = 1, LAB_USAGE = 2, LAB_NOT_FOUND = 3, LAB_IO = 8 };

struct lab_options {
    const char *words[2];               // the command and its argument
    uint32_t words_n;
    const char *given[32];              // the options, as they were written
    uint32_t given_n;
    bool quick, tsv, help, expand, check, big, seeded;
    uint64_t seed, seeds, runs;
    nsec budget;
    const char *out, *class, *corpus;
};

int lab_run(const struct lab_options *o);
int lab_trace(const struct lab_options *o);
int lab_fuzz(const struct lab_options *o);
int lab_replay(const struct lab_options *o);
int lab_shrink(const struct lab_options *o);
int lab_all(const struct lab_options *o);
// The experiment of that name; LAB_NOT_FOUND: there is none, and nothing was said.
int lab_experiment(const struct lab_options *o);

// Says on stderr what went wrong, in one line; returns status.
FORMAT(2, 3) int lab_say(enum lab_status status, const char *fmt, ...);
// Reads a whole file, at most max bytes. *out is to be freed. Says what is wrong.
MUST_USE int lab_read(const char *path, size_t max, struct buf *out);
// Reads a scenario and says what is wrong with it. out needs scenario_done in every case.
MUST_USE int lab_load(const char *path, struct scenario *out);
