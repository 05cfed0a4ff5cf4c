// Handshake and messages of the peer wire: see peerwire.h. BEP 3, 6, 10, 52.
#include "codec/peerwire.h"

static const char PROTOCOL[20] = "\x13" "BitTorrent protocol";      // length 19, then the name; no NUL: exactly 20 bytes

// Bits of the 8 reserved bytes. BEP 5, 6, 10, 52.
enum { RESERVED_EXTENDED = 5, EXTENDED_BIT = 0x10, RESERVED_LAST = 7, DHT_BIT = 0x01, FAST_BIT = 0x04, V2_BIT = 0x10 };

// Body lengths with the id. BEP 52: root, base layer, index, length, proof layers.
enum { HASH_HEAD_LEN = 1 + 32 + 4 * 4, HASH_LEN = 32 };

bool handshake_begins(struct slice bytes) { return memcmp(bytes.p, PROTOCOL, size_min(bytes.n, sizeof PROTOCOL)) == 0; }

enum err handshake_parse(struct handshake *out, const uint8_t bytes[HANDSHAKE_HASH_END])
{
    if (memcmp(bytes, PROTOCOL, sizeof PROTOCOL) != 0)
        return ERR_PROTOCOL;
    const uint8_t *reserved = bytes + sizeof PROTOCOL;
    *out = (struct handshake){
        .has_dht = (reserved[RESERVED_LAST] & DHT_BIT) != 0,
        .has_fast = (reserved[RESERVED_LAST] & FAST_BIT) != 0,
        .has_extended = (reserved[RESERVED_EXTENDED] & EXTENDED_BIT) != 0,
        .has_v2 = (reserved[RESERVED_LAST] & V2_BIT) != 0,
    };
    memcpy(out->info_hash, reserved + 8, INFO_HASH_LEN);
    return ERR_OK;
}

void handshake_write(struct wr *w, const struct handshake *h)
{
    uint8_t bytes[HANDSHAKE_LEN] = {0};
    memcpy(bytes, PROTOCOL, sizeof PROTOCOL);
    uint8_t *reserved = bytes + sizeof PROTOCOL;
    reserved[RESERVED_EXTENDED] = h->has_extended ? EXTENDED_BIT : 0;
    reserved[RESERVED_LAST] = (uint8_t)((h->has_dht ? DHT_BIT : 0) | (h->has_fast ? FAST_BIT : 0) | (h->has_v2 ? V2_BIT : 0));
    memcpy(reserved + 8, h->info_hash, INFO_HASH_LEN);
    memcpy(bytes + HANDSHAKE_HASH_END, h->peer_id, PEER_ID_LEN);
    wr_bytes(w, slice_of(bytes, sizeof bytes));
}

uint32_t peer_msg_len_max(uint8_t id, uint32_t bitfield_n)
{
    switch (id) {
    case MSG_CHOKE: case MSG_UNCHOKE: case MSG_INTERESTED: case MSG_NOT_INTERESTED: case MSG_HAVE_ALL: case MSG_HAVE_NONE:
        return 1;
    case MSG_PORT:
        return 3;
    case MSG_HAVE: case MSG_SUGGEST: case MSG_ALLOWED_FAST:
        return 5;
    case MSG_REQUEST: case MSG_CANCEL: case MSG_REJECT:
        return REQUEST_MSG_LEN - 4;
    case MSG_BITFIELD:
        return 1 + (bitfield_n != 0 ? bitfield_n : METAINFO_PIECES_MAX / 8);
    case MSG_PIECE:
        return PIECE_HEADER_LEN - 4 + BLOCK_LEN;
    case MSG_HASH_REQUEST: case MSG_HASH_REJECT:
        return HASH_HEAD_LEN;
    case MSG_HASHES:
        return HASH_HEAD_LEN + HASHES_MAX * HASH_LEN;
    default:                            // extended, and what we do not know and skip
        return EXTENDED_LEN_MAX;
    }
}

// Whether a body of n bytes may have this id: what has a fixed length has exactly that.
static bool length_fits(uint8_t id, size_t n)
{
    switch (id) {
    case MSG_BITFIELD:
        return n <= peer_msg_len_max(id, 0);
    case MSG_PIECE:
        return n >= PIECE_HEADER_LEN - 4;
    case MSG_EXTENDED:
        return n >= 2 && n <= EXTENDED_LEN_MAX;
    case MSG_HASHES:
        return n >= HASH_HEAD_LEN && (n - HASH_HEAD_LEN) % HASH_LEN == 0 && n <= peer_msg_len_max(id, 0);
    case MSG_CHOKE: case MSG_UNCHOKE: case MSG_INTERESTED: case MSG_NOT_INTERESTED: case MSG_HAVE: case MSG_REQUEST:
    case MSG_CANCEL: case MSG_PORT: case MSG_SUGGEST: case MSG_HAVE_ALL: case MSG_HAVE_NONE: case MSG_REJECT:
    case MSG_ALLOWED_FAST: case MSG_HASH_REQUEST: case MSG_HASH_REJECT:
        return n == peer_msg_len_max(id, 0);
    default:
        return true;
    }
}

