// The MSE/PE handshake: recorded ones replayed, both roles against each other in pieces of every size, keys and padding that
// must be refused. Without it kith cannot talk to peers that require encryption, or a stranger's key makes the secret known.
#include "../codec/vectors.h"

#include "engine/reach/mse.h"

static void feed(struct mse *m, struct slice in)
{
    while (in.n != 0 && m->state < MSE_DONE) {
        if (m->state == MSE_EXCHANGE) {
            mse_exchange(m);
            continue;
        }
        if (m->state == MSE_SKEY)
            return;
        const struct span room = mse_room(m);
        const size_t n = size_min(room.n, in.n);
        assert_true(n > 0);
        memcpy(room.p, in.p, n);
        in = slice_sub(in, n, in.n);
        mse_input(m, n);
    }
    if (m->state == MSE_EXCHANGE)
        mse_exchange(m);
}

static struct mse make(const json_t *c, uint8_t allowed, bool initiator)
{
    struct mse m;
    const struct slice key = json_hex(json_object_get(c, "private_key_hex")), skey = json_hex(json_object_get(c, "skey_infohash"));
    const struct mse_config cfg = {.initiator = initiator, .allowed = allowed, .private_key = key.p, .skey = skey.p, .pads = rng_make(1, 2)};
    assert_int_equal(mse_init(&m, &cfg), ERR_OK);
    free((void *)(uintptr_t)key.p);
    free((void *)(uintptr_t)skey.p);
    return m;
}

