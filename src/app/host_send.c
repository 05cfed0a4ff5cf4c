// Sending: a run of neighbouring blocks is read at once from the page cache into a scratch, then goes out with its headers
// in one call. Measured against sendfile, splice, mmap and MSG_ZEROCOPY by tests/bench/bench_send.c: a third of sendfile's
// CPU at a tenth of its calls. What is not in the page cache is read by a disk worker.
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "app/host_conn.h"
#include "app/host_out.h"
#include "app/host_parts.h"

enum {
    CHUNK_MIN = 4 * BLOCK_LEN,
    PAGE = 4096,
};

static void set_busy(struct conn *c)
{
    if (list_empty(&c->busy))
        list_push_back(&c->h->busy, &c->busy);
}

static bool may_send(const struct conn *c)
{
    return (c->state == CONN_OPEN || c->state == CONN_FLUSHING) && !c->tx_blocked && !c->loading && c->out.n > 0;
}

void send_queue(struct host *h, const struct node_out *o)
{
    struct conn *c = conn_of(h, o->conn);
    if (c == NULL)
        return;                         // failed meanwhile: the node will be told, or was
    for (uint32_t i = 0; i < o->segs_n; i++) {
        const enum err e = out_add(&c->out, &o->segs[i]);
        if (e != ERR_OK) {
            conn_fail(c, e);            // half of a message is worse than none
            return;
        }
    }
    set_busy(c);
}

