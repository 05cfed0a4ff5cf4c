// Prints the fingerprints of some runs, one line each: `trace-hash NAME HEX`. determinism.sh compares them between compilers.
#include "lab.h"

static const uint64_t mb2[] = {2000000}, files[] = {100000, 0, 70001, 300000};

static void run(const struct lab_swarm *s, enum hostile_kind hostile)
{
    struct lab l;
    const struct lab_run r = lab_swarm(&l, s);
    const struct host_config bad = {.arrive = 2 * NSEC_S, .up_bps = KBPS(300),
        .hostile = {.kind = hostile, .corrupt_ppm = 100000, .torrent = r.torrent, .dials = 10}};
    if (hostile != HOSTILE_NONE)
        world_host(l.world, &bad);
    struct rng rng = rng_make(s->world.seed, 3);
    for (uint32_t i = 0; i < s->leeches / 4; i++) {
        const uint32_t host = r.first_leech + 4 * i;
        const nsec t = 3 * NSEC_S + rng_below(&rng, 20 * NSEC_S);
        const struct action crash = {.kind = ACTION_CRASH, .host = host, .a = CRASH_MIXED, .b = i % 2}, start = {.kind = ACTION_START, .host = host};
        world_plan(l.world, t, &crash);
        world_plan(l.world, t + 2 * NSEC_S, &start);
    }
    world_run(l.world, 120 * NSEC_S);
    printf("trace-hash %s %016llx\n", s->name, (unsigned long long)l.world->trace.hash);
    if (l.world->failure[0] != '\0')
        printf("failure %s %s\n", s->name, l.world->failure);
    lab_free(&l);
}

int main(void)
{
    const struct host_config seed = {.up_bps = KBPS(200)}, leech = {.up_bps = KBPS(80), .down_bps = KBPS(700), .dials = 6};
    const struct world_config lossy = {.seed = 77, .latency = 20 * NSEC_MS, .latency_spread = 50 * NSEC_MS, .loss_ppm = 5000};
    struct lab_swarm s = {.name = "v1-lossy", .world = lossy, .torrent = {.v1 = true, .piece_len = 65536, .lens = mb2, .files_n = 1},
        .seed = seed, .leech = leech, .seeds = 1, .leeches = 20, .tracker = true, .arrivals = 5 * NSEC_S};
    run(&s, HOSTILE_NONE);
    s.name = "v1-poison";
    run(&s, HOSTILE_POISON);
    s.name = "hybrid-files";
    s.torrent = (struct stage_torrent){.v1 = true, .v2 = true, .piece_len = 32768, .lens = files, .files_n = ARRAY_LEN(files)};
    run(&s, HOSTILE_LIAR);
    s.name = "v2-bytes";
    s.torrent.v1 = false;
    s.world.payload = PAYLOAD_BYTES;
    run(&s, HOSTILE_FLOOD);
    return 0;
}
