// Every judge of the wire, the lines, memory and the end of a run fires on what it is there for, and not on what is right.
#include "lab.h"
#include "sim/net.h"
#include "sim/stream.h"

#include "sim/oracle.h"
#include "sim/watch.h"

static const uint64_t kb100[] = {100000};               // four pieces
static const struct stage_torrent v1 = {.v1 = true, .piece_len = 32768, .lens = kb100, .files_n = 1};

// A stream between hosts 0 and 1 that only the judge sees.
struct wiretap {
    struct lab lab;
    struct conn conn;
    uint32_t torrent;
};

static void tap_open(struct wiretap *t, const char *name)
{
    const struct world_config cfg = {.seed = 1, .watch = true};
    const struct host_config host = {.node = {.slots_max = 1}};
    *t = (struct wiretap){0};
    lab_open(&t->lab, name, &cfg);
    t->torrent = lab_torrent(&t->lab, &v1);
    for (uint32_t i = 0; i < 2; i++) {
        world_want(t->lab.world, world_host(t->lab.world, &host), t->torrent, i == 0 ? WANT_SEED : WANT_LEECH);
        t->conn.ends[i] = (struct end){.kind = END_NODE, .state = END_OPEN, .host = t->lab.world->hosts[i], .conn = &t->conn, .side = i};
        t->conn.pipes[i] = (struct pipe){.conn = &t->conn, .id = i};
    }
}

static void tap_close(struct wiretap *t)
{
    watch_free(t->lab.world, &t->conn);
    lab_free(&t->lab);
}

// Side `side` says bytes; with `heard` the other side takes them, too.
static void say(struct wiretap *t, uint32_t side, const uint8_t *bytes, size_t n, bool heard)
{
    struct part *part = calloc(1, sizeof *part + n);
    assert_non_null(part);
    part->len = part->bytes_n = n;
    memcpy(part->bytes, bytes, n);
    watch_said(t->lab.world, &t->conn.pipes[side], part);
    if (heard)
        watch_heard(t->lab.world, &t->conn.pipes[side], part, 0, n);
    free(part);
}

static void shake(struct wiretap *t)
{
    uint8_t hello[WATCH_HANDSHAKE] = {19};
    memcpy(hello + 28, t->lab.world->torrents[t->torrent].info_hash, 20);
    say(t, 0, hello, sizeof hello, true);
    say(t, 1, hello, sizeof hello, true);
}

struct line {
    uint32_t side;
    const char *bytes;
    size_t n;
    bool held;                          // said, but the other side has not taken it yet
};

#define LINE(side, text) {side, text, sizeof text - 1, false}
#define HELD(side, text) {side, text, sizeof text - 1, true}

#define CHOKE "\0\0\0\1\0"
#define UNCHOKE "\0\0\0\1\1"
#define INTERESTED "\0\0\0\1\2"
#define HAVE_ALL "\0\0\0\1\16"
#define ASK(piece, begin, len) "\0\0\0\15\6" "\0\0\0" piece begin len
#define PIECE_OF_4(piece) "\0\0\0\15\7" "\0\0\0" piece "\0\0\0\0" "data"

