// KRPC messages, node ids, items, scrape filters. Vectors: bep05_krpc.json (BEP 5), dht_captured.json (packets of the real
// network, from rqbit), bep33_bloom.json, bep42_node_id.json (BEP 42, anacrolix), bep44_46.json.
#include "vectors.h"

#include "base/crc32c.h"
#include "codec/krpc.h"

static struct krpc parse(struct slice s)
{
    struct krpc m;
    assert_int_equal(krpc_parse(&m, s), ERR_OK);
    return m;
}

static struct slice write_to(uint8_t space[KRPC_BYTES_MAX], const struct krpc *m)
{
    struct buf b = {space, 0, KRPC_BYTES_MAX};
    struct wr w = wr_make(&b);
    krpc_write(&w, m);
    assert_true(w.ok);
    return buf_slice(&b);
}

static void no_part_of_it_parses(struct slice s)
{
    struct krpc m;
    for (size_t n = 0; n < s.n; n++) {
        uint8_t *copy = malloc(n + 1);          // so that a sanitizer sees a read past the end
        memcpy(copy, s.p, n);
        assert_int_equal(krpc_parse(&m, slice_of(copy, n)), ERR_PROTOCOL);
        free(copy);
    }
}

// Without this we and the rest of the network do not understand each other.
static void messages_of_bep5_read_and_write_the_same(void **state)
{
    UNUSED_STATE(state);
    json_t *const root = vector_json("bep05_krpc.json");
    json_t *const cases = json_object_get(root, "cases");
    size_t i;
    json_t *c;
    json_array_foreach(cases, i, c) {
        const struct slice text = slice_str(json_text(c, "bencoded"));
        uint8_t space[KRPC_BYTES_MAX];
        const struct krpc m = parse(text);
        no_part_of_it_parses(text);
        assert_true(slice_eq_str(m.tid, "aa"));
        if (strstr(json_text(c, "bencoded"), "def456...") != NULL) {
            assert_int_equal(m.nodes.n, 0);     // the page's placeholder is no list of nodes
            continue;
        }
        if (!slice_eq(write_to(space, &m), text))
            fail_msg("%s is written otherwise", json_text(c, "name"));
    }
    struct krpc m = parse(SLICE_LIT("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"));
    assert_int_equal(m.kind, KRPC_ERROR);
    assert_int_equal(m.code, KRPC_GENERIC);
    assert_true(slice_eq_str(m.text, "A Generic Error Ocurred"));
    m = parse(SLICE_LIT("d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe"
                        "1:q13:announce_peer1:t2:aa1:y1:qe"));
    assert_int_equal(m.method, KRPC_ANNOUNCE_PEER);
    assert_true(m.implied_port);
    assert_int_equal(m.port, 6881);
    assert_memory_equal(m.target, "mnopqrstuvwxyz123456", 20);
    m = parse(SLICE_LIT("d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re"));
    struct bencode b;
    struct addr a;
    char text[ADDR_TEXT_MAX];
    krpc_values(&b, m.values);
    assert_true(krpc_value(&b, &a));
    assert_string_equal(addr_format(&a, text), "97.120.106.101:11893");
    assert_true(krpc_value(&b, &a));
    assert_string_equal(addr_format(&a, text), "105.100.104.116:28269");
    assert_false(krpc_value(&b, &a));
    json_decref(root);
}

// Without this packets of the live network are dropped.
static void captured_packets_are_understood(void **state)
{
    UNUSED_STATE(state);
    json_t *const root = vector_json("dht_captured.json");
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        const struct slice bytes = json_hex(json_object_get(c, "hex"));
        const struct krpc m = parse(bytes);
        uint8_t space[KRPC_BYTES_MAX], id[NODE_ID_LEN];
        struct addr a;
        assert_int_equal(m.tid.n, 2);
        if (strstr(json_text(c, "name"), "find_node_request") != NULL)
            assert_int_equal(m.method, KRPC_FIND_NODE);
        if (strstr(json_text(c, "name"), "get_peers_request") != NULL)
            assert_int_equal(m.method, KRPC_GET_PEERS);
        if (strstr(json_text(c, "name"), "find_node_response_1") != NULL)
            assert_int_equal(m.nodes.n, 8 * KRPC_NODE_V4_LEN);
        if (strstr(json_text(c, "name"), "find_node_response_2") != NULL) {
            assert_int_equal(m.nodes.n, 16 * KRPC_NODE_V4_LEN);
            assert_int_equal(m.ip.family, ADDR_IPV4);
            assert_true(krpc_node(m.nodes, ADDR_IPV4, 15, id, &a));
            assert_false(krpc_node(m.nodes, ADDR_IPV4, 16, id, &a));
        }
        if (!slice_eq(write_to(space, &m), bytes))
            fail_msg("%s is written otherwise", json_text(c, "name"));
        no_part_of_it_parses(bytes);
        free((void *)bytes.p);
    }
    json_decref(root);
}

