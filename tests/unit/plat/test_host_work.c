// What the host does on workers and by libcurl. Without these a job's outcome could get lost or blame another file, a
// digest could be of other bytes, and a tracker's answer could be without bound.
#include "host_test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "codec/metainfo.h"

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
    assert_true(job_err[3] == ERR_LINK || job_err[3] == ERR_NOT_DIR);
    assert_int_equal(access("/tmp/escape", F_OK), -1);
    assert_int_equal(job_err[4], ERR_NOT_DIR);
    assert_int_equal(job_err[5], ERR_VANISHED);
    assert_int_not_equal(job_err[6], ERR_OK);
    for (uint32_t i = 1; i <= 6; i++)
        assert_int_equal(job_file[i], i - 1);
}

// The host stays while somebody is at its files: what is open is part of what is tested.
static struct io_stat before[3], stats_then[3], after[3];
static const struct span some = {blob, 300};
static const struct io_part thirds[] = {{0, 0, 100}, {1, 0, 100}, {2, 0, 100}}, behind = {2, 100, 0};
static const struct io_job steps[] = {
    {.kind = JOB_WRITE, .id = 1, .store = 1, .spans = &some, .spans_n = 1, .parts = thirds, .parts_n = 3},
    {.kind = JOB_STAT, .id = 2, .store = 1, .stats = before}, {.kind = JOB_STAT, .id = 3, .store = 1, .stats = stats_then},
    {.kind = JOB_CUT, .id = 4, .store = 1, .parts = &behind, .parts_n = 1}, {.kind = JOB_STAT, .id = 5, .store = 1, .stats = after},
};

static void change_files(void)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%s/one", root);
    assert_int_equal(unlink(text), 0);
    (void)snprintf(text, sizeof text, "%s/two", root);
    assert_int_equal(unlink(text), 0);
    make_file("two", 100);
    (void)snprintf(text, sizeof text, "%s/three", root);
    assert_int_equal(truncate(text, 150), 0);
}

static void on_step(uint32_t id, enum err e, uint32_t file)
{
    (void)file;
    assert_int_equal(e, ERR_OK);
    if (id == 2)
        change_files();
    if (id == ARRAY_LEN(steps))
        host_stop(host);
    else
        fake_push(NODE_JOB, &(struct node_out){.job = steps[id]});
}

// What was removed, replaced or made longer behind our back is seen although it is open here; cut, it has its length again.
static void test_look_and_cut(void **state)
{
    UNUSED_STATE(state);
    add_file("one", 100);
    add_file("two", 100);
    add_file("three", 100);
    start((struct host_config){0});
    fake.job_done = on_step;
    fake_push(NODE_JOB, &(struct node_out){.job = steps[0]});
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    for (int i = 0; i < 3; i++)
        assert_true(before[i].exists && !before[i].replaced && before[i].size == 100);
    assert_false(stats_then[0].exists);
    assert_true(stats_then[1].exists && stats_then[1].replaced);
    assert_true(stats_then[2].exists && !stats_then[2].replaced && stats_then[2].size == 150);
    assert_int_equal(after[2].size, 100);
    assert_false(after[1].replaced);    // it was let go of
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

enum { BIG_LEN = 3000000, BIG_OFF = 1000, BIG_END = 2500000 };

static uint8_t big_byte(uint64_t at) { return (uint8_t)(at * 7 + (at >> 11)); }

// Answers the range that is asked for; cut: only a part of what it promises.
static void answer_range(int fd, const char *in, bool cut)
{
    unsigned long long from = 0, to = BIG_LEN - 1;
    const char *a = strstr(in, "Range: bytes=");
    if (a != NULL)
        (void)sscanf(a, "Range: bytes=%llu-%llu", &from, &to);
    const size_t n = (size_t)(to - from + 1);
    char head[200];
    (void)snprintf(head, sizeof head, "Content-Range: bytes %llu-%llu/%u\r\nETag: \"e\"\r\n", from, to, (unsigned)BIG_LEN);
    char *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)big_byte(from + i);
    char text[400];
    const int head_n = snprintf(text, sizeof text, "HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n", n, head);
    (void)!write(fd, text, (size_t)head_n);
    for (size_t at = 0; at < (cut ? n / 2 : n);) {
        const ssize_t w = send(fd, bytes + at, (cut ? n / 2 : n) - at, MSG_NOSIGNAL);
        if (w <= 0)
            break;
        at += (size_t)w;
    }
    free(bytes);
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
        } else if (strncmp(in, "GET /range", 10) == 0) {
            answer_range(fd, in, false);
        } else if (strncmp(in, "GET /cut", 8) == 0) {
            answer_range(fd, in, true);
        } else if (strncmp(in, "GET /moved", 10) == 0) {
            answer(fd, "302 Found", "Location: /range\r\nETag: \"old\"\r\n", "away", 4);
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

static uint16_t web_start(pthread_t *thread)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    web = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(web, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(web, 16), 0);
    assert_int_equal(getsockname(web, (struct sockaddr *)&at, &n), 0);
    pthread_create(thread, NULL, serve, NULL);
    return ntohs(at.sin_port);
}

