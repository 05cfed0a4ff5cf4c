// Sparse files with a page cache that a crash can tear: see disk.h.
#include "sim/disk.h"

void disk_init(struct disk *d, const struct disk_config *cfg, const struct content *content, const struct mem *mem, bool by_bytes)
{
    *d = (struct disk){.cfg = *cfg, .content = content, .mem = mem, .by_bytes = by_bytes};
    disk_speed(d, cfg);
}

void disk_speed(struct disk *d, const struct disk_config *cfg)
{
    d->cfg.latency = cfg->latency;
    d->cfg.bps = cfg->bps;
    d->cfg.hash_bps = cfg->hash_bps;
    if (d->cfg.latency == 0)
        d->cfg.latency = 100 * NSEC_US;
    if (d->cfg.bps == 0)
        d->cfg.bps = 1000000000;
    if (d->cfg.hash_bps == 0)
        d->cfg.hash_bps = 1000000000;
}

static void file_done(struct disk *d, struct disk_file *f)
{
    extents_done(&f->now, d->mem);
    extents_done(&f->durable, d->mem);
    extents_done(&f->flying, d->mem);
    extents_done(&f->dirty, d->mem);
    extents_done(&f->syncing, d->mem);
    mem_free(d->mem, f->bytes_now, (size_t)f->cap);
    mem_free(d->mem, f->bytes_durable, (size_t)f->cap);
}

void disk_done(struct disk *d)
{
    for (uint32_t i = 0; i < d->stores_n; i++) {
        for (uint32_t k = 0; k < d->stores[i].files_n; k++)
            file_done(d, &d->stores[i].files[k]);
        mem_free(d->mem, d->stores[i].files, d->stores[i].files_n * sizeof *d->stores[i].files);
    }
    mem_free(d->mem, d->stores, d->stores_cap * sizeof *d->stores);
    *d = (struct disk){0};
}

struct disk_file *disk_file(struct disk *d, uint32_t store, uint32_t file, uint32_t files_n, uint64_t len)
{
    void *items = d->stores;
    const enum err e = mem_grow(d->mem, &items, &d->stores_cap, store + 1, DISK_STORES_MAX, sizeof *d->stores);
    ASSERT(e == ERR_OK);
    d->stores = items;
    if (d->stores_n <= store)
        d->stores_n = store + 1;
    struct disk_store *s = &d->stores[store];
    if (s->files == NULL) {
        s->files = mem_zarray(d->mem, files_n, sizeof *s->files);
        s->files_n = files_n;
        ASSERT(s->files != NULL);
    }
    ASSERT(file < s->files_n);
    struct disk_file *f = &s->files[file];
    if (d->by_bytes && f->cap == 0 && len > 0) {
        f->cap = len;
        f->bytes_now = mem_zalloc(d->mem, (size_t)len);
        f->bytes_durable = mem_zalloc(d->mem, (size_t)len);
        ASSERT(f->bytes_now != NULL);
        ASSERT(f->bytes_durable != NULL);
    }
    return f;
}

void disk_create(struct disk_file *f, int64_t wall)
{
    if (f->exists)
        return;
    f->exists = true;
    f->mtime = f->mtime_durable = wall;
}

void disk_remove(struct disk *d, struct disk_file *f)
{
    d->used -= extents_bytes(&f->now);
    extents_clear(&f->now);
    extents_clear(&f->durable);
    extents_clear(&f->dirty);
    extents_clear(&f->syncing);
    f->exists = false;
    f->size = f->size_durable = 0;
}

bool disk_fails(struct disk *d)
{
    if (d->fail_next) {
        d->fail_next = false;
        return true;
    }
    return d->cfg.eio_ppm != 0 && rng_chance(&d->fault, d->cfg.eio_ppm, 1000000);
}

// Bytes of the range that are holes now and need space.
static uint64_t holes(const struct disk_file *f, uint64_t off, uint64_t len)
{
    uint64_t sum = 0;
    while (len > 0) {
        const struct extent e = extents_at(&f->now, off, len);
        if (e.content == CONTENT_NONE)
            sum += e.len;
        off += e.len;
        len -= e.len;
    }
    return sum;
}

