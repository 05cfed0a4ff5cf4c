// Datagrams through a SOCKS5 proxy. Without these a datagram could leave around the proxy, strangers could speak in its name, names
// would be looked up here, and a proxy that was restarted would never relay again.
#include "host_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

enum { GOT_MAX = 16 };

// A proxy of one thread: takes control connections one after the other, relays nothing, but tells what it got and says what it must.
struct proxy {
    pthread_t thread;
    int listener, udp;
    uint16_t port;
    const char *reply;                  // to the UDP ASSOCIATE, 10 bytes; its port is filled in
    uint32_t sessions;                  // control connections to take
    uint8_t got[GOT_MAX][256];
    size_t got_len[GOT_MAX];
    uint32_t got_n, want_n;             // datagrams to wait for in each session
    void (*then)(struct proxy *p, const struct sockaddr_in *client);
};

static struct proxy proxy;
static struct addr from[GOT_MAX];
static char texts[GOT_MAX][64];
static uint32_t heard, stop_after;

static int socket_at(int type, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    const int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    const struct timeval wait = {.tv_sec = 5};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void *be_proxy(void *ctx)
{
    struct proxy *p = ctx;
    for (uint32_t i = 0; i < p->sessions; i++) {
        uint8_t b[64];
        uint16_t udp_port = 0;
        const int fd = accept(p->listener, NULL, NULL);
        if (fd < 0 || recv(fd, b, 3, MSG_WAITALL) != 3 || memcmp(b, "\5\1\0", 3) != 0 || send(fd, "\5\0", 2, MSG_NOSIGNAL) != 2 ||
            recv(fd, b, 10, MSG_WAITALL) != 10 || memcmp(b, "\5\3\0\1\0\0\0\0\0\0", 10) != 0)
            break;
        p->udp = socket_at(SOCK_DGRAM, &udp_port);
        memcpy(b, p->reply, 10);
        b[8] = (uint8_t)(udp_port >> 8);
        b[9] = (uint8_t)udp_port;
        if (send(fd, b, 10, MSG_NOSIGNAL) != 10)
            break;
        struct sockaddr_in client = {0};
        for (uint32_t k = 0; k < p->want_n && p->got_n < GOT_MAX; k++) {
            socklen_t n = sizeof client;
            const ssize_t len = recvfrom(p->udp, p->got[p->got_n], sizeof p->got[0], 0, (struct sockaddr *)&client, &n);
            if (len < 0)
                break;
            p->got_len[p->got_n++] = (size_t)len;
        }
        if (p->then != NULL)
            p->then(p, &client);
        // The last one stays until the host goes; the others end here, as the proxy's would when it is restarted.
        if (i + 1 == p->sessions)
            (void)recv(fd, b, 1, 0);
        close(fd);
        close(p->udp);
    }
    return NULL;
}

static void on_datagram(enum node_port port, const struct addr *a, struct slice data)
{
    assert_int_equal(port, NODE_PORT_PEER);
    assert_true(heard < GOT_MAX);
    from[heard] = *a;
    (void)snprintf(texts[heard++], sizeof texts[0], "%.*s", (int)data.n, (const char *)data.p);
    if (heard == stop_after)
        host_stop(host);
}

static void begin(const char *reply, uint32_t sessions, uint32_t want_n)
{
    char url[64];
    proxy = (struct proxy){.reply = reply, .sessions = sessions, .want_n = want_n};
    proxy.listener = socket_at(SOCK_STREAM, &proxy.port);
    assert_int_equal(listen(proxy.listener, 4), 0);
    heard = stop_after = 0;
    fake.datagram = on_datagram;
    (void)snprintf(url, sizeof url, "socks5://127.0.0.1:%u", proxy.port);
    start((struct host_config){.proxy = url, .port = 6881});
}

static void run(void)
{
    assert_int_equal(pthread_create(&proxy.thread, NULL, be_proxy, &proxy), 0);
    const enum err e = host_run(host);
    host_free(host);
    host = NULL;
    pthread_join(proxy.thread, NULL);
    close(proxy.listener);
    assert_int_equal(e, ERR_OK);
}

static struct addr at(uint8_t last, uint16_t port)
{
    const uint8_t ip[4] = {192, 0, 2, last};
    return addr_ipv4(ip, port);
}

static void say(const struct addr *to, const char *text, uint32_t segment)
{
    fake_push(NODE_DGRAM, &(struct node_out){.port = NODE_PORT_PEER, .addr = *to, .bytes = slice_str(text), .segment = segment});
}

static void tell(int fd, const struct sockaddr_in *to, const char *head, size_t head_n, const char *text)
{
    uint8_t b[128];
    memcpy(b, head, head_n);
    memcpy(b + head_n, text, strlen(text));
    (void)sendto(fd, b, head_n + strlen(text), 0, (const struct sockaddr *)to, sizeof *to);
}

// What is to be dropped first, then what is to be heard.
static void answer_all(struct proxy *p, const struct sockaddr_in *client)
{
    uint16_t port = 0;
    const int stranger = socket_at(SOCK_DGRAM, &port);
    tell(stranger, client, "\0\0\0\1\300\0\2\7\32\341", 10, "from a stranger");
    close(stranger);
    tell(p->udp, client, "\0\0\1\1\300\0\2\7\32\341", 10, "a fragment");
    tell(p->udp, client, "\0\0\0\1\360\0\0\0\32\341", 10, "from an address that we made up");
    tell(p->udp, client, "\0\0\0\1\300", 5, "");
    tell(p->udp, client, "\0\0\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\0\7", 22, "over IPv6");
    tell(p->udp, client, "\0\0\0\1\300\0\2\11\32\341", 10, "d an answer");
}

static struct addr named;

static void on_resolved(uint32_t id, enum err e, const struct addr *addrs, uint32_t n)
{
    assert_int_equal(id, 77);
    assert_int_equal(e, ERR_OK);
    assert_int_equal(n, 1);
    named = addrs[0];
    named.port = 6881;
    say(&named, "to a name", 0);
}

static void test_both_ways(void **state)
{
    UNUSED_STATE(state);
    begin("\5\0\0\1\0\0\0\0\0\0", 1, 4);
    proxy.then = answer_all;
    fake.resolved = on_resolved;
    stop_after = 3;
    const struct addr to = at(7, 6881);
    say(&to, "hello", 0);                               // waits for the relay
    say(&to, "onetwo", 3);
    fake_push(NODE_RESOLVE, &(struct node_out){.id = 77, .bytes = slice_str("a.test")});
    host_drain(host);
    run();
    assert_int_equal(proxy.got_n, 4);
    static const char *const SAID[] = {"\0\0\0\1\300\0\2\7\32\341hello", "\0\0\0\1\300\0\2\7\32\341one", "\0\0\0\1\300\0\2\7\32\341two",
                                       "\0\0\0\3\6a.test\32\341to a name"};
    static const size_t LENGTHS[] = {15, 13, 13, 22};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(proxy.got_len[i], LENGTHS[i]);
        assert_memory_equal(proxy.got[i], SAID[i], LENGTHS[i]);
    }
    assert_int_equal(heard, 3);
    assert_string_equal(texts[0], "over IPv6");
    assert_int_equal(from[0].family, ADDR_IPV6);
    assert_int_equal(from[0].port, 7);
    // What looks like an answer and comes from the port that was asked by name may be that name's: told twice.
    const struct addr real = at(9, 6881);
    assert_string_equal(texts[1], "d an answer");
    assert_true(addr_eq(&from[1], &real));
    assert_string_equal(texts[2], "d an answer");
    assert_true(addr_eq(&from[2], &named));
}

