// Magnet links: published good and bad ones, selection, round trips, truncation. BEP 9, 53.
#include "codec/magnet.h"

#include "vectors.h"

static uint8_t space[MAGNET_BYTES_MAX], again[MAGNET_BYTES_MAX];

static enum err parse(struct magnet *m, struct slice text)
{
    uint8_t *exact = malloc(text.n + 1);     // so that a sanitizer sees one byte too many
    memcpy(exact, text.p, text.n);
    struct buf b = {space, 0, text.n};
    const enum err e = magnet_parse(m, slice_of(exact, text.n), &b);
    free(exact);
    return e;
}

static void assert_list(const struct slice *list, uint32_t n, const json_t *expect)
{
    size_t i;
    json_t *v;
    if (expect == NULL)
        return;
    assert_int_equal(n, json_array_size(expect));
    json_array_foreach(expect, i, v)
        assert_slice(list[i], json_string_value(v));
}

// What was read is written and read again: the same.
static void round_trip(const struct magnet *m)
{
    struct buf link = {again, 0, sizeof again};
    struct wr w = wr_make(&link);
    magnet_write(&w, m);
    assert_true(w.ok);
    uint8_t *more = malloc(sizeof again);
    struct buf b = {more, 0, sizeof again};
    struct magnet back;
    assert_int_equal(magnet_parse(&back, buf_slice(&link), &b), ERR_OK);
    assert_int_equal(back.has_v1, m->has_v1);
    assert_int_equal(back.has_v2, m->has_v2);
    assert_memory_equal(back.hash_v1, m->hash_v1, sizeof m->hash_v1);
    assert_memory_equal(back.hash_v2, m->hash_v2, sizeof m->hash_v2);
    assert_int_equal(back.has_key, m->has_key);
    assert_memory_equal(back.key, m->key, sizeof m->key);
    assert_true(!m->has_key || slice_eq(back.salt, m->salt));
    assert_true(slice_eq(back.name, m->name));
    assert_int_equal(back.trackers_n, m->trackers_n);
    for (uint32_t i = 0; i < m->trackers_n; i++)
        assert_true(slice_eq(back.trackers[i], m->trackers[i]));
    assert_int_equal(back.web_seeds_n, m->web_seeds_n);
    assert_int_equal(back.peers_n, m->peers_n);
    for (uint32_t i = 0; i < m->peers_n; i++)
        assert_true(addr_eq(&back.peers[i], &m->peers[i]));
    assert_memory_equal(back.files_wanted, m->files_wanted, sizeof m->files_wanted);
    free(more);
}

static void check_peers(const struct magnet *m, const json_t *peers)
{
    size_t i;
    json_t *v;
    if (peers == NULL)
        return;
    assert_int_equal(m->peers_n, json_array_size(peers));
    json_array_foreach(peers, i, v) {
        char text[ADDR_TEXT_MAX];
        assert_string_equal(addr_format_ip(&m->peers[i], text), json_string_value(json_array_get(v, 0)));
        assert_int_equal(m->peers[i].port, json_integer_value(json_array_get(v, 1)));
    }
}

static void check_case(const json_t *c)
{
    const struct slice hexed = json_object_get(c, "uri_hex") != NULL ? json_hex(json_object_get(c, "uri_hex")) : (struct slice){0};
    const struct slice uri = hexed.p != NULL ? hexed : slice_str(json_text(c, "uri"));
    struct magnet m;
    const enum err e = parse(&m, uri);
    if ((e != ERR_OK) != (json_text(c, "expect_error") != NULL))
        fail_msg("%s: %s", json_text(c, "name"), err_text(e));
    if (e == ERR_OK) {
        if (json_text(c, "v1") != NULL)
            assert_hex(m.hash_v1, 20, json_text(c, "v1"));
        if (json_text(c, "v2") != NULL)
            assert_hex(m.hash_v2, 32, json_text(c, "v2"));
        if (json_text(c, "dn") != NULL)
            assert_slice(m.name, json_text(c, "dn"));
        assert_list(m.trackers, m.trackers_n, json_object_get(c, "tr"));
        assert_list(m.web_seeds, m.web_seeds_n, json_object_get(c, "ws"));
        check_peers(&m, json_object_get(c, "x.pe"));
        round_trip(&m);
    }
    for (size_t n = 0; n < uri.n; n++)
        (void)parse(&m, slice_sub(uri, 0, n));
    free((void *)(uintptr_t)hexed.p);
}

// Without this a link copied from elsewhere would not start.
static void published(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("magnet.json");
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c)
        check_case(c);
    assert_int_equal(i, 22);
    const json_t *numbered = json_object_get(root, "tr_x");
    struct magnet m;
    assert_int_equal(parse(&m, slice_str(json_text(numbered, "uri"))), ERR_OK);
    assert_list(m.trackers, m.trackers_n, json_object_get(numbered, "trackers"));
    json_decref(root);
}

