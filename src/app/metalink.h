// Metalink documents: where files are to be had, and what tells that they are right. RFC 5854.
#pragma once
#include "base/bytes.h"
#include "crypto/hash.h"

enum {
    METALINK_BYTES_MAX = 32 << 20,
    METALINK_FILES_MAX = 1024,
    METALINK_URLS_MAX = 64,             // of one file, the best by priority
    METALINK_TEXT_MAX = 8192,           // bytes of a name, URL or number
};

#define METALINK_SIZE_UNKNOWN UINT64_MAX

struct metalink_url {
    char *text;
    uint32_t priority;                  // 1 is best, 999999 the last and the default (section 4.2.16.1.1)
};

struct metalink_file {
    char *name;                         // as it stands there: not to be trusted
    uint64_t size;                      // METALINK_SIZE_UNKNOWN: not said
    uint8_t sum[SHA256_LEN];            // of the whole, SHA-256 if there is one
    size_t sum_n;                       // SHA256_LEN, SHA1_LEN; 0: none that we know
    uint8_t *pieces;                    // SHA-1 of each
    uint64_t piece_len;
    uint32_t pieces_n, pieces_cap;      // 0: none, or none of SHA-1
    struct metalink_url urls[METALINK_URLS_MAX], torrents[METALINK_URLS_MAX];   // ordered; of torrent files that have it (section 4.2.8)
    uint32_t urls_n, torrents_n;
};

struct metalink {
    struct metalink_file *files;
    uint32_t files_n;
};

// ERR_SYNTAX: no Metalink document of version 4, `why` says what is wrong; ERR_TOO_LONG: more than a limit; ERR_NOMEM. On failure
// *out is empty. metalink_free afterwards, which is fine for an empty one.
enum { METALINK_WHY_MAX = 160 };
MUST_USE enum err metalink_parse(struct metalink *out, struct slice text, char why[METALINK_WHY_MAX]);
void metalink_free(struct metalink *m);
// By the end of its name.
bool metalink_is_name(const char *path);
