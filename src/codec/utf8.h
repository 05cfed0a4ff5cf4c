// UTF-8, one code point at a time. RFC 3629.
#pragma once
#include "base/bytes.h"

enum { UTF8_INVALID = -1 };

// The code point at the start of s (s.n > 0), or UTF8_INVALID: a stray, cut, overlong or surrogate sequence, or above
// U+10FFFF. *out_n: the bytes that it takes up; of an invalid one, those that look like one sequence; at least 1.
int32_t utf8_next(struct slice s, size_t *out_n);
bool utf8_valid(struct slice s);
