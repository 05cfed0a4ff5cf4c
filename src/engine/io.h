// What engines ask of a host, in the terms that both hosts and all rooms share: stream segments and jobs.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "crypto/hash.h"

enum {
    IO_SEGS_MAX = 136,                  // segments of one send
    IO_SPANS_MAX = 64,                  // pieces of memory of one job: 1 MiB in slots
    IO_PARTS_MAX = 64,                  // file ranges of one job
    IO_ROOM_MAX = 18,                   // pieces of memory of one receive
};

#define IO_FILE_ZERO UINT32_MAX         // in place of a file: zeros, never on disk (BEP 47 pads)

// A part of what goes out on a stream. Bytes are borrowed until the next call of the engine: the host sends or
// copies them at once. A file range is read when its turn comes; the file may be closed and opened again meanwhile.
struct io_seg {
    enum { SEG_BYTES, SEG_FILE } kind;
    struct slice bytes;                 // SEG_BYTES
    uint32_t store, file;               // SEG_FILE; file IO_FILE_ZERO: len zeros
    uint64_t off, len;
};

// A range of a file of a store.
struct io_part {
    uint32_t file;                      // index in the store, or IO_FILE_ZERO
    uint64_t off, len;
};

// A fetch whose body goes where the engine says, as it comes, instead of being kept until its end.
struct io_fetch {
    bool ranged;                        // only bytes off … off + len - 1
    uint64_t off, len;
};

enum io_job_kind {
    JOB_NONE = 0,
    JOB_HASH,           // spans -> sha1, leaves
    JOB_WRITE,          // spans -> parts, in order; parts of IO_FILE_ZERO skip that many bytes of the spans
    JOB_READ_HASH,      // parts -> sha1, leaves; a missing or short file is ERR_NOT_FOUND
    JOB_READ,           // parts -> spans
    JOB_PREPARE,        // make directories, empty files, symbolic links; reserve space as the store says
    JOB_SYNC,           // fdatasync what was written to the store since the last JOB_SYNC; nothing is durable before
    JOB_CUT,            // parts[0].file: what lies behind its first parts[0].off bytes is cut off
    JOB_REMOVE,         // parts[0].file: unlinked; fine if it is not there
    JOB_STAT,           // size and mtime of each file of the store -> stats
};

struct io_stat {
    bool exists;
    bool replaced;                      // what is open of it is another file than the one that has its name
    uint64_t size;                      // bytes
    int64_t mtime_ns;                   // Unix time
    uint64_t device;                    // of the store's root directory, the same for all its files; 0: there is none
};

// Work for a worker. Everything it points to belongs to the engine, which neither moves nor reads it until the
// completion comes. Jobs of one store may run at the same time and in any order; an engine that needs an order waits.
struct io_job {
    enum io_job_kind kind;
    uint32_t id;                        // comes back with the completion; never 0
    uint32_t store;
    bool urgent;                        // memory waits for it: before other jobs of its kind
    const struct span *spans;
    uint32_t spans_n;                   // <= IO_SPANS_MAX
    const struct io_part *parts;
    uint32_t parts_n;                   // <= IO_PARTS_MAX
    struct sha1 *sha1;                  // hashes: running state, fed with all bytes; NULL: not wanted
    uint64_t zeros;                     // so many zero bytes are fed to sha1 after the bytes
    uint8_t (*leaves)[SHA256_LEN];      // hashes: SHA-256 of each BLOCK_LEN bytes, the last may be short; NULL: not wanted
    uint64_t leaves_len;                // only so many first bytes go into leaves
    struct io_stat *stats;              // JOB_STAT: one for each file of the store
};

// A file of a store, as the host must open it.
struct io_file {
    struct slice root;                  // directory, absolute or relative to the working directory; not NUL-terminated
    struct slice path;                  // below root, safe; never followed through a symbolic link
    struct slice target;                // not empty: a symbolic link to this path below root
    uint64_t len;                       // final length, bytes
    bool executable;
    bool skip;                          // not on disk (pads)
    bool unwanted;                      // not to be made by JOB_PREPARE; a write opens it as any other
    bool reserve;                       // JOB_PREPARE makes it and takes disk space for len bytes
};
