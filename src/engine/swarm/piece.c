// Partial pieces: blocks arrive, are hashed in order, verified, written, and become a `have`. See bittorrent note 2.3, 2.4.
#include "engine/swarm/blame.h"
#include "engine/swarm/files.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/request.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "engine/swarm/webseed.h"

enum {
    HASH_BLOCKS = IO_SPANS_MAX,         // blocks of one hash job: 1 MiB, or the piece
};

struct piece *piece_find(const struct swarm *s, uint32_t index)
{
    ASSERT(index < s->meta->pieces_n);
    const uint16_t at = s->partial_at[index];
    return at == 0 ? NULL : s->partial_slots[at - 1];
}

static void piece_free(struct swarm *s, struct piece *p)
{
    ASSERT(p->hashing == 0);
    ASSERT(p->writing == 0);
    for (uint32_t b = 0; b < p->blocks_n; b++)
        if (p->blocks[b].slot != NULL)
            pool_give(s->cfg.pool, p->blocks[b].slot);
    web_piece_gone(s, p);
    if (p->owner != NULL && p->owner->piece == p)
        p->owner->piece = NULL;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *peer = CONTAINER(link, struct swarm_peer, link);
        if (peer->piece == p)
            peer->piece = NULL;
    }
    s->partial_slots[p->slot_at] = NULL;
    s->partial_at[p->index] = 0;
    s->partials_n--;
    list_remove(&p->link);
    mem_free(s->mem, p->blocks, p->blocks_n * sizeof *p->blocks);
    mem_free(s->mem, p->leaves, (size_t)p->blocks_n * SHA256_LEN);
    mem_free(s->mem, p, sizeof *p);
}

void piece_reset(struct swarm *s, struct piece *p)
{
    const uint32_t index = p->index;
    piece_free(s, p);
    picker_set_state(&s->picker, index, PICKER_MISSING);
}

void piece_abandon(struct swarm *s, struct piece *p)
{
    if (p->hashing != 0 || p->writing != 0)
        return;
    for (uint32_t b = 0; b < p->blocks_n; b++)
        if (p->blocks[b].asks != 0)
            return;
    for (uint32_t b = 0; b < p->blocks_n; b++)
        s->stats_now.waste_bytes += p->blocks[b].state == BLOCK_HERE ? block_len(p, b) : 0;
    piece_reset(s, p);
}

void piece_withdraw(struct swarm *s, struct piece *p)
{
    for (uint32_t b = 0; b < p->blocks_n; b++)
        if (p->blocks[b].asks != 0)
            request_cancel_others(s, p->index, b, NULL);
    piece_abandon(s, p);
}

void pieces_free(struct swarm *s)
{
    LIST_EACH(&s->partials, link, save)
        piece_reset(s, CONTAINER(link, struct piece, link));
}

struct piece *piece_open(struct swarm *s, uint32_t index)
{
    ASSERT(s->partial_at[index] == 0);
    uint32_t at = 0;
    while (at < s->partial_slots_cap && s->partial_slots[at] != NULL)
        at++;
    void *slots = s->partial_slots;
    if (mem_grow(s->mem, &slots, &s->partial_slots_cap, at + 1, PARTIALS_MAX, sizeof *s->partial_slots) != ERR_OK)
        return NULL;
    s->partial_slots = slots;
    struct piece *p = mem_zalloc(s->mem, sizeof *p);
    if (p == NULL)
        return NULL;
    p->index = index;
    p->len = piece_data_len(s, index);
    p->blocks_n = p->free_n = (uint32_t)u64_div_up(p->len, BLOCK_LEN);
    p->slot_at = at;
    p->opened_at = s->now;
    p->single = blame_known(s, index);
    // Once there was poison every block's digest is taken: a big piece is no longer in memory when it turns out to be bad.
    const bool leaves = p->single || piece_is_v2(s, index) || s->stats_now.hash_failures != 0;
    p->blocks = mem_zarray(s->mem, p->blocks_n, sizeof *p->blocks);
    p->leaves = leaves ? mem_zarray(s->mem, p->blocks_n, SHA256_LEN) : NULL;
    if (p->blocks == NULL || (leaves && p->leaves == NULL)) {
        mem_free(s->mem, p->blocks, p->blocks_n * sizeof *p->blocks);
        mem_free(s->mem, p->leaves, (size_t)p->blocks_n * SHA256_LEN);
        mem_free(s->mem, p, sizeof *p);
        return NULL;
    }
    sha1_init(&p->sha1);
    list_init(&p->link);
    list_push_back(&s->partials, &p->link);
    s->partials_n++;
    s->partial_slots[at] = p;
    s->partial_at[index] = (uint16_t)(at + 1);
    picker_set_state(&s->picker, index, PICKER_OPEN);
    return p;
}

