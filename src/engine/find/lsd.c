// See lsd.h. Torrents stand in a queue, the one announced longest ago first: a datagram takes as many as fit of those that are due.
#include "engine/find/lsd.h"

#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "codec/lsd.h"

enum { COOKIE_LEN = 8 };

static_assert(LSD_TX_MIN >= (int)LSD_MESSAGE_MAX, "a datagram fits");

struct lsd_source {
    uint32_t who;                       // digest of its address; 0: a free place
    uint32_t told;                      // of its peers, since heard_at
};

struct lsd_torrent {
    struct map_node node;
    struct list queue;
    uint8_t hash[LSD_HASH_LEN];
    nsec due;                           // not announced before
    nsec heard_at;                      // the sources' shares count from then on
    struct lsd_source *sources;         // LSD_SOURCES_MAX, made when somebody is heard
};

struct lsd {
    struct lsd_config cfg;
    const struct mem *mem;
    nsec now;
    struct map torrents;
    struct list queue;
    nsec slot_at;                       // no datagram before
    uint8_t cookie[COOKIE_LEN];
    struct lsd_message tx;              // being sent, to IPv6 too if tx_v6
    bool tx_v4, tx_v6;
    struct lsd_message rx;              // being told to the owner, from rx_at on
    uint32_t rx_at;
    struct addr rx_from;
    uint64_t key[2];                    // which source has which slot
    uint8_t read[LSD_SLOTS];            // datagrams in this second
    nsec read_until;
    struct lsd_stats stats;
};

static void advance(struct lsd *l, nsec now)
{
    ASSERT(now >= l->now);
    l->now = now;
}

enum err lsd_new(struct lsd **out, const struct lsd_config *cfg, const struct env *env, nsec now)
{
    struct lsd *l = mem_zalloc(env->mem, sizeof *l);
    if (l == NULL)
        return ERR_NOMEM;
    *l = (struct lsd){.cfg = *cfg, .mem = env->mem, .now = now};
    map_init(&l->torrents, l->mem, LSD_TORRENTS_MAX, env->seed);
    list_init(&l->queue);
    struct rng r = rng_make(env->seed, 0x6c7364);
    struct buf b = {l->cookie, 0, sizeof l->cookie};
    struct wr w = wr_make(&b);
    uint8_t bytes[COOKIE_LEN / 2];
    rng_bytes(&r, bytes, sizeof bytes);
    wr_hex(&w, slice_of(bytes, sizeof bytes));
    l->key[0] = rng_u64(&r);
    l->key[1] = rng_u64(&r);
    *out = l;
    return ERR_OK;
}

static void torrent_free(struct lsd *l, struct lsd_torrent *t)
{
    list_remove(&t->queue);
    map_remove(&l->torrents, &t->node);
    mem_free(l->mem, t->sources, t->sources == NULL ? 0 : LSD_SOURCES_MAX * sizeof *t->sources);
    mem_free(l->mem, t, sizeof *t);
}

void lsd_free(struct lsd *l)
{
    if (l == NULL)
        return;
    LIST_EACH(&l->queue, link, save)
        torrent_free(l, CONTAINER(link, struct lsd_torrent, queue));
    map_done(&l->torrents);
    mem_free(l->mem, l, sizeof *l);
}

static struct lsd_torrent *find(const struct lsd *l, const uint8_t hash[LSD_HASH_LEN])
{
    struct map_node *n = map_get(&l->torrents, slice_of(hash, LSD_HASH_LEN));
    return n == NULL ? NULL : CONTAINER(n, struct lsd_torrent, node);
}

void lsd_add(struct lsd *l, nsec now, const uint8_t hash[20])
{
    advance(l, now);
    struct lsd_torrent *t = find(l, hash) != NULL ? NULL : mem_zalloc(l->mem, sizeof *t);
    if (t == NULL)
        return;
    memcpy(t->hash, hash, LSD_HASH_LEN);
    list_init(&t->queue);
    if (map_put(&l->torrents, &t->node, slice_of(t->hash, LSD_HASH_LEN)) != ERR_OK) {
        mem_free(l->mem, t, sizeof *t);
        return;
    }
    list_push_front(&l->queue, &t->queue);              // before those that were announced once
    l->slot_at = u64_max(l->slot_at, now + LSD_GATHER_S * NSEC_S);
}

void lsd_remove(struct lsd *l, const uint8_t hash[20])
{
    struct lsd_torrent *t = find(l, hash);
    if (t != NULL)
        torrent_free(l, t);
}

void lsd_network_changed(struct lsd *l, nsec now)
{
    advance(l, now);
    LIST_EACH(&l->queue, link, save)
        CONTAINER(link, struct lsd_torrent, queue)->due = 0;
    l->slot_at = u64_max(l->slot_at, now + LSD_GATHER_S * NSEC_S);
}

// ---- what others say

// One more datagram of this source may be read.
static bool may_speak(struct lsd *l, const struct addr *from)
{
    if (l->now >= l->read_until) {
        l->read_until = l->now + NSEC_S;
        memset(l->read, 0, sizeof l->read);
    }
    uint8_t *n = &l->read[siphash(l->key, addr_ip(from)) % LSD_SLOTS];
    if (*n == LSD_SOURCE_PER_S)
        return false;
    ++*n;
    return true;
}

// Link-local IPv6 addresses are of no use without the name of the link.
static bool is_usable(const struct addr *a)
{
    const bool link_local = a->family == ADDR_IPV6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
    return a->family != ADDR_NONE && !addr_is_any(a) && !addr_is_multicast(a) && !link_local;
}

