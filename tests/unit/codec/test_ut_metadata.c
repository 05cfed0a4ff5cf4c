// ut_metadata. Vectors: the examples of BEP 9.
#include "test.h"

#include "codec/metainfo.h"
#include "codec/peerwire.h"
#include "codec/ut_metadata.h"

static struct ut_metadata parse(struct slice s)
{
    struct ut_metadata m = {0};
    assert_int_equal(ut_metadata_parse(&m, s), ERR_OK);
    return m;
}

// Without this no metadata from anybody.
static void the_examples_of_the_bep(void **state)
{
    UNUSED_STATE(state);
    struct ut_metadata m = parse(SLICE_LIT("d8:msg_typei0e5:piecei0ee"));
    assert_int_equal(m.type, UT_METADATA_REQUEST);
    assert_int_equal(m.part, 0);
    m = parse(SLICE_LIT("d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx"));
    assert_int_equal(m.type, UT_METADATA_DATA);
    assert_int_equal(m.total, 3425);
    assert_true(slice_eq_str(m.data, "xxxxxxxx"));
    m = parse(SLICE_LIT("d8:msg_typei2e5:piecei7ee"));
    assert_int_equal(m.type, UT_METADATA_REJECT);
    assert_int_equal(m.part, 7);
}

// The data may itself look like bencode; its end is the message's, its start the dictionary's end.
static void data_begins_where_the_dictionary_ends(void **state)
{
    UNUSED_STATE(state);
    const struct ut_metadata m = parse(SLICE_LIT("d8:msg_typei1e5:piecei2eed4:infod4:name1:xee"));
    assert_true(slice_eq_str(m.data, "d4:infod4:name1:xee"));
    assert_int_equal(m.total, 0);
}

static void what_is_no_message_is_refused(void **state)
{
    UNUSED_STATE(state);
    static const char *const bad[] = {
        "", "i1e", "le", "d8:msg_typei0ee", "d5:piecei0ee", "d8:msg_typei0e5:piecei-1ee", "d8:msg_type1:05:piecei0ee",
        "d8:msg_typei1e5:piecei0ee",    // data without data
        "d8:msg_typei0e5:piecei4294967296ee", "d8:msg_typei0e5:piecei0e",
    };
    struct ut_metadata m;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(ut_metadata_parse(&m, slice_str(bad[i])), ERR_PROTOCOL);
    assert_int_equal(ut_metadata_parse(&m, SLICE_LIT("d8:msg_typei3e5:piecei0ee")), ERR_UNSUPPORTED);   // BEP 9: ignored
    static uint8_t big[64 + UT_METADATA_PART + 1];
    struct buf b = {big, 0, sizeof big};
    struct wr w = wr_make(&b);
    wr_str(&w, "d8:msg_typei1e5:piecei0ee");
    b.n += UT_METADATA_PART;
    assert_int_equal(ut_metadata_parse(&m, buf_slice(&b)), ERR_OK);
    b.n++;
    assert_int_equal(ut_metadata_parse(&m, buf_slice(&b)), ERR_PROTOCOL);
}

static void truncated_at_every_length(void **state)
{
    UNUSED_STATE(state);
    static const char whole[] = "d8:msg_typei1e5:piecei0e10:total_sizei3425eex";
    struct ut_metadata m;
    for (size_t n = 0; n + 1 < sizeof whole; n++) {
        char *copy = malloc(n + 1);     // exactly so long: a sanitizer sees a step too far
        memcpy(copy, whole, n);
        assert_int_equal(ut_metadata_parse(&m, slice_of(copy, n)), ERR_PROTOCOL);
        free(copy);
    }
}

static void what_is_written_reads_the_same(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[256];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    ut_metadata_write(&w, 3, &(struct ut_metadata){.type = UT_METADATA_DATA, .part = 1, .total = 16384 + 5, .data = SLICE_LIT("hello")});
    wr_str(&w, "hello");
    struct rd r = rd_make(buf_slice(&b));
    assert_int_equal(rd_be32(&r), b.n - 4);
    assert_int_equal(rd_u8(&r), MSG_EXTENDED);
    assert_int_equal(rd_u8(&r), 3);
    const struct ut_metadata m = parse(slice_of(r.p, r.n));
    assert_int_equal(m.part, 1);
    assert_int_equal(m.total, 16389);
    assert_true(slice_eq_str(m.data, "hello"));
    struct buf none = {space, 0, 20};
    w = wr_make(&none);
    ut_metadata_write(&w, 3, &(struct ut_metadata){.type = UT_METADATA_REQUEST, .part = 1});
    assert_false(w.ok);
    assert_int_equal(none.n, 0);
}

// A torrent file around metadata from peers must have the same info-hash, and what the link said besides.
static void a_torrent_file_is_made_around_metadata(void **state)
{
    UNUSED_STATE(state);
    static const char info[] = "d6:lengthi4e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    const struct metainfo_url trackers[] = {{SLICE_LIT("http://a.example/announce"), 0}, {SLICE_LIT("http://b.example/announce"), 0},
                                            {SLICE_LIT("udp://c.example:1"), 1}};
    const struct slice seed = SLICE_LIT("http://s.example/x");
    const struct metainfo_wrapping wrap = {.info = slice_str(info), .trackers = trackers, .trackers_n = 3, .web_seeds = &seed, .web_seeds_n = 1};
    const size_t cap = metainfo_wrap_len(&wrap);
    struct buf b = {malloc(cap), 0, cap};
    struct wr w = wr_make(&b);
    metainfo_wrap(&w, &wrap);
    assert_true(w.ok);
    struct metainfo m;
    char why[160];
    assert_int_equal(metainfo_parse_own(&m, &test_mem, buf_slice(&b), why), ERR_OK);
    uint8_t hash[SHA1_LEN];
    sha1_of(slice_str(info), hash);
    assert_memory_equal(m.hash_v1, hash, SHA1_LEN);
    assert_int_equal(m.trackers_n, 3);
    assert_int_equal(m.trackers[1].tier, 0);
    assert_int_equal(m.trackers[2].tier, 1);
    assert_int_equal(m.web_seeds_n, 1);
    metainfo_free(&m);
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_bep),
        cmocka_unit_test(data_begins_where_the_dictionary_ends),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(truncated_at_every_length),
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(a_torrent_file_is_made_around_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
