// Torrents on the real host, from the command line: for `get` and `share`. One process, one port, one DHT for all of them.
#pragma once
#include "app/cmd.h"
#include "base/addr.h"

struct link;

// One torrent.
struct session_config {
    const struct metainfo *meta;        // with the trackers of the command line; of a link: link_stub
    const struct link *link;            // NULL: the torrent is known
    // A link's metadata is there: chooses files (the array outlives the session; NULL: all). Returns the exit status.
    int (*metadata)(void *ctx, const struct metainfo *m, const uint8_t **out_priorities);
    void *ctx;
    // The port is had, or NULL: nothing is said.
    void (*ready)(struct app *a, const struct session_config *cfg);
    // All of it is there: called at the end, before anything is freed. NULL: not wanted.
    void (*done)(struct app *a, const struct metainfo *m, const char *root, const uint8_t *priorities);
    const struct addr *peers;           // besides those of --peer
    uint32_t peers_n;
    const char *torrent;                // path of its torrent file, for `ready`
    const char *root;                   // directory of the files
    const uint8_t *priorities;          // of each file; NULL: all
    bool trust;                         // just hashed
    bool stay;                          // goes on seeding
    bool share;                         // the content must be complete
    bool plain;                         // a file by its URLs: no hashes, no peers
};

// Runs n torrents, n not 0, as many at a time as the options say, until each is complete, given up or interrupted. Says what
// happens. Returns 0 if all are complete, else the exit status of the first that failed: others go on without it.
// cfg's plain torrents stand alone.
int session_run(struct app *a, const struct session_config *cfg, uint32_t n);
// Two of them are the same torrent, or would write the same files: says so. Returns the exit status.
MUST_USE int session_clash(struct app *a, const struct session_config *cfg, uint32_t n);

enum { SESSION_PEERS_MAX = 1000 };      // addresses of all --peer

struct ranges;

struct peer_list {
    struct addr *items;                 // from malloc
    uint32_t n, cap;
};

// The addresses of --peer HOST:PORT; names are resolved, which may take a while. Returns the exit status; the list is the
// caller's in any case. Whoever is in `blocked` (NULL: there is no blocklist) is said to be.
MUST_USE int session_peers(struct app *a, const struct ranges *blocked, struct peer_list *out);
