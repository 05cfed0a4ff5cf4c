// Local discovery in the node, if it is on.
#pragma once
#include "engine/node/node.h"

struct torrent;                         // node_torrent.h

enum err node_lsd_new(struct node *n);
void node_lsd_tick(struct node *n);
void node_lsd_beat(struct node *n);                                     // torrents that are to be found, or not any more
void node_lsd_torrent_gone(struct node *n, struct torrent *t);
void node_lsd_network_changed(struct node *n);
void node_lsd_datagram(struct node *n, const struct addr *from, struct slice data);
bool node_lsd_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
