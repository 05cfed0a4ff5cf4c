// Streams of hostile peers: dialling, handshakes, taking messages apart. See hostile.h.
#include "sim/hostile.h"
#include "sim/net.h"
#include "sim/stream.h"

#include "base/bits.h"
#include "sim/fetch.h"

const struct metainfo *hostile_meta(const struct world *w, const struct host *h)
{
    return w->torrents[h->cfg.hostile.torrent].meta;
}

static struct hostile_conn *conn_new(struct world *w, struct host *h)
{
    const size_t bits_n = bits_bytes(hostile_meta(w, h)->pieces_n);
    struct hostile_conn *hc = mem_zalloc(w->env->mem, sizeof *hc);
    ASSERT(hc != NULL);
    hc->bits = mem_zalloc(w->env->mem, bits_n);
    ASSERT(hc->bits != NULL);
    hc->piece = UINT32_MAX;
    list_init(&hc->link);
    list_push_back(&h->hostile->order, &hc->link);
    hc->id = slots_add(&h->hostile->conns, hc);
    h->hostile->conns_n++;
    return hc;
}

static void conn_free(struct world *w, struct host *h, struct hostile_conn *hc)
{
    hostile_lost(h, hc);
    slots_remove(&h->hostile->conns, hc->id);
    list_remove(&hc->link);
    h->hostile->conns_n--;
    mem_free(w->env->mem, hc->bits, bits_bytes(hostile_meta(w, h)->pieces_n));
    mem_free(w->env->mem, hc, sizeof *hc);
}

