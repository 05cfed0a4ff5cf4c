// The tracker server: UDP and HTTP, sampling, expiry, limits. Times are literal, in seconds.
#include "test.h"

#include "codec/announce_http.h"
#include "codec/announce_udp.h"
#include "engine/find/tracker.h"
#include "engine/find/tracker_store.h"

static uint8_t tx_space[2 * TRACKER_TX_MIN];
static struct buf tx;

static struct tracker *make(const struct tracker_config *cfg)
{
    struct tracker *t;
    assert_int_equal(tracker_new(&t, cfg, &test_env, 0), ERR_OK);
    return t;
}

static enum tracker_kind poll(struct tracker *t, nsec now, struct tracker_out *out)
{
    tx = (struct buf){tx_space, 0, sizeof tx_space};
    return tracker_poll(t, now, &tx, out);
}

static struct addr host(uint32_t n)
{
    const uint8_t ip[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    return addr_ipv4(ip, 5000);
}

static struct addr host6(uint8_t n)
{
    const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, n, [15] = 1};
    return addr_ipv6(ip, 5000);
}

// Sends a datagram and returns the one reply; empty: none.
static struct slice ask(struct tracker *t, nsec now, const struct addr *from, struct slice data)
{
    struct tracker_out out;
    tracker_datagram(t, now, from, data);
    if (poll(t, now, &out) != TRACKER_DGRAM)
        return (struct slice){0};
    assert_true(addr_eq(&out.addr, from));
    return out.bytes;
}

static uint64_t connect_udp(struct tracker *t, nsec now, const struct addr *from)
{
    uint8_t space[16];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct udp_reply r;
    udp_connect_write(&w, 77);
    assert_int_equal(udp_reply_parse(&r, ask(t, now, from, buf_slice(&b))), ERR_OK);
    assert_int_equal(r.action, UDP_CONNECT);
    assert_int_equal(r.transaction, 77);
    return r.connection_id;
}

static struct announce about(uint8_t hash, uint64_t left, enum announce_event event)
{
    struct announce a = {.left = left, .event = event, .numwant = ANNOUNCE_UNKNOWN, .port = 6881};
    memset(a.info_hash, hash, sizeof a.info_hash);
    return a;
}

static struct udp_reply announce_with(struct tracker *t, nsec now, const struct addr *from, uint64_t id, const struct announce *a)
{
    uint8_t space[128];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct udp_reply r;
    udp_announce_write(&w, id, 88, a, (struct slice){0});
    assert_int_equal(udp_reply_parse(&r, ask(t, now, from, buf_slice(&b))), ERR_OK);
    assert_int_equal(r.transaction, 88);
    return r;
}

static struct udp_reply announce_udp(struct tracker *t, nsec now, const struct addr *from, const struct announce *a)
{
    return announce_with(t, now, from, connect_udp(t, now, from), a);
}

// Without this peers do not find each other: a leech gets everyone, a seed gets leeches only, nobody gets itself.
static void peers_find_each_other(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){0});
    const struct addr a = host(1), b = host(2), c = host(3), d = host(4);
    struct announce n = about(1, 0, ANNOUNCE_STARTED);
    struct udp_reply r = announce_udp(t, 0, &a, &n);
    assert_int_equal(r.action, UDP_ANNOUNCE);
    assert_int_equal(r.interval_s, 1800);
    assert_int_equal(r.seeds, 1);
    assert_int_equal(r.leeches, 0);
    assert_int_equal(r.body.n, 0);
    r = announce_udp(t, 0, &b, &n);
    assert_int_equal(r.seeds, 2);
    assert_int_equal(r.body.n, 6);              // at first: aria2 says left = 0 for a magnet link
    n = about(1, 0, ANNOUNCE_NONE);
    r = announce_udp(t, 0, &b, &n);
    assert_int_equal(r.body.n, 0);              // then seeds are not given to seeds
    n = about(1, 100, ANNOUNCE_STARTED);
    r = announce_udp(t, 0, &c, &n);
    assert_int_equal(r.leeches, 1);
    assert_int_equal(r.body.n, 12);
    n.left = ANNOUNCE_LEFT_UNKNOWN;
    r = announce_udp(t, 0, &d, &n);
    assert_int_equal(r.body.n, 18);
    n = about(1, 0, ANNOUNCE_NONE);
    r = announce_udp(t, 0, &a, &n);
    assert_int_equal(r.body.n, 12);
    n = about(1, 0, ANNOUNCE_COMPLETED);        // a leech becomes a seed
    r = announce_udp(t, 0, &c, &n);
    assert_int_equal(r.seeds, 3);
    assert_int_equal(r.leeches, 1);
    assert_int_equal(r.body.n, 6);
    static const uint8_t expect[6] = {10, 0, 0, 4, 0x1a, 0xe1};
    assert_memory_equal(r.body.p, expect, 6);   // the source address, the announced port
    n = about(1, 100, ANNOUNCE_STOPPED);
    r = announce_udp(t, 0, &d, &n);
    assert_int_equal(r.leeches, 0);
    assert_int_equal(r.body.n, 0);
    n = about(9, 100, ANNOUNCE_STOPPED);        // makes no swarm
    (void)announce_udp(t, 0, &d, &n);
    struct tracker_stats s;
    tracker_stats(t, &s);
    assert_int_equal(s.swarms, 1);
    assert_int_equal(s.peers_ipv4, 3);
    assert_int_equal(s.seeds, 3);
    tracker_check(t);
    tracker_free(t);
}

