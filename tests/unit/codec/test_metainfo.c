// Torrent files: verdicts, names, hashes and layers of published ones. BEP 3, 12, 19, 27, 47, 52.
#include "codec/metainfo.h"

#include "codec/bencode.h"
#include "codec/path.h"
#include "vectors.h"

static enum err parse(struct metainfo *m, struct slice bytes, char why[160])
{
    memset(why, 'x', 160);
    const enum err e = metainfo_parse(m, &test_mem, bytes, why);
    assert_non_null(memchr(why, 0, 160));
    if (e == ERR_OK)
        assert_string_equal(why, "");
    else
        assert_true(strlen(why) > 10);
    return e;
}

// Whatever was accepted must be safe to use: every promise of metainfo.h.
static void check(const struct metainfo *m)
{
    uint64_t end = 0, len = 0;
    assert_true(m->has_v1 || m->has_v2);
    assert_true(m->files_n > 0);
    assert_true(m->pieces_n > 0);
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        assert_true(f->path.n > 0);
        assert_true(f->path.p[0] != '/');
        assert_true(f->offset >= end);
        end = f->offset + f->len;
        len += (f->flags & FILE_PAD) != 0 ? 0 : f->len;
        if (f->len > 0) {
            assert_int_equal(metainfo_file_at(m, f->offset), i);
            assert_int_equal(metainfo_file_at(m, end - 1), i);
        }
        if (m->has_v2 && f->len > 0 && (f->flags & FILE_PAD) == 0)
            assert_non_null(f->root);
        for (uint32_t k = 0; k < i && m->files_n < 1000; k++)
            if ((f->flags & FILE_PAD) == 0)
                assert_false(slice_eq(f->path, m->files[k].path));
    }
    assert_true(end == m->span);
    assert_true(len == m->len);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->pieces_n; i++)
        sum += metainfo_piece_len(m, i);
    assert_true(sum == (m->has_v1 ? m->span : m->len));
}

static bool is(const json_t *checks, const char *key) { return json_object_get(checks, key) != NULL; }

static void check_files(const struct metainfo *m, const json_t *checks)
{
    const char *i;
    json_t *v;
    json_object_foreach(json_object_get(checks, "paths"), i, v) {
        const char *renamed = json_text(json_object_get(checks, "renamed"), i);
        assert_slice(m->files[atoi(i)].path, renamed != NULL ? renamed : json_string_value(v));
    }
    json_object_foreach(json_object_get(checks, "symlinks"), i, v)
        assert_slice(m->files[atoi(i)].target, json_string_value(v));
    json_object_foreach(json_object_get(checks, "sizes"), i, v)
        assert_int_equal(m->files[atoi(i)].len, json_integer_value(v));
    json_object_foreach(json_object_get(checks, "roots"), i, v)
        assert_hex(m->files[atoi(i)].root, 32, json_string_value(v));
    json_object_foreach(json_object_get(checks, "pad"), i, v)
        assert_int_equal((m->files[atoi(i)].flags & FILE_PAD) != 0, json_is_true(v));
}

static void check_lists(const struct metainfo *m, const json_t *checks)
{
    size_t i;
    json_t *v;
    struct bencode b;
    struct slice text;
    json_array_foreach(json_object_get(checks, "url_seeds"), i, v)
        assert_slice(m->web_seeds[i].url, json_string_value(v));
    if (is(checks, "num_url_seeds"))
        assert_int_equal(m->web_seeds_n, json_integer_value(json_object_get(checks, "num_url_seeds")));
    if (is(checks, "trackers[0]"))
        assert_slice(m->trackers[0].url, json_text(checks, "trackers[0]"));
    struct slice hints[METAINFO_HINTS_MAX];
    uint32_t n = metainfo_hints(m->collections, hints);
    assert_int_equal(n, json_array_size(json_object_get(checks, "collections")));
    json_array_foreach(json_object_get(checks, "collections"), i, v)
        assert_slice(hints[i], json_string_value(v));
    n = metainfo_hints(m->similar, hints);
    assert_int_equal(n, json_array_size(json_object_get(checks, "similar_hex")));
    json_array_foreach(json_object_get(checks, "similar_hex"), i, v)
        assert_hex(hints[i].p, hints[i].n, json_string_value(v));
    bencode_init(&b, m->nodes, BENCODE_NORMAL);
    if (is(checks, "dht_nodes"))
        assert_true(bencode_list(&b));
    json_array_foreach(json_object_get(checks, "dht_nodes"), i, v) {
        int64_t port = 0;
        assert_true(bencode_list(&b) && bencode_str(&b, &text) && bencode_int(&b, &port));
        assert_slice(text, json_string_value(json_array_get(v, 0)));
        assert_int_equal(port, json_integer_value(json_array_get(v, 1)));
        assert_false(bencode_more(&b));
    }
}

