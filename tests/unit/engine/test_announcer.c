// The tracker client: tiers, events, retries. Times are literal, in seconds; UDP time lines are those of trackers.json (BEP 15).
#include "test.h"

#include "codec/announce_http.h"
#include "codec/announce_udp.h"
#include "engine/find/announcer.h"

static uint8_t tx_space[2 * ANNOUNCER_TX_MIN];

struct client {
    struct announcer *a;
    nsec now;
    struct announcer_out out;
    char text[4096];                    // bytes or text of the last output, NUL-terminated
    size_t n;
};

static struct client make_with(const char *const *urls, const uint32_t *tiers, uint32_t n, struct announcer_config cfg)
{
    struct announcer_tracker trackers[8];
    struct client c = {0};
    assert_true(n <= ARRAY_LEN(trackers));
    for (uint32_t i = 0; i < n; i++)
        trackers[i] = (struct announcer_tracker){slice_str(urls[i]), tiers == NULL ? i : tiers[i]};
    cfg.key = 0xabcdef01;
    cfg.port = 6881;
    memcpy(cfg.peer_id, "-KH0100-abcdefghijkl", 20);
    memset(cfg.info_hash[0], 'h', 20);
    memset(cfg.info_hash[1], 'H', 20);
    cfg.n_hashes = cfg.n_hashes == 0 ? 1 : cfg.n_hashes;
    cfg.trackers = trackers;
    cfg.n_trackers = n;
    assert_int_equal(announcer_new(&c.a, &cfg, &test_env, 0), ERR_OK);
    return c;
}

static struct client make(const char *url)
{
    return make_with(&url, NULL, 1, (struct announcer_config){0});
}

static enum announcer_kind poll(struct client *c)
{
    struct buf tx = {tx_space, 0, sizeof tx_space};
    announcer_check(c->a);
    const enum announcer_kind kind = announcer_poll(c->a, c->now, &tx, &c->out);
    const struct slice s = c->out.bytes.n != 0 ? c->out.bytes : c->out.text;
    assert_true(s.n < sizeof c->text);
    if (s.n != 0)
        memcpy(c->text, s.p, s.n);
    c->text[s.n] = 0;
    c->n = s.n;
    return kind;
}

static void expect(struct client *c, enum announcer_kind kind)
{
    assert_int_equal(poll(c), kind);
}

static void expect_idle(struct client *c, nsec deadline_s)
{
    expect(c, ANNOUNCER_IDLE);
    assert_true(c->out.deadline == deadline_s * NSEC_S);
}

// A fetch of `prefix` that holds `part`; returns its id.
static uint32_t expect_fetch(struct client *c, const char *prefix, const char *part)
{
    expect(c, ANNOUNCER_FETCH);
    assert_int_equal(strncmp(c->text, prefix, strlen(prefix)), 0);
    assert_non_null(strstr(c->text, part));
    return c->out.id;
}

static void tick(struct client *c, nsec s)
{
    c->now = s * NSEC_S;
    announcer_tick(c->a, c->now);
}

static void fetched(struct client *c, uint32_t id, const char *body)
{
    announcer_fetched(c->a, c->now, id, ERR_OK, 200, slice_str(body));
}

static void stop_and_free(struct client *c)
{
    announcer_check(c->a);
    announcer_free(c->a);
}

#define PEERS "d8:completei2e10:incompletei1e8:intervali1800e12:min intervali900e5:peersld2:ip7:1.2.3.44:porti80eed2:ip9:224.0.0.1" \
    "4:porti80eeee"

// Without this a hybrid's second hash, which its link did not name, is announced from the next run on only. What the first one is about
// goes on, and both are stopped.
static void a_second_hash_is_announced_at_once(void **state)
{
    UNUSED_STATE(state);
    struct client c = make("http://t/announce");
    const uint8_t second[20] = "HHHHHHHHHHHHHHHHHHH";
    announcer_start(c.a, 0);
    const uint32_t first = expect_fetch(&c, "http://t/announce?", "info_hash=hhhhhhhhhhhhhhhhhhhh");
    c.now = NSEC_S;
    assert_int_equal(announcer_hash(c.a, c.now, second), ERR_OK);
    const uint32_t id = expect_fetch(&c, "http://t/announce?", "info_hash=HHHHHHHHHHHHHHHHHHH%00");
    assert_int_not_equal(id, first);
    assert_non_null(strstr(c.text, "event=started"));
    fetched(&c, first, PEERS);
    expect(&c, ANNOUNCER_OK);
    assert_int_equal(c.out.hash, 0);
    expect(&c, ANNOUNCER_COUNTS);
    expect(&c, ANNOUNCER_PEERS);
    fetched(&c, id, PEERS);
    expect(&c, ANNOUNCER_OK);
    assert_int_equal(c.out.hash, 1);
    expect(&c, ANNOUNCER_COUNTS);
    expect(&c, ANNOUNCER_PEERS);
    announcer_stop(c.a, c.now);
    (void)expect_fetch(&c, "http://t/announce?", "event=stopped");
    (void)expect_fetch(&c, "http://t/announce?", "event=stopped");
    stop_and_free(&c);
}

