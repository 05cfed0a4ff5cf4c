// One swarm and peers that are scripts: what they say in bad faith costs them more than it costs us, takes nobody's place
// and holds nothing up.
#include "ground.h"

#include "engine/swarm/known.h"

static uint64_t times(struct ground *g, uint32_t i, const uint8_t *bytes, size_t n, uint32_t count)
{
    enum { PORTION = 32 * 1024 };
    uint8_t portion[PORTION];
    size_t fill = 0;
    while (fill + n <= PORTION) {
        memcpy(portion + fill, bytes, n);
        fill += n;
    }
    uint64_t sent = 0;
    for (uint32_t k = 0; k < count && g->all[i].peer != NULL; k += (uint32_t)(fill / n), sent += fill)
        say(g, i, portion, fill);
    return sent;
}

// Who asks and never reads is not answered into memory without end: at some time it is parted from.
static void the_deaf_are_not_answered_for_ever(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, true);
    meet(&g, 0, true);
    g.all[0].deaf = true;
    const uint8_t bad[17] = {0, 0, 0, 13, MSG_REQUEST, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0};
    times(&g, 0, bad, sizeof bad, 1000000);
    assert_true(g.all[0].unread < 512 * 1024);
    assert_null(g.all[0].peer);
    ground_done(&g);
}

// And who reads slowly gets all its answers in the end.
static void the_slow_are_answered(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, true);
    meet(&g, 0, true);
    const uint8_t bad[17] = {0, 0, 0, 13, MSG_REQUEST, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0};
    g.all[0].deaf = true;
    times(&g, 0, bad, sizeof bad, 5 * 1927);
    assert_non_null(g.all[0].peer);
    while (g.all[0].unread != 0) {
        const uint64_t n = u64_min(g.all[0].unread, 3000);
        g.all[0].unread -= n;
        swarm_sent(g.swarm, g.now, g.all[0].peer, n);
        drain(&g);
    }
    assert_int_equal(heard(&g, 0, MSG_REJECT), 5 * 1927);
    ground_done(&g);
}

// A length alone takes no memory.
static void announced_lengths_take_no_memory(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, true);
    const uint64_t before = g.heap;
    const uint8_t heads[2][6] = {{0, 0x10, 0, 0, MSG_EXTENDED, 0}, {0, 0x10, 0, 0, 99, 0}};
    for (uint32_t i = 0; i < 8; i++) {
        meet(&g, i, true);
        say(&g, i, heads[i % 2], 6);
    }
    assert_true(g.heap_most - before < 64 * 1024);
    static const uint8_t rest[(1 << 20) - 2];
    say(&g, 0, rest, sizeof rest);
    say(&g, 1, rest, sizeof rest);
    tell(&g, 0, MSG_REQUEST, 0, 0, 0);  // and the stream goes on after it
    tell(&g, 1, MSG_REQUEST, 0, 0, 0);
    assert_int_equal(heard(&g, 0, MSG_REJECT), 1);
    assert_int_equal(heard(&g, 1, MSG_REJECT), 1);
    ground_done(&g);
}

static void take_back(struct ground *g, uint32_t i, uint8_t index)
{
    const uint8_t bytes[10] = {0, 0, 0, 6, MSG_EXTENDED, extension_id(EXT_DONTHAVE), 0, 0, 0, index};
    say(g, i, bytes, sizeof bytes);
}

// Who has everything, then not, then everything, and so on, makes us count all pieces of the torrent once and not each time: its
// bitfield stays (100 microseconds for 19 bytes, with 8192 pieces).
static void a_flickering_seed_is_counted_once(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, false);
    meet(&g, 0, true);
    tell(&g, 0, MSG_HAVE_ALL, 0, 0, 0);
    take_back(&g, 0, 3);
    const uint64_t with_bits = g.heap;
    tell(&g, 0, MSG_HAVE, 3, 0, 0);
    assert_int_equal(g.heap, with_bits);
    for (uint32_t i = 0; i < 100; i++) {
        take_back(&g, 0, 3);
        tell(&g, 0, MSG_HAVE, 3, 0, 0);
    }
    assert_int_equal(g.heap, with_bits);
    ground_done(&g);
}

