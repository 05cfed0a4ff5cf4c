// Pieces that a stop finds begun: what is there from their start on is written and saved, and the next start goes on behind it.
// Nothing of it is trusted: it is read back and hashed as the first part of its piece. Bittorrent note, section 5.
#include "engine/swarm/blame.h"
#include "engine/swarm/files.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

static bool is_raw(const struct swarm *s) { return !s->meta->has_v1 && !s->meta->has_v2; }

// Blocks from the start on; the last of a piece is never among them, or it would be whole and decided already.
static uint32_t first_blocks(const struct piece *p)
{
    uint32_t n = 0;
    while (n + 1 < p->blocks_n && p->blocks[n].state == BLOCK_HERE)
        n++;
    return n;
}

static bool keep(struct swarm *s, uint32_t piece, uint32_t blocks)
{
    void *items = s->unfinished.items;
    if (mem_grow(s->mem, &items, &s->unfinished.cap, s->unfinished.n + 1, PARTIALS_MAX, sizeof *s->unfinished.items) != ERR_OK)
        return false;
    s->unfinished.items = items;
    s->unfinished.items[s->unfinished.n++] = (struct unfinished){piece, blocks};
    s->dirty = true;
    return true;
}

enum err unfinished_add(struct swarm *s, uint64_t piece, uint64_t blocks)
{
    if (piece >= s->meta->pieces_n || blocks == 0 || blocks >= u64_div_up(piece_data_len(s, (uint32_t)piece), BLOCK_LEN))
        return ERR_SYNTAX;
    return keep(s, (uint32_t)piece, (uint32_t)blocks) ? ERR_OK : ERR_FULL;
}

void unfinished_forget(struct swarm *s, uint32_t first, uint32_t last)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->unfinished.n; i++)
        if (s->unfinished.items[i].piece < first || s->unfinished.items[i].piece > last)
            s->unfinished.items[n++] = s->unfinished.items[i];
    s->unfinished.n = n;
}

bool unfinished_stop(struct swarm *s)
{
    LIST_EACH(&s->partials, link, save) {
        struct piece *p = CONTAINER(link, struct piece, link);
        const uint32_t n = first_blocks(p);
        const uint64_t len = (uint64_t)n * BLOCK_LEN;
        if (n == 0 || p->failed || p->single || p->verified || s->error != ERR_OK || !s->prepared)
            continue;
        p->parting = true;
        if (p->written < len && p->writing == 0 && !files_moving(s, p->index))
            piece_write(s, p, u64_min(len - p->written, (uint64_t)WRITE_BLOCKS * BLOCK_LEN));
    }
    if (s->jobs_busy != 0)
        return false;
    LIST_EACH(&s->partials, link, save) {
        const struct piece *p = CONTAINER(link, struct piece, link);
        const uint32_t n = u32_min(first_blocks(p), u32_of(p->written / BLOCK_LEN));
        if (p->parting && n != 0 && s->error == ERR_OK)
            (void)keep(s, p->index, n); // no memory: it is fetched again
    }
    pieces_free(s);
    return true;
}

// Opens the piece with its first blocks; false: not now, or no use.
static bool reopen(struct swarm *s, const struct unfinished *u)
{
    if (s->picker.state[u->piece] != PICKER_MISSING || s->picker.priority[u->piece] == 0 || bits_get(s->check_todo, u->piece))
        return false;
    struct piece *p = piece_open(s, u->piece);
    if (p == NULL)
        return false;
    for (uint32_t b = 0; b < u->blocks; b++)    // of no source that could be banned
        p->blocks[b] = (struct block){.state = BLOCK_HERE, .written = true, .source = SOURCE_UNKNOWN};
    p->free_n -= u->blocks;
    p->free_at = p->here_n = u->blocks;
    p->written = (uint64_t)u->blocks * BLOCK_LEN;
    p->restored = true;
    if (is_raw(s)) {
        p->hashed = u->blocks;
        return true;
    }
    struct job *j = job_new(s, JOB_READ_HASH);
    uint64_t covered = 0;
    if (j != NULL)
        j->io.parts_n = piece_parts(s, (uint64_t)u->piece * s->meta->piece_len, p->written, j->parts, IO_PARTS_MAX, &covered);
    if (j == NULL || covered != p->written) {           // in so many small files that one job does not hold them
        if (j != NULL)
            j->busy = false;
        piece_reset(s, p);
        return false;
    }
    j->piece = p;
    j->io.sha1 = s->meta->has_v1 ? &p->sha1 : NULL;
    if (p->leaves != NULL) {
        j->io.leaves = p->leaves;
        j->io.leaves_len = covered;
    }
    p->hashing = u->blocks;
    job_post(s, j);
    return true;
}

void unfinished_start(struct swarm *s)
{
    for (uint32_t i = 0; i < s->unfinished.n; i++)
        (void)reopen(s, &s->unfinished.items[i]);
    s->unfinished.n = 0;
}

void unfinished_read(struct swarm *s, struct job *j, enum err e)
{
    struct piece *p = j->piece;
    if (e == ERR_OK) {
        piece_hash_done(s, j);
        return;
    }
    p->hashing = 0;                     // gone, or unreadable: all of it is missing
    piece_reset(s, p);
}