static void wire_rules_are_judged(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *name, *verdict;     // NULL: nothing is wrong
        struct line lines[5];
    } cases[] = {
        {"a fair exchange", NULL, {LINE(0, HAVE_ALL), LINE(1, INTERESTED), LINE(0, UNCHOKE), LINE(1, ASK("\1", "\0\0\0\0", "\0\0\0\4")), LINE(0, PIECE_OF_4("\1"))}},
        {"asked while choked", "n1 asks for piece 1 while choked", {LINE(1, ASK("\1", "\0\0\0\0", "\0\0\0\4"))}},
        {"asked before the unchoke was heard", "n1 asks for piece 1 while choked", {HELD(0, UNCHOKE), LINE(1, ASK("\1", "\0\0\0\0", "\0\0\0\4"))}},
        {"asked when the choke is not heard yet", NULL, {LINE(0, UNCHOKE), HELD(0, CHOKE), LINE(1, ASK("\1", "\0\0\0\0", "\0\0\0\4"))}},
        {"allowed fast", NULL, {LINE(0, "\0\0\0\5\21\0\0\0\1"), LINE(1, ASK("\1", "\0\0\0\0", "\0\0\0\4"))}},
        {"another piece than is allowed", "n1 asks for piece 2 while choked", {LINE(0, "\0\0\0\5\21\0\0\0\1"), LINE(1, ASK("\2", "\0\0\0\0", "\0\0\0\4"))}},
        {"a bitfield later", "n0 sends a bitfield, but not first", {LINE(0, INTERESTED), LINE(0, "\0\0\0\2\5\xf0")}},
        {"a bitfield of the wrong size", "n0 sends a bitfield of 2 bytes", {LINE(0, "\0\0\0\3\5\xf0\0")}},
        {"a piece that is not there", "n0 has piece 4 of 4", {LINE(0, "\0\0\0\5\4\0\0\0\4")}},
        {"a block too long", "n1 asks for 16385 bytes at 0 of piece 1", {LINE(0, UNCHOKE), LINE(1, ASK("\1", "\0\0\0\0", "\0\0\x40\1"))}},
        {"a block past the end", "n1 asks for 16384 bytes at 16384 of piece 3", {LINE(0, UNCHOKE), LINE(1, ASK("\3", "\0\0\x40\0", "\0\0\x40\0"))}},
        {"a block nobody asked for", "n0 sends 4 bytes at 0 of piece 1, which nobody asked for", {LINE(0, UNCHOKE), LINE(0, PIECE_OF_4("\1"))}},
        {"a block twice", "n0 sends 4 bytes at 0 of piece 1, which nobody asked for", {LINE(0, UNCHOKE), LINE(1, ASK("\1", "\0\0\0\0", "\0\0\0\4")), LINE(0, PIECE_OF_4("\1")), LINE(0, PIECE_OF_4("\1"))}},
        {"unchoked twice", "n0 says unchoke twice", {LINE(0, UNCHOKE), LINE(0, UNCHOKE)}},
        {"a message of 2 GiB", "n0 says what is no message", {LINE(0, "\x7f\xff\xff\xff\7")}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wiretap t;
        tap_open(&t, cases[i].name);
        shake(&t);
        for (size_t k = 0; k < ARRAY_LEN(cases[i].lines) && cases[i].lines[k].n != 0; k++) {
            const struct line *l = &cases[i].lines[k];
            say(&t, l->side, (const uint8_t *)l->bytes, l->n, !l->held);
        }
        const char *const want = cases[i].verdict == NULL ? "" : cases[i].verdict;
        if (strcmp(t.lab.world->failure, want) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].name, t.lab.world->failure, want);
        tap_close(&t);
    }
}

// Slots and rounds: one regular slot and the optimistic one; chokes of interested peers come in rounds of ten seconds.
static void choking_is_judged(void **state)
{
    UNUSED_STATE(state);
    struct wiretap t;
    tap_open(&t, __func__);
    struct host *h = t.lab.world->hosts[0];
    shake(&t);
    h->unchoked_n = 2;
    say(&t, 0, (const uint8_t *)UNCHOKE, 5, true);
    assert_string_equal(t.lab.world->failure, "n0 has unchoked 3 peers, 2 slots");
    tap_close(&t);

    for (uint32_t late = 0; late < 2; late++) {
        tap_open(&t, __func__);
        h = t.lab.world->hosts[0];
        shake(&t);
        say(&t, 1, (const uint8_t *)INTERESTED, 5, true);
        say(&t, 0, (const uint8_t *)UNCHOKE, 5, true);
        t.lab.world->now = 20 * NSEC_S;
        h->choked_at = (late == 0 ? 15 : 10) * NSEC_S;
        say(&t, 0, (const uint8_t *)CHOKE, 5, true);
        assert_string_equal(t.lab.world->failure, late == 0 ? "n0 chokes again after 5000 ms" : "");
        tap_close(&t);
    }
}

static void lines_carry_no_more_than_they_can(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    const struct host_config host = {.up_bps = KBPS(100), .down_bps = KBPS(200)};
    lab_open(&l, __func__, &(struct world_config){.seed = 1});
    const uint32_t index = world_host(l.world, &host);
    struct host *h = l.world->hosts[index];
    oracle_line(l.world, h, false, 5 * NSEC_S, 100000);
    oracle_line(l.world, h, true, 5 * NSEC_S, 200000);
    oracle_line(l.world, h, false, 6 * NSEC_S, 100000);
    assert_string_equal(l.world->failure, "");
    oracle_line(l.world, h, false, 6 * NSEC_S + 999 * NSEC_MS, 40000);
    assert_string_equal(l.world->failure, "n0's line carries 140000 bytes up in a second, 100000 are possible");
    lab_free(&l);
}

