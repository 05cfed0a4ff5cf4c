// Whether the files are still what was made of them. Before a torrent is said to be complete, and now and then while it is seeded, each
// file is looked at: what somebody took away or put in its place is noticed though it is still open here. A file that is longer than
// the torrent says is cut, once all of it is verified.
#include "engine/swarm/event.h"
#include "engine/swarm/files.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum {
    REMAKES_MAX = 3,
};

void look_begin(struct swarm *s)
{
    s->look_due = true;
    look_work(s);
}

void look_work(struct swarm *s)
{
    if (!s->look_due || s->looking || s->stat_busy || !s->prepared || s->preparing || s->cuts != 0)
        return;
    struct job *j = job_new(s, JOB_STAT);
    if (j == NULL)
        return;                         // the next beat tries again
    j->look = true;
    j->io.stats = s->stats_look;
    s->look_due = false;
    s->looking = true;
    job_post(s, j);
}

void look_beat(struct swarm *s)
{
    look_work(s);
    if (s->state != SWARM_SEEDING || !s->done_told || s->now < s->look_at || s->stats_now.up_bytes == s->look_up)
        return;
    look_begin(s);
}

static void gone(struct swarm *s, uint32_t f, enum err why)
{
    s->dirty = true;
    event_push(s, &(struct event){.kind = SWARM_EVENT_GONE, .err = why, .file = f});
}

static void cut(struct swarm *s, uint32_t f)
{
    struct job *j = job_new(s, JOB_CUT);
    if (j == NULL)
        return;
    j->parts[0] = (struct io_part){.file = f, .off = s->meta->files[f].len};
    j->io.parts_n = 1;
    s->cuts++;
    job_post(s, j);
}

// Empty files have no pieces: they are made by JOB_PREPARE, which does no harm twice.
static bool lacks_empty(struct swarm *s, uint32_t f)
{
    const struct metainfo_file *file = &s->meta->files[f];
    const bool empty = file->len == 0 && (file->flags & (FILE_PAD | FILE_SYMLINK)) == 0;
    return empty && !s->stats[f].exists && swarm_file_wanted(s, f) && !s->cfg.trust && !s->cfg.keep && !s->cfg.check_only;
}

// One file. False: it is not as it should be, and something is being done about it.
static bool look_at(struct swarm *s, uint32_t f, bool quiet)
{
    const struct io_stat *now = &s->stats[f], *then = &s->stats_saved[f];
    const bool whole = s->file_left[f] == 0;
    uint32_t first, last;
    if (lacks_empty(s, f) && s->remakes < REMAKES_MAX) {
        s->preparing = true;
        return false;
    }
    if (!file_pieces(s, f, &first, &last) || s->in_parts[f] || (!whole && !s->touched[f]))
        return true;
    const bool cut_short = whole && now->size < s->meta->files[f].len;
    const bool changed = whole && quiet && (now->size != then->size || now->mtime_ns != then->mtime_ns);
    if (!now->exists) {
        for (uint32_t i = first; i <= last; i++)
            have_unset(s, i);
    } else if (now->replaced || cut_short || changed) {
        check_pieces(s, first, last);
    } else {
        const bool longer = whole && now->size > s->meta->files[f].len && !s->cfg.keep && s->broken[f] == ERR_OK && s->priorities[f] != 0;
        if (longer)
            cut(s, f);
        return !longer;
    }
    for (uint32_t i = 0; i < CHECKS_MAX; i++)
        s->checks[i].stale |= s->checks[i].busy && s->checks[i].index >= first && s->checks[i].index <= last;
    files_forget_unwritten(s, first, last);
    s->touched[f] = false;
    gone(s, f, now->exists ? ERR_HASH : ERR_NOT_FOUND);
    return false;
}

// The directory of all files is gone: a volume that is not mounted any more, or somebody removed it.
static bool all_vanished(const struct swarm *s)
{
    if (s->stats_look[0].device != 0)
        return false;
    for (uint32_t f = 0; f < s->meta->files_n; f++)
        if (s->touched[f] || s->stats_saved[f].exists)
            return true;
    return false;
}

void look_done(struct swarm *s, enum err e, uint32_t file)
{
    s->looking = false;
    if (e != ERR_OK || all_vanished(s)) {
        storage_failed(s, e != ERR_OK ? e : ERR_VANISHED, file);
        s->look_due = false;            // storage_beat looks again
        return;
    }
    memcpy(s->stats, s->stats_look, (s->meta->files_n + 1) * sizeof *s->stats);
    if (s->error == ERR_VANISHED || s->told == ERR_VANISHED)
        storage_recovered(s);
    // Nothing was written since the sizes and times were taken last, so that they must still be so.
    const bool quiet = s->unsynced_bytes == 0 && !s->syncing && s->partials_n == 0 && s->done_told && s->look_at != 0;
    bool good = true;
    for (uint32_t f = 0; f < s->meta->files_n; f++)
        good &= look_at(s, f, quiet);
    s->remakes += s->preparing;
    s->look_up = s->stats_now.up_bytes;
    s->look_at = s->now + LOOK_S * NSEC_S;
    if (!good)
        return;
    s->look_ok = true;
    if (s->unsynced_bytes == 0 && !s->syncing && s->partials_n == 0)
        memcpy(s->stats_saved, s->stats, (s->meta->files_n + 1) * sizeof *s->stats);
}

void cut_done(struct swarm *s, enum err e, uint32_t file)
{
    s->cuts--;
    s->dirty = true;
    if (e != ERR_OK)
        storage_failed(s, e, file);
    else
        s->look_ok = false;             // seen once more
}