enum err disk_write(struct disk *d, struct disk_file *f, uint64_t off, const struct frag *from, uint32_t n)
{
    uint64_t len = 0;
    for (uint32_t i = 0; i < n; i++)
        len += from[i].x.len;
    if (len == 0)
        return ERR_OK;
    const uint64_t need = holes(f, off, len);
    if (d->cfg.space_bytes != 0 && need > u64_sub_sat(d->cfg.space_bytes, d->used))
        return ERR_NOSPACE;
    d->used += need;
    const struct extent range = extent_range(off, len);
    extents_put(&f->flying, d->mem, &range);
    for (uint32_t i = 0; i < n; i++) {
        if (from[i].x.len == 0)
            continue;
        struct extent e = from[i].x;
        e.pos = off;
        if (d->by_bytes) {
            ASSERT(off + e.len <= f->cap);
            memcpy(f->bytes_now + off, from[i].bytes, (size_t)e.len);
            e = extent_range(off, e.len);
        } else if (e.content == CONTENT_NONE) {
            e.content = CONTENT_ZERO;
        }
        extents_put(&f->now, d->mem, &e);
        off += e.len;
    }
    f->exists = true;
    f->size = u64_max(f->size, off);
    return ERR_OK;
}

static void move_range(struct disk *d, struct extents *from, struct extents *to, uint64_t off, uint64_t len)
{
    struct extent hole = {.pos = off, .len = len};
    extents_put(from, d->mem, &hole);
    const struct extent range = extent_range(off, len);
    extents_put(to, d->mem, &range);
}

void disk_written(struct disk *d, struct disk_file *f, uint64_t off, uint64_t len, int64_t wall)
{
    if (len == 0)
        return;
    move_range(d, &f->flying, &f->dirty, off, len);
    f->mtime = wall;
}

void disk_sync_begin(struct disk *d, struct disk_file *f)
{
    extents_merge(&f->syncing, d->mem, &f->dirty);
    extents_clear(&f->dirty);
}

// Makes the range of the page cache durable.
static void harden(struct disk *d, struct disk_file *f, uint64_t off, uint64_t len)
{
    if (d->by_bytes)
        memcpy(f->bytes_durable + off, f->bytes_now + off, (size_t)len);
    f->size_durable = u64_max(f->size_durable, off + len);
    while (len > 0) {
        const struct extent e = extents_at(&f->now, off, len);
        extents_put(&f->durable, d->mem, &e);
        off += e.len;
        len -= e.len;
    }
}

void disk_sync_end(struct disk *d, struct disk_file *f, bool ok)
{
    if (!ok) {
        extents_merge(&f->dirty, d->mem, &f->syncing);
    } else {
        for (uint32_t i = 0; i < f->syncing.n; i++)
            harden(d, f, f->syncing.items[i].pos, f->syncing.items[i].len);
        f->size_durable = u64_max(f->size_durable, f->size);
        f->mtime_durable = f->mtime;
    }
    extents_clear(&f->syncing);
}

struct frag disk_read(const struct disk *d, const struct disk_file *f, uint64_t off, uint64_t len)
{
    ASSERT(off + len <= f->size);
    if (d->by_bytes)
        return (struct frag){.x = {.len = len}, .bytes = f->bytes_now + off};
    struct extent e = extents_at(&f->now, off, len);
    if (e.content == CONTENT_NONE)
        e.content = CONTENT_ZERO;
    e.pos = 0;
    return (struct frag){.x = e};
}

// Garbage of a torn write: like nothing that was ever meant.
static void spoil(struct disk *d, struct disk_file *f, uint64_t off, uint64_t len)
{
    const uint32_t salt = (uint32_t)rng_u64(&d->fault) | 1;
    const struct extent e = {.pos = off, .len = len, .content = CONTENT_LITERAL, .taint = salt};
    if (d->by_bytes) {
        content_bytes(d->content, &e, f->bytes_durable + off);
        const struct extent range = extent_range(off, len);
        extents_put(&f->durable, d->mem, &range);
    } else {
        extents_put(&f->durable, d->mem, &e);
    }
    f->size_durable = u64_max(f->size_durable, off + len);
}

static uint64_t stored_bytes(const struct disk *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->stores_n; i++)
        for (uint32_t k = 0; k < d->stores[i].files_n; k++)
            sum += extents_bytes(&d->stores[i].files[k].now);
    return sum;
}

// Both what is read and what would survive a crash are gone.
static void rot_range(struct disk *d, struct disk_file *f, uint64_t off, uint64_t len)
{
    struct extent e = {.pos = off, .len = len, .content = CONTENT_LITERAL, .taint = (uint32_t)rng_u64(&d->fault) | 1};
    for (int durable = 0; durable < 2; durable++) {
        if (d->by_bytes) {
            content_bytes(d->content, &e, (durable ? f->bytes_durable : f->bytes_now) + off);
            continue;
        }
        if (!durable || extents_at(&f->durable, off, len).content != CONTENT_NONE)
            extents_put(durable ? &f->durable : &f->now, d->mem, &e);
    }
}

