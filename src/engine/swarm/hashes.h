// Trees of v2: piece layers from peers (hashes.c), and answers for peers (hash_serve.c). Inside the swarm.
#pragma once
#include "base/bytes.h"
#include "codec/hash_request.h"
#include "codec/peerwire.h"
#include "engine/swarm/swarm.h"

struct swarm_peer;                      // peer.h

enum {
    HASH_ASKS_ALL_MAX = 64,             // hash requests of ours at all peers
    HASH_QUEUE_MAX = 16,                // requests of one peer that wait
    HASH_TREES_MAX = 8,                 // files whose trees are in memory
};

struct hash_queues {
    struct hash_request wanted[HASH_QUEUE_MAX], refused[HASH_QUEUE_MAX];
};

// What one peer asks of trees, and whether it may be asked.
struct peer_hash {
    struct hash_queues *queues;         // NULL: it has never asked
    uint32_t wanted_n, refused_n;
    uint32_t answers_left, reads_left;  // until share_at
    nsec share_at, paused_until;
    uint32_t asks_n;                    // of swarm.hash_asks, its own
    bool waits, no_leaves;              // waits: for leaves from the disk; no_leaves: it has refused some
};
// A hash request of ours.
struct hash_ask {
    uint32_t serial;                    // of the peer
    uint32_t file, piece;               // piece UINT32_MAX: a part of the file's piece layer; else the leaves of one that failed
    struct hash_request r;
    nsec at;
};

// A piece layer that the torrent did not bring.
struct layer {
    uint8_t *nodes;                     // SHA256_LEN for each piece
    uint8_t *got;                       // bits: which requests' parts are there
    uint32_t got_n;
};

struct hash_tree {
    uint32_t file;
    uint8_t (*nodes)[SHA256_LEN];       // layers above the piece layer, from the bottom; NULL: free
    size_t n;
    nsec used;
};

// Leaves being read from the disk for one answer.
struct leaf_read {
    enum { LEAF_NONE, LEAF_READING, LEAF_READY, LEAF_FAILED } state;
    uint32_t serial, file, pieces;
    struct hash_request r;
    uint64_t first;                     // leaf of the file
    uint8_t (*leaves)[SHA256_LEN];
    size_t leaves_n;
    nsec at;
};

enum err hashes_init(struct swarm *s);
void hashes_done(struct swarm *s);
void hash_trees_done(struct swarm *s);
const uint8_t *layer_node(const struct swarm *s, uint32_t file, uint32_t k);    // of its piece k; NULL: not known
const uint8_t *layer_whole(const struct swarm *s, uint32_t file);               // NULL: not (all of it) known
void hashes_handle(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m);
void hashes_wanted(struct swarm *s, struct swarm_peer *p, const struct hash_request *r);
bool hashes_due(const struct swarm *s, const struct swarm_peer *p);             // may be asked something
bool hashes_pending(const struct swarm *s, const struct swarm_peer *p);
void hashes_request(struct swarm *s, struct swarm_peer *p, struct wr *w);
void hashes_compose_rejects(struct swarm_peer *p, struct wr *w);
uint32_t hashes_compose(struct swarm *s, struct swarm_peer *p, uint32_t segs_n, uint64_t *bytes);
void hashes_forget(struct swarm *s, struct swarm_peer *p);
void hashes_beat(struct swarm *s, struct swarm_peer *p);
void hashes_leaves_read(struct swarm *s, enum err e);
