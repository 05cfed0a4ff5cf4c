// How fast the simulated internet runs, and how much memory its nodes take: N leeches and one seed, the production engines, payload by
// reference, one torrent. The lines of "Analyzing and Improving a BitTorrent Network's Performance Mechanisms" (Bharambe 2006): leeches
// 1500/400 kbit/s, the seed 6000 kbit/s, all join within ten seconds, nobody leaves. Times are of this process; memory is what the engines
// hold: an idle node has the torrent, is complete and knows nobody. "messages" as a fifth argument also counts what is said on the wire.
// Usage: bench_sim [peers [MB [piece KiB [peers_max [messages]]]]]
#include "lab.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sim/oracle.h"

enum { PEERS_DEFAULT = 1000, MB_DEFAULT = 100, PIECE_DEFAULT = 256, DEGREE_DEFAULT = 40, DIALS = 20, IDLE_S = 60 };

#define SEED_UP (6000 * KBPS(1) / 8)
#define LEECH_UP (400 * KBPS(1) / 8)
#define LEECH_DOWN (1500 * KBPS(1) / 8)

struct asked_for {
    uint32_t peers, piece_kib, degree;
    uint64_t bytes;
    bool messages;
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

static struct lab_swarm swarm_of(const struct asked_for *q, const uint64_t *lens)
{
    return (struct lab_swarm){.name = "bench",
        .world = {.seed = 1, .latency = 20 * NSEC_MS, .latency_spread = 100 * NSEC_MS, .watch = q->messages},
        .torrent = {.v1 = true, .piece_len = q->piece_kib * 1024, .lens = lens, .files_n = 1},
        .seed = {.up_bps = SEED_UP, .down_bps = SEED_UP, .node = {.peers_max = q->degree}},
        .leech = {.up_bps = LEECH_UP, .down_bps = LEECH_DOWN, .dials = DIALS, .node = {.peers_max = q->degree}},
        .seeds = 1, .leeches = q->peers, .arrivals = 10 * NSEC_S};
}

// What the engines of a node hold that has the torrent and nobody to talk to.
static uint64_t idle_bytes(const struct asked_for *q)
{
    const uint64_t lens[] = {q->bytes};
    struct lab_swarm s = swarm_of(q, lens);
    s.leeches = 0;
    struct lab l;
    (void)lab_swarm(&l, &s);
    (void)world_run(l.world, IDLE_S * NSEC_S);
    const uint64_t used = l.world->hosts[0]->mem_used;
    lab_free(&l);
    return used;
}

static void report_events(const struct world *w, uint64_t blocks)
{
    static const char *const kinds[EV_KINDS] = {"uplink", "arrive", "deliver", "wake", "syn", "syn-ack", "fin", "reset", "retry", "pump",
        "datagram arrives", "datagram delivered", "job", "fetch", "resolved", "mapped", "saved", "read failed", "action", "vanish", "hostile"};
    static const char *const names[WORLD_MESSAGE_KINDS] = {"choke", "unchoke", "interested", "not interested", "have", "bitfield", "request", "piece",
        "cancel", "port", [13] = "suggest", [14] = "have all", [15] = "have none", [16] = "reject", [17] = "allowed fast", [20] = "extended"};
    uint64_t ticks = w->steps, inputs = 0, parts = 0;
    printf("events, thousands (each %% of a block): ");
    for (uint32_t i = 0; i < EV_KINDS; i++) {
        ticks -= w->events[i];
        if (w->events[i] >= 1000)
            printf("%s %llu (%.0f), ", kinds[i], (unsigned long long)w->events[i] / 1000, 100.0 * (double)w->events[i] / (double)blocks);
    }
    printf("tick %llu (%.0f)", (unsigned long long)ticks / 1000, 100.0 * (double)ticks / (double)blocks);
    for (uint32_t i = 0; i < w->hosts_n; i++)
        inputs += w->hosts[i]->inputs;
    printf("; inputs of nodes %llu (%.0f)\n", (unsigned long long)inputs / 1000, 100.0 * (double)inputs / (double)blocks);
    for (uint32_t i = 0; i < WORLD_MESSAGE_KINDS; i++)
        if (w->messages[i] != 0)
            printf("%s%s %llu", parts++ == 0 ? "messages: " : ", ", names[i] == NULL ? "other" : names[i], (unsigned long long)w->messages[i]);
    if (parts != 0)
        printf("\n");
}

static void report_memory(const struct lab *l, const struct asked_for *q)
{
    const struct world *w = l->world;
    uint64_t peak = 0, most = 0, used = 0, payload = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        peak += w->hosts[i]->mem_peak;
        used += w->hosts[i]->mem_used;
        most = u64_max(most, w->hosts[i]->mem_peak);
        payload = u64_max(payload, w->hosts[i]->payload.peak);
    }
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    printf("engine memory of a node, KiB: at the end %.1f, its peak %.1f, the greatest peak %.1f, ", (double)used / w->hosts_n / 1024,
        (double)peak / w->hosts_n / 1024, (double)most / 1024);
    printf("idle %.1f; simulator and engines %.1f; payload pool %.1f MiB; process at most %.3f GiB\n", (double)idle_bytes(q) / 1024,
        (double)l->stage.used / w->hosts_n / 1024, (double)payload / (1 << 20), (double)use.ru_maxrss / (1 << 20));
}

