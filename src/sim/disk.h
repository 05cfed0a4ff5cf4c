// The disk of one simulated host: sparse files, what is durable and what is not, how they tear when it crashes, how they fill and fail.
#pragma once
#include "sim/content.h"
#include "sim/payload.h"
#include "sim/trace.h"

enum { DISK_PAGE = 4096, DISK_SECTOR = 512, DISK_STORES_MAX = 4096 };

// What a crash does to pages that were written but never synced.
enum crash_fate {
    CRASH_MIXED,                        // every page its own: kept, dropped, torn at a sector, garbage
    CRASH_KEPT,                         // as kill -9: the page cache lives on
    CRASH_DROPPED,                      // nothing that was not synced survives
};

enum page_fate { PAGE_KEPT, PAGE_DROPPED, PAGE_TORN, PAGE_GARBAGE };

struct disk_config {
    nsec latency;                       // of each operation; 0: 100 us
    uint64_t bps;                       // bytes/s; 0: 1 GB/s
    uint64_t hash_bps;                  // hash workers, bytes/s; 0: 1 GB/s
    uint64_t space_bytes;               // ENOSPC above; 0: never
    uint32_t eio_ppm;                   // chance that a write, sync or read fails
};

// A piece of data on its way: real bytes, or (bytes NULL) what they would be. x.pos is not used.
struct frag {
    struct extent x;
    const uint8_t *bytes;
};

struct disk_file {
    bool exists;
    uint64_t size, size_durable;        // bytes
    int64_t mtime, mtime_durable;       // ns, Unix time
    struct extents now, durable;        // what a read sees; what a crash cannot take. By bytes: only which ranges exist
    struct extents flying, dirty, syncing;      // ranges: write under way; written, not synced; sync under way
    uint8_t *bytes_now, *bytes_durable; // by bytes: space of `cap`
    uint64_t cap;
};

// All files of one torrent on this disk.
struct disk_store {
    struct disk_file *files;
    uint32_t files_n;
};

struct disk {
    struct disk_config cfg;
    struct disk_store *stores;          // by the world's torrent
    uint32_t stores_n, stores_cap;
    uint64_t used;                      // bytes of all files
    nsec busy_until, hash_busy_until;
    struct rng fault;
    bool spoiled;                       // it rotted or misdirected a write: nobody can know what is on it
    bool fail_next, misdirect_next, short_next;     // armed faults, each for one operation
    bool by_bytes;
    const struct content *content;
    const struct mem *mem;
};

void disk_init(struct disk *d, const struct disk_config *cfg, const struct content *content, const struct mem *mem, bool by_bytes);
void disk_done(struct disk *d);
// The file; made known (not existing) on first use. len: its final length.
struct disk_file *disk_file(struct disk *d, uint32_t store, uint32_t file, uint32_t files_n, uint64_t len);
void disk_create(struct disk_file *f, int64_t wall);
void disk_remove(struct disk *d, struct disk_file *f);      // at once durable, as nothing depends on it
// Writes n fragments to `off` on, as a write that is under way. ERR_NOSPACE: nothing was written.
MUST_USE enum err disk_write(struct disk *d, struct disk_file *f, uint64_t off, const struct frag *from, uint32_t n);
// The write of that range has returned to its caller.
void disk_written(struct disk *d, struct disk_file *f, uint64_t off, uint64_t len, int64_t wall);
void disk_sync_begin(struct disk *d, struct disk_file *f);
// ok false: the ranges are dirty again.
void disk_sync_end(struct disk *d, struct disk_file *f, bool ok);
// What is at off, at most len bytes: holes read as zeros. len > 0, inside the file's size.
struct frag disk_read(const struct disk *d, const struct disk_file *f, uint64_t off, uint64_t len);
// Power fails or the process is killed.
void disk_crash(struct disk *d, enum crash_fate fate, struct trace *trace, uint32_t node, nsec now);
// The bytes off … off+len of f are exactly content's from content_off on. durable: on what a crash would leave.
bool disk_holds(const struct disk *d, const struct disk_file *f, uint64_t off, const struct extent *want, bool durable);
// Speeds as configured, with defaults filled in.
void disk_speed(struct disk *d, const struct disk_config *cfg);
// Bit rot: len bytes somewhere in what is stored become something else, for good.
void disk_rot(struct disk *d, uint64_t len);
// One draw of the fault stream.
bool disk_fails(struct disk *d);
