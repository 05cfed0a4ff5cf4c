// The C library's heap, for all that the laboratory does by itself.
#pragma once
#include "base/env.h"

extern const struct mem lab_heap;
