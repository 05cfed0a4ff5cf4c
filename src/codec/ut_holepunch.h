// Messages of the ut_holepunch extension: a peer that two others are connected to tells both to connect at once. BEP 55.
#pragma once
#include "base/addr.h"

enum { UT_HOLEPUNCH_MESSAGE_MAX = 64 };                // bytes of one that ut_holepunch_write makes

enum ut_holepunch_type {
    UT_HOLEPUNCH_RENDEZVOUS,            // to the relay: connect me and `addr`
    UT_HOLEPUNCH_CONNECT,               // from the relay: connect to `addr` now, by uTP
    UT_HOLEPUNCH_ERROR,                 // from the relay: not `addr`
};

enum ut_holepunch_error {
    UT_HOLEPUNCH_NONE,
    UT_HOLEPUNCH_NO_SUCH_PEER,          // that is no address
    UT_HOLEPUNCH_NOT_CONNECTED,         // the relay is not connected to it
    UT_HOLEPUNCH_NO_SUPPORT,            // it does not speak this extension
    UT_HOLEPUNCH_NO_SELF,               // it is the relay
};

struct ut_holepunch {
    enum ut_holepunch_type type;
    struct addr addr;                   // as sent: any address and port
    uint32_t error;                     // enum ut_holepunch_error, or one that BEP 55 does not know; 0 unless UT_HOLEPUNCH_ERROR
};

// Reads the payload of an extended message (behind its id). ERR_PROTOCOL: too short, or a type or family that BEP 55 does not
// know. A missing error code is 0: libtorrent writes it in errors only.
MUST_USE enum err ut_holepunch_parse(struct ut_holepunch *out, struct slice payload);
// Writes the whole message: length, 20, id, payload. Nothing without room (UT_HOLEPUNCH_MESSAGE_MAX is always enough).
void ut_holepunch_write(struct wr *w, uint8_t id, const struct ut_holepunch *m);