void lsd_datagram(struct lsd *l, nsec now, const struct addr *from, struct slice data)
{
    advance(l, now);
    if (!is_usable(from) || !may_speak(l, from)) {
        l->stats.limited++;
        return;
    }
    struct lsd_message m;
    if (lsd_parse(&m, data) != ERR_OK) {
        l->stats.bad++;
        return;
    }
    if (slice_eq(m.cookie, slice_of(l->cookie, COOKIE_LEN))) {
        l->stats.own++;
        return;
    }
    l->stats.heard++;
    m.cookie = (struct slice){0};
    l->rx = m;
    l->rx_at = 0;
    l->rx_from = *from;
    l->rx_from.port = m.port;
}

// Another LSD_EVERY_S begins: half of the places are for who had one and used it, half for whoever comes first.
static void count_anew(struct lsd *l, struct lsd_torrent *t)
{
    t->heard_at = u64_max(l->now, 1);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < LSD_SOURCES_MAX && t->sources != NULL; i++) {
        const struct lsd_source s = t->sources[i];
        t->sources[i] = (struct lsd_source){0};
        if (s.told != 0 && kept < LSD_SOURCES_KEPT)
            t->sources[kept++].who = s.who;
    }
}

// One machine names ports without end, and any address as its own: each address has a share, and all together have places.
static bool may_tell(struct lsd *l, struct lsd_torrent *t)
{
    if (t->heard_at == 0 || l->now - t->heard_at >= LSD_EVERY_S * NSEC_S)
        count_anew(l, t);
    if (t->sources == NULL && (t->sources = mem_zarray(l->mem, LSD_SOURCES_MAX, sizeof *t->sources)) == NULL)
        return false;
    const uint32_t who = (uint32_t)siphash(l->key, addr_ip(&l->rx_from)) | 1;
    struct lsd_source *place = NULL;
    for (uint32_t i = 0; i < LSD_SOURCES_MAX; i++) {
        struct lsd_source *s = &t->sources[i];
        if (s->who == who || (s->who == 0 && place == NULL))
            place = s;
        if (s->who == who)
            break;
    }
    if (place == NULL || place->told == LSD_SOURCE_PEERS_MAX)
        return false;
    place->who = who;
    place->told++;
    return true;
}

// The next torrent of ours in the last datagram; false: no more.
static bool next_heard(struct lsd *l, struct lsd_out *out)
{
    while (l->rx_at < l->rx.hashes_n) {
        struct lsd_torrent *t = find(l, l->rx.hashes[l->rx_at++]);
        if (t == NULL)
            continue;
        if (!may_tell(l, t)) {
            l->stats.limited++;
            continue;
        }
        out->addr = l->rx_from;
        out->hash = t->hash;
        return true;
    }
    return false;
}

// ---- what we say

static struct lsd_torrent *front(const struct lsd *l)
{
    return list_empty(&l->queue) ? NULL : CONTAINER(l->queue.next, struct lsd_torrent, queue);
}

// The next datagram, if it is time.
static void gather(struct lsd *l)
{
    struct lsd_torrent *t = front(l);
    if (l->cfg.port == 0 || t == NULL || l->now < l->slot_at || l->now < t->due)
        return;
    l->tx = (struct lsd_message){.port = l->cfg.port, .cookie = slice_of(l->cookie, COOKIE_LEN)};
    for (; t != NULL && t->due <= l->now && l->tx.hashes_n < LSD_HASHES_MAX; t = front(l)) {
        memcpy(l->tx.hashes[l->tx.hashes_n++], t->hash, LSD_HASH_LEN);
        t->due = l->now + LSD_EVERY_S * NSEC_S;
        list_remove(&t->queue);
        list_push_back(&l->queue, &t->queue);
    }
    l->slot_at = l->now + LSD_PAUSE_S * NSEC_S;
    l->tx_v4 = l->cfg.ipv4;
    l->tx_v6 = l->cfg.ipv6;
}

void lsd_tick(struct lsd *l, nsec now)
{
    advance(l, now);
    gather(l);
}

static void compose(struct lsd *l, struct buf *tx, struct lsd_out *out)
{
    const enum addr_family family = l->tx_v4 ? ADDR_IPV4 : ADDR_IPV6;
    *(family == ADDR_IPV4 ? &l->tx_v4 : &l->tx_v6) = false;
    struct wr w = wr_make(tx);
    const size_t at = tx->n;
    lsd_write(&w, family, &l->tx);
    ASSERT(w.ok);
    out->addr = lsd_group(family);
    out->bytes = slice_of(tx->p + at, tx->n - at);
    l->stats.sent++;
}

enum lsd_kind lsd_poll(struct lsd *l, nsec now, struct buf *tx, struct lsd_out *out)
{
    advance(l, now);
    if (next_heard(l, out))
        return LSD_OUT_PEER;
    if ((l->tx_v4 || l->tx_v6) && buf_room(tx) >= LSD_TX_MIN) {
        compose(l, tx, out);
        return LSD_OUT_SEND;
    }
    const struct lsd_torrent *t = front(l);
    out->deadline = t == NULL || l->cfg.port == 0 ? NSEC_NEVER : u64_max(l->slot_at, t->due);
    return LSD_OUT_IDLE;
}

void lsd_stats(const struct lsd *l, struct lsd_stats *out)
{
    *out = l->stats;
    out->torrents = l->torrents.n;
}

void lsd_check(const struct lsd *l)
{
    uint32_t n = 0;
    nsec due = 0;
    for (const struct list *i = l->queue.next; i != &l->queue; i = i->next) {
        const struct lsd_torrent *t = CONTAINER((struct list *)(uintptr_t)i, struct lsd_torrent, queue);
        n++;
        ASSERT(t->due >= due);
        due = t->due;
        ASSERT(t->due <= l->now + LSD_EVERY_S * NSEC_S);
    }
    ASSERT(n == l->torrents.n);
}
