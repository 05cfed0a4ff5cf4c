// The swarm's life: birth, timers, the poll that hands out work, figures. See swarm.h.
#include "engine/swarm/beat.h"
#include "engine/swarm/blame.h"
#include "engine/swarm/choker.h"
#include "engine/swarm/event.h"
#include "engine/swarm/files.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/known.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/punch.h"
#include "engine/swarm/request.h"
#include "engine/swarm/rounds.h"
#include "engine/swarm/serve.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/super.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "engine/swarm/webseed.h"

enum {
    REQQ_DEFAULT = 250,                 // a peer that does not say how many it keeps
    SILENT_LOST_S = 4,                  // a peer that comes again has lost its first connection, if that was silent for so long
    CALM_S = 5,                         // between connects with three quarters of the peers: the others are full, most of them
};

bool is_running(const struct swarm *s)
{
    switch (s->state) {
    case SWARM_DOWNLOADING:
    case SWARM_SEEDING:
    case SWARM_ERROR: return s->prepared;
    case SWARM_CHECKING:
    case SWARM_STOPPING:
    case SWARM_STOPPED: break;
    }
    return false;
}

static void advance(struct swarm *s, nsec now)
{
    ASSERT(now >= s->now);
    s->now = now;
}

void ready_set(struct swarm *s, struct swarm_peer *p)
{
    if (list_empty(&p->ready))
        list_push_back(&s->ready, &p->ready);
}

void event_push(struct swarm *s, const struct event *e)
{
    if (s->events_n == EVENTS_MAX)
        return;                         // front ends see the figures; a flood of events helps nobody
    s->events[(s->events_at + s->events_n++) % EVENTS_MAX] = *e;
}

static enum err take_memory(struct swarm *s)
{
    const uint32_t n = s->meta->pieces_n;
    const size_t bytes = bits_bytes(n) + 8;     // some room for word-wise counting
    s->have = mem_zalloc(s->mem, bytes);
    s->synced = mem_zalloc(s->mem, bytes);
    s->suspect_bits = mem_zalloc(s->mem, bytes);
    s->check_todo = mem_zalloc(s->mem, bytes);
    s->recheck_bits = mem_zalloc(s->mem, bytes);
    s->blocked = mem_zalloc(s->mem, bytes);
    s->have_log = mem_zarray(s->mem, (size_t)n * 2, sizeof *s->have_log);
    s->partial_at = mem_zarray(s->mem, n, sizeof *s->partial_at);
    s->jobs = mem_zarray(s->mem, JOBS_MAX, sizeof *s->jobs);
    const uint32_t files_n = s->meta->files_n;
    s->stats = mem_zarray(s->mem, files_n + 1, sizeof *s->stats);       // and `.parts`
    s->stats_saved = mem_zarray(s->mem, files_n + 1, sizeof *s->stats_saved);
    s->stats_look = mem_zarray(s->mem, files_n + 1, sizeof *s->stats_look);
    s->priorities = mem_zarray(s->mem, files_n, 5);
    s->file_left = mem_zarray(s->mem, s->meta->files_n, sizeof *s->file_left);
    if (s->have == NULL || s->synced == NULL || s->suspect_bits == NULL || s->check_todo == NULL || s->recheck_bits == NULL ||
        s->have_log == NULL || s->partial_at == NULL || s->jobs == NULL || s->stats == NULL || s->stats_saved == NULL ||
        s->file_left == NULL || s->priorities == NULL || s->blocked == NULL || s->stats_look == NULL)
        return ERR_NOMEM;
    s->in_parts = s->priorities + files_n;
    s->was_in_parts = s->in_parts + files_n;
    s->touched = s->was_in_parts + files_n;
    s->broken = s->touched + files_n;
    return picker_init(&s->picker, s->mem, n, s->env->seed);
}

