// Hashes of v2 trees: piece layers that a magnet link does not bring are fetched, every part proved against its file's root
// before it is believed; layers and leaves are served. BEP 52, messages 21 to 23; bittorrent note, traps 31 to 35.
#include "engine/swarm/blame.h"
#include "engine/swarm/event.h"
#include "engine/swarm/files.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"
#include "codec/hash_request.h"

enum {
    HASH_ASKS_MAX = 4,                  // hash requests of ours at one peer
    HASH_ANSWER_S = 20, HASH_PAUSE_S = 30,      // an answer takes longer, or is a refusal: the peer is not asked for so long
};

static uint32_t piece_level(const struct metainfo *m) { return hash_tree_height(m->piece_len / BLOCK_LEN); }

static uint32_t layer_len(const struct metainfo *m, const struct metainfo_file *f)
{
    return u32_of(u64_div_up(f->len, m->piece_len));
}

static uint32_t height_of(const struct metainfo *m, const struct metainfo_file *f)
{
    const uint32_t pieces = layer_len(m, f);
    return pieces > 1 ? piece_level(m) + hash_tree_height(pieces) : hash_tree_height(u64_div_up(f->len, BLOCK_LEN));
}

static uint32_t first_piece(const struct metainfo *m, const struct metainfo_file *f) { return u32_of(f->offset / m->piece_len); }

// Nodes of the piece layer in one request, and requests for the whole of it.
static uint32_t chunk_len(const struct metainfo *m, const struct metainfo_file *f)
{
    return u32_min(HASH_REQUEST_NODES_MAX, 1u << hash_tree_height(layer_len(m, f)));
}

static uint32_t chunks_of(const struct metainfo *m, const struct metainfo_file *f)
{
    return (uint32_t)u64_div_up(layer_len(m, f), chunk_len(m, f));
}

static bool is_missing(const struct metainfo *m, const struct metainfo_file *f)
{
    return f->root != NULL && f->len > m->piece_len && f->layer == NULL;
}

enum err hashes_init(struct swarm *s)
{
    const struct metainfo *m = s->meta;
    for (uint32_t i = 0; i < m->files_n && m->has_v2; i++) {
        const struct metainfo_file *f = &m->files[i];
        if (!is_missing(m, f))
            continue;
        if (s->layers == NULL && (s->layers = mem_zarray(s->mem, m->files_n, sizeof *s->layers)) == NULL)
            return ERR_NOMEM;
        s->layers_missing += chunks_of(m, f);
        for (uint32_t k = 0; k < layer_len(m, f) && !m->has_v1; k++)      // a hybrid's pieces are right by their SHA-1
            picker_set_state(&s->picker, first_piece(m, f) + k, PICKER_HELD);
    }
    return ERR_OK;
}

static void layer_free(struct swarm *s, uint32_t file)
{
    const uint32_t n = layer_len(s->meta, &s->meta->files[file]);
    mem_free(s->mem, s->layers[file].nodes, (size_t)n * SHA256_LEN);
    mem_free(s->mem, s->layers[file].got, bits_bytes(u64_div_up(n, 2)));
    s->layers[file] = (struct layer){0};
}

void hashes_done(struct swarm *s)
{
    for (uint32_t i = 0; s->layers != NULL && i < s->meta->files_n; i++)
        layer_free(s, i);
    mem_free(s->mem, s->layers, s->meta->files_n * sizeof *s->layers);
    s->layers = NULL;
    hash_trees_done(s);
}

const uint8_t *layer_node(const struct swarm *s, uint32_t file, uint32_t k)
{
    const struct metainfo_file *f = &s->meta->files[file];
    if (f->layer != NULL)
        return f->layer + (size_t)k * SHA256_LEN;
    if (s->layers == NULL || s->layers[file].nodes == NULL || !bits_get(s->layers[file].got, k / chunk_len(s->meta, f)))
        return NULL;
    return s->layers[file].nodes + (size_t)k * SHA256_LEN;
}

const uint8_t *layer_whole(const struct swarm *s, uint32_t file)
{
    const struct metainfo_file *f = &s->meta->files[file];
    if (f->layer != NULL || s->layers == NULL)
        return f->layer;
    const struct layer *l = &s->layers[file];
    return l->nodes != NULL && l->got_n == chunks_of(s->meta, f) ? l->nodes : NULL;
}

const uint8_t *swarm_layer(const struct swarm *s, uint32_t file) { return layer_whole(s, file); }

// ---- asking

