// Where worlds stand: see stage.h.
#include "lab/stage.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "codec/create.h"
#include "codec/merkle.h"
#include "lab/mem.h"

enum { PAGE = 4096 };

static const size_t ARENA_LEN = (size_t)128 << 30, ARENA_LEN_MIN = (size_t)1 << 30;      // address space only

static void *heap_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct stage *s = ctx;
    s->used += new_n;
    s->used -= old_n;
    return lab_heap.resize(NULL, p, old_n, new_n);
}

static void *pages_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    void *fresh = aligned_alloc(PAGE, (new_n + PAGE - 1) / PAGE * PAGE);
    if (fresh != NULL && p != NULL) {
        memcpy(fresh, p, size_min(old_n, new_n));
        free(p);
    }
    return fresh;
}

enum err stage_open(struct stage *s, const struct world_config *cfg)
{
    *s = (struct stage){0};
    s->mem = (struct mem){.resize = heap_resize, .ctx = s};
    s->pages = (struct mem){.resize = pages_resize};
    s->env = (struct env){.mem = &s->mem, .payload = &s->pages, .seed = cfg->seed};
    struct world_config c = *cfg;
    if (c.payload == PAYLOAD_REF) {
        void *space = MAP_FAILED;       // valgrind and some containers grant less
        for (s->arena_len = ARENA_LEN; space == MAP_FAILED && s->arena_len >= ARENA_LEN_MIN; s->arena_len /= 2)
            space = mmap(NULL, s->arena_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        s->arena_len *= 2;
        if (space == MAP_FAILED)
            return ERR_NOMEM;
        s->arena = space;
        c.arena = (struct span){s->arena, s->arena_len};
    }
    const enum err e = world_new(&s->world, &c, &s->env);
    if (e != ERR_OK)
        stage_close(s);
    return e;
}

void stage_close(struct stage *s)
{
    world_free(s->world);
    s->world = NULL;
    for (uint32_t i = 0; i < s->torrents_n; i++)
        metainfo_free(&s->metas[i]);
    s->torrents_n = 0;
    if (s->arena != NULL)
        (void)munmap(s->arena, s->arena_len);
    s->arena = NULL;
}

// One torrent under way.
struct making {
    struct stage *s;
    const struct stage_torrent *t;
    uint32_t content;
    struct sha1 run;                    // v1: the piece under way
    uint64_t run_len;
    uint8_t *pieces;
    uint64_t pieces_n;
    uint8_t *roots[STAGE_FILES_MAX], *layers[STAGE_FILES_MAX];
};

static void feed_v1(struct making *m, struct slice bytes)
{
    while (bytes.n > 0) {
        if (m->run_len == 0)
            sha1_init(&m->run);
        const size_t n = (size_t)u64_min(bytes.n, m->t->piece_len - m->run_len);
        sha1_update(&m->run, slice_sub(bytes, 0, n));
        m->run_len += n;
        bytes = slice_sub(bytes, n, bytes.n);
        if (m->run_len == m->t->piece_len) {
            sha1_final(&m->run, m->pieces + 20 * m->pieces_n++);
            m->run_len = 0;
        }
    }
}

static enum err hash_file(struct making *m, const struct create_spec *spec, uint32_t i, uint64_t offset, struct create_file *f)
{
    static const uint8_t zeros[BLOCK_LEN];
    uint8_t block[BLOCK_LEN];
    const size_t layer_n = m->t->v2 ? (size_t)create_layer_len(f->len, m->t->piece_len) : 0;
    m->roots[i] = calloc(1, SHA256_LEN);
    m->layers[i] = calloc(1, layer_n + 1);
    if (m->roots[i] == NULL || m->layers[i] == NULL)
        return ERR_NOMEM;
    const bool tree_wanted = m->t->v2 && f->len > 0;
    struct buf b = {m->layers[i], 0, layer_n};
    struct wr wr = wr_make(&b);
    struct merkle_builder tree;
    if (tree_wanted)
        merkle_builder_init(&tree, f->len, m->t->piece_len);
    for (uint64_t off = 0; off < f->len; off += BLOCK_LEN) {
        const size_t n = (size_t)u64_min(BLOCK_LEN, f->len - off);
        world_content(m->s->world, m->content, offset + off, (struct span){block, n});
        if (m->t->v1)
            feed_v1(m, slice_of(block, n));
        uint8_t leaf[SHA256_LEN];
        if (!tree_wanted)
            continue;
        sha256_of(slice_of(block, n), leaf);
        merkle_builder_add(&tree, leaf, &wr);
    }
    if (tree_wanted) {
        merkle_builder_finish(&tree, &wr, m->roots[i]);
        f->root = m->roots[i];
        f->layer = layer_n > 0 ? m->layers[i] : NULL;
    }
    for (uint64_t left = m->t->v1 ? create_pad_len(spec, i) : 0; left > 0;) {
        const size_t n = (size_t)u64_min(left, sizeof zeros);
        feed_v1(m, slice_of(zeros, n));
        left -= n;
    }
    return ERR_OK;
}

static enum err hash_all(struct making *m, struct create_spec *spec, struct create_file *files)
{
    const uint64_t pieces_n = create_pieces_n(spec);
    m->pieces = calloc(20, (size_t)pieces_n + 1);
    if (m->pieces == NULL)
        return ERR_NOMEM;
    uint64_t offset = 0;
    for (uint32_t i = 0; i < m->t->files_n; i++) {
        if (m->t->v2 && files[i].len > 0)
            offset = u64_div_up(offset, m->t->piece_len) * m->t->piece_len;
        const enum err e = hash_file(m, spec, i, offset, &files[i]);
        if (e != ERR_OK)
            return e;
        offset += m->t->lens[i];
    }
    if (m->run_len > 0)
        sha1_final(&m->run, m->pieces + 20 * m->pieces_n++);
    spec->pieces = m->pieces;
    return ERR_OK;
}

static enum err write_and_read(struct making *m, const struct create_spec *spec, char why[STAGE_WHY_MAX], struct metainfo *out)
{
    const size_t max = (size_t)create_size_max(spec);
    struct buf b = {calloc(1, max), 0, max};
    if (b.p == NULL)
        return ERR_NOMEM;
    struct wr wr = wr_make(&b);
    enum err e = create_write(&wr, &m->s->mem, spec);
    if (e == ERR_OK)
        e = metainfo_parse(out, &m->s->mem, buf_slice(&b), why);
    free(b.p);
    return e;
}

enum err stage_torrent(struct stage *s, const struct stage_torrent *t, char why[STAGE_WHY_MAX], uint32_t *out)
{
    static const char *const names[STAGE_FILES_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
    ASSERT(t->files_n >= 1);
    ASSERT(t->files_n <= STAGE_FILES_MAX);
    why[0] = '\0';
    if (s->torrents_n == STAGE_TORRENTS_MAX)
        return ERR_FULL;
    struct create_file files[STAGE_FILES_MAX] = {0};
    const struct metainfo_url url = {.url = t->tracker == NULL ? (struct slice){0} : slice_str(t->tracker)};
    struct create_spec spec = {.name = SLICE_LIT("content"), .is_dir = t->files_n > 1, .has_v1 = t->v1, .has_v2 = t->v2,
        .is_private = t->is_private, .piece_len = t->piece_len, .files = files, .files_n = t->files_n, .trackers = &url,
        .trackers_n = t->tracker == NULL ? 0 : 1};
    struct slice web_seeds[ARRAY_LEN(t->web_seeds)];
    spec.web_seeds = web_seeds;
    for (; spec.web_seeds_n < ARRAY_LEN(web_seeds) && t->web_seeds[spec.web_seeds_n] != NULL; spec.web_seeds_n++)
        web_seeds[spec.web_seeds_n] = slice_str(t->web_seeds[spec.web_seeds_n]);
    for (uint32_t i = 0; i < t->files_n; i++)
        files[i] = (struct create_file){.path = slice_str(names[i]), .len = t->lens[i]};
    struct making m = {.s = s, .t = t, .content = world_content_next(s->world)};
    enum err e = hash_all(&m, &spec, files);
    if (e == ERR_OK)
        e = write_and_read(&m, &spec, why, &s->metas[s->torrents_n]);
    free(m.pieces);
    for (uint32_t i = 0; i < STAGE_FILES_MAX; i++) {
        free(m.roots[i]);
        free(m.layers[i]);
    }
    if (e != ERR_OK)
        return e;
    *out = world_torrent(s->world, &s->metas[s->torrents_n++]);
    return ERR_OK;
}

uint32_t stage_tracker(struct stage *s, uint32_t interval_s)
{
    ASSERT(s->world->hosts_n == 0);
    const struct host_config cfg = {.node = {.tracker = true, .tracker_interval_s = interval_s}};
    return world_host(s->world, &cfg);
}

struct node_torrent_stats stage_stats(const struct stage *s, uint32_t host, uint32_t want)
{
    const struct host *h = s->world->hosts[host];
    struct node_torrent_stats out = {0};
    if (h->node != NULL)
        node_torrent_stats(h->node, h->wants[want].number, &out);
    return out;
}

uint64_t stage_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
