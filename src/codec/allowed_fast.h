// The allowed-fast set: pieces that a choked newcomer may ask for. BEP 6.
#pragma once
#include "base/addr.h"

enum { ALLOWED_FAST_MAX = 16 };         // greatest k

// Writes min(k, n_pieces) distinct pieces of the set for the peer at `ip` to out, in the BEP's order; returns their
// number. 0 for IPv6: the BEP's rule covers IPv4 only. k <= ALLOWED_FAST_MAX.
uint32_t allowed_fast_set(const struct addr *ip, const uint8_t info_hash[20], uint32_t n_pieces, uint32_t k,
                          uint32_t out[ALLOWED_FAST_MAX]);
