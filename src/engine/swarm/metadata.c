// The info dictionary of a magnet link: see metadata.h. BEP 9, 10; bittorrent note, trap 13.
#include "engine/swarm/known.h"
#include "engine/swarm/metadata_int.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/pex.h"

#include "codec/extended.h"
#include "codec/ut_pex.h"

static void advance(struct metadata *m, nsec now)
{
    ASSERT(now >= m->now);
    m->now = now;
}

enum err metadata_new(struct metadata **out, const struct metadata_config *cfg, const struct env *env, nsec now)
{
    ASSERT(cfg->has_v1 || cfg->has_v2);
    struct metadata *m = mem_zalloc(env->mem, sizeof *m);
    if (m == NULL)
        return ERR_NOMEM;
    m->cfg = *cfg;
    m->env = env;
    m->mem = env->mem;
    m->now = now;
    m->beat_at = now + NSEC_S;
    list_init(&m->peers);
    known_init(&m->known, m->mem, SWARM_KNOWN_MAX, env->seed);
    *out = m;
    return ERR_OK;
}

static void peer_free(struct metadata *m, struct metadata_peer *p)
{
    copies_forget(m, p);
    list_remove(&p->link);
    m->kept_n -= p->kept.cap;
    mem_free(m->mem, p->kept.p, p->kept.cap);
    struct known *k = known_find(&m->known, &p->addr);
    if (k != NULL && k->state == KNOWN_CONNECTED) {
        known_wake(&m->known);
        k->state = KNOWN_FREE;
        k->retry_at = m->now + (k->trusted ? KNOWN_TRUSTED_S : KNOWN_RETRY_S) * NSEC_S;
    }
    m->peers_n--;
    mem_free(m->mem, p, sizeof *p);
}

void metadata_free(struct metadata *m)
{
    if (m == NULL)
        return;
    LIST_EACH(&m->peers, link, save)
        peer_free(m, CONTAINER(link, struct metadata_peer, link));
    copies_free(m);
    known_done(&m->known);
    mem_free(m->mem, m->info.p, m->info.cap);
    mem_free(m->mem, m, sizeof *m);
}

void metadata_let_go(struct metadata *m, struct metadata_peer *p)
{
    p->closing = true;
    m->closing = true;
}

static bool is_outcast(const struct metadata *m, const struct addr *a)
{
    for (uint32_t i = 0; i < u32_min(m->banned_n, METADATA_BANNED_MAX); i++)
        if (addr_same_ip(&m->banned[i], a))
            return true;
    return false;
}

// A loopback address stands for every program of this machine: there, only the connection goes.
void metadata_ban(struct metadata *m, struct metadata_peer *p)
{
    if (p->closing)
        return;
    known_forget(&m->known, &p->addr);
    if (!addr_is_loopback(&p->addr))
        m->banned[m->banned_n % METADATA_BANNED_MAX] = p->addr;
    m->banned_n++;
    m->told[m->told_n++ % METADATA_BANNED_MAX] = p->addr;
    metadata_let_go(m, p);
}

// All places are taken: who has offered nothing for the longest time makes room.
static bool make_place(struct metadata *m)
{
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        if (p->closing || p->size != 0 || m->now - p->joined_at < METADATA_PAUSE_S * NSEC_S)
            continue;
        metadata_let_go(m, p);
        return true;
    }
    return false;
}

