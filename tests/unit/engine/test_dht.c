// The DHT node: joining, answering, storing, looking up, its limits; literal times. Thousands of nodes: tests/scenario.
#include "test.h"

#include "codec/krpc.h"
#include "engine/find/dht.h"
#include "engine/find/dht_guard.h"
#include "engine/find/dht_proof.h"
#include "engine/find/dht_store.h"
#include "engine/find/dht_table.h"

static uint8_t tx_space[DHT_TX_MIN];
static const struct log quiet = {.level = LOG_ERROR};
static const struct env env = {.mem = &test_mem, .log = &quiet, .seed = 7};

static struct addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    const uint8_t v[4] = {a, b, c, d};
    return addr_ipv4(v, 6881);
}

static struct dht *node(bool read_only)
{
    struct dht *d;
    const struct dht_config cfg = {.ipv4 = true, .read_only = read_only};
    assert_int_equal(dht_new(&d, &cfg, &env, NSEC_S), ERR_OK);
    return d;
}

static enum dht_kind poll(struct dht *d, nsec now, struct dht_out *out)
{
    struct buf tx = {tx_space, 0, sizeof tx_space};
    dht_check(d);
    return dht_poll(d, now, &tx, out);
}

// The next datagram to somebody, parsed; its bytes live until the next call. False: idle.
static bool next_sent(struct dht *d, nsec now, struct addr *to, struct krpc *m)
{
    struct dht_out out;
    for (enum dht_kind k = poll(d, now, &out); k != DHT_IDLE; k = poll(d, now, &out)) {
        if (k != DHT_SEND)
            continue;
        *to = out.addr;
        assert_int_equal(krpc_parse(m, out.bytes), ERR_OK);
        return true;
    }
    return false;
}