static void web_stop(pthread_t thread)
{
    shutdown(web, SHUT_RDWR);
    close(web);
    pthread_join(thread, NULL);
}

static uint64_t stream_got[4];
static uint32_t stream_rooms;
static int stream_status[4];
static char stream_lines[4][1024];

static void on_stream_head(uint32_t id, int status, struct slice lines)
{
    assert_int_equal(stream_got[id], 0);
    stream_status[id] = status;
    memcpy(stream_lines[id], lines.p, size_min(lines.n, sizeof stream_lines[id] - 1));
}

// Small and odd rooms, and none every now and then: then it rests until the node says so.
static size_t stream_room(uint32_t id, struct span *out)
{
    if (++stream_rooms % 50 == 0) {
        fake_push(NODE_STREAM_RESUME, &(struct node_out){.id = id});
        return 0;
    }
    out->n = 7777;
    return out->n;
}

static void on_stream(uint32_t id, struct slice data)
{
    for (size_t i = 0; i < data.n; i++)
        if (data.p[i] != big_byte(BIG_OFF + stream_got[id] + i))
            fail_msg("byte %zu of stream %u is wrong", (size_t)stream_got[id] + i, id);
    stream_got[id] += data.n;
    if (id == 3 && stream_got[id] > 100000)
        fake_push(NODE_STREAM_CANCEL, &(struct node_out){.id = id});
}

// A range of a file as it comes: after a redirect, in small portions with rests between them, cut short by the server, and
// cancelled in the middle.
static void test_stream(void **state)
{
    UNUSED_STATE(state);
    pthread_t thread;
    const uint16_t port = web_start(&thread);
    static const char *const PATHS[4] = {NULL, "/moved", "/cut", "/range"};
    fake.fetched = on_fetched;
    fake.stream_head = on_stream_head;
    fake.stream_room = stream_room;
    fake.stream_rx = on_stream;
    start((struct host_config){0});
    fetches_left = 2;
    for (uint32_t i = 3; i >= 1; i--) {
        char url[64];
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, PATHS[i]);
        fake_push(NODE_STREAM, &(struct node_out){.id = i, .bytes = slice_str(url), .fetch = {true, BIG_OFF, BIG_END - BIG_OFF}});
    }
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    web_stop(thread);
    assert_int_equal(stream_status[1], 206);
    assert_non_null(strstr(stream_lines[1], "ETag: \"e\""));
    assert_null(strstr(stream_lines[1], "old"));
    assert_int_equal(stream_got[1], BIG_END - BIG_OFF);
    assert_int_equal(fetch_err[1], ERR_OK);
    assert_int_equal(stream_got[2], (BIG_END - BIG_OFF) / 2);
    assert_int_equal(fetch_err[2], ERR_CLOSED);
    assert_true(stream_got[3] < BIG_END - BIG_OFF);
}

static void test_fetch(void **state)
{
    UNUSED_STATE(state);
    pthread_t thread;
    const uint16_t port = web_start(&thread);
    static const char *const PATHS[8] = {NULL, "/ok", "/redirect", "/missing", "/loop", "/long", "/file", NULL};
    fake.fetched = on_fetched;
    start((struct host_config){0});
    fetches_left = 7;
    for (uint32_t i = 1; i <= 6; i++) {
        char url[64];
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, PATHS[i]);
        fake_push(NODE_FETCH, &(struct node_out){.id = i, .bytes = slice_str(url), .family = ADDR_IPV4});
    }
    fake_push(NODE_FETCH, &(struct node_out){.id = 7, .bytes = SLICE_LIT("gopher://127.0.0.1/")});
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    web_stop(thread);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_jobs), T(test_job_failures), T(test_look_and_cut), T(test_save_and_names), T(test_fetch), T(test_stream)};
    return cmocka_run_group_tests_name("host work", tests, NULL, NULL);
}
