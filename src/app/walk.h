// Lists what a torrent is to contain, in the order in which it goes into the torrent: by the bytes of each part of a
// path, as BEP 52 wants it for v2; v1 leaves the order free.
#pragma once
#include "app/cmd.h"

enum {
    WALK_DEPTH_MAX = 64,                // nested directories
    WALK_PART_MAX = 255,                // bytes of one name, as file systems have it
};

struct walk_file {
    char *path;                         // below root
    char *target;                       // symbolic link: what it points to, a path below root; else NULL
    uint64_t len;
    int64_t mtime_ns;
    bool executable;
};

struct walk {
    char *root;                         // absolute; the directory itself, or the one that contains the file
    char *name;                         // of the torrent: the last part of the path
    bool is_dir;
    struct walk_file *files;
    uint32_t files_n, files_cap;
    uint64_t total;                     // bytes of all files
};

// Lists `path`. Symbolic links inside are kept if they point to a file inside, anything else but regular files and
// directories is refused; says so. Returns the exit status; walk_done is needed in any case.
MUST_USE int walk_path(struct app *a, const char *path, struct walk *out);
void walk_done(struct walk *w);
// Did no file change its size or time since it was listed? The first that did in *out_file.
bool walk_unchanged(const struct walk *w, uint32_t *out_file);