static void shake(struct world *w, struct host *h, struct hostile_conn *hc)
{
    uint8_t space[HANDSHAKE_LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    struct handshake hs = {.has_v2 = hostile_meta(w, h)->has_v2 && !hostile_meta(w, h)->has_v1};
    hs.has_extended = h->cfg.hostile.kind >= HOSTILE_META_HUGE;
    memcpy(hs.info_hash, w->torrents[h->cfg.hostile.torrent].info_hash, INFO_HASH_LEN);
    memcpy(hs.peer_id, h->cfg.node.peer_id, PEER_ID_LEN);
    handshake_write(&wr, &hs);
    net_send_bytes(w, hc->conn, hc->side, buf_slice(&b));
}

static void dial(struct world *w, struct host *h, const struct addr *to)
{
    if (h->hostile->conns_n >= HOSTILE_CONNS_MAX || net_host(w, to) == h)
        return;
    LIST_EACH(&h->hostile->order, link, save) {
        const struct hostile_conn *hc = CONTAINER(link, struct hostile_conn, link);
        if (hc->side == 0 && addr_eq(&hc->conn->to, to))
            return;                                     // is dialled already
    }
    struct hostile_conn *hc = conn_new(w, h);
    hc->conn = net_connect(w, h, END_HOSTILE, hc->id, to);
}

static void dial_random(struct world *w, struct host *h)
{
    for (uint32_t i = 0; i < h->cfg.hostile.dials; i++) {
        const struct host *peer = w->hosts[rng_below(&h->hostile->rng, w->hosts_n)];
        if (peer == h || !peer->up || peer->hostile != NULL || peer->wants_n == 0)
            continue;
        const struct addr to = net_addr(peer->index, peer->cfg.node.listen_port);
        dial(w, h, &to);
    }
}

static void announce(struct world *w, struct host *h)
{
    const struct metainfo *meta = hostile_meta(w, h);
    if (!h->cfg.hostile.announces || meta->trackers_n == 0)
        return;
    uint8_t space[1024];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    wr_bytes(&wr, meta->trackers[0].url);
    wr_str(&wr, "?info_hash=");
    for (size_t i = 0; i < INFO_HASH_LEN; i++)
        wr_fmt(&wr, "%%%02x", (unsigned)w->torrents[h->cfg.hostile.torrent].info_hash[i]);
    wr_fmt(&wr, "&peer_id=%.20s&port=%u&uploaded=0&downloaded=0&left=%u&compact=1&numwant=50", (const char *)h->cfg.node.peer_id,
        (unsigned)h->cfg.node.listen_port, h->cfg.hostile.kind == HOSTILE_FREE_RIDER ? 1u : 0u);
    ASSERT(wr.ok);
    fetch_start(w, h, 0, buf_slice(&b));
}

void hostile_fetched(struct world *w, struct host *h, enum err e, struct slice body)
{
    if (e != ERR_OK)
        return;
    // "5:peers" N ":" then 6 bytes for each: enough of bencode for a script.
    for (size_t i = 0; i + 8 < body.n; i++) {
        if (memcmp(body.p + i, "5:peers", 7) != 0)
            continue;
        size_t at = i + 7, n = 0;
        while (at < body.n && body.p[at] >= '0' && body.p[at] <= '9')
            n = n * 10 + (size_t)(body.p[at++] - '0');
        struct rd r = rd_make(slice_sub(body, at + 1, n));
        while (r.n >= 6) {
            uint8_t ip[4];
            rd_copy(&r, ip, sizeof ip);
            const struct addr to = addr_ipv4(ip, rd_be16(&r));
            const struct host *peer = net_host(w, &to);
            if (peer != NULL && peer->hostile == NULL)
                dial(w, h, &to);
        }
        return;
    }
}

void hostile_start(struct world *w, struct host *h)
{
    if (h->hostile == NULL) {
        const uint32_t pieces_n = hostile_meta(w, h)->pieces_n;
        h->hostile = mem_zalloc(w->env->mem, sizeof *h->hostile);
        ASSERT(h->hostile != NULL);
        h->hostile->rng = world_rng(w, h->index, PURPOSE_HOSTILE);
        slots_init(&h->hostile->conns, w->env->mem);
        list_init(&h->hostile->order);
        h->hostile->state = mem_zalloc(w->env->mem, pieces_n);
        h->hostile->progress = mem_zarray(w->env->mem, pieces_n, sizeof *h->hostile->progress);
        ASSERT(h->hostile->state != NULL);
        ASSERT(h->hostile->progress != NULL);
    }
    announce(w, h);
    dial_random(w, h);
    world_at(w, w->now + HOSTILE_BEAT, EV_HOSTILE, h->index, h->life);
}

void hostile_stop(struct world *w, struct host *h)
{
    if (h->hostile == NULL)
        return;
    LIST_EACH(&h->hostile->order, link, save)
        conn_free(w, h, CONTAINER(link, struct hostile_conn, link));
}

void hostile_free(struct world *w, struct host *h)
{
    if (h->hostile == NULL)
        return;
    hostile_stop(w, h);
    const uint32_t pieces_n = hostile_meta(w, h)->pieces_n;
    slots_done(&h->hostile->conns);
    mem_free(w->env->mem, h->hostile->state, pieces_n);
    mem_free(w->env->mem, h->hostile->progress, pieces_n * sizeof *h->hostile->progress);
    mem_free(w->env->mem, h->hostile, sizeof *h->hostile);
    h->hostile = NULL;
}

void hostile_on_timer(struct world *w, struct host *h, uint32_t life)
{
    if (!h->up || h->life != life)
        return;
    if (++h->hostile->beats % HOSTILE_REDIAL_BEATS == 0) {
        announce(w, h);
        dial_random(w, h);
    }
    LIST_EACH(&h->hostile->order, link, save) {
        struct hostile_conn *hc = CONTAINER(link, struct hostile_conn, link);
        if (hc->shaken)
            hostile_beat(w, h, hc);
    }
    world_at(w, w->now + HOSTILE_BEAT, EV_HOSTILE, h->index, life);
}

void hostile_accept(struct world *w, struct host *h, struct conn *c)
{
    if (h->hostile->conns_n >= HOSTILE_CONNS_MAX) {
        net_close(w, c, 1, false);
        return;
    }
    struct hostile_conn *hc = conn_new(w, h);
    hc->conn = c;
    hc->side = 1;
    hc->connected = true;
    c->ends[1].id = hc->id;
}

void hostile_connected(struct world *w, struct conn *c, enum err e)
{
    struct host *h = c->ends[0].host;
    struct hostile_conn *hc = slots_get(&h->hostile->conns, c->ends[0].id);
    ASSERT(hc != NULL);
    if (e != ERR_OK) {
        conn_free(w, h, hc);
        return;
    }
    hc->connected = true;
    shake(w, h, hc);
}

void hostile_closed(struct world *w, struct host *h, uint32_t id)
{
    struct hostile_conn *hc = slots_get(&h->hostile->conns, id);
    ASSERT(hc != NULL);
    conn_free(w, h, hc);
}

void hostile_sent(struct world *w, struct host *h, uint32_t id)
{
    (void)w;
    ASSERT(slots_get(&h->hostile->conns, id) != NULL);
}

// Reads until head has `want` bytes. False: more must come first.
static bool gather(struct world *w, struct pipe *p, struct hostile_conn *hc, uint32_t want)
{
    ASSERT(want <= sizeof hc->head);
    while (hc->head_n < want) {
        const size_t n = pipe_copy(w, p, hc->head + hc->head_n, want - hc->head_n);
        if (n == 0)
            return false;
        pipe_take(w, p, n);
        hc->head_n += (uint32_t)n;
    }
    return true;
}

// How many bytes behind the length say what a message is.
static uint32_t head_len(uint8_t id, uint32_t body)
{
    switch (id) {
    case MSG_HAVE: return u32_min(body, 5);
    case MSG_REQUEST: case MSG_CANCEL: return u32_min(body, 13);
    case MSG_PIECE: return u32_min(body, 9);
    default: return 1;
    }
}

static void read_bits(struct world *w, struct pipe *p, struct hostile_conn *hc)
{
    while (hc->bits_left > 0) {
        const size_t n = pipe_copy(w, p, hc->bits + hc->bits_at, hc->bits_left);
        if (n == 0)
            return;
        pipe_take(w, p, n);
        hc->bits_at += (uint32_t)n;
        hc->bits_left -= (uint32_t)n;
    }
}

static void read_said(struct world *w, struct host *h, struct pipe *p, struct hostile_conn *hc)
{
    const size_t n = pipe_copy(w, p, hc->said + hc->said_n, hc->said_left);
    pipe_take(w, p, n);
    hc->said_n += (uint32_t)n;
    hc->said_left -= (uint32_t)n;
    if (hc->said_left == 0)
        hostile_meta_heard(w, h, hc, slice_of(hc->said, hc->said_n));
}

// One message, or a part of one. False: more must come first.
static bool read_message(struct world *w, struct host *h, struct pipe *p, struct hostile_conn *hc)
{
    if (!gather(w, p, hc, 4))
        return false;
    struct rd r = rd_make(slice_of(hc->head, 4));
    const uint32_t body = rd_be32(&r);
    if (body == 0) {
        hc->head_n = 0;
        return true;
    }
    if (!gather(w, p, hc, 5))
        return false;
    const uint8_t id = hc->head[4];
    const uint32_t n = head_len(id, body);
    if (!gather(w, p, hc, 4 + n))
        return false;
    hc->head_n = 0;
    hc->skip = body - n;
    const uint32_t pieces_n = hostile_meta(w, h)->pieces_n;
    if (id == MSG_BITFIELD && hc->skip == bits_bytes(pieces_n)) {
        hc->bits_at = 0;
        hc->bits_left = (uint32_t)hc->skip;
        hc->skip = 0;
        read_bits(w, p, hc);
    }
    if (id == MSG_EXTENDED && hc->skip <= sizeof hc->said) {
        hc->said_n = 0;
        hc->said_left = (uint32_t)hc->skip;
        hc->skip = 0;
        return true;
    }
    r = rd_make(slice_of(hc->head + 5, n - 1));
    struct peer_msg m = {.id = id};
    m.index = r.n >= 4 ? rd_be32(&r) : 0;
    m.begin = r.n >= 4 ? rd_be32(&r) : 0;
    m.len = r.n >= 4 ? rd_be32(&r) : (uint32_t)hc->skip;
    if (id == MSG_HAVE && m.index < pieces_n)
        bits_set(hc->bits, m.index);
    else if (id == MSG_UNCHOKE || id == MSG_CHOKE)
        hc->unchoked = id == MSG_UNCHOKE;
    else if (id == MSG_INTERESTED || id == MSG_NOT_INTERESTED)
        hc->interested = id == MSG_INTERESTED;
    hostile_heard(w, h, hc, &m);
    return true;
}

void hostile_rx(struct world *w, struct pipe *p)
{
    const struct end *to = pipe_to(p);
    struct host *h = to->host;
    while (to->state == END_OPEN && p->arrived > p->taken) {
        struct hostile_conn *hc = slots_get(&h->hostile->conns, to->id);
        ASSERT(hc != NULL);
        if (!hc->shaken) {
            if (!gather(w, p, hc, HANDSHAKE_LEN))
                return;
            hc->head_n = 0;
            hc->shaken = true;
            if (hc->side == 1)
                shake(w, h, hc);
            hostile_greet(w, h, hc);
            continue;
        }
        if (hc->bits_left > 0) {
            read_bits(w, p, hc);
            continue;
        }
        if (hc->said_left > 0) {
            read_said(w, h, p, hc);
            continue;
        }
        if (hc->skip > 0) {
            const uint64_t n = u64_min(hc->skip, p->arrived - p->taken);
            pipe_take(w, p, n);
            hc->skip -= n;
            continue;
        }
        if (!read_message(w, h, p, hc))
            return;
    }
}