// ---- HTTP

// Without this a tracker does not see started, completed, stopped in this order and each once.
static void one_tracker_from_start_to_stop(void **state)
{
    UNUSED_STATE(state);
    struct client c = make("http://t/announce?pass=1");
    expect(&c, ANNOUNCER_IDLE);
    assert_true(c.out.deadline == NSEC_NEVER);
    announcer_update(c.a, &(struct announcer_progress){.left = 1000});
    announcer_start(c.a, 0);
    announcer_start(c.a, 0);
    uint32_t id = expect_fetch(&c, "http://t/announce?pass=1&info_hash=hhhhhhhhhhhhhhhhhhhh&peer_id=-KH0100-abcdefghijkl&port=6881"
        "&uploaded=0&downloaded=0&left=1000&event=started&key=abcdef01&compact=1&numwant=80", "");
    expect_idle(&c, 15);                        // when the next tracker would be asked
    c.now = 2 * NSEC_S;
    fetched(&c, id, PEERS);
    expect(&c, ANNOUNCER_OK);
    assert_true(c.out.next_ns == 1802 * NSEC_S);
    expect(&c, ANNOUNCER_COUNTS);
    assert_int_equal(c.out.counts.seeds, 2);
    assert_int_equal(c.out.counts.downloaded, ANNOUNCE_UNKNOWN);
    expect(&c, ANNOUNCER_PEERS);
    assert_int_equal(c.out.n_peers, 1);         // without the multicast one
    assert_int_equal(c.out.peers[0].port, 80);
    expect_idle(&c, 1802);
    fetched(&c, id, PEERS);                     // a second time: ignored
    expect_idle(&c, 1802);
    tick(&c, 1801);
    expect_idle(&c, 1802);
    tick(&c, 1802);
    id = expect_fetch(&c, "http://t/announce", "&left=1000&key=");          // no event
    announcer_update(c.a, &(struct announcer_progress){.downloaded = 1000});
    announcer_completed(c.a, c.now);            // while one is under way: told right after
    expect_idle(&c, 1817);
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    id = expect_fetch(&c, "http://t/announce", "&downloaded=1000&left=0&event=completed&");
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    tick(&c, 3602);
    id = expect_fetch(&c, "http://t/announce", "&left=0&key=");
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    announcer_stop(c.a, c.now);
    id = expect_fetch(&c, "http://t/announce", "&event=stopped&key=abcdef01&compact=1&numwant=0");
    expect_idle(&c, 3607);
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_STOPPED);
    expect(&c, ANNOUNCER_IDLE);
    assert_true(c.out.deadline == NSEC_NEVER);
    announcer_stop(c.a, c.now);
    expect(&c, ANNOUNCER_STOPPED);
    announcer_start(c.a, c.now);
    (void)expect_fetch(&c, "http://t/announce", "&event=started&");
    stop_and_free(&c);
}

