// Questions of the node to the world outside of streams and disks: URLs, names, the state that is kept.
#include <stdlib.h>

#include "app/host_net.h"
#include "app/host_parts.h"
#include "app/names.h"
#include "codec/url.h"

enum ask_kind { ASK_RESOLVE, ASK_FETCH, ASK_SAVE, ASK_WORK };

struct ask {
    struct job job;
    struct host *h;
    enum ask_kind kind;
    uint32_t id;
    enum err err;
    struct addr addrs[RESOLVE_ADDRS_MAX];
    uint32_t addrs_n;
    struct fetch_want want;             // ASK_FETCH: and bytes is the URL
    char device[16];                    // empty: any. A copy, because names may take longer than the host lives
    void (*work)(void *ctx);
    void (*work_done)(void *ctx);
    void *work_ctx;
    size_t key_n, n;
    uint8_t bytes[];                    // name; or key, then blob
};

static const char *device_of(const struct ask *a) { return a->device[0] != 0 ? a->device : NULL; }

static enum err resolve_host(struct ask *a)
{
    struct url u;
    const enum err e = url_parse(slice_of(a->bytes, a->n), &u);
    return e != ERR_OK ? e : names_resolve(device_of(a), u.host, a->addrs, &a->addrs_n);
}

static struct fetcher *fetcher_of(const struct host *h, const struct fetch_want *want)
{
    return want->stream ? h->streams : h->fetcher;
}

// The addresses of its host are known: libcurl need not resolve a name.
static void fetch_pinned(struct ask *a)
{
    struct url u;
    enum err e = a->err;
    if (e == ERR_OK)
        e = url_parse(slice_of(a->bytes, a->n), &u);
    if (a->want.stream && !node_stream_wanted(a->h->node, a->id))
        return;                         // cancelled meanwhile
    if (e == ERR_OK) {
        const struct fetch_pin pin = {u.host, u.port, a->addrs, a->addrs_n};
        a->want.url = slice_of(a->bytes, a->n);
        a->want.pin = &pin;
        e = fetcher_get(fetcher_of(a->h, &a->want), &a->want);
    }
    if (e != ERR_OK)
        node_fetched(a->h->node, loop_now(a->h->loop), a->id, e, 0, (struct slice){0});
}

static void run_ask(struct job *job, uint8_t *(*scratch)(void))
{
    struct ask *a = CONTAINER(job, struct ask, job);
    const struct host_config *cfg;
    (void)scratch;
    switch (a->kind) {
    case ASK_RESOLVE:
        a->err = names_resolve(device_of(a), slice_of(a->bytes, a->n), a->addrs, &a->addrs_n);
        break;
    case ASK_FETCH:
        a->err = resolve_host(a);
        break;
    case ASK_SAVE:
        cfg = &a->h->cfg;               // its worker is waited for
        if (cfg->save != NULL)
            a->err = cfg->save(cfg->ctx, slice_of(a->bytes, a->key_n), slice_of(a->bytes + a->key_n, a->n - a->key_n));
        break;
    case ASK_WORK:
        a->work(a->work_ctx);
        break;
    }
}

static void on_drop(struct job *job) { free(CONTAINER(job, struct ask, job)); }

static void on_done(struct job *job)
{
    struct ask *a = CONTAINER(job, struct ask, job);
    struct host *h = a->h;
    const nsec now = loop_now(h->loop);
    switch (a->kind) {
    case ASK_RESOLVE:
        node_resolved(h->node, now, a->id, a->err, a->addrs, a->addrs_n);
        break;
    case ASK_FETCH:
        fetch_pinned(a);
        break;
    case ASK_SAVE:
        node_saved(h->node, now, a->id, a->err);
        break;
    case ASK_WORK:
        if (a->work_done != NULL)
            a->work_done(a->work_ctx);
        break;
    }
    free(a);
    host_turn_node(h);
}