// Answers of which many fit into one send, and into little memory, all come; so do those to a long queue without the
// fast extension, where a lost request could not be told.
static void small_answers_all_come(void **state)
{
    (void)state;
    for (int fast = 0; fast < 2; fast++) {
        struct ground g;
        ground_init(&g, true);
        meet(&g, 0, fast != 0);
        tell(&g, 0, MSG_INTERESTED, 0, 0, 0);
        const uint8_t ask[17] = {0, 0, 0, 13, MSG_REQUEST, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
        assert_int_equal(times(&g, 0, ask, sizeof ask, 1), 1927 * sizeof ask);
        g.all[0].deaf = true;
        (void)times(&g, 0, ask, sizeof ask, fast != 0 ? 1 : 30000);
        for (uint32_t i = 0; g.all[0].unread != 0; i++) {
            const uint64_t n = u64_min(g.all[0].unread, 3000);
            assert_true(g.all[0].unread < 100 * 1024);
            g.all[0].unread -= n;
            swarm_sent(g.swarm, g.now, g.all[0].peer, n);
            drain(&g);
        }
        const uint32_t pieces = heard(&g, 0, MSG_PIECE);
        if (fast != 0)
            assert_int_equal(pieces, 2 * 1927);
        else
            assert_true(pieces > 7000);
        assert_non_null(g.all[0].peer);
        ground_done(&g);
    }
}

// While choked, the allowed-fast set is given once, and nothing else.
static void gifts_are_given_once(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, true);
    meet(&g, 0, true);
    uint32_t given = 0, refused = 0, allowed = 0;
    struct peer_msg m;
    uint32_t index[16];
    while (next_heard(&g.all[0], &m))
        if (m.id == MSG_ALLOWED_FAST)
            index[allowed++ % 16] = m.index;
    assert_int_equal(allowed, 10);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < allowed; i++)
            for (uint32_t b = 0; b < BLOCKS; b++)
                tell(&g, 0, MSG_REQUEST, index[i], b * BLOCK_LEN, BLOCK_LEN);
        while (next_heard(&g.all[0], &m)) {
            given += m.id == MSG_PIECE;
            refused += m.id == MSG_REJECT;
        }
    }
    assert_int_equal(given, 10 * BLOCKS);
    assert_int_equal(refused, 2 * 10 * BLOCKS);
    ground_done(&g);
}

// One address cannot hold all places; a peer's id used by another neither puts it out nor keeps it out.
static void places_and_names_are_not_stolen(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, true);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(meet_as(&g, i, true, 1, i), ERR_OK);
    uint32_t here = 0;
    assert_int_equal(meet_as(&g, 10, true, 1, 10), ERR_FULL);       // everybody has one address of its own
    ground_done(&g);
    ground_init(&g, true);
    for (uint32_t i = 0; i < 10; i++) {
        struct swarm_peer_new in = {.conn = i + 1, .incoming = true, .theirs.peer_id = {'y', (uint8_t)i}};
        in.addr = addr_ipv4((const uint8_t[4]){10, 9, 9, 9}, (uint16_t)(1000 + i));
        g.all[i].heard = malloc(HEARD_MAX);
        assert_int_equal(swarm_peer_add(g.swarm, g.now, &in, &g.all[i].peer), ERR_OK);
    }
    drain(&g);
    assert_int_equal(meet_as(&g, 10, true, 1, 10), ERR_OK);
    for (uint32_t i = 0; i < 10; i++)
        here += g.all[i].peer != NULL;
    assert_int_equal(here, 9);
    leave(&g, 1);
    assert_int_equal(meet_as(&g, 11, true, 2, 10), ERR_OK);         // the name of stranger 10, from elsewhere
    assert_non_null(g.all[10].peer);
    assert_non_null(g.all[11].peer);
    ground_done(&g);
}

