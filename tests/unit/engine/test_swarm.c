// Whole swarms over perfect wires and disks of memory: blocks land where they belong, bad ones do not, resume claims
// only what is there. Rates, losses and crashes are the simulator's.
#include "test.h"

#include "base/bits.h"
#include "engine/swarm/swarm.h"

enum { SIDES_MAX = 8, PIECE_LEN = 65536, WIRE_MAX = 4 << 20 };

struct wire {
    uint8_t *bytes;
    size_t n;
    bool open;
};

struct side {
    struct swarm *swarm;
    struct env env;
    struct swarm_peer *peers[SIDES_MAX];
    struct wire in[SIDES_MAX];          // from side i
    struct pool pool;
    struct limit up, down;
    uint8_t id[20];
    uint8_t *disk, *parts;              // parts: the `.parts` file
    bool parts_exist;
    uint32_t removed;
    uint64_t synced;
    bool *exists;
    uint32_t corrupt_every;             // of the blocks it sends, one in so many is wrong
    uint32_t sent_blocks;
    enum err write_error;
    uint64_t longer;                    // bytes that its files have too many
    bool replaced;                      // they are other files than those that were written
    bool done, stopped;
    uint32_t banned, errors, recovered, file_done, layers;
    uint8_t blob[4096];
    size_t blob_n;
    uint32_t jobs[64], jobs_n;
    enum err jobs_err[64];
    uint64_t deadline;
};

struct world {
    struct metainfo meta, bare;         // bare: without piece layers
    struct metainfo_file files[8], bare_files[8];
    bool next_is_bare;                  // sides added now know only that
    uint8_t *content;
    uint8_t hashes[64 * 20];
    struct side sides[SIDES_MAX];
    uint32_t sides_n;
    nsec now;
    size_t chunk;                       // bytes delivered at once at most
    uint64_t checks;
};

static void world_init(struct world *w, uint64_t len)
{
    memset(w, 0, sizeof *w);
    w->now = 1000 * NSEC_S;
    w->chunk = SIZE_MAX;
    w->content = malloc(len);
    struct rng r = rng_make(len, 1);
    for (uint64_t i = 0; i < len; i += 8) {
        const uint64_t v = rng_u64(&r);
        memcpy(w->content + i, &v, u64_min(8, len - i));
    }
    w->meta = (struct metainfo){.has_v1 = true, .piece_len = PIECE_LEN, .span = len, .len = len, .files = w->files, .pieces = w->hashes,
                                .pieces_n = (uint32_t)u64_div_up(len, PIECE_LEN), .mem = &test_mem};
    memset(w->meta.hash_v1, 7, 20);
    assert_true(w->meta.pieces_n <= 64);
    for (uint32_t i = 0; i < w->meta.pieces_n; i++)
        sha1_of(slice_of(w->content + (size_t)i * PIECE_LEN, u64_min(PIECE_LEN, len - (uint64_t)i * PIECE_LEN)), w->hashes + 20 * i);
}

// Splits the content into files of these lengths, the last takes the rest.
static void world_files(struct world *w, const uint64_t *lens, uint32_t n)
{
    uint64_t off = 0;
    for (uint32_t i = 0; i < n; i++) {
        w->files[i] = (struct metainfo_file){.path = SLICE_LIT("f"), .offset = off, .len = i + 1 < n ? lens[i] : w->meta.len - off};
        off += w->files[i].len;
    }
    w->meta.files_n = n;
}

// Three files, each on a piece of its own, with BEP 52 roots and layers; hybrid: pads between them and SHA-1 as well.
static void world_v2(struct world *w, bool hybrid)
{
    static uint8_t roots[3][SHA256_LEN], layers[3][8][SHA256_LEN];
    static const uint64_t lens[3] = {5 * PIECE_LEN + 20000, 40000, 2 * PIECE_LEN};
    world_init(w, 9 * PIECE_LEN);
    const uint8_t zero[SHA256_LEN] = {0};
    uint8_t layer_pad[SHA256_LEN], leaves[64][SHA256_LEN];
    merkle_pad(PIECE_LEN / BLOCK_LEN, layer_pad);
    uint64_t off = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct metainfo_file *f = &w->files[n++];
        *f = (struct metainfo_file){.path = SLICE_LIT("f"), .offset = off, .len = lens[i], .root = roots[i]};
        const uint64_t pieces = u64_div_up(lens[i], PIECE_LEN), blocks = u64_div_up(lens[i], BLOCK_LEN);
        for (uint64_t b = 0; b < blocks; b++)
            sha256_of(slice_of(w->content + off + b * BLOCK_LEN, u64_min(BLOCK_LEN, lens[i] - b * BLOCK_LEN)), leaves[b]);
        uint64_t width = 1;
        if (pieces == 1) {
            while (width < blocks)
                width *= 2;
            merkle_root(leaves, blocks, width, zero, roots[i]);
        } else {
            for (uint64_t k = 0; k < pieces; k++)
                merkle_root(leaves + k * 4, u64_min(4, blocks - k * 4), 4, zero, layers[i][k]);
            f->layer = layers[i][0];
            while (width < pieces)
                width *= 2;
            uint8_t copy[8][SHA256_LEN];
            memcpy(copy, layers[i], sizeof copy);
            merkle_root(copy, pieces, width, layer_pad, roots[i]);
        }
        off += lens[i];
        const uint64_t pad = pieces * PIECE_LEN - lens[i];
        memset(w->content + off, 0, pad);
        if (hybrid && pad != 0)
            w->files[n++] = (struct metainfo_file){.path = SLICE_LIT("p"), .offset = off, .len = pad, .flags = FILE_PAD};
        off += pad;
    }
    w->meta.files_n = n;
    w->meta.has_v2 = true;
    w->meta.has_v1 = hybrid;
    w->meta.len = lens[0] + lens[1] + lens[2];
    for (uint32_t i = 0; i < w->meta.pieces_n; i++)
        sha1_of(slice_of(w->content + (size_t)i * PIECE_LEN, PIECE_LEN), w->hashes + 20 * i);
}

