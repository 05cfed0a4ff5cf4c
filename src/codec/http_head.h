// The header lines of an HTTP answer, as far as a download needs them. RFC 9110, 6266 (names), 8187 (their encoding).
#pragma once
#include "base/bytes.h"

enum {
    HTTP_RETRY_DATE_S = 60,             // a Retry-After that is a date counts as this: pure code has no calendar
    HTTP_RETRY_MAX_S = 86400,
};

#define HTTP_LEN_UNKNOWN UINT64_MAX

// Views into the lines. What is not there or makes no sense is as if it had not been sent.
struct http_head {
    bool has_range;                     // Content-Range: bytes first-last/total
    bool accepts_ranges;                // Accept-Ranges: bytes
    bool encoded;                       // Content-Encoding other than identity: the body is not the file
    uint64_t first, last;               // has_range: bytes of the file, both included
    uint64_t total;                     // bytes of the whole file, by Content-Range; HTTP_LEN_UNKNOWN
    uint64_t len;                       // Content-Length; HTTP_LEN_UNKNOWN
    uint32_t retry_after_s;             // 0: not said
    struct slice etag, modified, disposition, type;
};

// Reads header lines that end with CR LF or LF, with or without the status line. The last one of a name counts.
void http_head_parse(struct slice lines, struct http_head *out);

// Writes the file name of a Content-Disposition, made safe: one part of a path (codec/path.h). False: it has none.
MUST_USE bool http_disposition_name(struct slice disposition, struct wr *w);
// Writes the file name that a URL's path ends with, decoded and made safe. False: it has none.
MUST_USE bool http_url_name(struct slice path, struct wr *w);
