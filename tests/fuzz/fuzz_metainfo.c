// Torrent files: whatever is accepted keeps every promise of metainfo.h, also when memory runs out in the middle.
#include "codec/metainfo.h"

#include <stdlib.h>

#include "codec/path.h"

struct account {
    size_t used;                        // bytes handed out
    uint32_t left;                      // allocations until there is no more
};

static void *resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct account *a = ctx;
    if (new_n == 0) {
        free(p);
        a->used -= old_n;
        return NULL;
    }
    if (a->left-- == 0) {
        a->left = 0;
        return NULL;
    }
    a->used += new_n - old_n;
    if (a->used > (size_t)512 << 20)
        __builtin_trap();
    return realloc(p, new_n);
}

static void require(bool ok)
{
    if (!ok)
        __builtin_trap();
}

static void check(const struct metainfo *m)
{
    uint64_t end = 0, sum = 0;
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        require(path_is_safe(f->path));
        require(f->target.n == 0 || path_is_safe(f->target));
        require(f->offset >= end);
        end = f->offset + f->len;
        require(f->len == 0 || metainfo_file_at(m, f->offset) == i);
        require(f->len == 0 || metainfo_file_at(m, end - 1) == i);
        require(!m->has_v2 || f->len == 0 || (f->flags & FILE_PAD) != 0 || f->root != NULL);
    }
    require(end == m->span);
    for (uint32_t i = 0; i < m->pieces_n; i++)
        sum += metainfo_piece_len(m, i);
    require(sum == (m->has_v1 ? m->span : m->len));
    require(path_is_safe(m->name));
}

// Each once, none empty, all inside the file.
static void check_hints(const struct metainfo *m, const struct slice lists[2])
{
    struct slice all[METAINFO_HINTS_MAX];
    const uint32_t n = metainfo_hints(lists, all);
    require(n <= METAINFO_HINTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        require(all[i].n != 0);
        require(all[i].p >= m->bytes.p && all[i].p + all[i].n <= m->bytes.p + m->bytes.n);
        for (uint32_t k = 0; k < i; k++)
            require(!slice_eq(all[i], all[k]));
    }
}

static void run(const uint8_t *data, size_t size, uint32_t allocations)
{
    struct account a = {.left = allocations};
    const struct mem mem = {.resize = resize, .ctx = &a};
    struct metainfo m;
    char why[160];
    const enum err e = metainfo_parse(&m, &mem, slice_of(data, size), why);
    require((e == ERR_OK) == (why[0] == 0));
    if (e == ERR_OK) {
        check(&m);
        check_hints(&m, m.similar);
        check_hints(&m, m.collections);
    }
    metainfo_free(&m);
    require(a.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(data, size, UINT32_MAX);
    if (size > 0)
        run(data, size, data[size - 1] % 24);
    return 0;
}