static bool next_trusts;                // the next side: its content is just made
static const uint8_t *priorities;       // of the sides added from here on

static struct side *side_add(struct world *w, bool seed, struct slice resume)
{
    struct side *s = &w->sides[w->sides_n++];
    memset(s, 0, sizeof *s);
    snprintf((char *)s->id, sizeof s->id, "-KH0100-side%u", w->sides_n);
    s->disk = calloc(1, w->meta.span);
    s->parts = calloc(1, w->meta.span);
    s->exists = calloc(w->meta.files_n, 1);
    if (seed) {
        memcpy(s->disk, w->content, w->meta.span);
        memset(s->exists, 1, w->meta.files_n);
    }
    assert_int_equal(pool_init(&s->pool, &test_env, 8 * MIB), ERR_OK);
    limit_init(&s->up, w->now, 0);
    limit_init(&s->down, w->now, 0);
    w->bare = w->meta;
    w->bare.files = w->bare_files;
    for (uint32_t i = 0; i < w->meta.files_n; i++) {
        w->bare_files[i] = w->files[i];
        w->bare_files[i].layer = NULL;
    }
    const struct swarm_config cfg = {.meta = w->next_is_bare ? &w->bare : &w->meta, .store = 1, .pool = &s->pool, .up = &s->up, .down = &s->down, .peer_id = s->id,
                                     .peers_max = 50, .trust = seed && (resume.n == 0 || next_trusts), .resume = resume, .listen_port = 6881,
                                     .priorities = priorities};
    for (uint32_t i = 0; i < SIDES_MAX; i++)
        s->in[i].bytes = malloc(WIRE_MAX);
    s->env = test_env;
    s->env.seed = w->sides_n;
    assert_int_equal(swarm_new(&s->swarm, &cfg, &s->env, w->now), ERR_OK);
    return s;
}

static uint8_t *place(const struct world *w, struct side *s, uint32_t file, uint64_t off)
{
    return file == w->meta.files_n ? s->parts + off : s->disk + w->files[file].offset + off;
}

static void run_hash(struct world *w, struct side *s, const struct io_job *j)
{
    uint8_t *all = malloc(2 * MIB);
    size_t n = 0;
    for (uint32_t i = 0; i < j->spans_n; i++) {
        memcpy(all + n, j->spans[i].p, j->spans[i].n);
        n += j->spans[i].n;
    }
    for (uint32_t i = 0; i < j->parts_n && j->kind == JOB_READ_HASH; i++) {
        if (j->parts[i].file == IO_FILE_ZERO)
            memset(all + n, 0, j->parts[i].len);
        else
            memcpy(all + n, place(w, s, j->parts[i].file, j->parts[i].off), j->parts[i].len);
        n += j->parts[i].len;
    }
    if (j->sha1 != NULL)
        sha1_update(j->sha1, slice_of(all, n));
    static const uint8_t zeros[PIECE_LEN];
    if (j->sha1 != NULL)
        sha1_update(j->sha1, slice_of(zeros, j->zeros));
    for (uint64_t at = 0; j->leaves != NULL && at < j->leaves_len; at += BLOCK_LEN)
        sha256_of(slice_of(all + at, u64_min(BLOCK_LEN, j->leaves_len - at)), j->leaves[at / BLOCK_LEN]);
    free(all);
}

static enum err run_write(struct world *w, struct side *s, const struct io_job *j)
{
    if (s->write_error != ERR_OK)
        return s->write_error;
    uint32_t k = 0;
    size_t in = 0;
    for (uint32_t i = 0; i < j->parts_n; i++) {
        for (uint64_t left = j->parts[i].len; left != 0;) {
            const uint64_t n = u64_min(left, j->spans[k].n - in);
            if (j->parts[i].file != IO_FILE_ZERO) {
                memcpy(place(w, s, j->parts[i].file, j->parts[i].off + (j->parts[i].len - left)), j->spans[k].p + in, n);
                *(j->parts[i].file == w->meta.files_n ? &s->parts_exist : &s->exists[j->parts[i].file]) = true;
            }
            left -= n;
            in += n;
            if (in == j->spans[k].n) {
                k++;
                in = 0;
            }
        }
    }
    assert_int_equal(k, j->spans_n);
    return ERR_OK;
}

