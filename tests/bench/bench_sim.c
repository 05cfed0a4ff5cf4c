// How fast the simulated internet runs: N leeches and one seed, the production engines, payload by reference, one torrent. The lines
// of "Analyzing and Improving a BitTorrent Network's Performance Mechanisms" (Bharambe 2006): leeches 1500/400 kbit/s, the seed
// 6000 kbit/s, all join within ten seconds, nobody leaves. Prints one line of figures.
// Usage: bench_sim [peers [MB [piece KiB [peers_max]]]]
#include "lab.h"

#include <sys/resource.h>
#include <time.h>

#include "sim/oracle.h"

enum { PEERS_DEFAULT = 1000, MB_DEFAULT = 100, PIECE_DEFAULT = 256, DEGREE_DEFAULT = 40, DIALS = 20 };

#define SEED_UP (6000 * KBPS(1) / 8)
#define LEECH_UP (400 * KBPS(1) / 8)
#define LEECH_DOWN (1500 * KBPS(1) / 8)

struct asked_for {
    uint32_t peers, piece_kib, degree;
    uint64_t bytes;
};

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

static void report(struct lab *l, const struct asked_for *q, uint64_t wall_us, uint64_t cpu_us)
{
    const struct world *w = l->world;
    uint64_t sum = 0, most = 0, payload = 0, last = 0, waste = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        sum += w->hosts[i]->mem_peak;
        most = u64_max(most, w->hosts[i]->mem_peak);
        payload = u64_max(payload, w->hosts[i]->payload.peak);
        for (uint32_t k = 0; k < w->hosts[i]->wants_n; k++) {
            last = u64_max(last, w->hosts[i]->wants[k].done_at);
            waste += lab_stats(l, i, k).waste_bytes;
        }
    }
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    const nsec bound = oracle_bound(q->bytes, SEED_UP, LEECH_UP * q->peers, LEECH_DOWN, q->peers);
    printf("%u peers x %llu MB, %u KiB pieces, at most %u peers each: %llu events in %.1f s (CPU %.1f s), %.2f M events/s\n", q->peers,
        (unsigned long long)q->bytes / 1000000, q->piece_kib, q->degree, (unsigned long long)w->steps, (double)wall_us / 1e6,
        (double)cpu_us / 1e6, (double)w->steps / (double)cpu_us);
    printf("sent %.1f %% more than needed, %.2f %% of it wasted; ", 100.0 * (double)w->totals.payload_up_bytes / (double)(q->bytes * q->peers) - 100,
        100.0 * (double)waste / (double)(q->bytes * q->peers));
    printf("virtual time %.1f s, bound %.1f s, %.3f times; engine memory of a node: mean %.1f KiB, most %.1f KiB; payload pool %.1f MiB; "
           "process %.2f GiB; trace %016llx\n",
        (double)last / 1e9, (double)bound / 1e9, (double)last / (double)bound, (double)sum / w->hosts_n / 1024, (double)most / 1024,
        (double)payload / (1 << 20), (double)use.ru_maxrss / (1 << 20), (unsigned long long)w->trace.hash);
}

static int run(const struct asked_for *q)
{
    const uint64_t lens[] = {q->bytes};
    const struct lab_swarm s = {.name = "bench", .world = {.seed = 1, .latency = 20 * NSEC_MS, .latency_spread = 100 * NSEC_MS},
        .torrent = {.v1 = true, .piece_len = q->piece_kib * 1024, .lens = lens, .files_n = 1},
        .seed = {.up_bps = SEED_UP, .down_bps = SEED_UP, .node = {.peers_max = q->degree}},
        .leech = {.up_bps = LEECH_UP, .down_bps = LEECH_DOWN, .dials = DIALS, .node = {.peers_max = q->degree}},
        .seeds = 1, .leeches = q->peers, .arrivals = 10 * NSEC_S};
    struct lab l;
    const uint64_t wall = clock_us(CLOCK_MONOTONIC), cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    (void)lab_swarm(&l, &s);
    nsec t = 0;
    const bool ok = world_run_complete(l.world, 100000 * NSEC_S, &t);
    report(&l, q, clock_us(CLOCK_MONOTONIC) - wall, clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    if (!ok)
        printf("not everybody is complete: %s\n", l.world->failure);
    lab_free(&l);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct asked_for q = {.peers = (uint32_t)number(argc, argv, 1, PEERS_DEFAULT), .bytes = number(argc, argv, 2, MB_DEFAULT) * 1000000,
        .piece_kib = (uint32_t)number(argc, argv, 3, PIECE_DEFAULT), .degree = (uint32_t)number(argc, argv, 4, DEGREE_DEFAULT)};
    return run(&q);
}
