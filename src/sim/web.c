// Web servers: see web.h. A server's line is shared by its transfers in the order in which their quanta come; the host's own
// line is not charged.
#include "sim/web.h"

#include "codec/url.h"
#include "sim/task.h"

enum { WEB_PATH_MAX = 1024, WEB_TAINT = 77, WEB_TIMEOUT_S = 30, WEB_BUSY_S = 5 };

struct web_task {
    struct task task;
    struct world_web *web;              // NULL: nobody is there
    const struct metainfo_file *file;
    enum server_fault fault;
    uint64_t off, end;                  // of the file: what comes next; where the answer ends
    bool ranged, head_told, paused, cancelled, waiting;     // waiting: an event is planned
};

static void plan(struct world *w, struct web_task *t, nsec at)
{
    ASSERT(!t->waiting);
    t->waiting = true;
    world_at(w, at, EV_FETCH, t->task.index, 0);
}

static struct world_web *server_of(const struct world *w, struct slice url)
{
    for (uint32_t i = 0; i < w->webs_n; i++)
        if (slice_eq(slice_sub(url, 0, w->webs[i].prefix.n), w->webs[i].prefix))
            return &w->webs[i];
    return NULL;
}

static const struct metainfo_file *file_of(const struct world *w, const struct world_web *web, struct slice url)
{
    const struct metainfo *m = w->torrents[web->torrent].meta;
    uint8_t space[WEB_PATH_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    const struct slice rest = slice_sub(url, web->prefix.n, url.n);
    if (rest.n == 0)
        return &m->files[0];
    if (url_decode(&wr, rest) != ERR_OK)
        return NULL;
    for (uint32_t i = 0; i < m->files_n; i++)
        if ((m->files[i].flags & FILE_PAD) == 0 && slice_eq(m->files[i].path, buf_slice(&b)))
            return &m->files[i];
    return NULL;
}

void web_start(struct world *w, struct host *h, const struct node_out *out)
{
    struct web_task *t = (struct web_task *)(void *)task_new(w, h, TASK_WEB, out->id, sizeof *t);
    world_trace(w, h, TRACE_FETCH, 1, out->id, out->fetch.off);
    t->web = server_of(w, out->bytes);
    if (t->web == NULL) {
        plan(w, t, w->now + NSEC_S);
        return;
    }
    t->web->requests++;
    t->web->running++;
    t->web->running_max = u32_max(t->web->running_max, t->web->running);
    t->fault = t->web->faults_n == 0 || t->web->requests <= t->web->faults_n ? t->web->fault : SERVER_GOOD;
    t->file = file_of(w, t->web, out->bytes);
    t->ranged = out->fetch.ranged && t->fault != SERVER_WHOLE;
    if (t->file != NULL) {
        t->off = t->ranged ? u64_min(out->fetch.off, t->file->len) : 0;
        t->end = t->ranged ? u64_min(out->fetch.off + out->fetch.len, t->file->len) : t->file->len;
    }
    if (t->fault == SERVER_OTHER_RANGE && t->off != 0)
        t->off = 0;
    plan(w, t, w->now + t->web->delay);
}

static void finish(struct world *w, struct web_task *t, enum err e, int status)
{
    struct host *h = task_host(w, &t->task);
    const uint32_t id = t->task.id;
    const bool tell = h != NULL && h->node != NULL && !t->cancelled;
    if (t->web != NULL)
        t->web->running--;
    task_free(w, &t->task);
    if (tell)
        host_fetched(w, h, id, e, status, (struct slice){0});
}

static int status_of(const struct web_task *t)
{
    if (t->fault == SERVER_BUSY)
        return 503;
    if (t->file == NULL || t->fault == SERVER_GONE)
        return 404;
    return t->ranged ? 206 : 200;
}

// True: a body follows.
static bool tell_head(struct world *w, struct host *h, struct web_task *t)
{
    uint8_t space[256];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    const int status = status_of(t);
    t->head_told = true;
    if (status == 503)
        wr_fmt(&wr, "Retry-After: %u\r\n", (unsigned)WEB_BUSY_S);
    else if (status == 206)
        wr_fmt(&wr, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)t->off, (unsigned long long)t->end - 1,
            (unsigned long long)t->file->len);
    else if (status == 200)
        wr_fmt(&wr, "Content-Length: %llu\r\n", (unsigned long long)t->file->len);
    host_stream_head(w, h, t->task.id, status, buf_slice(&b));
    if (t->cancelled || status >= 400) {
        finish(w, t, ERR_OK, status);
        return false;
    }
    if (t->fault == SERVER_TRUNCATE)
        t->end = t->off + (t->end - t->off) / 2;
    return true;
}

