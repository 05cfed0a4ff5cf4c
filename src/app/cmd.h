// The commands of `kith`: each is one function in cmd_NAME.c, and what they share. All return the exit status.
#pragma once
#include "app/options.h"
#include "app/talk.h"
#include "codec/metainfo.h"

#define KITH_VERSION "0.1.0"
#define KITH_AGENT "kith/" KITH_VERSION

struct app {
    struct options options;
    struct talk talk;
};

int cmd_get(struct app *a);
int cmd_share(struct app *a);
int cmd_create(struct app *a);
int cmd_show(struct app *a);
int cmd_verify(struct app *a);
int cmd_tracker(struct app *a);
// Becomes the program kith-lab: argv without `kith` goes to it. Returns only if that fails.
int cmd_lab(struct talk *t, char **argv);
int cmd_dht(struct app *a);

// Reads and checks a torrent file and says what is wrong with it. On success *out is to be freed.
MUST_USE int torrent_load(struct app *a, const char *path, struct metainfo *out);
// The directory in which the torrent's files lie if `path` is that directory, or the content itself; from malloc. NULL:
// neither, or out of memory.
char *torrent_find_root(const struct metainfo *m, const char *path);
// The magnet link of a torrent; from malloc, NULL: out of memory.
char *torrent_magnet(const struct metainfo *m);
// Lower-case hex of the hash that stands for the torrent: v1 if it has one, v2 cut to 20 bytes if not. Returns out.
char *torrent_id(const struct metainfo *m, char out[2 * SHA1_LEN + 1]);
// The torrent as members of a JSON object: id, name, hashes, sizes, magnet.
void torrent_describe(const struct metainfo *m, json_t *out);
// Bytes of the files with a priority other than 0; NULL: of all.
uint64_t torrent_chosen_bytes(const struct metainfo *m, const uint8_t *priorities);
