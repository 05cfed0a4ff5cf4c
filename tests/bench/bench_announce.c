// A load for a tracker through real sockets: every peer announces once, then random ones again; every reply is read and judged.
// One thread. Usage: bench_announce udp|http|http-keep IP PORT PID [peers [swarms [seconds]]]
//
// Peers come from 10.77.9.1 … 64, which must be local; a swarm's peers share an address and differ in port. Prints a JSON object
// for each phase: requests, their rate, the tracker's CPU time for each, and what its resident memory grew by.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "codec/announce_udp.h"
#include "plat/net.h"

enum {
    SOURCES = 64,                       // sockets, each with its own address
    WINDOW = 3,                         // datagrams in flight on each: few enough for any receive buffer
    PORT_FIRST = 1000,
    LOST_S = 1,                         // no answer for so long: asked again
    ID_S = 50,                          // a connection id is good for a minute (BEP 15)
};

enum mode { UDP, HTTP, HTTP_KEEP };

struct source {
    int fd;                             // -1: to be opened (HTTP)
    uint64_t id;                        // UDP connection id, 0: none
    bool asked_id;
    nsec id_at, sent_at;
    uint32_t flying;                    // requests without an answer
    uint32_t serial;                    // UDP: transactions count up
    uint64_t filled;                    // of its peers, in the first phase
    char reply[8192];
    size_t reply_n;
};

struct load {
    enum mode mode;
    struct addr tracker;
    int pid;
    uint64_t peers, swarms;
    bool steady, ended;
    struct rng rng;
    struct source sources[SOURCES];
    uint64_t done, bad, lost, peers_told;
};

static nsec clock_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (nsec)t.tv_sec * NSEC_S + (nsec)t.tv_nsec;
}

struct usage {
    double cpu_s;
    long rss_kib;
};

