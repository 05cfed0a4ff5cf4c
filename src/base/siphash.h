// SipHash-2-4: a keyed hash that outsiders cannot make collide. Aumasson, Bernstein 2012.
#pragma once
#include "base/bytes.h"

uint64_t siphash(const uint64_t key[2], struct slice data);
