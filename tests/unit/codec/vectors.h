// Reads published vectors: files and JSON below tests/vectors. For tests only.
#pragma once
#include "test.h"

#include <jansson.h>

// A whole file; free() it. Its length goes to *n.
static inline uint8_t *vector_file(const char *name, size_t *n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/vectors/%s", TEST_DATA, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("no file %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

static inline json_t *vector_json(const char *name)
{
    size_t n = 0;
    uint8_t *text = vector_file(name, &n);
    json_error_t error;
    json_t *root = json_loadb((const char *)text, n, JSON_ALLOW_NUL, &error);
    if (root == NULL)
        fail_msg("%s: line %d: %s", name, error.line, error.text);
    free(text);
    return root;
}

static inline const char *json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

// The bytes of a string of hex digits; free() .p.
static inline struct slice json_hex(const json_t *string)
{
    const size_t n = json_string_length(string) / 2;
    uint8_t *p = malloc(n + 1);
    assert_non_null(p);
    assert_int_equal(hex_parse(slice_of(json_string_value(string), 2 * n), p, n), ERR_OK);
    return slice_of(p, n);
}

static inline void assert_slice(struct slice got, const char *expect)
{
    if (!slice_eq_str(got, expect))
        fail_msg("\"%.*s\" in place of \"%s\"", (int)got.n, (const char *)got.p, expect);
}

static inline void assert_hex(const uint8_t *got, size_t n, const char *expect)
{
    char text[2 * 64 + 1] = {0};
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", got[i]);
    assert_string_equal(text, expect);
}
