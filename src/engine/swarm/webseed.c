// Transfers of web seeds: answers judged, bytes put where they belong, failures. See webseed.h.
#include "engine/swarm/files.h"
#include "engine/swarm/limits.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/request.h"
#include "engine/swarm/swarm_int.h"
#include "engine/swarm/webseed.h"

#include "base/bits.h"
#include "codec/url.h"

enum err web_init(struct swarm *s)
{
    const struct metainfo *m = s->meta;
    if (m->web_seeds_n == 0)
        return ERR_OK;
    struct web *web = mem_zalloc(s->mem, sizeof *web);
    if (web == NULL)
        return ERR_NOMEM;
    s->web = web;
    web->conns_max = WEB_CONNS_MAX;
    web->due = true;
    for (uint32_t i = 0; i < m->web_seeds_n && web->sources_n < WEB_SOURCES_MAX; i++) {
        struct url u;
        const struct slice url = m->web_seeds[i].url;
        if (url.n >= WEB_URL_MAX || url_parse(url, &u) != ERR_OK ||
            !(url_is(&u, "http") || url_is(&u, "https") || url_is(&u, "ftp") || url_is(&u, "ftps")))
            continue;
        bool twice = false;
        for (uint32_t k = 0; k < web->sources_n; k++)
            twice |= slice_eq(web->sources[k].url, url);
        if (!twice && url.n != 0)
            web->sources[web->sources_n++] = (struct web_source){.url = url, .host = u.host, .serial = ++s->serial, .conns_max = WEB_PER_HOST_MAX};
    }
    for (uint32_t i = 0; i < m->files_n; i++)
        web->has_pads |= (m->files[i].flags & FILE_PAD) != 0;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++) {
        list_init(&web->conns[i].self.link);
        list_init(&web->conns[i].self.ready);
    }
    return ERR_OK;
}

static uint32_t conn_id(const struct web *web, const struct web_conn *c)
{
    return (uint32_t)(c - web->conns) + 1;
}

static void report(struct web *web, struct web_source *x, enum err e, const char *why)
{
    if (web->events_n == ARRAY_LEN(web->events) || (x->told && !x->banned))
        return;
    x->told = true;
    web->events[web->events_n].url = x->url;
    web->events[web->events_n].why = why;
    web->events[web->events_n++].err = e;
}

// ---- one piece of a transfer

static void give_slot(struct swarm *s, struct web_conn *c)
{
    if (c->slot == NULL)
        return;
    pool_give(s->cfg.pool, c->slot);
    c->slot = NULL;
}

// The transfer has nothing more to do with the piece that it is in; blocks that it owes are free again.
static void leave(struct swarm *s, struct web_conn *c)
{
    give_slot(s, c);
    for (; c->reserved != 0; c->reserved--)
        pool_unreserve(s->cfg.pool);
    struct piece *p = c->entered && c->mine != NULL ? piece_find(s, c->index) : NULL;
    for (uint32_t b = 0; p != NULL && b < p->blocks_n; b++)
        if (bits_get(c->mine, b))
            request_unask(s, &(struct asked){.piece = c->index, .begin = b * BLOCK_LEN});
    if (p != NULL && p->owner == &c->self)
        p->owner = NULL;
    c->self.piece = NULL;
    mem_free(s->mem, c->mine, c->mine_len);
    c->mine = NULL;
    c->mine_len = 0;
    c->entered = c->drop = false;
}

void web_piece_gone(struct swarm *s, const struct piece *p)
{
    for (uint32_t i = 0; s->web != NULL && i < WEB_CONNS_MAX; i++) {
        struct web_conn *c = &s->web->conns[i];
        c->held = false;
        if (c->source == NULL || !c->entered || c->index != p->index)
            continue;
        mem_free(s->mem, c->mine, c->mine_len);     // nothing is owed to it any more: the rest of its bytes goes nowhere
        c->mine = NULL;
        c->mine_len = 0;
        c->drop = true;
    }
}

