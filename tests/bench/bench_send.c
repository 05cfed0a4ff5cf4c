// What does a GiB of blocks over loopback TCP cost, by the way of sending? The receiver reads as a leech does:
// {13-byte header, aligned 16 KiB slot} pairs. One process each, CPU by getrusage, system calls counted by hand.
//
//   cc -O2 -D_GNU_SOURCE -o bench_send tests/bench/bench_send.c && ./bench_send FILE [MODE[:KIB]]...
//
// FILE: 1 GiB is made if it is missing. Modes: sendfile, read (preadv2 + sendmsg), splice (pipe), map (mmap + sendmsg),
// zero (mmap + MSG_ZEROCOPY), mem (sendmsg of the same memory: the floor). LOWAT=bytes sets SO_RCVLOWAT of the receiver.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 13, BLOCK = 16384, SLOTS = 8, IOVS = 256 };

static uint64_t total = (uint64_t)1 << 30;
static uint64_t calls;
static size_t chunk = 256 * 1024;
static uint8_t headers[64][HEADER];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void *pages(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    memset(p, 1, n);
    return p;
}

static void wait_for(int fd, short what)
{
    struct pollfd p = {.fd = fd, .events = what};
    calls++;
    poll(&p, 1, -1);
}

// Sends all of iov, waiting where the socket is full.
static void send_all(int fd, struct iovec *iov, int n, int flags)
{
    while (n > 0) {
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        calls++;
        ssize_t k = sendmsg(fd, &m, MSG_NOSIGNAL | flags);
        if (k < 0 && errno == EAGAIN) {
            wait_for(fd, POLLOUT);
            continue;
        }
        if (k < 0)
            die("sendmsg");
        while (n > 0 && (size_t)k >= iov->iov_len) {
            k -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + k;
            iov->iov_len -= (size_t)k;
        }
    }
}

static int interleave(struct iovec *iov, uint8_t *data, size_t n)
{
    int k = 0;
    for (size_t at = 0; at < n; at += BLOCK) {
        iov[k++] = (struct iovec){headers[at / BLOCK % 64], HEADER};
        iov[k++] = (struct iovec){data + at, BLOCK};
    }
    return k;
}

static void by_read(int file, int sock, bool load)
{
    uint8_t *scratch = pages(chunk);
    struct iovec iov[IOVS];
    for (uint64_t off = 0; off < total; off += chunk) {
        struct iovec one = {scratch, chunk};
        if (load) {
            calls++;
            if (preadv2(file, &one, 1, (off_t)off, RWF_NOWAIT) != (ssize_t)chunk)
                die("cold");
        }
        send_all(sock, iov, interleave(iov, scratch, chunk), 0);
    }
}

static void by_sendfile(int file, int sock)
{
    off_t off = 0;
    while ((uint64_t)off < total) {
        struct iovec h = {headers[0], HEADER};
        send_all(sock, &h, 1, MSG_MORE);
        for (size_t left = BLOCK; left > 0;) {
            calls++;
            ssize_t k = sendfile(sock, file, &off, left);
            if (k < 0 && errno == EAGAIN)
                wait_for(sock, POLLOUT);
            else if (k <= 0)
                die("sendfile");
            else
                left -= (size_t)k;
        }
    }
}

