// Peers over uTP beside those over the host's TCP: which way is tried, which one wins, and what the transport says. BEP 29.
//
// On the internet uTP goes first, because it gives way to others; on local addresses TCP, which costs less and has nobody to
// give way to. The other one is tried STREAM_OTHER_S later, or at once when the first fails.
#include "engine/node/node_conn.h"
#include "engine/node/node_int.h"
#include "engine/node/node_stream.h"
#include "engine/node/node_torrent.h"
#include "engine/reach/utp.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

enum err stream_start(struct node *n)
{
    list_init(&n->read_waits);
    n->utp_at = NSEC_NEVER;
    if (n->cfg.no_utp)
        return ERR_OK;
    const struct utp_config cfg = {.conns_max = UTP_CONNS_MAX, .syns_max = STREAM_SYNS_MAX, .tx_bytes_max = STREAM_UTP_MEMORY,
                                   .rx_bytes_max = STREAM_UTP_MEMORY};
    return utp_new(&n->utp, &cfg, n->env, n->now);
}

void stream_stop(struct node *n)
{
    utp_free(n->utp);
    for (uint32_t i = 0; n->reads != NULL && i < STREAM_READS_MAX; i++)
        if (n->reads[i].memory != NULL)
            (void)n->env->payload->resize(n->env->payload->ctx, n->reads[i].memory, STREAM_READ_LEN, 0);
    mem_free(n->mem, n->reads, STREAM_READS_MAX * sizeof *n->reads);
    mem_free(n->mem, n->swapped, STREAM_SWAPPED_MAX * sizeof *n->swapped);
}

// ---- which way

// Where the way that goes first by rule has failed: it goes second.
static struct addr *find_swapped(struct node *n, const struct addr *a)
{
    for (uint32_t i = 0; n->swapped != NULL && i < STREAM_SWAPPED_MAX; i++)
        if (addr_eq(&n->swapped[i], a))
            return &n->swapped[i];
    return NULL;
}

static bool utp_is_first(struct node *n, const struct addr *a)
{
    return addr_is_local(a) == (find_swapped(n, a) != NULL);
}

static void prefer(struct node *n, const struct addr *a, bool utp)
{
    if (utp_is_first(n, a) == utp)
        return;
    struct addr *at = find_swapped(n, a);
    if (n->swapped == NULL && (n->swapped = mem_zarray(n->mem, STREAM_SWAPPED_MAX, sizeof *n->swapped)) == NULL)
        return;                         // the usual way goes first: slower, no more
    if (at != NULL)
        *at = (struct addr){0};
    else
        n->swapped[n->swapped_i++ % STREAM_SWAPPED_MAX] = *a;
}

static bool try_utp(struct node *n, struct conn *c)
{
    if (n->utp == NULL || n->no_datagrams || c->utp_tried)
        return false;
    c->utp_tried = true;
    n->utp_touched = true;
    return utp_connect(n->utp, n->now, &c->addr, c->id, &c->utp) == ERR_OK;
}

static bool try_tcp(struct node *n, struct conn *c)
{
    if (n->cfg.no_tcp || c->tcp_tried)
        return false;
    c->tcp_tried = c->tcp_due = true;
    list_push_back(&n->hellos, &c->out_link);           // the poll tells the host
    return true;
}

void stream_punch(struct node *n, struct conn *c)
{
    if (c->utp == 0) {
        c->utp_tried = false;
        (void)try_utp(n, c);
        return;
    }
    utp_again(n->utp, n->now, c->utp);
    n->utp_touched = true;
}

void node_datagrams(struct node *n, nsec now, bool pass)
{
    ASSERT(now >= n->now);
    n->now = now;
    n->no_datagrams = !pass;
    if (pass || n->utp == NULL)
        return;
    utp_cut(n->utp, now);
    n->utp_touched = true;
}

bool stream_connect(struct node *n, struct conn *c)
{
    if (c->punches) {
        c->tcp_tried = true;
        c->other_at = NSEC_NEVER;
        return try_utp(n, c);
    }
    c->other_at = n->now + STREAM_OTHER_S * NSEC_S;
    return utp_is_first(n, &c->addr) ? try_utp(n, c) || try_tcp(n, c) : try_tcp(n, c) || try_utp(n, c);
}

void stream_other_due(struct node *n, struct conn *c)
{
    c->other_at = NSEC_NEVER;
    if (!try_tcp(n, c))
        (void)try_utp(n, c);
}

bool stream_other(struct node *n, struct conn *c, enum err e)
{
    if (c->utp != 0)
        return true;
    if (e != ERR_REFUSED || !addr_is_local(&c->addr) || n->utp == NULL)
        return try_utp(n, c);
    // Nobody listens, most likely for nothing at all: whoever waits for it is told at once. The next time uTP goes first.
    prefer(n, &c->addr, true);
    return false;
}

void stream_lost(struct node *n, struct conn *c)
{
    if (c->utp == 0)
        return;
    if (c->other_at == NSEC_NEVER)
        prefer(n, &c->addr, false);     // uTP had the first two seconds, or came too late
    utp_close(n->utp, n->now, c->utp, false);
    c->utp = 0;
    n->utp_touched = true;
}

// The host's stream ended before a word came: somebody is there who wants no TCP.
void stream_unheard(struct node *n, struct conn *c)
{
    if (n->utp != NULL && c->host_knows)
        prefer(n, &c->addr, true);
}

// ---- a conn