static void run_job(struct world *w, struct side *s, const struct io_job *j)
{
    enum err e = ERR_OK;
    switch (j->kind) {
    case JOB_HASH:
    case JOB_READ_HASH: run_hash(w, s, j); break;
    case JOB_WRITE: e = run_write(w, s, j); break;
    case JOB_STAT:
        for (uint32_t i = 0; i < w->meta.files_n; i++)
            j->stats[i] = (struct io_stat){.exists = s->exists[i], .size = s->exists[i] ? w->files[i].len + s->longer : 0,
                                           .mtime_ns = 1, .device = 1, .replaced = s->replaced};
        j->stats[w->meta.files_n] = (struct io_stat){.exists = s->parts_exist, .size = w->meta.span, .mtime_ns = 1};
        break;
    case JOB_READ:
        for (uint32_t i = 0, k = 0; i < j->parts_n; i++, k++) {
            assert_int_equal(j->parts[i].len, j->spans[k].n);
            memcpy(j->spans[k].p, place(w, s, j->parts[i].file, j->parts[i].off), j->parts[i].len);
        }
        break;
    case JOB_REMOVE:
        assert_int_equal(j->parts[0].file, w->meta.files_n);
        memset(s->parts, 0, w->meta.span);
        s->parts_exist = false;
        s->removed++;
        break;
    case JOB_PREPARE:
        for (uint32_t i = 0; i < w->meta.files_n; i++)
            s->exists[i] |= w->files[i].len == 0;
        break;
    case JOB_CUT:
    case JOB_SYNC:
    case JOB_NONE: break;
    }
    assert_true(s->jobs_n < ARRAY_LEN(s->jobs));
    s->jobs_err[s->jobs_n] = e;
    s->jobs[s->jobs_n++] = j->id;
}

static void run_send(struct world *w, struct side *s, const struct swarm_out *out)
{
    const uint32_t to = out->conn - 1;
    struct wire *wire = &w->sides[to].in[s - w->sides];
    uint64_t sent = 0;
    for (uint32_t i = 0; i < out->segs_n; i++) {
        const struct io_seg *g = &out->segs[i];
        const size_t n = g->kind == SEG_BYTES ? g->bytes.n : g->len;
        assert_true(wire->n + n <= WIRE_MAX);
        if (g->kind == SEG_BYTES) {
            memcpy(wire->bytes + wire->n, g->bytes.p, n);
        } else if (g->file == IO_FILE_ZERO) {
            memset(wire->bytes + wire->n, 0, n);
        } else {
            memcpy(wire->bytes + wire->n, place(w, s, g->file, g->off), n);
            if (s->corrupt_every != 0 && ++s->sent_blocks % s->corrupt_every == 0)
                wire->bytes[wire->n + n / 2] ^= 1;
        }
        wire->n += n;
        sent += n;
    }
    swarm_sent(s->swarm, w->now, s->peers[to], sent);
}

static void run_event(struct side *s, const struct swarm_out *out)
{
    s->done |= out->event == SWARM_EVENT_DONE;
    s->stopped |= out->event == SWARM_EVENT_STOPPED;
    s->banned += out->event == SWARM_EVENT_BANNED;
    s->errors += out->event == SWARM_EVENT_ERROR;
    s->recovered += out->event == SWARM_EVENT_RECOVERED;
    s->file_done += out->event == SWARM_EVENT_FILE_DONE;
    s->layers += out->event == SWARM_EVENT_LAYERS;
}

static bool drain(struct world *w, struct side *s)
{
    static uint8_t space[256 * 1024];
    bool worked = false;
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct swarm_out out = {0};
        const enum swarm_kind kind = swarm_poll(s->swarm, w->now, &tx, &out);
        if (kind == SWARM_IDLE) {
            s->deadline = out.deadline;
            break;
        }
        worked = true;
        if (kind == SWARM_SEND) {
            run_send(w, s, &out);
        } else if (kind == SWARM_JOB) {
            run_job(w, s, &out.job);
        } else if (kind == SWARM_EVENT) {
            run_event(s, &out);
        } else if (kind == SWARM_SAVE) {
            assert_true(out.bytes.n <= sizeof s->blob);
            memcpy(s->blob, out.bytes.p, out.bytes.n);
            s->blob_n = out.bytes.n;
            swarm_saved(s->swarm, w->now, ERR_OK);
        } else if (kind == SWARM_CLOSE) {
            const uint32_t to = out.conn - 1, me = (uint32_t)(s - w->sides);
            s->peers[to] = NULL;
            s->in[to].open = false;
            w->sides[to].in[me].open = false;
        }
    }
    if (w->checks++ % 64 == 0)
        swarm_check(s->swarm);
    while (s->jobs_n != 0) {
        const uint32_t id = s->jobs[--s->jobs_n];
        swarm_job_done(s->swarm, w->now, id, s->jobs_err[s->jobs_n], 0);
        worked = true;
    }
    return worked;
}