static void free_memory(struct swarm *s)
{
    const uint32_t n = s->meta->pieces_n;
    const size_t bytes = bits_bytes(n) + 8;
    hashes_done(s);
    mem_free(s->mem, s->have, bytes);
    mem_free(s->mem, s->synced, bytes);
    mem_free(s->mem, s->suspect_bits, bytes);
    mem_free(s->mem, s->check_todo, bytes);
    mem_free(s->mem, s->recheck_bits, bytes);
    mem_free(s->mem, s->blocked, bytes);
    mem_free(s->mem, s->have_log, (size_t)n * 2 * sizeof *s->have_log);
    mem_free(s->mem, s->partial_at, n * sizeof *s->partial_at);
    mem_free(s->mem, s->segs, IO_SEGS_MAX * sizeof *s->segs);
    mem_free(s->mem, s->partial_slots, s->partial_slots_cap * sizeof *s->partial_slots);
    mem_free(s->mem, s->hash_asks, HASH_ASKS_ALL_MAX * sizeof *s->hash_asks);
    mem_free(s->mem, s->beats, s->beats_cap * sizeof *s->beats);
    mem_free(s->mem, s->pex_gone, s->pex_gone_cap * sizeof *s->pex_gone);
    mem_free(s->mem, s->sources, s->sources_cap * sizeof *s->sources);
    mem_free(s->mem, s->unfinished.items, s->unfinished.cap * sizeof *s->unfinished.items);
    for (uint32_t i = 0; i < s->jobs_n; i++)
        mem_free(s->mem, s->jobs[i], sizeof *s->jobs[i]);
    mem_free(s->mem, s->jobs, JOBS_MAX * sizeof *s->jobs);
    mem_free(s->mem, s->stats, (s->meta->files_n + 1) * sizeof *s->stats);
    mem_free(s->mem, s->stats_saved, (s->meta->files_n + 1) * sizeof *s->stats_saved);
    mem_free(s->mem, s->stats_look, (s->meta->files_n + 1) * sizeof *s->stats_look);
    mem_free(s->mem, s->priorities, (size_t)s->meta->files_n * 5);
    mem_free(s->mem, s->file_left, s->meta->files_n * sizeof *s->file_left);
    mem_free(s->mem, s->banned.items, s->banned.cap * sizeof *s->banned.items);
    mem_free(s->mem, s->blob, s->blob_len);
    mem_free(s->mem, s->lost.items, s->lost.cap * sizeof *s->lost.items);
    for (uint32_t i = 0; i < CHECKS_MAX; i++)
        mem_free(s->mem, s->checks[i].leaves, (size_t)u64_div_up(s->meta->piece_len, BLOCK_LEN) * SHA256_LEN);
}

static void count_file_pieces(struct swarm *s)
{
    const struct metainfo *m = s->meta;
    for (uint32_t f = 0; f < m->files_n; f++) {
        const struct metainfo_file *file = &m->files[f];
        if (file->len != 0 && (file->flags & FILE_PAD) == 0)
            s->file_left[f] = u32_of((file->offset + file->len - 1) / m->piece_len - file->offset / m->piece_len + 1);
    }
}

static enum err start_priorities(struct swarm *s)
{
    const uint8_t *given = s->cfg.priorities;
    s->all_wanted = given == NULL;
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        if (given != NULL && given[f] >= PICKER_PRIORITIES)
            return ERR_RANGE;
        s->priorities[f] = given == NULL ? PICKER_PRIORITIES / 2 : given[f];
    }
    s->cfg.priorities = NULL;
    return files_apply(s);
}

