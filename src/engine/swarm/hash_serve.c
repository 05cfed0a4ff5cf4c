// Answers to hash requests: from piece layers, and for what lies below them from the content on disk. BEP 52; the answers
// are those of bep52_hash_wire.json.
#include "engine/swarm/beat.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "codec/hash_request.h"

enum {
    HASH_SHARE_S = 60, HASH_ANSWERS_MAX = 4096, HASH_READS_MAX = 32,    // in a minute a peer gets so many, and of those from disk
    HASH_LEAVES_MAX = 1024,             // read for one answer: 16 MiB
    HASH_TREE_ANSWER = 512,             // pieces whose hashes, put together to a tree, count as one answer
    HASH_OUT_LEN = 64 + HASHES_MAX * SHA256_LEN,
    LEAF_KEPT_S = 10,
};

static uint32_t piece_level(const struct metainfo *m) { return hash_tree_height(m->piece_len / BLOCK_LEN); }

static uint32_t layer_len(const struct metainfo *m, const struct metainfo_file *f)
{
    return u32_of(u64_div_up(f->len, m->piece_len));
}

// ---- trees above the piece layer, of the files that were asked for last

static size_t tree_nodes(uint32_t pieces)
{
    size_t n = 0;
    for (uint32_t left = pieces; left > 1;)
        n += left = (left + 1) / 2;
    return n;
}

static void tree_free(struct swarm *s, struct hash_tree *t)
{
    mem_free(s->mem, t->nodes, t->n * SHA256_LEN);
    *t = (struct hash_tree){0};
}

void hash_trees_done(struct swarm *s)
{
    for (uint32_t i = 0; i < HASH_TREES_MAX; i++)
        tree_free(s, &s->trees[i]);
    mem_free(s->mem, s->hash_out, HASH_OUT_LEN);
    s->hash_out = NULL;
    mem_free(s->mem, s->leaf.leaves, s->leaf.leaves_n * SHA256_LEN);
    s->leaf = (struct leaf_read){0};
}

static bool tree_build(struct swarm *s, struct hash_tree *t, uint32_t file)
{
    const uint32_t pieces = layer_len(s->meta, &s->meta->files[file]);
    const size_t n = tree_nodes(pieces);
    uint8_t(*nodes)[SHA256_LEN] = mem_zarray(s->mem, n, SHA256_LEN);
    if (nodes == NULL)
        return false;
    tree_free(s, t);
    *t = (struct hash_tree){.file = file, .nodes = nodes, .n = n};
    uint8_t pad[SHA256_LEN];
    merkle_pad((uint64_t)s->meta->piece_len / BLOCK_LEN, pad);
    const uint8_t *below = layer_whole(s, file);
    for (uint32_t left = pieces, at = 0; left > 1;) {
        const uint32_t up = (left + 1) / 2;
        for (uint32_t i = 0; i < up; i++)
            sha256_pair(below + (size_t)2 * i * SHA256_LEN, 2 * i + 1 < left ? below + ((size_t)2 * i + 1) * SHA256_LEN : pad, nodes[at + i]);
        sha256_pair(pad, pad, pad);
        below = nodes[at];
        at += up;
        left = up;
    }
    return true;
}

static struct hash_tree *tree_of(struct swarm *s, uint32_t file)
{
    struct hash_tree *oldest = &s->trees[0];
    for (uint32_t i = 0; i < HASH_TREES_MAX; i++) {
        struct hash_tree *t = &s->trees[i];
        if (t->nodes != NULL && t->file == file) {
            t->used = s->now;
            return t;
        }
        if (t->nodes == NULL || (oldest->nodes != NULL && t->used < oldest->used))
            oldest = t;
    }
    if (!tree_build(s, oldest, file))
        return NULL;
    oldest->used = s->now;
    return oldest;
}

// What the tree of a file costs, in answers; 0: it is there.
static uint32_t tree_cost(const struct swarm *s, uint32_t file)
{
    for (uint32_t i = 0; i < HASH_TREES_MAX; i++)
        if (s->trees[i].nodes != NULL && s->trees[i].file == file)
            return 0;
    return layer_len(s->meta, &s->meta->files[file]) / HASH_TREE_ANSWER;
}