static struct usage usage_of(int pid)
{
    char name[64], line[1024];
    struct usage u = {0};
    (void)snprintf(name, sizeof name, "/proc/%d/stat", pid);
    FILE *f = fopen(name, "r");
    if (f != NULL && fgets(line, sizeof line, f) != NULL) {
        unsigned long user = 0, sys = 0;
        const char *rest = strrchr(line, ')');
        if (rest != NULL && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) == 2)
            u.cpu_s = (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
    }
    if (f != NULL)
        (void)fclose(f);
    (void)snprintf(name, sizeof name, "/proc/%d/status", pid);
    f = fopen(name, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            u.rss_kib = strtol(line + 6, NULL, 10);
    if (f != NULL)
        (void)fclose(f);
    return u;
}

static struct addr source_addr(uint32_t i)
{
    const uint8_t ip[4] = {10, 77, 9, (uint8_t)(i + 1)};
    return addr_ipv4(ip, 0);
}

// The next peer of a source to announce; false: all of the first phase have their turn behind them.
static bool next_peer(struct load *l, uint32_t source, struct announce *out)
{
    struct source *s = &l->sources[source];
    const uint64_t swarms = (l->swarms - source + SOURCES - 1) / SOURCES, each = l->peers / l->swarms;
    const uint64_t k = l->steady ? rng_below(&l->rng, swarms * each) : s->filled;
    if (k >= swarms * each)
        return false;
    s->filled += !l->steady;
    const uint64_t swarm = source + SOURCES * (k % swarms), peer = k / swarms;
    *out = (struct announce){.port = (uint16_t)(PORT_FIRST + peer), .left = peer % 4 == 0 ? 0 : 1000, .numwant = 50,
                             .event = l->steady ? ANNOUNCE_NONE : ANNOUNCE_STARTED, .key = (uint32_t)mix64(k)};
    for (size_t i = 0; i < ANNOUNCE_HASH_LEN; i++)
        out->info_hash[i] = (uint8_t)(mix64(swarm * 20 + i) >> 24);
    char id[sizeof out->peer_id + 1];
    (void)snprintf(id, sizeof id, "-XX0001-%08x%04x", (unsigned)swarm, (unsigned)(peer & 0xffff));
    memcpy(out->peer_id, id, sizeof out->peer_id);
    return true;
}

static void judge_peers(struct load *l, struct slice peers)
{
    struct rd r = rd_make(peers);
    l->bad += peers.n % 6 != 0;
    while (r.n >= 6) {
        (void)rd_be32(&r);
        const uint16_t port = rd_be16(&r);
        l->bad += port < PORT_FIRST || port >= PORT_FIRST + l->peers / l->swarms;
        l->peers_told++;
    }
}

// ---- UDP

static void send_udp(struct source *s, const struct buf *b)
{
    if (send(s->fd, b->p, b->n, 0) == (ssize_t)b->n)
        s->flying++;
}

static void work_udp(struct load *l, uint32_t i, nsec now)
{
    struct source *s = &l->sources[i];
    if (s->flying > 0 && now - s->sent_at > LOST_S * NSEC_S) {
        l->lost += s->flying;
        s->flying = 0;
        s->id = 0;
        s->asked_id = false;
    }
    if (s->id != 0 && now - s->id_at > ID_S * NSEC_S && s->flying == 0)
        s->id = 0;
    while (s->flying < (s->id == 0 ? 1 : WINDOW)) {
        uint8_t space[128];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        struct announce a;
        if (s->id == 0)
            udp_connect_write(&w, ++s->serial);
        else if (!l->ended && next_peer(l, i, &a))
            udp_announce_write(&w, s->id, ++s->serial, &a, (struct slice){0});
        else
            return;
        s->sent_at = now;
        send_udp(s, &b);
    }
}

static void read_udp(struct load *l, uint32_t i, nsec now)
{
    struct source *s = &l->sources[i];
    uint8_t in[2048];
    for (ssize_t n = recv(s->fd, in, sizeof in, MSG_DONTWAIT); n > 0; n = recv(s->fd, in, sizeof in, MSG_DONTWAIT)) {
        struct udp_reply r;
        if (udp_reply_parse(&r, slice_of(in, (size_t)n)) != ERR_OK || s->serial - r.transaction > WINDOW) {
            l->bad++;
            continue;
        }
        s->flying = s->flying > 0 ? s->flying - 1 : 0;
        l->bad += r.action == UDP_ERROR;
        if (r.action == UDP_CONNECT) {
            s->id = r.connection_id;
            s->id_at = now;
            continue;
        }
        l->done++;
        if (r.action == UDP_ANNOUNCE)
            judge_peers(l, r.body);
    }
}

// ---- HTTP

static void work_http(struct load *l, uint32_t i)
{
    struct source *s = &l->sources[i];
    struct announce a;
    if (s->flying > 0 || l->ended)
        return;
    if (s->fd < 0) {
        const struct addr from = source_addr(i);
        const enum err e = net_connect(&l->tracker, &from, NULL, &s->fd);
        ASSERT(e == ERR_OK || e == ERR_AGAIN);
    }
    if (!next_peer(l, i, &a))
        return;
    char out[512], hash[3 * ANNOUNCE_HASH_LEN + 1];
    for (size_t k = 0; k < ANNOUNCE_HASH_LEN; k++)
        (void)snprintf(hash + 3 * k, 4, "%%%02X", a.info_hash[k]);
    const int n = snprintf(out, sizeof out, "GET /announce?info_hash=%s&peer_id=%.20s&port=%u&uploaded=0&downloaded=0&left=%llu&compact=1&numwant=50%s "
        "HTTP/1.1\r\nHost: tracker\r\n%s\r\n", hash, (const char *)a.peer_id, a.port, (unsigned long long)a.left,
        a.event == ANNOUNCE_STARTED ? "&event=started" : "", l->mode == HTTP ? "Connection: close\r\n" : "");
    if (send(s->fd, out, (size_t)n, MSG_NOSIGNAL) == n)
        s->flying = 1;
    else
        l->bad += errno != EAGAIN;
}

static void close_http(struct source *s)
{
    (void)close(s->fd);
    s->fd = -1;
    s->flying = 0;
    s->reply_n = 0;
}

// True: a whole reply is there and judged.
static bool judge_http(struct load *l, struct source *s, bool ended)
{
    s->reply[s->reply_n] = 0;
    const char *body = strstr(s->reply, "\r\n\r\n"), *len = strstr(s->reply, "Content-Length: ");
    if (body == NULL || (len == NULL && !ended))
        return false;
    body += 4;
    const size_t have = s->reply_n - (size_t)(body - s->reply);
    if (len != NULL && have < strtoul(len + 16, NULL, 10))
        return false;
    const char *peers = NULL;
    for (size_t k = 0; k + 7 < have && peers == NULL; k++)
        if (memcmp(body + k, "5:peers", 7) == 0)
            peers = body + k + 7;               // compact form (BEP 23)
    char *colon = NULL;
    const size_t n = peers == NULL ? 0 : strtoul(peers, &colon, 10);
    if (peers == NULL || colon == NULL || *colon != ':' || n > (size_t)(body + have - colon - 1))
        l->bad++;
    else
        judge_peers(l, slice_of(colon + 1, n));
    l->done++;
    return true;
}

static void read_http(struct load *l, uint32_t i)
{
    struct source *s = &l->sources[i];
    for (;;) {
        const ssize_t n = recv(s->fd, s->reply + s->reply_n, sizeof s->reply - 1 - s->reply_n, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        s->reply_n += n > 0 ? (size_t)n : 0;
        const bool whole = s->flying > 0 && judge_http(l, s, n <= 0);
        if (n <= 0) {
            l->bad += s->flying > 0 && !whole && s->reply_n > 0;
            close_http(s);
            return;
        }
        if (whole && l->mode == HTTP_KEEP) {
            s->flying = 0;
            s->reply_n = 0;
        } else if (whole) {
            close_http(s);
            return;
        }
    }
}

// ---- a phase

static void work(struct load *l, int ep, nsec now)
{
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct source *s = &l->sources[i];
        const int before = s->fd;
        if (l->mode == UDP)
            work_udp(l, i, now);
        else
            work_http(l, i);
        if (s->fd < 0 || s->fd == before)
            continue;
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        (void)epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &e);
        if (l->mode != UDP && s->flying == 0) {         // still connecting: it is asked when the connection stands
            e.events |= EPOLLOUT;
            (void)epoll_ctl(ep, EPOLL_CTL_MOD, s->fd, &e);
        }
    }
}

