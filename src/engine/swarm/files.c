// Which files are wanted, and where their bytes lie. Bittorrent note, "File priorities".
//
// A piece that a wanted file shares with a skipped one brings bytes of both. What belongs to a skipped file that is not on
// disk goes to the `.parts` file of the torrent, at the offset it has in piece space: that file is sparse and needs no table.
// A file that becomes wanted gets its bytes from there first; until then none of its pieces is fetched.
#include "engine/swarm/event.h"
#include "engine/swarm/files.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum {
    BROKEN_MAX = 256,                   // files that cannot be written, one by one; after that all that are not complete
};

static bool is_real(const struct metainfo_file *f) { return f->len != 0 && (f->flags & (FILE_PAD | FILE_SYMLINK)) == 0; }

bool file_pieces(const struct swarm *s, uint32_t file, uint32_t *first, uint32_t *last)
{
    const struct metainfo_file *f = &s->meta->files[file];
    if (!is_real(f))
        return false;
    *first = u32_of(f->offset / s->meta->piece_len);
    *last = u32_of((f->offset + f->len - 1) / s->meta->piece_len);
    return true;
}

// In v2 and hybrid torrents every file begins a piece of its own.
bool swarm_has_parts(const struct metainfo *m) { return !m->has_v2 && m->files_n > 1; }

uint32_t files_place(const struct swarm *s, uint32_t file) { return s->in_parts[file] ? s->meta->files_n : file; }

bool swarm_file_wanted(const struct swarm *s, uint32_t file)
{
    ASSERT(file < s->meta->files_n);
    return s->priorities[file] != 0 && !s->in_parts[file] && s->broken[file] == ERR_OK;
}

// A shared piece is as urgent as its most urgent file.
static void piece_priorities(struct swarm *s, uint8_t *out)
{
    if (s->all_wanted)                  // pieces of nothing but pads as well
        memset(out, PICKER_PRIORITIES / 2, s->meta->pieces_n);
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        uint32_t first, last;
        if (!file_pieces(s, f, &first, &last) || s->in_parts[f])
            continue;
        for (uint32_t i = first; i <= last; i++)
            out[i] = u8_of(u32_max(out[i], s->priorities[f]));
    }
    for (uint32_t f = 0; f < s->meta->files_n && s->broken_n != 0; f++) {
        uint32_t first, last;
        if (s->broken[f] == ERR_OK || !file_pieces(s, f, &first, &last))
            continue;
        for (uint32_t i = first; i <= last; i++) {
            if (out[i] != 0)
                bits_set(s->blocked, i);
            out[i] = 0;
        }
    }
}

// What nobody wants any more: its requests are taken back, its memory is given back. What a worker has now is looked at again
// when it comes back.
static void drop_unwanted(struct swarm *s)
{
    LIST_EACH(&s->partials, link, save) {
        struct piece *p = CONTAINER(link, struct piece, link);
        const bool to_be_written = p->here_n == p->blocks_n && !bits_get(s->blocked, p->index);
        if (s->picker.priority[p->index] != 0 || p->failed || to_be_written)
            continue;
        piece_withdraw(s, p);
    }
}

static void count_again(struct swarm *s)
{
    s->stats_now.wanted_bytes = s->stats_now.done_bytes = 0;
    for (uint32_t i = 0; i < s->meta->pieces_n; i++) {
        if (s->picker.priority[i] == 0 && !bits_get(s->blocked, i))
            continue;
        s->stats_now.wanted_bytes += piece_data_len(s, i);
        s->stats_now.done_bytes += bits_get(s->have, i) ? piece_data_len(s, i) : 0;
    }
    s->moves_left = 0;
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        if (s->priorities[f] == 0 || !s->in_parts[f])
            continue;
        s->moves_left += s->broken[f] == ERR_OK;
        s->stats_now.wanted_bytes += s->meta->files[f].len;
    }
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        p->useful_n = 0;
        for (uint32_t i = 0; i < s->meta->pieces_n; i++)
            p->useful_n += peer_has(p, i) && picker_wants(&s->picker, i);
    }
}

void files_forget_unwritten(struct swarm *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++) {
        struct piece *p = piece_find(s, i);
        if (p == NULL || (p->written == 0 && p->writing == 0))
            continue;
        p->stale = true;
        piece_work(s, p);
    }
}

// Of all files that lack something if there are too many of this kind.
static void block_all(struct swarm *s, enum err e)
{
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        if (s->broken[f] != ERR_OK || s->priorities[f] == 0 || (s->file_left[f] == 0 && is_real(&s->meta->files[f])))
            continue;
        s->broken[f] = u8_of(e);
        s->broken_n++;
    }
}

