// DNS answers: nothing that arrives may be read past its end.
#include "test.h"

#include "codec/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dns_answer a = {0};
    const uint16_t id = n >= 2 ? (uint16_t)(data[0] << 8 | data[1]) : 0;
    for (int i = 0; i < 2; i++)
        if (dns_answer_parse(slice_of(data, n), id, slice_str("a.b"), i == 0 ? DNS_A : DNS_AAAA, &a) == ERR_OK)
            ASSERT(a.n <= ARRAY_LEN(a.addrs));
    return 0;
}