// Without this IPv6 peers would get records that they read with another stride.
static void families_are_apart(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){0});
    const struct addr a = host(1), b = host6(2), c = host6(3);
    const struct announce n = about(1, 100, ANNOUNCE_STARTED);
    (void)announce_udp(t, 0, &a, &n);
    struct udp_reply r = announce_udp(t, 0, &b, &n);
    assert_int_equal(r.leeches, 2);             // counted together
    assert_int_equal(r.body.n, 0);
    r = announce_udp(t, 0, &c, &n);
    assert_int_equal(r.body.n, 18);
    assert_memory_equal(r.body.p, b.ip, 16);
    tracker_check(t);
    tracker_free(t);
}

// Trap 17: an id is good for two minutes, for its address only. Without this anyone could announce for anyone.
static void connection_ids_expire(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){.secret = {1, 2}});
    const struct addr a = host(1), b = host(2);
    const struct announce n = about(1, 100, ANNOUNCE_STARTED);
    const uint64_t id = connect_udp(t, 59 * NSEC_S, &a);
    assert_int_equal(announce_with(t, 59 * NSEC_S, &a, id, &n).action, UDP_ANNOUNCE);
    assert_int_equal(announce_with(t, 119 * NSEC_S, &a, id, &n).action, UDP_ANNOUNCE);
    assert_int_equal(announce_with(t, 179 * NSEC_S, &a, id, &n).action, UDP_ANNOUNCE);
    const struct udp_reply r = announce_with(t, 180 * NSEC_S, &a, id, &n);
    assert_int_equal(r.action, UDP_ERROR);
    assert_true(slice_eq_str(r.body, "connection id mismatch"));
    assert_int_equal(announce_with(t, 180 * NSEC_S, &b, connect_udp(t, 180 * NSEC_S, &a), &n).action, UDP_ERROR);
    struct tracker_stats s;
    tracker_stats(t, &s);
    assert_int_equal(s.rx_bad_id, 2);
    const uint8_t junk[20] = {0};
    assert_int_equal(ask(t, 180 * NSEC_S, &a, slice_of(junk, sizeof junk)).n, 0);
    tracker_stats(t, &s);
    assert_int_equal(s.rx_bad, 1);
    tracker_free(t);
}

// Without this the dead fill the replies: two intervals and two minutes after its last word a peer is forgotten.
static void the_silent_are_forgotten(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){.interval_s = 60});
    struct announce n = about(1, 100, ANNOUNCE_STARTED);
    struct tracker_out out;
    struct tracker_stats s;
    for (uint32_t i = 0; i < 500; i++) {
        const struct addr a = host(i);
        (void)announce_udp(t, 0, &a, &n);
    }
    const struct addr alive = host(7);
    for (nsec at = 1; at < 239; at++) {
        if (at == 120)
            (void)announce_udp(t, at * NSEC_S, &alive, &n);
        tracker_tick(t, at * NSEC_S);
        assert_int_equal(poll(t, at * NSEC_S, &out), TRACKER_IDLE);
        assert_true(out.deadline == (at + 1) * NSEC_S);
        tracker_check(t);
    }
    tracker_stats(t, &s);
    assert_int_equal(s.peers_ipv4, 500);
    for (nsec at = 239; at < 280; at++) {
        tracker_tick(t, at * NSEC_S);
        tracker_check(t);
    }
    tracker_stats(t, &s);
    assert_int_equal(s.peers_ipv4, 1);
    assert_int_equal(s.expired, 499);
    for (nsec at = 280; at < 420; at++)
        tracker_tick(t, at * NSEC_S);
    tracker_stats(t, &s);
    assert_int_equal(s.swarms, 0);
    assert_int_equal(poll(t, 420 * NSEC_S, &out), TRACKER_IDLE);
    assert_true(out.deadline == NSEC_NEVER);    // nothing left to do
    tracker_free(t);
}

