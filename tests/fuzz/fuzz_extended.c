// The extension handshake: what parses can be written, and reads the same again.
#include "codec/extended.h"

#include "codec/peerwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct extended_handshake h, back;
    if (extended_parse(&h, slice_of(data, n)) != ERR_OK)
        return 0;
    ASSERT(!h.has_metadata_size || h.metadata_size != 0);
    ASSERT(!h.has_listen_port || h.listen_port != 0);
    uint8_t space[EXTENDED_HANDSHAKE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    extended_write(&w, &h);
    ASSERT(w.ok);
    struct peer_msg m;
    ASSERT(peer_msg_parse(&m, slice_sub(buf_slice(&b), 4, b.n)) == ERR_OK);
    ASSERT(extended_parse(&back, m.payload) == ERR_OK);
    ASSERT(memcmp(back.has_id, h.has_id, sizeof h.has_id) == 0);
    ASSERT(memcmp(back.ids, h.ids, sizeof h.ids) == 0);
    ASSERT(back.metadata_size == h.metadata_size);
    ASSERT(back.reqq == h.reqq);
    ASSERT(slice_eq(back.client, h.client));
    ASSERT(addr_eq(&back.your_ip, &h.your_ip));
    return 0;
}
