// A connection that two libtorrent 2.0.8 had is played to our engine, as it was and with packets lost, doubled and reordered:
// both streams come out byte for byte. The vector is described in tests/vectors.
#include "../codec/vectors.h"

#include "base/rng.h"
#include "codec/utp.h"
#include "crypto/hash.h"
#include "engine/reach/utp.h"

enum { PACKETS = 83 };

struct play {
    struct utp *u;
    struct addr peer;
    nsec now;
    bool connector;                     // whose part we play
    uint32_t conn;
    uint16_t id, seq;                   // of ours: how what they say to us must be changed
    bool open, closed;
    struct sha256 sha;
    uint64_t len;
};

static void take(struct play *p)
{
    for (;;) {
        const struct slice s = utp_peek(p->u, p->conn);
        if (s.n == 0)
            return;
        sha256_update(&p->sha, s);
        p->len += s.n;
        utp_take(p->u, p->now, p->conn, s.n);
    }
}

static void drain(struct play *p)
{
    static uint8_t space[64 * 1024];
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct utp_out out = {0};
        struct utp_packet mine;
        switch (utp_poll(p->u, p->now, &tx, &out)) {
        case UTP_OUT_IDLE: return;
        case UTP_OUT_DGRAM:
            assert_int_equal(utp_packet_parse(&mine, out.bytes), ERR_OK);
            if (mine.type == UTP_SYN) {
                p->id = mine.conn_id;
                p->seq = mine.seq;
            } else if (!p->open && mine.type == UTP_STATE) {
                p->seq = (uint16_t)(mine.seq - 1);
            }
            break;
        case UTP_OUT_ACCEPT:
            p->conn = out.conn;
            p->open = true;
            utp_accept(p->u, p->now, out.conn, 1);
            break;
        case UTP_OUT_CONNECTED: p->open = true; break;
        case UTP_OUT_READABLE: take(p); break;
        case UTP_OUT_WRITABLE: break;
        case UTP_OUT_CLOSED:
            assert_int_equal(out.err, ERR_CLOSED);
            p->closed = true;
            break;
        }
    }
}

// What they say of our packets is made to fit: we say nothing but what opens the connection.
static void give(struct play *p, struct slice bytes)
{
    struct utp_packet in;
    uint8_t space[2048];
    assert_int_equal(utp_packet_parse(&in, bytes), ERR_OK);
    if (in.type != UTP_SYN)
        in.ack = p->seq;
    if (p->connector)
        in.conn_id = (uint16_t)(in.conn_id - 64622 + p->id);
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    utp_packet_write(&w, &in, 0);
    wr_bytes(&w, in.payload);
    uint32_t user;
    p->now += NSEC_MS;
    assert_true(utp_datagram(p->u, p->now, &p->peer, buf_slice(&b), &user));
    if (user != 0)
        take(p);
    utp_keep(p->u);
    drain(p);
    utp_check(p->u);
}

static void play(const json_t *v, bool connector, uint64_t seed)
{
    static const uint8_t ip[4] = {1, 2, 3, 4};
    static const struct utp_config cfg = {.conns_max = 4, .syns_max = 4, .tx_bytes_max = 1 << 20, .rx_bytes_max = 1 << 20};
    const char *way = connector ? "listener->connector" : "connector->listener";
    struct play p = {.peer = addr_ipv4(ip, 5), .now = 10 * NSEC_S, .connector = connector};
    struct env env = test_env;
    env.seed = seed;
    sha256_init(&p.sha);
    assert_int_equal(utp_new(&p.u, &cfg, &env, p.now), ERR_OK);
    if (connector)
        assert_int_equal(utp_connect(p.u, p.now, &p.peer, 1, &p.conn), ERR_OK);
    drain(&p);
    struct slice list[3 * PACKETS];
    uint32_t n = 0, lost = 0;
    struct slice again[PACKETS];
    struct rng r = rng_make(seed, 5);
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(v, "packets"), i, one) {
        if (strcmp(json_text(one, "dir"), way) != 0)
            continue;
        const struct slice b = json_hex(json_object_get(one, "packet_hex"));
        if (seed != 0 && n > 0 && rng_chance(&r, 1, 4))
            again[lost++] = b;
        else
            list[n++] = b;
        if (seed != 0 && rng_chance(&r, 1, 5)) {
            list[n] = json_hex(json_object_get(one, "packet_hex"));
            n++;
        }
        if (seed != 0 && n > 3 && rng_chance(&r, 1, 3)) {
            const struct slice t = list[n - 1];
            list[n - 1] = list[n - 2];
            list[n - 2] = t;
        }
    }
    for (uint32_t k = 0; k < lost; k++)
        list[n++] = again[k];
    for (uint32_t k = 0; k < n; k++) {
        if (!p.closed)
            give(&p, list[k]);
        free((void *)list[k].p);
    }
    assert_true(p.closed);
    assert_int_equal(p.len, json_integer_value(json_object_get(json_object_get(v, "stream_len"), way)));
    uint8_t digest[SHA256_LEN];
    sha256_final(&p.sha, digest);
    assert_hex(digest, sizeof digest, json_text(json_object_get(v, "stream_sha256"), way));
    utp_free(p.u);
}

static void the_capture(void **state)
{
    UNUSED_STATE(state);
    json_t *v = vector_json("bep29_utp_capture.json");
    for (uint64_t seed = 0; seed < 200; seed++) {
        play(v, true, seed);
        play(v, false, seed);
    }
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_capture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
