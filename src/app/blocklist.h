// Reads a file of addresses that are not to be talked to: codec/blocklist.h, plain or gzip.
#pragma once
#include "app/talk.h"
#include "base/ranges.h"

enum {
    BLOCKLIST_BAD_MAX = 100,            // lines that mean nothing before the file is refused
    BLOCKLIST_WHY_MAX = 320,
};

#define BLOCKLIST_BYTES_MAX ((uint64_t)256 << 20)       // after decompression: more is a bomb

// Fills `out`, which the caller has made and frees. Some bad lines are passed over and counted. ERR_SYNTAX: too many of them, or
// not one range; ERR_TOO_LONG: BLOCKLIST_BYTES_MAX or RANGES_MAX; ERR_NOT_FOUND, ERR_ACCESS, ERR_IO, ERR_NOMEM. `why` says it for
// the user, with the line's number; on ERR_OK it is empty, or warns.
MUST_USE enum err blocklist_read(const char *path, struct ranges *out, char why[BLOCKLIST_WHY_MAX]);
