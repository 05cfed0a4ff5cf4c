// DNS questions for addresses, and their answers. RFC 1035, 3596 (AAAA).
#pragma once
#include "base/addr.h"

enum {
    DNS_MESSAGE_MAX = 1232,             // that we take over UDP without a fragment: what EDNS clients ask for
    DNS_NAME_MAX = 253,
    DNS_RECORDS_MAX = 64,               // looked at
    DNS_A = 1, DNS_AAAA = 28,
    DNS_NAME_ERROR = 3,                 // rcode: there is no such name
};

struct dns_answer {
    uint16_t id;
    uint8_t rcode;
    bool truncated;                     // TC: more over TCP
    struct addr addrs[16];              // port 0
    uint32_t n;
};

// Writes one recursive question of type DNS_A or DNS_AAAA. ERR_SYNTAX: no host name (a label empty or above 63 bytes, a blank).
MUST_USE enum err dns_question_write(struct wr *w, uint16_t id, struct slice name, uint16_t type);
// The addresses of `type` in an answer to the question (name, type) that was asked with `id`; aliases are followed by whoever
// sends it, all records count. ERR_PROTOCOL: not an answer to that, or malformed.
MUST_USE enum err dns_answer_parse(struct slice message, uint16_t id, struct slice name, uint16_t type, struct dns_answer *out);
