// URLs of trackers, web seeds and edges: taking apart, percent-encoding. RFC 3986.
#pragma once
#include "base/bytes.h"

// Views into the parsed text. path begins with '/' or '?' or is empty; it holds the query, not the fragment.
struct url {
    struct slice scheme;                // as written: compare with url_is
    struct slice user;                  // "name:password", empty: none
    struct slice host;                  // without the brackets of IPv6
    struct slice path;
    uint16_t port;                      // the scheme's own (http 80, https 443, ftp 21) if not given, 0: not known
    bool bracketed;                     // host was "[…]"
};

// Reads scheme://[user@]host[:port][path]. ERR_SYNTAX: no scheme or host, a blank or control character anywhere, a bad
// port (0 too).
MUST_USE enum err url_parse(struct slice text, struct url *out);
// Whether the scheme is this one; case does not count.
bool url_is(const struct url *u, const char *scheme);

// Takes the next well-formed URL off a list as found in the wild: separated by blanks, control characters, or by ',' or
// ';' before another "scheme://". What is not a URL is dropped. False: no more.
bool url_list_next(struct slice *list, struct slice *out);

// Writes s with all but RFC 3986's unreserved characters as %XX.
void url_encode(struct wr *w, struct slice s);
// Writes s with every %XX decoded; '+' stays. ERR_SYNTAX: a '%' without two hex digits; ERR_TOO_LONG: no room.
// Something may have been written then.
MUST_USE enum err url_decode(struct wr *w, struct slice s);

// Takes the next "name=value" off a query ("a=b&c=d"); both still encoded, value empty if there is no '='. False: no more.
bool url_query_next(struct slice *query, struct slice *name, struct slice *value);
