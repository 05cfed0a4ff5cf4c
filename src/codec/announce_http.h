// The HTTP tracker protocol, both sides. BEP 3, 7, 21, 23, 24, 31, 48; HTTP/1.1 requests as far as a tracker needs them.
#pragma once
#include "codec/announce.h"
#include "codec/bencode.h"

// ---- the client's requests

struct announce_query {
    struct announce announce;
    bool compact;                       // asked for unless "compact=0" (BEP 23)
    const struct addr *ipv4, *ipv6;     // told to the tracker; NULL: not (BEP 7). Ignored by the parser
    struct slice tracker_id;            // echoed; empty: none
};

// Appends an announce to the tracker's URL, which may have a query of its own; a fragment is dropped.
void announce_url_write(struct wr *w, struct slice url, const struct announce_query *q);
// Makes a scrape URL by BEP 48's convention. ERR_UNSUPPORTED: the text after the last '/' does not begin with
// "announce"; ERR_TOO_LONG: no room. hashes: 20 bytes each.
MUST_USE enum err scrape_url_write(struct wr *w, struct slice url, struct slice hashes);

// ---- the tracker's replies, as the client reads them

enum { ANNOUNCE_RETRY_NEVER = -1 };

// Slices are borrowed from the body.
struct announce_reply {
    bool failed;                        // failure reason was there: nothing but it, retry_in_s and warning counts
    struct slice failure, warning, tracker_id;
    int64_t retry_in_s;                 // BEP 31: seconds, ANNOUNCE_RETRY_NEVER, 0: not said
    uint32_t interval_s, min_interval_s;            // ANNOUNCE_UNKNOWN: not said
    uint32_t seeds, leeches, downloaded;            // ANNOUNCE_UNKNOWN: not said
    struct slice peers4, peers6;        // compact: 6 and 18 bytes each; what is left over at the end is no peer
    struct slice peers_list;            // or dictionaries, in bencode: announce_peers_next
    struct addr external;               // BEP 24, port 0; family ADDR_NONE: not said
};

// Reads an announce's reply. Unsorted or repeated keys, and anything after the dictionary, are tolerated. ERR_PROTOCOL:
// not a dictionary, or broken inside.
MUST_USE enum err announce_reply_parse(struct announce_reply *out, struct slice body);

// Walks the peers of a reply in the order compact, compact IPv6, dictionaries. Borrows from the body.
struct announce_peers {
    struct rd peers4, peers6;
    struct bencode list;
    uint32_t skipped;                   // host names, port 0, broken entries
};

void announce_peers_init(struct announce_peers *p, const struct announce_reply *r);
// The next peer with an address and a port; false: no more.
bool announce_peers_next(struct announce_peers *p, struct addr *out);

struct scrape_counts {
    uint32_t seeds, leeches, downloaded;            // ANNOUNCE_UNKNOWN: not said
};

// Finds one hash in a scrape's reply. ERR_PROTOCOL: broken, or a failure reason; ERR_NOT_FOUND: the hash is not in it.
MUST_USE enum err scrape_reply_find(struct slice body, const uint8_t hash[20], struct scrape_counts *out);

// ---- requests, as the tracker reads them

struct http_request {
    size_t len;                         // bytes of the request, with the blank line
    struct slice path, query;           // borrowed; still encoded
    bool keep_alive;
    bool head;                          // HEAD: the reply has no body
};

// Reads one request without body. ERR_AGAIN: not whole yet; ERR_SYNTAX: not HTTP/1.x, or it has a body;
// ERR_UNSUPPORTED: neither GET nor HEAD.
MUST_USE enum err http_request_parse(struct http_request *out, struct slice bytes);

// Reads an announce's query; what is not known is skipped. ERR_SYNTAX with *why (static text, fit for a failure reason).
MUST_USE enum err announce_query_parse(struct announce_query *out, struct slice query, const char **why);
// Writes the 20 bytes of up to max info hashes of a query to out; returns their number. Broken ones are left out.
uint32_t scrape_query_hashes(struct slice query, uint8_t (*out)[20], uint32_t max);
