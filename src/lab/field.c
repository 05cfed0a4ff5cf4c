// See field.h.
#include "lab/field.h"

#include <stdio.h>

#include "base/near.h"

enum { VALUE_TEXT_MAX = 64 };

const struct field *field_find(const struct field *fields, uint32_t n, struct slice name, const char **out_near)
{
    char word[NEAR_MAX + 2] = "";
    if (name.n != 0)
        memcpy(word, name.p, size_min(name.n, NEAR_MAX + 1));
    struct near near = {.written = word};
    *out_near = NULL;
    for (uint32_t i = 0; i < n && fields[i].name != NULL; i++) {
        if (slice_eq_str(name, fields[i].name))
            return &fields[i];
        near_consider(&near, fields[i].name);
    }
    *out_near = near.best;
    return NULL;
}

static enum err read_word(const struct field *f, const char *text, uint64_t *out, char *why)
{
    struct near near = {.written = text};
    for (uint32_t i = 0; f->words[i] != NULL; i++) {
        if (strcmp(f->words[i], text) == 0) {
            *out = i;
            return ERR_OK;
        }
        near_consider(&near, f->words[i]);
    }
    int n = snprintf(why, FIELD_TEXT_MAX, "one of");
    for (uint32_t i = 0; f->words[i] != NULL && n > 0 && n < FIELD_TEXT_MAX; i++)
        n += snprintf(why + n, (size_t)(FIELD_TEXT_MAX - n), " %s", f->words[i]);
    if (near.best != NULL && n > 0 && n < FIELD_TEXT_MAX)
        (void)snprintf(why + n, (size_t)(FIELD_TEXT_MAX - n), " (did you mean %s?)", near.best);
    return ERR_SYNTAX;
}

// How values of plain types are read and written: as those of actions.
static enum action_arg arg_of(enum field_type type)
{
    switch (type) {
    case FIELD_TIME: return ARG_TIME;
    case FIELD_SIZE: return ARG_BYTES;
    case FIELD_RATE: return ARG_RATE;
    case FIELD_SHARE: return ARG_PPM;
    case FIELD_COUNT: return ARG_COUNT;
    case FIELD_WORD:
    case FIELD_CONTENTS:
    case FIELD_SIZES:
    case FIELD_NODES:
    case FIELD_ARRIVE: break;
    }
    return ARG_NONE;
}

enum err field_read(const struct field *f, struct slice text, uint64_t *out, char *why)
{
    char word[VALUE_TEXT_MAX];
    if (text.n >= sizeof word || (text.n != 0 && memchr(text.p, 0, text.n) != NULL)) {
        (void)snprintf(why, FIELD_TEXT_MAX, "something shorter");
        return ERR_SYNTAX;
    }
    if (text.n != 0)
        memcpy(word, text.p, text.n);
    word[text.n] = '\0';
    if (f->type == FIELD_WORD)
        return read_word(f, word, out, why);
    uint64_t v = 0;
    const enum err e = action_value(arg_of(f->type), text, &v);
    if (f->max != 0 && (e == ERR_RANGE || (e == ERR_OK && v > f->max))) {
        uint8_t space[VALUE_TEXT_MAX];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        field_write(f, f->max, &w);
        (void)snprintf(why, FIELD_TEXT_MAX, "at most %.*s", (int)b.n, (const char *)space);
        return ERR_RANGE;
    }
    if (e == ERR_OK)
        *out = v;
    else
        (void)snprintf(why, FIELD_TEXT_MAX, "%s", action_expects(arg_of(f->type)));
    return e;
}

void field_write(const struct field *f, uint64_t v, struct wr *w)
{
    if (f->type == FIELD_WORD) {
        wr_str(w, f->words[v]);
        return;
    }
    ASSERT(arg_of(f->type) != ARG_NONE);
    action_value_write(w, arg_of(f->type), v);
}
