// Hashes content on all cores: for making torrents, for verifying them. Threads of its own; memory is bounded by
// HASHING_CHUNK and a piece's leaves for each thread.
#pragma once
#include "base/bytes.h"
#include "crypto/hash.h"

struct hashing;

enum {
    HASHING_CHUNK = 256 * 1024,         // bytes read at a time: stay in a core's L2 cache between reading and hashing
    HASHING_BATCH = 4 * 1024 * 1024,    // bytes of neighbouring pieces that a thread takes at a time
    HASHING_THREADS_MAX = 256,
};

// Files in piece-space order, as in struct metainfo: they neither overlap nor go backwards.
struct hashing_file {
    struct slice path;                  // below the root
    uint64_t offset, len;               // in piece space; len 0: never opened
    bool zeros;                         // a pad: not on disk
};

enum hashing_result { HASHING_NOT, HASHING_DONE, HASHING_FAILED };

struct hashing_config {
    struct slice root;                  // directory
    const struct hashing_file *files;
    uint32_t files_n;
    uint32_t piece_len, pieces_n;       // piece_len for v2: a power of two >= 16 KiB
    uint32_t threads;                   // 0: one for each core
    bool keep_going;                    // a file that cannot be read spoils its pieces and no more
    // Results, lent by the caller, one for each piece; a NULL is not wanted.
    uint8_t (*sha1)[SHA1_LEN];          // v1: of all bytes, pads too
    uint8_t (*sha256)[SHA256_LEN];      // v2: what stands in the piece layer, or the root of a file of one piece
    uint8_t *results;                   // enum hashing_result of each piece
};

// Starts the threads. cfg is copied, what it points to outlives the hashing. ERR_NOMEM, ERR_AGAIN (no threads).
MUST_USE enum err hashing_start(struct hashing **out, const struct hashing_config *cfg);
// Waits until all is hashed, or `ms` milliseconds. True: finished.
bool hashing_wait(struct hashing *h, unsigned ms);
// Bytes hashed so far, pads left out.
uint64_t hashing_bytes(const struct hashing *h);
// The threads end after their present chunk.
void hashing_stop(struct hashing *h);
// The first failure: what, of which file. ERR_NOT_FOUND: missing, or shorter than it should be. ERR_OK: none.
enum err hashing_failure(struct hashing *h, uint32_t *out_file);
// Stops and waits. NULL is fine.
void hashing_free(struct hashing *h);
