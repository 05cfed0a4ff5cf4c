// See hashing.h.
#include "app/hashing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "plat/file.h"

enum { LEAF_LEN = 16384 };              // BEP 52

struct hashing {
    struct hashing_config cfg;
    pthread_t *threads;
    uint32_t threads_n;
    uint32_t batch;                     // pieces taken at a time
    bool by_two;                        // sha1_two_fast
    atomic_uint next;                   // first piece nobody took
    atomic_uint_fast64_t bytes;
    atomic_bool stop;
    pthread_mutex_t lock;               // of what follows
    pthread_cond_t ended;
    uint32_t running;
    enum err failure;
    uint32_t failed_file;
};

// What a thread has of its own: one open file and its memory.
struct worker {
    struct hashing *h;
    uint8_t *chunk;                     // HASHING_CHUNK bytes, page-aligned
    uint8_t (*leaves)[SHA256_LEN];      // of two pieces
    int fd;
    uint32_t file;                      // that fd belongs to
};

// A piece under way.
struct piece {
    struct sha1 sha1;
    uint8_t (*leaves)[SHA256_LEN];
    uint64_t leaves_n;
};

static void close_file(struct worker *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static enum err use_file(struct worker *w, uint32_t file)
{
    if (w->fd >= 0 && w->file == file)
        return ERR_OK;
    close_file(w);
    const struct file_name name = {w->h->cfg.root, w->h->cfg.files[file].path};
    const enum err e = file_open(&name, FILE_READ, &w->fd);
    if (e != ERR_OK) {
        w->fd = -1;
        return e == ERR_VANISHED ? ERR_NOT_FOUND : e;
    }
    w->file = file;
    return ERR_OK;
}

static enum err read_chunk(struct worker *w, uint8_t *to, uint64_t off, size_t n)
{
    return file_read_all(w->fd, &(struct iovec){to, n}, 1, off);
}

// Both digests while the chunk is in the cache. Every chunk of a piece but its last is whole leaves.
static void feed_leaves(struct worker *w, struct piece *p, struct slice data)
{
    if (w->h->cfg.sha256 == NULL)
        return;
    for (size_t at = 0; at < data.n; at += LEAF_LEN)
        sha256_of(slice_sub(data, at, LEAF_LEN), p->leaves[p->leaves_n++]);
}

static void feed(struct worker *w, struct piece *p, struct slice data)
{
    if (w->h->cfg.sha1 != NULL)
        sha1_update(&p->sha1, data);
    feed_leaves(w, p, data);
}

static void feed_zeros(struct worker *w, struct piece *p, uint64_t n)
{
    static const uint8_t zeros[LEAF_LEN];
    if (w->h->cfg.sha1 == NULL)
        return;
    for (uint64_t k = 0; n > 0; n -= k) {
        k = u64_min(n, sizeof zeros);
        sha1_update(&p->sha1, slice_of(zeros, (size_t)k));
    }
}

// The part from..to of piece space, all within one file.
static enum err hash_range(struct worker *w, struct piece *p, uint32_t file, uint64_t from, uint64_t to)
{
    const struct hashing_file *f = &w->h->cfg.files[file];
    ASSERT(from >= f->offset);
    ASSERT(to <= f->offset + f->len);
    if (f->zeros) {
        feed_zeros(w, p, to - from);
        return ERR_OK;
    }
    enum err e = use_file(w, file);
    if (e != ERR_OK)
        return e;
    // the disk starts on all of it at once; free if it is in the page cache
    (void)posix_fadvise(w->fd, (off_t)(from - f->offset), (off_t)(to - from), POSIX_FADV_WILLNEED);
    while (from < to) {
        if (atomic_load_explicit(&w->h->stop, memory_order_relaxed))
            return ERR_CANCELLED;
        const size_t n = (size_t)u64_min(to - from, HASHING_CHUNK);
        e = read_chunk(w, w->chunk, from - f->offset, n);
        if (e != ERR_OK)
            return e;
        feed(w, p, slice_of(w->chunk, n));
        atomic_fetch_add_explicit(&w->h->bytes, n, memory_order_relaxed);
        from += n;
    }
    return ERR_OK;
}

// The last file that begins at or before `offset`; among empty ones there, any.
static uint32_t file_at(const struct hashing_config *c, uint64_t offset)
{
    uint32_t low = 0, high = c->files_n;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (c->files[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    // empty files share their offset with the one that has the byte, which may be before them
    while (low > 0 && c->files[low].offset + c->files[low].len <= offset && c->files[low].len == 0)
        low--;
    return low;
}

static uint64_t next_power(uint64_t n)
{
    uint64_t p = 1;
    while (p < n)
        p *= 2;
    return p;
}

// A file of one piece has a tree just wide enough; the pieces of others have subtrees of the full width. BEP 52.
static void finish_leaves(struct worker *w, struct piece *p, uint64_t file_len, uint8_t out[SHA256_LEN])
{
    static const uint8_t pad[SHA256_LEN];
    if (p->leaves_n == 0)
        return;
    const uint64_t width = file_len <= w->h->cfg.piece_len ? next_power(p->leaves_n) : w->h->cfg.piece_len / LEAF_LEN;
    merkle_root(p->leaves, p->leaves_n, width, pad, out);
}

static enum err hash_piece(struct worker *w, uint32_t index, uint32_t *out_file)
{
    const struct hashing_config *c = &w->h->cfg;
    const uint64_t begin = (uint64_t)index * c->piece_len, end = begin + c->piece_len;
    struct piece p = {.leaves = w->leaves};
    uint64_t file_len = 0;
    if (c->sha1 != NULL)
        sha1_init(&p.sha1);
    for (uint32_t i = file_at(c, begin); i < c->files_n && c->files[i].offset < end; i++) {
        const struct hashing_file *f = &c->files[i];
        const uint64_t from = u64_max(f->offset, begin), to = u64_min(f->offset + f->len, end);
        if (from >= to)
            continue;
        if (!f->zeros)
            file_len = f->len;
        const enum err e = hash_range(w, &p, i, from, to);
        if (e != ERR_OK) {
            *out_file = i;
            return e;
        }
    }
    if (c->sha1 != NULL)
        sha1_final(&p.sha1, c->sha1[index]);
    if (c->sha256 != NULL)
        finish_leaves(w, &p, file_len, c->sha256[index]);
    return ERR_OK;
}

// Both halves of the chunk at once: see sha1_update_two.
static enum err feed_two(struct worker *w, struct piece p[2], uint64_t off, uint32_t len)
{
    uint8_t *const half[2] = {w->chunk, w->chunk + HASHING_CHUNK / 2};
    for (uint32_t at = 0; at < len;) {
        if (atomic_load_explicit(&w->h->stop, memory_order_relaxed))
            return ERR_CANCELLED;
        const uint32_t n = u32_min(len - at, HASHING_CHUNK / 2);
        enum err e = read_chunk(w, half[0], off + at, n);
        if (e == ERR_OK)
            e = read_chunk(w, half[1], off + len + at, n);
        if (e != ERR_OK)
            return e;
        sha1_update_two(true, &p[0].sha1, slice_of(half[0], n), &p[1].sha1, slice_of(half[1], n));
        feed_leaves(w, &p[0], slice_of(half[0], n));
        feed_leaves(w, &p[1], slice_of(half[1], n));
        at += n;
    }
    return ERR_OK;
}

// Pieces index and index + 1, if they are whole and of one file. False: nothing was done, and one at a time finds out why.
static bool hash_two(struct worker *w, uint32_t index)
{
    const struct hashing_config *c = &w->h->cfg;
    const uint64_t begin = (uint64_t)index * c->piece_len, len = 2 * (uint64_t)c->piece_len;
    const struct hashing_file *f = &c->files[file_at(c, begin)];
    if (!w->h->by_two || f->zeros || begin < f->offset || begin + len > f->offset + f->len || use_file(w, file_at(c, begin)) != ERR_OK)
        return false;
    struct piece p[2] = {{.leaves = w->leaves}, {.leaves = w->leaves + c->piece_len / LEAF_LEN}};
    sha1_init(&p[0].sha1);
    sha1_init(&p[1].sha1);
    (void)posix_fadvise(w->fd, (off_t)(begin - f->offset), (off_t)len, POSIX_FADV_WILLNEED);
    if (feed_two(w, p, begin - f->offset, c->piece_len) != ERR_OK)
        return false;
    atomic_fetch_add_explicit(&w->h->bytes, len, memory_order_relaxed);
    for (uint32_t i = 0; i < 2; i++) {
        sha1_final(&p[i].sha1, c->sha1[index + i]);
        if (c->sha256 != NULL)
            finish_leaves(w, &p[i], f->len, c->sha256[index + i]);
        if (c->results != NULL)
            c->results[index + i] = HASHING_DONE;
    }
    return true;
}

static void note_failure(struct hashing *h, enum err e, uint32_t file)
{
    pthread_mutex_lock(&h->lock);
    // of several the one of the first file, so that the message does not depend on the threads
    if (h->failure == ERR_OK || file < h->failed_file) {
        h->failure = e;
        h->failed_file = file;
    }
    pthread_mutex_unlock(&h->lock);
    if (!h->cfg.keep_going)
        hashing_stop(h);
}

static void work(struct worker *w)
{
    struct hashing *h = w->h;
    for (;;) {
        const uint32_t first = atomic_fetch_add_explicit(&h->next, h->batch, memory_order_relaxed);
        if (first >= h->cfg.pieces_n)
            return;
        const uint32_t last = u32_min(h->cfg.pieces_n - first, h->batch) + first;
        for (uint32_t i = first; i < last; i++) {
            uint32_t file = 0;
            if (i + 1 < last && hash_two(w, i)) {
                i++;
                continue;
            }
            const enum err e = hash_piece(w, i, &file);
            if (e == ERR_CANCELLED || atomic_load_explicit(&h->stop, memory_order_relaxed))
                return;
            if (e != ERR_OK)
                note_failure(h, e, file);
            if (h->cfg.results != NULL)
                h->cfg.results[i] = e == ERR_OK ? HASHING_DONE : HASHING_FAILED;
        }
    }
}

static void *thread_main(void *ctx)
{
    struct hashing *h = ctx;
    struct worker w = {.h = h, .fd = -1};
    const uint64_t leaves_max = h->cfg.sha256 != NULL ? 2 * u64_div_up(h->cfg.piece_len, LEAF_LEN) : 1;
    w.chunk = aligned_alloc(4096, HASHING_CHUNK);
    w.leaves = calloc((size_t)leaves_max, sizeof *w.leaves);
    if (w.chunk == NULL || w.leaves == NULL)
        note_failure(h, ERR_NOMEM, 0);
    else
        work(&w);
    close_file(&w);
    free(w.chunk);
    free(w.leaves);
    pthread_mutex_lock(&h->lock);
    if (--h->running == 0)
        pthread_cond_broadcast(&h->ended);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static uint32_t threads_wanted(const struct hashing_config *cfg, uint32_t batches)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = cfg->threads != 0 ? cfg->threads : cores > 0 ? (uint32_t)cores : 1;
    n = u32_min(n, HASHING_THREADS_MAX);
    return u32_max(u32_min(n, batches), 1);
}

enum err hashing_start(struct hashing **out, const struct hashing_config *cfg)
{
    ASSERT(cfg->piece_len > 0);
    ASSERT(cfg->sha256 == NULL || cfg->piece_len % LEAF_LEN == 0);
    struct hashing *h = calloc(1, sizeof *h);
    if (h == NULL)
        return ERR_NOMEM;
    h->cfg = *cfg;
    // small enough that all threads end at about the same time
    const uint32_t batch = u32_min(HASHING_BATCH / cfg->piece_len, cfg->pieces_n / 64);
    h->by_two = cfg->sha1 != NULL && sha1_two_fast();
    h->batch = u32_max(batch, h->by_two ? 2 : 1);
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->ended, &attr);
    pthread_condattr_destroy(&attr);
    const uint32_t n = threads_wanted(cfg, (uint32_t)u64_div_up(cfg->pieces_n, h->batch));
    h->threads = calloc(n, sizeof *h->threads);
    if (h->threads == NULL) {
        hashing_free(h);
        return ERR_NOMEM;
    }
    pthread_mutex_lock(&h->lock);
    while (h->threads_n < n && pthread_create(&h->threads[h->threads_n], NULL, thread_main, h) == 0)
        h->threads_n++;
    h->running = h->threads_n;
    pthread_mutex_unlock(&h->lock);
    if (h->threads_n == 0) {
        hashing_free(h);
        return ERR_AGAIN;
    }
    *out = h;
    return ERR_OK;
}

bool hashing_wait(struct hashing *h, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&h->lock);
    while (h->running > 0 && pthread_cond_timedwait(&h->ended, &h->lock, &until) != ETIMEDOUT)
        continue;
    const bool finished = h->running == 0;
    pthread_mutex_unlock(&h->lock);
    return finished;
}

uint64_t hashing_bytes(const struct hashing *h)
{
    return atomic_load_explicit(&h->bytes, memory_order_relaxed);
}

void hashing_stop(struct hashing *h)
{
    atomic_store(&h->stop, true);
}

enum err hashing_failure(struct hashing *h, uint32_t *out_file)
{
    pthread_mutex_lock(&h->lock);
    const enum err e = h->failure;
    if (e != ERR_OK)
        *out_file = h->failed_file;
    pthread_mutex_unlock(&h->lock);
    return e;
}

void hashing_free(struct hashing *h)
{
    if (h == NULL)
        return;
    hashing_stop(h);
    for (uint32_t i = 0; i < h->threads_n; i++)
        pthread_join(h->threads[i], NULL);
    pthread_cond_destroy(&h->ended);
    pthread_mutex_destroy(&h->lock);
    free(h->threads);
    free(h);
}
