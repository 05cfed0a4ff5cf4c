// Local discovery: whatever parses, written again, reads the same.
#include "codec/lsd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct lsd_message m, back;
    if (lsd_parse(&m, slice_of(data, n)) != ERR_OK)
        return 0;
    uint8_t space[LSD_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    lsd_write(&w, n % 2 == 0 ? ADDR_IPV4 : ADDR_IPV6, &m);
    ASSERT(w.ok);
    ASSERT(lsd_parse(&back, buf_slice(&b)) == ERR_OK);
    ASSERT(back.port == m.port);
    ASSERT(back.hashes_n == m.hashes_n);
    ASSERT(memcmp(back.hashes, m.hashes, sizeof m.hashes) == 0);
    return 0;
}
