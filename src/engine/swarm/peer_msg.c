// What each message of a peer means. BEP 3, 6.
#include "engine/swarm/beat.h"
#include "engine/swarm/event.h"
#include "engine/swarm/extend.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/request.h"
#include "engine/swarm/rounds.h"
#include "engine/swarm/serve.h"
#include "engine/swarm/super.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

// Interest must be exact: it decides whose slots are wasted.
void interest_update(struct swarm *s, struct swarm_peer *p)
{
    p->am_interested = p->useful_n != 0 && s->state != SWARM_SEEDING;
    if (p->am_interested != p->interested_sent)
        ready_set(s, p);
}

static bool has_space(struct swarm *s, struct swarm_peer *p)
{
    if (p->has == NULL)
        p->has = mem_zalloc(s->mem, bits_bytes(s->meta->pieces_n) + 8);
    if (p->has == NULL)
        rx_close(s, p, ERR_NOMEM);
    return p->has != NULL;
}

// It has everything: the bitfield goes, one counter stays.
static void become_seed(struct swarm *s, struct swarm_peer *p)
{
    const uint32_t n = s->meta->pieces_n;
    for (uint32_t i = 0; p->has != NULL && i < n; i++)
        if (bits_get(p->has, i))
            picker_dec(&s->picker, i);
    mem_free(s->mem, p->has, bits_bytes(n) + 8);
    p->has = NULL;
    p->has_all = true;
    p->has_n = n;
    p->useful_n = s->picker.missing_n;
    p->upload_only = true;
    s->picker.seeds++;
    beat_wake(s, p);
}

static void on_have(struct swarm *s, struct swarm_peer *p, uint32_t index)
{
    if (index >= s->meta->pieces_n) {
        rx_close(s, p, ERR_PROTOCOL);
        return;
    }
    p->got_first = true;
    if (peer_has(p, index) || !has_space(s, p))
        return;                         // LT says `have` again for what its bitfield said
    bits_set(p->has, index);
    p->has_n++;
    picker_inc(&s->picker, index);
    if (picker_wants(&s->picker, index))
        p->useful_n++;
    if (p->has_n == s->meta->pieces_n && !p->took_back)
        become_seed(s, p);
    interest_update(s, p);
    super_has(s, p);
}

static void on_bitfield(struct swarm *s, struct swarm_peer *p, struct slice bits)
{
    const uint32_t n = s->meta->pieces_n;
    if (bits.n != bits_bytes(n)) {
        rx_close(s, p, ERR_PROTOCOL);
        return;
    }
    if (p->got_first || !has_space(s, p))
        return;                         // a second bitfield is ignored, as all do
    p->got_first = true;
    for (uint32_t i = 0; i < n; i++) {
        if (!bits_get(bits.p, i))
            continue;
        bits_set(p->has, i);
        p->has_n++;
    }
    if (p->has_n == n) {
        mem_free(s->mem, p->has, bits_bytes(n) + 8);    // nothing was counted yet
        p->has = NULL;
        become_seed(s, p);
    }
    for (uint32_t i = 0; !p->has_all && i < n; i++) {
        if (!bits_get(p->has, i))
            continue;
        picker_inc(&s->picker, i);
        p->useful_n += picker_wants(&s->picker, i);
    }
    interest_update(s, p);
    super_has(s, p);
}

static void on_have_all(struct swarm *s, struct swarm_peer *p)
{
    if (p->got_first)
        return;
    p->got_first = true;
    become_seed(s, p);
    interest_update(s, p);
    super_has(s, p);
}

static void on_choke(struct swarm *s, struct swarm_peer *p)
{
    s->unchoking_us_n -= !p->peer_choking;
    p->peer_choking = true;
    p->slow_start = true;
    p->depth = DEPTH_MIN;
    p->choked_us_at = s->now;
    if (!p->fast)                       // with fast the peer rejects one by one, or answers (BEP 6)
        request_drop_all(s, p, false);
    rx_give_ahead(s, p);
}

static void on_unchoke(struct swarm *s, struct swarm_peer *p)
{
    s->unchoking_us_n += p->peer_choking;
    p->peer_choking = false;
    beat_wake(s, p);
}

static void on_allowed_fast(struct swarm *s, struct swarm_peer *p, uint32_t index)
{
    if (index >= s->meta->pieces_n || p->allowed_n >= ALLOWED_FAST_K)
        return;
    if (p->allowed == NULL)
        p->allowed = mem_zarray(s->mem, ALLOWED_FAST_K, sizeof *p->allowed);
    if (p->allowed == NULL)
        return;
    p->allowed[p->allowed_n++] = index;
    beat_wake(s, p);
}

static struct wanted wanted_of(const struct peer_msg *m)
{
    return (struct wanted){m->index, m->begin, m->len};
}

static void on_interested(struct swarm *s, struct swarm_peer *p, bool interested)
{
    if (p->peer_interested == interested)
        return;
    p->peer_interested = interested;
    if (interested)
        choke_wanted(s);
    else if (!p->am_choking)
        choke_refill(s);
}

static void on_fast_only(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m)
{
    if (!p->fast) {
        rx_close(s, p, ERR_PROTOCOL);   // BEP 6: not without both having said so
        return;
    }
    const struct asked a = {m->index, m->begin, m->len};
    if (m->id == MSG_HAVE_ALL)
        on_have_all(s, p);
    else if (m->id == MSG_HAVE_NONE)
        p->got_first = true;
    else if (m->id == MSG_ALLOWED_FAST)
        on_allowed_fast(s, p, m->index);
    else if (m->id == MSG_REJECT && request_rejected(s, p, &a) && p->depth > DEPTH_MIN)
        p->depth -= p->depth / 8;       // it keeps fewer than we thought
}

// BEP 5: the peer has a DHT node, at its address. Once is enough.
static void on_port(struct swarm *s, struct swarm_peer *p, uint16_t port)
{
    struct addr a = p->addr;
    a.port = port;
    if (!s->cfg.dht || port == 0 || p->said_port)
        return;
    p->said_port = true;
    event_push(s, &(struct event){.kind = SWARM_EVENT_DHT_NODE, .addr = a});
}

void msg_handle(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m)
{
    const struct wanted w = wanted_of(m);
    switch (m->id) {
    case MSG_CHOKE: on_choke(s, p); break;
    case MSG_UNCHOKE: on_unchoke(s, p); break;
    case MSG_INTERESTED: on_interested(s, p, true); break;
    case MSG_NOT_INTERESTED: on_interested(s, p, false); break;
    case MSG_HAVE: on_have(s, p, m->index); break;
    case MSG_BITFIELD: on_bitfield(s, p, m->payload); break;
    case MSG_REQUEST: serve_request(s, p, &w); break;
    case MSG_CANCEL: serve_cancel(s, p, &w); break;
    case MSG_SUGGEST:
    case MSG_HAVE_ALL:
    case MSG_HAVE_NONE:
    case MSG_REJECT:
    case MSG_ALLOWED_FAST: on_fast_only(s, p, m); break;
    case MSG_PORT: on_port(s, p, m->port); break;
    case MSG_HASH_REQUEST:
    case MSG_HASHES:
    case MSG_HASH_REJECT: hashes_handle(s, p, m); break;
    case MSG_EXTENDED: ext_handle(s, p, m->extended_id, m->payload); break;
    default: break;                     // keep-alive, port, what we do not know: skipped (trap 3)
    }
    if (!p->closing && (request_due(s, p) || tx_pending(s, p)))
        ready_set(s, p);
}
