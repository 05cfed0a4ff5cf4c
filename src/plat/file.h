// Files below a root, which no path of a torrent can leave: every component is opened without following symbolic links.
// All of these may block on a disk: for workers. A name is relative to its root, parts divided by '/', none of them
// empty, "." or "..": others are ERR_ACCESS.
#pragma once
#include "base/bytes.h"

struct file_name {
    struct slice root;                  // a directory; it may itself be a symbolic link
    struct slice path;
};

enum file_mode {
    FILE_READ,                          // must exist
    FILE_WRITE,                         // read and write; made if missing, and its directories, but never the root
    FILE_WRITE_EXECUTABLE,              // the same, made with the execute bits
};

enum { FILE_PATH_MAX = 4096 };

struct file_stat {
    bool is_file;
    uint64_t size, dev, inode;
    int64_t mtime_ns;                   // Unix time
};

// Only regular files. ERR_NOT_FOUND: no such file (FILE_READ); ERR_VANISHED: no such root; ERR_ACCESS: out of the root, a
// another kind of file, or no permission; ERR_LINK: a symbolic link; ERR_IS_DIR, ERR_NOT_DIR, ERR_TOO_LONG, ERR_NOSPACE, ERR_READONLY, ERR_IO.
MUST_USE enum err file_open(const struct file_name *name, enum file_mode mode, int *out_fd);
// Makes the root itself and what is above it. ERR_OK also if it is there.
MUST_USE enum err file_make_root(struct slice root);
// A symbolic link to `target`, a path below the root in the same form; an older link is replaced, anything else not: ERR_EXISTS.
MUST_USE enum err file_link(const struct file_name *name, struct slice target);
// Does not follow a link. ERR_NOT_FOUND also when the root is missing.
// The device number of the directory `root`; 0: it is not there, or no directory.
uint64_t file_root_device(struct slice root);
MUST_USE enum err file_stat_of(const struct file_name *name, struct file_stat *out);
// Makes the directory entry of a new file durable.
MUST_USE enum err file_sync_parent(const struct file_name *name);
// Takes disk space for the first `len` bytes, size unchanged. ERR_OK also where the file system cannot: it is only a hint
// then. ERR_NOSPACE.
MUST_USE enum err file_reserve(int fd, uint64_t len);

struct iovec;
// All bytes of iov (which is changed), from `off` on. ERR_NOT_FOUND: the file ends before.
MUST_USE enum err file_read_all(int fd, struct iovec *iov, uint32_t n, uint64_t off);
MUST_USE enum err file_write_all(int fd, struct iovec *iov, uint32_t n, uint64_t off);
// Reads what is in the page cache at once: bytes read, less than n: the rest is cold or beyond the end. Never blocks.
size_t file_read_warm(int fd, struct span to, uint64_t off);
// Cuts off what lies behind the first `len` bytes of an open file.
MUST_USE enum err file_cut(int fd, uint64_t len);
// False: the open file is another one than `st` tells of.
bool file_is(int fd, const struct file_stat *st);
// Takes a regular file away; that it is not there is fine. Never follows a symbolic link. ERR_ACCESS: not a regular file.
MUST_USE enum err file_remove(const struct file_name *name);

// For tests: as on a kernel without openat2.
void file_walk_steps(bool on);
