// Whom a swarm connects to, whom it keeps, and how peers behind routers find to each other by it. BEP 11, 40, 55.
#include "ground.h"

#include "codec/peer_priority.h"
#include "codec/ut_holepunch.h"
#include "engine/swarm/known.h"

static struct addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d) { return addr_ipv4((uint8_t[4]){a, b, c, d}, 6881); }

// BEP 40: with an address of our own the candidates come in the order that the other side would choose too; whom the user named
// comes before, and who has failed after all who have not.
static void candidates_come_by_rank(void **state)
{
    UNUSED_STATE(state);
    struct known_set k;
    known_init(&k, &test_mem, 100, 1);
    const struct addr own = ip(123, 213, 32, 10), named = ip(1, 1, 1, 1);
    for (uint8_t i = 0; i < 20; i++) {
        const struct addr a = ip((uint8_t)(90 + i), 76, 54, 32);
        known_add(&k, &a, false);
    }
    struct addr a, dead;
    assert_true(known_next(&k, NSEC_S, &dead));
    const struct addr first = ip(90, 76, 54, 32);
    assert_true(addr_eq(&dead, &first));                // in turn
    known_failed(&k, NSEC_S, &dead);
    known_own(&k, &own);
    known_add(&k, &named, true);
    assert_true(known_next(&k, 100 * NSEC_S, &a));
    assert_true(addr_eq(&a, &named));
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < 19; i++) {
        assert_true(known_next(&k, 100 * NSEC_S, &a));
        assert_true(peer_priority(&own, &a) < last);
        last = peer_priority(&own, &a);
    }
    assert_true(known_next(&k, 100 * NSEC_S, &a));
    assert_true(addr_eq(&a, &dead));
    assert_false(known_next(&k, 100 * NSEC_S, &a));
    known_done(&k);
}

// What our proxy does wrong is not held against the peers behind it: they were forgotten after five times, and came back after minutes.
static void a_dead_proxy_costs_no_peer(void **state)
{
    UNUSED_STATE(state);
    struct known_set k;
    known_init(&k, &test_mem, 100, 1);
    const struct addr peer = ip(8, 8, 8, 8);
    struct addr a;
    nsec now = NSEC_S;
    known_add(&k, &peer, false);
    for (uint32_t i = 0; i < 2 * KNOWN_FAILS_MAX; i++) {
        assert_true(known_next(&k, now, &a));
        known_postponed(&k, now, &a);
        assert_false(known_next(&k, now + KNOWN_PROXY_S * NSEC_S - 1, &a));
        now += KNOWN_PROXY_S * NSEC_S;
    }
    assert_true(known_next(&k, now, &a));
    known_failed(&k, now, &a);
    assert_int_equal(known_find(&k, &peer)->fails, 1);
    assert_false(known_next(&k, now + NSEC_S, &a));
    known_retry(&k);
    assert_true(known_next(&k, now + NSEC_S, &a));
    known_done(&k);
}

// A peer that names a thousand ports of one machine does not make us knock at all of them: 12 KB had us send it 80 datagrams a
// second for half an hour, and took the turns of all others. What the user gave counts for itself; who is forgotten makes room.
static void one_machine_is_not_flooded(void **state)
{
    (void)state;
    struct known_set k;
    known_init(&k, &test_mem, 2000, 1);
    struct addr a = ip(8, 8, 8, 8), local = ip(192, 168, 1, 9), v6 = {.family = ADDR_IPV6, .ip = {0x20, 1}, .port = 1};
    for (uint16_t i = 1; i <= 500; i++) {
        a.port = local.port = i;
        v6.ip[15] = (uint8_t)i;         // one customer has a /64
        known_told(&k, &a, 7, 0);
        known_add(&k, &v6, false);
        known_add(&k, &local, false);
    }
    assert_int_equal(k.map.n, 500 + 2 * KNOWN_SITE_MAX);
    const struct addr other = ip(8, 8, 4, 4);
    known_add(&k, &other, false);
    assert_non_null(known_find(&k, &other));
    a.port = 600;
    known_add(&k, &a, true);
    assert_non_null(known_find(&k, &a));
    a.port = 1;
    known_forget(&k, &a);
    a.port = 700;
    known_add(&k, &a, false);
    assert_non_null(known_find(&k, &a));
    // An address that nobody has stands for a name where a proxy looks names up: strangers must not name it.
    const struct addr nobody = ip(240, 0, 1, 0), last = ip(239, 255, 255, 255), broadcast = ip(255, 255, 255, 255);
    const uint32_t before = k.map.n;
    known_add(&k, &nobody, false);
    known_add(&k, &last, false);
    known_add(&k, &broadcast, false);
    assert_int_equal(k.map.n, before);
    known_done(&k);
}