static void by_splice(int file, int sock)
{
    int p[2];
    if (pipe2(p, 0) != 0 || fcntl(p[1], F_SETPIPE_SZ, 1 << 20) < 0)
        die("pipe");
    off_t off = 0;
    while ((uint64_t)off < total) {
        size_t queued = 0;
        for (size_t at = 0; at < chunk; at += BLOCK) {
            calls += 2;
            struct iovec h = {headers[at / BLOCK % 64], HEADER};
            if (vmsplice(p[1], &h, 1, 0) != HEADER)
                die("vmsplice");
            ssize_t k = splice(file, &off, p[1], NULL, BLOCK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (k != BLOCK)
                die("splice in");
            queued += HEADER + BLOCK;
        }
        while (queued > 0) {
            calls++;
            ssize_t k = splice(p[0], NULL, sock, NULL, queued, SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE);
            if (k < 0 && errno == EAGAIN)
                wait_for(sock, POLLOUT);
            else if (k <= 0)
                die("splice out");
            else
                queued -= (size_t)k;
        }
    }
}

static void by_map(int file, int sock, int flags)
{
    uint8_t *m = mmap(NULL, total, PROT_READ, MAP_SHARED, file, 0);
    int one = 1;
    if (m == MAP_FAILED || (flags != 0 && setsockopt(sock, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) != 0))
        die("map");
    struct iovec iov[IOVS];
    for (uint64_t off = 0; off < total; off += chunk) {
        send_all(sock, iov, interleave(iov, m + off, chunk), flags);
        if (flags != 0) {
            char control[128];
            struct msghdr note = {.msg_control = control, .msg_controllen = sizeof control};
            calls++;
            (void)recvmsg(sock, &note, MSG_ERRQUEUE | MSG_DONTWAIT);
        }
    }
    munmap(m, total);
}

// {rest of a slot or header} then pairs, as node_rx_room gives them; waits by poll as a loop does.
static void receive(int sock, int lowat)
{
    uint8_t *slots = pages((size_t)SLOTS * BLOCK);
    uint8_t head[SLOTS][HEADER];
    enum { ROUND = SLOTS * (HEADER + BLOCK) };
    if (lowat > 0)
        setsockopt(sock, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat);
    uint64_t want = total / BLOCK * (BLOCK + HEADER);
    size_t at = 0;
    while (want > 0) {
        struct iovec iov[2 * SLOTS];
        int n = 0;
        size_t skip = at, asked = 0;
        for (int i = 0; i < 2 * SLOTS; i++) {
            uint8_t *p = i % 2 == 0 ? head[i / 2] : slots + (size_t)(i / 2) * BLOCK;
            size_t len = i % 2 == 0 ? HEADER : BLOCK;
            size_t cut = skip < len ? skip : len;
            skip -= cut;
            if (cut < len) {
                iov[n++] = (struct iovec){p + cut, len - cut};
                asked += len - cut;
            }
        }
        calls++;
        ssize_t k = readv(sock, iov, n);
        if (k < 0 && errno == EAGAIN) {
            wait_for(sock, POLLIN);
            continue;
        }
        if (k <= 0)
            die("readv");
        want -= (uint64_t)k;
        at = (at + (size_t)k) % ROUND;
        if ((size_t)k < asked && want > 0)
            wait_for(sock, POLLIN);
    }
}

static void run(const char *mode, int file, int lowat)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t an = sizeof a;
    if (bind(l, (struct sockaddr *)&a, an) != 0 || listen(l, 1) != 0 || getsockname(l, (struct sockaddr *)&a, &an) != 0)
        die("listen");
    int low = 128 * 1024, one = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof low);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    if (connect(s, (struct sockaddr *)&a, an) != 0)
        die("connect");
    int r = accept(l, NULL, NULL), back[2];
    fcntl(s, F_SETFL, O_NONBLOCK);
    fcntl(r, F_SETFL, O_NONBLOCK);
    if (pipe(back) != 0)
        die("pipe");
    calls = 0;
    pid_t pid = fork();
    if (pid == 0) {
        close(s);
        double c0 = cpu();
        receive(r, lowat);
        double out[2] = {cpu() - c0, (double)calls};
        exit(write(back[1], out, sizeof out) < 0);
    }
    close(r);
    double t0 = seconds(), c0 = cpu(), got[2] = {0};
    if (strcmp(mode, "sendfile") == 0)
        by_sendfile(file, s);
    else if (strcmp(mode, "splice") == 0)
        by_splice(file, s);
    else if (strcmp(mode, "map") == 0)
        by_map(file, s, 0);
    else if (strcmp(mode, "zero") == 0)
        by_map(file, s, MSG_ZEROCOPY);
    else
        by_read(file, s, strcmp(mode, "mem") != 0);
    double c1 = cpu();
    if (read(back[0], got, sizeof got) < 0)
        die("back");
    double t1 = seconds(), gib = (double)total / (1 << 30), mib = gib * 1024;
    waitpid(pid, NULL, 0);
    printf("%-9s %5zu KiB  wall %.2f s/GiB  CPU/GiB sender %.3f receiver %.3f both %.3f  calls/MiB %.1f %.1f\n", mode, chunk >> 10,
        (t1 - t0) / gib, (c1 - c0) / gib, got[0] / gib, (c1 - c0 + got[0]) / gib, (double)calls / mib, got[1] / mib);
    fflush(stdout);
    close(s), close(l), close(back[0]), close(back[1]);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    int file = open(argv[1], O_RDWR | O_CREAT, 0600);
    struct stat st;
    if (file < 0 || fstat(file, &st) != 0)
        die(argv[1]);
    uint8_t *b = pages(1 << 20);
    for (uint64_t at = 0; at < total; at += 1 << 20) {
        ssize_t k = (uint64_t)st.st_size < total ? pwrite(file, b, 1 << 20, (off_t)at) : pread(file, b, 1 << 20, (off_t)at);
        if (k != 1 << 20)
            die("file");
    }
    const char *lowat = getenv("LOWAT");
    for (int i = 2; i < argc; i++) {
        char mode[32] = {0};
        unsigned kib = 256;
        if (sscanf(argv[i], "%31[a-z]:%u", mode, &kib) < 1)
            return 2;
        chunk = (size_t)kib * 1024;
        run(mode, file, lowat != NULL ? atoi(lowat) : 0);
    }
    return 0;
}