enum { OTHERS = 300 };

static struct addr others[OTHERS];

static void on_resolved_many(uint32_t id, enum err e, const struct addr *addrs, uint32_t n)
{
    assert_int_equal(e, ERR_OK);
    assert_int_equal(n, 1);
    others[id] = addrs[0];
    others[id].port = 6881;
    if (id == 0 || id == 1 || id == OTHERS - 1)
        say(&others[id], id == 1 ? "soon forgotten" : "to a name", 0);
    if (id != OTHERS - 1)
        return;
    say(&others[2], "to nobody", 0);
    say(&others[0], "again", 0);
}

static void answer_named(struct proxy *p, const struct sockaddr_in *client)
{
    tell(p->udp, client, "\0\0\0\3\4n000\32\341", 11, "d an answer");
}

// Torrents of strangers have names by the hundred. They push each other out, but none that waits for its answer, and the address of
// what is forgotten is not that of what took its place.
static void test_many_names(void **state)
{
    UNUSED_STATE(state);
    static char names[OTHERS][8];
    begin("\5\0\0\1\0\0\0\0\0\0", 1, 4);
    proxy.then = answer_named;
    fake.resolved = on_resolved_many;
    stop_after = 1;
    for (uint32_t i = 0; i < OTHERS; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%03u", i);
        fake_push(NODE_RESOLVE, &(struct node_out){.id = i, .bytes = slice_str(names[i])});
        host_drain(host);
    }
    run();
    for (uint32_t i = 0; i < OTHERS; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_false(addr_eq(&others[i], &others[k]));
    assert_int_equal(proxy.got_n, 4);
    static const char *const TO[] = {"n000", "n001", "n299", "n000"};
    for (uint32_t i = 0; i < 4; i++)
        assert_memory_equal(proxy.got[i] + 5, TO[i], 4);
    assert_string_equal((const char *)proxy.got[3] + 11, "again");
    assert_int_equal(heard, 1);
    assert_true(addr_eq(&from[0], &others[0]));
}

static uint32_t seconds;

static void each_second(void *ctx)
{
    const struct addr to = at(7, 6881);
    (void)ctx;
    seconds++;
    say(&to, seconds % 2 == 0 ? "aaaabbbbc" : "aaaa", 4);           // a train of three, or of one
    if (proxy.got_n == 6 || seconds == 10)
        host_stop(host);
}

// The control connection ends: nothing is relayed until there is another one, a second later.
static void test_made_again(void **state)
{
    UNUSED_STATE(state);
    seconds = 0;
    char url[64];
    proxy = (struct proxy){.reply = "\5\0\0\1\177\0\0\1\0\0", .sessions = 2, .want_n = 3};
    proxy.listener = socket_at(SOCK_STREAM, &proxy.port);
    assert_int_equal(listen(proxy.listener, 4), 0);
    (void)snprintf(url, sizeof url, "socks5://127.0.0.1:%u", proxy.port);
    start((struct host_config){.proxy = url, .tick = each_second});
    run();
    assert_int_equal(proxy.got_n, 6);
    assert_true(seconds < 10);
}

static uint32_t changes;

static void on_changed(void) { changes++; }

static void count_to_five(void *ctx)
{
    (void)ctx;
    if (++seconds == 5)
        host_stop(host);
}

// A proxy that ends each association as soon as it is made: the node was told each time that the network is another, announced to all
// trackers and tried all peers once a second.
static void test_comes_and_goes(void **state)
{
    UNUSED_STATE(state);
    seconds = changes = 0;
    fake.network_changed = on_changed;
    char url[64];
    proxy = (struct proxy){.reply = "\5\0\0\1\177\0\0\1\0\0", .sessions = 9};
    proxy.listener = socket_at(SOCK_STREAM, &proxy.port);
    assert_int_equal(listen(proxy.listener, 4), 0);
    (void)snprintf(url, sizeof url, "socks5://127.0.0.1:%u", proxy.port);
    start((struct host_config){.proxy = url, .tick = count_to_five});
    assert_int_equal(pthread_create(&proxy.thread, NULL, be_proxy, &proxy), 0);
    const enum err e = host_run(host);
    assert_int_equal(changes, 1);
    host_free(host);
    host = NULL;
    assert_int_equal(shutdown(proxy.listener, SHUT_RDWR), 0);
    pthread_join(proxy.thread, NULL);
    close(proxy.listener);
    assert_int_equal(e, ERR_OK);
}

static void tick_and_look(void *ctx)
{
    const uint16_t port = *(const uint16_t *)ctx;
    const uint8_t ip[4] = {127, 0, 0, 1};
    const struct addr observer = addr_ipv4(ip, port);
    say(&observer, "around", 0);
    if (++seconds == 2)
        host_stop(host);
}

static uint32_t warnings;

static void on_log(void *ctx, enum log_level level, const char *text)
{
    (void)ctx;
    warnings += level == LOG_WARNING && strstr(text, "relays no UDP") != NULL;
}

// A proxy that refuses: that is said once, and nothing goes around it.
static void test_refused(void **state)
{
    UNUSED_STATE(state);
    uint16_t port = 0;
    char url[64], junk[16];
    const int observer = socket_at(SOCK_DGRAM, &port);
    seconds = warnings = 0;
    proxy = (struct proxy){.reply = "\5\7\0\1\0\0\0\0\0\0", .sessions = 1};
    proxy.listener = socket_at(SOCK_STREAM, &proxy.port);
    assert_int_equal(listen(proxy.listener, 4), 0);
    (void)snprintf(url, sizeof url, "socks5://127.0.0.1:%u", proxy.port);
    start((struct host_config){.proxy = url, .tick = tick_and_look, .log = on_log, .log_level = LOG_INFO, .ctx = &port});
    const uint8_t ip[4] = {127, 0, 0, 1};
    const struct addr to = addr_ipv4(ip, port);
    say(&to, "before", 0);
    host_drain(host);
    run();
    assert_int_equal(warnings, 1);
    assert_true(recv(observer, junk, sizeof junk, MSG_DONTWAIT) < 0);
    close(observer);
}

static enum err connect_err;

static void on_connected(uint32_t conn, enum err e)
{
    assert_int_equal(conn, 5);
    connect_err = e;
    host_stop(host);
}

// A proxy that is gone: that is told of it, not of the peer.
static void test_gone(void **state)
{
    UNUSED_STATE(state);
    connect_err = ERR_OK;
    fake.connected = on_connected;
    start((struct host_config){.proxy = "socks5://127.0.0.1:1"});
    fake_push(NODE_CONNECT, &(struct node_out){.conn = 5, .addr = addr_ipv4((const uint8_t[4]){192, 0, 2, 7}, 6881)});
    host_drain(host);
    assert_int_equal(host_run(host), ERR_OK);
    assert_int_equal(connect_err, ERR_PROXY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comes_and_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