// Without this a field of the later BEPs is lost on its way, or written where a strict reader stops.
static void every_field_comes_back(void **state)
{
    UNUSED_STATE(state);
    const uint8_t ip4[4] = {192, 0, 2, 7}, ip6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    uint8_t bloom[BLOOM_LEN] = {1, 2, 3}, nodes[2 * KRPC_NODE_V4_LEN], nodes6[KRPC_NODE_V6_LEN], space[KRPC_BYTES_MAX];
    memset(nodes, 7, sizeof nodes);
    memset(nodes6, 8, sizeof nodes6);
    struct krpc m = {.kind = KRPC_REPLY, .tid = SLICE_LIT("\0\1\2"), .version = SLICE_LIT("KH\0\1"), .ip = addr_ipv4(ip4, 6881), .has_id = true,
        .nodes = slice_of(nodes, sizeof nodes), .nodes6 = slice_of(nodes6, sizeof nodes6), .token = SLICE_LIT("tok"),
        .values = SLICE_LIT("l6:abcdef18:abcdefabcdefabcdefe"), .bloom_seeds = slice_of(bloom, BLOOM_LEN),
        .bloom_peers = slice_of(bloom, BLOOM_LEN), .has_interval = true, .interval_s = 21600, .num = 77,
        .samples = SLICE_LIT("01234567890123456789"), .value = SLICE_LIT("12:Hello World!"), .has_key = true, .has_sig = true,
        .has_seq = true, .seq = INT64_MAX, .key = {9}, .sig = {8}, .id = {7}};
    struct slice bytes = write_to(space, &m);
    struct krpc got = parse(bytes);
    assert_true(got.has_interval && got.has_key && got.has_sig && got.has_seq);
    assert_int_equal(got.interval_s, 21600);
    assert_int_equal(got.num, 77);
    assert_true(got.seq == INT64_MAX);
    assert_int_equal(got.nodes6.n, KRPC_NODE_V6_LEN);
    assert_int_equal(got.bloom_peers.n, BLOOM_LEN);
    assert_true(slice_eq(got.value, m.value));
    assert_true(slice_eq(got.samples, m.samples));
    assert_int_equal(got.ip.port, 6881);
    no_part_of_it_parses(bytes);
    const struct addr six = addr_ipv6(ip6, 1);
    m = (struct krpc){.kind = KRPC_QUERY, .method = KRPC_PUT, .tid = SLICE_LIT("x"), .read_only = true, .ip = six, .has_id = true,
        .has_cas = true, .cas = -5, .has_seq = true, .seq = 4, .salt = SLICE_LIT("foobar"), .token = SLICE_LIT("t"), .has_key = true,
        .has_sig = true, .value = SLICE_LIT("d1:ai1ee")};
    bytes = write_to(space, &m);
    got = parse(bytes);
    assert_int_equal(got.method, KRPC_PUT);
    assert_true(got.read_only && got.has_cas);
    assert_int_equal(got.cas, -5);
    assert_true(slice_eq_str(got.salt, "foobar"));
    assert_true(addr_eq(&got.ip, &six));
    m = (struct krpc){.kind = KRPC_QUERY, .method = KRPC_GET_PEERS, .tid = SLICE_LIT("x"), .has_id = true, .has_target = true,
        .has_want = true, .want_v4 = true, .want_v6 = true, .scrape = true, .noseed = true};
    bytes = write_to(space, &m);
    got = parse(bytes);
    assert_true(got.want_v4 && got.want_v6 && got.scrape && got.noseed && !got.seed);
    no_part_of_it_parses(bytes);
}

