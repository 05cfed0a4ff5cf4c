// The metadata of a magnet link from peers that are scripts: several at once, liars found, bombs refused, what is said
// besides kept for the swarm.
#include "test.h"

#include "codec/extended.h"
#include "engine/swarm/metadata.h"

enum { PEERS = 10, LEN = 5 * UT_METADATA_PART + 100, PARTS = 6, THEIR_ID = 9 };

struct script {
    struct metadata_peer *peer;         // NULL: closed
    uint64_t size;                      // what it claims
    bool lies, rejects, mute, closed;   // lies: every byte is wrong
    uint32_t asked[64], asked_n;        // parts it was asked for
    uint32_t handshakes, have_nones;
};

struct ground {
    struct metadata *m;
    nsec now;
    struct script all[PEERS];
    uint32_t peers_n;
    uint8_t *done;
    size_t done_n;
    uint32_t banned;
};

static uint8_t info[LEN], our_id[20] = "-KH0100-ourselves00";

static void open_ground(struct ground *g)
{
    memset(g, 0, sizeof *g);
    g->now = 1000 * NSEC_S;
    for (size_t i = 0; i < LEN; i++)
        info[i] = (uint8_t)(i * 7 + (i >> 8) * 13);
    struct metadata_config cfg = {.has_v1 = true, .has_v2 = true, .peer_id = our_id, .listen_port = 6881};
    sha1_of(slice_of(info, LEN), cfg.hash_v1);
    sha256_of(slice_of(info, LEN), cfg.hash_v2);
    assert_int_equal(metadata_new(&g->m, &cfg, &test_env, g->now), ERR_OK);
}

static void close_ground(struct ground *g)
{
    metadata_check(g->m);
    metadata_free(g->m);
    free(g->done);
}

static void say(struct ground *g, uint32_t i, const struct buf *b)
{
    if (g->all[i].peer != NULL)
        metadata_rx(g->m, g->now, g->all[i].peer, buf_slice(b));
    metadata_check(g->m);
}

static void say_handshake(struct ground *g, uint32_t i)
{
    uint8_t space[EXTENDED_HANDSHAKE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct extended_handshake h = {.has_metadata_size = g->all[i].size != 0, .metadata_size = g->all[i].size};
    h.has_id[EXT_METADATA] = true;
    h.ids[EXT_METADATA] = THEIR_ID;
    extended_write(&w, &h);
    say(g, i, &b);
}

static void say_part(struct ground *g, uint32_t i, uint32_t part)
{
    static uint8_t space[UT_METADATA_PART + 256];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct ut_metadata u = {.type = UT_METADATA_REJECT, .part = part};
    if (!g->all[i].rejects) {
        u.type = UT_METADATA_DATA;
        u.total = g->all[i].size;
        u.data = slice_sub(slice_of(info, LEN), (size_t)part * UT_METADATA_PART, UT_METADATA_PART);
        if (g->all[i].size > LEN || g->all[i].size < UT_METADATA_PART)      // invented
            u.data = slice_of(info, (size_t)u64_min(UT_METADATA_PART, g->all[i].size - (uint64_t)part * UT_METADATA_PART));
    }
    ut_metadata_write(&w, extension_id(EXT_METADATA), &u);
    const size_t at = b.n;
    if (u.type == UT_METADATA_DATA)
        wr_bytes(&w, u.data);
    for (size_t k = at; g->all[i].lies && k < b.n; k++)
        b.p[k] ^= 0x55;
    assert_true(w.ok);
    say(g, i, &b);
}

static void hear(struct ground *g, uint32_t i, struct slice bytes)
{
    struct script *s = &g->all[i];
    while (bytes.n != 0) {
        struct rd r = rd_make(bytes);
        const uint32_t len = rd_be32(&r);
        struct peer_msg msg;
        assert_int_equal(peer_msg_parse(&msg, slice_sub(bytes, 4, len)), ERR_OK);
        bytes = slice_sub(bytes, 4 + (size_t)len, bytes.n);
        s->have_nones += msg.id == MSG_HAVE_NONE;
        if (msg.id != MSG_EXTENDED)
            continue;
        if (msg.extended_id == 0) {
            assert_int_equal(s->have_nones, 1);         // first
            s->handshakes++;
            continue;
        }
        struct ut_metadata u;
        assert_int_equal(msg.extended_id, THEIR_ID);
        assert_int_equal(ut_metadata_parse(&u, msg.payload), ERR_OK);
        if (u.type == UT_METADATA_REQUEST)
            s->asked[s->asked_n++ % 64] = u.part;
    }
}

static void drain(struct ground *g)
{
    static uint8_t space[8192];
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct metadata_out out = {0};
        const enum metadata_kind kind = metadata_poll(g->m, g->now, &tx, &out);
        metadata_check(g->m);
        if (kind == METADATA_IDLE)
            return;
        if (kind == METADATA_SEND) {
            hear(g, out.conn - 1, out.bytes);
        } else if (kind == METADATA_CLOSE) {
            g->all[out.conn - 1].peer = NULL;
            g->all[out.conn - 1].closed = true;
        } else if (kind == METADATA_BANNED) {
            g->banned++;
        } else {
            assert_null(g->done);
            g->done = malloc(out.bytes.n);
            memcpy(g->done, out.bytes.p, out.bytes.n);
            g->done_n = out.bytes.n;
        }
    }
}