// A swarm of a thousand; every `nth` of the first `until` is a seed.
static struct tracker_swarm *store_thousand(struct tracker_store *s, uint32_t nth, uint32_t until)
{
    static const struct store_limits limits = {10, 10000, 10000, 64, 62};
    const uint64_t secret[2] = {1, 2};
    struct tracker_swarm *swarm = NULL;
    uint8_t hash[20] = {0};
    uint32_t self;
    store_init(s, &test_mem, &limits, secret);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct store_announce a = {.hash = hash, .peer = host(i), .class = i < until && i % nth == 0 ? CLASS_SEED : CLASS_LEECH};
        assert_int_equal(store_announce(s, &a, &swarm, &self), ERR_OK);
    }
    return swarm;
}

// Without this a reply could name somebody twice, or the asker, or favour some.
static void samples_are_fair_and_distinct(void **state)
{
    UNUSED_STATE(state);
    struct tracker_store s;
    struct tracker_swarm *swarm = store_thousand(&s, 4, 1000);
    struct rng rng = rng_make(1, 1);
    store_check(&s);
    assert_int_equal(store_count(swarm, CLASS_SEED), 250);
    static uint32_t hits[1000];
    uint32_t out[STORE_SAMPLE_MAX];
    for (int round = 0; round < 20000; round++) {
        assert_int_equal(store_sample(&swarm->pools[0], CLASSES_N, 500, 50, &rng, out), 50);
        for (uint32_t i = 0; i < 50; i++) {
            assert_true(i == 0 || out[i] > out[i - 1]);
            assert_true(out[i] != 500);
            hits[out[i]]++;
        }
    }
    for (uint32_t i = 0; i < 1000; i++)         // 1001 expected; sigma 31
        assert_true(i == 500 ? hits[i] == 0 : hits[i] > 830 && hits[i] < 1180);
    assert_int_equal(store_sample(&swarm->pools[0], 1, STORE_NOBODY, 200, &rng, out), 200);
    assert_true(out[199] < 750);                // leeches only
    assert_int_equal(store_sample(&swarm->pools[1], CLASSES_N, STORE_NOBODY, 50, &rng, out), 0);
    store_done(&s);
}

// One seed and a thousand leeches: without this one leech in twenty hears of it, and the others wait for what trickles through.
static void few_seeds_are_told_to_all(void **state)
{
    UNUSED_STATE(state);
    struct tracker_store s;
    struct tracker_swarm *swarm = store_thousand(&s, 1, 20);
    struct rng rng = rng_make(1, 1);
    uint32_t out[STORE_SAMPLE_MAX];
    for (int round = 0; round < 1000; round++) {
        assert_int_equal(store_sample(&swarm->pools[0], CLASSES_N, 500, 50, &rng, out), 50);
        uint32_t seeds = 0;
        for (uint32_t i = 0; i < 50; i++) {
            assert_true(i == 0 || out[i] > out[i - 1]);
            assert_true(out[i] != 500);
            seeds += out[i] >= 980;
        }
        assert_int_equal(seeds, 50 / STORE_SEEDS_SHARE);
        assert_int_equal(store_sample(&swarm->pools[0], CLASSES_N, 990, 100, &rng, out), 100);      // a seed that asks
        assert_true(out[80] < 980);
        assert_true(out[81] >= 980);                    // all of the other 19
        assert_int_equal(store_sample(&swarm->pools[0], 1, STORE_NOBODY, 200, &rng, out), 200);
        assert_true(out[199] < 980);
    }
    store_done(&s);
}