static void land(struct world *w, struct web_task *t, struct span to)
{
    for (size_t done = 0; done < to.n;) {
        struct extent e = world_extent(w, t->web->torrent, t->file->offset + t->off + done, to.n - done);
        e.pos = 0;
        e.taint = t->fault == SERVER_WRONG && e.content >= CONTENT_FIRST ? WEB_TAINT : 0;
        if (payload_is_ref(&w->arena, to.p))
            payload_land(&w->arena, to.p + done, &e);
        else
            content_bytes(&w->content, &e, to.p + done);
        done += (size_t)e.len;
    }
}

// Bytes that have arrived go where the node wants them; returns how many of n it took.
static uint64_t deliver(struct world *w, struct host *h, struct web_task *t, uint64_t n)
{
    uint64_t done = 0;
    while (done < n && !t->cancelled && h->node != NULL) {
        struct span to;
        t->paused = true;               // the node may say at once that it goes on
        if (!host_stream_room(w, h, t->task.id, &to))
            break;
        t->paused = false;
        to.n = (size_t)u64_min(to.n, n - done);
        land(w, t, to);
        t->off += to.n;
        t->web->bytes += to.n;
        done += to.n;
        host_stream_rx(w, h, t->task.id, to.n);
    }
    return done;
}

void web_on_timer(struct world *w, uint32_t task)
{
    struct web_task *t = slots_get(&w->tasks, task);
    ASSERT(t != NULL);
    t->waiting = false;
    struct host *h = task_host(w, &t->task);
    if (h == NULL || h->node == NULL || t->cancelled) {
        finish(w, t, ERR_CANCELLED, 0);
        return;
    }
    if (t->web == NULL || t->fault == SERVER_DEAD) {
        finish(w, t, ERR_REFUSED, 0);
        return;
    }
    if (t->fault == SERVER_SILENT) {       // until the node has had enough
        plan(w, t, w->now + WEB_TIMEOUT_S * NSEC_S);
        return;
    }
    if (!t->head_told && !tell_head(w, h, t))
        return;
    const uint64_t n = u64_min(WEB_QUANTUM, t->end - t->off);
    (void)deliver(w, h, t, n);
    if (t->cancelled || h->node == NULL || h->life != t->task.life) {
        finish(w, t, ERR_CANCELLED, 0);
        return;
    }
    if (t->paused || t->waiting)
        return;
    if (t->off == t->end) {
        finish(w, t, t->fault == SERVER_TRUNCATE ? ERR_CLOSED : ERR_OK, t->ranged ? 206 : 200);
        return;
    }
    t->web->free_at = u64_max(t->web->free_at, w->now);
    if (t->web->bps != 0)
        t->web->free_at += WEB_QUANTUM * NSEC_S / t->web->bps;
    plan(w, t, t->web->free_at);
}

static struct web_task *find(struct world *w, const struct host *h, uint32_t id)
{
    for (uint32_t i = 0; i < w->tasks.n; i++) {
        struct task *t = slots_get(&w->tasks, i);
        if (t != NULL && t->kind == TASK_WEB && t->host == h->index && t->life == h->life && t->id == id)
            return CONTAINER(t, struct web_task, task);
    }
    return NULL;
}

void web_resume(struct world *w, struct host *h, uint32_t id)
{
    struct web_task *t = find(w, h, id);
    if (t == NULL || !t->paused)
        return;
    t->paused = false;
    plan(w, t, w->now);
}

void web_cancel(struct world *w, struct host *h, uint32_t id)
{
    struct web_task *t = find(w, h, id);
    world_trace(w, h, TRACE_FETCH, 2, id, 0);
    if (t == NULL || t->cancelled)
        return;
    t->cancelled = true;
    if (t->paused)
        plan(w, t, w->now);
    t->paused = false;
}