static uint32_t join(struct ground *g, struct script s)
{
    const uint32_t i = g->peers_n++;
    g->all[i] = s;
    struct swarm_peer_new in = {.conn = i + 1, .addr = addr_ipv4((uint8_t[]){10, 0, 0, (uint8_t)(i + 1)}, 6881)};
    in.theirs = (struct handshake){.has_extended = true, .has_fast = true};
    in.theirs.peer_id[0] = (uint8_t)(i + 1);
    assert_int_equal(metadata_peer_add(g->m, g->now, &in, &g->all[i].peer), ERR_OK);
    say_handshake(g, i);
    drain(g);
    return i;
}

// Everybody answers what he was asked, in turn, until nothing more happens; returns the parts that were sent.
static uint32_t run(struct ground *g)
{
    uint32_t sent = 0;
    for (bool any = true; any && g->done == NULL;) {
        any = false;
        for (uint32_t i = 0; i < g->peers_n; i++) {
            struct script *s = &g->all[i];
            if (s->asked_n == 0 || s->mute || s->peer == NULL)
                continue;
            const uint32_t part = s->asked[0];
            memmove(s->asked, s->asked + 1, --s->asked_n * sizeof s->asked[0]);
            say_part(g, i, part);
            drain(g);
            sent++;
            any = true;
        }
    }
    return sent;
}

static void later(struct ground *g, uint64_t s)
{
    for (uint64_t i = 0; i < s; i++) {
        g->now += NSEC_S;
        metadata_tick(g->m, g->now);
        drain(g);
    }
}

static void expect_done(const struct ground *g)
{
    assert_int_equal(g->done_n, LEN);
    assert_memory_equal(g->done, info, LEN);
}

// Four peers share the work: nobody is asked for all of it.
static void four_peers_at_once(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    for (int i = 0; i < 4; i++)
        join(&g, (struct script){.size = LEN});
    uint32_t askers = 0;
    for (int i = 0; i < 4; i++)
        askers += g.all[i].asked_n != 0;
    assert_true(askers >= 4);
    run(&g);
    expect_done(&g);
    close_ground(&g);
}

// One of four lies in what it sends: one more round, the liar is named, nobody else is.
static void a_liar_costs_one_more_round(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    for (int i = 0; i < 4; i++)
        join(&g, (struct script){.size = LEN, .lies = i == 1});
    const uint32_t sent = run(&g);
    expect_done(&g);
    drain(&g);
    assert_int_equal(g.banned, 1);
    assert_true(g.all[1].closed);
    for (int i = 0; i < 4; i++)
        assert_true(i == 1 || !g.all[i].closed);
    assert_true(sent <= PARTS * 2 + 4 * PARTS);
    struct swarm_peer_new in = {.conn = 9, .addr = addr_ipv4((uint8_t[]){10, 0, 0, 2}, 7000), .theirs = {.has_extended = true}};
    struct metadata_peer *p;
    assert_int_equal(metadata_peer_add(g.m, g.now, &in, &p), ERR_ACCESS);
    close_ground(&g);
}

