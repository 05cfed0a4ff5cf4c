// The small HTTP/1.1 client of simulated hosts, and names: see fetch.h.
#include "sim/fetch.h"
#include "sim/net.h"
#include "sim/stream.h"

#include "codec/url.h"
#include "sim/hostile.h"
#include "sim/task.h"
#include "sim/web.h"

struct fetch {
    struct task task;
    bool done, canned;
    enum web_fault fault;
    const struct world_answer *answer;
    struct conn *conn;
    struct addr to;
    uint8_t request[FETCH_URL_MAX + 256];
    size_t request_n;
    uint8_t *body;                      // head and body as they came
    size_t n, cap;
};

enum { SLOW_S = 20, RESOLVE_MS = 30, UNREACHABLE_MS = 100 };

void fetch_free(struct world *w, void *task)
{
    struct fetch *f = task;
    mem_free(w->env->mem, f->body, f->cap);
    task_free(w, &f->task);
}

static void finish(struct world *w, struct fetch *f, enum err e, int status, struct slice body)
{
    if (f->done)
        return;
    f->done = true;
    struct host *h = task_host(w, &f->task);
    if (h == NULL)
        return;
    if (h->node != NULL)
        host_fetched(w, h, f->task.id, e, status, body);
    else if (h->hostile != NULL)
        hostile_fetched(w, h, e, body);
}

static const struct world_answer *canned(const struct world *w, struct slice url)
{
    for (uint32_t i = 0; i < w->answers_n; i++)
        if (slice_eq(slice_sub(url, 0, w->answers[i].prefix.n), w->answers[i].prefix))
            return &w->answers[i];
    return NULL;
}

static bool lookup(const struct world *w, struct slice name, struct addr *out)
{
    for (uint32_t i = 0; i < w->names_n; i++)
        if (slice_eq(w->names[i].name, name)) {
            *out = w->names[i].addr;
            return true;
        }
    return false;
}

static void request(struct fetch *f, const struct url *u)
{
    struct buf b = {f->request, 0, sizeof f->request};
    struct wr wr = wr_make(&b);
    wr_str(&wr, "GET ");
    if (u->path.n == 0 || u->path.p[0] != '/')
        wr_u8(&wr, '/');
    wr_bytes(&wr, u->path);
    wr_str(&wr, " HTTP/1.1\r\nHost: ");
    wr_bytes(&wr, u->host);
    wr_str(&wr, "\r\nConnection: close\r\n\r\n");
    ASSERT(wr.ok);
    f->request_n = b.n;
}

// Where the URL's server is, and the request for it. False: nowhere.
static bool prepare(struct world *w, struct fetch *f, struct slice url)
{
    struct url u;
    if (url.n > FETCH_URL_MAX || url_parse(url, &u) != ERR_OK)
        return false;
    if (addr_parse(u.host, u.port, &f->to) != ERR_OK && (w->faults.dns_dead || !lookup(w, u.host, &f->to)))
        return false;
    f->to.port = u.port;
    request(f, &u);
    return true;
}

static void begin(struct world *w, struct host *h, struct fetch *f)
{
    f->conn = net_connect(w, h, END_FETCH, f->task.index, &f->to);
    world_at(w, w->now + FETCH_TIMEOUT, EV_FETCH, f->task.index, 0);
}

void fetch_start(struct world *w, struct host *h, uint32_t id, struct slice url)
{
    struct fetch *f = (struct fetch *)(void *)task_new(w, h, TASK_FETCH, id, sizeof *f);
    world_trace(w, h, TRACE_FETCH, 0, id, url.n);
    f->answer = canned(w, url);
    f->fault = (enum web_fault)w->faults.web;
    f->task.err = ERR_UNREACHABLE;
    const bool known = f->answer != NULL || prepare(w, f, url);
    if (known && f->answer == NULL && f->fault == WEB_FINE && net_host(w, &f->to) != NULL)
        f->fault = (enum web_fault)net_host(w, &f->to)->faults.web;
    if (known && f->answer == NULL && f->fault == WEB_FINE) {
        begin(w, h, f);
        return;
    }
    f->canned = true;
    nsec t = UNREACHABLE_MS * NSEC_MS;
    if (f->fault == WEB_DEAD)
        t = FETCH_TIMEOUT;
    else if (f->fault == WEB_SLOW)
        t = SLOW_S * NSEC_S;
    else if (f->answer != NULL && f->fault == WEB_FINE)
        t = f->answer->delay;
    if (!known)
        f->fault = WEB_FINE;
    world_at(w, w->now + t, EV_FETCH, f->task.index, 0);
}