void disk_rot(struct disk *d, uint64_t len)
{
    const uint64_t all = stored_bytes(d);
    if (all == 0)
        return;
    d->spoiled = true;
    uint64_t at = rng_below(&d->fault, all);
    for (uint32_t i = 0; i < d->stores_n; i++)
        for (uint32_t k = 0; k < d->stores[i].files_n; k++) {
            struct disk_file *f = &d->stores[i].files[k];
            for (uint32_t x = 0; x < f->now.n; x++) {
                const struct extent e = f->now.items[x];
                if (at < e.len) {
                    rot_range(d, f, e.pos + at, u64_min(len, e.len - at));
                    return;
                }
                at -= e.len;
            }
        }
}

// A crash meets a page that was not synced.
static enum page_fate crash_page(struct disk *d, struct disk_file *f, uint64_t off, uint64_t len)
{
    const uint64_t draw = rng_below(&d->fault, 100);
    if (draw < 40)
        return PAGE_DROPPED;
    if (draw < 75) {
        harden(d, f, off, len);
        return PAGE_KEPT;
    }
    if (draw < 95) {
        for (uint64_t at = off; at < off + len;) {
            const uint64_t end = u64_min((at / DISK_SECTOR + 1) * DISK_SECTOR, off + len);
            if (rng_chance(&d->fault, 1, 2))
                harden(d, f, at, end - at);
            at = end;
        }
        return PAGE_TORN;
    }
    spoil(d, f, off, len);
    return PAGE_GARBAGE;
}

static void crash_file(struct disk *d, struct disk_file *f, enum crash_fate fate, struct trace *trace, struct trace_record r)
{
    extents_merge(&f->syncing, d->mem, &f->dirty);
    extents_merge(&f->syncing, d->mem, &f->flying);
    for (uint32_t i = 0; i < f->syncing.n; i++) {
        const uint64_t end = f->syncing.items[i].pos + f->syncing.items[i].len;
        for (uint64_t at = f->syncing.items[i].pos; at < end;) {
            const uint64_t stop = u64_min((at / DISK_PAGE + 1) * DISK_PAGE, end);
            enum page_fate page = fate == CRASH_KEPT ? PAGE_KEPT : PAGE_DROPPED;
            if (fate == CRASH_KEPT)
                harden(d, f, at, stop - at);
            else if (fate == CRASH_MIXED)
                page = crash_page(d, f, at, stop - at);
            r.sub = (uint16_t)page;
            r.b = at;
            trace_add(trace, &r);
            at = stop;
        }
    }
    extents_clear(&f->syncing);
    extents_clear(&f->dirty);
    extents_clear(&f->flying);
    // The size and the time may reach the disk before the data or after it.
    if (fate == CRASH_KEPT || (fate == CRASH_MIXED && rng_chance(&d->fault, 1, 2))) {
        f->mtime_durable = f->mtime;
        f->size_durable = u64_max(f->size_durable, f->size);
    }
    extents_copy(&f->now, d->mem, &f->durable);
    if (d->by_bytes && f->cap > 0)
        memcpy(f->bytes_now, f->bytes_durable, (size_t)f->cap);
    f->size = f->size_durable;
    f->mtime = f->mtime_durable;
}

void disk_crash(struct disk *d, enum crash_fate fate, struct trace *trace, uint32_t node, nsec now)
{
    d->used = 0;
    for (uint32_t i = 0; i < d->stores_n; i++)
        for (uint32_t k = 0; k < d->stores[i].files_n; k++) {
            struct disk_file *f = &d->stores[i].files[k];
            crash_file(d, f, fate, trace, (struct trace_record){.t = now, .node = node, .type = TRACE_CRASH_PAGE, .a = k});
            d->used += extents_bytes(&f->now);
        }
    d->busy_until = d->hash_busy_until = now;
}

static bool bytes_equal(const struct disk *d, const uint8_t *at, struct extent e)
{
    uint8_t space[1024];
    while (e.len > 0) {
        struct extent part = e;
        part.len = u64_min(e.len, sizeof space);
        content_bytes(d->content, &part, space);
        if (memcmp(space, at, (size_t)part.len) != 0)
            return false;
        at += part.len;
        e.off += part.len;
        e.len -= part.len;
    }
    return true;
}

bool disk_holds(const struct disk *d, const struct disk_file *f, uint64_t off, const struct extent *want, bool durable)
{
    if (want->len == 0)
        return true;
    if (off + want->len > (durable ? f->size_durable : f->size))
        return false;
    if (d->by_bytes)
        return bytes_equal(d, (durable ? f->bytes_durable : f->bytes_now) + off, *want);
    return extents_equal(durable ? &f->durable : &f->now, off, want->len, want->content, want->off);
}
