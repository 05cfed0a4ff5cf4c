// uTP: two engines on a wire that loses, doubles, delays and reorders; what strangers may do; the manners towards other traffic.
#include "utp_wire.h"

static void expect_all(struct wire *w)
{
    for (int i = 0; i < 2; i++) {
        assert_false(w->end[i].bad);
        assert_true(w->end[i].got == w->end[1 - i].to_send);
        utp_check(w->end[i].u);
    }
}

// Without this nothing works at all.
static void both_ways_on_a_good_wire(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 1);
    w.end[0].to_send = 1000000;
    w.end[1].to_send = 2000000;
    wire_connect(&w);
    wire_run(&w, w.now + 20 * NSEC_S);
    expect_all(&w);
    struct utp_stats s;
    utp_stats(w.end[0].u, &s);
    assert_int_equal(s.tx_again, 0);
    assert_int_equal(s.lost, 0);
    assert_int_equal(w.end[1].largest, 1472);           // the path's MTU was found
    wire_free(&w);
}

// Without this a stream breaks on a bad path, or at a wrap of the 16-bit numbers: 66,000 packets pass one for sure.
static void bad_wires(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct wire w;
        wire_new(&w, seed);
        w.loss_ppm[0] = w.loss_ppm[1] = (uint32_t)(seed % 4) * 15000;
        w.dup_ppm = seed % 3 == 0 ? 30000 : 0;
        w.reorder_ppm = seed % 2 == 0 ? 20000 : 0;
        w.end[0].to_send = seed == 1 ? 97000000 : 300000;
        w.end[1].to_send = 100000 * seed;
        wire_connect(&w);
        wire_run(&w, w.now + 600 * NSEC_S);
        expect_all(&w);
        wire_free(&w);
    }
}

// Without this the end of a stream is lost with its last packets.
static void ends_are_heard(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct wire w;
        wire_new(&w, seed);
        w.loss_ppm[0] = w.loss_ppm[1] = 200000;
        w.end[0].to_send = 5000;
        w.end[0].close_when_sent = true;
        wire_connect(&w);
        wire_run_on(&w, w.now + 120 * NSEC_S);
        if (w.end[1].connected) {
            assert_true(w.end[1].got == 5000 || w.end[1].err != ERR_CLOSED);    // a good end has all
            assert_true(w.end[1].closed);
        }
        struct utp_stats s;
        for (int i = 0; i < 2; i++) {
            utp_stats(w.end[i].u, &s);
            assert_int_equal(s.conns, 0);               // nobody waits for ever
            assert_int_equal(s.tx_memory + s.rx_memory, 0);
        }
        wire_free(&w);
    }
}

// Carries what `from` has to say to `to`, or drops it; counts SYNs and who has heard that it is connected.
static void carry(struct utp *from, struct utp *to, const struct addr *from_addr, nsec now, bool arrives, uint32_t *syns, uint32_t *connected)
{
    static uint8_t space[128 * 1024];
    struct buf tx = {space, 0, sizeof space};
    struct utp_out out = {0};
    for (enum utp_kind k; (k = utp_poll(from, now, &tx, &out)) != UTP_OUT_IDLE;) {
        uint32_t user;
        *connected += k == UTP_OUT_CONNECTED;
        if (k != UTP_OUT_DGRAM)
            continue;
        struct utp_packet p;
        assert_int_equal(utp_packet_parse(&p, out.bytes), ERR_OK);
        *syns += p.type == UTP_SYN;
        if (arrives)
            assert_true(utp_datagram(to, now, from_addr, out.bytes, &user));
        utp_keep(to);
    }
}