// A single liar is known at once.
static void a_liar_alone_is_banned_and_the_next_is_right(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    join(&g, (struct script){.size = LEN, .lies = true});
    run(&g);
    assert_int_equal(g.banned, 1);
    assert_null(g.done);
    join(&g, (struct script){.size = LEN});
    run(&g);
    expect_done(&g);
    close_ground(&g);
}

// Sizes that differ are kept apart: a bomb's parts never mix with the others', and it cannot hold them up.
static void sizes_are_kept_apart(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    const uint32_t bomb = join(&g, (struct script){.size = UT_METADATA_MAX});
    const uint32_t too_big = join(&g, (struct script){.size = (uint64_t)UT_METADATA_MAX + 1});
    const uint32_t short_one = join(&g, (struct script){.size = LEN - 1});
    join(&g, (struct script){.size = LEN});
    assert_int_equal(g.all[bomb].asked_n, METADATA_ASKS_MAX);
    assert_int_equal(g.all[too_big].asked_n, 0);
    assert_true(g.all[short_one].asked_n != 0);
    run(&g);
    expect_done(&g);
    close_ground(&g);
}

// More sizes than are followed: who comes later waits until one has failed, and is not forgotten.
static void many_false_sizes_only_delay(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++)
        join(&g, (struct script){.size = 100 + i});
    const uint32_t honest = join(&g, (struct script){.size = LEN});
    assert_int_equal(g.all[honest].asked_n, 0);
    run(&g);                            // the false ones are wrong, go, and make room
    later(&g, 2);
    run(&g);
    expect_done(&g);
    assert_int_equal(g.banned, METADATA_SIZES_MAX);
    close_ground(&g);
}

// Nor do they hold their places by giving a few parts from time to time: 31 MB at such a rate take hours.
static void false_sizes_that_trickle_make_room(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++)
        join(&g, (struct script){.size = UT_METADATA_MAX - i, .mute = true});
    const uint32_t honest = join(&g, (struct script){.size = LEN});
    for (uint32_t s = 0; s <= 40 && g.done == NULL; s += 10) {
        for (uint32_t i = 0; i < honest; i++) {
            struct script *t = &g.all[i];
            const uint32_t n = t->asked_n;
            for (uint32_t k = 0; k < n; k++)
                say_part(&g, i, t->asked[k]);
            t->asked_n = 0;
            drain(&g);
        }
        later(&g, 10);
        run(&g);
    }
    expect_done(&g);
    close_ground(&g);
}

// Who refuses or is silent holds nothing up for long.
static void refusals_and_silence(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    join(&g, (struct script){.size = LEN, .rejects = true});
    join(&g, (struct script){.size = LEN, .mute = true});
    join(&g, (struct script){.size = LEN});
    run(&g);
    later(&g, METADATA_ASK_S + 1);
    run(&g);
    expect_done(&g);
    later(&g, 60);
    close_ground(&g);
}

// Without this four that are silent, and come again whenever they are let go, hold an honest one up for minutes: it is asked after three
// seconds, whoever else was.
static void who_is_slow_is_not_waited_for(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    for (uint32_t i = 0; i < 2 * PARTS / METADATA_ASKS_MAX; i++)
        join(&g, (struct script){.size = LEN, .mute = true});
    const uint32_t honest = join(&g, (struct script){.size = LEN});
    assert_int_equal(g.all[honest].asked_n, 0);
    later(&g, METADATA_SLOW_S);
    run(&g);
    expect_done(&g);
    close_ground(&g);
}

// A size that changes, data of another length, data for another total: the peer goes.
static void contradictions_end_the_connection(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    const uint32_t a = join(&g, (struct script){.size = LEN});
    g.all[a].size = LEN + 1;
    say_handshake(&g, a);
    drain(&g);
    assert_true(g.all[a].closed);
    const uint32_t b = join(&g, (struct script){.size = LEN});
    g.all[b].size = LEN - 1;            // says another total with its data
    run(&g);
    assert_true(g.all[b].closed);
    assert_null(g.done);
    close_ground(&g);
}

