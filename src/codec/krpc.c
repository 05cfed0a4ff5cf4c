// Reading: one pass with the bencode cursor, keys in any order, unknown ones passed over. Writing: canonical. See krpc.h.
#include "codec/krpc.h"

static const char *const METHODS[KRPC_METHODS_N] = {
    [KRPC_UNKNOWN] = "", [KRPC_PING] = "ping", [KRPC_FIND_NODE] = "find_node", [KRPC_GET_PEERS] = "get_peers",
    [KRPC_ANNOUNCE_PEER] = "announce_peer", [KRPC_GET] = "get", [KRPC_PUT] = "put", [KRPC_SAMPLE] = "sample_infohashes",
};

const char *krpc_method_name(enum krpc_method m)
{
    ASSERT(m < KRPC_METHODS_N);
    return METHODS[m];
}

static size_t node_len(enum addr_family f) { return f == ADDR_IPV4 ? KRPC_NODE_V4_LEN : KRPC_NODE_V6_LEN; }

// ---- compact forms

static struct addr addr_of(struct slice s)
{
    struct rd r = rd_make(s);
    uint8_t ip[16];
    const size_t n = s.n >= 18 ? 16 : 4;
    rd_copy(&r, ip, n);
    const uint16_t port = rd_be16(&r);
    return n == 4 ? addr_ipv4(ip, port) : addr_ipv6(ip, port);
}

bool krpc_node(struct slice nodes, enum addr_family family, uint32_t i, uint8_t id[NODE_ID_LEN], struct addr *out)
{
    const size_t len = node_len(family);
    const struct slice one = slice_sub(nodes, i * len, len);
    if (one.n != len)
        return false;
    memcpy(id, one.p, NODE_ID_LEN);
    *out = addr_of(slice_sub(one, NODE_ID_LEN, len));
    return true;
}

void krpc_addr_write(struct wr *w, const struct addr *a)
{
    wr_bytes(w, addr_ip(a));
    wr_be16(w, a->port);
}

void krpc_node_write(struct wr *w, const uint8_t id[NODE_ID_LEN], const struct addr *a)
{
    wr_bytes(w, slice_of(id, NODE_ID_LEN));
    krpc_addr_write(w, a);
}

void krpc_values(struct bencode *b, struct slice values)
{
    bencode_init(b, values, BENCODE_LENIENT);
    (void)bencode_list(b);
}

bool krpc_value(struct bencode *b, struct addr *out)
{
    while (bencode_more(b)) {
        struct slice s;
        if (!bencode_str(b, &s) || (s.n != 6 && s.n != 18))
            continue;
        *out = addr_of(s);
        return true;
    }
    return false;
}

// ---- reading

static bool take_flag(struct bencode *b)
{
    int64_t v = 0;
    return bencode_int(b, &v) && v == 1;
}

