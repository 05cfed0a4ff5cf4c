// The tracker in this process: UDP announces per second and bytes for each peer. 10,000 swarms, as in the comparison with
// other trackers. Prints one line for each phase. Usage: bench_tracker [peers [swarms]]. Build with the archives of a build:
// cc -std=gnu17 -O2 -Isrc tests/bench/bench_tracker.c build/src/{engine/libengine,codec/libcodec,crypto/libkithcrypto,base/libbase}.a -lcrypto
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "codec/announce_udp.h"
#include "engine/find/tracker.h"

enum { SWARMS_DEFAULT = 10000, PEERS_DEFAULT = 1000000 };

static uint64_t heap_bytes;

static void *resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    heap_bytes += new_n;
    heap_bytes -= old_n;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_n);
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct load {
    struct tracker *t;
    struct rng rng;
    uint32_t peers, swarms;
    uint8_t connect[16], announce[98];
    uint64_t replies, reply_bytes;
};

static struct addr peer_addr(uint32_t i, bool ipv6)
{
    const uint64_t v = mix64(i);
    uint8_t ip[16] = {0};
    memcpy(ip, &v, 8);
    return ipv6 ? addr_ipv6(ip, 6881) : addr_ipv4(ip, 6881);
}

static void drain(struct load *l, uint64_t *id)
{
    static uint8_t space[256 * 1024];
    struct buf tx = {space, 0, sizeof space};
    struct tracker_out out;
    while (tracker_poll(l->t, 0, &tx, &out) == TRACKER_DGRAM) {
        struct udp_reply r;
        if (udp_reply_parse(&r, out.bytes) == ERR_OK && r.action == UDP_CONNECT)
            *id = r.connection_id;
        l->replies++;
        l->reply_bytes += out.bytes.n;
    }
}

static void announce(struct load *l, uint32_t i, bool ipv6, uint32_t numwant)
{
    const struct addr from = peer_addr(i, ipv6);
    struct announce a = {.left = i % 10 == 0 ? 0 : 1, .numwant = numwant, .port = 6881, .event = ANNOUNCE_STARTED};
    const uint64_t h = mix64(i % l->swarms);
    memcpy(a.info_hash, &h, sizeof h);
    uint64_t id = 0;
    struct buf b = {l->connect, 0, sizeof l->connect};
    struct wr w = wr_make(&b);
    udp_connect_write(&w, i);
    tracker_datagram(l->t, 0, &from, buf_slice(&b));
    drain(l, &id);
    b = (struct buf){l->announce, 0, sizeof l->announce};
    w = wr_make(&b);
    udp_announce_write(&w, id, i, &a, (struct slice){0});
    tracker_datagram(l->t, 0, &from, buf_slice(&b));
    drain(l, &id);
}

static void phase(struct load *l, const char *name, uint32_t n, bool ipv6, uint32_t numwant)
{
    const double start = seconds();
    l->replies = l->reply_bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        announce(l, name[0] == 'f' ? i : (uint32_t)rng_below(&l->rng, l->peers), ipv6, numwant);
    const double took = seconds() - start;
    printf("%-24s %9u connect+announce in %6.2f s: %8.0f/s, %5.2f us each, %4.0f B a reply\n", name, n, took,
           n / took, took / n * 1e6, (double)l->reply_bytes / (double)l->replies);
}

static void report(const struct tracker *t, uint64_t before)
{
    struct tracker_stats s;
    tracker_stats(t, &s);
    const uint32_t n = s.peers_ipv4 + s.peers_ipv6;
    printf("%u swarms, %u peers: %.1f B a peer counted by the tracker, %.1f B asked of the heap, %.1f MiB\n", s.swarms, n,
           (double)s.bytes / n, (double)(heap_bytes - before) / n, (double)(heap_bytes - before) / (1 << 20));
}

static void run(uint32_t peers, uint32_t swarms, bool ipv6)
{
    static const struct mem mem = {.resize = resize};
    const struct env env = {.mem = &mem, .payload = &mem, .seed = 1};
    struct load l = {.rng = rng_make(7, 7), .peers = peers, .swarms = swarms};
    if (tracker_new(&l.t, &(struct tracker_config){.secret = {1, 2}}, &env, 0) != ERR_OK)
        exit(1);
    const uint64_t before = heap_bytes;
    printf("IPv%d\n", ipv6 ? 6 : 4);
    phase(&l, "fill, numwant 50", peers, ipv6, 50);
    report(l.t, before);
    phase(&l, "again, numwant 50", peers, ipv6, 50);
    phase(&l, "again, numwant 200", peers, ipv6, 200);
    phase(&l, "again, numwant 0", peers, ipv6, 0);
    tracker_free(l.t);
}

int main(int argc, char **argv)
{
    const uint32_t peers = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : PEERS_DEFAULT;
    const uint32_t swarms = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : SWARMS_DEFAULT;
    if (peers < 4 || swarms == 0) {
        (void)fprintf(stderr, "usage: bench_tracker [peers [swarms]]\n");
        return 2;
    }
    run(peers, swarms, false);
    run(peers / 4, swarms, true);
    return 0;
}
