// Writes torrent files: v1, v2 and hybrid. BEP 3, 12, 19, 27, 47, 52.
//
// Order of work: list the files, create_sort(), hash (v1: the files one after the other with the zeros of
// create_pad_len() behind each; v2: each file through a merkle_builder), create_write().
#pragma once
#include "base/env.h"
#include "codec/merkle.h"
#include "codec/metainfo.h"

enum {
    CREATE_PIECE_LEN_MIN = 16384,
    CREATE_PIECE_LEN_MAX = 16777216,    // of create_piece_len(); a caller may ask for more
    CREATE_PARTS_MAX = 90,              // of a path: a file tree nests a dictionary for each, and readers have limits
};

// One file. All is borrowed from the caller.
struct create_file {
    struct slice path;                  // '/' between parts, without the torrent's name; is_dir == false: ignored
    struct slice target;                // FILE_SYMLINK: path of what it points to, in the same form
    uint64_t len;                       // bytes; 0 for a symlink
    uint32_t flags;                     // enum metainfo_file_flags but FILE_PAD: pads are made here
    const uint8_t *root;                // v2: 32 bytes; NULL: empty file or symlink
    const uint8_t *layer;               // v2: create_layer_len() bytes; NULL: file of at most one piece
};

struct create_spec {
    struct slice name;                  // not empty, without '/'
    bool is_dir;                        // false: exactly one file, called `name`
    bool has_v1, has_v2;                // both: hybrid
    bool is_private;
    uint32_t piece_len;                 // v2: a power of two >= 16 KiB
    const struct create_file *files;    // v2: in the order of create_sort()
    uint32_t files_n;
    const uint8_t *pieces;              // v1: 20 bytes for each of create_pieces_n()
    const struct metainfo_url *trackers;    // tiers ascending
    uint32_t trackers_n;
    const struct slice *web_seeds;
    uint32_t web_seeds_n;
    struct slice comment, created_by;   // empty: left out
    struct slice source;                // info.source, which gives a private tracker's torrent its own hash; empty: left out
    int64_t created_s;                  // Unix time, 0: left out
    const struct slice *similar, *collections;  // BEP 38: hashes of 20 or 32 bytes, names; at most METAINFO_HINTS_MAX of each
    uint32_t similar_n, collections_n;
};

// Piece length for this many bytes: a power of two from 16 KiB to 16 MiB; 1,000 to 2,000 pieces where that is possible.
uint32_t create_piece_len(uint64_t total);
// Puts the files into the order of a v2 file tree: by the bytes of each part of the path. ERR_NOMEM.
MUST_USE enum err create_sort(const struct mem *mem, struct create_file *files, uint32_t n);
// Bytes of the pad file behind file i: 0 but in a hybrid of several files, where each next file begins a piece. The last
// file is padded too, as by BEP 52's reference creator.
uint64_t create_pad_len(const struct create_spec *s, uint32_t i);
// v1 pieces of all files with their pads.
uint64_t create_pieces_n(const struct create_spec *s);
// Bytes of the piece layer of a file of len bytes; 0: it has none.
uint64_t create_layer_len(uint64_t len, uint32_t piece_len);
// A number of bytes that create_write() does not exceed.
uint64_t create_size_max(const struct create_spec *s);

// Appends the torrent file. mem: for sorting, given back. ERR_SYNTAX: no file, or a name or path that path_is_safe()
// refuses (a reader would change it); ERR_EXISTS: a path twice, or both a file and a directory; ERR_RANGE: over a limit of
// metainfo.h, a path of more than CREATE_PARTS_MAX parts, a bad piece length, nothing but empty files; ERR_TOO_LONG: no
// room in w (something may have been written); ERR_NOMEM.
MUST_USE enum err create_write(struct wr *w, const struct mem *mem, const struct create_spec *s);
// Appends a torrent file around an info dictionary that came from peers. ERR_TOO_LONG: no room in w.
MUST_USE enum err create_wrap(struct wr *w, struct slice info, const struct slice *trackers, uint32_t trackers_n,
                              const struct slice *web_seeds, uint32_t web_seeds_n);