static void check_values(const struct metainfo *m, const json_t *checks)
{
    if (is(checks, "num_files"))
        assert_int_equal(m->files_n, json_integer_value(json_object_get(checks, "num_files")));
    if (is(checks, "min_files"))
        assert_true(m->files_n >= json_integer_value(json_object_get(checks, "min_files")));
    if (is(checks, "name"))
        assert_slice(m->name, json_text(checks, "name"));
    if (is(checks, "has_v1"))
        assert_int_equal(m->has_v1, json_is_true(json_object_get(checks, "has_v1")));
    if (is(checks, "has_v2"))
        assert_int_equal(m->has_v2, json_is_true(json_object_get(checks, "has_v2")));
    if (is(checks, "infohash_v2"))
        assert_hex(m->hash_v2, 32, json_text(checks, "infohash_v2"));
    if (is(checks, "piece_length"))
        assert_int_equal(m->piece_len, json_integer_value(json_object_get(checks, "piece_length")));
    if (is(checks, "creation_date"))
        assert_int_equal(m->created_s, json_integer_value(json_object_get(checks, "creation_date")));
}

static void check_case(const json_t *c)
{
    char name[256], why[160];
    snprintf(name, sizeof name, "lt_test_torrents/%s", json_text(c, "file"));
    const bool valid = strcmp(json_text(c, "expect"), "valid") == 0;
    size_t n = 0;
    uint8_t *bytes = vector_file(name, &n);
    struct metainfo m;
    const enum err e = parse(&m, slice_of(bytes, n), why);
    if ((e == ERR_OK) != valid)
        fail_msg("%s: %s (%s)", name, err_text(e), why);
    if (valid) {
        const json_t *checks = json_object_get(c, "checks");
        if (m.has_v1)
            assert_hex(m.hash_v1, 20, json_text(c, "sha1_of_info"));
        if (m.has_v2)
            assert_hex(m.hash_v2, 32, json_text(c, "sha256_of_info"));
        check(&m);
        check_values(&m, checks);
        check_files(&m, checks);
        check_lists(&m, checks);
    }
    metainfo_free(&m);
    free(bytes);
}

// Without this a torrent that others load would be refused, or the other way round.
static void libtorrent_files(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("lt_test_torrents/expected.json");
    size_t i;
    json_t *c;
    const json_t *cases = json_object_get(root, "cases");
    json_array_foreach(cases, i, c)
        check_case(c);
    assert_int_equal(json_array_size(cases), 72);
    json_decref(root);
}

