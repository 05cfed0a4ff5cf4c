// The tracker client under a script of answers, commands and time. Transactions are put right, so that the fuzzer gets
// behind them. All invariants are asserted after each step, and stopping ends in time.
#include "test.h"

#include "engine/find/announcer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
    uint32_t fetch, resolve, transaction;
    struct addr to;
    uint32_t stopped;
};

static void drain(struct announcer *a, nsec now, struct seen *seen)
{
    static uint8_t space[2 * ANNOUNCER_TX_MIN];
    struct announcer_out out;
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        switch (announcer_poll(a, now, &tx, &out)) {
        case ANNOUNCER_IDLE:
            ASSERT(out.deadline > now);
            return;
        case ANNOUNCER_FETCH: seen->fetch = out.id; break;
        case ANNOUNCER_RESOLVE: seen->resolve = out.id; break;
        case ANNOUNCER_SEND:
            seen->transaction = out.transaction;
            seen->to = out.addr;
            break;
        case ANNOUNCER_STOPPED: seen->stopped++; break;
        case ANNOUNCER_PEERS: ASSERT(out.n_peers != 0); break;
        case ANNOUNCER_COUNTS:
        case ANNOUNCER_OK:
        case ANNOUNCER_WARNING:
        case ANNOUNCER_ERROR:
        case ANNOUNCER_EXTERNAL: break;
        }
    }
}

static void answer(struct announcer *a, nsec now, const struct seen *seen, uint8_t action, struct slice s)
{
    uint8_t space[2048];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    wr_be32(&w, action);
    wr_be32(&w, seen->transaction);
    wr_bytes(&w, s);
    if (seen->to.family != ADDR_NONE)
        (void)announcer_datagram(a, now, &seen->to, buf_slice(&b));
}

static void command(struct announcer *a, nsec now, uint8_t which)
{
    switch (which % 6) {
    case 0: announcer_start(a, now); break;
    case 1: announcer_completed(a, now); break;
    case 2: announcer_want_peers(a, now); break;
    case 3: announcer_scrape(a, now); break;
    case 4: announcer_update(a, &(struct announcer_progress){.left = which, .partial_seed = which & 64}); break;
    default: announcer_stop(a, now); break;
    }
}

static void step(struct announcer *a, nsec *now, struct rd *r, const struct seen *seen)
{
    const uint8_t what = rd_u8(r), which = rd_u8(r);
    const struct slice s = rd_bytes(r, size_min(r->n, rd_u8(r) * 2U));
    const uint8_t ip[4] = {10, 1, 1, which};
    const struct addr addrs[2] = {addr_ipv4(ip, 0), {.family = ADDR_IPV6, .ip = {0x20, which}}};
    switch (what % 6) {
    case 0: *now += which * 250 * NSEC_MS; break;
    case 1: *now += which * 60 * NSEC_S; break;
    case 2: command(a, *now, which); break;
    case 3: announcer_fetched(a, *now, seen->fetch, which < 250 ? ERR_OK : ERR_TIMEOUT, which < 200 ? 200 : 404, s); break;
    case 4: answer(a, *now, seen, which & 3, s); break;
    default: announcer_resolved(a, *now, seen->resolve, which < 200 ? ERR_OK : ERR_UNREACHABLE, addrs, which & 3 ? 2 : 0); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct announcer_tracker trackers[] = {
        {{(const uint8_t *)"udp://t.example:80/announce", 27}, 0}, {{(const uint8_t *)"http://a/announce", 17}, 0},
        {{(const uint8_t *)"udp://10.0.0.1:99", 17}, 1}, {{(const uint8_t *)"http://b/x", 10}, 2},
    };
    struct rd r = rd_make(slice_of(data, n));
    const uint8_t flags = rd_u8(&r);
    const struct announcer_config cfg = {
        .n_hashes = flags & 1 ? 2 : 1, .has_ipv4 = flags & 2, .has_ipv6 = flags & 4, .is_private = flags & 8,
        .trackers = trackers, .n_trackers = flags >> 6 == 0 ? 4 : flags >> 6, .info_hash = {{1}, {2}},
    };
    struct announcer *a;
    struct seen seen = {0};
    nsec now = 0;
    if (announcer_new(&a, &cfg, &test_env, now) != ERR_OK)
        return 0;
    announcer_start(a, now);
    drain(a, now, &seen);
    while (r.ok && r.n != 0) {
        step(a, &now, &r, &seen);
        announcer_tick(a, now);
        drain(a, now, &seen);
        announcer_check(a);
    }
    seen.stopped = 0;
    announcer_stop(a, now);
    drain(a, now, &seen);
    announcer_tick(a, now + ANNOUNCER_STOP_MAX_NS);
    drain(a, now + ANNOUNCER_STOP_MAX_NS, &seen);
    ASSERT(seen.stopped >= 1);
    announcer_free(a);
    return 0;
}