void fetch_connected(struct world *w, struct conn *c, enum err e)
{
    struct fetch *f = slots_get(&w->tasks, c->ends[0].id);
    ASSERT(f != NULL);
    if (e != ERR_OK) {
        f->conn = NULL;
        finish(w, f, e, 0, (struct slice){0});
        return;
    }
    net_send_bytes(w, c, 0, slice_of(f->request, f->request_n));
}

// The value of a header line of the head, as a number; UINT64_MAX: not there.
static uint64_t content_length(struct slice head)
{
    static const char name[] = "content-length:";
    for (size_t i = 0; i + sizeof name < head.n; i++) {
        size_t k = 0;
        while (k < sizeof name - 1 && (head.p[i + k] | 0x20) == (name[k] | 0x20))
            k++;
        if (k < sizeof name - 1)
            continue;
        struct slice digits = slice_sub(head, i + k, 20);
        while (digits.n > 0 && digits.p[0] == ' ')
            digits = slice_sub(digits, 1, digits.n);
        size_t n = 0;
        while (n < digits.n && digits.p[n] >= '0' && digits.p[n] <= '9')
            n++;
        uint64_t v;
        return dec_parse(slice_sub(digits, 0, n), NODE_FETCH_MAX, &v) == ERR_OK ? v : UINT64_MAX;
    }
    return UINT64_MAX;
}

// Answers the node if the reply is whole; `ended`: there will be no more of it.
static void judge(struct world *w, struct fetch *f, bool ended)
{
    size_t head_n = 0;
    for (size_t i = 0; i + 4 <= f->n && head_n == 0; i++)
        if (memcmp(f->body + i, "\r\n\r\n", 4) == 0)
            head_n = i + 4;
    const struct slice head = slice_of(f->body, head_n);
    uint64_t status = 0;
    const bool ok = head_n >= 12 && slice_starts(head, "HTTP/1.") && dec_parse(slice_sub(head, 9, 3), 999, &status) == ERR_OK;
    if (head_n > 0 && ok) {
        const uint64_t len = content_length(head);
        if (len != UINT64_MAX && f->n - head_n >= len) {
            finish(w, f, ERR_OK, (int)status, slice_of(f->body + head_n, (size_t)len));
            return;
        }
        if (ended && len == UINT64_MAX) {
            finish(w, f, ERR_OK, (int)status, slice_of(f->body + head_n, f->n - head_n));
            return;
        }
    }
    if (ended)
        finish(w, f, ERR_PROTOCOL, 0, (struct slice){0});
}

static void drop_conn(struct world *w, struct fetch *f)
{
    if (f->conn == NULL)
        return;
    struct conn *c = f->conn;
    f->conn = NULL;
    net_close(w, c, 0, false);
}

void fetch_rx(struct world *w, struct pipe *p)
{
    struct fetch *f = slots_get(&w->tasks, pipe_to(p)->id);
    ASSERT(f != NULL);
    uint8_t space[4096];
    for (;;) {
        const size_t n = pipe_copy(w, p, space, sizeof space);
        if (n == 0)
            break;
        void *items = f->body;
        uint32_t cap = (uint32_t)f->cap;
        const enum err e = mem_grow(w->env->mem, &items, &cap, u32_of(f->n + n), NODE_FETCH_MAX + FETCH_HEAD_MAX, 1);
        f->body = items;
        f->cap = cap;
        if (e != ERR_OK) {
            finish(w, f, ERR_TOO_LONG, 0, (struct slice){0});
            break;
        }
        memcpy(f->body + f->n, space, n);
        f->n += n;
        pipe_take(w, p, n);
    }
    judge(w, f, false);
    if (f->done)
        drop_conn(w, f);
}