// Without it a peer whose connection broke silently (its proxy died) is kept out by what is left of it, for four minutes.
static void who_lost_its_connection_comes_again(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, true);
    meet(&g, 3, true);
    struct swarm_peer_new in = {.conn = 5, .incoming = true, .addr = addr_ipv4((const uint8_t[4]){10, 0, 1, 3}, 7777), .theirs.peer_id = {'x', 3}};
    g.all[4].heard = malloc(HEARD_MAX);
    g.now += 3 * NSEC_S;
    assert_int_equal(swarm_peer_add(g.swarm, g.now, &in, &g.all[4].peer), ERR_EXISTS);     // both ways tried at once: the first stays
    g.now += NSEC_S;
    in.incoming = false;
    assert_int_equal(swarm_peer_add(g.swarm, g.now, &in, &g.all[4].peer), ERR_EXISTS);     // we were not told anything by dialling
    in.incoming = true;
    assert_int_equal(swarm_peer_add(g.swarm, g.now, &in, &g.all[4].peer), ERR_OK);
    drain(&g);
    assert_null(g.all[3].peer);
    assert_non_null(g.all[4].peer);
    ground_done(&g);
}

// Answers all that stranger i was asked, but for piece `held`; how many that were.
static uint32_t answer(struct ground *g, uint32_t i, uint32_t held)
{
    struct peer_msg m;
    uint32_t n = 0;
    while (g->all[i].peer != NULL && next_heard(&g->all[i], &m)) {
        if (m.id != MSG_REQUEST || m.index == held)
            continue;
        give(g, i, m.index, m.begin, true);
        n++;
    }
    return n;
}

static void bring_all(struct ground *g, uint32_t i)
{
    meet(g, i, true);
    tell(g, i, MSG_HAVE_ALL, 0, 0, 0);
    tell(g, i, MSG_UNCHOKE, 0, 0, 0);
}

// Peers that are asked and never answer, but say `unchoke` or reject now and then, hold no block for ever.
static void stallers_hold_nothing_up(void **state)
{
    (void)state;
    for (uint32_t how = 0; how < 3; how++) {
        struct ground g;
        ground_init(&g, false);
        for (uint32_t i = 0; i < 6; i++)
            bring_all(&g, i);
        bring_all(&g, 6);               // the last in every order is the only one that gives
        uint32_t second = 0;
        for (; second < 200 && g.finished == 0; second++) {
            for (uint32_t i = 0; i < 6 && second % 7 == 0; i++) {
                struct peer_msg m;
                while (how == 1 && next_heard(&g.all[i], &m))
                    if (m.id == MSG_REQUEST)
                        tell(&g, i, MSG_REJECT, m.index, m.begin, m.len);
                if (how == 2)
                    tell(&g, i, MSG_CHOKE, 0, 0, 0);
                tell(&g, i, MSG_UNCHOKE, 0, 0, 0);
            }
            while (answer(&g, 6, UINT32_MAX) != 0)
                continue;
            pass(&g, 1);
        }
        assert_true(second < 120);
        ground_done(&g);
    }
}

// A peer that gives everything but the blocks of one piece, as fast as it is asked, spoils only its own chance to give them.
static void a_block_held_back_is_asked_elsewhere(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, false);
    bring_all(&g, 0);
    bring_all(&g, 1);
    uint32_t second = 0;
    for (; second < 200 && g.finished == 0; second++) {
        (void)answer(&g, 0, 5);
        if (second > 30)
            (void)answer(&g, 1, 7);
        pass(&g, 1);
    }
    assert_true(second < 150);
    ground_done(&g);
}

// Two sources, the second of them answers `slow` requests a second, the first eight: seconds until all is here, and how many blocks were
// asked for twice.
static uint32_t finish(uint32_t slow, uint32_t *twice)
{
    struct ground g;
    struct { uint32_t index, begin; } owed[2][256];
    uint32_t owed_n[2] = {0}, at[2] = {0}, asked = 0, second = 0;
    ground_init(&g, false);
    bring_all(&g, 0);
    bring_all(&g, 1);
    for (; second < 200 && g.finished == 0; second++) {
        for (uint32_t i = 0; i < 2; i++) {
            for (struct peer_msg m; next_heard(&g.all[i], &m);) {
                if (m.id != MSG_REQUEST)
                    continue;
                owed[i][owed_n[i]].index = m.index;
                owed[i][owed_n[i]++].begin = m.begin;
                asked++;
            }
            for (uint32_t n = 0; n < (i == 0 ? 8 : slow) && at[i] < owed_n[i] && g.all[i].peer != NULL; n++, at[i]++)
                give(&g, i, owed[i][at[i]].index, owed[i][at[i]].begin, true);
        }
        pass(&g, 1);
    }
    *twice = asked - PIECES * BLOCKS;
    ground_done(&g);
    return second;
}

