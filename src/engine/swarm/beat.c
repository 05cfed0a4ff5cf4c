// The beat: once a second rates are taken, time-outs looked at and what became due by itself begun, for the peers that need it.
//
// Most peers are idle, and a look at each of them is a walk through cold memory: a peer says when it needs the next beat, and what
// happens to it before brings that forward (beat_wake).
#include "engine/swarm/beat.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/request.h"
#include "engine/swarm/super.h"
#include "engine/swarm/swarm_int.h"

#include "engine/swarm/webseed.h"

enum { POINTLESS_S = 10, PEX_LOOK_S = 10, BEAT_AHEAD = 3, RATE_NONE_BPS = 1024 };

uint64_t beat_name(const uint8_t peer_id[PEER_ID_LEN])
{
    uint64_t name;
    memcpy(&name, peer_id + PEER_ID_LEN - sizeof name, sizeof name);
    return name;
}

enum err beat_join(struct swarm *s, struct swarm_peer *p)
{
    void *items = s->beats;
    // The swarm's limit counts those that are not being closed.
    const enum err e = mem_grow(s->mem, &items, &s->beats_cap, s->peers_n + 1, 2 * SWARM_PEERS_MAX, sizeof *s->beats);
    s->beats = items;
    if (e != ERR_OK)
        return ERR_NOMEM;
    p->beat_i = s->peers_n++;
    s->beats[p->beat_i] = (struct beat){.name = beat_name(p->peer_id), .peer = p};
    return ERR_OK;
}

void beat_leave(struct swarm *s, const struct swarm_peer *p)
{
    ASSERT(s->beats[p->beat_i].peer == p);
    s->beats[p->beat_i] = s->beats[--s->peers_n];
    s->beats[p->beat_i].peer->beat_i = p->beat_i;
}

// Once more a second from now: bytes are moving, or something is waited for that is not only a matter of time.
static bool is_busy(const struct swarm *s, const struct swarm_peer *p)
{
    return (p->down_bps | p->up_bps | p->down_prev) != 0 || (p->asked_n | p->queue_n) != 0 || p->out_pending != 0 || p->rx == RX_BLOCK ||
           (p->hash.wanted_n | p->hash.refused_n) != 0 || request_due(s, p);
}

static bool both_done(const struct swarm *s, const struct swarm_peer *p)
{
    // Pieces that we had already it need not have named one by one: that it only uploads (BEP 21) says as much.
    return s->picker.missing_n == 0 && (p->has_n == s->meta->pieces_n || p->upload_only);
}

static nsec next_beat(const struct swarm *s, const struct swarm_peer *p, bool was_busy)
{
    if (p->closing)
        return NSEC_NEVER;
    if (was_busy || is_busy(s, p))
        return 0;
    nsec at = u64_min(p->rx_at + SILENT_MAX_S * NSEC_S, p->tx_at + KEEPALIVE_S * NSEC_S);
    at = u64_min(at, u64_max(p->pex.at, s->now + PEX_LOOK_S * NSEC_S));
    if (p->haves_n != 0)
        at = u64_min(at, p->haves_at);
    if (p->ask_at > s->now)
        at = u64_min(at, p->ask_at);
    if (both_done(s, p))
        at = u64_min(at, p->joined_at + POINTLESS_S * NSEC_S);
    return at;
}

// A mean over the last seconds. What is left of it long after the last byte is nothing: a peer without a rate need not be looked at.
static uint64_t rate(uint64_t bps, uint64_t bytes)
{
    const uint64_t mean = (3 * bps + bytes) / 4;
    return mean < RATE_NONE_BPS && bytes == 0 ? 0 : mean;
}

static void peer_beat(struct swarm *s, struct swarm_peer *p)
{
    p->down_bps = rate(p->down_bps, p->down_bytes - p->down_last);
    p->up_bps = rate(p->up_bps, p->up_bytes - p->up_last);
    request_beat(s, p);
    if (p->asked_n == 0 && p->rx != RX_BLOCK)
        limits_return(s, p);
    hashes_beat(s, p);
    pex_beat(s, p);
    if (p->sent_bytes - p->sent_last < p->out_high && p->out_pending != 0)      // it takes less in a second than waits for it
        p->out_high = u32_max((uint32_t)(p->sent_bytes - p->sent_last), OUT_MIN);
    p->sent_last = p->sent_bytes;
    p->cancel_looks = 0;
    p->down_last = p->down_bytes;
    p->up_last = p->up_bytes;
    if (s->now - p->rx_at >= SILENT_MAX_S * NSEC_S)
        rx_close(s, p, ERR_TIMEOUT);
    else if (s->now - p->tx_at >= KEEPALIVE_S * NSEC_S || request_due(s, p) || (p->haves_n != 0 && s->now >= p->haves_at))
        ready_set(s, p);
    if (both_done(s, p) && s->now - p->joined_at >= POINTLESS_S * NSEC_S)
        p->pointless = true;            // two seeds have nothing to say to each other
    if (p->pointless)
        rx_close(s, p, ERR_CLOSED);
}

void beat_all(struct swarm *s)
{
    uint64_t down = 0, up = 0;
    const bool all = s->hash_asks_n != 0 || s->layers_missing != 0 || s->blames.n != 0;         // anybody may be asked for hashes
    for (uint32_t i = 0; i < s->peers_n; i++) {
        if (s->beats[i].at > s->now && !all)
            continue;
        if (i + BEAT_AHEAD < s->peers_n && (s->beats[i + BEAT_AHEAD].at <= s->now || all))
            peer_fetch(s->beats[i + BEAT_AHEAD].peer);
        struct swarm_peer *p = s->beats[i].peer;
        const bool was_busy = is_busy(s, p);
        if (!p->closing)
            peer_beat(s, p);
        down += p->down_bps;            // of the others it is 0
        up += p->up_bps;
        s->beats[i].at = next_beat(s, p, was_busy);
    }
    web_beat(s);
    super_beat(s);
    s->stats_now.down_bps = down + (s->web == NULL ? 0 : s->web->bps);
    s->stats_now.up_bps = up;
}
