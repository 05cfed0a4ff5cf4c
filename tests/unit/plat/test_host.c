// The host's streams and datagrams around a node that does what the test says. Without these a file range could go out
// wrong or out of order, a file that got shorter could send garbage, and a stop could hang.
#include "host_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

static int connect_to(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

// The other end of a stream, on a thread: sends what it has, then reads to the end.
struct peer {
    pthread_t thread;
    uint16_t port;
    const void *say;
    size_t say_n;
    uint8_t *got;
    size_t got_n, cap, pause_each;      // sleeps a little each so many bytes
    bool shut;                          // half-closes after what it says
};

static void *be_peer(void *ctx)
{
    struct peer *p = ctx;
    const int fd = connect_to(p->port);
    for (size_t at = 0; at < p->say_n;) {
        const ssize_t n = send(fd, (const uint8_t *)p->say + at, p->say_n - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (p->shut)
        shutdown(fd, SHUT_WR);
    for (size_t since = 0; p->got_n < p->cap;) {
        const ssize_t n = recv(fd, p->got + p->got_n, p->cap - p->got_n, 0);
        if (n <= 0)
            break;
        p->got_n += (size_t)n;
        since += (size_t)n;
        if (p->pause_each > 0 && since > p->pause_each) {
            since = 0;
            usleep(1000);
        }
    }
    close(fd);
    return NULL;
}

static void start_peer(struct peer *p, size_t cap)
{
    p->port = host_port(host);
    p->cap = cap;
    p->got = malloc(cap);
    assert_non_null(p->got);
    pthread_create(&p->thread, NULL, be_peer, p);
}

static void end_peer(struct peer *p)
{
    pthread_join(p->thread, NULL);
}

static enum err closed_with = ERR_N;
static uint64_t sent_n;

static void echo(uint32_t conn, struct slice data) { fake_bytes(conn, data); }

static void stop_when_closed(uint32_t conn, enum err e)
{
    (void)conn;
    closed_with = e;
    host_stop(host);
}

// Bytes come back as they went, and in order, whatever the sizes of reads and writes.
static void test_echo(void **state)
{
    UNUSED_STATE(state);
    enum { N = 3 << 20 };
    uint8_t *say = malloc(N);
    for (size_t i = 0; i < N; i++)
        say[i] = content(i);
    fake.rx = echo;
    fake.closed = stop_when_closed;
    start((struct host_config){0});
    // One that reads nothing until it has said all would fill the echo's queue: the kernel's and ours hold it.
    struct peer p = {.say = say, .say_n = N, .shut = false};
    start_peer(&p, N);
    (void)host_run(host);
    end_peer(&p);
    assert_int_equal(p.got_n, N);
    assert_memory_equal(p.got, say, N);
    free(say);
    free(p.got);
}

static bool answer_and_close(enum node_port port, uint32_t conn)
{
    assert_int_equal(port, NODE_PORT_PEER);
    fake_bytes(conn, SLICE_LIT("answer"));
    fake_close(conn, true);
    return true;
}

static void *count_segments(void *ctx)
{
    uint32_t *segments = ctx;
    char text[16];
    size_t got = 0;
    const int fd = connect_to(host_port(host));
    for (ssize_t n = 1; n > 0; got += n > 0 ? (size_t)n : 0)
        n = recv(fd, text + got, sizeof text - got, 0);
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (got == 6 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        *segments = info.tcpi_segs_in;
    close(fd);
    return NULL;
}

static void stop_soon(void *ctx) { (void)ctx; host_stop(host); }

// A short answer and the end of the stream are one packet: a fifth of what an announce over HTTP costs the tracker.
static void test_end_goes_with_the_last_bytes(void **state)
{
    UNUSED_STATE(state);
    uint32_t segments = 0;
    pthread_t client;
    fake.accept = answer_and_close;
    start((struct host_config){.tick = stop_soon});
    assert_int_equal(pthread_create(&client, NULL, count_segments, &segments), 0);
    assert_int_equal(host_run(host), ERR_OK);
    pthread_join(client, NULL);
    assert_int_equal(segments, 2);      // with the one that accepts
}

static struct io_seg file_seg(uint32_t file, uint64_t off, uint64_t len)
{
    return (struct io_seg){.kind = SEG_FILE, .store = 1, .file = file, .off = off, .len = len};
}

static struct io_seg byte_seg(const char *text) { return (struct io_seg){.kind = SEG_BYTES, .bytes = slice_str(text)}; }

static void count_sent(uint32_t conn, uint64_t len)
{
    (void)conn;
    sent_n += len;
}

static uint32_t the_conn;

static bool send_mixture(enum node_port port, uint32_t conn)
{
    assert_int_equal(port, NODE_PORT_PEER);
    the_conn = conn;
    struct io_seg segs[] = {
        byte_seg("head"), file_seg(0, 5, 100000), byte_seg("-"), byte_seg("+"), file_seg(0, 100005, 16384), byte_seg("x"),
        file_seg(IO_FILE_ZERO, 0, 40000), file_seg(1, 0, 1), file_seg(1, 7, 300000), file_seg(0, 0, 0), file_seg(0, 3, 3), byte_seg("end"),
    };
    fake_push(NODE_SEND, &(struct node_out){.conn = conn, .segs = segs, .segs_n = ARRAY_LEN(segs)});
    struct io_seg many[IO_SEGS_MAX];
    for (uint32_t i = 0; i < IO_SEGS_MAX; i++)
        many[i] = i % 2 == 0 ? byte_seg("thirteenbytes") : file_seg(0, (uint64_t)(i / 2) * 16384 % 983040, 16384);
    fake_push(NODE_SEND, &(struct node_out){.conn = conn, .segs = many, .segs_n = IO_SEGS_MAX});
    return true;
}

static size_t expect_text(const uint8_t *p, const char *text)
{
    assert_memory_equal(p, text, strlen(text));
    return strlen(text);
}

static size_t expect_content(const uint8_t *p, uint64_t off, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) {
        if (p[i] != content(off + i))
            fail_msg("byte %u of the range at %u", (unsigned)i, (unsigned)off);
    }
    return (size_t)len;
}

static void expect_mixture(const struct peer *p)
{
    const uint8_t *g = p->got;
    assert_int_equal(p->got_n, sent_n);
    g += expect_text(g, "head");
    g += expect_content(g, 5, 100000);
    g += expect_text(g, "-+");
    g += expect_content(g, 100005, 16384);
    g += expect_text(g, "x");
    for (int i = 0; i < 40000; i++)
        assert_int_equal(*g++, 0);
    g += expect_content(g, 0, 1);
    g += expect_content(g, 7, 300000);
    g += expect_content(g, 3, 3);
    g += expect_text(g, "end");
    for (uint32_t i = 0; i < IO_SEGS_MAX / 2; i++) {
        g += expect_text(g, "thirteenbytes");
        g += expect_content(g, (uint64_t)i * 16384 % 983040, 16384);
    }
    assert_int_equal(g - p->got, p->got_n);
}

static bool mixture_then_close(enum node_port port, uint32_t conn)
{
    (void)send_mixture(port, conn);
    fake_close(conn, true);
    return true;
}

static void stop_when_all_sent(void)
{
    if (fake_queued() == 0)
        host_stop(host);
}

static void tick_stop(void *ctx)
{
    (void)ctx;
    stop_when_all_sent();
}

static void drop_caches(const char *path)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s/%s", root, path);
    const int fd = open(text, O_RDONLY);
    (void)fsync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

// File ranges, headers and zeros arrive byte-exact and in order: warm, cold, and through a slow reader that makes every
// send a partial one. A close that flushes comes after all of it.
static void run_mixture(bool cold, size_t pause_each)
{
    make_file("a", 1 << 20);
    make_file("b", 400000);
    add_file("a", 1 << 20);
    add_file("b", 400000);
    if (cold) {
        drop_caches("a");
        drop_caches("b");
    }
    sent_n = 0;
    fake.accept = mixture_then_close;
    fake.sent = count_sent;
    start((struct host_config){.tick = tick_stop});
    struct peer p = {.pause_each = pause_each};
    start_peer(&p, 4 << 20);
    (void)host_run(host);
    end_peer(&p);
    sent_n = p.got_n;
    expect_mixture(&p);
    free(p.got);
}

static void test_ranges(void **state)
{
    UNUSED_STATE(state);
    run_mixture(false, 0);
}

static void test_ranges_cold(void **state)
{
    UNUSED_STATE(state);
    run_mixture(true, 0);
    struct host_stats s;
    host_stats(host, &s);
    assert_true(s.reads_cold > 0);
}

static void test_ranges_slow_reader(void **state)
{
    UNUSED_STATE(state);
    run_mixture(false, 20000);
}

// More readers that never read than there are scratches: one that does read still gets everything.
static void test_stalled_readers(void **state)
{
    UNUSED_STATE(state);
    enum { STALLED = 48 };
    make_file("a", 1 << 20);
    make_file("b", 400000);
    add_file("a", 1 << 20);
    add_file("b", 400000);
    fake.accept = send_mixture;
    fake.closed = stop_when_closed;
    start((struct host_config){0});
    int idle[STALLED];
    for (int i = 0; i < STALLED; i++) {
        const int small = 4096;
        idle[i] = socket(AF_INET, SOCK_STREAM, 0);
        (void)setsockopt(idle[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(host_port(host)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(connect(idle[i], (const struct sockaddr *)&to, sizeof to), 0);
    }
    struct peer p = {0};
    // The mixture is 100000 + 16384 + 40000 + 1 + 300000 + 3 bytes of files and zeros, 10 of text, and 68 * (13 + 16384) bytes.
    const size_t whole = 456398 + 68 * (13 + 16384);
    start_peer(&p, whole);
    (void)host_run(host);
    end_peer(&p);
    assert_int_equal(p.got_n, whole);
    sent_n = whole;
    expect_mixture(&p);
    for (int i = 0; i < STALLED; i++)
        close(idle[i]);
    free(p.got);
}

static uint32_t failed_file = UINT32_MAX;
static enum err failed_with;

static void on_read_failed(uint32_t store, uint32_t file, enum err e)
{
    assert_int_equal(store, 1);
    failed_file = file;
    failed_with = e;
    host_stop(host);
}

static bool send_beyond(enum node_port port, uint32_t conn)
{
    (void)port;
    const struct io_seg segs[] = {byte_seg("head"), file_seg(0, 900000, 200000)};
    fake_push(NODE_SEND, &(struct node_out){.conn = conn, .segs = segs, .segs_n = 2});
    return true;
}

static void note_closed(uint32_t conn, enum err e)
{
    (void)conn;
    closed_with = e;
}

// Somebody cut the file: the peer is closed, and the node hears which file it was.
static void test_short_file(void **state)
{
    UNUSED_STATE(state);
    make_file("a", 1000000);
    add_file("a", 1100000);
    closed_with = ERR_N;
    fake.accept = send_beyond;
    fake.read_failed = on_read_failed;
    fake.closed = note_closed;
    start((struct host_config){0});
    struct peer p = {0};
    start_peer(&p, 1 << 20);
    assert_int_equal(host_run(host), ERR_OK);
    end_peer(&p);
    assert_int_equal(failed_file, 0);
    assert_int_equal(failed_with, ERR_NOT_FOUND);
    assert_int_equal(closed_with, ERR_CANCELLED);
    assert_true(p.got_n >= 4);
    (void)expect_content(p.got + 4, 900000, p.got_n - 4);
    free(p.got);
}

// A room of none pauses the reading until NODE_RESUME.
static bool room_open;
static uint8_t room_bytes[1000];
static size_t room_got;
static nsec opened_at;

static void narrow_room(uint32_t conn, struct node_room *out)
{
    the_conn = conn;
    *out = (struct node_room){0};
    if (room_open)
        *out = (struct node_room){.spans = {{room_bytes, 3}, {room_bytes + 3, 500}}, .spans_n = 2};
    else if (fake_deadline == NSEC_NEVER)
        fake_deadline = host_now(host) + 20 * NSEC_MS;
}

static void open_room(void)
{
    room_open = true;
    opened_at = host_now(host);
    fake_push(NODE_RESUME, &(struct node_out){.conn = the_conn});
}

static void count_room(uint32_t conn, size_t len)
{
    (void)conn;
    assert_true(room_open);
    room_got += len;
}

static void test_back_pressure(void **state)
{
    UNUSED_STATE(state);
    room_open = false;
    room_got = 0;
    fake.rx_room = narrow_room;
    fake.rx_len = count_room;
    fake.tick = open_room;
    fake.closed = stop_when_closed;
    start((struct host_config){0});
    static const uint8_t say[5000];
    struct peer p = {.say = say, .say_n = sizeof say, .shut = true};
    start_peer(&p, 100);
    assert_int_equal(host_run(host), ERR_OK);
    assert_int_equal(room_got, 5000);
    assert_int_equal(closed_with, ERR_CLOSED);
    host_free(host);
    host = NULL;
    end_peer(&p);
    free(p.got);
}

static uint32_t datagrams;

static void on_datagram(enum node_port port, const struct addr *from, struct slice data)
{
    assert_int_equal(port, NODE_PORT_TRACKER);
    datagrams++;
    if (slice_eq_str(data, "stop"))
        host_stop(host);
    else
        fake_push(NODE_DGRAM, &(struct node_out){.port = port, .addr = *from, .bytes = data});
}

static void test_datagrams(void **state)
{
    UNUSED_STATE(state);
    fake.datagram = on_datagram;
    start((struct host_config){.tracker_any_port = true, .peer_closed = true});
    assert_int_equal(host_port(host), 0);
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(host_tracker_udp_port(host)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(send(fd, &i, sizeof i, 0), sizeof i);
    assert_int_equal(send(fd, "stop", 4, 0), 4);
    assert_int_equal(host_run(host), ERR_OK);
    assert_int_equal(datagrams, 51);
    for (int i = 0; i < 50; i++) {
        int got = -1;
        assert_int_equal(recv(fd, &got, sizeof got, MSG_DONTWAIT), sizeof got);
        assert_int_equal(got, i);
    }
    close(fd);
}

static enum err connect_err = ERR_N;

static void on_connected(uint32_t conn, enum err e)
{
    assert_int_equal(conn, 5);
    connect_err = e;
    host_stop(host);
}

static void test_connect_refused(void **state)
{
    UNUSED_STATE(state);
    fake.connected = on_connected;
    start((struct host_config){0});
    // Port 1 of loopback: nobody.
    fake_push(NODE_CONNECT, &(struct node_out){.conn = 5, .addr = addr_ipv4((const uint8_t[4]){127, 0, 0, 1}, 1)});
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    assert_int_equal(connect_err, ERR_REFUSED);
}

// A port in use is said so; a range finds the next one.
static void test_port_in_use(void **state)
{
    UNUSED_STATE(state);
    start((struct host_config){0});
    struct host *second = NULL;
    char why[HOST_WHY_MAX];
    const uint16_t port = host_port(host);
    struct host_config cfg = {.listen = "127.0.0.1", .port = port};
    assert_int_equal(host_new(&second, &cfg, why), ERR_EXISTS);
    assert_non_null(strstr(why, "in use by another program"));
    cfg.port_last = (uint16_t)(port + 20);
    assert_int_equal(host_new(&second, &cfg, why), ERR_OK);
    assert_true(host_port(second) > port);
    host_free(second);
    cfg = (struct host_config){.listen = "192.0.2.1"};
    assert_int_equal(host_new(&second, &cfg, why), ERR_UNREACHABLE);
    cfg.listen = "example";
    assert_int_equal(host_new(&second, &cfg, why), ERR_SYNTAX);
}

static int stops;

static void never_stopped(void)
{
    stops++;
    (void)raise(SIGTERM);               // the second one
}

// The first signal asks the node to stop, the second does not wait for it.
static void test_signals(void **state)
{
    UNUSED_STATE(state);
    fake.stop = never_stopped;
    start((struct host_config){0});
    (void)raise(SIGINT);
    assert_int_equal(host_run(host), ERR_CANCELLED);
    assert_int_equal(stops, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_echo), T(test_end_goes_with_the_last_bytes), T(test_ranges), T(test_ranges_cold), T(test_ranges_slow_reader), T(test_stalled_readers), T(test_short_file),
        T(test_back_pressure), T(test_datagrams), T(test_connect_refused), T(test_port_in_use), T(test_signals),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
