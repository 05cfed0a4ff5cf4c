// The operating system behind plat.h. Without these a torrent could write outside of its folder, descriptors could run
// out, a datagram batch could mix up senders, and a worker's completion could get lost.
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "plat/gateway.h"
#include "plat/plat.h"

static char root[64];

static struct file_name name_of(const char *path) { return (struct file_name){slice_str(root), slice_str(path)}; }

static int make_root(void **state)
{
    UNUSED_STATE(state);
    strcpy(root, "/tmp/kith-plat-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int drop_root(void **state)
{
    UNUSED_STATE(state);
    file_walk_steps(false);
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static enum err open_close(const char *path, enum file_mode mode)
{
    const struct file_name name = name_of(path);
    int fd = -1;
    const enum err e = file_open(&name, mode, &fd);
    if (e == ERR_OK)
        close(fd);
    return e;
}

static char *below(const char *path)
{
    static char text[256];
    (void)snprintf(text, sizeof text, "%s/%s", root, path);
    return text;
}

// No path leaves the root: not by its text, not by a link at its end or in its middle.
static void check_confinement(void)
{
    assert_int_equal(open_close("a/b/file", FILE_WRITE), ERR_OK);
    assert_int_equal(open_close("a/b/file", FILE_READ), ERR_OK);
    static const char *const BAD[] = {"", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a/b/../file", "."};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        assert_int_equal(open_close(BAD[i], FILE_READ), ERR_ACCESS);
        assert_int_equal(open_close(BAD[i], FILE_WRITE), ERR_ACCESS);
    }
    const struct file_name nul = {slice_str(root), SLICE_LIT("a\0b")};
    int fd = -1;
    assert_int_equal(file_open(&nul, FILE_WRITE, &fd), ERR_ACCESS);

    assert_int_equal(symlink("/etc", below("out")), 0);
    assert_int_equal(symlink("b", below("a/inside")), 0);
    assert_int_equal(symlink("/etc/passwd", below("a/leaf")), 0);
    assert_int_not_equal(open_close("out/passwd", FILE_READ), ERR_OK);
    assert_int_not_equal(open_close("out/kith-test", FILE_WRITE), ERR_OK);
    assert_int_not_equal(open_close("out/new/kith-test", FILE_WRITE), ERR_OK);
    assert_int_not_equal(open_close("a/inside/file", FILE_READ), ERR_OK);
    assert_int_not_equal(open_close("a/inside/x/y", FILE_WRITE), ERR_OK);
    assert_int_equal(open_close("a/leaf", FILE_READ), ERR_LINK);
    assert_int_equal(open_close("a/leaf", FILE_WRITE), ERR_LINK);
    assert_int_equal(access("/etc/kith-test", F_OK), -1);
    assert_int_equal(access("/etc/new", F_OK), -1);

    assert_int_equal(open_close("missing", FILE_READ), ERR_NOT_FOUND);
    assert_int_equal(open_close("a/b/file/x", FILE_WRITE), ERR_NOT_DIR);
    assert_int_equal(mkfifo(below("fifo"), 0600), 0);
    assert_int_equal(open_close("fifo", FILE_READ), ERR_ACCESS);
    assert_int_not_equal(open_close("a", FILE_READ), ERR_OK);
    assert_int_equal(open_close("a", FILE_WRITE), ERR_IS_DIR);
    const struct file_name gone = {SLICE_LIT("/tmp/kith-no-such-root"), SLICE_LIT("x")};
    assert_int_equal(file_open(&gone, FILE_WRITE, &fd), ERR_VANISHED);
    assert_int_equal(access("/tmp/kith-no-such-root", F_OK), -1);
}

static void test_confinement(void **state)
{
    UNUSED_STATE(state);
    check_confinement();
}

// The same where the kernel or a sandbox has no openat2.
static void test_confinement_steps(void **state)
{
    UNUSED_STATE(state);
    file_walk_steps(true);
    check_confinement();
}

// Links of a torrent point, relatively, to what the torrent names; an existing file is never replaced by one.
static void test_links(void **state)
{
    UNUSED_STATE(state);
    char text[256];
    struct file_name name = name_of("t/a/link");
    assert_int_equal(file_link(&name, SLICE_LIT("t/b/c")), ERR_OK);
    ssize_t n = readlink(below("t/a/link"), text, sizeof text - 1);
    assert_int_equal(n, 6);
    assert_memory_equal(text, "../b/c", 6);
    assert_int_equal(file_link(&name, SLICE_LIT("t/a/d")), ERR_OK);
    n = readlink(below("t/a/link"), text, sizeof text - 1);
    assert_int_equal(n, 1);
    assert_int_equal(file_link(&name, SLICE_LIT("../x")), ERR_ACCESS);
    assert_int_equal(open_close("t/file", FILE_WRITE), ERR_OK);
    name = name_of("t/file");
    assert_int_equal(file_link(&name, SLICE_LIT("t/b/c")), ERR_EXISTS);
    struct file_stat st;
    assert_int_equal(file_stat_of(&name, &st), ERR_OK);
    assert_true(st.is_file);
    name = name_of("t/a/link");
    assert_int_equal(file_stat_of(&name, &st), ERR_OK);
    assert_false(st.is_file);
}

static void test_read_write(void **state)
{
    UNUSED_STATE(state);
    const struct file_name name = name_of("d/data");
    int fd = -1;
    assert_int_equal(file_open(&name, FILE_WRITE_EXECUTABLE, &fd), ERR_OK);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_mode & S_IXUSR);
    assert_int_equal(file_reserve(fd, 1 << 20), ERR_OK);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 0);                // KEEP_SIZE
    char a[] = "hello ", b[] = "world";
    struct iovec iov[2] = {{a, 6}, {b, 5}};
    assert_int_equal(file_write_all(fd, iov, 2, 3), ERR_OK);
    char out[16] = {0};
    struct iovec in = {out, 11};
    assert_int_equal(file_read_all(fd, &in, 1, 3), ERR_OK);
    assert_string_equal(out, "hello world");
    in = (struct iovec){out, 12};
    assert_int_equal(file_read_all(fd, &in, 1, 3), ERR_NOT_FOUND);      // one byte short
    assert_int_equal(file_read_warm(fd, (struct span){(uint8_t *)out, 12}, 3), 11);
    assert_int_equal(file_sync_parent(&name), ERR_OK);
    close(fd);
}

// However many files a torrent has, only so many are open; the one used last stays.
static void test_descriptor_cache(void **state)
{
    UNUSED_STATE(state);
    enum { FILES = 40, MAX = 8 };
    struct files *files = NULL;
    assert_int_equal(files_new(&files, MAX), ERR_OK);
    struct file *f = NULL;
    for (uint64_t i = 0; i < FILES; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "f/%d", (int)i);
        const struct file_name name = name_of(path);
        assert_int_equal(files_open(files, i, &name, FILE_WRITE, &f), ERR_OK);
        files_put(files, f);
        assert_true(files_open_n(files) <= MAX);
        f = files_find(files, 0, true);             // 0 is used all the time
        assert_non_null(f);
        files_put(files, f);
    }
    assert_null(files_find(files, 1, false));
    assert_int_equal(files_open_n(files), MAX);

    // With all of them in use more can be opened, but are not kept.
    struct file *held[MAX + 2];
    for (uint64_t i = 0; i < MAX + 2; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "f/%d", (int)i);
        const struct file_name name = name_of(path);
        assert_int_equal(files_open(files, 100 + i, &name, FILE_READ, &held[i]), ERR_OK);
    }
    assert_int_equal(files_open_n(files), MAX + 2);
    for (uint64_t i = 0; i < MAX + 2; i++)
        files_put(files, held[i]);
    assert_int_equal(files_open_n(files), MAX);

    // A file open for reading is opened again for writing.
    assert_null(files_find(files, 100, true));
    const struct file_name zero = name_of("f/0");
    assert_int_equal(files_open(files, 100, &zero, FILE_WRITE, &f), ERR_OK);
    files_put(files, f);
    f = files_find(files, 100, true);
    files_forget(files, 0, UINT64_MAX);             // closed when it is given back
    assert_int_equal(files_open_n(files), 1);
    files_put(files, f);
    assert_int_equal(files_open_n(files), 0);
    files_free(files);
}

