// The UDP tracker protocol, both sides. BEP 15, URL options of BEP 41.
//
//   connect   8 protocol id, 4 action 0, 4 transaction            -> 4 action 0, 4 transaction, 8 connection id
//   announce  8 connection id, 4 action 1, 4 transaction, 20 hash, 20 peer id, 8 downloaded, 8 left, 8 uploaded, 4 event,
//             4 ip, 4 key, 4 numwant, 2 port, options             -> 4 action 1, 4 transaction, 4 interval, 4 leeches,
//                                                                    4 seeds, peers: 6 or (IPv6) 18 bytes each
//   scrape    8 connection id, 4 action 2, 4 transaction, hashes  -> 4 action 2, 4 transaction, {4 seeds, 4 downloaded,
//                                                                    4 leeches} for each hash
//   error                                                         -> 4 action 3, 4 transaction, text
#pragma once
#include "codec/announce.h"

enum udp_action { UDP_CONNECT = 0, UDP_ANNOUNCE = 1, UDP_SCRAPE = 2, UDP_ERROR = 3 };

enum {
    UDP_SCRAPE_MAX = 74,                // hashes in one scrape
    UDP_SCRAPE_ITEM_LEN = 12,
    UDP_ANNOUNCE_LEN = 98,              // without options
    UDP_ANNOUNCE_REPLY_LEN = 20,        // without peers
};

struct udp_request {
    enum udp_action action;
    uint32_t transaction;
    uint64_t connection_id;
    struct announce announce;           // UDP_ANNOUNCE
    struct slice options;               // UDP_ANNOUNCE: still in BEP 41's form
    struct slice hashes;                // UDP_SCRAPE: 20 bytes each, at most UDP_SCRAPE_MAX
};

struct udp_reply {
    enum udp_action action;
    uint32_t transaction;
    uint64_t connection_id;             // UDP_CONNECT
    uint32_t interval_s, leeches, seeds;    // UDP_ANNOUNCE
    struct slice body;                  // announce: peers; scrape: items; error: text. Borrowed from the input
};

struct udp_scrape_item {
    uint32_t seeds, downloaded, leeches;
};

// ERR_PROTOCOL: too short, an unknown action, a connect without the protocol id, a scrape without a hash. Longer packets
// than known are fine. `announce.event` that BEP 15 does not know is read as none.
MUST_USE enum err udp_request_parse(struct udp_request *out, struct slice bytes);
// ERR_PROTOCOL: too short, an unknown action.
MUST_USE enum err udp_reply_parse(struct udp_reply *out, struct slice bytes);
// Item i of a scrape reply's body; false: there is none.
bool udp_scrape_item(struct slice body, uint32_t i, struct udp_scrape_item *out);

void udp_connect_write(struct wr *w, uint32_t transaction);
// path: of the tracker's URL, told by BEP 41 if not empty.
void udp_announce_write(struct wr *w, uint64_t connection_id, uint32_t transaction, const struct announce *a, struct slice path);
// hashes: 20 bytes each, 1 … UDP_SCRAPE_MAX of them.
void udp_scrape_write(struct wr *w, uint64_t connection_id, uint32_t transaction, struct slice hashes);

void udp_connect_reply_write(struct wr *w, uint32_t transaction, uint64_t connection_id);
// What comes before the peers; the fields of `r` but action and body count.
void udp_announce_reply_write(struct wr *w, const struct udp_reply *r);
// What comes before the items, then an item.
void udp_scrape_reply_write(struct wr *w, uint32_t transaction);
void udp_scrape_item_write(struct wr *w, const struct udp_scrape_item *item);
void udp_error_write(struct wr *w, uint32_t transaction, const char *text);

// BEP 41: writes the path and query of a tracker's URL as URLData options; one empty option if there is none.
void udp_options_write(struct wr *w, struct slice path);
// Writes the URLData of all options one after the other. ERR_SYNTAX: an option is longer than what is left;
// ERR_TOO_LONG: no room in w. Unknown options are skipped.
MUST_USE enum err udp_options_path(struct slice options, struct wr *w);
