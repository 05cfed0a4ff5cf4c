// Announces and scrapes over UDP and HTTP. Vectors: trackers.json (BEP 7, 15, 41, 48; Transmission's announcer-test; a captured
// reply), shown below where short.
#include "test.h"

#include "codec/announce_http.h"
#include "codec/announce_udp.h"

static struct slice hex(const char *text, uint8_t *space, size_t cap)
{
    const size_t n = strlen(text) / 2;
    assert_true(n <= cap);
    assert_int_equal(hex_parse(slice_str(text), space, n), ERR_OK);
    return slice_of(space, n);
}

static struct announce sample(void)
{
    struct announce a = {.uploaded = 0x1122334455667788, .downloaded = 5, .left = ANNOUNCE_LEFT_UNKNOWN, .event = ANNOUNCE_STARTED,
                         .key = 0xdeadbeef, .numwant = 80, .port = 6881};
    for (uint8_t i = 0; i < 20; i++)
        a.info_hash[i] = (uint8_t)(i * 13);
    memcpy(a.peer_id, "-KH0100-abcdefghijkl", 20);
    return a;
}

// ---- UDP

// Without this no UDP tracker understands us; the layout is BEP 15's table.
static void udp_requests_have_the_beps_layout(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[256], expect[256];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    udp_connect_write(&w, 0x01020304);
    assert_true(slice_eq(buf_slice(&b), hex("0000041727101980" "00000000" "01020304", expect, sizeof expect)));
    b.n = 0;
    const struct announce a = sample();
    udp_announce_write(&w, 0x0a0b0c0d0e0f1011, 7, &a, (struct slice){0});
    assert_int_equal(b.n, UDP_ANNOUNCE_LEN);
    assert_true(slice_eq(buf_slice(&b), hex("0a0b0c0d0e0f1011" "00000001" "00000007"
        "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7" "2d4b48303130302d6162636465666768696a6b6c"
        "0000000000000005" "ffffffffffffffff" "1122334455667788" "00000002" "00000000" "deadbeef" "00000050" "1ae1",
        expect, sizeof expect)));
    struct udp_request q;
    assert_int_equal(udp_request_parse(&q, buf_slice(&b)), ERR_OK);
    assert_int_equal(q.action, UDP_ANNOUNCE);
    assert_int_equal(q.transaction, 7);
    assert_memory_equal(&q.announce, &a, sizeof a);
    b.n = 0;
    udp_scrape_write(&w, 1, 2, slice_of(expect, 40));
    assert_int_equal(b.n, 56);
    assert_int_equal(udp_request_parse(&q, buf_slice(&b)), ERR_OK);
    assert_true(slice_eq(q.hashes, slice_of(expect, 40)));
    struct announce paused = a;         // BEP 15 has no such event
    paused.event = ANNOUNCE_PAUSED;
    b.n = 0;
    udp_announce_write(&w, 1, 2, &paused, (struct slice){0});
    assert_int_equal(udp_request_parse(&q, buf_slice(&b)), ERR_OK);
    assert_int_equal(q.announce.event, ANNOUNCE_NONE);
}

static void udp_requests_cut_at_every_length_are_refused(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[256];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const struct announce a = sample();
    struct udp_request q;
    udp_announce_write(&w, 1, 2, &a, (struct slice){0});
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(udp_request_parse(&q, slice_of(space, n)), ERR_PROTOCOL);
    b.n = 0;
    udp_connect_write(&w, 2);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(udp_request_parse(&q, slice_of(space, n)), ERR_PROTOCOL);
    memset(space + b.n, 0, 10);
    assert_int_equal(udp_request_parse(&q, slice_of(space, b.n + 10)), ERR_OK);     // longer than known: fine
    space[7] ^= 1;
    assert_int_equal(udp_request_parse(&q, buf_slice(&b)), ERR_PROTOCOL);           // not the protocol id
    b.n = 0;
    udp_scrape_write(&w, 1, 2, slice_of(a.info_hash, 20));
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(udp_request_parse(&q, slice_of(space, n)), ERR_PROTOCOL);
    space[11] = 3;
    assert_int_equal(udp_request_parse(&q, buf_slice(&b)), ERR_PROTOCOL);
}