static void test_errno_table(void **state)
{
    UNUSED_STATE(state);
    assert_int_equal(err_of_errno(ENOSPC), ERR_NOSPACE);
    assert_int_equal(err_of_errno(EDQUOT), ERR_NOSPACE);
    assert_int_equal(err_of_errno(EROFS), ERR_READONLY);
    assert_int_equal(err_of_errno(ENOENT), ERR_NOT_FOUND);
    assert_int_equal(err_of_errno(EIO), ERR_IO);
    assert_int_equal(err_of_errno(ENOTDIR), ERR_NOT_DIR);
    assert_int_equal(err_of_errno(EADDRINUSE), ERR_EXISTS);
    assert_int_equal(err_of_errno(ECONNREFUSED), ERR_REFUSED);
    assert_int_equal(err_of_errno(12345), ERR_IO);
    // A real full device.
    int fd = open("/dev/full", O_WRONLY);
    if (fd >= 0) {
        char byte = 1;
        struct iovec iov = {&byte, 1};
        assert_int_equal(file_write_all(fd, &iov, 1, 0), ERR_NOSPACE);
        close(fd);
    }
}

// 100 datagrams, more than three batches, arrive whole, in order and with their sender.
static void test_udp_batches(void **state)
{
    UNUSED_STATE(state);
    const struct addr any = addr_ipv4((const uint8_t[4]){127, 0, 0, 1}, 0);
    struct addr a_addr, b_addr;
    struct udp *a = NULL, *b = NULL;
    int fd = -1;
    assert_int_equal(net_udp(&any, NULL, &fd, &a_addr), ERR_OK);
    assert_int_equal(udp_new(&a, fd, false), ERR_OK);
    assert_int_equal(net_udp(&any, NULL, &fd, &b_addr), ERR_OK);
    assert_int_equal(udp_new(&b, fd, false), ERR_OK);
    static uint8_t data[UDP_LEN_MAX + 1];
    for (uint32_t i = 0; i < 100; i++) {
        data[0] = (uint8_t)i;
        udp_queue(a, &b_addr, slice_of(data, 1 + i * 20), 0);
    }
    udp_queue(a, &b_addr, slice_of(data, sizeof data), 0);         // too long: dropped
    udp_flush(a);
    assert_int_equal(udp_stats(a).tx, 100);
    assert_int_equal(udp_stats(a).tx_calls, 4);
    assert_int_equal(udp_stats(a).tx_dropped, 1);
    struct udp_datagram in[UDP_BATCH];
    uint32_t next = 0;
    bool more = false;
    for (uint32_t n = udp_receive(b, in, &more); n > 0; n = udp_receive(b, in, &more)) {
        for (uint32_t i = 0; i < n; i++, next++) {
            assert_int_equal(in[i].data.n, 1 + next * 20);
            assert_int_equal(in[i].data.p[0], next);
            assert_true(addr_eq(&in[i].from, &a_addr));
        }
    }
    assert_int_equal(next, 100);
    // A port that nobody has any more: the ICMP answer does not stop the next datagram.
    udp_free(b);
    for (int i = 0; i < 4; i++) {
        udp_queue(a, &b_addr, slice_of(data, 1), 0);
        udp_queue(a, &a_addr, slice_of(data, 1), 0);
        udp_flush(a);
    }
    uint32_t got = 0;
    for (int i = 0; i < 8; i++)
        got += udp_receive(a, in, &more);
    assert_true(got >= 3);
    udp_free(a);
}

