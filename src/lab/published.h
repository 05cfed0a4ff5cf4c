// Published results, and how ours compare: tests/bench/published.tsv, which is built in.
#pragma once
#include "base/base.h"

enum { PUBLISHED_TEXT_MAX = 200 };

// One row; id and gate are its words, see the head of the file.
struct published {
    char id[32], quantity[PUBLISHED_TEXT_MAX], value[32], unit[24], source[PUBLISHED_TEXT_MAX], provenance[24], gate[PUBLISHED_TEXT_MAX];
};

enum verdict { VERDICT_FAILED, VERDICT_REPRODUCED, VERDICT_BETTER, VERDICT_NONE };

// False: no such row.
bool published_find(const char *id, struct published *out);
// Holds the interval low … high, in the row's unit, against its gate: all of it must satisfy the condition. VERDICT_NONE: the row is
// context only.
enum verdict published_judge(const struct published *p, double low, double high);
// The same against conditions as they stand in a gate, where "x" stands for `published`.
enum verdict gate_judge(const char *gate, double published, double low, double high);
const char *published_word(enum verdict v);