static bool deliver(struct world *w, struct side *s, uint32_t from)
{
    struct wire *wire = &s->in[from];
    if (!wire->open && s->peers[from] != NULL) {
        swarm_peer_closed(s->swarm, w->now, s->peers[from]);
        s->peers[from] = NULL;
        return true;
    }
    if (!wire->open || wire->n == 0 || s->peers[from] == NULL)
        return false;
    struct span spans[IO_ROOM_MAX];
    uint32_t spans_n = 0;
    swarm_rx_room(s->swarm, w->now, s->peers[from], spans, &spans_n);
    size_t landed = 0;
    for (uint32_t i = 0; i < spans_n && landed < wire->n && landed < w->chunk; i++) {
        const size_t n = size_min(spans[i].n, size_min(wire->n, w->chunk) - landed);
        memcpy(spans[i].p, wire->bytes + landed, n);
        landed += n;
    }
    if (landed == 0)
        return false;
    memmove(wire->bytes, wire->bytes + landed, wire->n - landed);
    wire->n -= landed;
    swarm_rx(s->swarm, w->now, s->peers[from], landed);
    return true;
}

// Runs until nothing moves, then lets time pass; up to `seconds` of it.
static void run(struct world *w, uint32_t seconds)
{
    const nsec end = w->now + seconds * NSEC_S;
    while (w->now < end) {
        bool worked = false;
        for (uint32_t i = 0; i < w->sides_n; i++) {
            if (w->sides[i].swarm == NULL)
                continue;
            worked |= drain(w, &w->sides[i]);
            for (uint32_t k = 0; k < w->sides_n; k++) {
                worked |= deliver(w, &w->sides[i], k);
                worked |= drain(w, &w->sides[i]);
            }
        }
        if (worked)
            continue;
        nsec next = end;
        for (uint32_t i = 0; i < w->sides_n; i++)
            if (w->sides[i].swarm != NULL)
                next = u64_min(next, w->sides[i].deadline);
        w->now = u64_max(next, w->now + NSEC_MS);
        for (uint32_t i = 0; i < w->sides_n; i++)
            if (w->sides[i].swarm != NULL)
                swarm_tick(w->sides[i].swarm, w->now);
    }
}

static void join(struct world *w, uint32_t a, uint32_t b, bool fast)
{
    for (int turn = 0; turn < 2; turn++) {
        const uint32_t me = turn == 0 ? a : b, it = turn == 0 ? b : a;
        struct swarm_peer_new in = {.conn = it + 1, .incoming = turn == 1, .theirs = {.has_fast = fast, .has_extended = true}};
        const uint8_t ip[4] = {10, 0, 0, (uint8_t)(it + 1)};
        in.addr = addr_ipv4(ip, 6881);
        memcpy(in.theirs.peer_id, w->sides[it].id, 20);
        in.theirs.has_v2 = w->meta.has_v2;
        memcpy(in.theirs.info_hash, w->meta.has_v2 ? w->meta.hash_v2 : w->meta.hash_v1, INFO_HASH_LEN);
        assert_int_equal(swarm_peer_add(w->sides[me].swarm, w->now, &in, &w->sides[me].peers[it]), ERR_OK);
        w->sides[me].in[it].open = true;
        w->sides[me].in[it].n = 0;
    }
}

static void side_stop(struct world *w, struct side *s)
{
    swarm_stop(s->swarm, w->now);
    run(w, 2);
    assert_true(s->stopped);
    swarm_free(s->swarm);
    s->swarm = NULL;
}

static void side_free(struct side *s)
{
    if (s->swarm != NULL)
        swarm_free(s->swarm);
    pool_done(&s->pool);
    free(s->disk);
    free(s->parts);
    free(s->exists);
    for (uint32_t i = 0; i < SIDES_MAX; i++)
        free(s->in[i].bytes);
}

static void world_done(struct world *w)
{
    for (uint32_t i = 0; i < w->sides_n; i++) {
        while (w->sides[i].swarm != NULL && drain(w, &w->sides[i]))
            continue;                   // jobs under way
        side_free(&w->sides[i]);
    }
    free(w->content);
}

static void assert_whole(struct world *w, struct side *s)
{
    assert_true(s->done);
    assert_memory_equal(s->disk, w->content, w->meta.span);
}

static void one_to_one(bool fast, size_t chunk)
{
    struct world w;
    world_init(&w, (chunk < 100 ? 5 : 20) * PIECE_LEN + 12345);
    w.chunk = chunk;
    const uint64_t lens[] = {100000, 0, 1, 200000, 77, 0};
    world_files(&w, lens, 6);
    side_add(&w, true, (struct slice){0});
    side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 0, 1, fast);
    run(&w, 30);
    assert_whole(&w, &w.sides[1]);
    struct swarm_stats s;
    swarm_stats(w.sides[1].swarm, &s);
    assert_int_equal(s.down_bytes, w.meta.len);
    assert_int_equal(s.waste_bytes, 0);
    swarm_stats(w.sides[0].swarm, &s);
    assert_int_equal(s.up_bytes, w.meta.len);
    world_done(&w);
}

