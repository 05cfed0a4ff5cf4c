// The tracker server's HTTP side: see tracker.h. BEP 3, 7, 21, 23, 24, 48.
#include "codec/announce_http.h"
#include "engine/find/tracker_int.h"

static void put_failure(struct wr *w, const char *why)
{
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    bencode_put_key_str(&o, "failure reason", slice_str(why));
    bencode_put_end(&o);
}

static void put_peers_compact(struct bencode_out *o, const struct tracker_answer *a, bool ipv6)
{
    if (ipv6)
        bencode_put_key_str(o, "peers", (struct slice){0});
    bencode_put_key(o, ipv6 ? SLICE_LIT("peers6") : SLICE_LIT("peers"));
    bencode_put_str_head(o, a->n * (ipv6 ? 18U : 6U));
    for (uint32_t i = 0; i < a->n; i++)
        wr_bytes(o->w, store_compact(&a->swarm->pools[ipv6], ipv6, a->places[i]));
}

// Without peer ids, which are not kept: as BEP 3's no_peer_id allows.
static void put_peers_list(struct bencode_out *o, const struct tracker_answer *a, bool ipv6)
{
    bencode_put_key_list(o, "peers");
    for (uint32_t i = 0; i < a->n; i++) {
        struct rd r = rd_make(store_compact(&a->swarm->pools[ipv6], ipv6, a->places[i]));
        uint8_t ip[16] = {0};
        rd_copy(&r, ip, ipv6 ? 16 : 4);
        const uint16_t port = rd_be16(&r);
        const struct addr peer = ipv6 ? addr_ipv6(ip, port) : addr_ipv4(ip, port);
        char text[ADDR_TEXT_MAX];
        bencode_put_dict(o);
        bencode_put_key_str(o, "ip", slice_str(addr_format_ip(&peer, text)));
        bencode_put_key_int(o, "port", port);
        bencode_put_end(o);
    }
    bencode_put_end(o);
}

static void serve_announce(struct tracker *t, const struct tracker_conn *c, struct slice query, struct wr *w)
{
    struct announce_query q;
    const char *why;
    t->stats.http_announces++;
    if (announce_query_parse(&q, query, &why) != ERR_OK) {
        t->stats.rx_bad++;
        put_failure(w, why);
        return;
    }
    struct tracker_answer a;
    tracker_announce(t, &c->from, &q.announce, STORE_SAMPLE_MAX, &a);
    if (a.failure != NULL) {
        put_failure(w, a.failure);
        return;
    }
    const bool ipv6 = c->from.family == ADDR_IPV6;
    uint32_t seeds = 0, leeches = 0, downloaded = 0;
    if (a.swarm != NULL) {
        seeds = store_count(a.swarm, CLASS_SEED);
        leeches = store_count(a.swarm, CLASS_LEECH) + store_count(a.swarm, CLASS_PARTIAL);
        downloaded = a.swarm->downloaded;
    }
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    bencode_put_key_int(&o, "complete", seeds);
    bencode_put_key_int(&o, "downloaded", downloaded);
    bencode_put_key_str(&o, "external ip", addr_ip(&c->from));
    bencode_put_key_int(&o, "incomplete", leeches);
    bencode_put_key_int(&o, "interval", t->cfg.interval_s);
    bencode_put_key_int(&o, "min interval", t->cfg.interval_s / 2);
    if (q.compact)
        put_peers_compact(&o, &a, ipv6);
    else
        put_peers_list(&o, &a, ipv6);
    bencode_put_end(&o);
}

// Few and short: insertion sort, and equal ones only once. Returns how many are left.
static uint32_t sort_hashes(uint8_t (*hashes)[20], uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t held[20];
        memcpy(held, hashes[i], 20);
        uint32_t at = kept;
        while (at > 0 && memcmp(hashes[at - 1], held, 20) > 0)
            at--;
        if (at > 0 && memcmp(hashes[at - 1], held, 20) == 0)
            continue;
        memmove(hashes[at + 1], hashes[at], (kept - at) * sizeof hashes[0]);
        memcpy(hashes[at], held, 20);
        kept++;
    }
    return kept;
}

static void serve_scrape(struct tracker *t, struct slice query, struct wr *w)
{
    uint8_t hashes[TRACKER_SCRAPE_MAX][20];
    uint32_t n = scrape_query_hashes(query, hashes, TRACKER_SCRAPE_MAX);
    t->stats.http_scrapes++;
    if (n == 0) {
        put_failure(w, "full scrape is not offered");
        return;
    }
    n = sort_hashes(hashes, n);
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    bencode_put_key_dict(&o, "files");
    for (uint32_t i = 0; i < n; i++) {
        const struct tracker_swarm *s = store_find(&t->store, hashes[i]);
        if (s == NULL)
            continue;
        const uint32_t downloaders = store_count(s, CLASS_LEECH);
        bencode_put_key(&o, slice_of(hashes[i], sizeof hashes[i]));
        bencode_put_dict(&o);
        bencode_put_key_int(&o, "complete", store_count(s, CLASS_SEED));
        bencode_put_key_int(&o, "downloaded", s->downloaded);
        bencode_put_key_int(&o, "downloaders", downloaders);
        bencode_put_key_int(&o, "incomplete", downloaders + store_count(s, CLASS_PARTIAL));
        bencode_put_end(&o);
    }
    bencode_put_end(&o);
    bencode_put_end(&o);
}

