// What the files of a session share; nobody else includes it.
#pragma once
#include "app/dht_setup.h"
#include "app/host.h"
#include "app/link.h"
#include "app/progress.h"
#include "app/session.h"
#include "base/ranges.h"
#include "app/state.h"
#include "codec/ut_metadata.h"

enum { KEY_BYTES = 512 };               // node_resume_key, link_key

struct session {
    struct app *a;
    const struct session_config *cfg;
    const struct metainfo *meta;        // cfg->meta, or what came from peers
    struct metainfo fetched;            // that
    const uint8_t *priorities;
    struct host *host;
    struct state *state;
    struct dht_setup dht;
    struct ranges blocked;
    struct progress progress;
    uint32_t torrent;
    char id[2 * SHA1_LEN + 1];
    char name[TALK_NAME_MAX];
    bool done;                          // everything wanted is there
    bool stopping;                      // by our own decision
    int status;                         // of our own decision
    nsec started, done_at;
    nsec alive_at;                      // when data came last, or it was not the network's turn
    nsec error_at;                      // since when the storage fails, 0: it does not
    uint64_t last_bytes;
    uint32_t last_steps;
    bool save_warned;
    struct node_torrent_stats last;
};

void session_stop(struct session *s, int status);
json_t *session_event(struct session *s, const char *type);
void session_name(struct session *s);                           // id and name of s->meta
void session_load_resume(struct session *s, struct buf *resume);
struct node_add session_how(const struct session *s, const struct buf *resume);
int session_cannot_start(struct session *s, enum err e);

// session_magnet.c: a magnet link's metadata is here: read, kept, and the download begins.
void session_metadata(struct session *s, struct slice info);
// The piece layers that its metadata cannot have are here, too: kept.
void session_layers(struct session *s);
