// uTP packets: what parses is written back to the same meaning.
#include "codec/utp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t space[UTP_HEADER_LEN + 2 + UINT8_MAX + 6 + UTP_PAD_MAX];
    struct utp_packet p, back;
    if (utp_packet_parse(&p, slice_of(data, n)) != ERR_OK)
        return 0;
    ASSERT(p.payload.n + UTP_HEADER_LEN <= n);
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    utp_packet_write(&w, &p, n % 2 == 0 ? 0 : 2 + n % 200);
    ASSERT(w.ok);
    ASSERT(utp_packet_parse(&back, buf_slice(&b)) == ERR_OK);
    ASSERT(back.type == p.type && back.conn_id == p.conn_id && back.seq == p.seq && back.ack == p.ack);
    ASSERT(back.timestamp_us == p.timestamp_us && back.timestamp_diff_us == p.timestamp_diff_us && back.window == p.window);
    ASSERT(slice_eq(back.sack, p.sack) && back.has_reason == p.has_reason && back.reason == p.reason);
    ASSERT(back.payload.n == 0);
    return 0;
}
