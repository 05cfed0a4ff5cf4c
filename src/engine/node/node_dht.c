// The DHT in the node: its datagrams and timers, routers' names, saved nodes, and for each torrent the search for peers and the
// announcing of ourselves, as often as it is needed. BEP 5, 27 (never for private torrents), 52 (both hashes of a hybrid).
#include "engine/find/dht.h"
#include "engine/node/node_dht.h"
#include "engine/node/node_external.h"
#include "engine/node/node_int.h"
#include "engine/node/node_magnet.h"
#include "engine/node/node_torrent.h"

#include "codec/bencode.h"

enum {
    DHT_ANNOUNCES_PER_BEAT = 2,         // of all torrents together, in a second
    DHT_FEW_PEERS = 20,                 // with fewer known addresses a download asks again soon
    DHT_FIRST_S = 30, DHT_SOON_MAX_S = 300,     // after 30 s, then twice as long each time, up to 5 min
    DHT_AGAIN_S = 900,                  // BEP 5's nodes forget peers after half an hour or so
    DHT_NO_NODES_S = 10,
    DHT_LOST_OP_S = 120,                // a question whose end was not told (no memory) counts as over
    DHT_SAVE_FIRST_S = 60, DHT_SAVE_S = 600,
    DHT_ROUTERS_MAX = 16,
};

enum err node_dht_new(struct node *n)
{
    const struct node_dht_config *c = &n->cfg.dht;
    struct node_dht *h = &n->dht;
    h->at = h->save_at = NSEC_NEVER;
    if (!c->on)
        return ERR_OK;
    const bool both = !c->ipv4 && !c->ipv6;
    const struct dht_config cfg = {.ipv4 = both || c->ipv4, .ipv6 = both || c->ipv6, .read_only = c->read_only};
    const enum err e = dht_new(&h->dht, &cfg, n->env, n->now);
    if (e != ERR_OK)
        return e;
    dht_load(h->dht, n->now, c->saved);
    n->cfg.dht.saved = (struct slice){0};
    n->cfg.dht.routers_n = u32_min(c->routers_n, DHT_ROUTERS_MAX);
    h->routers_asked = n->cfg.dht.routers_n;
    h->save_at = n->now + DHT_SAVE_FIRST_S * NSEC_S;
    h->left = DHT_ANNOUNCES_PER_BEAT;
    h->touched = true;
    return ERR_OK;
}

void node_dht_free(struct node *n)
{
    dht_free(n->dht.dht);
    n->dht.dht = NULL;
}

static bool has_nodes(const struct node *n)
{
    struct dht_stats s;
    dht_stats(n->dht.dht, &s);
    return s.nodes[0] + s.nodes[1] > 0;
}

void node_dht_tick(struct node *n)
{
    struct node_dht *h = &n->dht;
    if (h->dht == NULL)
        return;
    if (h->at <= n->now) {
        dht_tick(h->dht, n->now);
        h->touched = true;
    }
    if (h->save_at <= n->now) {
        h->save_at = n->now + DHT_SAVE_S * NSEC_S;
        h->save_due = has_nodes(n);
        h->touched = true;
    }
}

nsec node_dht_deadline(const struct node *n) { return u64_min(n->dht.at, n->dht.save_at); }

void node_dht_stop(struct node *n)
{
    if (n->dht.dht == NULL)
        return;
    n->dht.save_due = has_nodes(n);
    n->dht.save_at = NSEC_NEVER;
    n->dht.touched = true;
}

void node_dht_external(struct node *n, const struct addr *a)
{
    if (n->dht.dht == NULL)
        return;
    dht_external(n->dht.dht, n->now, a);
    n->dht.touched = true;
}

void node_dht_network_changed(struct node *n)
{
    if (n->dht.dht == NULL)
        return;
    dht_network_changed(n->dht.dht, n->now);
    n->dht.touched = true;
    for (uint32_t i = 0; i < n->torrents_n; i++)        // announced again, from where we are now
        if (n->torrents[i] != NULL)
            n->torrents[i]->dht.due[0] = n->torrents[i]->dht.due[1] = n->now;
}

bool node_dht_stopped(const struct node *n) { return !n->dht.save_due && !n->dht.saving; }

bool node_dht_datagram(struct node *n, const struct addr *from, struct slice data)
{
    if (n->dht.dht == NULL || !dht_looks_like(data))
        return false;
    dht_datagram(n->dht.dht, n->now, from, data);
    n->dht.touched = true;
    return true;
}

void node_dht_saved(struct node *n)
{
    n->dht.saving = false;
    n->dht.touched = true;
}

// ---- contacts

static void add(struct node *n, const struct addr *a)
{
    if (n->dht.dht == NULL)
        return;
    dht_add(n->dht.dht, n->now, a);
    n->dht.touched = true;
}

// "HOST:PORT": its two halves. False: it has none.
static bool split(struct slice text, struct slice *host, uint16_t *port)
{
    size_t at = text.n;
    while (at > 0 && text.p[at - 1] != ':')
        at--;
    uint64_t v = 0;
    if (at < 2 || dec_parse(slice_sub(text, at, text.n), UINT16_MAX, &v) != ERR_OK || v == 0)
        return false;
    *host = slice_sub(text, 0, at - 1);
    *port = (uint16_t)v;
    return true;
}

