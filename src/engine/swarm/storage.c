// Jobs, and the order of checking, preparing, syncing and saving. A have bit is never durable before its data.
#include "engine/swarm/event.h"
#include "engine/swarm/files.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum {
    SAVE_S = 5, SYNC_S = 30, RETRY_S = 30, RECHECKS_MAX = 20,
    FULL_RETRY_S = 10,                  // a full disk: somebody is making room, it may be
    SYNC_BYTES = 256 << 20,
    TOTALS_S = 60,                      // what was sent is saved so often, if nothing else is
};

// One that is not busy; NULL: too many, or no memory.
static struct job *job_free(struct swarm *s)
{
    if (RARE(s->env->rare, RARE_NO_JOB))
        return NULL;
    for (uint32_t i = 0; i < s->jobs_n; i++)
        if (!s->jobs[i]->busy)
            return s->jobs[i];
    struct job *j = s->jobs_n == JOBS_MAX ? NULL : mem_zalloc(s->mem, sizeof *j);
    if (j == NULL)
        return NULL;
    j->id = s->jobs_n + 1;
    s->jobs[s->jobs_n++] = j;
    return j;
}

struct job *job_new(struct swarm *s, enum io_job_kind kind)
{
    struct job *j = job_free(s);
    if (j == NULL) {
        s->jobs_short = true;           // whoever wanted one is asked again when half of them are done, or by the next beat
        return NULL;
    }
    j->busy = true;
    j->piece = NULL;
    j->check = NULL;
    j->look = false;
    j->from = j->to = 0;
    j->io = (struct io_job){.kind = kind, .id = j->id, .store = s->cfg.store, .spans = j->spans, .parts = j->parts};
    list_init(&j->link);
    return j;
}

void job_post(struct swarm *s, struct job *j)
{
    s->jobs_busy++;
    j->posted = s->now;
    list_push_back(&s->jobs_new, &j->link);
}

static void check_one(struct swarm *s, uint32_t i)
{
    if (bits_get(s->check_todo, i))
        return;
    bits_set(s->check_todo, i);
    s->check_left++;
    s->check_at = u32_min(s->check_at, i);
}

static void recheck_later(struct swarm *s, uint32_t i)
{
    bits_set(s->recheck_bits, i);
    if (s->recheck_at == 0)
        s->recheck_at = s->now + RETRY_S * NSEC_S;
}

void check_pieces(struct swarm *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++) {
        have_unset(s, i);
        if (!s->meta->has_v1 && !s->meta->has_v2)
            continue;                   // no hash: what is in doubt is fetched again
        if (s->picker.state[i] != PICKER_OPEN)
            check_one(s, i);
    }
}

static void trust_all(struct swarm *s)
{
    for (uint32_t i = 0; i < s->meta->pieces_n; i++)
        if (!bits_get(s->have, i))
            have_set(s, i);
    s->checked_n = s->meta->pieces_n;
    memcpy(s->synced, s->have, bits_bytes(s->meta->pieces_n));
}

void storage_start(struct swarm *s)
{
    if (s->cfg.trust) {
        trust_all(s);
        s->prepared = true;
        return;
    }
    struct job *j = job_new(s, JOB_STAT);
    if (j == NULL)
        return;                         // tried again by the next beat
    j->io.stats = s->stats;
    s->stat_busy = true;
    job_post(s, j);
}

static bool file_has_any(const struct swarm *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        if (bits_get(s->have, i))
            return true;
    return false;
}

static bool file_is_suspect(const struct swarm *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        if (bits_get(s->suspect_bits, i))
            return true;
    return false;
}