// A scratch, if need be from the connection that has waited longest for its socket: that one reads again.
static bool scratch_take(struct conn *c)
{
    struct host *h = c->h;
    if (c->out.scratch != NULL)
        return true;
    struct scratch *s = h->scratch_free;
    if (s != NULL) {
        h->scratch_free = s->next;
    } else if (h->scratches_n < HOST_SCRATCH_MAX) {
        void *p = mmap(NULL, HOST_SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return false;
        s = &h->scratches[h->scratches_n++];
        s->p = p;
    } else {
        LIST_EACH(&h->holders, link, save) {
            struct conn *holder = CONTAINER(link, struct conn, hold);
            if (holder->loading)
                continue;
            out_unload(&holder->out);
            s = holder->out.scratch;
            holder->out.scratch = NULL;
            list_remove(&holder->hold);
            break;
        }
    }
    if (s == NULL)
        return false;
    s->next = NULL;
    s->left = 0;
    c->out.scratch = s;
    list_remove(&c->hold);
    list_push_back(&h->holders, &c->hold);
    return true;
}

void send_release(struct conn *c)
{
    struct host *h = c->h;
    struct scratch *s = c->out.scratch;
    if (s == NULL)
        return;
    ASSERT(!c->loading);
    c->out.scratch = NULL;
    list_remove(&c->hold);
    s->next = h->scratch_free;          // the last one used is still in the cache
    h->scratch_free = s;
    struct conn *waits = LIST_FIRST(&h->hungry, struct conn, hold);
    if (waits != NULL) {
        list_remove(&waits->hold);
        set_busy(waits);
    }
}

// A stretch of the queue that is one range of a file, headers in between.
struct run {
    uint32_t first, store, file;
    uint64_t off, len;
};

static struct run find_run(const struct out *o, uint32_t from, uint64_t max)
{
    struct run r = {.first = from};
    for (uint32_t i = from; i < o->n && i < from + HOST_IOV_MAX && r.len < max; i++) {
        const struct out_item *it = out_at(o, i);
        if (it->kind == OUT_BYTES)
            continue;
        if (r.len == 0)
            r = (struct run){.first = i, .store = it->store, .file = it->file, .off = it->off};
        else if (it->store != r.store || it->file != r.file || it->off != r.off + r.len)
            break;
        r.len += u64_min(it->len, max - r.len);
    }
    return r;
}

// `got` bytes of the run lie at mem. Returns the item after what they cover whole.
static uint32_t give_run(struct out *o, const struct run *r, const uint8_t *mem, uint64_t got)
{
    uint32_t i = r->first;
    o->scratch->left += (uint32_t)got;
    for (; got > 0; i++) {
        struct out_item *it = out_at(o, i);
        if (it->kind == OUT_BYTES)
            continue;
        it->loaded = u64_min(it->len, got);
        it->mem = mem;
        mem += it->loaded;
        got -= it->loaded;
        if (it->loaded < it->len)
            break;
    }
    return i;
}

static bool needs_load(const struct out_item *it)
{
    return it->kind == OUT_FILE && it->file != IO_FILE_ZERO && it->loaded == 0;
}

static size_t read_run(struct conn *c, const struct run *r, struct span to)
{
    struct host *h = c->h;
    struct file *f = files_find(h->files, disk_key(r->store, r->file), false);
    if (f == NULL)
        return 0;
    const size_t got = file_read_warm(file_fd(f), to, r->off);
    files_put(h->files, f);
    h->stats.reads_warm++;
    return got;
}

// Loads the next file ranges into the scratch, from the page cache or by a worker. False: it has to wait.
static bool load(struct conn *c)
{
    struct out *o = &c->out;
    if (!scratch_take(c)) {
        if (list_empty(&c->hold))
            list_push_back(&c->h->hungry, &c->hold);
        return false;
    }
    ASSERT(o->scratch->left == 0);
    size_t pos = 0;
    for (uint32_t i = 0; i < o->n && i < HOST_IOV_MAX && pos < o->chunk;) {
        if (!needs_load(out_at(o, i))) {
            i++;
            continue;
        }
        const struct run r = find_run(o, i, o->chunk - pos);
        const struct span to = {o->scratch->p + pos, (size_t)r.len};
        const size_t got = read_run(c, &r, to);
        i = give_run(o, &r, to.p, got);
        if (got < r.len) {
            if (pos + got > 0)
                return true;            // send the warm part first
            const enum err e = disk_load(c, r.store, r.file, r.off, to);
            if (e != ERR_OK)
                conn_fail(c, e);
            return false;
        }
        pos = (pos + got + PAGE - 1) / PAGE * PAGE;
    }
    return true;
}

void send_loaded(struct conn *c, enum err e, size_t got)
{
    struct host *h = c->h;
    c->loading = false;
    if (c->state == CONN_GONE) {
        send_release(c);
        return;
    }
    struct out *o = &c->out;
    uint32_t i = 0;
    while (!needs_load(out_at(o, i)))
        i++;
    if (e != ERR_OK) {
        const uint32_t store = out_at(o, i)->store, file = out_at(o, i)->file;
        conn_fail(c, ERR_CANCELLED);
        node_read_failed(h->node, loop_now(h->loop), store, file, e);
        return;
    }
    const struct run r = find_run(o, i, got);
    ASSERT(r.len == got);               // the queue only grew meanwhile
    (void)give_run(o, &r, o->scratch->p, got);
    set_busy(c);
}

// True: something went out.
static bool send_some(struct conn *c)
{
    struct host *h = c->h;
    struct out *o = &c->out;
    struct iovec iov[HOST_IOV_MAX];
    size_t total = 0;
    if (o->chunk == 0)
        o->chunk = CHUNK_MIN;
    // Loading stops at HOST_IOV_MAX items, so what is not loaded then lies behind what is.
    if (o->scratch == NULL || o->scratch->left == 0) {
        for (uint32_t i = 0; i < o->n && i < HOST_IOV_MAX; i++) {
            if (!needs_load(out_at(o, i)))
                continue;
            if (!load(c) && (c->state == CONN_GONE || i == 0))
                return false;
            break;
        }
    }
    const uint32_t n = out_gather(o, iov, &total);
    if (n == 0)
        return false;
    const struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
    // The last bytes before a close wait for it, so that the end goes out in the same packet.
    const int last = c->state == CONN_FLUSHING && total == o->left ? MSG_MORE : 0;
    ssize_t sent = 0;
    do
        sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT | last);
    while (sent < 0 && errno == EINTR);
    h->stats.tx_calls++;
    if (sent < 0 && errno != EAGAIN) {
        conn_fail(c, err_of_errno(errno));
        return false;
    }
    const size_t k = sent < 0 ? 0 : (size_t)sent;
    h->stats.tx_bytes += k;
    out_consume(o, k);
    if (k < total) {
        c->tx_blocked = true;
        if (k < total / 4)
            o->chunk = u32_max(CHUNK_MIN, o->chunk / 2);
    } else if (total >= o->chunk) {
        o->chunk = u32_min(HOST_SCRATCH_BYTES, o->chunk * 2);
    }
    if (o->scratch != NULL && o->scratch->left == 0 && !c->loading)
        send_release(c);
    if (k > 0 && c->state == CONN_OPEN)
        node_sent(h->node, loop_now(h->loop), c->id, k);
    return k > 0;
}

void send_round(struct host *h)
{
    // Each in turn, once: what is left goes to the back of the next round.
    struct list now;
    list_init(&now);
    LIST_EACH(&h->busy, link, save) {
        list_remove(link);
        list_push_back(&now, link);
    }
    while (!list_empty(&now)) {
        struct conn *c = LIST_FIRST(&now, struct conn, busy);
        list_remove(&c->busy);
        if (!may_send(c))
            continue;
        const bool moved = send_some(c);
        host_turn_node(h);
        if (c->state == CONN_GONE)
            continue;
        if (moved && may_send(c))
            set_busy(c);
        else if (c->state == CONN_FLUSHING && c->out.n == 0)
            conn_flushed(c);
        conn_interest(c);
    }
}

void send_done(struct host *h)
{
    for (uint32_t i = 0; i < h->scratches_n; i++)
        (void)munmap(h->scratches[i].p, HOST_SCRATCH_BYTES);
}
