// Whole files in memory, files that appear all at once, directories with their parents; and the heap.
#pragma once
#include "base/env.h"

// The C library's heap.
extern const struct mem app_mem;

// Monotonic time.
nsec app_now(void);

// Reads a regular file of at most `max` bytes into memory from malloc. Returns an errno, 0: done; EFBIG: longer than
// that; EISDIR, EINVAL: not a regular file.
MUST_USE int fileio_read(const char *path, size_t max, struct buf *out);
// Writes the file under a temporary name, syncs and renames it, so that nobody ever sees half of it; the directory is
// synced, too. Without `overwrite` an existing file is kept: EEXIST. Returns an errno.
MUST_USE int fileio_write(const char *path, struct slice bytes, bool overwrite);
// Makes a directory and its parents; an existing one is fine. Returns an errno.
MUST_USE int fileio_mkdirs(const char *path);