static void report(const struct lab *l, const struct asked_for *q, uint64_t wall_us, uint64_t cpu_us)
{
    const struct world *w = l->world;
    uint64_t last = 0, waste = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++)
        for (uint32_t k = 0; k < w->hosts[i]->wants_n; k++) {
            last = u64_max(last, w->hosts[i]->wants[k].done_at);
            waste += lab_stats(l, i, k).waste_bytes;
        }
    const nsec bound = oracle_bound(q->bytes, SEED_UP, LEECH_UP * q->peers, LEECH_DOWN, q->peers);
    const double all = (double)(q->bytes * q->peers);
    printf("%u peers x %llu MB, %u KiB pieces, at most %u peers each: %llu events in %.1f s, CPU %.2f s, %.2f M events/s, %.2f us/block\n",
        q->peers, (unsigned long long)q->bytes / 1000000, q->piece_kib, q->degree, (unsigned long long)w->steps, (double)wall_us / 1e6,
        (double)cpu_us / 1e6, (double)w->steps / (double)cpu_us, (double)cpu_us / (all / BLOCK_LEN));
    printf("sent %.1f %% more than needed, %.2f %% of it wasted; virtual time %.1f s, bound %.1f s, %.3f times; trace %016llx\n",
        100.0 * (double)w->totals.payload_up_bytes / all - 100, 100.0 * (double)waste / all, (double)last / 1e9, (double)bound / 1e9,
        (double)last / (double)bound, (unsigned long long)w->trace.hash);
    report_events(w, q->bytes * q->peers / BLOCK_LEN);
    report_memory(l, q);
}

static int run(const struct asked_for *q)
{
    const uint64_t lens[] = {q->bytes};
    const struct lab_swarm s = swarm_of(q, lens);
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
    // As `kith lab` does for kith-lab; read only when a program starts.
    if (getenv("GLIBC_TUNABLES") == NULL && setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1) == 0)
        (void)execv("/proc/self/exe", argv);
    const struct asked_for q = {.peers = (uint32_t)number(argc, argv, 1, PEERS_DEFAULT), .bytes = number(argc, argv, 2, MB_DEFAULT) * 1000000,
        .piece_kib = (uint32_t)number(argc, argv, 3, PIECE_DEFAULT), .degree = (uint32_t)number(argc, argv, 4, DEGREE_DEFAULT),
        .messages = argc > 5 && strcmp(argv[5], "messages") == 0};
    return run(&q);
}
