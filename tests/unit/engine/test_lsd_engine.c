// Local discovery with literal times: how often we speak, whom we believe. BEP 14; bittorrent note, trap 38.
#include "test.h"

#include "codec/lsd.h"
#include "engine/find/lsd.h"

static uint8_t space[LSD_TX_MIN];

static struct lsd *start(bool v6)
{
    struct lsd *l = NULL;
    const struct lsd_config cfg = {.ipv4 = true, .ipv6 = v6, .port = 6881};
    assert_int_equal(lsd_new(&l, &cfg, &test_env, 100 * NSEC_S), ERR_OK);
    return l;
}

static void add(struct lsd *l, nsec now, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        const uint8_t hash[LSD_HASH_LEN] = {(uint8_t)(i >> 8), (uint8_t)i};
        lsd_add(l, now, hash);
    }
}

// What it says at `s` seconds: how many hashes, 0: nothing. *out_next: when it wants to be called again, s.
static uint32_t says(struct lsd *l, nsec s, struct lsd_message *m, nsec *out_next)
{
    uint32_t n = 0;
    struct buf tx = {space, 0, sizeof space};
    struct lsd_out out = {0};
    lsd_tick(l, s * NSEC_S);
    lsd_check(l);
    enum lsd_kind kind;
    while ((kind = lsd_poll(l, s * NSEC_S, &tx, &out)) != LSD_OUT_IDLE) {
        assert_int_equal(kind, LSD_OUT_SEND);
        const struct addr group = lsd_group((enum addr_family)out.addr.family);
        assert_true(addr_eq(&out.addr, &group));
        assert_int_equal(lsd_parse(m, out.bytes), ERR_OK);
        assert_int_equal(m->port, 6881);
        n += m->hashes_n;
        tx.n = 0;
    }
    *out_next = out.deadline == NSEC_NEVER ? 0 : out.deadline / NSEC_S;
    return n;
}

// Without this we flood the network: one datagram a minute, one announce of each torrent in five.
static void we_speak_seldom(void **state)
{
    UNUSED_STATE(state);
    struct lsd *l = start(false);
    struct lsd_message m;
    nsec next;
    assert_int_equal(says(l, 100, &m, &next), 0);
    assert_int_equal(next, 0);
    add(l, 100 * NSEC_S, 0, 3);
    assert_int_equal(says(l, 100, &m, &next), 0);       // more may come
    assert_int_equal(next, 101);
    assert_int_equal(says(l, 101, &m, &next), 3);
    assert_int_equal(next, 401);
    add(l, 110 * NSEC_S, 1, 5);                         // two of them are there
    assert_int_equal(says(l, 110, &m, &next), 0);
    assert_int_equal(next, 161);
    assert_int_equal(says(l, 161, &m, &next), 3);
    assert_int_equal(says(l, 400, &m, &next), 0);
    assert_int_equal(says(l, 401, &m, &next), 3);
    assert_int_equal(next, 461);
    const uint8_t gone[LSD_HASH_LEN] = {0, 4};
    lsd_remove(l, gone);
    lsd_remove(l, gone);
    assert_int_equal(says(l, 461, &m, &next), 2);
    lsd_network_changed(l, 462 * NSEC_S);
    assert_int_equal(says(l, 520, &m, &next), 0);       // the pause holds here, too
    assert_int_equal(says(l, 521, &m, &next), 5);
    lsd_free(l);
}

// A hundred torrents go round, twenty a minute, to both groups.
static void many_go_in_turn(void **state)
{
    UNUSED_STATE(state);
    struct lsd *l = start(true);
    struct lsd_message m;
    nsec next = 0;
    add(l, 100 * NSEC_S, 0, 110);
    uint8_t seen[110] = {0};
    for (nsec t = 101; t < 101 + 60 * 6; t += 60) {
        const uint32_t n = says(l, t, &m, &next);
        assert_int_equal(n, 2 * LSD_HASHES_MAX);
        for (uint32_t i = 0; i < m.hashes_n; i++)
            seen[m.hashes[i][1]]++;
    }
    uint32_t once = 0, twice = 0;
    for (uint32_t i = 0; i < 110; i++) {
        once += seen[i] == 1;
        twice += seen[i] == 2;
    }
    assert_int_equal(once, 100);
    assert_int_equal(twice, 10);        // the first ones, when their five minutes were over and the others had had their turn
    lsd_free(l);
}

static uint32_t hears(struct lsd *l, nsec s, const char *from, uint32_t hash, const char *cookie, struct lsd_out *out)
{
    struct addr a;
    assert_int_equal(addr_parse(slice_str(from), 6771, &a), ERR_OK);
    struct lsd_message m = {.port = 7000, .cookie = slice_str(cookie), .hashes_n = 2, .hashes = {{0xff}, {(uint8_t)(hash >> 8), (uint8_t)hash}}};
    uint8_t bytes[LSD_MESSAGE_MAX];
    struct buf b = {bytes, 0, sizeof bytes};
    struct wr w = wr_make(&b);
    lsd_write(&w, ADDR_IPV4, &m);
    lsd_datagram(l, s * NSEC_S, &a, buf_slice(&b));
    struct buf tx = {space, 0, 0};
    uint32_t n = 0;
    struct lsd_out o;
    while (lsd_poll(l, s * NSEC_S, &tx, &o) == LSD_OUT_PEER) {
        *out = o;
        n++;
    }
    return n;
}

