// Sorted ranges of addresses: see ranges.h.
#include "base/ranges.h"

#include "base/sort.h"

void ranges_init(struct ranges *r, const struct mem *mem) { *r = (struct ranges){.mem = mem}; }

void ranges_done(struct ranges *r)
{
    mem_free(r->mem, r->v4, r->v4_cap * sizeof *r->v4);
    mem_free(r->mem, r->v6, r->v6_cap * sizeof *r->v6);
    *r = (struct ranges){.mem = r->mem};
}

static uint32_t number_of(const struct addr *a)
{
    struct rd r = rd_make(slice_of(a->ip, 4));
    return rd_be32(&r);
}

enum err ranges_add(struct ranges *r, const struct addr *from, const struct addr *to)
{
    ASSERT(!r->sorted);
    const size_t n = addr_ip_len(from);
    if (from->family != to->family || from->family == ADDR_NONE || memcmp(from->ip, to->ip, n) > 0)
        return ERR_RANGE;
    const bool v4 = from->family == ADDR_IPV4;
    void *items = v4 ? (void *)r->v4 : (void *)r->v6;
    const enum err e = v4 ? mem_grow(r->mem, &items, &r->v4_cap, r->v4_n + 1, RANGES_MAX, sizeof *r->v4)
                          : mem_grow(r->mem, &items, &r->v6_cap, r->v6_n + 1, RANGES_MAX, sizeof *r->v6);
    if (e != ERR_OK)
        return e;
    if (v4) {
        r->v4 = items;
        r->v4[r->v4_n++] = (struct range4){number_of(from), number_of(to)};
    } else {
        r->v6 = items;
        memcpy(r->v6[r->v6_n].from, from->ip, 16);
        memcpy(r->v6[r->v6_n].to, to->ip, 16);
        r->v6_n++;
    }
    return ERR_OK;
}

static int cmp4(const void *ctx, uint32_t a, uint32_t b)
{
    const struct range4 *all = ctx;
    return (all[a].from > all[b].from) - (all[a].from < all[b].from);
}

static int cmp6(const void *ctx, uint32_t a, uint32_t b)
{
    const struct range6 *all = ctx;
    return memcmp(all[a].from, all[b].from, 16);
}

// The order of n ranges; NULL: no memory. *spare is freed by the caller with it.
static uint32_t *order_of(const struct ranges *r, uint32_t n, const struct sort_order *by)
{
    uint32_t *order = mem_zarray(r->mem, 2 * (size_t)n, sizeof *order);
    if (order == NULL)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    sort_indices(order, order + n, n, by);
    return order;
}

// True if v6 address `b` is `a` + 1 or below: then ranges that end and begin there are one.
static bool joins6(const uint8_t a[16], const uint8_t b[16])
{
    uint8_t next[16];
    memcpy(next, a, 16);
    int i = 15;
    while (i >= 0 && ++next[i] == 0)
        i--;
    return i < 0 || memcmp(b, next, 16) <= 0;
}

static enum err finish4(struct ranges *r)
{
    if (r->v4_n == 0)
        return ERR_OK;
    const struct sort_order by = {cmp4, r->v4};
    uint32_t *order = order_of(r, r->v4_n, &by), n = 0;
    struct range4 *out = mem_zarray(r->mem, r->v4_n, sizeof *out);
    for (uint32_t i = 0; i < r->v4_n && order != NULL && out != NULL; i++) {
        const struct range4 *in = &r->v4[order[i]];
        if (n != 0 && (out[n - 1].to == UINT32_MAX || in->from <= out[n - 1].to + 1))
            out[n - 1].to = u32_max(out[n - 1].to, in->to);
        else
            out[n++] = *in;
    }
    mem_free(r->mem, order, 2 * (size_t)r->v4_n * sizeof *order);
    if (n == 0) {
        mem_free(r->mem, out, r->v4_n * sizeof *out);
        return ERR_NOMEM;
    }
    struct range4 *small = r->mem->resize(r->mem->ctx, out, r->v4_n * sizeof *out, n * sizeof *out);
    mem_free(r->mem, r->v4, r->v4_cap * sizeof *r->v4);
    r->v4_cap = small != NULL ? n : r->v4_n;
    r->v4 = small != NULL ? small : out;
    r->v4_n = n;
    return ERR_OK;
}

static enum err finish6(struct ranges *r)
{
    if (r->v6_n == 0)
        return ERR_OK;
    const struct sort_order by = {cmp6, r->v6};
    uint32_t *order = order_of(r, r->v6_n, &by), n = 0;
    struct range6 *out = mem_zarray(r->mem, r->v6_n, sizeof *out);
    for (uint32_t i = 0; i < r->v6_n && order != NULL && out != NULL; i++) {
        const struct range6 *in = &r->v6[order[i]];
        if (n == 0 || !joins6(out[n - 1].to, in->from))
            out[n++] = *in;
        else if (memcmp(in->to, out[n - 1].to, 16) > 0)
            memcpy(out[n - 1].to, in->to, 16);
    }
    mem_free(r->mem, order, 2 * (size_t)r->v6_n * sizeof *order);
    if (n == 0) {
        mem_free(r->mem, out, r->v6_n * sizeof *out);
        return ERR_NOMEM;
    }
    struct range6 *small = r->mem->resize(r->mem->ctx, out, r->v6_n * sizeof *out, n * sizeof *out);
    mem_free(r->mem, r->v6, r->v6_cap * sizeof *r->v6);
    r->v6_cap = small != NULL ? n : r->v6_n;
    r->v6 = small != NULL ? small : out;
    r->v6_n = n;
    return ERR_OK;
}

enum err ranges_finish(struct ranges *r)
{
    ASSERT(!r->sorted);
    enum err e = finish4(r);
    if (e == ERR_OK)
        e = finish6(r);
    r->sorted = e == ERR_OK;
    return e;
}

bool ranges_has(const struct ranges *r, const struct addr *a)
{
    ASSERT(r->sorted);
    const bool v4 = a->family == ADDR_IPV4;
    uint32_t low = 0, high = v4 ? r->v4_n : a->family == ADDR_IPV6 ? r->v6_n : 0;
    const uint32_t number = v4 ? number_of(a) : 0;
    while (low < high) {                // the first range that ends at or behind it
        const uint32_t mid = low + (high - low) / 2;
        const bool before = v4 ? r->v4[mid].to < number : memcmp(r->v6[mid].to, a->ip, 16) < 0;
        if (before)
            low = mid + 1;
        else
            high = mid;
    }
    if (v4)
        return low < r->v4_n && r->v4[low].from <= number;
    return a->family == ADDR_IPV6 && low < r->v6_n && memcmp(r->v6[low].from, a->ip, 16) <= 0;
}

size_t ranges_bytes(const struct ranges *r) { return r->v4_cap * sizeof *r->v4 + r->v6_cap * sizeof *r->v6; }