// trackers.json "bep41_options".
static void options_carry_the_path(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[1024], expect[64], text[1024];
    struct buf b = {space, 0, sizeof space}, t = {text, 0, sizeof text};
    struct wr w = wr_make(&b), v = wr_make(&t);
    udp_options_write(&w, SLICE_LIT("/dir?a=b&c=d"));
    assert_true(slice_eq(buf_slice(&b), hex("020c2f6469723f613d6226633d64", expect, sizeof expect)));
    b.n = 0;
    udp_options_write(&w, (struct slice){0});
    assert_true(slice_eq(buf_slice(&b), hex("0200", expect, sizeof expect)));
    static const char *const good[] = {
        "020c2f6469723f613d6226633d64", "020c2f6469723f613d6226633d64010100",
        "01020c2f6469723f613d6226633d6400ffff", "02042f6469720502787802083f613d6226633d64",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        t.n = 0;
        assert_int_equal(udp_options_path(hex(good[i], expect, sizeof expect), &v), ERR_OK);
        assert_true(slice_eq_str(buf_slice(&t), "/dir?a=b&c=d"));
    }
    for (size_t n = 1; n < 14; n++) {
        t.n = 0;
        assert_int_equal(udp_options_path(slice_sub(hex(good[0], expect, sizeof expect), 0, n), &v), ERR_SYNTAX);
    }
    char path[600];
    memset(path, 'x', sizeof path);     // longer than one option
    b.n = t.n = 0;
    udp_options_write(&w, slice_of(path, sizeof path));
    assert_int_equal(b.n, 606);
    assert_int_equal(udp_options_path(buf_slice(&b), &v), ERR_OK);
    assert_true(slice_eq(buf_slice(&t), slice_of(path, sizeof path)));
}

// trackers.json "udp_announce_response_captured_hex": 200 peers from the wild.
static void a_captured_reply_is_read(void **state)
{
    UNUSED_STATE(state);
    static const char label[] = "\"udp_announce_response_captured_hex\": \"";
    static char file[16384];
    static uint8_t bytes[1220];
    FILE *f = fopen(TEST_DATA "/vectors/trackers.json", "rb");
    assert_non_null(f);
    file[fread(file, 1, sizeof file - 1, f)] = 0;
    assert_int_equal(fclose(f), 0);
    const char *at = strstr(file, label);
    assert_non_null(at);
    assert_int_equal(hex_parse(slice_of(at + sizeof label - 1, 2440), bytes, sizeof bytes), ERR_OK);
    struct udp_reply r;
    assert_int_equal(udp_reply_parse(&r, slice_of(bytes, sizeof bytes)), ERR_OK);
    assert_int_equal(r.action, UDP_ANNOUNCE);
    assert_int_equal(r.transaction, 0xe594dd14);
    assert_int_equal(r.interval_s, 1652);
    assert_int_equal(r.leeches, 257);
    assert_int_equal(r.seeds, 3341);
    assert_int_equal(r.body.n, 1200);
    const struct announce_reply as_http = {.peers4 = r.body};
    struct announce_peers p;
    struct addr a;
    char text[ADDR_TEXT_MAX];
    uint32_t n = 0;
    announce_peers_init(&p, &as_http);
    while (announce_peers_next(&p, &a)) {
        if (n == 0)
            assert_string_equal(addr_format(&a, text), "46.0.63.105:6881");
        n++;
    }
    assert_int_equal(n, 200);
    assert_string_equal(addr_format(&a, text), "176.112.248.41:17482");
}

