// A hostile peer's stream into a swarm that has half of a torrent: any bytes, in any portions, with time passing.
// The first byte chooses the extensions; of each further portion the first byte is its length or a pause.
#include <stdlib.h>

#include "base/rate.h"
#include "engine/swarm/swarm.h"

enum { PIECES = 20, PIECE_LEN = 32768, LEN = PIECES * PIECE_LEN - 5000, OUTPUTS_MAX = 10000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    (void)old_n;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_n);
}

static const struct mem mem = {.resize = resize};
static const struct env env = {.mem = &mem, .payload = &mem, .seed = 1};
static uint8_t hashes[PIECES * SHA1_LEN];
static uint8_t peer_id[PEER_ID_LEN] = "-KH0100-fuzzfuzzfuzz";
static struct metainfo_file files[2] = {{.path = {(const uint8_t *)"a", 1}, .len = 100000}, {.path = {(const uint8_t *)"b", 1}, .offset = 100000, .len = LEN - 100000}};
static const struct metainfo meta = {.has_v1 = true, .piece_len = PIECE_LEN, .pieces_n = PIECES, .span = LEN, .len = LEN,
                                     .pieces = hashes, .files = files, .files_n = 2, .mem = &mem};

// Runs what the swarm asks; false: the peer is gone.
static bool drain(struct swarm *s, struct swarm_peer *p, nsec now)
{
    static uint8_t space[64 * 1024];
    bool here = true;
    for (int i = 0; i < OUTPUTS_MAX; i++) {
        struct buf tx = {space, 0, sizeof space};
        struct swarm_out out = {0};
        uint64_t sent = 0;
        switch (swarm_poll(s, now, &tx, &out)) {
        case SWARM_IDLE: swarm_check(s); return here;
        case SWARM_SEND:
            for (uint32_t k = 0; k < out.segs_n; k++)
                sent += out.segs[k].kind == SEG_BYTES ? out.segs[k].bytes.n : out.segs[k].len;
            swarm_sent(s, now, p, sent);
            break;
        case SWARM_CLOSE: here = false; break;
        case SWARM_JOB:
            if (out.job.kind == JOB_STAT)
                memset(out.job.stats, 0, 2 * sizeof *out.job.stats);
            swarm_job_done(s, now, out.job.id, ERR_OK, 0);
            break;
        case SWARM_SAVE: swarm_saved(s, now, ERR_OK); break;
        case SWARM_RESUME:
        case SWARM_EVENT: break;
        }
    }
    abort();                            // it never comes to rest
}

static bool feed(struct swarm *s, struct swarm_peer *p, nsec now, const uint8_t *data, size_t n)
{
    while (n != 0) {
        struct span spans[IO_ROOM_MAX];
        uint32_t spans_n = 0;
        swarm_rx_room(s, now, p, spans, &spans_n);
        size_t landed = 0;
        for (uint32_t i = 0; i < spans_n; i++) {
            const size_t k = size_min(spans[i].n, n - landed);
            memcpy(spans[i].p, data + landed, k);
            landed += k;
        }
        if (landed == 0)
            return drain(s, p, now);    // it does not want to read now: that is its right
        swarm_rx(s, now, p, landed);
        data += landed;
        n -= landed;
        if (!drain(s, p, now))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct pool pool;
    struct rate up = {0}, down = {0};
    nsec now = NSEC_S;
    struct swarm *s;
    struct swarm_peer *p = NULL;
    if (pool_init(&pool, &env, 2 * MIB) != ERR_OK)
        return 0;
    const bool seed = (data[0] & 4) != 0;
    const struct swarm_config cfg = {.meta = &meta, .store = 1, .pool = &pool, .up = &up, .down = &down, .peer_id = peer_id, .peers_max = 5, .trust = seed};
    if (swarm_new(&s, &cfg, &env, now) != ERR_OK)
        abort();
    (void)drain(s, NULL, now);
    struct swarm_peer_new in = {.conn = 1, .theirs = {.has_fast = (data[0] & 1) != 0, .has_extended = (data[0] & 2) != 0, .peer_id = "x"}};
    const uint8_t ip[4] = {10, 0, 0, 1};
    in.addr = addr_ipv4(ip, 1);
    if (swarm_peer_add(s, now, &in, &p) != ERR_OK)
        abort();
    bool here = drain(s, p, now);
    for (size_t at = 1; here && at < size;) {
        const uint8_t n = data[at++];
        if (n >= 250) {
            now += NSEC_S << (n - 250);
            swarm_tick(s, now);
            here = drain(s, p, now);
            continue;
        }
        const size_t take = size_min(n == 249 ? 20000 : n, size - at);
        here = feed(s, p, now, data + at, take);
        at += take;
    }
    swarm_stop(s, now);
    (void)drain(s, p, now);
    swarm_free(s);
    pool_done(&pool);
    return 0;
}
