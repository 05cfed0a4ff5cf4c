// Torrent files: verdicts, names, hashes and layers of published ones. BEP 3, 12, 19, 27, 47, 52.
#include "codec/metainfo.h"

#include "codec/bencode.h"
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
    bencode_init(&b, m->collections, BENCODE_NORMAL);
    if (is(checks, "collections"))
        assert_true(bencode_list(&b));
    json_array_foreach(json_object_get(checks, "collections"), i, v) {
        assert_true(bencode_str(&b, &text));
        assert_slice(text, json_string_value(v));
    }
    bencode_init(&b, m->similar, BENCODE_NORMAL);
    if (is(checks, "similar_hex"))
        assert_true(bencode_list(&b));
    json_array_foreach(json_object_get(checks, "similar_hex"), i, v) {
        assert_true(bencode_str(&b, &text));
        assert_hex(text.p, text.n, json_string_value(v));
    }
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
    } else {
        print_message("%s: %s\n", json_text(c, "file"), why);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libtorrent_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
