// What web seeds are asked for: gaps, claims, URLs. See webseed.h; BEP 19.
#include "engine/swarm/files.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/swarm_int.h"
#include "engine/swarm/webseed.h"

#include "base/bits.h"
#include "codec/path.h"
#include "codec/url.h"

struct run {
    uint32_t first, n;
};

const struct metainfo_file *web_file_at(const struct swarm *s, uint64_t at, uint64_t *end)
{
    const struct metainfo_file *f = &s->meta->files[metainfo_file_at(s->meta, at)];
    *end = f->offset + f->len;
    return f;
}

// Pads in the middle of a piece are on no server.
static bool has_inner_pad(const struct swarm *s, uint32_t index)
{
    const struct metainfo *m = s->meta;
    const uint64_t end = (uint64_t)index * m->piece_len + piece_data_len(s, index);
    for (uint64_t at = (uint64_t)index * m->piece_len; at < end;)
        if ((web_file_at(s, at, &at)->flags & FILE_PAD) != 0)
            return true;
    return false;
}

// Missing, asked of nobody, and to be had from a server.
static bool is_gap(const struct swarm *s, uint32_t i, bool unique)
{
    if (s->picker.state[i] != PICKER_MISSING || s->picker.priority[i] == 0)
        return false;
    if (unique && (s->picker.seeds != 0 || s->picker.avail[i] != 0))
        return false;
    return piece_data_len(s, i) != 0 && !(s->web->has_pads && has_inner_pad(s, i));
}

// The longest run of missing pieces, the first one in sequential mode or if `first`. unique: only pieces that no peer has.
static struct run find_gap(const struct swarm *s, bool first, bool unique)
{
    struct run best = {0};
    for (uint32_t i = 0; i < s->meta->pieces_n;) {
        uint32_t n = 0;
        while (i + n < s->meta->pieces_n && is_gap(s, i + n, unique))
            n++;
        if (n > best.n) {
            best = (struct run){i, n};
            if (first)
                break;
        }
        i += n + 1;
    }
    return best;
}

static void claim(struct swarm *s, struct web_conn *c, struct run r)
{
    ASSERT(r.n != 0);
    c->index = r.first;
    c->end = r.first + r.n;
    c->at = (uint64_t)c->index * s->meta->piece_len;
    for (uint32_t i = c->index; i < c->end; i++)
        if (s->picker.state[i] == PICKER_MISSING)
            picker_set_state(&s->picker, i, PICKER_OPEN);
    const struct piece *begun = piece_find(s, c->index);
    for (uint32_t b = 0; begun != NULL && b < begun->blocks_n && begun->blocks[b].state != BLOCK_FREE; b++)
        c->at += BLOCK_LEN;
}

void web_unclaim(struct swarm *s, struct web_conn *c, uint32_t from)
{
    for (uint32_t i = from; i < c->end; i++)
        if (s->picker.state[i] == PICKER_OPEN && s->partial_at[i] == 0) {
            picker_set_state(&s->picker, i, PICKER_MISSING);
            s->kick |= s->hungry;
        }
    c->end = u32_min(c->end, from);
}

static uint64_t claim_end(const struct swarm *s, const struct web_conn *c)
{
    ASSERT(c->end > c->index);
    return (uint64_t)(c->end - 1) * s->meta->piece_len + piece_data_len(s, c->end - 1);
}

void web_extend(struct swarm *s, struct web_conn *c)
{
    uint64_t file_end;
    for (; c->end < s->meta->pieces_n && is_gap(s, c->end, false); c->end++)
        picker_set_state(&s->picker, c->end, PICKER_OPEN);
    (void)web_file_at(s, c->at, &file_end);
    c->to = u64_min(file_end, claim_end(s, c));
}

// Bytes of c's claim behind the piece that it is at.
static uint64_t tail_bytes(const struct swarm *s, const struct web_conn *c)
{
    return c->source == NULL || c->end <= c->index + 1 ? 0 : (uint64_t)(c->end - c->index - 1) * s->meta->piece_len;
}

// Makes the far half of the longest claim missing again, if that is worth it.
static bool split(struct swarm *s)
{
    struct web_conn *most = NULL;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++) {
        struct web_conn *c = &s->web->conns[i];
        if (tail_bytes(s, c) >= WEB_SPLIT_MIN && tail_bytes(s, c) >= c->self.down_bps * WEB_SPLIT_S &&
            (most == NULL || tail_bytes(s, c) > tail_bytes(s, most)))
            most = c;
    }
    if (most == NULL)
        return false;
    web_unclaim(s, most, most->index + 1 + (most->end - most->index - 1) / 2);
    return true;
}

bool web_yield(struct swarm *s)
{
    return s->web != NULL && split(s);
}

static bool is_claimed(const struct swarm *s, uint32_t index)
{
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++) {
        const struct web_conn *c = &s->web->conns[i];
        if (c->source != NULL && c->index <= index && index < c->end)
            return true;
    }
    return false;
}

