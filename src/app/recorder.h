// Writes what goes into the node to a file, for `kith lab replay`. The linker puts it between host and node (--wrap in meson.build), so
// that neither knows of it; without recorder_open it passes everything on.
#pragma once
#include "base/base.h"

// Begins a recording of the first node that is made from now on. An older recording is overwritten; ERR_EXISTS: another file, which is
// not. ERR_IO: it cannot be made, errno says why.
MUST_USE enum err recorder_open(const char *path);
// Ends it; false: something could not be written.
bool recorder_close(void);