static bool may_ask(const struct swarm *s, const struct swarm_peer *p)
{
    return p->v2 && p->sent_first && s->now >= p->hash.paused_until && p->hash.asks_n < HASH_ASKS_MAX && s->hash_asks_n < HASH_ASKS_ALL_MAX;
}

bool hashes_due(const struct swarm *s, const struct swarm_peer *p)
{
    return may_ask(s, p) && (s->layers_missing > s->hash_layer_asks || (s->blames.n > s->hash_blame_asks && !p->hash.no_leaves));
}

static bool is_asked(const struct swarm *s, const struct hash_ask *a)
{
    for (uint32_t i = 0; i < s->hash_asks_n; i++)
        if (s->hash_asks[i].file == a->file && s->hash_asks[i].piece == a->piece && s->hash_asks[i].r.index == a->r.index)
            return true;
    return false;
}

static void fill(const struct swarm *s, struct hash_ask *a, uint32_t file)
{
    const struct metainfo_file *f = &s->meta->files[file];
    a->file = file;
    memcpy(a->r.root, f->root, SHA256_LEN);
    a->r.proofs = height_of(s->meta, f) - a->r.base - 1;
}

static bool next_layer(struct swarm *s, struct hash_ask *out)
{
    const struct metainfo *m = s->meta;
    for (bool done = true; s->layer_at < m->files_n && done; s->layer_at += done)
        done = !is_missing(m, &m->files[s->layer_at]) || layer_whole(s, s->layer_at) != NULL;
    for (uint32_t i = s->layer_at; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        const uint32_t chunk = is_missing(m, f) ? chunk_len(m, f) : 0;
        for (uint32_t k = 0; chunk != 0 && k < chunks_of(m, f); k++) {
            struct hash_ask a = {.piece = UINT32_MAX, .r = {.base = piece_level(m), .index = k * chunk, .length = chunk}};
            fill(s, &a, i);
            if ((s->layers[i].nodes != NULL && bits_get(s->layers[i].got, k)) || is_asked(s, &a))
                continue;
            *out = a;
            return true;
        }
    }
    return false;
}

// The leaves of a piece that failed: they tell which block was bad, and so who sent it.
static bool next_blame(struct swarm *s, struct hash_ask *out)
{
    const struct metainfo *m = s->meta;
    for (uint32_t piece = blame_first(s); piece != UINT32_MAX; piece = blame_next(s, piece)) {
        const uint32_t file = metainfo_file_at(m, (uint64_t)piece * m->piece_len);
        const struct metainfo_file *f = &m->files[file];
        const uint32_t level = u32_min(piece_level(m), f->root == NULL ? 0 : height_of(m, f));
        if (!piece_is_v2(s, piece) || level == 0 || (1u << level) > HASH_REQUEST_NODES_MAX)
            continue;
        struct hash_ask a = {.piece = piece, .r = {.index = (piece - first_piece(m, f)) << level, .length = 1u << level}};
        fill(s, &a, file);
        if (is_asked(s, &a))
            continue;
        *out = a;
        return true;
    }
    return false;
}

void hashes_request(struct swarm *s, struct swarm_peer *p, struct wr *w)
{
    while (hashes_due(s, p) && buf_room(w->b) >= 2 * (5 + HASH_REQUEST_LEN)) {
        struct hash_ask a;
        if (!next_layer(s, &a) && (p->hash.no_leaves || !next_blame(s, &a)))
            return;
        if (s->hash_asks == NULL && (s->hash_asks = mem_zarray(s->mem, HASH_ASKS_ALL_MAX, sizeof *s->hash_asks)) == NULL)
            return;                     // the beat asks again
        a.serial = p->serial;
        a.at = s->now;
        s->hash_asks[s->hash_asks_n++] = a;
        s->hash_layer_asks += a.piece == UINT32_MAX;
        s->hash_blame_asks += a.piece != UINT32_MAX;
        p->hash.asks_n++;
        hash_request_write(w, MSG_HASH_REQUEST, &a.r);
    }
}

static void ask_end(struct swarm *s, uint32_t i, struct swarm_peer *p)
{
    s->hash_layer_asks -= s->hash_asks[i].piece == UINT32_MAX;
    s->hash_blame_asks -= s->hash_asks[i].piece != UINT32_MAX;
    s->hash_asks[i] = s->hash_asks[--s->hash_asks_n];
    p->hash.asks_n--;
}

void hashes_forget(struct swarm *s, struct swarm_peer *p)
{
    for (uint32_t i = 0; i < s->hash_asks_n;) {
        if (s->hash_asks[i].serial == p->serial)
            ask_end(s, i, p);
        else
            i++;
    }
    if (s->leaf.serial == p->serial && s->leaf.state != LEAF_READING)
        s->leaf.state = LEAF_NONE;
}

