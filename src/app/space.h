// Whether a disk has room for what is to be fetched.
#pragma once
#include "codec/metainfo.h"

struct space {
    uint64_t need, avail;               // bytes still to be written for the wanted files; free to us in their directory
};

// Bytes that are free to us in the file system of root. False: it does not tell.
bool space_free(const char *root, uint64_t *out);
// Looks at the files below root (may block). priorities NULL: all are wanted. False: the file system does not tell.
bool space_of(const struct metainfo *m, const uint8_t *priorities, const char *root, struct space *out);
