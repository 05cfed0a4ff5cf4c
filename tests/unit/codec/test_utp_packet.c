// uTP packets: a captured connection, round trips, truncation, what is refused. BEP 29.
#include "codec/utp.h"

#include "vectors.h"

static const char *const NAMES[] = {"DATA", "FIN", "STATE", "RESET", "SYN"};

static uint32_t field(const json_t *p, const char *name) { return (uint32_t)json_integer_value(json_object_get(p, name)); }

// Without this we do not read what libtorrent sends.
static void captured_packets(void **state)
{
    UNUSED_STATE(state);
    json_t *v = vector_json("bep29_utp_capture.json");
    const json_t *packets = json_object_get(v, "packets");
    assert_int_equal(json_array_size(packets), 83);
    size_t i;
    json_t *v_packet;
    json_array_foreach(packets, i, v_packet) {
        const struct slice b = json_hex(json_object_get(v_packet, "packet_hex"));
        struct utp_packet p;
        assert_int_equal(utp_packet_parse(&p, b), ERR_OK);
        assert_string_equal(NAMES[p.type], json_text(v_packet, "type"));
        assert_int_equal(p.conn_id, field(v_packet, "conn_id"));
        assert_int_equal(p.timestamp_us, field(v_packet, "timestamp_us"));
        assert_int_equal(p.timestamp_diff_us, field(v_packet, "timestamp_diff_us"));
        assert_int_equal(p.window, field(v_packet, "wnd"));
        assert_int_equal(p.seq, field(v_packet, "seq"));
        assert_int_equal(p.ack, field(v_packet, "ack"));
        assert_int_equal(p.payload.n, field(v_packet, "payload_len"));
        assert_int_equal(p.has_reason, json_array_size(json_object_get(v_packet, "ext")) != 0);
        if (p.has_reason)
            assert_int_equal(p.reason, 6);
        uint8_t space[64];
        struct buf out = {space, 0, sizeof space};
        struct wr w = wr_make(&out);
        utp_packet_write(&w, &p, 0);
        assert_true(w.ok);
        assert_memory_equal(space, b.p, out.n);
        assert_int_equal(out.n + p.payload.n, b.n);
        for (size_t n = 0; n < b.n; n++) {
            uint8_t *exact = malloc(n + 1);
            memcpy(exact, b.p, n);
            assert_int_equal(utp_packet_parse(&p, slice_of(exact, n)), n < out.n ? ERR_PROTOCOL : ERR_OK);
            free(exact);
        }
        free((void *)b.p);
    }
    json_decref(v);
}

static enum err parse_hex(const char *hex, struct utp_packet *out)
{
    static uint8_t space[512];
    assert_int_equal(hex_parse(slice_str(hex), space, strlen(hex) / 2), ERR_OK);
    return utp_packet_parse(out, slice_of(space, strlen(hex) / 2));
}

#define REST "0001" "00000001" "00000002" "00000003" "0004" "0005"

// Without this a hostile packet's extensions are read past its end, or a good one's are taken for data.
static void extensions(void **state)
{
    UNUSED_STATE(state);
    struct utp_packet p;
    assert_int_equal(parse_hex("2101" REST "0004" "01000080", &p), ERR_OK);
    assert_int_equal(p.sack.n, 4);
    assert_int_equal(p.sack.p[0], 1);
    assert_int_equal(p.payload.n, 0);
    assert_int_equal(parse_hex("0163" REST "0102" "aaaa" "0004" "01000080" "ff", &p), ERR_OK);  // an unknown one first
    assert_int_equal(p.sack.n, 4);
    assert_int_equal(p.payload.n, 1);
    assert_int_equal(parse_hex("2101" REST "0006" "020000000000", &p), ERR_OK);                 // as libtorrent does
    assert_int_equal(p.sack.n, 6);
    assert_int_equal(parse_hex("2101" REST "0000", &p), ERR_OK);
    assert_int_equal(p.sack.n, 0);
    assert_int_equal(parse_hex("2101" REST "0004" "010000", &p), ERR_PROTOCOL);                 // past the end
    assert_int_equal(parse_hex("2101" REST "00", &p), ERR_PROTOCOL);
    assert_int_equal(parse_hex("2201" REST "0004" "01000080", &p), ERR_PROTOCOL);               // version 2
    assert_int_equal(parse_hex("5100" REST, &p), ERR_PROTOCOL);                                 // no such type
    char many[44 + 4 * (UTP_EXTENSIONS_MAX + 1) + 1];
    (void)snprintf(many, sizeof many, "2163" REST);
    for (int i = 0; i < UTP_EXTENSIONS_MAX; i++)
        strcat(many, i == UTP_EXTENSIONS_MAX - 1 ? "0000" : "6300");
    assert_int_equal(parse_hex(many, &p), ERR_OK);
    (void)snprintf(many, sizeof many, "2163" REST);
    for (int i = 0; i <= UTP_EXTENSIONS_MAX; i++)
        strcat(many, i == UTP_EXTENSIONS_MAX ? "0000" : "6300");
    assert_int_equal(parse_hex(many, &p), ERR_PROTOCOL);
}

// Without this a probe for the path's MTU is not of the size that it probes.
static void padding(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[UTP_HEADER_LEN + UTP_PAD_MAX], mask[4] = {5, 0, 0, 0x80};
    for (uint32_t pad = 2; pad <= UTP_PAD_MAX; pad++) {
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        struct utp_packet p = {.type = UTP_DATA, .conn_id = 7, .seq = 65535, .ack = 1}, back;
        utp_packet_write(&w, &p, pad);
        assert_true(w.ok);
        assert_int_equal(b.n, UTP_HEADER_LEN + pad);
        assert_int_equal(utp_packet_parse(&back, buf_slice(&b)), ERR_OK);
        assert_int_equal(back.payload.n, 0);
        assert_int_equal(back.seq, 65535);
    }
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct utp_packet p = {.type = UTP_FIN, .sack = slice_of(mask, 4), .has_reason = true, .reason = 3}, back;
    utp_packet_write(&w, &p, 9);
    assert_int_equal(utp_packet_parse(&back, buf_slice(&b)), ERR_OK);
    assert_true(slice_eq(back.sack, p.sack));
    assert_int_equal(back.reason, 3);
    assert_int_equal(back.payload.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(captured_packets), cmocka_unit_test(extensions), cmocka_unit_test(padding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
