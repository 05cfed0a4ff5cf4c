// Messages of ut_holepunch: see ut_holepunch.h. BEP 55; bittorrent note, trap 15.
#include "codec/ut_holepunch.h"

#include "codec/peerwire.h"

enum { FAMILY_IPV4 = 0, FAMILY_IPV6 = 1 };

enum err ut_holepunch_parse(struct ut_holepunch *out, struct slice payload)
{
    struct rd r = rd_make(payload);
    const uint8_t type = rd_u8(&r), family = rd_u8(&r);
    if (!r.ok || type > UT_HOLEPUNCH_ERROR || family > FAMILY_IPV6)
        return ERR_PROTOCOL;
    const struct slice ip = rd_bytes(&r, family == FAMILY_IPV4 ? 4 : 16);
    const uint16_t port = rd_be16(&r);
    if (!r.ok)
        return ERR_PROTOCOL;
    struct ut_holepunch m = {.type = (enum ut_holepunch_type)type};
    m.addr = family == FAMILY_IPV4 ? addr_ipv4(ip.p, port) : addr_ipv6(ip.p, port);
    if (m.type == UT_HOLEPUNCH_ERROR && r.n >= 4)
        m.error = rd_be32(&r);
    *out = m;
    return ERR_OK;
}

void ut_holepunch_write(struct wr *w, uint8_t id, const struct ut_holepunch *m)
{
    uint8_t space[UT_HOLEPUNCH_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr p = wr_make(&b);
    wr_u8(&p, (uint8_t)m->type);
    wr_u8(&p, m->addr.family == ADDR_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6);
    wr_bytes(&p, addr_ip(&m->addr));
    wr_be16(&p, m->addr.port);
    wr_be32(&p, m->error);
    ASSERT(p.ok);
    peer_msg_write(w, &(struct peer_msg){.id = MSG_EXTENDED, .extended_id = id, .payload = buf_slice(&b)});
}