// One node at or above the piece layer. What no piece is under is padding.
static void upper_node(struct swarm *s, const struct hash_tree *t, uint32_t layer, uint32_t index, uint8_t out[SHA256_LEN])
{
    const uint32_t above = layer - piece_level(s->meta);
    uint32_t count = layer_len(s->meta, &s->meta->files[t->file]);
    size_t at = 0;
    for (uint32_t i = 0; i < above; i++) {
        at += i == 0 ? 0 : count;
        count = (count + 1) / 2;
    }
    if (index >= count)
        merkle_pad((uint64_t)1 << layer, out);
    else
        memcpy(out, above == 0 ? layer_whole(s, t->file) + (size_t)index * SHA256_LEN : t->nodes[at + index], SHA256_LEN);
}

// One node below the piece layer, from the leaves that were read.
static void lower_node(const struct swarm *s, uint32_t layer, uint32_t index, uint8_t out[SHA256_LEN])
{
    const struct leaf_read *l = &s->leaf;
    const uint64_t width = (uint64_t)1 << layer, first = (uint64_t)index * width;
    ASSERT(first >= l->first);
    uint8_t nodes[HASH_LEAVES_MAX][SHA256_LEN] = {{0}}, zero[SHA256_LEN] = {0};
    const uint64_t from = first - l->first, have = from < l->leaves_n ? u64_min(l->leaves_n - from, width) : 0;
    ASSERT(width <= HASH_LEAVES_MAX);
    if (have == 0) {
        merkle_pad(width, out);
        return;
    }
    memcpy(nodes, l->leaves + from, (size_t)have * SHA256_LEN);
    merkle_root(nodes, have, width, zero, out);
}

// ---- what may be answered

static bool file_of(const struct swarm *s, const uint8_t root[SHA256_LEN], uint32_t *out)
{
    for (uint32_t i = 0; i < s->meta->files_n; i++) {
        const struct metainfo_file *f = &s->meta->files[i];
        if (f->root == NULL || memcmp(f->root, root, SHA256_LEN) != 0)
            continue;
        *out = i;
        return true;
    }
    return false;
}

static uint32_t height_of(const struct metainfo *m, const struct metainfo_file *f)
{
    const uint32_t pieces = layer_len(m, f);
    return pieces > 1 ? piece_level(m) + hash_tree_height(pieces) : hash_tree_height(u64_div_up(f->len, BLOCK_LEN));
}

// Pieces of the file that the nodes asked for, or their uncles, lie in; only below the piece layer.
static bool pieces_under(const struct swarm *s, const struct hash_request *r, uint32_t file, uint32_t *first, uint32_t *n)
{
    const struct metainfo_file *f = &s->meta->files[file];
    const uint32_t level = piece_level(s->meta) - r->base, pieces = layer_len(s->meta, f);
    *first = r->index >> level;
    const uint32_t last = u32_min((r->index + r->length - 1) >> level, pieces - 1);
    *n = *first <= last ? last - *first + 1 : 0;
    if (((uint64_t)*n << piece_level(s->meta)) > HASH_LEAVES_MAX)
        return false;
    for (uint32_t i = 0; i < *n; i++)
        if (!bits_get(s->have, u32_of(f->offset / s->meta->piece_len) + *first + i))
            return false;
    return true;
}

// True: it can be answered, now or after a read. *below: the nodes lie below the piece layer.
static bool is_answerable(const struct swarm *s, const struct hash_request *r, uint32_t *file, bool *below)
{
    uint32_t first, n;
    if (!file_of(s, r->root, file))
        return false;
    const struct metainfo_file *f = &s->meta->files[*file];
    if (!hash_request_is_legal(r, height_of(s->meta, f)))
        return false;
    const bool small = f->len <= s->meta->piece_len;
    *below = small || r->base < piece_level(s->meta);
    if (!small && layer_whole(s, *file) == NULL)
        return false;
    return !*below || pieces_under(s, r, *file, &first, &n);
}

// Takes `n` of what the peer may have in this minute; false: it has had all of it.
static bool take_share(struct peer_hash *h, uint32_t n)
{
    const bool some = h->answers_left != 0;
    h->answers_left -= u32_min(n, h->answers_left);
    return some;
}

