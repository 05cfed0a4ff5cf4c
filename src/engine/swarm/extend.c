// Messages of the extension protocol: handshakes, the info dictionary served in parts, pieces taken back, who only
// uploads. BEP 9, 10, 21, 54; peer exchange is in pex.c.
#include "engine/swarm/beat.h"
#include "engine/swarm/event.h"
#include "engine/swarm/extend.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/pex.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/punch.h"
#include "engine/swarm/request.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "codec/ut_metadata.h"

enum {
    METADATA_SHARE_S = 60,              // in so long a peer gets twice the info dictionary at most
    LOST_MAX = 4096,                    // pieces taken back (BEP 54)
};

enum { EXT_TX_MIN = EXTENDED_HANDSHAKE_MAX, DONTHAVE_MSG_LEN = 10, UPLOAD_ONLY_MSG_LEN = 7 };

static bool is_offered(const struct swarm *s, enum extension e)
{
    switch (e) {
    case EXT_DONTHAVE:
    case EXT_UPLOAD_ONLY: return true;
    case EXT_METADATA:                                  // trap 13: not to strangers, and a stranger is whom no tracker named
    case EXT_PEX: return !s->meta->is_private;          // BEP 27
    case EXT_HOLEPUNCH: return s->cfg.utp && !s->meta->is_private;
    case EXTENSIONS_N: break;
    }
    return false;
}

// An only seed that shows one piece at a time must not be left after that one (BEP 16 beside BEP 21).
static bool only_uploads(const struct swarm *s) { return s->picker.missing_n == 0 && s->super == NULL; }

void ext_write_handshake(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    struct extended_handshake h = {
        .has_reqq = true, .reqq = SWARM_REQQ, .has_listen_port = s->cfg.listen_port != 0, .listen_port = s->cfg.listen_port,
        .has_upload_only = true, .upload_only = only_uploads(s),
        .has_metadata_size = !s->meta->is_private && s->meta->info.n != 0, .metadata_size = s->meta->info.n,
        .client = SLICE_LIT("kith/0.1.0"), .your_ip = p->addr,
    };
    for (int e = 0; e < EXTENSIONS_N; e++) {
        h.has_id[e] = is_offered(s, (enum extension)e);
        h.ids[e] = extension_id((enum extension)e);
    }
    if (p->ext.taken_over && s->meta->is_private) {     // offered before we knew: taken back
        h.has_id[EXT_PEX] = true;
        h.ids[EXT_PEX] = 0;
    }
    extended_write(w, &h);
    p->ext.handshake_due = false;
    p->ext.upload_only_sent = h.upload_only;
}

static void on_handshake(struct swarm *s, struct swarm_peer *p, struct slice payload)
{
    struct extended_handshake h;
    if (extended_parse(&h, payload) != ERR_OK)
        return;                         // nothing was negotiated; a handshake that cannot be read is no reason to part
    for (int e = 0; e < EXTENSIONS_N; e++)
        if (h.has_id[e])
            p->ext.ids[e] = h.ids[e];   // it may come again: what it does not mention stays
    if (h.has_reqq && h.reqq > 0)
        p->reqq = u32_min(h.reqq, ASKED_MAX);
    if (h.has_upload_only)
        p->upload_only = h.upload_only || p->has_all;
    if (h.your_ip.family != ADDR_NONE && !p->ext.seen_told) {
        p->ext.seen_told = true;
        event_push(s, &(struct event){.kind = SWARM_EVENT_SEEN_AS, .addr = p->addr, .seen = h.your_ip});
    }
    if (!h.has_listen_port || h.listen_port == p->ext.listen_port)
        return;
    if (p->incoming) {
        pex_lost(s, p);
        known_release(s, p);
    }
    p->ext.listen_port = h.listen_port;
    pex_met(s, p);
}

