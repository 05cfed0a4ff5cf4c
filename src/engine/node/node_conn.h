// Streams before they are peers, and what the node knows of each one.
#pragma once
#include "base/list.h"
#include "codec/peerwire.h"
#include "engine/node/node.h"
#include "engine/node/node_stream.h"

struct crypt;                           // node_crypt.h
struct metadata_peer;                   // engine/swarm/metadata.h
struct swarm_peer;                      // engine/swarm/swarm.h
struct torrent;                         // node_torrent.h

enum {
    NODE_CONNS_MAX = 4096,
    NODE_HALF_OPEN_MAX = 100,           // connects under way
    NODE_CONNECTS_PER_BEAT = 30,        // and begun in one second
    NODE_SHAKING_MAX = 512,             // incoming and silent: beyond it the longest waiting goes
    NODE_HANDSHAKE_S = 15,              // connect and handshake together
    NODE_MSE_TRY_S = 5,                 // then the address is tried in the clear
};

enum conn_state {
    CONN_NONE, CONN_CONNECTING, CONN_SHAKING_OUT, CONN_SHAKING_IN, CONN_PEER, CONN_METADATA, CONN_TRACKER, CONN_DEAD,
};

struct conn {
    // What every input looks at
    uint32_t id;
    enum conn_state state;
    struct torrent *torrent;
    struct swarm_peer *peer;
    uint64_t own_out;                   // bytes sent that the swarm does not know of
    struct crypt *crypt;                // MSE/PE; NULL: none, or not any more
    uint32_t utp;                       // its uTP connection, 0: none
    bool crypted;                       // its handshake is behind us
    struct metadata_peer *metadata;     // CONN_METADATA

    struct list link;                   // node.pending while connecting or shaking hands
    struct list out_link;               // node.closes or node.hellos
    struct addr addr;
    nsec deadline;
    uint8_t shake[HANDSHAKE_LEN];
    uint32_t shake_n;
    bool known;                         // addr is one of the torrent's known addresses
    bool said_hello, hello_due, starved, flush;
    bool waits;                         // came while the torrent is being checked: it hears from us when that is done
    bool tries_mse, second, by_memory;  // how we connect: by MSE; in the clear after that failed, or because it is remembered
    bool host_knows;                    // a stream of the host's has this id, or is being connected
    bool tcp_due, tcp_cut;              // the host is still to be told: connect; forget that
    bool tcp_tried, utp_tried;
    bool proxy_failed;                  // it was not tried by TCP: our proxy is to blame
    bool punches;                       // by uTP alone: the other side connects at the same time
    nsec other_at;                      // CONN_CONNECTING: when the other transport is tried, too
    struct stream out;
};

struct conn *conn_get(const struct node *n, uint32_t id);               // NULL: none, or gone
struct conn *conn_new(struct node *n, const struct addr *addr);         // NULL: full
uint32_t conn_accept(struct node *n, enum node_port port, const struct addr *from);    // its id; 0: refused
void conn_drop(struct node *n, struct conn *c, bool tell_host);         // forgets it; NODE_CLOSE comes if tell_host
void conn_punch(struct node *n, struct torrent *t, const struct addr *a);  // both sides connect now
void conn_work(struct node *n);                                         // begins connects
void conn_beat(struct node *n);                                         // time-outs
bool conn_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
void conn_say(struct node *n, struct conn *c);                          // it has something for the host: the poll looks
void conn_begin(struct node *n, struct conn *c);                        // connected, by whatever way: the handshake begins
const uint8_t *conn_hello(struct node *n, const struct conn *c, struct buf *b);     // writes the handshake; returns its info-hash
void conn_send_own(struct node *n, struct conn *c, struct slice bytes, struct node_out *out);   // bytes the swarm does not know of
MUST_USE bool conn_room(struct node *n, struct conn *c, struct node_room *out);     // of the handshake or the peer; false: none
void conn_rx(struct node *n, struct conn *c, size_t len);               // clear bytes landed there
void conn_drop_shaking(struct node *n, const struct torrent *of);       // streams that are no peers yet; of NULL: of all
