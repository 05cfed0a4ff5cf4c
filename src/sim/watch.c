// What is wrong on the wire: see watch.h.
#include "sim/net.h"
#include "sim/stream.h"
#include "sim/watch.h"

#include "sim/world.h"

enum wire_id {
    WIRE_CHOKE, WIRE_UNCHOKE, WIRE_INTERESTED, WIRE_NOT_INTERESTED, WIRE_HAVE, WIRE_BITFIELD, WIRE_REQUEST, WIRE_PIECE, WIRE_CANCEL,
    WIRE_HAVE_ALL = 14, WIRE_HAVE_NONE = 15, WIRE_REJECT = 16, WIRE_ALLOWED = 17,
};

enum { BLOCK_MAX = 16384, MESSAGE_MAX = 1 << 24, HASH_AT = 28, NUMBERS_MAX = 12, OPTIMISTIC_SHARE = 8, SLOTS_MOST = 50, ROUND_SPREAD_MS = 500 };

// One message as the wire shows it.
struct message {
    uint32_t len;                       // after the length field
    uint8_t id;
    uint32_t a, b, c;                   // as far as it has numbers
    bool first;                         // after the handshake
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// The next message of n bytes at p, or none; *used: bytes consumed.
static bool wire_next(struct wire *x, const uint8_t *p, uint64_t n, uint64_t *used, struct message *out)
{
    *used = 0;
    while (*used < n && !x->lost) {
        if (x->skip != 0) {
            const uint64_t k = u64_min(x->skip, n - *used);
            x->skip -= k;
            *used += k;
            continue;
        }
        if (p == NULL) {
            x->lost = true;             // content where a header should be
            break;
        }
        const uint8_t byte = p[(*used)++];
        if (x->shaken < WATCH_HANDSHAKE) {
            if (x->shaken >= HASH_AT && x->shaken < HASH_AT + sizeof x->hash)
                x->hash[x->shaken - HASH_AT] = byte;
            x->shaken++;
            continue;
        }
        x->head[x->head_n++] = byte;
        const uint32_t len = x->head_n < 4 ? 0 : be32(x->head);
        if (x->head_n < 4 || (len != 0 && x->head_n < 5))
            continue;
        if (len > MESSAGE_MAX)
            x->lost = true;
        const bool many = x->head_n >= 5 && (x->head[4] == WIRE_BITFIELD || x->head[4] > WIRE_ALLOWED);
        const uint32_t want = len == 0 ? 4 : 4 + u32_min(len, many ? 1 : 1 + NUMBERS_MAX);
        if (x->head_n < want && !x->lost && !(x->head_n == 13 && x->head[4] == WIRE_PIECE))
            continue;
        *out = (struct message){.len = len, .id = len == 0 ? UINT8_MAX : x->head[4], .first = x->messages == 0};
        out->a = x->head_n >= 9 ? be32(x->head + 5) : 0;
        out->b = x->head_n >= 13 ? be32(x->head + 9) : 0;
        out->c = x->head_n >= 17 ? be32(x->head + 13) : 0;
        x->skip = len == 0 ? 0 : 4 + (uint64_t)len - x->head_n;
        x->head_n = 0;
        x->messages += len != 0;
        return !x->lost;
    }
    return false;
}

static struct watch *watch_of(struct world *w, struct conn *c)
{
    if (c->watch == NULL) {
        c->watch = mem_zalloc(w->env->mem, sizeof *c->watch);
        ASSERT(c->watch != NULL);
    }
    return c->watch;
}

static const struct metainfo *meta_of(const struct world *w, struct watch *x)
{
    for (uint32_t side = 0; side < 2 && x->torrent == 0; side++)
        for (uint32_t i = 0; i < w->torrents_n && x->side[side].said.shaken >= WATCH_HANDSHAKE; i++)
            if (memcmp(w->torrents[i].info_hash, x->side[side].said.hash, sizeof w->torrents[i].info_hash) == 0)
                x->torrent = i + 1;
    return x->torrent == 0 ? NULL : w->torrents[x->torrent - 1].meta;
}

static bool block_is_legal(const struct metainfo *m, uint32_t index, uint32_t begin, uint32_t len)
{
    if (index >= m->pieces_n || len == 0 || len > BLOCK_MAX)
        return false;
    const uint64_t piece = metainfo_piece_len(m, index);
    return begin < piece && len <= piece - begin;
}

static bool take_asked(struct watch_side *s, uint32_t index, uint32_t begin, uint32_t len)
{
    for (uint32_t i = 0; i < s->asked_n; i++) {
        const struct watch_block *b = &s->asked[i];
        if (b->index != index || b->begin != begin || b->len != len)
            continue;
        s->asked[i] = s->asked[--s->asked_n];
        return true;
    }
    return false;
}

static uint32_t slots_of(const struct host *h)
{
    const uint32_t slots = h->cfg.node.slots_max == 0 ? SLOTS_MOST : h->cfg.node.slots_max;
    return (slots + u32_max(1, slots / OPTIMISTIC_SHARE)) * u32_max(h->wants_n, 1);
}

// h tells a peer that it may ask, or may not any more.
static void said_choke(struct world *w, struct host *h, struct watch_side *mine, const struct watch_side *theirs, bool unchoke)
{
    if (mine->unchoked_said == unchoke)
        world_fail(w, "n%u says %s twice", h->index, unchoke ? "unchoke" : "choke");
    mine->unchoked_said = unchoke;
    h->unchoked_n += unchoke ? 1 : UINT32_MAX;          // + 1 or - 1
    if (h->unchoked_n > slots_of(h))
        world_fail(w, "n%u has unchoked %u peers, %u slots", h->index, h->unchoked_n, slots_of(h));
    if (unchoke) {
        mine->unchoked_at = w->now;
        return;
    }
    // Only a round takes a slot from a peer that wants it.
    if (!theirs->interested_heard || h->wants_n != 1)
        return;
    const nsec since = w->now - h->choked_at;
    if (h->choked_at != 0 && since > ROUND_SPREAD_MS * NSEC_MS && since < WATCH_ROUND_MIN)
        world_fail(w, "n%u chokes again after %llu ms", h->index, (unsigned long long)(since / NSEC_MS));
    if (since > ROUND_SPREAD_MS * NSEC_MS || h->choked_at == 0)
        h->choked_at = w->now;
}

static bool is_allowed(const struct watch_side *s, uint32_t index)
{
    for (uint32_t i = 0; i < s->allowed_n; i++)
        if (s->allowed[i] == index)
            return true;
    return false;
}

// A node says m on its side of the stream.
static void judge_said(struct world *w, struct host *h, struct watch *x, uint32_t side, const struct message *m)
{
    struct watch_side *mine = &x->side[side], *theirs = &x->side[1 - side];
    const struct metainfo *meta = meta_of(w, x);
    if (m->id == WIRE_CHOKE || m->id == WIRE_UNCHOKE)
        said_choke(w, h, mine, theirs, m->id == WIRE_UNCHOKE);
    if ((m->id == WIRE_BITFIELD || m->id == WIRE_HAVE_ALL || m->id == WIRE_HAVE_NONE) && !m->first)
        world_fail(w, "n%u sends a bitfield, but not first", h->index);
    if (meta == NULL)
        return;
    if (m->id == WIRE_BITFIELD && m->len != 1 + (meta->pieces_n + 7) / 8)
        world_fail(w, "n%u sends a bitfield of %u bytes", h->index, m->len - 1);
    if (m->id == WIRE_HAVE && m->a >= meta->pieces_n)
        world_fail(w, "n%u has piece %u of %u", h->index, m->a, meta->pieces_n);
    if (m->id == WIRE_REQUEST && !block_is_legal(meta, m->a, m->b, m->c))
        world_fail(w, "n%u asks for %u bytes at %u of piece %u", h->index, m->c, m->b, m->a);
    if (m->id == WIRE_REQUEST && !theirs->unchoked_heard && !is_allowed(theirs, m->a))
        world_fail(w, "n%u asks for piece %u while choked", h->index, m->a);
    if (m->id == WIRE_PIECE && (m->len < 9 || !take_asked(theirs, m->a, m->b, m->len - 9)))
        world_fail(w, "n%u sends %u bytes at %u of piece %u, which nobody asked for", h->index, m->len - 9, m->b, m->a);
    if (m->id == WIRE_REJECT)
        (void)take_asked(theirs, m->a, m->b, m->c);
}

// The other side has taken m, which this side said.
static void note_heard(struct world *w, struct watch_side *s, const struct message *m)
{
    if (m->id == WIRE_CHOKE || m->id == WIRE_UNCHOKE)
        s->unchoked_heard = m->id == WIRE_UNCHOKE;
    if (m->id == WIRE_INTERESTED || m->id == WIRE_NOT_INTERESTED)
        s->interested_heard = m->id == WIRE_INTERESTED;
    if (m->id == WIRE_ALLOWED && s->allowed_n < WATCH_ALLOWED_MAX)
        s->allowed[s->allowed_n++] = m->a;
    void *items = s->asked;
    if (m->id != WIRE_REQUEST ||
        mem_grow(w->env->mem, &items, &s->asked_cap, s->asked_n + 1, WATCH_ASKED_MAX, sizeof *s->asked) != ERR_OK)
        return;
    s->asked = items;
    s->asked[s->asked_n++] = (struct watch_block){m->a, m->b, m->c};
}

static bool is_watched(const struct world *w, const struct conn *c)
{
    return w->cfg.watch && c->ends[0].kind != END_FETCH && c->to.port != NET_TRACKER_PORT;
}

void watch_said(struct world *w, struct pipe *p, const struct part *part)
{
    if (!is_watched(w, p->conn))
        return;
    struct watch *x = watch_of(w, p->conn);
    const uint32_t side = p->id & 1;
    struct message m;
    for (uint64_t at = 0, used = 0; at < part->len; at += used) {
        const bool got = wire_next(&x->side[side].said, part->payload ? NULL : part->bytes + at, part->len - at, &used, &m);
        if (got && m.id < WORLD_MESSAGE_KINDS)
            w->messages[m.id]++;
        if (got && p->conn->ends[side].kind == END_NODE)
            judge_said(w, p->conn->ends[side].host, x, side, &m);
        if (used == 0)
            break;
    }
    if (x->side[side].said.lost && p->conn->ends[side].kind == END_NODE)
        world_fail(w, "n%u says what is no message", p->conn->ends[side].host->index);
}

void watch_heard(struct world *w, struct pipe *p, const struct part *part, uint64_t off, uint64_t n)
{
    if (!is_watched(w, p->conn))
        return;
    struct watch_side *s = &watch_of(w, p->conn)->side[p->id & 1];
    struct message m;
    for (uint64_t at = 0, used = 0; at < n; at += used) {
        if (wire_next(&s->heard, part->payload ? NULL : part->bytes + off + at, n - at, &used, &m))
            note_heard(w, s, &m);
        if (used == 0)
            break;
    }
}

void watch_gone(struct world *w, struct conn *c, uint32_t side)
{
    (void)w;
    if (c->watch == NULL || !c->watch->side[side].unchoked_said)
        return;
    c->watch->side[side].unchoked_said = false;
    if (c->ends[side].kind == END_NODE)
        c->ends[side].host->unchoked_n--;
}

void watch_free(struct world *w, struct conn *c)
{
    for (uint32_t i = 0; i < 2 && c->watch != NULL; i++)
        mem_free(w->env->mem, c->watch->side[i].asked, c->watch->side[i].asked_cap * sizeof *c->watch->side[i].asked);
    mem_free(w->env->mem, c->watch, sizeof *c->watch);
    c->watch = NULL;
}
