// How far a word is from the one that was meant: for "did you mean".
#pragma once
#include "base/base.h"

enum { NEAR_MAX = 24 };                 // longer words are as far as can be

// Edit distance (Levenshtein, and neighbours in the wrong order are one mistake); UINT32_MAX for long words.
uint32_t near_distance(const char *a, const char *b);

// A search for the nearest of several names; zero is its start.
struct near {
    const char *written;
    const char *best;                   // NULL: none is near enough
    uint32_t distance;
};

// Takes `name` for the best so far if it is near to what was written; the front of a name is meant to be that name.
void near_consider(struct near *n, const char *name);
