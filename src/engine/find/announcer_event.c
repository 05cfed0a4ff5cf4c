// What the owner of a tracker client is told: a bounded queue. See announcer.h.
#include "engine/find/announcer_int.h"

static size_t event_size(uint32_t n_peers)
{
    return sizeof(struct announcer_event) + n_peers * sizeof(struct addr);
}

static struct announcer_event *push(struct announcer *a, enum announcer_kind kind, const struct announcer_out *out, uint32_t n_peers)
{
    ASSERT(n_peers <= ANNOUNCER_PEERS_MAX);
    struct announcer_event *e = a->n_events < ANNOUNCER_EVENTS_MAX ? mem_zalloc(a->env->mem, event_size(n_peers)) : NULL;
    if (e == NULL) {
        a->stats.events_dropped++;
        return NULL;
    }
    e->kind = kind;
    e->out = *out;
    e->n_peers = n_peers;
    list_init(&e->link);
    list_push_back(&a->events, &e->link);
    a->n_events++;
    return e;
}

void announcer_tell(struct announcer *a, enum announcer_kind kind, const struct announcer_out *out, struct slice text)
{
    struct announcer_event *e = push(a, kind, out, 0);
    if (e == NULL)
        return;
    e->text_n = (uint32_t)size_min(text.n, sizeof e->text);
    if (e->text_n != 0)
        memcpy(e->text, text.p, e->text_n);
}

struct announcer_event *announcer_tell_peers(struct announcer *a, const struct announcer_out *out, uint32_t n)
{
    ASSERT(n != 0);
    return push(a, ANNOUNCER_PEERS, out, n);
}

void announcer_event_free(struct announcer *a, struct announcer_event *e)
{
    if (e != NULL)
        mem_free(a->env->mem, e, event_size(e->n_peers));
}
