// The extension handshake: message 20 with id 0 and a dictionary. BEP 9, 10, 21, 54, 55.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"

enum extension { EXT_DONTHAVE, EXT_UPLOAD_ONLY, EXT_HOLEPUNCH, EXT_METADATA, EXT_PEX, EXTENSIONS_N };

enum {
    EXTENDED_HANDSHAKE_MAX = 512,       // bytes of the message that extended_write makes at most; ours is far smaller
    EXTENDED_CLIENT_MAX = 128,          // bytes of `client`: longer ones are cut
};

// Ids belong to whoever sends the handshake: they are what the other side must use. A handshake may come again; what
// it does not mention stays as it was.
struct extended_handshake {
    bool has_id[EXTENSIONS_N];
    uint8_t ids[EXTENSIONS_N];          // 0: switched off
    bool has_reqq, has_listen_port, has_metadata_size, has_upload_only;
    uint32_t reqq;                      // requests that the sender queues
    uint16_t listen_port;               // where the sender accepts TCP; never 0
    uint64_t metadata_size;             // bytes, never 0; not checked against any limit
    bool upload_only;                   // BEP 21
    struct slice client;                // any bytes, borrowed; empty: not said
    struct addr your_ip;                // how the sender sees the receiver, port 0; family ADDR_NONE: not said
};

// Reads the dictionary (the payload of message id 0). Values of a wrong type or range count as not said, what follows
// the dictionary is ignored. ERR_PROTOCOL: not a dictionary, or broken inside.
MUST_USE enum err extended_parse(struct extended_handshake *out, struct slice payload);
// Writes the whole message: length, 20, 0, dictionary; nothing without room (EXTENDED_HANDSHAKE_MAX is always enough).
void extended_write(struct wr *w, const struct extended_handshake *h);
// The id by which we want to be sent an extension's messages: 1 … EXTENSIONS_N. BEP 10: ids belong to the receiver.
static inline uint8_t extension_id(enum extension e) { return (uint8_t)(e + 1); }
// "ut_metadata" and so on.
const char *extension_name(enum extension e);