// Without this a hostile datagram is taken for a message, or one broken field costs a whole good one.
static void nonsense_is_refused_or_not_there(void **state)
{
    UNUSED_STATE(state);
    static const char *const bad[] = {
        "", "i1e", "le", "de", "d1:t2:aa1:y1:qe", "d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe", "d1:ade1:q4:ping1:t2:aa1:y1:qe",
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t0:1:y1:qe", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe",
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:xe", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y2:qqe",
        "d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe",
        "d1:ad2:id20:abcdefghij01234567899:info_hash19:mnopqrstuvwxyz12345e1:q9:get_peers1:t2:aa1:y1:qe", "d1:r2:ab1:t2:aa1:y1:re",
    };
    struct krpc m;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (krpc_parse(&m, slice_str(bad[i])) != ERR_PROTOCOL)
            fail_msg("taken: %s", bad[i]);
    m = parse(SLICE_LIT("d1:rd4:BFsd3:abc2:id20:abcdefghij01234567898:intervali-1e1:k3:abc5:nodes27:aaaaaaaaaaaaaaaaaaaaaaaaaaa3:numi-4e"
                        "7:samples3:abc3:sig1:a5:tokeni5e6:values3:abce1:t2:aa1:y1:re"));
    assert_int_equal(m.nodes.n + m.values.n + m.samples.n + m.token.n + m.bloom_seeds.n + m.num, 0);
    assert_false(m.has_interval || m.has_key || m.has_sig);
    m = parse(SLICE_LIT("d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee"));      // unsorted: read all the same
    assert_int_equal(m.method, KRPC_PING);
    m = parse(SLICE_LIT("d1:ad2:id20:abcdefghij0123456789e1:q4:what1:t2:aa1:y1:qetrailing"));
    assert_int_equal(m.method, KRPC_UNKNOWN);
    static uint8_t big[KRPC_BYTES_MAX + 1];
    assert_int_equal(krpc_parse(&m, slice_of(big, sizeof big)), ERR_PROTOCOL);
}

// Without this our id is not taken by nodes that enforce BEP 42, and sybils choose their place.
static void ids_are_bound_to_addresses(void **state)
{
    UNUSED_STATE(state);
    json_t *const root = vector_json("bep42_node_id.json");
    struct rng rng = rng_make(1, 2);
    size_t i;
    json_t *c;
    assert_int_equal(crc32c(SLICE_LIT("123456789")), 0xe3069283);           // RFC 3720's check value
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        const struct slice id = json_hex(json_object_get(c, "node_id"));
        struct addr a;
        uint8_t own[NODE_ID_LEN];
        assert_int_equal(addr_parse(slice_str(json_text(c, "ip")), 0, &a), ERR_OK);
        assert_int_equal(node_id_fits(id.p, &a), json_is_true(json_object_get(c, "valid")));
        node_id_make(&a, &rng, own);
        assert_true(node_id_fits(own, &a));
        own[0] ^= 0x80;
        assert_int_equal(node_id_fits(own, &a), addr_is_local(&a));
        free((void *)id.p);
    }
    const uint8_t ip6[16] = {0x20, 1, 0xd, 0xb8, 5, 6, 7, 8, 9};
    const struct addr six = addr_ipv6(ip6, 1);
    uint8_t own[NODE_ID_LEN];
    node_id_make(&six, &rng, own);
    assert_true(node_id_fits(own, &six));
    const uint8_t a[NODE_ID_LEN] = {0x80}, b[NODE_ID_LEN] = {0x81}, zero[NODE_ID_LEN] = {0};
    assert_int_equal(node_id_prefix(a, b), 7);
    assert_int_equal(node_id_prefix(a, a), 160);
    assert_true(node_id_nearer(zero, a, b) < 0);
    assert_true(node_id_nearer(b, a, zero) < 0);
    json_decref(root);
}

