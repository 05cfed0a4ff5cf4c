// A stable merge sort of indices, for what has no allocator of its own and no room for the worst case of a quick sort.
#pragma once
#include "base/base.h"

// Decides the order of the things that the indices a and b stand for: <0, 0, >0.
struct sort_order {
    int (*cmp)(const void *ctx, uint32_t a, uint32_t b);
    const void *ctx;
};

// Sorts n indices; equal ones keep their order. spare: room for n more. At most n log2(n) comparisons.
void sort_indices(uint32_t *items, uint32_t *spare, uint32_t n, const struct sort_order *order);
