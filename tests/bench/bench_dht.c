// How quickly the DHT finds: lookups in thousands of simulated nodes, beside what others have published.
//   bench_dht [NODES=10000] [LOOKUPS=1000] [DEAD_PCT=20] [NAT_PCT=30]
#include "lab/dhtnet.h"

#include <stdlib.h>
#include <time.h>

#include "test.h"

static int by_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t at(const uint64_t *sorted, uint32_t n, uint32_t permille)
{
    return n == 0 ? 0 : sorted[u32_min(n - 1, (uint32_t)((uint64_t)n * permille / 1000))];
}

struct figures {
    uint64_t first[DHTLAB_OPS_MAX], took[DHTLAB_OPS_MAX];
    uint32_t n, done, good;
    uint64_t hops, asked, stored;
};

static void collect(const struct dhtlab *l, uint32_t from, struct figures *f)
{
    memset(f, 0, sizeof *f);
    for (uint32_t i = from; i < l->ops_n; i++) {
        const struct dhtlab_op *o = &l->ops[i];
        f->n++;
        if (!o->done)
            continue;
        f->hops += o->out.hops;
        f->asked += o->out.asked;
        f->stored += o->out.stored;
        f->took[f->done++] = o->out.took / NSEC_US;
        if (o->out.first != 0)
            f->first[f->good++] = o->out.first / NSEC_US;
    }
    qsort(f->took, f->done, sizeof *f->took, by_u64);
    qsort(f->first, f->good, sizeof *f->first, by_u64);
}

#define MS(us) ((double)(us) / 1000.0)

static void say_latency(const struct dhtlab *l)
{
    static uint64_t rtt[100000];
    struct rng r = rng_make(5, 5);
    for (uint32_t i = 0; i < ARRAY_LEN(rtt); i++)
        rtt[i] = dhtlab_rtt(l, (uint32_t)rng_below(&r, l->n), (uint32_t)rng_below(&r, l->n)) / NSEC_US;
    qsort(rtt, ARRAY_LEN(rtt), sizeof *rtt, by_u64);
    printf("round trips of pairs: p5 %.0f p25 %.0f p50 %.0f p75 %.0f p95 %.0f ms (PlanetLab 19 59 135 202 325)\n", MS(at(rtt, 100000, 50)),
        MS(at(rtt, 100000, 250)), MS(at(rtt, 100000, 500)), MS(at(rtt, 100000, 750)), MS(at(rtt, 100000, 950)));
}

// Nodes leave and others come, a few each second: `per_s` in a million nodes' terms is sessions of about 100 minutes.
static void churn(struct dhtlab *l, nsec until, uint32_t session_s, uint32_t *turn)
{
    while (l->now < until) {
        dhtlab_run(l, l->now + NSEC_S);
        const uint32_t events = (l->cfg.n + *turn % session_s) / session_s;
        for (uint32_t k = 0; k < events; k++, (*turn)++) {
            const uint32_t out = 4 + (uint32_t)rng_below(&l->rng, l->cfg.n - 4);
            if (l->hosts[out].dht != NULL)
                dhtlab_stop(l, out);
            else
                dhtlab_start(l, out);
        }
    }
}

static void say_state(const struct dhtlab *l)
{
    uint64_t mem = 0, peak = 0, up = 0, reachable = 0, nodes = 0, estimate = 0, estimates = 0, depth = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct dhtlab_host *h = &l->hosts[i];
        struct dht_stats s;
        if (h->dht == NULL)
            continue;
        dht_stats(h->dht, &s);
        up++;
        reachable += !h->nat;
        mem += h->mem;
        peak = u64_max(peak, h->mem_peak);
        nodes += s.nodes[0];
        depth += s.depth[0];
        estimates += s.estimate[0] != 0;
        estimate += s.estimate[0];
    }
    printf("state of a node: mean %.1f KiB, greatest ever %.1f KiB (goal < 64); table %.1f nodes, depth %.1f; size estimated as %.0f, is %llu\n",
        (double)mem / (double)up / 1024, (double)peak / 1024, (double)nodes / (double)up, (double)depth / (double)up,
        estimates == 0 ? 0.0 : (double)estimate / (double)estimates, (unsigned long long)reachable);
}

