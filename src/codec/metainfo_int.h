// What the files of metainfo share. Private to them.
#pragma once
#include "codec/bencode.h"
#include "codec/metainfo.h"
#include "codec/path.h"

enum info_key {
    INFO_ATTR, INFO_COLLECTIONS, INFO_FILE_TREE, INFO_FILES, INFO_LENGTH, INFO_META_VERSION, INFO_NAME, INFO_NAME_UTF8,
    INFO_ORIGINATOR, INFO_PIECE_LENGTH, INFO_PIECES, INFO_PRIVATE, INFO_SIMILAR, INFO_UPDATE_URL, INFO_KEYS,
};

enum {
    METAINFO_WHY_LEN = 160,
    METAINFO_URL_TRIES_MAX = 10 * METAINFO_URLS_MAX,    // each is compared with all that are kept
};

// One torrent being read.
struct metainfo_reader {
    struct metainfo *m;
    char *why;                          // METAINFO_WHY_LEN
    struct bencode_field info[INFO_KEYS];
    struct buf path, target;            // PATH_BYTES_MAX: the path being made, and where it points to
    uint64_t text_n;                    // bytes kept
    uint32_t urls_n;                    // looked at, of METAINFO_URL_TRIES_MAX
};

// Says why, and returns e.
MUST_USE enum err metainfo_refuse(struct metainfo_reader *r, enum err e, const char *fmt, ...) FORMAT(3, 4);
MUST_USE enum err metainfo_nomem(struct metainfo_reader *r);
// Keeps a copy of `text` for as long as the metainfo lives. ERR_TOO_LONG: METAINFO_TEXT_MAX; ERR_NOMEM.
MUST_USE enum err metainfo_keep(struct metainfo_reader *r, struct slice text, struct slice *out);
// Room for n files. ERR_SYNTAX: n is 0; ERR_TOO_LONG: METAINFO_FILES_MAX; ERR_NOMEM.
MUST_USE enum err metainfo_alloc_files(struct metainfo_reader *r, uint64_t n, struct metainfo_file **out);
// Enum metainfo_file_flags of a raw attr string.
uint32_t metainfo_flags(struct slice raw_attr);
// Adds the parts of a raw list of strings to `into`. ERR_SYNTAX: it is none, or empty; ERR_TOO_LONG. `file` is for `why`.
MUST_USE enum err metainfo_add_parts(struct metainfo_reader *r, struct buf *into, struct slice raw_list, enum path_dots dots,
                                     uint32_t file);
// Keeps the target of a symlink: the torrent's name and the parts as they are given; metainfo_make_unique() checks it.
MUST_USE enum err metainfo_keep_target(struct metainfo_reader *r, struct slice raw_list, struct metainfo_file *f);

// Reads files, pieces and lengths of the v1 part into m.
MUST_USE enum err metainfo_read_v1(struct metainfo_reader *r);
// Reads the file tree; alone it becomes m's list of files, or it is compared with the v1 part and adds its roots to that.
MUST_USE enum err metainfo_read_v2(struct metainfo_reader *r);
// Checks every piece layer and gives it to its files. raw: the dictionary "piece layers", may be empty.
MUST_USE enum err metainfo_read_layers(struct metainfo_reader *r, struct slice raw);
// Renames files so that no path is there twice, nor both as a file and a directory, whatever the case of letters; then
// checks the targets of symlinks.
MUST_USE enum err metainfo_make_unique(struct metainfo_reader *r);
