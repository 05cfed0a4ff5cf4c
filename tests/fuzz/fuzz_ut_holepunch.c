// ut_holepunch: whatever parses, written again, reads the same.
#include "codec/ut_holepunch.h"

#include "codec/peerwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ut_holepunch m, back;
    if (ut_holepunch_parse(&m, slice_of(data, n)) != ERR_OK)
        return 0;
    uint8_t space[UT_HOLEPUNCH_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    ut_holepunch_write(&w, 5, &m);
    ASSERT(w.ok);
    struct peer_msg msg;
    ASSERT(peer_msg_parse(&msg, slice_sub(buf_slice(&b), 4, b.n)) == ERR_OK);
    ASSERT(ut_holepunch_parse(&back, msg.payload) == ERR_OK);
    ASSERT(back.type == m.type);
    ASSERT(addr_eq(&back.addr, &m.addr));
    ASSERT(back.error == m.error);
    return 0;
}
