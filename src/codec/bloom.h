// The Bloom filters of DHT scrapes: how many addresses there are, without saying which. BEP 33.
#pragma once
#include "base/addr.h"

enum { BLOOM_LEN = 256, BLOOM_BITS = 2048 };

// Adds the IP (the port does not count) to a filter that began as zeros.
void bloom_add(uint8_t filter[BLOOM_LEN], const struct addr *a);
// filter |= other: the union of what both hold.
void bloom_merge(uint8_t filter[BLOOM_LEN], const uint8_t other[BLOOM_LEN]);
// About how many addresses were added, to the nearest whole number; a full filter counts as BEP 33's greatest, 6000.
uint32_t bloom_count(const uint8_t filter[BLOOM_LEN]);
