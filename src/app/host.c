// The real host: see host.h. Here: its life, its clock, and what the node's outputs mean.
#include "app/host.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "app/host_conn.h"
#include "app/host_net.h"
#include "app/host_parts.h"
#include "app/names.h"
#include "codec/url.h"

static void *heap_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct host *h = ctx;
    if (new_n == 0) {
        free(p);
        h->stats.heap_bytes -= old_n;
        return NULL;
    }
    void *fresh = realloc(p, new_n);
    if (fresh != NULL)
        h->stats.heap_bytes += new_n - old_n;
    return fresh;
}

// Page-aligned: the kernel copies five times as fast into it.
static void *payload_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct host *h = ctx;
    void *fresh = NULL;
    if (new_n > 0 && p != NULL) {
        fresh = mremap(p, old_n, new_n, MREMAP_MAYMOVE);
    } else if (new_n > 0) {
        fresh = mmap(NULL, new_n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    } else if (p != NULL) {
        (void)munmap(p, old_n);
    }
    if (fresh == MAP_FAILED)
        return NULL;
    h->stats.payload_bytes += new_n - old_n;
    return fresh;
}

static void log_text(void *ctx, enum log_level level, const char *text)
{
    static const char *const NAMES[] = {"debug", "info", "warning", "error"};
    (void)ctx;
    (void)fprintf(stderr, "kith: %s: %s\n", NAMES[level], text);
}

static void carry_out(struct host *h, enum node_kind kind, const struct node_out *o)
{
    switch (kind) {
    case NODE_IDLE:
        break;
    case NODE_DGRAM:
        net_datagram(h, o);
        break;
    case NODE_CONNECT:
        conn_open(h, &o->addr, o->conn);
        break;
    case NODE_SEND:
        send_queue(h, o);
        break;
    case NODE_CLOSE:
        conn_close(h, o->conn, o->flush);
        break;
    case NODE_RESUME:
        conn_resume(h, o->conn);
        break;
    case NODE_JOB:
        disk_job(h, &o->job);
        break;
    case NODE_FETCH:
        ask_fetch(h, o);
        break;
    case NODE_STREAM:
        ask_stream(h, o);
        break;
    case NODE_STREAM_RESUME:
        fetcher_resume(h->streams, o->id);
        break;
    case NODE_STREAM_CANCEL:
        fetcher_cancel(h->streams, o->id);
        break;
    case NODE_RESOLVE:
        ask_resolve(h, o->id, o->bytes);
        break;
    case NODE_MAP:
        router_ask(h, &o->map);
        break;
    case NODE_SAVE:
        ask_save(h, o->id, o->key, o->bytes);
        break;
    case NODE_EVENT:
        if (o->event.kind == NODE_EVENT_STOPPED) {
            h->stopped = true;
            loop_stop(h->loop);
        }
        if (o->event.kind == NODE_EVENT_REMOVED)
            disk_forget(h, o->event.torrent);
        if (h->cfg.event != NULL)
            h->cfg.event(h->cfg.ctx, &o->event);
        break;
    }
}

void host_turn_node(struct host *h)
{
    if (h->draining)
        return;                         // an output's own consequence: the loop below goes on
    h->draining = true;
    struct node_out o;
    for (;;) {
        h->tx.n = 0;
        o = (struct node_out){0};
        const enum node_kind kind = node_poll(h->node, loop_now(h->loop), &h->tx, &o);
        if (kind == NODE_IDLE)
            break;
        carry_out(h, kind, &o);
    }
    h->due = o.deadline;
    h->draining = false;
}

void host_drain(struct host *h) { host_turn_node(h); }

// Before each wait: what came together goes out together.
static void on_turn(void *ctx)
{
    struct host *h = ctx;
    jobs_collect(h->jobs);
    host_turn_node(h);
    for (int i = 0; i < HOST_ROUNDS && !list_empty(&h->busy); i++)
        send_round(h);
    if (!list_empty(&h->busy))
        loop_again(h->loop);
    net_flush_udp(h);
    disk_kick(h);
    conn_sweep(h);
    timer_set(h->deadline, h->due);
}

static void on_deadline(void *ctx)
{
    struct host *h = ctx;
    node_tick(h->node, loop_now(h->loop));
    host_turn_node(h);
}

