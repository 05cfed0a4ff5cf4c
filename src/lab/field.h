// Values of a scenario's options: from text to numbers and back, by a table of fields.
#pragma once
#include "lab/fault.h"

enum { FIELD_TEXT_MAX = 512 };

// The field of that name among n; NULL: none. out_near: the name that may have been meant, NULL: none.
const struct field *field_find(const struct field *fields, uint32_t n, struct slice name, const char **out_near);
// Reads a value of types TIME, SIZE, RATE, SHARE, COUNT and WORD. On failure `why` (FIELD_TEXT_MAX) has what was expected.
// ERR_SYNTAX, ERR_RANGE.
MUST_USE enum err field_read(const struct field *f, struct slice text, uint64_t *out, char *why);
// Writes such a value so that field_read gives it back.
void field_write(const struct field *f, uint64_t v, struct wr *w);
