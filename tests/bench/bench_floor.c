// What must a leech spend on a GiB, whatever it is made of? One thread receives blocks over loopback TCP, takes their
// SHA-1 and writes them to a new file, in the same breath: no hand-off, no protocol. Each stage can be left out, so that
// the parts can be told apart. CPU-seconds per GiB of that thread alone.
//
//   cc -O2 -D_GNU_SOURCE -o bench_floor tests/bench/bench_floor.c -lcrypto && ./bench_floor FILE [STAGES[:WRITE_KIB]]...
//
// STAGES: letters of r (receive), h (SHA-1), w (write; KIB at a call), p (fallocate first), d (O_DIRECT), o (over the old
// content of the file). Default: r h w rh rhw. SIZE=MiB (1024), BATCH=KiB received before the rest is done (256).
//
// Memory that nobody has used for two seconds goes back to the host of a virtual machine and is dear to get again. So a child
// holds as much memory as the page cache will want and gives it up step by step, just before.
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 13, BLOCK = 16384, MIB = 1 << 20, AHEAD = 64 * MIB };

static uint64_t total = (uint64_t)1024 * MIB;
static size_t batch = 256 * 1024;
static _Atomic uint64_t *progress;      // shared with the child that holds memory

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint8_t *pages(size_t n)
{
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    return p;
}

static pid_t hold_memory(uint64_t len)
{
    *progress = UINT64_MAX;
    const pid_t pid = fork();
    if (pid != 0) {
        while (pid > 0 && *progress == UINT64_MAX)
            usleep(1000);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    uint8_t *p = pages(len);
    *progress = 0;
    for (uint64_t given = 0; given < len; usleep(1000)) {
        const uint64_t want = *progress + AHEAD;
        for (; given < len && given < want; given += MIB)
            madvise(p + given, MIB, MADV_DONTNEED);
    }
    _exit(0);
}

static pid_t start_sender(int *out_fd)
{
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    if (bind(listener, (struct sockaddr *)&a, n) != 0 || listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&a, &n) != 0)
        die("listen");
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = accept(listener, NULL, NULL);
        uint8_t *p = pages(MIB);
        memset(p, 'x', MIB);
        for (uint64_t i = 0; i < total / BLOCK; i++) {
            struct iovec v[2] = {{p, HEADER}, {p + (i % 32) * BLOCK, BLOCK}};
            size_t left = HEADER + BLOCK;
            while (left > 0) {
                const ssize_t k = writev(fd, v, 2);
                if (k <= 0)
                    _exit(1);
                left -= (size_t)k;
                size_t cut = (size_t)k;
                for (int j = 0; j < 2; j++) {
                    const size_t c = cut < v[j].iov_len ? cut : v[j].iov_len;
                    v[j].iov_base = (uint8_t *)v[j].iov_base + c;
                    v[j].iov_len -= c;
                    cut -= c;
                }
            }
        }
        _exit(0);
    }
    *out_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(*out_fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("connect");
    close(listener);
    return pid;
}

// Fills `len` bytes of p with blocks, their headers thrown away; calls of at most 8 blocks, as kith makes them.
static void receive(int fd, uint8_t *p, size_t len)
{
    static uint8_t heads[8][HEADER];
    for (size_t at = 0; at < len;) {
        struct iovec v[16];
        int n = 0;
        for (size_t b = at; b < len && n < 16; b += BLOCK) {
            v[n++] = (struct iovec){heads[n / 2], HEADER};
            v[n++] = (struct iovec){p + b, BLOCK};
        }
        at += (size_t)n / 2 * BLOCK;
        struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)n};
        size_t left = (size_t)n / 2 * (HEADER + BLOCK);
        while (left > 0) {
            const ssize_t k = recvmsg(fd, &m, 0);
            if (k <= 0)
                die("recvmsg");
            left -= (size_t)k;
            for (size_t cut = (size_t)k; cut > 0 && m.msg_iovlen > 0;) {
                struct iovec *f = m.msg_iov;
                const size_t c = cut < f->iov_len ? cut : f->iov_len;
                f->iov_base = (uint8_t *)f->iov_base + c;
                f->iov_len -= c;
                cut -= c;
                if (f->iov_len == 0) {
                    m.msg_iov++;
                    m.msg_iovlen--;
                }
            }
        }
    }
}

static void run(const char *path, const char *spec)
{
    const bool r = strchr(spec, 'r'), h = strchr(spec, 'h'), w = strchr(spec, 'w');
    const size_t unit = strchr(spec, ':') ? (size_t)atoi(strchr(spec, ':') + 1) * 1024 : 32 * 1024;
    const int flags = O_CREAT | O_RDWR | (strchr(spec, 'o') ? 0 : O_TRUNC) | (strchr(spec, 'd') ? O_DIRECT : 0);
    const int file = open(path, flags, 0666);
    if (file < 0)
        die(path);
    if (unit > batch || batch % unit != 0)
        die("WRITE_KIB must divide BATCH");
    const pid_t holder = hold_memory(w && !strchr(spec, 'o') ? total + 2 * AHEAD : MIB);
    int fd = -1;
    const pid_t sender = r ? start_sender(&fd) : 0;
    uint8_t *p = pages(batch);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_DigestInit(md, EVP_sha1());
    const double t0 = seconds(CLOCK_MONOTONIC), c0 = seconds(CLOCK_THREAD_CPUTIME_ID);
    if (strchr(spec, 'p') && fallocate(file, FALLOC_FL_KEEP_SIZE, 0, (off_t)total) != 0)
        die("fallocate");
    for (uint64_t at = 0; at < total; at += batch) {
        if (r)
            receive(fd, p, batch);
        if (h)
            EVP_DigestUpdate(md, p, batch);
        for (size_t k = 0; w && k < batch; k += unit)
            if (pwrite(file, p + k, unit, (off_t)(at + k)) != (ssize_t)unit)
                die("pwrite");
        *progress = at;
    }
    const double wall = seconds(CLOCK_MONOTONIC) - t0, spent = seconds(CLOCK_THREAD_CPUTIME_ID) - c0;
    const double gib = (double)total / (1 << 30);
    printf("%-10s %6.2f CPU-s/GiB   %6.0f MiB/s\n", spec, spent / gib, (double)total / MIB / wall);
    fflush(stdout);
    *progress = UINT64_MAX / 2;
    EVP_MD_CTX_free(md);
    munmap(p, batch);
    close(file);
    if (r) {
        close(fd);
        waitpid(sender, NULL, 0);
    }
    waitpid(holder, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_floor FILE [STAGES[:WRITE_KIB]]...\n");
        return 2;
    }
    if (getenv("SIZE"))
        total = (uint64_t)atoi(getenv("SIZE")) * MIB;
    if (getenv("BATCH"))
        batch = (size_t)atoi(getenv("BATCH")) * 1024;
    progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static const char *const all[] = {"r", "h", "w", "rh", "rhw"};
    if (argc == 2)
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            run(argv[1], all[i]);
    for (int i = 2; i < argc; i++)
        run(argv[1], argv[i]);
    unlink(argv[1]);
    return 0;
}