static void on_hash_alone(void *ctx) { (void)ctx; }    // the turn after it kicks

static void on_second(void *ctx)
{
    struct host *h = ctx;
    timer_set(h->second, loop_now(h->loop) + NSEC_S);
    conn_expire(h);
    net_listen_again(h);
    net_watch_device(h);
    if (h->cfg.tick != NULL)
        h->cfg.tick(h->cfg.ctx);
    host_turn_node(h);
}

static void on_stop_late(void *ctx)
{
    struct host *h = ctx;
    h->outcome = ERR_TIMEOUT;
    loop_stop(h->loop);
}

static void on_signal(void *ctx, int number)
{
    (void)number;
    host_stop(ctx);
}

static void start_stop(struct host *h)
{
    h->stopping = true;
    timer_set(h->stop_timer, loop_now(h->loop) + HOST_STOP_MAX);
    node_stop(h->node, loop_now(h->loop));
    host_turn_node(h);
}

void host_stop(struct host *h)
{
    if (!h->stopping) {
        start_stop(h);
    } else if (!h->stopped) {
        h->outcome = ERR_CANCELLED;
        loop_stop(h->loop);
    }
}

enum err host_run(struct host *h)
{
    if (h->stopped)
        return ERR_OK;
    timer_set(h->second, loop_now(h->loop) + NSEC_S);
    loop_run(h->loop);
    net_flush_udp(h);                   // the last announces
    return h->stopped ? ERR_OK : h->outcome;
}

struct node *host_node(struct host *h) { return h->node; }
nsec host_now(struct host *h) { return loop_fresh(h->loop); }
const struct env *host_env(const struct host *h) { return &h->env; }
uint16_t host_port(const struct host *h) { return h->port; }
uint16_t host_tracker_http_port(const struct host *h) { return h->tracker_http; }
uint16_t host_tracker_udp_port(const struct host *h) { return h->tracker_udp; }
void host_stats(const struct host *h, struct host_stats *out) { *out = h->stats; }

static bool decode_into(struct slice text, char out[SOCKS5_TEXT_MAX + 1])
{
    struct buf b = {(uint8_t *)out, 0, SOCKS5_TEXT_MAX};
    struct wr w = wr_make(&b);
    if (url_decode(&w, text) != ERR_OK)
        return false;
    out[b.n] = 0;
    return true;
}

// socks5://[user:password@]host:port. Its own name is resolved here, once: only the proxy itself may be found without it.
static enum err read_proxy(struct host *h, const char *text, char why[HOST_WHY_MAX])
{
    struct url u;
    struct addr all[RESOLVE_ADDRS_MAX];
    uint32_t n = 0;
    const bool good = url_parse(slice_str(text), &u) == ERR_OK && (url_is(&u, "socks5") || url_is(&u, "socks5h"));
    const uint8_t *const colon = good && u.user.n != 0 ? memchr(u.user.p, ':', u.user.n) : NULL;
    const size_t name_n = !good ? 0 : colon == NULL ? u.user.n : (size_t)(colon - u.user.p);
    if (!good || !decode_into(slice_sub(u.user, 0, name_n), h->proxy.user) ||
        !decode_into(slice_sub(u.user, name_n + (colon != NULL), u.user.n), h->proxy.password)) {
        (void)snprintf(why, HOST_WHY_MAX, "the proxy must be given as socks5://[user:password@]host:port");
        return ERR_SYNTAX;
    }
    const enum err e = names_resolve(h->device[0] != 0 ? h->device : NULL, u.host, all, &n);
    if (e != ERR_OK) {
        (void)snprintf(why, HOST_WHY_MAX, "the proxy %.*s: %s", (int)size_min(u.host.n, 100), (const char *)u.host.p, names_why(e));
        return ERR_UNREACHABLE;
    }
    h->proxy.addr = all[0];
    h->proxy.addr.port = u.port != 0 ? u.port : HOST_PROXY_PORT;
    h->proxy.on = true;
    return ERR_OK;
}

