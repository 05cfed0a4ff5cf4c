// A magnet link in place of a torrent file: read, shown, and the metadata that was fetched for it once.
#pragma once
#include "app/cmd.h"
#include "codec/magnet.h"

struct link {
    struct magnet magnet;
    uint8_t *text;                      // what it points into
};

bool link_is(const char *text);
// Says what is wrong with it. On success *out is to be given to link_done.
MUST_USE int link_read(struct app *a, const char *text, struct link *out);
void link_done(struct link *l);

// A torrent as far as the link tells: name, hashes, trackers; to be freed by metainfo_free. ERR_NOMEM.
MUST_USE enum err link_stub(const struct link *l, struct metainfo *out);
// A torrent file around the info dictionary, with the link's trackers and web seeds; from malloc. ERR_NOMEM.
MUST_USE enum err link_wrap(const struct link *l, struct slice info, struct buf *out);
// A torrent file of a torrent that has its piece layers now, from malloc. ERR_NOMEM.
MUST_USE enum err link_wrap_layers(const struct metainfo *m, struct buf *out);
// The key under which the state keeps such a file.
void link_key(const struct metainfo *m, struct wr *w);
// What the state has for it, parsed. ERR_NOT_FOUND: nothing, or nothing of use.
MUST_USE enum err link_saved(struct app *a, const struct link *l, struct metainfo *out);
// A torrent (v2) that came without its piece layers gets those that the state has; they live in *out_saved, to be freed after it.
void link_layers(struct app *a, struct metainfo *m, struct metainfo *out_saved);
// `kith show`.
int link_show(struct app *a, const char *text);
