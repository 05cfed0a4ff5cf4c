// Answers to hash requests: bep52_hash_wire.json, measured at libtorrent 2.0.8. What BEP 52 allows is answered byte for byte as
// there; what it does not allow is rejected.
#include "../codec/content.h"

#include "codec/hash_request.h"
#include "engine/swarm/swarm.h"

enum { HEARD_MAX = 1 << 16 };

struct ground {
    struct metainfo meta;
    struct swarm *swarm;
    struct swarm_peer *peer;
    struct pool pool;
    struct limit up, down;
    nsec now;
    uint8_t *content;
    uint64_t len;
    uint8_t heard[HEARD_MAX];
    size_t heard_n;
    bool broken;                        // the disk holds something else
    json_t *vectors;
};

static void run_job(struct ground *g, const struct io_job *j)
{
    for (uint64_t at = 0; j->kind == JOB_READ_HASH && at < j->leaves_len; at += BLOCK_LEN) {
        const uint64_t n = u64_min(BLOCK_LEN, j->leaves_len - at);
        sha256_of(slice_of(g->content + j->parts[0].off + at, (size_t)n), j->leaves[at / BLOCK_LEN]);
        j->leaves[at / BLOCK_LEN][0] ^= g->broken;
    }
    swarm_job_done(g->swarm, g->now, j->id, ERR_OK, 0);
}

static void drain(struct ground *g)
{
    static uint8_t space[64 * 1024];
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct swarm_out out = {0};
        const enum swarm_kind kind = swarm_poll(g->swarm, g->now, &tx, &out);
        if (kind == SWARM_IDLE)
            break;
        if (kind == SWARM_JOB)
            run_job(g, &out.job);
        uint64_t n = 0;
        for (uint32_t i = 0; kind == SWARM_SEND && i < out.segs_n; i++) {
            assert_true(g->heard_n + out.segs[i].bytes.n <= HEARD_MAX);
            memcpy(g->heard + g->heard_n, out.segs[i].bytes.p, out.segs[i].bytes.n);
            g->heard_n += out.segs[i].bytes.n;
            n += out.segs[i].bytes.n;
        }
        if (n != 0)
            swarm_sent(g->swarm, g->now, g->peer, n);
        if (kind == SWARM_SAVE)
            swarm_saved(g->swarm, g->now, ERR_OK);
        assert_int_not_equal(kind, SWARM_CLOSE);
    }
    swarm_check(g->swarm);
}

// The swarm of g->meta, and its peer.
static void start(struct ground *g, bool v2_peer)
{
    assert_int_equal(pool_init(&g->pool, &test_env, 4 * MIB), ERR_OK);
    limit_init(&g->up, g->now, 0);
    limit_init(&g->down, g->now, 0);
    const struct swarm_config cfg = {.meta = &g->meta, .store = 1, .pool = &g->pool, .up = &g->up, .down = &g->down,
                                     .peer_id = (const uint8_t *)"-KH0100-hashesserved", .peers_max = 10, .trust = true};
    assert_int_equal(swarm_new(&g->swarm, &cfg, &test_env, g->now), ERR_OK);
    drain(g);
    struct swarm_peer_new in = {.conn = 1, .incoming = true, .addr = addr_ipv4((uint8_t[]){10, 0, 0, 2}, 5000)};
    in.theirs = (struct handshake){.has_fast = true, .has_v2 = v2_peer};
    memcpy(in.theirs.info_hash, v2_peer ? g->meta.hash_v2 : g->meta.hash_v1, INFO_HASH_LEN);
    assert_int_equal(swarm_peer_add(g->swarm, g->now, &in, &g->peer), ERR_OK);
    drain(g);
}

// The torrent of the vectors.
static void open_ground(struct ground *g, bool v2_peer)
{
    memset(g, 0, sizeof *g);
    g->vectors = vector_json("bep52_hash_wire.json");
    const json_t *torrent = json_object_get(g->vectors, "torrent");
    const struct slice file = json_hex(json_object_get(torrent, "hex"));
    char why[160];
    assert_int_equal(metainfo_parse(&g->meta, &test_mem, file, why), ERR_OK);
    free((void *)(uintptr_t)file.p);
    g->len = (uint64_t)json_integer_value(json_object_get(torrent, "length"));
    g->content = malloc(g->len);
    content_fill(g->content, g->len);
    g->now = 1000 * NSEC_S;
    start(g, v2_peer);
}