static size_t send(struct dht *d, nsec now, const struct addr *from, const struct krpc *m)
{
    uint8_t space[KRPC_BYTES_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    krpc_write(&w, m);
    assert_true(w.ok);
    dht_datagram(d, now, from, buf_slice(&b));
    return b.n;
}

static struct krpc query(enum krpc_method method, const uint8_t target[NODE_ID_LEN])
{
    struct krpc q = {.kind = KRPC_QUERY, .method = method, .tid = SLICE_LIT("aa"), .has_id = true, .id = {1, 2, 3}, .read_only = true};
    if (target != NULL) {
        q.has_target = true;
        memcpy(q.target, target, NODE_ID_LEN);
    }
    return q;
}

// Asks as a stranger, and returns the answer.
static struct krpc ask(struct dht *d, nsec now, const struct addr *from, const struct krpc *q)
{
    struct krpc m = {0};
    struct addr to;
    send(d, now, from, q);
    assert_true(next_sent(d, now, &to, &m));
    assert_true(addr_eq(&to, from));
    assert_true(slice_eq(m.tid, q->tid));
    return m;
}

static const uint8_t hash[NODE_ID_LEN] = {0xaa, 0xbb};

// Without this nobody can find peers here: BEP 5's four queries, the token between them, BEP 42's ip.
static void peers_are_kept_for_others(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr from = ip(20, 1, 2, 3), other = ip(21, 1, 2, 3);
    struct krpc q = query(KRPC_PING, NULL), m = ask(d, NSEC_S, &from, &q);
    assert_int_equal(m.kind, KRPC_REPLY);
    assert_true(addr_eq(&m.ip, &from));
    assert_memory_equal(m.id, dht_id(d, ADDR_IPV4), NODE_ID_LEN);
    q = query(KRPC_GET_PEERS, hash);
    m = ask(d, NSEC_S, &from, &q);
    assert_int_equal(m.token.n, TOKEN_LEN);
    assert_int_equal(m.values.n, 0);
    uint8_t token[TOKEN_LEN];
    memcpy(token, m.token.p, sizeof token);
    q = query(KRPC_ANNOUNCE_PEER, hash);
    q.port = 1234;
    q.token = slice_of(token, sizeof token);
    m = ask(d, NSEC_S, &other, &q);
    assert_int_equal(m.kind, KRPC_ERROR);               // the token belongs to another address
    assert_int_equal(m.code, KRPC_PROTOCOL);
    m = ask(d, 599 * NSEC_S, &from, &q);
    assert_int_equal(m.kind, KRPC_REPLY);               // good for five to ten minutes
    m = ask(d, 600 * NSEC_S, &from, &q);
    assert_int_equal(m.kind, KRPC_ERROR);
    q = query(KRPC_GET_PEERS, hash);
    m = ask(d, 600 * NSEC_S, &other, &q);
    struct bencode b;
    struct addr peer;
    krpc_values(&b, m.values);
    assert_true(krpc_value(&b, &peer));
    assert_true(addr_same_ip(&peer, &from));
    assert_int_equal(peer.port, 1234);
    assert_false(krpc_value(&b, &peer));
    dht_tick(d, (599 + PEER_EXPIRE_S + DHT_SWEEP_S) * NSEC_S);
    struct dht_stats s;
    dht_stats(d, &s);
    assert_int_equal(s.peers + s.hashes, 0);            // forgotten
    dht_free(d);
}

// Without this items cannot be stored, or anybody can replace them: BEP 44, errors 205, 206, 207, 301, 302.
static void items_are_kept_and_guarded(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr from = ip(20, 1, 2, 3);
    uint8_t seed[SIGN_SEED_LEN] = {5}, secret[SIGN_SECRET_LEN], target[NODE_ID_LEN], token[TOKEN_LEN];
    struct dht_item item = {.value = SLICE_LIT("5:hello"), .salt = SLICE_LIT("s"), .seq = 5};
    sign_key(seed, item.key, secret);
    dht_item_sign(&item, secret);
    dht_item_mutable(item.key, item.salt, target);
    struct krpc q = query(KRPC_GET, target), m = ask(d, NSEC_S, &from, &q), put = query(KRPC_PUT, NULL);
    memcpy(token, m.token.p, sizeof token);
    put.token = slice_of(token, sizeof token);
    put.has_key = put.has_sig = put.has_seq = true;
    put.value = item.value;
    put.salt = item.salt;
    put.seq = item.seq;
    memcpy(put.key, item.key, sizeof put.key);
    memcpy(put.sig, item.sig, sizeof put.sig);
    put.sig[0] ^= 1;
    assert_int_equal(ask(d, NSEC_S, &from, &put).code, KRPC_BAD_SIGNATURE);
    put.sig[0] ^= 1;
    assert_int_equal(ask(d, NSEC_S, &from, &put).kind, KRPC_REPLY);
    m = ask(d, NSEC_S, &from, &q);
    assert_true(m.has_key && m.has_sig && m.has_seq);
    assert_true(slice_eq(m.value, item.value));
    q.has_seq = true;
    q.seq = 5;
    m = ask(d, NSEC_S, &from, &q);
    assert_true(m.has_seq && m.value.n == 0);           // the asker has it already
    item.seq = 4;
    dht_item_sign(&item, secret);
    memcpy(put.sig, item.sig, sizeof put.sig);
    put.seq = 4;
    assert_int_equal(ask(d, NSEC_S, &from, &put).code, KRPC_SEQ_TOO_OLD);
    item.seq = 6;
    dht_item_sign(&item, secret);
    memcpy(put.sig, item.sig, sizeof put.sig);
    put.seq = 6;
    put.has_cas = true;
    put.cas = 4;
    assert_int_equal(ask(d, NSEC_S, &from, &put).code, KRPC_CAS_MISMATCH);
    put.cas = 5;
    assert_int_equal(ask(d, 2 * NSEC_S, &from, &put).kind, KRPC_REPLY);
    static uint8_t big[ITEM_VALUE_MAX + 1];
    memset(big, 'x', sizeof big);
    memcpy(big, "996:", 4);
    big[1000] = 'x';
    memcpy(big, "997:", 4);
    struct krpc large = put;
    large.value = slice_of(big, sizeof big);
    assert_int_equal(ask(d, 2 * NSEC_S, &from, &large).code, KRPC_TOO_BIG);
    large = put;
    large.salt = slice_of(big, 65);
    assert_int_equal(ask(d, 2 * NSEC_S, &from, &large).code, KRPC_SALT_TOO_BIG);
    dht_free(d);
}

// Two families are two nodes, each with an id of its own (BEP 32, 45), and nodes of the other one are told to whom wants them only.
static void families_are_nodes_of_their_own(void **state)
{
    UNUSED_STATE(state);
    struct dht *d;
    const struct dht_config cfg = {.ipv4 = true, .ipv6 = true};
    assert_int_equal(dht_new(&d, &cfg, &env, NSEC_S), ERR_OK);
    assert_memory_not_equal(dht_id(d, ADDR_IPV4), dht_id(d, ADDR_IPV6), NODE_ID_LEN);
    const uint8_t six[16] = {0x20, 1, 0xd, 0xb8, 1}, other[16] = {0x20, 1, 0xd, 0xb9, 1}, id[NODE_ID_LEN] = {9};
    const struct addr from4 = ip(20, 1, 2, 3), from6 = addr_ipv6(six, 7), node4 = ip(30, 1, 1, 1), node6 = addr_ipv6(other, 7);
    dht_plant(d, NSEC_S, id, &node4);
    dht_plant(d, NSEC_S, id, &node6);
    for (uint32_t want = 0; want < 4; want++) {         // bit 0: n4, bit 1: n6; neither: not said
        struct krpc q = query(KRPC_FIND_NODE, hash);
        q.has_want = want != 0;
        q.want_v4 = (want & 1) != 0;
        q.want_v6 = (want & 2) != 0;
        struct krpc m = ask(d, NSEC_S, &from4, &q);
        assert_memory_equal(m.id, dht_id(d, ADDR_IPV4), NODE_ID_LEN);
        assert_int_equal(m.nodes.n, want == 2 ? 0 : KRPC_NODE_V4_LEN);
        assert_int_equal(m.nodes6.n, want >= 2 ? KRPC_NODE_V6_LEN : 0);
        m = ask(d, NSEC_S, &from6, &q);
        assert_memory_equal(m.id, dht_id(d, ADDR_IPV6), NODE_ID_LEN);
        assert_int_equal(m.nodes.n, (want & 1) != 0 ? KRPC_NODE_V4_LEN : 0);
        assert_int_equal(m.nodes6.n, want == 1 ? 0 : KRPC_NODE_V6_LEN);
    }
    dht_free(d);
}

// Without this a forged source address gets a flood from us.
static void strangers_get_little(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr victim = ip(20, 1, 2, 3);
    struct krpc q = query(KRPC_FIND_NODE, hash), m;
    struct addr to;
    size_t asked = 0, answered = 0;
    for (uint32_t i = 0; i < 10000; i++) {              // 10 s, 1000 a second
        const nsec now = NSEC_S + i * NSEC_MS;
        asked += send(d, now, &victim, &q);
        struct dht_out out;
        for (enum dht_kind k = poll(d, now, &out); k != DHT_IDLE; k = poll(d, now, &out))
            answered += k == DHT_SEND && addr_eq(&out.addr, &victim) ? out.bytes.n : 0;
    }
    assert_true(asked > 800000);
    assert_in_range(answered, 10000, GUARD_STRANGER_BURST + 11 * GUARD_STRANGER_BPS);
    struct dht_stats s;
    dht_stats(d, &s);
    assert_true(s.limited > 9000);
    m = ask(d, 60 * NSEC_S, &victim, &q);               // and is not shut out for good
    assert_int_equal(m.kind, KRPC_REPLY);
    uint8_t target[NODE_ID_LEN];
    for (uint32_t i = 0; i < 300; i++) {                // a hash with many peers: the answer is cut for a stranger
        const struct addr peer = ip(30, (uint8_t)i, (uint8_t)(i >> 8), 9);
        q = query(KRPC_GET_PEERS, hash);
        const struct krpc got = ask(d, 70 * NSEC_S, &peer, &q);
        uint8_t token[TOKEN_LEN];
        memcpy(token, got.token.p, sizeof token);
        q = query(KRPC_ANNOUNCE_PEER, hash);
        q.implied_port = true;
        q.token = slice_of(token, sizeof token);
        assert_int_equal(ask(d, 70 * NSEC_S, &peer, &q).kind, KRPC_REPLY);
    }
    memcpy(target, hash, sizeof target);
    q = query(KRPC_GET_PEERS, target);
    send(d, 80 * NSEC_S, &victim, &q);
    struct dht_out out;
    assert_int_equal(poll(d, 80 * NSEC_S, &out), DHT_SEND);
    assert_in_range(out.bytes.n, 200, GUARD_STRANGER_REPLY);
    (void)to;
    dht_free(d);
}

// The nodes that we know are no secret. 500 of them, each by half of what one may have, had 8 MiB/s of us for questions in their names.
static void those_we_know_get_little_together(void **state)
{
    UNUSED_STATE(state);
    struct guard g;
    uint64_t bytes = 0;
    guard_init(&g, &test_mem, (const uint64_t[2]){1, 2});
    for (uint32_t i = 0; i < 100000; i++) {             // 10 s
        const nsec now = NSEC_S + i * 100 * NSEC_US;
        const struct addr known = ip(40, (uint8_t)(i % 500 >> 8), (uint8_t)(i % 500), 9);
        if (guard_judge(&g, now, &known, GUARD_KNOWN, true) != GUARD_ANSWER)
            continue;
        guard_charge(&g, now, &known, GUARD_KNOWN, 800);
        bytes += 800;
    }
    assert_in_range(bytes, 10 * GUARD_ALL_BPS, GUARD_ALL_BURST + 11 * GUARD_ALL_BPS);
    const struct addr seldom = ip(41, 1, 2, 3);
    assert_int_equal(guard_judge(&g, 12 * NSEC_S, &seldom, GUARD_KNOWN, true), GUARD_ANSWER);
    assert_int_equal(guard_judge(&g, 11 * NSEC_S, &seldom, GUARD_PROVED, true), GUARD_ANSWER);
    assert_int_equal(guard_judge(&g, 11 * NSEC_S, &seldom, GUARD_STRANGER, true), GUARD_ANSWER);        // the others have their own
    guard_done(&g);
}

// Questions from 4,000 new addresses, until strangers are asked back.
static void pour(struct dht *d, nsec now, uint32_t n)
{
    struct krpc q = query(KRPC_GET_PEERS, hash);
    q.read_only = false;
    struct dht_out out;
    for (uint32_t i = 0; i < n; i++) {
        const struct addr forged = ip(40, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
        send(d, now, &forged, &q);
        while (poll(d, now, &out) != DHT_IDLE)
            ;
    }
}

// What is sent to somebody, without what was sent to others before.
static bool sent_to(struct dht *d, nsec now, const struct addr *whom, struct krpc *m)
{
    struct addr to;
    while (next_sent(d, now, &to, m))
        if (addr_eq(&to, whom))
            return true;
    return false;
}

// Without this forged addresses use up what strangers get, or whoever hears of a question can have its answer sent to another one.
static void a_stranger_proves_that_it_is_there(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr me = ip(50, 1, 2, 3), other = ip(50, 9, 9, 9), third = ip(50, 7, 7, 7);
    struct krpc q = query(KRPC_GET_PEERS, hash), m;
    struct addr to;
    uint8_t tid[PROOF_TID_LEN];
    nsec now = 100 * NSEC_S;
    pour(d, now, 4000);
    const struct addr shy = ip(50, 5, 5, 5);
    assert_int_equal(ask(d, now, &shy, &q).kind, KRPC_REPLY);       // a read-only node is not asked back
    q.read_only = false;
    const size_t asked = send(d, now, &me, &q);
    struct dht_out out;
    assert_int_equal(poll(d, now, &out), DHT_SEND);
    assert_true(addr_eq(&out.addr, &me));
    assert_true(out.bytes.n <= asked);                  // nobody is sent more than was sent in his name
    assert_int_equal(krpc_parse(&m, out.bytes), ERR_OK);
    assert_int_equal(m.kind, KRPC_QUERY);
    assert_int_equal(m.method, KRPC_PING);
    assert_int_equal(m.tid.n, sizeof tid);
    memcpy(tid, m.tid.p, sizeof tid);

    struct krpc pong = {.kind = KRPC_REPLY, .tid = slice_of(tid, sizeof tid), .has_id = true, .id = {4, 5, 6}};
    send(d, now, &me, &pong);                           // a node is there, but another has asked in its name
    assert_false(sent_to(d, now, &me, &m));
    memcpy(pong.id, q.id, NODE_ID_LEN);
    send(d, now, &other, &pong);                        // it is no proof of another address, nor with a changed byte
    assert_false(sent_to(d, now, &me, &m));
    tid[sizeof tid - 1] ^= 1;
    send(d, now, &me, &pong);
    assert_false(sent_to(d, now, &me, &m));
    tid[sizeof tid - 1] ^= 1;
    now += 100 * NSEC_MS;
    send(d, now, &me, &pong);
    assert_true(sent_to(d, now, &me, &m));              // the answer to the question
    assert_int_equal(m.kind, KRPC_REPLY);
    assert_true(slice_eq(m.tid, q.tid));
    assert_int_equal(m.token.n, TOKEN_LEN);
    send(d, now, &me, &pong);                           // once
    assert_false(next_sent(d, now, &to, &m));
    now += NSEC_S;
    pour(d, now, 4000);
    assert_int_equal(ask(d, now, &me, &q).kind, KRPC_REPLY);            // from now on at once

    send(d, now, &other, &q);                           // a flood pushes out the question that waits, not the proof
    assert_true(sent_to(d, now, &other, &m));
    assert_int_equal(m.method, KRPC_PING);
    memcpy(tid, m.tid.p, sizeof tid);
    for (uint32_t i = 0; i < 10; i++)
        pour(d, now += 200 * NSEC_MS, PROOF_WAITING / 2);
    send(d, now, &other, &pong);
    assert_false(sent_to(d, now, &other, &m));
    assert_int_equal(ask(d, now, &other, &q).kind, KRPC_REPLY);

    pour(d, now, 4000);
    send(d, now += 200 * NSEC_MS, &third, &q);           // too late
    assert_true(sent_to(d, now, &third, &m));
    memcpy(tid, m.tid.p, sizeof tid);
    now += 3 * PROOF_STEP;
    send(d, now, &third, &pong);
    struct dht_stats s;
    dht_stats(d, &s);
    assert_int_equal(s.real, 3);
    dht_free(d);
}

// Without this a node pretends to be many, or gets in without an answer.
static void the_table_takes_only_who_answers(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    struct dht_stats s;
    const struct addr peer = ip(20, 9, 9, 9);
    struct krpc q = query(KRPC_PING, NULL), m, r = {.kind = KRPC_REPLY, .has_id = true, .id = {9}};
    struct addr to;
    q.read_only = false;
    send(d, NSEC_S, &peer, &q);
    assert_true(next_sent(d, NSEC_S, &to, &m));         // our answer
    dht_stats(d, &s);
    assert_int_equal(s.nodes[0], 0);
    assert_true(next_sent(d, NSEC_S, &to, &m));         // and our question
    assert_int_equal(m.kind, KRPC_QUERY);
    assert_int_equal(m.method, KRPC_FIND_NODE);
    uint8_t tid[8];
    memcpy(tid, m.tid.p, m.tid.n);
    r.tid = slice_of(tid, m.tid.n);
    const struct addr liar = ip(20, 9, 9, 8);
    send(d, NSEC_S + NSEC_MS, &liar, &r);
    dht_stats(d, &s);
    assert_int_equal(s.nodes[0], 0);                    // from elsewhere it is no answer
    assert_int_equal(s.rx_unasked, 1);
    // It tells of two, the first at an address that nobody has: a host that leaves names to a proxy makes such addresses for them.
    static const uint8_t nodes[] = "\1aaaaaaaaaaaaaaaaaaa\360\0\1\0\32\341" "\2bbbbbbbbbbbbbbbbbbb\24\7\7\7\32\341";
    const struct addr told = ip(20, 7, 7, 7), nobody = ip(240, 0, 1, 0);
    uint32_t asked = 0;
    r.nodes = slice_of(nodes, sizeof nodes - 1);
    send(d, NSEC_S + NSEC_MS, &peer, &r);
    while (next_sent(d, NSEC_S + NSEC_MS, &to, &m)) {
        assert_false(addr_eq(&to, &nobody));
        asked += addr_eq(&to, &told);
    }
    assert_int_equal(asked, 1);
    dht_stats(d, &s);
    assert_int_equal(s.nodes[0], 1);
    send(d, NSEC_S + NSEC_MS, &peer, &r);
    dht_stats(d, &s);
    assert_int_equal(s.rx_unasked, 2);                  // an answer counts once
    q.read_only = true;
    const struct addr silent = ip(22, 1, 1, 1);
    send(d, 2 * NSEC_S, &silent, &q);
    while (next_sent(d, 2 * NSEC_S, &to, &m))
        assert_false(m.kind == KRPC_QUERY && addr_eq(&to, &silent));        // BEP 43
    dht_free(d);
}

static void fill(struct dht_table *t, uint8_t net, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint8_t id[NODE_ID_LEN] = {0x80, net, (uint8_t)i};
        const struct addr a = ip(net, (uint8_t)i, 1, 1);
        (void)table_seen(t, NSEC_S, id, &a, 1000);
    }
}

// Without this the table grows without bound, one network fills it, or a dead node stays.
static void buckets_have_limits(void **state)
{
    UNUSED_STATE(state);
    struct dht_table t;
    uint8_t own[NODE_ID_LEN] = {0}, id[NODE_ID_LEN] = {0};
    table_init(&t, &test_mem, ADDR_IPV4, own);
    assert_int_equal(table_open(&t), ERR_OK);
    fill(&t, 20, 200);
    assert_int_equal(t.n, 128);                         // the farthest bucket; the next ones 64, 32, 16, 8
    assert_int_equal(t.buckets[0].spare_n, TABLE_SPARE_MAX);
    for (uint8_t i = 0; i < 5; i++) {
        const struct addr a = ip(40, 1, 1, i);
        id[0] = 0x40;
        id[1] = i;
        assert_int_equal(table_seen(&t, NSEC_S, id, &a, 1000), i < TABLE_NET_MAX ? TABLE_ADDED : TABLE_REFUSED);
    }
    table_check(&t);
    const struct addr first = ip(20, 0, 1, 1);
    assert_false(table_failed(&t, &first));
    assert_true(table_failed(&t, &first));              // twice, and a spare takes its place
    assert_int_equal(t.buckets[0].n, 128);
    assert_null(table_find(&t, &first));
    struct addr lost;
    assert_true(table_take_lost(&t, &lost));
    assert_true(addr_eq(&lost, &first));
    const struct addr lone = ip(40, 1, 1, 0);
    assert_false(table_failed(&t, &lone));
    assert_false(table_failed(&t, &lone));
    assert_true(table_failed(&t, &lone));
    const uint8_t target[NODE_ID_LEN] = {0x80, 20, 7};
    const struct dht_node *near[TABLE_K];
    assert_int_equal(table_nearest(&t, target, near, TABLE_K), TABLE_K);
    for (uint32_t i = 1; i < TABLE_K; i++)
        assert_true(node_id_nearer(target, near[i - 1]->id, near[i]->id) < 0);
    uint8_t renamed[NODE_ID_LEN] = {0x80, 20};
    table_rename(&t, NSEC_S, renamed);
    table_check(&t);
    assert_in_range(t.n, 9, 128);
    table_done(&t);
}

// Without this our id is wrong for our address: three networks must agree, one alone cannot move us.
static void the_id_follows_the_votes(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr mine = ip(50, 60, 70, 80);
    uint8_t before[NODE_ID_LEN];
    memcpy(before, dht_id(d, ADDR_IPV4), NODE_ID_LEN);
    for (uint8_t i = 0; i < 12; i++) {
        // nine answers of one network, then three of others
        const struct addr from = i < 9 ? ip(20, 1, i, 1) : ip(21, i, 1, 1);
        dht_add(d, (1U + i) * NSEC_S, &from);
        dht_tick(d, (1U + i) * NSEC_S);
        struct krpc m = {0}, r = {.kind = KRPC_REPLY, .has_id = true, .id = {9, i}, .ip = mine};
        struct addr to;
        uint8_t tid[8];
        while (next_sent(d, (1U + i) * NSEC_S, &to, &m)) {
            if (!addr_eq(&to, &from) || m.kind != KRPC_QUERY)
                continue;
            memcpy(tid, m.tid.p, m.tid.n);
            r.tid = slice_of(tid, m.tid.n);
            send(d, (1U + i) * NSEC_S, &from, &r);
        }
        if (i < 10)
            assert_memory_equal(dht_id(d, ADDR_IPV4), before, NODE_ID_LEN);
    }
    assert_memory_not_equal(dht_id(d, ADDR_IPV4), before, NODE_ID_LEN);
    assert_true(node_id_fits(dht_id(d, ADDR_IPV4), &mine));
    dht_free(d);
}

// Without this a first, false answer is kept for good: what is learnt within five minutes of a new id is made up for later.
static void the_id_follows_later(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr wrong = ip(66, 6, 6, 6), mine = ip(50, 60, 70, 80);
    dht_external(d, NSEC_S, &wrong);
    dht_external(d, 2 * NSEC_S, &mine);
    assert_true(node_id_fits(dht_id(d, ADDR_IPV4), &wrong));
    dht_tick(d, 300 * NSEC_S);
    assert_true(node_id_fits(dht_id(d, ADDR_IPV4), &wrong));
    dht_tick(d, 306 * NSEC_S);
    assert_true(node_id_fits(dht_id(d, ADDR_IPV4), &mine));
    dht_free(d);
}

// Without this a flood of hashes pushes out what belongs here: the farthest makes way, and one owner has a share.
static void a_flood_pushes_out_only_what_is_far(void **state)
{
    UNUSED_STATE(state);
    struct dht_store s;
    const uint64_t secret[2] = {1, 2};
    uint8_t own[NODE_ID_LEN] = {0}, h[NODE_ID_LEN] = {0};
    dht_store_init(&s, &test_mem, secret);
    s.own[0] = own;
    s.hashes_max = 100;
    struct addr from = ip(20, 1, 1, 1);
    h[5] = 1;
    assert_int_equal(dht_store_announce(&s, NSEC_S, h, &from, false), ERR_OK);      // near to us
    for (uint32_t i = 0; i < 5000; i++) {
        uint8_t flood[NODE_ID_LEN] = {(uint8_t)(1 + i % 255), (uint8_t)(i >> 8)};
        from = ip(60, (uint8_t)(i % 7), 1, 1);
        (void)!dht_store_announce(&s, NSEC_S, flood, &from, false);
        if (i % 100 == 0)
            dht_store_check(&s);
    }
    assert_non_null(dht_store_swarm(&s, h));
    assert_true(s.swarms.n <= 100);
    for (uint32_t i = 0; i < 1000; i++) {               // many ports of one address are few peers
        from = addr_ipv4((const uint8_t[]){61, 1, 1, 1}, (uint16_t)(1000 + i));
        (void)!dht_store_announce(&s, NSEC_S + i, h, &from, false);
    }
    assert_int_equal(dht_store_swarm(&s, h)->peers[0].n, 1 + HASH_IP_PORTS_MAX);
    for (uint32_t i = 0; i < 2000; i++) {
        from = ip(62, (uint8_t)i, (uint8_t)(i >> 8), 1);
        (void)!dht_store_announce(&s, NSEC_S + i, h, &from, i % 2 == 0);
    }
    assert_int_equal(dht_store_swarm(&s, h)->peers[0].n, DHT_HASH_PEERS_MAX);
    dht_store_check(&s);
    dht_store_done(&s);
}

static void store_open(struct dht_store *s, const uint8_t own[NODE_ID_LEN], const struct mem *mem)
{
    const uint64_t secret[2] = {1, 2};
    dht_store_init(s, mem, secret);
    s->own[0] = own;
}

// Without this one owner of many addresses pushes out what everybody else wants to be kept, however near to us his hashes are.
static void the_greedy_network_makes_way(void **state)
{
    UNUSED_STATE(state);
    static const uint8_t own[NODE_ID_LEN] = {0};
    struct dht_store s;
    store_open(&s, own, &test_mem);
    s.hashes_max = 100;
    s.items_max = 100;
    struct addr from;
    for (uint32_t i = 0; i < 30; i++) {                 // thirty people, each with one far hash
        const uint8_t h[NODE_ID_LEN] = {0xff, (uint8_t)i};
        from = ip(20, (uint8_t)i, 1, 1);
        assert_int_equal(dht_store_announce(&s, NSEC_S, h, &from, false), ERR_OK);
    }
    for (uint32_t i = 0; i < 3000; i++) {               // 250 addresses of two networks, with hashes and items right beside us
        const uint8_t h[NODE_ID_LEN] = {0, 0, (uint8_t)i, (uint8_t)(i >> 8)};
        const struct dht_item item = {.value = SLICE_LIT("1:x")};
        from = ip(60, 1, (uint8_t)(i % 2), (uint8_t)(i % 250));
        (void)!dht_store_announce(&s, NSEC_S, h, &from, false);
        (void)!dht_store_put(&s, NSEC_S, &(struct dht_put){&item, false, h, &from});
        if (i % 100 == 0)
            dht_store_check(&s);
    }
    for (uint32_t i = 0; i < 30; i++)
        assert_non_null(dht_store_swarm(&s, (const uint8_t[NODE_ID_LEN]){0xff, (uint8_t)i}));
    assert_int_equal(s.swarms.n, 100);
    assert_int_equal(s.items.n, 100);
    // A hash that the flood began passes to the first honest host that wants it, and stays.
    const uint8_t theirs[NODE_ID_LEN] = {0, 0, 0, 0, 1}, item_target[NODE_ID_LEN] = {0xee};
    from = ip(60, 1, 1, 251);
    assert_int_equal(dht_store_announce(&s, NSEC_S, theirs, &from, false), ERR_OK);
    from = ip(21, 1, 1, 1);
    assert_int_equal(dht_store_announce(&s, NSEC_S, theirs, &from, false), ERR_OK);
    const struct dht_item item = {.value = SLICE_LIT("1:y")};
    assert_int_equal(dht_store_put(&s, NSEC_S, &(struct dht_put){&item, false, item_target, &from}), ERR_OK);
    for (uint32_t i = 3000; i < 6000; i++) {
        const uint8_t h[NODE_ID_LEN] = {0, 0, (uint8_t)i, (uint8_t)(i >> 8)};
        const struct dht_item flood = {.value = SLICE_LIT("1:x")};
        from = ip(60, 1, (uint8_t)(i % 2), (uint8_t)(i % 250));
        (void)!dht_store_announce(&s, NSEC_S, h, &from, false);
        (void)!dht_store_put(&s, NSEC_S, &(struct dht_put){&flood, false, h, &from});
    }
    assert_non_null(dht_store_swarm(&s, theirs));
    assert_non_null(dht_store_item(&s, item_target));
    dht_store_check(&s);
    dht_store_done(&s);
}

// Without this a quiet network takes over a hash that others want, by one announce, then grows, and has it pushed out with its own.
static void a_quiet_network_takes_nothing_over(void **state)
{
    UNUSED_STATE(state);
    static const uint8_t own[NODE_ID_LEN] = {0};
    struct dht_store s;
    store_open(&s, own, &test_mem);
    s.hashes_max = 100;
    struct addr from;
    for (uint32_t i = 0; i < 10; i++) {                 // one network with ten far hashes
        const uint8_t h[NODE_ID_LEN] = {0xff, (uint8_t)i};
        from = ip(20, 1, 1, (uint8_t)i);
        assert_int_equal(dht_store_announce(&s, NSEC_S, h, &from, false), ERR_OK);
    }
    for (uint32_t i = 0; i < 10; i++) {                 // two that know them, too, and have nothing
        const uint8_t h[NODE_ID_LEN] = {0xff, (uint8_t)i};
        from = ip(60, 1, (uint8_t)(i % 2), 9);
        assert_int_equal(dht_store_announce(&s, 2 * NSEC_S, h, &from, false), ERR_OK);
    }
    for (uint32_t i = 0; i < 3000; i++) {               // and then want all, right beside us
        const uint8_t h[NODE_ID_LEN] = {0, 0, (uint8_t)i, (uint8_t)(i >> 8)};
        from = ip(60, 1, (uint8_t)(i % 2), (uint8_t)(i % 250));
        (void)!dht_store_announce(&s, 3 * NSEC_S, h, &from, false);
        if (i % 100 == 0)
            dht_store_check(&s);
    }
    for (uint32_t i = 0; i < 10; i++)
        assert_non_null(dht_store_swarm(&s, (const uint8_t[NODE_ID_LEN]){0xff, (uint8_t)i}));
    assert_int_equal(s.swarms.n, 100);
    dht_store_check(&s);
    dht_store_done(&s);
}

// Without this a thousand peers of one network hide the few others of a hash: they are dropped, or hardly ever told.
static void a_crowd_hides_no_peer(void **state)
{
    UNUSED_STATE(state);
    static const uint8_t own[NODE_ID_LEN] = {0};
    struct dht_store s;
    store_open(&s, own, &test_mem);
    struct addr from;
    for (uint32_t i = 0; i < 5; i++) {
        from = ip(20, (uint8_t)i, 1, 1);
        assert_int_equal(dht_store_announce(&s, NSEC_S, hash, &from, false), ERR_OK);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        from = ip(60, 1, (uint8_t)(i % 4), (uint8_t)(i / 4));
        (void)!dht_store_announce(&s, 2 * NSEC_S + i, hash, &from, false);
    }
    const struct dht_swarm *w = dht_store_swarm(&s, hash);
    assert_int_equal(w->peers[0].n, DHT_HASH_PEERS_MAX);
    struct rng rng = rng_make(1, 1);
    for (uint32_t round = 0; round < 20; round++) {     // nine networks: each is told before any a second time
        uint8_t space[200];
        struct buf b = {space, 0, sizeof space};
        struct wr wr = wr_make(&b);
        struct bencode in;
        struct addr peer;
        uint32_t others = 0, all = 0;
        wr_str(&wr, "l");
        dht_store_values(w, ADDR_IPV4, false, 9, &rng, &wr);
        wr_str(&wr, "e");
        krpc_values(&in, buf_slice(&b));
        for (; krpc_value(&in, &peer); all++)
            others += peer.ip[0] == 20;
        assert_int_equal(all, 9);
        assert_int_equal(others, 5);
    }
    dht_store_check(&s);
    dht_store_done(&s);
}

static uint64_t counted_bytes;

static void *count(void *ctx, void *p, size_t old_n, size_t new_n)
{
    counted_bytes += new_n - old_n;
    return test_mem.resize(ctx, p, old_n, new_n);
}

// Without this two thousand hashes of five hundred peers each take 64 MB: the memory has a limit of its own, and each hash its part of it.
static void memory_for_strangers_has_a_limit(void **state)
{
    UNUSED_STATE(state);
    static const struct mem counting = {.resize = count};
    static const uint8_t own[NODE_ID_LEN] = {0};
    static uint8_t value[ITEM_VALUE_MAX] = "996:";
    struct dht_store s;
    store_open(&s, own, &counting);
    uint64_t peak = 0;
    for (uint32_t i = 0; i < 110000; i++) {
        const uint8_t h[NODE_ID_LEN] = {(uint8_t)(i % 2003), (uint8_t)(i % 2003 >> 8)};
        struct addr from = ip(60, (uint8_t)(i / 2003), (uint8_t)(i % 251), 1);
        if (i % 2 == 0)
            from = addr_ipv6((const uint8_t[16]){0x20, 1, (uint8_t)(i / 2003), (uint8_t)(i % 251)}, 1);
        (void)!dht_store_announce(&s, NSEC_S + i, h, &from, false);
        const struct dht_item item = {.value = slice_of(value, sizeof value), .seq = i};
        if (i < 3 * DHT_ITEMS_MAX)
            (void)!dht_store_put(&s, NSEC_S, &(struct dht_put){&item, true, h, &from});
        peak = u64_max(peak, counted_bytes);
    }
    assert_int_equal(s.peers_n, DHT_PEERS_MAX);
    assert_int_equal(s.items.n, DHT_ITEMS_MAX);
    assert_in_range(peak, 2 * MIB, DHT_STRANGERS_BYTES_MAX - DHT_QUEUE_MAX * (GUARD_PROVED_REPLY + 256));
    dht_store_check(&s);
    dht_store_sweep(&s, (PEER_EXPIRE_S + 2) * NSEC_S);
    assert_int_equal(s.peers_n + s.swarms.n, 0);
    dht_store_done(&s);
    assert_int_equal(counted_bytes, 0);
}

// Without this a restart begins from nothing.
static void what_is_saved_is_asked_again(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false), *again;
    for (uint32_t i = 0; i < 400; i++) {
        uint8_t id[NODE_ID_LEN];
        struct rng r = rng_make(3, i);
        rng_bytes(&r, id, sizeof id);
        const struct addr a = ip(20, (uint8_t)i, (uint8_t)(i >> 8), 1);
        dht_plant(d, NSEC_S, id, &a);
    }
    static uint8_t saved[DHT_SAVED_BYTES];
    struct buf b = {saved, 0, sizeof saved};
    struct wr w = wr_make(&b);
    dht_save(d, &w);
    assert_true(w.ok);
    again = node(false);
    dht_load(again, NSEC_S, buf_slice(&b));
    assert_memory_equal(dht_id(again, ADDR_IPV4), dht_id(d, ADDR_IPV4), NODE_ID_LEN);
    dht_tick(again, NSEC_S);
    struct addr to;
    struct krpc m;
    uint32_t n = 0;
    while (next_sent(again, NSEC_S, &to, &m))
        n += m.kind == KRPC_QUERY;
    assert_in_range(n, 20, 30);                         // some at a time
    for (size_t cut = 0; cut < b.n; cut += 37)
        dht_load(again, NSEC_S, slice_of(saved, cut));  // damage is harmless
    dht_free(again);
    dht_free(d);
}