// The torrents of the BEP itself: many files, layers, a hybrid.
static void official(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *file, *v2;
        bool has_v1;
    } cases[] = {                       // the digests stand in the magnet links on the page of BEP 52
        {"bep52_official/bittorrent-v2-test.torrent", "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e", false},
        {"bep52_official/bittorrent-v2-hybrid-test.torrent", "d8dd32ac93357c368556af3ac1d95c9d76bd0dff6fa9833ecdac3d53134efabb", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = 0;
        char why[160];
        uint8_t *bytes = vector_file(cases[i].file, &n);
        struct metainfo m;
        if (parse(&m, slice_of(bytes, n), why) != ERR_OK)
            fail_msg("%s: %s", cases[i].file, why);
        assert_hex(m.hash_v2, 32, cases[i].v2);
        assert_int_equal(m.has_v1, cases[i].has_v1);
        if (m.has_v1)
            assert_hex(m.hash_v1, 20, "631a31dd0a46257d5078c0dee4e66e26f73e42ac");
        check(&m);
        for (uint32_t k = 0; k < m.files_n; k++)
            assert_int_equal(m.files[k].layer != NULL, (m.files[k].flags & FILE_PAD) == 0 && m.files[k].len > m.piece_len);
        metainfo_free(&m);
        free(bytes);
    }
}

// ---- torrents made here

struct made {
    struct buf b;
    struct wr w;
    struct bencode_out o;
    uint64_t len;
};

static struct made *begin(void)
{
    struct made *t = calloc(1, sizeof *t);
    t->b = (struct buf){malloc(32 << 20), 0, 32 << 20};
    t->w = wr_make(&t->b);
    bencode_out_init(&t->o, &t->w);
    bencode_put_dict(&t->o);
    bencode_put_key_dict(&t->o, "info");
    bencode_put_key_list(&t->o, "files");
    return t;
}

// path: parts with '/' between them.
static void add_file(struct made *t, const char *path, uint64_t len, const char *attr, const char *target)
{
    bencode_put_dict(&t->o);
    if (attr != NULL)
        bencode_put_key_str(&t->o, "attr", slice_str(attr));
    bencode_put_key_int(&t->o, "length", (int64_t)len);
    struct slice rest = slice_str(path), part;
    bencode_put_key_list(&t->o, "path");
    while (path_next(&rest, &part))
        bencode_put_str(&t->o, part);
    bencode_put_end(&t->o);
    if (target != NULL) {
        rest = slice_str(target);
        bencode_put_key_list(&t->o, "symlink path");
        while (path_next(&rest, &part))
            bencode_put_str(&t->o, part);
        bencode_put_end(&t->o);
    }
    bencode_put_end(&t->o);
    t->len += len;
}

static enum err finish(struct made *t, const char *name, struct metainfo *m)
{
    char why[160];
    const uint32_t piece_len = 1 << 20;
    bencode_put_end(&t->o);
    bencode_put_key_str(&t->o, "name", slice_str(name));
    bencode_put_key_int(&t->o, "piece length", piece_len);
    const size_t n = (size_t)u64_div_up(t->len, piece_len) * 20;
    uint8_t *pieces = calloc(1, n + 1);
    bencode_put_key_str(&t->o, "pieces", slice_of(pieces, n));
    free(pieces);
    bencode_put_end(&t->o);
    bencode_put_end(&t->o);
    assert_true(t->w.ok);
    const enum err e = parse(m, buf_slice(&t->b), why);
    if (e == ERR_OK)
        check(m);
    free(t->b.p);
    free(t);
    return e;
}

// Two files with one path would overwrite each other; so would "a" and "A" on the disks of many peers.
static void duplicates(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("path_sanitize.json");
    const json_t *sets = json_object_get(root, "resolve_duplicates_case_insensitive");
    size_t i, k;
    json_t *set, *f;
    json_array_foreach(sets, i, set) {
        struct made *t = begin();
        json_array_foreach(set, k, f)
            add_file(t, json_text(f, "path") + strlen("test/"), (uint64_t)json_integer_value(json_object_get(f, "size")),
                     json_is_true(json_object_get(f, "pad")) ? "p" : NULL, NULL);
        struct metainfo m;
        assert_int_equal(finish(t, "test", &m), ERR_OK);
        json_array_foreach(set, k, f)
            assert_slice(m.files[k].path, json_text(f, "expect"));
        metainfo_free(&m);
    }
    assert_int_equal(i, 11);
    // Transmission's: the verdicts agree but for ["", ""], which it refuses and libtorrent calls "_/_"
    json_array_foreach(json_object_get(root, "transmission_parse"), i, set) {
        uint8_t space[512];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        wr_str(&w, "d4:infod5:filesld6:lengthi1e4:pathl");
        json_array_foreach(json_object_get(set, "path_list"), k, f)
            wr_fmt(&w, "%zu:%s", json_string_length(f), json_string_value(f));
        wr_str(&w, "eee4:name1:n12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee");
        struct metainfo m;
        char why[160];
        assert_int_equal(parse(&m, buf_slice(&b), why), ERR_OK);
        check(&m);
        metainfo_free(&m);
    }
    assert_int_equal(i, 8);
    json_decref(root);
}

