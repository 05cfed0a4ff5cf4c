// What the ways of `kith get` share: torrents and links (cmd_get.c), URLs of files (get_url.c).
#pragma once
#include "app/cmd.h"

// The directory of -o, made if missing; from malloc.
MUST_USE int get_make_root(struct app *a, char **out);
// As sha256sum prints it, for a file below root.
void get_print_sha256(struct app *a, const char *root, const char *name);

// Fetches the files of a Metalink, `what` for messages, one after the other. If it has a single one and knows only a torrent of
// it: reads that as get_urls. Returns the exit status.
MUST_USE int get_metalink(struct app *a, const char *what, struct slice bytes, struct metainfo *torrent, bool *is_torrent);
// Fetches the file that all of the URLs are copies of; a Metalink's files if it is one. If it is a torrent file, and the only URL: reads
// it into *torrent (to be freed) and sets *is_torrent. torrent_only: nothing else will do. Returns the exit status.
MUST_USE int get_urls(struct app *a, const struct texts *urls, bool torrent_only, struct metainfo *torrent, bool *is_torrent);
