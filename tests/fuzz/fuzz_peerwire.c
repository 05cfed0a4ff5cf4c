// Handshake and messages: what parses is written back to the same bytes.
#include "codec/peerwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void round_trip(struct slice body)
{
    static uint8_t space[4 + EXTENDED_LEN_MAX];
    struct peer_msg m;
    if (peer_msg_parse(&m, body) != ERR_OK || m.id == MSG_UNKNOWN)
        return;
    ASSERT(m.id == MSG_KEEP_ALIVE || m.id == MSG_PIECE || body.n <= peer_msg_len_max((uint8_t)m.id, 0));
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    peer_msg_write(&w, &m);
    ASSERT(w.ok);
    const struct slice written = slice_sub(buf_slice(&b), 4, b.n);
    ASSERT(slice_eq(written, m.id == MSG_PIECE ? slice_sub(body, 0, PIECE_HEADER_LEN - 4) : body));
    struct rd r = rd_make(buf_slice(&b));
    ASSERT(rd_be32(&r) == body.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct handshake h;
    if (n >= HANDSHAKE_HASH_END && handshake_parse(&h, data) == ERR_OK)
        ASSERT(memcmp(h.info_hash, data + 28, 20) == 0);
    round_trip(slice_of(data, n));
    return 0;
}