// Without this a host that lost all nodes never finds any again.
// How many questions for peers go out now, and the transaction of one to `whom`.
static uint32_t peers_asked(struct dht *d, nsec now, const struct addr *whom, uint8_t tid[6])
{
    struct addr to;
    struct krpc m;
    uint32_t n = 0;
    while (next_sent(d, now, &to, &m)) {
        if (m.kind != KRPC_QUERY || m.method != KRPC_GET_PEERS)
            continue;
        n++;
        if (addr_eq(&to, whom) && m.tid.n == 6)
            memcpy(tid, m.tid.p, 6);
    }
    return n;
}

// The first answer of a lookup brings nodes much nearer than all that are being asked: those are asked at once, not one with each
// further answer, or peers are found when the slower half has answered.
static void the_nearer_are_asked_at_once(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    const struct addr first = ip(30, 1, 0, 1);
    for (uint8_t i = 1; i <= 8; i++) {
        const uint8_t id[NODE_ID_LEN] = {0xa0, i};
        const struct addr a = ip(30, i, 0, 1);
        dht_plant(d, NSEC_S, id, &a);
    }
    struct dht_ask what = {.kind = DHT_GET_PEERS};
    memcpy(what.target, hash, NODE_ID_LEN);
    uint32_t op;
    uint8_t tid[6] = {0};
    assert_int_equal(dht_ask(d, NSEC_S, &what, &op), ERR_OK);
    const uint32_t asked = peers_asked(d, NSEC_S, &first, tid);
    assert_true(asked >= 3);                            // BEP 5
    assert_true(asked < 8);                             // of eight, the nearest
    uint8_t nodes[8 * KRPC_NODE_V4_LEN];
    struct buf b = {nodes, 0, sizeof nodes};
    struct wr w = wr_make(&b);
    for (uint8_t i = 1; i <= 8; i++) {
        const struct addr a = ip(40, i, 0, 1);
        uint8_t id[NODE_ID_LEN];
        memcpy(id, hash, NODE_ID_LEN);
        id[NODE_ID_LEN - 1] = i;
        krpc_node_write(&w, id, &a);
    }
    const struct krpc r = {.kind = KRPC_REPLY, .tid = slice_of(tid, sizeof tid), .has_id = true, .id = {0xa0, 1}, .nodes = buf_slice(&b)};
    send(d, NSEC_S + 50 * NSEC_MS, &first, &r);
    assert_int_equal(peers_asked(d, NSEC_S + 50 * NSEC_MS, &first, tid), 4);    // of what one node alone has named
    dht_free(d);
}