void hashes_wanted(struct swarm *s, struct swarm_peer *p, const struct hash_request *r)
{
    beat_wake(s, p);
    struct peer_hash *h = &p->hash;
    if (s->now >= h->share_at) {
        h->share_at = s->now + HASH_SHARE_S * NSEC_S;
        h->reads_left = HASH_READS_MAX;
        h->answers_left = HASH_ANSWERS_MAX;
    }
    if (h->queues == NULL && (h->queues = mem_zalloc(s->mem, sizeof *h->queues)) == NULL) {
        rx_close(s, p, ERR_NOMEM);
        return;
    }
    // The look among the files is of its share, too: there may be a hundred thousand of them.
    uint32_t file;
    bool below = false;
    const bool good = h->wanted_n < HASH_QUEUE_MAX && take_share(h, 1) && is_answerable(s, r, &file, &below) && (!below || h->reads_left != 0);
    if (good) {
        h->reads_left -= below;
        h->queues->wanted[h->wanted_n++] = *r;
    } else if (h->refused_n < HASH_QUEUE_MAX) {
        h->queues->refused[h->refused_n++] = *r;
    }
}

// ---- leaves

static void leaf_read_begin(struct swarm *s, struct swarm_peer *p, const struct hash_request *r, uint32_t file)
{
    const struct metainfo_file *f = &s->meta->files[file];
    struct leaf_read *l = &s->leaf;
    uint32_t first = 0, n = 0;
    const bool whole = pieces_under(s, r, file, &first, &n);
    const uint64_t from = (uint64_t)first * s->meta->piece_len;
    const uint64_t len = n == 0 ? 0 : u64_min((uint64_t)n * s->meta->piece_len, f->len - from);
    mem_free(s->mem, l->leaves, l->leaves_n * SHA256_LEN);
    *l = (struct leaf_read){.serial = p->serial, .file = file, .pieces = n, .first = from / BLOCK_LEN, .r = *r, .at = s->now};
    l->state = whole && n == 0 ? LEAF_READY : LEAF_FAILED;      // all of it is padding
    if (l->state == LEAF_READY || !whole)
        return;
    l->leaves = mem_zarray(s->mem, (size_t)u64_div_up(len, BLOCK_LEN), SHA256_LEN);
    struct job *j = l->leaves == NULL ? NULL : job_new(s, JOB_READ_HASH);
    l->leaves_n = l->leaves == NULL ? 0 : (size_t)u64_div_up(len, BLOCK_LEN);
    if (j == NULL)
        return;
    l->state = LEAF_READING;
    j->parts[0] = (struct io_part){file, from, len};
    j->io.parts_n = 1;
    j->io.leaves = l->leaves;
    j->io.leaves_len = len;
    job_post(s, j);
}

static void wake_waiting(struct swarm *s)
{
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        p->hash.waits = false;
        if (p->hash.wanted_n != 0)
            ready_set(s, p);
    }
}

// What was read must be what the torrent says: the disk may have changed.
static bool leaves_are_right(const struct swarm *s)
{
    const struct leaf_read *l = &s->leaf;
    const struct metainfo_file *f = &s->meta->files[l->file];
    const uint32_t level = f->len <= s->meta->piece_len ? height_of(s->meta, f) : piece_level(s->meta);
    for (uint32_t i = 0; i < l->pieces; i++) {
        uint8_t root[SHA256_LEN];
        const uint32_t piece = u32_of(l->first >> level) + i;
        lower_node(s, level, piece, root);
        if (memcmp(root, f->len <= s->meta->piece_len ? f->root : layer_whole(s, l->file) + (size_t)piece * SHA256_LEN, SHA256_LEN) != 0)
            return false;
    }
    return true;
}

void hashes_leaves_read(struct swarm *s, enum err e)
{
    ASSERT(s->leaf.state == LEAF_READING);
    s->leaf.state = e == ERR_OK && leaves_are_right(s) ? LEAF_READY : LEAF_FAILED;
    s->leaf.at = s->now;
    wake_waiting(s);
    if (s->leaf.state == LEAF_FAILED) {
        const struct metainfo_file *f = &s->meta->files[s->leaf.file];
        const uint32_t first = u32_of((f->offset + s->leaf.first * BLOCK_LEN) / s->meta->piece_len);
        if (s->leaf.pieces != 0)
            check_pieces(s, first, first + s->leaf.pieces - 1);
    }
}

// ---- bytes out

static void write_node(struct swarm *s, const struct hash_tree *t, uint32_t layer, uint32_t index, struct wr *w)
{
    uint8_t node[SHA256_LEN];
    if (t == NULL || layer < piece_level(s->meta))
        lower_node(s, layer, index, node);
    else
        upper_node(s, t, layer, index, node);
    wr_bytes(w, slice_of(node, sizeof node));
}

