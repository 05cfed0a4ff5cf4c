// Jobs on content: handing them to workers and bringing the outcome back. What a worker does is in host_work.c.
#include <stdlib.h>

#include "app/host_conn.h"
#include "app/host_jobs.h"
#include "app/host_parts.h"

uint64_t disk_key(uint32_t store, uint32_t file) { return (uint64_t)store << 32 | file; }

static struct host_job *job_new(struct host *h)
{
    struct host_job *j = h->spare_jobs;
    if (j != NULL) {
        h->spare_jobs = j->spare;
        *j = (struct host_job){.h = h};
        return j;
    }
    j = calloc(1, sizeof *j);
    if (j != NULL)
        j->h = h;
    return j;
}

static void job_free(struct host_job *j)
{
    if (j->files != j->few)
        free(j->files);
    j->files = NULL;
    j->spare = j->h->spare_jobs;
    j->h->spare_jobs = j;
}

static void on_drop(struct job *job) { job_free(CONTAINER(job, struct host_job, job)); }

void disk_done(struct host *h)
{
    for (struct host_job *j = h->spare_jobs; j != NULL; j = h->spare_jobs) {
        h->spare_jobs = j->spare;
        free(j);
    }
    free(h->dirty);
}

// Room for n files: in the job itself for the common case.
static bool files_room(struct host_job *j, uint32_t n)
{
    j->files = n <= ARRAY_LEN(j->few) ? j->few : calloc(n, sizeof *j->files);
    return j->files != NULL;
}

static void name_file(struct host_job *j, uint32_t i, uint32_t file)
{
    j->files[i].index = file;
    node_store_file(j->h->node, j->io.store, file, &j->files[i].io);
}

// The names of what a job touches; taken here because only the loop may ask the node.
static bool name_parts(struct host_job *j)
{
    if (!files_room(j, j->io.parts_n))
        return false;
    j->files_n = j->io.parts_n;
    for (uint32_t i = 0; i < j->io.parts_n; i++) {
        if (j->io.parts[i].file != IO_FILE_ZERO)
            name_file(j, i, j->io.parts[i].file);
        else
            j->files[i].index = IO_FILE_ZERO;
    }
    return true;
}

static bool name_all(struct host_job *j)
{
    j->files_n = node_store_files(j->h->node, j->io.store);
    if (!files_room(j, j->files_n))
        return false;
    for (uint32_t i = 0; i < j->files_n; i++)
        name_file(j, i, i);
    return true;
}

static bool mark_dirty(struct host *h, uint32_t store, uint32_t file)
{
    for (uint32_t i = h->dirty_n; i > 0; i--) {
        if (h->dirty[i - 1].file == file && h->dirty[i - 1].store == store)
            return true;
    }
    if (h->dirty_n == h->dirty_cap) {
        const uint32_t cap = h->dirty_cap == 0 ? 64 : h->dirty_cap * 2;
        struct dirty_file *p = realloc(h->dirty, cap * sizeof *p);
        if (p == NULL)
            return false;
        h->dirty = p;
        h->dirty_cap = cap;
    }
    h->dirty[h->dirty_n++] = (struct dirty_file){store, file};
    return true;
}

// Takes the store's written files out of the list.
static bool name_dirty(struct host_job *j)
{
    struct host *h = j->h;
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < h->dirty_n; i++)
        n += h->dirty[i].store == j->io.store;
    if (!files_room(j, n))
        return false;
    for (uint32_t i = 0; i < h->dirty_n; i++) {
        if (h->dirty[i].store == j->io.store)
            name_file(j, j->files_n++, h->dirty[i].file);
        else
            h->dirty[kept++] = h->dirty[i];
    }
    h->dirty_n = kept;
    return true;
}

void disk_forget(struct host *h, uint32_t store)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->dirty_n; i++)
        if (h->dirty[i].store != store)
            h->dirty[kept++] = h->dirty[i];
    h->dirty_n = kept;
    files_forget(h->files, disk_key(store, 0), disk_key(store, UINT32_MAX));
}

