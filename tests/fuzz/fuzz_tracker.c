// The tracker server under a script of datagrams, streams and time. Connection ids are put right, so that the fuzzer gets
// behind them. All invariants are asserted after each step.
#include "test.h"

#include "codec/announce_udp.h"
#include "engine/find/tracker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint8_t tx_space[2 * TRACKER_TX_MIN];

static struct addr from_byte(uint8_t b)
{
    const uint8_t v4[4] = {10, 0, 0, (uint8_t)(b & 7)}, v6[16] = {0x20, 1, 0, 0, 0, 0, 0, (uint8_t)(b & 1), [15] = (uint8_t)(b & 7)};
    return b & 0x80 ? addr_ipv6(v6, 9) : addr_ipv4(v4, 9);
}

// Polls until idle; returns the connection id of the last connect reply.
static uint64_t drain(struct tracker *t, nsec now, size_t room)
{
    struct tracker_out out;
    uint64_t id = 0;
    for (;;) {
        struct buf tx = {tx_space, 0, room};
        switch (tracker_poll(t, now, &tx, &out)) {
        case TRACKER_IDLE:
            ASSERT(out.deadline > now || room < TRACKER_TX_MIN);
            return id;
        case TRACKER_DGRAM: {
            struct udp_reply r;
            ASSERT(udp_reply_parse(&r, out.bytes) == ERR_OK);
            id = r.action == UDP_CONNECT ? r.connection_id : id;
            break;
        }
        case TRACKER_SEND:
            ASSERT(out.bytes.n > 0);
            ASSERT(out.conn != 0);
            break;
        case TRACKER_CLOSE:
            ASSERT(out.conn != 0);
            break;
        }
    }
}

static void datagram(struct tracker *t, nsec now, const struct addr *from, struct slice s)
{
    uint8_t space[2048], connect[16];
    struct buf b = {connect, 0, sizeof connect};
    struct wr w = wr_make(&b);
    udp_connect_write(&w, 1);
    tracker_datagram(t, now, from, buf_slice(&b));
    const uint64_t id = drain(t, now, sizeof tx_space);
    b = (struct buf){space, 0, sizeof space};
    w = wr_make(&b);
    wr_be64(&w, id);
    wr_bytes(&w, s);
    tracker_datagram(t, now, from, buf_slice(&b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool used[8];
    struct rd r = rd_make(slice_of(data, n));
    const uint8_t limits = rd_u8(&r);
    const struct tracker_config cfg = {
        .secret = {1, 2}, .interval_s = 60, .swarms_max = limits & 1 ? 2 : 0, .swarm_peers_max = limits & 2 ? 20 : 0,
        .ip_peers_max = limits & 4 ? 2 : 0, .conns_max = 4, .whitelist = limits & 8,
    };
    struct tracker *t;
    nsec now = 0;
    memset(used, 0, sizeof used);
    if (tracker_new(&t, &cfg, &test_env, now) != ERR_OK)
        return 0;
    (void)!tracker_admit(t, (const uint8_t *)"aaaaaaaaaaaaaaaaaaaa");
    while (r.ok && r.n != 0) {
        const uint8_t what = rd_u8(&r), who = rd_u8(&r);
        const struct addr from = from_byte(who);
        const struct slice s = rd_bytes(&r, size_min(r.n, rd_u8(&r) * 2U));
        const uint32_t conn = 1 + (what >> 5);
        switch (what & 7) {
        case 0: now += who * NSEC_S; break;
        case 1: tracker_datagram(t, now, &from, s); break;
        case 2: case 3: datagram(t, now, &from, s); break;
        case 4:
            if (!used[conn - 1])
                used[conn - 1] = tracker_accept(t, now, conn + 8, &from) == ERR_OK;
            break;
        case 5: case 6: tracker_rx(t, now, conn + 8, s); break;
        default:
            tracker_closed(t, now, conn + 8);
            break;
        }
        tracker_tick(t, now);
        (void)drain(t, now, who & 1 ? sizeof tx_space : 100);
        tracker_check(t);
    }
    tracker_free(t);
    return 0;
}