void piece_block_here(struct swarm *s, struct piece *p, uint32_t block, uint8_t *slot, struct swarm_peer *from)
{
    struct block *b = &p->blocks[block];
    ASSERT(b->state != BLOCK_HERE);
    if (b->state == BLOCK_FREE)
        p->free_n--;
    *b = (struct block){.state = BLOCK_HERE, .asks = b->asks, .source = from->serial, .slot = slot};
    p->here_n++;
    blame_source(s, from);
    piece_work(s, p);
}

static void post_hash(struct swarm *s, struct piece *p, uint32_t blocks)
{
    struct job *j = job_new(s, JOB_HASH);
    if (j == NULL)
        return;                         // the next block or beat tries again
    j->piece = p;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < blocks; i++) {
        j->spans[i] = (struct span){p->blocks[p->hashed + i].slot, block_len(p, p->hashed + i)};
        bytes += j->spans[i].n;
    }
    j->io.spans_n = blocks;
    j->io.sha1 = s->meta->has_v1 && !p->failed ? &p->sha1 : NULL;
    if (p->leaves != NULL) {
        j->io.leaves = p->leaves + p->hashed;
        j->io.leaves_len = bytes;
    }
    if (p->hashed + blocks == p->blocks_n)
        j->io.zeros = metainfo_piece_len(s->meta, p->index) - p->len;
    p->hashing = blocks;
    job_post(s, j);
}

static void hash_work(struct swarm *s, struct piece *p)
{
    if (p->hashing != 0 || p->hashed == p->blocks_n)
        return;
    uint32_t n = 0;
    while (p->hashed + n < p->blocks_n && n < IO_SPANS_MAX && p->blocks[p->hashed + n].state == BLOCK_HERE)
        n++;
    if (!s->meta->has_v1 && !s->meta->has_v2) {         // a file by its URL alone: there is nothing to compare with
        p->hashed += n;
        p->verified = p->hashed == p->blocks_n;
        return;
    }
    if (n >= HASH_BLOCKS || (n != 0 && p->hashed + n == p->blocks_n))
        post_hash(s, p, n);
}

// A piece of more than one write is written as it is hashed, before it is verified: what is on disk is not yet a `have`.
static bool is_big(const struct piece *p)
{
    return p->blocks_n > WRITE_BLOCKS;
}

void piece_write(struct swarm *s, struct piece *p, uint64_t len)
{
    struct job *j = job_new(s, JOB_WRITE);
    if (j == NULL)
        return;
    uint64_t covered;
    j->piece = p;
    j->io.parts_n = piece_parts(s, (uint64_t)p->index * s->meta->piece_len + p->written, len, j->parts, IO_PARTS_MAX, &covered);
    j->from = p->written;
    j->to = p->written + covered;
    for (uint32_t i = 0; i < j->io.parts_n; i++) {
        s->parts_used |= j->parts[i].file == s->meta->files_n;
        if (j->parts[i].file < s->meta->files_n)
            s->touched[j->parts[i].file] = true;
    }
    uint32_t n = 0;
    for (uint64_t at = j->from; at < j->to;) {
        const uint32_t b = u32_of(at / BLOCK_LEN), skip = (uint32_t)(at % BLOCK_LEN);
        const uint64_t take = u64_min(block_len(p, b) - skip, j->to - at);
        j->spans[n++] = (struct span){p->blocks[b].slot + skip, (size_t)take};
        at += take;
    }
    j->io.spans_n = n;
    j->io.urgent = s->cfg.pool->taken > s->cfg.pool->slots_max / 4 * 3;
    p->writing = covered;
    s->look_ok = false;
    job_post(s, j);
}