// A symlink may not lead out of the torrent, to nothing, or in a circle.
static void symlinks(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *path, *target, *expect;
    } cases[] = {
        {"a/real", NULL, ""},
        {"1", "a/real", "n/a/real"},
        {"2", "a", "n/a"},
        {"3", "../../etc/passwd", ""},
        {"4", "a/none", ""},
        {"a/5", "real", "n/a/real"},    // counted from its own directory
        {"6", "7", ""},
        {"7", "6", ""},
        {"8", "8", ""},
        {"9", "2/real", "n/2/real"},    // through another symlink
        {"10", "9", "n/9"},
        {"11", "12/real", "n/12/real"},
        {"12", "2", "n/2"},
        {"13", NULL, ""},
        {"14", "/etc/passwd", ""},
        {"15", "a/real/x", ""},
    };
    struct made *t = begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        add_file(t, cases[i].path, i == 0 ? 5 : 0, cases[i].target == NULL && i > 0 ? "l" : i > 0 ? "lx" : NULL, cases[i].target);
    struct metainfo m;
    assert_int_equal(finish(t, "n", &m), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_slice(m.files[i].target, cases[i].expect);
    metainfo_free(&m);
}

// Found by fuzzing: a link whose target is no list was accepted, but with a reason why it was not.
static void link_without_list(void **state)
{
    UNUSED_STATE(state);
    struct metainfo m;
    char why[160];
    assert_int_equal(parse(&m, SLICE_LIT("d4:infod5:filesld6:lengthi1e4:pathl1:aeed4:attr1:l4:pathl1:be12:symlink path3:abcee"
        "4:name1:n12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"), why), ERR_OK);
    assert_int_equal(m.files[1].target.n, 0);
    check(&m);
    metainfo_free(&m);
}

static void names(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *name, *expect;
    } cases[] = {
        {"c:", "c_"}, {"a:b", "a_b"}, {"/", "_"}, {"...", "..."}, {"a\\b", "ab"}, {"\xff", "_"}, {"a\xe2\x80\xae" "b", "ab"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct made *t = begin();
        add_file(t, "x:y", 5, NULL, NULL);
        struct metainfo m;
        assert_int_equal(finish(t, cases[i].name, &m), ERR_OK);
        assert_slice(m.name, cases[i].expect);
        metainfo_free(&m);
    }
    // *.utf-8 is preferred
    struct metainfo m;
    char why[160];
    assert_int_equal(parse(&m, SLICE_LIT("d4:infod5:filesld6:lengthi1e4:pathl3:\xe4\xe4\xe4" "e10:path.utf-8l6:\xc3\xa4\xc3\xb6\xc3\xbc" "eee4:name1:\xe4"
        "10:name.utf-82:\xc3\xa4" "12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"), why), ERR_OK);
    assert_slice(m.name, "\xc3\xa4");
    assert_slice(m.files[0].path, "\xc3\xa4/\xc3\xa4\xc3\xb6\xc3\xbc");
    metainfo_free(&m);
}

