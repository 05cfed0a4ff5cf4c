// Hosts that flood DHT nodes: with questions, announces of one info-hash, made-up info-hashes and items. BEP 5, 44, 51. They keep no
// state: what was asked is in the transaction id, and what is stored with the token follows from that.
#include "lab/dhtnet.h"

#include "codec/krpc.h"

enum flood {
    FLOOD_ANNOUNCE,                     // the attacked info-hash, from ever other ports
    FLOOD_HASHES,                       // info-hashes right beside the victim's own id
    FLOOD_ITEMS,
    FLOOD_SAMPLE,
    FLOOD_KINDS,
};

enum { TID_LEN = 5, NEAR = 2, BEATS_PER_S = 10 };

// What question `serial` of host i is about.
static void subject(const struct dhtlab *l, uint32_t i, uint32_t victim, uint64_t serial, struct krpc *m, struct wr *w)
{
    const uint64_t v = mix64((uint64_t)i << 32 | serial);
    m->has_target = true;
    switch ((enum flood)(serial % FLOOD_KINDS)) {
    case FLOOD_ANNOUNCE: case FLOOD_SAMPLE: case FLOOD_KINDS: memcpy(m->target, l->flood.target, NODE_ID_LEN); break;
    case FLOOD_HASHES:
        memcpy(m->target, l->hosts[victim].id, NODE_ID_LEN);
        memcpy(m->target + NEAR, &v, sizeof v);
        break;
    case FLOOD_ITEMS: {
        wr_fmt(w, "i%llue", (unsigned long long)(v >> 2));
        m->value = buf_slice(w->b);
        dht_item_immutable(m->value, m->target);
        break;
    }
    }
}

static void say(struct dhtlab *l, uint32_t i, const struct addr *to, uint32_t serial, struct krpc *m)
{
    uint8_t tid[TID_LEN], space[KRPC_BYTES_MAX];
    struct buf b = {tid, 0, sizeof tid};
    struct wr w = wr_make(&b);
    wr_u8(&w, m->method == KRPC_ANNOUNCE_PEER || m->method == KRPC_PUT ? 's' : 'q');
    wr_be32(&w, serial);
    m->kind = KRPC_QUERY;
    m->tid = buf_slice(&b);
    m->has_id = true;
    memcpy(m->id, l->hosts[i].id, NODE_ID_LEN);
    for (uint32_t k = 0; k < NODE_ID_LEN && l->flood.forged; k++)
        m->id[k] = (uint8_t)rng_u64(&l->rng);
    b = (struct buf){space, 0, sizeof space};
    w = wr_make(&b);
    krpc_write(&w, m);
    dhtlab_send(l, i, to, buf_slice(&b));
}

void dhtflood_beat(struct dhtlab *l, uint32_t i)
{
    static const enum krpc_method asks[FLOOD_KINDS] = {KRPC_GET_PEERS, KRPC_GET_PEERS, KRPC_GET, KRPC_SAMPLE};
    for (uint32_t k = 0; k < l->flood.qps / BEATS_PER_S; k++) {
        uint8_t space[32];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        const uint32_t serial = (uint32_t)rng_u64(&l->rng), victim = l->flood.on[rng_below(&l->rng, l->flood.on_n)];
        struct krpc m = {.method = asks[serial % FLOOD_KINDS]};
        subject(l, i, victim, serial, &m, &w);
        m.value = (struct slice){0};
        say(l, i, &l->hosts[victim].addr, serial, &m);
    }
}

void dhtflood_heard(struct dhtlab *l, uint32_t i, const struct addr *from, struct slice data)
{
    struct krpc r, m = {0};
    if (krpc_parse(&r, data) != ERR_OK || r.kind != KRPC_REPLY || r.tid.n != TID_LEN || r.tid.p[0] != 'q' || r.token.n == 0)
        return;
    struct rd rd = rd_make(slice_sub(r.tid, 1, TID_LEN));
    const uint32_t serial = rd_be32(&rd), victim = dhtlab_at(l, from);
    if (victim == UINT32_MAX)
        return;
    uint8_t space[32];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    subject(l, i, victim, serial, &m, &w);
    m.method = m.value.n != 0 ? KRPC_PUT : KRPC_ANNOUNCE_PEER;
    m.has_target = m.value.n == 0;
    m.token = r.token;
    m.port = (uint16_t)(serial >> 8 | 1);
    say(l, i, from, serial, &m);
}