enum err metadata_peer_add(struct metadata *m, nsec now, const struct swarm_peer_new *in, struct metadata_peer **out)
{
    advance(m, now);
    if (!in->theirs.has_extended)
        return ERR_UNSUPPORTED;
    if (is_outcast(m, &in->addr))
        return ERR_ACCESS;
    if (memcmp(in->theirs.peer_id, m->cfg.peer_id, PEER_ID_LEN) == 0)
        return ERR_EXISTS;
    LIST_EACH(&m->peers, link, save)
        if (memcmp(CONTAINER(link, struct metadata_peer, link)->in.theirs.peer_id, in->theirs.peer_id, PEER_ID_LEN) == 0)
            return ERR_EXISTS;
    if (m->peers_n >= METADATA_PEERS_MAX && (m->peers_n > METADATA_PEERS_MAX || !make_place(m)))
        return ERR_FULL;
    struct metadata_peer *p = mem_zalloc(m->mem, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    *p = (struct metadata_peer){.in = *in, .conn = in->conn, .addr = in->addr, .serial = ++m->serial, .joined_at = now, .rx_at = now,
                                .tx_at = now};
    list_init(&p->link);
    list_push_back(&m->peers, &p->link);
    m->peers_n++;
    m->work = true;
    *out = p;
    return ERR_OK;
}

void metadata_peer_closed(struct metadata *m, nsec now, struct metadata_peer *p)
{
    advance(m, now);
    peer_free(m, p);
    m->work = true;
}

bool metadata_handover(const struct metadata *m, const struct metadata_peer *p, struct swarm_peer_new *in, struct slice *out_said)
{
    ASSERT(m->info.n != 0);
    *in = p->in;
    in->begun = true;
    *out_said = buf_slice(&p->kept);
    return !p->closing && p->said_first;
}

// ---- bytes in

static void on_handshake(struct metadata *m, struct metadata_peer *p, struct slice payload)
{
    struct extended_handshake h;
    if (extended_parse(&h, payload) != ERR_OK)
        return;
    if (h.has_id[EXT_METADATA])
        p->id = h.ids[EXT_METADATA];
    if (!h.has_metadata_size || h.metadata_size > UT_METADATA_MAX)
        return;
    if (p->size != 0 && p->size != h.metadata_size)
        metadata_let_go(m, p);          // trap 13: a size that changes
    else
        p->size = h.metadata_size;
}

static void on_metadata(struct metadata *m, struct metadata_peer *p, struct slice payload)
{
    struct ut_metadata u;
    if (m->info.n != 0 || ut_metadata_parse(&u, payload) != ERR_OK)
        return;
    switch (u.type) {
    case UT_METADATA_REQUEST:
        if (p->refused_n < ARRAY_LEN(p->refused))
            p->refused[p->refused_n++] = u.part;
        break;
    case UT_METADATA_DATA: copies_data(m, p, &u); break;
    case UT_METADATA_REJECT: copies_rejected(m, p, u.part); break;
    }
}

// Candidates that no tracker named: should the torrent turn out to be private, the swarm does not get them.
static void on_pex(struct metadata *m, struct metadata_peer *p, struct slice payload)
{
    struct ut_pex pex;
    uint32_t n;
    const enum err e = pex_hear(&p->pex, m->now, payload, &pex, &n);
    if (e == ERR_ACCESS)
        metadata_let_go(m, p);
    for (uint32_t i = 0; e == ERR_OK && i < n && m->known.map.n < PEX_KNOWN_MAX; i++) {
        const struct ut_pex_peer a = ut_pex_added(&pex, i);
        if (pex_is_usable(&p->addr, &a.addr) && !is_outcast(m, &a.addr))
            known_told(&m->known, &a.addr, p->conn, a.flags);
    }
}

// One whole message with its length; true: the swarm will want to hear it.
static bool on_message(struct metadata *m, struct metadata_peer *p, struct slice body)
{
    struct peer_msg msg;
    if (peer_msg_parse(&msg, body) != ERR_OK) {
        metadata_let_go(m, p);
        return false;
    }
    switch (msg.id) {
    case MSG_KEEP_ALIVE: case MSG_PIECE: case MSG_UNKNOWN: case MSG_HASH_REQUEST: case MSG_HASHES: case MSG_HASH_REJECT:
        return false;
    case MSG_EXTENDED:
        if (msg.extended_id == 0)
            on_handshake(m, p, msg.payload);
        else if (msg.extended_id == extension_id(EXT_METADATA))
            on_metadata(m, p, msg.payload);
        else if (msg.extended_id == extension_id(EXT_PEX))
            on_pex(m, p, msg.payload);
        return msg.extended_id != extension_id(EXT_METADATA) && msg.extended_id != extension_id(EXT_PEX);
    default: return true;
    }
}

static bool kept_grow(struct metadata *m, struct metadata_peer *p, size_t want)
{
    if (want <= p->kept.cap)
        return true;
    size_t cap = p->kept.cap == 0 ? 1024 : p->kept.cap;
    while (cap < want)
        cap *= 2;
    if (want > METADATA_KEPT_MAX || m->kept_n + cap - p->kept.cap > METADATA_KEPT_ALL_MAX)
        return false;
    uint8_t *fresh = m->mem->resize(m->mem->ctx, p->kept.p, p->kept.cap, cap);
    if (fresh == NULL)
        return false;
    m->kept_n += cap - p->kept.cap;
    p->kept.p = fresh;
    p->kept.cap = cap;
    return true;
}

void metadata_rx(struct metadata *m, nsec now, struct metadata_peer *p, struct slice bytes)
{
    advance(m, now);
    p->rx_at = now;
    if (p->closing || bytes.n == 0)
        return;
    if (!kept_grow(m, p, p->kept.n + bytes.n)) {
        metadata_let_go(m, p);
        return;
    }
    memcpy(p->kept.p + p->kept.n, bytes.p, bytes.n);
    p->kept.n += bytes.n;
    while (!p->closing && p->kept.n - p->parsed >= 4) {
        struct rd r = rd_make(slice_sub(buf_slice(&p->kept), p->parsed, p->kept.n));
        const uint32_t len = rd_be32(&r);
        if (len > METADATA_KEPT_MAX) {
            metadata_let_go(m, p);
            return;
        }
        if (r.n < len)
            return;
        const size_t whole = 4 + (size_t)len;
        m->work = true;
        if (on_message(m, p, slice_sub(slice_of(r.p, r.n), 0, len))) {
            p->parsed += whole;
            continue;
        }
        p->kept.n -= whole;             // taken out: what follows moves up
        memmove(p->kept.p + p->parsed, p->kept.p + p->parsed + whole, p->kept.n - p->parsed);
    }
}

// ---- bytes out

static void write_first(struct metadata *m, struct metadata_peer *p, struct wr *w)
{
    if (p->in.theirs.has_fast)
        peer_msg_write(w, &(struct peer_msg){.id = MSG_HAVE_NONE});
    struct extended_handshake h = {
        .has_reqq = true, .reqq = SWARM_REQQ, .has_listen_port = m->cfg.listen_port != 0, .listen_port = m->cfg.listen_port,
        .client = SLICE_LIT("kith/0.1.0"), .your_ip = p->addr,
    };
    static const enum extension offered[] = {EXT_DONTHAVE, EXT_UPLOAD_ONLY, EXT_METADATA, EXT_PEX};
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        h.has_id[offered[i]] = true;
        h.ids[offered[i]] = extension_id(offered[i]);
    }
    extended_write(w, &h);
    p->said_first = true;
}

