// UTF-8: see utf8.h.
#include "codec/utf8.h"

// Bytes of the sequence that begins with c, by the old rules too (up to 6), so that such a one is replaced as a whole.
static size_t length_of(uint8_t c)
{
    if (c < 0xc0)
        return 1;
    if (c < 0xe0)
        return 2;
    if (c < 0xf0)
        return 3;
    if (c < 0xf8)
        return 4;
    if (c < 0xfc)
        return 5;
    return c < 0xfe ? 6 : 1;
}

int32_t utf8_next(struct slice s, size_t *out_n)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    ASSERT(s.n > 0);
    const uint8_t first = s.p[0];
    const size_t want = length_of(first);
    if (first < 0x80) {
        *out_n = 1;
        return first;
    }
    uint32_t v = want <= 4 ? first & (0x7fU >> want) : 0;
    size_t n = 1;
    for (; n < want && n < s.n && (s.p[n] & 0xc0) == 0x80; n++)
        v = v << 6 | (s.p[n] & 0x3f);
    *out_n = n;
    if (n < want || want == 1 || want > 4 || v < smallest[want] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return UTF8_INVALID;
    return (int32_t)v;
}

bool utf8_valid(struct slice s)
{
    for (size_t at = 0, n = 0; at < s.n; at += n)
        if (utf8_next(slice_sub(s, at, s.n), &n) == UTF8_INVALID)
            return false;
    return true;
}
