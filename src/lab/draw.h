// From a seed to a scenario: nodes, lines, contents, hostile peers and faults, all drawn. Each group of faults is left out half of the time,
// so that faults do not hide each other. All ends with `heal`, from where on everybody must complete.
#pragma once
#include "lab/scenario.h"

enum draw_class { DRAW_SWARM, DRAW_TRACKER, DRAW_MIXED, DRAW_CLASSES };

extern const char *const draw_classes[DRAW_CLASSES + 1];        // names, ends with NULL

// ERR_NOMEM. out needs scenario_done in every case.
MUST_USE enum err draw_scenario(struct scenario *out, const struct mem *mem, enum draw_class class, uint64_t seed);
// What fails a run, without its numbers: two runs with the same text fail alike. "" for a good run.
enum { DRAW_SIGN_MAX = 200 };
void draw_signature(const char *why, char out[DRAW_SIGN_MAX]);