// Hole punching: both connect to each other at once, and a word that is said again at once makes no second connection. Without it
// two homes wait a second for each other, or never meet.
static void both_connect_at_once(void **state)
{
    UNUSED_STATE(state);
    const struct utp_config cfg = {.conns_max = 10, .syns_max = 10, .tx_bytes_max = 1 << 20, .rx_bytes_max = 1 << 20};
    const struct addr at[2] = {addr_ipv4((uint8_t[4]){1, 1, 1, 1}, 1111), addr_ipv4((uint8_t[4]){2, 2, 2, 2}, 2222)};
    struct env env[2] = {test_env, test_env};
    env[1].seed = 2;
    struct utp *u[2];
    uint32_t conn[2], syns = 0, connected = 0;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(utp_new(&u[i], &cfg, &env[i], NSEC_S), ERR_OK);
        assert_int_equal(utp_connect(u[i], NSEC_S, &at[1 - i], 7, &conn[i]), ERR_OK);
    }
    carry(u[0], u[1], &at[0], NSEC_S, false, &syns, &connected);      // the other router is closed still
    assert_int_equal(syns, 1);
    carry(u[1], u[0], &at[1], NSEC_S, true, &syns, &connected);
    assert_int_equal(syns, 2);
    utp_again(u[0], NSEC_S, conn[0]);
    for (int i = 0; i < 3; i++) {
        carry(u[0], u[1], &at[0], NSEC_S, true, &syns, &connected);
        carry(u[1], u[0], &at[1], NSEC_S, true, &syns, &connected);
    }
    assert_int_equal(syns, 3);
    assert_int_equal(connected, 2);
    utp_again(u[0], NSEC_S, conn[0]);                   // it is open: nothing is said again
    carry(u[0], u[1], &at[0], NSEC_S, true, &syns, &connected);
    assert_int_equal(syns, 3);
    for (uint32_t i = 0; i < 2; i++) {
        struct utp_stats s;
        utp_stats(u[i], &s);
        assert_int_equal(s.conns, 2);                   // its own and the other's
        utp_check(u[i]);
        utp_free(u[i]);
    }
}

// Without this a reader who stops is flooded, or stays stopped: the word that there is room again may be lost.
static void a_slow_reader_holds_the_sender(void **state)
{
    UNUSED_STATE(state);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct wire w;
        wire_new(&w, seed);
        w.loss_ppm[0] = w.loss_ppm[1] = (uint32_t)(seed - 1) * 50000;
        w.end[0].to_send = 4000000;
        w.end[1].take_max = 50000;
        wire_connect(&w);
        wire_run_on(&w, w.now + 60 * NSEC_S);
        assert_int_equal(w.end[1].got, 50000);
        assert_true(w.end[0].sent < 2000000);
        assert_false(w.end[0].closed);                  // it only waits
        struct utp_stats s;
        utp_stats(w.end[1].u, &s);
        assert_true(s.rx_memory < 1500000);
        w.end[1].take_max = UINT64_MAX;
        wire_read(&w, &w.end[1]);
        wire_drain(&w, 1);
        wire_run(&w, w.now + 300 * NSEC_S);
        expect_all(&w);
        wire_free(&w);
    }
}

// Without this a path with a smaller MTU swallows every large packet.
static void narrow_paths(void **state)
{
    UNUSED_STATE(state);
    static const uint32_t MTUS[] = {1232, 1252, 1372, 1400, 1452, 1464, 1472};
    for (size_t i = 0; i < ARRAY_LEN(MTUS); i++) {
        struct wire w;
        wire_new(&w, i);
        w.mtu = MTUS[i];
        w.end[0].to_send = 3000000;
        wire_connect(&w);
        wire_run(&w, w.now + 60 * NSEC_S);
        expect_all(&w);
        struct utp_conn_stats s;
        utp_conn_stats(w.end[0].u, w.end[0].conn, &s);
        assert_in_range(s.packet_len + UTP_HEADER_LEN, MTUS[i] - 8, MTUS[i]);
        assert_true(w.now < 115 * NSEC_S);
        wire_free(&w);
    }
}

// Without this a dead peer is never given up, and nobody tells the owner.
static void silence_ends(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 3);
    w.cut = 2;                                          // nothing comes back
    wire_connect(&w);
    wire_run_on(&w, w.now + 60 * NSEC_S);
    assert_true(w.end[0].closed);
    assert_int_equal(w.end[0].err, ERR_TIMEOUT);
    wire_free(&w);

    wire_new(&w, 4);
    w.end[0].to_send = 1 << 30;
    wire_connect(&w);
    wire_run(&w, w.now + 200 * NSEC_MS);
    w.cut = 3;
    wire_run_on(&w, w.now + 200 * NSEC_S);
    assert_true(w.end[0].closed);
    assert_int_equal(w.end[0].err, ERR_TIMEOUT);
    wire_free(&w);
}