// Data of a resumed torrent is there as it was left, or this says what to look at again. False: everything is gone and the
// directory is on another device than before, as with a volume that is not mounted; nothing may be created then.
static bool compare_stats(struct swarm *s)
{
    uint32_t had = 0, gone = 0;
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        uint32_t first, last;
        if (file_pieces(s, f, &first, &last) && !s->in_parts[f] && file_has_any(s, first, last)) {
            had++;
            gone += !s->stats[f].exists;
        }
    }
    const bool same_device = s->stats[0].device != 0 && s->stats[0].device == s->stats_saved[0].device;
    if (had != 0 && had == gone && !same_device && !s->cfg.check)
        return false;
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        uint32_t first, last;
        if (!file_pieces(s, f, &first, &last))
            continue;
        const struct io_stat *now = &s->stats[files_place(s, f)], *then = &s->stats_saved[files_place(s, f)];
        const bool stayed = s->in_parts[f] == s->was_in_parts[f];
        const bool same = stayed && now->exists == then->exists && now->size == then->size && now->mtime_ns == then->mtime_ns;
        const bool grew = then->exists && now->exists && now->size >= then->size;
        if (!same)
            unfinished_forget(s, first, last);
        if (same || !now->exists || (s->in_parts[f] && !s->was_in_parts[f])) {
            const bool lost = !now->exists || (s->in_parts[f] && !s->was_in_parts[f]);     // gone, or never put there
            for (uint32_t i = first; lost && i <= last; i++)
                have_unset(s, i);
            continue;
        }
        // A file that was written after the last sync: what is marked explains the change, or all is looked at again.
        const bool explained = stayed && file_is_suspect(s, first, last) && (grew || !then->exists);
        if (!explained)
            check_pieces(s, first, last);
    }
    for (uint32_t i = 0; i < s->meta->pieces_n; i++)
        if (bits_get(s->suspect_bits, i))
            check_pieces(s, i, i);
    return true;
}

static void check_existing(struct swarm *s)
{
    if (!s->meta->has_v1 && !s->meta->has_v2)
        return;
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        uint32_t first, last;
        if (file_pieces(s, f, &first, &last) && s->stats[f].exists && s->stats[f].size != 0)
            check_pieces(s, first, last);
    }
    if (s->meta->len == 0 || !s->meta->has_v1)
        return;
    for (uint32_t i = 0; i < s->meta->pieces_n; i++)    // pieces that are all pad need no file
        if (piece_data_len(s, i) == 0)
            check_pieces(s, i, i);
}

static void stat_done(struct swarm *s, enum err e, uint32_t file)
{
    s->stat_busy = false;
    if (e != ERR_OK) {
        storage_failed(s, e, file);
        return;
    }
    if (files_find_parts(s) != ERR_OK) {
        storage_failed(s, ERR_NOMEM, 0);
        return;
    }
    if (s->resumed && !compare_stats(s)) {
        storage_failed(s, ERR_VANISHED, 0);
        return;
    }
    memset(s->suspect_bits, 0, bits_bytes(s->meta->pieces_n));
    s->look_at = s->now + LOOK_S * NSEC_S;
    memcpy(s->stats_saved, s->stats, (s->meta->files_n + 1) * sizeof *s->stats);
    if (!s->resumed || s->cfg.check)
        check_existing(s);
    for (uint32_t f = 0; f < s->meta->files_n; f++)
        s->look_ok &= s->stats[f].size <= s->meta->files[f].len;
    s->checked_n = s->meta->pieces_n - s->check_left;
    s->preparing = true;
}

// It is tried again; whether it works is not known yet.
static void go_on(struct swarm *s)
{
    s->error = ERR_OK;
    s->kick = true;
    if (s->state == SWARM_ERROR)
        s->state = s->checked ? SWARM_DOWNLOADING : SWARM_CHECKING;
}

void storage_recovered(struct swarm *s)
{
    if (s->error != ERR_OK)
        go_on(s);
    if (s->told == ERR_OK)
        return;
    s->told = ERR_OK;
    event_push(s, &(struct event){.kind = SWARM_EVENT_RECOVERED, .file = s->told_file});
}

