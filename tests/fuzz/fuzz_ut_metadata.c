// ut_metadata: what parses can be written, and reads the same again.
#include "codec/ut_metadata.h"

#include "codec/peerwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ut_metadata m, back;
    if (ut_metadata_parse(&m, slice_of(data, n)) != ERR_OK)
        return 0;
    ASSERT(m.data.n <= UT_METADATA_PART);
    ASSERT((m.type == UT_METADATA_DATA) == (m.data.n != 0));
    uint8_t space[UT_METADATA_HEAD_MAX + UT_METADATA_PART];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    ut_metadata_write(&w, 7, &m);
    ASSERT(w.ok);
    ASSERT(b.n <= UT_METADATA_HEAD_MAX);
    wr_bytes(&w, m.data);
    struct peer_msg msg;
    ASSERT(peer_msg_parse(&msg, slice_sub(buf_slice(&b), 4, b.n)) == ERR_OK);
    ASSERT(msg.id == MSG_EXTENDED);
    ASSERT(msg.extended_id == 7);
    ASSERT(ut_metadata_parse(&back, msg.payload) == ERR_OK);
    ASSERT(back.type == m.type);
    ASSERT(back.part == m.part);
    ASSERT(back.total == m.total);
    ASSERT(slice_eq(back.data, m.data));
    return 0;
}
