// Lives of simulated machines: start, crash, leave; and the inputs of their nodes. See host.h.
#include "sim/host_int.h"
#include "sim/link.h"
#include "sim/net.h"

#include "sim/hostile.h"
#include "sim/oracle.h"

// In front of each piece of a node's memory, so that all of it can be taken back when the node dies.
struct block {
    alignas(max_align_t) struct list link;
    size_t n;
};

static void *host_resize(void *ctx, void *old, size_t old_n, size_t new_n)
{
    struct host *h = ctx;
    const struct mem *mem = h->world->env->mem;
    struct block *b = NULL;
    if (h->faults.nomem && new_n > old_n) {
        if (h->faults.allocations_left == 0)
            return NULL;
        h->faults.allocations_left--;
    }
    if (old != NULL) {
        b = (struct block *)(void *)((uint8_t *)old - sizeof *b);
        if (b->n != old_n)
            world_fail(h->world, "n%u gives back %zu bytes of a block of %zu", h->index, old_n, b->n);
        list_remove(&b->link);
        h->mem_used -= b->n;
    }
    const size_t was = b == NULL ? 0 : b->n + sizeof *b;
    if (new_n == 0) {
        if (b != NULL)
            (void)mem->resize(mem->ctx, b, was, 0);
        return NULL;
    }
    struct block *fresh = new_n > SIZE_MAX - sizeof *b ? NULL : mem->resize(mem->ctx, b, was, new_n + sizeof *b);
    struct block *kept = fresh != NULL ? fresh : b;     // as realloc: without room the old one stays
    if (kept == NULL)
        return NULL;
    kept->n = fresh != NULL ? new_n : old_n;
    list_init(&kept->link);
    list_push_back(&h->blocks, &kept->link);
    h->mem_used += kept->n;
    h->mem_peak = u64_max(h->mem_peak, h->mem_used);
    oracle_memory(h);
    return fresh == NULL ? NULL : fresh + 1;
}

static void peer_id(const struct world *w, uint32_t index, uint8_t out[20])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    struct rng r = world_rng(w, index, PURPOSE_PEER_ID);
    memcpy(out, "-KH0001-", 8);
    for (size_t i = 8; i < 20; i++)
        out[i] = (uint8_t)digits[rng_below(&r, 32)];
}

// Where it stands, and what line it has there.
static void settle_down(const struct world *w, struct host *h)
{
    struct rng r = world_rng(w, h->index, PURPOSE_CITY);
    if (w->cfg.model == LATENCY_PLANETLAB)
        h->place = geo_place(&r, h->cfg.city);
    if (w->cfg.model != LATENCY_PLANET)
        return;
    h->region = h->cfg.city != 0 ? h->cfg.city - 1 : geo_region_draw(&r);
    ASSERT(h->region < GEO_REGIONS);
    if (h->cfg.up_bps != 0 || h->cfg.down_bps != 0 || h->cfg.node.tracker)
        return;
    h->cfg.up_bps = geo_regions[h->region].up_bps;
    h->cfg.down_bps = geo_regions[h->region].down_bps;
}

struct host *host_new(struct world *w, uint32_t index, const struct host_config *cfg)
{
    struct host *h = mem_zalloc(w->env->mem, sizeof *h);
    ASSERT(h != NULL);
    h->index = index;
    h->cfg = *cfg;
    h->world = w;
    static const uint8_t none[20];
    if (memcmp(h->cfg.node.peer_id, none, sizeof none) == 0)
        peer_id(w, index, h->cfg.node.peer_id);
    h->cfg.node.no_utp |= !cfg->utp;
    if (h->cfg.node.listen_port == 0)
        h->cfg.node.listen_port = NET_PEER_PORT;
    settle_down(w, h);
    link_init(&h->link, h->cfg.up_bps, h->cfg.down_bps, cfg->latency);
    h->link.fifo = cfg->fifo;
    h->link.queue_bytes = cfg->queue_bytes;
    h->link.loss = world_rng(w, index, PURPOSE_LINK);
    disk_init(&h->disk, &cfg->disk, &w->content, w->env->mem, w->cfg.payload == PAYLOAD_BYTES);
    h->disk.fault = world_rng(w, index, PURPOSE_DISK);
    h->rng = world_rng(w, index, PURPOSE_CHURN);
    list_init(&h->blocks);
    list_init(&h->ends);
    h->timer.id = index;
    idmap_init(&h->conns, w->env->mem);
    payload_init(&h->payload, &w->arena);
    h->face = (struct mem){.resize = host_resize, .ctx = h};
    return h;
}

