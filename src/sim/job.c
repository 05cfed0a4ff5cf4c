// Workers of a simulated host: see job.h. Writes take effect when they begin, so that a crash can catch them half way.
#include "sim/job.h"

static const struct torrent *torrent_of(const struct world *w, struct host *h, uint32_t store, uint32_t *out_index)
{
    const struct want *want = host_want(h, store);
    ASSERT(want != NULL);
    *out_index = want->torrent;
    return &w->torrents[want->torrent];
}

static struct disk_file *file_of(struct world *w, struct host *h, uint32_t store, uint32_t file)
{
    uint32_t index;
    const struct metainfo *meta = torrent_of(w, h, store, &index)->meta;
    ASSERT(file < meta->files_n);
    return disk_file(&h->disk, index, file, meta->files_n + 1, file == meta->files_n ? meta->len : meta->files[file].len);
}

// The `.parts` file, which most torrents never have: no memory for it before something is written.
static struct disk_file *parts_of(struct world *w, struct host *h, uint32_t store)
{
    uint32_t index;
    const struct metainfo *meta = torrent_of(w, h, store, &index)->meta;
    return disk_file(&h->disk, index, meta->files_n, meta->files_n + 1, 0);
}


static uint64_t spans_bytes(const struct io_job *job)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < job->spans_n; i++)
        sum += job->spans[i].n;
    return sum;
}

static uint64_t parts_bytes(const struct io_job *job)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < job->parts_n; i++)
        sum += job->parts[i].len;
    return sum;
}

// The next bytes of a job's spans: at most max of them, one run.
struct source {
    const struct span *spans;
    uint32_t n;
    size_t at;
};

static struct frag source_next(const struct world *w, struct source *s, uint64_t max)
{
    while (s->n > 0 && s->at == s->spans->n) {
        s->spans++;
        s->n--;
        s->at = 0;
    }
    ASSERT(s->n > 0);
    const uint8_t *p = s->spans->p + s->at;
    const uint64_t len = u64_min(max, s->spans->n - s->at);
    struct frag f = {.x = {.len = len}, .bytes = p};
    if (payload_is_ref(&w->arena, p))
        f = (struct frag){.x = payload_at(&w->arena, p, len)};
    else if (w->cfg.payload == PAYLOAD_REF)
        f = (struct frag){.x = content_literal(slice_of(p, (size_t)len))};
    s->at += (size_t)f.x.len;
    return f;
}

static enum err write_part(struct world *w, struct host *h, uint32_t store, const struct io_part *part, struct source *from)
{
    if (part->file == IO_FILE_ZERO) {
        for (uint64_t left = part->len; left > 0;)
            left -= source_next(w, from, left).x.len;
        return ERR_OK;
    }
    struct disk_file *f = file_of(w, h, store, part->file);
    uint32_t index;
    const struct metainfo *meta = torrent_of(w, h, store, &index)->meta;
    const uint64_t file_len = part->file == meta->files_n ? meta->len : meta->files[part->file].len;
    if (part->off + part->len > file_len)
        world_fail(w, "n%u writes behind the end of file %u", h->index, part->file);
    enum err e = ERR_OK;
    uint64_t off = part->off, keep = part->len;
    if (h->disk.misdirect_next && file_len > part->len) {
        h->disk.misdirect_next = false;
        h->disk.spoiled = true;
        off = (off + 1 + rng_below(&h->disk.fault, file_len - part->len)) % (file_len - part->len + 1);
    }
    if (h->disk.short_next) {
        h->disk.short_next = false;
        keep = rng_below(&h->disk.fault, part->len + 1);
    }
    for (uint64_t done = 0; done < part->len;) {
        struct frag frag = source_next(w, from, part->len - done);
        const uint64_t len = frag.x.len;
        frag.x.len = u64_min(len, u64_sub_sat(keep, done));
        if (e == ERR_OK && frag.x.len != 0)
            e = disk_write(&h->disk, f, off + done, &frag, 1);
        done += len;
    }
    return e == ERR_OK && keep < part->len ? ERR_IO : e;
}

