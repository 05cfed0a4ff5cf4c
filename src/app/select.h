// Which files to fetch: `--select 1,3-5,*.txt`.
#pragma once
#include "codec/metainfo.h"

enum { SELECT_WHY_MAX = 512 };

// Files are numbered from 1 in order, pads left out, as `kith show` prints them.
// Sets out[i] for each file of meta (files_n of them) that one item of the list names: a number, a range of numbers, or
// a glob over the path, the path below the torrent's own directory, or the last part. Others are cleared.
// ERR_SYNTAX, ERR_RANGE: no such number; ERR_NOT_FOUND: a glob that matches nothing. `why` says it in one line.
MUST_USE enum err select_parse(const char *list, const struct metainfo *meta, bool *out, char why[SELECT_WHY_MAX]);