// A part it may have: queued. Over its share, or of what there is not: refused, which BEP 9 answers too.
static void on_metadata(struct swarm *s, struct swarm_peer *p, struct slice payload)
{
    struct ut_metadata m;
    struct peer_ext *x = &p->ext;
    if (ut_metadata_parse(&m, payload) != ERR_OK || m.type != UT_METADATA_REQUEST || x->ids[EXT_METADATA] == 0)
        return;
    const uint64_t total = s->meta->info.n;
    if (s->now >= x->metadata_at) {
        x->metadata_at = s->now + METADATA_SHARE_S * NSEC_S;
        x->metadata_left = 2 * total + UT_METADATA_PART;
    }
    const uint64_t off = (uint64_t)m.part * UT_METADATA_PART;
    const uint64_t len = off < total ? u64_min(total - off, UT_METADATA_PART) : 0;
    const bool refused = len == 0 || s->meta->is_private || x->parts_n == METADATA_QUEUE_MAX || len > x->metadata_left;
    if (!refused) {
        x->metadata_left -= len;
        x->parts[x->parts_n++] = m.part;
    } else if (x->refused_n < METADATA_QUEUE_MAX) {
        x->refused[x->refused_n++] = m.part;
    }
}

// BEP 54: what it said it has, it has no longer. Taken although we may not have offered it (trap 16).
static void on_donthave(struct swarm *s, struct swarm_peer *p, struct slice payload)
{
    struct rd r = rd_make(payload);
    const uint32_t index = rd_be32(&r), n = s->meta->pieces_n;
    if (!r.ok || index >= n || !peer_has(p, index))
        return;
    if (p->has_all) {                   // from now on its pieces are counted one by one
        p->has = mem_zalloc(s->mem, bits_bytes(n) + 8);
        if (p->has == NULL) {
            rx_close(s, p, ERR_NOMEM);
            return;
        }
        p->has_all = p->upload_only = false;
        p->took_back = true;
        s->picker.seeds--;
        for (uint32_t i = 0; i < n; i++) {
            bits_set(p->has, i);
            picker_inc(&s->picker, i);
        }
    }
    bits_clear(p->has, index);
    p->has_n--;
    picker_dec(&s->picker, index);
    if (picker_wants(&s->picker, index))
        p->useful_n--;
    interest_update(s, p);
    have_tell_again(s, p, index);
}

void ext_handle(struct swarm *s, struct swarm_peer *p, uint8_t id, struct slice payload)
{
    if (id == 0) {
        on_handshake(s, p, payload);
        return;
    }
    if (id > EXTENSIONS_N)
        return;
    switch ((enum extension)(id - 1)) {
    case EXT_DONTHAVE: on_donthave(s, p, payload); break;
    case EXT_UPLOAD_ONLY:
        p->upload_only = p->has_all || (payload.n != 0 && payload.p[0] != 0);
        beat_wake(s, p);                // it may have become pointless
        break;
    case EXT_METADATA: on_metadata(s, p, payload); break;
    case EXT_PEX: pex_handle(s, p, payload); break;
    case EXT_HOLEPUNCH:
        if (is_offered(s, EXT_HOLEPUNCH))
            punch_handle(s, p, payload);
        break;
    case EXTENSIONS_N: break;
    }
}

void ext_lost(struct swarm *s, uint32_t index)
{
    void *items = s->lost.items;
    if (mem_grow(s->mem, &items, &s->lost.cap, s->lost.n + 1, LOST_MAX, sizeof *s->lost.items) != ERR_OK)
        return;                         // whoever asks for it is rejected
    s->lost.items = items;
    s->lost.items[s->lost.n++] = index;
    LIST_EACH(&s->peers, link, save)
        ready_set(s, CONTAINER(link, struct swarm_peer, link));
}

static bool part_may_go(const struct swarm_peer *p) { return p->ext.parts_n != 0 && p->out_pending < OUT_MIN; }

static bool upload_only_due(const struct swarm *s, const struct swarm_peer *p)
{
    return p->extended && p->sent_first && p->ext.upload_only_sent != only_uploads(s);
}