static void one_seed_one_leech(void **state)
{
    UNUSED_STATE(state);
    one_to_one(true, SIZE_MAX);
}

static void without_the_fast_extension(void **state)
{
    UNUSED_STATE(state);
    one_to_one(false, SIZE_MAX);
}

// Streams are cut anywhere: every message and block must survive it.
static void bytes_in_any_portions(void **state)
{
    UNUSED_STATE(state);
    one_to_one(true, 1);
    one_to_one(true, 7);
    one_to_one(false, 1000);
    one_to_one(true, 16384 + 13 + 5);
}

static void leeches_serve_each_other(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 40 * PIECE_LEN);
    world_files(&w, NULL, 1);
    side_add(&w, true, (struct slice){0});
    limit_set(&w.sides[0].up, w.now, 512 * 1024);
    for (int i = 0; i < 4; i++)
        side_add(&w, false, (struct slice){0});
    run(&w, 1);
    for (uint32_t a = 0; a < 5; a++)
        for (uint32_t b = a + 1; b < 5; b++)
            join(&w, a, b, true);
    run(&w, 60);
    uint64_t from_leeches = 0;
    for (uint32_t i = 1; i < 5; i++) {
        struct swarm_stats s;
        assert_whole(&w, &w.sides[i]);
        swarm_stats(w.sides[i].swarm, &s);
        from_leeches += s.down_bytes - s.down_seed_bytes;
    }
    assert_true(from_leeches > 2 * w.meta.len);
    world_done(&w);
}

// One source: the first bad piece is the last.
static void a_lone_poisoner_is_banned_at_once(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 20 * PIECE_LEN);
    world_files(&w, NULL, 1);
    side_add(&w, true, (struct slice){0})->corrupt_every = 3;
    side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 0, 1, true);
    run(&w, 30);
    assert_int_equal(w.sides[1].banned, 1);
    assert_false(w.sides[1].done);
    const struct slice have = swarm_have(w.sides[1].swarm);
    for (uint32_t i = 0; i < w.meta.pieces_n; i++)
        if (bits_get(have.p, i))
            assert_memory_equal(w.sides[1].disk + i * PIECE_LEN, w.content + i * PIECE_LEN, PIECE_LEN);
    world_done(&w);
}

// Several sources: the poisoner is found out, the honest stay.
static void among_several_the_poisoner_is_found(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 40 * PIECE_LEN);
    world_files(&w, NULL, 1);
    for (int i = 0; i < 3; i++)
        side_add(&w, true, (struct slice){0});
    w.sides[1].corrupt_every = 5;
    side_add(&w, false, (struct slice){0});
    run(&w, 1);
    for (uint32_t i = 0; i < 3; i++)
        join(&w, i, 3, true);
    run(&w, 60);
    assert_whole(&w, &w.sides[3]);
    assert_int_equal(w.sides[3].banned, 1);
    assert_null(w.sides[3].peers[1]);
    world_done(&w);
}

// A stop saves; a start claims exactly that and fetches only the rest, even of the pieces that were begun. What was begun is believed no
// more than anything else: spoiled in between, it costs the piece and nobody's name.
static void stop_and_go_on(uint64_t len, bool v2, bool spoil)
{
    struct world w;
    if (v2) {
        world_v2(&w, true);
    } else {
        world_init(&w, len);
        const uint64_t lens[] = {1000000, 500000};
        world_files(&w, lens, 3);
    }
    w.chunk = 20000;
    side_add(&w, true, (struct slice){0});
    limit_set(&side_add(&w, false, (struct slice){0})->down, w.now, v2 ? 71000 : 100000);
    run(&w, 1);
    join(&w, 0, 1, true);
    run(&w, 5);
    struct side *first = &w.sides[1];
    struct swarm_stats s;
    swarm_stats(first->swarm, &s);
    const uint32_t had = s.pieces_have;
    const uint64_t down = s.down_bytes;
    assert_in_range(had, 2, 35);
    assert_true(v2 || down > had * (uint64_t)PIECE_LEN);
    side_stop(&w, first);
    struct side *second = side_add(&w, false, slice_of(first->blob, first->blob_n));
    memcpy(second->disk, first->disk, w.meta.span);
    memcpy(second->exists, first->exists, w.meta.files_n);
    for (uint64_t i = 0; spoil && i < w.meta.span; i += BLOCK_LEN)
        if (memcmp(second->disk + i / PIECE_LEN * PIECE_LEN, w.content + i / PIECE_LEN * PIECE_LEN, u64_min(PIECE_LEN, w.meta.span - i / PIECE_LEN * PIECE_LEN)) != 0)
            second->disk[i] ^= 1;       // of pieces that are not whole
    run(&w, 1);
    swarm_stats(second->swarm, &s);
    assert_int_equal(s.pieces_have, had);
    join(&w, 0, 2, true);
    run(&w, 60);
    assert_whole(&w, second);
    assert_int_equal(second->banned, 0);
    swarm_stats(second->swarm, &s);
    assert_true(s.down_bytes >= w.meta.len - down);
    if (!spoil)
        assert_true(s.down_bytes <= w.meta.len - down + 2 * BLOCK_LEN);       // the last block of a piece is not kept
    else
        assert_true(s.hash_failures != 0);
    world_done(&w);
}