void fetch_closed(struct world *w, uint32_t id, enum err e)
{
    struct fetch *f = slots_get(&w->tasks, id);
    ASSERT(f != NULL);
    f->conn = NULL;
    if (e == ERR_CLOSED)
        judge(w, f, true);
    else
        finish(w, f, e, 0, (struct slice){0});
}

void fetch_dropped(struct world *w, uint32_t id)
{
    struct fetch *f = slots_get(&w->tasks, id);
    ASSERT(f != NULL);
    f->conn = NULL;
    f->done = true;
}

// What a broken server says in place of its answer.
static void finish_faulty(struct world *w, struct fetch *f)
{
    uint8_t junk[600];
    struct rng r = rng_make(w->cfg.seed ^ w->now, f->task.index);
    rng_bytes(&r, junk, sizeof junk);
    switch (f->fault) {
    case WEB_FINE:
    case WEB_SLOW: break;
    case WEB_DEAD: finish(w, f, ERR_TIMEOUT, 0, (struct slice){0}); break;
    case WEB_GARBAGE: finish(w, f, ERR_OK, 200, slice_of(junk, sizeof junk)); break;
    case WEB_ERRORS: finish(w, f, ERR_OK, 503, SLICE_LIT("overloaded")); break;
    case WEB_CUT: finish(w, f, ERR_CLOSED, 200, SLICE_LIT("d8:intervali1800e5:peers")); break;
    }
}

void fetch_on_timer(struct world *w, uint32_t id)
{
    struct fetch *f = slots_get(&w->tasks, id);
    ASSERT(f != NULL);
    if (f->task.kind == TASK_WEB) {
        web_on_timer(w, id);
        return;
    }
    struct host *h = task_host(w, &f->task);
    if (f->fault == WEB_SLOW && f->answer == NULL && h != NULL) {
        f->fault = WEB_FINE;
        f->canned = false;
        begin(w, h, f);
        return;
    }
    if (f->fault != WEB_FINE && f->fault != WEB_SLOW)
        finish_faulty(w, f);
    else if (f->answer != NULL)
        finish(w, f, f->answer->err, f->answer->status, f->answer->body);
    else
        finish(w, f, f->canned ? f->task.err : ERR_TIMEOUT, 0, (struct slice){0});
    drop_conn(w, f);
    fetch_free(w, f);
}

void resolve_start(struct world *w, struct host *h, uint32_t id, struct slice name)
{
    struct task *t = task_new(w, h, TASK_RESOLVE, id, sizeof *t);
    world_trace(w, h, TRACE_RESOLVE, 0, id, name.n);
    t->err = ERR_OK;
    if (w->faults.dns_dead)
        t->err = ERR_AGAIN;
    else if (addr_parse(name, 0, &t->addr) != ERR_OK && !lookup(w, name, &t->addr))
        t->err = ERR_NOT_FOUND;
    world_at(w, w->now + RESOLVE_MS * NSEC_MS, EV_RESOLVED, t->index, 0);
}

void resolve_on_timer(struct world *w, uint32_t id)
{
    struct task *t = slots_get(&w->tasks, id);
    ASSERT(t != NULL);
    struct host *h = task_host(w, t);
    if (h != NULL && h->node != NULL)
        host_resolved(w, h, t->id, t->err, &t->addr, t->err == ERR_OK ? 1 : 0);
    task_free(w, t);
}

void map_start_task(struct world *w, struct host *h, const struct node_map *m)
{
    struct task *t = task_new(w, h, TASK_MAP, m->udp, sizeof *t);
    t->err = h->cfg.map_port == 0 ? ERR_UNREACHABLE : ERR_OK;
    t->addr = net_addr(h->index, h->cfg.map_port);
    t->n = m->lifetime_s == 0 || h->cfg.map_lifetime_s == 0 ? m->lifetime_s : h->cfg.map_lifetime_s;
    world_at(w, w->now + RESOLVE_MS * NSEC_MS, EV_MAPPED, t->index, 0);
}

void map_on_timer(struct world *w, uint32_t id)
{
    struct task *t = slots_get(&w->tasks, id);
    ASSERT(t != NULL);
    struct host *h = task_host(w, t);
    if (h != NULL && h->node != NULL)
        host_mapped(w, h, t->id != 0, t->err, &t->addr, (uint32_t)t->n);
    task_free(w, t);
}
