// Borrowed views, owned space, and cursors that read and write the wire without pointer arithmetic elsewhere.
#pragma once
#include "base/base.h"

// A borrowed view. Who lends it says how long it lives.
struct slice {
    const uint8_t *p;
    size_t n;
};

// Owned space: n bytes of cap are filled. The caller owns p.
struct buf {
    uint8_t *p;
    size_t n, cap;
};

// One piece of memory for scattered reads and writes.
struct span {
    uint8_t *p;
    size_t n;
};

#define SLICE_LIT(s) ((struct slice){(const uint8_t *)(s), sizeof(s) - 1})

static inline struct slice slice_of(const void *p, size_t n) { return (struct slice){(const uint8_t *)p, n}; }
static inline struct slice slice_str(const char *s) { return (struct slice){(const uint8_t *)s, strlen(s)}; }
bool slice_eq(struct slice a, struct slice b);
bool slice_eq_str(struct slice a, const char *s);
bool slice_starts(struct slice a, const char *prefix);
// memcmp order, the shorter first on a tie: <0, 0, >0. This is bencode's key order (BEP 3).
int slice_cmp(struct slice a, struct slice b);
// The part from `from` (clamped to the length) of at most `n` bytes.
struct slice slice_sub(struct slice s, size_t from, size_t n);
// Without the bytes of `blanks` at both ends.
struct slice slice_trim(struct slice s, const char *blanks);

// A reading cursor. Reading past the end clears `ok` and yields zeros; check once after the whole parse.
struct rd {
    const uint8_t *p;
    size_t n;
    bool ok;
};

static inline struct rd rd_make(struct slice s) { return (struct rd){s.p, s.n, true}; }
uint8_t rd_u8(struct rd *r);
uint16_t rd_be16(struct rd *r);
uint32_t rd_be32(struct rd *r);
uint64_t rd_be64(struct rd *r);
// The next n bytes, borrowed from the input; empty and !ok if there are fewer.
struct slice rd_bytes(struct rd *r, size_t n);
// Copies the next n bytes to out; zeros and !ok if there are fewer.
void rd_copy(struct rd *r, void *out, size_t n);

// A writing cursor over a buf. Without room nothing is written and `ok` is cleared; check once at the end.
struct wr {
    struct buf *b;
    bool ok;
};

static inline struct wr wr_make(struct buf *b) { return (struct wr){b, true}; }
void wr_u8(struct wr *w, uint8_t v);
void wr_be16(struct wr *w, uint16_t v);
void wr_be32(struct wr *w, uint32_t v);
void wr_be64(struct wr *w, uint64_t v);
void wr_bytes(struct wr *w, struct slice s);
void wr_str(struct wr *w, const char *s);
// Decimal digits of v.
void wr_dec(struct wr *w, uint64_t v);
void wr_dec_signed(struct wr *w, int64_t v);
// Lower-case hexadecimal of every byte.
void wr_hex(struct wr *w, struct slice s);
// printf-style text, no locale, no floating point.
void wr_fmt(struct wr *w, const char *fmt, ...) FORMAT(2, 3);

// Space left in b.
static inline size_t buf_room(const struct buf *b) { ASSERT(b->n <= b->cap); return b->cap - b->n; }
static inline struct slice buf_slice(const struct buf *b) { return (struct slice){b->p, b->n}; }

// Reads 2n hex digits of either case into out. ERR_SYNTAX: another length or character.
MUST_USE enum err hex_parse(struct slice text, uint8_t *out, size_t n);
// Reads decimal digits only, the whole slice. ERR_SYNTAX: empty, another character; ERR_RANGE: above max.
MUST_USE enum err dec_parse(struct slice text, uint64_t max, uint64_t *out);
