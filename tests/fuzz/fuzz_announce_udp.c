// UDP trackers, both sides: what parses as a request is written back to the same bytes.
#include "codec/announce_udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t space[8192], path[8192];
    struct udp_request q;
    struct udp_reply r;
    struct udp_scrape_item item;
    const struct slice in = slice_of(data, n);
    struct buf b = {space, 0, sizeof space}, p = {path, 0, sizeof path};
    struct wr w = wr_make(&b), v = wr_make(&p);
    if (udp_reply_parse(&r, in) == ERR_OK) {
        uint32_t i = 0;
        while (udp_scrape_item(r.body, i, &item))
            i++;
        ASSERT(i == r.body.n / 12);
    }
    (void)udp_options_path(in, &v);
    if (udp_request_parse(&q, in) != ERR_OK || q.action == UDP_CONNECT)
        return 0;
    if (q.action == UDP_SCRAPE) {
        udp_scrape_write(&w, q.connection_id, q.transaction, q.hashes);
        ASSERT(slice_eq(buf_slice(&b), slice_sub(in, 0, b.n)));
        return 0;
    }
    p.n = 0;
    v = wr_make(&p);
    const bool good = udp_options_path(q.options, &v) == ERR_OK;
    udp_announce_write(&w, q.connection_id, q.transaction, &q.announce, good ? buf_slice(&p) : (struct slice){0});
    ASSERT(w.ok || n > 4096);
    struct udp_request back;
    ASSERT(!w.ok || udp_request_parse(&back, buf_slice(&b)) == ERR_OK);
    ASSERT(!w.ok || memcmp(&back.announce, &q.announce, sizeof q.announce) == 0);
    return 0;
}