static void udp_replies_round_trip_and_truncate(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[128];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct udp_reply r;
    udp_connect_reply_write(&w, 9, 0x8877665544332211);
    assert_int_equal(udp_reply_parse(&r, buf_slice(&b)), ERR_OK);
    assert_int_equal(r.transaction, 9);
    assert_true(r.connection_id == 0x8877665544332211);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(udp_reply_parse(&r, slice_of(space, n)), ERR_PROTOCOL);
    b.n = 0;
    udp_announce_reply_write(&w, &(struct udp_reply){.transaction = 3, .interval_s = 1800, .leeches = 1, .seeds = 2});
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(udp_reply_parse(&r, slice_of(space, n)), ERR_PROTOCOL);
    assert_int_equal(udp_reply_parse(&r, buf_slice(&b)), ERR_OK);
    assert_int_equal(r.interval_s, 1800);
    assert_int_equal(r.body.n, 0);
    b.n = 0;
    udp_scrape_reply_write(&w, 4);
    udp_scrape_item_write(&w, &(struct udp_scrape_item){1, 2, 3});
    udp_scrape_item_write(&w, &(struct udp_scrape_item){4, 5, 6});
    assert_int_equal(udp_reply_parse(&r, buf_slice(&b)), ERR_OK);
    struct udp_scrape_item item;
    assert_true(udp_scrape_item(r.body, 1, &item));
    assert_int_equal(item.seeds, 4);
    assert_int_equal(item.downloaded, 5);
    assert_int_equal(item.leeches, 6);
    assert_false(udp_scrape_item(r.body, 2, &item));
    assert_false(udp_scrape_item(slice_sub(r.body, 0, 23), 1, &item));
    b.n = 0;
    udp_error_write(&w, 5, "no");
    assert_int_equal(udp_reply_parse(&r, buf_slice(&b)), ERR_OK);
    assert_int_equal(r.action, UDP_ERROR);
    assert_true(slice_eq_str(r.body, "no"));
}

// ---- HTTP, client

static struct slice write_url(const char *base, const struct announce_query *q, struct buf *b)
{
    struct wr w = wr_make(b);
    b->n = 0;
    announce_url_write(&w, slice_str(base), q);
    assert_true(w.ok);
    return buf_slice(b);
}

// Trap 18: everything but unreserved is escaped, the key has eight digits, a query of the tracker's own stays.
static void announce_urls(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[2048];
    struct buf b = {space, 0, sizeof space};
    struct announce_query q = {.announce = sample(), .compact = true};
    q.announce.key = 0x1f;
    assert_true(slice_eq_str(write_url("http://t/announce", &q, &b),
        "http://t/announce?info_hash=%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7&peer_id=-KH0100-abcdefghijkl&port=6881"
        "&uploaded=1234605616436508552&downloaded=5&left=9223372036854775807&event=started&key=0000001f&compact=1&numwant=80"));
    const uint8_t v4[4] = {1, 2, 3, 4}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    const struct addr a4 = addr_ipv4(v4, 0), a6 = addr_ipv6(v6, 0);
    q.ipv4 = &a4;
    q.ipv6 = &a6;
    q.tracker_id = SLICE_LIT("a b");
    q.announce.event = ANNOUNCE_NONE;
    q.announce.numwant = ANNOUNCE_UNKNOWN;
    q.announce.left = 0;
    assert_true(slice_eq_str(write_url("http://t/a.php?passkey=x#frag", &q, &b),
        "http://t/a.php?passkey=x&info_hash=%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7&peer_id=-KH0100-abcdefghijkl"
        "&port=6881&uploaded=1234605616436508552&downloaded=5&left=0&key=0000001f&compact=1&ipv4=1.2.3.4&ipv6=2001%3Adb8%3A%3A1"
        "&trackerid=a%20b"));
    for (size_t room = 0; room < 100; room++) {
        b = (struct buf){space, 0, room};
        struct wr w = wr_make(&b);
        announce_url_write(&w, SLICE_LIT("http://t/announce"), &q);
        assert_false(w.ok);
    }
}

// BEP 48's table of examples.
static void scrape_urls(void **state)
{
    UNUSED_STATE(state);
    static const char *const cases[][2] = {
        {"http://example.com/announce", "http://example.com/scrape?info_hash="},
        {"http://example.com/x/announce", "http://example.com/x/scrape?info_hash="},
        {"http://example.com/announce.php", "http://example.com/scrape.php?info_hash="},
        {"http://example.com/a", NULL},
        {"http://example.com/announce?x2%0644", "http://example.com/scrape?x2%0644&info_hash="},
        {"http://example.com/announce?x=2/4", NULL},
        {"http://example.com/x%064announce", NULL},
        {"announce", NULL},
    };
    uint8_t space[256], zeros[40] = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        const enum err e = scrape_url_write(&w, slice_str(cases[i][0]), slice_of(zeros, 20));
        assert_int_equal(e, cases[i][1] == NULL ? ERR_UNSUPPORTED : ERR_OK);
        if (cases[i][1] == NULL)
            continue;
        assert_true(slice_starts(buf_slice(&b), cases[i][1]));
        assert_int_equal(b.n, strlen(cases[i][1]) + 60);
    }
    struct buf b = {space, 0, 40};
    struct wr w = wr_make(&b);
    assert_int_equal(scrape_url_write(&w, SLICE_LIT("http://t/announce"), slice_of(zeros, 40)), ERR_TOO_LONG);
}

