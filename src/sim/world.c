// Making a world and running it: see world.h.
#include "sim/link.h"
#include "sim/net.h"
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/fetch.h"
#include "sim/hostile.h"
#include "sim/job.h"
#include "sim/oracle.h"

enum { RING_DEFAULT = 4096, ACTIONS_MAX = 1 << 20, BLOCK_CHUNK = BLOCK_LEN };

enum err world_new(struct world **out, const struct world_config *cfg, const struct env *env)
{
    struct world *w = mem_zalloc(env->mem, sizeof *w);
    if (w == NULL)
        return ERR_NOMEM;
    w->cfg = *cfg;
    w->faults.loss_before = cfg->loss_ppm;
    w->env = env;
    if (w->cfg.window_bytes == 0)
        w->cfg.window_bytes = MIB;
    if (w->cfg.quantum_bytes == 0)
        w->cfg.quantum_bytes = NET_QUANTUM_MAX;
    queue_init(&w->queue, env->mem);
    heap_init(&w->timers, env->mem, WORLD_HOSTS_MAX);
    slots_init(&w->conns, env->mem);
    slots_init(&w->dgrams, env->mem);
    slots_init(&w->tasks, env->mem);
    w->tx.cap = 2 * NODE_TX_MIN;
    w->tx.p = mem_zalloc(env->mem, w->tx.cap);
    enum err e = trace_init(&w->trace, env->mem, cfg->ring_n == 0 ? RING_DEFAULT : cfg->ring_n);
    if (e == ERR_OK)
        e = content_init(&w->content, env->mem, mix64(cfg->seed ^ PURPOSE_CONTENT));
    if (e == ERR_OK)
        e = payload_arena_init(&w->arena, &w->content, env, cfg->payload, cfg->arena);
    if (e != ERR_OK || w->tx.p == NULL) {
        world_free(w);
        return ERR_NOMEM;
    }
    *out = w;
    return ERR_OK;
}

static void free_tasks(struct world *w)
{
    for (uint32_t i = 0; i < w->tasks.n; i++) {
        struct task *t = slots_get(&w->tasks, i);
        if (t != NULL && t->kind == TASK_FETCH)
            fetch_free(w, t);
        else if (t != NULL)
            task_free(w, t);
    }
}

void world_free(struct world *w)
{
    if (w == NULL)
        return;
    const struct mem *mem = w->env->mem;
    net_done(w);
    for (uint32_t i = 0; i < w->hosts_n; i++)
        host_free(w->hosts[i]);
    free_tasks(w);
    fault_done(w);
    route_done(w);
    mem_free(mem, w->hosts, w->hosts_cap * sizeof(struct host *));
    mem_free(mem, w->torrents, w->torrents_cap * sizeof *w->torrents);
    mem_free(mem, w->actions, w->actions_cap * sizeof *w->actions);
    payload_arena_done(&w->arena);
    if (w->content.mem != NULL)
        content_done(&w->content);
    if (w->trace.mem != NULL)
        trace_done(&w->trace);
    slots_done(&w->tasks);
    slots_done(&w->dgrams);
    slots_done(&w->conns);
    heap_done(&w->timers);
    queue_done(&w->queue);
    mem_free(mem, w->tx.p, w->tx.cap);
    mem_free(mem, w, sizeof *w);
}

struct rng world_rng(const struct world *w, uint32_t host, enum world_purpose purpose)
{
    return rng_make(w->cfg.seed, mix64((uint64_t)host << 8 | purpose));
}

void world_fail(struct world *w, const char *fmt, ...)
{
    if (w->failure[0] != '\0')
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(w->failure, sizeof w->failure, fmt, args);
    va_end(args);
}

void world_trace(struct world *w, const struct host *h, enum trace_type type, uint32_t sub, uint64_t a, uint64_t b)
{
    const struct trace_record r = {.t = w->now, .node = h->index, .type = (uint16_t)type, .sub = (uint16_t)sub, .a = a, .b = b};
    trace_add(&w->trace, &r);
}

void world_at(struct world *w, nsec t, enum ev_kind kind, uint32_t a, uint32_t b)
{
    ASSERT(t >= w->now);
    queue_push(&w->queue, t, (uint32_t)kind, a, b);
}

uint32_t world_content_next(const struct world *w) { return CONTENT_FIRST + w->torrents_n; }

void world_content(const struct world *w, uint32_t content, uint64_t off, struct span out)
{
    const struct extent e = {.len = out.n, .off = off, .content = content};
    if (out.n > 0)
        content_bytes(&w->content, &e, out.p);
}