// A disk that is full or broken is shown to work by any write, anything else by one to the file that could not be written.
void storage_proved(struct swarm *s, const struct job *j)
{
    if (j->posted <= s->failed_at && (s->error != ERR_OK || s->told != ERR_OK))
        return;                         // it was on its way when another one failed
    bool proved = s->told == ERR_NOSPACE || s->told == ERR_IO || s->told == ERR_NOMEM || s->told == ERR_FULL || s->told == ERR_AGAIN;
    for (uint32_t i = 0; i < j->io.parts_n; i++)
        proved |= j->io.parts[i].file == s->told_file && s->told != ERR_VANISHED;
    if (proved && (j->io.kind == JOB_SYNC) == s->told_sync)
        storage_recovered(s);
    else if (s->error != ERR_OK && s->error != ERR_VANISHED)
        go_on(s);
}

static void retry_later(struct swarm *s)
{
    s->retry_at = s->now + (s->error == ERR_NOSPACE ? FULL_RETRY_S : RETRY_S) * NSEC_S;
}

void storage_failed(struct swarm *s, enum err e, uint32_t file)
{
    if (s->prepared && files_block(s, e, file))
        return;
    s->error = e;
    s->error_file = file;
    s->failed_at = s->now;
    retry_later(s);
    if (s->state == SWARM_CHECKING || s->state == SWARM_DOWNLOADING || s->state == SWARM_SEEDING)
        s->state = SWARM_ERROR;
    if (s->told == e && s->told_file == file)
        return;
    s->told = e;
    s->told_file = file;
    s->told_sync = false;
    event_push(s, &(struct event){.kind = SWARM_EVENT_ERROR, .err = e, .file = file});
}

// Without hashes only what is synced counts after a crash.
static nsec sync_after(const struct swarm *s)
{
    return (s->meta->has_v1 || s->meta->has_v2 ? SYNC_S : SAVE_S) * NSEC_S;
}

void storage_written(struct swarm *s, uint64_t bytes)
{
    if (!s->dirty)
        s->save_at = s->now + SAVE_S * NSEC_S;
    if (s->unsynced_bytes == 0)
        s->sync_at = s->now + sync_after(s);
    s->dirty = true;
    s->unsynced_bytes += bytes;
    if (s->unsynced_bytes >= SYNC_BYTES)
        s->sync_due = true;
}

// Nothing of the piece's new copy is on the disk or on its way there.
static bool is_unwritten(const struct piece *p) { return p->written == 0 && p->writing == 0; }

// Pieces that could not be read are looked at again, unless they came from somewhere else meanwhile. Also while they are being fetched:
// nobody may ever have all of it.
static void recheck(struct swarm *s)
{
    if (s->recheck_at == 0 || s->now < s->recheck_at || s->rechecks == RECHECKS_MAX)
        return;
    s->recheck_at = 0;
    s->rechecks++;
    for (uint32_t i = 0; i < s->meta->pieces_n; i++) {
        if (!bits_get(s->recheck_bits, i))
            continue;
        const struct piece *p = piece_find(s, i);
        if (p != NULL && !is_unwritten(p)) {
            s->recheck_at = s->now + RETRY_S * NSEC_S;
            continue;
        }
        bits_clear(s->recheck_bits, i);
        if (s->picker.state[i] != PICKER_HAD)
            check_one(s, i);
    }
}

// What was sent counts for the ratio, also after a crash; but nothing is written because of a few blocks.
static void save_totals(struct swarm *s)
{
    if (s->stats_now.up_bytes == s->totals_saved_up || s->now - s->totals_saved_at < TOTALS_S * NSEC_S || s->dirty || !s->prepared)
        return;
    s->dirty = true;
    s->save_at = s->now;
}

