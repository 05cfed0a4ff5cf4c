// File names from strangers, made safe: no way out of the folder, nothing that deceives the eye or is not UTF-8.
#pragma once
#include "base/bytes.h"

enum {
    PATH_PART_CUT = 240,                // bytes of one part, then only its extension follows; file systems allow 255
    PATH_EXTENSION_MAX = 10,            // bytes from the end in which the dot of an extension is looked for
    PATH_PART_MAX = 256,                // bytes of a part after path_add, at most
    PATH_PARTS_MAX = 100,               // of one path
    PATH_BYTES_MAX = (PATH_PARTS_MAX + 1) * (PATH_PART_MAX + 1),
};

enum path_dots {
    PATH_DOTS_DROP = 0,                 // "." and ".." add nothing
    PATH_DOTS_REPLACE,                  // they become "_": where the depth must stay, as in v2 trees and symlink targets
};

// Adds one part to the path in w, with a '/' before it if something is there already. '/' and '\' go, and so do characters
// without width or that change the direction of text; control characters and what is not UTF-8 become '_'; a long part
// is cut, but for its extension; nothing left: "_". False: it was dropped, or there is no room (w->ok).
bool path_add(struct wr *w, struct slice part, enum path_dots dots);
// Turns ':' into '_' from byte `from` on: in top-level names, where "c:" and streams of Windows begin.
void path_replace_colons(struct buf *b, size_t from);

// Whether a '/'-separated path is one that path_add makes: relative, valid UTF-8, no empty, "." or ".." part, no control
// character or '\', at most PATH_PARTS_MAX parts. For what comes from elsewhere: state on disk, a command line.
bool path_is_safe(struct slice path);

// Where the extension of the last part begins ("a/b.txt": 3), or path.n: it has none. A leading dot begins none.
size_t path_extension_at(struct slice path);
// Takes the next part off the front; false: no more.
bool path_next(struct slice *path, struct slice *out_part);
// Up to the last '/', without it; empty: there is none.
struct slice path_parent(struct slice path);
// memcmp order of the parts: "a/b" before "a.b". The order of a BEP 52 file tree.
int path_cmp(struct slice a, struct slice b);
