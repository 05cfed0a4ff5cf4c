// PCP: any datagram is read, and at most one of a kind ends a request.
#include "engine/reach/pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pcp_answer a;
    const enum err e = pcp_answer_parse(&a, slice_of(data, n));
    ASSERT(!pcp_is_news(slice_of(data, n)) || e != ERR_OK);
    struct pcp p;
    uint8_t space[PCP_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct pcp_map ask = {.port = 6881, .client = addr_ipv4((const uint8_t *)"\xc0\xa8\1\n", 0), .lifetime_s = 60};
    if (e == ERR_OK) {                  // as if it were the answer
        ask.udp = a.map.udp;
        ask.port = a.map.port;
        memcpy(ask.nonce, a.map.nonce, sizeof ask.nonce);
    }
    pcp_begin(&p, &ask, 0);
    ASSERT(pcp_next(&p, 0, &b) == PCP_SEND);
    pcp_input(&p, slice_of(data, n));
    b.n = 0;
    const enum pcp_step step = pcp_next(&p, 1, &b);
    ASSERT(step == (e == ERR_OK || e == ERR_UNSUPPORTED ? step : PCP_WAIT));
    ASSERT(step != PCP_OVER || p.err != ERR_OK || p.got.external.port != 0);
    return 0;
}
