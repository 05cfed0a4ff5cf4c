// Messages of the ut_metadata extension: the info dictionary, asked of peers in parts. BEP 9.
#pragma once
#include "base/bytes.h"

enum {
    UT_METADATA_MAX = 31457280,         // bytes of an info dictionary; as libtorrent
    UT_METADATA_PART = 16384,           // bytes of each part but the last
    UT_METADATA_HEAD_MAX = 96,          // bytes of a message without its data
};

enum ut_metadata_type { UT_METADATA_REQUEST = 0, UT_METADATA_DATA = 1, UT_METADATA_REJECT = 2 };

struct ut_metadata {
    enum ut_metadata_type type;
    uint32_t part;
    uint64_t total;                     // UT_METADATA_DATA: bytes of the whole as the sender has it; 0: not said
    struct slice data;                  // UT_METADATA_DATA: what follows the dictionary, at most UT_METADATA_PART, borrowed
};

// Reads the payload of an extended message (behind its id). ERR_PROTOCOL: no such message; ERR_UNSUPPORTED: a type that
// BEP 9 does not know yet and that is to be ignored. `part` is not checked against any size.
MUST_USE enum err ut_metadata_parse(struct ut_metadata *out, struct slice payload);
// Writes length, 20, id and dictionary; of a UT_METADATA_DATA the length counts data.n bytes that the caller sends next.
// Nothing without room (UT_METADATA_HEAD_MAX is always enough).
void ut_metadata_write(struct wr *w, uint8_t id, const struct ut_metadata *m);
// Parts of `total` bytes.
static inline uint32_t ut_metadata_parts(uint64_t total) { return (uint32_t)u64_div_up(total, UT_METADATA_PART); }
