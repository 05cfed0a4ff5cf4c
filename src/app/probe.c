// See probe.h.
#include "app/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "app/host.h"
#include "app/interrupt.h"
#include "app/metalink.h"
#include "app/names.h"
#include "base/rate.h"
#include "codec/http_head.h"
#include "codec/url.h"
#include "plat/plat.h"

enum { PROBE_WAIT_S = 30, SAVE_TICK_MS = 20 };

// A loop with a fetcher, and what of it the present call uses.
struct asking {
    struct app *a;
    struct loop *loop;
    struct fetcher *fetcher;
    struct timer *timer;
    struct probe *items;
    bool *done;
    uint32_t n, left;
    enum err err;
    int status;
    struct buf body;                    // probe_read
    int fd;                             // probe_save
    uint64_t saved;
    struct rate rate;
    bool resting;
};

bool probe_is_url(const char *text)
{
    struct url u;
    return url_parse(slice_str(text), &u) == ERR_OK && (url_is(&u, "http") || url_is(&u, "https") || url_is(&u, "ftp") || url_is(&u, "ftps"));
}

const char *probe_why(const struct app *a, enum err e, char out[PROBE_WHY_MAX])
{
    struct url u;
    if (e != ERR_PROXY || a->options.proxy == NULL || url_parse(slice_str(a->options.proxy), &u) != ERR_OK)
        return e == ERR_UNREACHABLE ? "unreachable: no address for its name, or no network" : err_text(e);
    const bool is_v6 = u.host.n != 0 && memchr(u.host.p, ':', u.host.n) != NULL;
    (void)snprintf(out, PROBE_WHY_MAX, "the proxy %s%.*s%s:%u cannot be reached or does not let us in", is_v6 ? "[" : "",
        (int)size_min(u.host.n, 150), (const char *)u.host.p, is_v6 ? "]" : "", u.port != 0 ? (unsigned)u.port : HOST_PROXY_PORT);
    return out;
}

static void on_turn(void *ctx) { (void)ctx; }

static void on_signal(void *ctx, int number)
{
    (void)number;
    struct asking *q = CONTAINER((struct loop **)ctx, struct asking, loop);
    q->err = ERR_CANCELLED;
    loop_stop(q->loop);
}

static void copy_text(char *out, size_t cap, struct slice s)
{
    const size_t n = size_min(s.n, cap - 1);
    if (n != 0)
        memcpy(out, s.p, n);
    out[n] = 0;
}

static void take_name(struct probe *p, const struct http_head *h)
{
    uint8_t space[PATH_PART_MAX + 1];
    struct buf b = {space, 0, PATH_PART_MAX};
    struct wr w = wr_make(&b);
    struct url u;
    if (!http_disposition_name(h->disposition, &w)) {
        b.n = 0;
        w = wr_make(&b);
        if (url_parse(slice_str(p->url), &u) != ERR_OK || !http_url_name(u.path, &w))
            b.n = 0;
    }
    copy_text(p->name, sizeof p->name, buf_slice(&b));
}

static void finished(struct asking *q, uint32_t i)
{
    if (q->done[i])
        return;
    q->done[i] = true;
    if (--q->left == 0)
        loop_stop(q->loop);
}

static void on_head(void *ctx, uint32_t id, int status, struct slice lines)
{
    struct asking *q = ctx;
    q->status = status;
    if (q->items == NULL)
        return;
    struct probe *p = &q->items[id - 1];
    struct http_head h;
    http_head_parse(lines, &h);
    p->status = status == 416 && h.total == 0 ? 200 : status;       // an empty file has no first byte
    p->retry_after_s = h.retry_after_s;
    p->ranges = status == 206 || (status == 200 && h.accepts_ranges && lines.n != 0);
    p->size = status == 206 || h.total == 0 ? h.total : h.encoded ? PROBE_SIZE_UNKNOWN : h.len;
    copy_text(p->mark, sizeof p->mark, h.etag.n != 0 ? h.etag : h.modified);
    take_name(p, &h);
    const size_t n = strlen(p->name);
    p->is_torrent = slice_starts(h.type, "application/x-bittorrent") || (n > 8 && strcmp(p->name + n - 8, ".torrent") == 0);
    p->is_metalink = slice_starts(h.type, "application/metalink4+xml") || metalink_is_name(p->name);
    if (status < 400)
        finished(q, id - 1);
}

// Of a body that was asked for in part nothing is wanted; the whole one goes to the file.
static size_t on_bytes(void *ctx, uint32_t id, struct slice data)
{
    struct asking *q = ctx;
    (void)id;
    if (q->items != NULL || q->err != ERR_OK)
        return 0;
    q->resting = !rate_ready(&q->rate, loop_now(q->loop));
    if (q->resting)
        return 0;
    struct iovec iov = {(void *)(uintptr_t)data.p, data.n};
    q->err = file_write_all(q->fd, &iov, 1, q->saved);
    if (q->err != ERR_OK) {
        loop_stop(q->loop);
        return 0;
    }
    q->saved += data.n;
    rate_charge(&q->rate, loop_now(q->loop), data.n);
    return data.n;
}

static void on_done(void *ctx, uint32_t id, enum err e, int status, struct slice body)
{
    struct asking *q = ctx;
    if (q->items != NULL) {
        if (!q->done[id - 1]) {
            q->items[id - 1].err = e;
            if (q->items[id - 1].status == 0)
                q->items[id - 1].status = status;
        }
        finished(q, id - 1);
        return;
    }
    q->err = q->err != ERR_OK ? q->err : e;
    q->status = status != 0 ? status : q->status;
    if (body.n != 0 && e == ERR_OK) {
        q->body = (struct buf){malloc(body.n), body.n, body.n};
        if (q->body.p == NULL)
            q->err = ERR_NOMEM;
        else
            memcpy(q->body.p, body.p, body.n);
    }
    loop_stop(q->loop);
}

