// The router of the default route, and datagrams to and from it. IPv4. Blocks: for a worker.
#pragma once
#include "base/addr.h"

// The gateway of the default route with the least metric; port 0. ERR_NOT_FOUND: there is none.
MUST_USE enum err gateway_find(struct addr *out);
// A connected socket, closed by the caller; from: address of this machine, NULL: any. *out_own: where it is bound. ERR_UNREACHABLE, ERR_FULL.
MUST_USE enum err gateway_open(const struct addr *to, const char *from, int *out_fd, struct addr *out_own);
// Sends data (may be empty: then nothing), then waits for a datagram, at most `wait`. ERR_TIMEOUT; ERR_REFUSED: nobody listens there.
MUST_USE enum err gateway_ask(int fd, struct slice data, nsec wait, struct buf *out);
// The clock that `wait` is of.
nsec gateway_now(void);
