// KRPC messages: what parses can be written, and reads the same again.
#include "codec/krpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void walk(const struct krpc *m)
{
    struct bencode b;
    struct addr a;
    uint8_t id[NODE_ID_LEN];
    uint32_t values = 0;
    krpc_values(&b, m->values);
    while (krpc_value(&b, &a))
        ASSERT(++values < KRPC_BYTES_MAX);
    for (uint32_t i = 0; krpc_node(m->nodes, ADDR_IPV4, i, id, &a); i++)
        ASSERT(a.family == ADDR_IPV4);
    for (uint32_t i = 0; krpc_node(m->nodes6, ADDR_IPV6, i, id, &a); i++)
        ASSERT(a.family != ADDR_NONE);
    if (m->bloom_seeds.n != 0)
        (void)bloom_count(m->bloom_seeds.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct krpc m, back;
    if (krpc_parse(&m, slice_of(data, n)) != ERR_OK)
        return 0;
    walk(&m);
    static uint8_t space[2 * KRPC_BYTES_MAX], again[2 * KRPC_BYTES_MAX];
    struct buf b = {space, 0, sizeof space}, c = {again, 0, sizeof again};
    struct wr w = wr_make(&b);
    krpc_write(&w, &m);
    ASSERT(w.ok);
    if (b.n > KRPC_BYTES_MAX)
        return 0;
    ASSERT(krpc_parse(&back, buf_slice(&b)) == ERR_OK);
    w = wr_make(&c);
    krpc_write(&w, &back);
    ASSERT(slice_eq(buf_slice(&b), buf_slice(&c)));
    ASSERT(back.method == m.method);
    if (m.kind == KRPC_ERROR)
        return 0;                       // nothing else of an error is written
    ASSERT(slice_eq(back.value, m.value));
    ASSERT(back.seq == m.seq);
    return 0;
}