static uint32_t peers_of(const char *body, size_t n, char first[ADDR_TEXT_MAX], char last[ADDR_TEXT_MAX])
{
    struct announce_reply r;
    struct announce_peers p;
    struct addr a;
    assert_int_equal(announce_reply_parse(&r, slice_of(body, n)), ERR_OK);
    announce_peers_init(&p, &r);
    uint32_t count = 0;
    for (; announce_peers_next(&p, &a); count++) {
        if (count == 0)
            addr_format(&a, first);
        addr_format(&a, last);
    }
    return count;
}

// trackers.json "http_responses".
static void http_replies_of_the_vectors(void **state)
{
    UNUSED_STATE(state);
    char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
    struct announce_reply r;
    static const char bep7[] = "d8:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe";
    assert_int_equal(peers_of(bep7, sizeof bep7 - 1, first, last), 2);
    assert_string_equal(first, "105.105.105.105:28784");
    assert_string_equal(last, "[6969:6969:6969:6969:6969:6969:6969:6969]:28784");
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT(bep7)), ERR_OK);
    assert_int_equal(r.interval_s, 1800);
    assert_int_equal(r.min_interval_s, ANNOUNCE_UNKNOWN);
    uint8_t space[256];
    struct slice s = hex("64383a636f6d706c65746569336531303a646f776e6c6f6164656469326531303a696e636f6d706c657465693065383a696e7465727661"
        "6c69313830336531323a6d696e20696e74657276616c693138303065353a7065657273363a7f000001fc2765", space, sizeof space);
    assert_int_equal(announce_reply_parse(&r, s), ERR_OK);          // "tr_compact"
    assert_int_equal(r.interval_s, 1803);
    assert_int_equal(r.min_interval_s, 1800);
    assert_int_equal(r.seeds, 3);
    assert_int_equal(r.leeches, 0);
    assert_int_equal(r.downloaded, 2);
    assert_int_equal(peers_of((const char *)s.p, s.n, first, last), 1);
    assert_string_equal(first, "127.0.0.1:64551");
    for (size_t n = 0; n < s.n; n++)
        assert_int_equal(announce_reply_parse(&r, slice_of(s.p, n)), ERR_PROTOCOL);
    static const char list[] = "d8:completei3e10:downloadedi2e10:incompletei0e8:intervali1803e12:min intervali1800e5:peersl"
        "d7:peer id20:-TR300Z-0123456789AB2:ip7:8.8.4.44:porti53eeee";
    assert_int_equal(peers_of(list, sizeof list - 1, first, last), 1);
    assert_string_equal(first, "8.8.4.4:53");
    static const char failure[] = "d8:completei3e14:failure reason6:foobar10:downloadedi2e10:incompletei0e8:intervali1803e"
        "12:min intervali1800e5:peers0:e";
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT(failure)), ERR_OK);
    assert_true(r.failed);
    assert_true(slice_eq_str(r.failure, "foobar"));
    static const char wild[] = "d14:failure reason119:The tracker was unable to process your request. It may be down, overloaded, "
        "under attack or it just does not like you.12:min intervali1800e8:intervali1800e5:peers0:ee\n";
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT(wild)), ERR_PROTOCOL);
}