// The process is gone, with all its memory.
static void life_end(struct world *w, struct host *h)
{
    heap_remove(&w->timers, &h->timer);
    LIST_EACH(&h->blocks, link, save) {
        struct block *b = CONTAINER(link, struct block, link);
        list_remove(&b->link);
        (void)w->env->mem->resize(w->env->mem->ctx, b, b->n + sizeof *b, 0);
    }
    h->mem_used = 0;
    payload_done(&h->payload);
    h->node = NULL;
    h->up = false;
    for (uint32_t i = 0; i < h->wants_n; i++)
        h->wants[i].given = false;
}

void host_free(struct host *h)
{
    struct world *w = h->world;
    life_end(w, h);
    hostile_free(w, h);
    while (h->blobs != NULL) {
        struct blob *b = h->blobs;
        h->blobs = b->next;
        mem_free(w->env->mem, b->bytes, b->n);
        mem_free(w->env->mem, b, sizeof *b);
    }
    idmap_done(&h->conns);
    disk_done(&h->disk);
    mem_free(w->env->mem, h, sizeof *h);
}

// A number scaled by 1 + ppm/10^6, without overflow.
static nsec scaled(nsec t, int64_t ppm)
{
    const int64_t more = (int64_t)(t / 1000000) * ppm + (int64_t)(t % 1000000) * ppm / 1000000;
    return t + (nsec)more;
}

// How long the world waits until a clock with that skew has gone on by t: rounded up, or the node would be asked too early.
static nsec unscaled(nsec t, int64_t ppm)
{
    const uint64_t rate = (uint64_t)(1000000 + ppm);
    t = u64_min(t, NSEC_NEVER / 4);
    return t / rate * 1000000 + u64_div_up(t % rate * 1000000, rate);
}

nsec host_now(const struct world *w, const struct host *h)
{
    const struct host_faults *f = &h->faults;
    if (f->skew_base == 0)
        return w->now + 1000 * NSEC_S + h->index;
    return f->skew_base + scaled(w->now - f->skew_from, f->skew_ppm);
}

int64_t host_wall(const struct world *w, const struct host *h)
{
    return (int64_t)(1700000000 * NSEC_S + host_now(w, h) - 1000 * NSEC_S - h->index) + h->faults.wall_jump;
}

void host_put_off_tick(struct world *w, struct host *h)
{
    // host_pause has planned the waking from a pause; a busy process ticks when it is through.
    const enum err e = heap_set(&w->timers, &h->timer, h->paused_until > w->now ? NSEC_NEVER : h->faults.cpu_busy);
    ASSERT(e == ERR_OK);
}

void host_arm(struct world *w, struct host *h)
{
    nsec at = NSEC_NEVER;
    const nsec now = host_now(w, h);
    if (h->deadline != NSEC_NEVER) {
        const nsec left = u64_sub_sat(h->deadline, now);
        at = w->now + (h->faults.skew_base == 0 ? left : unscaled(left, h->faults.skew_ppm));
    }
    const enum err e = heap_set(&w->timers, &h->timer, at);
    ASSERT(e == ERR_OK);
}

void host_rearm(struct world *w, struct host *h)
{
    if (h->node != NULL && !host_asleep(w, h))
        host_arm(w, h);
}

struct want *host_want(struct host *h, uint32_t number)
{
    for (uint32_t i = 0; i < h->wants_n; i++)
        if (h->wants[i].given && h->wants[i].number == number)
            return &h->wants[i];
    return NULL;
}

static bool is_dht(const struct blob *blob) { return slice_eq_str(slice_of(blob->key, blob->key_n), NODE_DHT_KEY); }

// What the node's DHT saved in an earlier life.
static struct slice saved_dht(const struct host *h)
{
    for (const struct blob *blob = h->blobs; blob != NULL; blob = blob->next)
        if (is_dht(blob))
            return slice_of(blob->bytes, blob->n);
    return (struct slice){0};
}