// BEP 53: a selection that is misread would fetch gigabytes that nobody asked for.
static void selections(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("magnet.json");
    size_t i, k;
    json_t *c, *v;
    struct magnet m;
    json_array_foreach(json_object_get(json_object_get(root, "bep53_parse"), "cases"), i, c) {
        const json_t *files = json_object_get(c, "files");
        assert_int_equal(parse(&m, slice_str(json_text(c, "uri"))), ERR_OK);
        assert_int_equal(m.has_files, json_is_array(files));
        uint8_t expect[sizeof m.files_wanted] = {0};
        json_array_foreach(files, k, v)
            bits_set(expect, (uint64_t)json_integer_value(v));
        assert_memory_equal(m.files_wanted, expect, sizeof expect);
        round_trip(&m);
    }
    assert_int_equal(i, 12);
    json_array_foreach(json_object_get(json_object_get(root, "bep53_make"), "cases"), i, c) {
        m = (struct magnet){.has_v1 = true};
        memset(m.hash_v1, 'a', sizeof m.hash_v1);
        json_array_foreach(json_object_get(c, "prio"), k, v) {
            if (json_integer_value(v) != 0)
                bits_set(m.files_wanted, k);
            else
                m.has_files = true;
        }
        char expect[256];
        const char *so = json_text(c, "so");
        snprintf(expect, sizeof expect, "magnet:?xt=urn:btih:6161616161616161616161616161616161616161%s%s", so ? "&so=" : "", so ? so : "");
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        magnet_write(&w, &m);
        assert_slice(buf_slice(&b), expect);
    }
    assert_int_equal(i, 6);
    json_decref(root);
}

// More of everything than there is room for, and the greatest selection.
static void limits(void **state)
{
    UNUSED_STATE(state);
    char *text = malloc(MAGNET_BYTES_MAX + 2);
    size_t n = (size_t)sprintf(text, "MAGNET:?xt=urn:btih:%040d&so=0-10000,10001,0-2000000000&dn=a+b%%2Bc", 0);
    for (int i = 0; i < 300; i++)
        n += (size_t)sprintf(text + n, "&tr=udp%%3A//t%d&ws=http://w%d/&x.pe=1.2.3.%d:%d", i, i, i % 256, i + 1);
    struct magnet m;
    assert_int_equal(parse(&m, slice_of(text, n)), ERR_OK);
    assert_int_equal(m.trackers_n, MAGNET_TRACKERS_MAX);
    assert_int_equal(m.web_seeds_n, MAGNET_WEB_SEEDS_MAX);
    assert_int_equal(m.peers_n, MAGNET_PEERS_MAX);
    assert_slice(m.name, "a b+c");
    assert_slice(m.trackers[127], "udp://t127");
    assert_int_equal(bits_count(m.files_wanted, 8 * sizeof m.files_wanted), 10001);
    round_trip(&m);
    struct buf small = {space, 0, 10};
    assert_int_equal(magnet_parse(&m, slice_of(text, n), &small), ERR_TOO_LONG);
    memset(text + n, 'x', MAGNET_BYTES_MAX + 1 - n);
    assert_int_equal(magnet_parse(&m, slice_of(text, MAGNET_BYTES_MAX + 1), &small), ERR_TOO_LONG);
    free(text);
    static const char *const bad[] = {"", "magnet:", "magnet:?", "http://x/?xt=urn:btih:", "magnet:x?xt=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
        "magnet:?xt=urn:btih:MFRGCYTBMJQWEYLCMFRGCYTBMJQWEY1C", "magnet:?xt.a=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parse(&m, slice_str(bad[i])), ERR_SYNTAX);
}

// BEP 46's two keys lead to the items that it says; what is not quite a key or a salt is no link.
static void keys_in_place_of_hashes(void **state)
{
    UNUSED_STATE(state);
    json_t *const root = vector_json("bep44_46.json"), *const cases = json_object_get(root, "cases");
    size_t i;
    json_t *v;
    uint32_t n = 0;
    json_array_foreach(cases, i, v) {
        if (strncmp(json_string_value(json_object_get(v, "name")), "bep46", 5) != 0)
            continue;
        struct magnet m;
        char text[256];
        uint8_t target[NODE_ID_LEN], expect[NODE_ID_LEN];
        const char *const salt = json_string_value(json_object_get(v, "salt_hex"));
        (void)snprintf(text, sizeof text, "magnet:?xs=urn:btpk:%s%s%s&dn=a+name", json_string_value(json_object_get(v, "public_key")),
            salt != NULL ? "&s=" : "", salt != NULL ? salt : "");
        assert_int_equal(parse(&m, slice_str(text)), ERR_OK);
        assert_true(m.has_key && !m.has_v1 && !m.has_v2);
        assert_slice(m.name, "a name");
        assert_int_equal(hex_parse(slice_str(json_string_value(json_object_get(v, "target"))), expect, sizeof expect), ERR_OK);
        dht_item_mutable(m.key, m.salt, target);
        assert_memory_equal(target, expect, sizeof target);
        round_trip(&m);
        n++;
    }
    assert_int_equal(n, 2);
    json_decref(root);
    static const char *const bad[] = {
        "magnet:?xs=urn:btpk:8543d3e6", "magnet:?xs=http://example.com/a.torrent", "magnet:?s=6e",
        "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6",
        "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=xy",
    };
    struct magnet m;
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_int_equal(parse(&m, slice_str(bad[k])), ERR_SYNTAX);
    uint8_t value[64], hash[SHA1_LEN] = {7}, back[SHA1_LEN];
    struct buf b = {value, 0, sizeof value};
    struct wr w = wr_make(&b);
    dht_item_torrent_write(&w, hash);
    assert_slice(slice_sub(buf_slice(&b), 0, 8), "d2:ih20:");
    assert_true(dht_item_torrent(buf_slice(&b), back));
    assert_memory_equal(back, hash, sizeof hash);
    assert_false(dht_item_torrent(SLICE_LIT("d2:ih3:abce"), back));
    assert_false(dht_item_torrent(SLICE_LIT("20:aaaaaaaaaaaaaaaaaaaa"), back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published), cmocka_unit_test(keys_in_place_of_hashes),
        cmocka_unit_test(selections),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
