// What the rate limits allow, in turn. Inside the swarm.
#pragma once
#include "engine/swarm/swarm.h"

struct swarm_peer;                      // peer.h

bool limits_wake(struct swarm *s);                                      // somebody's turn has come: it is ready now
nsec limits_deadline(struct swarm *s);                                  // of whoever waits; nobody: it leaves the queue
uint32_t limits_send(struct swarm *s, const struct swarm_peer *p, uint32_t left);                   // how much of a block's rest may go, charged
void limits_served(struct swarm *s, struct swarm_peer *p);              // it had its bite
bool limits_rx_open(struct swarm *s, struct swarm_peer *p);             // it may be read from
bool limits_rx_waits(const struct swarm *s);                            // somebody waits to be read from
void limits_rx(struct swarm *s, struct swarm_peer *p, uint32_t n);      // n bytes of content came
void limits_return(struct swarm *s, struct swarm_peer *p);              // what it may still bring does not come
bool limits_up_full(const struct swarm *s);                             // the choker opens no more slots
void limits_changed(struct swarm *s);
