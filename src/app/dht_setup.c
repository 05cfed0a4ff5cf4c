// See dht_setup.h.
#include "app/dht_setup.h"

#include <stdlib.h>

// Those that the big programs ask, too: any one of them is enough, and only for the first start.
static const char *const well_known[] = {
    "router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "dht.libtorrent.org:25401", "router.utorrent.com:6881",
};

void dht_setup(struct dht_setup *setup, const struct options *o, struct state *state, struct node_dht_config *out)
{
    *setup = (struct dht_setup){0};
    *out = (struct node_dht_config){.on = !o->no_dht};
    if (o->no_dht)
        return;
    const uint32_t n = o->dht_routers.n != 0 ? o->dht_routers.n : (uint32_t)ARRAY_LEN(well_known);
    setup->routers = calloc(n, sizeof *setup->routers);
    for (uint32_t i = 0; i < n && setup->routers != NULL; i++)
        setup->routers[i] = slice_str(o->dht_routers.n != 0 ? o->dht_routers.items[i] : well_known[i]);
    out->routers = setup->routers;
    out->routers_n = setup->routers != NULL ? n : 0;
    if (state != NULL && state_load(state, SLICE_LIT(NODE_DHT_KEY), &setup->saved) == ERR_OK)
        out->saved = buf_slice(&setup->saved);
}

void dht_setup_done(struct dht_setup *setup)
{
    free(setup->routers);
    free(setup->saved.p);
    *setup = (struct dht_setup){0};
}