// Without this a machine with several addresses answers from the first of them, whichever was asked: to uTP, trackers' clients and DHT
// nodes that is an answer from nobody they know. BEP 15, 29, 45.
static void test_udp_answers_from_where_it_was_asked(void **state)
{
    UNUSED_STATE(state);
    const struct addr home = addr_ipv4((const uint8_t[4]){127, 0, 0, 1}, 0), all = addr_ipv4((const uint8_t[4]){0, 0, 0, 0}, 0);
    static uint8_t train[3 * 1200];
    struct addr a_addr, b_addr;
    struct udp *a = NULL, *b = NULL;
    struct udp_datagram in[UDP_BATCH];
    bool more = false;
    int fd = -1;
    assert_int_equal(net_udp(&home, NULL, &fd, &a_addr), ERR_OK);
    assert_int_equal(udp_new(&a, fd, false), ERR_OK);
    assert_int_equal(net_udp(&all, NULL, &fd, &b_addr), ERR_OK);
    assert_int_equal(udp_new(&b, fd, true), ERR_OK);
    for (uint8_t host = 5; host <= 7; host++) {
        const struct addr to = addr_ipv4((const uint8_t[4]){127, 0, 0, host}, b_addr.port);
        udp_queue(a, &to, SLICE_LIT("who is there?"), 0);
        udp_flush(a);
        assert_int_equal(udp_receive(b, in, &more), 1);
        assert_true(addr_eq(&in[0].from, &a_addr));
        udp_queue(b, &a_addr, SLICE_LIT("I am"), 0);
        udp_flush(b);
        udp_queue(b, &a_addr, slice_of(train, sizeof train), 1200);
        udp_flush(b);
        uint32_t n = 0;
        for (uint32_t got = udp_receive(a, in, &more); got > 0; got = udp_receive(a, in, &more))
            for (uint32_t i = 0; i < got; i++, n++)
                assert_true(addr_eq(&in[i].from, &to));
        assert_int_equal(n, 4);
    }
    udp_free(a);
    udp_free(b);
}