// The store against a plain model: whoever announced and did not stop is there, in its class.
static void the_store_agrees_with_a_model(void **state)
{
    UNUSED_STATE(state);
    enum { PEERS = 400 };
    const struct store_limits limits = {10, 10000, 10000, PEERS, 62};
    const uint64_t secret[2] = {3, 4};
    static int model[2][PEERS];                 // -1: gone
    memset(model, 0xff, sizeof model);
    struct tracker_store s;
    struct tracker_swarm *swarm = NULL;
    struct rng rng = rng_make(5, 6);
    uint8_t hash[20] = {9};
    uint32_t self;
    store_init(&s, &test_mem, &limits, secret);
    for (int step = 0; step < 40000; step++) {
        const uint32_t i = (uint32_t)rng_below(&rng, PEERS), ipv6 = (uint32_t)rng_below(&rng, 2);
        const uint32_t stop_chance = step / 5000 % 2 ? 6 : 3;    // grows and shrinks
        struct store_announce a = {.hash = hash, .peer = ipv6 ? host6((uint8_t)(i / 8)) : host(i / 2),
                                   .class = (enum peer_class)rng_below(&rng, 3), .stopped = rng_below(&rng, 8) < stop_chance};
        a.peer.port = (uint16_t)(1 + i);
        assert_int_equal(store_announce(&s, &a, &swarm, &self), ERR_OK);
        model[ipv6][i] = a.stopped ? -1 : (int)a.class;
        if (step % 97 == 0)
            store_sweep(&s, 0, 50);             // nobody expires; memory is given back
        if (step % 500 != 0)
            continue;
        store_check(&s);
        uint32_t count[3] = {0};
        for (int k = 0; k < 2 * PEERS; k++)
            if (model[k / PEERS][k % PEERS] >= 0)
                count[model[k / PEERS][k % PEERS]]++;
        swarm = store_find(&s, hash);
        for (int c = 0; c < 3; c++)
            assert_int_equal(swarm == NULL ? 0 : store_count(swarm, (enum peer_class)c), count[c]);
    }
    store_done(&s);
}

// Without these limits one host fills a swarm, or the memory.
static void limits_hold(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){.swarms_max = 2, .peers_max = 8, .swarm_peers_max = 5, .ip_peers_max = 3});
    struct announce n = about(1, 100, ANNOUNCE_STARTED);
    struct tracker_stats s;
    const struct addr a = host(1), b = host6(1);
    for (uint16_t port = 1; port <= 6; port++) {
        n.port = port;
        assert_int_equal(announce_udp(t, 0, &a, &n).action, UDP_ANNOUNCE);      // answered though not kept
    }
    tracker_stats(t, &s);
    assert_int_equal(s.peers_ipv4, 3);
    for (uint32_t i = 2; i < 10; i++) {
        const struct addr other = host(i);
        (void)announce_udp(t, 0, &other, &n);
    }
    tracker_stats(t, &s);
    assert_int_equal(s.peers_ipv4, 5);
    for (uint16_t port = 1; port <= 6; port++) {
        struct addr near = b;                   // the same /64
        near.ip[15] = (uint8_t)port;
        (void)announce_udp(t, 0, &near, &n);
    }
    tracker_stats(t, &s);
    assert_int_equal(s.peers_ipv6, 3);
    n = about(2, 100, ANNOUNCE_STARTED);
    assert_int_equal(announce_udp(t, 0, &a, &n).action, UDP_ANNOUNCE);          // a swarm, but peers_max is reached
    n = about(3, 100, ANNOUNCE_STARTED);
    const struct udp_reply r = announce_udp(t, 0, &a, &n);
    assert_int_equal(r.action, UDP_ERROR);
    assert_true(slice_eq_str(r.body, "tracker is full"));
    n.port = 0;
    assert_int_equal(announce_udp(t, 0, &a, &n).action, UDP_ERROR);
    tracker_stats(t, &s);
    assert_int_equal(s.peers_ipv4 + s.peers_ipv6, 8);
    tracker_check(t);
    tracker_free(t);
}

static void only_admitted_hashes(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){.whitelist = true, .hashes_max = 1});
    const struct announce n = about(1, 100, ANNOUNCE_STARTED);
    const struct addr a = host(1);
    struct udp_reply r = announce_udp(t, 0, &a, &n);
    assert_int_equal(r.action, UDP_ERROR);
    assert_true(slice_eq_str(r.body, "torrent not registered with this tracker"));
    assert_int_equal(tracker_admit(t, n.info_hash), ERR_OK);
    assert_int_equal(tracker_admit(t, n.info_hash), ERR_EXISTS);
    assert_int_equal(tracker_admit(t, (const uint8_t *)"another hash 20 byte"), ERR_FULL);
    assert_int_equal(announce_udp(t, 0, &a, &n).action, UDP_ANNOUNCE);
    assert_int_equal(tracker_revoke(t, n.info_hash), ERR_OK);
    assert_int_equal(tracker_revoke(t, n.info_hash), ERR_NOT_FOUND);
    assert_int_equal(announce_udp(t, 0, &a, &n).action, UDP_ERROR);
    tracker_free(t);
}

