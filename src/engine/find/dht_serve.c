// Answering strangers' questions. BEP 5, 32, 33, 42, 44, 51. How much, to whom: dht_guard.h.
#include "engine/find/dht_int.h"
#include "engine/find/dht_rpc.h"

enum {
    SAMPLE_INTERVAL_S = 600,            // BEP 51: at most 21,600; our samples change with each question
    SCRAPE_BYTES = 2 * (BLOOM_LEN + 16),
    VALUE_BYTES_V4 = 8, VALUE_BYTES_V6 = 21,
};

struct serving {
    struct dht *d;
    const struct addr *from;
    const struct krpc *q;
    bool proved;
    bool has_token;                     // of a question to store something
    uint8_t target[NODE_ID_LEN];        // of that
    struct krpc r;
    uint8_t token[TOKEN_LEN];
    uint8_t nodes[TABLE_K * KRPC_NODE_V4_LEN], nodes6[TABLE_K * KRPC_NODE_V6_LEN];
    uint8_t more[GUARD_PROVED_REPLY];   // values or samples
    uint8_t blooms[2][BLOOM_LEN];
};

static void refuse(struct serving *s, int32_t code, const char *text)
{
    s->r.kind = KRPC_ERROR;
    s->r.code = code;
    s->r.text = slice_str(text);
    s->d->stats.refused++;
}

static struct slice nearest(struct dht_side *side, const uint8_t target[NODE_ID_LEN], uint8_t *space, size_t cap)
{
    const struct dht_node *found[TABLE_K];
    struct buf b = {space, 0, cap};
    struct wr w = wr_make(&b);
    const uint32_t n = side->on ? table_nearest(&side->table, target, found, TABLE_K) : 0;
    for (uint32_t i = 0; i < n; i++)
        if (found[i]->fails == 0)
            krpc_node_write(&w, found[i]->id, &found[i]->addr);
    ASSERT(w.ok);
    return buf_slice(&b);
}

static void add_nodes(struct serving *s)
{
    const bool v6 = s->from->family == ADDR_IPV6;
    if (s->q->has_want ? s->q->want_v4 : !v6)
        s->r.nodes = nearest(&s->d->sides[0], s->q->target, s->nodes, sizeof s->nodes);
    if (s->q->has_want ? s->q->want_v6 : v6)
        s->r.nodes6 = nearest(&s->d->sides[1], s->q->target, s->nodes6, sizeof s->nodes6);
}

static void add_token(struct serving *s)
{
    dht_store_token(&s->d->store, s->d->now, s->from, s->q->target, s->token);
    s->r.token = slice_of(s->token, TOKEN_LEN);
}

// What is left of the answer for values or samples, after everything else.
static size_t room_left(const struct serving *s)
{
    enum { FRAME = 160 };               // id, ip, token, version, transaction id of usual length, keys
    const size_t all = s->proved ? GUARD_PROVED_REPLY : GUARD_STRANGER_REPLY;
    return u64_sub_sat(all, FRAME + s->r.nodes.n + s->r.nodes6.n);
}

static void get_peers(struct serving *s)
{
    struct dht *d = s->d;
    const struct dht_swarm *swarm = dht_store_swarm(&d->store, s->q->target);
    add_nodes(s);
    add_token(s);
    if (swarm == NULL)
        return;
    if (s->q->scrape && s->proved) {
        dht_store_blooms(swarm, s->blooms[0], s->blooms[1]);
        s->r.bloom_seeds = slice_of(s->blooms[0], BLOOM_LEN);
        s->r.bloom_peers = slice_of(s->blooms[1], BLOOM_LEN);
    }
    const size_t one = s->from->family == ADDR_IPV6 ? VALUE_BYTES_V6 : VALUE_BYTES_V4;
    const size_t room = u64_sub_sat(room_left(s), s->r.bloom_seeds.n != 0 ? SCRAPE_BYTES : 0);
    struct buf b = {s->more, 0, sizeof s->more};
    struct wr w = wr_make(&b);
    wr_str(&w, "l");
    dht_store_values(swarm, s->from->family, s->q->noseed, (uint32_t)(u64_max(room, 2 * one) / one), &d->rng, &w);
    wr_str(&w, "e");
    ASSERT(w.ok);
    if (b.n > 2)
        s->r.values = buf_slice(&b);
}

