// What the files of a session share; nobody else includes it.
#pragma once
#include "app/dht_setup.h"
#include "app/host.h"
#include "app/link.h"
#include "app/progress.h"
#include "app/session.h"
#include "app/space.h"
#include "app/state.h"
#include "base/ranges.h"
#include "codec/ut_metadata.h"
#include "engine/node/queue.h"

enum {
    KEY_BYTES = 512,                    // node_resume_key, link_key
    BANS_SAID_MAX = 64,
};

enum task_state {
    TASK_WAITING,                       // for its turn; the node does not know it
    TASK_RUNNING,
    TASK_LEAVING,                       // the node lets go of it, after which it waits or is over
    TASK_OVER,
};

// What was said of the disk and of peers that were banned.
struct disk_said {
    nsec at[ERR_N];                     // of each error, when last; 0: never
    bool waiting;                       // that it waits for the disk
    uint32_t broken, gone;              // files that were named
    struct addr bans[BANS_SAID_MAX];
    uint32_t bans_n;
};

// A torrent of the session.
struct task {
    struct session *s;
    const struct session_config *cfg;
    enum task_state state;
    const struct metainfo *meta;        // cfg->meta, or what came from peers
    struct metainfo fetched;            // that
    const uint8_t *priorities;
    uint32_t torrent;                   // the node's number, while it runs or leaves
    char id[2 * SHA1_LEN + 1];
    char name[TALK_NAME_MAX];
    bool tracker_failed;
    bool told, started_once;            // "added" was said
    bool done;                          // everything wanted is there
    bool ended;                         // by our own decision: it does not come back
    int status;                         // of that decision
    nsec started, done_at;
    nsec alive_at;                      // when data came last, or it was not the network's turn
    nsec error_at;                      // since when the storage fails, 0: it does not
    struct disk_said said;
    struct space space;                 // a worker's answer to disk_start
    bool space_asked, space_known;      // it is at it; it could tell
    struct meter meter;                 // of what comes
    uint64_t had_bytes;                 // of what is wanted, when the check was over
    nsec sent_at;                       // when something was sent last, or it began to seed
    uint64_t last_bytes, last_up;
    uint32_t last_steps;
    struct queue_row row;
    struct node_torrent_stats last;
    uint64_t down_before, up_before;    // of what `last` counts: before it was started again
};

struct session {
    struct app *a;
    struct task *tasks;
    uint32_t tasks_n;
    struct host *host;
    struct state *state;
    struct dht_setup dht;
    struct ranges blocked;
    struct peer_list peers;
    struct progress progress;
    struct queue_row *rows;             // for the decision
    struct progress_view *views;
    struct queue_goals goals;
    bool stopping;
    int status;                         // of the first task that failed
    bool save_warned;
};

static inline bool session_is_one(const struct session *s) { return s->tasks_n == 1; }

// session.c
void session_load_resume(struct task *t, struct buf *resume);

// session_task.c: one torrent's life.
void task_init(struct task *t, struct session *s, const struct session_config *cfg);
// Gives it to the node. What fails ends it.
void task_start(struct task *t);
// Takes it away; it may come back.
void task_leave(struct task *t);
// Ends it for good; status: the exit status.
void task_end(struct task *t, int status);
void task_stats(struct task *t);                                // into t->last
void task_event(struct task *t, const struct node_event *e);
void task_tick(struct task *t, nsec now);
// What is shown of it.
struct progress_view task_view(const struct task *t);
// At the end of everything: what was not said yet. Returns its exit status.
int task_finish(struct task *t);
json_t *task_event_json(struct task *t, const char *type);
void task_name(struct task *t);                                 // id and name of t->meta
struct node_add task_how(const struct task *t, const struct buf *resume);
int task_cannot_start(struct task *t, enum err e);

// session_disk.c: what is said of the disk, and when it is no use to wait for it.
const char *task_tag(const struct task *t, char out[TALK_NAME_MAX + 2]);        // in front of what is said of one of several
void disk_start(struct task *t);                // whether there is room
void disk_error(struct task *t, const struct node_event *e);
void disk_recovered(struct task *t);
void disk_gone(struct task *t, const struct node_event *e);
void disk_checked(struct task *t);              // of files that were there and are overwritten
void disk_tick(struct task *t, nsec now);       // ends what cannot go on
void task_banned(struct task *t, const struct addr *a);

// session_queue.c: whose turn it is.
void queue_work(struct session *s);

// session_magnet.c: a magnet link's metadata is here: read, kept, and the download begins.
void task_metadata(struct task *t, struct slice info);
// The piece layers that its metadata cannot have are here, too: kept.
void task_layers(struct task *t);
