// Values of a scenario's options: from text to numbers and back, by a table of fields.
#pragma once
#include "sim/action.h"

enum { FIELD_TEXT_MAX = 512 };

enum field_type {
    FIELD_TIME,                         // ns
    FIELD_SIZE,                         // bytes
    FIELD_RATE,                         // bytes/s
    FIELD_SHARE,                        // ppm: "2%", "0.02"
    FIELD_COUNT,
    FIELD_WORD,                         // index in `words`
    FIELD_CONTENTS,                     // bits of the scenario's contents, "c0,c1"
    FIELD_SIZES,                        // of files
    FIELD_NODES,                        // a line of nodes above: its group + 1, and << 32 the node in it + 1 (0: one after the other)
    FIELD_ARRIVE,                       // "10s", "flash:10s", "every:2s", "poisson:2s"
};

// One `name=value`. Absent or zero means the first word, or no limit.
struct field {
    const char *name;
    enum field_type type;
    size_t offset;                      // in the struct it belongs to
    const char *const *words;           // FIELD_WORD; ends with NULL
    uint64_t max;                       // 0: the type's own
};

// The field of that name among n; NULL: none. out_near: the name that may have been meant, NULL: none.
const struct field *field_find(const struct field *fields, uint32_t n, struct slice name, const char **out_near);
// Reads a value of types TIME, SIZE, RATE, SHARE, COUNT and WORD. On failure `why` (FIELD_TEXT_MAX) has what was expected.
// ERR_SYNTAX, ERR_RANGE.
MUST_USE enum err field_read(const struct field *f, struct slice text, uint64_t *out, char *why);
// Writes such a value so that field_read gives it back.
void field_write(const struct field *f, uint64_t v, struct wr *w);