// Begins the piece at c->index: takes every block of it that nobody is asked for. False: no memory now.
static bool enter(struct swarm *s, struct web_conn *c)
{
    c->drop = bits_get(s->have, c->index);
    struct piece *p = piece_find(s, c->index);
    if (p == NULL && !c->drop)
        p = piece_open(s, c->index);
    if (p == NULL && !c->drop)
        return false;
    c->drop |= p == NULL || p->failed || (p->single && p->free_n != p->blocks_n);
    c->entered = true;
    if (c->drop)
        return true;
    c->mine_len = (uint32_t)bits_bytes(p->blocks_n);
    c->mine = mem_zalloc(s->mem, c->mine_len);
    if (c->mine == NULL) {
        c->mine_len = 0;
        c->entered = false;
        return false;
    }
    for (uint32_t b = 0; b < p->blocks_n; b++) {
        if (p->blocks[b].state != BLOCK_FREE)
            continue;
        p->blocks[b].state = BLOCK_ASKED;
        p->blocks[b].asks++;
        p->blocks[b].source = c->self.serial;
        p->free_n--;
        bits_set(c->mine, b);
    }
    if (p->owner == NULL) {
        p->owner = &c->self;
        c->self.piece = p;
    }
    return true;
}

static bool is_mine(const struct web_conn *c, uint32_t block)
{
    return !c->drop && c->mine != NULL && bits_get(c->mine, block);
}

// Slots for what comes, all together: a piece that is begun can be finished, the pool may be as full as it likes.
static bool reserve(struct swarm *s, struct web_conn *c, uint32_t block)
{
    uint32_t want = 0;
    for (uint32_t b = block; b < c->mine_len * 8 && want < WEB_SLOTS_AHEAD; b++)
        want += is_mine(c, b);
    while (c->reserved < want && pool_reserve(s->cfg.pool))
        c->reserved++;
    if (c->reserved == want)
        return true;
    for (; c->reserved != 0; c->reserved--)
        pool_unreserve(s->cfg.pool);
    return false;
}

// ---- ends

static void idle(struct swarm *s, struct web_conn *c)
{
    leave(s, c);
    web_unclaim(s, c, c->index);
    if (c->fetching)
        c->cancel = true;
    c->source->conns_n--;
    c->source = NULL;
    c->begin = false;
    s->web->due = true;
}

// The claim's next file, or its end.
static void next_request(struct swarm *s, struct web_conn *c)
{
    if (c->index >= c->end) {
        idle(s, c);
        return;
    }
    if (c->fetching)
        c->cancel = true;
    c->begin = true;
}

static void fail(struct swarm *s, struct web_conn *c, enum err e, const char *why, uint32_t wait_s)
{
    struct web_source *x = c->source;
    const bool others = x->conns_n > 1 && c->at == c->from;
    if (c->at > c->from)
        x->fails = 0;                   // it brought something
    if (others)
        x->conns_max = u32_max(x->conns_n - 1, 1);      // it serves so many and no more: go on with those
    const uint32_t back_off = u32_min((uint32_t)WEB_RETRY_S << u32_min(x->fails, 9), WEB_RETRY_MAX_S);
    if (!others)
        x->fails++;
    x->retry_at = s->now + u32_max(wait_s, back_off) * NSEC_S;
    log_line(s->env->log, LOG_DEBUG, "web seed %.*s: %s", (int)x->url.n, (const char *)x->url.p, why);
    if (x->fails > 1 || wait_s != 0)
        report(s->web, x, e, why);
    idle(s, c);
}

bool web_ban(struct swarm *s, uint32_t serial)
{
    for (uint32_t i = 0; s->web != NULL && i < s->web->sources_n; i++) {
        struct web_source *x = &s->web->sources[i];
        if (x->serial != serial)
            continue;
        if (!x->banned) {
            x->banned = true;
            report(s->web, x, ERR_HASH, "it sent bad data");
        }
        for (uint32_t k = 0; k < WEB_CONNS_MAX; k++)
            if (s->web->conns[k].source == x)
                idle(s, &s->web->conns[k]);
        return true;
    }
    return false;
}

// Its file is another one, or none: no use asking again.
static void give_up(struct swarm *s, struct web_conn *c, enum err e, const char *why)
{
    struct web_source *x = c->source;
    x->banned = true;
    report(s->web, x, e, why);
    idle(s, c);
    for (uint32_t k = 0; k < WEB_CONNS_MAX; k++)
        if (s->web->conns[k].source == x)
            idle(s, &s->web->conns[k]);
}

// ---- the answer

