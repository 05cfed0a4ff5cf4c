// What workers do to content. Nothing here touches the host but its descriptor cache, or the node at all.
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "app/host_jobs.h"
#include "app/host_parts.h"

enum {
    READ_AHEAD = 1 << 20,               // the extent that is fetched around a cold read
    WRITE_BEHIND = 8 << 20,             // writing to the device is started each so many bytes
    WRITE_FREE = 512 << 20,             // but the kernel may keep so many first
};

// Bytes written since the last sync, by all workers.
static _Atomic uint64_t unsynced;

static struct file_name name_of(const struct io_file *f) { return (struct file_name){f->root, f->path}; }

static enum err open_for(struct host_job *j, uint32_t i, bool write, struct file **out)
{
    const struct job_file *f = &j->files[i];
    const struct file_name name = name_of(&f->io);
    const enum file_mode mode = !write ? FILE_READ : f->io.executable ? FILE_WRITE_EXECUTABLE : FILE_WRITE;
    j->failed = f->index;
    return files_open(j->h->files, disk_key(j->io.store, f->index), &name, mode, out);
}

// A running digest over bytes that come in any cuts.
struct digests {
    const struct io_job *io;
    uint64_t at;                        // bytes fed
    struct sha256 leaf;                 // of the block that `at` is in, if at is not at its start
};

static void feed_leaves(struct digests *s, struct slice data)
{
    const struct io_job *io = s->io;
    uint64_t at = s->at;
    while (data.n > 0 && at < io->leaves_len) {
        const uint64_t block = at / BLOCK_LEN;
        const uint64_t end = u64_min((block + 1) * BLOCK_LEN, io->leaves_len);
        const size_t n = size_min(data.n, (size_t)(end - at));
        const struct slice part = slice_sub(data, 0, n);
        if (at % BLOCK_LEN == 0 && at + n == end) {
            sha256_of(part, io->leaves[block]);
        } else {
            if (at % BLOCK_LEN == 0)
                sha256_init(&s->leaf);
            sha256_update(&s->leaf, part);
            if (at + n == end)
                sha256_final(&s->leaf, io->leaves[block]);
        }
        at += n;
        data = slice_sub(data, n, data.n - n);
    }
}

static void feed_rest(struct digests *s, struct slice data)
{
    if (s->io->leaves != NULL)
        feed_leaves(s, data);
    s->at += data.n;
}

static void feed(struct digests *s, struct slice data)
{
    if (s->io->sha1 != NULL)
        sha1_update(s->io->sha1, data);
    feed_rest(s, data);
}

static void feed_two(struct digests *a, struct slice a_data, struct digests *b, struct slice b_data)
{
    if (a->io->sha1 == NULL || b->io->sha1 == NULL) {
        feed(a, a_data);
        feed(b, b_data);
        return;
    }
    sha1_update_two(true, a->io->sha1, a_data, b->io->sha1, b_data);
    feed_rest(a, a_data);
    feed_rest(b, b_data);
}

static void feed_end(struct digests *s)
{
    static const uint8_t zeros[BLOCK_LEN];
    for (uint64_t left = s->io->zeros; left > 0 && s->io->sha1 != NULL;) {
        const size_t n = (size_t)u64_min(left, sizeof zeros);
        sha1_update(s->io->sha1, slice_of(zeros, n));
        left -= n;
    }
}

static struct slice span_slice(const struct span *s) { return slice_of(s->p, s->n); }

static void work_hash(struct host_job *j)
{
    struct digests s = {.io = &j->io};
    for (uint32_t i = 0; i < j->io.spans_n; i++)
        feed(&s, span_slice(&j->io.spans[i]));
    feed_end(&s);
}

// What one has more than the other goes alone.
static void work_hash_two(struct host_job *j, struct host_job *k)
{
    struct digests a = {.io = &j->io}, b = {.io = &k->io};
    const uint32_t both = u32_min(j->io.spans_n, k->io.spans_n);
    for (uint32_t i = 0; i < both; i++)
        feed_two(&a, span_slice(&j->io.spans[i]), &b, span_slice(&k->io.spans[i]));
    for (uint32_t i = both; i < j->io.spans_n; i++)
        feed(&a, span_slice(&j->io.spans[i]));
    for (uint32_t i = both; i < k->io.spans_n; i++)
        feed(&b, span_slice(&k->io.spans[i]));
    feed_end(&a);
    feed_end(&b);
}

// A place in the spans of a job.
struct span_at {
    uint32_t i;
    size_t off;
};

// The next `len` bytes of the spans as iovecs.
static uint32_t take_spans(const struct io_job *io, struct span_at *at, uint64_t len, struct iovec iov[IO_SPANS_MAX])
{
    uint32_t n = 0;
    while (len > 0) {
        ASSERT(at->i < io->spans_n);
        const struct span *s = &io->spans[at->i];
        const size_t k = (size_t)u64_min(len, s->n - at->off);
        if (k > 0) {
            ASSERT(n < IO_SPANS_MAX);
            iov[n++] = (struct iovec){s->p + at->off, k};
        }
        len -= k;
        at->off += k;
        if (at->off == s->n)
            *at = (struct span_at){at->i + 1, 0};
    }
    return n;
}