static struct utp_packet last_out(struct utp *u, nsec now, uint32_t *n)
{
    static uint8_t space[64 * 1024];
    struct utp_packet p = {0};
    struct utp_out out = {0};
    *n = 0;
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        if (utp_poll(u, now, &tx, &out) != UTP_OUT_DGRAM)
            return p;
        assert_int_equal(utp_packet_parse(&p, out.bytes), ERR_OK);
        p.payload = (struct slice){0};
        ++*n;
    }
}

static void send_raw(struct utp *u, nsec now, const struct addr *from, struct utp_packet p, const char *payload)
{
    uint8_t space[1200];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    utp_packet_write(&w, &p, 0);
    wr_str(&w, payload);
    uint32_t user;
    assert_true(utp_datagram(u, now, from, buf_slice(&b), &user));
    utp_keep(u);
}

// Without this made-up addresses fill the table, or get an owner's attention before they are proven.
static void a_flood_of_syns(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 5);
    struct utp *u = w.end[1].u;
    struct utp_stats s;
    uint32_t n;
    for (uint32_t i = 0; i < 1000; i++) {
        const uint8_t ip[4] = {1, 2, (uint8_t)(i >> 8), (uint8_t)i};
        const struct addr a = addr_ipv4(ip, 7);
        send_raw(u, w.now, &a, (struct utp_packet){.type = UTP_SYN, .conn_id = 7, .seq = 1}, "");
        (void)last_out(u, w.now, &n);
        assert_int_equal(n, 1);                         // one small answer for one packet
        // A guess at our number does not open it.
        send_raw(u, w.now, &a, (struct utp_packet){.type = UTP_DATA, .conn_id = 8, .seq = 2, .ack = 4711}, "x");
        (void)last_out(u, w.now, &n);
    }
    utp_stats(u, &s);
    assert_int_equal(s.conns, 8);
    utp_tick(u, w.now + 11 * NSEC_S);
    (void)last_out(u, w.now + 11 * NSEC_S, &n);
    utp_stats(u, &s);
    assert_int_equal(s.conns, 0);
    wire_free(&w);
}

// A connection that was offered and accepted; the next number that it may send is 2.
static uint16_t hog_new(struct utp *u, nsec now, const struct addr *a)
{
    uint8_t space[64 * 1024];
    uint32_t n;
    send_raw(u, now, a, (struct utp_packet){.type = UTP_SYN, .conn_id = 7, .seq = 0, .window = 1 << 20}, "");
    const uint16_t ack = (uint16_t)(last_out(u, now, &n).seq - 1);
    send_raw(u, now, a, (struct utp_packet){.type = UTP_DATA, .conn_id = 8, .seq = 1, .ack = ack, .window = 1 << 20}, "x");
    struct buf tx = {space, 0, sizeof space};
    struct utp_out out;
    enum utp_kind kind = utp_poll(u, now, &tx, &out);
    for (; kind != UTP_OUT_ACCEPT; kind = utp_poll(u, now, &tx, &out))
        tx.n = 0;
    utp_accept(u, now, out.conn, 1);
    utp_take(u, now, out.conn, utp_peek(u, out.conn).n);
    return ack;
}