// Who is heard is told, with where it accepts; not ourselves, not of torrents that are not ours, and no flood.
static void hearing_has_limits(void **state)
{
    UNUSED_STATE(state);
    struct lsd *l = start(false);
    struct lsd_out out;
    struct lsd_stats s;
    add(l, 100 * NSEC_S, 0, 3);
    assert_int_equal(hears(l, 100, "192.168.1.7", 2, "other", &out), 1);
    const struct addr peer = addr_ipv4((uint8_t[4]){192, 168, 1, 7}, 7000);
    assert_true(addr_eq(&out.addr, &peer));
    assert_int_equal(out.hash[1], 2);
    assert_int_equal(hears(l, 101, "192.168.1.7", 9, "other", &out), 0);
    assert_int_equal(hears(l, 101, "fe80::1", 2, "other", &out), 0);
    assert_int_equal(hears(l, 101, "0.0.0.0", 2, "other", &out), 0);
    // Our own words come back.
    struct lsd_message m;
    nsec next;
    assert_int_equal(says(l, 102, &m, &next), 3);
    char cookie[16] = {0};
    memcpy(cookie, m.cookie.p, m.cookie.n);
    assert_int_equal(hears(l, 103, "192.168.1.9", 2, cookie, &out), 0);
    lsd_stats(l, &s);
    assert_int_equal(s.own, 1);
    uint32_t n = 0;
    for (int i = 0; i < 100; i++)
        n += hears(l, 110, "192.168.1.8", 1, "", &out);
    assert_int_equal(n, LSD_SOURCE_PEERS_MAX);
    n = 0;
    for (int i = 0; i < 200; i++) {
        char from[32];
        snprintf(from, sizeof from, "192.168.2.%d", i);
        n += hears(l, 120, from, 1, "", &out);
    }
    assert_int_equal(n, LSD_SOURCES_MAX - 1);
    for (int i = 0; i < 200; i++) {     // another torrent has a limit of its own
        char from[32];
        snprintf(from, sizeof from, "192.168.2.%d", i);
        n += hears(l, 121, from, 0, "", &out);
    }
    assert_int_equal(n, 2 * LSD_SOURCES_MAX - 1);
    assert_int_equal(hears(l, 500, "192.168.3.1", 1, "", &out), 1);
    lsd_datagram(l, 501 * NSEC_S, &peer, SLICE_LIT("M-SEARCH * HTTP/1.1\r\n\r\n"));
    lsd_stats(l, &s);
    assert_int_equal(s.bad, 1);
    lsd_check(l);
    lsd_free(l);
}

// Without this one host that writes false addresses on its datagrams, a thousand a second, is all that is heard.
static void false_senders_take_nobodys_share(void **state)
{
    UNUSED_STATE(state);
    struct lsd *l = start(false);
    struct lsd_out out;
    uint32_t heard = 0;
    add(l, 100 * NSEC_S, 0, 50);
    for (nsec s = 100; s < 150; s++) {
        for (int i = 0; i < 1000; i++) {
            char from[32];
            snprintf(from, sizeof from, "10.%d.%d.1", i >> 8, i & 255);
            assert_int_equal(hears(l, s, from, 99, "", &out), 0);
        }
        heard += hears(l, s, "192.168.1.7", (uint32_t)(s - 100), "", &out);
    }
    assert_int_equal(heard, 50);
    lsd_check(l);
    lsd_free(l);
}

// Without this one host takes all there is of a torrent: by a thousand ports, or by a thousand addresses as soon as others have spoken.
static void one_source_takes_nobodys_place(void **state)
{
    UNUSED_STATE(state);
    struct lsd *l = start(false);
    struct lsd_out out;
    uint32_t flood = 0, friends = 0;
    add(l, 100 * NSEC_S, 0, 1);
    for (nsec s = 100; s < 200; s++)    // 800 times
        for (int i = 0; i < LSD_SOURCE_PER_S; i++)
            flood += hears(l, s, "192.168.1.66", 0, "", &out);
    assert_int_equal(flood, LSD_SOURCE_PEERS_MAX);
    assert_int_equal(hears(l, 200, "192.168.1.7", 0, "", &out), 1);
    for (nsec s = 401; s < 2000; s += 100) {            // the forger is always first; the friend speaks every five minutes
        for (int i = 0; i < 200; i++) {
            char from[32];
            snprintf(from, sizeof from, "10.0.%u.%d", (unsigned)(s / 100), i);
            flood += hears(l, s, from, 0, "", &out);
        }
        friends += s % 300 == 101 ? hears(l, s, "192.168.1.7", 0, "", &out) : 0;
    }
    assert_int_equal(friends, 6);
    assert_in_range(flood, 200, 8 * LSD_PEERS_MAX);
    lsd_check(l);
    lsd_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(we_speak_seldom), cmocka_unit_test(many_go_in_turn), cmocka_unit_test(hearing_has_limits),
        cmocka_unit_test(false_senders_take_nobodys_share), cmocka_unit_test(one_source_takes_nobodys_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
