// Bencode: the whole check, the walk and the raw values agree with each other; what is canonical is written again the same.
#include "codec/bencode.h"

#include <stdlib.h>

// Copies one value from a cursor to a writer.
static void copy(struct bencode *b, struct bencode_out *o)
{
    struct slice s;
    int64_t v = 0;
    switch (bencode_peek(b)) {
    case BENCODE_NONE: __builtin_trap();
    case BENCODE_INT:
        if (!bencode_int(b, &v))
            __builtin_trap();
        bencode_put_int(o, v);
        return;
    case BENCODE_STR:
        if (!bencode_str(b, &s))
            __builtin_trap();
        bencode_put_str(o, s);
        return;
    case BENCODE_LIST:
        if (!bencode_list(b))
            __builtin_trap();
        bencode_put_list(o);
        while (bencode_more(b))
            copy(b, o);
        bencode_put_end(o);
        return;
    case BENCODE_DICT:
        if (!bencode_dict(b))
            __builtin_trap();
        bencode_put_dict(o);
        while (bencode_key(b, &s)) {
            bencode_put_key(o, s);
            copy(b, o);
        }
        bencode_put_end(o);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice in = slice_of(data, size);
    struct bencode b, lenient;
    bencode_init(&lenient, in, BENCODE_LENIENT);
    const bool valid = bencode_check(&lenient);
    if (!valid && (lenient.error == BENCODE_OK || lenient.error_at > size))
        __builtin_trap();
    bencode_init(&b, in, BENCODE_STRICT);
    const bool strict = bencode_check(&b);
    if (strict != (valid && lenient.soft == 0))
        __builtin_trap();
    struct bencode_field fields[] = {{.key = "a"}, {.key = ""}, {.key = "info"}};
    const bool is_dict = size > 0 && data[0] == 'd';
    if (bencode_fields(in, fields, 3) != (valid && is_dict))
        __builtin_trap();
    if (strict) {
        struct buf out = {malloc(b.at), 0, b.at};
        struct wr w = wr_make(&out);
        struct bencode_out o;
        bencode_out_init(&o, &w);
        bencode_init(&lenient, in, BENCODE_LENIENT);
        copy(&lenient, &o);
        if (!w.ok || !slice_eq(buf_slice(&out), slice_sub(in, 0, b.at)))
            __builtin_trap();
        free(out.p);
    }
    return 0;
}
