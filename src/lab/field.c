// See field.h.
#include "lab/field.h"

#include <stdio.h>

#include "base/near.h"
#include "base/units.h"

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

static enum err read_number(const struct field *f, const char *text, uint64_t *v, const char **wanted)
{
    switch (f->type) {
    case FIELD_TIME: *wanted = "a time such as 500ms, 30s, 5m or 1h30m"; return units_parse_time(text, v);
    case FIELD_SIZE: *wanted = "a size such as 16384, 256KiB or 10MB"; return units_parse_size(text, v);
    case FIELD_RATE: *wanted = "a rate such as 500kB, 2MiB or 400kbit"; return units_parse_rate(text, v);
    case FIELD_SHARE: *wanted = "a share such as 2%, 0.02 or 300ppm"; return units_parse_share(text, v);
    case FIELD_COUNT: *wanted = "a number"; return dec_parse(slice_str(text), UINT32_MAX, v);
    case FIELD_WORD:
    case FIELD_CONTENTS:
    case FIELD_SIZES:
    case FIELD_NODES:
    case FIELD_ARRIVE: break;
    }
    ASSERT(false);
    return ERR_SYNTAX;
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
    const char *wanted = "";
    uint64_t v = 0;
    enum err e = read_number(f, word, &v, &wanted);
    if (e == ERR_OK && f->max != 0 && v > f->max) {
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
        (void)snprintf(why, FIELD_TEXT_MAX, "%s", wanted);
    return e;
}

static void write_time(uint64_t v, struct wr *w)
{
    static const struct {
        const char *name;
        uint64_t unit;
    } units[] = {{"h", 3600 * NSEC_S}, {"m", 60 * NSEC_S}, {"s", NSEC_S}, {"ms", NSEC_MS}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (v % units[i].unit == 0 && v != 0) {
            wr_fmt(w, "%llu%s", (unsigned long long)(v / units[i].unit), units[i].name);
            return;
        }
    wr_fmt(w, "%llu.%06llums", (unsigned long long)(v / NSEC_MS), (unsigned long long)(v % NSEC_MS));
}

void field_write(const struct field *f, uint64_t v, struct wr *w)
{
    switch (f->type) {
    case FIELD_TIME: write_time(v, w); break;
    case FIELD_SIZE:
        if (v != 0 && v % MIB == 0)
            wr_fmt(w, "%lluMiB", (unsigned long long)(v / MIB));
        else if (v != 0 && v % KIB == 0)
            wr_fmt(w, "%lluKiB", (unsigned long long)(v / KIB));
        else
            wr_dec(w, v);
        break;
    case FIELD_RATE:
        if (v != 0 && v % 1000 == 0)
            wr_fmt(w, "%llukB", (unsigned long long)(v / 1000));
        else
            wr_dec(w, v);
        break;
    case FIELD_SHARE:
        if (v != 0 && v % 10000 == 0)
            wr_fmt(w, "%llu%%", (unsigned long long)(v / 10000));
        else
            wr_fmt(w, "%lluppm", (unsigned long long)v);
        break;
    case FIELD_COUNT: wr_dec(w, v); break;
    case FIELD_WORD: wr_str(w, f->words[v]); break;
    case FIELD_CONTENTS:
    case FIELD_SIZES:
    case FIELD_NODES:
    case FIELD_ARRIVE: ASSERT(false); break;
    }
}