static enum err read_config(struct host *h, const struct host_config *cfg, char why[HOST_WHY_MAX])
{
    if (cfg->listen != NULL && addr_parse(slice_str(cfg->listen), 0, &h->from) != ERR_OK) {
        (void)snprintf(why, HOST_WHY_MAX, "%.100s is not an IP address", cfg->listen);
        return ERR_SYNTAX;
    }
    h->from.port = 0;
    if (h->from.family != ADDR_NONE && addr_is_any(&h->from) && h->from.family == ADDR_IPV6)
        h->from = (struct addr){0};     // "::" means everything, as users expect
    if (cfg->device != NULL) {
        if (strlen(cfg->device) >= sizeof h->device) {
            (void)snprintf(why, HOST_WHY_MAX, "%.100s is not a network device", cfg->device);
            return ERR_SYNTAX;
        }
        memcpy(h->device, cfg->device, strlen(cfg->device) + 1);
    }
    return cfg->proxy == NULL ? ERR_OK : read_proxy(h, cfg->proxy, why);
}

static enum err make_pools(struct host *h)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint32_t all = cores > 0 ? (uint32_t)cores : 1;
    const uint32_t hash_n = h->cfg.hash_workers != 0 ? h->cfg.hash_workers : all;
    // They hash what they read, too, when content is checked: one for each core, if the disk has that much.
    const uint32_t disk_all = u32_min(u32_max(all, HOST_DISK_WORKERS), HOST_DISK_WORKERS_MAX);
    const uint32_t disk_n = h->cfg.disk_workers != 0 ? h->cfg.disk_workers : disk_all;
    enum err e = jobs_new(&h->jobs, h->loop);
    if (e == ERR_OK)
        e = pool_new(&h->hash, h->jobs, hash_n, "kith-hash", POOL_WAITS);
    if (e == ERR_OK)
        e = pool_new(&h->disk, h->jobs, disk_n, "kith-disk", POOL_WAITS);
    for (size_t i = 0; i < HOST_WRITE_LANES && e == ERR_OK; i++)
        e = pool_new(&h->lanes[i], h->jobs, 1, "kith-write", POOL_WAITS);
    if (e == ERR_OK)
        e = pool_new(&h->names, h->jobs, HOST_NAME_WORKERS, "kith-names", POOL_LEAVES);
    if (e == ERR_OK)
        e = pool_new(&h->state, h->jobs, 1, "kith-state", POOL_WAITS);
    if (e == ERR_OK)
        e = files_new(&h->files, HOST_FILES_MAX);
    return e;
}

enum { HOST_PROXY_URL_MAX = 6 * SOCKS5_TEXT_MAX + 128 };

// For libcurl, which then resolves no name itself. NULL: none.
static const char *proxy_url(const struct host *h, char text[HOST_PROXY_URL_MAX])
{
    char at[ADDR_TEXT_MAX];
    if (!h->proxy.on)
        return NULL;
    struct buf b = {(uint8_t *)text, 0, HOST_PROXY_URL_MAX - 1};
    struct wr w = wr_make(&b);
    wr_str(&w, "socks5h://");
    if (h->proxy.user[0] != 0) {
        url_encode(&w, slice_str(h->proxy.user));
        wr_str(&w, ":");
        url_encode(&w, slice_str(h->proxy.password));
        wr_str(&w, "@");
    }
    wr_str(&w, addr_format(&h->proxy.addr, at));
    ASSERT(w.ok);
    text[b.n] = 0;
    return text;
}

static enum err make_parts(struct host *h)
{
    enum err e = loop_new(&h->loop, on_turn, h);
    if (e == ERR_OK)
        e = loop_signals(h->loop, on_signal);
    if (e == ERR_OK)
        e = timer_new(&h->deadline, h->loop, on_deadline, h);
    if (e == ERR_OK)
        e = timer_new(&h->second, h->loop, on_second, h);
    if (e == ERR_OK)
        e = timer_new(&h->stop_timer, h->loop, on_stop_late, h);
    if (e == ERR_OK)
        e = timer_new(&h->hash_timer, h->loop, on_hash_alone, h);
    h->hash_by_two = sha1_two_fast();
    if (e == ERR_OK)
        e = make_pools(h);
    h->tx = (struct buf){.p = malloc(HOST_TX_BYTES), .cap = HOST_TX_BYTES};
    if (e == ERR_OK && h->tx.p == NULL)
        e = ERR_NOMEM;
    char text[ADDR_TEXT_MAX], proxy[HOST_PROXY_URL_MAX];
    const bool bound = h->from.family != ADDR_NONE && !addr_is_any(&h->from);
    const struct fetcher_config fetch = {.from = bound ? addr_format_ip(&h->from, text) : NULL, .device = h->device[0] != 0 ? h->device : NULL,
        .proxy = proxy_url(h, proxy), .body_max = NODE_FETCH_MAX, .done = ask_fetched, .redirected = ask_redirected, .ctx = h};
    if (e == ERR_OK)
        e = fetcher_new(&h->fetcher, h->loop, &fetch);
    struct fetcher_config streams = fetch;
    streams.head = ask_stream_head;
    streams.rx = ask_stream_rx;
    if (e == ERR_OK)
        e = fetcher_new(&h->streams, h->loop, &streams);
    return e;
}

