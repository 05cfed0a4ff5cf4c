// Makes a torrent of a path, in memory: lists, hashes on all cores, composes. For `create` and `share`.
#pragma once
#include "app/walk.h"

struct making {
    struct walk walk;
    struct buf bytes;                   // the torrent file
    struct metainfo meta;               // the same, read back
    nsec took;                          // hashing alone
};

// By the options of a. Says what is wrong; returns the exit status. making_done is needed in any case.
MUST_USE int making_run(struct app *a, const char *path, struct making *out);
void making_done(struct making *m);
// Writes it where the options say, or beside nothing as NAME.torrent in the working directory. The same bytes there
// already are fine; others want --force. On success *out_path, from malloc, says where.
MUST_USE int making_write(struct app *a, const struct making *m, char **out_path);
// The directory that contains what the torrent is made of; from malloc, NULL: out of memory.
char *making_root(const struct making *m);