// The whole answer into s->hash_out; false: no memory.
static bool write_answer(struct swarm *s, const struct hash_request *r, uint32_t file, struct buf *out)
{
    const bool small = s->meta->files[file].len <= s->meta->piece_len;
    const struct hash_tree *t = small ? NULL : tree_of(s, file);
    const uint32_t uncles = hash_request_uncles(r), up = hash_tree_height(r->length);
    if (s->hash_out == NULL)
        s->hash_out = mem_zalloc(s->mem, HASH_OUT_LEN);
    if (s->hash_out == NULL || (!small && t == NULL))
        return false;
    *out = (struct buf){s->hash_out, 0, HASH_OUT_LEN};
    struct wr w = wr_make(out);
    hash_answer_write(&w, r, r->length + uncles);
    for (uint32_t i = 0; i < r->length; i++)
        write_node(s, t, r->base, r->index + i, &w);
    for (uint32_t i = 0; i < uncles; i++)
        write_node(s, t, r->base + up + i, ((r->index >> up) >> i) ^ 1, &w);
    ASSERT(w.ok);
    return true;
}

bool hashes_pending(const struct swarm *s, const struct swarm_peer *p)
{
    return p->hash.refused_n != 0 || (p->hash.wanted_n != 0 && !p->hash.waits && p->out_pending < OUT_MIN) || hashes_due(s, p);
}

void hashes_compose_rejects(struct swarm_peer *p, struct wr *w)
{
    struct peer_hash *h = &p->hash;
    uint32_t i = 0;
    if (h->refused_n == 0)
        return;
    for (; i < h->refused_n && buf_room(w->b) >= 2 * (5 + HASH_REQUEST_LEN); i++)
        hash_request_write(w, MSG_HASH_REJECT, &h->queues->refused[i]);
    h->refused_n -= i;
    memmove(h->queues->refused, h->queues->refused + i, h->refused_n * sizeof h->queues->refused[0]);
}

static void wanted_pop(struct peer_hash *h)
{
    h->wanted_n--;
    memmove(h->queues->wanted, h->queues->wanted + 1, h->wanted_n * sizeof h->queues->wanted[0]);
}

// True: the leaves for this request were read, or that failed. Else a read is begun if none is under way; who has got its
// leaves may use them before another takes the place, but not for ever.
static bool leaves_here(struct swarm *s, struct swarm_peer *p, const struct hash_request *r, uint32_t file)
{
    struct leaf_read *l = &s->leaf;
    const bool mine = l->serial == p->serial && hash_request_eq(&l->r, r);
    if (l->state == LEAF_READING)
        return false;
    if (mine && l->state != LEAF_NONE)
        return true;
    if (l->state != LEAF_NONE && s->now - l->at < LEAF_KEPT_S * NSEC_S)
        return false;
    leaf_read_begin(s, p, r, file);
    return l->state != LEAF_READING;
}

// The first answer, into s->segs at n; returns the number of segments then.
uint32_t hashes_compose(struct swarm *s, struct swarm_peer *p, uint32_t n, uint64_t *bytes)
{
    struct peer_hash *h = &p->hash;
    if (h->wanted_n == 0 || h->waits || p->out_pending >= OUT_MIN || n == IO_SEGS_MAX)
        return n;
    const struct hash_request r = h->queues->wanted[0];
    struct buf answer;
    uint32_t file;
    bool below = false;
    bool good = is_answerable(s, &r, &file, &below);
    if (good && below) {
        if (!leaves_here(s, p, &r, file)) {
            h->waits = true;            // for its read, or until another's is used up
            return n;
        }
        good = s->leaf.state == LEAF_READY;
    }
    wanted_pop(h);
    // Who asks for more files in turn than we keep trees of would have us hash whole piece layers for every request.
    if (good && !below)
        (void)take_share(h, tree_cost(s, file));
    good = good && write_answer(s, &r, file, &answer);
    if (below) {
        s->leaf.state = LEAF_NONE;
        wake_waiting(s);
    }
    if (h->wanted_n != 0)
        ready_set(s, p);
    if (!good) {
        if (h->refused_n < HASH_QUEUE_MAX)
            h->queues->refused[h->refused_n++] = r;
        ready_set(s, p);
        return n;
    }
    s->segs[n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = buf_slice(&answer)};
    *bytes += answer.n;
    tap_charge(&s->up, s->now, answer.n);
    return n;
}
