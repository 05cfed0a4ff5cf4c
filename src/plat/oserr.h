// The one table from errno to enum err.
#pragma once
#include "base/base.h"

// What `e` (an errno value, not 0) means to kith. Unknown values are ERR_IO: they come from devices.
enum err err_of_errno(int e);
