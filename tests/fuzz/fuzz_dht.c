// A DHT node under a script: datagrams as they come and with transaction ids and tokens put right, questions, time.
// All invariants are asserted after each step.
#include "test.h"

#include "codec/krpc.h"
#include "engine/find/dht.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { REMEMBERED = 8, FLOODS_MAX = 1 };

struct script {
    struct dht *d;
    nsec now;
    struct addr asked[REMEMBERED];      // whom it asked, and by which transaction
    uint8_t tids[REMEMBERED][16];
    size_t tid_n[REMEMBERED];
    uint32_t asked_n;
    uint8_t token[KRPC_TOKEN_MAX];
    size_t token_n;
    uint32_t ops[4];
};

static struct addr from_byte(uint8_t b)
{
    const uint8_t v4[4] = {(uint8_t)(20 + (b & 7)), b, 0, 1}, v6[16] = {0x20, 1, 0, b, [15] = 1};
    return b & 0x80 ? addr_ipv6(v6, 9) : addr_ipv4(v4, 9);
}

static void drain(struct script *s, size_t room)
{
    static uint8_t space[DHT_TX_MIN];
    dht_check(s->d);
    for (;;) {
        struct dht_out out;
        struct krpc m;
        struct buf tx = {space, 0, room};
        const enum dht_kind k = dht_poll(s->d, s->now, &tx, &out);
        if (k == DHT_IDLE)
            break;
        if (k != DHT_SEND)
            continue;
        ASSERT(krpc_parse(&m, out.bytes) == ERR_OK);
        if (m.kind == KRPC_QUERY) {
            const uint32_t at = s->asked_n++ % REMEMBERED;
            ASSERT(m.tid.n <= sizeof s->tids[at]);
            s->asked[at] = out.addr;
            s->tid_n[at] = m.tid.n;
            memcpy(s->tids[at], m.tid.p, m.tid.n);
        } else if (m.token.n != 0) {
            s->token_n = m.token.n;
            memcpy(s->token, m.token.p, m.token.n);
        }
    }
    dht_check(s->d);
}

// A message of the input, with what only an insider can know put right.
static void insider(struct script *s, uint8_t who, struct slice bytes)
{
    static uint8_t space[2 * KRPC_BYTES_MAX];
    struct krpc m;
    if (krpc_parse(&m, bytes) != ERR_OK)
        return;
    struct addr from = from_byte(who);
    if (m.kind != KRPC_QUERY && s->asked_n > 0) {
        const uint32_t at = who % (s->asked_n < REMEMBERED ? s->asked_n : REMEMBERED);
        from = s->asked[at];
        m.tid = slice_of(s->tids[at], s->tid_n[at]);
    }
    if (m.kind == KRPC_QUERY && s->token_n != 0)
        m.token = slice_of(s->token, s->token_n);
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    krpc_write(&w, &m);
    if (w.ok)
        dht_datagram(s->d, s->now, &from, buf_slice(&b));
}

// An answer with neighbours made from the input: lookups go on.
static void answer(struct script *s, uint8_t who, struct slice seed)
{
    static uint8_t space[KRPC_BYTES_MAX];
    uint8_t nodes[8 * KRPC_NODE_V4_LEN], id[NODE_ID_LEN] = {0};
    struct buf b = {nodes, 0, sizeof nodes}, packet = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    if (s->asked_n == 0)
        return;
    const uint32_t at = who % (s->asked_n < REMEMBERED ? s->asked_n : REMEMBERED);
    for (uint32_t i = 0; i < 8 && i < seed.n; i++) {
        const uint8_t ip[4] = {(uint8_t)(20 + i), seed.p[i], 3, 4};
        const struct addr a = addr_ipv4(ip, 7);
        id[0] = seed.p[i];
        id[1] = (uint8_t)i;
        krpc_node_write(&w, id, &a);
    }
    struct krpc m = {.kind = KRPC_REPLY, .tid = slice_of(s->tids[at], s->tid_n[at]), .has_id = true, .nodes = buf_slice(&b),
        .token = SLICE_LIT("tok"), .values = SLICE_LIT("l6:abcdefe"), .id = {(uint8_t)(seed.n > 0 ? seed.p[0] : 1)}};
    w = wr_make(&packet);
    krpc_write(&w, &m);
    dht_datagram(s->d, s->now, &s->asked[at], buf_slice(&packet));
}

static void question(struct script *s, uint8_t what, uint8_t who)
{
    struct dht_ask a = {.kind = (enum dht_ask_kind)(what % (DHT_SAMPLE + 1)), .target = {who, what}, .port = 5, .scrape = who & 1,
        .is_mutable = who & 2};
    if (a.kind == DHT_PUT)
        a.item.value = SLICE_LIT("3:abc");
    (void)!dht_ask(s->d, s->now, &a, &s->ops[who % 4]);
}

// So many strangers that the next ones are asked back.
static void flood(struct script *s)
{
    static uint8_t space[KRPC_BYTES_MAX];
    struct krpc m = {.kind = KRPC_QUERY, .method = KRPC_GET_PEERS, .tid = SLICE_LIT("t"), .has_id = true, .has_target = true, .id = {1}};
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    krpc_write(&w, &m);
    for (uint32_t i = 0; i < 3500; i++) {
        const uint8_t ip[4] = {50, 1, (uint8_t)(i >> 8), (uint8_t)i};
        const struct addr from = addr_ipv4(ip, 9);
        dht_datagram(s->d, s->now, &from, buf_slice(&b));
        if (i % 256 == 255)
            drain(s, DHT_TX_MIN);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct log quiet = {.level = LOG_ERROR};
    static const struct env env = {.mem = &test_mem, .log = &quiet, .seed = 3};
    static struct script s;
    struct rd r = rd_make(slice_of(data, n));
    const uint8_t how = rd_u8(&r);
    const struct dht_config cfg = {.ipv4 = true, .ipv6 = how & 1, .read_only = how & 2, .hashes_max = how & 4 ? 3 : 0, .hash_peers_max = 5,
        .peers_max = how & 4 ? 7 : 0,
        .items_max = how & 8 ? 2 : 0};
    uint32_t floods = 0;
    s = (struct script){.now = NSEC_S};
    if (dht_new(&s.d, &cfg, &env, s.now) != ERR_OK)
        return 0;
    while (r.ok && r.n != 0) {
        const uint8_t what = rd_u8(&r), who = rd_u8(&r);
        const struct slice bytes = rd_bytes(&r, size_min(r.n, rd_u8(&r) * 2U));
        const struct addr from = from_byte(who);
        switch (what & 15) {
        case 0: s.now += who * 20 * NSEC_MS; break;
        case 1: s.now += who * 10 * NSEC_S; break;
        case 2: dht_datagram(s.d, s.now, &from, bytes); break;
        case 3: case 4: case 5: insider(&s, who, bytes); break;
        case 6: case 7: case 8: answer(&s, who, bytes); break;
        case 9: case 10: question(&s, what >> 4, who); break;
        case 11: dht_add(s.d, s.now, &from); break;
        case 12: dht_cancel(s.d, s.ops[who % 4]); break;
        case 13: dht_external(s.d, s.now, &from); break;
        case 14: dht_load(s.d, s.now, bytes); break;
        default:
            if (who >= 0xf0 && floods++ < FLOODS_MAX)
                flood(&s);
            else
                dht_network_changed(s.d, s.now);
            break;
        }
        drain(&s, who & 1 ? DHT_TX_MIN : 100);
        dht_tick(s.d, s.now);
        drain(&s, DHT_TX_MIN);
    }
    dht_free(s.d);
    return 0;
}