// Runs one seed and one leech; the failure it ends with.
static void copy_one(struct lab *l, const char *name, const struct world_config *cfg, bool cheats)
{
    const struct lab_swarm s = {.name = name, .world = *cfg, .torrent = v1, .seed = {.up_bps = KBPS(50)}, .leech = {.dials = 1, .down_bps = KBPS(50)},
                                .seeds = 1, .leeches = 1};
    const struct lab_run run = lab_swarm(l, &s);
    if (cheats)                         // its line is said to be slower than it is
        l->world->hosts[run.first_leech]->cfg.down_bps = KBPS(5);
    nsec t;
    (void)world_run_complete(l->world, 100 * NSEC_S, &t);
}

static void nobody_is_faster_than_light(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    copy_one(&l, __func__, &(struct world_config){.seed = 1}, false);
    assert_string_equal(l.world->failure, "");
    lab_free(&l);
    copy_one(&l, __func__, &(struct world_config){.seed = 1}, true);
    assert_non_null(strstr(l.world->failure, "faster than its line"));
    lab_free(&l);
}

static void memory_has_its_limit(void **state)
{
    UNUSED_STATE(state);
    struct lab l;
    copy_one(&l, __func__, &(struct world_config){.seed = 1, .memory_max = 64 << 20}, false);
    assert_string_equal(l.world->failure, "");
    lab_free(&l);
    copy_one(&l, __func__, &(struct world_config){.seed = 1, .memory_max = 4096}, false);
    assert_non_null(strstr(l.world->failure, "bytes of memory"));
    lab_free(&l);
}

// With hashes for each block nobody who is honest is ever banned.
static void an_honest_ban_is_judged(void **state)
{
    UNUSED_STATE(state);
    for (uint32_t tree = 0; tree < 2; tree++) {
        struct stage_torrent torrent = v1;
        torrent.v1 = tree == 0;
        torrent.v2 = tree == 1;
        const struct lab_swarm s = {.name = __func__, .world = {.seed = 1}, .torrent = torrent, .seed = {.up_bps = KBPS(500)}, .leech = {.dials = 1},
                                    .seeds = 1, .leeches = 1};
        struct lab l;
        const struct lab_run run = lab_swarm(&l, &s);
        nsec t;
        assert_true(world_run_complete(l.world, 100 * NSEC_S, &t));
        struct host *h = l.world->hosts[run.first_leech];
        const struct node_event ev = {.kind = NODE_EVENT_BANNED, .torrent = h->wants[0].number, .addr = addr_ipv4((uint8_t[4]){10, 0, 0, 1}, 1)};
        assert_ptr_equal(net_host(l.world, &ev.addr), l.world->hosts[run.first_seed]);
        oracle_event(l.world, h, &ev);
        assert_int_equal(strstr(l.world->failure, "which is honest") != NULL, tree == 1);
        assert_int_equal(l.world->totals.honest_bans, 1);
        lab_free(&l);
    }
}

// Everybody whom the content can reach has it in bounded time; who is cut off is nobody's fault.
static void the_end_is_judged(void **state)
{
    UNUSED_STATE(state);
    for (uint32_t alone = 0; alone < 2; alone++) {
        struct lab l;
        const struct lab_swarm s = {.name = __func__, .world = {.seed = 1}, .torrent = v1, .seed = {.up_bps = KBPS(50)}, .leech = {.down_bps = KBPS(50)},
                                    .seeds = 1 - alone, .leeches = 1};
        (void)lab_swarm(&l, &s);        // nobody tells the leech where to go
        assert_true(world_run(l.world, 590 * NSEC_S));
        oracle_liveness(l.world, 0);
        assert_string_equal(l.world->failure, "");
        assert_true(world_run(l.world, 700 * NSEC_S));
        oracle_liveness(l.world, 0);
        assert_int_equal(strstr(l.world->failure, "is not done") != NULL, alone == 0);
        lab_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wire_rules_are_judged),
        cmocka_unit_test(choking_is_judged),
        cmocka_unit_test(lines_carry_no_more_than_they_can),
        cmocka_unit_test(nobody_is_faster_than_light),
        cmocka_unit_test(memory_has_its_limit),
        cmocka_unit_test(an_honest_ban_is_judged),
        cmocka_unit_test(the_end_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