// Replies wait for room in tx; the queue has a limit and a counter.
static void sends_are_withheld_without_room(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){0});
    const struct addr a = host(1);
    uint8_t space[16], small[15];
    struct buf b = {space, 0, sizeof space}, no = {small, 0, sizeof small};
    struct wr w = wr_make(&b);
    struct tracker_out out;
    struct tracker_stats s;
    udp_connect_write(&w, 1);
    for (int i = 0; i < 2000; i++)
        tracker_datagram(t, 0, &a, buf_slice(&b));
    assert_int_equal(tracker_poll(t, 0, &no, &out), TRACKER_IDLE);
    tracker_stats(t, &s);
    uint32_t sent = 0;
    while (poll(t, 0, &out) == TRACKER_DGRAM)
        sent++;
    assert_int_equal(sent + s.tx_dropped, 2000);
    assert_int_equal(sent, TRACKER_QUEUE_BYTES / (sizeof a + 2 + 16));
    tracker_free(t);
}

// ---- HTTP

static struct slice get(struct tracker *t, nsec now, uint32_t conn, const char *text)
{
    struct tracker_out out;
    tracker_rx(t, now, conn, slice_str(text));
    if (poll(t, now, &out) != TRACKER_SEND)
        return (struct slice){0};
    assert_int_equal(out.conn, conn);
    return out.bytes;
}

static struct slice body_of(struct slice reply)
{
    for (size_t i = 0; i + 4 <= reply.n; i++)
        if (memcmp(reply.p + i, "\r\n\r\n", 4) == 0)
            return slice_sub(reply, i + 4, reply.n);
    return (struct slice){0};
}

#define HASH "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb"