uint32_t world_torrent(struct world *w, const struct metainfo *meta)
{
    void *items = w->torrents;
    const enum err e = mem_grow(w->env->mem, &items, &w->torrents_cap, w->torrents_n + 1, WORLD_TORRENTS_MAX, sizeof *w->torrents);
    ASSERT(e == ERR_OK);
    w->torrents = items;
    struct torrent *t = &w->torrents[w->torrents_n];
    *t = (struct torrent){.meta = meta, .content = world_content_next(w)};
    memcpy(t->info_hash, meta->has_v1 ? meta->hash_v1 : meta->hash_v2, sizeof t->info_hash);
    (void)snprintf(t->root, sizeof t->root, "/sim/%u", w->torrents_n);
    return w->torrents_n++;
}

struct extent world_extent(const struct world *w, uint32_t torrent, uint64_t off, uint64_t len)
{
    const struct torrent *t = &w->torrents[torrent];
    const struct metainfo_file *f = &t->meta->files[metainfo_file_at(t->meta, off)];
    struct extent e = {.len = u64_min(len, f->offset + f->len - off), .off = off, .content = t->content};
    if ((f->flags & FILE_PAD) != 0)
        e = extent_range(0, e.len);
    return e;
}

uint32_t world_host(struct world *w, const struct host_config *cfg)
{
    void *items = w->hosts;
    const enum err e = mem_grow(w->env->mem, &items, &w->hosts_cap, w->hosts_n + 1, WORLD_HOSTS_MAX, sizeof(struct host *));
    ASSERT(e == ERR_OK);
    w->hosts = items;
    const uint32_t index = w->hosts_n++;
    w->hosts[index] = host_new(w, index, cfg);
    const struct action start = {.kind = ACTION_START, .host = index};
    world_plan(w, cfg->arrive, &start);
    return index;
}

// Puts the whole torrent on the host's disk, durable.
static void fill_disk(struct world *w, struct host *h, uint32_t torrent)
{
    const struct torrent *t = &w->torrents[torrent];
    uint8_t *space = mem_zalloc(w->env->mem, BLOCK_CHUNK);
    ASSERT(space != NULL);
    for (uint32_t i = 0; i < t->meta->files_n; i++) {
        const struct metainfo_file *m = &t->meta->files[i];
        struct disk_file *f = disk_file(&h->disk, torrent, i, t->meta->files_n + 1, m->len);
        if ((m->flags & (FILE_PAD | FILE_SYMLINK)) != 0)
            continue;
        disk_create(f, 1);
        const uint64_t step = w->cfg.payload == PAYLOAD_BYTES ? BLOCK_CHUNK : UINT64_MAX;
        for (uint64_t done = 0; done < m->len;) {
            struct frag frag = {.x = {.len = u64_min(m->len - done, step), .off = m->offset + done, .content = t->content}};
            if (w->cfg.payload == PAYLOAD_BYTES) {
                content_bytes(&w->content, &frag.x, space);
                frag.bytes = space;
            }
            const enum err e = disk_write(&h->disk, f, done, &frag, 1);
            ASSERT(e == ERR_OK);
            done += frag.x.len;
        }
        disk_written(&h->disk, f, 0, m->len, 1);
        disk_sync_begin(&h->disk, f);
        disk_sync_end(&h->disk, f, true);
    }
    mem_free(w->env->mem, space, BLOCK_CHUNK);
}

struct want *world_want(struct world *w, uint32_t host, uint32_t torrent, enum want_kind kind)
{
    ASSERT(host < w->hosts_n);
    ASSERT(torrent < w->torrents_n);
    struct host *h = w->hosts[host];
    ASSERT(h->wants_n < HOST_WANTS_MAX);
    ASSERT(h->life == 0);
    if (kind == WANT_SEED)
        fill_disk(w, h, torrent);
    else
        w->torrents[torrent].leeches_n++;
    struct want *want = &h->wants[h->wants_n++];
    *want = (struct want){.torrent = torrent, .kind = kind};
    return want;
}

void world_plan(struct world *w, nsec t, const struct action *a)
{
    void *items = w->actions;
    const enum err e = mem_grow(w->env->mem, &items, &w->actions_cap, w->actions_n + 1, ACTIONS_MAX, sizeof *w->actions);
    ASSERT(e == ERR_OK);
    w->actions = items;
    w->actions[w->actions_n] = *a;
    world_at(w, u64_max(t, w->now), EV_ACTION, w->actions_n++, 0);
}

void world_answers(struct world *w, const struct world_answer *answers, uint32_t n)
{
    w->answers = answers;
    w->answers_n = n;
}

void world_names(struct world *w, const struct world_name *names, uint32_t n)
{
    w->names = names;
    w->names_n = n;
}

void world_webs(struct world *w, struct world_web *webs, uint32_t n)
{
    w->webs = webs;
    w->webs_n = n;
}

bool world_settled(struct world *w)
{
    oracle_sums(w);
    return w->failure[0] == '\0';
}