static bool is_flying(const struct load *l)
{
    for (uint32_t i = 0; i < SOURCES; i++)
        if (l->sources[i].flying > 0)
            return true;
    return false;
}

static bool is_filled(const struct load *l)
{
    for (uint32_t i = 0; i < SOURCES; i++)
        if (l->sources[i].filled < (l->swarms - i + SOURCES - 1) / SOURCES * (l->peers / l->swarms))
            return false;
    return true;
}

static void phase(struct load *l, int ep, const char *name, double seconds)
{
    static const char *const MODES[] = {"udp", "http", "http-keep"};
    const struct usage before = usage_of(l->pid);
    const nsec begun = clock_now();
    l->done = l->bad = l->lost = l->peers_told = 0;
    l->ended = false;
    while (!l->ended || is_flying(l)) {
        const nsec now = clock_now();
        l->ended = l->steady ? now - begun > (nsec)(seconds * 1e9) : is_filled(l);
        work(l, ep, now);
        struct epoll_event events[SOURCES];
        const int n = epoll_wait(ep, events, SOURCES, 100);
        for (int k = 0; k < n; k++) {
            if (l->mode == UDP)
                read_udp(l, events[k].data.u32, now);
            else if (l->sources[events[k].data.u32].fd >= 0)
                read_http(l, events[k].data.u32);
        }
    }
    const double wall = (double)(clock_now() - begun) / 1e9;
    const struct usage after = usage_of(l->pid);
    const double n = (double)(l->done > 0 ? l->done : 1);
    printf("{\"mode\":\"%s\",\"phase\":\"%s\",\"requests\":%llu,\"per_s\":%.0f,\"cpu_us\":%.2f,\"peers_per_reply\":%.1f,\"bad\":%llu,\"lost\":%llu,"
        "\"bytes_per_peer\":%.1f}\n", MODES[l->mode], name, (unsigned long long)l->done, n / wall, (after.cpu_s - before.cpu_s) * 1e6 / n,
        (double)l->peers_told / n, (unsigned long long)l->bad, (unsigned long long)l->lost,
        l->steady ? 0.0 : (double)(after.rss_kib - before.rss_kib) * 1024 / (double)l->peers);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct load l = {.peers = 640000, .swarms = 10000};
    if (argc < 5 || addr_parse(slice_str(argv[2]), (uint16_t)strtoul(argv[3], NULL, 10), &l.tracker) != ERR_OK) {
        fprintf(stderr, "usage: bench_announce udp|http|http-keep IP PORT PID [peers [swarms [seconds]]]\n");
        return 2;
    }
    l.mode = strcmp(argv[1], "udp") == 0 ? UDP : strcmp(argv[1], "http") == 0 ? HTTP : HTTP_KEEP;
    l.pid = (int)strtol(argv[4], NULL, 10);
    l.peers = argc > 5 ? strtoull(argv[5], NULL, 10) : l.peers;
    l.swarms = argc > 6 ? strtoull(argv[6], NULL, 10) : l.swarms;
    l.rng = rng_make(1, 1);
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < SOURCES; i++) {
        const struct addr from = source_addr(i);
        l.sources[i].fd = -1;
        if (l.mode != UDP)
            continue;
        // A connected UDP socket: the kernel sorts the answers.
        struct addr bound;
        struct sockaddr_storage to;
        const socklen_t n = net_sockaddr(&l.tracker, &to);
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        if (net_udp(&from, NULL, &l.sources[i].fd, &bound) != ERR_OK || connect(l.sources[i].fd, (struct sockaddr *)&to, n) != 0 ||
            epoll_ctl(ep, EPOLL_CTL_ADD, l.sources[i].fd, &e) != 0) {
            perror("10.77.9.x");
            return 1;
        }
    }
    if (l.mode == UDP)
        phase(&l, ep, "fill", 0);
    l.steady = true;
    phase(&l, ep, "steady", argc > 7 ? strtod(argv[7], NULL) : 5);
    return l.bad == 0 ? 0 : 1;
}
