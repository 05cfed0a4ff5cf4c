// Worker threads: see jobs.h.
#include "plat/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

struct queue {
    struct job *first, **last;
};

struct jobs {
    struct waker *waker;
    pthread_mutex_t lock;
    struct queue done;
};

enum { POOL_THREADS_MAX = 64 };

struct pool {
    struct jobs *back;
    char name[16];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue urgent, normal;
    uint32_t queued, idle;              // idle: workers asleep that nobody has been sent to wake
    bool stopping;
    enum pool_end end;
    uint32_t alive;                     // threads that have not ended
    struct queue fresh[2];              // pushed since the last kick; the loop's own
    uint32_t fresh_n, pending;
    uint32_t threads_n, threads_max;
    pthread_t threads[POOL_THREADS_MAX];
};

static void queue_init(struct queue *q) { *q = (struct queue){NULL, &q->first}; }

static void queue_put(struct queue *q, struct job *j)
{
    j->next = NULL;
    *q->last = j;
    q->last = &j->next;
}

static struct job *queue_take(struct queue *q)
{
    struct job *j = q->first;
    if (j != NULL) {
        q->first = j->next;
        if (q->first == NULL)
            q->last = &q->first;
    }
    return j;
}

// The next one if it goes together with j.
static struct job *queue_take_partner(struct queue *q, const struct job *j)
{
    return j->run_two != NULL && q->first != NULL && q->first->run_two == j->run_two ? queue_take(q) : NULL;
}

static void queue_append(struct queue *to, struct queue *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    queue_init(from);
}

static void drop_all(struct queue *q)
{
    for (struct job *j = queue_take(q); j != NULL; j = queue_take(q)) {
        if (j->drop != NULL)
            j->drop(j);
    }
}

void jobs_collect(struct jobs *b)
{
    struct queue all;
    queue_init(&all);
    pthread_mutex_lock(&b->lock);
    queue_append(&all, &b->done);
    pthread_mutex_unlock(&b->lock);
    for (struct job *j = queue_take(&all); j != NULL; j = queue_take(&all)) {
        j->pool->pending--;
        j->done(j);
    }
}

static void on_wake(void *ctx) { jobs_collect(ctx); }

enum err jobs_new(struct jobs **out, struct loop *l)
{
    struct jobs *b = calloc(1, sizeof *b);
    if (b == NULL)
        return ERR_NOMEM;
    const enum err e = waker_new(&b->waker, l, on_wake, b);
    if (e != ERR_OK) {
        free(b);
        return e;
    }
    pthread_mutex_init(&b->lock, NULL);
    queue_init(&b->done);
    *out = b;
    return ERR_OK;
}

