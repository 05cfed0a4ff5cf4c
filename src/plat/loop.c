// The event loop over libuv: see loop.h.
#include "plat/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/list.h"
#include "plat/oserr.h"

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_signal_t signals[2];
    bool signals_on;
    nsec now;
    struct list changed;                // of watch.changed
    void (*turn)(void *ctx);
    void *ctx;
    void (*on_signal)(void *ctx, int number);
};

struct watch {
    uv_poll_t uv;
    struct loop *l;
    struct list changed;
    unsigned want, active;
    int fd;
    bool known;                         // to libuv: only when something was wanted at the end of a turn
    void (*on)(void *ctx, unsigned ready);
    void *ctx;
};

struct timer {
    uv_timer_t uv;
    struct loop *l;
    uint64_t at_ms;                     // UINT64_MAX: not running
    void (*on)(void *ctx);
    void *ctx;
};

// An eventfd of our own: libuv's async spins and yields while a sender is between its two steps.
struct waker {
    struct watch *watch;
    int fd;
    atomic_bool pending;
    void (*on)(void *ctx);
    void *ctx;
};

static void free_data(uv_handle_t *h) { free(h->data); }

static void touch_now(struct loop *l) { l->now = uv_hrtime(); }

nsec loop_now(const struct loop *l) { return l->now; }

nsec loop_fresh(struct loop *l)
{
    touch_now(l);
    return l->now;
}

static void on_ready(uv_poll_t *uv, int status, int events);

// False: the kernel has no memory for it now; tried again with the next turn.
static bool watch_know(struct watch *w)
{
    if (!w->known && uv_poll_init(&w->l->uv, &w->uv, w->fd) == 0) {
        w->uv.data = w;
        w->known = true;
    }
    return w->known;
}

static void watch_apply(struct watch *w)
{
    if (w->want == w->active)
        return;
    ASSERT(w->known);
    w->active = w->want;
    const int events = (w->want & WATCH_READ ? UV_READABLE : 0) | (w->want & WATCH_WRITE ? UV_WRITABLE : 0);
    const int r = events == 0 ? uv_poll_stop(&w->uv) : uv_poll_start(&w->uv, events, on_ready);
    ASSERT(r == 0);
}

static void on_ready(uv_poll_t *uv, int status, int events)
{
    struct watch *w = uv->data;
    touch_now(w->l);
    unsigned ready = (events & UV_READABLE ? WATCH_READ : 0u) | (events & UV_WRITABLE ? WATCH_WRITE : 0u);
    if (status < 0) {
        // libuv has stopped the handle (POLLERR alone); the owner finds the error by reading or writing.
        w->active = 0;
        ready = WATCH_READ | WATCH_WRITE;
        if (list_empty(&w->changed))
            list_push_back(&w->l->changed, &w->changed);
    }
    if ((ready & w->want) != ready)
        watch_apply(w);                 // it fires for what nobody wants any more: now it is worth a system call
    w->on(w->ctx, ready);
}

static void on_prepare(uv_prepare_t *uv)
{
    struct loop *l = uv->data;
    touch_now(l);
    (void)uv_idle_stop(&l->idle);
    l->turn(l->ctx);
    LIST_EACH(&l->changed, link, save) {
        struct watch *w = CONTAINER(link, struct watch, changed);
        if (w->want != 0 && !watch_know(w))
            continue;
        list_remove(&w->changed);
        // A bit that is only taken back waits until it fires unwanted: it is mostly wanted again before.
        if ((w->want & ~w->active) != 0)
            watch_apply(w);
    }
}

static void on_idle(uv_idle_t *uv) { (void)uv; }

enum err loop_new(struct loop **out, void (*turn)(void *ctx), void *ctx)
{
    struct loop *l = calloc(1, sizeof *l);
    if (l == NULL)
        return ERR_NOMEM;
    const int r = uv_loop_init(&l->uv);
    if (r < 0) {
        free(l);
        return err_of_errno(-r);
    }
    list_init(&l->changed);
    l->turn = turn;
    l->ctx = ctx;
    (void)uv_prepare_init(&l->uv, &l->prepare);
    (void)uv_idle_init(&l->uv, &l->idle);
    l->prepare.data = l->idle.data = l;
    (void)uv_prepare_start(&l->prepare, on_prepare);
    touch_now(l);
    *out = l;
    return ERR_OK;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    if (l->signals_on) {
        uv_close((uv_handle_t *)&l->signals[0], NULL);
        uv_close((uv_handle_t *)&l->signals[1], NULL);
    }
    // A stop before anything ran ends the first run at once: nothing would be closed.
    for (int left = 1, tries = 0; left != 0 && tries < 2; tries++)
        left = uv_run(&l->uv, UV_RUN_DEFAULT);
    const int r = uv_loop_close(&l->uv);
    ASSERT(r == 0);                     // else a watch or timer was forgotten
    free(l);
}

