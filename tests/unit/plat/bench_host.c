// The whole host against itself: one process seeds a file from the page cache, the other receives as a leech does, with
// the fake node in both. What the host costs without any protocol: compare with tests/bench/bench_send.c.
//
//   bench_host FILE [GIB]
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/host.h"
#include "fake_node.h"

enum { HEADER = 13, SLOTS = 8, QUEUED_MAX = 2 << 20 };

static struct host *host;
static uint64_t todo, queued, file_len, at;
static uint32_t peer;
static uint8_t *slots;
static uint8_t heads[SLOTS][HEADER];
static size_t skip;

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void fill(void)
{
    static const uint8_t header[HEADER];
    while (todo > 0 && queued < QUEUED_MAX) {
        struct io_seg segs[IO_SEGS_MAX];
        uint32_t n = 0;
        for (int i = 0; i < 16 && todo > 0; i++) {
            segs[n++] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(header, HEADER)};
            segs[n++] = (struct io_seg){.kind = SEG_FILE, .store = 1, .file = 0, .off = at, .len = BLOCK_LEN};
            at = (at + BLOCK_LEN) % file_len;
            todo -= BLOCK_LEN;
            queued += HEADER + BLOCK_LEN;
        }
        fake_push(NODE_SEND, &(struct node_out){.conn = peer, .segs = segs, .segs_n = n});
    }
    if (todo == 0 && queued == 0) {
        fake_close(peer, true);
        fake_stopped();
    }
}

static void on_connected(uint32_t conn, enum err e)
{
    ASSERT(e == ERR_OK);
    peer = conn;
    fill();
}

static void on_sent(uint32_t conn, uint64_t len)
{
    (void)conn;
    queued -= len;
    fill();
}

static void on_closed(uint32_t conn, enum err e)
{
    (void)conn, (void)e;
    host_stop(host);
}

static void room(uint32_t conn, struct node_room *out)
{
    (void)conn;
    out->spans_n = 0;
    size_t cut = skip;
    for (int i = 0; i < 2 * SLOTS; i++) {
        uint8_t *p = i % 2 == 0 ? heads[i / 2] : slots + (size_t)(i / 2) * BLOCK_LEN;
        const size_t len = i % 2 == 0 ? HEADER : BLOCK_LEN, k = size_min(cut, len);
        cut -= k;
        if (k < len)
            out->spans[out->spans_n++] = (struct span){p + k, len - k};
    }
}

static void on_len(uint32_t conn, size_t len)
{
    (void)conn;
    skip = (skip + len) % (SLOTS * (HEADER + BLOCK_LEN));
}

static void report(const char *who, double gib, double c0)
{
    struct host_stats s;
    struct rusage u;
    host_stats(host, &s);
    getrusage(RUSAGE_SELF, &u);
    printf("%-8s CPU/GiB %.3f  tx calls/MiB %.1f warm %.1f cold %.1f  rx calls/MiB %.1f  voluntary switches/MiB %.1f  RSS %ld MiB\n", who,
        (cpu() - c0) / gib, (double)s.tx_calls / gib / 1024, (double)s.reads_warm / gib / 1024, (double)s.reads_cold / gib / 1024,
        (double)s.rx_calls / gib / 1024, (double)u.ru_nvcsw / gib / 1024, u.ru_maxrss / 1024);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct stat st;
    if (argc < 2 || stat(argv[1], &st) != 0 || st.st_size < BLOCK_LEN)
        return 2;
    const uint64_t gib = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    file_len = (uint64_t)st.st_size / BLOCK_LEN * BLOCK_LEN;
    int pipes[2];
    if (pipe(pipes) != 0)
        return 1;
    char why[HOST_WHY_MAX];
    const pid_t pid = fork();
    const struct host_config cfg = {.listen = "127.0.0.1", .peer_closed = false};
    if (host_new(&host, &cfg, why) != ERR_OK) {
        puts(why);
        return 1;
    }
    const double c0 = cpu();
    uint16_t port = host_port(host);
    if (pid == 0) {
        slots = mmap(NULL, SLOTS * BLOCK_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        fake = (struct fake_hooks){.rx_room = room, .rx_len = on_len, .closed = on_closed};
        if (write(pipes[1], &port, sizeof port) < 0)
            return 1;
        (void)host_run(host);
        report("receiver", (double)gib, c0);
    } else {
        if (read(pipes[0], &port, sizeof port) < 0)
            return 1;
        char *slash = strrchr(argv[1], '/');
        ASSERT(slash != NULL);
        fake_files[0] = (struct io_file){.root = slice_of(argv[1], (size_t)(slash - argv[1])), .path = slice_str(slash + 1), .len = file_len};
        fake_files_n = 1;
        todo = gib << 30;
        fake = (struct fake_hooks){.connected = on_connected, .sent = on_sent, .closed = on_closed};
        fake_push(NODE_CONNECT, &(struct node_out){.conn = 1, .addr = addr_ipv4((const uint8_t[4]){127, 0, 0, 1}, port)});
        host_drain(host);
        fake.sent = on_sent;
        (void)host_run(host);
        report("sender", (double)gib, c0);
        waitpid(pid, NULL, 0);
    }
    host_free(host);
    return 0;
}
