// File names: whatever the parts are, the path is safe, and making it safe again does not change it.
#include "codec/path.h"

#include <stdlib.h>

#include "codec/utf8.h"

static void require(bool ok)
{
    if (!ok)
        __builtin_trap();
}

// The parts of the input end with 0xfc, which is in no UTF-8 text.
static void add_all(struct wr *w, const uint8_t *data, size_t size, enum path_dots dots)
{
    uint32_t parts = 0;
    for (size_t at = 0, n; at < size && parts < PATH_PARTS_MAX; at += n + 1, parts++) {
        for (n = 0; at + n < size && data[at + n] != 0xfc;)
            n++;
        const size_t before = w->b->n;
        if (!path_add(w, slice_of(data + at, n), dots))
            require(w->b->n == before);
        require(w->b->n - before <= PATH_PART_MAX);
    }
    require(w->ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t space[2][PATH_BYTES_MAX];
    for (int dots = 0; dots < 2; dots++) {
        struct buf a = {space[0], 0, PATH_BYTES_MAX}, b = {space[1], 0, PATH_BYTES_MAX};
        struct wr w = wr_make(&a);
        add_all(&w, data, size, (enum path_dots)dots);
        struct slice rest = buf_slice(&a), part;
        if (a.n == 0)
            continue;
        require(path_is_safe(rest));
        require(utf8_valid(rest));
        struct wr again = wr_make(&b);
        while (path_next(&rest, &part))
            require(path_add(&again, part, PATH_DOTS_DROP) || part.n > PATH_PART_CUT);
        if (b.n != a.n)
            require(path_extension_at(buf_slice(&a)) <= a.n);
        require(path_cmp(buf_slice(&a), buf_slice(&a)) == 0);
    }
    const struct slice raw = slice_of(data, size);
    (void)path_is_safe(raw);
    require(path_extension_at(raw) <= size);
    require(path_parent(raw).n <= size);
    return 0;
}