static void lonely_nodes_say_so(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(true);
    struct dht_out out;
    dht_tick(d, NSEC_S);
    assert_int_equal(poll(d, NSEC_S, &out), DHT_LONELY);
    assert_int_equal(out.family, ADDR_IPV4);
    assert_int_equal(poll(d, NSEC_S, &out), DHT_IDLE);
    dht_tick(d, 5 * NSEC_S);
    assert_int_equal(poll(d, 5 * NSEC_S, &out), DHT_IDLE);
    dht_tick(d, 6 * NSEC_S);
    assert_int_equal(poll(d, 6 * NSEC_S, &out), DHT_LONELY);
    assert_int_equal(poll(d, 6 * NSEC_S, &out), DHT_IDLE);
    dht_tick(d, 15 * NSEC_S);                           // then after ten seconds, and so on to a minute
    assert_int_equal(poll(d, 15 * NSEC_S, &out), DHT_IDLE);
    dht_tick(d, 16 * NSEC_S);
    assert_int_equal(poll(d, 16 * NSEC_S, &out), DHT_LONELY);
    uint32_t op;
    const struct dht_ask a = {.kind = DHT_GET_PEERS, .target = {1}};
    assert_int_equal(dht_ask(d, 33 * NSEC_S, &a, &op), ERR_OK);
    dht_tick(d, 54 * NSEC_S);                           // it waits 20 s for nodes
    enum dht_kind k = poll(d, 54 * NSEC_S, &out);
    while (k == DHT_LONELY)
        k = poll(d, 54 * NSEC_S, &out);
    assert_int_equal(k, DHT_DONE);
    assert_int_equal(out.op, op);
    assert_int_equal(out.err, ERR_UNREACHABLE);
    const struct dht_ask six = {.kind = DHT_GET_PEERS, .family = ADDR_IPV6};
    assert_int_equal(dht_ask(d, 54 * NSEC_S, &six, &op), ERR_UNSUPPORTED);
    dht_free(d);
}

