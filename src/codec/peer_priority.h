// Canonical peer priority: two peers agree on how much they want each other, and on nobody else's wish. BEP 40.
#pragma once
#include "base/addr.h"

// Of a connection between the peers at a and b, in either order: greater is wanted more. The ports count only between
// peers of one address. a and b are of one family.
uint32_t peer_priority(const struct addr *a, const struct addr *b);
