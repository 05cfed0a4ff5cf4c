// Making torrents: byte for byte as the reference creator, and read back as meant. BEP 3, 47, 52.
#include "codec/create.h"

#include "codec/bencode.h"
#include "content.h"

enum { FILES_MAX = 8, LAYER_MAX = 1 << 16 };

// A torrent being made from the content of bep52_merkle.json.
struct making {
    struct create_spec spec;
    struct create_file files[FILES_MAX];
    uint8_t roots[FILES_MAX][32];
    uint8_t layers[FILES_MAX][LAYER_MAX];
    uint8_t pieces[1 << 16];
    struct buf out;
};

static void hash_v2(struct making *k, uint32_t i)
{
    struct create_file *f = &k->files[i];
    if (f->len == 0)
        return;
    uint8_t *content = malloc((size_t)f->len), leaf[32];
    content_fill(content, (size_t)f->len);
    struct buf b = {k->layers[i], 0, LAYER_MAX};
    struct wr w = wr_make(&b);
    struct merkle_builder m;
    merkle_builder_init(&m, f->len, k->spec.piece_len);
    for (uint64_t at = 0; at * MERKLE_LEAF_LEN < f->len; at++) {
        content_leaf(content, f->len, at, leaf);
        merkle_builder_add(&m, leaf, &w);
    }
    merkle_builder_finish(&m, &w, k->roots[i]);
    assert_int_equal(b.n, create_layer_len(f->len, k->spec.piece_len));
    f->root = k->roots[i];
    f->layer = b.n > 0 ? k->layers[i] : NULL;
    free(content);
}

// The way that create.h describes: the files in a row, each with its pad.
static void hash_v1(struct making *k)
{
    uint64_t span = 0, at = 0;
    for (uint32_t i = 0; i < k->spec.files_n; i++)
        span += k->files[i].len + create_pad_len(&k->spec, i);
    uint8_t *row = calloc(1, (size_t)span);
    for (uint32_t i = 0; i < k->spec.files_n; i++) {
        content_fill(row + at, (size_t)k->files[i].len);
        at += k->files[i].len + create_pad_len(&k->spec, i);
    }
    const uint64_t n = create_pieces_n(&k->spec);
    assert_true(n * 20 <= sizeof k->pieces);
    for (uint64_t i = 0; i < n; i++)
        sha1_of(slice_sub(slice_of(row, (size_t)span), (size_t)i * k->spec.piece_len, k->spec.piece_len), k->pieces + i * 20);
    k->spec.pieces = k->pieces;
    free(row);
}

static void make(struct making *k)
{
    k->spec.files = k->files;
    assert_int_equal(create_sort(&test_mem, k->files, k->spec.files_n), ERR_OK);
    for (uint32_t i = 0; k->spec.has_v2 && i < k->spec.files_n; i++)
        hash_v2(k, i);
    if (k->spec.has_v1)
        hash_v1(k);
    const size_t cap = (size_t)create_size_max(&k->spec);
    k->out = (struct buf){malloc(cap), 0, cap};
    struct wr w = wr_make(&k->out);
    assert_int_equal(create_write(&w, &test_mem, &k->spec), ERR_OK);
}

static void parse(const struct making *k, struct metainfo *m)
{
    char why[160];
    if (metainfo_parse(m, &test_mem, buf_slice(&k->out), why) != ERR_OK)
        fail_msg("%s", why);
}

static struct making *making(void)
{
    struct making *k = calloc(1, sizeof *k);
    assert_non_null(k);
    return k;
}

static void done(struct making *k, struct metainfo *m)
{
    metainfo_free(m);
    free(k->out.p);
    free(k);
}