// The next router: an address is taken at once, a name is to be resolved.
static bool ask_router(struct node *n, struct node_out *out, enum node_kind *kind)
{
    struct node_dht *h = &n->dht;
    while (h->routers_asked < n->cfg.dht.routers_n) {
        const uint32_t i = h->routers_asked++;
        const struct slice text = n->cfg.dht.routers[i];
        struct slice host;
        struct addr a;
        uint16_t port;
        if (addr_parse(text, 0, &a) == ERR_OK) {
            add(n, &a);
            continue;
        }
        if (!split(text, &host, &port))
            continue;
        out->id = request_add(n, 0, i);
        out->bytes = host;
        *kind = NODE_RESOLVE;
        if (out->id != 0)
            return true;
    }
    return false;
}

void node_dht_resolved(struct node *n, uint32_t router, const struct addr *addrs, uint32_t addrs_n)
{
    struct slice host;
    uint16_t port = 0;
    if (n->dht.dht == NULL || router >= n->cfg.dht.routers_n || !split(n->cfg.dht.routers[router], &host, &port))
        return;
    for (uint32_t i = 0; i < addrs_n; i++) {
        struct addr a = addrs[i];
        a.port = port;
        add(n, &a);
    }
}

// A torrent's `nodes` (BEP 5): a list of [host, port]. Names are left alone: routers have those.
static void add_torrent_nodes(struct node *n, struct slice nodes)
{
    struct bencode b;
    bencode_init(&b, nodes, BENCODE_LENIENT);
    if (nodes.n == 0 || !bencode_list(&b))
        return;
    for (uint32_t i = 0; i < DHT_ROUTERS_MAX && bencode_more(&b); i++) {
        struct slice host = {0};
        int64_t port = 0;
        if (!bencode_list(&b))
            continue;
        for (uint32_t k = 0; bencode_more(&b); k++) {
            if (k == 0)
                (void)bencode_str(&b, &host);
            else if (k == 1)
                (void)bencode_int(&b, &port);
            else
                (void)bencode_raw(&b);
        }
        struct addr a;
        if (port > 0 && port <= UINT16_MAX && addr_parse(host, (uint16_t)port, &a) == ERR_OK && !addr_is_reserved(&a))
            add(n, &a);
    }
}

void node_dht_peer(struct node *n, const struct addr *a) { add(n, a); }

// ---- torrents

static bool hash_of(const struct torrent *t, uint32_t which, const uint8_t **out)
{
    *out = which == 0 ? t->hash_v1 : t->hash_v2;
    return which == 0 ? t->in_v1 : t->in_v2;
}

// The torrent and hash that is due and has the fewest peers; NULL: none.
static struct torrent *neediest(struct node *n, uint32_t *out_which)
{
    struct torrent *found = NULL;
    uint32_t fewest = UINT32_MAX;
    const uint8_t *hash;
    for (uint32_t i = 0; i < n->torrents_n; i++) {
        struct torrent *t = n->torrents[i];
        if (t == NULL || !torrent_is_open(t))
            continue;
        for (uint32_t which = 0; which < 2; which++) {
            const nsec busy = t->dht.op[which] != 0 ? DHT_LOST_OP_S * NSEC_S : 0;
            if (!hash_of(t, which, &hash) || t->dht.due[which] + busy > n->now)
                continue;
            struct node_torrent_stats s = {0};
            node_torrent_stats(n, t->number, &s);
            if (s.known + s.peers >= fewest)
                continue;
            fewest = s.known + s.peers;
            found = t;
            *out_which = which;
        }
    }
    return found;
}

static void announce(struct node *n, struct torrent *t, uint32_t which)
{
    const uint8_t *hash = NULL;
    struct node_torrent_stats s = {0};
    node_torrent_stats(n, t->number, &s);
    struct dht_ask a = {.kind = DHT_ANNOUNCE, .port = n->cfg.listen_port, .seed = s.state == TORRENT_SEEDING};
    if (n->cfg.listen_port == 0)
        a.kind = DHT_GET_PEERS;
    (void)hash_of(t, which, &hash);
    memcpy(a.target, hash, NODE_ID_LEN);
    t->dht.due[which] = n->now + DHT_FIRST_S * NSEC_S;
    if (!t->dht.begun) {
        t->dht.begun = true;
        add_torrent_nodes(n, t->meta->nodes);
    }
    if (dht_ask(n->dht.dht, n->now, &a, &t->dht.op[which]) == ERR_OK)
        n->dht.touched = true;
}

void node_dht_work(struct node *n)
{
    uint32_t which = 0;
    while (n->dht.dht != NULL && !n->stopping && n->dht.left > 0) {
        struct torrent *t = neediest(n, &which);
        if (t == NULL)
            return;
        n->dht.left--;
        announce(n, t, which);
    }
}