// True: something for this peer is in tx.
static bool compose(struct metadata *m, struct metadata_peer *p, struct buf *tx)
{
    struct wr w = wr_make(tx);
    const size_t from = tx->n;
    if (!p->said_first)
        write_first(m, p, &w);
    for (uint32_t i = 0; i < p->refused_n && p->id != 0; i++)
        ut_metadata_write(&w, p->id, &(struct ut_metadata){.type = UT_METADATA_REJECT, .part = p->refused[i]});
    p->refused_n = 0;
    uint32_t part;
    while (m->info.n == 0 && p->id != 0 && p->size != 0 && m->now >= p->paused_until && copies_next(m, p, &part))
        ut_metadata_write(&w, p->id, &(struct ut_metadata){.type = UT_METADATA_REQUEST, .part = part});
    if (tx->n == from && m->now - p->tx_at >= KEEPALIVE_S * NSEC_S)
        peer_msg_write(&w, &(struct peer_msg){.id = MSG_KEEP_ALIVE});
    ASSERT(w.ok);
    if (tx->n != from)
        p->tx_at = m->now;
    return tx->n != from;
}

static bool poll_close(struct metadata *m, struct metadata_out *out)
{
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        if (!p->closing)
            continue;
        out->conn = p->conn;
        peer_free(m, p);
        return true;
    }
    m->closing = false;
    return false;
}

enum metadata_kind metadata_poll(struct metadata *m, nsec now, struct buf *tx, struct metadata_out *out)
{
    advance(m, now);
    ASSERT(buf_room(tx) >= METADATA_TX_MIN);
    if (m->told_at < m->told_n) {
        out->addr = m->told[m->told_at++ % METADATA_BANNED_MAX];
        return METADATA_BANNED;
    }
    if (m->closing && poll_close(m, out))
        return METADATA_CLOSE;
    if (m->info.n != 0 && !m->done_told) {
        m->done_told = true;
        out->bytes = buf_slice(&m->info);
        return METADATA_DONE;
    }
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        const size_t from = tx->n;
        if (!m->work)
            break;
        if (p->closing || !compose(m, p, tx))
            continue;
        out->conn = p->conn;
        out->bytes = slice_sub(buf_slice(tx), from, tx->n);
        return METADATA_SEND;
    }
    m->work = false;
    out->deadline = m->peers_n == 0 ? NSEC_NEVER : u64_max(m->beat_at, now);
    return METADATA_IDLE;
}

void metadata_tick(struct metadata *m, nsec now)
{
    advance(m, now);
    if (now < m->beat_at)
        return;
    m->beat_at = now + NSEC_S;
    m->work = true;
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        copies_late(m, p);
        if (now - p->rx_at >= SILENT_MAX_S * NSEC_S)
            metadata_let_go(m, p);
    }
}

// ---- addresses and figures

void metadata_known_add(struct metadata *m, const struct addr *a, bool trusted, bool named)
{
    if (is_outcast(m, a))
        return;
    known_add(&m->known, a, trusted);
    struct known *k = known_find(&m->known, a);
    if (k != NULL)
        k->named |= named || trusted;
}

bool metadata_known_next(struct metadata *m, nsec now, struct addr *out)
{
    advance(m, now);
    return m->info.n == 0 && m->peers_n < METADATA_PEERS_MAX && known_next(&m->known, now, out);
}

struct known_set *metadata_known(struct metadata *m) { return &m->known; }

void metadata_stats(const struct metadata *m, struct metadata_stats *out)
{
    *out = (struct metadata_stats){.peers = m->peers_n, .failures = m->failures, .banned = m->banned_n, .bytes = m->parts_bytes};
    copies_stats(m, out);
    for (const struct list *l = m->peers.next; l != &m->peers; l = l->next)
        out->offering += CONTAINER((struct list *)(uintptr_t)l, struct metadata_peer, link)->size != 0;
}

void metadata_check(const struct metadata *m)
{
    uint32_t peers = 0;
    size_t kept = 0;
    for (const struct list *l = m->peers.next; l != &m->peers; l = l->next) {
        const struct metadata_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct metadata_peer, link);
        peers++;
        kept += p->kept.cap;
        ASSERT(p->parsed <= p->kept.n);
        ASSERT(p->size <= UT_METADATA_MAX);
    }
    ASSERT(peers == m->peers_n);
    ASSERT(kept == m->kept_n);
    ASSERT(m->kept_n <= METADATA_KEPT_ALL_MAX);
    copies_check(m);
}
