// Names to addresses. Blocks for as long as the system's resolver does: for a worker of its own.
#pragma once
#include "base/addr.h"

enum { RESOLVE_NAME_MAX = 253, RESOLVE_ADDRS_MAX = 16 };

// At most RESOLVE_ADDRS_MAX addresses with port 0, in the system's order. ERR_SYNTAX: not a name; ERR_NOT_FOUND: no such
// name; ERR_AGAIN: the resolver failed for now; ERR_NOMEM.
MUST_USE enum err resolve_name(struct slice name, struct addr out[RESOLVE_ADDRS_MAX], uint32_t *out_n);
