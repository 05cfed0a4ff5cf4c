// Rate limits inside of a torrent: who waits is served in turn, a bite each. Only content counts: requests, headers and
// answers go free, or a limit of one direction would strangle the other. Bittorrent note 2.10.
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/serve.h"
#include "engine/swarm/swarm_int.h"

#include "engine/swarm/webseed.h"

// Nothing else can be said to a peer in the middle of a block. So below these rates blocks go whole, whatever the second, because
// our requests to that peer would wait behind half a block for more than the second's worth that is always asked for; or anything would.
#define SPLIT_BPS (32 * KIB)
#define SPLIT_ALONE_BPS (16 * KIB)      // nothing is wanted from that peer

// It could be sent to, if the limit let it.
static bool waits_up(const struct swarm_peer *p)
{
    return p->queue_n != 0 && !p->closing && serve_is_low(p) && !tx_is_stuck(p);
}

static bool waits_down(const struct swarm_peer *p)
{
    return p->starved && !p->closing && !p->read_paused;
}

bool limits_rx_waits(const struct swarm *s)
{
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next)
        if (waits_down(CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link)))
            return true;
    return false;
}

static bool up_waits(const struct swarm *s)
{
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next)
        if (waits_up(CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link)))
            return true;
    return false;
}

// Whoever had a bite stands behind the others.
static void to_back(struct swarm *s, struct swarm_peer *p)
{
    list_remove(&p->link);
    list_push_back(&s->peers, &p->link);
}

void limits_served(struct swarm *s, struct swarm_peer *p) { to_back(s, p); }

bool limits_rx_open(struct swarm *s, struct swarm_peer *p)
{
    if (!tap_limited(&s->down) || p->grant != 0)
        return true;
    if (p->asked_n == 0 && p->rx != RX_BLOCK)
        return true;                    // no content can come
    if (limits_rx_waits(s))
        return false;                   // they were here before
    p->grant = tap_take(&s->down, s->now, u32_max(p->asked_n, 1) * BLOCK_LEN);
    return p->grant != 0;
}

void limits_rx(struct swarm *s, struct swarm_peer *p, uint32_t n)
{
    const uint32_t paid = u32_min(n, p->grant);
    p->grant -= paid;
    s->stats_now.rx_bytes += n;
    if (n != paid)
        tap_charge(&s->down, s->now, n - paid);
}

void limits_return(struct swarm *s, struct swarm_peer *p)
{
    tap_back(&s->down, p->grant);
    p->grant = 0;
}

// A block that is begun is finished first: until then its peer can be told nothing else.
static struct swarm_peer *next_up(struct swarm *s)
{
    struct swarm_peer *next = NULL;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (!waits_up(p))
            continue;
        if (p->sending != 0)
            return p;
        next = next == NULL ? p : next;
    }
    return next;
}

uint32_t limits_send(struct swarm *s, const struct swarm_peer *p, uint32_t left)
{
    uint32_t n = tap_take(&s->up, s->now, left);
    if (n == 0 || !tap_limited(&s->up) || tap_bps(&s->up) >= (p->am_interested ? SPLIT_BPS : SPLIT_ALONE_BPS))
        return n;
    tap_charge(&s->up, s->now, left - n);
    return left;
}

bool limits_wake(struct swarm *s)
{
    if (tap_limited(&s->up) && tap_ready(&s->up, s->now)) {
        struct swarm_peer *next = next_up(s);
        if (next != NULL) {
            ready_set(s, next);
            return true;
        }
    }
    if (tap_limited(&s->down) && tap_ready(&s->down, s->now)) {
        LIST_EACH(&s->peers, link, save) {
            struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
            if (!waits_down(p))
                continue;
            p->grant += tap_take(&s->down, s->now, u32_max(p->asked_n, 1) * BLOCK_LEN);
            s->web_turn = true;
            to_back(s, p);
            ready_set(s, p);            // it is resumed
            return true;
        }
    }
    return false;
}

nsec limits_deadline(struct swarm *s)
{
    nsec at = NSEC_NEVER;
    if (tap_limited(&s->up) && up_waits(s))
        at = u64_min(at, tap_wait(&s->up, s->now));
    else
        tap_leave(&s->up);
    if (tap_limited(&s->down) && (limits_rx_waits(s) || web_waits(s)))
        at = u64_min(at, tap_wait(&s->down, s->now));
    else
        tap_leave(&s->down);
    return at;
}

bool limits_up_full(const struct swarm *s)
{
    const struct limit *all = s->up.all;
    return (all->bucket.bps != 0 && u64_max(all->used_bps, s->stats_now.up_bps) >= all->bucket.bps / 10 * 9) ||
           (s->up.own.bps != 0 && s->stats_now.up_bps >= s->up.own.bps / 10 * 9);
}

void limits_changed(struct swarm *s)
{
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        p->grant = 0;
        ready_set(s, p);
    }
}

void swarm_limits(struct swarm *s, nsec now, uint64_t up_bps, uint64_t down_bps)
{
    ASSERT(now >= s->now);
    s->now = now;
    tap_set(&s->up, now, up_bps);
    tap_set(&s->down, now, down_bps);
    limits_changed(s);
}