static void begin_write(struct world *w, struct host *h, struct task *t)
{
    if (disk_fails(&h->disk)) {
        t->err = ERR_IO;
        t->file = t->job.parts_n > 0 ? t->job.parts[0].file : 0;
        return;
    }
    struct source from = {.spans = t->job.spans, .n = t->job.spans_n};
    for (uint32_t i = 0; i < t->job.parts_n; i++) {
        const enum err e = write_part(w, h, t->job.store, &t->job.parts[i], &from);
        if (e != ERR_OK && t->err == ERR_OK) {
            t->err = e;
            t->file = t->job.parts[i].file;
        }
    }
}

static void begin_sync(struct world *w, struct host *h, const struct io_job *job)
{
    uint32_t index;
    const struct metainfo *meta = torrent_of(w, h, job->store, &index)->meta;
    for (uint32_t i = 0; i < meta->files_n; i++)
        disk_sync_begin(&h->disk, file_of(w, h, job->store, i));
    disk_sync_begin(&h->disk, parts_of(w, h, job->store));
}

// When a job of so many bytes is through: the disk or the hash worker does one after the other.
static nsec due(struct world *w, struct host *h, const struct io_job *job)
{
    struct disk *d = &h->disk;
    const bool hash = job->kind == JOB_HASH;
    const uint64_t bytes = hash ? spans_bytes(job) + job->zeros : parts_bytes(job);
    nsec cost = bytes * NSEC_S / (hash ? d->cfg.hash_bps : d->cfg.bps);
    cost += hash ? 10 * NSEC_US : d->cfg.latency;
    if (job->kind == JOB_SYNC)
        cost += 10 * d->cfg.latency;
    nsec *busy = hash ? &d->hash_busy_until : &d->busy_until;
    *busy = u64_max(*busy, w->now) + cost;
    return *busy;
}

void job_start(struct world *w, struct host *h, const struct io_job *job)
{
    struct task *t = task_new(w, h, TASK_JOB, job->id, sizeof *t);
    t->job = *job;
    w->totals.jobs++;
    world_trace(w, h, TRACE_JOB, (uint32_t)job->kind, job->id, job->kind == JOB_HASH ? spans_bytes(job) : parts_bytes(job));
    if (job->id == 0 || host_want(h, job->store) == NULL) {
        world_fail(w, "n%u asks for job %u of store %u", h->index, job->id, job->store);
        return;
    }
    if (job->kind == JOB_WRITE)
        begin_write(w, h, t);
    else if (job->kind == JOB_SYNC)
        begin_sync(w, h, job);
    world_at(w, due(w, h, job), EV_JOB, t->index, 0);
}

// Feeds bytes, in order, to what a hash job wants of them.
struct digester {
    struct world *w;
    const struct io_job *job;
    struct extent run[8];               // of the leaf under way
    uint32_t run_n, leaf;
    uint64_t run_len, left;             // left: bytes that still go into leaves
    struct sha256 bytes;                // by bytes: the leaf under way
    struct extent ahead;                // goes into the SHA-1 when it ends: a whole piece is looked up at once
};

static void sha1_end(struct digester *d)
{
    if (d->ahead.len != 0)
        content_sha1(&d->w->content, d->job->sha1, &d->ahead);
    d->ahead.len = 0;
}

static void sha1_feed(struct digester *d, const struct frag *f)
{
    struct extent *a = &d->ahead;
    if (f->bytes == NULL && a->len != 0 && extent_continues(a, &f->x) && a->len + f->x.len <= CONTENT_RUN_MAX) {
        a->len += f->x.len;
        return;
    }
    sha1_end(d);
    if (f->bytes != NULL)
        sha1_update(d->job->sha1, slice_of(f->bytes, (size_t)f->x.len));
    else
        *a = f->x;
}

static void leaf_end(struct digester *d)
{
    if (d->run_len == 0)
        return;
    if (d->w->cfg.payload == PAYLOAD_REF)
        content_leaf(&d->w->content, d->run, d->run_n, d->job->leaves[d->leaf]);
    else
        sha256_final(&d->bytes, d->job->leaves[d->leaf]);
    d->leaf++;
    d->run_n = 0;
    d->run_len = 0;
}

