// Streams before they are peers: connecting, shaking hands, finding their torrent. BEP 3, 52 (upgrade to v2).
#include "engine/find/tracker.h"
#include "engine/node/node_conn.h"
#include "engine/node/node_crypt.h"
#include "engine/node/node_int.h"
#include "engine/node/node_magnet.h"
#include "engine/node/node_stream.h"
#include "engine/node/node_torrent.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

enum { CONN_INDEX_BITS = 12 };
static_assert(NODE_CONNS_MAX <= 1 << CONN_INDEX_BITS, "a conn's index fits its id");

struct conn *conn_get(const struct node *n, uint32_t id)
{
    const uint32_t i = id & (NODE_CONNS_MAX - 1);
    struct conn *c = i < n->conns_high ? n->conns[i] : NULL;
    return c == NULL || c->id != id || c->state == CONN_DEAD ? NULL : c;
}

struct conn *conn_new(struct node *n, const struct addr *addr)
{
    uint32_t i = 0;
    while (i < n->conns_high && n->conns[i] != NULL)
        i++;
    void *items = n->conns;
    if (mem_grow(n->mem, &items, &n->conns_cap, i + 1, NODE_CONNS_MAX, sizeof(struct conn *)) != ERR_OK)
        return NULL;
    n->conns = items;
    struct conn *c = mem_zalloc(n->mem, sizeof *c);
    if (c == NULL)
        return NULL;
    n->conns_high = u32_max(n->conns_high, i + 1);
    n->conns_n++;
    n->generation = n->generation % ((1u << (32 - CONN_INDEX_BITS)) - 1) + 1;
    *c = (struct conn){.id = n->generation << CONN_INDEX_BITS | i, .addr = *addr};
    c->deadline = n->now + NODE_HANDSHAKE_S * NSEC_S;
    list_init(&c->link);
    list_init(&c->out_link);
    list_init(&c->out.wait);
    n->conns[i] = c;
    return c;
}

static void conn_free(struct node *n, struct conn *c)
{
    crypt_free(n, c);
    stream_done(n, c);
    list_remove(&c->link);
    list_remove(&c->out_link);
    n->conns[c->id & (NODE_CONNS_MAX - 1)] = NULL;
    n->conns_n--;
    mem_free(n->mem, c, sizeof *c);
}

enum connect_how { CONNECT_FIRST, CONNECT_CLEAR, CONNECT_PUNCH };      // CLEAR: after MSE failed; PUNCH: BEP 55

static void connect_to(struct node *n, struct torrent *t, const struct addr *addr, enum connect_how how);

// The address may speak no MSE: once more, in the clear. False: that is not it.
static bool try_again(struct node *n, const struct conn *c)
{
    if (c->state != CONN_SHAKING_OUT || n->stopping || c->torrent->removing)
        return false;
    if (c->by_memory)
        crypt_remember(n, &c->addr, false);     // not for want of encryption: MSE next time
    if (!c->tries_mse || c->crypted || n->cfg.encryption != NODE_ENCRYPTION_PREFER)
        return false;
    connect_to(n, c->torrent, &c->addr, CONNECT_CLEAR);
    return true;
}

void conn_drop(struct node *n, struct conn *c, bool tell_host)
{
    if (c->state == CONN_CONNECTING)
        n->half_open--;
    if (c->state == CONN_SHAKING_IN)
        n->shaking_n--;
    if (c->torrent != NULL && c->peer == NULL && c->metadata == NULL && c->known && !try_again(n, c)) {
        if (c->proxy_failed)
            torrent_known_postponed(n, c->torrent, &c->addr);
        else
            torrent_known_failed(n, c->torrent, &c->addr);
        torrent_touch(n, c->torrent);
    }
    if (!tell_host) {
        conn_free(n, c);
        return;
    }
    c->state = CONN_DEAD;
    crypt_quit(c);
    list_remove(&c->link);
    list_remove(&c->out_link);
    list_push_back(&n->closes, &c->out_link);
}

// Thousands of connections that say nothing must not keep others out: they only push each other out.
static void make_place(struct node *n)
{
    if (n->shaking_n < NODE_SHAKING_MAX)
        return;
    LIST_EACH(&n->pending, link, save) {
        struct conn *c = CONTAINER(link, struct conn, link);
        if (c->state != CONN_SHAKING_IN)
            continue;
        conn_drop(n, c, true);
        return;
    }
}