enum err host_new(struct host **out, const struct host_config *cfg, char why[HOST_WHY_MAX])
{
    struct host *h = calloc(1, sizeof *h);
    (void)snprintf(why, HOST_WHY_MAX, "not enough memory");
    if (h == NULL)
        return ERR_NOMEM;
    (void)signal(SIGPIPE, SIG_IGN);
    h->cfg = *cfg;
    h->heap = (struct mem){heap_resize, h};
    h->payload = (struct mem){payload_resize, h};
    h->log = (struct log){cfg->log != NULL ? cfg->log : log_text, cfg->ctx, cfg->log_level};
    h->env = (struct env){.mem = &h->heap, .payload = &h->payload, .log = &h->log};
    list_init(&h->busy);
    list_init(&h->holders);
    list_init(&h->hungry);
    list_init(&h->flushing);
    list_init(&h->gone);
    if (getrandom(&h->env.seed, sizeof h->env.seed, 0) != (ssize_t)sizeof h->env.seed)
        h->env.seed = (uint64_t)getpid();
    map_init(&h->conns, &h->heap, HOST_CONNS_MAX, mix64(h->env.seed));
    enum err e = read_config(h, cfg, why);
    if (e == ERR_OK) {
        e = make_parts(h);
        if (e != ERR_OK)
            (void)snprintf(why, HOST_WHY_MAX, "cannot start: %s", err_text(e));
    }
    if (e == ERR_OK)
        e = net_open(h, why);
    if (e == ERR_OK) {
        h->cfg.node.listen_port = h->port;
        for (uint32_t i = 0; i < h->udps_n; i++) {
            h->cfg.node.dht.ipv4 |= h->udps[i].port == NODE_PORT_PEER && h->udps[i].family == ADDR_IPV4;
            h->cfg.node.dht.ipv6 |= h->udps[i].port == NODE_PORT_PEER && h->udps[i].family == ADDR_IPV6;
        }
        h->cfg.node.map_ports = net_can_map(h);
        h->cfg.node.dht.ipv4 |= h->proxy.on;
        h->cfg.node.dht.read_only |= h->proxy.on;       // whether strangers can ask us is the proxy's secret
        h->due = NSEC_NEVER;
        e = node_new(&h->node, &h->cfg.node, &h->env, loop_now(h->loop));
    }
    if (e == ERR_OK && h->proxy.on)
        e = relay_new(h);
    h->cfg.listen = h->cfg.device = h->cfg.proxy = NULL;
    if (e != ERR_OK) {
        host_free(h);
        return e;
    }
    why[0] = 0;
    *out = h;
    return ERR_OK;
}

void host_free(struct host *h)
{
    if (h == NULL)
        return;
    pool_free(h->hash);
    pool_free(h->disk);
    for (size_t i = 0; i < HOST_WRITE_LANES; i++)
        pool_free(h->lanes[i]);
    pool_free(h->names);
    pool_free(h->state);
    router_done(h);
    jobs_free(h->jobs);
    fetcher_free(h->fetcher);
    fetcher_free(h->streams);
    conn_close_all(h);
    net_close(h);
    node_free(h->node);
    files_free(h->files);
    timer_free(h->deadline);
    timer_free(h->second);
    timer_free(h->stop_timer);
    timer_free(h->hash_timer);
    loop_free(h->loop);
    map_done(&h->conns);
    disk_done(h);
    send_done(h);
    free(h->tx.p);
    free(h);
}
