// What waits to be sent on one stream: see host_out.h.
#include <stdlib.h>

#include "app/host_out.h"
#include "codec/metainfo.h"

enum {
    ITEMS_MIN = 16,
    BYTES_KEEP = 4096,                  // an idle connection keeps no more
};

static const uint8_t ZEROS[BLOCK_LEN];

struct out_item *out_at(const struct out *o, uint32_t i)
{
    ASSERT(i < o->n);
    return &o->items[(o->head + i) & (o->cap - 1)];
}

static bool out_grow(struct out *o)
{
    if (o->n < o->cap)
        return true;
    const uint32_t cap = o->cap == 0 ? ITEMS_MIN : o->cap * 2;
    struct out_item *items = calloc(cap, sizeof *items);
    if (items == NULL)
        return false;
    for (uint32_t i = 0; i < o->n; i++)
        items[i] = *out_at(o, i);
    free(o->items);
    o->items = items;
    o->cap = cap;
    o->head = 0;
    return true;
}

static bool bytes_room(struct out *o, size_t n)
{
    if (o->bytes_at == o->bytes.n)
        o->bytes_at = o->bytes.n = 0;
    if (n <= buf_room(&o->bytes))
        return true;
    if (o->bytes_at > 0) {
        memmove(o->bytes.p, o->bytes.p + o->bytes_at, o->bytes.n - o->bytes_at);
        o->bytes.n -= o->bytes_at;
        o->bytes_at = 0;
        if (n <= buf_room(&o->bytes))
            return true;
    }
    const size_t cap = (size_t)u64_max(o->bytes.cap * 2, u64_max(o->bytes.n + n, 512));
    uint8_t *p = realloc(o->bytes.p, cap);
    if (p == NULL)
        return false;
    o->bytes.p = p;
    o->bytes.cap = cap;
    return true;
}

static enum err add_bytes(struct out *o, struct slice s)
{
    if (!bytes_room(o, s.n))
        return ERR_NOMEM;
    memcpy(o->bytes.p + o->bytes.n, s.p, s.n);
    if (o->n > 0 && out_at(o, o->n - 1)->kind == OUT_BYTES) {
        out_at(o, o->n - 1)->len += s.n;
    } else {
        if (!out_grow(o))
            return ERR_NOMEM;
        o->n++;
        *out_at(o, o->n - 1) = (struct out_item){.kind = OUT_BYTES, .len = s.n};
    }
    o->bytes.n += s.n;
    o->left += s.n;
    return ERR_OK;
}

enum err out_add(struct out *o, const struct io_seg *seg)
{
    if (seg->kind == SEG_BYTES)
        return seg->bytes.n == 0 ? ERR_OK : add_bytes(o, seg->bytes);
    if (seg->len == 0)
        return ERR_OK;
    if (!out_grow(o))
        return ERR_NOMEM;
    o->n++;
    *out_at(o, o->n - 1) = (struct out_item){.kind = OUT_FILE, .store = seg->store, .file = seg->file, .off = seg->off, .len = seg->len};
    o->left += seg->len;
    return ERR_OK;
}

uint32_t out_gather(const struct out *o, struct iovec iov[HOST_IOV_MAX], size_t *out_total)
{
    uint32_t n = 0;
    size_t total = 0, bytes_at = o->bytes_at;
    for (uint32_t i = 0; i < o->n && n < HOST_IOV_MAX; i++) {
        const struct out_item *it = out_at(o, i);
        if (it->kind == OUT_BYTES) {
            iov[n++] = (struct iovec){o->bytes.p + bytes_at, (size_t)it->len};
            bytes_at += (size_t)it->len;
            total += (size_t)it->len;
        } else if (it->file == IO_FILE_ZERO) {
            uint64_t left = it->len;
            for (; left > 0 && n < HOST_IOV_MAX; left -= iov[n++].iov_len) {
                iov[n] = (struct iovec){(void *)(uintptr_t)ZEROS, (size_t)u64_min(left, sizeof ZEROS)};
                total += iov[n].iov_len;
            }
            if (left > 0)
                break;
        } else {
            if (it->loaded == 0)
                break;
            iov[n++] = (struct iovec){(void *)(uintptr_t)it->mem, (size_t)it->loaded};
            total += (size_t)it->loaded;
            if (it->loaded < it->len)
                break;
        }
    }
    *out_total = total;
    return n;
}

void out_consume(struct out *o, size_t n)
{
    ASSERT(n <= o->left);
    o->left -= n;
    while (n > 0) {
        struct out_item *it = out_at(o, 0);
        const uint64_t k = u64_min(n, it->len);
        n -= (size_t)k;
        it->len -= k;
        it->off += k;
        if (it->kind == OUT_BYTES) {
            o->bytes_at += (size_t)k;
        } else if (it->file != IO_FILE_ZERO) {
            ASSERT(k <= it->loaded);
            it->loaded -= k;
            it->mem += k;
            o->scratch->left -= (uint32_t)k;
        }
        if (it->len > 0)
            break;
        o->head = (o->head + 1) & (o->cap - 1);
        o->n--;
    }
    ASSERT(n == 0);
    if (o->n == 0 && o->bytes.cap > BYTES_KEEP) {
        free(o->bytes.p);
        o->bytes = (struct buf){0};
        o->bytes_at = 0;
    }
}

void out_unload(struct out *o)
{
    for (uint32_t i = 0; i < o->n; i++)
        out_at(o, i)->loaded = 0;
    if (o->scratch != NULL)
        o->scratch->left = 0;
}

void out_done(struct out *o)
{
    ASSERT(o->scratch == NULL);
    free(o->items);
    free(o->bytes.p);
    *o = (struct out){0};
}
