// One run of a scenario as a test: did it hold what every scenario must hold?
#pragma once
#include "lab/parallel.h"
#include "lab/scenario.h"

enum { FUZZ_SECONDS = 120 };            // of CPU for one run

// Runs a text; out->why says what failed, v[0] and v[1] are the halves of the trace hash, v[2] events. Reading it is part of the test.
void fuzz_text(struct slice text, struct cell *out);
// Prints a scenario into a fresh buffer, to be freed; p NULL: out of memory.
struct buf fuzz_print(const struct scenario *s);