static struct ask *ask_new(struct host *h, enum ask_kind kind, struct slice a, struct slice b)
{
    if (b.n > SIZE_MAX / 4 || a.n > SIZE_MAX / 4)
        return NULL;
    struct ask *q = calloc(1, sizeof *q + a.n + b.n);
    if (q == NULL)
        return NULL;
    q->job = (struct job){.run = run_ask, .done = on_done, .drop = on_drop};
    q->h = h;
    memcpy(q->device, h->device, sizeof q->device);
    q->kind = kind;
    q->key_n = a.n;
    q->n = a.n + b.n;
    if (a.n > 0)
        memcpy(q->bytes, a.p, a.n);
    if (b.n > 0)
        memcpy(q->bytes + a.n, b.p, b.n);
    return q;
}

void ask_resolve(struct host *h, uint32_t id, struct slice name)
{
    const nsec now = loop_now(h->loop);
    if (h->proxy.on) {                  // which resolves names where it is
        struct addr a;
        const enum err e = relay_name(h, name, &a);
        node_resolved(h->node, now, id, e, &a, e == ERR_OK ? 1 : 0);
        return;
    }
    struct ask *q = ask_new(h, ASK_RESOLVE, name, (struct slice){0});
    if (q == NULL) {
        node_resolved(h->node, now, id, ERR_NOMEM, NULL, 0);
        return;
    }
    q->id = id;
    pool_push(h->names, &q->job);
}

void ask_save(struct host *h, uint32_t id, struct slice key, struct slice blob)
{
    struct ask *q = ask_new(h, ASK_SAVE, key, blob);
    if (q == NULL) {
        node_saved(h->node, loop_now(h->loop), id, ERR_NOMEM);
        return;
    }
    q->id = id;
    pool_push(h->state, &q->job);
}

enum err host_work(struct host *h, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx)
{
    struct ask *q = ask_new(h, ASK_WORK, (struct slice){0}, (struct slice){0});
    if (q == NULL)
        return ERR_NOMEM;
    q->work = run;
    q->work_done = done;
    q->work_ctx = ctx;
    pool_push(h->state, &q->job);
    return ERR_OK;
}

static void fetch(struct host *h, const struct fetch_want *want)
{
    enum err e = ERR_OK;
    if (h->device[0] == 0 || h->proxy.on) {
        e = fetcher_get(fetcher_of(h, want), want);
    } else {
        struct ask *q = want->hops > FETCH_REDIRECTS_MAX ? NULL : ask_new(h, ASK_FETCH, want->url, (struct slice){0});
        if (q == NULL) {
            e = want->hops > FETCH_REDIRECTS_MAX ? ERR_PROTOCOL : ERR_NOMEM;
        } else {
            q->id = want->id;
            q->want = *want;
            pool_push(h->names, &q->job);
        }
    }
    if (e != ERR_OK)
        node_fetched(h->node, loop_now(h->loop), want->id, e, 0, (struct slice){0});
}

void ask_fetch(struct host *h, const struct node_out *o)
{
    fetch(h, &(struct fetch_want){.id = o->id, .url = o->bytes, .family = o->family});
}

void ask_stream(struct host *h, const struct node_out *o)
{
    fetch(h, &(struct fetch_want){.id = o->id, .url = o->bytes, .stream = true, .ranged = o->fetch.ranged, .off = o->fetch.off, .len = o->fetch.len});
}

void ask_redirected(void *ctx, const struct fetch_want *next)
{
    struct host *h = ctx;
    fetch(h, next);
    host_turn_node(h);
}

// The node is polled at the end of the turn: here libcurl is on the stack.
void ask_stream_head(void *ctx, uint32_t id, int status, struct slice lines)
{
    struct host *h = ctx;
    node_stream_head(h->node, loop_now(h->loop), id, status, lines);
}

size_t ask_stream_rx(void *ctx, uint32_t id, struct slice data)
{
    struct host *h = ctx;
    const nsec now = loop_now(h->loop);
    size_t done = 0;
    while (done < data.n) {
        struct node_room room;
        node_stream_room(h->node, now, id, &room);
        if (room.spans_n == 0)
            break;
        const size_t n = size_min(room.spans[0].n, data.n - done);
        memcpy(room.spans[0].p, data.p + done, n);
        node_stream_rx(h->node, now, id, n);
        done += n;
    }
    h->stats.rx_bytes += done;
    return done;
}

void ask_fetched(void *ctx, uint32_t id, enum err e, int status, struct slice body)
{
    struct host *h = ctx;
    node_fetched(h->node, loop_now(h->loop), id, e, status, body);
    host_turn_node(h);
}