static void on_timer(void *ctx)
{
    struct asking *q = ctx;
    if (q->items != NULL) {             // some answered, the others had their time
        loop_stop(q->loop);
        return;
    }
    timer_set(q->timer, loop_now(q->loop) + SAVE_TICK_MS * NSEC_MS);
    if (q->resting && rate_ready(&q->rate, loop_now(q->loop)))
        fetcher_resume(q->fetcher, 1);
}

// With --interface no name is resolved but through it.
static enum err get(struct asking *q, struct fetch_want *want)
{
    const char *const device = q->a->options.interface;
    struct addr addrs[RESOLVE_ADDRS_MAX];
    uint32_t n = 0;
    struct url u;
    if (device == NULL || q->a->options.proxy != NULL)
        return fetcher_get(q->fetcher, want);
    if (url_parse(want->url, &u) != ERR_OK)
        return ERR_SYNTAX;
    const enum err e = names_resolve(device, u.host, addrs, &n);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND || e == ERR_AGAIN ? ERR_UNREACHABLE : e;      // as libcurl: of the file nothing is known
    const struct fetch_pin pin = {u.host, u.port, addrs, n};
    want->pin = &pin;
    const enum err started = fetcher_get(q->fetcher, want);
    want->pin = NULL;
    return started;
}

static void on_redirected(void *ctx, const struct fetch_want *next)
{
    struct fetch_want want = *next;
    const enum err e = get(ctx, &want);
    if (e != ERR_OK)
        on_done(ctx, next->id, e, 0, (struct slice){0});
}

static enum err asking_open(struct asking *q, size_t body_max)
{
    const char *const proxy = q->a->options.proxy;
    char proxy_url[1024];
    if (proxy != NULL && strncmp(proxy, "socks5://", 9) != 0)
        return ERR_SYNTAX;
    if (proxy != NULL && (size_t)snprintf(proxy_url, sizeof proxy_url, "socks5h://%s", proxy + 9) >= sizeof proxy_url)
        return ERR_TOO_LONG;
    const char *from = q->a->options.listen;
    struct addr any;
    if (from != NULL && addr_parse(slice_str(from), 0, &any) == ERR_OK && addr_is_any(&any))
        from = NULL;
    const struct fetcher_config cfg = {.from = from, .device = q->a->options.interface,
            .proxy = proxy != NULL ? proxy_url : NULL, .body_max = body_max,
        .head = on_head, .rx = on_bytes, .done = on_done, .redirected = on_redirected, .ctx = q};
    rate_init(&q->rate, q->a->options.down_bps);
    interrupt_release();
    enum err e = loop_new(&q->loop, on_turn, &q->loop);
    if (e == ERR_OK)
        e = loop_signals(q->loop, on_signal);
    if (e == ERR_OK)
        e = timer_new(&q->timer, q->loop, on_timer, q);
    if (e == ERR_OK)
        e = fetcher_new(&q->fetcher, q->loop, &cfg);
    return e;
}

static void asking_close(struct asking *q)
{
    fetcher_free(q->fetcher);
    timer_free(q->timer);
    loop_free(q->loop);
    interrupt_catch();
}

enum err probe_all(struct app *a, struct probe *items, uint32_t n)
{
    bool done[PROBE_URLS_MAX] = {false};
    struct asking q = {.a = a, .items = items, .done = done, .n = n, .left = n};
    ASSERT(n >= 1);
    ASSERT(n <= PROBE_URLS_MAX);
    enum err e = asking_open(&q, 0);
    for (uint32_t i = 0; i < n && e == ERR_OK; i++) {
        struct fetch_want want = {.id = i + 1, .url = slice_str(items[i].url), .stream = true, .ranged = true, .len = 1, .probe = true};
        items[i].err = ERR_OK;
        items[i].status = 0;
        items[i].size = PROBE_SIZE_UNKNOWN;
        items[i].err = get(&q, &want);
        if (items[i].err != ERR_OK)
            finished(&q, i);
    }
    if (e == ERR_OK && q.left != 0) {
        timer_set(q.timer, loop_fresh(q.loop) + PROBE_WAIT_S * NSEC_S);
        loop_run(q.loop);
        for (uint32_t i = 0; i < n; i++)
            if (!done[i])
                items[i].err = ERR_TIMEOUT;
    }
    asking_close(&q);
    return e != ERR_OK ? e : q.err;
}

static enum err run_one(struct asking *q, struct fetch_want *want, size_t body_max)
{
    enum err e = asking_open(q, body_max);
    if (e == ERR_OK)
        e = get(q, want);
    if (e == ERR_OK) {
        if (want->stream)
            timer_set(q->timer, loop_fresh(q->loop) + SAVE_TICK_MS * NSEC_MS);
        loop_run(q->loop);
    }
    asking_close(q);
    e = e != ERR_OK ? e : q->err;
    return e == ERR_OK && q->status >= 400 ? ERR_NOT_FOUND : e;
}

enum err probe_read(struct app *a, const char *url, size_t max, struct buf *out)
{
    struct asking q = {.a = a};
    struct fetch_want want = {.id = 1, .url = slice_str(url)};
    const enum err e = run_one(&q, &want, max);
    if (e != ERR_OK)
        free(q.body.p);
    else
        *out = q.body;
    return e;
}

enum err probe_save(struct app *a, const char *url, int fd, uint64_t *out_n)
{
    struct asking q = {.a = a, .fd = fd};
    struct fetch_want want = {.id = 1, .url = slice_str(url), .stream = true};
    const enum err e = run_one(&q, &want, 0);
    *out_n = q.saved;
    return e;
}