// Starts the way to the device early enough that the kernel never has to stop us for it.
static void write_behind(int fd, uint64_t off, uint64_t len)
{
    const uint64_t sum = atomic_fetch_add(&unsynced, len) + len;
    if (sum < WRITE_FREE || sum / WRITE_BEHIND == (sum - len) / WRITE_BEHIND)
        return;
    const uint64_t from = off + len > WRITE_BEHIND ? off + len - WRITE_BEHIND : 0;
    (void)sync_file_range(fd, (off_t)from, WRITE_BEHIND, SYNC_FILE_RANGE_WRITE);
}

static enum err work_move(struct host_job *j, bool write)
{
    struct span_at at = {0};
    struct iovec iov[IO_SPANS_MAX];
    for (uint32_t i = 0; i < j->io.parts_n; i++) {
        const struct io_part *p = &j->io.parts[i];
        const uint32_t n = take_spans(&j->io, &at, p->len, iov);
        if (p->len == 0 || (write && (p->file == IO_FILE_ZERO || j->files[i].io.skip)))
            continue;
        if (p->file == IO_FILE_ZERO || j->files[i].io.skip) {
            for (uint32_t k = 0; k < n; k++)
                memset(iov[k].iov_base, 0, iov[k].iov_len);
            continue;
        }
        struct file *f = NULL;
        enum err e = open_for(j, i, write, &f);
        if (e != ERR_OK)
            return e;
        e = write ? file_write_all(file_fd(f), iov, n, p->off) : file_read_all(file_fd(f), iov, n, p->off);
        if (write && e == ERR_OK)
            write_behind(file_fd(f), p->off, p->len);
        files_put(j->h->files, f);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

// Reads parts through the worker's scratch, whole scratches at a time, so that blocks stay in one piece.
struct reading {
    struct host_job *j;
    struct digests s;
    uint8_t *scratch;
    size_t fill;
};

static enum err read_part(struct reading *r, uint32_t i)
{
    const struct io_part *p = &r->j->io.parts[i];
    struct file *f = NULL;
    if (p->file != IO_FILE_ZERO && !r->j->files[i].io.skip) {
        const enum err e = open_for(r->j, i, false, &f);
        if (e != ERR_OK)
            return e;
    }
    enum err e = ERR_OK;
    for (uint64_t done = 0; done < p->len && e == ERR_OK;) {
        const size_t n = (size_t)u64_min(p->len - done, WORKER_SCRATCH - r->fill);
        struct iovec iov = {r->scratch + r->fill, n};
        if (f == NULL)
            memset(iov.iov_base, 0, n);
        else
            e = file_read_all(file_fd(f), &iov, 1, p->off + done);
        done += n;
        r->fill += n;
        if (e == ERR_OK && r->fill == WORKER_SCRATCH) {
            feed(&r->s, slice_of(r->scratch, r->fill));
            r->fill = 0;
        }
    }
    files_put(r->j->h->files, f);
    return e;
}

static enum err work_read_hash(struct host_job *j, uint8_t *scratch)
{
    if (scratch == NULL)
        return ERR_NOMEM;
    struct reading r = {.j = j, .s = {.io = &j->io}, .scratch = scratch};
    for (uint32_t i = 0; i < j->io.parts_n; i++) {
        const enum err e = read_part(&r, i);
        if (e != ERR_OK)
            return e == ERR_VANISHED ? ERR_NOT_FOUND : e;
    }
    feed(&r.s, slice_of(r.scratch, r.fill));
    feed_end(&r.s);
    return ERR_OK;
}

static enum err prepare_file(struct host_job *j, uint32_t i)
{
    const struct io_file *f = &j->files[i].io;
    if (f->skip || f->unwanted)
        return ERR_OK;
    if (f->target.n > 0) {
        const struct file_name name = name_of(f);
        j->failed = j->files[i].index;
        return file_link(&name, f->target);
    }
    if (f->len > 0 && !f->reserve)
        return ERR_OK;                  // made by its first write
    struct file *file = NULL;
    enum err e = open_for(j, i, true, &file);
    if (e != ERR_OK)
        return e;
    if (f->reserve)
        e = file_reserve(file_fd(file), f->len);
    files_put(j->h->files, file);
    return e;
}

static enum err work_prepare(struct host_job *j)
{
    for (uint32_t i = 0; i < j->files_n; i++) {
        if (i == 0 || !slice_eq(j->files[i].io.root, j->files[i - 1].io.root)) {
            const enum err e = file_make_root(j->files[i].io.root);
            if (e != ERR_OK)
                return e;
        }
        const enum err e = prepare_file(j, i);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

// More than half of the memory: its own pages would push out everybody else's.
static bool crowds_out(const struct host_job *j)
{
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < j->files_n; i++)
        sum += j->files[i].io.len;
    return sum > memory / 2;
}

static enum err work_sync(struct host_job *j)
{
    const bool forget = crowds_out(j);
    atomic_store(&unsynced, 0);
    for (uint32_t i = 0; i < j->files_n; i++) {
        struct file *f = NULL;
        enum err e = open_for(j, i, false, &f);
        if (e != ERR_OK)
            return e == ERR_NOT_FOUND ? ERR_VANISHED : e;
        if (fdatasync(file_fd(f)) != 0)
            e = err_of_errno(errno);
        else if (forget)
            (void)posix_fadvise(file_fd(f), 0, 0, POSIX_FADV_DONTNEED);
        files_put(j->h->files, f);
        const struct file_name name = name_of(&j->files[i].io);
        if (e == ERR_OK)
            e = file_sync_parent(&name);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

// What was opened before somebody took the file away, or put another one in its place, is not written to any more.
static bool is_stale(struct host_job *j, uint32_t i, const struct file_stat *st)
{
    const uint64_t key = disk_key(j->io.store, j->files[i].index);
    struct file *open = files_find(j->h->files, key, false);
    const bool stale = open != NULL && (st == NULL || !file_is(file_fd(open), st));
    files_put(j->h->files, open);
    if (stale)
        files_forget(j->h->files, key, key);
    return stale;
}

static enum err work_stat(struct host_job *j)
{
    const uint64_t device = j->files_n == 0 ? 0 : file_root_device(j->files[0].io.root);
    for (uint32_t i = 0; i < j->files_n; i++) {
        const struct file_name name = name_of(&j->files[i].io);
        struct file_stat st;
        j->io.stats[i] = (struct io_stat){.device = device};
        if (j->files[i].io.skip)
            continue;
        const enum err e = file_stat_of(&name, &st);
        if (e == ERR_OK) {
            j->io.stats[i] = (struct io_stat){.exists = st.is_file, .size = st.size, .mtime_ns = st.mtime_ns, .device = device};
            j->io.stats[i].replaced = is_stale(j, i, &st);
        } else if (e != ERR_NOT_FOUND && e != ERR_NOT_DIR && e != ERR_ACCESS && e != ERR_LINK && e != ERR_TOO_LONG) {
            j->failed = i;
            return e;
        } else {
            (void)is_stale(j, i, NULL);
        }
    }
    return ERR_OK;
}

static enum err work_cut(struct host_job *j)
{
    struct file *f = NULL;
    enum err e = open_for(j, 0, true, &f);
    if (e != ERR_OK)
        return e;
    e = file_cut(file_fd(f), j->io.parts[0].off);
    files_put(j->h->files, f);
    return e;
}

static enum err work_remove(struct host_job *j)
{
    const struct file_name name = name_of(&j->files[0].io);
    const uint64_t key = disk_key(j->io.store, j->files[0].index);
    files_forget(j->h->files, key, key);
    j->failed = j->files[0].index;
    return file_remove(&name);
}

void work_run(struct job *job, uint8_t *(*scratch)(void))
{
    struct host_job *j = CONTAINER(job, struct host_job, job);
    switch (j->io.kind) {
    case JOB_NONE:
        break;
    case JOB_HASH:
        work_hash(j);
        break;
    case JOB_WRITE:
        j->err = work_move(j, true);
        break;
    case JOB_READ:
        j->err = work_move(j, false);
        break;
    case JOB_READ_HASH:
        j->err = work_read_hash(j, scratch());
        break;
    case JOB_PREPARE:
        j->err = work_prepare(j);
        break;
    case JOB_SYNC:
        j->err = work_sync(j);
        break;
    case JOB_CUT:
        j->err = work_cut(j);
        break;
    case JOB_REMOVE:
        j->err = work_remove(j);
        break;
    case JOB_STAT:
        j->err = work_stat(j);
        break;
    }
}

void work_run_two(struct job *one, struct job *two, uint8_t *(*scratch)(void))
{
    (void)scratch;
    work_hash_two(CONTAINER(one, struct host_job, job), CONTAINER(two, struct host_job, job));
}

void work_load(struct job *job, uint8_t *(*scratch)(void))
{
    struct host_job *j = CONTAINER(job, struct host_job, job);
    (void)scratch;
    struct file *f = NULL;
    j->err = open_for(j, 0, false, &f);
    if (j->err != ERR_OK)
        return;
    struct iovec iov = {j->to.p, j->to.n};
    j->err = file_read_all(file_fd(f), &iov, 1, j->off);
    // The rest of the extent, for the next requests of this peer and of all others; does not wait for the disk.
    const uint64_t end = j->off + j->to.n, extent = u64_div_up(end + 1, READ_AHEAD) * READ_AHEAD;
    if (j->err == ERR_OK)
        (void)posix_fadvise(file_fd(f), (off_t)end, (off_t)(extent - end), POSIX_FADV_WILLNEED);
    files_put(j->h->files, f);
}