static struct web_conn *conn_of(struct swarm *s, nsec now, uint32_t id)
{
    ASSERT(now >= s->now);
    s->now = now;
    ASSERT(s->web != NULL);
    ASSERT(id >= 1);
    ASSERT(id <= WEB_CONNS_MAX);
    return &s->web->conns[id - 1];
}

static void status_failed(struct swarm *s, struct web_conn *c, int status, const struct http_head *h)
{
    const uint32_t wait = u32_min(h->retry_after_s, WEB_RETRY_MAX_S);
    if (status == 404 || status == 410 || status == 416)
        fail(s, c, ERR_NOT_FOUND, status == 416 ? "it has not that range" : "it has not that file", WEB_RETRY_MAX_S);
    else if (status == 401 || status == 403)
        fail(s, c, ERR_ACCESS, "it refuses", WEB_RETRY_MAX_S);
    else
        fail(s, c, ERR_AGAIN, status == 503 || status == 429 ? "it is busy" : "it answers with an error", wait);
}

// The server sends all of the file.
static void head_whole(struct swarm *s, struct web_conn *c, const struct http_head *h, const struct metainfo_file *f)
{
    const uint64_t off = c->at - f->offset;
    if (h->encoded || (h->len != HTTP_LEN_UNKNOWN && h->len != f->len)) {
        give_up(s, c, ERR_RANGE, "its file has another size");
        return;
    }
    const bool asked_whole = off == 0 && c->to - c->at == f->len;
    if (!asked_whole && !c->source->whole_only) {
        c->source->whole_only = true;
        c->source->conns_max = 1;
        for (uint32_t k = 0; k < WEB_CONNS_MAX; k++)
            if (s->web->conns[k].source == c->source && &s->web->conns[k] != c)
                idle(s, &s->web->conns[k]);
        if (off > WEB_SKIP_MAX) {
            idle(s, c);                 // from the start of what is missing
            return;
        }
        web_extend(s, c);
    }
    c->skip = off;
    c->head_ok = true;
}

static void head_range(struct swarm *s, struct web_conn *c, const struct http_head *h, const struct metainfo_file *f)
{
    const uint64_t off = c->at - f->offset, end = off + (c->to - c->at);
    if (h->encoded || (h->total != HTTP_LEN_UNKNOWN && h->total != f->len)) {
        give_up(s, c, ERR_RANGE, "its file has another size");
        return;
    }
    if (!h->has_range || h->first > off || off - h->first > WEB_SKIP_MAX || h->last < off) {
        fail(s, c, ERR_PROTOCOL, "it sends another range than was asked for", 0);
        return;
    }
    c->skip = off - h->first;
    c->to = u64_min(c->to, c->at + (u64_min(h->last + 1, end) - off));
    c->head_ok = true;
}

// Without hashes nothing else tells that a file was replaced while it is fetched.
static bool has_changed(const struct swarm *s, const struct web_conn *c, const struct http_head *h)
{
    const struct slice mark = h->etag.n != 0 ? h->etag : h->modified;
    uint8_t digest[SHA1_LEN];
    if (s->meta->has_v1 || s->meta->has_v2 || mark.n == 0)
        return false;
    sha1_of(mark, digest);
    if (c->source->marked)
        return memcmp(c->source->mark, digest, sizeof digest) != 0;
    c->source->marked = true;
    memcpy(c->source->mark, digest, sizeof digest);
    return false;
}

void swarm_fetch_head(struct swarm *s, nsec now, uint32_t id, int status, struct slice lines)
{
    struct web_conn *c = conn_of(s, now, id);
    struct http_head h;
    uint64_t end;
    if (c->source == NULL || !c->fetching || c->cancel || c->begin)
        return;
    http_head_parse(lines, &h);
    c->rx_at = now;
    const struct metainfo_file *f = web_file_at(s, c->at, &end);
    if ((status == 206 || status == 200) && has_changed(s, c, &h)) {
        give_up(s, c, ERR_RANGE, "the file has changed there");
        return;
    }
    if (status == 206)
        head_range(s, c, &h, f);
    else if (status == 200)
        head_whole(s, c, &h, f);
    else
        status_failed(s, c, status, &h);
}

// Bytes come that nobody wants: what is left of an answer whose end has not been said yet.
static bool is_over(const struct web_conn *c)
{
    return c->source == NULL || c->cancel || c->begin || !c->head_ok || c->at >= c->to;
}