static void leaf_feed(struct digester *d, const struct frag *f)
{
    if (d->run_len == 0)
        sha256_init(&d->bytes);
    if (f->bytes != NULL) {
        sha256_update(&d->bytes, slice_of(f->bytes, (size_t)f->x.len));
    } else {
        struct extent *last = d->run_n > 0 ? &d->run[d->run_n - 1] : NULL;
        if (last != NULL && extent_continues(last, &f->x)) {
            last->len += f->x.len;
        } else if (d->run_n < ARRAY_LEN(d->run)) {
            d->run[d->run_n++] = f->x;
        } else {
            last->len += f->x.len;      // a wild mixture: whatever comes out, it is wrong
            last->taint |= 1;
        }
    }
    d->run_len += f->x.len;
    if (d->run_len == BLOCK_LEN)
        leaf_end(d);
}

static void digest(struct digester *d, const struct frag *whole)
{
    struct frag f = *whole;
    for (uint64_t left = whole->x.len; left > 0; left -= f.x.len) {
        f.x.off = whole->x.off + (whole->x.len - left);
        f.x.len = u64_min(left, BLOCK_LEN);
        if (d->job->leaves != NULL && d->left > 0) {
            f.x.len = u64_min(f.x.len, u64_min(d->left, BLOCK_LEN - d->run_len));
            leaf_feed(d, &f);
            d->left -= f.x.len;
            if (d->left == 0)
                leaf_end(d);
        }
        if (d->job->sha1 != NULL)
            sha1_feed(d, &f);
        if (f.bytes != NULL)
            f.bytes += f.x.len;
    }
}

static void digest_zeros(struct digester *d, uint64_t n, bool only_sha1)
{
    static const uint8_t zeros[4096];
    const struct digester saved = *d;
    if (only_sha1)
        d->left = 0;
    while (n > 0) {
        struct frag f = {.x = {.len = u64_min(n, sizeof zeros), .content = CONTENT_ZERO}};
        f.bytes = d->w->cfg.payload == PAYLOAD_BYTES ? zeros : NULL;
        digest(d, &f);
        n -= f.x.len;
    }
    if (only_sha1)
        d->left = saved.left;
}

// Reads a part and gives it to the digester, or to the spans of the job.
static enum err read_part(struct world *w, struct host *h, struct task *t, const struct io_part *part, struct digester *d)
{
    if (part->file == IO_FILE_ZERO) {
        if (d != NULL)
            digest_zeros(d, part->len, false);
        return ERR_OK;
    }
    const struct disk_file *f = file_of(w, h, t->job.store, part->file);
    if (!f->exists || part->off + part->len > f->size)
        return ERR_NOT_FOUND;
    for (uint64_t done = 0; done < part->len && d != NULL;) {
        const struct frag frag = disk_read(&h->disk, f, part->off + done, part->len - done);
        digest(d, &frag);
        done += frag.x.len;
    }
    return ERR_OK;
}

static void land(struct world *w, uint8_t *to, const struct frag *f)
{
    if (payload_is_ref(&w->arena, to))
        payload_land(&w->arena, to, &f->x);
    else if (f->bytes != NULL)
        memcpy(to, f->bytes, (size_t)f->x.len);
    else
        content_bytes(&w->content, &f->x, to);
}

// JOB_READ: the parts of the job, one after the other, into its spans.
static void fill_spans(struct world *w, struct host *h, struct task *t)
{
    uint32_t s = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < t->job.parts_n; i++) {
        const struct io_part *part = &t->job.parts[i];
        for (uint64_t done = 0; done < part->len;) {
            while (s < t->job.spans_n && at == t->job.spans[s].n) {
                s++;
                at = 0;
            }
            ASSERT(s < t->job.spans_n);
            const uint64_t max = u64_min(part->len - done, t->job.spans[s].n - at);
            static const uint8_t zeros[4096];
            struct frag f = {.x = {.len = u64_min(max, sizeof zeros), .content = CONTENT_ZERO}};
            f.bytes = w->cfg.payload == PAYLOAD_BYTES ? zeros : NULL;
            if (part->file != IO_FILE_ZERO)
                f = disk_read(&h->disk, file_of(w, h, t->job.store, part->file), part->off + done, max);
            land(w, t->job.spans[s].p + at, &f);
            at += (size_t)f.x.len;
            done += f.x.len;
        }
    }
}