// BEP 12 and what is found in the wild: many in one string, no scheme, no tiers, the same twice.
static void trackers(void **state)
{
    UNUSED_STATE(state);
    struct metainfo m;
    char why[160];
    assert_int_equal(parse(&m, SLICE_LIT("d8:announce8:http://z13:announce-listll22:udp://a:1 , udp://b:2 e"
        "l9:nothing:1e10: http://c/l9:udp://b:29:udp://d:4ee4:infod6:lengthi1e4:name1:n12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"), why), ERR_OK);
    static const char *const urls[] = {"udp://a:1", "udp://b:2", "http://c/", "udp://d:4"};
    static const uint32_t tiers[] = {0, 0, 1, 2};
    assert_int_equal(m.trackers_n, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_slice(m.trackers[i].url, urls[i]);
        assert_int_equal(m.trackers[i].tier, tiers[i]);
    }
    metainfo_free(&m);
}

// 200,000 files, all in deep directories: seconds would mean that a check is quadratic.
static void many_files(void **state)
{
    UNUSED_STATE(state);
    struct made *t = begin();
    char path[64];
    for (int i = 0; i < 180000; i++) {
        snprintf(path, sizeof path, "d%d/%d", i / 100, i);
        add_file(t, path, 1, NULL, NULL);
    }
    struct metainfo m;
    assert_int_equal(finish(t, "many", &m), ERR_OK);
    assert_int_equal(m.files_n, 180000);
    assert_slice(m.files[179999].path, "many/d1799/179999");
    metainfo_free(&m);
}

// A tree of nested long names would take gigabytes of paths.
static void path_bomb(void **state)
{
    UNUSED_STATE(state);
    struct made *t = begin();
    char path[8000] = {0};
    memset(path, 'a', sizeof path - 1);
    for (size_t i = 80; i < sizeof path - 1; i += 81)
        path[i] = '/';
    for (int i = 0; i < 1200; i++)
        add_file(t, path, 1, NULL, NULL);
    struct metainfo m;
    assert_int_equal(finish(t, "n", &m), ERR_SYNTAX);       // all have one path
    struct buf b = {malloc(METAINFO_BYTES_MAX), 0, METAINFO_BYTES_MAX};
    struct wr w = wr_make(&b);
    wr_str(&w, "d4:infod9:file tree");
    for (int i = 0; i < 90; i++) {
        wr_str(&w, "d240:");
        for (int k = 0; k < 240; k++)
            wr_u8(&w, 'x');
    }
    wr_u8(&w, 'd');
    for (int i = 0; i < 100000; i++)
        wr_fmt(&w, "6:%06dd0:d6:lengthi0eee", i);
    wr_u8(&w, 'e');
    for (int i = 0; i < 90; i++)
        wr_u8(&w, 'e');
    wr_str(&w, "12:meta versioni2e4:name1:n12:piece lengthi16384eee");
    assert_true(w.ok);
    char why[160];
    assert_int_equal(parse(&m, buf_slice(&b), why), ERR_TOO_LONG);
    free(b.p);
}

// Cut anywhere or with one bit changed: refused or safe to use, never a crash; a changed info dictionary is another hash.
static void damaged(void **state)
{
    UNUSED_STATE(state);
    static const char *const files[] = {"sample", "v2_multipiece_file", "symlink2", "v2_only", "empty-files-2", "url_seed_multi_space",
        "invalid_filename2"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char name[128], why[160];
        snprintf(name, sizeof name, "lt_test_torrents/%s.torrent", files[i]);
        size_t n = 0;
        uint8_t *bytes = vector_file(name, &n);
        struct metainfo m, whole;
        assert_int_equal(parse(&whole, slice_of(bytes, n), why), ERR_OK);
        for (size_t k = 0; k < n; k++) {
            uint8_t *cut = malloc(k + 1);
            memcpy(cut, bytes, k);
            assert_int_equal(parse(&m, slice_of(cut, k), why), ERR_SYNTAX);
            free(cut);
        }
        for (size_t k = 0; k < 8 * n; k++) {
            bytes[k / 8] = (uint8_t)(bytes[k / 8] ^ 1 << k % 8);
            if (parse(&m, slice_of(bytes, n), why) == ERR_OK) {
                check(&m);
                const bool in_info = slice_eq(m.info, whole.info);
                assert_int_equal(memcmp(m.hash_v1, whole.hash_v1, 20) == 0 && memcmp(m.hash_v2, whole.hash_v2, 32) == 0, in_info);
                metainfo_free(&m);
            }
            bytes[k / 8] = (uint8_t)(bytes[k / 8] ^ 1 << k % 8);
        }
        metainfo_free(&whole);
        free(bytes);
    }
}

