// Hole punching: a peer that cannot be connected to is asked for through one that is connected to it; both ends then connect at
// once, by uTP, and each opens its router for the other. BEP 55; bittorrent note, trap 15.
//
// We are all three of its parts: who asks (punch_ask), who is asked and tells both (on_rendezvous), who is told (on_connect).
#include "engine/swarm/blame.h"
#include "engine/swarm/event.h"
#include "engine/swarm/known.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/punch.h"
#include "engine/swarm/swarm_int.h"

enum {
    PUNCH_ASKS_PER_S = 1,               // rendezvous that one peer may ask of us
    PUNCH_TOLD_PER_S = 4,               // connects that we tell one peer of, whoever asks
    PUNCH_HEARS_PER_S = 4,              // connects that one peer may tell us of,
    PUNCH_CONNECTS_PER_S = 8,           // and all peers together: each is a few datagrams to a stranger
    PUNCH_AGAIN_S = 60,                 // until one that could not be reached is asked for again; twice as long each time,
    PUNCH_DOUBLINGS_MAX = 5,            // up to 32 min
};

static bool allows(struct allowance *a, nsec now, uint32_t per_s)
{
    if (now >= a->at)
        *a = (struct allowance){.at = now + NSEC_S, .left = per_s};
    if (a->left == 0)
        return false;
    a->left--;
    return true;
}

static void say(struct swarm *s, struct swarm_peer *p, enum ut_holepunch_type type, const struct addr *a, enum ut_holepunch_error error)
{
    if (p->punch_n == PUNCH_QUEUE_MAX)
        return;
    p->punch.out[p->punch_n++] = (struct ut_holepunch){.type = type, .addr = *a, .error = error};
    ready_set(s, p);
}

void punch_compose(struct swarm_peer *p, struct wr *w)
{
    for (uint32_t i = 0; i < p->punch_n && p->ext.ids[EXT_HOLEPUNCH] != 0; i++)
        ut_holepunch_write(w, p->ext.ids[EXT_HOLEPUNCH], &p->punch.out[i]);
    p->punch_n = 0;
}

static bool speaks(const struct swarm_peer *p) { return !p->closing && p->ext.ids[EXT_HOLEPUNCH] != 0; }

// The peer that is meant: by where its stream comes from, or by what we told others of it.
static struct swarm_peer *target_of(struct swarm *s, const struct addr *a)
{
    struct swarm_peer *found = NULL;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *q = CONTAINER(link, struct swarm_peer, link);
        struct addr told;
        if (q->closing)
            continue;
        if (addr_eq(&q->addr, a))
            return q;
        if (pex_address(q, &told) && addr_eq(&told, a))
            found = q;
    }
    return found;
}

// ---- we ask

static struct swarm_peer *peer_of(struct swarm *s, uint32_t conn)
{
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (p->conn == conn)
            return p;
    }
    return NULL;
}

void punch_ask(struct swarm *s, struct known *k)
{
    if (!s->cfg.utp || s->meta->is_private || !is_running(s) || s->now < k->punch_at || k->via_n == 0)
        return;
    if (target_of(s, &k->addr) != NULL)
        return;                         // it has come to us meanwhile
    for (uint32_t i = 0; i < k->via_n; i++) {
        const uint32_t turn = (k->punches + i) % k->via_n;      // another one each time
        struct swarm_peer *p = peer_of(s, k->via[turn]);
        if (p == NULL || !speaks(p) || p->addr.family != k->addr.family)
            continue;
        k->punch_at = s->now + ((nsec)PUNCH_AGAIN_S << u32_min(k->punches, PUNCH_DOUBLINGS_MAX)) * NSEC_S;
        k->punches++;
        say(s, p, UT_HOLEPUNCH_RENDEZVOUS, &k->addr, UT_HOLEPUNCH_NONE);
        return;
    }
}

// ---- we are asked

// Where its datagrams come from, as far as we know; false: we do not.
static bool endpoint_of(const struct swarm_peer *q, struct addr *out)
{
    *out = q->addr;
    return q->utp || pex_address(q, out);
}

static bool is_us(const struct swarm *s, const struct addr *a)
{
    return addr_same_ip(a, &s->known.own[a->family == ADDR_IPV6]) && a->port == s->cfg.listen_port;
}

static void on_rendezvous(struct swarm *s, struct swarm_peer *p, const struct addr *a)
{
    struct addr here, there;
    if (!allows(&p->punch.asks, s->now, PUNCH_ASKS_PER_S))
        return;
    struct swarm_peer *q = target_of(s, a);
    enum ut_holepunch_error error = UT_HOLEPUNCH_NONE;
    if (!pex_is_usable(&p->addr, a) || q == p)
        error = UT_HOLEPUNCH_NO_SUCH_PEER;
    else if (is_us(s, a))
        error = UT_HOLEPUNCH_NO_SELF;
    else if (q == NULL || !endpoint_of(q, &there) || there.family != p->addr.family || addr_is_local(&there) != addr_is_local(&p->addr))
        error = UT_HOLEPUNCH_NOT_CONNECTED;             // never between a local network and the internet
    else if (!speaks(q))
        error = UT_HOLEPUNCH_NO_SUPPORT;
    if (error != UT_HOLEPUNCH_NONE) {
        say(s, p, UT_HOLEPUNCH_ERROR, a, error);
        return;
    }
    if (!endpoint_of(p, &here) || !allows(&q->punch.told, s->now, PUNCH_TOLD_PER_S))
        return;
    say(s, p, UT_HOLEPUNCH_CONNECT, &there, UT_HOLEPUNCH_NONE);
    say(s, q, UT_HOLEPUNCH_CONNECT, &here, UT_HOLEPUNCH_NONE);
}

// ---- we are told

static void on_connect(struct swarm *s, struct swarm_peer *relay, const struct addr *a)
{
    if (!pex_is_usable(&relay->addr, a) || a->family != relay->addr.family || is_banned(s, a) || is_us(s, a) || target_of(s, a) != NULL)
        return;
    if (s->known.map.n >= PEX_KNOWN_MAX && known_find(&s->known, a) == NULL)
        return;
    if (!swarm_wants_peers(s) || !allows(&relay->punch.hears, s->now, PUNCH_HEARS_PER_S) || !allows(&s->punches, s->now, PUNCH_CONNECTS_PER_S))
        return;
    known_add(&s->known, a, false);
    event_push(s, &(struct event){.kind = SWARM_EVENT_PUNCH, .addr = *a});
}

// The relay is not connected to it (any more): others may be.
static void on_error(struct swarm *s, const struct swarm_peer *relay, const struct addr *a)
{
    struct known *k = known_find(&s->known, a);
    for (uint32_t i = 0; k != NULL && i < k->via_n; i++) {
        if (k->via[i] != relay->conn)
            continue;
        k->via[i] = k->via[--k->via_n];
        k->punch_at = 0;
        if (k->state == KNOWN_CONNECTING)
            punch_ask(s, k);
        return;
    }
}

void punch_handle(struct swarm *s, struct swarm_peer *p, struct slice payload)
{
    struct ut_holepunch m;
    if (!speaks(p) || ut_holepunch_parse(&m, payload) != ERR_OK)
        return;
    switch (m.type) {
    case UT_HOLEPUNCH_RENDEZVOUS: on_rendezvous(s, p, &m.addr); break;
    case UT_HOLEPUNCH_CONNECT: on_connect(s, p, &m.addr); break;
    case UT_HOLEPUNCH_ERROR: on_error(s, p, &m.addr); break;
    }
}