static void pause(struct swarm *s, struct swarm_peer *p)
{
    p->hash.paused_until = s->now + HASH_PAUSE_S * NSEC_S;
    LIST_EACH(&s->peers, link, save)
        ready_set(s, CONTAINER(link, struct swarm_peer, link));     // another may be asked
}

void hashes_beat(struct swarm *s, struct swarm_peer *p)
{
    for (uint32_t i = 0; i < s->hash_asks_n;) {
        if (s->hash_asks[i].serial != p->serial || s->now - s->hash_asks[i].at < HASH_ANSWER_S * NSEC_S) {
            i++;
            continue;
        }
        ask_end(s, i, p);
        pause(s, p);
    }
    p->hash.waits = false;
    if (hashes_pending(s, p))
        ready_set(s, p);
}

// A proved part of a piece layer: its pieces may be fetched now, and what lies on the disk of them looked at.
static void take_layer(struct swarm *s, uint32_t file, uint32_t index, struct slice nodes)
{
    const struct metainfo_file *f = &s->meta->files[file];
    struct layer *l = &s->layers[file];
    const uint32_t n = layer_len(s->meta, f), first = first_piece(s->meta, f), here = u32_min(chunk_len(s->meta, f), n - index);
    if (l->nodes == NULL) {
        l->nodes = mem_zarray(s->mem, n, SHA256_LEN);
        l->got = mem_zalloc(s->mem, bits_bytes(u64_div_up(n, 2)));
        if (l->nodes == NULL || l->got == NULL) {
            layer_free(s, file);
            return;
        }
    }
    memcpy(l->nodes + (size_t)index * SHA256_LEN, nodes.p, (size_t)here * SHA256_LEN);
    bits_set(l->got, index / chunk_len(s->meta, f));
    l->got_n++;
    s->layers_missing--;
    for (uint32_t k = index; k < index + here; k++)
        if (s->picker.state[first + k] == PICKER_HELD)
            picker_set_state(&s->picker, first + k, PICKER_MISSING);
    if (!s->meta->has_v1 && s->stats[file].exists && s->stats[file].size != 0)
        check_pieces(s, first + index, first + index + here - 1);
    if (s->layers_missing == 0)
        event_push(s, &(struct event){.kind = SWARM_EVENT_LAYERS});
    s->kick = true;
}

static bool ask_find(const struct swarm *s, const struct swarm_peer *p, const struct hash_request *r, uint32_t *out)
{
    for (uint32_t i = 0; i < s->hash_asks_n; i++) {
        if (s->hash_asks[i].serial != p->serial || !hash_request_eq(&s->hash_asks[i].r, r))
            continue;
        *out = i;
        return true;
    }
    return false;
}

static void on_hashes(struct swarm *s, struct swarm_peer *p, const struct hash_request *r, struct slice hashes)
{
    uint32_t i;
    if (!ask_find(s, p, r, &i))
        return;                         // late, or never asked for
    const struct hash_ask a = s->hash_asks[i];
    ask_end(s, i, p);
    if (!hash_answer_is_right(&a.r, height_of(s->meta, &s->meta->files[a.file]), hashes)) {
        blame_source(s, p);
        ban(s, p->serial);              // the proof does not hold: nobody else can be to blame
        return;
    }
    if (a.piece == UINT32_MAX)
        take_layer(s, a.file, a.r.index, hashes);
    else
        blame_leaves(s, a.piece, hashes);
}

static void on_reject(struct swarm *s, struct swarm_peer *p, const struct hash_request *r)
{
    uint32_t i;
    if (!ask_find(s, p, r, &i))
        return;
    if (s->hash_asks[i].piece != UINT32_MAX)
        p->hash.no_leaves = true;       // libtorrent has only what it hashed itself (trap 34)
    ask_end(s, i, p);
    if (!p->hash.no_leaves)
        pause(s, p);
}

// Of a peer that uses the v2 hash; from others such messages have no meaning.
void hashes_handle(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m)
{
    struct hash_request r;
    if (!p->v2 || hash_request_parse(&r, m->payload) != ERR_OK)
        return;
    if (m->id == MSG_HASH_REQUEST)
        hashes_wanted(s, p, &r);
    else if (m->id == MSG_HASHES)
        on_hashes(s, p, &r, slice_sub(m->payload, HASH_REQUEST_LEN, m->payload.n));
    else
        on_reject(s, p, &r);
}