void node_dht_beat(struct node *n)
{
    n->dht.left = DHT_ANNOUNCES_PER_BEAT;
    node_dht_work(n);
}

void node_dht_torrent_gone(struct node *n, const struct torrent *t)
{
    for (uint32_t i = 0; i < 2 && n->dht.dht != NULL; i++)
        if (t->dht.op[i] != 0)
            dht_cancel(n->dht.dht, t->dht.op[i]);
}

static struct torrent *torrent_of(struct node *n, uint32_t op, uint32_t *out_which)
{
    for (uint32_t i = 0; i < n->torrents_n; i++)
        for (uint32_t k = 0; k < 2; k++)
            if (n->torrents[i] != NULL && n->torrents[i]->dht.op[k] == op) {
                *out_which = k;
                return n->torrents[i];
            }
    return NULL;
}

static void announced(struct node *n, struct torrent *t, uint32_t which, const struct dht_out *o)
{
    struct node_torrent_stats s = {0};
    node_torrent_stats(n, t->number, &s);
    const bool hungry = (s.state == TORRENT_DOWNLOADING || s.state == TORRENT_METADATA) && s.known < DHT_FEW_PEERS;
    uint32_t wait_s = DHT_AGAIN_S;
    if (o->err == ERR_UNREACHABLE)
        wait_s = DHT_NO_NODES_S;
    else if (hungry)
        wait_s = u32_min((uint32_t)DHT_FIRST_S << u32_min(t->dht.rounds++, 4), DHT_SOON_MAX_S);
    else
        t->dht.rounds = 0;
    t->dht.op[which] = 0;
    t->dht.due[which] = n->now + wait_s * NSEC_S;
    log_line(n->env->log, LOG_DEBUG, "dht: torrent %u: %u peers, told %u nodes, %u ms", t->number, o->found, o->stored,
        (uint32_t)(o->took / NSEC_MS));
}

// ---- output

// What an op of a torrent says; false: it is nobody's torrent.
static bool torrent_op(struct node *n, enum dht_kind what, const struct dht_out *o)
{
    uint32_t which = 0;
    struct torrent *t = o->op != 0 ? torrent_of(n, o->op, &which) : NULL;
    if (t == NULL)
        return false;
    for (uint32_t i = 0; what == DHT_PEERS && i < o->peers_n; i++)
        torrent_known_add(n, t, &o->peers[i], false, false);
    if (what == DHT_DONE)
        announced(n, t, which, o);
    torrent_touch(n, t);
    return true;
}

static bool save(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    struct wr w = wr_make(tx);
    const size_t at = tx->n;
    if (buf_room(tx) < DHT_SAVED_BYTES)
        return false;
    dht_save(n->dht.dht, &w);
    ASSERT(w.ok);
    n->dht.save_due = false;
    n->dht.saving = true;
    out->key = SLICE_LIT(NODE_DHT_KEY);
    out->bytes = slice_of(tx->p + at, tx->n - at);
    *kind = NODE_SAVE;
    return true;
}

bool node_dht_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    struct node_dht *h = &n->dht;
    if (h->dht == NULL || !h->touched)
        return false;
    if (ask_router(n, out, kind) || (h->save_due && !h->saving && save(n, tx, out, kind)))
        return true;
    for (;;) {
        const enum dht_kind what = dht_poll(h->dht, n->now, tx, &h->out);
        switch (what) {
        case DHT_IDLE:
            h->at = h->out.deadline;
            h->touched = false;
            return false;
        case DHT_SEND:
            out->port = NODE_PORT_PEER;
            out->addr = h->out.addr;
            out->bytes = h->out.bytes;
            *kind = NODE_DGRAM;
            return true;
        case DHT_LONELY:
            h->routers_asked = 0;
            if (ask_router(n, out, kind))
                return true;
            break;
        case DHT_EXTERNAL: external_set(n, &h->out.addr); break;
        case DHT_PEERS: case DHT_ITEM: case DHT_SAMPLES: case DHT_DONE:
            if (torrent_op(n, what, &h->out))
                break;
            out->event = (struct node_event){.kind = NODE_EVENT_DHT, .dht_kind = what, .dht = &h->out};
            *kind = NODE_EVENT;
            return true;
        }
    }
}

// ---- commands

enum err node_dht_ask(struct node *n, nsec now, const struct dht_ask *ask, uint32_t *op)
{
    ASSERT(now >= n->now);
    n->now = now;
    if (n->dht.dht == NULL)
        return ERR_UNSUPPORTED;
    n->dht.touched = true;
    return dht_ask(n->dht.dht, now, ask, op);
}

void node_dht_add(struct node *n, nsec now, const struct addr *a)
{
    ASSERT(now >= n->now);
    n->now = now;
    add(n, a);
}

bool node_dht_stats(const struct node *n, struct dht_stats *out)
{
    if (n->dht.dht == NULL)
        return false;
    dht_stats(n->dht.dht, out);
    return true;
}

void node_dht_check(const struct node *n)
{
    if (n->dht.dht != NULL)
        dht_check(n->dht.dht);
}
