// The peer wire and the allowed-fast set: layouts, limits, truncation. BEP 3, 6, 52.
#include "test.h"

#include "codec/peerwire.h"

static struct slice hex(const char *text, uint8_t *space, size_t cap)
{
    const size_t n = strlen(text) / 2;
    assert_true(n <= cap);
    assert_int_equal(hex_parse(slice_str(text), space, n), ERR_OK);
    return slice_of(space, n);
}

// Without this no peer would talk to us: the bits are those that three other programs send (peer_wire_behaviour.json).
static void handshake_bits(void **state)
{
    UNUSED_STATE(state);
    struct handshake h = {.has_fast = true, .has_extended = true, .has_dht = true};
    memset(h.info_hash, 0xaa, sizeof h.info_hash);
    memcpy(h.peer_id, "-KH0100-abcdefghijkl", 20);
    uint8_t space[HANDSHAKE_LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    handshake_write(&w, &h);
    assert_true(w.ok);
    assert_int_equal(b.n, HANDSHAKE_LEN);
    uint8_t expect[HANDSHAKE_LEN];
    hex("13426974546f7272656e742070726f746f636f6c"      // libtorrent 2.0.8, measured: reserved 0000000000100005
        "0000000000100005"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "2d4b48303130302d6162636465666768696a6b6c", expect, sizeof expect);
    assert_memory_equal(space, expect, sizeof expect);
    struct handshake back;
    assert_int_equal(handshake_parse(&back, space), ERR_OK);
    assert_true(back.has_dht);
    assert_true(back.has_fast);
    assert_true(back.has_extended);
    assert_false(back.has_v2);
    assert_memory_equal(back.info_hash, h.info_hash, 20);
    space[27] |= 0x10;
    assert_int_equal(handshake_parse(&back, space), ERR_OK);
    assert_true(back.has_v2);
    space[3] ^= 1;
    assert_int_equal(handshake_parse(&back, space), ERR_PROTOCOL);
    b.n = 1;
    handshake_write(&w, &h);
    assert_false(w.ok);
}

static const struct {
    struct peer_msg msg;
    const char *hex;
} messages[] = {
    {{.id = MSG_KEEP_ALIVE}, "00000000"},
    {{.id = MSG_CHOKE}, "0000000100"},
    {{.id = MSG_UNCHOKE}, "0000000101"},
    {{.id = MSG_INTERESTED}, "0000000102"},
    {{.id = MSG_NOT_INTERESTED}, "0000000103"},
    {{.id = MSG_HAVE, .index = 0x01020304}, "000000050401020304"},
    {{.id = MSG_BITFIELD, .payload = {(const uint8_t *)"\xff\x80", 2}}, "0000000305ff80"},
    {{.id = MSG_REQUEST, .index = 1, .begin = 0x4000, .len = 0x4000}, "0000000d06000000010000400000004000"},
    {{.id = MSG_CANCEL, .index = 1, .begin = UINT32_MAX, .len = 0x4000}, "0000000d0800000001ffffffff00004000"},
    {{.id = MSG_PORT, .port = 6881}, "00000003091ae1"},
    {{.id = MSG_SUGGEST, .index = 7}, "000000050d00000007"},
    {{.id = MSG_HAVE_ALL}, "000000010e"},
    {{.id = MSG_HAVE_NONE}, "000000010f"},
    {{.id = MSG_REJECT, .index = 0, .begin = 0, .len = 32768}, "0000000d10000000000000000000008000"},
    {{.id = MSG_ALLOWED_FAST, .index = 1059}, "000000051100000423"},
    {{.id = MSG_EXTENDED, .extended_id = 9, .payload = {(const uint8_t *)"\0\0\0\7", 4}},
     "00000006140900000007"},           // bep_layouts.json: donthave piece 7 with id 9
};

static void check_equal(const struct peer_msg *got, const struct peer_msg *want)
{
    assert_int_equal(got->id, want->id);
    assert_int_equal(got->index, want->index);
    assert_int_equal(got->begin, want->begin);
    assert_int_equal(got->len, want->len);
    assert_int_equal(got->port, want->port);
    assert_int_equal(got->extended_id, want->extended_id);
    assert_true(slice_eq(got->payload, want->payload));
}

// Without this a field could be written where peers do not read it.
static void every_message_is_what_the_bep_shows(void **state)
{
    UNUSED_STATE(state);
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        uint8_t space[64], expect[64];
        const struct slice want = hex(messages[i].hex, expect, sizeof expect);
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        peer_msg_write(&w, &messages[i].msg);
        assert_true(w.ok);
        assert_true(slice_eq(buf_slice(&b), want));
        struct peer_msg back;
        assert_int_equal(peer_msg_parse(&back, slice_sub(want, 4, want.n)), ERR_OK);
        check_equal(&back, &messages[i].msg);
        for (size_t room = 0; room < want.n; room++) {      // nothing without room, not even a length
            b = (struct buf){space, 0, room};
            w = wr_make(&b);
            peer_msg_write(&w, &messages[i].msg);
            assert_false(w.ok);
            assert_int_equal(b.n, 0);
        }
    }
}