static bool room_is_open(const struct swarm *s)
{
    return s->error == ERR_OK && s->state == SWARM_DOWNLOADING;
}

// What the limit allows it to bring; peers that wait have their turns, too.
static bool has_grant(struct swarm *s, struct web_conn *c)
{
    if (!tap_limited(&s->down) || c->self.grant != 0)
        return true;
    if (!s->web_turn && limits_rx_waits(s))
        return false;
    c->self.grant = tap_take(&s->down, s->now, POOL_STAGING_LEN);
    s->web_turn = false;
    return c->self.grant != 0;
}

// Others' slots have to come back first.
static bool pool_is_short(const struct swarm *s, const struct web_conn *c)
{
    return c->reserved == 0 && s->cfg.pool->reserved + s->cfg.pool->taken + WEB_SLOTS_AHEAD > s->cfg.pool->slots_max;
}

void swarm_fetch_room(struct swarm *s, nsec now, uint32_t id, struct span *out)
{
    struct web_conn *c = conn_of(s, now, id);
    uint8_t *staging = pool_staging(s->cfg.pool, POOL_STAGING_LEN / 2);
    *out = (struct span){staging, staging == NULL ? 0 : POOL_STAGING_LEN / 2};
    c->starved = staging == NULL;
    if (is_over(c))
        return;
    c->starved |= !room_is_open(s) || !has_grant(s, c);
    const uint64_t most = tap_limited(&s->down) ? c->self.grant : POOL_STAGING_LEN;
    if (!c->starved && c->skip != 0) {
        out->n = (size_t)u64_min(c->skip, u64_min(out->n, most));
        return;
    }
    if (!c->starved && !c->entered)
        c->starved = c->held = !enter(s, c);            // too many pieces are begun, or there is no memory
    const uint64_t start = (uint64_t)c->index * s->meta->piece_len, in = c->at - start;
    const uint32_t block = (uint32_t)(in / BLOCK_LEN), off = (uint32_t)(in % BLOCK_LEN);
    const uint64_t block_end = u64_min(u64_min(c->at - off + BLOCK_LEN, start + piece_data_len(s, c->index)), c->to);
    const bool wanted = !c->starved && is_mine(c, block) && (off == 0 || c->slot != NULL);
    if (wanted && c->slot == NULL) {
        if (c->reserved == 0 && !reserve(s, c, block))
            c->starved = true;
        else if ((c->slot = pool_take(s->cfg.pool)) == NULL)
            c->starved = true;
        else
            c->reserved--;
        c->held = c->starved && !pool_is_short(s, c);
    }
    if (c->starved)
        *out = (struct span){0};
    else if (wanted)
        *out = (struct span){c->slot + off, (size_t)u64_min(block_end - c->at, most)};
    else
        out->n = (size_t)u64_min(u64_min(out->n, most), block_end - c->at);
}

// The block that ends at c->at is complete.
static void block_done(struct swarm *s, struct web_conn *c, uint32_t block)
{
    uint8_t *slot = c->slot;
    c->slot = NULL;
    bits_clear(c->mine, block);
    struct piece *p = piece_find(s, c->index);
    ASSERT(p != NULL);
    struct block *b = &p->blocks[block];
    if (b->asks != 0)
        b->asks--;
    if (b->state == BLOCK_HERE || p->failed) {
        s->stats_now.waste_bytes += block_len(p, block);
        pool_give(s->cfg.pool, slot);
        return;
    }
    if (b->asks != 0)
        request_cancel_others(s, c->index, block, &c->self);
    piece_block_here(s, p, block, slot, &c->self);
}

static void take(struct swarm *s, struct web_conn *c, size_t len)
{
    const uint64_t start = (uint64_t)c->index * s->meta->piece_len, data_end = start + piece_data_len(s, c->index);
    const uint32_t block = (uint32_t)((c->at - start) / BLOCK_LEN);
    c->at += len;
    c->self.down_bytes += len;
    s->stats_now.down_bytes += len;
    s->stats_now.web_bytes += len;
    if (c->slot == NULL)
        s->stats_now.waste_bytes += len;
    if (c->slot != NULL && (c->at == data_end || (c->at - start) % BLOCK_LEN == 0)) {
        if (is_mine(c, block))
            block_done(s, c, block);
        else
            give_slot(s, c);            // the piece went while its last bytes came
    }
    if (c->at != data_end)
        return;
    leave(s, c);
    c->index++;
    c->at = start + s->meta->piece_len;
}