bool files_block(struct swarm *s, enum err e, uint32_t file)
{
    if (!err_is_of_file(e) || file >= s->meta->files_n)
        return false;
    if (s->broken[file] != ERR_OK)
        return true;                    // another piece of it was on its way
    s->broken[file] = u8_of(e);
    s->broken_n++;
    if (s->broken_n > BROKEN_MAX)
        block_all(s, e);
    if (files_apply(s) != ERR_OK) {
        s->broken[file] = ERR_OK;
        s->broken_n--;
        return false;
    }
    event_push(s, &(struct event){.kind = SWARM_EVENT_ERROR, .err = e, .file = file});
    return true;
}

enum err files_apply(struct swarm *s)
{
    const uint32_t n = s->meta->pieces_n;
    uint8_t *want = mem_zalloc(s->mem, n);
    if (want == NULL)
        return ERR_NOMEM;
    memset(s->blocked, 0, bits_bytes(n));
    piece_priorities(s, want);
    for (uint32_t i = 0; i < n; i++)
        if (s->picker.priority[i] != want[i])
            picker_set_priority(&s->picker, i, want[i]);
    mem_free(s->mem, want, n);
    count_again(s);
    drop_unwanted(s);
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        interest_update(s, p);
        ready_set(s, p);
    }
    return ERR_OK;
}

enum err swarm_set_priorities(struct swarm *s, nsec now, const uint8_t *priorities)
{
    ASSERT(now >= s->now);
    s->now = now;
    for (uint32_t f = 0; f < s->meta->files_n; f++)
        if (priorities[f] >= PICKER_PRIORITIES)
            return ERR_RANGE;
    memcpy(s->priorities, priorities, s->meta->files_n);
    s->all_wanted = false;
    // A skipped file that nothing was written of yet: what comes of it by the way goes aside from now on.
    for (uint32_t f = 0; f < s->meta->files_n && s->prepared; f++)
        if (priorities[f] == 0 && swarm_has_parts(s->meta) && is_real(&s->meta->files[f]) && !s->stats[f].exists && !s->touched[f])
            s->in_parts[f] = true;
    const enum err e = files_apply(s);
    if (e != ERR_OK)
        return e;
    s->preparing |= s->prepared && !s->cfg.trust;   // empty files, links and reserved space of what is wanted now
    s->dirty = true;
    if (s->picker.missing_n != 0 || s->moves_left != 0)
        s->complete_told = s->done_told = false;
    return ERR_OK;
}

// After the files were looked at.
enum err files_find_parts(struct swarm *s)
{
    const bool there = s->stats[s->meta->files_n].exists;
    s->parts_used = there;
    for (uint32_t f = 0; f < s->meta->files_n && swarm_has_parts(s->meta); f++) {
        s->in_parts[f] = is_real(&s->meta->files[f]) && !s->stats[f].exists && (s->priorities[f] == 0 || there);
        s->all_wanted &= !s->in_parts[f];
    }
    return files_apply(s);
}

// ---- from `.parts` to the file

// The next range of the file that is in `.parts`, at most one block; false: no more.
static bool next_range(const struct swarm *s, const struct mover *m, uint64_t *off, uint64_t *len)
{
    const struct metainfo_file *f = &s->meta->files[m->file];
    for (uint64_t at = f->offset + m->done; at < f->offset + f->len;) {
        const uint32_t piece = u32_of(at / s->meta->piece_len);
        const uint64_t end = u64_min((uint64_t)(piece + 1) * s->meta->piece_len, f->offset + f->len);
        if (bits_get(s->have, piece)) {
            *off = at;
            *len = u64_min(end - at, BLOCK_LEN);
            return true;
        }
        at = end;
    }
    return false;
}

// The file's bytes are its own now. They count as durable again only after the next sync.
static void move_end(struct swarm *s)
{
    struct mover *m = &s->mover;
    uint32_t first, last;
    if (m->slot != NULL)
        pool_give(s->cfg.pool, m->slot);
    if (file_pieces(s, m->file, &first, &last) && m->done != 0)
        for (uint32_t i = first; i <= last; i++)
            bits_clear(s->synced, i);
    s->in_parts[m->file] = false;
    if (files_apply(s) != ERR_OK)
        s->in_parts[m->file] = true;    // all of it again, by and by
    s->preparing |= !s->cfg.trust;
    s->dirty = s->kick = true;
    *m = (struct mover){0};
}

