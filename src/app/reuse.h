// Files that other torrents have brought already (BEP 38): `similar` and `collections` name torrents that may have some in common.
// Where complete ones lie is remembered in the state database; private ones are not. What is copied is checked like all that lies there.
#pragma once
#include "app/cmd.h"

enum {
    REUSE_SOURCES_MAX = 32,             // torrents that are looked at for one
    REUSE_MEMBERS_MAX = 16,             // of a collection that are remembered: the newest
    REUSE_BYTES_MAX = 8 << 20,          // of a torrent file that is remembered
    REUSE_PAIRS_MAX = 50000000,         // files that are compared
};

// All of it is in `root`.
void reuse_remember(struct app *a, const struct metainfo *m, const char *root);
// Nothing of it is in `root` yet: copies the wanted files that others have of the same length and pieces root, or, where one of the two
// has no root (v1), of the same length and name. What cannot be copied is fetched. Returns the exit status: a signal ends it.
MUST_USE int reuse_files(struct app *a, const struct metainfo *m, const char *root, const uint8_t *priorities);
