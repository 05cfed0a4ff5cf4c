// Metalink documents: what is taken has names, and addresses in the order of their priorities.
#include "test.h"

#include "app/metalink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct metalink m;
    char why[METALINK_WHY_MAX];
    if (metalink_parse(&m, slice_of(data, n), why) != ERR_OK) {
        ASSERT(m.files_n == 0);
        return 0;
    }
    for (uint32_t i = 0; i < m.files_n; i++) {
        const struct metalink_file *f = &m.files[i];
        ASSERT(*f->name != 0);
        ASSERT(f->pieces_n == 0 || f->piece_len != 0);
        for (uint32_t k = 1; k < f->urls_n; k++)
            ASSERT(f->urls[k - 1].priority <= f->urls[k].priority);
    }
    metalink_free(&m);
    return 0;
}