// Trap 18: what trackers really send.
static void http_replies_of_the_wild(void **state)
{
    UNUSED_STATE(state);
    char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
    static const char odd[] = "d5:peers14:\1\2\3\4\0\120\5\6\7\10\0\0ab6:peers620:\x20\1\15\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\121xyejunk";
    assert_int_equal(peers_of(odd, sizeof odd - 1, first, last), 2);    // port 0 dropped, leftovers ignored, junk behind
    assert_string_equal(first, "1.2.3.4:80");
    assert_string_equal(last, "[2001:db8::1]:81");
    static const char list[] = "d5:peersld2:ip9:host.name4:porti80eed2:ip11:2001:db8::14:porti81eed2:ip7:1.2.3.4ed2:ip7:1.2.3.44:porti0ee"
        "d2:ip7:1.2.3.44:porti70000eei7ed2:ip7:9.8.7.64:porti6eeee";
    assert_int_equal(peers_of(list, sizeof list - 1, first, last), 2);
    assert_string_equal(first, "[2001:db8::1]:81");
    assert_string_equal(last, "9.8.7.6:6");
    struct announce_reply r;
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT("d14:failure reason1:x8:retry in5:nevere")), ERR_OK);
    assert_int_equal(r.retry_in_s, ANNOUNCE_RETRY_NEVER);
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT("d14:failure reason1:x8:retry ini5ee")), ERR_OK);
    assert_int_equal(r.retry_in_s, 300);
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT("d14:failure reason1:x8:retry in2:10e")), ERR_OK);
    assert_int_equal(r.retry_in_s, 600);
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT("d14:failure reason1:x8:retry ini-5ee")), ERR_OK);
    assert_int_equal(r.retry_in_s, 0);
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT(
        "d8:completei-1e11:external ip4:\1\2\3\4" "8:intervali99999999999e10:tracker id3:abc15:warning message2:hoe")), ERR_OK);
    assert_int_equal(r.seeds, ANNOUNCE_UNKNOWN);
    assert_int_equal(r.interval_s, UINT32_MAX - 1);
    assert_true(slice_eq_str(r.tracker_id, "abc"));
    assert_true(slice_eq_str(r.warning, "ho"));
    assert_string_equal(addr_format_ip(&r.external, first), "1.2.3.4");
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT("<html>")), ERR_PROTOCOL);
    assert_int_equal(announce_reply_parse(&r, SLICE_LIT("")), ERR_PROTOCOL);
}

// trackers.json "bep48_scrape".
static void scrapes(void **state)
{
    UNUSED_STATE(state);
    static const char body[] = "d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee"
        "20:yyyyyyyyyyyyyyyyyyyyd8:completei21e10:downloadedi206e10:incompletei20eeee";
    struct scrape_counts c;
    assert_int_equal(scrape_reply_find(SLICE_LIT(body), (const uint8_t *)"xxxxxxxxxxxxxxxxxxxx", &c), ERR_OK);
    assert_int_equal(c.seeds, 11);
    assert_int_equal(c.downloaded, 13772);
    assert_int_equal(c.leeches, 19);
    assert_int_equal(scrape_reply_find(SLICE_LIT(body), (const uint8_t *)"yyyyyyyyyyyyyyyyyyyy", &c), ERR_OK);
    assert_int_equal(c.seeds, 21);
    assert_int_equal(c.downloaded, 206);
    assert_int_equal(c.leeches, 20);
    assert_int_equal(scrape_reply_find(SLICE_LIT(body), (const uint8_t *)"zzzzzzzzzzzzzzzzzzzz", &c), ERR_NOT_FOUND);
    for (size_t n = 0; n < sizeof body - 1; n++)
        assert_int_equal(scrape_reply_find(slice_of(body, n), (const uint8_t *)"yyyyyyyyyyyyyyyyyyyy", &c), ERR_PROTOCOL);
    assert_int_equal(scrape_reply_find(SLICE_LIT("d14:failure reason1:xe"), (const uint8_t *)"yyyyyyyyyyyyyyyyyyyy", &c), ERR_PROTOCOL);
}

// ---- HTTP, tracker

// Without this a tracker answers half a request, or mixes up two that came together.
static void http_requests(void **state)
{
    UNUSED_STATE(state);
    static const char two[] = "GET /announce?a=b HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\nGET /scrape HTTP/1.1\r\n\r\n";
    struct http_request q;
    assert_int_equal(http_request_parse(&q, SLICE_LIT(two)), ERR_OK);
    assert_int_equal(q.len, sizeof two - 1 - 24);
    assert_true(slice_eq_str(q.path, "/announce"));
    assert_true(slice_eq_str(q.query, "a=b"));
    assert_false(q.keep_alive);
    for (size_t n = 0; n < sizeof two - 1 - 24; n++)
        assert_int_equal(http_request_parse(&q, slice_of(two, n)), ERR_AGAIN);
    static const struct {
        const char *text;
        enum err e;
        bool keep_alive;
        const char *path;
    } cases[] = {
        {"GET / HTTP/1.1\n\n", ERR_OK, true, "/"},
        {"\r\nGET / HTTP/1.1\r\n\r\n", ERR_OK, true, "/"},
        {"HEAD /x HTTP/1.0\r\n\r\n", ERR_OK, false, "/x"},
        {"GET /x HTTP/1.0\r\nconnection:  Keep-Alive \r\n\r\n", ERR_OK, true, "/x"},
        {"GET http://host:80/announce?x HTTP/1.1\r\n\r\n", ERR_OK, true, "/announce"},
        {"POST / HTTP/1.1\r\n\r\n", ERR_UNSUPPORTED, false, NULL},
        {"GET / HTTP/2.0\r\n\r\n", ERR_SYNTAX, false, NULL},
        {"GET /\r\n\r\n", ERR_SYNTAX, false, NULL},
        {"garbage\r\n\r\n", ERR_SYNTAX, false, NULL},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", ERR_SYNTAX, false, NULL},
        {"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", ERR_SYNTAX, false, NULL},
        {"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", ERR_OK, true, "/"},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_SYNTAX, false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(http_request_parse(&q, slice_str(cases[i].text)), cases[i].e);
        if (cases[i].e != ERR_OK)
            continue;
        assert_int_equal(q.keep_alive, cases[i].keep_alive);
        assert_true(slice_eq_str(q.path, cases[i].path));
    }
}

