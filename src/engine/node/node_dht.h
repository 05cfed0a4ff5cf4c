// The DHT in the node, if it is on.
#pragma once
#include "engine/find/dht.h"
#include "engine/node/node.h"

struct torrent;                         // node_torrent.h

struct node_dht {
    struct dht *dht;                    // NULL: off
    bool touched, save_due, saving;
    nsec at, save_at;
    uint32_t routers_asked;             // of cfg.dht.routers, in this round
    uint32_t left;                      // announces of this second
    struct dht_out out;                 // the last one
};

enum err node_dht_new(struct node *n);
void node_dht_free(struct node *n);
void node_dht_tick(struct node *n);
nsec node_dht_deadline(const struct node *n);
void node_dht_beat(struct node *n);
void node_dht_work(struct node *n);                                     // announces what is due, as far as it may
bool node_dht_datagram(struct node *n, const struct addr *from, struct slice data);     // true: it was one
bool node_dht_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
void node_dht_resolved(struct node *n, uint32_t router, const struct addr *addrs, uint32_t addrs_n);
void node_dht_saved(struct node *n);
void node_dht_stop(struct node *n);
void node_dht_network_changed(struct node *n);
void node_dht_external(struct node *n, const struct addr *a);            // our address, from whoever found out
bool node_dht_stopped(const struct node *n);
void node_dht_peer(struct node *n, const struct addr *a);               // a peer's PORT message
void node_dht_torrent_gone(struct node *n, const struct torrent *t);
void node_dht_check(const struct node *n);