// The last blocks are asked for again only where that is likely to bring them well before: what comes twice is waste.
static void the_last_blocks_are_asked_twice_if_it_helps(void **state)
{
    (void)state;
    uint32_t twice;
    assert_true(finish(8, &twice) <= 8);        // 96 blocks
    assert_int_equal(twice, 0);
    assert_true(finish(7, &twice) <= 9);
    assert_int_equal(twice, 0);
    const uint32_t dead = finish(0, &twice);    // it owes four blocks for ever
    assert_true(dead <= 15);
    assert_true(twice >= 4);
    assert_true(twice <= 8);
}

// BEP 6: a choke rejects nothing. What a peer with the fast extension still owes is not asked of others until it rejects, or for five
// seconds; what it has sent already would come twice.
static void a_choke_is_no_rejection(void **state)
{
    (void)state;
    struct ground g;
    struct peer_msg owed[64], m;
    uint32_t n = 0, elsewhere = 0;
    ground_init(&g, false);
    bring_all(&g, 0);
    pass(&g, 1);
    while (next_heard(&g.all[0], &m))
        if (m.id == MSG_REQUEST)
            owed[n++] = m;
    assert_in_range(n, 4, 64);
    tell(&g, 0, MSG_CHOKE, 0, 0, 0);
    meet(&g, 1, true);
    tell(&g, 1, MSG_HAVE_NONE, 0, 0, 0);
    for (uint32_t i = 0; i < n; i++)    // and nothing else: this is not the end
        tell(&g, 1, MSG_HAVE, owed[i].index, 0, 0);
    tell(&g, 1, MSG_UNCHOKE, 0, 0, 0);
    for (uint32_t second = 0; second < 12; second++) {
        while (next_heard(&g.all[1], &m)) {
            if (m.id != MSG_REQUEST)
                continue;
            for (uint32_t i = 0; i < n; i++)
                elsewhere += owed[i].index == m.index && owed[i].begin == m.begin;
            give(&g, 1, m.index, m.begin, true);
        }
        if (second == 0) {
            give(&g, 0, owed[0].index, owed[0].begin, true);        // it was under way
            tell(&g, 0, MSG_REJECT, owed[1].index, owed[1].begin, owed[1].len);
        }
        if (second == 3)
            assert_int_equal(elsewhere, 1);     // the one that was rejected
        pass(&g, 1);
    }
    assert_int_equal(elsewhere, n - 1);         // the others are not waited for any longer
    ground_done(&g);
}

// Six hundred connections that come and go do not make us forget who is giving bad blocks.
static void a_crowd_does_not_hide_the_poisoner(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, false);
    bring_all(&g, 0);
    struct peer_msg m;
    uint32_t n = 0;
    while (next_heard(&g.all[0], &m) && n < 100) {
        if (m.id != MSG_REQUEST)
            continue;
        if (n++ == 2)
            for (uint32_t i = 0; i < 600; i++) {
                meet(&g, 1, true);
                leave(&g, 1);
            }
        give(&g, 0, m.index, m.begin, false);
        if (g.all[0].peer == NULL)
            break;
    }
    assert_int_equal(g.banned, 1);
    assert_null(g.all[0].peer);
    assert_int_equal(meet_as(&g, 0, true, 1, 0), ERR_ACCESS);
    ground_done(&g);
}

// Free places are filled at once; with most of them taken one address in five seconds is tried, since the others are full as well.
static void with_many_peers_there_is_no_hurry(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, false);
    for (uint8_t i = 0; i < 20; i++) {
        const uint8_t ip[4] = {10, 9, i, 1};
        const struct addr a = addr_ipv4(ip, 6000);
        swarm_known_add(g.swarm, g.now, &a, false);
    }
    struct addr next;
    for (uint32_t i = 0; i < 5; i++)
        meet(&g, i, true);
    for (uint32_t i = 0; i < 8; i++)
        assert_true(swarm_known_next(g.swarm, g.now, &next));
    meet(&g, 5, true);
    pass(&g, 5);
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    assert_false(swarm_known_next(g.swarm, g.now, &next));
    pass(&g, 4);
    assert_false(swarm_known_next(g.swarm, g.now, &next));
    pass(&g, 1);
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    leave(&g, 5);
    assert_true(swarm_known_next(g.swarm, g.now, &next));
    ground_done(&g);
}

