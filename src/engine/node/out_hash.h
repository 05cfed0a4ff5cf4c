// A hash of what a node asks of its host: for comparing two runs. Addresses of memory do not count, their contents and lengths do.
#pragma once
#include "engine/node/node.h"

// Goes on from `hash` (0 at the start) with one output of node_poll.
uint64_t node_out_hash(uint64_t hash, enum node_kind kind, const struct node_out *o);