// Blocks of an unfinished piece may be on their way to `.parts`: they go, unless a worker has them.
static bool pieces_settled(struct swarm *s, uint32_t file)
{
    uint32_t first, last;
    if (!file_pieces(s, file, &first, &last))
        return true;
    for (uint32_t i = first; i <= last; i++) {
        struct piece *p = piece_find(s, i);
        if (p != NULL && p->writing != 0)
            return false;
        if (p != NULL && p->written != 0 && (p->hashing != 0 || p->verified))
            return false;
        if (p != NULL && p->written != 0)
            piece_abandon(s, p);
    }
    return true;
}

static bool move_begin(struct swarm *s)
{
    struct mover *m = &s->mover;
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        if (s->priorities[f] == 0 || !s->in_parts[f] || s->broken[f] != ERR_OK || !pieces_settled(s, f))
            continue;
        *m = (struct mover){.active = true, .file = f};
        return true;
    }
    return false;
}

static void move_step(struct swarm *s)
{
    struct mover *m = &s->mover;
    uint64_t off, len;
    if (!next_range(s, m, &off, &len)) {
        move_end(s);
        return;
    }
    if (m->slot == NULL && pool_reserve(s->cfg.pool) && (m->slot = pool_take(s->cfg.pool)) == NULL)
        pool_unreserve(s->cfg.pool);
    struct job *j = m->slot == NULL ? NULL : job_new(s, JOB_READ);
    if (j == NULL)
        return;                         // the next turn tries again
    m->off = off;
    m->len = len;
    m->busy = true;
    j->spans[0] = (struct span){m->slot, (size_t)len};
    j->parts[0] = (struct io_part){s->meta->files_n, off, len};
    j->io.spans_n = j->io.parts_n = 1;
    job_post(s, j);
}

// Nothing is kept aside any more.
static bool parts_are_empty(const struct swarm *s)
{
    for (uint32_t f = 0; f < s->meta->files_n; f++) {
        uint32_t first, last;
        if (!s->in_parts[f] || !file_pieces(s, f, &first, &last))
            continue;
        for (uint32_t i = first; i <= last; i++)
            if (bits_get(s->have, i) || s->picker.state[i] == PICKER_OPEN || bits_get(s->check_todo, i))
                return false;
    }
    return true;
}

bool files_moving(const struct swarm *s, uint32_t piece)
{
    uint32_t first, last;
    return s->mover.active && file_pieces(s, s->mover.file, &first, &last) && piece >= first && piece <= last;
}

void files_work(struct swarm *s)
{
    struct mover *m = &s->mover;
    if (s->moves_left == 0 && !m->active && !s->parts_used)
        return;
    if (m->busy || !s->prepared || s->error != ERR_OK || s->check_left != 0 || s->checks_busy != 0 || s->cfg.check_only)
        return;
    if (m->active || (s->moves_left != 0 && move_begin(s)))
        move_step(s);
    if (!s->dirty && !s->saving && !s->save_due)
        (void)files_drop_parts(s);
}

bool files_drop_parts(struct swarm *s)
{
    // The old place may go once the new one is durable.
    if (s->moves_left != 0 || s->mover.active || !s->parts_used || s->unsynced_bytes != 0 || !parts_are_empty(s))
        return false;
    struct job *j = job_new(s, JOB_REMOVE);
    if (j == NULL)
        return false;
    j->parts[0] = (struct io_part){.file = s->meta->files_n};
    j->io.parts_n = 1;
    s->parts_used = false;
    job_post(s, j);
    return true;
}

void files_job_done(struct swarm *s, const struct job *done, enum err e, uint32_t file)
{
    struct mover *m = &s->mover;
    m->busy = false;
    if (e != ERR_OK && done->io.kind == JOB_READ) {
        uint32_t first, last;           // it is gone: so are the pieces
        if (file_pieces(s, m->file, &first, &last))
            for (uint32_t i = first; i <= last; i++)
                have_unset(s, i);
        s->dirty = true;
        return;
    }
    if (e != ERR_OK) {
        storage_failed(s, e, file);
        if (s->broken[m->file] != ERR_OK) {
            pool_give(s->cfg.pool, m->slot);
            *m = (struct mover){0};
        }
        return;
    }
    if (done->io.kind == JOB_WRITE) {
        storage_proved(s, done);
        s->look_ok = false;
        m->done = m->off + m->len - s->meta->files[m->file].offset;
        s->touched[m->file] = true;
        storage_written(s, m->len);
        return;
    }
    struct job *j = job_new(s, JOB_WRITE);
    if (j == NULL)
        return;
    m->busy = true;
    j->spans[0] = (struct span){m->slot, (size_t)m->len};
    j->parts[0] = (struct io_part){m->file, m->off - s->meta->files[m->file].offset, m->len};
    j->io.spans_n = j->io.parts_n = 1;
    job_post(s, j);
}
