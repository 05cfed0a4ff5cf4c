// See mem.h.
#include "lab/mem.h"

#include <stdlib.h>

static void *heap_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    (void)old_n;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_n);
}

const struct mem lab_heap = {.resize = heap_resize};