// Without this sixty bytes pin 128 KiB, and strangers who leave the first packet out keep the memory of all connections to
// themselves: nobody else has a window any more.
static void hogs_leave_room_for_others(void **state)
{
    UNUSED_STATE(state);
    enum { HOGS = 100, PACKETS = 800, MEMORY = 16 << 20 };
    static const struct utp_config cfg = {.conns_max = HOGS + 1, .syns_max = 8, .tx_bytes_max = MEMORY, .rx_bytes_max = MEMORY};
    char bytes[1001];
    memset(bytes, 'x', 1000);
    bytes[1000] = 0;
    struct utp *u;
    struct utp_stats s;
    const nsec now = 1000 * NSEC_S;
    uint32_t n;
    assert_int_equal(utp_new(&u, &cfg, &test_env, now), ERR_OK);
    uint16_t acks[HOGS];
    for (uint32_t i = 0; i < HOGS; i++) {
        const struct addr a = addr_ipv4((uint8_t[]){1, 2, 3, (uint8_t)i}, 7);
        acks[i] = hog_new(u, now, &a);
        for (uint16_t far = 500; far < 20000; far = (uint16_t)(far * 2))
            send_raw(u, now, &a, (struct utp_packet){.type = UTP_DATA, .conn_id = 8, .seq = far, .ack = acks[i]}, "x");
    }
    utp_stats(u, &s);
    assert_true(s.rx_memory < HOGS * 9 * KIB);
    for (uint32_t i = 0; i < HOGS; i++) {
        const struct addr a = addr_ipv4((uint8_t[]){1, 2, 3, (uint8_t)i}, 7);
        for (uint16_t k = 0; k < PACKETS; k++)
            send_raw(u, now, &a, (struct utp_packet){.type = UTP_DATA, .conn_id = 8, .seq = (uint16_t)(3 + k), .ack = acks[i]}, bytes);
        (void)last_out(u, now, &n);
    }
    const struct addr newcomer = addr_ipv4((uint8_t[]){1, 2, 4, 1}, 7);
    send_raw(u, now, &newcomer, (struct utp_packet){.type = UTP_SYN, .conn_id = 7, .seq = 1}, "");
    assert_int_equal(last_out(u, now, &n).window, 16 * KIB);
    utp_stats(u, &s);
    assert_true(s.rx_memory <= MEMORY + HOGS * 24 * KIB);
    utp_check(u);
    utp_free(u);
}

// The next packet on the wire from end 0.
static struct utp_packet on_the_wire(const struct wire *w)
{
    struct utp_packet p = {.type = UTP_SYN};
    for (uint32_t i = 0; i < w->heap_n; i++)
        if (w->heap[i].to == 1)
            assert_int_equal(utp_packet_parse(&p, slice_of(w->heap[i].bytes, w->heap[i].n)), ERR_OK);
    assert_int_equal(p.type, UTP_DATA);
    return p;
}

// Without this anybody who can write our peer's address on a packet ends the connection: a RESET counts if it answers what we sent.
static void a_reset_must_know_our_packets(void **state)
{
    UNUSED_STATE(state);
    static const uint16_t wrong[] = {1, 2, 100, 1000, 0x7fff, 0x8000}, right[] = {0, UINT16_MAX - 30};
    for (uint32_t i = 0; i < ARRAY_LEN(right); i++) {
        struct wire w;
        wire_new(&w, 8);
        wire_connect(&w);
        w.end[0].to_send = 10;
        wire_run_on(&w, w.now + NSEC_S);
        assert_true(w.end[0].connected);
        w.end[0].to_send = 20;
        wire_write(&w, &w.end[0]);
        wire_drain(&w, 0);
        const struct utp_packet p = on_the_wire(&w);
        const struct addr *const peer = &w.end[1].addr;
        for (uint32_t k = 0; k < ARRAY_LEN(wrong); k++) {
            const uint16_t ack = (uint16_t)(p.seq + 1 + wrong[k]);
            send_raw(w.end[0].u, w.now, peer, (struct utp_packet){.type = UTP_RESET, .conn_id = p.conn_id, .ack = ack}, "");
            send_raw(w.end[0].u, w.now, peer, (struct utp_packet){.type = UTP_RESET, .conn_id = (uint16_t)(p.conn_id - 1), .ack = ack}, "");
        }
        wire_drain(&w, 0);
        assert_false(w.end[0].closed);
        send_raw(w.end[0].u, w.now, peer, (struct utp_packet){.type = UTP_RESET, .conn_id = p.conn_id, .ack = (uint16_t)(p.seq + right[i])}, "");
        wire_drain(&w, 0);
        assert_true(w.end[0].closed);
        assert_int_equal(w.end[0].err, ERR_REFUSED);
        wire_free(&w);
    }
}