static void check_torrent(const json_t *t)
{
    struct making *k = making();
    const char *kind = json_text(t, "kind");
    size_t i;
    json_t *f;
    k->spec = (struct create_spec){.name = slice_str(json_text(t, "name")), .has_v2 = true, .is_dir = true,
        .piece_len = (uint32_t)json_integer_value(json_object_get(t, "piece_length"))};
    k->spec.has_v1 = strcmp(kind, "hybrid") == 0;
    json_array_foreach(json_object_get(t, "files"), i, f) {
        k->files[i].path = slice_str(json_string_value(json_array_get(f, 0)));
        k->files[i].len = (uint64_t)json_integer_value(json_array_get(f, 1));
        k->spec.files_n++;
    }
    make(k);
    struct metainfo m;
    parse(k, &m);
    const struct slice info = json_hex(json_object_get(t, "info_hex"));
    assert_int_equal(m.info.n, info.n);
    assert_memory_equal(m.info.p, info.p, info.n);
    assert_hex(m.hash_v2, 32, json_text(t, "info_hash_v2"));
    if (k->spec.has_v1)
        assert_hex(m.hash_v1, 20, json_text(t, "info_hash_v1"));
    json_array_foreach(json_object_get(t, "v1_pieces"), i, f)
        assert_hex(m.pieces + 20 * i, 20, json_string_value(f));
    json_array_foreach(json_object_get(t, "v1_files"), i, f) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", json_text(t, "name"), json_text(f, "path"));
        assert_slice(m.files[i].path, path);
        assert_int_equal(m.files[i].len, json_integer_value(json_object_get(f, "length")));
        assert_int_equal((m.files[i].flags & FILE_PAD) != 0, strcmp(json_text(f, "attr"), "p") == 0);
    }
    for (uint32_t n = 0; n < m.files_n; n++)
        assert_int_equal(m.files[n].layer != NULL, m.files[n].len > m.piece_len && (m.files[n].flags & FILE_PAD) == 0);
    free((void *)(uintptr_t)info.p);
    done(k, &m);
}

// Without this the same folder would get another info-hash than elsewhere, and so another swarm.
static void published(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("bep52_merkle.json");
    size_t i;
    json_t *t;
    json_array_foreach(json_object_get(root, "torrents"), i, t)
        check_torrent(t);
    assert_int_equal(i, 8);
    json_decref(root);
}

static struct making *with_all(void)
{
    static const struct metainfo_url trackers[] = {{.url = {(const uint8_t *)"http://a/announce", 17}, .tier = 0},
        {.url = {(const uint8_t *)"udp://b:1", 9}, .tier = 0}, {.url = {(const uint8_t *)"https://c/x", 11}, .tier = 1}};
    static const struct slice seeds[] = {{(const uint8_t *)"http://w/d/", 11}, {(const uint8_t *)"ftp://w/d/", 10}};
    static const struct slice similar[] = {{(const uint8_t *)"01234567890123456789", 20}, {(const uint8_t *)"01234567890123456789012345678901", 32}};
    static const struct slice collections[] = {{(const uint8_t *)"org.example.all", 15}};
    struct making *k = making();
    k->spec = (struct create_spec){.similar = similar, .similar_n = 2, .collections = collections, .collections_n = 1,
        .name = SLICE_LIT("folder"), .is_dir = true, .is_private = true, .piece_len = 16384, .files_n = 5,
        .trackers = trackers, .trackers_n = 3, .web_seeds = seeds, .web_seeds_n = 2, .comment = SLICE_LIT("a comment"),
        .created_by = SLICE_LIT("kith"), .source = SLICE_LIT("SRC"), .created_s = 1700000000};
    k->files[0] = (struct create_file){.path = SLICE_LIT("run.sh"), .len = 20, .flags = FILE_EXECUTABLE};
    k->files[1] = (struct create_file){.path = SLICE_LIT("b/big"), .len = 100000};
    k->files[2] = (struct create_file){.path = SLICE_LIT("b.x"), .len = 16384, .flags = FILE_HIDDEN};
    k->files[3] = (struct create_file){.path = SLICE_LIT("link"), .target = SLICE_LIT("b/big"), .flags = FILE_SYMLINK};
    k->files[4] = (struct create_file){.path = SLICE_LIT("empty"), .len = 0};
    return k;
}

