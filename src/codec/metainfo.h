// A torrent file, v1, v2 or hybrid, as read-only structs. BEP 3, 12, 19, 27, 47, 52.
//
// Piece space. Offsets below are bytes in one line of all files. v1 and hybrid: the files one after the other (the
// hybrid's pad files fill up to the next piece). v2 only: each file starts on a piece, and the gap behind a file
// does not exist: the last piece of each file is short. metainfo_piece_len() hides the difference.
#pragma once
#include "base/env.h"
#include "crypto/hash.h"

enum {
    METAINFO_BYTES_MAX = 10000000,      // a whole torrent file; as libtorrent
    METAINFO_OWN_MAX = 112 << 20,       // one that we put together: the greatest info dictionary, piece layers, trackers
    METAINFO_PIECES_MAX = 2097152,
    METAINFO_FILES_MAX = 1000000,
    METAINFO_PIECE_LEN_MAX = 32767 * 16384,
    METAINFO_URLS_MAX = 1000,           // trackers, and web seeds, each; the rest is ignored
    METAINFO_TEXT_MAX = 64 << 20,       // bytes of all paths, web seeds and symlink targets; a v2 tree could ask for 11 GB
    METAINFO_DIRS_MAX = 1000000,
    METAINFO_HINTS_MAX = 100,           // of either kind; the rest is ignored
    METAINFO_RENAMES_MAX = 500,         // tries for all paths that are there twice; as libtorrent
    BLOCK_LEN = 16384,                  // the unit of requests and of v2 leaves
};

enum metainfo_file_flags {
    FILE_PAD = 1,                       // BEP 47: zeros, never on disk
    FILE_SYMLINK = 2,
    FILE_EXECUTABLE = 4,
    FILE_HIDDEN = 8,
};

struct metainfo_file {
    struct slice path;                  // safe and unique, '/' between parts, with the torrent's name in front if it has a directory
    struct slice target;                // FILE_SYMLINK: safe path of what it points to, in the same form; empty: to nothing in the torrent
    uint64_t offset, len;               // in piece space, bytes
    const uint8_t *root;                // v2: 32 bytes, NULL: v1 only or empty file
    const uint8_t *layer;               // v2: piece layer, 32 bytes for each piece; NULL: file of one piece, or not in the torrent file
    uint32_t flags;
};

struct metainfo_url {
    struct slice url;                   // trimmed
    uint32_t tier;                      // BEP 12; trackers only
};

struct metainfo {
    struct slice bytes;                 // the whole file: own copy
    struct slice info;                  // the raw info dictionary, inside bytes: what is hashed
    struct slice name;                  // safe
    bool has_v1, has_v2, is_private, is_dir;
    uint8_t hash_v1[SHA1_LEN];          // if has_v1
    uint8_t hash_v2[SHA256_LEN];        // if has_v2; the wire uses its first 20 bytes
    uint32_t piece_len;
    uint32_t pieces_n;
    uint64_t span;                      // end of piece space, bytes
    uint64_t len;                       // sum of all files but pads, bytes
    const uint8_t *pieces;              // v1: 20 bytes for each piece; NULL: v2 only
    struct metainfo_file *files;        // in piece-space order; empty files and symlinks too
    uint32_t files_n, files_cap;
    struct metainfo_url *trackers, *web_seeds;
    uint32_t trackers_n, web_seeds_n, trackers_cap, web_seeds_cap;
    struct slice comment, created_by;   // raw, may be any bytes
    int64_t created_s;                  // Unix time, 0: none
    struct slice nodes;                 // BEP 5: raw bencoded list of [host, port]; empty: none, as for the next two
    struct slice similar[2], collections[2];    // BEP 38: raw bencoded lists inside and outside of the info dictionary; metainfo_hints
    struct slice update_url;            // BEP 39: raw; empty: none
    bool has_originator;                // it names who may sign updates
    struct metainfo_text *text;         // holds names, paths, web seeds
    const struct mem *mem;
};

struct metainfo_text;

// Reads a torrent file; copies what it keeps. On failure `why` (at least 160 bytes, NUL-terminated) says in one line what
// is wrong: "piece length 100 is not a power of two". ERR_SYNTAX: not a valid torrent; ERR_TOO_LONG: over a limit
// above; ERR_NOMEM. metainfo_free is harmless after a failure.
MUST_USE enum err metainfo_parse(struct metainfo *out, const struct mem *mem, struct slice bytes, char why[160]);
// The same for what metainfo_wrap made: it may be as long as METAINFO_OWN_MAX.
MUST_USE enum err metainfo_parse_own(struct metainfo *out, const struct mem *mem, struct slice bytes, char why[160]);
void metainfo_free(struct metainfo *m);

// A piece layer (BEP 52) under the root of its file.
struct metainfo_layer {
    const uint8_t *root;                // SHA256_LEN bytes
    struct slice hashes;
};

// What goes into a torrent file around an info dictionary that is there already.
struct metainfo_wrapping {
    struct slice info;                  // raw: exactly these bytes are written, they are what is hashed
    const struct metainfo_url *trackers;        // in order of their tiers
    const struct slice *web_seeds;
    const struct metainfo_layer *layers;        // sorted by root, each once
    uint32_t trackers_n, web_seeds_n, layers_n;
};

// Writes a torrent file. Without room w->ok is cleared; metainfo_wrap_len bytes are always enough.
void metainfo_wrap(struct wr *w, const struct metainfo_wrapping *m);
size_t metainfo_wrap_len(const struct metainfo_wrapping *m);

// Bytes of piece i, i < pieces_n.
uint32_t metainfo_piece_len(const struct metainfo *m, uint32_t i);
// The strings of both lists, each once; how many. Hashes of `similar` have 20 bytes, or 32 of v2, if they are any.
uint32_t metainfo_hints(const struct slice lists[2], struct slice out[METAINFO_HINTS_MAX]);
// Index of the file that holds the byte `offset` of piece space (never an empty one); offset < span and not in a v2 gap.
uint32_t metainfo_file_at(const struct metainfo *m, uint64_t offset);