// Without this nobody learns that a connection is gone at the other side, or everybody can end it; or two engines talk for ever.
static void resets(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 6);
    uint32_t n;
    const struct addr *a = &w.end[0].addr;
    // Unknown: told so, within a limit, and never an answer to a RESET.
    for (uint32_t i = 0; i < 200; i++) {
        send_raw(w.end[1].u, w.now, a, (struct utp_packet){.type = UTP_DATA, .conn_id = (uint16_t)i, .seq = 99}, "x");
        const struct utp_packet p = last_out(w.end[1].u, w.now, &n);
        assert_int_equal(n, i < 50 ? 1 : 0);
        if (n == 1) {
            assert_int_equal(p.type, UTP_RESET);
            assert_int_equal(p.conn_id, i);
            assert_int_equal(p.ack, 99);
        }
    }
    send_raw(w.end[1].u, w.now + 2 * NSEC_S, a, (struct utp_packet){.type = UTP_RESET, .conn_id = 1}, "");
    (void)last_out(w.end[1].u, w.now + 2 * NSEC_S, &n);
    assert_int_equal(n, 0);
    w.now += 2 * NSEC_S;
    for (int id = 0; id < 2; id++) {                    // either id counts, trap 36
        w.end[0].closed = w.end[0].connected = w.end[1].connected = false;
        w.end[0].to_send = 10;
        w.end[0].sent = w.end[1].got = 0;
        wire_connect(&w);
        wire_run_on(&w, w.now + NSEC_S);
        assert_true(w.end[1].open);
        utp_close(w.end[1].u, w.now, w.end[1].conn, false);     // with nothing left it says FIN
        w.end[1].open = false;
        wire_drain(&w, 1);
        wire_run_on(&w, w.now + NSEC_S);
        assert_true(w.end[0].closed);
        assert_int_equal(w.end[0].err, ERR_CLOSED);
        wire_run_on(&w, w.now + 40 * NSEC_S);
    }
    wire_free(&w);
}

// R13: a window of 1 MiB would cap this at 10 MiB/s.
// The way is gone: our side ends all, at once and silently, and can begin anew.
static void a_way_that_is_gone(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 9);
    w.end[0].to_send = 1 << 20;
    wire_connect(&w);
    wire_run_on(&w, w.now + NSEC_S / 2);
    assert_true(w.end[0].connected);
    assert_false(w.end[0].closed);
    utp_cut(w.end[0].u, w.now);
    utp_cut(w.end[0].u, w.now);
    uint32_t n;
    (void)last_out(w.end[0].u, w.now, &n);
    assert_int_equal(n, 0);
    struct utp_stats s;
    utp_stats(w.end[0].u, &s);
    assert_int_equal(s.conns, 0);
    assert_int_equal(s.tx_memory + s.rx_memory, 0);
    utp_check(w.end[0].u);
    wire_free(&w);
}

static void a_fat_long_path(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 7);
    w.delay[0] = w.delay[1] = 50 * NSEC_MS;
    w.bps[0] = w.bps[1] = 125000000;
    w.queue_max = NSEC_S;
    w.end[0].to_send = 800 << 20;
    wire_connect(&w);
    wire_run_on(&w, w.now + 2 * NSEC_S);                // the start
    const uint64_t before = w.end[1].got;
    wire_run_on(&w, w.now + 2 * NSEC_S);
    const uint64_t rate = (w.end[1].got - before) / 2;
    print_message("100 ms, 1 Gbit/s: %.1f MiB/s\n", (double)rate / (double)MIB);
    assert_true(rate > 76 * MIB);                       // 8 MiB each round trip of 100 ms and a little queue
    assert_false(w.end[1].bad);
    wire_free(&w);
}

// 100 ms and 1 % of random loss, the usual trouble of uTP.
static void a_lossy_long_path(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    wire_new(&w, 8);
    w.delay[0] = w.delay[1] = 50 * NSEC_MS;
    w.bps[0] = w.bps[1] = 12500000;
    w.loss_ppm[0] = w.loss_ppm[1] = 10000;
    w.end[0].to_send = 400 << 20;
    wire_connect(&w);
    wire_run_on(&w, w.now + 60 * NSEC_S);
    print_message("100 ms, 1 %% loss: %.0f KiB/s\n", (double)w.end[1].got / 60 / 1024);
    assert_true(w.end[1].got / 60 > 350 * KIB);
    assert_false(w.end[1].bad);
    wire_free(&w);
}

