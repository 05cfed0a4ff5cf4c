// Our address, as others see it.
#pragma once
#include "engine/node/node.h"

struct torrent;                         // node_torrent.h

void external_vote(struct node *n, uint32_t source, const struct addr *says);   // source: as votes_add; 0: no vote
void external_set(struct node *n, const struct addr *a);                // decided, here or by the DHT
void external_tell(struct node *n, struct torrent *t);                  // to what the torrent has by now
void external_forget(struct node *n);                                   // another network
bool external_poll(struct node *n, struct node_out *out, enum node_kind *kind);
