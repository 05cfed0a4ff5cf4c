// `kith tracker`: a tracker in the foreground, with one line of statistics now and then.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "app/cmd.h"
#include "app/fileio.h"
#include "app/host.h"
#include "app/interrupt.h"
#include "engine/find/tracker.h"

enum {
    TRACKER_PORT = 6969,                // the usual one
    STATS_S = 10,
    WHITELIST_BYTES_MAX = 128 << 20,
};

struct hash20 {
    uint8_t bytes[SHA1_LEN];
};

struct hashes {
    struct hash20 *items;
    uint32_t n, cap;
};

struct serving {
    struct app *a;
    struct host *host;
    struct hashes admitted;
    nsec next_stats;
};

// A signal handler has nothing but static state to write to.
static volatile sig_atomic_t reload_wanted;

static void on_hangup(int number)
{
    (void)number;
    reload_wanted = 1;
}

// ---- the whitelist

static int compare_hashes(const void *x, const void *y)
{
    return memcmp(x, y, SHA1_LEN);
}

// One hash a line, 40 hex digits, or 64 for v2 (its first 20 bytes stand for it on the wire); '#' begins a comment.
// Returns the number of the line that is none of these, 0: none.
static uint32_t parse_hashes(struct slice text, struct hashes *out, enum err *out_err)
{
    uint32_t line_number = 0;
    *out_err = ERR_OK;
    while (text.n > 0) {
        size_t end = 0, n = 0;
        while (end < text.n && text.p[end] != '\n')
            end++;
        struct slice line = slice_sub(text, 0, end);
        text = slice_sub(text, end + 1, text.n);
        line_number++;
        while (n < line.n && line.p[n] != '#' && line.p[n] != ' ' && line.p[n] != '\t' && line.p[n] != '\r')
            n++;
        line = slice_sub(line, 0, n);
        if (line.n == 0)
            continue;
        struct hash20 h;
        if ((line.n != 2 * SHA1_LEN && line.n != 2 * SHA256_LEN) || hex_parse(slice_sub(line, 0, 2 * SHA1_LEN), h.bytes, SHA1_LEN) != ERR_OK)
            return line_number;
        void *items = out->items;
        *out_err = mem_grow(&app_mem, &items, &out->cap, out->n + 1, TRACKER_HASHES_MAX, sizeof *out->items);
        out->items = items;
        if (*out_err != ERR_OK)
            return line_number;
        out->items[out->n++] = h;
    }
    return 0;
}

static int read_whitelist(struct app *a, struct hashes *out)
{
    struct buf b = {0};
    char name[TALK_NAME_MAX];
    const int e = fileio_read(a->options.whitelist, WHITELIST_BYTES_MAX, &b);
    talk_clean(slice_str(a->options.whitelist), name);
    if (e == EISDIR)
        return talk_fail(&a->talk, FAIL_USAGE, "give a file with one info-hash a line", "--whitelist %s is a directory", name);
    if (e != 0)
        return talk_fail(&a->talk, fail_of_errno(e), "check the path", "cannot read %s: %s", name, strerror(e));
    enum err why = ERR_OK;
    const uint32_t bad = parse_hashes(buf_slice(&b), out, &why);
    free(b.p);
    if (bad != 0)
        return talk_fail(&a->talk, FAIL_USAGE, "write one info-hash a line, 40 hex digits", "%s, line %u: %s", name, bad,
            why != ERR_OK ? err_text(why) : "no info-hash");
    if (out->n > 0)
        qsort(out->items, out->n, sizeof *out->items, compare_hashes);
    return 0;
}

static void admit(struct serving *s, const struct hash20 *h)
{
    const enum err e = node_tracker_admit(host_node(s->host), h->bytes);
    if (e != ERR_OK && e != ERR_EXISTS)
        talk_warn(&s->a->talk, "whitelist: %s", err_text(e));
}

// Replaces the hashes by those in the file; both lists are sorted.
static void reload(struct serving *s)
{
    struct hashes fresh = {0};
    if (s->a->options.whitelist == NULL)
        return;
    if (read_whitelist(s->a, &fresh) != 0) {
        free(fresh.items);
        return;                                     // the list that was right stays
    }
    uint32_t i = 0, j = 0, added = 0, removed = 0;
    while (i < s->admitted.n || j < fresh.n) {
        const int c = i == s->admitted.n ? 1 : j == fresh.n ? -1 : compare_hashes(&s->admitted.items[i], &fresh.items[j]);
        if (c > 0) {
            admit(s, &fresh.items[j]);
            added++;
        } else if (c < 0 && node_tracker_revoke(host_node(s->host), s->admitted.items[i].bytes) == ERR_OK) {
            removed++;
        }
        i += c <= 0;
        j += c >= 0;
    }
    free(s->admitted.items);
    s->admitted = fresh;
    talk_note(&s->a->talk, "whitelist read again: %u hashes, %u new, %u gone", fresh.n, added, removed);
}

// ---- statistics