// A begun piece that waits for nobody: who began it has left. A transfer that has just been given it has not entered it yet.
static uint32_t find_orphan(const struct swarm *s)
{
    for (const struct list *l = s->partials.next; l != &s->partials; l = l->next) {
        const struct piece *p = CONTAINER((struct list *)(uintptr_t)l, struct piece, link);
        if (p->owner != NULL || p->failed || is_claimed(s, p->index) || p->free_n == 0 || (p->single && p->free_n != p->blocks_n))
            continue;
        if (!s->web->has_pads || !has_inner_pad(s, p->index))
            return p->index;
    }
    return UINT32_MAX;
}

// Pieces for one claim, out of the gap.
static uint32_t span_pieces(const struct swarm *s, const struct web_conn *c, uint32_t gap)
{
    if (c->source->whole_only)
        return gap;
    const uint64_t bytes = u64_min(u64_max(c->self.down_bps * WEB_SPAN_S, WEB_SPAN_MIN), WEB_SPAN_MAX);
    return (uint32_t)u64_min(gap, u64_div_up(bytes, s->meta->piece_len));
}

static bool find_work(struct swarm *s, struct web_conn *c)
{
    const bool first = s->cfg.sequential || c->source->whole_only;
    struct run gap = s->peers_n == 0 ? (struct run){0} : find_gap(s, first, true);
    if (gap.n == 0)
        gap = find_gap(s, first, false);
    if (gap.n == 0) {
        const uint32_t orphan = find_orphan(s);
        if (orphan != UINT32_MAX)
            gap = (struct run){orphan, 1};
        else if (!c->source->whole_only && split(s))
            gap = find_gap(s, first, false);
    }
    if (gap.n == 0)
        return false;
    gap.n = span_pieces(s, c, gap.n);
    claim(s, c, gap);
    return true;
}

static uint32_t host_conns(const struct web *web, struct slice host)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++)
        n += web->conns[i].source != NULL && slice_eq(web->conns[i].source->host, host);
    return n;
}

// In turn, the one with the fewest transfers.
static struct web_source *pick_source(const struct swarm *s)
{
    struct web *web = s->web;
    struct web_source *best = NULL;
    for (uint32_t k = 0; k < web->sources_n; k++) {
        struct web_source *x = &web->sources[(web->turn + k) % web->sources_n];
        if (x->banned || x->retry_at > s->now || x->conns_n >= x->conns_max || host_conns(web, x->host) >= WEB_PER_HOST_MAX)
            continue;
        if (best == NULL || x->conns_n < best->conns_n)
            best = x;
    }
    web->turn++;
    return best;
}

static void start(struct swarm *s, struct web_conn *c)
{
    c->source->conns_n++;
    c->self.serial = c->source->serial;
    c->self.is_source = true;           // it has no address to be remembered
    c->begin = true;
    c->entered = c->drop = c->starved = c->held = false;
    limits_return(s, &c->self);
    c->rx_at = s->now;
}

void web_assign(struct swarm *s)
{
    struct web *web = s->web;
    if (!web->due || web->stopped || s->state != SWARM_DOWNLOADING || s->error != ERR_OK || !s->prepared || s->picker.missing_n == 0)
        return;
    web->due = false;
    uint32_t busy = 0;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++)
        busy += web->conns[i].source != NULL;
    for (uint32_t i = 0; i < WEB_CONNS_MAX && busy < web->conns_max; i++) {
        struct web_conn *c = &web->conns[i];
        if (c->source != NULL || c->cancel)
            continue;
        c->source = pick_source(s);
        if (c->source == NULL)
            return;
        if (!find_work(s, c)) {
            c->source = NULL;
            return;
        }
        start(s, c);
        busy++;
    }
}

static bool write_url(const struct swarm *s, const struct web_source *source, const struct metainfo_file *f, struct wr *w)
{
    const struct slice url = source->url;
    const bool slash = url.p[url.n - 1] == '/';
    wr_bytes(w, url);
    const bool by_url = !s->meta->has_v1 && !s->meta->has_v2;
    if (by_url || (!slash && !s->meta->is_dir))
        return w->ok;                   // the URL of the file itself
    if (!slash)
        wr_u8(w, '/');
    struct slice path = f->path, part;
    for (bool more = path_next(&path, &part); more;) {
        url_encode(w, part);
        more = path_next(&path, &part);
        if (more)
            wr_u8(w, '/');
    }
    return w->ok;
}

bool web_request(struct swarm *s, struct web_conn *c, struct swarm_out *out)
{
    uint64_t file_end;
    const struct metainfo_file *f = web_file_at(s, c->at, &file_end);
    struct buf b = {s->web->text, 0, sizeof s->web->text};
    struct wr w = wr_make(&b);
    if (!write_url(s, c->source, f, &w))
        return false;
    c->to = u64_min(file_end, claim_end(s, c));
    ASSERT(c->to > c->at);
    c->from = c->at;
    c->skip = 0;
    c->head_ok = false;
    out->bytes = buf_slice(&b);
    out->fetch = (struct io_fetch){.ranged = !c->source->whole_only && f->len != 0, .off = c->at - f->offset, .len = c->to - c->at};
    return true;
}
