// Header lines of HTTP answers and the file names in them: nothing is read past its end, a name is always one safe part.
#include "codec/http_head.h"
#include "codec/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_name(struct slice name)
{
    ASSERT(path_is_safe(name));
    for (size_t i = 0; i < name.n; i++)
        ASSERT(name.p[i] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t space[4096];
    struct http_head h;
    const struct slice in = slice_of(data, n);
    http_head_parse(in, &h);
    if (h.has_range) {
        ASSERT(h.first <= h.last);
        ASSERT(h.total == HTTP_LEN_UNKNOWN || h.last < h.total);
    }
    ASSERT(h.retry_after_s <= HTTP_RETRY_MAX_S);
    const struct slice names[] = {h.disposition, in};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        if (http_disposition_name(names[i], &w))
            check_name(buf_slice(&b));
        b.n = 0;
        w = wr_make(&b);
        if (http_url_name(names[i], &w))
            check_name(buf_slice(&b));
    }
    return 0;
}