static void a_stopped_download_goes_on(void **state)
{
    UNUSED_STATE(state);
    for (uint32_t spoil = 0; spoil < 2; spoil++) {
        stop_and_go_on(40 * PIECE_LEN, false, spoil != 0);
        stop_and_go_on(0, true, spoil != 0);
    }
}

// Bytes and time count over all runs, or a ratio could never be reached by a machine that is switched off; also where the content
// was just made and is trusted. Older data has no totals and is taken as before.
static void totals_count_over_runs(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 40 * PIECE_LEN);
    world_files(&w, NULL, 1);
    side_add(&w, true, (struct slice){0});
    side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 0, 1, true);
    run(&w, 30);
    struct side *seed = &w.sides[0], *leech = &w.sides[1];
    struct swarm_stats s;
    side_stop(&w, leech);
    side_stop(&w, seed);
    struct side *again = side_add(&w, true, slice_of(leech->blob, leech->blob_n));
    run(&w, 1);
    swarm_stats(again->swarm, &s);
    assert_int_equal(s.pieces_have, w.meta.pieces_n);
    assert_int_equal(s.down_total, w.meta.len);
    assert_int_equal(s.down_bytes, 0);
    assert_in_range(s.seeded, 20 * NSEC_S, 31 * NSEC_S);
    assert_true(s.seeding);
    next_trusts = true;
    again = side_add(&w, true, slice_of(seed->blob, seed->blob_n));
    next_trusts = false;
    side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 3, 4, true);
    run(&w, 30);
    swarm_stats(again->swarm, &s);
    assert_int_equal(s.up_bytes, w.meta.len);
    assert_int_equal(s.up_total, 2 * w.meta.len);
    assert_in_range(s.seeded, 60 * NSEC_S, 66 * NSEC_S);
    // the same blob as the version before wrote it
    uint8_t old[4096];
    size_t n = 0;
    for (size_t i = 0; i < leech->blob_n;) {
        static const char *const keys[] = {"4:downi", "6:seededi", "2:upi"};
        size_t skip = 0;
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            if (i + strlen(keys[k]) < leech->blob_n && memcmp(leech->blob + i, keys[k], strlen(keys[k])) == 0)
                skip = strlen(keys[k]);
        while (skip != 0 && leech->blob[i + skip] != 'e')
            skip++;
        i += skip != 0 ? skip + 1 : 0;
        if (skip == 0)
            old[n++] = leech->blob[i++];
    }
    assert_memory_equal(old + n - 4, "i4ee", 4);
    old[n - 3] = '3';
    again = side_add(&w, true, slice_of(old, n));
    run(&w, 1);
    swarm_stats(again->swarm, &s);
    assert_int_equal(s.down_total, 0);
    assert_int_equal(s.pieces_have, w.meta.pieces_n);
    world_done(&w);
}

// The disk is full: the torrent says so, loses nothing, and goes on by itself when there is room.
static void a_full_disk_is_waited_for(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 40 * PIECE_LEN);
    world_files(&w, NULL, 1);
    limit_set(&side_add(&w, true, (struct slice){0})->up, w.now, 256 * 1024);
    struct side *leech = side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 0, 1, true);
    run(&w, 3);
    leech->write_error = ERR_NOSPACE;
    run(&w, 60);
    struct swarm_stats s;
    swarm_stats(leech->swarm, &s);
    assert_int_equal(s.state, SWARM_ERROR);
    assert_int_equal(s.error, ERR_NOSPACE);
    assert_int_equal(leech->errors, 1);
    leech->write_error = ERR_OK;
    run(&w, 60);
    assert_int_equal(leech->recovered, 1);
    assert_whole(&w, leech);
    swarm_stats(leech->swarm, &s);
    assert_int_equal(s.down_bytes, w.meta.len);
    world_done(&w);
}

// v2 and hybrid: trees decide, pads are neither asked for nor written, and a bad block is found out as well.
static void trees_decide(void **state)
{
    UNUSED_STATE(state);
    for (int hybrid = 0; hybrid < 2; hybrid++) {
        struct world w;
        world_v2(&w, hybrid);
        side_add(&w, true, (struct slice){0});
        side_add(&w, true, (struct slice){0})->corrupt_every = 2;
        struct side *leech = side_add(&w, false, (struct slice){0});
        run(&w, 1);
        join(&w, 0, 2, true);
        join(&w, 1, 2, true);
        run(&w, 60);
        struct swarm_stats s;
        swarm_stats(leech->swarm, &s);
        assert_int_equal(s.wanted_bytes, w.meta.len);
        assert_whole(&w, leech);
        assert_int_equal(leech->banned, 1);
        world_done(&w);
    }
}

