// Frames of recordings: read as written, refused when cut or changed in their head. A replay begins with them.
#include "test.h"

#include "codec/record.h"

static const struct record one = {.kind = RECORD_JOB_DONE, .now = 0x0102030405060708, .num = {1, UINT64_MAX, 3, 4, 5, 6},
    .addr = {.family = ADDR_IPV6, .ip = {1, 2, 3}, .port = 6881}, .slice = {{(const uint8_t *)"abc", 3}, {NULL, 0}, {(const uint8_t *)"z", 1}}};

static void a_frame_is_read_as_written(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[256];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    record_write(&w, &one);
    assert_true(w.ok);
    assert_int_equal(b.n, record_size(&one));
    static const uint8_t head[] = {0, 0, 0, 92, RECORD_JOB_DONE, 1, 2, 3, 4, 5, 6, 7, 8};
    assert_memory_equal(space, head, sizeof head);      // literal: recordings of one version stay readable
    struct rd r = rd_make(buf_slice(&b));
    struct record got;
    assert_int_equal(record_read(&r, &got), ERR_OK);
    assert_int_equal(r.n, 0);
    assert_int_equal(got.kind, one.kind);
    assert_int_equal(got.now, one.now);
    assert_memory_equal(got.num, one.num, sizeof one.num);
    assert_true(addr_eq(&got.addr, &one.addr));
    assert_true(slice_eq(got.slice[0], one.slice[0]));
    assert_true(slice_eq(got.slice[1], one.slice[1]));
    assert_true(slice_eq(got.slice[2], one.slice[2]));
}

static void cut_anywhere_it_is_refused(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[256];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    record_write(&w, &one);
    for (size_t n = 0; n < b.n; n++) {
        struct rd r = rd_make(slice_of(space, n));
        struct record got;
        assert_int_equal(record_read(&r, &got), ERR_SYNTAX);
    }
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{4, 0}, {4, RECORD_KINDS}, {3, 93}, {0, 0xff}, {4 + 1 + 8 + 48, 5}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const uint8_t was = space[wrong[i].at];
        space[wrong[i].at] = wrong[i].value;
        struct rd r = rd_make(buf_slice(&b));
        struct record got;
        assert_int_equal(record_read(&r, &got), ERR_SYNTAX);
        space[wrong[i].at] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_frame_is_read_as_written), cmocka_unit_test(cut_anywhere_it_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