bool swarm_fetch_rx(struct swarm *s, nsec now, uint32_t id, size_t len)
{
    struct web_conn *c = conn_of(s, now, id);
    if (is_over(c)) {
        if (c->source != NULL && !c->cancel && !c->begin && c->head_ok)
            next_request(s, c);         // it sends more than was asked for: not waited for
        return c->cancel;
    }
    c->rx_at = now;
    limits_rx(s, &c->self, u32_of(len));
    if (c->skip != 0) {
        ASSERT(len <= c->skip);
        c->skip -= len;
        s->stats_now.down_bytes += len;
        s->stats_now.web_bytes += len;
        s->stats_now.waste_bytes += len;
        return false;
    }
    take(s, c, len);
    if (c->index >= c->end && c->at < c->to)
        idle(s, c);                     // the claim was cut: the rest of the answer is not waited for
    return c->cancel || !list_empty(&s->jobs_new) || !list_empty(&s->ready);
}

void swarm_fetched(struct swarm *s, nsec now, uint32_t id, enum err e, int status)
{
    struct web_conn *c = conn_of(s, now, id);
    c->fetching = c->cancel = false;
    if (c->source == NULL) {
        s->web->due = true;
        return;
    }
    if (c->begin)
        return;                         // the next request waits for this moment
    if (c->head_ok && c->skip == 0 && (c->at >= c->to || c->index >= c->end)) {
        c->source->fails = 0;
        c->source->told = false;
        next_request(s, c);
        return;
    }
    if (e == ERR_OK && status >= 400)
        fail(s, c, ERR_AGAIN, "it answers with an error", 0);
    else
        fail(s, c, e == ERR_OK ? ERR_CLOSED : e, e == ERR_OK ? "it sent less than it said" : err_text(e), 0);
}

// ---- its part of the swarm's doors

static uint32_t conns_wanted(const struct swarm *s, uint64_t peers_bps)
{
    const struct web *web = s->web;
    const uint64_t limit = tap_bps(&s->down);
    if (s->peers_n == 0 || peers_bps == 0)
        return WEB_CONNS_MAX;
    if (limit != 0 && peers_bps >= limit / 10 * 9)
        return 0;
    if (web->best_bps == 0 || peers_bps <= web->best_bps)
        return WEB_CONNS_MAX;
    if (peers_bps <= web->best_bps * WEB_ENOUGH)
        return 1;
    return picker_rarest(&s->picker) == 0 ? 1 : 0;      // some piece is only here
}

void web_beat(struct swarm *s)
{
    struct web *web = s->web;
    if (web == NULL)
        return;
    uint64_t bps = 0, peers_bps = 0;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++) {
        struct web_conn *c = &web->conns[i];
        c->self.down_bps = (3 * c->self.down_bps + (c->self.down_bytes - c->bytes_last)) / 4;
        c->bytes_last = c->self.down_bytes;
        bps += c->self.down_bps;
        if (c->starved)
            c->rx_at = s->now;
        c->held = false;
        if (c->source != NULL && c->fetching && !c->cancel && s->now - c->rx_at >= WEB_SILENT_S * NSEC_S)
            fail(s, c, ERR_TIMEOUT, "it says nothing", 0);
    }
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next)
        peers_bps += CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link)->down_bps;
    web->bps = bps;
    web->best_bps = u64_max(web->best_bps, bps);
    web->conns_max = conns_wanted(s, peers_bps);
    if (web->conns_max == 0)            // what is begun is finished, no more
        for (uint32_t i = 0; i < WEB_CONNS_MAX; i++)
            if (web->conns[i].source != NULL)
                web_unclaim(s, &web->conns[i], web->conns[i].index + 1);
    web->due = true;
}

