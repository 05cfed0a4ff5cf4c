// SOCKS5: a proxy may answer anything, and send anything as the head of a datagram. What is read of one is written the same.
#include "base/bytes.h"
#include "codec/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void relayed(struct slice data)
{
    struct rd r = rd_make(data);
    struct socks5_udp head;
    if (socks5_udp_read(&r, &head) != ERR_OK)
        return;
    uint8_t space[SOCKS5_UDP_HEAD_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    socks5_udp_write(&w, &head);
    ASSERT(w.ok);
    struct rd again = rd_make(buf_slice(&b));
    struct socks5_udp twin;
    const enum err e = socks5_udp_read(&again, &twin);
    ASSERT(e == ERR_OK);
    ASSERT(twin.addr.family == head.addr.family && twin.addr.port == head.addr.port && slice_eq(twin.name, head.name));
}

// Each answer has the length that was asked for; at most a few are asked for.
static void spoken(struct slice data, bool udp, bool password)
{
    const struct addr to = addr_ipv4((const uint8_t *)"\xc0\xa8\1\n", 6881);
    const struct slice user = slice_of((const uint8_t *)"name", password ? 4 : 0);
    struct socks5 s;
    uint8_t space[SOCKS5_TX_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    if (udp)
        socks5_begin_udp(&s, user, user, &w);
    else
        socks5_begin(&s, &to, user, user, &w);
    uint32_t answers = 0;
    while (s.state != SOCKS5_DONE && s.state != SOCKS5_FAILED) {
        ASSERT(w.ok);
        ASSERT(s.want != 0);
        if (data.n < s.want)
            return;
        b.n = 0;
        const struct slice answer = slice_sub(data, 0, s.want);
        data = slice_sub(data, s.want, data.n);
        socks5_answer(&s, answer.p, &w);
        ASSERT(++answers <= 8);
    }
    ASSERT(s.state != SOCKS5_FAILED || s.err != ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct slice all = slice_of(data, n);
    relayed(all);
    for (uint32_t i = 0; i < 4; i++)
        spoken(all, i % 2 != 0, i / 2 != 0);
    return 0;
}