static void close_ground(struct ground *g)
{
    swarm_free(g->swarm);
    pool_done(&g->pool);
    metainfo_free(&g->meta);
    free(g->content);
    json_decref(g->vectors);
}

static void ask(struct ground *g, const struct hash_request *r)
{
    uint8_t space[HASH_REQUEST_LEN + 5];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    hash_request_write(&w, MSG_HASH_REQUEST, r);
    struct span spans[IO_ROOM_MAX];
    uint32_t n = 0;
    g->heard_n = 0;
    swarm_rx_room(g->swarm, g->now, g->peer, spans, &n);
    assert_true(n != 0);
    memcpy(spans[0].p, b.p, b.n);
    swarm_rx(g->swarm, g->now, g->peer, b.n);
    drain(g);
}

static struct hash_request request_of(const json_t *c, const char *root)
{
    struct hash_request r = {.base = (uint32_t)json_integer_value(json_object_get(c, "base_layer")),
                             .index = (uint32_t)json_integer_value(json_object_get(c, "index")),
                             .length = (uint32_t)json_integer_value(json_object_get(c, "length")),
                             .proofs = (uint32_t)json_integer_value(json_object_get(c, "proof_layers"))};
    assert_int_equal(hex_parse(slice_str(root), r.root, SHA256_LEN), ERR_OK);
    return r;
}

// The message as libtorrent sends it.
static void expect(const struct ground *g, const struct hash_request *r, const json_t *hashes)
{
    static uint8_t space[HEARD_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    hash_answer_write(&w, r, (uint32_t)json_array_size(hashes));
    for (size_t i = 0; i < json_array_size(hashes); i++) {
        const struct slice h = json_hex(json_array_get(hashes, i));
        wr_bytes(&w, h);
        free((void *)(uintptr_t)h.p);
    }
    assert_int_equal(g->heard_n, b.n);
    assert_memory_equal(g->heard, b.p, b.n);
}

static void expect_reject(const struct ground *g, const struct hash_request *r)
{
    uint8_t space[HASH_REQUEST_LEN + 5];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    hash_request_write(&w, MSG_HASH_REJECT, r);
    assert_int_equal(g->heard_n, b.n);
    assert_memory_equal(g->heard, b.p, b.n);
}

static void every_published_request(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g, true);
    const json_t *torrent = json_object_get(g.vectors, "torrent");
    json_t *c;
    size_t i;
    uint32_t answered = 0, proved = 0;
    json_array_foreach(json_object_get(g.vectors, "cases"), i, c) {
        const struct hash_request r = request_of(c, json_text(torrent, "pieces_root"));
        g.now += 3 * NSEC_S;            // below the reads that one peer gets in a minute
        ask(&g, &r);
        const json_t *hashes = json_object_get(c, "hashes");
        if (hashes == NULL || !json_is_true(json_object_get(c, "request_is_bep_legal"))) {
            expect_reject(&g, &r);
            continue;
        }
        expect(&g, &r, hashes);
        answered++;
        if (r.proofs != 6 - r.base - 1)
            continue;
        const struct slice answer = slice_of(g.heard + 5 + HASH_REQUEST_LEN, g.heard_n - 5 - HASH_REQUEST_LEN);
        assert_true(hash_answer_is_right(&r, 6, answer));
        g.heard[g.heard_n - 1] ^= 1;
        assert_false(hash_answer_is_right(&r, 6, answer));
        assert_false(hash_answer_is_right(&r, 6, slice_sub(answer, 0, answer.n - SHA256_LEN)));
        proved++;
    }
    assert_true(answered >= 25);
    assert_true(proved >= 12);
    struct hash_request r = {.root = {1, 2, 3}, .length = 2};
    ask(&g, &r);
    expect_reject(&g, &r);              // "unknown_root"
    close_ground(&g);
}