void jobs_free(struct jobs *b)
{
    if (b == NULL)
        return;
    drop_all(&b->done);
    waker_free(b->waker);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static _Thread_local uint8_t *worker_scratch;

static uint8_t *scratch(void)
{
    if (worker_scratch == NULL) {
        void *p = mmap(NULL, WORKER_SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        worker_scratch = p == MAP_FAILED ? NULL : p;
    }
    return worker_scratch;
}

static void give_back(struct jobs *b, struct job *j)
{
    pthread_mutex_lock(&b->lock);
    const bool first = b->done.first == NULL;
    queue_put(&b->done, j);
    pthread_mutex_unlock(&b->lock);
    if (first)
        waker_wake(b->waker);           // later ones ride on the same wake-up
}

// Comes back with the lock taken. `two` may be NULL.
static void finish(struct pool *p, struct job *j, struct job *two)
{
    if (p->end == POOL_WAITS) {
        give_back(p->back, j);
        if (two != NULL)
            give_back(p->back, two);
    }
    pthread_mutex_lock(&p->lock);
    if (p->end == POOL_WAITS)
        return;
    // Under the lock, because the way back may just be going away.
    for (struct job *i = j; i != NULL; i = i == j ? two : NULL) {
        if (!p->stopping)
            give_back(p->back, i);
        else if (i->drop != NULL)
            i->drop(i);
    }
}

static void destroy(struct pool *p)
{
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void *work(void *ctx)
{
    struct pool *p = ctx;
    (void)prctl(PR_SET_NAME, p->name);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct queue *q = p->urgent.first != NULL ? &p->urgent : &p->normal;
        struct job *j = queue_take(q);
        if (j != NULL) {
            struct job *two = queue_take_partner(q, j);
            p->queued -= two != NULL ? 2 : 1;
            pthread_mutex_unlock(&p->lock);
            if (two != NULL)
                j->run_two(j, two, scratch);
            else
                j->run(j, scratch);
            finish(p, j, two);
            continue;
        }
        if (p->stopping)
            break;
        p->idle++;
        pthread_cond_wait(&p->wake, &p->lock);
    }
    const bool last = --p->alive == 0 && p->end == POOL_LEAVES;
    pthread_mutex_unlock(&p->lock);
    if (worker_scratch != NULL)
        (void)munmap(worker_scratch, WORKER_SCRATCH);
    if (last)
        destroy(p);
    return NULL;
}

enum err pool_new(struct pool **out, struct jobs *b, uint32_t threads, const char *name, enum pool_end end)
{
    ASSERT(threads > 0);
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    p->back = b;
    p->end = end;
    p->threads_max = u32_min(threads, POOL_THREADS_MAX);
    memcpy(p->name, name, size_min(strlen(name), sizeof p->name - 1));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    queue_init(&p->urgent);
    queue_init(&p->normal);
    queue_init(&p->fresh[0]);
    queue_init(&p->fresh[1]);
    *out = p;
    return ERR_OK;
}

static void start_threads(struct pool *p, uint32_t want)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);       // signals are the loop's
    pthread_mutex_lock(&p->lock);
    while (p->threads_n < want && pthread_create(&p->threads[p->threads_n], NULL, work, p) == 0) {
        p->threads_n++;
        p->alive++;
    }
    pthread_mutex_unlock(&p->lock);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void pool_push(struct pool *p, struct job *j)
{
    j->pool = p;
    queue_put(&p->fresh[j->urgent ? 1 : 0], j);
    p->fresh_n++;
    p->pending++;
}

void pool_kick(struct pool *p)
{
    if (p->fresh_n == 0)
        return;
    const struct job *some = p->fresh[0].first != NULL ? p->fresh[0].first : p->fresh[1].first;
    const uint32_t at_once = some->run_two != NULL ? 2 : 1;
    const uint32_t threads = u32_min((p->pending + at_once - 1) / at_once, p->threads_max);
    if (p->threads_n < threads)
        start_threads(p, threads);
    // Not one thread could be made: the loop does the work itself rather than nobody.
    if (p->threads_n == 0) {
        for (struct job *j = queue_take(&p->fresh[0]); j != NULL; j = queue_take(&p->fresh[0]))
            queue_put(&p->fresh[1], j);
        p->fresh_n = 0;
        for (struct job *j = queue_take(&p->fresh[1]); j != NULL; j = queue_take(&p->fresh[1])) {
            j->run(j, scratch);
            give_back(p->back, j);
        }
        return;
    }
    pthread_mutex_lock(&p->lock);
    queue_append(&p->urgent, &p->fresh[1]);
    queue_append(&p->normal, &p->fresh[0]);
    p->queued += p->fresh_n;
    const uint32_t wakes = u32_min(p->idle, (p->queued + at_once - 1) / at_once);
    p->idle -= wakes;
    pthread_mutex_unlock(&p->lock);
    p->fresh_n = 0;
    for (uint32_t i = 0; i < wakes; i++)
        pthread_cond_signal(&p->wake);
}

uint32_t pool_pending(const struct pool *p) { return p->pending; }
uint32_t pool_fresh(const struct pool *p) { return p->fresh_n; }

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    struct queue waiting;
    queue_init(&waiting);
    const uint32_t threads_n = p->threads_n;
    pthread_t threads[POOL_THREADS_MAX];
    memcpy(threads, p->threads, sizeof threads);
    const bool waits = p->end == POOL_WAITS || threads_n == 0;
    queue_append(&waiting, &p->fresh[1]);
    queue_append(&waiting, &p->fresh[0]);
    pthread_mutex_lock(&p->lock);
    queue_append(&waiting, &p->urgent);
    queue_append(&waiting, &p->normal);
    p->queued = 0;
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    // A pool that leaves its threads behind belongs to the last of them from here on.
    for (uint32_t i = 0; i < threads_n; i++) {
        if (waits)
            pthread_join(threads[i], NULL);
        else
            pthread_detach(threads[i]);
    }
    drop_all(&waiting);
    if (waits)
        destroy(p);
}