// Says where it listens and that it wants peer exchange by id 7.
static void offers_pex(struct ground *g, uint32_t i, uint16_t port)
{
    uint8_t space[EXTENDED_HANDSHAKE_MAX + 16];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct extended_handshake h = {.has_listen_port = true, .listen_port = port};
    h.has_id[EXT_PEX] = true;
    h.ids[EXT_PEX] = 7;
    extended_write(&w, &h);
    say(g, i, b.p, b.n);
}

// Without it peers that have come to us are dialled again and again, wherever trackers and other peers name them: the handshake tells by
// which port they are known. When they go, or listen elsewhere, they are candidates again.
static void who_has_come_is_not_dialled(void **state)
{
    (void)state;
    struct ground g;
    struct addr out, first = addr_ipv4((const uint8_t[4]){10, 0, 1, 1}, 6001), second = addr_ipv4((const uint8_t[4]){10, 0, 1, 2}, 6002);
    ground_init(&g, true);
    meet(&g, 1, true);
    meet(&g, 2, true);
    swarm_known_add(g.swarm, g.now, &first, false);
    offers_pex(&g, 1, 6001);
    offers_pex(&g, 2, 6002);
    swarm_known_add(g.swarm, g.now, &second, false);    // before and after it came
    assert_false(swarm_known_next(g.swarm, g.now, &out));
    assert_false(swarm_known_take(g.swarm, g.now, &second));
    offers_pex(&g, 1, 7001);
    pass(&g, KNOWN_RETRY_S + 1);
    assert_true(swarm_known_next(g.swarm, g.now, &out));
    assert_true(addr_eq(&out, &first));
    assert_false(swarm_known_next(g.swarm, g.now, &out));
    leave(&g, 2);
    assert_false(swarm_known_next(g.swarm, g.now, &out));
    pass(&g, KNOWN_RETRY_S + 1);
    assert_true(swarm_known_next(g.swarm, g.now, &out));
    assert_true(addr_eq(&out, &second));
    ground_done(&g);
}

