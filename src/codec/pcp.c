// See pcp.h.
#include "codec/pcp.h"

enum {
    VERSION = 2, OP_ANNOUNCE = 0, OP_MAP = 1, ANSWER = 0x80,
    TCP = 6, UDP = 17,
    HEAD_LEN = 24,
    NATPMP_ADDRESS_LEN = 12,            // RFC 6886 section 3.2
};

// 16 bytes; an IPv4 address as IPv6 shows it.
static void write_ip(struct wr *w, const struct addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (a->family == ADDR_IPV4)
        wr_bytes(w, slice_of(mapped, sizeof mapped));
    wr_bytes(w, slice_of(a->ip, a->family == ADDR_IPV4 ? 4 : 16));
}

void pcp_map_write(struct wr *w, const struct pcp_map *m)
{
    ASSERT(m->client.family != ADDR_NONE);
    uint8_t space[PCP_MAP_LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr t = wr_make(&b);
    struct addr wish = m->external;
    if (wish.family == ADDR_NONE)       // any: RFC 6887 section 11.1 wants the zeros of the family
        wish.family = m->client.family;
    wr_u8(&t, VERSION);
    wr_u8(&t, OP_MAP);
    wr_be16(&t, 0);
    wr_be32(&t, m->lifetime_s);
    write_ip(&t, &m->client);
    wr_bytes(&t, slice_of(m->nonce, PCP_NONCE_LEN));
    wr_u8(&t, m->udp ? UDP : TCP);
    wr_u8(&t, 0);
    wr_be16(&t, 0);
    wr_be16(&t, m->port);
    wr_be16(&t, wish.port);
    write_ip(&t, &wish);
    ASSERT(t.ok);
    wr_bytes(w, buf_slice(&b));
}

enum err pcp_answer_parse(struct pcp_answer *out, struct slice datagram)
{
    struct rd r = rd_make(datagram);
    struct pcp_answer a = {0};
    const uint8_t version = rd_u8(&r), op = rd_u8(&r);
    if (!r.ok || (op & ANSWER) == 0)
        return ERR_PROTOCOL;
    if (version != VERSION)
        return ERR_UNSUPPORTED;
    (void)rd_u8(&r);
    a.result = rd_u8(&r);
    a.map.lifetime_s = rd_be32(&r);
    a.epoch_s = rd_be32(&r);
    (void)rd_bytes(&r, 12);
    if (!r.ok)
        return ERR_PROTOCOL;
    if (a.result == PCP_UNSUPP_VERSION)
        return ERR_UNSUPPORTED;
    if (op != (ANSWER | OP_MAP))
        return ERR_PROTOCOL;
    rd_copy(&r, a.map.nonce, PCP_NONCE_LEN);
    const uint8_t protocol = rd_u8(&r);
    (void)rd_bytes(&r, 3);
    a.map.port = rd_be16(&r);
    const uint16_t external = rd_be16(&r);
    const struct slice ip = rd_bytes(&r, 16);
    if (!r.ok || (protocol != TCP && protocol != UDP))
        return ERR_PROTOCOL;
    a.map.udp = protocol == UDP;
    a.map.external = addr_ipv6(ip.p, external);         // makes IPv4 of what is mapped
    *out = a;
    return ERR_OK;
}

bool pcp_is_news(struct slice datagram)
{
    struct rd r = rd_make(datagram);
    const uint8_t version = rd_u8(&r), op = rd_u8(&r), high = rd_u8(&r), result = rd_u8(&r);
    if (!r.ok || high != 0 || result != PCP_SUCCESS)
        return false;
    return (version == VERSION && op == (ANSWER | OP_ANNOUNCE) && datagram.n >= HEAD_LEN) ||
           (version == 0 && op == ANSWER && datagram.n == NATPMP_ADDRESS_LEN);
}