// The saved state that belongs to a torrent: its key holds an info-hash, raw or in hexadecimal; or it is the only one.
static struct slice saved_state(const struct host *h, const struct torrent *t)
{
    uint8_t hex[40];
    struct buf b = {hex, 0, sizeof hex};
    struct wr wr = wr_make(&b);
    wr_hex(&wr, slice_of(t->info_hash, sizeof t->info_hash));
    const struct blob *only = NULL;
    uint32_t n = 0;
    for (const struct blob *blob = h->blobs; blob != NULL; blob = blob->next) {
        if (is_dht(blob))
            continue;
        n++;
        only = blob;
        for (size_t i = 0; i < blob->key_n; i++) {
            const struct slice at = slice_of(blob->key + i, blob->key_n - i);
            if (slice_eq(slice_sub(at, 0, 20), slice_of(t->info_hash, 20)) || slice_eq(slice_sub(at, 0, 40), slice_of(hex, 40)))
                return slice_of(blob->bytes, blob->n);
        }
    }
    return n == 1 && h->wants_n == 1 ? slice_of(only->bytes, only->n) : (struct slice){0};
}

static struct node_add how(const struct world *w, const struct host *h, const struct want *want)
{
    const struct torrent *t = &w->torrents[want->torrent];
    return (struct node_add){.meta = t->meta, .root = slice_str(t->root), .sequential = want->sequential,
                             .strict_order = want->strict_order, .random_order = want->random_order,
                             .reserve = want->reserve, .super_seed = want->super_seed,
                             .up_bps = want->up_bps, .down_bps = want->down_bps,
                             .resume = saved_state(h, t), .trust = want->kind == WANT_SEED && h->life == 1,
                             .check = want->kind == WANT_CHECK && h->life == 1};
}

static enum err give_link(struct world *w, struct host *h, struct want *want)
{
    const struct metainfo *m = w->torrents[want->torrent].meta;
    struct magnet link = {.has_v1 = m->has_v1, .has_v2 = m->has_v2, .name = m->name};
    memcpy(link.hash_v1, m->hash_v1, sizeof link.hash_v1);
    memcpy(link.hash_v2, m->hash_v2, sizeof link.hash_v2);
    for (; link.trackers_n < m->trackers_n; link.trackers_n++)
        link.trackers[link.trackers_n] = m->trackers[link.trackers_n].url;
    return node_magnet_add(h->node, host_now(w, h), &link, &want->number);
}

void host_metadata(struct world *w, struct host *h, const struct node_event *ev)
{
    const struct want *want = host_want(h, ev->torrent);
    ASSERT(want != NULL);
    if (!slice_eq(ev->text, w->torrents[want->torrent].meta->info)) {
        world_fail(w, "n%u took wrong metadata for torrent %u", h->index, want->torrent);
        return;
    }
    const struct node_add add = how(w, h, want);
    const enum err e = node_magnet_begin(h->node, host_now(w, h), ev->torrent, &add);
    if (e != ERR_OK && !h->faults.nomem)
        world_fail(w, "n%u cannot go on with torrent %u: %s", h->index, want->torrent, err_text(e));
}

// False: the process has ended, for lack of memory.
bool host_give(struct world *w, struct host *h, struct want *want)
{
    const struct node_add add = how(w, h, want);
    want->checked = 0;
    const enum err e = want->kind == WANT_MAGNET ? give_link(w, h, want) : node_torrent_add(h->node, host_now(w, h), &add, &want->number);
    if (e != ERR_OK && h->faults.nomem) {
        host_crash(w, h, CRASH_KEPT, false);            // with a message: a download that does not begin is no download
        return false;
    }
    if (e != ERR_OK)
        world_fail(w, "n%u cannot add torrent %u: %s", h->index, want->torrent, err_text(e));
    want->given = e == ERR_OK;
    return true;
}

void host_start(struct world *w, struct host *h)
{
    if (h->up || h->left)
        return;
    h->up = true;
    h->dark = false;
    h->life++;
    h->started_at = w->now;
    h->choked_at = 0;
    if (h->life == 1)
        h->first_start = w->now;
    world_trace(w, h, TRACE_START, 0, h->life, 0);
    if (h->cfg.hostile.kind != HOSTILE_NONE) {
        hostile_start(w, h);
        return;
    }
    h->env = (struct env){.mem = &h->face, .payload = &h->payload.face, .log = w->env->log};
    h->rare = (struct rare){.seed = mix64(w->cfg.seed ^ mix64((uint64_t)h->index << 20 | PURPOSE_RARE)), .over = w->faults.healed_at != 0};
    h->env.rare = w->cfg.rare ? &h->rare : NULL;
    h->env.seed = mix64(w->cfg.seed ^ mix64((uint64_t)h->index << 20 | (uint64_t)h->life << 8 | PURPOSE_NODE));
    h->cfg.node.dht.saved = saved_dht(h);
    const enum err e = node_new(&h->node, &h->cfg.node, &h->env, host_now(w, h));
    if (e != ERR_OK && h->faults.nomem) {
        host_crash(w, h, CRASH_KEPT, false);            // the process ends with a message
        return;
    }
    if (e != ERR_OK) {
        world_fail(w, "n%u cannot start: %s", h->index, err_text(e));
        return;
    }
    for (uint32_t i = 0; i < h->wants_n; i++)
        if (!host_give(w, h, &h->wants[i]))
            return;
    host_settle(w, h);
    oracle_started(w, h);
    host_dial(w, h, h->cfg.dials);
}