// Trap 19: exit is not delayed by a dead tracker, and `stopped` does not overtake `started`.
static void stopping_takes_five_seconds_at_most(void **state)
{
    UNUSED_STATE(state);
    struct client c = make("http://t/announce");
    announcer_start(c.a, 0);
    uint32_t id = expect_fetch(&c, "http://t/announce", "event=started");
    tick(&c, 1);
    announcer_stop(c.a, c.now);
    expect_idle(&c, 6);                         // `started` is under way: wait
    c.now = 2 * NSEC_S;
    fetched(&c, id, "d8:intervali1800e5:peers6:\1\2\3\4\5\6e");
    id = expect_fetch(&c, "http://t/announce", "event=stopped");
    expect_idle(&c, 6);
    tick(&c, 6);
    expect(&c, ANNOUNCER_STOPPED);
    expect(&c, ANNOUNCER_IDLE);
    fetched(&c, id, "d8:intervali1800e5:peers0:e");     // too late: ignored
    expect(&c, ANNOUNCER_IDLE);
    announcer_start(c.a, c.now);                // never answered: nothing to be stopped
    announcer_stop(c.a, c.now);
    expect(&c, ANNOUNCER_STOPPED);
    announcer_start(c.a, c.now);
    id = expect_fetch(&c, "http://t/announce", "event=started");
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    announcer_stop(c.a, c.now);
    announcer_start(c.a, c.now);                // starts again after
    id = expect_fetch(&c, "http://t/announce", "event=stopped");
    announcer_fetched(c.a, c.now, id, ERR_TIMEOUT, 0, (struct slice){0});
    (void)expect_fetch(&c, "http://t/announce", "event=started");
    expect(&c, ANNOUNCER_STOPPED);
    stop_and_free(&c);
}

