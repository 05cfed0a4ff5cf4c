// Slices and cursors: see bytes.h.
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_eq_str(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

bool slice_starts(struct slice a, const char *prefix)
{
    const struct slice p = slice_str(prefix);
    return a.n >= p.n && (p.n == 0 || memcmp(a.p, p.p, p.n) == 0);
}

int slice_cmp(struct slice a, struct slice b)
{
    const size_t n = size_min(a.n, b.n);
    const int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (c != 0)
        return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

struct slice slice_sub(struct slice s, size_t from, size_t n)
{
    if (from >= s.n)
        return (struct slice){0};
    return (struct slice){s.p + from, size_min(n, s.n - from)};
}

struct slice slice_trim(struct slice s, const char *blanks)
{
    const size_t n = strlen(blanks);
    while (s.n != 0 && memchr(blanks, s.p[0], n) != NULL)
        s = slice_sub(s, 1, s.n);
    while (s.n != 0 && memchr(blanks, s.p[s.n - 1], n) != NULL)
        s.n--;
    return s;
}

struct slice rd_bytes(struct rd *r, size_t n)
{
    if (!r->ok || n > r->n) {
        r->ok = false;
        return (struct slice){0};
    }
    const struct slice s = {r->p, n};
    r->p += n;
    r->n -= n;
    return s;
}

void rd_copy(struct rd *r, void *out, size_t n)
{
    const struct slice s = rd_bytes(r, n);
    if (s.p != NULL)
        memcpy(out, s.p, n);
    else
        memset(out, 0, n);
}

static uint64_t rd_be(struct rd *r, size_t n)
{
    const struct slice s = rd_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

uint8_t rd_u8(struct rd *r) { return (uint8_t)rd_be(r, 1); }
uint16_t rd_be16(struct rd *r) { return (uint16_t)rd_be(r, 2); }
uint32_t rd_be32(struct rd *r) { return (uint32_t)rd_be(r, 4); }
uint64_t rd_be64(struct rd *r) { return rd_be(r, 8); }

void wr_bytes(struct wr *w, struct slice s)
{
    if (!w->ok || s.n > buf_room(w->b)) {
        w->ok = false;
        return;
    }
    if (s.n != 0)
        memcpy(w->b->p + w->b->n, s.p, s.n);
    w->b->n += s.n;
}

static void wr_be(struct wr *w, uint64_t v, size_t n)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    wr_bytes(w, slice_of(bytes, n));
}

void wr_u8(struct wr *w, uint8_t v) { wr_be(w, v, 1); }
void wr_be16(struct wr *w, uint16_t v) { wr_be(w, v, 2); }
void wr_be32(struct wr *w, uint32_t v) { wr_be(w, v, 4); }
void wr_be64(struct wr *w, uint64_t v) { wr_be(w, v, 8); }
void wr_str(struct wr *w, const char *s) { wr_bytes(w, slice_str(s)); }

void wr_dec(struct wr *w, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    wr_bytes(w, slice_of(digits + at, sizeof digits - at));
}

void wr_dec_signed(struct wr *w, int64_t v)
{
    if (v < 0)
        wr_u8(w, '-');
    wr_dec(w, v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v);
}

void wr_hex(struct wr *w, struct slice s)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < s.n; i++) {
        wr_u8(w, (uint8_t)digit[s.p[i] >> 4]);
        wr_u8(w, (uint8_t)digit[s.p[i] & 15]);
    }
}

void wr_fmt(struct wr *w, const char *fmt, ...)
{
    if (!w->ok)
        return;
    const size_t room = buf_room(w->b);
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf((char *)w->b->p + w->b->n, room, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)     // vsnprintf needs room for its NUL too
        w->ok = false;
    else
        w->b->n += (size_t)n;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum err hex_parse(struct slice text, uint8_t *out, size_t n)
{
    if (text.n != 2 * n)
        return ERR_SYNTAX;
    for (size_t i = 0; i < text.n; i++)
        if (hex_digit(text.p[i]) < 0)
            return ERR_SYNTAX;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(hex_digit(text.p[2 * i]) * 16 + hex_digit(text.p[2 * i + 1]));
    return ERR_OK;
}

enum err dec_parse(struct slice text, uint64_t max, uint64_t *out)
{
    if (text.n == 0)
        return ERR_SYNTAX;
    uint64_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return ERR_SYNTAX;
        const uint64_t digit = (uint64_t)(text.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return ERR_RANGE;
        v = v * 10 + digit;
    }
    if (v > max)
        return ERR_RANGE;
    *out = v;
    return ERR_OK;
}