enum err swarm_new(struct swarm **out, const struct swarm_config *cfg, const struct env *env, nsec now)
{
    ASSERT(cfg->peers_max != 0);
    ASSERT(cfg->peers_max <= SWARM_PEERS_MAX);
    struct swarm *s = mem_zalloc(env->mem, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    *s = (struct swarm){.cfg = *cfg, .meta = cfg->meta, .env = env, .mem = env->mem, .now = now, .state = SWARM_CHECKING,
                        .look_ok = true};
    s->rng = rng_make(env->seed, 0x73776172);
    list_init(&s->peers);
    list_init(&s->ready);
    list_init(&s->partials);
    list_init(&s->jobs_new);
    known_init(&s->known, s->mem, SWARM_KNOWN_MAX, env->seed);
    map_init(&s->blames, s->mem, PARTIALS_MAX, env->seed);
    tap_init(&s->up, cfg->up, now, cfg->up_bps, cfg->store);
    tap_init(&s->down, cfg->down, now, cfg->down_bps, cfg->store);
    s->slots = CHOKE_SLOTS_MIN;
    s->beat_at = now + NSEC_S;
    s->round_at = now + CHOKE_ROUND_S * NSEC_S;
    enum err e = take_memory(s);
    if (e == ERR_OK)
        e = start_priorities(s);
    if (e == ERR_OK)
        e = hashes_init(s);
    if (e == ERR_OK)
        e = web_init(s);
    if (e == ERR_OK)
        e = super_init(s);
    if (e != ERR_OK) {
        swarm_free(s);
        return e;
    }
    count_file_pieces(s);
    s->resumed = cfg->resume.n != 0 && resume_read(s, cfg->resume) == ERR_OK && !cfg->trust;
    s->cfg.resume = (struct slice){0};
    s->seeded_before = s->past.seeded;
    s->totals_saved_at = now;
    storage_start(s);
    *out = s;
    return ERR_OK;
}

// A connected peer that is reached at `a`, dialled or not. NULL: nobody.
static const struct swarm_peer *peer_at(struct swarm *s, const struct addr *a)
{
    struct addr at;
    LIST_EACH(&s->peers, link, save) {
        const struct swarm_peer *q = CONTAINER(link, struct swarm_peer, link);
        if (pex_address(q, &at) && addr_eq(&at, a))
            return q;
    }
    return NULL;
}

void known_release(struct swarm *s, const struct swarm_peer *p)
{
    struct addr at;
    struct known *k = pex_address(p, &at) ? known_find(&s->known, &at) : NULL;
    if (k == NULL || k->state != KNOWN_CONNECTED)
        return;
    if (p->incoming && peer_at(s, &at) != NULL && peer_at(s, &at) != p)
        return;                         // another one is there, too, or says so
    known_wake(&s->known);
    k->state = KNOWN_FREE;
    k->retry_at = s->now + (p->pointless ? KNOWN_POINTLESS_S : k->trusted ? KNOWN_TRUSTED_S : KNOWN_RETRY_S) * NSEC_S;
}

static void peer_free(struct swarm *s, struct swarm_peer *p)
{
    rx_abort_block(s, p);
    request_drop_all(s, p, false);
    rx_give_ahead(s, p);
    hashes_forget(s, p);
    limits_return(s, p);
    super_left(s, p);
    if (p->has_all)
        s->picker.seeds--;
    for (uint32_t i = 0; !p->has_all && p->has != NULL && i < s->meta->pieces_n; i++)
        if (bits_get(p->has, i))
            picker_dec(&s->picker, i);
    LIST_EACH(&s->partials, link, save) {
        struct piece *piece = CONTAINER(link, struct piece, link);
        if (piece->owner == p)
            piece->owner = NULL;
    }
    mem_free(s->mem, p->has, bits_bytes(s->meta->pieces_n) + 8);
    mem_free(s->mem, p->body, p->body_len);
    mem_free(s->mem, p->asked, p->asked_cap * sizeof *p->asked);
    mem_free(s->mem, p->cancels.items, p->cancels.cap * sizeof *p->cancels.items);
    mem_free(s->mem, p->again.items, p->again.cap * sizeof *p->again.items);
    mem_free(s->mem, p->rejects.items, p->rejects.cap * sizeof *p->rejects.items);
    mem_free(s->mem, p->queue, p->queue_cap * sizeof *p->queue);
    mem_free(s->mem, p->allowed, ALLOWED_FAST_K * sizeof *p->allowed);
    mem_free(s->mem, p->hash.queues, sizeof *p->hash.queues);
    pex_lost(s, p);
    list_remove(&p->link);
    list_remove(&p->ready);
    known_release(s, p);
    s->closing_n -= p->closing;
    s->unchoked_n -= !p->am_choking;
    s->unchoking_us_n -= !p->peer_choking;
    beat_leave(s, p);
    if (s->peers_n == 0)
        s->stats_now.down_bps = s->stats_now.up_bps = 0;    // no beat comes that would let them fade
    mem_free(s->mem, p, sizeof *p);
}

void swarm_free(struct swarm *s)
{
    if (s == NULL)
        return;
    ASSERT(s->jobs_busy == 0);
    LIST_EACH(&s->peers, link, save)
        peer_free(s, CONTAINER(link, struct swarm_peer, link));
    web_done(s);
    super_done(s);
    tap_leave(&s->up);
    tap_leave(&s->down);
    pieces_free(s);
    if (s->mover.slot != NULL)
        pool_give(s->cfg.pool, s->mover.slot);
    blame_done(s);
    map_done(&s->blames);
    known_done(&s->known);
    free_memory(s);
    picker_done(&s->picker);
    mem_free(s->mem, s, sizeof *s);
}

// Both ends may connect at once: the connection made by the greater peer id stays, on both sides the same one. False: `in`
// is the one that goes. Who comes from elsewhere and uses a name that is here may not put its owner out, nor be kept out
// by a thief of its name. Who has come, been silent and comes again has lost the first connection and cannot tell us.
static bool settle_double(struct swarm *s, const struct swarm_peer_new *in)
{
    const uint64_t name = beat_name(in->theirs.peer_id);
    for (uint32_t i = 0; i < s->peers_n; i++) {
        if (s->beats[i].name != name)
            continue;
        struct swarm_peer *p = s->beats[i].peer;
        if (p->closing || memcmp(p->peer_id, in->theirs.peer_id, PEER_ID_LEN) != 0)
            continue;
        if (p->addr.family == in->addr.family && !addr_same_ip(&p->addr, &in->addr))
            continue;
        const bool we_are_greater = memcmp(s->cfg.peer_id, in->theirs.peer_id, PEER_ID_LEN) > 0;
        const bool lost = p->incoming && in->incoming && s->now - p->rx_at >= SILENT_LOST_S * NSEC_S;
        if (lost && p->addr.family == in->addr.family) {
            rx_close(s, p, ERR_TIMEOUT);
            continue;
        }
        if (p->incoming == in->incoming || in->incoming == we_are_greater || p->addr.family != in->addr.family)
            return false;
        rx_close(s, p, ERR_EXISTS);
    }
    return true;
}

enum err swarm_peer_add(struct swarm *s, nsec now, const struct swarm_peer_new *in, struct swarm_peer **out)
{
    advance(s, now);
    if (!is_running(s))
        return ERR_AGAIN;
    if (is_banned(s, &in->addr))
        return ERR_ACCESS;
    if (memcmp(in->theirs.peer_id, s->cfg.peer_id, PEER_ID_LEN) == 0)
        return ERR_EXISTS;
    if (!settle_double(s, in))
        return ERR_EXISTS;
    if (s->peers_n - s->closing_n >= s->cfg.peers_max && !places_make(s, &in->addr))
        return ERR_FULL;
    struct swarm_peer *p = mem_zalloc(s->mem, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    *p = (struct swarm_peer){.conn = in->conn, .addr = in->addr, .incoming = in->incoming, .utp = in->utp, .fast = in->theirs.has_fast,
                             .dht = in->theirs.has_dht, .extended = in->theirs.has_extended, .am_choking = true, .peer_choking = true,
                             .choke_sent = true, .reqq = REQQ_DEFAULT, .out_high = OUT_START, .depth = DEPTH_MIN, .slow_start = true,
                             .joined_at = now, .choked_changed_at = now, .rx_at = now, .tx_at = now, .block_at = now};
    memcpy(p->peer_id, in->theirs.peer_id, PEER_ID_LEN);
    p->v2 = s->meta->has_v2 && memcmp(in->theirs.info_hash, s->meta->hash_v2, INFO_HASH_LEN) == 0;     // BEP 52; libtorrent sets no bit for v2 alone
    p->serial = ++s->serial;
    list_init(&p->link);
    list_init(&p->ready);
    if (s->segs == NULL)
        s->segs = mem_zarray(s->mem, IO_SEGS_MAX, sizeof *s->segs);
    if (s->segs == NULL || beat_join(s, p) != ERR_OK) {
        mem_free(s->mem, p, sizeof *p);
        return ERR_NOMEM;
    }
    list_push_back(&s->peers, &p->link);
    pex_met(s, p);
    if (in->begun) {                    // told that we have nothing: it hears of each piece, and now what metadata there is
        p->sent_first = true;
        p->ext.handshake_due = p->ext.taken_over = p->extended;
        p->ext.lost_pos = s->lost.n;
        serve_allowed_fast(s, p);
    }
    ready_set(s, p);
    *out = p;
    return ERR_OK;
}

void swarm_peer_closed(struct swarm *s, nsec now, struct swarm_peer *p)
{
    advance(s, now);
    const bool unchoked = !p->am_choking;
    peer_free(s, p);
    if (unchoked)
        choke_refill(s);
}

void swarm_sent(struct swarm *s, nsec now, struct swarm_peer *p, uint64_t len)
{
    advance(s, now);
    ASSERT(len <= p->out_pending);
    const bool was_full = !serve_is_low(p), was_stuck = tx_is_stuck(p);
    p->out_pending -= len;
    p->sent_bytes += len;
    if ((was_stuck && !tx_is_stuck(p)) || p->ext.parts_n != 0 || p->hash.wanted_n != 0)
        ready_set(s, p);
    if (!was_full || !serve_is_low(p))
        return;
    if (now - p->out_at < OUT_FAST_MS * NSEC_MS)
        p->out_high = u32_min(p->out_high * 2, OUT_MAX);
    if (p->queue_n != 0)
        ready_set(s, p);
}

void swarm_known_add(struct swarm *s, nsec now, const struct addr *a, bool trusted)
{
    advance(s, now);
    if (!is_banned(s, a))
        known_add(&s->known, a, trusted);
}

bool swarm_wants_peers(const struct swarm *s)
{
    return is_running(s) && s->state != SWARM_ERROR && s->peers_n < s->cfg.peers_max;
}

bool swarm_known_next(struct swarm *s, nsec now, struct addr *out)
{
    advance(s, now);
    const bool calm = s->peers_n >= s->cfg.peers_max / 4 * 3;
    struct known *k = NULL;
    if (!swarm_wants_peers(s) || (calm && now < s->calm_until))
        return false;
    do {
        if (!known_next(&s->known, now, out))
            return false;
        k = known_find(&s->known, out);
        if (peer_at(s, out) != NULL)
            k->state = KNOWN_CONNECTED; // it has come to us
    } while (k->state == KNOWN_CONNECTED);
    s->calm_until = now + CALM_S * NSEC_S;
    if (k->hidden)
        punch_ask(s, k);                // meanwhile the direct way opens our side
    return true;
}

bool swarm_known_take(struct swarm *s, nsec now, const struct addr *a)
{
    advance(s, now);
    return swarm_wants_peers(s) && peer_at(s, a) == NULL && known_take(&s->known, a);
}

void swarm_known_adopt(struct swarm *s, nsec now, const struct known *k)
{
    advance(s, now);
    if (!is_banned(s, &k->addr))
        known_adopt(&s->known, k);
}

void swarm_known_failed(struct swarm *s, nsec now, const struct addr *a)
{
    advance(s, now);
    struct known *k = known_find(&s->known, a);
    if (k != NULL)
        punch_ask(s, k);
    known_failed(&s->known, now, a);
}

void swarm_known_postponed(struct swarm *s, nsec now, const struct addr *a)
{
    advance(s, now);
    known_postponed(&s->known, now, a);
}

void swarm_known_connected(struct swarm *s, nsec now, const struct addr *a)
{
    advance(s, now);
    struct known *k = known_find(&s->known, a);
    if (k != NULL) {
        k->state = KNOWN_CONNECTED;
        k->fails = k->punches = 0;
    }
}

// Its time of seeding begins or ends.
static void count_seeding(struct swarm *s)
{
    const bool seeds = s->state == SWARM_SEEDING;
    if (seeds == (s->seeding_since != 0))
        return;
    s->past.seeded = swarm_seeded(s);
    s->seeding_since = seeds ? s->now : 0;
}

// Whether a wrong piece says something of this file: in v1 it also has bytes of neighbours, and one that is not there spoils it.
static bool is_told(const struct swarm *s, uint32_t file, uint32_t piece)
{
    const uint64_t from = (uint64_t)piece * s->meta->piece_len, to = from + metainfo_piece_len(s->meta, piece);
    for (uint32_t f = metainfo_file_at(s->meta, from); f < s->meta->files_n && s->meta->files[f].offset < to; f++) {
        uint32_t first, last;
        if (f != file && file_pieces(s, f, &first, &last) && (!s->stats[f].exists || s->stats[f].size < s->meta->files[f].len))
            return false;
    }
    return true;
}

// Files that were there, of which nothing is of the torrent.
static void count_differing(struct swarm *s)
{
    s->differ_n = 0;
    for (uint32_t f = 0; f < s->meta->files_n && !s->resumed && !s->cfg.trust && (s->meta->has_v1 || s->meta->has_v2); f++) {
        uint32_t first, last;
        if (s->priorities[f] == 0 || !s->stats[f].exists || s->stats[f].size == 0 || !file_pieces(s, f, &first, &last))
            continue;
        // Of three pieces or more one in the middle is of this file alone.
        const bool told = s->stats[f].size != s->meta->files[f].len || last - first >= 2 || is_told(s, f, first) || is_told(s, f, last);
        s->differ_n += told && s->file_left[f] == last - first + 1;
    }
}

// Ends checking, downloading and seeding as the facts say.
void state_update(struct swarm *s)
{
    const bool complete = s->picker.missing_n == 0 && s->moves_left == 0;
    const enum swarm_state whole = s->broken_n == 0 ? SWARM_SEEDING : SWARM_ERROR;
    switch (s->state) {
    case SWARM_CHECKING:
        if (!s->prepared || s->check_left != 0 || s->checks_busy != 0)
            return;
        s->checked = true;
        count_differing(s);
        event_push(s, &(struct event){.kind = SWARM_EVENT_CHECKED});
        s->state = complete ? whole : SWARM_DOWNLOADING;
        break;
    case SWARM_DOWNLOADING:
        if (complete)
            s->state = whole;
        break;
    case SWARM_SEEDING:
        if (complete && s->broken_n == 0)
            break;
        s->state = complete ? SWARM_ERROR : SWARM_DOWNLOADING;
        s->complete_told &= s->done_told;       // said once, but not before it is so
        LIST_EACH(&s->peers, link, save)
            interest_update(s, CONTAINER(link, struct swarm_peer, link));
        break;
    case SWARM_ERROR:
        if (s->error == ERR_OK && !complete)
            s->state = SWARM_DOWNLOADING;
        break;
    case SWARM_STOPPING:
    case SWARM_STOPPED: return;
    }
    if (s->state == SWARM_SEEDING && !s->complete_told) {
        s->complete_told = true;
        s->sync_due = s->unsynced_bytes != 0;
        event_push(s, &(struct event){.kind = SWARM_EVENT_COMPLETE});
        LIST_EACH(&s->peers, link, save) {
            struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
            interest_update(s, p);
            ready_set(s, p);            // it is told that we only upload (BEP 21)
            beat_wake(s, p);            // and left, if it has everything, too
        }
    }
    if (s->state == SWARM_SEEDING && !s->done_told && s->unsynced_bytes == 0 && !s->syncing) {
        if (!s->look_ok) {
            look_begin(s);
            return;
        }
        s->done_told = true;
        event_push(s, &(struct event){.kind = SWARM_EVENT_DONE});
    }
}

void swarm_tick(struct swarm *s, nsec now)
{
    advance(s, now);
    if (now < s->beat_at)
        return;
    s->beat_at = now + NSEC_S;
    beat_all(s);
    if (now >= s->round_at) {
        s->round_at = now + CHOKE_ROUND_S * NSEC_S;
        choke_round(s, false);
    } else {
        choke_beat(s);
    }
    storage_beat(s);
}

// How soon something must happen by itself.
static nsec deadline(struct swarm *s)
{
    if (s->state == SWARM_STOPPED)
        return NSEC_NEVER;
    const bool soon = s->peers_n != 0 || s->dirty || s->unsynced_bytes != 0 || s->error != ERR_OK || s->jobs_short || s->look_due;
    nsec at = soon ? s->beat_at : NSEC_NEVER;
    at = u64_min(at, web_deadline(s));
    at = u64_min(at, limits_deadline(s));
    return u64_max(at, s->now);
}

static bool poll_event(struct swarm *s, struct swarm_out *out)
{
    if (s->events_n == 0)
        return false;
    const struct event *e = &s->events[s->events_at];
    out->event = e->kind;
    out->file = e->file;
    out->err = e->err;
    out->addr = e->addr;
    out->seen = e->seen;
    s->events_at = (s->events_at + 1) % EVENTS_MAX;
    s->events_n--;
    return true;
}

static enum swarm_kind poll_peer(struct swarm *s, struct swarm_peer *p, struct buf *tx, struct swarm_out *out)
{
    out->conn = p->conn;
    if (p->closing) {
        out->err = p->close_err;
        const bool unchoked = !p->am_choking;
        peer_free(s, p);
        if (unchoked)
            choke_refill(s);
        return SWARM_CLOSE;
    }
    if (p->starved && !p->read_paused && (!tap_limited(&s->down) || p->grant != 0)) {
        p->starved = false;
        return SWARM_RESUME;            // stays ready: it may have to send as well
    }
    if (p->ready.next != &s->ready)
        peer_fetch(CONTAINER(p->ready.next, struct swarm_peer, ready));
    list_remove(&p->ready);
    return tx_compose(s, p, tx, out) ? SWARM_SEND : SWARM_IDLE;
}

enum swarm_kind swarm_poll(struct swarm *s, nsec now, struct buf *tx, struct swarm_out *out)
{
    advance(s, now);
    ASSERT(buf_room(tx) >= SWARM_TX_MIN);
    storage_work(s);
    state_update(s);
    count_seeding(s);
    if (poll_event(s, out))
        return SWARM_EVENT;
    if (s->refill) {
        s->refill = false;
        if (is_running(s))
            choke_round(s, true);
    }
    if (!list_empty(&s->jobs_new)) {
        struct job *j = CONTAINER(s->jobs_new.next, struct job, link);
        list_remove(&j->link);
        out->job = j->io;
        return SWARM_JOB;
    }
    enum swarm_kind web;
    if (web_poll(s, out, &web))
        return web;
    while (!list_empty(&s->ready) || limits_wake(s)) {
        const enum swarm_kind kind = poll_peer(s, CONTAINER(s->ready.next, struct swarm_peer, ready), tx, out);
        if (kind != SWARM_IDLE)
            return kind;
    }
    if (s->save_due && !s->saving && s->blob != NULL) {
        s->save_due = false;
        s->saving = true;
        out->bytes = slice_of(s->blob, s->blob_len);
        return SWARM_SAVE;
    }
    if (!list_empty(&s->jobs_new) || s->events_n != 0)
        return swarm_poll(s, now, tx, out);     // composing made new work; at most once more
    out->deadline = deadline(s);
    return SWARM_IDLE;
}

enum swarm_stir swarm_stir(const struct swarm *s)
{
    const bool stops = s->state == SWARM_STOPPING || s->state == SWARM_STOPPED;        // nothing that waits goes on
    if (!list_empty(&s->ready) || !list_empty(&s->jobs_new) || s->events_n != 0 || s->refill || (s->kick && !stops))
        return SWARM_STIRRED;
    // What is limited looks at its limit each time; what begins or ends has more to look at than an input may change.
    const bool runs = (s->state == SWARM_DOWNLOADING || s->state == SWARM_SEEDING) && s->check_left == 0;
    return !runs || s->web != NULL || tap_limited(&s->up) || tap_limited(&s->down) ? SWARM_MAYBE : SWARM_CALM;
}

void swarm_stop(struct swarm *s, nsec now)
{
    advance(s, now);
    if (s->state == SWARM_STOPPING || s->state == SWARM_STOPPED)
        return;
    s->state = SWARM_STOPPING;
    web_stop(s);
    LIST_EACH(&s->peers, link, save)
        rx_close(s, CONTAINER(link, struct swarm_peer, link), ERR_CANCELLED);
}

void swarm_known_retry(struct swarm *s) { known_retry(&s->known); }

void swarm_external(struct swarm *s, const struct addr *own) { known_own(&s->known, own); }

nsec swarm_now(const struct swarm *s) { return s->now; }

bool swarm_is_starting(const struct swarm *s)
{
    return s->state != SWARM_STOPPING && s->state != SWARM_STOPPED && !is_running(s);
}

nsec swarm_seeded(const struct swarm *s)
{
    return s->past.seeded + (s->seeding_since == 0 ? 0 : s->now - s->seeding_since);
}

void swarm_listen_port(struct swarm *s, uint16_t port) { s->cfg.listen_port = port; }

void swarm_stats(const struct swarm *s, struct swarm_stats *out)
{
    *out = s->stats_now;
    out->state = s->state;
    out->down_total = s->past.down_bytes + s->stats_now.down_bytes;
    out->up_total = s->past.up_bytes + s->stats_now.up_bytes;
    out->seeded = swarm_seeded(s);
    out->seeding = s->seeding_since != 0;
    out->error = s->error;
    out->error_file = s->error_file;
    out->done = s->done_told && s->state == SWARM_SEEDING;
    out->broken = s->broken_n;
    out->differ = s->differ_n;
    out->stuck = s->state == SWARM_ERROR && s->error == ERR_OK && s->broken_n != 0;
    for (uint32_t f = 0; out->stuck && f < s->meta->files_n && out->error == ERR_OK; f++) {
        out->error = (enum err)s->broken[f];
        out->error_file = f;
    }
    out->pieces_have = s->picker.had_n;
    out->pieces_checked = s->checked_n;
    out->peers = s->peers_n;
    out->known = s->known.map.n;
    out->banned = s->banned.n;
    out->left_bytes = out->wanted_bytes - out->done_bytes;
    web_stats(s, out);
    out->seeds = s->picker.seeds;
    out->unchoked_by = s->unchoking_us_n;
    out->unchoking = s->unchoked_n;
}

struct slice swarm_have(const struct swarm *s)
{
    return slice_of(s->have, bits_bytes(s->meta->pieces_n));
}

void swarm_check(const struct swarm *s)
{
    picker_check(&s->picker);
    ASSERT(bits_count(s->have, s->meta->pieces_n) == s->picker.had_n);
    uint32_t peers = 0, unchoked = 0, unchoking_us = 0, seeds = 0;
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next) {
        const struct swarm_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link);
        peers++;
        unchoked += !p->am_choking;
        unchoking_us += !p->peer_choking;
        seeds += p->has_all;
        ASSERT(s->beats[p->beat_i].peer == p);
        ASSERT(p->ahead_n <= p->asked_n);
        uint32_t has = p->has_all ? s->meta->pieces_n : 0, useful = 0;
        for (uint32_t i = 0; i < s->meta->pieces_n; i++) {
            const bool it_has = peer_has(p, i);
            has += !p->has_all && it_has;
            useful += it_has && picker_wants(&s->picker, i);
        }
        ASSERT(has == p->has_n);
        ASSERT(useful == p->useful_n);
    }
    ASSERT(peers == s->peers_n);
    ASSERT(unchoked == s->unchoked_n);
    ASSERT(unchoking_us == s->unchoking_us_n);
    ASSERT(seeds == s->picker.seeds);
    uint32_t partials = 0;
    for (const struct list *l = s->partials.next; l != &s->partials; l = l->next) {
        const struct piece *piece = CONTAINER((struct list *)(uintptr_t)l, struct piece, link);
        partials++;
        uint32_t free_n = 0, here_n = 0;
        for (uint32_t b = 0; b < piece->blocks_n; b++) {
            free_n += piece->blocks[b].state == BLOCK_FREE;
            here_n += piece->blocks[b].state == BLOCK_HERE;
        }
        ASSERT(free_n == piece->free_n);
        ASSERT(here_n == piece->here_n);
        ASSERT(s->picker.state[piece->index] == PICKER_OPEN);
    }
    ASSERT(partials == s->partials_n);
    web_check(s);
}

