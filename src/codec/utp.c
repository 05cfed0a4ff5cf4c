// uTP packets: see utp.h.
#include "codec/utp.h"

enum { VERSION = 1, EXT_SACK = 1, EXT_REASON = 3, EXT_PAD = 0x6b, REASON_LEN = 4 };

enum err utp_packet_parse(struct utp_packet *out, struct slice data)
{
    struct rd r = rd_make(data);
    const uint8_t first = rd_u8(&r);
    uint8_t extension = rd_u8(&r);
    struct utp_packet p = {.type = (enum utp_type)(first >> 4), .conn_id = rd_be16(&r)};
    p.timestamp_us = rd_be32(&r);
    p.timestamp_diff_us = rd_be32(&r);
    p.window = rd_be32(&r);
    p.seq = rd_be16(&r);
    p.ack = rd_be16(&r);
    if (!r.ok || (first & 0x0f) != VERSION || first >> 4 > UTP_SYN)
        return ERR_PROTOCOL;
    for (uint32_t n = 0; extension != 0; n++) {
        const uint8_t kind = extension;
        extension = rd_u8(&r);
        const struct slice body = rd_bytes(&r, rd_u8(&r));
        if (!r.ok || n == UTP_EXTENSIONS_MAX)
            return ERR_PROTOCOL;
        if (kind == EXT_SACK) {
            p.sack = body;              // libtorrent's is of any length, where BEP 29 wants a multiple of 4
        } else if (kind == EXT_REASON && body.n == REASON_LEN) {
            p.has_reason = true;
            p.reason = (uint16_t)(body.p[2] << 8 | body.p[3]);
        }
    }
    p.payload = slice_of(r.p, r.n);
    *out = p;
    return ERR_OK;
}

void utp_packet_write(struct wr *w, const struct utp_packet *p, uint32_t pad)
{
    ASSERT(pad == 0 || (pad >= 2 && pad <= UTP_PAD_MAX));
    ASSERT(p->sack.n <= UINT8_MAX);
    static const uint8_t ZEROS[UTP_PAD_MAX];
    const uint8_t after_reason = pad != 0 ? EXT_PAD : 0;
    const uint8_t after_sack = p->has_reason ? EXT_REASON : after_reason;
    wr_u8(w, (uint8_t)((unsigned)p->type << 4 | VERSION));
    wr_u8(w, p->sack.n != 0 ? EXT_SACK : after_sack);
    wr_be16(w, p->conn_id);
    wr_be32(w, p->timestamp_us);
    wr_be32(w, p->timestamp_diff_us);
    wr_be32(w, p->window);
    wr_be16(w, p->seq);
    wr_be16(w, p->ack);
    if (p->sack.n != 0) {
        wr_u8(w, after_sack);
        wr_u8(w, u8_of(p->sack.n));
        wr_bytes(w, p->sack);
    }
    if (p->has_reason) {
        wr_u8(w, after_reason);
        wr_u8(w, REASON_LEN);
        wr_be16(w, 0);
        wr_be16(w, p->reason);
    }
    if (pad != 0) {
        wr_u8(w, 0);
        wr_u8(w, u8_of(pad - 2));
        wr_bytes(w, slice_of(ZEROS, pad - 2));
    }
}
