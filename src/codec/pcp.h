// The Port Control Protocol: MAP requests and their answers; and the news that a router tells its whole network. RFC 6887, 6886.
#pragma once
#include "base/addr.h"

enum {
    PCP_PORT = 5351,                    // of the router
    PCP_NEWS_PORT = 5350,               // of its clients, where news come
    PCP_NONCE_LEN = 12,
    PCP_MESSAGE_MAX = 1100,             // RFC 6887 section 7
    PCP_MAP_LEN = 60,                   // bytes that pcp_map_write makes
};

// RFC 6887 section 7.4; as many as matter here.
enum pcp_result { PCP_SUCCESS = 0, PCP_UNSUPP_VERSION = 1, PCP_NOT_AUTHORIZED = 2, PCP_ADDRESS_MISMATCH = 12 };

struct pcp_map {
    bool udp;                           // or TCP
    uint16_t port;                      // ours
    struct addr client;                 // how we reach the router (requests only)
    struct addr external;               // wished for, family ADDR_NONE: any address; or given
    uint32_t lifetime_s;                // 0: take the mapping back
    uint8_t nonce[PCP_NONCE_LEN];       // names the mapping: the same as long as it is held
};

struct pcp_answer {
    uint8_t result;                     // enum pcp_result, or another one
    uint32_t epoch_s;                   // since the router has kept what it holds
    struct pcp_map map;                 // external and lifetime_s: what was given; for errors lifetime_s alone, how long it stays so
};

// Writes a MAP request; nothing without room. m->client has a family.
void pcp_map_write(struct wr *w, const struct pcp_map *m);
// Reads the answer to one. ERR_UNSUPPORTED: the router speaks another version (NAT-PMP, most likely); ERR_PROTOCOL: no answer to a MAP.
MUST_USE enum err pcp_answer_parse(struct pcp_answer *out, struct slice datagram);
// Is it the news that the router has started anew or has another address: an ANNOUNCE of RFC 6887 section 14.1, or NAT-PMP's
// public address (RFC 6886 section 3.2.1)?
bool pcp_is_news(struct slice datagram);
