// Bencoding: a reading cursor without a tree or memory of its own, and a canonical writer. BEP 3.
#pragma once
#include "base/bytes.h"

enum {
    BENCODE_BYTES_MAX = (1 << 29) - 1,  // of one input
    BENCODE_DEPTH_MAX = 100,            // lists and dictionaries inside each other
    BENCODE_TOKENS_MAX = 3000000,       // values and keys of one input
};

enum bencode_type { BENCODE_NONE = 0, BENCODE_INT, BENCODE_STR, BENCODE_LIST, BENCODE_DICT };

enum bencode_error {
    BENCODE_OK = 0,
    BENCODE_EOF,                        // the input ends inside a value; also an 'e' where nothing is open
    BENCODE_WANT_DIGIT,
    BENCODE_WANT_COLON,                 // the input ends in the length of a key
    BENCODE_WANT_VALUE,                 // a character that begins no value
    BENCODE_OVERFLOW,                   // a number of more than 63 bits and sign
    BENCODE_NEGATIVE_ZERO,              // i-0e
    BENCODE_TOO_DEEP,
    BENCODE_TOO_BIG,                    // BENCODE_BYTES_MAX or BENCODE_TOKENS_MAX
    BENCODE_NOT_CANONICAL,              // a fault of enum bencode_soft that the caller does not forgive
};

// Faults that others' programs have written into real torrents. Noted in `soft`; fatal only where asked.
enum bencode_soft {
    BENCODE_UNSORTED = 1,               // a key is smaller than the one before
    BENCODE_DUPLICATE = 2,              // a key is equal to the one before
    BENCODE_ZERO_INT = 4,               // i03e
    BENCODE_ZERO_LEN = 8,               // 03:abc
};

enum {
    BENCODE_LENIENT = 0,                // forgives all of them
    BENCODE_NORMAL = BENCODE_ZERO_INT,  // BEP 3's rule for integers
    BENCODE_STRICT = 15,                // forgives nothing: BEP 52's rule for info dictionaries
};

// A cursor: plain data, may be copied to come back to a place. After an error every call below answers "nothing",
// so one check of `error` after the whole walk is enough.
struct bencode {
    struct slice in;
    size_t at;                          // bytes read so far; after a whole value: what comes behind it
    enum bencode_error error;
    size_t error_at;                    // the offending byte
    uint32_t soft, soft_at;             // enum bencode_soft flags so far; where the first was
    uint32_t strict;                    // flags that are errors
    uint32_t tokens;
    uint32_t depth;                     // open lists and dictionaries
    struct {
        uint32_t key_at, key_n;         // the last key read
        bool is_dict, any, in_value;
    } level[BENCODE_DEPTH_MAX];
};

// Starts at the first byte of `in`, which is borrowed for as long as the cursor and what it hands out are used.
// strict: enum bencode_soft flags that are errors.
void bencode_init(struct bencode *b, struct slice in, uint32_t strict);
// What comes next; BENCODE_NONE: the end of the open list or dictionary, of the input, or an error.
enum bencode_type bencode_peek(const struct bencode *b);

// Each takes the next value. False if it is of another type (it is skipped then, whole) or there is none; *out is
// untouched then. A string is borrowed from the input.
bool bencode_int(struct bencode *b, int64_t *out);
bool bencode_str(struct bencode *b, struct slice *out);
// Enter it: walk with bencode_more or bencode_key until they say false.
bool bencode_list(struct bencode *b);
bool bencode_dict(struct bencode *b);
// The next value as it is written, whatever it is; empty: there is none.
struct slice bencode_raw(struct bencode *b);

// Inside a list: is there another item? False leaves the list, or it is an error. Each item must be taken.
bool bencode_more(struct bencode *b);
// Inside a dictionary: the next key; its value must be taken. False leaves the dictionary, or it is an error.
bool bencode_key(struct bencode *b, struct slice *out);

// Reads one whole value from the start of b->in to the end of the value (b->at). False: b->error says why.
bool bencode_check(struct bencode *b);

// A key to look for and the value found, as it is written; empty: not there. The first one counts if there are several.
struct bencode_field {
    const char *key;
    struct slice raw;
};

// Finds the values of n fields in a raw dictionary that may be followed by other bytes. False: not a (valid) dictionary.
bool bencode_fields(struct slice dict, struct bencode_field *fields, uint32_t n);
// A raw value as one of its kind; false (and *out untouched) if it is empty or another.
bool bencode_raw_int(struct slice raw, int64_t *out);
bool bencode_raw_str(struct slice raw, struct slice *out);

// One short phrase, static: "the data ends too early".
const char *bencode_error_text(enum bencode_error e);

// A canonical writer. Keys must come in order: that is asserted. Without room w->ok is cleared, as with all of wr_*.
struct bencode_out {
    struct wr *w;
    uint32_t depth;
    struct {
        size_t key_at, key_n;
        bool is_dict, any;
    } level[BENCODE_DEPTH_MAX];
};

void bencode_out_init(struct bencode_out *o, struct wr *w);
void bencode_put_dict(struct bencode_out *o);
void bencode_put_list(struct bencode_out *o);
// Closes what was opened last.
void bencode_put_end(struct bencode_out *o);
void bencode_put_key(struct bencode_out *o, struct slice key);
void bencode_put_int(struct bencode_out *o, int64_t v);
void bencode_put_str(struct bencode_out *o, struct slice s);
// A value that is bencoded already.
void bencode_put_raw(struct bencode_out *o, struct slice raw);
// Begins a string of n bytes; the caller writes them with wr_* next.
void bencode_put_str_head(struct bencode_out *o, size_t n);
// A key and its value.
void bencode_put_key_int(struct bencode_out *o, const char *key, int64_t v);
void bencode_put_key_str(struct bencode_out *o, const char *key, struct slice s);
void bencode_put_key_dict(struct bencode_out *o, const char *key);
void bencode_put_key_list(struct bencode_out *o, const char *key);