static void write_work(struct swarm *s, struct piece *p)
{
    if (p->writing != 0 || p->failed || files_moving(s, p->index) || (s->state == SWARM_STOPPING && !p->verified))
        return;
    if (s->error != ERR_OK && !s->probing)
        return;
    const uint64_t hashed = u64_min((uint64_t)p->hashed * BLOCK_LEN, p->len);
    if (hashed <= p->written)
        return;
    const uint64_t len = u64_min(hashed - p->written, (uint64_t)WRITE_BLOCKS * BLOCK_LEN - p->written % BLOCK_LEN);
    const bool whole = len == (uint64_t)WRITE_BLOCKS * BLOCK_LEN - p->written % BLOCK_LEN;
    if (len != 0 && (p->verified || (is_big(p) && whole)))
        piece_write(s, p, len);
}

static void piece_done(struct swarm *s, struct piece *p)
{
    const uint32_t index = p->index;
    blame_settle(s, p);
    piece_free(s, p);
    have_set(s, index);
}

// The digests of a failed piece's blocks are still to be taken, then it can go.
static void failed_work(struct swarm *s, struct piece *p)
{
    if (p->hashing != 0 || p->writing != 0)
        return;
    if (p->hashed == p->blocks_n) {
        if (!blame_single_source(p))
            blame_record(s, p);
        piece_reset(s, p);
        return;
    }
    post_hash(s, p, p->blocks_n - p->hashed);
}

static void piece_failed(struct swarm *s, struct piece *p)
{
    s->stats_now.hash_failures++;
    s->stats_now.waste_bytes += p->len;
    log_line(s->env->log, LOG_DEBUG, "piece %u failed its hash", p->index);
    p->failed = true;
    if (blame_single_source(p)) {
        ban(s, p->blocks[0].source);
    } else if (p->leaves == NULL && !is_big(p) && !p->restored) {   // a big one is no longer in memory: its next copy has one source
        p->leaves = mem_zarray(s->mem, p->blocks_n, SHA256_LEN);
        p->hashed = p->leaves == NULL ? p->blocks_n : 0;
    }
    failed_work(s, p);
}

void piece_work(struct swarm *s, struct piece *p)
{
    if (p->failed) {
        failed_work(s, p);
        return;
    }
    if (p->stale || bits_get(s->blocked, p->index)) {
        piece_withdraw(s, p);           // once no worker has it
        return;
    }
    if (s->picker.priority[p->index] == 0 && p->here_n < p->blocks_n) {
        piece_abandon(s, p);            // nobody wants it any more
        return;
    }
    if (p->parting)
        return;
    hash_work(s, p);
    write_work(s, p);
}

void piece_hash_done(struct swarm *s, struct job *j)
{
    struct piece *p = j->piece;
    p->hashed += p->hashing;
    p->hashing = 0;
    if (!p->failed && p->hashed == p->blocks_n) {
        p->verified = verify(s, p->index, &p->sha1, p->leaves);
        if (!p->verified) {
            piece_failed(s, p);
            return;
        }
    }
    piece_work(s, p);
}

void piece_write_done(struct swarm *s, struct job *j, enum err e, uint32_t file)
{
    struct piece *p = j->piece;
    const uint32_t index = p->index;
    p->writing = 0;
    if (e != ERR_OK) {
        storage_failed(s, e, file);     // the blocks stay in memory and are written again by the retry
        p = piece_find(s, index);       // unless it is given up
        if (p != NULL && (p->failed || bits_get(s->blocked, index) || p->stale))
            piece_work(s, p);
        return;
    }
    storage_written(s, j->to - j->from);
    storage_proved(s, j);
    for (uint32_t b = u32_of(j->from / BLOCK_LEN); b < p->blocks_n; b++) {
        const uint64_t end = (uint64_t)b * BLOCK_LEN + block_len(p, b);
        if (end > j->to)
            break;
        if (p->blocks[b].slot == NULL || p->failed)
            continue;
        pool_give(s->cfg.pool, p->blocks[b].slot);
        p->blocks[b].slot = NULL;
        p->blocks[b].written = true;
    }
    p->written = j->to;
    s->kick |= s->hungry;
    s->hungry = false;
    if (p->verified && p->written == p->len && !p->stale && !bits_get(s->blocked, p->index))
        piece_done(s, p);
    else
        piece_work(s, p);
}
