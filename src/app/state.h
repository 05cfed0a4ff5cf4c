// The state database: resume data of torrents, in SQLite. Several processes may use it at the same time; a damaged one is
// set aside and begun anew. Any thread.
#pragma once
#include "base/bytes.h"

struct state;

enum { STATE_WHY_MAX = 512, STATE_BLOB_MAX = 64 << 20 };

// dir NULL: $XDG_STATE_HOME/kith, or ~/.local/state/kith; made if missing. `why` has one line: on failure what is wrong, on
// success "" or a warning. ERR_ACCESS, ERR_NOSPACE, ERR_IO, ERR_NOT_FOUND (no home directory), ERR_NOMEM.
MUST_USE enum err state_open(struct state **out, const char *dir, char why[STATE_WHY_MAX]);
// NULL is fine.
void state_close(struct state *s);
// The blob kept under `key`, from malloc. ERR_NOT_FOUND; ERR_IO; ERR_NOMEM.
MUST_USE enum err state_load(struct state *s, struct slice key, struct buf *out);
// Durable against a crash of the process when it returns; against a power cut a moment later. Empty blob: forgets the key.
// ERR_NOSPACE, ERR_AGAIN (others hold it for long), ERR_IO.
MUST_USE enum err state_save(struct state *s, struct slice key, struct slice blob);
