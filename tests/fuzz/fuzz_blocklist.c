// Lines of blocklists: what is taken for a range is one, and goes into the table.
#include "test.h"

#include "base/ranges.h"
#include "codec/blocklist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ranges t;
    ranges_init(&t, &test_mem);
    struct slice rest = slice_of(data, n);
    struct addr from = {0}, to = {0};
    while (rest.n != 0) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        const size_t len = end == NULL ? rest.n : (size_t)(end - rest.p) + 1;
        if (blocklist_line(slice_sub(rest, 0, len), &from, &to) == BLOCKLIST_RANGE)
            ASSERT(ranges_add(&t, &from, &to) == ERR_OK);
        rest = slice_sub(rest, len, rest.n);
    }
    ASSERT(ranges_finish(&t) == ERR_OK);
    ranges_done(&t);
    return 0;
}
