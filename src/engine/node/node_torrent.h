// One torrent in the node: its swarm or its metadata, its announcer, and what they have asked of the host.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/metainfo.h"
#include "codec/peerwire.h"
#include "engine/node/node.h"

struct announcer;                       // engine/find/announcer.h
struct conn;                            // node_conn.h
struct metadata;                        // engine/swarm/metadata.h
struct swarm;                           // engine/swarm/swarm.h

enum {
    NODE_TORRENTS_MAX = 4096,
    NODE_PENDING_MAX = 1024,            // fetches and name look-ups under way
    JOB_BITS = 10,                      // of a job's id: the swarm's part
};

// HASH('req2', info-hash) -> info-hash, for MSE/PE.
struct skey {
    struct map_node node;
    uint8_t key[SHA1_LEN];
    const uint8_t *hash;                // NULL: not in the map
};

// A torrent's part in the DHT: for its v1 hash, then its v2 hash.
struct torrent_dht {
    uint32_t op[2];                     // under way; 0: none
    nsec due[2];
    uint32_t rounds;                    // without enough peers
    bool begun;
};

struct torrent {
    // What every input and poll looks at
    uint32_t number;                    // 1 + index in node.torrents
    bool announcer_quiet;               // nothing was told to the announcer since its last IDLE
    bool removing;                      // node_torrent_remove
    bool untimed;                       // one of the timers could not be set
    bool reserve, announcing, swarm_stopped, announcer_stopped;
    struct list touched;
    struct swarm *swarm;                // NULL: only the metadata is being fetched
    struct metadata *metadata;          // of a magnet link, until the swarm has its peers
    struct heap_node swarm_timer, announcer_timer;
    struct announcer *announcer;        // told something by announcer_of only

    struct map_node by_v1, by_v2;
    bool in_v1, in_v2;
    struct skey skey_v1, skey_v2;
    uint8_t hash_v1[INFO_HASH_LEN], hash_v2[INFO_HASH_LEN];
    const struct metainfo *meta;
    struct slice root;
    char parts_path[64];                // of its `.parts` file, below root
    struct metainfo stub;               // and what `meta` is without a swarm: hashes and trackers
    const struct metainfo_url *trackers;        // by the announcer's numbers
    struct torrent_dht dht;
    bool lsd_v1, lsd_v2;                // announced in the local network by this hash
    uint16_t port_told;                 // that its trackers know of, or will
    uint64_t up_bps, down_bps;          // its own limits
};

// For whoever tells it something: it is polled again.
static inline struct announcer *announcer_of(struct torrent *t)
{
    t->announcer_quiet = false;
    return t->announcer;
}

// May it be searched for by other ways than its trackers? BEP 27.
static inline bool torrent_is_open(const struct torrent *t) { return !t->meta->is_private && !t->removing && (t->announcing || t->metadata != NULL); }

// Of the host, for a torrent or the DHT: a fetch, or a name.
struct pending {
    uint32_t torrent, local, id;        // id 0: free; torrent 0: of the DHT
    bool stream;                        // the swarm's; else the announcer's
};

struct torrent *torrent_get(const struct node *n, uint32_t number);     // NULL: none
enum err torrent_new(struct node *n, struct torrent **out);            // not yet in n->torrents; ERR_FULL, ERR_NOMEM
struct torrent *torrent_by_hash(const struct node *n, const uint8_t hash[INFO_HASH_LEN]);
void torrent_place(struct node *n, struct torrent *t);                 // into n->torrents
void torrent_touch(struct node *n, struct torrent *t);
void torrent_stirred(struct node *n, struct torrent *t);               // by an input of a peer: touched only if that matters
void torrent_beat(struct node *n, struct torrent *t);
void torrent_stop(struct node *n, struct torrent *t);
bool torrent_poll(struct node *n, struct torrent *t, struct buf *tx, struct node_out *out, enum node_kind *kind);
void torrent_free(struct node *n, struct torrent *t);
uint32_t request_add(struct node *n, uint32_t torrent, uint32_t local); // 0: too many
bool request_end(struct node *n, uint32_t id, struct pending *out);
struct pending *request_stream(struct node *n, uint32_t id);            // of a streamed fetch; NULL: it is over

enum err torrent_hashes_add(struct node *n, struct torrent *t);         // of t->meta, those that are not there
enum err torrent_swarm_make(struct node *n, struct torrent *t, const struct node_add *add);
enum err torrent_announcer_make(struct node *n, struct torrent *t);
void torrents_tell_again(struct node *n);                               // trackers: we are elsewhere
void torrent_port(struct node *n, struct torrent *t);                  // the port to be told is another one

// node_remove.c
bool torrent_leave(struct node *n, struct torrent *t, struct node_out *out, enum node_kind *kind);  // true: it is gone, and said so