static void rc4_is_rc4(void **state)
{
    UNUSED_STATE(state);
    static const struct { const char *key, *at_1024, *at_4096; } CASES[] = {    // RFC 6229
        {"0102030405", "30abbcc7c20b01609f23ee2d5f6bb7df", "ff25b58995996707e51fbdf08b34d875"},
        {"0102030405060708090a0b0c0d0e0f10", "bdf0324e6083dcc6d3cedd3ca8c53c16", "a36a4c301ae8ac13610ccbc12256cacc"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        uint8_t key[16], out[16] = {0};
        const size_t n = strlen(CASES[i].key) / 2;
        assert_int_equal(hex_parse(slice_str(CASES[i].key), key, n), ERR_OK);
        struct rc4 r;
        rc4_init(&r, slice_of(key, n));
        rc4_skip(&r, 1024);
        rc4_crypt(&r, (struct span){out, 16});
        assert_hex(out, 16, CASES[i].at_1024);
        rc4_skip(&r, 4096 - 1040);
        memset(out, 0, sizeof out);
        rc4_crypt(&r, (struct span){out, 16});
        assert_hex(out, 16, CASES[i].at_4096);
    }
}

static void a_recorded_responder(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("mse.json");
    const json_t *c = json_array_get(json_object_get(root, "cases"), 0);
    const struct slice first = json_hex(json_object_get(c, "peer_sends_1_Ya_hex")), second = json_hex(json_object_get(c, "peer_sends_2_hex"));
    struct mse m = make(c, MSE_PLAIN | MSE_RC4, false);
    feed(&m, first);
    char yb[2 * DH768_LEN + 1];
    assert_true(mse_tx(&m).n >= DH768_LEN);
    for (size_t i = 0; i < DH768_LEN; i++)
        snprintf(yb + 2 * i, 3, "%02x", mse_tx(&m).p[i]);
    assert_string_equal(yb, json_text(c, "our_public_Yb_hex"));
    mse_tx_sent(&m);
    feed(&m, second);
    assert_int_equal(m.state, MSE_SKEY);
    const struct slice skey = json_hex(json_object_get(c, "skey_infohash"));
    uint8_t hash[SHA1_LEN];
    mse_skey_hash(skey.p, hash);
    assert_memory_equal(hash, m.wanted, sizeof hash);
    mse_skey(&m, skey.p);
    assert_int_equal(m.state, MSE_DONE);
    assert_int_equal(m.selected, MSE_RC4);
    const struct slice ia = json_hex(json_object_get(json_object_get(c, "derived"), "IA_hex"));
    assert_int_equal(mse_rest(&m).n, ia.n);
    assert_memory_equal(mse_rest(&m).p, ia.p, ia.n);
    assert_int_equal(mse_tx(&m).n, 14);
    // A torrent that nobody has: nothing is said after Yb.
    m = make(c, MSE_RC4, false);
    feed(&m, first);
    mse_tx_sent(&m);
    feed(&m, second);
    mse_skey(&m, NULL);
    assert_int_equal(m.state, MSE_FAILED);
    assert_int_equal(mse_tx(&m).n, 0);
    // It offers RC4 alone.
    m = make(c, MSE_PLAIN, false);
    feed(&m, first);
    feed(&m, second);
    mse_skey(&m, skey.p);
    assert_int_equal(m.state, MSE_FAILED);
    free((void *)(uintptr_t)first.p);
    free((void *)(uintptr_t)second.p);
    free((void *)(uintptr_t)skey.p);
    free((void *)(uintptr_t)ia.p);
    json_decref(root);
}

static void a_recorded_initiator(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("mse.json");
    const json_t *c = json_array_get(json_object_get(root, "cases"), 1), *must = json_object_get(c, "engine_must_then_send");
    const struct slice first = json_hex(json_object_get(c, "peer_sends_1_Yb_hex")), second = json_hex(json_object_get(c, "peer_sends_2_hex"));
    struct mse m = make(c, MSE_RC4, true);
    assert_true(mse_tx(&m).n >= DH768_LEN);
    mse_tx_sent(&m);
    feed(&m, first);
    assert_hex(mse_tx(&m).p, 20, json_text(must, "req1_hash"));
    assert_hex(mse_tx(&m).p + 20, 20, json_text(must, "req2_xor_req3"));
    feed(&m, second);
    assert_int_equal(m.state, MSE_DONE);
    assert_int_equal(m.selected, MSE_RC4);
    const struct slice bt = json_hex(json_object_get(json_object_get(c, "derived"), "bt_stream_hex"));
    assert_true(mse_rest(&m).n >= bt.n);
    assert_memory_equal(mse_rest(&m).p, bt.p, bt.n);
    free((void *)(uintptr_t)first.p);
    free((void *)(uintptr_t)second.p);
    free((void *)(uintptr_t)bt.p);
    json_decref(root);
}

static void degenerate_keys_are_refused(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("mse.json");
    const json_t *keys = json_object_get(json_object_get(root, "degenerate_public_keys_must_be_rejected"), "hex");
    uint8_t above[DH768_LEN];
    memset(above, 0xff, sizeof above);
    for (size_t i = 0; i <= json_array_size(keys); i++) {
        struct slice key = slice_of(above, sizeof above);
        if (i < json_array_size(keys))
            key = json_hex(json_array_get(keys, i));
        for (int initiator = 0; initiator < 2; initiator++) {
            struct mse m = make(json_array_get(json_object_get(root, "cases"), 0), MSE_PLAIN | MSE_RC4, initiator != 0);
            mse_tx_sent(&m);
            feed(&m, key);
            assert_int_equal(m.state, MSE_FAILED);
            assert_int_equal(mse_tx(&m).n, 0);
        }
        if (key.p != above)
            free((void *)(uintptr_t)key.p);
    }
    json_decref(root);
}

// Carries bytes both ways in pieces of `chunk` until both are done or nothing moves.
static void talk(struct mse *a, struct mse *b, const uint8_t *skey, size_t chunk)
{
    struct { uint8_t bytes[4096]; size_t n, at; } way[2] = {0};
    struct mse *ends[2] = {a, b};
    for (int idle = 0; idle < 3; idle++) {
        for (int i = 0; i < 2; i++) {
            struct mse *from = ends[i], *to = ends[1 - i];
            if (from->state == MSE_SKEY) {
                uint8_t hash[SHA1_LEN];
                mse_skey_hash(skey, hash);
                mse_skey(from, memcmp(hash, from->wanted, SHA1_LEN) == 0 ? skey : NULL);
                idle = -1;
            }
            const struct slice tx = mse_tx(from);
            memcpy(way[i].bytes + way[i].n, tx.p, tx.n);
            way[i].n += tx.n;
            mse_tx_sent(from);
            const size_t n = size_min(chunk, way[i].n - way[i].at);
            if (n == 0 || to->state == MSE_SKEY || to->state >= MSE_DONE)
                continue;
            feed(to, slice_of(way[i].bytes + way[i].at, n));
            way[i].at += n;
            idle = -1;
        }
    }
}

static void both_roles_meet(void **state)
{
    UNUSED_STATE(state);
    static const struct { uint8_t offers, accepts, selects; } CASES[] = {
        {3, 3, MSE_PLAIN}, {2, 3, MSE_RC4}, {3, 2, MSE_RC4}, {1, 3, MSE_PLAIN}, {2, 2, MSE_RC4}, {1, 2, 0}, {2, 1, 0},
    };
    uint8_t skey[MSE_SKEY_LEN], ia[MSE_IA_MAX];
    struct rng r = rng_make(5, 5);
    rng_bytes(&r, skey, sizeof skey);
    rng_bytes(&r, ia, sizeof ia);
    for (size_t i = 0; i < 200; i++) {
        const size_t k = i % ARRAY_LEN(CASES), chunk = i % 2 == 0 ? 1 + i : 4096;
        uint8_t key_a[DH768_PRIVATE_LEN], key_b[DH768_PRIVATE_LEN];
        rng_bytes(&r, key_a, sizeof key_a);
        rng_bytes(&r, key_b, sizeof key_b);
        const struct mse_config ca = {.initiator = true, .allowed = CASES[k].offers, .private_key = key_a, .skey = skey,
            .pads = rng_make(i, 1), .ia = slice_of(ia, i % (MSE_IA_MAX + 1))};
        const struct mse_config cb = {.allowed = CASES[k].accepts, .private_key = key_b, .pads = rng_make(i, 2)};
        struct mse a, b;
        assert_int_equal(mse_init(&a, &ca), ERR_OK);
        assert_int_equal(mse_init(&b, &cb), ERR_OK);
        talk(&a, &b, skey, chunk);
        if (CASES[k].selects == 0) {
            assert_int_equal(b.state, MSE_FAILED);
            continue;
        }
        assert_int_equal(a.state, MSE_DONE);
        assert_int_equal(b.state, MSE_DONE);
        assert_int_equal(a.selected, CASES[k].selects);
        assert_int_equal(b.selected, CASES[k].selects);
        assert_int_equal(mse_rest(&b).n + b.ia_left, ca.ia.n);
        if (b.ia_left == 0)
            assert_memory_equal(mse_rest(&b).p, ia, ca.ia.n);
    }
}

// Padding has its limit: who sends noise is not listened to for ever.
static void noise_ends_it(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("mse.json");
    for (int initiator = 0; initiator < 2; initiator++) {
        struct mse m = make(json_array_get(json_object_get(root, "cases"), 0), MSE_PLAIN | MSE_RC4, initiator != 0);
        struct rng r = rng_make(3, 3);
        size_t n = 0;
        for (; m.state < MSE_DONE; n++) {
            assert_true(n < DH768_LEN + MSE_PAD_MAX + SHA1_LEN);
            uint8_t b = (uint8_t)(rng_u64(&r) & 0x7f);
            feed(&m, slice_of(&b, 1));
        }
        assert_int_equal(m.state, MSE_FAILED);
        assert_int_equal(n, DH768_LEN + MSE_PAD_MAX + (initiator != 0 ? MSE_VC_LEN : SHA1_LEN));
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rc4_is_rc4),
        cmocka_unit_test(a_recorded_responder),
        cmocka_unit_test(a_recorded_initiator),
        cmocka_unit_test(degenerate_keys_are_refused),
        cmocka_unit_test(both_roles_meet),
        cmocka_unit_test(noise_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