// The last leaf of a layer is wrong: that piece never becomes ours, everything else does.
static void a_wrong_layer_is_never_satisfied(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_v2(&w, false);
    uint8_t *layer = (uint8_t *)(uintptr_t)w.files[0].layer;
    layer[5 * SHA256_LEN] ^= 1;
    side_add(&w, true, (struct slice){0});
    struct side *leech = side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 0, 1, true);
    run(&w, 20);
    assert_false(leech->done);
    assert_false(bits_get(swarm_have(leech->swarm).p, 5));
    world_done(&w);
}

// A magnet link's metadata has no piece layers: they are fetched and proved, then everything else goes as with them. A second
// one like that gets them from the first.
static void layers_come_from_peers(void **state)
{
    UNUSED_STATE(state);
    for (int hybrid = 0; hybrid < 2; hybrid++) {
        struct world w;
        world_v2(&w, hybrid);
        side_add(&w, true, (struct slice){0});
        w.next_is_bare = true;
        struct side *first = side_add(&w, false, (struct slice){0}), *second = side_add(&w, false, (struct slice){0});
        run(&w, 1);
        join(&w, 0, 1, true);
        run(&w, 20);
        assert_whole(&w, first);
        assert_int_equal(first->layers, 1);
        assert_memory_equal(swarm_layer(first->swarm, 0), w.files[0].layer, 6 * SHA256_LEN);
        join(&w, 1, 2, true);
        run(&w, 20);
        assert_whole(&w, second);
        assert_int_equal(second->layers, 1);
        world_done(&w);
    }
}

// A layer whose proof does not lead to the root is not believed, and who sent it is banned; from the next the true one comes.
static void a_false_layer_is_not_believed(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_v2(&w, false);
    side_add(&w, true, (struct slice){0});
    w.next_is_bare = true;
    struct side *leech = side_add(&w, false, (struct slice){0});
    w.next_is_bare = false;
    run(&w, 1);
    uint8_t *layer = (uint8_t *)(uintptr_t)w.files[0].layer;
    layer[5 * SHA256_LEN] ^= 1;
    join(&w, 0, 1, true);
    run(&w, 5);
    assert_int_equal(leech->layers, 0);
    assert_int_equal(leech->banned, 1);
    assert_null(leech->peers[0]);
    layer[5 * SHA256_LEN] ^= 1;
    side_add(&w, true, (struct slice){0});
    run(&w, 1);
    join(&w, 2, 1, true);
    run(&w, 20);
    assert_whole(&w, leech);
    world_done(&w);
}

static void limits_hold(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 60 * PIECE_LEN);
    world_files(&w, NULL, 1);
    side_add(&w, true, (struct slice){0});
    limit_set(&side_add(&w, false, (struct slice){0})->down, w.now, 200000);
    run(&w, 1);
    join(&w, 0, 1, true);
    run(&w, 10);
    struct swarm_stats s;
    swarm_stats(w.sides[1].swarm, &s);
    assert_in_range(s.down_bytes, 1940000, 2060000);
    world_done(&w);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

enum { FIRST = 2 * PIECE_LEN + 10000, SKIPPED = 3 * PIECE_LEN + 5000, LAST = PIECE_LEN };

static const uint8_t SKIP_MIDDLE[3] = {4, 0, 4}, WANT_ALL[3] = {4, 4, 4};

static struct side *skipping_leech(struct world *w)
{
    world_init(w, FIRST + SKIPPED + LAST);
    world_files(w, (const uint64_t[]){FIRST, SKIPPED, LAST}, 3);
    priorities = NULL;
    side_add(w, true, (struct slice){0});
    priorities = SKIP_MIDDLE;
    struct side *s = side_add(w, false, (struct slice){0});
    priorities = NULL;
    run(w, 1);
    join(w, 0, 1, true);
    run(w, 60);
    assert_true(s->done);
    return s;
}

static void assert_skipped(struct world *w, struct side *s)
{
    const uint64_t shared = 3 * PIECE_LEN - FIRST;      // of the skipped file, in the piece it shares with the first
    assert_false(s->exists[1]);
    assert_true(all_zero(s->disk + FIRST, SKIPPED));
    assert_memory_equal(s->disk, w->content, FIRST);
    assert_memory_equal(s->disk + FIRST + SKIPPED, w->content + FIRST + SKIPPED, LAST);
    assert_true(s->parts_exist);
    assert_memory_equal(s->parts + FIRST, w->content + FIRST, shared);
}

static uint64_t down_bytes(const struct side *s)
{
    struct swarm_stats stats;
    swarm_stats(s->swarm, &stats);
    assert_int_equal(stats.waste_bytes, 0);
    return stats.down_bytes;
}

