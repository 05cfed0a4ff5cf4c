// Torrents without metadata, and what is the same with and without it.
#pragma once
#include "engine/node/node.h"

struct conn;                            // node_conn.h
struct swarm_peer_new;                  // engine/swarm/swarm.h
struct torrent;                         // node_torrent.h

bool torrent_known_next(struct node *n, struct torrent *t, struct addr *out);
void torrent_known_failed(struct node *n, struct torrent *t, const struct addr *a);
void torrent_known_postponed(struct node *n, struct torrent *t, const struct addr *a);
void torrent_known_retry(struct torrent *t);
void torrent_known_connected(struct node *n, struct torrent *t, const struct addr *a);
void torrent_known_add(struct node *n, struct torrent *t, const struct addr *a, bool trusted, bool named);
// ERR_…: as swarm_peer_add or metadata_peer_add.
enum err torrent_peer_add(struct node *n, struct conn *c, const struct swarm_peer_new *in);
bool magnet_poll(struct node *n, struct torrent *t, struct buf *tx, struct node_out *out, enum node_kind *kind);
void magnet_beat(struct node *n, struct torrent *t);
void magnet_stats(const struct torrent *t, struct node_torrent_stats *out);
void magnet_handover(struct node *n, struct torrent *t);                // the swarm takes its peers