uint32_t conn_accept(struct node *n, enum node_port port, const struct addr *from)
{
    const nsec now = n->now;
    if (port == NODE_PORT_PEER && conn_is_blocked(n, from))
        return 0;
    if (port == NODE_PORT_PEER)
        make_place(n);
    const uint32_t max = n->cfg.peers_max + (n->tracker != NULL ? TRACKER_CONNS_MAX : 0);
    struct conn *c = n->stopping || n->conns_n >= max ? NULL : conn_new(n, from);
    if (c == NULL)
        return 0;
    c->host_knows = true;
    if (port == NODE_PORT_PEER) {
        c->state = CONN_SHAKING_IN;
        n->shaking_n++;
        list_push_back(&n->pending, &c->link);
        return c->id;
    }
    c->state = CONN_TRACKER;
    if (n->tracker == NULL || tracker_accept(n->tracker, now, c->id, from) != ERR_OK) {
        conn_free(n, c);
        return 0;
    }
    n->tracker_touched = true;
    return c->id;
}

uint32_t node_accept(struct node *n, nsec now, enum node_port port, const struct addr *from)
{
    ASSERT(now >= n->now);
    n->now = now;
    return port == NODE_PORT_PEER && n->cfg.no_tcp ? 0 : conn_accept(n, port, from);
}

void node_connected(struct node *n, nsec now, uint32_t id, enum err e)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct conn *c = conn_get(n, id);
    if (c == NULL)
        return;
    if (c->state != CONN_CONNECTING)
        return;                         // uTP was faster
    if (e != ERR_OK) {
        c->host_knows = false;
        c->proxy_failed = e == ERR_PROXY;
        if (!stream_other(n, c, e))
            conn_drop(n, c, false);
        return;
    }
    stream_lost(n, c);
    n->half_open--;
    c->state = CONN_SHAKING_OUT;
    conn_begin(n, c);
}

void conn_begin(struct node *n, struct conn *c)
{
    conn_say(n, c);
    if (!c->tries_mse) {
        c->hello_due = true;
        return;
    }
    if (n->cfg.encryption == NODE_ENCRYPTION_PREFER)
        c->deadline = u64_min(c->deadline, n->now + NODE_MSE_TRY_S * NSEC_S);
    if (!crypt_start(n, c, true))
        conn_drop(n, c, true);
}

void conn_say(struct node *n, struct conn *c)
{
    if (list_empty(&c->out_link))
        list_push_back(&n->hellos, &c->out_link);
}

static void connect_to(struct node *n, struct torrent *t, const struct addr *addr, enum connect_how how)
{
    const bool second = how == CONNECT_CLEAR;
    // Wherever it was heard of: a tracker, a peer, the DHT, the user.
    struct conn *c = conn_is_blocked(n, addr) ? NULL : conn_new(n, addr);
    if (c == NULL) {
        torrent_known_failed(n, t, addr);
        return;
    }
    c->state = CONN_CONNECTING;
    c->torrent = t;
    c->known = true;
    c->second = second;
    c->punches = how == CONNECT_PUNCH;
    c->by_memory = n->cfg.encryption == NODE_ENCRYPTION_PREFER && !second && crypt_is_plain_only(n, addr);
    c->tries_mse = n->cfg.encryption != NODE_ENCRYPTION_OFF && !second && !c->by_memory;
    n->half_open++;
    n->connects_left -= n->connects_left != 0;
    list_push_back(&n->pending, &c->link);
    if (!stream_connect(n, c))
        conn_drop(n, c, true);
}

void conn_punch(struct node *n, struct torrent *t, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    if (n->utp == NULL || n->stopping)
        return;
    log_line(n->env->log, LOG_DEBUG, "torrent %u: %s connects to us, as a peer of both says: so do we", t->number, addr_format(a, text));
    LIST_EACH(&n->pending, link, save) {
        struct conn *c = CONTAINER(link, struct conn, link);
        if (c->state != CONN_CONNECTING || c->torrent != t || !addr_eq(&c->addr, a))
            continue;
        stream_punch(n, c);
        return;
    }
    if (n->half_open < NODE_HALF_OPEN_MAX && n->connects_left != 0 && n->conns_n < n->cfg.peers_max && swarm_known_take(t->swarm, n->now, a))
        connect_to(n, t, a, CONNECT_PUNCH);
}