// Without this a train arrives as one datagram, or not at all where the kernel knows no trains.
static void test_udp_trains(void **state)
{
    UNUSED_STATE(state);
    const struct addr any = addr_ipv4((const uint8_t[4]){127, 0, 0, 1}, 0);
    static uint8_t data[44 * 1400 + 100];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 1400);
    for (int receiver = 0; receiver < 2; receiver++) {
        struct addr a_addr, b_addr;
        struct udp *a = NULL, *b = NULL;
        int fd = -1;
        assert_int_equal(net_udp(&any, NULL, &fd, &a_addr), ERR_OK);
        assert_int_equal(udp_new(&a, fd, true), ERR_OK);
        assert_int_equal(net_udp(&any, NULL, &fd, &b_addr), ERR_OK);
        assert_int_equal(udp_new(&b, fd, receiver == 1), ERR_OK);
        udp_queue(a, &b_addr, slice_of("x", 1), 0);
        udp_queue(a, &b_addr, slice_of(data, sizeof data), 1400);
        udp_queue(a, &b_addr, slice_of("y", 1), 0);
        udp_flush(a);
        assert_int_equal(udp_stats(a).tx, 47);
        struct udp_datagram in[UDP_BATCH];
        size_t got = 0, ones = 0;
        bool more = false;
        for (uint32_t n = udp_receive(b, in, &more); n > 0; n = udp_receive(b, in, &more)) {
            for (uint32_t i = 0; i < n; i++) {
                if (in[i].data.n == 1) {
                    assert_int_equal(in[i].data.p[0], ones++ == 0 ? 'x' : 'y');
                    continue;
                }
                assert_true(in[i].segment == 0 ? in[i].data.n <= 1400 : in[i].segment == 1400);
                assert_memory_equal(in[i].data.p, data + got, in[i].data.n);
                got += in[i].data.n;
            }
        }
        assert_int_equal(got, sizeof data);
        assert_int_equal(ones, 2);
        assert_int_equal(udp_stats(b).rx, 47);
        udp_free(a);
        udp_free(b);
    }
}