// Everything that can be said about a torrent comes back, in all three versions, in a file and in pieces of any room.
static void round_trip(void **state)
{
    UNUSED_STATE(state);
    for (int kind = 1; kind <= 3; kind++) {
        struct making *k = with_all();
        k->spec.has_v1 = (kind & 1) != 0;
        k->spec.has_v2 = (kind & 2) != 0;
        make(k);
        struct metainfo m;
        parse(k, &m);
        static const char *const paths[] = {"folder/b/big", "folder/b.x", "folder/empty", "folder/link", "folder/run.sh"};
        uint32_t n = 0;
        for (uint32_t i = 0; i < m.files_n; i++)
            if ((m.files[i].flags & FILE_PAD) == 0)
                assert_slice(m.files[i].path, paths[n++]);
        assert_int_equal(n, 5);
        assert_int_equal(m.files_n, kind == 3 ? 7 : 5);
        assert_slice(m.files[m.files_n - (kind == 3 ? 3 : 2)].target, "folder/b/big");
        assert_true((m.files[m.files_n - (kind == 3 ? 2 : 1)].flags & FILE_EXECUTABLE) != 0);
        assert_true(m.is_private);
        assert_int_equal(m.trackers_n, 3);
        assert_slice(m.trackers[1].url, "udp://b:1");
        assert_int_equal(m.trackers[1].tier, 0);
        assert_int_equal(m.trackers[2].tier, 1);
        assert_int_equal(m.web_seeds_n, 2);
        assert_slice(m.comment, "a comment");
        assert_slice(m.created_by, "kith");
        assert_int_equal(m.created_s, 1700000000);
        assert_int_equal(m.len, 116404);
        struct slice hints[METAINFO_HINTS_MAX];
        assert_int_equal(metainfo_hints(m.similar, hints), 2);
        assert_slice(hints[0], "01234567890123456789");
        assert_slice(hints[1], "01234567890123456789012345678901");
        assert_int_equal(metainfo_hints(m.collections, hints), 1);
        assert_slice(hints[0], "org.example.all");
        for (size_t cap = 0; cap < k->out.n; cap++) {
            struct buf small = {malloc(cap + 1), 0, cap};
            struct wr w = wr_make(&small);
            assert_int_equal(create_write(&w, &test_mem, &k->spec), ERR_TOO_LONG);
            free(small.p);
        }
        done(k, &m);
    }
}

static void single_file(void **state)
{
    UNUSED_STATE(state);
    for (int kind = 1; kind <= 3; kind++) {
        struct making *k = making();
        k->spec = (struct create_spec){.name = SLICE_LIT("one.bin"), .piece_len = 32768, .files_n = 1,
            .has_v1 = (kind & 1) != 0, .has_v2 = (kind & 2) != 0};
        k->files[0] = (struct create_file){.len = 70000, .flags = FILE_EXECUTABLE};
        make(k);
        struct metainfo m;
        parse(k, &m);
        assert_false(m.is_dir);
        assert_int_equal(m.files_n, 1);
        assert_slice(m.files[0].path, "one.bin");
        assert_int_equal(m.pieces_n, 3);
        assert_int_equal(metainfo_piece_len(&m, 2), 70000 - 65536);
        assert_int_equal(m.files[0].flags, FILE_EXECUTABLE);

        uint8_t space[4096];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        const struct slice tracker[] = {SLICE_LIT("udp://t:1"), SLICE_LIT("udp://u:1")};
        assert_int_equal(create_wrap(&w, m.info, tracker, 2, NULL, 0), ERR_OK);
        struct metainfo again;
        char why[160];
        assert_int_equal(metainfo_parse(&again, &test_mem, buf_slice(&b), why), ERR_OK);
        assert_memory_equal(again.hash_v1, m.hash_v1, 20);
        assert_memory_equal(again.hash_v2, m.hash_v2, 32);
        assert_int_equal(again.trackers_n, 2);
        assert_int_equal(again.trackers[1].tier, 1);
        metainfo_free(&again);
        done(k, &m);
    }
}