// Without this our tracker does not understand our own client.
static void announce_queries_round_trip(void **state)
{
    UNUSED_STATE(state);
    uint8_t space[2048];
    struct buf b = {space, 0, sizeof space};
    const struct announce_query q = {.announce = sample(), .compact = true};
    const struct slice url = write_url("http://t/announce", &q, &b);
    struct announce_query back;
    const char *why = NULL;
    assert_int_equal(announce_query_parse(&back, slice_sub(url, 18, url.n), &why), ERR_OK);
    struct announce expect = q.announce;
    expect.left = INT64_MAX;
    assert_memory_equal(&back.announce, &expect, sizeof expect);
    assert_true(back.compact);
    static const char hash[] = "info_hash=%00aaaaaaaaaaaaaaaaaaa&";
    static const struct {
        const char *rest, *why;
    } bad[] = {
        {"", "port is missing or zero"}, {"port=0", "port is missing or zero"}, {"port=65536", "port is missing or zero"},
        {"port=1&peer_id=short", "peer_id is not 20 bytes"},
    };
    char text[256];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)snprintf(text, sizeof text, "%s%s", hash, bad[i].rest);
        assert_int_equal(announce_query_parse(&back, slice_str(text), &why), ERR_SYNTAX);
        assert_string_equal(why, bad[i].why);
    }
    assert_int_equal(announce_query_parse(&back, SLICE_LIT("port=1"), &why), ERR_SYNTAX);
    assert_string_equal(why, "info_hash is missing");
    assert_int_equal(announce_query_parse(&back, SLICE_LIT("port=1&info_hash=%zz"), &why), ERR_SYNTAX);
    assert_string_equal(why, "info_hash is not 20 bytes");
    (void)snprintf(text, sizeof text, "%sport=1&left=-1&numwant=-1&compact=0&event=paused&ip=9.9.9.9&uploaded=x", hash);
    assert_int_equal(announce_query_parse(&back, slice_str(text), &why), ERR_OK);
    assert_true(back.announce.left == ANNOUNCE_LEFT_UNKNOWN);
    assert_int_equal(back.announce.numwant, ANNOUNCE_UNKNOWN);
    assert_int_equal(back.announce.event, ANNOUNCE_PAUSED);
    assert_false(back.compact);
    uint8_t hashes[3][20];
    assert_int_equal(scrape_query_hashes(SLICE_LIT("info_hash=aaaaaaaaaaaaaaaaaaaa&x=1&info_hash=short&info_hash=bbbbbbbbbbbbbbbbbbbb"),
                                         hashes, 3), 2);
    assert_int_equal(hashes[1][0], 'b');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_requests_have_the_beps_layout), cmocka_unit_test(udp_requests_cut_at_every_length_are_refused),
        cmocka_unit_test(options_carry_the_path), cmocka_unit_test(a_captured_reply_is_read),
        cmocka_unit_test(udp_replies_round_trip_and_truncate), cmocka_unit_test(announce_urls), cmocka_unit_test(scrape_urls),
        cmocka_unit_test(http_replies_of_the_vectors), cmocka_unit_test(http_replies_of_the_wild), cmocka_unit_test(scrapes),
        cmocka_unit_test(http_requests), cmocka_unit_test(announce_queries_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
