// The peer wire: handshake and messages. BEP 3, 6 (fast), 10 (extensions), 52 (hashes), 54.
#pragma once
#include "base/bytes.h"
#include "codec/metainfo.h"

enum {
    HANDSHAKE_LEN = 68,
    HANDSHAKE_HASH_END = 48,            // bytes up to and with the info-hash; the peer id may come late
    PEER_ID_LEN = 20,
    INFO_HASH_LEN = 20,
    PIECE_HEADER_LEN = 13,              // length, id, index, begin of a piece message
    EXTENDED_LEN_MAX = 1 << 20,         // a named limit: BEP 10 has none
    REQUEST_MSG_LEN = 17,
    HASHES_MAX = 512 + 64,              // digests in one hashes message: BEP 52's greatest length and its proofs
};

enum peer_msg_id {
    MSG_CHOKE = 0, MSG_UNCHOKE = 1, MSG_INTERESTED = 2, MSG_NOT_INTERESTED = 3, MSG_HAVE = 4, MSG_BITFIELD = 5,
    MSG_REQUEST = 6, MSG_PIECE = 7, MSG_CANCEL = 8, MSG_PORT = 9,
    MSG_SUGGEST = 13, MSG_HAVE_ALL = 14, MSG_HAVE_NONE = 15, MSG_REJECT = 16, MSG_ALLOWED_FAST = 17,
    MSG_EXTENDED = 20, MSG_HASH_REQUEST = 21, MSG_HASHES = 22, MSG_HASH_REJECT = 23,
    MSG_KEEP_ALIVE = 256,               // not on the wire: a length of 0
    MSG_UNKNOWN = 257,
};

struct handshake {
    bool has_dht, has_fast, has_extended, has_v2;
    uint8_t info_hash[INFO_HASH_LEN];
    uint8_t peer_id[PEER_ID_LEN];
};

// One whole message without its payload; which fields count depends on id.
struct peer_msg {
    uint16_t id;                        // enum peer_msg_id
    uint32_t index, begin, len;         // have, suggest, allowed-fast: index; request, cancel, reject: all three; piece: index, begin, len of data
    uint16_t port;                      // MSG_PORT
    uint8_t extended_id;                // MSG_EXTENDED
    struct slice payload;               // bitfield, extended, hashes…: borrowed from the input
};

// The first 48 bytes of a handshake: everything but the peer id. ERR_PROTOCOL: not a BitTorrent handshake.
// Whether a stream that begins so may become one: false at the first byte that is not BitTorrent's.
bool handshake_begins(struct slice bytes);
MUST_USE enum err handshake_parse(struct handshake *out, const uint8_t bytes[HANDSHAKE_HASH_END]);
void handshake_write(struct wr *w, const struct handshake *h);

// One message body, without its 4-byte length; an empty body is a keep-alive; an unknown id gives MSG_UNKNOWN. A piece
// message must hold all its data, and payload is the data. ERR_PROTOCOL: the length does not fit the id; an exact
// bitfield and the length of a piece are the caller's to check.
MUST_USE enum err peer_msg_parse(struct peer_msg *out, struct slice body);
// The greatest body that a message of this id may have, in bytes; bitfield_n: bytes of an exact bitfield, 0: not known
// yet. Unknown ids may be skipped up to EXTENDED_LEN_MAX.
uint32_t peer_msg_len_max(uint8_t id, uint32_t bitfield_n);
// Writes a message with its length; a piece only up to its header: the data follows elsewhere. Nothing without room.
void peer_msg_write(struct wr *w, const struct peer_msg *m);
