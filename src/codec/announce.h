// What an announce says, whichever way it travels: HTTP (announce_http.h) or UDP (announce_udp.h). BEP 3, 15.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"

#define ANNOUNCE_LEFT_UNKNOWN UINT64_MAX    // a magnet without metadata
#define ANNOUNCE_UNKNOWN UINT32_MAX         // a number that was not given

enum {
    ANNOUNCE_HASH_LEN = 20,
    ANNOUNCE_URL_MAX = 2048,            // bytes of a tracker's URL; ours grow to at most 700 more
};

// Values of BEP 15, which has no `paused`.
enum announce_event {
    ANNOUNCE_NONE = 0,
    ANNOUNCE_COMPLETED = 1,
    ANNOUNCE_STARTED = 2,
    ANNOUNCE_STOPPED = 3,
    ANNOUNCE_PAUSED = 4,                // BEP 21
};

struct announce {
    uint8_t info_hash[ANNOUNCE_HASH_LEN];
    uint8_t peer_id[20];
    uint64_t uploaded, downloaded, left;    // bytes
    enum announce_event event;
    uint32_t key;
    uint32_t numwant;                   // ANNOUNCE_UNKNOWN: as the tracker likes
    uint16_t port;
};
