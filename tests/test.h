// What every unit test starts with: cmocka, and an env on the C library's heap.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/env.h"

static inline void *test_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    (void)old_n;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_n);
}

static inline void *test_resize_pages(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    void *fresh = aligned_alloc(4096, (new_n + 4095) / 4096 * 4096);
    if (fresh != NULL && p != NULL) {
        memcpy(fresh, p, old_n < new_n ? old_n : new_n);
        free(p);
    }
    return fresh;
}

static const struct mem test_mem = {.resize = test_resize};
static const struct mem test_payload = {.resize = test_resize_pages};
static const struct env test_env = {.mem = &test_mem, .payload = &test_payload, .seed = 1};

#define UNUSED_STATE(state) (void)(state), (void)test_env
