// The swarm as an only seed: it looks like a peer with few pieces. The decisions are superseed.h's.
#include "engine/swarm/peer.h"
#include "engine/swarm/super.h"
#include "engine/swarm/superseed.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum { SUPER_PAUSE_MS = 100 };          // between two walks over all pieces for a peer to which nothing can be shown

// It has not got all of what it was shown.
static bool is_busy(const struct swarm *s, const struct swarm_peer *p)
{
    return !p->closing && p->super_on && !p->has_all && p->super.piece != SUPERSEED_NONE &&
           p->super.sent < metainfo_piece_len(s->meta, p->super.piece);
}

static uint32_t busy_peers(const struct swarm *s)
{
    uint32_t n = 0;
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next)
        n += is_busy(s, CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link));
    return n;
}

static void show_next(struct swarm *s, struct swarm_peer *p, uint32_t *busy)
{
    const uint32_t at = p->super.piece, own = at != SUPERSEED_NONE && peer_has(p, at);
    const bool elsewhere = at != SUPERSEED_NONE && s->picker.avail[at] > own;
    const uint32_t len = at == SUPERSEED_NONE ? 0 : metainfo_piece_len(s->meta, at), was = is_busy(s, p);
    if (p->closing || !p->super_on || p->has_all || p->super_due || s->now < p->super_at)
        return;
    if (!superseed_due(&p->super, len, elsewhere, *busy - was, s->now))
        return;
    const uint32_t next = superseed_show(s->super, s->picker.avail, p->has, p->serial, &s->rng, s->now);
    if (next == SUPERSEED_NONE) {       // the others have the rest, or get it: not looked for again with every `have`
        p->super_at = s->now + SUPER_PAUSE_MS * NSEC_MS;
        return;
    }
    p->super = (struct superseed_peer){.piece = next};
    p->super_due = true;
    *busy += 1 - was;
    ready_set(s, p);
}

static void show_all(struct swarm *s)
{
    uint32_t busy = busy_peers(s);
    LIST_EACH(&s->peers, link, save)
        show_next(s, CONTAINER(link, struct swarm_peer, link), &busy);
}

// From now on a seed as any other: whoever was shown few pieces is told of all.
static void end(struct swarm *s)
{
    superseed_done(s->super);
    mem_free(s->mem, s->super, sizeof *s->super);
    s->super = NULL;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (p->super_on)
            p->have_pos = 0;
        p->super_on = p->super_due = false;
        ready_set(s, p);
    }
}

enum err super_init(struct swarm *s)
{
    if (!s->cfg.super_seed)
        return ERR_OK;
    s->super = mem_zalloc(s->mem, sizeof *s->super);
    if (s->super == NULL)
        return ERR_NOMEM;
    const enum err e = superseed_init(s->super, s->mem, s->meta->pieces_n);
    if (e == ERR_OK)
        return ERR_OK;
    mem_free(s->mem, s->super, sizeof *s->super);
    s->super = NULL;
    return e;
}

void super_done(struct swarm *s)
{
    if (s->super == NULL)
        return;
    superseed_done(s->super);
    mem_free(s->mem, s->super, sizeof *s->super);
    s->super = NULL;
}

void super_begin(struct swarm *s, struct swarm_peer *p)
{
    p->super_on = true;
    p->super = (struct superseed_peer){.piece = SUPERSEED_NONE};
    show_all(s);
}

void super_has(struct swarm *s, struct swarm_peer *from)
{
    if (s->super == NULL)
        return;
    if (from->has_all)
        end(s);                         // there is another seed
    else
        show_all(s);
}

void super_sent(struct swarm *s, struct swarm_peer *p, uint32_t piece, uint32_t n)
{
    if (s->super == NULL)
        return;
    superseed_sent(s->super, &p->super, piece, metainfo_piece_len(s->meta, piece), n, s->now);
    show_all(s);
}

void super_left(struct swarm *s, const struct swarm_peer *p)
{
    if (s->super != NULL && p->super_on)
        superseed_left(s->super, p->serial);
}

void super_beat(struct swarm *s)
{
    if (s->super == NULL)
        return;
    if (s->state == SWARM_DOWNLOADING || superseed_over(s->super, s->picker.avail))
        end(s);                         // it lacks something itself, or is not the only one
    else
        show_all(s);
}

void super_compose(struct swarm_peer *p, struct wr *w)
{
    if (!p->super_due)
        return;
    p->super_due = false;
    peer_msg_write(w, &(struct peer_msg){.id = MSG_HAVE, .index = p->super.piece});
}