static struct stranger *find_by(struct ground *g, const struct addr *a, uint32_t i, bool utp)
{
    struct swarm_peer_new in = {.conn = i + 1, .addr = *a, .incoming = true, .utp = utp, .theirs = {.has_fast = true, .has_extended = true}};
    in.theirs.peer_id[1] = (uint8_t)(100 + i);
    struct stranger *t = &g->all[i];
    if (t->heard == NULL)
        t->heard = malloc(HEARD_MAX);
    t->heard_n = 0;
    const enum err e = swarm_peer_add(g->swarm, g->now, &in, &t->peer);
    assert_true(e == ERR_OK || e == ERR_FULL);
    if (e == ERR_FULL)
        t->peer = NULL;
    drain(g);
    return t;
}

static struct stranger *find(struct ground *g, const struct addr *a, uint32_t i) { return find_by(g, a, i, false); }

// All places taken by peers of ten sites, who want nothing and have nothing: who ranks before the last of them takes its place.
// Not if the last is interested, or has only just come.
static void the_useless_make_room_by_rank(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    ground_init(&g, false);
    const struct addr own = ip(123, 213, 32, 10);
    swarm_external(g.swarm, &own);
    struct addr at[10];
    uint32_t last = 0;
    for (uint8_t i = 0; i < 10; i++) {
        at[i] = ip((uint8_t)(20 + i), 1, 1, 1);
        assert_non_null(find(&g, &at[i], i)->peer);
        if (peer_priority(&own, &at[i]) < peer_priority(&own, &at[last]))
            last = i;
    }
    struct addr a = own, b = own;       // who ranks before the last, and who behind all
    for (uint8_t i = 100; i < 200 && (a.ip[0] == own.ip[0] || b.ip[0] == own.ip[0]); i++) {
        const struct addr c = ip(i, 1, 1, 1);
        *(peer_priority(&own, &c) > peer_priority(&own, &at[last]) ? &a : &b) = c;
    }
    assert_null(find(&g, &a, 10)->peer);                // nobody has had the time to want anything
    pass(&g, 31);
    assert_null(find(&g, &b, 10)->peer);
    for (uint32_t i = 0; i < 10; i++)
        tell(&g, i, MSG_INTERESTED, 0, 0, 0);
    assert_null(find(&g, &a, 10)->peer);
    tell(&g, last, MSG_NOT_INTERESTED, 0, 0, 0);
    assert_non_null(find(&g, &a, 10)->peer);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(g.all[i].peer == NULL, i == last);
    ground_done(&g);
}

// ---- hole punching

enum { PEX_ID = 7, PUNCH_ID = 8 };

// Says that it listens at 6881 and speaks peer exchange and, or not, hole punching.
static void introduces(struct ground *g, uint32_t i, bool punches)
{
    uint8_t space[EXTENDED_HANDSHAKE_MAX + 16];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct extended_handshake h = {.has_listen_port = true, .listen_port = 6881};
    h.has_id[EXT_PEX] = true;
    h.ids[EXT_PEX] = PEX_ID;
    h.has_id[EXT_HOLEPUNCH] = punches;
    h.ids[EXT_HOLEPUNCH] = punches ? PUNCH_ID : 0;
    extended_write(&w, &h);
    say(g, i, b.p, b.n);
}