void storage_beat(struct swarm *s)
{
    s->kick |= s->jobs_short;
    s->jobs_short = false;
    if (s->error == ERR_OK && s->state == SWARM_CHECKING && !s->prepared && !s->preparing && !s->stat_busy)
        storage_start(s);               // it could not begin
    recheck(s);
    look_beat(s);
    save_totals(s);
    if (s->unsynced_bytes != 0 && s->now >= s->sync_at)
        s->sync_due = true;
    if (s->error == ERR_OK || s->now < s->retry_at)
        return;
    retry_later(s);
    if (!s->prepared) {
        if (!s->preparing && !s->stat_busy)
            storage_start(s);
        return;
    }
    if (s->error == ERR_VANISHED) {     // what is open still of what is gone could be written, for nothing
        look_begin(s);
        return;
    }
    const uint32_t busy = s->jobs_busy;
    s->probing = true;
    LIST_EACH(&s->partials, link, save)
        piece_work(s, CONTAINER(link, struct piece, link));     // the next write is the probe
    s->probing = false;
    if (s->jobs_busy == busy) {         // there is nothing to write
        s->sync_due |= s->unsynced_bytes != 0;
        go_on(s);                       // whatever comes next shows it
    }
}

// ---- checking

static void check_next(struct swarm *s, struct check *c);

static bool check_begin(struct swarm *s, struct check *c)
{
    while (s->check_at < s->meta->pieces_n && !bits_get(s->check_todo, s->check_at))
        s->check_at++;
    if (s->check_at == s->meta->pieces_n)
        return false;
    if (s->meta->has_v2 && c->leaves == NULL) {
        c->leaves = mem_zarray(s->mem, (size_t)u64_div_up(s->meta->piece_len, BLOCK_LEN), SHA256_LEN);
        if (c->leaves == NULL)
            return false;
    }
    c->index = s->check_at;
    c->stale = false;
    c->at = 0;
    c->busy = true;
    bits_clear(s->check_todo, c->index);
    s->check_left--;
    s->checks_busy++;
    sha1_init(&c->sha1);
    check_next(s, c);
    return c->busy;
}

static void check_end(struct swarm *s, struct check *c, bool good)
{
    c->busy = false;
    s->checks_busy--;
    if (c->stale) {
        check_one(s, c->index);
        return;
    }
    s->checked_n = u32_min(s->checked_n + 1, s->meta->pieces_n);
    struct piece *open = piece_find(s, c->index);
    if (good && open != NULL) {         // it was asked of peers meanwhile: what is on the disk is there already
        if (is_unwritten(open))
            piece_withdraw(s, open);
        good = piece_find(s, c->index) == NULL;
        if (!good)
            recheck_later(s, c->index);
    }
    if (good && s->picker.state[c->index] == PICKER_MISSING)
        have_set(s, c->index);
    s->dirty = true;
    if (good && !s->prepared)
        bits_set(s->synced, c->index);  // it was there before we began
    else if (good) {
        s->look_ok = false;
        storage_written(s, piece_data_len(s, c->index));        // read back after a failed sync: still to be synced
    }
}

static void check_next(struct swarm *s, struct check *c)
{
    struct job *j = job_new(s, JOB_READ_HASH);
    if (j == NULL) {                    // begun again by the next beat
        c->busy = false;
        s->checks_busy--;
        check_one(s, c->index);
        return;
    }
    const uint64_t len = piece_data_len(s, c->index);
    uint64_t covered;
    j->check = c;
    j->io.parts_n = piece_parts(s, (uint64_t)c->index * s->meta->piece_len + c->at, len - c->at, j->parts, IO_PARTS_MAX, &covered);
    j->io.sha1 = s->meta->has_v1 ? &c->sha1 : NULL;
    if (piece_is_v2(s, c->index)) {
        ASSERT(c->at % BLOCK_LEN == 0);
        j->io.leaves = c->leaves + c->at / BLOCK_LEN;
        j->io.leaves_len = covered;
    }
    c->at += covered;
    if (c->at == len)
        j->io.zeros = metainfo_piece_len(s->meta, c->index) - len;
    job_post(s, j);
}

static void check_done(struct swarm *s, struct check *c, enum err e)
{
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        // The disk hiccups; what is there may be right, and nobody else may have it.
        recheck_later(s, c->index);
    }
    if (e != ERR_OK)
        check_end(s, c, false);
    else if (c->at < piece_data_len(s, c->index))
        check_next(s, c);
    else
        check_end(s, c, (s->meta->has_v1 || s->meta->has_v2) && verify(s, c->index, &c->sha1, c->leaves));    // no hash: never believed
}

