// Peer exchange: whom we have met and lost since is told to each peer once a minute, and what peers tell becomes candidates,
// within limits. Never for private torrents. BEP 11, 27; bittorrent note, trap 14.
#include "engine/swarm/blame.h"
#include "engine/swarm/known.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/swarm_int.h"

#include "codec/ut_pex.h"

enum {
    PEX_GONE_MAX = SWARM_PEERS_MAX,     // peers lost that are remembered; older ones are not told
    PEX_FIRST_S = 10,                   // after the handshake
    PEX_EVERY_S = 60,                   // BEP 11
    PEX_EARLY_S = 45,                   // messages nearer to each other than this are ignored
    PEX_EARLY_MAX = 5,                  // so many of them end the connection
};

bool pex_address(const struct swarm_peer *q, struct addr *out)
{
    *out = q->addr;
    if (q->incoming)
        out->port = q->ext.listen_port;
    return out->port != 0;
}

// Addresses of this machine mean something to it alone, those of a local network to those in it.
static bool reaches(const struct addr *from, const struct addr *a)
{
    return (!addr_is_loopback(a) || addr_is_loopback(from)) && (!addr_is_local(a) || addr_is_local(from));
}

// May `to` be told of `a`? Not of what it cannot reach, and not of itself.
static bool is_for(const struct swarm_peer *to, const struct addr *a)
{
    struct addr own;
    if (pex_address(to, &own) && addr_eq(&own, a))
        return false;
    return reaches(&to->addr, a);
}

static uint8_t flags_of(const struct swarm_peer *q)
{
    return (uint8_t)((q->upload_only || q->has_all ? UT_PEX_SEED : 0) | (q->utp ? UT_PEX_UTP : 0) |
                     (q->ext.ids[EXT_HOLEPUNCH] != 0 ? UT_PEX_HOLEPUNCH : 0) | (q->incoming ? 0 : UT_PEX_REACHABLE));
}

void pex_met(struct swarm *s, struct swarm_peer *p)
{
    struct addr a;
    if (p->pex.met == 0 && pex_address(p, &a))
        p->pex.met = ++s->pex_met_n;
}

void pex_lost(struct swarm *s, struct swarm_peer *p)
{
    struct pex_gone gone = {.met = p->pex.met};
    if (p->pex.met == 0 || !pex_address(p, &gone.addr))
        return;
    p->pex.met = 0;
    void *items = s->pex_gone;
    if (s->pex_gone_n == s->pex_gone_cap &&
        mem_grow(s->mem, &items, &s->pex_gone_cap, s->pex_gone_cap + 1, PEX_GONE_MAX, sizeof *s->pex_gone) == ERR_NOMEM)
        return;                         // the others go on believing in it: no harm
    s->pex_gone = items;
    s->pex_gone[s->pex_gone_n++ % PEX_GONE_MAX] = gone;
}

// Those lost that p was told of, or may have been.
static void gather_dropped(const struct swarm *s, struct swarm_peer *p, struct ut_pex_news *news)
{
    struct peer_pex *x = &p->pex;
    if (s->pex_gone_n - x->gone > PEX_GONE_MAX)
        x->gone = s->pex_gone_n - PEX_GONE_MAX;
    for (; x->gone < s->pex_gone_n && news->dropped_n < UT_PEX_ADDED_MAX; x->gone++) {
        const struct pex_gone *g = &s->pex_gone[x->gone % PEX_GONE_MAX];
        if (g->met <= x->told && is_for(p, &g->addr))
            news->dropped[news->dropped_n++] = g->addr;
    }
}

static bool is_added(const struct ut_pex_news *news, const struct addr *a)
{
    for (uint32_t i = 0; i < news->added_n; i++)
        if (addr_eq(&news->added[i].addr, a))
            return true;
    return false;
}

// Those met since, in that order.
static void gather_added(struct swarm *s, struct swarm_peer *p, struct ut_pex_news *news)
{
    const struct swarm_peer *next[UT_PEX_ADDED_MAX];
    uint32_t n = 0;
    bool more = false;
    LIST_EACH(&s->peers, link, save) {
        const struct swarm_peer *q = CONTAINER(link, struct swarm_peer, link);
        struct addr a;
        if (q == p || q->closing || q->pex.met <= p->pex.told || !pex_address(q, &a) || !is_for(p, &a))
            continue;
        more |= n == UT_PEX_ADDED_MAX;
        uint32_t i = n == UT_PEX_ADDED_MAX ? n - 1 : n++;
        if (i == UT_PEX_ADDED_MAX - 1 && more && next[i]->pex.met < q->pex.met)
            continue;
        for (; i > 0 && next[i - 1]->pex.met > q->pex.met; i--)
            next[i] = next[i - 1];
        next[i] = q;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct ut_pex_peer peer = {.flags = flags_of(next[i])};
        if (pex_address(next[i], &peer.addr) && !is_added(news, &peer.addr))
            news->added[news->added_n++] = peer;
    }
    p->pex.told = more ? next[n - 1]->pex.met : s->pex_met_n;
}

// Lost and met again is no news.
static void settle(struct ut_pex_news *news)
{
    for (uint32_t i = 0; i < news->dropped_n;) {
        uint32_t k = 0;
        while (k < news->added_n && !addr_eq(&news->added[k].addr, &news->dropped[i]))
            k++;
        if (k == news->added_n) {
            i++;
            continue;
        }
        news->added[k] = news->added[--news->added_n];
        news->dropped[i] = news->dropped[--news->dropped_n];
    }
}

static bool may_tell(const struct swarm *s, const struct swarm_peer *p)
{
    return !s->meta->is_private && p->sent_first && p->ext.ids[EXT_PEX] != 0 && s->peers_n > 1;
}

void pex_beat(struct swarm *s, struct swarm_peer *p)
{
    struct peer_pex *x = &p->pex;
    if (x->at == 0)
        x->at = s->now + PEX_FIRST_S * NSEC_S;
    if (s->now < x->at || (x->told == s->pex_met_n && x->gone == s->pex_gone_n) || !may_tell(s, p))
        return;
    x->due = true;
    ready_set(s, p);
}

void pex_compose(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    if (!p->pex.due || buf_room(w->b) < UT_PEX_MESSAGE_MAX + 64)
        return;
    p->pex.due = false;
    if (!may_tell(s, p))
        return;
    struct ut_pex_news news;
    news.added_n = news.dropped_n = 0;
    gather_dropped(s, p, &news);
    if (p->pex.gone == s->pex_gone_n)   // else who was lost before p heard of it would be told as lost
        gather_added(s, p, &news);
    settle(&news);
    if (news.added_n == 0 && news.dropped_n == 0)
        return;
    p->pex.at = s->now + PEX_EVERY_S * NSEC_S;
    ut_pex_write(w, p->ext.ids[EXT_PEX], &news);
}

bool pex_is_usable(const struct addr *from, const struct addr *a)
{
    return a->port != 0 && !addr_is_any(a) && !addr_is_multicast(a) && reaches(from, a);
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
