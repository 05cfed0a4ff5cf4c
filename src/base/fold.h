// Text in which a letter's case does not count: header names, host names, file names of some systems. ASCII only, no locale.
#pragma once
#include "base/bytes.h"

static inline uint8_t fold(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c; }
bool fold_eq(struct slice a, struct slice b);
bool fold_eq_str(struct slice a, const char *s);
bool fold_starts(struct slice a, const char *prefix);
