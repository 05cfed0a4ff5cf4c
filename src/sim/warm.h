// Memory that events to come will look at, fetched ahead.
#pragma once
#include "sim/world.h"

// After each event taken from the queue. Changes nothing but its own notes.
void warm(struct world *w);
