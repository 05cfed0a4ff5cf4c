// Pieces that are being fetched: their blocks, hashing and writing. Inside the swarm.
#pragma once
#include "base/list.h"
#include "crypto/hash.h"
#include "engine/swarm/swarm.h"

struct job;                             // storage.h
struct swarm_peer;                      // peer.h

enum {
    PARTIALS_MAX = 512,
    WRITE_BLOCKS = IO_SPANS_MAX,        // blocks of one write job: 1 MiB
};

enum block_state { BLOCK_FREE, BLOCK_ASKED, BLOCK_HERE };

struct block {
    uint8_t state;                      // enum block_state
    uint8_t asks;                       // outstanding requests
    bool written;
    uint32_t source;                    // serial of the peer that was asked last, or that it came from
    uint8_t *slot;                      // BLOCK_HERE and still in memory
};

// A piece that is being fetched.
struct piece {
    struct list link;                   // swarm.partials, oldest first
    uint32_t index, blocks_n, slot_at;  // slot_at: its place in swarm.partial_at
    uint32_t len;                       // bytes to fetch: without a trailing pad
    uint32_t free_n, here_n;            // blocks in BLOCK_FREE and BLOCK_HERE
    uint32_t hashed;                    // blocks whose digest is in sha1 and leaves
    uint32_t hashing;                   // blocks of the job under way, 0: none
    uint64_t written, writing;          // bytes from the start; of the job under way
    uint32_t free_at;                   // no block below it is BLOCK_FREE
    bool verified, failed;              // failed: being taken apart for blame, then freed
    bool single;                        // failed before: only its owner may ask for its blocks
    bool stale;                         // what is written of it went with its file
    bool restored, parting;             // it was begun before the start; the stop keeps what is there and hashes no more
    nsec opened_at;
    struct sha1 sha1;
    uint8_t (*leaves)[SHA256_LEN];      // v2, or failed before; NULL else
    struct block *blocks;
    struct swarm_peer *owner;           // piece affinity: asks its blocks in order
};

struct piece *piece_find(const struct swarm *s, uint32_t index);
struct piece *piece_open(struct swarm *s, uint32_t index);              // NULL: no memory, or too many
void piece_block_here(struct swarm *s, struct piece *p, uint32_t block, uint8_t *slot, struct swarm_peer *from);
void piece_work(struct swarm *s, struct piece *p);                      // hash and write what can be
void piece_hash_done(struct swarm *s, struct job *j);
void piece_write_done(struct swarm *s, struct job *j, enum err e, uint32_t file);
void pieces_free(struct swarm *s);
void piece_write(struct swarm *s, struct piece *p, uint64_t len);       // len bytes behind what is written, all there
void piece_reset(struct swarm *s, struct piece *p);                     // gives it up, whatever is in it: it is missing again
void piece_abandon(struct swarm *s, struct piece *p);                   // gives it up unless a block or a worker is at it
void piece_withdraw(struct swarm *s, struct piece *p);                  // the same, and its requests are taken back
static inline uint32_t block_len(const struct piece *p, uint32_t block)
{
    return u32_min(BLOCK_LEN, p->len - block * BLOCK_LEN);
}

// unfinished.c: pieces over a stop and a start.
// A piece of which only the first blocks are on the disk.
struct unfinished {
    uint32_t piece, blocks;
};
enum err unfinished_add(struct swarm *s, uint64_t piece, uint64_t blocks);      // was saved. ERR_SYNTAX: there is no such piece. ERR_FULL
void unfinished_forget(struct swarm *s, uint32_t first, uint32_t last);         // these pieces are not as they were left
void unfinished_start(struct swarm *s);                                 // files are ready: reads back what was begun
void unfinished_read(struct swarm *s, struct job *j, enum err e);
bool unfinished_stop(struct swarm *s);                                  // no partial piece is left, what can be kept is
