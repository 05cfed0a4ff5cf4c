// The extension handshake. Vectors: bep10.json (BEP 10; a handshake captured by rqbit), peer_wire_behaviour.json (measured).
#include "test.h"

#include "codec/extended.h"
#include "codec/peerwire.h"

static const char captured[] =          // bep10.json "captured_rqbit", the payload
    "d12:complete_agoi22934e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi9e12:ut_holepunchi4e11:ut_metadatai2e"
    "6:ut_pexi1ee13:metadata_sizei138876e4:reqqi500e11:upload_onlyi1e1:v23:qBittorrent/4.4.0alpha16:yourip4:\x7f\0\0\1e";

static struct extended_handshake parse(struct slice s)
{
    struct extended_handshake h;
    assert_int_equal(extended_parse(&h, s), ERR_OK);
    return h;
}

// Without this no metadata, no peer exchange, no hole punching with any of the programs that were captured.
static void real_handshakes_are_understood(void **state)
{
    UNUSED_STATE(state);
    struct extended_handshake h = parse(SLICE_LIT(captured));
    assert_int_equal(h.ids[EXT_METADATA], 2);
    assert_int_equal(h.ids[EXT_PEX], 1);
    assert_int_equal(h.ids[EXT_HOLEPUNCH], 4);
    assert_int_equal(h.ids[EXT_DONTHAVE], 7);
    assert_int_equal(h.ids[EXT_UPLOAD_ONLY], 9);
    assert_int_equal(h.metadata_size, 138876);
    assert_int_equal(h.reqq, 500);
    assert_true(h.upload_only);
    assert_false(h.has_listen_port);
    assert_true(slice_eq_str(h.client, "qBittorrent/4.4.0alpha1"));
    assert_true(addr_is_loopback(&h.your_ip));
    static const uint8_t spec[] = "d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e";   // BEP 10
    h = parse(SLICE_LIT(spec));
    assert_int_equal(h.listen_port, 6881);
    assert_int_equal(h.client.n, 13);
    assert_false(h.has_id[EXT_METADATA]);
    h = parse(SLICE_LIT("d1:md11:ut_metadatai3ee11:upload_onlyi1ee"));      // BEP 21
    assert_true(h.has_upload_only);
    assert_true(h.upload_only);
    assert_int_equal(h.ids[EXT_METADATA], 3);
    h = parse(SLICE_LIT("d11:LT_metadatai0ee"));        // BEP 10 prints it without `m`
    assert_false(h.has_id[EXT_METADATA]);
    h = parse(SLICE_LIT("d1:md6:ut_pexi0eee"));         // 0 switches off
    assert_true(h.has_id[EXT_PEX]);
    assert_int_equal(h.ids[EXT_PEX], 0);
    h = parse(SLICE_LIT("d1:ei1e1:md11:ut_metadatai3e6:ut_pexi1ee13:metadata_sizei287e1:pi45001e4:reqqi512e11:upload_onlyi1e"
                        "1:v17:Transmission 3.00e"));   // measured
    assert_int_equal(h.listen_port, 45001);
    assert_int_equal(h.reqq, 512);
}

// Without this a hostile handshake sets a negative size, an id that does not fit a byte, or an address of 5 bytes.
static void nonsense_counts_as_not_said(void **state)
{
    UNUSED_STATE(state);
    const struct extended_handshake h = parse(SLICE_LIT(
        "d1:md11:ut_metadatai256e6:ut_pexi-1ee13:metadata_sizei0e1:pi65536e4:reqqi-5e11:upload_only1:11:vi5e6:yourip5:abcdee"));
    assert_false(h.has_id[EXT_METADATA]);
    assert_false(h.has_id[EXT_PEX]);
    assert_false(h.has_metadata_size);
    assert_false(h.has_listen_port);
    assert_false(h.has_reqq);
    assert_false(h.has_upload_only);
    assert_int_equal(h.client.n, 0);
    assert_int_equal(h.your_ip.family, ADDR_NONE);
    struct extended_handshake out;
    assert_int_equal(extended_parse(&out, SLICE_LIT("")), ERR_PROTOCOL);
    assert_int_equal(extended_parse(&out, SLICE_LIT("le")), ERR_PROTOCOL);
    assert_int_equal(extended_parse(&out, SLICE_LIT("d1:mi3ee trailing")), ERR_OK);
    for (size_t n = 0; n < sizeof captured - 1; n++)    // cut at every length
        assert_int_equal(extended_parse(&out, slice_of(captured, n)), ERR_PROTOCOL);
}

// Without this what we write is not what we would read, or not canonical.
static void ours_round_trips(void **state)
{
    UNUSED_STATE(state);
    const uint8_t ip[4] = {1, 2, 3, 4};
    const struct extended_handshake h = {
        .has_id = {true, true, true, true, true}, .ids = {5, 4, 3, 2, 1}, .has_reqq = true, .reqq = 2000,
        .has_listen_port = true, .listen_port = 6881, .has_metadata_size = true, .metadata_size = 31457280,
        .has_upload_only = true, .upload_only = true, .client = SLICE_LIT("kith/0.1.0"), .your_ip = addr_ipv4(ip, 0),
    };
    uint8_t space[EXTENDED_HANDSHAKE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    extended_write(&w, &h);
    assert_true(w.ok);
    static const char expect[] = "\0\0\0\xb7\x14\0d1:md11:lt_donthavei5e11:upload_onlyi4e12:ut_holepunchi3e11:ut_metadatai2e6:ut_pexi1ee"
        "13:metadata_sizei31457280e1:pi6881e4:reqqi2000e11:upload_onlyi1e1:v10:kith/0.1.06:yourip4:\1\2\3\4e";
    assert_true(slice_eq(buf_slice(&b), SLICE_LIT(expect)));
    struct peer_msg m;
    assert_int_equal(peer_msg_parse(&m, slice_sub(buf_slice(&b), 4, b.n)), ERR_OK);
    assert_int_equal(m.extended_id, 0);
    const struct extended_handshake back = parse(m.payload);
    assert_memory_equal(back.ids, h.ids, sizeof h.ids);
    assert_int_equal(back.metadata_size, h.metadata_size);
    assert_true(slice_eq(back.client, h.client));
    assert_true(addr_eq(&back.your_ip, &h.your_ip));
    const struct extended_handshake none = {0};
    b.n = 0;
    w = wr_make(&b);
    extended_write(&w, &none);
    assert_true(slice_eq(buf_slice(&b), SLICE_LIT("\0\0\0\x09\x14\0d1:mdee")));
    b = (struct buf){space, 0, 12};
    w = wr_make(&b);
    extended_write(&w, &none);
    assert_false(w.ok);
    assert_int_equal(b.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_handshakes_are_understood), cmocka_unit_test(nonsense_counts_as_not_said),
        cmocka_unit_test(ours_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
