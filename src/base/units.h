// Sizes, rates and times as people write and read them. Integers only.
#pragma once
#include "base/base.h"

enum { UNITS_TEXT_MAX = 64 };           // any text made here and its NUL

// "16384", "16K", "1.5M", "8MiB" (1024s), "10MB" (1000s). At most six decimals. ERR_SYNTAX; ERR_RANGE: over 2^63.
MUST_USE enum err units_parse_size(const char *text, uint64_t *out);
// Bytes per second: a size, perhaps with "/s", or bits: "80Mbit" (1000s). "0", "none": no limit, 0. As above.
MUST_USE enum err units_parse_rate(const char *text, uint64_t *out);
// "30", "30s", "500ms", "5m", "1h30m", "2d". ERR_SYNTAX; ERR_RANGE: over 10 years.
MUST_USE enum err units_parse_time(const char *text, nsec *out);
// "1.5" as 1500 per mille. ERR_SYNTAX; ERR_RANGE: over `most`.
MUST_USE enum err units_parse_ratio(const char *text, uint64_t most, uint64_t *out_pm);
// A share in millionths: "2%", "0.02", "300ppm". ERR_SYNTAX; ERR_RANGE: over 2^63.
MUST_USE enum err units_parse_share(const char *text, uint64_t *out);

// "999 B", "404.1 MiB". All writers return out.
char *units_size(uint64_t bytes, char out[UNITS_TEXT_MAX]);
// "404.1MiB": for lines that are cut at blanks.
char *units_size_tight(uint64_t bytes, char out[UNITS_TEXT_MAX]);
// "404.1 / 631.0 MiB": both in the unit of `all`.
char *units_share(uint64_t part, uint64_t all, char out[UNITS_TEXT_MAX]);
// "41.3 MiB/s".
char *units_rate(uint64_t bps, char out[UNITS_TEXT_MAX]);
char *units_rate_tight(uint64_t bps, char out[UNITS_TEXT_MAX]);
// "5s", "1m05s", "2h03m", "3d04h"; UINT64_MAX: "-".
char *units_time(uint64_t seconds, char out[UNITS_TEXT_MAX]);
// "15.2 s", then as units_time.
char *units_elapsed(nsec t, char out[UNITS_TEXT_MAX]);
// Whole percent of `part` in `all`, rounded down: 100 only when it is all of it. all 0: 100.
unsigned units_percent(uint64_t part, uint64_t all);
// Bytes per second over `t`; t 0: 0.
uint64_t units_per_second(uint64_t bytes, nsec t);
