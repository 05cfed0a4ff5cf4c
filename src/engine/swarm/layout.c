// Where pieces lie in files, and what makes a piece right. BEP 3, 47 (pads), 52 (trees).
#include "engine/swarm/event.h"
#include "engine/swarm/extend.h"
#include "engine/swarm/files.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "codec/merkle.h"

uint32_t piece_data_len(const struct swarm *s, uint32_t index)
{
    const struct metainfo *m = s->meta;
    const uint64_t start = (uint64_t)index * m->piece_len;
    uint64_t end = start + metainfo_piece_len(m, index);
    while (end > start) {
        const struct metainfo_file *f = &m->files[metainfo_file_at(m, end - 1)];
        if ((f->flags & FILE_PAD) == 0)
            break;
        end = u64_max(f->offset, start);
    }
    return (uint32_t)(end - start);
}

// The ranges of files under `len` bytes of piece space from `off`, at most `max` of them; *covered: how many bytes they are.
uint32_t piece_parts(const struct swarm *s, uint64_t off, uint64_t len, struct io_part *parts, uint32_t max, uint64_t *covered)
{
    const struct metainfo *m = s->meta;
    uint32_t n = 0;
    uint64_t done = 0;
    uint32_t f = len == 0 ? 0 : metainfo_file_at(m, off);
    for (; done < len && n < max; f++) {
        ASSERT(f < m->files_n);
        const struct metainfo_file *file = &m->files[f];
        if (file->len == 0)
            continue;
        const uint64_t at = off + done - file->offset;
        const uint64_t take = u64_min(file->len - at, len - done);
        const bool aside = s->in_parts[f];
        parts[n++] = (struct io_part){(file->flags & FILE_PAD) != 0 ? IO_FILE_ZERO : files_place(s, f), aside ? off + done : at, take};
        done += take;
    }
    *covered = done;
    return n;
}

bool piece_is_v2(const struct swarm *s, uint32_t index)
{
    if (!s->meta->has_v2)
        return false;
    const struct metainfo_file *f = &s->meta->files[metainfo_file_at(s->meta, (uint64_t)index * s->meta->piece_len)];
    return f->root != NULL && (f->flags & FILE_PAD) == 0;
}

// The root of a tree of `width` leaves (a power of two), of which the first n are given; it takes no memory, and so it cannot fail.
static void root_of(uint8_t (*leaves)[SHA256_LEN], uint64_t n, uint64_t width, uint8_t root[SHA256_LEN])
{
    uint8_t pad[SHA256_LEN] = {0};
    merkle_layer_root(leaves[0], n, MERKLE_LEAF_LEN, root);
    for (uint64_t wide = 1; wide < width; wide *= 2) {
        if (wide >= n)
            sha256_pair(root, pad, root);
        sha256_pair(pad, pad, pad);
    }
}

static bool verify_v2(const struct swarm *s, uint32_t index, uint8_t (*leaves)[SHA256_LEN])
{
    const struct metainfo *m = s->meta;
    const uint32_t file = metainfo_file_at(m, (uint64_t)index * m->piece_len);
    const struct metainfo_file *f = &m->files[file];
    const uint32_t k = u32_of(((uint64_t)index * m->piece_len - f->offset) / m->piece_len);
    const uint64_t n = u64_div_up(piece_data_len(s, index), BLOCK_LEN);
    const bool small = f->len <= m->piece_len;
    uint64_t width = m->piece_len / BLOCK_LEN;
    if (small)                          // a small file's tree is only as wide as it must be
        for (width = 1; width < n;)
            width *= 2;
    const uint8_t *want = small ? f->root : layer_node(s, file, k);
    if (want == NULL)
        return m->has_v1;               // hybrid without layers: the v1 hash alone decides
    uint8_t root[SHA256_LEN];
    root_of(leaves, n, width, root);
    return memcmp(root, want, SHA256_LEN) == 0;
}