static uint32_t take_count(struct bencode *b)
{
    int64_t v = 0;
    return bencode_int(b, &v) && v >= 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

// A string of exactly n bytes; another counts as not there.
static bool take_exact(struct bencode *b, size_t n, void *out)
{
    struct slice s;
    if (!bencode_str(b, &s) || s.n != n)
        return false;
    memcpy(out, s.p, n);
    return true;
}

static struct slice take_str(struct bencode *b)
{
    struct slice s = {0};
    (void)bencode_str(b, &s);
    return s;
}

// A string of a whole number of pieces of `unit` bytes.
static struct slice take_units(struct bencode *b, size_t unit)
{
    const struct slice s = take_str(b);
    return s.n % unit == 0 ? s : (struct slice){0};
}

static void take_want(struct bencode *b, struct krpc *m)
{
    if (bencode_peek(b) != BENCODE_LIST) {
        (void)bencode_raw(b);
        return;
    }
    m->has_want = bencode_list(b);
    while (bencode_more(b)) {
        struct slice s;
        if (!bencode_str(b, &s))
            continue;
        m->want_v4 |= slice_eq_str(s, "n4");
        m->want_v6 |= slice_eq_str(s, "n6");
    }
}

struct reading {
    struct krpc *m;
    bool bad_id;                        // there is one, of another length
};

static bool read_item_key(struct bencode *b, struct slice key, struct krpc *m)
{
    if (slice_eq_str(key, "v"))
        m->value = bencode_raw(b);
    else if (slice_eq_str(key, "k"))
        m->has_key = take_exact(b, SIGN_PUBLIC_LEN, m->key);
    else if (slice_eq_str(key, "sig"))
        m->has_sig = take_exact(b, SIGN_LEN, m->sig);
    else if (slice_eq_str(key, "seq"))
        m->has_seq = bencode_int(b, &m->seq);
    else if (slice_eq_str(key, "cas"))
        m->has_cas = bencode_int(b, &m->cas);
    else if (slice_eq_str(key, "salt"))
        m->salt = take_str(b);
    else
        return false;
    return true;
}

static bool read_reply_key(struct bencode *b, struct slice key, struct krpc *m)
{
    if (slice_eq_str(key, "nodes")) {
        m->nodes = take_units(b, KRPC_NODE_V4_LEN);
    } else if (slice_eq_str(key, "nodes6")) {
        m->nodes6 = take_units(b, KRPC_NODE_V6_LEN);
    } else if (slice_eq_str(key, "values")) {
        const bool list = bencode_peek(b) == BENCODE_LIST;
        const struct slice raw = bencode_raw(b);
        m->values = list ? raw : (struct slice){0};
    } else if (slice_eq_str(key, "BFsd")) {
        m->bloom_seeds = take_str(b);
    } else if (slice_eq_str(key, "BFpe")) {
        m->bloom_peers = take_str(b);
    } else if (slice_eq_str(key, "interval")) {
        int64_t v = -1;
        m->has_interval = bencode_int(b, &v) && v >= 0 && v <= UINT32_MAX;
        m->interval_s = m->has_interval ? (uint32_t)v : 0;
    } else if (slice_eq_str(key, "num")) {
        m->num = take_count(b);
    } else if (slice_eq_str(key, "samples")) {
        m->samples = take_units(b, NODE_ID_LEN);
    } else {
        return false;
    }
    return true;
}

// The inner dictionary: `a` or `r`.
static void read_inner(struct bencode *b, struct reading *to)
{
    struct krpc *m = to->m;
    struct slice key;
    if (!bencode_dict(b))
        return;
    while (bencode_key(b, &key)) {
        if (slice_eq_str(key, "id")) {
            m->has_id = take_exact(b, NODE_ID_LEN, m->id);
            to->bad_id = !m->has_id;
        } else if (slice_eq_str(key, "target") || slice_eq_str(key, "info_hash")) {
            m->has_target = take_exact(b, NODE_ID_LEN, m->target);
        } else if (slice_eq_str(key, "token")) {
            m->token = take_str(b);
        } else if (slice_eq_str(key, "want")) {
            take_want(b, m);
        } else if (slice_eq_str(key, "port")) {
            int64_t v = 0;
            m->port = bencode_int(b, &v) && v > 0 && v <= UINT16_MAX ? (uint16_t)v : 0;
        } else if (slice_eq_str(key, "implied_port")) {
            m->implied_port = take_flag(b);
        } else if (slice_eq_str(key, "seed")) {
            m->seed = take_flag(b);
        } else if (slice_eq_str(key, "noseed")) {
            m->noseed = take_flag(b);
        } else if (slice_eq_str(key, "scrape")) {
            m->scrape = take_flag(b);
        } else if (!read_reply_key(b, key, m) && !read_item_key(b, key, m)) {
            (void)bencode_raw(b);
        }
    }
}

static void read_error(struct bencode *b, struct krpc *m)
{
    int64_t code = 0;
    if (!bencode_list(b))
        return;
    for (uint32_t i = 0; bencode_more(b); i++) {
        if (i == 0 && bencode_int(b, &code))
            m->code = code > 0 && code < 100000 ? (int32_t)code : 0;
        else if (i == 1)
            m->text = take_str(b);
        else if (i > 1)
            (void)bencode_raw(b);
    }
}

static enum krpc_method method_of(struct slice s)
{
    for (uint32_t i = KRPC_UNKNOWN + 1; i < KRPC_METHODS_N; i++)
        if (slice_eq_str(s, METHODS[i]))
            return (enum krpc_method)i;
    return KRPC_UNKNOWN;
}

static bool complete(const struct reading *r, struct slice kind)
{
    struct krpc *m = r->m;
    if (kind.n != 1 || m->tid.n == 0 || m->tid.n > KRPC_TID_MAX)
        return false;
    switch (kind.p[0]) {
    case 'q': m->kind = KRPC_QUERY; break;
    case 'r': m->kind = KRPC_REPLY; break;
    case 'e': m->kind = KRPC_ERROR; break;
    default: return false;
    }
    if (m->kind != KRPC_QUERY)
        m->method = KRPC_UNKNOWN;
    if (m->kind == KRPC_ERROR)
        return true;
    if (!m->has_id || r->bad_id)
        return false;
    if (m->kind == KRPC_REPLY)
        return true;
    switch (m->method) {
    case KRPC_FIND_NODE: case KRPC_GET_PEERS: case KRPC_ANNOUNCE_PEER: case KRPC_GET: case KRPC_SAMPLE: return m->has_target;
    case KRPC_UNKNOWN: case KRPC_PING: case KRPC_PUT: case KRPC_METHODS_N: return true;
    }
    return false;
}

static void read_outer(struct bencode *b, struct slice key, struct reading *r, struct slice *kind)
{
    struct krpc *m = r->m;
    if (slice_eq_str(key, "a") || slice_eq_str(key, "r")) {
        read_inner(b, r);
    } else if (slice_eq_str(key, "e")) {
        read_error(b, m);
    } else if (slice_eq_str(key, "q")) {
        m->method = method_of(take_str(b));
    } else if (slice_eq_str(key, "t")) {
        m->tid = take_str(b);
    } else if (slice_eq_str(key, "v")) {
        m->version = take_str(b);
    } else if (slice_eq_str(key, "y")) {
        *kind = take_str(b);
    } else if (slice_eq_str(key, "ip")) {
        const struct slice s = take_str(b);
        m->ip = s.n == 6 || s.n == 18 ? addr_of(s) : (struct addr){0};
    } else if (slice_eq_str(key, "ro")) {
        m->read_only = take_flag(b);
    } else {
        (void)bencode_raw(b);
    }
}

enum err krpc_parse(struct krpc *out, struct slice bytes)
{
    struct krpc m = {0};
    struct reading r = {.m = &m};
    struct bencode b;
    struct slice key, kind = {0};
    if (bytes.n > KRPC_BYTES_MAX)
        return ERR_PROTOCOL;
    bencode_init(&b, bytes, BENCODE_LENIENT);
    if (!bencode_dict(&b))
        return ERR_PROTOCOL;
    while (bencode_key(&b, &key))
        read_outer(&b, key, &r, &kind);
    if (b.error != BENCODE_OK || !complete(&r, kind))
        return ERR_PROTOCOL;
    if (m.bloom_seeds.n != BLOOM_LEN)
        m.bloom_seeds = (struct slice){0};
    if (m.bloom_peers.n != BLOOM_LEN)
        m.bloom_peers = (struct slice){0};
    if (m.token.n > KRPC_TOKEN_MAX)
        m.token = (struct slice){0};
    *out = m;
    return ERR_OK;
}

// ---- writing

static void put_str(struct bencode_out *o, const char *key, struct slice s)
{
    if (s.n != 0)
        bencode_put_key_str(o, key, s);
}

static void put_flag(struct bencode_out *o, const char *key, bool v)
{
    if (v)
        bencode_put_key_int(o, key, 1);
}

static void put_raw(struct bencode_out *o, const char *key, struct slice raw)
{
    if (raw.n == 0)
        return;
    bencode_put_key(o, slice_str(key));
    bencode_put_raw(o, raw);
}

static void put_want(struct bencode_out *o, const struct krpc *m)
{
    if (!m->has_want)
        return;
    bencode_put_key_list(o, "want");
    if (m->want_v4)
        bencode_put_str(o, SLICE_LIT("n4"));
    if (m->want_v6)
        bencode_put_str(o, SLICE_LIT("n6"));
    bencode_put_end(o);
}

// All keys of `a`, in order.
static void write_query(struct bencode_out *o, const struct krpc *m)
{
    const bool by_hash = m->method == KRPC_GET_PEERS || m->method == KRPC_ANNOUNCE_PEER;
    bencode_put_key_dict(o, "a");
    if (m->has_cas)
        bencode_put_key_int(o, "cas", m->cas);
    bencode_put_key_str(o, "id", slice_of(m->id, NODE_ID_LEN));
    put_flag(o, "implied_port", m->implied_port);
    if (m->has_target && by_hash)
        bencode_put_key_str(o, "info_hash", slice_of(m->target, NODE_ID_LEN));
    if (m->has_key)
        bencode_put_key_str(o, "k", slice_of(m->key, SIGN_PUBLIC_LEN));
    put_flag(o, "noseed", m->noseed);
    if (m->port != 0)
        bencode_put_key_int(o, "port", m->port);
    put_str(o, "salt", m->salt);
    put_flag(o, "scrape", m->scrape);
    put_flag(o, "seed", m->seed);
    if (m->has_seq)
        bencode_put_key_int(o, "seq", m->seq);
    if (m->has_sig)
        bencode_put_key_str(o, "sig", slice_of(m->sig, SIGN_LEN));
    if (m->has_target && !by_hash)
        bencode_put_key_str(o, "target", slice_of(m->target, NODE_ID_LEN));
    put_str(o, "token", m->token);
    put_raw(o, "v", m->value);
    put_want(o, m);
    bencode_put_end(o);
}

// All keys of `r`, in order.
static void write_reply(struct bencode_out *o, const struct krpc *m)
{
    bencode_put_key_dict(o, "r");
    put_str(o, "BFpe", m->bloom_peers);
    put_str(o, "BFsd", m->bloom_seeds);
    bencode_put_key_str(o, "id", slice_of(m->id, NODE_ID_LEN));
    if (m->has_interval)
        bencode_put_key_int(o, "interval", m->interval_s);
    if (m->has_key)
        bencode_put_key_str(o, "k", slice_of(m->key, SIGN_PUBLIC_LEN));
    put_str(o, "nodes", m->nodes);
    put_str(o, "nodes6", m->nodes6);
    if (m->has_interval)
        bencode_put_key_int(o, "num", m->num);
    put_str(o, "samples", m->samples);
    if (m->has_seq)
        bencode_put_key_int(o, "seq", m->seq);
    if (m->has_sig)
        bencode_put_key_str(o, "sig", slice_of(m->sig, SIGN_LEN));
    put_str(o, "token", m->token);
    put_raw(o, "v", m->value);
    put_raw(o, "values", m->values);
    bencode_put_end(o);
}

static void write_error(struct bencode_out *o, const struct krpc *m)
{
    bencode_put_key_list(o, "e");
    bencode_put_int(o, m->code);
    bencode_put_str(o, m->text);
    bencode_put_end(o);
}

void krpc_write(struct wr *w, const struct krpc *m)
{
    static const char *const KINDS[] = {[KRPC_QUERY] = "q", [KRPC_REPLY] = "r", [KRPC_ERROR] = "e"};
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    if (m->kind == KRPC_QUERY)
        write_query(&o, m);
    if (m->kind == KRPC_ERROR)
        write_error(&o, m);
    if (m->ip.family != ADDR_NONE) {
        bencode_put_key(&o, SLICE_LIT("ip"));
        bencode_put_str_head(&o, addr_ip_len(&m->ip) + 2);
        krpc_addr_write(w, &m->ip);
    }
    if (m->kind == KRPC_QUERY)
        bencode_put_key_str(&o, "q", slice_str(krpc_method_name(m->method)));
    if (m->kind == KRPC_REPLY)
        write_reply(&o, m);
    put_flag(&o, "ro", m->read_only);
    bencode_put_key_str(&o, "t", m->tid);
    put_str(&o, "v", m->version);
    bencode_put_key_str(&o, "y", slice_str(KINDS[m->kind]));
    bencode_put_end(&o);
}