static void finish_read(struct world *w, struct host *h, struct task *t)
{
    struct digester d = {.w = w, .job = &t->job, .left = t->job.leaves_len};
    const bool hash = t->job.kind == JOB_READ_HASH;
    for (uint32_t i = 0; i < t->job.parts_n && t->err == ERR_OK; i++) {
        t->err = disk_fails(&h->disk) ? ERR_IO : read_part(w, h, t, &t->job.parts[i], hash ? &d : NULL);
        if (t->err != ERR_OK)
            t->file = t->job.parts[i].file;
    }
    if (t->err != ERR_OK)
        return;
    if (!hash) {
        fill_spans(w, h, t);
        return;
    }
    digest_zeros(&d, t->job.zeros, true);
    sha1_end(&d);
    leaf_end(&d);
}

static void finish_hash(struct world *w, const struct task *t)
{
    struct digester d = {.w = w, .job = &t->job, .left = t->job.leaves_len};
    struct source from = {.spans = t->job.spans, .n = t->job.spans_n};
    for (uint64_t left = spans_bytes(&t->job); left > 0;) {
        const struct frag f = source_next(w, &from, left);
        digest(&d, &f);
        left -= f.x.len;
    }
    digest_zeros(&d, t->job.zeros, true);
    sha1_end(&d);
    leaf_end(&d);
}

static void finish_write(struct world *w, struct host *h, const struct task *t)
{
    for (uint32_t i = 0; i < t->job.parts_n; i++) {
        const struct io_part *part = &t->job.parts[i];
        if (part->file != IO_FILE_ZERO && t->err == ERR_OK)
            disk_written(&h->disk, file_of(w, h, t->job.store, part->file), part->off, part->len, host_wall(w, h));
    }
}

static void prepare(struct world *w, struct host *h, struct task *t)
{
    uint32_t index;
    const struct torrent *torrent = torrent_of(w, h, t->job.store, &index);
    for (uint32_t i = 0; i < torrent->meta->files_n; i++) {
        struct io_file f;
        node_store_file(h->node, t->job.store, i, &f);
        const bool pad = (torrent->meta->files[i].flags & FILE_PAD) != 0;
        if (f.len != torrent->meta->files[i].len || (pad && !f.skip) || !slice_eq_str(f.root, torrent->root))
            world_fail(w, "n%u opens file %u of store %u wrongly", h->index, i, t->job.store);
        if (!f.skip && f.len == 0)
            disk_create(file_of(w, h, t->job.store, i), host_wall(w, h));
    }
}

static void finish_sync(struct world *w, struct host *h, struct task *t)
{
    uint32_t index;
    const struct metainfo *meta = torrent_of(w, h, t->job.store, &index)->meta;
    if (disk_fails(&h->disk))
        t->err = ERR_IO;
    for (uint32_t i = 0; i < meta->files_n; i++)
        disk_sync_end(&h->disk, file_of(w, h, t->job.store, i), t->err == ERR_OK);
    disk_sync_end(&h->disk, parts_of(w, h, t->job.store), t->err == ERR_OK);
}

static void stat_files(struct world *w, struct host *h, const struct task *t)
{
    uint32_t index;
    const struct metainfo *meta = torrent_of(w, h, t->job.store, &index)->meta;
    for (uint32_t i = 0; i < node_store_files(h->node, t->job.store); i++) {
        const struct disk_file *f = i < meta->files_n ? file_of(w, h, t->job.store, i) : parts_of(w, h, t->job.store);
        t->job.stats[i] = (struct io_stat){.exists = f->exists, .size = f->size, .mtime_ns = f->mtime, .device = 1};
    }
}

