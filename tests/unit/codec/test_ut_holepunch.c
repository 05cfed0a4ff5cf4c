// ut_holepunch. The examples are worked out from BEP 55's text; libtorrent's short form is what it sends.
#include "test.h"

#include "codec/peerwire.h"
#include "codec/ut_holepunch.h"

struct example {
    struct ut_holepunch m;
    const char *hex;
};

static struct addr four(void) { return addr_ipv4((uint8_t[4]){10, 1, 2, 3}, 6881); }
static struct addr six(void) { return addr_ipv6((uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 6881); }

static size_t examples(struct example out[3])
{
    out[0] = (struct example){{.type = UT_HOLEPUNCH_RENDEZVOUS, .addr = four()}, "00000a0102031ae100000000"};
    out[1] = (struct example){{.type = UT_HOLEPUNCH_CONNECT, .addr = six()}, "010120010db80000000000000000000000011ae100000000"};
    out[2] = (struct example){{.type = UT_HOLEPUNCH_ERROR, .addr = four(), .error = UT_HOLEPUNCH_NOT_CONNECTED}, "02000a0102031ae100000002"};
    return 3;
}

static bool same(const struct ut_holepunch *a, const struct ut_holepunch *b)
{
    return a->type == b->type && addr_eq(&a->addr, &b->addr) && a->error == b->error;
}

static void messages_are_as_in_the_text(void **state)
{
    UNUSED_STATE(state);
    struct example all[3];
    for (size_t i = 0; i < examples(all); i++) {
        uint8_t expect[32], space[UT_HOLEPUNCH_MESSAGE_MAX];
        const size_t n = strlen(all[i].hex) / 2;
        struct ut_holepunch m;
        assert_int_equal(hex_parse(slice_str(all[i].hex), expect, n), ERR_OK);
        assert_int_equal(ut_holepunch_parse(&m, slice_of(expect, n)), ERR_OK);
        assert_true(same(&m, &all[i].m));
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        ut_holepunch_write(&w, 9, &all[i].m);
        struct peer_msg msg;
        assert_int_equal(peer_msg_parse(&msg, slice_sub(buf_slice(&b), 4, b.n)), ERR_OK);
        assert_int_equal(msg.extended_id, 9);
        assert_int_equal(msg.payload.n, n);
        assert_memory_equal(msg.payload.p, expect, n);
    }
}

// libtorrent leaves the code out of all but errors (trap 15); whatever is shorter than that is no message.
static void short_forms(void **state)
{
    UNUSED_STATE(state);
    struct example all[3];
    for (size_t i = 0; i < examples(all); i++) {
        const size_t n = strlen(all[i].hex) / 2;
        for (size_t cut = 0; cut <= n; cut++) {
            uint8_t *copy = malloc(cut + 1);            // exactly so long: a sanitizer sees a step too far
            uint8_t whole[32];
            assert_int_equal(hex_parse(slice_str(all[i].hex), whole, n), ERR_OK);
            memcpy(copy, whole, cut);
            struct ut_holepunch m;
            const enum err e = ut_holepunch_parse(&m, slice_of(copy, cut));
            assert_int_equal(e, cut >= n - 4 ? ERR_OK : ERR_PROTOCOL);
            if (e == ERR_OK)
                assert_int_equal(m.error, cut == n ? all[i].m.error : 0);
            free(copy);
        }
    }
    struct ut_holepunch m;
    assert_int_equal(ut_holepunch_parse(&m, slice_of("\3\0aaaabb\0\0\0\0", 12)), ERR_PROTOCOL);
    assert_int_equal(ut_holepunch_parse(&m, slice_of("\0\2aaaabb\0\0\0\0", 12)), ERR_PROTOCOL);
    assert_int_equal(ut_holepunch_parse(&m, slice_of("\1\0aaaabb\0\0\0\4", 12)), ERR_OK);
    assert_int_equal(m.error, 0);       // a code where none belongs means nothing
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(messages_are_as_in_the_text), cmocka_unit_test(short_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