// Alone at a slow bottleneck: it fills the line, and the queue stays at the target.
static void the_queue_of_a_slow_line(void **state)
{
    UNUSED_STATE(state);
    static const uint64_t RATES[] = {50000, 125000, 625000, 2500000};
    for (size_t i = 0; i < ARRAY_LEN(RATES); i++) {
        struct wire w;
        wire_new(&w, 9);
        w.delay[0] = w.delay[1] = 20 * NSEC_MS;
        w.bps[0] = RATES[i];
        w.queue_max = 10 * NSEC_S;
        w.end[0].to_send = 1 << 30;
        wire_connect(&w);
        wire_run_on(&w, w.now + 20 * NSEC_S);
        const uint64_t before = w.end[1].got;
        const nsec start_queue = w.queue_seen;
        w.queue_seen = 0;
        wire_run_on(&w, w.now + 60 * NSEC_S);
        const uint64_t rate = (w.end[1].got - before) / 60;
        print_message("%u kB/s: %u kB/s, queue at most %u ms (start %u ms)\n", (unsigned)(RATES[i] / 1000), (unsigned)(rate / 1000),
                      (unsigned)(w.queue_seen / NSEC_MS), (unsigned)(start_queue / NSEC_MS));
        assert_true(rate * 100 > RATES[i] * 90);
        assert_true(w.queue_seen < 130 * NSEC_MS);
        assert_true(start_queue < 250 * NSEC_MS);
        wire_free(&w);
    }
}

// A greedy flow like TCP: one more packet each round trip, half after a loss. Its packets share the queue.
struct greedy {
    double cwnd;
    uint32_t flight;
    uint64_t got;
    nsec halved_at;
};

static uint64_t greedy_go(struct wire *w)
{
    struct greedy *g = w->ctx;
    if (g->flight != 0) {
        g->flight--;
        g->got += 1472;
        g->cwnd += g->cwnd < 10 ? 1 : 1 / g->cwnd;
    }
    while (g->flight < (uint32_t)g->cwnd) {
        if (!wire_put(w, 0, NULL, 1472)) {
            if (w->now > g->halved_at + 100 * NSEC_MS) {
                g->cwnd = g->cwnd / 2 < 2 ? 2 : g->cwnd / 2;
                g->halved_at = w->now;
            }
            break;
        }
        g->flight++;
    }
    return 0;
}

// Without this uTP takes from others what they want to have: the reason why it exists.
static void it_gives_way(void **state)
{
    UNUSED_STATE(state);
    struct wire w;
    struct greedy g = {.cwnd = 2};
    wire_new(&w, 10);
    w.cross = greedy_go;
    w.ctx = &g;
    w.delay[0] = w.delay[1] = 20 * NSEC_MS;
    w.bps[0] = 1250000;
    w.queue_max = 400 * NSEC_MS;
    w.end[0].to_send = 1 << 30;
    wire_connect(&w);
    wire_run_on(&w, w.now + 20 * NSEC_S);
    const uint64_t before = w.end[1].got;
    (void)greedy_go(&w);
    wire_run_on(&w, w.now + 60 * NSEC_S);
    const uint64_t ours = w.end[1].got - before;
    print_message("beside a greedy flow: ours %u kB/s, its %u kB/s\n", (unsigned)(ours / 60000), (unsigned)(g.got / 60000));
    assert_true(g.got > 8 * ours / 2);                  // it has at least 80 %
    assert_true((g.got + ours) / 60 > 1250000 / 100 * 85);
    wire_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_connect_at_once),
        cmocka_unit_test(both_ways_on_a_good_wire), cmocka_unit_test(bad_wires), cmocka_unit_test(ends_are_heard),
        cmocka_unit_test(a_slow_reader_holds_the_sender), cmocka_unit_test(narrow_paths), cmocka_unit_test(silence_ends),
        cmocka_unit_test(a_flood_of_syns), cmocka_unit_test(hogs_leave_room_for_others), cmocka_unit_test(resets),
        cmocka_unit_test(a_reset_must_know_our_packets),
        cmocka_unit_test(a_way_that_is_gone), cmocka_unit_test(a_fat_long_path),
        cmocka_unit_test(a_lossy_long_path), cmocka_unit_test(the_queue_of_a_slow_line), cmocka_unit_test(it_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