// Both digests of a hybrid must be right. sha1 is used up, leaves are kept.
bool verify(const struct swarm *s, uint32_t index, struct sha1 *sha1, uint8_t (*leaves)[SHA256_LEN])
{
    if (s->meta->has_v1) {
        uint8_t digest[SHA1_LEN];
        sha1_final(sha1, digest);
        if (memcmp(digest, s->meta->pieces + (size_t)index * SHA1_LEN, SHA1_LEN) != 0)
            return false;
    }
    return !piece_is_v2(s, index) || verify_v2(s, index, leaves);
}

static void files_of(const struct swarm *s, uint32_t index, uint32_t *first, uint32_t *last)
{
    const uint64_t start = (uint64_t)index * s->meta->piece_len;
    *first = metainfo_file_at(s->meta, start);
    *last = metainfo_file_at(s->meta, start + metainfo_piece_len(s->meta, index) - 1);
}

// Entries of the log before `pos` that were struck out.
static uint32_t struck_before(const struct swarm *s, uint64_t pos)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < pos; i++)
        n += s->have_log[i] == UINT32_MAX;
    return n;
}

// A piece that is lost and found over and over fills the log with entries struck out: they go. Every piece is in it at most once.
static void log_compact(struct swarm *s)
{
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        p->have_pos -= struck_before(s, p->have_pos);
    }
    for (uint32_t i = 0; i < s->jobs_n; i++)
        if (s->jobs[i]->busy && s->jobs[i]->io.kind == JOB_SYNC)
            s->jobs[i]->from -= struck_before(s, s->jobs[i]->from);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->have_log_n; i++)
        if (s->have_log[i] != UINT32_MAX)
            s->have_log[kept++] = s->have_log[i];
    s->have_log_n = kept;
}

// The piece is verified and written.
void have_set(struct swarm *s, uint32_t index)
{
    ASSERT(!bits_get(s->have, index));
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (peer_has(p, index) && picker_wants(&s->picker, index))
            p->useful_n--;
        else if (p->sent_first)
            have_tell(s, p);
    }
    bits_set(s->have, index);
    if (s->picker.priority[index] != 0)
        s->stats_now.done_bytes += piece_data_len(s, index);
    picker_set_state(&s->picker, index, PICKER_HAD);
    if (s->have_log_n == 2 * s->meta->pieces_n)
        log_compact(s);
    ASSERT(s->have_log_n < 2 * s->meta->pieces_n);
    s->have_log[s->have_log_n++] = index;
    uint32_t first, last;
    files_of(s, index, &first, &last);
    for (uint32_t f = first; f <= last; f++) {
        if (s->file_left[f] == 0 || --s->file_left[f] != 0)
            continue;
        if (s->state == SWARM_DOWNLOADING)
            event_push(s, &(struct event){.kind = SWARM_EVENT_FILE_DONE, .file = f});
    }
    LIST_EACH(&s->peers, link, save)
        interest_update(s, CONTAINER(link, struct swarm_peer, link));
}

// What we thought we had must be checked again. The log is rewritten: whoever was told keeps what it knows.
void have_unset(struct swarm *s, uint32_t index)
{
    if (!bits_get(s->have, index))
        return;
    bits_clear(s->have, index);
    if (s->picker.priority[index] != 0)
        s->stats_now.done_bytes -= piece_data_len(s, index);
    bits_clear(s->synced, index);
    for (uint32_t i = 0; i < s->have_log_n; i++)
        if (s->have_log[i] == index)
            s->have_log[i] = UINT32_MAX;
    picker_set_state(&s->picker, index, PICKER_MISSING);
    ext_lost(s, index);
    uint32_t first, last;
    files_of(s, index, &first, &last);
    for (uint32_t f = first; f <= last; f++)
        if (s->meta->files[f].len != 0 && (s->meta->files[f].flags & FILE_PAD) == 0)
            s->file_left[f]++;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (peer_has(p, index) && picker_wants(&s->picker, index))
            p->useful_n++;
        interest_update(s, p);
    }
}