static void emit_stats(struct serving *s, const struct tracker_stats *t)
{
    json_t *e = talk_event("progress");
    json_object_set_new(e, "task", json_string("tracker"));
#define COUNT(field) json_object_set_new(e, #field, talk_json_count(t->field))
    COUNT(swarms);
    COUNT(peers_ipv4);
    COUNT(peers_ipv6);
    COUNT(seeds);
    COUNT(conns);
    COUNT(hashes);
    COUNT(bytes);
    COUNT(udp_connects);
    COUNT(udp_announces);
    COUNT(udp_scrapes);
    COUNT(http_announces);
    COUNT(http_scrapes);
    COUNT(rx_bad);
    COUNT(rx_bad_id);
    COUNT(tx_dropped);
    COUNT(refused);
    COUNT(expired);
#undef COUNT
    talk_emit(&s->a->talk, e);
}

static void say_stats(struct serving *s, const struct tracker_stats *t)
{
    char stamp[32] = "";
    const time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm) != NULL)
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    const uint64_t announces = t->http_announces + t->udp_announces, scrapes = t->http_scrapes + t->udp_scrapes;
    const uint64_t bad = t->rx_bad + t->rx_bad_id;
    talk_note(&s->a->talk, "%s tracker swarms=%u peers=%u seeds=%u announces=%llu (http %llu, udp %llu) scrapes=%llu refused=%llu bad=%llu",
        stamp, t->swarms, t->peers_ipv4 + t->peers_ipv6, t->seeds, (unsigned long long)announces,
        (unsigned long long)t->http_announces, (unsigned long long)t->udp_announces,
        (unsigned long long)scrapes, (unsigned long long)t->refused,
        (unsigned long long)bad);
}

static void on_tick(void *ctx)
{
    struct serving *s = ctx;
    if (reload_wanted) {
        reload_wanted = 0;
        reload(s);
    }
    const nsec now = host_now(s->host);
    if (now < s->next_stats)
        return;
    s->next_stats = now + STATS_S * NSEC_S;
    struct tracker_stats t = {0};
    node_tracker_stats(host_node(s->host), &t);
    emit_stats(s, &t);
    if (!s->a->talk.json && s->a->options.progress != PROGRESS_NONE)
        say_stats(s, &t);
}

static void on_event(void *ctx, const struct node_event *e)
{
    (void)ctx;
    (void)e;
}

static void on_log(void *ctx, enum log_level level, const char *text)
{
    struct serving *s = ctx;
    talk_log(&s->a->talk, level, text);
}

// ---- starting

static void say_ports(struct serving *s)
{
    const uint16_t http = host_tracker_http_port(s->host), udp = host_tracker_udp_port(s->host);
    const char *const at = s->a->options.listen != NULL ? s->a->options.listen : "HOST";
    json_t *e = talk_event("added");
    json_object_set_new(e, "task", json_string("tracker"));
    json_object_set_new(e, "http", talk_json_count(http));
    json_object_set_new(e, "udp", talk_json_count(udp));
    talk_emit(&s->a->talk, e);
    const bool v6 = strchr(at, ':') != NULL;
    if (http != 0 && !s->a->talk.json)
        talk_data(&s->a->talk, "http://%s%s%s:%u/announce", v6 ? "[" : "", at, v6 ? "]" : "", http);
    if (udp != 0 && !s->a->talk.json)
        talk_data(&s->a->talk, "udp://%s%s%s:%u/announce", v6 ? "[" : "", at, v6 ? "]" : "", udp);
}

static int serve(struct serving *s)
{
    struct app *a = s->a;
    const struct options *o = &a->options;
    const bool both = o->http_port == 0 && o->udp_port == 0;
    const struct host_config cfg = {
        .listen = o->listen, .device = o->interface, .peer_closed = true, .log_level = a->talk.verbose > 1 ? LOG_DEBUG : LOG_INFO,
        .tracker_http_port = (uint16_t)(both ? TRACKER_PORT : o->http_port), .tracker_udp_port = (uint16_t)(both ? TRACKER_PORT : o->udp_port),
        .node = {.tracker = true, .tracker_whitelist = o->whitelist != NULL, .tracker_metrics = o->metrics,
            .tracker_interval_s = (uint32_t)u64_min(u64_div_up(o->interval, NSEC_S), UINT32_MAX)},
        .event = on_event, .tick = on_tick, .log = on_log, .ctx = s,
    };
    char why[HOST_WHY_MAX] = "";
    const enum err e = host_new(&s->host, &cfg, why);
    if (e != ERR_OK)
        return talk_fail(&a->talk, e == ERR_SYNTAX ? FAIL_USAGE : e == ERR_ACCESS ? FAIL_PERMISSION : FAIL_NETWORK,
            e == ERR_EXISTS ? "choose another --http and --udp port" : NULL, "%s", why[0] != 0 ? why : err_text(e));
    for (uint32_t i = 0; i < s->admitted.n; i++)
        admit(s, &s->admitted.items[i]);
    say_ports(s);
    s->next_stats = host_now(s->host) + STATS_S * NSEC_S;
    struct sigaction act = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    sigaction(SIGHUP, &act, NULL);
    interrupt_watch();
    const enum err ran = host_run(s->host);
    host_free(s->host);
    return ran == ERR_CANCELLED ? 128 + interrupt_last() : 0;
}

int cmd_tracker(struct app *a)
{
    struct serving s = {.a = a};
    int status = 0;
    if (a->options.whitelist != NULL)
        status = read_whitelist(a, &s.admitted);
    if (status == 0)
        status = serve(&s);
    free(s.admitted.items);
    return status;
}