static void announce_peer(struct serving *s)
{
    struct dht *d = s->d;
    struct addr peer = *s->from;
    if (!s->q->implied_port)
        peer.port = s->q->port;
    if (!s->has_token) {
        refuse(s, KRPC_PROTOCOL, "bad token");
        return;
    }
    if (peer.port == 0)
        refuse(s, KRPC_PROTOCOL, "no port");
    else if (dht_store_announce(&d->store, d->now, s->q->target, &peer, s->q->seed) != ERR_OK)
        refuse(s, KRPC_SERVER, "full");
    else
        d->stats.taken_peers++;
}

static void get_item(struct serving *s)
{
    const struct dht_stored *i = dht_store_item(&s->d->store, s->q->target);
    add_nodes(s);
    add_token(s);
    if (i == NULL)
        return;
    if (i->is_mutable) {
        s->r.has_seq = true;
        s->r.seq = i->item.seq;
        if (s->q->has_seq && i->item.seq <= s->q->seq)
            return;                     // BEP 44: nothing newer than the asker has
        s->r.has_key = s->r.has_sig = true;
        memcpy(s->r.key, i->item.key, SIGN_PUBLIC_LEN);
        memcpy(s->r.sig, i->item.sig, SIGN_LEN);
    }
    s->r.value = i->item.value;
    if (!s->proved)
        s->r.nodes.n = s->r.nodes6.n = 0;       // a stranger gets what it asked for, not more
}

// Whether a mutable item may replace what is there.
static bool newer(struct serving *s, const struct dht_stored *old)
{
    const struct krpc *q = s->q;
    if (old == NULL)
        return true;
    if (q->has_cas && q->cas != old->item.seq) {
        refuse(s, KRPC_CAS_MISMATCH, "the stored seq is another");
        return false;
    }
    if (q->seq < old->item.seq || (q->seq == old->item.seq && !slice_eq(q->value, old->item.value))) {
        refuse(s, KRPC_SEQ_TOO_OLD, "seq is not newer");
        return false;
    }
    return true;
}

static void put_item(struct serving *s)
{
    struct dht *d = s->d;
    const struct krpc *q = s->q;
    struct dht_item item = {.value = q->value, .salt = q->salt, .seq = q->seq};
    const bool is_mutable = q->has_key;
    if (q->value.n == 0 || (is_mutable && (!q->has_seq || !q->has_sig))) {
        refuse(s, KRPC_PROTOCOL, "incomplete");
        return;
    }
    if (q->value.n > ITEM_VALUE_MAX) {
        refuse(s, KRPC_TOO_BIG, "v is longer than 1000");
        return;
    }
    if (q->salt.n > ITEM_SALT_MAX) {
        refuse(s, KRPC_SALT_TOO_BIG, "salt is longer than 64");
        return;
    }
    memcpy(item.key, q->key, SIGN_PUBLIC_LEN);
    memcpy(item.sig, q->sig, SIGN_LEN);
    if (!s->has_token) {
        refuse(s, KRPC_PROTOCOL, "bad token");
        return;
    }
    if (is_mutable && !dht_item_verify(&item)) {
        refuse(s, KRPC_BAD_SIGNATURE, "bad signature");
        return;
    }
    if (is_mutable && !newer(s, dht_store_item(&d->store, s->target)))
        return;
    const struct dht_put put = {&item, is_mutable, s->target, s->from};
    if (dht_store_put(&d->store, d->now, &put) != ERR_OK)
        refuse(s, KRPC_SERVER, "full");
    else
        d->stats.taken_items++;
}

static void sample(struct serving *s)
{
    struct buf b = {s->more, 0, sizeof s->more};
    struct wr w = wr_make(&b);
    add_nodes(s);
    s->r.has_interval = true;
    s->r.interval_s = SAMPLE_INTERVAL_S;
    s->r.num = s->d->store.swarms.n;
    const uint32_t n = u32_min((uint32_t)(room_left(s) / NODE_ID_LEN), KRPC_SAMPLES_MAX);
    dht_store_samples(&s->d->store, n, &s->d->rng, &w);
    ASSERT(w.ok);
    s->r.samples = buf_slice(&b);
}