// Without this no HTTP client gets peers: compact, dictionaries, IPv6, scrape, over one connection.
static void http_announces(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){0});
    const struct addr a = host(1), b = host(2), c = host6(3), d = host6(4);
    assert_int_equal(tracker_accept(t, 0, 1, &a), ERR_OK);
    assert_int_equal(tracker_accept(t, 0, 2, &b), ERR_OK);
    assert_int_equal(tracker_accept(t, 0, 3, &c), ERR_OK);
    assert_int_equal(tracker_accept(t, 0, 4, &d), ERR_OK);
    struct slice r = get(t, 0, 1, "GET /announce?" HASH "&port=80&left=0&ip=6.6.6.6&ipv4=6.6.6.6 HTTP/1.1\r\n\r\n");
    assert_true(slice_eq(r, SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 112\r\nConnection: keep-alive\r\n\r\n"
        "d8:completei1e10:downloadedi0e11:external ip4:\n\0\0\1" "10:incompletei0e8:intervali1800e12:min intervali900e5:peers0:e")));
    r = body_of(get(t, 0, 2, "GET /announce?" HASH "&port=81&left=5 HTTP/1.1\r\n\r\n"));
    struct announce_reply y;
    assert_int_equal(announce_reply_parse(&y, r), ERR_OK);
    assert_true(slice_eq(y.peers4, SLICE_LIT("\n\0\0\1\0P")));
    assert_int_equal(y.seeds, 1);
    assert_int_equal(y.leeches, 1);
    r = body_of(get(t, 0, 1, "GET /announce?" HASH "&port=80&left=0&compact=0 HTTP/1.1\r\n\r\n"));
    static const char list[] = "5:peersld2:ip8:10.0.0.24:porti81eeee";
    assert_true(slice_eq(slice_sub(r, r.n - (sizeof list - 1), r.n), SLICE_LIT(list)));
    (void)get(t, 0, 3, "GET /announce?" HASH "&port=82&left=5&event=paused HTTP/1.1\r\n\r\n");
    r = body_of(get(t, 0, 4, "GET /announce?" HASH "&port=83&left=5 HTTP/1.1\r\n\r\n"));
    assert_int_equal(announce_reply_parse(&y, r), ERR_OK);
    assert_int_equal(y.peers4.n, 0);
    assert_int_equal(y.peers6.n, 18);
    r = body_of(get(t, 0, 1, "GET /scrape?info_hash=zzzzzzzzzzzzzzzzzzzz&info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n"));
    assert_true(slice_eq_str(r, "d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi0e11:downloadersi2e10:incompletei3eeee"));
    r = body_of(get(t, 0, 1, "GET /scrape HTTP/1.1\r\n\r\n"));
    assert_true(slice_eq_str(r, "d14:failure reason26:full scrape is not offerede"));
    r = body_of(get(t, 0, 1, "GET /announce?port=1 HTTP/1.1\r\n\r\n"));
    assert_true(slice_eq_str(r, "d14:failure reason20:info_hash is missinge"));
    assert_true(slice_starts(get(t, 0, 1, "GET /favicon.ico HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 "));
    r = get(t, 0, 1, "HEAD /scrape HTTP/1.1\r\n\r\n");
    assert_true(slice_starts(r, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(body_of(r).n, 0);
    struct tracker_out out;
    assert_int_equal(poll(t, 0, &out), TRACKER_IDLE);
    assert_true(out.deadline == 1 * NSEC_S);
    tracker_check(t);
    tracker_free(t);
}

// Without this nobody sees how a tracker is doing, or everybody does.
static void metrics_are_served_when_wanted(void **state)
{
    UNUSED_STATE(state);
    const struct addr a = host(1);
    struct tracker *t = make(&(struct tracker_config){0});
    assert_int_equal(tracker_accept(t, 0, 1, &a), ERR_OK);
    assert_true(slice_starts(get(t, 0, 1, "GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 "));
    tracker_free(t);
    t = make(&(struct tracker_config){.metrics = true});
    assert_int_equal(tracker_accept(t, 0, 1, &a), ERR_OK);
    (void)get(t, 0, 1, "GET /announce?" HASH "&port=80&left=0 HTTP/1.1\r\n\r\n");
    const struct slice r = get(t, 0, 1, "GET /metrics HTTP/1.1\r\n\r\n");
    assert_true(slice_starts(r, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"));
    assert_true(slice_starts(body_of(r), "# HELP kith_tracker_swarms torrents with peers\n# TYPE kith_tracker_swarms gauge\nkith_tracker_swarms 1\n"));
    static const char last[] = "# TYPE kith_tracker_expired_total counter\nkith_tracker_expired_total 0\n";
    assert_true(slice_eq_str(slice_sub(r, r.n - (sizeof last - 1), r.n), last));
    tracker_free(t);
}

// Without this a request that comes byte by byte, two that come at once, or an endless one would go wrong.
static void http_streams(void **state)
{
    UNUSED_STATE(state);
    struct tracker *t = make(&(struct tracker_config){.conns_max = 2});
    struct tracker_out out;
    const struct addr a = host(1);
    static const char one[] = "GET /scrape HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(tracker_accept(t, 0, 1, &a), ERR_OK);
    for (size_t i = 0; i < sizeof one - 2; i++) {
        tracker_rx(t, 0, 1, slice_of(one + i, 1));
        assert_int_equal(poll(t, 0, &out), TRACKER_IDLE);
    }
    tracker_rx(t, 0, 1, slice_of(one + sizeof one - 2, 1));
    assert_int_equal(poll(t, 0, &out), TRACKER_SEND);
    tracker_rx(t, 0, 1, SLICE_LIT("GET /scrape HTTP/1.1\r\n\r\nGET /scrape HTTP/1.0\r\n\r\nGET /scrape HTTP/1.1\r\n\r\n"));
    assert_int_equal(poll(t, 0, &out), TRACKER_SEND);
    assert_int_equal(poll(t, 0, &out), TRACKER_SEND);
    assert_int_equal(poll(t, 0, &out), TRACKER_CLOSE);      // HTTP/1.0: the last one
    assert_int_equal(out.conn, 1);
    assert_int_equal(poll(t, 0, &out), TRACKER_IDLE);
    tracker_rx(t, 0, 1, SLICE_LIT("ignored"));
    assert_int_equal(tracker_accept(t, 0, 2, &a), ERR_OK);
    static char long_head[TRACKER_HEAD_MAX + 10];
    memset(long_head, 'a', sizeof long_head);
    memcpy(long_head, "GET /", 5);
    tracker_rx(t, 0, 2, slice_of(long_head, sizeof long_head));
    assert_int_equal(poll(t, 0, &out), TRACKER_SEND);
    assert_true(slice_starts(out.bytes, "HTTP/1.1 431 "));
    assert_int_equal(poll(t, 0, &out), TRACKER_CLOSE);
    assert_int_equal(tracker_accept(t, 0, 3, &a), ERR_OK);
    tracker_rx(t, 0, 3, SLICE_LIT("POST / HTTP/1.1\r\n"));
    assert_int_equal(poll(t, 0, &out), TRACKER_SEND);
    assert_true(slice_starts(out.bytes, "HTTP/1.1 405 "));
    assert_int_equal(poll(t, 0, &out), TRACKER_CLOSE);
    // Slow ones make way: the longest waiting after 5 s when full, any after 30 s.
    assert_int_equal(tracker_accept(t, 0, 4, &a), ERR_OK);
    assert_int_equal(tracker_accept(t, NSEC_S, 5, &a), ERR_OK);
    assert_int_equal(tracker_accept(t, 4 * NSEC_S, 6, &a), ERR_FULL);
    assert_int_equal(tracker_accept(t, 5 * NSEC_S, 6, &a), ERR_OK);
    assert_int_equal(poll(t, 5 * NSEC_S, &out), TRACKER_CLOSE);
    assert_int_equal(out.conn, 4);
    assert_int_equal(poll(t, 5 * NSEC_S, &out), TRACKER_IDLE);
    assert_true(out.deadline == 31 * NSEC_S);
    tracker_rx(t, 30 * NSEC_S, 5, SLICE_LIT("GET "));       // half a request does not help
    assert_int_equal(poll(t, 30 * NSEC_S, &out), TRACKER_IDLE);
    tracker_tick(t, 31 * NSEC_S);
    assert_int_equal(poll(t, 31 * NSEC_S, &out), TRACKER_CLOSE);
    assert_int_equal(out.conn, 5);
    tracker_closed(t, 31 * NSEC_S, 6);
    assert_int_equal(tracker_accept(t, 31 * NSEC_S, 7, &a), ERR_OK);
    for (int i = 1; i < TRACKER_REQUESTS_MAX; i++)
        assert_true(get(t, 31 * NSEC_S, 7, one).n != 0);
    assert_true(get(t, 31 * NSEC_S, 7, one).n != 0);
    assert_int_equal(poll(t, 31 * NSEC_S, &out), TRACKER_CLOSE);
    tracker_check(t);
    struct tracker_stats s;
    tracker_stats(t, &s);
    assert_int_equal(s.conns, 0);
    tracker_free(t);
}

static void *failing_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    int *left = ctx;
    if (new_n > old_n && (*left)-- <= 0)
        return NULL;
    return test_resize(NULL, p, old_n, new_n);
}

// Without memory peers are refused, never lost track of.
static void no_memory_is_survived(void **state)
{
    UNUSED_STATE(state);
    for (int allowed = 0; allowed < 40; allowed++) {
        int left = allowed;
        const struct mem mem = {.resize = failing_resize, .ctx = &left};
        const struct env env = {.mem = &mem, .payload = &mem, .seed = 1};
        struct tracker *t;
        if (tracker_new(&t, &(struct tracker_config){0}, &env, 0) != ERR_OK)
            continue;
        for (uint32_t i = 0; i < 200; i++) {
            const struct addr a = host(i);
            const struct announce n = about((uint8_t)(i % 3), i % 2, ANNOUNCE_STARTED);
            (void)announce_udp(t, 0, &a, &n);
            if (tracker_accept(t, 0, i + 1, &a) == ERR_OK)
                tracker_rx(t, 0, i + 1, SLICE_LIT("GET /"));
        }
        tracker_check(t);
        tracker_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_find_each_other), cmocka_unit_test(families_are_apart), cmocka_unit_test(connection_ids_expire),
        cmocka_unit_test(the_silent_are_forgotten), cmocka_unit_test(samples_are_fair_and_distinct), cmocka_unit_test(few_seeds_are_told_to_all),
        cmocka_unit_test(the_store_agrees_with_a_model), cmocka_unit_test(limits_hold), cmocka_unit_test(only_admitted_hashes),
        cmocka_unit_test(sends_are_withheld_without_room), cmocka_unit_test(http_announces), cmocka_unit_test(metrics_are_served_when_wanted), cmocka_unit_test(http_streams),
        cmocka_unit_test(no_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