static void says(struct ground *g, uint32_t i, enum ut_holepunch_type type, struct addr a, uint32_t error)
{
    uint8_t space[UT_HOLEPUNCH_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    ut_holepunch_write(&w, extension_id(EXT_HOLEPUNCH), &(struct ut_holepunch){.type = type, .addr = a, .error = error});
    say(g, i, b.p, b.n);
}

// How many messages of ut_holepunch i has heard, and the last of them.
static uint32_t hears(struct ground *g, uint32_t i, struct ut_holepunch *out)
{
    uint32_t n = 0;
    uint8_t kept[UT_HOLEPUNCH_MESSAGE_MAX];
    struct stranger *t = &g->all[i];
    while (t->heard_n >= 4) {
        struct rd r = rd_make(slice_of(t->heard, t->heard_n));
        const uint32_t len = rd_be32(&r);
        if (len > 2 && len < sizeof kept && t->heard[4] == MSG_EXTENDED && t->heard[5] == PUNCH_ID) {
            memcpy(kept, t->heard + 6, len - 2);
            assert_int_equal(ut_holepunch_parse(out, slice_of(kept, len - 2)), ERR_OK);
            n++;
        }
        struct peer_msg m;
        assert_true(next_heard(t, &m));
    }
    return n;
}

static void expect(struct ground *g, uint32_t i, enum ut_holepunch_type type, struct addr a, uint32_t error)
{
    struct ut_holepunch m = {.error = 99};
    assert_int_equal(hears(g, i, &m), 1);
    assert_int_equal(m.type, type);
    assert_int_equal(m.error, error);
    assert_true(addr_eq(&m.addr, &a));
}

static struct addr at_port(struct addr a, uint16_t port)
{
    a.port = port;
    return a;
}

// The relay: both are told, each where the other's datagrams come from; who asks too often is not heard; and every error of BEP 55.
static void a_relay_tells_both(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    struct ut_holepunch m;
    ground_init(&g, false);
    const struct addr own = ip(99, 9, 9, 9);
    swarm_external(g.swarm, &own);
    swarm_listen_port(g.swarm, 6881);
    const struct addr a = at_port(ip(20, 1, 1, 1), 7001), b = at_port(ip(21, 1, 1, 1), 7002), tcp = at_port(ip(22, 1, 1, 1), 7003);
    const struct addr mute = at_port(ip(23, 1, 1, 1), 7004), local = at_port(ip(10, 1, 1, 1), 7005), unknown = ip(24, 1, 1, 1);
    const struct addr all[] = {a, b, tcp, mute, local};
    for (uint32_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_non_null(find_by(&g, &all[i], i, i != 2)->peer);
        introduces(&g, i, i != 3);
        (void)hears(&g, i, &m);
    }
    says(&g, 0, UT_HOLEPUNCH_RENDEZVOUS, b, 0);
    expect(&g, 0, UT_HOLEPUNCH_CONNECT, b, 0);
    expect(&g, 1, UT_HOLEPUNCH_CONNECT, a, 0);
    says(&g, 0, UT_HOLEPUNCH_RENDEZVOUS, b, 0);
    assert_int_equal(hears(&g, 0, &m) + hears(&g, 1, &m), 0);
    pass(&g, 1);
    says(&g, 0, UT_HOLEPUNCH_RENDEZVOUS, at_port(b, 6881), 0);         // as it is told in peer exchange
    expect(&g, 0, UT_HOLEPUNCH_CONNECT, b, 0);
    expect(&g, 1, UT_HOLEPUNCH_CONNECT, a, 0);
    pass(&g, 1);
    says(&g, 0, UT_HOLEPUNCH_RENDEZVOUS, tcp, 0);       // its stream's port says nothing: where it listens does
    expect(&g, 0, UT_HOLEPUNCH_CONNECT, at_port(tcp, 6881), 0);
    expect(&g, 2, UT_HOLEPUNCH_CONNECT, a, 0);
    const struct {
        uint32_t by;
        struct addr of;
        enum ut_holepunch_error error;
    } wrong[] = {
        {0, at_port(b, 0), UT_HOLEPUNCH_NO_SUCH_PEER}, {0, a, UT_HOLEPUNCH_NO_SUCH_PEER}, {0, unknown, UT_HOLEPUNCH_NOT_CONNECTED},
        {0, mute, UT_HOLEPUNCH_NO_SUPPORT}, {0, own, UT_HOLEPUNCH_NO_SELF}, {0, local, UT_HOLEPUNCH_NO_SUCH_PEER},
        {4, a, UT_HOLEPUNCH_NOT_CONNECTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        pass(&g, 1);
        says(&g, wrong[i].by, UT_HOLEPUNCH_RENDEZVOUS, wrong[i].of, 0);
        expect(&g, wrong[i].by, UT_HOLEPUNCH_ERROR, wrong[i].of, wrong[i].error);
        for (uint32_t k = 0; k < ARRAY_LEN(all); k++)
            assert_int_equal(hears(&g, k, &m), 0);
    }
    pass(&g, 1);
    says(&g, 3, UT_HOLEPUNCH_RENDEZVOUS, b, 0);         // it could not be answered
    assert_int_equal(hears(&g, 1, &m), 0);
    ground_done(&g);
}

// The target: without these limits a relay makes us knock wherever it likes, our own network first.
static void a_target_believes_little(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    ground_init(&g, false);
    const struct addr relay = ip(20, 1, 1, 1), home = ip(10, 2, 2, 2);
    assert_non_null(find_by(&g, &relay, 0, true)->peer);
    says(&g, 0, UT_HOLEPUNCH_CONNECT, ip(30, 1, 1, 1), 0);
    assert_int_equal(g.punches, 0);     // it does not speak the extension
    introduces(&g, 0, true);
    says(&g, 0, UT_HOLEPUNCH_CONNECT, ip(192, 168, 1, 1), 0);
    says(&g, 0, UT_HOLEPUNCH_CONNECT, ip(127, 0, 0, 1), 0);
    says(&g, 0, UT_HOLEPUNCH_CONNECT, ip(239, 1, 1, 1), 0);
    says(&g, 0, UT_HOLEPUNCH_CONNECT, at_port(ip(30, 1, 1, 1), 0), 0);
    says(&g, 0, UT_HOLEPUNCH_CONNECT, relay, 0);        // is connected
    assert_int_equal(g.punches, 0);
    for (uint8_t i = 0; i < 20; i++)
        says(&g, 0, UT_HOLEPUNCH_CONNECT, ip(30, 1, i, 1), 0);
    assert_int_equal(g.punches, 4);
    const struct addr last = ip(30, 1, 3, 1);
    assert_true(addr_eq(&g.punch, &last));
    assert_true(swarm_known_take(g.swarm, g.now, &last));
    assert_false(swarm_known_take(g.swarm, g.now, &last));
    for (uint8_t i = 1; i < 5; i++) {   // more relays: more, up to what is allowed in all
        const struct addr other = ip(21, i, 1, 1);
        assert_non_null(find_by(&g, &other, i, true)->peer);
        introduces(&g, i, true);
        for (uint8_t k = 0; k < 4; k++)
            says(&g, i, UT_HOLEPUNCH_CONNECT, ip(31, i, k, 1), 0);
    }
    assert_int_equal(g.punches, 8);
    pass(&g, 1);
    assert_non_null(find_by(&g, &home, 6, true)->peer);
    introduces(&g, 6, true);
    says(&g, 6, UT_HOLEPUNCH_CONNECT, ip(10, 3, 3, 3), 0);     // a relay of our own network may
    assert_int_equal(g.punches, 9);
    ground_done(&g);
}

static void tells_of(struct ground *g, uint32_t i, struct addr a, uint8_t flags)
{
    static uint8_t space[UT_PEX_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    static struct ut_pex_news news;
    news.added_n = 1;
    news.added[0] = (struct ut_pex_peer){a, flags};
    ut_pex_write(&w, extension_id(EXT_PEX), &news);
    say(g, i, b.p, b.n);
}

// Addresses of a local network stay in it: a stranger from the internet does not have us knock at doors there, and does not hear of
// who is in it.
static void a_local_network_is_its_own(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    struct ut_pex m;
    struct swarm_stats s;
    ground_init(&g, false);
    const struct addr all[] = {ip(20, 1, 1, 1), ip(21, 1, 1, 1), ip(10, 1, 1, 1)}, camera = ip(192, 168, 1, 64);
    for (uint32_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_non_null(find_by(&g, &all[i], i, true)->peer);
        introduces(&g, i, true);
    }
    tells_of(&g, 0, camera, 0);
    swarm_stats(g.swarm, &s);
    assert_int_equal(s.known, 0);
    tells_of(&g, 2, camera, 0);         // a neighbour may
    swarm_stats(g.swarm, &s);
    assert_int_equal(s.known, 1);
    pass(&g, 12);
    assert_int_equal(heard_pex(&g, 2, &m), 1);
    assert_int_equal(ut_pex_added_n(&m), 2);
    assert_int_equal(heard_pex(&g, 0, &m), 1);
    assert_int_equal(ut_pex_added_n(&m), 1);
    const struct addr told = ut_pex_added(&m, 0).addr;
    assert_true(addr_same_ip(&told, &all[1]));
    ground_done(&g);
}

// Who asks: at once for one that is said to hide behind a router, after a failure for others, the peer that told of it; another
// one if that is not connected to it any more; and not again and again.
static void who_told_is_asked(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    struct ut_holepunch m;
    struct addr next;
    ground_init(&g, false);
    const struct addr tellers[] = {ip(20, 1, 1, 1), ip(21, 1, 1, 1)}, hidden = ip(30, 1, 1, 1), plain = ip(31, 1, 1, 1), seen = ip(32, 1, 1, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_non_null(find_by(&g, &tellers[i], i, true)->peer);
        introduces(&g, i, true);
        tells_of(&g, i, hidden, UT_PEX_HOLEPUNCH);
        (void)hears(&g, i, &m);
    }
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    drain(&g);
    expect(&g, 0, UT_HOLEPUNCH_RENDEZVOUS, hidden, 0);
    assert_int_equal(hears(&g, 1, &m), 0);
    says(&g, 0, UT_HOLEPUNCH_ERROR, hidden, UT_HOLEPUNCH_NOT_CONNECTED);
    expect(&g, 1, UT_HOLEPUNCH_RENDEZVOUS, hidden, 0);
    swarm_known_failed(g.swarm, g.now, &hidden);
    drain(&g);
    assert_int_equal(hears(&g, 0, &m) + hears(&g, 1, &m), 0);
    pass(&g, 130);                      // the second time after two minutes
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    assert_true(addr_eq(&next, &hidden));
    drain(&g);
    expect(&g, 1, UT_HOLEPUNCH_RENDEZVOUS, hidden, 0);
    swarm_known_connected(g.swarm, g.now, &hidden);
    tells_of(&g, 0, plain, 0);
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    drain(&g);
    assert_int_equal(hears(&g, 0, &m), 0);
    swarm_known_failed(g.swarm, g.now, &plain);
    drain(&g);
    expect(&g, 0, UT_HOLEPUNCH_RENDEZVOUS, plain, 0);
    tells_of(&g, 1, seen, UT_PEX_HOLEPUNCH | UT_PEX_REACHABLE);
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    assert_true(addr_eq(&next, &seen));
    drain(&g);
    assert_int_equal(hears(&g, 1, &m), 0);              // it could be connected to: so may we
    ground_done(&g);
}

// BEP 11's flags tell others by which way a peer can be had.
static void flags_are_told(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    struct ut_pex m;
    ground_init(&g, false);
    const struct addr a = ip(20, 1, 1, 1), b = ip(21, 1, 1, 1);
    assert_non_null(find_by(&g, &a, 0, true)->peer);
    assert_non_null(find_by(&g, &b, 1, false)->peer);
    introduces(&g, 0, true);
    introduces(&g, 1, false);
    pass(&g, 11);
    assert_int_equal(heard_pex(&g, 0, &m), 1);
    assert_int_equal(ut_pex_added(&m, 0).flags, 0);
    assert_int_equal(heard_pex(&g, 1, &m), 1);
    assert_int_equal(ut_pex_added(&m, 0).flags, UT_PEX_UTP | UT_PEX_HOLEPUNCH);
    ground_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_proxy_costs_no_peer),
        cmocka_unit_test(candidates_come_by_rank),
        cmocka_unit_test(one_machine_is_not_flooded),
        cmocka_unit_test(the_useless_make_room_by_rank),
        cmocka_unit_test(a_relay_tells_both),
        cmocka_unit_test(a_target_believes_little),
        cmocka_unit_test(a_local_network_is_its_own),
        cmocka_unit_test(who_told_is_asked),
        cmocka_unit_test(flags_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