static void test_tcp_errors(void **state)
{
    UNUSED_STATE(state);
    struct addr at = addr_ipv4((const uint8_t[4]){127, 0, 0, 1}, 0), bound;
    int fd = -1, other = -1;
    assert_int_equal(net_listen(&at, NULL, &fd, &bound), ERR_OK);
    assert_int_equal(net_listen(&bound, NULL, &other, &at), ERR_EXISTS);
    const struct addr foreign = addr_ipv4((const uint8_t[4]){192, 0, 2, 1}, 0);
    assert_int_equal(net_listen(&foreign, NULL, &other, &at), ERR_UNREACHABLE);
    assert_int_equal(net_accept(fd, &other, &at), ERR_AGAIN);
    close(fd);
    enum err e = net_connect(&bound, NULL, NULL, &other);
    if (e == ERR_AGAIN) {
        for (int i = 0; i < 100 && e == ERR_AGAIN; i++) {
            usleep(1000);
            e = net_connected(other);
        }
        close(other);
    }
    assert_int_equal(e, ERR_REFUSED);
}

enum { JOBS = 5000 };

struct count {
    struct job job;
    uint32_t input, output;
};

static struct loop *the_loop;
static struct jobs *the_jobs;
static struct pool *the_pool;
static struct count counts[JOBS];
static uint32_t done_n, dropped_n;
static pthread_t loop_thread;

static void run_count(struct job *j, uint8_t *(*scratch)(void))
{
    struct count *c = CONTAINER(j, struct count, job);
    uint8_t *p = scratch();
    assert_int_equal((uintptr_t)p % 4096, 0);
    memset(p, (int)(c->input & 0xff), 100);
    c->output = c->input * 2 + (p[99] != (c->input & 0xff));
}

static void count_done(struct job *j)
{
    struct count *c = CONTAINER(j, struct count, job);
    assert_true(pthread_equal(pthread_self(), loop_thread));
    assert_int_equal(c->output, c->input * 2);
    if (++done_n == JOBS)
        loop_stop(the_loop);
}

static void count_drop(struct job *j)
{
    (void)j;
    dropped_n++;
}

static void nothing(void *ctx) { (void)ctx; }

// Every job runs once and is done once, on the loop's thread, through four workers; what is left at the end is dropped.
static void test_workers(void **state)
{
    UNUSED_STATE(state);
    loop_thread = pthread_self();
    done_n = 0;
    assert_int_equal(loop_new(&the_loop, nothing, NULL), ERR_OK);
    assert_int_equal(jobs_new(&the_jobs, the_loop), ERR_OK);
    assert_int_equal(pool_new(&the_pool, the_jobs, 4, "test", POOL_WAITS), ERR_OK);
    for (uint32_t i = 0; i < JOBS; i++) {
        counts[i] = (struct count){.job = {.run = run_count, .done = count_done, .drop = count_drop, .urgent = i % 7 == 0}, .input = i};
        pool_push(the_pool, &counts[i].job);
        if (i % 50 == 49)
            pool_kick(the_pool);
    }
    pool_kick(the_pool);
    loop_run(the_loop);
    assert_int_equal(done_n, JOBS);
    assert_int_equal(pool_pending(the_pool), 0);
    for (uint32_t i = 0; i < 100; i++)
        pool_push(the_pool, &counts[i].job);
    pool_kick(the_pool);
    pool_free(the_pool);
    jobs_free(the_jobs);
    assert_int_equal(dropped_n, 100);
    loop_free(the_loop);
}

static atomic_uint twos;

static void run_two(struct job *a, struct job *b, uint8_t *(*scratch)(void))
{
    run_count(a, scratch);
    run_count(b, scratch);
    atomic_fetch_add(&twos, 1);
}

