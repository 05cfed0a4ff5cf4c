// SIGINT and SIGTERM. For commands that run no host the first asks and the second ends the process; a host has its own way.
#pragma once
#include "base/base.h"

// From now on the first signal is only noted; the second one exits with 130 or 143.
void interrupt_catch(void);
// The signals' default again.
void interrupt_release(void);
bool interrupted(void);
// Notes the numbers of signals on their way to the handlers that others (the host's loop) have set.
void interrupt_watch(void);
// The signal that came last; SIGINT if none did.
int interrupt_last(void);