// Without `.parts` a piece that is shared with a skipped file would make that file; without the move its bytes would be
// fetched twice when it is wanted after all.
static void skipped_files_are_not_written(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    struct side *s = skipping_leech(&w);
    assert_skipped(&w, s);
    assert_true(down_bytes(s) < w.meta.span);
    s->done = false;
    assert_int_equal(swarm_set_priorities(s->swarm, w.now, WANT_ALL), ERR_OK);
    run(&w, 1);
    if (s->peers[0] == NULL)
        join(&w, 0, 1, true);           // two that had all they want had parted
    run(&w, 60);
    assert_whole(&w, s);
    assert_int_equal(down_bytes(s), w.meta.span);
    assert_true(s->exists[1]);
    assert_int_equal(s->removed, 1);
    assert_false(s->parts_exist);
    world_done(&w);
}

// The next start knows what lies in `.parts`: the same selection claims it, another one moves it, a lost one is fetched again.
static void parts_are_resumed(void **state)
{
    UNUSED_STATE(state);
    enum { SAME, OTHER, LOST };
    for (int what = SAME; what <= LOST; what++) {
        struct world w;
        struct side *s = skipping_leech(&w);
        side_stop(&w, s);
        w.sides[0].in[1].open = false;
        priorities = what == OTHER ? WANT_ALL : SKIP_MIDDLE;
        struct side *t = side_add(&w, false, slice_of(s->blob, s->blob_n));
        priorities = NULL;
        memcpy(t->disk, s->disk, w.meta.span);
        memcpy(t->parts, s->parts, w.meta.span);
        memcpy(t->exists, s->exists, 3);
        t->parts_exist = what != LOST;
        run(&w, 2);
        struct swarm_stats stats;
        swarm_stats(t->swarm, &stats);
        // The first file's last piece and the last file's first one are shared, and nothing else of the middle is here.
        assert_int_equal(stats.pieces_have, what == LOST ? 3 : 5);
        join(&w, 0, 2, true);
        run(&w, 60);
        if (what == OTHER)
            assert_whole(&w, t);
        else
            assert_skipped(&w, t);
        swarm_stats(t->swarm, &stats);
        assert_int_equal(stats.down_bytes, what == SAME ? 0 : 2 * PIECE_LEN);
        world_done(&w);
    }
}

// Skipping in the middle of a transfer: requests are taken back, interest is exact, what is wanted comes.
static void selection_changes_while_it_runs(void **state)
{
    UNUSED_STATE(state);
    struct world w;
    world_init(&w, 40 * PIECE_LEN + 100);
    world_files(&w, (const uint64_t[]){13 * PIECE_LEN + 5, 13 * PIECE_LEN + 5}, 3);
    w.chunk = 5000;
    side_add(&w, true, (struct slice){0});
    struct side *s = side_add(&w, false, (struct slice){0});
    run(&w, 1);
    join(&w, 0, 1, false);
    static const uint8_t turns[][3] = {{0, 4, 4}, {4, 0, 0}, {0, 0, 7}, {0, 0, 0}, {1, 7, 0}};
    for (uint32_t i = 0; i < ARRAY_LEN(turns); i++) {
        for (uint32_t k = 0; k < 60; k++) {
            drain(&w, &w.sides[0]);
            drain(&w, s);
            deliver(&w, &w.sides[0], 1);
            deliver(&w, s, 0);
        }
        s->done = false;
        assert_int_equal(swarm_set_priorities(s->swarm, w.now, turns[i]), ERR_OK);
        swarm_check(s->swarm);
    }
    assert_int_equal(swarm_set_priorities(s->swarm, w.now, (const uint8_t[]){0, 8, 0}), ERR_RANGE);
    run(&w, 60);
    assert_true(s->done);
    assert_memory_equal(s->disk, w.content, 2 * (13 * PIECE_LEN + 5));
    s->done = false;
    assert_int_equal(swarm_set_priorities(s->swarm, w.now, WANT_ALL), ERR_OK);
    run(&w, 1);
    if (s->peers[0] == NULL)
        join(&w, 0, 1, true);           // two that had all they want had parted
    run(&w, 60);
    assert_whole(&w, s);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_one_leech),       cmocka_unit_test(without_the_fast_extension),
        cmocka_unit_test(bytes_in_any_portions),    cmocka_unit_test(leeches_serve_each_other),
        cmocka_unit_test(a_lone_poisoner_is_banned_at_once), cmocka_unit_test(among_several_the_poisoner_is_found),
        cmocka_unit_test(a_stopped_download_goes_on), cmocka_unit_test(a_full_disk_is_waited_for), cmocka_unit_test(totals_count_over_runs),
        cmocka_unit_test(trees_decide),             cmocka_unit_test(a_wrong_layer_is_never_satisfied),
        cmocka_unit_test(layers_come_from_peers),   cmocka_unit_test(a_false_layer_is_not_believed),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(skipped_files_are_not_written),
        cmocka_unit_test(parts_are_resumed),
        cmocka_unit_test(selection_changes_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