// Jobs that may go together do, when two wait; each is done once all the same, and those of another kind stay alone.
static void test_workers_by_two(void **state)
{
    UNUSED_STATE(state);
    loop_thread = pthread_self();
    done_n = dropped_n = 0;
    assert_int_equal(loop_new(&the_loop, nothing, NULL), ERR_OK);
    assert_int_equal(jobs_new(&the_jobs, the_loop), ERR_OK);
    assert_int_equal(pool_new(&the_pool, the_jobs, 1, "test", POOL_WAITS), ERR_OK);
    for (uint32_t i = 0; i < JOBS; i++) {
        counts[i] = (struct count){.job = {.run = run_count, .run_two = i < JOBS - 1 ? run_two : NULL, .done = count_done}, .input = i};
        pool_push(the_pool, &counts[i].job);
        assert_int_equal(pool_fresh(the_pool), i + 1);
    }
    pool_kick(the_pool);
    assert_int_equal(pool_fresh(the_pool), 0);
    loop_run(the_loop);
    assert_int_equal(done_n, JOBS);
    assert_int_equal(atomic_load(&twos), (JOBS - 1) / 2);
    pool_free(the_pool);
    jobs_free(the_jobs);
    loop_free(the_loop);
}

static atomic_bool hanging, let_go, late_dropped;

static void run_hanging(struct job *j, uint8_t *(*scratch)(void))
{
    (void)j, (void)scratch;
    atomic_store(&hanging, true);
    while (!atomic_load(&let_go))
        usleep(1000);
}

static void drop_late(struct job *j)
{
    (void)j;
    atomic_store(&late_dropped, true);
}

// A name that takes for ever to resolve does not hold up the end of the program.
static void test_left_behind(void **state)
{
    UNUSED_STATE(state);
    static struct job stuck = {.run = run_hanging, .drop = drop_late};
    assert_int_equal(loop_new(&the_loop, nothing, NULL), ERR_OK);
    assert_int_equal(jobs_new(&the_jobs, the_loop), ERR_OK);
    assert_int_equal(pool_new(&the_pool, the_jobs, 2, "test", POOL_LEAVES), ERR_OK);
    pool_push(the_pool, &stuck);
    pool_kick(the_pool);
    while (!atomic_load(&hanging))
        usleep(1000);
    pool_free(the_pool);
    jobs_free(the_jobs);
    loop_free(the_loop);
    atomic_store(&let_go, true);
    for (int i = 0; i < 2000 && !atomic_load(&late_dropped); i++)
        usleep(1000);
    assert_true(atomic_load(&late_dropped));
}

static int fired;
static nsec fired_at;

static void on_timer(void *ctx)
{
    fired++;
    fired_at = loop_now(ctx);
    loop_stop(ctx);
}

static void test_timer(void **state)
{
    UNUSED_STATE(state);
    struct loop *l = NULL;
    struct timer *t = NULL;
    assert_int_equal(loop_new(&l, nothing, NULL), ERR_OK);
    assert_int_equal(timer_new(&t, l, on_timer, l), ERR_OK);
    const nsec at = loop_now(l) + 20 * NSEC_MS;
    timer_set(t, loop_now(l) + NSEC_MS);
    timer_set(t, NSEC_NEVER);
    timer_set(t, at);
    loop_run(l);
    assert_int_equal(fired, 1);
    assert_true(fired_at >= at);
    timer_free(t);
    loop_free(l);
}

// What began fails at once, and nothing ever runs. Without it `get URL --interface` ended by an assertion where no name server answers.
static void test_loop_stopped_before_it_ran(void **state)
{
    UNUSED_STATE(state);
    struct loop *l = NULL;
    struct timer *t = NULL;
    assert_int_equal(loop_new(&l, nothing, NULL), ERR_OK);
    assert_int_equal(timer_new(&t, l, on_timer, l), ERR_OK);
    loop_stop(l);
    timer_free(t);
    loop_free(l);
}