// Without this items of others do not verify, and ours are refused.
static void items_are_named_and_signed_as_in_bep44(void **state)
{
    UNUSED_STATE(state);
    json_t *const root = vector_json("bep44_46.json");
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        uint8_t target[NODE_ID_LEN];
        if (json_text(c, "public_key") == NULL) {
            dht_item_immutable(slice_str(json_text(c, "value")), target);
            assert_hex(target, sizeof target, json_text(c, "target"));
            continue;
        }
        struct dht_item item = {.salt = json_text(c, "salt") != NULL ? slice_str(json_text(c, "salt")) : (struct slice){0}};
        if (json_text(c, "salt_hex") != NULL)
            item.salt = SLICE_LIT("n");
        assert_int_equal(hex_parse(slice_str(json_text(c, "public_key")), item.key, sizeof item.key), ERR_OK);
        dht_item_mutable(item.key, item.salt, target);
        assert_hex(target, sizeof target, json_text(c, "target"));
        if (json_text(c, "signature") == NULL)
            continue;
        item.value = slice_str(json_text(c, "value"));
        item.seq = json_integer_value(json_object_get(c, "seq"));
        assert_int_equal(hex_parse(slice_str(json_text(c, "signature")), item.sig, sizeof item.sig), ERR_OK);
        uint8_t space[ITEM_SIGNED_MAX];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        dht_item_signed(&w, &item);
        assert_true(slice_eq_str(buf_slice(&b), json_text(c, "signed_buffer")));
        assert_true(dht_item_verify(&item));
        item.seq++;
        assert_false(dht_item_verify(&item));
    }
    uint8_t seed[SIGN_SEED_LEN] = {1, 2, 3}, secret[SIGN_SECRET_LEN];
    struct dht_item own = {.value = SLICE_LIT("i5e"), .salt = SLICE_LIT("s"), .seq = -3};
    sign_key(seed, own.key, secret);
    dht_item_sign(&own, secret);
    sign_wipe(secret, sizeof secret);
    assert_true(dht_item_verify(&own));
    own.sig[5] ^= 1;
    assert_false(dht_item_verify(&own));
    json_decref(root);
}

// RFC 8032 §7.1, tests 1 and 2: without this our signatures are nobody else's.
static void signatures_are_those_of_the_rfc(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *seed, *public_key, *message, *sig;
    } cases[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t seed[SIGN_SEED_LEN], public_key[SIGN_PUBLIC_LEN], secret[SIGN_SECRET_LEN], sig[SIGN_LEN];
        assert_int_equal(hex_parse(slice_str(cases[i].seed), seed, sizeof seed), ERR_OK);
        sign_key(seed, public_key, secret);
        assert_hex(public_key, sizeof public_key, cases[i].public_key);
        sign_make(secret, slice_str(cases[i].message), sig);
        assert_hex(sig, sizeof sig, cases[i].sig);
        assert_true(sign_verify(public_key, slice_str(cases[i].message), sig));
        assert_false(sign_verify(public_key, SLICE_LIT("x"), sig));
    }
}

// Without this a scrape counts wrong.
static void filters_are_those_of_bep33(void **state)
{
    UNUSED_STATE(state);
    json_t *const root = vector_json("bep33_bloom.json");
    const json_t *const c = json_array_get(json_object_get(root, "cases"), 0);
    uint8_t filter[BLOOM_LEN] = {0}, half[BLOOM_LEN] = {0}, ip4[4] = {192, 0, 2}, ip6[16] = {0x20, 1, 0xd, 0xb8};
    assert_int_equal(bloom_count(filter), 0);
    for (unsigned i = 0; i < 256; i++) {
        ip4[3] = (uint8_t)i;
        const struct addr a = addr_ipv4(ip4, 1);
        bloom_add(filter, &a);
    }
    assert_in_range(bloom_count(filter), 240, 270);
    for (unsigned i = 0; i < 1000; i++) {
        ip6[14] = (uint8_t)(i >> 8);
        ip6[15] = (uint8_t)i;
        const struct addr a = addr_ipv6(ip6, 1);
        bloom_add(half, &a);
    }
    bloom_merge(filter, half);
    const struct slice expect = json_hex(json_object_get(c, "filter_hex"));
    assert_memory_equal(filter, expect.p, BLOOM_LEN);
    assert_int_equal(bloom_count(filter), 1225);        // 1224.9308
    memset(filter, 0xff, sizeof filter);
    assert_int_equal(bloom_count(filter), 6000);
    free((void *)expect.p);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_bep5_read_and_write_the_same), cmocka_unit_test(captured_packets_are_understood),
        cmocka_unit_test(every_field_comes_back), cmocka_unit_test(nonsense_is_refused_or_not_there),
        cmocka_unit_test(ids_are_bound_to_addresses), cmocka_unit_test(items_are_named_and_signed_as_in_bep44),
        cmocka_unit_test(signatures_are_those_of_the_rfc), cmocka_unit_test(filters_are_those_of_bep33),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