void job_on_timer(struct world *w, uint32_t task)
{
    struct task *t = slots_get(&w->tasks, task);
    ASSERT(t != NULL);
    struct host *h = task_host(w, t);
    if (h != NULL && h->node != NULL) {
        switch (t->job.kind) {
        case JOB_NONE: break;
        case JOB_HASH: finish_hash(w, t); break;
        case JOB_WRITE: finish_write(w, h, t); break;
        case JOB_READ_HASH:
        case JOB_READ: finish_read(w, h, t); break;
        case JOB_PREPARE: prepare(w, h, t); break;
        case JOB_SYNC: finish_sync(w, h, t); break;
        case JOB_CUT: break;            // no file here is longer than its torrent says
        case JOB_REMOVE: disk_remove(&h->disk, file_of(w, h, t->job.store, t->job.parts[0].file)); break;
        case JOB_STAT: stat_files(w, h, t); break;
        }
        host_job_done(w, h, t->id, t->err, t->file);
    }
    task_free(w, t);
}

enum err job_read_for_send(struct world *w, struct host *h, const struct io_seg *seg, struct extents *ref, uint8_t *bytes)
{
    uint32_t index;
    const struct torrent *torrent = torrent_of(w, h, seg->store, &index);
    const struct disk_file *f = file_of(w, h, seg->store, seg->file);
    if (!f->exists || seg->off + seg->len > f->size)
        return ERR_NOT_FOUND;
    if (disk_fails(&h->disk))
        return ERR_IO;
    const uint64_t base = seg->file == torrent->meta->files_n ? 0 : torrent->meta->files[seg->file].offset;
    const struct extent want = {.len = seg->len, .content = torrent->content, .off = base + seg->off};
    if (!h->disk.spoiled && !disk_holds(&h->disk, f, seg->off, &want, false))
        world_fail(w, "n%u uploads bytes of file %u at %llu that are not the torrent's", h->index, seg->file,
            (unsigned long long)seg->off);
    for (uint64_t done = 0; done < seg->len;) {
        struct frag frag = disk_read(&h->disk, f, seg->off + done, seg->len - done);
        frag.x.pos = done;
        if (frag.bytes != NULL)
            memcpy(bytes + done, frag.bytes, (size_t)frag.x.len);
        else
            extents_put(ref, w->env->mem, &frag.x);
        done += frag.x.len;
    }
    return ERR_OK;
}

static struct blob *blob_of(struct world *w, struct host *h, struct slice key)
{
    struct blob **at = &h->blobs;
    for (; *at != NULL; at = &(*at)->next)
        if (slice_eq(slice_of((*at)->key, (*at)->key_n), key))
            return *at;
    struct blob *b = mem_zalloc(w->env->mem, sizeof *b);
    ASSERT(b != NULL);
    ASSERT(key.n <= sizeof b->key);
    memcpy(b->key, key.p, key.n);
    b->key_n = key.n;
    *at = b;
    return b;
}

void save_start(struct world *w, struct host *h, uint32_t id, struct slice key, struct slice bytes)
{
    struct task *t = task_new(w, h, TASK_SAVE, id, sizeof *t);
    t->blob = blob_of(w, h, key);
    t->n = bytes.n;
    if (bytes.n > 0) {
        t->bytes = mem_zalloc(w->env->mem, bytes.n);
        ASSERT(t->bytes != NULL);
        memcpy(t->bytes, bytes.p, bytes.n);
    }
    world_trace(w, h, TRACE_SAVE, 0, id, bytes.n);
    h->disk.busy_until = u64_max(h->disk.busy_until, w->now) + 10 * h->disk.cfg.latency;
    world_at(w, h->disk.busy_until, EV_SAVED, t->index, 0);
}

// A save that was under way when its life ended has happened or not: a rename is one or the other.
void save_on_timer(struct world *w, uint32_t task)
{
    struct task *t = slots_get(&w->tasks, task);
    ASSERT(t != NULL);
    struct host *h = task_host(w, t);
    if (h != NULL && h->node != NULL) {
        mem_free(w->env->mem, t->blob->bytes, t->blob->n);
        t->blob->bytes = t->bytes;
        t->blob->n = t->n;
        t->bytes = NULL;
        host_saved(w, h, t->id);
    }
    task_free(w, t);
}