// What lies on the disk is no longer what the torrent says: no false leaf is given out.
static void a_changed_disk_gives_no_leaves(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g, true);
    struct hash_request r = {.length = 4, .proofs = 5};
    memcpy(r.root, g.meta.files[0].root, SHA256_LEN);
    g.broken = true;
    ask(&g, &r);
    assert_int_equal(g.heard[4], MSG_HASH_REJECT);
    close_ground(&g);
}

// A peer that came with the v1 hash has not agreed to such messages: it gets no answer, and stays.
static void not_without_the_v2_hash(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g, false);
    struct hash_request r = {.base = 2, .length = 4, .proofs = 3};
    memcpy(r.root, g.meta.files[0].root, SHA256_LEN);
    ask(&g, &r);
    assert_int_equal(g.heard_n, 0);
    close_ground(&g);
}

// A flood of requests that need the disk is answered with refusals.
static void reads_for_one_peer_are_bounded(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g, true);
    struct hash_request r = {.length = 4, .proofs = 5};
    memcpy(r.root, g.meta.files[0].root, SHA256_LEN);
    uint32_t answers = 0;
    for (int i = 0; i < 200; i++) {
        ask(&g, &r);
        answers += g.heard[4] == MSG_HASHES;
    }
    assert_true(answers >= 8);
    assert_true(answers <= 64);
    close_ground(&g);
}

// A flood of requests for what there is not costs a look among all files each: at some time they are refused unseen. The peer gets
// its share again in the next minute.
static void looks_for_one_peer_are_bounded(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g, true);
    struct hash_request good = {.base = 2, .length = 4, .proofs = 3}, bad = {.root = {1, 2, 3}, .length = 2};
    memcpy(good.root, g.meta.files[0].root, SHA256_LEN);
    for (int i = 0; i < 5000; i++)
        ask(&g, &bad);
    ask(&g, &good);
    expect_reject(&g, &good);
    g.now += 60 * NSEC_S;
    ask(&g, &good);
    assert_int_equal(g.heard[4], MSG_HASHES);
    close_ground(&g);
}

// Nine files in turn, of which we keep the trees of eight: every request has a whole piece layer hashed. That is counted.
static void trees_for_one_peer_are_bounded(void **state)
{
    UNUSED_STATE(state);
    enum { FILES = 9, LAYER = 20000, ASKS = 300 };
    struct metainfo_file files[FILES];
    uint8_t roots[FILES][SHA256_LEN] = {{0}}, *layer = calloc(LAYER, SHA256_LEN);
    for (uint32_t i = 0; i < FILES; i++) {
        roots[i][0] = (uint8_t)(i + 1);
        files[i] = (struct metainfo_file){.path = SLICE_LIT("f"), .offset = (uint64_t)i * LAYER * BLOCK_LEN, .len = (uint64_t)LAYER * BLOCK_LEN,
                                          .root = roots[i], .layer = layer};
    }
    struct ground g = {.now = 1000 * NSEC_S};
    const uint64_t len = (uint64_t)FILES * LAYER * BLOCK_LEN;
    g.meta = (struct metainfo){.has_v2 = true, .piece_len = BLOCK_LEN, .pieces_n = FILES * LAYER, .span = len, .len = len, .files = files,
                               .files_n = FILES, .mem = &test_mem};
    start(&g, true);
    uint32_t answers = 0;
    for (uint32_t i = 0; i < ASKS; i++) {
        struct hash_request r = {.length = 2};
        memcpy(r.root, roots[i % FILES], SHA256_LEN);
        g.now += 100 * NSEC_MS;
        ask(&g, &r);
        answers += g.heard[4] == MSG_HASHES;
    }
    assert_true(answers >= FILES);
    assert_true(answers < ASKS / 2);
    swarm_free(g.swarm);
    pool_done(&g.pool);
    free(layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_request),
        cmocka_unit_test(a_changed_disk_gives_no_leaves),
        cmocka_unit_test(not_without_the_v2_hash),
        cmocka_unit_test(reads_for_one_peer_are_bounded),
        cmocka_unit_test(looks_for_one_peer_are_bounded),
        cmocka_unit_test(trees_for_one_peer_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
