// The builder of scenarios: see lab.h.
#include "lab.h"

#include <sys/mman.h>
#include <time.h>

#include "codec/create.h"
#include "codec/merkle.h"

enum { TRACE_TAIL = 60, WHY_LEN = 160 };

static const size_t ARENA_LEN = (size_t)64 << 30;       // address space only

static void *lab_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct lab *l = ctx;
    l->used += new_n;
    l->used -= old_n;
    return test_resize(NULL, p, old_n, new_n);
}

void lab_open(struct lab *l, const char *name, const struct world_config *cfg)
{
    *l = (struct lab){.name = name};
    l->mem = (struct mem){.resize = lab_resize, .ctx = l};
    l->pages = (struct mem){.resize = test_resize_pages};
    l->env = (struct env){.mem = &l->mem, .payload = &l->pages, .seed = cfg->seed};
    struct world_config c = *cfg;
    const char *more = getenv("KITH_SEED");
    if (more != NULL)
        c.seed ^= mix64(strtoull(more, NULL, 10));
    c.forgive_unsynced |= getenv("KITH_FORGIVE") != NULL;
    if (c.payload == PAYLOAD_REF) {
        l->arena_len = ARENA_LEN;
        l->arena = mmap(NULL, l->arena_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(l->arena != MAP_FAILED);
        c.arena = (struct span){l->arena, l->arena_len};
    }
    assert_int_equal(world_new(&l->world, &c, &l->env), ERR_OK);
}

static void tell(struct lab *l)
{
    const struct world *w = l->world;
    const uint32_t n = trace_kept(&w->trace);
    fprintf(stderr, "%s: seed %llu, at %llu.%03llu s: %s\n", l->name, (unsigned long long)w->cfg.seed,
        (unsigned long long)(w->now / NSEC_S), (unsigned long long)(w->now % NSEC_S / NSEC_MS),
        w->failure[0] != '\0' ? w->failure : "no oracle fired");
    for (uint32_t i = n > TRACE_TAIL ? n - TRACE_TAIL : 0; i < n; i++) {
        uint8_t space[200];
        struct buf b = {space, 0, sizeof space};
        struct wr wr = wr_make(&b);
        trace_line(trace_last(&w->trace, i), &wr);
        fprintf(stderr, "  %.*s\n", (int)b.n, (const char *)space);
    }
}

void lab_expect_good(struct lab *l)
{
    if (l->world->failure[0] == '\0')
        return;
    tell(l);
    l->failed = true;
    fail_msg("%s: %s", l->name, l->world->failure);
}

void lab_expect(struct lab *l, bool ok, const char *what)
{
    lab_expect_good(l);
    if (ok)
        return;
    tell(l);
    l->failed = true;
    fail_msg("%s: %s", l->name, what);
}

uint64_t lab_close(struct lab *l)
{
    (void)world_settled(l->world);
    lab_expect_good(l);
    const uint64_t hash = l->world->trace.hash;
    lab_free(l);
    assert_int_equal(l->used, 0);
    return hash;
}

void lab_free(struct lab *l)
{
    world_free(l->world);
    for (uint32_t i = 0; i < l->torrents_n; i++)
        metainfo_free(&l->metas[i]);
    if (l->arena != NULL)
        munmap(l->arena, l->arena_len);
}

// One file of the torrent under way.
struct making {
    struct lab *l;
    const struct lab_torrent *t;
    uint32_t content;
    struct sha1 run;                    // v1: the piece under way
    uint64_t run_len;
    uint8_t *pieces;
    uint64_t pieces_n;
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

static void make_file(struct making *m, const struct create_spec *spec, uint32_t i, uint64_t offset, struct create_file *f)
{
    static uint8_t block[BLOCK_LEN];
    static const uint8_t zeros[BLOCK_LEN];
    const uint64_t layer_n = m->t->v2 ? create_layer_len(f->len, m->t->piece_len) : 0;
    uint8_t *root = calloc(1, 32), *layer = calloc(1, (size_t)layer_n + 1);
    struct buf b = {layer, 0, (size_t)layer_n};
    struct wr wr = wr_make(&b);
    struct merkle_builder tree;
    if (m->t->v2 && f->len > 0)
        merkle_builder_init(&tree, f->len, m->t->piece_len);
    for (uint64_t off = 0; off < f->len; off += BLOCK_LEN) {
        const size_t n = (size_t)u64_min(BLOCK_LEN, f->len - off);
        world_content(m->l->world, m->content, offset + off, (struct span){block, n});
        if (m->t->v1)
            feed_v1(m, slice_of(block, n));
        uint8_t leaf[SHA256_LEN];
        sha256_of(slice_of(block, n), leaf);
        if (m->t->v2)
            merkle_builder_add(&tree, leaf, &wr);
    }
    if (m->t->v2 && f->len > 0) {
        merkle_builder_finish(&tree, &wr, root);
        f->root = root;
        f->layer = layer_n > 0 ? layer : NULL;
    }
    for (uint64_t left = m->t->v1 ? create_pad_len(spec, i) : 0; left > 0;) {
        const size_t n = (size_t)u64_min(left, sizeof zeros);
        feed_v1(m, slice_of(zeros, n));
        left -= n;
    }
    if (f->layer == NULL)
        free(layer);
    if (f->root == NULL)
        free(root);
}

uint32_t lab_torrent(struct lab *l, const struct lab_torrent *t)
{
    assert_true(l->torrents_n < LAB_TORRENTS_MAX);
    assert_true(t->files_n >= 1);
    assert_true(t->files_n <= LAB_FILES_MAX);
    static const char *const names[LAB_FILES_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
    struct create_file files[LAB_FILES_MAX] = {0};
    const struct metainfo_url url = {.url = t->tracker == NULL ? (struct slice){0} : slice_str(t->tracker)};
    struct create_spec spec = {.name = SLICE_LIT("content"), .is_dir = t->files_n > 1, .has_v1 = t->v1, .has_v2 = t->v2,
        .piece_len = t->piece_len, .files = files, .files_n = t->files_n, .trackers = &url, .trackers_n = t->tracker == NULL ? 0 : 1};
    for (uint32_t i = 0; i < t->files_n; i++)
        files[i] = (struct create_file){.path = slice_str(names[i]), .len = t->lens[i]};
    struct making m = {.l = l, .t = t, .content = world_content_next(l->world)};
    const uint64_t pieces_n = create_pieces_n(&spec);
    m.pieces = calloc(20, (size_t)pieces_n + 1);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < t->files_n; i++) {
        if (t->v2 && t->lens[i] > 0)
            offset = u64_div_up(offset, t->piece_len) * t->piece_len;
        make_file(&m, &spec, i, offset, &files[i]);
        offset += t->lens[i];
    }
    if (m.run_len > 0)
        sha1_final(&m.run, m.pieces + 20 * m.pieces_n++);
    spec.pieces = m.pieces;
    const size_t max = (size_t)create_size_max(&spec);
    struct buf b = {calloc(1, max), 0, max};
    struct wr wr = wr_make(&b);
    assert_int_equal(create_write(&wr, &test_mem, &spec), ERR_OK);
    char why[WHY_LEN] = "";
    struct metainfo *meta = &l->metas[l->torrents_n++];
    if (metainfo_parse(meta, &l->mem, buf_slice(&b), why) != ERR_OK)
        fail_msg("the lab's torrent is bad: %s", why);
    free(b.p);
    free(m.pieces);
    for (uint32_t i = 0; i < t->files_n; i++) {
        free((void *)(uintptr_t)files[i].root);
        free((void *)(uintptr_t)files[i].layer);
    }
    return world_torrent(l->world, meta);
}

struct node_torrent_stats lab_stats(const struct lab *l, uint32_t host, uint32_t want)
{
    const struct host *h = l->world->hosts[host];
    struct node_torrent_stats s = {0};
    if (h->node != NULL)
        node_torrent_stats(h->node, h->wants[want].number, &s);
    return s;
}

uint32_t lab_tracker(struct lab *l)
{
    assert_int_equal(l->world->hosts_n, 0);
    const struct host_config cfg = {.node = {.tracker = true, .tracker_interval_s = 60}};
    return world_host(l->world, &cfg);
}

// Only to print speeds: what happens never depends on it.
static uint64_t lab_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint32_t lab_next(const struct lab *l) { return l->world->hosts_n; }

struct lab_run lab_swarm(struct lab *l, const struct lab_swarm *s)
{
    lab_open(l, s->name, &s->world);
    struct lab_torrent t = s->torrent;
    if (s->tracker) {
        lab_tracker(l);
        t.tracker = LAB_TRACKER;
    }
    struct lab_run run = {.torrent = lab_torrent(l, &t), .first_seed = lab_next(l)};
    for (uint32_t i = 0; i < s->seeds; i++)
        world_want(l->world, world_host(l->world, &s->seed), run.torrent, WANT_SEED);
    run.first_leech = lab_next(l);
    for (uint32_t i = 0; i < s->leeches; i++) {
        struct host_config c = s->leech;
        c.arrive += NSEC_S + s->arrivals * i / s->leeches;
        world_want(l->world, world_host(l->world, &c), run.torrent, WANT_LEECH);
    }
    return run;
}

nsec lab_complete(struct lab *l, nsec until)
{
    struct world *w = l->world;
    nsec t = 0;
    const uint64_t start = lab_clock_ms();
    const bool ok = world_run_complete(w, until, &t);
    const uint64_t ms = lab_clock_ms() - start;
    print_message("%s: %llu.%03llu s of virtual time, %llu events, %llu ms, %llu events/s, %llu MB of content, trace %016llx\n", l->name,
        (unsigned long long)(w->now / NSEC_S), (unsigned long long)(w->now % NSEC_S / NSEC_MS), (unsigned long long)w->steps,
        (unsigned long long)ms, (unsigned long long)(w->steps * 1000 / (ms + 1)),
        (unsigned long long)w->totals.payload_up_bytes / 1000000, (unsigned long long)w->trace.hash);
    for (uint32_t i = 0, told = 0; i < w->hosts_n && !ok && told < 8; i++)
        for (uint32_t k = 0; k < w->hosts[i]->wants_n; k++)
            if (!w->hosts[i]->wants[k].done && w->hosts[i]->wants[k].kind != WANT_SEED) {
                const struct node_torrent_stats s = lab_stats(l, i, k);
                print_message("  n%u not complete: up %d, life %u, state %d, %u of %u pieces, %u peers, unchoked by %u, %u known\n", i,
                    w->hosts[i]->up, w->hosts[i]->life, (int)s.state, s.pieces_have, s.pieces_n, s.peers, s.unchoked_by, s.known);
                told++;
            }
    lab_expect(l, ok, "not everybody is complete");
    return t;
}