// The counters of a life that ends are kept.
static void remember(struct host *h)
{
    for (uint32_t i = 0; i < h->wants_n && h->node != NULL; i++) {
        struct want *want = &h->wants[i];
        if (!want->given)
            continue;
        struct node_torrent_stats s;
        node_torrent_stats(h->node, want->number, &s);
        want->down_bytes += s.down_bytes;
        want->up_bytes += s.up_bytes;
        want->waste_bytes += s.waste_bytes;
    }
}

void host_crash(struct world *w, struct host *h, enum crash_fate fate, bool silent)
{
    if (!h->up)
        return;
    world_trace(w, h, TRACE_END, 1 + (uint32_t)fate, silent, 0);
    w->totals.crashes++;
    remember(h);
    net_abort(w, h, silent);
    life_end(w, h);
    hostile_stop(w, h);
    h->dark = silent;
    h->paused_until = 0;
    disk_crash(&h->disk, fate, &w->trace, h->index, w->now);
}

void host_leave(struct world *w, struct host *h)
{
    if (!h->up || h->left)
        return;
    h->left = true;
    if (h->node == NULL) {
        host_stopped(w, h);
        return;
    }
    oracle_input(w, h);
    node_stop(h->node, host_now(w, h));
    host_settle(w, h);
}

void host_stopped(struct world *w, struct host *h)
{
    world_trace(w, h, TRACE_END, 0, 0, 0);
    h->left = true;
    remember(h);
    net_abort(w, h, false);
    if (h->node != NULL)
        node_free(h->node);
    h->node = NULL;
    if (!list_empty(&h->blocks) || h->payload.used != 0)
        world_fail(w, "n%u leaks %llu bytes, %zu of payload", h->index, (unsigned long long)h->mem_used, h->payload.used);
    life_end(w, h);
    hostile_stop(w, h);
}

void host_pause(struct world *w, struct host *h, nsec until)
{
    h->paused_until = until;
    world_at(w, until, EV_PUMP, UINT32_MAX, h->index);
}

// Tells the node of a peer for each torrent that both have.
static void introduce(struct world *w, struct host *h, const struct host *peer)
{
    const struct addr a = net_addr(peer->index, peer->cfg.node.listen_port);
    for (uint32_t i = 0; i < h->wants_n && h->node != NULL; i++) {
        if (!host_has_torrent(peer, h->wants[i].torrent) || !h->wants[i].given)
            continue;
        oracle_input(w, h);
        const enum err e = node_peer_add(h->node, host_now(w, h), h->wants[i].number, &a);
        if (e != ERR_OK && !h->faults.nomem)
            world_fail(w, "n%u does not take a peer: %s", h->index, err_text(e));
        host_settle(w, h);
    }
}

void host_dial(struct world *w, struct host *h, uint32_t n)
{
    for (uint32_t i = 0; i < h->cfg.friends_n; i++)
        introduce(w, h, w->hosts[h->cfg.friends[i]]);
    uint32_t found = 0;
    for (uint32_t tries = 0; tries < 4 * n && found < n; tries++) {
        const struct host *peer = w->hosts[rng_below(&h->rng, w->hosts_n)];
        if (peer == h || !peer->up)
            continue;
        introduce(w, h, peer);
        found++;
    }
}

bool host_has_torrent(const struct host *h, uint32_t torrent)
{
    if (h->cfg.hostile.kind != HOSTILE_NONE)
        return h->cfg.hostile.torrent == torrent;
    for (uint32_t i = 0; i < h->wants_n; i++)
        if (h->wants[i].torrent == torrent)
            return true;
    return false;
}
