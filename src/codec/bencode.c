// The reading cursor of bencode.h: a state machine over the input, with the last key of each open dictionary. BEP 3.
#include "codec/bencode.h"

void bencode_init(struct bencode *b, struct slice in, uint32_t strict)
{
    ASSERT(in.p != NULL || in.n == 0);
    b->in = in;
    b->at = 0;
    b->error = BENCODE_OK;
    b->error_at = 0;
    b->soft = b->soft_at = 0;
    b->strict = strict;
    b->tokens = 0;
    b->depth = 0;                       // levels are written when they are opened
    if (in.n > BENCODE_BYTES_MAX)
        b->error = BENCODE_TOO_BIG;
}

static bool fail(struct bencode *b, enum bencode_error e, size_t at)
{
    b->error = e;
    b->error_at = at;
    return false;
}

static bool fault(struct bencode *b, enum bencode_soft kind, size_t at)
{
    if (b->soft == 0)
        b->soft_at = (uint32_t)at;
    b->soft |= (uint32_t)kind;
    return (b->strict & (uint32_t)kind) == 0 || fail(b, BENCODE_NOT_CANONICAL, at);
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

// Counts a value or key, and notes that the open dictionary has the value of its key.
static bool count(struct bencode *b)
{
    if (b->tokens == BENCODE_TOKENS_MAX)
        return fail(b, BENCODE_TOO_BIG, b->at);
    b->tokens++;
    if (b->depth > 0)
        b->level[b->depth - 1].in_value = false;
    return true;
}

enum bencode_type bencode_peek(const struct bencode *b)
{
    if (b->error != BENCODE_OK || b->at >= b->in.n)
        return BENCODE_NONE;
    const uint8_t c = b->in.p[b->at];
    if (c == 'i')
        return BENCODE_INT;
    if (c == 'l')
        return BENCODE_LIST;
    if (c == 'd')
        return BENCODE_DICT;
    return is_digit(c) ? BENCODE_STR : BENCODE_NONE;
}

// The type of the next value; without one it is an error, and BENCODE_NONE.
static enum bencode_type want_value(struct bencode *b)
{
    if (b->error != BENCODE_OK)
        return BENCODE_NONE;
    ASSERT(b->depth == 0 || !b->level[b->depth - 1].is_dict || b->level[b->depth - 1].in_value);
    const enum bencode_type type = bencode_peek(b);
    if (type == BENCODE_NONE) {
        const bool lone_end = b->at < b->in.n && b->in.p[b->at] == 'e' && b->depth == 0;
        fail(b, b->at >= b->in.n || lone_end ? BENCODE_EOF : BENCODE_WANT_VALUE, b->at);
    }
    return type;
}

static bool take_int(struct bencode *b, int64_t *out)
{
    const struct slice in = b->in;
    size_t at = b->at + 1;
    const bool negative = at < in.n && in.p[at] == '-';
    at += negative;
    const size_t first = at;
    uint64_t v = 0;
    bool overflow = false;
    for (; at < in.n && is_digit(in.p[at]); at++) {
        const uint64_t digit = (uint64_t)(in.p[at] - '0');
        overflow = overflow || v > ((uint64_t)INT64_MAX + negative - digit) / 10;
        v = v * 10 + digit;
    }
    if (at >= in.n)
        return fail(b, BENCODE_EOF, at);
    if (in.p[at] != 'e' || at == first)
        return fail(b, BENCODE_WANT_DIGIT, at);
    if (overflow)
        return fail(b, BENCODE_OVERFLOW, at);
    if (negative && in.p[first] == '0' && at == first + 1)
        return fail(b, BENCODE_NEGATIVE_ZERO, first);
    if (in.p[first] == '0' && at > first + 1 && !fault(b, BENCODE_ZERO_INT, first))
        return false;
    b->at = at + 1;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

// The next character is a digit. is_key: as libtorrent, an input that ends in a length has another name then.
static bool take_str(struct bencode *b, bool is_key, struct slice *out)
{
    const struct slice in = b->in;
    const size_t first = b->at;
    size_t at = first;
    uint64_t n = 0;
    for (; at < in.n && is_digit(in.p[at]); at++) {
        const uint64_t digit = (uint64_t)(in.p[at] - '0');
        if (n > ((uint64_t)INT64_MAX - digit) / 10)
            return fail(b, BENCODE_OVERFLOW, at);
        n = n * 10 + digit;
    }
    if (at >= in.n)
        return fail(b, is_key ? BENCODE_WANT_COLON : BENCODE_EOF, at);
    if (in.p[at] != ':')
        return fail(b, BENCODE_WANT_COLON, at);
    if (n > in.n - at - 1)
        return fail(b, BENCODE_EOF, at);
    if (in.p[first] == '0' && at > first + 1 && !fault(b, BENCODE_ZERO_LEN, first))
        return false;
    *out = slice_sub(in, at + 1, (size_t)n);
    b->at = at + 1 + (size_t)n;
    return true;
}

// Enters the list or dictionary that is next.
static bool open_level(struct bencode *b, bool is_dict)
{
    if (b->depth == BENCODE_DEPTH_MAX)
        return fail(b, BENCODE_TOO_DEEP, b->at);
    if (!count(b))
        return false;
    b->at++;
    b->level[b->depth].is_dict = is_dict;
    b->level[b->depth].any = false;
    b->level[b->depth].in_value = false;
    b->depth++;
    return true;
}

bool bencode_more(struct bencode *b)
{
    if (b->error != BENCODE_OK)
        return false;
    ASSERT(b->depth > 0);
    ASSERT(!b->level[b->depth - 1].is_dict);
    if (b->at >= b->in.n)
        return fail(b, BENCODE_EOF, b->at);
    if (b->in.p[b->at] != 'e')
        return true;
    b->at++;
    b->depth--;
    return false;
}

bool bencode_key(struct bencode *b, struct slice *out)
{
    if (b->error != BENCODE_OK)
        return false;
    ASSERT(b->depth > 0);
    const uint32_t top = b->depth - 1;
    ASSERT(b->level[top].is_dict);
    ASSERT(!b->level[top].in_value);
    if (b->at >= b->in.n)
        return fail(b, BENCODE_EOF, b->at);
    const size_t at = b->at;
    if (b->in.p[at] == 'e') {
        b->at++;
        b->depth--;
        return false;
    }
    if (!is_digit(b->in.p[at]))
        return fail(b, BENCODE_WANT_DIGIT, at);
    struct slice key = {0};
    if (!count(b) || !take_str(b, true, &key))
        return false;
    if (b->level[top].any) {
        const int order = slice_cmp(slice_sub(b->in, b->level[top].key_at, b->level[top].key_n), key);
        if (order > 0 && !fault(b, BENCODE_UNSORTED, at))
            return false;
        if (order == 0 && !fault(b, BENCODE_DUPLICATE, at))
            return false;
    }
    b->level[top].any = true;
    b->level[top].in_value = true;
    b->level[top].key_at = (uint32_t)(b->at - key.n);
    b->level[top].key_n = (uint32_t)key.n;
    *out = key;
    return true;
}

// Passes over the next value, whole.
static bool skip(struct bencode *b)
{
    const uint32_t floor = b->depth;
    do {
        struct slice text = {0};
        int64_t number = 0;
        if (b->depth > floor) {
            const bool is_dict = b->level[b->depth - 1].is_dict;
            if (is_dict ? !bencode_key(b, &text) : !bencode_more(b))
                continue;
        }
        switch (want_value(b)) {
        case BENCODE_NONE:
            return false;
        case BENCODE_INT:
            if (!count(b) || !take_int(b, &number))
                return false;
            break;
        case BENCODE_STR:
            if (!count(b) || !take_str(b, false, &text))
                return false;
            break;
        case BENCODE_LIST:
        case BENCODE_DICT:
            if (!open_level(b, b->in.p[b->at] == 'd'))
                return false;
            break;
        }
    } while (b->error == BENCODE_OK && b->depth > floor);
    return b->error == BENCODE_OK;
}

// True if the next value is of this type; another is skipped.
static bool take(struct bencode *b, enum bencode_type type)
{
    const enum bencode_type found = want_value(b);
    if (found == type)
        return true;
    if (found != BENCODE_NONE)
        (void)skip(b);
    return false;
}

bool bencode_int(struct bencode *b, int64_t *out)
{
    return take(b, BENCODE_INT) && count(b) && take_int(b, out);
}

bool bencode_str(struct bencode *b, struct slice *out)
{
    return take(b, BENCODE_STR) && count(b) && take_str(b, false, out);
}

bool bencode_list(struct bencode *b) { return take(b, BENCODE_LIST) && open_level(b, false); }
bool bencode_dict(struct bencode *b) { return take(b, BENCODE_DICT) && open_level(b, true); }

struct slice bencode_raw(struct bencode *b)
{
    const size_t from = b->at;
    if (!skip(b))
        return (struct slice){0};
    return slice_sub(b->in, from, b->at - from);
}

bool bencode_check(struct bencode *b)
{
    ASSERT(b->at == 0);
    return skip(b);
}

bool bencode_fields(struct slice dict, struct bencode_field *fields, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fields[i].raw = (struct slice){0};
    struct bencode b;
    bencode_init(&b, dict, BENCODE_LENIENT);
    if (!bencode_dict(&b))
        return false;
    struct slice key;
    while (bencode_key(&b, &key)) {
        const struct slice raw = bencode_raw(&b);
        for (uint32_t i = 0; i < n; i++)
            if (fields[i].raw.n == 0 && slice_eq_str(key, fields[i].key))
                fields[i].raw = raw;
    }
    return b.error == BENCODE_OK;
}

bool bencode_raw_int(struct slice raw, int64_t *out)
{
    struct bencode b;
    bencode_init(&b, raw, BENCODE_LENIENT);
    return bencode_peek(&b) == BENCODE_INT && bencode_int(&b, out);
}

bool bencode_raw_str(struct slice raw, struct slice *out)
{
    struct bencode b;
    bencode_init(&b, raw, BENCODE_LENIENT);
    return bencode_peek(&b) == BENCODE_STR && bencode_str(&b, out);
}

const char *bencode_error_text(enum bencode_error e)
{
    switch (e) {
    case BENCODE_OK: return "no error";
    case BENCODE_EOF: return "the data ends too early";
    case BENCODE_WANT_DIGIT: return "a digit is missing";
    case BENCODE_WANT_COLON: return "a colon is missing";
    case BENCODE_WANT_VALUE: return "a value is missing";
    case BENCODE_OVERFLOW: return "a number is too big";
    case BENCODE_NEGATIVE_ZERO: return "a number is minus zero";
    case BENCODE_TOO_DEEP: return "lists and dictionaries are nested too deeply";
    case BENCODE_TOO_BIG: return "there are too many values";
    case BENCODE_NOT_CANONICAL: return "keys are not in order or a number has a leading zero";
    }
    return "unknown";
}
