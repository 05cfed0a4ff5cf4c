// ut_pex: whatever parses can be walked; what is written reads the same.
#include "codec/ut_pex.h"

#include "codec/peerwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ut_pex m, back;
    if (ut_pex_parse(&m, slice_of(data, n)) != ERR_OK)
        return 0;
    struct ut_pex_news news = {.added_n = 0};
    for (uint32_t i = 0; i < ut_pex_added_n(&m); i++)
        if (news.added_n < UT_PEX_ADDED_MAX)
            news.added[news.added_n++] = ut_pex_added(&m, i);
    for (uint32_t i = 0; i < ut_pex_dropped_n(&m); i++)
        if (news.dropped_n < UT_PEX_ADDED_MAX)
            news.dropped[news.dropped_n++] = ut_pex_dropped(&m, i);
    static uint8_t space[UT_PEX_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    ut_pex_write(&w, 5, &news);
    ASSERT(w.ok);
    struct peer_msg msg;
    ASSERT(peer_msg_parse(&msg, slice_sub(buf_slice(&b), 4, b.n)) == ERR_OK);
    ASSERT(ut_pex_parse(&back, msg.payload) == ERR_OK);
    ASSERT(ut_pex_added_n(&back) == news.added_n);
    ASSERT(ut_pex_dropped_n(&back) == news.dropped_n);
    return 0;
}