// Without this a cut message would be taken as one with zeros in it (trap: libtorrent closes on a have of wrong length).
static void truncated_and_overlong_messages_are_refused(void **state)
{
    UNUSED_STATE(state);
    for (size_t i = 1; i < ARRAY_LEN(messages); i++) {
        uint8_t space[64] = {0};
        const struct slice whole = hex(messages[i].hex, space, sizeof space);
        const uint16_t id = messages[i].msg.id;
        if (id == MSG_BITFIELD || id == MSG_EXTENDED)
            continue;
        struct peer_msg m;
        for (size_t n = 1; n < 40; n++)
            if (n != whole.n - 4)
                assert_int_equal(peer_msg_parse(&m, slice_of(space + 4, n)), ERR_PROTOCOL);
    }
}

// Without this a block could be read past its end, or a hostile length reserve memory.
static void pieces_carry_their_data(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_PIECE, .index = 3, .begin = 16384, .len = 16384});
    uint8_t expect[64];
    assert_true(slice_eq(buf_slice(&b), hex("0000400907" "00000003" "00004000", expect, sizeof expect)));
    assert_int_equal(b.n, PIECE_HEADER_LEN);
    memcpy(space + 13, "data", 4);
    struct peer_msg m;
    assert_int_equal(peer_msg_parse(&m, slice_of(space + 4, 13)), ERR_OK);
    assert_int_equal(m.id, MSG_PIECE);
    assert_int_equal(m.index, 3);
    assert_int_equal(m.begin, 16384);
    assert_int_equal(m.len, 4);
    assert_true(slice_eq_str(m.payload, "data"));
    for (size_t n = 1; n < 9; n++)
        assert_int_equal(peer_msg_parse(&m, slice_of(space + 4, n)), ERR_PROTOCOL);
    assert_int_equal(peer_msg_len_max(MSG_PIECE, 0), 9 + 16384);
    assert_int_equal(peer_msg_len_max(MSG_BITFIELD, 164), 165);
    assert_int_equal(peer_msg_len_max(MSG_BITFIELD, 0), 1 + 2097152 / 8);
    assert_int_equal(peer_msg_len_max(MSG_EXTENDED, 10), 1 << 20);
}

// Without this v2 hashes would be cut, and a future message would cost us the peer.
static void hashes_and_unknown_ids(void **state)
{
    UNUSED_STATE(state);
    static uint8_t space[49 + 32 * 600];
    struct peer_msg m;
    space[0] = MSG_HASH_REQUEST;
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 49)), ERR_OK);
    assert_int_equal(m.payload.n, 48);
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 48)), ERR_PROTOCOL);
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 50)), ERR_PROTOCOL);
    space[0] = MSG_HASHES;
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 49 + 64)), ERR_OK);
    assert_int_equal(m.payload.n, 48 + 64);
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 49 + 63)), ERR_PROTOCOL);
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 49 + 32 * HASHES_MAX)), ERR_OK);
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 49 + 32 * (HASHES_MAX + 1))), ERR_PROTOCOL);
    space[0] = 99;
    assert_int_equal(peer_msg_parse(&m, slice_of(space, 5)), ERR_OK);
    assert_int_equal(m.id, MSG_UNKNOWN);
    assert_int_equal(m.payload.n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_bits),
        cmocka_unit_test(every_message_is_what_the_bep_shows),
        cmocka_unit_test(truncated_and_overlong_messages_are_refused),
        cmocka_unit_test(pieces_carry_their_data),
        cmocka_unit_test(hashes_and_unknown_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
