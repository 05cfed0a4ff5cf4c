// Recordings: any bytes are frames or refused; a frame that was read is written back byte for byte.
#include "codec/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t space[1 << 16];
    struct rd r = rd_make(slice_of(data, n));
    struct record got;
    while (r.n > 0) {
        const struct slice before = slice_of(r.p, r.n);
        if (record_read(&r, &got) != ERR_OK)
            break;
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        record_write(&w, &got);
        ASSERT(!w.ok || slice_eq(buf_slice(&b), slice_sub(before, 0, b.n)));
    }
    return 0;
}