void conn_work(struct node *n)
{
    uint32_t idle = 0;
    while (!n->stopping && idle < n->torrents_n && n->half_open < NODE_HALF_OPEN_MAX && n->connects_left != 0 &&
           n->conns_n < n->cfg.peers_max) {
        struct torrent *t = n->torrents[n->connect_turn++ % n->torrents_n];
        struct addr addr;
        if (t != NULL && !t->removing && !RARE(n->env->rare, RARE_NO_CONNECT) && torrent_known_next(n, t, &addr)) {
            if (t->swarm != NULL && swarm_stir(t->swarm) == SWARM_STIRRED)
                torrent_touch(n, t);    // a peer is to be asked to help with it
            connect_to(n, t, &addr, CONNECT_FIRST);
            idle = 0;
        } else {
            idle++;
        }
    }
}

static bool is_starting(const struct torrent *t)
{
    return t->swarm != NULL && swarm_is_starting(t->swarm);
}

void conn_beat(struct node *n)
{
    LIST_EACH(&n->pending, link, save) {
        struct conn *c = CONTAINER(link, struct conn, link);
        if (c->waits && !is_starting(c->torrent)) {
            c->waits = false;
            c->hello_due = true;
            conn_say(n, c);
        }
    }
    LIST_EACH(&n->pending, link, save) {
        struct conn *c = CONTAINER(link, struct conn, link);
        if (c->state == CONN_CONNECTING && c->other_at <= n->now)
            stream_other_due(n, c);
    }
    LIST_EACH(&n->pending, link, save) {
        struct conn *c = CONTAINER(link, struct conn, link);
        if (c->deadline <= n->now)
            conn_drop(n, c, true);
    }
}

static const uint8_t *our_hash(const struct torrent *t)
{
    return t->meta->has_v1 ? t->hash_v1 : t->hash_v2;
}

static bool is_hash_of(const struct torrent *t, const uint8_t hash[INFO_HASH_LEN])
{
    return (t->meta->has_v1 && memcmp(hash, t->hash_v1, INFO_HASH_LEN) == 0) ||
           (t->meta->has_v2 && memcmp(hash, t->hash_v2, INFO_HASH_LEN) == 0);
}

const uint8_t *conn_hello(struct node *n, const struct conn *c, struct buf *b)
{
    struct handshake h = {.has_dht = n->dht.dht != NULL && !c->torrent->meta->is_private,
                          .has_fast = true, .has_extended = true, .has_v2 = c->torrent->meta->has_v2};
    const uint8_t *hash = c->state == CONN_SHAKING_IN ? c->shake + 28 : our_hash(c->torrent);
    memcpy(h.info_hash, hash, INFO_HASH_LEN);
    memcpy(h.peer_id, n->cfg.peer_id, PEER_ID_LEN);
    struct wr w = wr_make(b);
    handshake_write(&w, &h);
    ASSERT(w.ok);
    return hash;
}

void conn_send_own(struct node *n, struct conn *c, struct slice bytes, struct node_out *out)
{
    n->seg = (struct io_seg){.kind = SEG_BYTES, .bytes = bytes};
    out->segs = &n->seg;
    out->segs_n = 1;
    c->own_out += bytes.n;
}

static void say_hello(struct node *n, struct conn *c, struct buf *tx, struct node_out *out)
{
    const size_t at = tx->n;
    (void)conn_hello(n, c, tx);
    crypt_encrypt(c, (struct span){tx->p + at, HANDSHAKE_LEN});
    conn_send_own(n, c, slice_of(tx->p + at, HANDSHAKE_LEN), out);
    c->said_hello = true;
}

// The handshake is whole: the stream becomes a peer of its torrent.
static void shaken(struct node *n, struct conn *c)
{
    struct swarm_peer_new in = {.conn = c->id, .addr = c->addr, .incoming = c->state == CONN_SHAKING_IN, .utp = c->utp != 0};
    if (handshake_parse(&in.theirs, c->shake) != ERR_OK) {
        conn_drop(n, c, true);
        return;
    }
    memcpy(in.theirs.peer_id, c->shake + HANDSHAKE_HASH_END, PEER_ID_LEN);
    const bool incoming = in.incoming;
    const enum err e = torrent_peer_add(n, c, &in);
    torrent_touch(n, c->torrent);
    if (e != ERR_OK) {
        conn_drop(n, c, true);
        return;
    }
    if (c->known)
        torrent_known_connected(n, c->torrent, &c->addr);
    if (c->second)
        crypt_remember(n, &c->addr, true);
    n->shaking_n -= incoming;
    c->state = c->peer != NULL ? CONN_PEER : CONN_METADATA;
    list_remove(&c->link);
    if (c->starved)
        conn_say(n, c);
}