// What a peer says besides is handed over in order and without the metadata in between; also half a message.
static void the_swarm_hears_everything_else(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    uint8_t space[128], expected[128];
    struct buf b = {space, 0, sizeof space}, want = {expected, 0, sizeof expected};
    struct wr w = wr_make(&b), we = wr_make(&want);
    const uint32_t i = join(&g, (struct script){.size = LEN});
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_HAVE_ALL});
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_UNCHOKE});
    wr_bytes(&we, buf_slice(&b));
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_KEEP_ALIVE});
    for (size_t k = 0; k < b.n; k++) {  // byte by byte
        struct buf one = {space + k, 1, 1};
        say(&g, i, &one);
    }
    run(&g);
    expect_done(&g);
    b.n = 0;
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_HAVE, .index = 5});
    b.n -= 2;                           // not yet whole
    say(&g, i, &b);
    wr_bytes(&we, buf_slice(&b));
    struct swarm_peer_new in;
    struct slice said;
    assert_true(metadata_handover(g.m, g.all[i].peer, &in, &said));
    assert_true(in.begun);
    struct buf hand = {space, 0, sizeof space};
    struct wr wh = wr_make(&hand);
    struct extended_handshake h = {.has_metadata_size = true, .metadata_size = LEN};
    h.has_id[EXT_METADATA] = true;
    h.ids[EXT_METADATA] = THEIR_ID;
    extended_write(&wh, &h);
    assert_true(slice_eq(slice_sub(said, 0, hand.n), buf_slice(&hand)));
    assert_true(slice_eq(slice_sub(said, hand.n, said.n), buf_slice(&want)));
    close_ground(&g);
}

// No peer can fill the memory by what is kept for the swarm.
static void what_is_kept_is_bounded(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    const uint32_t i = join(&g, (struct script){.size = LEN});
    static uint8_t space[9 * 4096];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    for (uint32_t k = 0; k < 4096; k++)
        peer_msg_write(&w, &(struct peer_msg){.id = MSG_HAVE, .index = k});
    for (int k = 0; k < 20; k++)
        say(&g, i, &b);
    drain(&g);
    assert_true(g.all[i].closed);
    const uint32_t k = join(&g, (struct script){.size = LEN});
    struct buf head = {(uint8_t[]){0x7f, 0xff, 0xff, 0xff, 5}, 5, 5};       // 2 GiB
    say(&g, k, &head);
    drain(&g);
    assert_true(g.all[k].closed);
    close_ground(&g);
}

// Hundreds that offer nothing do not keep out one that does.
static void places_go_to_who_may_have_it(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    open_ground(&g);
    struct metadata_peer *p;
    struct swarm_peer_new in = {.theirs = {.has_extended = true, .has_fast = true}};
    for (uint32_t i = 0; i < METADATA_PEERS_MAX; i++) {
        in.conn = 100 + i;
        in.addr = addr_ipv4((uint8_t[]){10, 1, 0, (uint8_t)(i + 1)}, 6881);
        in.theirs.peer_id[1] = (uint8_t)(i + 1);
        assert_int_equal(metadata_peer_add(g.m, g.now, &in, &p), ERR_OK);
    }
    in.theirs.peer_id[1] = 200;
    assert_int_equal(metadata_peer_add(g.m, g.now, &in, &p), ERR_FULL);
    g.now += 11 * NSEC_S;
    in.addr.ip[3] = 99;
    assert_int_equal(metadata_peer_add(g.m, g.now, &in, &p), ERR_OK);
    assert_int_equal(metadata_peer_add(g.m, g.now, &in, &p), ERR_EXISTS);
    in.theirs.has_extended = false;
    assert_int_equal(metadata_peer_add(g.m, g.now, &in, &p), ERR_UNSUPPORTED);
    close_ground(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_peers_at_once),
        cmocka_unit_test(a_liar_costs_one_more_round),
        cmocka_unit_test(a_liar_alone_is_banned_and_the_next_is_right),
        cmocka_unit_test(sizes_are_kept_apart),
        cmocka_unit_test(many_false_sizes_only_delay),
        cmocka_unit_test(false_sizes_that_trickle_make_room),
        cmocka_unit_test(refusals_and_silence),
        cmocka_unit_test(who_is_slow_is_not_waited_for),
        cmocka_unit_test(contradictions_end_the_connection),
        cmocka_unit_test(the_swarm_hears_everything_else),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(places_go_to_who_may_have_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