int main(int argc, char **argv)
{
    const uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000, lookups = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
    const uint32_t dead = argc > 3 ? (uint32_t)atoi(argv[3]) : 20, nat = argc > 4 ? (uint32_t)atoi(argv[4]) : 30;
    enum { HASHES = 50, ANNOUNCERS = 4 };
    static struct figures f;
    const struct dhtlab_config cfg = {.seed = 1, .n = n, .nat_pct = nat, .loss_ppm = 5000};
    struct dhtlab *l = dhtlab_new(&cfg);
    uint32_t turn = 0;
    say_latency(l);
    dhtlab_fill(l);
    for (uint32_t i = 4; i < n; i++)
        if (rng_below(&l->rng, 100) < dead)
            dhtlab_stop(l, i);
    printf("%u nodes, %u %% of table entries dead, %u %% behind NATs and read-only, 0.5 %% loss, churn with sessions of 100 min\n", n, dead, nat);
    const clock_t began = clock();
    uint32_t from = l->ops_n;
    for (uint32_t i = 0; i < HASHES * ANNOUNCERS; i++) {
        struct dht_ask a = {.kind = DHT_ANNOUNCE, .port = 6881};
        struct rng r = rng_make(9, i / ANNOUNCERS);
        rng_bytes(&r, a.target, NODE_ID_LEN);
        (void)dhtlab_ask(l, dhtlab_any(l), &a);
        churn(l, l->now + NSEC_S, 6000, &turn);
    }
    churn(l, l->now + 10 * NSEC_S, 6000, &turn);
    collect(l, from, &f);
    printf("announce: %u of %u done, stored at %.1f nodes, p50 %.0f ms (IPFS publishes in 6000 to 7000; goal 1500), p95 %.0f ms (goal 4000), %.1f questions\n",
        f.done, f.n, (double)f.stored / f.done, MS(at(f.took, f.done, 500)), MS(at(f.took, f.done, 950)), (double)f.asked / f.done);
    from = l->ops_n;
    for (uint32_t i = 0; i < u32_min(lookups, DHTLAB_OPS_MAX - from); i++) {
        struct dht_ask a = {.kind = DHT_GET_PEERS};
        struct rng r = rng_make(9, rng_below(&l->rng, HASHES));
        rng_bytes(&r, a.target, NODE_ID_LEN);
        (void)dhtlab_ask(l, dhtlab_any(l), &a);
        churn(l, l->now + NSEC_S / 2, 6000, &turn);
    }
    churn(l, l->now + 10 * NSEC_S, 6000, &turn);
    collect(l, from, &f);
    printf("lookup: %u of %u found peers (%.2f %%, goal 99)\n", f.good, f.n, 100.0 * f.good / f.n);
    printf("  first peers: p50 %.0f ms (published 100 to 200), p90 %.0f, p99 %.0f (published < 1000), p99.9 %.0f ms; hops %.2f\n",
        MS(at(f.first, f.good, 500)), MS(at(f.first, f.good, 900)), MS(at(f.first, f.good, 990)), MS(at(f.first, f.good, 999)),
        (double)f.hops / f.done);
    printf("  to the end:  p50 %.0f ms, p99 %.0f ms; %.1f questions (goal 25)\n", MS(at(f.took, f.done, 500)), MS(at(f.took, f.done, 990)),
        (double)f.asked / f.done);
    say_state(l);
    const double cpu = (double)(clock() - began) / CLOCKS_PER_SEC, virtual_s = (double)l->now / 1e9;
    printf("%.1f s of processor for %.0f s of %u nodes: %llu datagrams, %.2f us each; %.2f datagrams/s sent by a node\n", cpu, virtual_s, n,
        (unsigned long long)l->sent, cpu * 1e6 / (double)l->sent, (double)l->sent / virtual_s / n);
    dhtlab_free(l);
    return 0;
}