// Sends n addresses 10.9.k.1 with that port.
static void exchanges(struct ground *g, uint32_t i, uint32_t first, uint32_t n, uint16_t port)
{
    static uint8_t space[UT_PEX_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct ut_pex_news news = {.added_n = n};
    for (uint32_t k = 0; k < n; k++) {
        const uint8_t ip[4] = {10, 9, (uint8_t)(first + k), 1};
        news.added[k].addr = addr_ipv4(ip, port);
    }
    ut_pex_write(&w, extension_id(EXT_PEX), &news);
    say(g, i, b.p, b.n);
}

static uint32_t known_n(struct ground *g)
{
    struct swarm_stats s;
    swarm_stats(g->swarm, &s);
    return s.known;
}

// BEP 11: who is met and lost is told, by the port where it listens, once a minute at most; nobody is told of itself.
static void who_is_met_and_lost_is_told(void **state)
{
    (void)state;
    struct ground g;
    struct ut_pex m;
    ground_init(&g, true);
    for (uint32_t i = 0; i < 3; i++)
        meet(&g, i, true);
    for (uint32_t i = 0; i < 2; i++)    // the third does not say where it listens
        offers_pex(&g, i, (uint16_t)(6000 + i));
    pass(&g, 9);
    assert_int_equal(heard_pex(&g, 0, &m), 0);
    pass(&g, 2);
    assert_int_equal(heard_pex(&g, 0, &m), 1);
    assert_int_equal(ut_pex_added_n(&m), 1);
    const uint8_t ip[4] = {10, 0, 1, 1};
    const struct addr expect = addr_ipv4(ip, 6001);
    const struct ut_pex_peer told = ut_pex_added(&m, 0);
    assert_true(addr_eq(&told.addr, &expect));
    assert_int_equal(told.flags, 0);    // it came to us: we do not know whether it can be reached
    leave(&g, 1);
    meet(&g, 3, true);
    offers_pex(&g, 3, 6003);
    pass(&g, 55);
    assert_int_equal(heard_pex(&g, 0, &m), 0);
    pass(&g, 10);
    assert_int_equal(heard_pex(&g, 0, &m), 1);
    assert_int_equal(ut_pex_added_n(&m), 1);
    assert_int_equal(ut_pex_added(&m, 0).addr.port, 6003);
    assert_int_equal(ut_pex_dropped_n(&m), 1);
    const struct addr gone = ut_pex_dropped(&m, 0);
    assert_true(addr_eq(&gone, &expect));
    pass(&g, 61);
    assert_int_equal(heard_pex(&g, 0, &m), 0);          // no news
    offers_pex(&g, 3, 6004);            // it listens elsewhere now
    pass(&g, 11);
    assert_int_equal(heard_pex(&g, 0, &m), 1);
    assert_int_equal(ut_pex_added(&m, 0).addr.port, 6004);
    assert_int_equal(ut_pex_dropped(&m, 0).port, 6003);
    leave(&g, 3);
    meet(&g, 3, true);
    offers_pex(&g, 3, 6004);
    meet(&g, 4, true);
    offers_pex(&g, 4, 6005);
    leave(&g, 4);
    pass(&g, 65);
    assert_int_equal(heard_pex(&g, 0, &m), 0);          // lost and met again, or met and lost, is no news
    ground_done(&g);
}

// What is told becomes candidates: of the first message all, then 50 a minute; a flood ends the connection.
static void what_is_exchanged_is_limited(void **state)
{
    (void)state;
    struct ground g;
    ground_init(&g, false);
    meet(&g, 0, true);
    exchanges(&g, 0, 0, 10, 0);         // no port
    assert_int_equal(known_n(&g), 0);
    pass(&g, 60);
    exchanges(&g, 0, 0, 50, 6881);
    assert_int_equal(known_n(&g), 50);
    pass(&g, 44);
    exchanges(&g, 0, 50, 50, 6881);
    assert_int_equal(known_n(&g), 50);  // too soon
    pass(&g, 1);
    exchanges(&g, 0, 100, 50, 6881);
    assert_int_equal(known_n(&g), 100);
    for (uint32_t i = 0; i < 5; i++)
        exchanges(&g, 0, 150, 1, 6881);
    assert_non_null(g.all[0].peer);
    exchanges(&g, 0, 150, 1, 6881);
    assert_null(g.all[0].peer);
    assert_int_equal(known_n(&g), 100);
    ground_done(&g);
}

// BEP 27: of a private torrent nothing is told and nothing taken.
static void private_torrents_exchange_nothing(void **state)
{
    (void)state;
    struct ground g;
    struct ut_pex m;
    ground_init(&g, false);
    g.meta.is_private = true;
    meet(&g, 0, true);
    meet(&g, 1, true);
    offers_pex(&g, 0, 6000);
    offers_pex(&g, 1, 6001);
    exchanges(&g, 0, 0, 50, 6881);
    assert_int_equal(known_n(&g), 0);
    pass(&g, 130);
    assert_int_equal(heard_pex(&g, 0, &m), 0);
    ground_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deaf_are_not_answered_for_ever),
        cmocka_unit_test(the_slow_are_answered),
        cmocka_unit_test(who_lost_its_connection_comes_again),
        cmocka_unit_test(announced_lengths_take_no_memory),
        cmocka_unit_test(a_flickering_seed_is_counted_once),
        cmocka_unit_test(small_answers_all_come),
        cmocka_unit_test(gifts_are_given_once),
        cmocka_unit_test(places_and_names_are_not_stolen),
        cmocka_unit_test(stallers_hold_nothing_up),
        cmocka_unit_test(a_block_held_back_is_asked_elsewhere),
        cmocka_unit_test(the_last_blocks_are_asked_twice_if_it_helps),
        cmocka_unit_test(a_choke_is_no_rejection),
        cmocka_unit_test(a_crowd_does_not_hide_the_poisoner),
        cmocka_unit_test(with_many_peers_there_is_no_hurry),
        cmocka_unit_test(who_has_come_is_not_dialled), cmocka_unit_test(who_is_met_and_lost_is_told),
        cmocka_unit_test(what_is_exchanged_is_limited),
        cmocka_unit_test(private_torrents_exchange_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