// What an incoming stream begins with is not BitTorrent's handshake: MSE, or nothing good. True: it is taken care of.
static bool is_hidden(struct node *n, struct conn *c)
{
    if (c->state != CONN_SHAKING_IN || c->crypted || c->torrent != NULL)
        return false;
    const bool plain = handshake_begins(slice_of(c->shake, c->shake_n));
    if (plain && (n->cfg.encryption != NODE_ENCRYPTION_REQUIRE || c->shake_n < HANDSHAKE_HASH_END))
        return false;
    if (plain || n->cfg.encryption == NODE_ENCRYPTION_OFF || !crypt_start(n, c, false))
        conn_drop(n, c, true);
    return true;
}

static void shake_rx(struct node *n, struct conn *c, size_t len)
{
    c->shake_n += (uint32_t)len;
    ASSERT(c->shake_n <= HANDSHAKE_LEN);
    if (is_hidden(n, c))
        return;
    if (c->shake_n >= HANDSHAKE_HASH_END && c->state == CONN_SHAKING_IN && c->torrent == NULL) {
        struct handshake h;
        const enum err e = handshake_parse(&h, c->shake);
        c->torrent = e == ERR_OK ? torrent_by_hash(n, h.info_hash) : NULL;
        if (c->torrent == NULL) {
            conn_drop(n, c, true);
            return;
        }
        c->waits = is_starting(c->torrent);
        c->hello_due = !c->waits;
        if (c->hello_due)
            conn_say(n, c);
    }
    if (c->shake_n < HANDSHAKE_LEN)
        return;
    if (c->state == CONN_SHAKING_OUT && !is_hash_of(c->torrent, c->shake + 28)) {
        conn_drop(n, c, true);
        return;
    }
    if (c->said_hello)
        shaken(n, c);
}

bool conn_room(struct node *n, struct conn *c, struct node_room *out)
{
    out->spans_n = 0;
    if (c->state == CONN_PEER) {
        swarm_rx_room(c->torrent->swarm, n->now, c->peer, out->spans, &out->spans_n);
        if (out->spans_n == 0)
            torrent_touch(n, c->torrent);       // its deadline is now the time to resume
        return out->spans_n != 0;
    }
    if (c->state == CONN_METADATA) {
        out->spans[out->spans_n++] = (struct span){n->rx, sizeof n->rx};
        return true;
    }
    c->starved = c->shake_n == HANDSHAKE_LEN;   // ours must go first
    if (!c->starved)
        out->spans[out->spans_n++] = (struct span){c->shake + c->shake_n, HANDSHAKE_LEN - c->shake_n};
    return !c->starved;
}

void conn_rx(struct node *n, struct conn *c, size_t len)
{
    if (c->state == CONN_PEER) {
        swarm_rx(c->torrent->swarm, n->now, c->peer, len);
        torrent_stirred(n, c->torrent);
    } else if (c->state == CONN_METADATA) {
        metadata_rx(c->torrent->metadata, n->now, c->metadata, slice_of(n->rx, len));
        torrent_touch(n, c->torrent);
    } else {
        shake_rx(n, c, len);
    }
}

static void peer_room(struct node *n, struct conn *c, struct node_room *out)
{
    if (crypt_shakes(c)) {
        out->spans[0] = crypt_room(c);
        c->starved = out->spans[0].n == 0;
        out->spans_n = !c->starved;
        return;
    }
    // What came with the handshake goes first.
    if ((c->crypt != NULL && !crypt_feed(n, c)) || c->state == CONN_DEAD)
        return;
    if (conn_room(n, c, out) && c->crypt != NULL)
        c->crypt->room = *out;
}

static void peer_rx(struct node *n, struct conn *c, size_t len)
{
    if (crypt_shakes(c)) {
        crypt_rx(n, c, len);
        return;
    }
    if (c->crypt != NULL)
        crypt_decrypt(c, &c->crypt->room, len);
    conn_rx(n, c, len);
    if (c->crypted && c->crypt != NULL && c->state != CONN_DEAD)
        (void)crypt_feed(n, c);
}