// BEP 12: tier by tier; inside a tier in one shuffled order, the one that works first.
static void tiers_are_walked(void **state)
{
    UNUSED_STATE(state);
    static const char *const urls[] = {"http://b/announce", "http://a1/announce", "http://a2/announce", "http://a3/announce",
                                       "gopher://x/", "http://b/announce", "junk"};
    static const uint32_t tiers[] = {1, 0, 0, 0, 0, 0, 0};
    struct client c = make_with(urls, tiers, 7, (struct announcer_config){0});
    struct announcer_stats s;
    announcer_stats(c.a, &s);
    assert_int_equal(s.trackers_ignored, 3);
    announcer_start(c.a, 0);
    uint32_t asked[3], n = 0, id = 0;
    for (; n < 3; n++) {
        id = expect_fetch(&c, "http://a", "event=started");
        asked[n] = c.out.tracker;
        if (n == 2)
            break;
        announcer_fetched(c.a, 0, id, ERR_UNREACHABLE, 0, (struct slice){0});
        expect(&c, ANNOUNCER_ERROR);
        assert_int_equal(c.out.err, ERR_UNREACHABLE);
        assert_int_equal(c.out.tracker, asked[n]);
        assert_true(c.out.next_ns >= 15 * NSEC_S && c.out.next_ns < 17 * NSEC_S);
    }
    assert_true(asked[0] != asked[1]);
    assert_true(asked[1] != asked[2]);
    announcer_fetched(c.a, 0, id, ERR_OK, 503, SLICE_LIT("<html>"));
    expect(&c, ANNOUNCER_ERROR);
    assert_string_equal(c.text, "HTTP 503");
    id = expect_fetch(&c, "http://b/announce", "event=started");    // only now the second tier
    fetched(&c, id, "d8:intervali60e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    expect_idle(&c, 60);
    tick(&c, 60);
    id = expect_fetch(&c, "http://a", "event=started");             // the first tier again, in the same order
    assert_int_equal(c.out.tracker, asked[0]);
    announcer_fetched(c.a, c.now, id, ERR_TIMEOUT, 0, (struct slice){0});
    expect(&c, ANNOUNCER_ERROR);
    id = expect_fetch(&c, "http://a", "event=started");
    assert_int_equal(c.out.tracker, asked[1]);
    fetched(&c, id, "d8:intervali60e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    tick(&c, 120);
    id = expect_fetch(&c, "http://a", "&left=");                    // it was promoted
    assert_int_equal(c.out.tracker, asked[1]);
    fetched(&c, id, "d8:intervali1e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    assert_true(c.out.next_ns == 180 * NSEC_S);                     // ANNOUNCER_INTERVAL_MIN_NS
    announcer_completed(c.a, c.now);                                // to both that know us, once
    const uint32_t first = expect_fetch(&c, "http://", "event=completed");
    const uint32_t second = expect_fetch(&c, "http://", "event=completed");
    expect(&c, ANNOUNCER_IDLE);
    fetched(&c, first, "d8:intervali999999999e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    assert_true(c.out.next_ns == (120 + 6 * 3600) * NSEC_S);        // ANNOUNCER_INTERVAL_MAX_NS
    fetched(&c, second, "d8:intervali60e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    announcer_stop(c.a, c.now);
    (void)expect_fetch(&c, "http://", "event=stopped");
    (void)expect_fetch(&c, "http://", "event=stopped");
    expect(&c, ANNOUNCER_IDLE);
    stop_and_free(&c);
}

// Without this a failing tracker is hammered, or forgotten: 15, 30, 60 … s and up to an eighth on top, BEP 31 obeyed.
static void failures_back_off(void **state)
{
    UNUSED_STATE(state);
    struct client c = make("http://t/announce");
    announcer_start(c.a, 0);
    nsec wait = 15 * NSEC_S;
    for (int i = 0; i < 12; i++) {
        const uint32_t id = expect_fetch(&c, "http://t/announce", "event=started");
        announcer_fetched(c.a, c.now, id, ERR_UNREACHABLE, 0, (struct slice){0});
        expect(&c, ANNOUNCER_ERROR);
        const nsec next = c.out.next_ns;
        assert_true(next >= c.now + wait && next < c.now + wait + wait / 8);
        expect(&c, ANNOUNCER_IDLE);
        assert_true(c.out.deadline == next);
        c.now = next;
        announcer_tick(c.a, c.now);
        wait = wait * 2 > 3600 * NSEC_S ? 3600 * NSEC_S : wait * 2;
    }
    uint32_t id = expect_fetch(&c, "http://t/announce", "event=started");
    fetched(&c, id, "d14:failure reason12:unregistered8:retry in2:10e");
    expect(&c, ANNOUNCER_ERROR);
    assert_int_equal(c.out.err, ERR_REFUSED);
    assert_string_equal(c.text, "unregistered");
    assert_true(c.out.next_ns == c.now + 600 * NSEC_S);
    c.now += 600 * NSEC_S;
    announcer_tick(c.a, c.now);
    id = expect_fetch(&c, "http://t/announce", "event=started");
    fetched(&c, id, "d14:failure reason4:gone8:retry in5:nevere");
    expect(&c, ANNOUNCER_ERROR);
    assert_true(c.out.next_ns == NSEC_NEVER);
    expect(&c, ANNOUNCER_IDLE);
    assert_true(c.out.deadline == NSEC_NEVER);
    announcer_want_peers(c.a, c.now);
    expect(&c, ANNOUNCER_IDLE);
    announcer_stop(c.a, c.now);
    expect(&c, ANNOUNCER_STOPPED);
    announcer_start(c.a, c.now);                // the user's wish starts afresh
    id = expect_fetch(&c, "http://t/announce", "event=started");
    fetched(&c, id, "no bencode");
    expect(&c, ANNOUNCER_ERROR);
    assert_int_equal(c.out.err, ERR_PROTOCOL);
    stop_and_free(&c);
}

// Without this a tracker that hangs keeps us from the others.
static void a_hanging_tracker_does_not_hold_up_the_next(void **state)
{
    UNUSED_STATE(state);
    static const char *const urls[] = {"http://a/announce", "http://b/announce"};
    struct client c = make_with(urls, NULL, 2, (struct announcer_config){0});
    announcer_start(c.a, 0);
    const uint32_t first = expect_fetch(&c, "http://a/", "event=started");
    expect_idle(&c, 15);
    tick(&c, 15);
    const uint32_t second = expect_fetch(&c, "http://b/", "event=started");
    expect_idle(&c, 30);
    tick(&c, 30);
    expect_idle(&c, 60);                        // both hang
    c.now = 40 * NSEC_S;
    fetched(&c, second, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    tick(&c, 60);
    expect(&c, ANNOUNCER_ERROR);                // ANNOUNCER_FETCH_TIMEOUT_NS
    assert_int_equal(c.out.err, ERR_TIMEOUT);
    assert_int_equal(c.out.tracker, 0);
    expect_idle(&c, 1840);
    fetched(&c, first, "d8:intervali1800e5:peers0:e");
    expect_idle(&c, 1840);
    stop_and_free(&c);
}

// Without this a swarm that needs peers is banned for asking too often.
static void wanting_peers_respects_min_interval(void **state)
{
    UNUSED_STATE(state);
    struct client c = make("http://t/announce");
    announcer_start(c.a, 0);
    announcer_want_peers(c.a, 0);
    uint32_t id = expect_fetch(&c, "http://t/", "event=started");
    fetched(&c, id, PEERS);
    while (poll(&c) != ANNOUNCER_IDLE) {
    }
    tick(&c, 10);
    announcer_want_peers(c.a, c.now);
    expect_idle(&c, 900);
    tick(&c, 900);
    id = expect_fetch(&c, "http://t/", "&left=");
    fetched(&c, id, "d8:intervali1800e5:peers0:e");     // no min interval: 300 s
    expect(&c, ANNOUNCER_OK);
    announcer_want_peers(c.a, c.now);
    expect_idle(&c, 1200);
    stop_and_free(&c);
}

// Warning, tracker id, external address, BEP 21, private addresses, scrape.
static void what_else_a_tracker_says(void **state)
{
    UNUSED_STATE(state);
    const char *url = "http://t/announce";
    struct client c = make_with(&url, NULL, 1, (struct announcer_config){.is_private = true});
    const uint8_t v4[4] = {1, 2, 3, 4};
    const struct addr us = addr_ipv4(v4, 0);
    announcer_start(c.a, 0);
    uint32_t id = expect_fetch(&c, url, "event=started");
    assert_null(strstr(c.text, "ipv4"));
    fetched(&c, id, "d11:external ip4:abcd8:intervali1800e5:peers0:10:tracker id3:x&y15:warning message6:bewaree");
    expect(&c, ANNOUNCER_OK);
    expect(&c, ANNOUNCER_WARNING);
    assert_string_equal(c.text, "beware");
    expect(&c, ANNOUNCER_EXTERNAL);
    assert_memory_equal(c.out.addr.ip, "abcd", 4);
    announcer_external(c.a, &us);
    announcer_update(c.a, &(struct announcer_progress){.left = 5, .partial_seed = true});
    tick(&c, 1800);
    id = expect_fetch(&c, url, "&event=paused&");
    assert_non_null(strstr(c.text, "&ipv4=1.2.3.4"));
    assert_non_null(strstr(c.text, "&trackerid=x%26y"));
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    announcer_scrape(c.a, c.now);
    id = expect_fetch(&c, "http://t/scrape?info_hash=hhhhhhhhhhhhhhhhhhhh", "");
    fetched(&c, id, "d5:filesd20:hhhhhhhhhhhhhhhhhhhhd8:completei11e10:downloadedi13772e10:incompletei19eeee");
    expect(&c, ANNOUNCER_COUNTS);
    assert_int_equal(c.out.counts.seeds, 11);
    assert_int_equal(c.out.counts.leeches, 19);
    assert_int_equal(c.out.counts.downloaded, 13772);
    expect_idle(&c, 3600);
    announcer_scrape(c.a, c.now);
    id = expect_fetch(&c, "http://t/scrape", "");
    announcer_fetched(c.a, c.now, id, ERR_TIMEOUT, 0, (struct slice){0});   // nobody minds
    expect_idle(&c, 3600);
    stop_and_free(&c);
}

// A hybrid announces both hashes; two families announce each by itself, and IPv6 without a route is no news.
static void hashes_and_families(void **state)
{
    UNUSED_STATE(state);
    const char *url = "http://t/announce";
    struct client c = make_with(&url, NULL, 1, (struct announcer_config){.n_hashes = 2, .has_ipv4 = true, .has_ipv6 = true});
    uint32_t ids[4];
    announcer_start(c.a, 0);
    for (uint32_t i = 0; i < 4; i++) {
        ids[i] = expect_fetch(&c, url, i < 2 ? "hash=hhhh" : "hash=HHHH");
        assert_int_equal(c.out.hash, i / 2);
        assert_int_equal(c.out.family, i % 2 == 0 ? ADDR_IPV4 : ADDR_IPV6);
    }
    fetched(&c, ids[0], "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    announcer_fetched(c.a, c.now, ids[1], ERR_UNREACHABLE, 0, (struct slice){0});
    fetched(&c, ids[2], "d14:failure reason12:unregisterede");
    announcer_fetched(c.a, c.now, ids[3], ERR_UNREACHABLE, 0, (struct slice){0});
    expect(&c, ANNOUNCER_IDLE);
    stop_and_free(&c);
}

// ---- UDP

static const struct addr *address(uint8_t n)
{
    static struct addr a;
    const uint8_t ip[4] = {10, 0, 0, n};
    a = addr_ipv4(ip, 1234);
    return &a;
}

static void reply(struct client *c, const struct addr *from, const struct buf *b, bool ours)
{
    assert_int_equal(announcer_datagram(c->a, c->now, from, buf_slice(b)), ours);
}

static void answer_connect(struct client *c, uint32_t transaction, uint64_t id)
{
    uint8_t space[16];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    udp_connect_reply_write(&w, transaction, id);
    reply(c, address(1), &b, true);
}

static struct udp_request expect_datagram(struct client *c, enum udp_action action)
{
    struct udp_request q;
    expect(c, ANNOUNCER_SEND);
    assert_true(addr_eq(&c->out.addr, address(1)));
    assert_int_equal(udp_request_parse(&q, slice_of(c->text, c->n)), ERR_OK);
    assert_int_equal(q.action, action);
    assert_int_equal(q.transaction, c->out.transaction);
    return q;
}

static struct client make_udp(void)
{
    return make("udp://10.0.0.1:1234/announce?x");
}

// trackers.json "connect_times_out": 0, 15, 45, 105.
static void connect_time_line(void **state)
{
    UNUSED_STATE(state);
    struct client c = make_udp();
    static const nsec at[] = {0, 15, 45, 105, 225, 465, 945, 1905, 3825};
    announcer_start(c.a, 0);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        tick(&c, at[i]);
        if (i == 2) {
            expect(&c, ANNOUNCER_ERROR);
            assert_int_equal(c.out.err, ERR_TIMEOUT);
        }
        (void)expect_datagram(&c, UDP_CONNECT);
        expect_idle(&c, i + 1 < ARRAY_LEN(at) ? at[i + 1] : 7665);
    }
    tick(&c, 7665);                             // 15 · 2^8 s after the last one: given up
    expect(&c, ANNOUNCER_ERROR);
    expect(&c, ANNOUNCER_IDLE);
    assert_true(c.out.deadline >= 7680 * NSEC_S && c.out.deadline < 7682 * NSEC_S);
    stop_and_free(&c);
}

// trackers.json "announce_times_out": 0 connect, 1 its answer, 2 announce, 17, 47, 107 connect (id expired), 227 connect.
static void announce_time_line(void **state)
{
    UNUSED_STATE(state);
    struct client c = make_udp();
    struct buf none = {tx_space, 0, 10};
    announcer_start(c.a, 0);
    struct udp_request q = expect_datagram(&c, UDP_CONNECT);
    c.now = 1 * NSEC_S;
    answer_connect(&c, q.transaction, 42);
    assert_int_equal(announcer_poll(c.a, c.now, &none, &c.out), ANNOUNCER_IDLE);    // no room: withheld
    tick(&c, 2);
    q = expect_datagram(&c, UDP_ANNOUNCE);
    assert_int_equal(q.connection_id, 42);
    assert_int_equal(q.announce.event, ANNOUNCE_STARTED);
    assert_true(q.announce.left == ANNOUNCE_LEFT_UNKNOWN);
    assert_int_equal(q.announce.key, 0xabcdef01);
    assert_true(slice_eq_str(slice_sub(q.options, 2, q.options.n), "/announce?x"));
    static const struct {
        nsec at;
        enum udp_action action;
    } rest[] = {{17, UDP_ANNOUNCE}, {47, UDP_ANNOUNCE}, {107, UDP_CONNECT}, {227, UDP_CONNECT}};
    for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
        tick(&c, rest[i].at - 1);
        tick(&c, rest[i].at);
        enum announcer_kind kind = poll(&c);
        if (kind == ANNOUNCER_ERROR)
            kind = poll(&c);
        assert_int_equal(kind, ANNOUNCER_SEND);
        struct udp_request r;
        assert_int_equal(udp_request_parse(&r, slice_of(c.text, c.n)), ERR_OK);
        assert_int_equal(r.action, rest[i].action);
        expect(&c, ANNOUNCER_IDLE);
    }
    stop_and_free(&c);
}

static void write_announce_reply(struct buf *b, uint32_t transaction, uint32_t interval_s)
{
    static const uint8_t peers[14] = {1, 2, 3, 4, 0, 80, 5, 6, 7, 8, 0, 81, 9, 9};
    struct wr w = wr_make(b);
    b->n = 0;
    udp_announce_reply_write(&w, &(struct udp_reply){.transaction = transaction, .interval_s = interval_s, .leeches = 3, .seeds = 4});
    wr_bytes(&w, slice_of(peers, sizeof peers));
    assert_true(w.ok);
}

// Trap 17: transaction and source must match; the id is kept for one minute; an error after a restart is asked again.
static void udp_from_start_to_stop(void **state)
{
    UNUSED_STATE(state);
    struct client c = make_udp();
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    announcer_start(c.a, 0);
    struct udp_request q = expect_datagram(&c, UDP_CONNECT);
    udp_connect_reply_write(&w, q.transaction, 42);
    reply(&c, address(2), &b, false);           // from somebody else
    b.n = 0;
    udp_connect_reply_write(&w, q.transaction + 1, 42);
    reply(&c, address(1), &b, false);           // another transaction
    answer_connect(&c, q.transaction, 42);
    q = expect_datagram(&c, UDP_ANNOUNCE);
    write_announce_reply(&b, q.transaction, 60);
    for (size_t n = 0; n < 8; n++)
        assert_false(announcer_datagram(c.a, c.now, address(1), slice_of(space, n)));
    reply(&c, address(1), &b, true);
    reply(&c, address(1), &b, false);           // once only
    expect(&c, ANNOUNCER_OK);
    assert_true(c.out.next_ns == 60 * NSEC_S);
    expect(&c, ANNOUNCER_COUNTS);
    assert_int_equal(c.out.counts.seeds, 4);
    expect(&c, ANNOUNCER_PEERS);
    assert_int_equal(c.out.n_peers, 2);
    announcer_completed(c.a, c.now);            // within the minute: no new connect
    q = expect_datagram(&c, UDP_ANNOUNCE);
    assert_int_equal(q.announce.event, ANNOUNCE_COMPLETED);
    b.n = 0;
    udp_error_write(&w, q.transaction, "bad connection id");
    reply(&c, address(1), &b, true);            // an old id: connect, ask again
    q = expect_datagram(&c, UDP_CONNECT);
    answer_connect(&c, q.transaction, 43);
    q = expect_datagram(&c, UDP_ANNOUNCE);
    assert_int_equal(q.connection_id, 43);
    write_announce_reply(&b, q.transaction, 1800);
    reply(&c, address(1), &b, true);
    for (int i = 0; i < 3; i++)
        (void)poll(&c);
    announcer_scrape(c.a, c.now);
    q = expect_datagram(&c, UDP_SCRAPE);
    b.n = 0;
    udp_scrape_reply_write(&w, q.transaction);
    udp_scrape_item_write(&w, &(struct udp_scrape_item){7, 8, 9});
    reply(&c, address(1), &b, true);
    expect(&c, ANNOUNCER_COUNTS);
    assert_int_equal(c.out.counts.downloaded, 8);
    tick(&c, 1800);
    q = expect_datagram(&c, UDP_CONNECT);       // the minute is over
    answer_connect(&c, q.transaction, 44);
    q = expect_datagram(&c, UDP_ANNOUNCE);
    assert_int_equal(q.announce.event, ANNOUNCE_NONE);
    b.n = 0;
    udp_error_write(&w, q.transaction, "torrent not registered");
    reply(&c, address(1), &b, true);
    expect(&c, ANNOUNCER_ERROR);
    assert_string_equal(c.text, "torrent not registered");
    assert_true(c.out.next_ns == 1860 * NSEC_S);
    tick(&c, 1860);
    q = expect_datagram(&c, UDP_CONNECT);
    announcer_stop(c.a, c.now);
    q = expect_datagram(&c, UDP_CONNECT);
    expect_idle(&c, 1862);
    tick(&c, 1862);                             // within the five seconds one more try
    q = expect_datagram(&c, UDP_CONNECT);
    answer_connect(&c, q.transaction, 45);
    q = expect_datagram(&c, UDP_ANNOUNCE);
    assert_int_equal(q.announce.event, ANNOUNCE_STOPPED);
    assert_int_equal(q.announce.numwant, 0);
    write_announce_reply(&b, q.transaction, 1800);
    reply(&c, address(1), &b, true);
    expect(&c, ANNOUNCER_STOPPED);
    stop_and_free(&c);
}

// The next tier is asked after 15 s while the silent one is tried on.
static void udp_timeout_moves_on(void **state)
{
    UNUSED_STATE(state);
    static const char *const urls[] = {"udp://10.0.0.1:1234", "http://b/announce"};
    struct client c = make_with(urls, NULL, 2, (struct announcer_config){0});
    announcer_start(c.a, 0);
    const struct udp_request q = expect_datagram(&c, UDP_CONNECT);
    tick(&c, 15);
    (void)expect_datagram(&c, UDP_CONNECT);
    const uint32_t id = expect_fetch(&c, "http://b/", "event=started");
    fetched(&c, id, "d8:intervali1800e5:peers0:e");
    expect(&c, ANNOUNCER_OK);
    expect_idle(&c, 45);
    tick(&c, 45);
    expect(&c, ANNOUNCER_ERROR);
    (void)expect_datagram(&c, UDP_CONNECT);
    answer_connect(&c, q.transaction, 1);       // late, but the same transaction: it counts
    (void)expect_datagram(&c, UDP_ANNOUNCE);
    expect_idle(&c, 60);
    stop_and_free(&c);
}

// Names are resolved once for all lanes; each lane takes its family; the cache lasts ten minutes.
static void names_are_resolved(void **state)
{
    UNUSED_STATE(state);
    const char *url = "udp://t.example:1234/announce";
    struct client c = make_with(&url, NULL, 1, (struct announcer_config){.has_ipv4 = true, .has_ipv6 = true});
    announcer_start(c.a, 0);
    expect(&c, ANNOUNCER_RESOLVE);
    assert_string_equal(c.text, "t.example");
    uint32_t id = c.out.id;
    expect_idle(&c, 15);
    const uint8_t six[16] = {0x20, 1, [15] = 9};
    const struct addr addrs[] = {addr_ipv6(six, 0), addr_ipv4(address(1)->ip, 0)};
    announcer_resolved(c.a, c.now, id + 1, ERR_OK, addrs, 2);       // not ours
    announcer_resolved(c.a, c.now, id, ERR_OK, addrs, 2);
    (void)expect_datagram(&c, UDP_CONNECT);
    expect(&c, ANNOUNCER_SEND);
    assert_int_equal(c.out.addr.family, ADDR_IPV6);
    assert_int_equal(c.out.addr.port, 1234);
    stop_and_free(&c);
    c = make("udp://t.example:1234/announce");
    announcer_start(c.a, 0);
    expect(&c, ANNOUNCER_RESOLVE);
    id = c.out.id;
    announcer_resolved(c.a, c.now, id, ERR_UNREACHABLE, NULL, 0);
    expect(&c, ANNOUNCER_ERROR);
    assert_int_equal(c.out.err, ERR_UNREACHABLE);
    c.now = c.out.next_ns;
    announcer_tick(c.a, c.now);
    expect(&c, ANNOUNCER_RESOLVE);              // never answered
    c.now += 60 * NSEC_S;
    announcer_tick(c.a, c.now);
    expect(&c, ANNOUNCER_ERROR);
    assert_int_equal(c.out.err, ERR_TIMEOUT);
    c.now = c.out.next_ns;
    announcer_tick(c.a, c.now);
    expect(&c, ANNOUNCER_RESOLVE);
    announcer_resolved(c.a, c.now, c.out.id, ERR_OK, &addrs[1], 1);
    (void)expect_datagram(&c, UDP_CONNECT);
    stop_and_free(&c);
}

static void no_trackers_at_all(void **state)
{
    UNUSED_STATE(state);
    struct client c = make_with(NULL, NULL, 0, (struct announcer_config){0});
    announcer_start(c.a, 0);
    announcer_want_peers(c.a, 0);
    announcer_scrape(c.a, 0);
    announcer_completed(c.a, 0);
    expect(&c, ANNOUNCER_IDLE);
    assert_true(c.out.deadline == NSEC_NEVER);
    announcer_stop(c.a, 0);
    expect(&c, ANNOUNCER_STOPPED);
    stop_and_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_hash_is_announced_at_once), cmocka_unit_test(one_tracker_from_start_to_stop), cmocka_unit_test(stopping_takes_five_seconds_at_most),
        cmocka_unit_test(tiers_are_walked), cmocka_unit_test(failures_back_off),
        cmocka_unit_test(a_hanging_tracker_does_not_hold_up_the_next), cmocka_unit_test(wanting_peers_respects_min_interval),
        cmocka_unit_test(what_else_a_tracker_says), cmocka_unit_test(hashes_and_families), cmocka_unit_test(connect_time_line),
        cmocka_unit_test(announce_time_line), cmocka_unit_test(udp_from_start_to_stop), cmocka_unit_test(udp_timeout_moves_on),
        cmocka_unit_test(names_are_resolved), cmocka_unit_test(no_trackers_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