// A v2 part that tells something else than the v1 part would make two programs write different files.
static void hybrid_differs(void **state)
{
    UNUSED_STATE(state);
    size_t n = 0;
    char why[160];
    uint8_t *bytes = vector_file("lt_test_torrents/empty-files-2.torrent", &n);
    static const struct {
        const char *from, *to;          // of equal length
        int nth;
    } edits[] = {
        {"7:3-large", "7:3-lArge", 1}, {"6:lengthi512e", "6:lengthi513e", 1}, {"6:lengthi0e", "6:lengthi1e", 1},
        {"attr1:p", "attr1:x", 0}, {"7:6-empty", "7:6-emptx", 0}, {"i15872e", "i15871e", 0},
    };
    struct metainfo m;
    assert_int_equal(parse(&m, slice_of(bytes, n), why), ERR_OK);
    metainfo_free(&m);
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        const size_t len = strlen(edits[i].from);
        int seen = 0;
        for (size_t at = 0; at + len <= n; at++)
            if (memcmp(bytes + at, edits[i].from, len) == 0 && seen++ == edits[i].nth) {
                memcpy(bytes + at, edits[i].to, len);
                if (parse(&m, slice_of(bytes, n), why) != ERR_SYNTAX)
                    fail_msg("%s was accepted", edits[i].to);
                memcpy(bytes + at, edits[i].from, len);
                break;
            }
        assert_int_equal(seen, edits[i].nth + 1);
    }
    free(bytes);
}

struct purse {
    uint32_t left;
};

static void *poor_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct purse *purse = ctx;
    if (new_n != 0 && purse->left == 0)
        return NULL;
    purse->left -= new_n != 0;
    return test_resize(NULL, p, old_n, new_n);
}

// Memory may run out at any place: reported, and nothing leaks (the sanitizer build tells).
static void out_of_memory(void **state)
{
    UNUSED_STATE(state);
    size_t n = 0;
    char why[160];
    uint8_t *bytes = vector_file("lt_test_torrents/v2_hybrid-missing-tailpad.torrent", &n);
    enum err e = ERR_NOMEM;
    for (uint32_t i = 0; e != ERR_OK; i++) {
        assert_true(i < 100);
        struct purse purse = {.left = i};
        const struct mem mem = {.resize = poor_resize, .ctx = &purse};
        struct metainfo m;
        e = metainfo_parse(&m, &mem, slice_of(bytes, n), why);
        assert_true(e == ERR_OK || e == ERR_NOMEM);
        metainfo_free(&m);
    }
    free(bytes);
}

// Without this a message would speak of another file than the one with that number in `kith show`.
static void messages_count_files_from_one(void **state)
{
    UNUSED_STATE(state);
    static const char torrent[] = "d4:infod5:filesld6:lengthi1e4:pathl1:aeed4:pathl1:beee4:name1:n12:piece lengthi16384e"
                                  "6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    struct metainfo m;
    char why[160];
    assert_int_equal(parse(&m, slice_str(torrent), why), ERR_SYNTAX);
    assert_string_equal(why, "file 2 has no length");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_count_files_from_one), cmocka_unit_test(libtorrent_files),
        cmocka_unit_test(official),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(symlinks),
        cmocka_unit_test(link_without_list),
        cmocka_unit_test(names),
        cmocka_unit_test(trackers),
        cmocka_unit_test(many_files),
        cmocka_unit_test(path_bomb),
        cmocka_unit_test(damaged),
        cmocka_unit_test(hybrid_differs),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
