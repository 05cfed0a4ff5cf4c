// Asks servers about files before they are fetched, and fetches by a plain stream what has no known length. Each call runs a
// loop of its own to its end.
#pragma once
#include "app/cmd.h"
#include "codec/path.h"

enum { PROBE_URLS_MAX = 64, PROBE_MARK_MAX = 256, PROBE_WHY_MAX = 256 };

#define PROBE_SIZE_UNKNOWN UINT64_MAX

struct probe {
    const char *url;
    enum err err;                       // ERR_OK: it answered
    int status;                         // 200 or 206 if the file is there; 0: no answer
    uint64_t size;                      // bytes, PROBE_SIZE_UNKNOWN
    uint32_t retry_after_s;             // 503: when to come again; 0: not said
    bool ranges;                        // it sends parts
    bool is_torrent, is_metalink;       // by its type or name
    char name[PATH_PART_MAX + 1];       // safe; "": neither the server nor the URL says one
    char mark[PROBE_MARK_MAX];          // ETag or date: changes with the file; ""
};

bool probe_is_url(const char *text);
// err_text, or which proxy it was, without name and password.
const char *probe_why(const struct app *a, enum err e, char out[PROBE_WHY_MAX]);
// Asks all of them at the same time and fills the rest of each. Only errors that concern no single URL are returned:
// ERR_NOMEM, ERR_IO, ERR_CANCELLED (a signal).
MUST_USE enum err probe_all(struct app *a, struct probe *items, uint32_t n);
// A small file into memory from malloc. ERR_TOO_LONG: over `max`; ERR_NOT_FOUND: a status of 400 and above.
MUST_USE enum err probe_read(struct app *a, const char *url, size_t max, struct buf *out);
// The whole body into fd, as it comes, within the limit of --down. *out_n: bytes. ERR_CANCELLED: a signal.
MUST_USE enum err probe_save(struct app *a, const char *url, int fd, uint64_t *out_n);