void node_rx_room(struct node *n, nsec now, uint32_t id, struct node_room *out)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct conn *c = conn_get(n, id);
    ASSERT(c != NULL);
    out->spans_n = 0;
    switch (c->state) {
    case CONN_PEER:
    case CONN_SHAKING_IN:
    case CONN_METADATA:
    case CONN_SHAKING_OUT: peer_room(n, c, out); break;
    case CONN_TRACKER: out->spans[out->spans_n++] = (struct span){n->rx, sizeof n->rx}; break;
    case CONN_NONE:
    case CONN_CONNECTING:
    case CONN_DEAD: ASSERT(false); break;
    }
}

void node_rx(struct node *n, nsec now, uint32_t id, size_t len)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct conn *c = conn_get(n, id);
    ASSERT(c != NULL);
    switch (c->state) {
    case CONN_PEER:
    case CONN_SHAKING_IN:
    case CONN_METADATA:
    case CONN_SHAKING_OUT: peer_rx(n, c, len); break;
    case CONN_TRACKER:
        tracker_rx(n->tracker, now, id, slice_of(n->rx, len));
        n->tracker_touched = true;
        break;
    case CONN_NONE:
    case CONN_CONNECTING:
    case CONN_DEAD: ASSERT(false); break;
    }
}

void node_sent(struct node *n, nsec now, uint32_t id, uint64_t len)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct conn *c = conn_get(n, id);
    if (c == NULL)
        return;
    const uint64_t own = u64_min(len, c->own_out);
    c->own_out -= own;
    if (len == own || c->state != CONN_PEER)
        return;
    swarm_sent(c->torrent->swarm, now, c->peer, len - own);
    torrent_stirred(n, c->torrent);
}

void node_closed(struct node *n, nsec now, uint32_t id, enum err e)
{
    ASSERT(now >= n->now);
    n->now = now;
    (void)e;                            // whoever has it sees its own time-outs and figures
    struct conn *c = conn_get(n, id);
    if (c == NULL)
        return;
    if (c->state == CONN_PEER) {
        swarm_peer_closed(c->torrent->swarm, now, c->peer);
        torrent_touch(n, c->torrent);
    } else if (c->state == CONN_METADATA) {
        metadata_peer_closed(c->torrent->metadata, now, c->metadata);
        torrent_touch(n, c->torrent);
    } else if (c->state == CONN_TRACKER) {
        tracker_closed(n->tracker, now, id);
        n->tracker_touched = true;
    } else if (c->state == CONN_SHAKING_OUT && c->shake_n == 0 && (!c->tries_mse || c->crypted)) {
        stream_unheard(n, c);
    }
    conn_drop(n, c, false);
}

// One output of a connection that has some; false: it had none.
static bool poll_hello(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    struct conn *c = CONTAINER(n->hellos.next, struct conn, out_link);
    out->conn = c->id;
    out->addr = c->addr;
    if (c->tcp_cut) {                   // the rest with the next poll
        c->tcp_cut = false;
        *kind = NODE_CLOSE;
        return true;
    }
    list_remove(&c->out_link);
    if (c->state == CONN_CONNECTING) {
        const bool due = c->tcp_due;
        c->host_knows |= due;
        c->tcp_due = false;
        *kind = NODE_CONNECT;
        return due;
    }
    const size_t at = tx->n;
    *kind = NODE_SEND;
    if (crypt_tx(n, c, tx, out)) {
        list_push_front(&n->hellos, &c->out_link);      // there may be more
        if (!stream_send(n, c, out->segs, out->segs_n))
            return true;
        tx->n = at;
        return false;
    }
    if (c->hello_due) {
        c->hello_due = false;
        say_hello(n, c, tx, out);
        const bool ours = stream_send(n, c, out->segs, out->segs_n);
        if (ours)
            tx->n = at;
        if (c->shake_n == HANDSHAKE_LEN && c->state != CONN_DEAD)
            shaken(n, c);               // theirs came whole before ours went
        if (c->crypt != NULL && c->state != CONN_DEAD)
            (void)crypt_feed(n, c);
        return !ours;
    }
    if (!c->starved)
        return false;
    c->starved = false;
    *kind = NODE_RESUME;
    return !stream_resume(n, c);
}

bool conn_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    while (!list_empty(&n->hellos))
        if (poll_hello(n, tx, out, kind))
            return true;
    while (!list_empty(&n->closes)) {
        struct conn *c = CONTAINER(n->closes.next, struct conn, out_link);
        const bool tell = c->host_knows || c->tcp_cut;
        out->conn = c->id;
        out->flush = c->flush;
        conn_free(n, c);
        *kind = NODE_CLOSE;
        if (tell)
            return true;
    }
    return false;
}