enum err peer_msg_parse(struct peer_msg *out, struct slice body)
{
    if (body.n == 0) {
        *out = (struct peer_msg){.id = MSG_KEEP_ALIVE};
        return ERR_OK;
    }
    struct rd r = rd_make(body);
    const uint8_t id = rd_u8(&r);
    if (body.n > UINT32_MAX || !length_fits(id, body.n))
        return ERR_PROTOCOL;
    struct peer_msg m = {.id = id};
    switch (id) {
    case MSG_CHOKE: case MSG_UNCHOKE: case MSG_INTERESTED: case MSG_NOT_INTERESTED: case MSG_HAVE_ALL: case MSG_HAVE_NONE:
        break;
    case MSG_HAVE: case MSG_SUGGEST: case MSG_ALLOWED_FAST:
        m.index = rd_be32(&r);
        break;
    case MSG_REQUEST: case MSG_CANCEL: case MSG_REJECT:
        m.index = rd_be32(&r);
        m.begin = rd_be32(&r);
        m.len = rd_be32(&r);
        break;
    case MSG_PIECE:
        m.index = rd_be32(&r);
        m.begin = rd_be32(&r);
        m.len = (uint32_t)r.n;
        m.payload = slice_of(r.p, r.n);
        break;
    case MSG_PORT:
        m.port = rd_be16(&r);
        break;
    case MSG_EXTENDED:
        m.extended_id = rd_u8(&r);
        m.payload = slice_of(r.p, r.n);
        break;
    case MSG_BITFIELD: case MSG_HASH_REQUEST: case MSG_HASHES: case MSG_HASH_REJECT:
        m.payload = slice_of(r.p, r.n);
        break;
    default:
        m.id = MSG_UNKNOWN;
        m.payload = slice_of(r.p, r.n);
        break;
    }
    ASSERT(r.ok);
    *out = m;
    return ERR_OK;
}

// Bytes after the length field, the data of a piece included.
static uint32_t body_len(const struct peer_msg *m)
{
    switch (m->id) {
    case MSG_KEEP_ALIVE:
        return 0;
    case MSG_PIECE:
        return PIECE_HEADER_LEN - 4 + m->len;
    case MSG_EXTENDED:
        return u32_of(2 + m->payload.n);
    case MSG_BITFIELD: case MSG_HASH_REQUEST: case MSG_HASHES: case MSG_HASH_REJECT:
        return u32_of(1 + m->payload.n);
    default:
        return peer_msg_len_max(u8_of(m->id), 0);
    }
}

void peer_msg_write(struct wr *w, const struct peer_msg *m)
{
    const uint32_t n = body_len(m);
    ASSERT(n == 0 || length_fits(u8_of(m->id), n));
    const size_t here = m->id == MSG_PIECE ? PIECE_HEADER_LEN : 4 + (size_t)n;
    if (!w->ok || here > buf_room(w->b)) {
        w->ok = false;
        return;
    }
    wr_be32(w, n);
    if (n == 0)
        return;
    wr_u8(w, u8_of(m->id));
    switch (m->id) {
    case MSG_HAVE: case MSG_SUGGEST: case MSG_ALLOWED_FAST:
        wr_be32(w, m->index);
        break;
    case MSG_REQUEST: case MSG_CANCEL: case MSG_REJECT:
        wr_be32(w, m->index);
        wr_be32(w, m->begin);
        wr_be32(w, m->len);
        break;
    case MSG_PIECE:
        wr_be32(w, m->index);
        wr_be32(w, m->begin);
        break;
    case MSG_PORT:
        wr_be16(w, m->port);
        break;
    case MSG_EXTENDED:
        wr_u8(w, m->extended_id);
        wr_bytes(w, m->payload);
        break;
    case MSG_BITFIELD: case MSG_HASH_REQUEST: case MSG_HASHES: case MSG_HASH_REJECT:
        wr_bytes(w, m->payload);
        break;
    default:
        break;
    }
    ASSERT(w->ok);
}
