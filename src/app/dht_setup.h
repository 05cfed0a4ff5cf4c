// How a command's node takes part in the DHT: routers of the command line or the well-known ones, nodes of the last run.
#pragma once
#include "app/options.h"
#include "app/state.h"
#include "engine/node/node.h"

struct dht_setup {
    struct slice *routers;              // their texts belong to the options
    struct buf saved;
};

// Fills in routers and saved nodes; `on` follows --no-dht. state may be NULL. setup outlives the node.
void dht_setup(struct dht_setup *setup, const struct options *o, struct state *state, struct node_dht_config *out);
void dht_setup_done(struct dht_setup *setup);
