// Encrypted streams of the node (MSE/PE): the handshake before the handshake, and RC4 on what follows. A stream whose handshake
// selected plaintext is an ordinary one from then on.
#pragma once
#include "engine/node/node_conn.h"
#include "engine/node/node_load.h"
#include "engine/reach/mse.h"

// Of one stream, from the first byte that is not BitTorrent's until plaintext is agreed on, or the end.
struct crypt {
    uint32_t conn;
    struct mse mse;
    struct list wait;                   // node.exchanges: its key is here, its turn is not
    struct list ready;                  // node.crypt_ready: may have bytes in memory to send
    bool loads;                         // RC4: `load` is in use
    struct load load;
    struct node_room room;              // of the peer, given last: to be decrypted
    uint32_t rest_at;                   // of mse_rest: handed on
};

// Begins as the initiator, when connected, or as the acceptor with the bytes that are in c->shake. False: no memory.
MUST_USE bool crypt_start(struct node *n, struct conn *c, bool initiator);
void crypt_free(struct node *n, struct conn *c);
// The stream is dead and will be freed.
void crypt_quit(struct conn *c);
// The handshake is under way: it has the room, and gets the bytes.
static inline bool crypt_shakes(const struct conn *c) { return c->crypt != NULL && !c->crypted; }
static inline bool crypt_is_rc4(const struct conn *c) { return c->crypt != NULL && c->crypt->loads; }
struct span crypt_room(struct conn *c);
// Drops c if the handshake fails.
void crypt_rx(struct node *n, struct conn *c, size_t len);
// Composes what the handshake has to say. False: nothing.
MUST_USE bool crypt_tx(struct node *n, struct conn *c, struct buf *tx, struct node_out *out);
// Hands on what arrived behind the handshake, as far as there is room. True: all of it. c may be dead afterwards.
bool crypt_feed(struct node *n, struct conn *c);
// len bytes landed in room: decrypted in place.
void crypt_decrypt(struct conn *c, const struct node_room *room, size_t len);
// RC4: bytes of ours that lie in tx.
void crypt_encrypt(struct conn *c, struct span own);
// What a swarm sends on an encrypted stream. False: no memory, the stream is broken.
MUST_USE bool crypt_send(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n);
// Exchanges whose turn it is.
void crypt_work(struct node *n);
// Jobs and encrypted bytes.
bool crypt_poll(struct node *n, struct node_out *out, enum node_kind *kind);
void crypt_job_done(struct node *n, uint32_t id, enum err e, uint32_t file);
// Whether to connect to that address in the clear.
bool crypt_is_plain_only(const struct node *n, const struct addr *a);
void crypt_remember(struct node *n, const struct addr *a, bool plain_only);