// Whether it asks to store something, and has asked for it from this address before: then nobody has forged it.
static bool brings_token(struct serving *s)
{
    const struct krpc *q = s->q;
    if (q->method == KRPC_ANNOUNCE_PEER)
        memcpy(s->target, q->target, NODE_ID_LEN);
    else if (q->method != KRPC_PUT || q->value.n > ITEM_VALUE_MAX || q->salt.n > ITEM_SALT_MAX)
        return false;
    else if (q->has_key)
        dht_item_mutable(q->key, q->salt, s->target);
    else
        dht_item_immutable(q->value, s->target);
    return dht_store_token_ok(&s->d->store, s->d->now, s->from, s->target, q->token);
}

// Shorter than the question.
static void ask_back(struct dht *d, const struct addr *from, const struct krpc *q)
{
    uint8_t tid[PROOF_TID_LEN];
    if (!proof_ask(&d->proof, d->now, from, q, tid))
        return;
    struct krpc m = {.kind = KRPC_QUERY, .method = KRPC_PING, .tid = slice_of(tid, sizeof tid), .has_id = true};
    memcpy(m.id, side_of(d, from->family)->table.own, NODE_ID_LEN);
    const size_t n = rpc_send(d, from, &m);
    ASSERT(n <= GUARD_ASK_BYTES);
    guard_charge(&d->guard, d->now, from, GUARD_STRANGER, n);
    d->stats.asked_back++;
}

bool serve_proved(struct dht *d, const struct addr *from, const struct krpc *m)
{
    struct krpc q;
    if (d->cfg.read_only || !proof_answer(&d->proof, d->now, from, m, &q))
        return false;
    d->stats.real++;
    if (q.tid.n != 0)
        serve_query(d, from, &q);
    return true;
}

void serve_query(struct dht *d, const struct addr *from, const struct krpc *q)
{
    const struct dht_side *side = side_of(d, from->family);
    const struct dht_node *known = table_node(&side->table, q->id, from);
    struct serving s = {.d = d, .from = from, .q = q};
    s.proved = addr_is_local(from) || (known != NULL && d->now - known->seen < STALE_NS);
    if (d->cfg.read_only)
        return;                         // BEP 43
    s.has_token = brings_token(&s);
    s.proved |= s.has_token;
    enum guard_class class = proof_has(&d->proof, d->now, from) ? GUARD_REAL : GUARD_STRANGER;
    if (s.proved)
        class = s.has_token ? GUARD_PROVED : GUARD_KNOWN;
    switch (guard_judge(&d->guard, d->now, from, class, proof_can_ask(q))) {
    case GUARD_SILENCE: d->stats.limited++; return;
    case GUARD_ASK: ask_back(d, from, q); return;
    case GUARD_ANSWER: break;
    }
    s.r = (struct krpc){.kind = KRPC_REPLY, .tid = q->tid, .version = dht_version, .ip = *from, .has_id = true};
    memcpy(s.r.id, side->table.own, NODE_ID_LEN);
    switch (q->method) {
    case KRPC_PING: break;
    case KRPC_FIND_NODE: add_nodes(&s); break;
    case KRPC_GET_PEERS: get_peers(&s); break;
    case KRPC_ANNOUNCE_PEER: announce_peer(&s); break;
    case KRPC_GET: get_item(&s); break;
    case KRPC_PUT: put_item(&s); break;
    case KRPC_SAMPLE: sample(&s); break;
    case KRPC_UNKNOWN: case KRPC_METHODS_N:
        // BEP 5: what asks for a target is answered like find_node, for methods to come
        if (q->has_target)
            add_nodes(&s);
        else
            refuse(&s, KRPC_METHOD_UNKNOWN, "method unknown");
        break;
    }
    const size_t n = rpc_send(d, from, &s.r);
    if (n != 0)
        d->stats.tx_replies++;
    guard_charge(&d->guard, d->now, from, class, n);
}
