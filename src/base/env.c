// Memory and log of an engine: see env.h.
#include "base/env.h"

#include <stdarg.h>
#include <stdio.h>

void *mem_zalloc(const struct mem *m, size_t n)
{
    ASSERT(n != 0);
    void *p = m->resize(m->ctx, NULL, 0, n);
    if (p != NULL)
        memset(p, 0, n);
    return p;
}

void mem_free(const struct mem *m, void *p, size_t n)
{
    if (p != NULL)
        (void)m->resize(m->ctx, p, n, 0);
}

void *mem_zarray(const struct mem *m, size_t count, size_t size)
{
    ASSERT(size != 0);
    if (count == 0 || count > SIZE_MAX / size)
        return NULL;
    return mem_zalloc(m, count * size);
}

enum err mem_grow(const struct mem *m, void **items, uint32_t *cap, uint32_t want, uint32_t max, size_t size)
{
    if (want <= *cap)
        return ERR_OK;
    if (want > max)
        return ERR_FULL;
    uint64_t next = *cap < 8 ? 8 : (uint64_t)*cap * 2;
    next = u64_min(u64_max(next, want), max);
    if (next > SIZE_MAX / size)
        return ERR_NOMEM;
    uint8_t *p = m->resize(m->ctx, *items, *cap * size, (size_t)next * size);
    if (p == NULL)
        return ERR_NOMEM;
    memset(p + *cap * size, 0, ((size_t)next - *cap) * size);
    *items = p;
    *cap = (uint32_t)next;
    return ERR_OK;
}

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
{
    if (l == NULL || level < l->level)
        return;
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    l->line(l->ctx, level, text);
}