// ---- syncing and saving

static void sync_begin(struct swarm *s)
{
    struct job *j = job_new(s, JOB_SYNC);
    if (j == NULL)
        return;
    j->from = s->have_log_n;            // what is in the log now will be durable
    j->to = s->unsynced_bytes;
    s->syncing = true;
    s->sync_due = false;
    job_post(s, j);
}

static void sync_failed(struct swarm *s, enum err e, uint32_t file)
{
    s->syncing = false;
    // The kernel may have dropped the pages: what was not durable is read back (bittorrent note, section 5).
    for (uint32_t i = 0; i < s->meta->pieces_n; i++)
        if (bits_get(s->have, i) && !bits_get(s->synced, i))
            check_pieces(s, i, i);
    s->unsynced_bytes = 0;
    s->dirty = true;
    if (e == ERR_VANISHED || e == ERR_NOT_FOUND)
        look_begin(s);                  // which says what is left
    else
        storage_failed(s, e, file);
    s->told_sync = s->told != ERR_OK && s->error == e;
}

static void sync_done(struct swarm *s, const struct job *j)
{
    for (uint64_t i = 0; i < j->from; i++)
        if (s->have_log[i] != UINT32_MAX)
            bits_set(s->synced, s->have_log[i]);
    s->unsynced_bytes -= u64_min(s->unsynced_bytes, j->to);
    storage_proved(s, j);
    s->sync_at = s->now + sync_after(s);
    struct job *stat = job_new(s, JOB_STAT);
    if (stat == NULL) {
        s->syncing = false;
        return;
    }
    stat->io.stats = s->stats_saved;    // sizes and times after the sync
    job_post(s, stat);
}

static void save_begin(struct swarm *s)
{
    if (s->saving || s->save_due || s->syncing || s->stat_busy || resume_write(s) != ERR_OK)
        return;
    s->save_due = true;
    s->dirty = false;
    s->save_at = s->now + SAVE_S * NSEC_S;
}

void swarm_saved(struct swarm *s, nsec now, enum err e)
{
    ASSERT(now >= s->now);
    s->now = now;
    s->saving = false;
    if (e != ERR_OK)
        s->dirty = true;                // tried again SAVE_S later
    if (s->state == SWARM_STOPPING && (e != ERR_OK || !s->dirty))
        s->clean_saved = true;          // or it cannot be: what was saved before still holds
}

static void stop_work(struct swarm *s)
{
    if (s->peers_n != 0 || s->jobs_busy != 0 || !unfinished_stop(s) || s->saving || s->save_due)
        return;
    if (s->prepared && !s->clean_saved && s->unsynced_bytes != 0 && s->error == ERR_OK) {
        sync_begin(s);
        return;
    }
    const bool nothing_new = s->resumed && !s->dirty && s->stats_now.down_bytes == 0 && s->stats_now.up_bytes == s->totals_saved_up &&
        swarm_seeded(s) - s->seeded_before < TOTALS_S * NSEC_S;
    if (s->prepared && !s->clean_saved && !nothing_new) {
        s->dirty = false;
        save_begin(s);
        if (s->save_due)
            return;
    }                                   // no memory to save with: what was saved before still holds
    if ((s->clean_saved || nothing_new) && s->error == ERR_OK && files_drop_parts(s))
        return;
    s->state = SWARM_STOPPED;
    event_push(s, &(struct event){.kind = SWARM_EVENT_STOPPED});
}

static void prepare_begin(struct swarm *s)
{
    if (s->cfg.check_only) {
        s->preparing = false;
        s->prepared = true;
        return;
    }
    struct job *j = job_new(s, JOB_PREPARE);
    if (j == NULL)
        return;                         // the next beat tries again
    s->prepare_busy = true;
    job_post(s, j);
}

