// Asks the home router to let strangers in: NAT-PMP (RFC 6886) first, because it answers at once or not at all, then UPnP IGD.
// Everything here blocks, for seconds: for a worker, one at a time.
#pragma once
#include "base/addr.h"

struct mapper;

enum { MAPPER_TRIES = 8, MAPPER_DISCOVER_MS = 2000, MAPPER_NATPMP_MS = 1800 };

struct map_request {
    bool udp;
    uint16_t port;                      // ours
    uint16_t external;                  // wished for
    uint32_t lifetime_s;                // 0: take the mapping back
    const char *from;                   // address of this machine to ask from; NULL: any
};

struct map_answer {
    struct addr external;               // ip may be zero: the router did not say
    uint32_t lifetime_s;
};

// ERR_NOMEM.
MUST_USE enum err mapper_new(struct mapper **out);
void mapper_free(struct mapper *m);
// ERR_UNREACHABLE: no router answers; ERR_REFUSED: it does not want to; ERR_UNSUPPORTED: built without the libraries.
MUST_USE enum err mapper_map(struct mapper *m, const struct map_request *r, struct map_answer *out);
