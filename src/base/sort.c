// Bottom-up merge sort: see sort.h.
#include "base/sort.h"

// Merges from[lo..mid) and from[mid..hi) into to[lo..hi).
static void merge(const uint32_t *from, uint32_t *to, const uint64_t at[3], const struct sort_order *order)
{
    uint64_t left = at[0], right = at[1];
    for (uint64_t i = at[0]; i < at[2]; i++) {
        const bool take_left = right == at[2] || (left < at[1] && order->cmp(order->ctx, from[left], from[right]) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

void sort_indices(uint32_t *items, uint32_t *spare, uint32_t n, const struct sort_order *order)
{
    ASSERT(n == 0 || items != spare);
    uint32_t *from = items, *to = spare;
    for (uint64_t width = 1; width < n; width *= 2) {
        for (uint64_t lo = 0; lo < n; lo += 2 * width) {
            const uint64_t at[3] = {lo, u64_min(lo + width, n), u64_min(lo + 2 * width, n)};
            merge(from, to, at, order);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, n * sizeof *items);
}