void loop_run(struct loop *l)
{
    touch_now(l);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l) { uv_stop(&l->uv); }
void loop_again(struct loop *l) { (void)uv_idle_start(&l->idle, on_idle); }

static void on_signal(uv_signal_t *uv, int number)
{
    struct loop *l = uv->data;
    touch_now(l);
    l->on_signal(l->ctx, number);
}

enum err loop_signals(struct loop *l, void (*on)(void *ctx, int number))
{
    static const int NUMBERS[2] = {SIGINT, SIGTERM};
    ASSERT(!l->signals_on);
    l->on_signal = on;
    for (size_t i = 0; i < 2; i++) {
        (void)uv_signal_init(&l->uv, &l->signals[i]);
        l->signals[i].data = l;
    }
    l->signals_on = true;
    for (size_t i = 0; i < 2; i++) {
        const int r = uv_signal_start(&l->signals[i], on_signal, NUMBERS[i]);
        if (r < 0)
            return err_of_errno(-r);
    }
    return ERR_OK;
}

enum err watch_new(struct watch **out, struct loop *l, int fd, void (*on)(void *ctx, unsigned ready), void *ctx)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ERR_NOMEM;
    w->l = l;
    w->fd = fd;
    w->on = on;
    w->ctx = ctx;
    list_init(&w->changed);
    *out = w;
    return ERR_OK;
}

void watch_set(struct watch *w, unsigned want)
{
    ASSERT(w != NULL);
    w->want = want;
    if (want != w->active && list_empty(&w->changed))
        list_push_back(&w->l->changed, &w->changed);
}

void watch_free(struct watch *w)
{
    if (w == NULL)
        return;
    list_remove(&w->changed);
    if (w->known)
        uv_close((uv_handle_t *)&w->uv, free_data);
    else
        free(w);
}

static void on_timer(uv_timer_t *uv)
{
    struct timer *t = uv->data;
    t->at_ms = UINT64_MAX;
    touch_now(t->l);
    t->on(t->ctx);
}

enum err timer_new(struct timer **out, struct loop *l, void (*on)(void *ctx), void *ctx)
{
    struct timer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    (void)uv_timer_init(&l->uv, &t->uv);
    t->uv.data = t;
    t->l = l;
    t->at_ms = UINT64_MAX;
    t->on = on;
    t->ctx = ctx;
    *out = t;
    return ERR_OK;
}

void timer_set(struct timer *t, nsec at)
{
    const uint64_t at_ms = at == NSEC_NEVER ? UINT64_MAX : u64_div_up(at, NSEC_MS);
    if (at_ms == t->at_ms)
        return;
    t->at_ms = at_ms;
    if (at_ms == UINT64_MAX) {
        (void)uv_timer_stop(&t->uv);
        return;
    }
    // libuv counts from the time it read last, on the same clock.
    (void)uv_timer_start(&t->uv, on_timer, u64_sub_sat(at_ms, uv_now(&t->l->uv)), 0);
}

void timer_free(struct timer *t)
{
    if (t != NULL)
        uv_close((uv_handle_t *)&t->uv, free_data);
}

static void on_wake(void *ctx, unsigned ready)
{
    struct waker *w = ctx;
    uint64_t count = 0;
    (void)ready;
    (void)!read(w->fd, &count, sizeof count);
    atomic_store(&w->pending, false);   // before the work is looked for: what comes later wakes again
    w->on(w->ctx);
}

enum err waker_new(struct waker **out, struct loop *l, void (*on)(void *ctx), void *ctx)
{
    struct waker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return ERR_NOMEM;
    w->on = on;
    w->ctx = ctx;
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    enum err e = w->fd < 0 ? err_of_errno(errno) : watch_new(&w->watch, l, w->fd, on_wake, w);
    if (e != ERR_OK) {
        if (w->fd >= 0)
            (void)close(w->fd);
        free(w);
        return e;
    }
    watch_set(w->watch, WATCH_READ);
    *out = w;
    return ERR_OK;
}

void waker_wake(struct waker *w)
{
    const uint64_t one = 1;
    if (!atomic_exchange(&w->pending, true))
        (void)!write(w->fd, &one, sizeof one);
}

void waker_free(struct waker *w)
{
    if (w == NULL)
        return;
    watch_free(w->watch);
    (void)close(w->fd);
    free(w);
}