void storage_work(struct swarm *s)
{
    if (s->state == SWARM_STOPPED)
        return;
    for (uint32_t i = 0; i < CHECKS_MAX && s->check_left != 0 && s->state != SWARM_STOPPING; i++)
        if (!s->checks[i].busy && !check_begin(s, &s->checks[i]))
            break;
    if (s->state == SWARM_STOPPING) {
        stop_work(s);
        return;
    }
    if (s->kick) {                      // after an error, or when memory was short: what waited goes on
        s->kick = false;
        LIST_EACH(&s->partials, link, save)
            piece_work(s, CONTAINER(link, struct piece, link));
        LIST_EACH(&s->peers, link, save)
            ready_set(s, CONTAINER(link, struct swarm_peer, link));
    }
    files_work(s);
    look_work(s);
    if (s->preparing && !s->prepare_busy && s->check_left == 0 && s->checks_busy == 0)
        prepare_begin(s);
    if (s->sync_due && !s->syncing && s->error == ERR_OK)
        sync_begin(s);
    else if (s->dirty && s->prepared && s->now >= s->save_at)
        save_begin(s);
}

void storage_job_done(struct swarm *s, struct job *j, enum err e, uint32_t file)
{
    switch (j->io.kind) {
    case JOB_STAT:
        if (j->look) {
            look_done(s, e, file);
            break;
        }
        if (j->io.stats == s->stats) {
            stat_done(s, e, file);
            break;
        }
        s->syncing = false;
        if (e == ERR_OK)
            save_begin(s);
        break;
    case JOB_PREPARE:
        s->preparing = s->prepare_busy = false;
        if (e != ERR_OK && files_block(s, e, file)) {
            s->preparing = true;        // without that file
            break;
        }
        s->prepared = e == ERR_OK;
        if (e != ERR_OK) {
            storage_failed(s, e, file);
            break;
        }
        unfinished_start(s);
        storage_recovered(s);
        break;
    case JOB_SYNC:
        if (e == ERR_OK)
            sync_done(s, j);
        else
            sync_failed(s, e, file);
        break;
    case JOB_READ_HASH:
        if (j->check != NULL)
            check_done(s, j->check, e);
        else
            hashes_leaves_read(s, e);
        break;
    case JOB_NONE:
    case JOB_HASH: ASSERT(false); break;
    case JOB_WRITE:
    case JOB_READ: files_job_done(s, j, e, file); break;
    case JOB_CUT: cut_done(s, e, file); break;
    case JOB_REMOVE: break;             // it stays behind: no harm
    }
}

void swarm_job_done(struct swarm *s, nsec now, uint32_t id, enum err e, uint32_t file)
{
    ASSERT(now >= s->now);
    ASSERT(id != 0);
    ASSERT(id <= s->jobs_n);
    s->now = now;
    struct job *j = s->jobs[id - 1];
    ASSERT(j->busy);
    j->busy = false;
    s->jobs_busy--;
    if (j->piece != NULL && j->io.kind == JOB_WRITE)
        piece_write_done(s, j, e, file);
    else if (j->piece != NULL && j->io.kind == JOB_READ_HASH)
        unfinished_read(s, j, e);
    else if (j->piece != NULL)
        piece_hash_done(s, j);
    else
        storage_job_done(s, j, e, file);
    if (s->jobs_short && s->jobs_busy <= JOBS_MAX / 2) {
        s->jobs_short = false;
        s->kick = true;
    }
}

void swarm_read_failed(struct swarm *s, nsec now, uint32_t file)
{
    ASSERT(now >= s->now);
    s->now = now;
    for (uint32_t f = 0; f < s->meta->files_n && is_running(s); f++) {
        uint32_t first, last;
        if (files_place(s, f) != file || !file_pieces(s, f, &first, &last))
            continue;
        bool had = false;
        for (uint32_t i = first; i <= last; i++) {
            if (!bits_get(s->have, i))
                continue;
            had = true;
            check_pieces(s, i, i);
        }
        if (had)
            event_push(s, &(struct event){.kind = SWARM_EVENT_GONE, .err = ERR_HASH, .file = f});
    }
}