bool ext_pending(const struct swarm *s, const struct swarm_peer *p)
{
    return p->ext.handshake_due || p->ext.refused_n != 0 || p->pex.due || punch_pending(p) || part_may_go(p) || upload_only_due(s, p) ||
           (p->ext.ids[EXT_DONTHAVE] != 0 && p->ext.lost_pos < s->lost.n);
}

static void compose_upload_only(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    if (p->ext.ids[EXT_UPLOAD_ONLY] == 0) {
        p->ext.handshake_due = true;    // BEP 21 knows it only there
        return;
    }
    const uint8_t value = only_uploads(s);
    peer_msg_write(w, &(struct peer_msg){.id = MSG_EXTENDED, .extended_id = p->ext.ids[EXT_UPLOAD_ONLY], .payload = slice_of(&value, 1)});
    p->ext.upload_only_sent = value != 0;
}

static void compose_donthaves(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    for (; p->ext.lost_pos < s->lost.n && buf_room(w->b) >= EXT_TX_MIN; p->ext.lost_pos++) {
        const uint32_t index = s->lost.items[p->ext.lost_pos];
        if (p->ext.ids[EXT_DONTHAVE] == 0 || bits_get(s->have, index))
            continue;                   // fetched again before it was told
        uint8_t bytes[4];
        struct buf b = {bytes, 0, sizeof bytes};
        struct wr be = wr_make(&b);
        wr_be32(&be, index);
        peer_msg_write(w, &(struct peer_msg){.id = MSG_EXTENDED, .extended_id = p->ext.ids[EXT_DONTHAVE], .payload = buf_slice(&b)});
    }
}

static void compose_refusals(struct swarm_peer *p, struct wr *w)
{
    struct peer_ext *x = &p->ext;
    for (uint32_t i = 0; i < x->refused_n; i++)
        ut_metadata_write(w, x->ids[EXT_METADATA], &(struct ut_metadata){.type = UT_METADATA_REJECT, .part = x->refused[i]});
    x->refused_n = 0;
}

// The small messages, into tx; the caller makes a segment of them.
void ext_compose(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    if (!p->extended || buf_room(w->b) < 2 * EXT_TX_MIN + METADATA_QUEUE_MAX * UT_METADATA_HEAD_MAX + PUNCH_QUEUE_MAX * UT_HOLEPUNCH_MESSAGE_MAX)
        return;
    if (upload_only_due(s, p))
        compose_upload_only(s, p, w);
    if (p->ext.handshake_due)
        ext_write_handshake(s, p, w);
    compose_refusals(p, w);
    compose_donthaves(s, p, w);
    punch_compose(p, w);
    pex_compose(s, p, w);
}

// Parts of the info dictionary, into s->segs from n on, while little waits at the host. They pay for the uplink as
// content does.
uint32_t ext_compose_metadata(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t n, uint64_t *bytes)
{
    struct peer_ext *x = &p->ext;
    uint32_t done = 0;
    for (; done < x->parts_n && p->out_pending + *bytes < OUT_MIN && n + 2 <= IO_SEGS_MAX && buf_room(w->b) >= UT_METADATA_HEAD_MAX; done++) {
        const size_t at = w->b->n;
        const struct slice data = slice_sub(s->meta->info, (size_t)x->parts[done] * UT_METADATA_PART, UT_METADATA_PART);
        const struct ut_metadata m = {.type = UT_METADATA_DATA, .part = x->parts[done], .total = s->meta->info.n, .data = data};
        ut_metadata_write(w, x->ids[EXT_METADATA], &m);
        s->segs[n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(w->b->p + at, w->b->n - at)};
        s->segs[n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = data};
        *bytes += w->b->n - at + data.n;
        tap_charge(&s->up, s->now, data.n);
    }
    x->parts_n -= done;
    memmove(x->parts, x->parts + done, x->parts_n * sizeof x->parts[0]);
    return n;
}
