// The host around a node that does what the test says. Without these a file range could go out wrong or out of order, a
// file that got shorter could send garbage, a job's outcome could get lost, and a stop could hang.
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/host.h"
#include "codec/metainfo.h"
#include "fake_node.h"

static char root[64];
static struct host *host;

static int setup(void **state)
{
    UNUSED_STATE(state);
    strcpy(root, "/tmp/kith-host-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    fake = (struct fake_hooks){0};
    fake_files_n = 0;
    fake_deadline = NSEC_NEVER;
    return 0;
}

static int teardown(void **state)
{
    UNUSED_STATE(state);
    host_free(host);
    host = NULL;
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void start(struct host_config cfg)
{
    char why[HOST_WHY_MAX];
    cfg.listen = "127.0.0.1";
    assert_int_equal(host_new(&host, &cfg, why), ERR_OK);
}

static uint32_t add_file(const char *path, uint64_t len)
{
    fake_files[fake_files_n] = (struct io_file){.root = slice_str(root), .path = slice_str(path), .len = len};
    return fake_files_n++;
}

static uint8_t content(uint64_t at) { return (uint8_t)(at * 2654435761u >> 13); }

static void make_file(const char *path, uint64_t len)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s/%s", root, path);
    FILE *f = fopen(text, "wb");
    assert_non_null(f);
    for (uint64_t i = 0; i < len; i++)
        (void)putc(content(i), f);
    fclose(f);
}

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

static enum err job_err[16];
static uint32_t job_file[16], jobs_left;

static void on_job(uint32_t id, enum err e, uint32_t file)
{
    job_err[id] = e;
    job_file[id] = file;
    if (--jobs_left == 0)
        host_stop(host);
}

static void run_jobs(struct io_job *jobs, uint32_t n)
{
    jobs_left = n;
    fake.job_done = on_job;
    for (uint32_t i = 0; i < n; i++) {
        jobs[i].store = 1;
        fake_push(NODE_JOB, &(struct node_out){.job = jobs[i]});
    }
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    host_free(host);
    host = NULL;
    start((struct host_config){0});
}

static uint8_t blob[200000], back[200000];

// What a leech and a check do: prepare, write with a pad inside, sync, stat, read, hash. Digests as computed directly.
static void test_jobs(void **state)
{
    UNUSED_STATE(state);
    for (size_t i = 0; i < sizeof blob; i++)
        blob[i] = content(i);
    add_file("t/one", 100000);
    add_file("t/sub/empty", 0);
    add_file("t/pad", 500);
    fake_files[2].skip = true;
    add_file("t/two", 90000);
    fake_files[3].executable = true;
    start((struct host_config){0});
    struct io_job prepare[] = {{.kind = JOB_PREPARE, .id = 1}};
    run_jobs(prepare, 1);
    assert_int_equal(job_err[1], ERR_OK);

    const struct span spans[] = {{blob, 16384}, {blob + 16384, 123616 - 1000}, {blob + 139000, 51500}};
    const struct io_part parts[] = {{0, 0, 100000}, {IO_FILE_ZERO, 0, 500}, {3, 0, 90000}};
    struct io_job write[] = {{.kind = JOB_WRITE, .id = 1, .spans = spans, .spans_n = 3, .parts = parts, .parts_n = 3}};
    run_jobs(write, 1);
    assert_int_equal(job_err[1], ERR_OK);

    struct io_stat stats[4];
    const struct span in[] = {{back, 190500}};
    struct sha1 h[2];
    sha1_init(&h[0]);
    sha1_init(&h[1]);
    uint8_t leaves[2][12][SHA256_LEN];
    struct io_job rest[] = {
        {.kind = JOB_SYNC, .id = 1},
        {.kind = JOB_STAT, .id = 2, .stats = stats},
        {.kind = JOB_READ, .id = 3, .spans = in, .spans_n = 1, .parts = parts, .parts_n = 3},
        {.kind = JOB_READ_HASH, .id = 4, .parts = parts, .parts_n = 3, .sha1 = &h[0], .zeros = 20000, .leaves = leaves[0], .leaves_len = 180000},
        {.kind = JOB_HASH, .id = 5, .spans = spans, .spans_n = 3, .sha1 = &h[1], .leaves = leaves[1], .leaves_len = 190500},
    };
    run_jobs(rest, 5);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(job_err[i], ERR_OK);
    assert_true(stats[0].exists);
    assert_int_equal(stats[0].size, 100000);
    assert_true(stats[1].exists);
    assert_int_equal(stats[1].size, 0);
    assert_false(stats[2].exists);
    assert_int_equal(stats[3].size, 90000);
    uint8_t expect[190500];
    memcpy(expect, blob, 190500);
    memset(expect + 100000, 0, 500);
    assert_memory_equal(back, expect, 190500);
    uint8_t got[SHA1_LEN], want[SHA1_LEN];
    struct sha1 direct;
    static const uint8_t zeros[20000];
    sha1_init(&direct);
    sha1_update(&direct, slice_of(expect, 190500));
    sha1_update(&direct, slice_of(zeros, sizeof zeros));
    sha1_final(&direct, want);
    sha1_final(&h[0], got);
    assert_memory_equal(got, want, SHA1_LEN);
    sha1_of(slice_of(blob, 190500), want);
    sha1_final(&h[1], got);
    assert_memory_equal(got, want, SHA1_LEN);
    for (size_t i = 0; i < 12; i++) {
        uint8_t leaf[SHA256_LEN];
        const size_t n = size_min(BLOCK_LEN, 190500 - i * BLOCK_LEN);
        sha256_of(slice_of(blob + i * BLOCK_LEN, n), leaf);
        assert_memory_equal(leaves[1][i], leaf, SHA256_LEN);
        const size_t cut = i * BLOCK_LEN >= 180000 ? 0 : size_min(BLOCK_LEN, 180000 - i * BLOCK_LEN);
        sha256_of(slice_of(expect + i * BLOCK_LEN, cut), leaf);
        if (cut > 0)
            assert_memory_equal(leaves[0][i], leaf, SHA256_LEN);
    }
}

// Each failure comes back as what it is, with the file it happened to.
static void test_job_failures(void **state)
{
    UNUSED_STATE(state);
    char text[128];
    (void)snprintf(text, sizeof text, "%s/dir", root);
    assert_int_equal(symlink("/tmp", text), 0);
    make_file("short", 10);
    make_file("plain", 10);
    add_file("missing", 100);
    add_file("short", 100);
    add_file("dir/escape", 100);
    add_file("plain/below", 100);
    add_file("x", 100);
    fake_files[4].root = SLICE_LIT("/tmp/kith-no-such-root");
    add_file("full", 100);
    fake_files[5].root = SLICE_LIT("/dev");         // where "full" is no regular file
    start((struct host_config){0});
    const struct span span = {back, 100};
    struct io_part parts[6];
    struct sha1 h;
    sha1_init(&h);
    for (uint32_t i = 0; i < 6; i++)
        parts[i] = (struct io_part){i, 0, 100};
    struct io_job jobs[] = {
        {.kind = JOB_READ_HASH, .id = 1, .parts = &parts[0], .parts_n = 1, .sha1 = &h},
        {.kind = JOB_READ, .id = 2, .spans = &span, .spans_n = 1, .parts = &parts[1], .parts_n = 1},
        {.kind = JOB_WRITE, .id = 3, .spans = &span, .spans_n = 1, .parts = &parts[2], .parts_n = 1},
        {.kind = JOB_WRITE, .id = 4, .spans = &span, .spans_n = 1, .parts = &parts[3], .parts_n = 1},
        {.kind = JOB_WRITE, .id = 5, .spans = &span, .spans_n = 1, .parts = &parts[4], .parts_n = 1},
        {.kind = JOB_WRITE, .id = 6, .spans = &span, .spans_n = 1, .parts = &parts[5], .parts_n = 1},
    };
    run_jobs(jobs, 6);
    assert_int_equal(job_err[1], ERR_NOT_FOUND);
    assert_int_equal(job_err[2], ERR_NOT_FOUND);
    assert_true(job_err[3] == ERR_ACCESS || job_err[3] == ERR_NOT_DIR);
    assert_int_equal(access("/tmp/escape", F_OK), -1);
    assert_int_equal(job_err[4], ERR_NOT_DIR);
    assert_int_equal(job_err[5], ERR_VANISHED);
    assert_int_not_equal(job_err[6], ERR_OK);
    for (uint32_t i = 1; i <= 6; i++)
        assert_int_equal(job_file[i], i - 1);
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

static char saved_key[32], saved_blob[32];
static bool worked;

static enum err save(void *ctx, struct slice key, struct slice value)
{
    (void)ctx;
    memcpy(saved_key, key.p, key.n);
    memcpy(saved_blob, value.p, value.n);
    return ERR_NOSPACE;
}

static void on_saved(uint32_t id, enum err e)
{
    assert_int_equal(id, 9);
    assert_int_equal(e, ERR_NOSPACE);
    assert_string_equal(saved_key, "key");
    assert_string_equal(saved_blob, "blob");
}

static void on_resolved(uint32_t id, enum err e, const struct addr *addrs, uint32_t n)
{
    assert_int_equal(id, 8);
    assert_int_equal(e, ERR_OK);
    assert_int_equal(n, 1);
    assert_true(addr_is_loopback(&addrs[0]));
    host_stop(host);
}

static void work(void *ctx) { *(bool *)ctx = true; }

static void work_done(void *ctx)
{
    assert_true(*(bool *)ctx);
    fake_push(NODE_RESOLVE, &(struct node_out){.id = 8, .bytes = SLICE_LIT("127.0.0.1")});
}

// State is saved on a worker, in order, and its failure reaches the node.
static void test_save_and_names(void **state)
{
    UNUSED_STATE(state);
    fake.saved = on_saved;
    fake.resolved = on_resolved;
    start((struct host_config){.save = save});
    fake_push(NODE_SAVE, &(struct node_out){.id = 9, .key = SLICE_LIT("key"), .bytes = SLICE_LIT("blob")});
    host_drain(host);
    assert_int_equal(host_work(host, work, work_done, &worked), ERR_OK);
    assert_int_equal(host_run(host), ERR_OK);
}

// A web server of one page each: /ok, /redirect, /long, /loop, /missing, /file.
static int web;
static char agent[64];

static void answer(int fd, const char *status, const char *headers, const char *body, size_t n)
{
    char head[512];
    const int k = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n", status, headers, n);
    (void)!write(fd, head, (size_t)k);
    for (size_t at = 0; at < n;) {
        const ssize_t w = send(fd, body + at, n - at, MSG_NOSIGNAL);
        if (w <= 0)
            break;
        at += (size_t)w;
    }
}

static void *serve(void *ctx)
{
    (void)ctx;
    for (;;) {
        char in[2048] = {0};
        const int fd = accept(web, NULL, NULL);
        if (fd < 0)
            return NULL;
        (void)!read(fd, in, sizeof in - 1);
        const char *a = strstr(in, "User-Agent: ");
        if (a != NULL)
            (void)sscanf(a, "User-Agent: %60s", agent);
        if (strncmp(in, "GET /ok", 7) == 0) {
            answer(fd, "200 OK", "", "body", 4);
        } else if (strncmp(in, "GET /redirect", 13) == 0) {
            answer(fd, "302 Found", "Location: /ok\r\n", "away", 4);
        } else if (strncmp(in, "GET /loop", 9) == 0) {
            answer(fd, "302 Found", "Location: /loop\r\n", "", 0);
        } else if (strncmp(in, "GET /file", 9) == 0) {
            answer(fd, "302 Found", "Location: file:///etc/passwd\r\n", "", 0);
        } else if (strncmp(in, "GET /long", 9) == 0) {
            char *big = calloc(1, NODE_FETCH_MAX + 1);
            // No length in front: the limit has to be found while reading.
            (void)!write(fd, "HTTP/1.0 200 OK\r\n\r\n", 19);
            for (size_t at = 0; at <= NODE_FETCH_MAX;) {
                const ssize_t w = send(fd, big, NODE_FETCH_MAX + 1 - at, MSG_NOSIGNAL);
                if (w <= 0)
                    break;
                at += (size_t)w;
            }
            free(big);
        } else {
            answer(fd, "404 Not Found", "", "no", 2);
        }
        close(fd);
    }
}

static enum err fetch_err[8];
static int fetch_status[8];
static size_t fetch_len[8];
static uint32_t fetches_left;

static void on_fetched(uint32_t id, enum err e, int status, struct slice body)
{
    fetch_err[id] = e;
    fetch_status[id] = status;
    fetch_len[id] = body.n;
    if (--fetches_left == 0)
        host_stop(host);
}

static void test_fetch(void **state)
{
    UNUSED_STATE(state);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    web = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(web, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(web, 16), 0);
    assert_int_equal(getsockname(web, (struct sockaddr *)&at, &n), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, serve, NULL);
    static const char *const PATHS[8] = {NULL, "/ok", "/redirect", "/missing", "/loop", "/long", "/file", NULL};
    fake.fetched = on_fetched;
    start((struct host_config){0});
    fetches_left = 7;
    for (uint32_t i = 1; i <= 6; i++) {
        char url[64];
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", ntohs(at.sin_port), PATHS[i]);
        fake_push(NODE_FETCH, &(struct node_out){.id = i, .bytes = slice_str(url), .family = ADDR_IPV4});
    }
    fake_push(NODE_FETCH, &(struct node_out){.id = 7, .bytes = SLICE_LIT("gopher://127.0.0.1/")});
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    shutdown(web, SHUT_RDWR);
    close(web);
    pthread_join(thread, NULL);
    assert_string_equal(agent, "kith/0.1.0");
    assert_int_equal(fetch_err[1], ERR_OK);
    assert_int_equal(fetch_len[1], 4);
    assert_int_equal(fetch_err[2], ERR_OK);
    assert_int_equal(fetch_status[2], 200);
    assert_int_equal(fetch_len[2], 4);
    assert_int_equal(fetch_err[3], ERR_OK);
    assert_int_equal(fetch_status[3], 404);
    assert_int_equal(fetch_err[4], ERR_PROTOCOL);
    assert_int_equal(fetch_err[5], ERR_TOO_LONG);
    assert_int_equal(fetch_err[6], ERR_UNSUPPORTED);
    assert_int_equal(fetch_err[7], ERR_UNSUPPORTED);
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
        T(test_echo), T(test_ranges), T(test_ranges_cold), T(test_ranges_slow_reader), T(test_stalled_readers), T(test_short_file),
        T(test_back_pressure), T(test_jobs), T(test_job_failures), T(test_datagrams), T(test_save_and_names), T(test_fetch),
        T(test_connect_refused), T(test_port_in_use), T(test_signals),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