// Without this a small, quiet DHT asks its routers once a minute for ever; or nodes that are all gone are kept for ever.
static void quiet_is_not_deaf(void **state)
{
    UNUSED_STATE(state);
    struct dht *d = node(false);
    struct dht_out out;
    struct dht_stats s;
    const struct addr peer = ip(20, 9, 9, 9);
    const uint8_t id[NODE_ID_LEN] = {9};
    dht_plant(d, NSEC_S, id, &peer);
    nsec asked = 0;
    uint32_t lonely = 0;
    for (nsec t = 2; t < 1400; t++) {                   // quiet at first; then it is asked, and does not answer: help is called for
        dht_tick(d, t * NSEC_S);
        for (enum dht_kind k = poll(d, t * NSEC_S, &out); k != DHT_IDLE; k = poll(d, t * NSEC_S, &out)) {
            if (k == DHT_SEND && asked == 0)
                asked = t;
            if (asked == 0)
                assert_int_not_equal(k, DHT_LONELY);
            lonely += k == DHT_LONELY;
        }
    }
    assert_true(asked > 60);
    dht_stats(d, &s);
    assert_true(lonely > 0);
    assert_in_range(s.nodes[0], 0, 1);
    dht_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_proves_that_it_is_there), cmocka_unit_test(peers_are_kept_for_others), cmocka_unit_test(items_are_kept_and_guarded),
        cmocka_unit_test(strangers_get_little), cmocka_unit_test(those_we_know_get_little_together), cmocka_unit_test(the_table_takes_only_who_answers),
        cmocka_unit_test(buckets_have_limits), cmocka_unit_test(the_id_follows_the_votes),
        cmocka_unit_test(the_id_follows_later), cmocka_unit_test(families_are_nodes_of_their_own), cmocka_unit_test(a_flood_pushes_out_only_what_is_far),
        cmocka_unit_test(the_greedy_network_makes_way), cmocka_unit_test(a_quiet_network_takes_nothing_over), cmocka_unit_test(a_crowd_hides_no_peer), cmocka_unit_test(memory_for_strangers_has_a_limit), cmocka_unit_test(what_is_saved_is_asked_again),
        cmocka_unit_test(the_nearer_are_asked_at_once), cmocka_unit_test(lonely_nodes_say_so), cmocka_unit_test(quiet_is_not_deaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
