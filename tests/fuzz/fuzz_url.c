// URLs, lists of them, queries, percent-encoding: nothing is read past its end, what is encoded decodes to itself.
#include "codec/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t space[3 * 4096], back[4096];
    if (n > sizeof back)
        return 0;
    const struct slice in = slice_of(data, n);
    struct slice rest = in, one, name, value;
    struct url u;
    while (url_list_next(&rest, &one))
        ASSERT(url_parse(one, &u) == ERR_OK);
    if (url_parse(in, &u) == ERR_OK) {
        ASSERT(u.scheme.n != 0);
        ASSERT(u.host.n != 0);
        ASSERT(u.scheme.n + u.host.n + u.path.n + u.user.n <= n);
    }
    rest = in;
    while (url_query_next(&rest, &name, &value))
        ASSERT(name.n + value.n <= n);
    struct buf b = {space, 0, sizeof space}, c = {back, 0, sizeof back};
    struct wr w = wr_make(&b), v = wr_make(&c);
    url_encode(&w, in);
    ASSERT(w.ok);
    ASSERT(url_decode(&v, buf_slice(&b)) == ERR_OK);
    ASSERT(slice_eq(buf_slice(&c), in));
    c.n = 0;
    if (url_decode(&v, in) == ERR_OK)
        ASSERT(c.n <= n);
    return 0;
}