static void test_resolve(void **state)
{
    UNUSED_STATE(state);
    struct addr out[RESOLVE_ADDRS_MAX];
    uint32_t n = 0;
    assert_int_equal(resolve_name(SLICE_LIT("127.0.0.1"), out, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_true(addr_is_loopback(&out[0]));
    assert_int_equal(resolve_name(SLICE_LIT(""), out, &n), ERR_SYNTAX);
    assert_int_equal(resolve_name(SLICE_LIT("a\0b"), out, &n), ERR_SYNTAX);
    assert_int_not_equal(resolve_name(SLICE_LIT("no-such-name.invalid"), out, &n), ERR_OK);
}

// Two programs share the port of a group; an interface that cannot, such as the loopback one, is not joined. What groups carry is
// tested with other programs, in networks of their own.
static void test_group(void **state)
{
    UNUSED_STATE(state);
    const struct group_config g = {.group = addr_ipv4((uint8_t[4]){239, 192, 152, 143}, 6771), .from = addr_ipv4((uint8_t[4]){127, 0, 0, 1}, 0)};
    int fd[2] = {-1, -1};
    for (int i = 0; i < 2; i++)
        assert_int_equal(group_open(&g, &fd[i]), ERR_OK);
    assert_int_equal(group_join(fd[0], &g), 0);
    group_send(fd[0], &g, SLICE_LIT("nobody hears this"));
    close(fd[0]);
    close(fd[1]);
    struct group_config elsewhere = g;
    elsewhere.device = "no-such-device0";
    assert_int_equal(group_open(&elsewhere, &fd[0]), ERR_NOT_FOUND);
}

// Without this a router that says nothing, or is none, holds the worker up for ever.
static void test_gateway(void **state)
{
    UNUSED_STATE(state);
    struct addr at = {.family = ADDR_IPV4}, bound, own;
    int there = -1, fd = -1;
    memcpy(at.ip, (uint8_t[4]){127, 0, 0, 1}, 4);
    assert_int_equal(net_udp(&at, NULL, &there, &bound), ERR_OK);
    assert_int_equal(gateway_open(&bound, "127.0.0.1", &fd, &own), ERR_OK);
    assert_true(addr_is_loopback(&own));
    uint8_t space[16];
    struct buf b = {space, 0, sizeof space};
    const nsec start = gateway_now();
    assert_int_equal(gateway_ask(fd, SLICE_LIT("hello"), 20 * NSEC_MS, &b), ERR_TIMEOUT);
    assert_true(gateway_now() - start >= 20 * NSEC_MS);
    struct sockaddr_storage to;
    const uint32_t n = net_sockaddr(&own, &to);
    assert_int_equal(sendto(there, "answer", 6, 0, (struct sockaddr *)&to, n), 6);
    assert_int_equal(gateway_ask(fd, (struct slice){0}, NSEC_S, &b), ERR_OK);
    assert_true(slice_eq_str(buf_slice(&b), "answer"));
    close(there);
    (void)!gateway_ask(fd, SLICE_LIT("gone"), 20 * NSEC_MS, &b);
    assert_int_equal(gateway_ask(fd, SLICE_LIT("gone"), NSEC_S, &b), ERR_REFUSED);
    close(fd);
    assert_int_equal(gateway_open(&bound, "no address", &fd, &own), ERR_UNREACHABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_confinement, make_root, drop_root),
        cmocka_unit_test_setup_teardown(test_confinement_steps, make_root, drop_root),
        cmocka_unit_test_setup_teardown(test_links, make_root, drop_root),
        cmocka_unit_test_setup_teardown(test_read_write, make_root, drop_root),
        cmocka_unit_test_setup_teardown(test_descriptor_cache, make_root, drop_root),
        cmocka_unit_test(test_errno_table),
        cmocka_unit_test(test_udp_batches), cmocka_unit_test(test_udp_answers_from_where_it_was_asked), cmocka_unit_test(test_udp_trains),
        cmocka_unit_test(test_tcp_errors),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_workers_by_two),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_loop_stopped_before_it_ran),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_gateway),
    };
    return cmocka_run_group_tests_name("plat", tests, NULL, NULL);
}