static void on_done(struct job *job)
{
    struct host_job *j = CONTAINER(job, struct host_job, job);
    struct host *h = j->h;
    // Marked only now: a sync that ran beside this write may have missed it.
    bool marked = true;
    if (j->io.kind == JOB_WRITE || j->io.kind == JOB_CUT || (j->io.kind == JOB_SYNC && j->err != ERR_OK)) {
        for (uint32_t i = 0; i < j->files_n; i++)
            marked = (j->files[i].index == IO_FILE_ZERO || mark_dirty(h, j->io.store, j->files[i].index)) && marked;
    }
    const enum err e = j->err == ERR_OK && !marked ? ERR_NOMEM : j->err;
    const uint32_t id = j->io.id, failed = j->failed;
    job_free(j);
    node_job_done(h->node, loop_now(h->loop), id, e, failed);
    host_turn_node(h);
}

static struct pool *pool_for(struct host *h, const struct io_job *io)
{
    if (io->kind == JOB_HASH)
        return h->hash;
    if (io->kind == JOB_WRITE && io->parts_n > 0)
        return h->lanes[mix64(disk_key(io->store, io->parts[0].file)) % HOST_WRITE_LANES];
    return h->disk;
}

void disk_job(struct host *h, const struct io_job *io)
{
    struct host_job *j = job_new(h);
    bool ok = j != NULL;
    if (ok) {
        j->io = *io;
        j->job = (struct job){.run = work_run, .done = on_done, .drop = on_drop, .urgent = io->urgent};
        switch (io->kind) {
        case JOB_NONE:
            break;
        case JOB_HASH:
            j->job.run_two = h->hash_by_two ? work_run_two : NULL;
            break;
        case JOB_WRITE:
        case JOB_READ:
        case JOB_READ_HASH:
        case JOB_CUT:
        case JOB_REMOVE:
            ok = name_parts(j);
            break;
        case JOB_PREPARE:
        case JOB_STAT:
            ok = name_all(j);
            break;
        case JOB_SYNC:
            ok = name_dirty(j);
            break;
        }
    }
    if (!ok) {
        if (j != NULL)
            job_free(j);
        node_job_done(h->node, loop_now(h->loop), io->id, ERR_NOMEM, 0);
        return;
    }
    pool_push(pool_for(h, io), &j->job);
}

static void on_loaded(struct job *job)
{
    struct host_job *j = CONTAINER(job, struct host_job, job);
    struct host *h = j->h;
    struct conn *c = j->conn;
    const enum err e = j->err;
    const size_t got = j->to.n;
    job_free(j);
    send_loaded(c, e, got);
    host_turn_node(h);
}

enum err disk_load(struct conn *c, uint32_t store, uint32_t file, uint64_t off, struct span to)
{
    struct host *h = c->h;
    struct host_job *j = job_new(h);
    if (j == NULL)
        return ERR_NOMEM;
    j->io.store = store;
    j->conn = c;
    j->to = to;
    j->off = off;
    j->job = (struct job){.run = work_load, .done = on_loaded, .drop = on_drop, .urgent = true};
    if (!files_room(j, 1)) {
        job_free(j);
        return ERR_NOMEM;
    }
    name_file(j, 0, file);
    c->loading = true;
    h->stats.reads_cold++;
    pool_push(h->disk, &j->job);
    return ERR_OK;
}

static void kick_hash(struct host *h)
{
    // Two pieces at a time cost little more than one: the first waits a moment for another.
    const bool alone = h->hash_by_two && pool_fresh(h->hash) == 1;
    if (alone && h->hash_kick_at == 0) {
        h->hash_kick_at = loop_now(h->loop) + HOST_PAIR_WAIT;
        timer_set(h->hash_timer, h->hash_kick_at);
    }
    if (alone && loop_now(h->loop) < h->hash_kick_at)
        return;
    pool_kick(h->hash);
    h->hash_kick_at = 0;
    timer_set(h->hash_timer, NSEC_NEVER);
}

void disk_kick(struct host *h)
{
    kick_hash(h);
    pool_kick(h->disk);
    for (size_t i = 0; i < HOST_WRITE_LANES; i++)
        pool_kick(h->lanes[i]);
    pool_kick(h->names);
    pool_kick(h->state);
    if (h->router_worker != NULL)
        pool_kick(h->router_worker);
}