static void warm_lists(const struct swarm *s, const struct swarm_peer *p)
{
    prefetch(s->partials.next, 64);
    if (p->piece != NULL)
        prefetch(p->piece, sizeof *p->piece);
    if (p->asked != NULL)
        prefetch(asked_nth(p, 0), sizeof *p->asked);
    if (p->has != NULL)
        prefetch(p->has, 64);
    if (p->queue != NULL)
        prefetch(p->queue + p->queue_at, sizeof *p->queue);
}

void swarm_warm(const struct swarm *s, const struct swarm_peer *p, uint32_t step)
{
    if (step == 0) {
        prefetch(s, offsetof(struct swarm, sources));
        if (p != NULL) {
            prefetch(p, offsetof(struct swarm_peer, grant));
            prefetch(&p->block_at, offsetof(struct swarm_peer, rejects_row) - offsetof(struct swarm_peer, block_at));
        }
        return;
    }
    if (p == NULL && step == 1) {       // it may be a tick
        prefetch(s->beats, s->peers_n * sizeof *s->beats);
    } else if (p == NULL) {
        for (uint32_t i = 0; i < s->peers_n; i++)
            if (s->beats[i].at <= s->beat_at)
                peer_fetch(s->beats[i].peer);
    } else if (step == 1) {
        warm_lists(s, p);
    }
}