// One figure of the statistics; a counter only grows (Prometheus exposition format 0.0.4).
struct figure {
    const char *name, *help;
    bool counter;
    uint64_t value;
};

static void serve_metrics(const struct tracker *t, struct wr *w)
{
    struct tracker_stats s;
    tracker_stats(t, &s);
    const struct figure figures[] = {
        {"kith_tracker_swarms", "torrents with peers", false, s.swarms},
        {"kith_tracker_peers_ipv4", "peers that announced over IPv4", false, s.peers_ipv4},
        {"kith_tracker_peers_ipv6", "peers that announced over IPv6", false, s.peers_ipv6},
        {"kith_tracker_seeds", "of those, seeds", false, s.seeds},
        {"kith_tracker_connections", "open HTTP connections", false, s.conns},
        {"kith_tracker_hashes", "info-hashes on the whitelist", false, s.hashes},
        {"kith_tracker_memory_bytes", "memory of torrents and peers", false, s.bytes},
        {"kith_tracker_udp_connects_total", "connection ids given", true, s.udp_connects},
        {"kith_tracker_udp_announces_total", "announces over UDP", true, s.udp_announces},
        {"kith_tracker_udp_scrapes_total", "scrapes over UDP", true, s.udp_scrapes},
        {"kith_tracker_http_announces_total", "announces over HTTP", true, s.http_announces},
        {"kith_tracker_http_scrapes_total", "scrapes over HTTP", true, s.http_scrapes},
        {"kith_tracker_bad_requests_total", "what could not be read", true, s.rx_bad},
        {"kith_tracker_bad_connection_ids_total", "wrong or old connection ids", true, s.rx_bad_id},
        {"kith_tracker_replies_dropped_total", "datagrams that found no room", true, s.tx_dropped},
        {"kith_tracker_refused_total", "announces refused: not admitted, no port, a limit", true, s.refused},
        {"kith_tracker_expired_total", "peers that were not heard of again", true, s.expired},
    };
    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        const struct figure *f = &figures[i];
        const char *const parts[] = {"# HELP ", f->name, " ", f->help, "\n# TYPE ", f->name, f->counter ? " counter\n" : " gauge\n", f->name, " "};
        for (size_t k = 0; k < ARRAY_LEN(parts); k++)
            wr_str(w, parts[k]);
        wr_dec(w, f->value);
        wr_str(w, "\n");
    }
}

static void put_response(struct wr *w, const char *status, struct slice body, bool keep_alive, bool head)
{
    wr_str(w, "HTTP/1.1 ");
    wr_str(w, status);
    wr_str(w, "\r\nContent-Type: text/plain\r\nContent-Length: ");
    wr_dec(w, body.n);
    wr_str(w, keep_alive ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
    if (!head)
        wr_bytes(w, body);
}

enum http_served tracker_http_serve(struct tracker *t, struct tracker_conn *c, struct wr *tx)
{
    struct http_request q;
    const enum err e = http_request_parse(&q, slice_of(c->bytes, c->n));
    if (e == ERR_AGAIN && c->n < sizeof c->bytes)
        return HTTP_NOTHING;
    if (e != ERR_OK) {
        t->stats.rx_bad++;
        put_response(tx, e == ERR_AGAIN ? "431 Request Header Fields Too Large" : e == ERR_UNSUPPORTED ?
                     "405 Method Not Allowed" : "400 Bad Request", (struct slice){0}, false, false);
        return HTTP_LAST;
    }
    t->body.n = 0;
    struct wr w = wr_make(&t->body);
    const char *status = "200 OK";
    if (slice_eq_str(q.path, "/announce")) {
        serve_announce(t, c, q.query, &w);
    } else if (slice_eq_str(q.path, "/scrape")) {
        serve_scrape(t, q.query, &w);
    } else if (t->cfg.metrics && slice_eq_str(q.path, "/metrics")) {
        serve_metrics(t, &w);
    } else {
        t->stats.rx_bad++;
        status = "404 Not Found";
    }
    ASSERT(w.ok);
    c->requests++;
    const bool keep_alive = q.keep_alive && !c->overflowed && c->requests < TRACKER_REQUESTS_MAX;
    put_response(tx, status, buf_slice(&t->body), keep_alive, q.head);
    c->n -= u32_of(q.len);
    memmove(c->bytes, c->bytes + q.len, c->n);
    return keep_alive ? HTTP_REPLIED : HTTP_LAST;
}