void stream_done(struct node *n, struct conn *c)
{
    stream_out_done(n, c);
    if (c->utp == 0)
        return;
    utp_close(n->utp, n->now, c->utp, c->flush);
    c->utp = 0;
    n->utp_touched = true;
}

// The node gives it up.
void stream_fail(struct node *n, struct conn *c)
{
    if (c->state == CONN_PEER) {
        swarm_peer_closed(c->torrent->swarm, n->now, c->peer);
        torrent_touch(n, c->torrent);
        c->peer = NULL;
        c->known = false;
    } else if (c->state == CONN_METADATA) {
        metadata_peer_closed(c->torrent->metadata, n->now, c->metadata);
        torrent_touch(n, c->torrent);
        c->metadata = NULL;
        c->known = false;
    }
    conn_drop(n, c, true);
}

static bool is_utp(const struct conn *c)
{
    return c->utp != 0 && c->state != CONN_CONNECTING;
}

bool stream_send(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n)
{
    if (!is_utp(c))
        return false;
    if (stream_out_add(n, c, segs, segs_n))
        stream_push(n, c);
    else
        stream_fail(n, c);
    return true;
}

// Copies what has arrived to where its owner wants it.
static void pump(struct node *n, struct conn *c)
{
    const uint32_t id = c->id;
    for (c = conn_get(n, id); c != NULL && c->utp != 0; c = conn_get(n, id)) {
        struct slice in = utp_peek(n->utp, c->utp);
        if (in.n == 0)
            return;
        struct node_room room;
        node_rx_room(n, n->now, id, &room);
        size_t len = 0;
        for (uint32_t i = 0; i < room.spans_n && in.n != 0; i++) {
            const size_t k = size_min(in.n, room.spans[i].n);
            memcpy(room.spans[i].p, in.p, k);
            in = slice_sub(in, k, in.n);
            len += k;
        }
        if (len == 0)
            return;                     // stream_resume comes
        utp_take(n->utp, n->now, c->utp, len);
        node_rx(n, n->now, id, len);
    }
}

bool stream_resume(struct node *n, struct conn *c)
{
    if (!is_utp(c))
        return false;
    n->utp_touched = true;
    pump(n, c);
    return true;
}

bool stream_datagram(struct node *n, const struct addr *from, struct slice data)
{
    uint32_t id;
    if (n->utp == NULL || !utp_datagram(n->utp, n->now, from, data, &id))
        return false;
    struct conn *c = id == 0 ? NULL : conn_get(n, id);
    if (c != NULL && is_utp(c))
        pump(n, c);
    utp_keep(n->utp);
    n->utp_touched = true;
    return true;
}

// ---- what the transport says

static void on_accept(struct node *n, const struct utp_out *u)
{
    const uint32_t id = conn_accept(n, NODE_PORT_PEER, &u->addr);
    if (id == 0) {
        utp_close(n->utp, n->now, u->conn, false);
        return;
    }
    struct conn *c = conn_get(n, id);
    c->host_knows = false;
    c->utp = u->conn;
    utp_accept(n->utp, n->now, u->conn, id);
}

static void on_connected(struct node *n, struct conn *c)
{
    ASSERT(c->state == CONN_CONNECTING);
    n->half_open--;
    c->state = CONN_SHAKING_OUT;
    if (!addr_is_local(&c->addr))
        prefer(n, &c->addr, true);
    c->tcp_cut = c->host_knows;
    c->tcp_due = c->host_knows = false;
    list_remove(&c->out_link);
    conn_begin(n, c);
}

// c may be on its way out already.
static void on_closed(struct node *n, struct conn *c, enum err e)
{
    ASSERT(c != NULL);
    c->utp = 0;
    if (c->state == CONN_DEAD)
        return;
    if (c->state != CONN_CONNECTING) {
        if (c->state == CONN_SHAKING_OUT && c->shake_n == 0 && (!c->tries_mse || c->crypted))
            prefer(n, &c->addr, false);
        node_closed(n, n->now, c->id, e);
        return;
    }
    prefer(n, &c->addr, false);
    if (!c->host_knows && !c->tcp_due && !try_tcp(n, c))
        conn_drop(n, c, false);
}

bool stream_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind)
{
    *kind = NODE_JOB;
    if (stream_read_poll(n, out))
        return true;
    while (n->utp_touched) {
        struct utp_out u = {0};
        const enum utp_kind what = utp_poll(n->utp, n->now, tx, &u);
        struct conn *c = u.user == 0 ? NULL : conn_get(n, u.user);
        switch (what) {
        case UTP_OUT_IDLE:
            n->utp_at = u.deadline;
            n->utp_touched = false;
            break;
        case UTP_OUT_DGRAM:
            out->port = NODE_PORT_PEER;
            out->addr = u.addr;
            out->bytes = u.bytes;
            out->segment = u.segment;
            *kind = NODE_DGRAM;
            return true;
        case UTP_OUT_ACCEPT: on_accept(n, &u); break;
        case UTP_OUT_CONNECTED:
            if (c == NULL)
                break;
            on_connected(n, c);
            return false;               // the handshake goes first
        case UTP_OUT_READABLE:
            if (c != NULL)
                pump(n, c);
            break;
        case UTP_OUT_WRITABLE:
            if (c != NULL) {
                c->out.blocked = false;
                stream_push(n, c);
            }
            break;
        case UTP_OUT_CLOSED: on_closed(n, n->conns[u.user & (NODE_CONNS_MAX - 1)], u.err); break;
        }
        if (stream_read_poll(n, out))
            return true;
    }
    return false;
}
