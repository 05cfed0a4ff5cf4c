// Peer exchange: whom we have met and lost since is told to each peer once a minute, and what peers tell becomes candidates,
// within limits. Never for private torrents. BEP 11, 27; bittorrent note, trap 14.
#include "engine/swarm/swarm_int.h"

#include "codec/ut_pex.h"

enum {
    PEX_FIRST_S = 10,                   // after the handshake
    PEX_EVERY_S = 60,                   // BEP 11
    PEX_LOOK_S = 10,                    // nothing was new: looked at again
    PEX_EARLY_S = 45,                   // messages nearer to each other than this are ignored
    PEX_EARLY_MAX = 5,                  // so many of them end the connection
    PEX_TOLD_MAX = SWARM_PEERS_MAX,     // addresses that one peer knows of by us
};

bool pex_address(const struct swarm_peer *q, struct addr *out)
{
    *out = q->addr;
    if (q->incoming)
        out->port = q->ext.listen_port;
    return out->port != 0;
}

static bool is_in(const struct addr *list, uint32_t n, const struct addr *a)
{
    for (uint32_t i = 0; i < n; i++)
        if (addr_eq(&list[i], a))
            return true;
    return false;
}

// May `to` be told of `a`? Not of what it cannot reach.
static bool is_for(const struct swarm_peer *to, const struct addr *a)
{
    return !addr_is_loopback(a) || addr_is_loopback(&to->addr);
}

static uint8_t flags_of(const struct swarm_peer *q)
{
    return (uint8_t)((q->upload_only || q->has_all ? UT_PEX_SEED : 0) | (q->utp ? UT_PEX_UTP : 0) |
                     (q->ext.ids[EXT_HOLEPUNCH] != 0 ? UT_PEX_HOLEPUNCH : 0) | (q->incoming ? 0 : UT_PEX_REACHABLE));
}

static void forget(struct peer_pex *x, uint32_t i) { x->told[i] = x->told[--x->told_n]; }

// What has changed for p since it was told last; noted as told.
static void gather(struct swarm *s, struct swarm_peer *p, struct ut_pex_news *news)
{
    struct addr now[SWARM_PEERS_MAX];
    uint32_t n = 0;
    struct peer_pex *x = &p->pex;
    struct addr own;
    const bool has_own = pex_address(p, &own);
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *q = CONTAINER(link, struct swarm_peer, link);
        struct addr a;
        if (q == p || q->closing || n == SWARM_PEERS_MAX || !pex_address(q, &a) || !is_for(p, &a) ||
            (has_own && addr_eq(&own, &a)) || is_in(now, n, &a))
            continue;
        now[n++] = a;
        if (is_in(x->told, x->told_n, &a) || news->added_n == UT_PEX_ADDED_MAX || x->told_n == PEX_TOLD_MAX)
            continue;
        news->added[news->added_n++] = (struct ut_pex_peer){a, flags_of(q)};
        x->told[x->told_n++] = a;
    }
    for (uint32_t i = 0; i < x->told_n && news->dropped_n < UT_PEX_ADDED_MAX;) {
        if (is_in(now, n, &x->told[i])) {
            i++;
            continue;
        }
        news->dropped[news->dropped_n++] = x->told[i];
        forget(x, i);
    }
}

static bool may_tell(const struct swarm *s, const struct swarm_peer *p)
{
    return !s->meta->is_private && p->sent_first && p->ext.ids[EXT_PEX] != 0 && s->peers_n > 1;
}

void pex_beat(struct swarm *s, struct swarm_peer *p)
{
    if (p->pex.at == 0)
        p->pex.at = s->now + PEX_FIRST_S * NSEC_S;
    if (s->now < p->pex.at || !may_tell(s, p))
        return;
    p->pex.due = true;
    ready_set(s, p);
}

void pex_compose(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    if (!p->pex.due || buf_room(w->b) < UT_PEX_MESSAGE_MAX + 64)
        return;
    p->pex.due = false;
    if (!may_tell(s, p))
        return;
    p->pex.at = s->now + PEX_LOOK_S * NSEC_S;
    if (p->pex.told == NULL && (p->pex.told = mem_zarray(s->mem, PEX_TOLD_MAX, sizeof *p->pex.told)) == NULL)
        return;
    struct ut_pex_news news = {.added_n = 0};
    gather(s, p, &news);
    if (news.added_n == 0 && news.dropped_n == 0)
        return;
    p->pex.at = s->now + PEX_EVERY_S * NSEC_S;
    ut_pex_write(w, p->ext.ids[EXT_PEX], &news);
}

void pex_done(struct swarm *s, struct swarm_peer *p)
{
    mem_free(s->mem, p->pex.told, PEX_TOLD_MAX * sizeof *p->pex.told);
    p->pex.told = NULL;
}

bool pex_is_usable(const struct addr *from, const struct addr *a)
{
    return a->port != 0 && !addr_is_any(a) && !addr_is_multicast(a) && (!addr_is_loopback(a) || addr_is_loopback(from));
}

enum err pex_hear(struct pex_heard *heard, nsec now, struct slice payload, struct ut_pex *out, uint32_t *n)
{
    *n = 0;
    if (heard->any && now - heard->at < PEX_EARLY_S * NSEC_S)
        return ++heard->early > PEX_EARLY_MAX ? ERR_ACCESS : ERR_AGAIN;
    const uint32_t most = heard->any ? UT_PEX_ADDED_MAX : UT_PEX_FIRST_MAX;
    *heard = (struct pex_heard){.any = true, .at = now};
    if (ut_pex_parse(out, payload) != ERR_OK)
        return ERR_PROTOCOL;
    *n = u32_min(ut_pex_added_n(out), most);
    return ERR_OK;
}

void pex_handle(struct swarm *s, struct swarm_peer *p, struct slice payload)
{
    struct ut_pex m;
    uint32_t n;
    if (s->meta->is_private)
        return;
    const enum err e = pex_hear(&p->pex.heard, s->now, payload, &m, &n);
    if (e == ERR_ACCESS)
        rx_close(s, p, ERR_PROTOCOL);
    for (uint32_t i = 0; e == ERR_OK && i < n && s->known.map.n < PEX_KNOWN_MAX; i++) {
        const struct ut_pex_peer a = ut_pex_added(&m, i);
        if (pex_is_usable(&p->addr, &a.addr) && !is_banned(s, &a.addr))
            known_told(&s->known, &a.addr, p->conn, a.flags);
    }
}