static bool poll_conn(struct swarm *s, struct web_conn *c, struct swarm_out *out, enum swarm_kind *kind)
{
    out->id = conn_id(s->web, c);
    if (c->cancel) {
        c->cancel = c->fetching = c->starved = false;
        s->web->due = true;
        *kind = SWARM_FETCH_CANCEL;
        return true;
    }
    if (c->source == NULL || c->fetching) {
        if (c->source == NULL || !c->starved || c->held || !room_is_open(s) || pool_is_short(s, c) || !has_grant(s, c))
            return false;
        c->starved = false;
        *kind = SWARM_FETCH_RESUME;
        return true;
    }
    if (!c->begin)
        return false;
    c->begin = false;
    if (!web_request(s, c, out)) {
        give_up(s, c, ERR_TOO_LONG, "the URL would be too long");
        return false;
    }
    c->fetching = true;
    c->rx_at = s->now;
    *kind = SWARM_FETCH;
    return true;
}

static bool poll_event(struct web *web, struct swarm_out *out)
{
    if (web->events_n == 0)
        return false;
    web->events_n--;
    struct buf b = {web->text, 0, sizeof web->text};
    struct wr w = wr_make(&b);
    wr_bytes(&w, slice_sub(web->events[web->events_n].url, 0, 400));
    wr_str(&w, ": ");
    wr_str(&w, web->events[web->events_n].why);
    out->event = SWARM_EVENT_WEB_SEED;
    out->err = web->events[web->events_n].err;
    out->bytes = buf_slice(&b);
    return true;
}

bool web_poll(struct swarm *s, struct swarm_out *out, enum swarm_kind *kind)
{
    struct web *web = s->web;
    if (web == NULL)
        return false;
    *kind = SWARM_EVENT;
    if (poll_event(web, out))
        return true;
    for (uint32_t i = 0; i < WEB_CONNS_MAX && s->picker.missing_n == 0; i++)
        if (web->conns[i].source != NULL)
            idle(s, &web->conns[i]);    // peers were faster
    web_assign(s);
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++)
        if (poll_conn(s, &web->conns[i], out, kind))
            return true;
    return false;
}

bool web_waits(const struct swarm *s)
{
    for (uint32_t i = 0; s->web != NULL && i < WEB_CONNS_MAX; i++)
        if (s->web->conns[i].source != NULL && s->web->conns[i].starved && s->web->conns[i].self.grant == 0 && room_is_open(s))
            return true;
    return false;
}

nsec web_deadline(const struct swarm *s)
{
    const struct web *web = s->web;
    nsec at = NSEC_NEVER;
    if (web == NULL || s->state != SWARM_DOWNLOADING)
        return at;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++) {
        if (web->conns[i].source == NULL)
            continue;
        at = u64_min(at, s->beat_at);
    }
    for (uint32_t i = 0; i < web->sources_n; i++)
        if (!web->sources[i].banned)
            at = u64_min(at, u64_max(s->beat_at, web->sources[i].retry_at));
    return at;
}

void web_stop(struct swarm *s)
{
    if (s->web == NULL)
        return;
    s->web->stopped = true;
    for (uint32_t i = 0; i < WEB_CONNS_MAX; i++)
        if (s->web->conns[i].source != NULL)
            idle(s, &s->web->conns[i]);
}

void web_done(struct swarm *s)
{
    if (s->web == NULL)
        return;
    web_stop(s);
    mem_free(s->mem, s->web, sizeof *s->web);
    s->web = NULL;
}

void web_stats(const struct swarm *s, struct swarm_stats *out)
{
    for (uint32_t i = 0; s->web != NULL && i < s->web->sources_n; i++)
        out->web_seeds += !s->web->sources[i].banned;
    for (uint32_t i = 0; s->web != NULL && i < WEB_CONNS_MAX; i++)
        out->web_conns += s->web->conns[i].source != NULL;
}

void web_check(const struct swarm *s)
{
    if (s->web == NULL)
        return;
    for (uint32_t i = 0; i < s->web->sources_n; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < WEB_CONNS_MAX; k++)
            n += s->web->conns[k].source == &s->web->sources[i];
        ASSERT(n == s->web->sources[i].conns_n);
    }
    for (uint32_t k = 0; k < WEB_CONNS_MAX; k++) {
        const struct web_conn *c = &s->web->conns[k];
        if (c->source == NULL) {
            ASSERT(c->mine == NULL);
            ASSERT(c->slot == NULL);
            ASSERT(c->reserved == 0);
            continue;
        }
        const uint32_t from = c->entered ? c->index + 1 : c->index;
        for (uint32_t i = from; i < c->end; i++)
            ASSERT(s->picker.state[i] != PICKER_MISSING);
    }
}
