// A link that names a key and no torrent: which torrent its owner means now is asked of the DHT. BEP 46.
#pragma once
#include "app/link.h"

// Fills in the hash of a link that has a key: what the newest item says, but never an older one than an earlier run has seen. Without an
// answer it is what that run has seen, or the hash that the link has besides. Says what is wrong. Returns the exit status.
MUST_USE int follow_link(struct app *a, struct link *l);