static enum err make_paths(const char *a, const char *b, bool v2)
{
    const uint8_t hash[64] = {1};
    struct create_file files[2] = {{.path = slice_str(a), .len = 1, .root = hash}, {.path = slice_str(b), .len = 1, .root = hash}};
    struct create_spec s = {.name = SLICE_LIT("n"), .is_dir = true, .has_v1 = !v2, .has_v2 = v2, .piece_len = 16384, .files = files,
        .files_n = 2, .pieces = hash};
    assert_int_equal(create_sort(&test_mem, files, 2), ERR_OK);
    uint8_t space[1024];
    struct buf out = {space, 0, sizeof space};
    struct wr w = wr_make(&out);
    return create_write(&w, &test_mem, &s);
}

// What a reader would refuse or rename must not be written.
static void refusals(void **state)
{
    UNUSED_STATE(state);
    for (int v2 = 0; v2 < 2; v2++) {
        assert_int_equal(make_paths("a", "b", v2), ERR_OK);
        assert_int_equal(make_paths("a", "a", v2), ERR_EXISTS);
        assert_int_equal(make_paths("a", "a/b", v2), ERR_EXISTS);
        assert_int_equal(make_paths("a/b/c", "a/b", v2), ERR_EXISTS);
        assert_int_equal(make_paths("a.b", "a/b", v2), ERR_OK);
        assert_int_equal(make_paths("../a", "b", v2), ERR_SYNTAX);
        assert_int_equal(make_paths("a", "", v2), ERR_SYNTAX);
        assert_int_equal(make_paths("a", "x/\xff", v2), ERR_SYNTAX);
        char deep[2 * CREATE_PARTS_MAX + 3] = {0};
        for (size_t i = 0; i < CREATE_PARTS_MAX; i++)
            memcpy(deep + 2 * i, "d/", 2);
        deep[2 * CREATE_PARTS_MAX - 1] = 0;
        assert_int_equal(make_paths(deep, "b", v2), ERR_OK);
        deep[2 * CREATE_PARTS_MAX - 1] = '/';
        deep[2 * CREATE_PARTS_MAX] = 'x';
        assert_int_equal(make_paths(deep, "b", v2), ERR_RANGE);
    }
    const uint8_t hash[32] = {1};
    struct create_file f = {.len = 1, .root = hash};
    struct create_spec s = {.name = SLICE_LIT("n"), .has_v1 = true, .piece_len = 16384, .files = &f, .files_n = 1, .pieces = hash};
    uint8_t space[1024];
    struct buf out = {space, 0, sizeof space};
    struct wr w = wr_make(&out);
    assert_int_equal(create_write(&w, &test_mem, &s), ERR_OK);
    f.len = 0;
    assert_int_equal(create_write(&w, &test_mem, &s), ERR_RANGE);
    f.len = 1;
    s.piece_len = 0;
    assert_int_equal(create_write(&w, &test_mem, &s), ERR_RANGE);
    s.piece_len = 20000;
    assert_int_equal(create_write(&w, &test_mem, &s), ERR_OK);
    s.has_v2 = true;
    assert_int_equal(create_write(&w, &test_mem, &s), ERR_RANGE);
    s.name = SLICE_LIT("a/b");
    assert_int_equal(create_write(&w, &test_mem, &s), ERR_SYNTAX);
}

static void piece_lengths(void **state)
{
    UNUSED_STATE(state);
    assert_int_equal(create_piece_len(0), 16384);
    assert_int_equal(create_piece_len(20 << 20), 16384);
    assert_int_equal(create_piece_len(UINT64_MAX), 16 << 20);
    for (uint64_t total = 17 << 20; total < (uint64_t)30 << 30; total += total / 7 + 1) {
        const uint64_t n = u64_div_up(total, create_piece_len(total));
        assert_true(n >= 1000 && n <= 2500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(single_file),
        cmocka_unit_test(refusals),
        cmocka_unit_test(piece_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
