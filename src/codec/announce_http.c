// HTTP announces and scrapes: see announce_http.h.
#include "codec/announce_http.h"

#include "base/fold.h"
#include "codec/url.h"

// ---- the client's requests

static const char *event_name(enum announce_event e)
{
    switch (e) {
    case ANNOUNCE_NONE: return "";
    case ANNOUNCE_COMPLETED: return "completed";
    case ANNOUNCE_STARTED: return "started";
    case ANNOUNCE_STOPPED: return "stopped";
    case ANNOUNCE_PAUSED: return "paused";
    }
    return "";
}

static struct slice without_fragment(struct slice url)
{
    const uint8_t *end = url.n == 0 ? NULL : memchr(url.p, '#', url.n);
    return end == NULL ? url : slice_of(url.p, (size_t)(end - url.p));
}

static bool has_query(struct slice url) { return url.n != 0 && memchr(url.p, '?', url.n) != NULL; }

static void put_number(struct wr *w, const char *name, uint64_t v)
{
    wr_str(w, name);
    wr_dec(w, v);
}

static void put_address(struct wr *w, const char *name, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    if (a == NULL)
        return;
    wr_str(w, name);
    url_encode(w, slice_str(addr_format_ip(a, text)));
}

void announce_url_write(struct wr *w, struct slice url, const struct announce_query *q)
{
    const struct announce *a = &q->announce;
    url = without_fragment(url);
    wr_bytes(w, url);
    wr_str(w, has_query(url) ? "&info_hash=" : "?info_hash=");
    url_encode(w, slice_of(a->info_hash, sizeof a->info_hash));
    wr_str(w, "&peer_id=");
    url_encode(w, slice_of(a->peer_id, sizeof a->peer_id));
    put_number(w, "&port=", a->port);
    put_number(w, "&uploaded=", a->uploaded);
    put_number(w, "&downloaded=", a->downloaded);
    put_number(w, "&left=", u64_min(a->left, INT64_MAX));       // many trackers read a signed number
    if (a->event != ANNOUNCE_NONE) {
        wr_str(w, "&event=");
        wr_str(w, event_name(a->event));
    }
    wr_fmt(w, "&key=%08x", (unsigned)a->key);
    wr_str(w, q->compact ? "&compact=1" : "&compact=0");
    if (a->numwant != ANNOUNCE_UNKNOWN)
        put_number(w, "&numwant=", a->numwant);
    put_address(w, "&ipv4=", q->ipv4);
    put_address(w, "&ipv6=", q->ipv6);
    if (q->tracker_id.n != 0) {
        wr_str(w, "&trackerid=");
        url_encode(w, q->tracker_id);
    }
}

enum err scrape_url_write(struct wr *w, struct slice url, struct slice hashes)
{
    static const char from[] = "announce";
    ASSERT(hashes.n % ANNOUNCE_HASH_LEN == 0);
    url = without_fragment(url);
    size_t at = url.n;
    while (at > 0 && url.p[at - 1] != '/')              // the last one, even inside a query: BEP 48's own example
        at--;
    const struct slice last = slice_sub(url, at, url.n);
    if (at == 0 || !slice_starts(last, from))
        return ERR_UNSUPPORTED;
    wr_bytes(w, slice_sub(url, 0, at));
    wr_str(w, "scrape");
    wr_bytes(w, slice_sub(last, strlen(from), last.n));
    for (size_t i = 0; i < hashes.n; i += ANNOUNCE_HASH_LEN) {
        wr_str(w, i == 0 && !has_query(url) ? "?info_hash=" : "&info_hash=");
        url_encode(w, slice_sub(hashes, i, ANNOUNCE_HASH_LEN));
    }
    return w->ok ? ERR_OK : ERR_TOO_LONG;
}

// ---- the tracker's replies, as the client reads them

// A number as a count: negative is not said, too big is the greatest.
static uint32_t count_of(struct slice raw)
{
    int64_t v;
    if (!bencode_raw_int(raw, &v) || v < 0)
        return ANNOUNCE_UNKNOWN;
    return (uint32_t)u64_min((uint64_t)v, ANNOUNCE_UNKNOWN - 1);
}

// BEP 31: minutes, or "never". Some write the number as a string.
static int64_t retry_of(struct slice raw)
{
    struct slice text;
    int64_t minutes = 0;
    uint64_t v;
    if (bencode_raw_str(raw, &text)) {
        if (slice_eq_str(text, "never"))
            return ANNOUNCE_RETRY_NEVER;
        minutes = dec_parse(text, UINT32_MAX, &v) == ERR_OK ? (int64_t)v : 0;
    } else {
        (void)bencode_raw_int(raw, &minutes);
    }
    return minutes <= 0 || minutes > UINT32_MAX ? 0 : minutes * 60;
}

enum err announce_reply_parse(struct announce_reply *out, struct slice body)
{
    enum { SEEDS, DOWNLOADED, EXTERNAL, FAILURE, LEECHES, INTERVAL, MIN_INTERVAL, PEERS, PEERS6, RETRY, ID, WARNING, N };
    struct bencode_field f[N] = {
        [SEEDS] = {.key = "complete"}, [DOWNLOADED] = {.key = "downloaded"}, [EXTERNAL] = {.key = "external ip"},
        [FAILURE] = {.key = "failure reason"}, [LEECHES] = {.key = "incomplete"}, [INTERVAL] = {.key = "interval"},
        [MIN_INTERVAL] = {.key = "min interval"}, [PEERS] = {.key = "peers"}, [PEERS6] = {.key = "peers6"},
        [RETRY] = {.key = "retry in"}, [ID] = {.key = "tracker id"}, [WARNING] = {.key = "warning message"},
    };
    if (!bencode_fields(body, f, N))
        return ERR_PROTOCOL;
    struct announce_reply r = {
        .retry_in_s = retry_of(f[RETRY].raw), .interval_s = count_of(f[INTERVAL].raw),
        .min_interval_s = count_of(f[MIN_INTERVAL].raw), .seeds = count_of(f[SEEDS].raw),
        .leeches = count_of(f[LEECHES].raw), .downloaded = count_of(f[DOWNLOADED].raw),
    };
    r.failed = bencode_raw_str(f[FAILURE].raw, &r.failure);
    (void)bencode_raw_str(f[WARNING].raw, &r.warning);
    (void)bencode_raw_str(f[ID].raw, &r.tracker_id);
    if (!bencode_raw_str(f[PEERS].raw, &r.peers4))
        r.peers_list = f[PEERS].raw;
    (void)bencode_raw_str(f[PEERS6].raw, &r.peers6);
    struct slice ip;
    if (bencode_raw_str(f[EXTERNAL].raw, &ip) && (ip.n == 4 || ip.n == 16))
        r.external = ip.n == 4 ? addr_ipv4(ip.p, 0) : addr_ipv6(ip.p, 0);
    *out = r;
    return ERR_OK;
}

void announce_peers_init(struct announce_peers *p, const struct announce_reply *r)
{
    p->peers4 = rd_make(r->peers4);
    p->peers6 = rd_make(r->peers6);
    p->skipped = 0;
    bencode_init(&p->list, r->peers_list, BENCODE_LENIENT);
    (void)bencode_list(&p->list);       // anything else has no items
}

// {ip: text, port: number}: a host name gives no address. BEP 3, 7.
static bool peer_of(struct slice raw, struct addr *out)
{
    struct bencode_field f[] = {{.key = "ip"}, {.key = "port"}};
    struct slice ip;
    int64_t port;
    if (!bencode_fields(raw, f, ARRAY_LEN(f)) || !bencode_raw_str(f[0].raw, &ip) || !bencode_raw_int(f[1].raw, &port))
        return false;
    struct addr a;
    if (port <= 0 || port > UINT16_MAX || addr_parse(ip, 1, &a) != ERR_OK)
        return false;
    a.port = u16_of((uint64_t)port);
    *out = a;
    return true;
}

bool announce_peers_next(struct announce_peers *p, struct addr *out)
{
    struct addr a = {0};
    while (p->peers4.n >= 6 || p->peers6.n >= 18) {
        uint8_t ip[16];
        const bool ipv6 = p->peers4.n < 6;
        struct rd *r = ipv6 ? &p->peers6 : &p->peers4;
        rd_copy(r, ip, ipv6 ? 16 : 4);
        const uint16_t port = rd_be16(r);
        a = ipv6 ? addr_ipv6(ip, port) : addr_ipv4(ip, port);
        if (a.port != 0) {
            *out = a;
            return true;
        }
        p->skipped++;
    }
    while (p->list.depth != 0 && bencode_more(&p->list)) {
        if (peer_of(bencode_raw(&p->list), out))
            return true;
        p->skipped++;
    }
    return false;
}

enum err scrape_reply_find(struct slice body, const uint8_t hash[20], struct scrape_counts *out)
{
    struct bencode_field top[] = {{.key = "files"}};
    if (!bencode_fields(body, top, ARRAY_LEN(top)) || top[0].raw.n == 0)
        return ERR_PROTOCOL;
    struct bencode b;
    struct slice key;
    bencode_init(&b, top[0].raw, BENCODE_LENIENT);
    if (!bencode_dict(&b))
        return ERR_PROTOCOL;
    while (bencode_key(&b, &key)) {
        const struct slice raw = bencode_raw(&b);
        if (!slice_eq(key, slice_of(hash, ANNOUNCE_HASH_LEN)))
            continue;
        struct bencode_field f[] = {{.key = "complete"}, {.key = "downloaded"}, {.key = "incomplete"}};
        if (!bencode_fields(raw, f, ARRAY_LEN(f)))
            return ERR_PROTOCOL;
        *out = (struct scrape_counts){.seeds = count_of(f[0].raw), .downloaded = count_of(f[1].raw), .leeches = count_of(f[2].raw)};
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

// ---- requests, as the tracker reads them

// The next line of r without its CR LF or LF; false and r untouched: no line end.
static bool next_line(struct slice *s, struct slice *line)
{
    const uint8_t *end = s->n == 0 ? NULL : memchr(s->p, '\n', s->n);
    if (end == NULL)
        return false;
    const size_t n = (size_t)(end - s->p);
    *line = slice_of(s->p, n != 0 && s->p[n - 1] == '\r' ? n - 1 : n);
    *s = slice_sub(*s, n + 1, s->n);
    return true;
}

// "GET /announce?a=b HTTP/1.1". RFC 9112 §3.
static enum err parse_request_line(struct http_request *q, struct slice line)
{
    const uint8_t *a = line.n == 0 ? NULL : memchr(line.p, ' ', line.n);
    if (a == NULL)
        return ERR_SYNTAX;
    const struct slice method = slice_of(line.p, (size_t)(a - line.p));
    struct slice target = slice_sub(line, method.n + 1, line.n);
    const uint8_t *b = target.n == 0 ? NULL : memchr(target.p, ' ', target.n);
    if (b == NULL)
        return ERR_SYNTAX;
    const size_t target_n = (size_t)(b - target.p);
    const struct slice version = slice_sub(target, target_n + 1, target.n);
    target.n = target_n;
    if (version.n != 8 || !slice_starts(version, "HTTP/1."))
        return ERR_SYNTAX;
    q->head = slice_eq_str(method, "HEAD");
    if (!q->head && !slice_eq_str(method, "GET"))
        return ERR_UNSUPPORTED;
    q->keep_alive = version.p[7] != '0';
    struct url u;
    if (url_parse(target, &u) == ERR_OK)                // absolute form, as proxies are asked: RFC 9112 §3.2.2
        target = u.path;
    const uint8_t *mark = target.n == 0 ? NULL : memchr(target.p, '?', target.n);
    q->path = mark == NULL ? target : slice_of(target.p, (size_t)(mark - target.p));
    q->query = slice_sub(target, q->path.n + 1, target.n);
    return ERR_OK;
}

static enum err parse_header(struct http_request *q, struct slice line)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    if (colon == NULL)
        return ERR_SYNTAX;
    const struct slice name = slice_of(line.p, (size_t)(colon - line.p));
    const struct slice value = slice_trim(slice_sub(line, name.n + 1, line.n), " \t");
    if (fold_eq_str(name, "transfer-encoding"))
        return ERR_SYNTAX;
    if (fold_eq_str(name, "content-length") && !slice_eq_str(value, "0"))
        return ERR_SYNTAX;
    if (fold_eq_str(name, "connection") && fold_eq_str(value, "close"))
        q->keep_alive = false;
    if (fold_eq_str(name, "connection") && fold_eq_str(value, "keep-alive"))
        q->keep_alive = true;
    return ERR_OK;
}

enum err http_request_parse(struct http_request *out, struct slice bytes)
{
    struct http_request q = {0};
    struct slice rest = bytes, line;
    do {
        if (!next_line(&rest, &line))
            return ERR_AGAIN;
    } while (line.n == 0);              // blank lines before a request are skipped: RFC 9112 §2.2
    const enum err first = parse_request_line(&q, line);
    if (first != ERR_OK)
        return first;
    for (;;) {
        if (!next_line(&rest, &line))
            return ERR_AGAIN;
        if (line.n == 0)
            break;
        const enum err e = parse_header(&q, line);
        if (e != ERR_OK)
            return e;
    }
    q.len = bytes.n - rest.n;
    *out = q;
    return ERR_OK;
}

// Decodes a value of exactly n bytes.
static bool decode_exact(struct slice value, uint8_t *out, size_t n)
{
    uint8_t space[20];
    ASSERT(n <= sizeof space);
    struct buf b = {space, 0, n};
    struct wr w = wr_make(&b);
    if (url_decode(&w, value) != ERR_OK || b.n != n)
        return false;
    memcpy(out, space, n);
    return true;
}

// A counter in bytes. Negative, too big or no number at all is taken as "unknown".
static uint64_t counter_of(struct slice value)
{
    uint64_t v = UINT64_MAX;
    return dec_parse(value, UINT64_MAX, &v) == ERR_OK ? v : UINT64_MAX;
}

static enum announce_event event_of(struct slice value)
{
    static const enum announce_event all[] = {ANNOUNCE_COMPLETED, ANNOUNCE_STARTED, ANNOUNCE_STOPPED, ANNOUNCE_PAUSED};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (slice_eq_str(value, event_name(all[i])))
            return all[i];
    return ANNOUNCE_NONE;
}

static void take_number(struct slice value, uint64_t max, uint64_t *out)
{
    uint64_t v;
    if (dec_parse(value, max, &v) == ERR_OK)
        *out = v;
}

static enum err take_parameter(struct announce_query *q, struct slice name, struct slice value, const char **why)
{
    struct announce *a = &q->announce;
    uint64_t v;
    if (slice_eq_str(name, "info_hash") && !decode_exact(value, a->info_hash, sizeof a->info_hash)) {
        *why = "info_hash is not 20 bytes";
        return ERR_SYNTAX;
    }
    if (slice_eq_str(name, "peer_id") && !decode_exact(value, a->peer_id, sizeof a->peer_id)) {
        *why = "peer_id is not 20 bytes";
        return ERR_SYNTAX;
    }
    if (slice_eq_str(name, "port")) {
        v = 0;
        take_number(value, UINT16_MAX, &v);
        a->port = u16_of(v);
    } else if (slice_eq_str(name, "uploaded")) {
        a->uploaded = counter_of(value);
    } else if (slice_eq_str(name, "downloaded")) {
        a->downloaded = counter_of(value);
    } else if (slice_eq_str(name, "left")) {
        a->left = counter_of(value);
    } else if (slice_eq_str(name, "event")) {
        a->event = event_of(value);
    } else if (slice_eq_str(name, "numwant")) {
        v = ANNOUNCE_UNKNOWN;
        take_number(value, ANNOUNCE_UNKNOWN, &v);
        a->numwant = u32_of(v);
    } else if (slice_eq_str(name, "compact")) {
        q->compact = !slice_eq_str(value, "0");
    } else if (slice_eq_str(name, "key") && value.n == 8) {
        uint8_t key[4];
        if (hex_parse(value, key, sizeof key) == ERR_OK)
            a->key = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
    }
    return ERR_OK;
}

enum err announce_query_parse(struct announce_query *out, struct slice query, const char **why)
{
    struct announce_query q = {
        .announce = {.left = ANNOUNCE_LEFT_UNKNOWN, .numwant = ANNOUNCE_UNKNOWN}, .compact = true,
    };
    struct slice name, value;
    bool has_hash = false;
    while (url_query_next(&query, &name, &value)) {
        if (slice_eq_str(name, "info_hash") && has_hash)
            continue;                   // the first counts
        const enum err e = take_parameter(&q, name, value, why);
        if (e != ERR_OK)
            return e;
        has_hash = has_hash || slice_eq_str(name, "info_hash");
    }
    if (!has_hash || q.announce.port == 0) {
        *why = has_hash ? "port is missing or zero" : "info_hash is missing";
        return ERR_SYNTAX;
    }
    *out = q;
    return ERR_OK;
}

uint32_t scrape_query_hashes(struct slice query, uint8_t (*out)[20], uint32_t max)
{
    struct slice name, value;
    uint32_t n = 0;
    while (n < max && url_query_next(&query, &name, &value))
        if (slice_eq_str(name, "info_hash") && decode_exact(value, out[n], 20))
            n++;
    return n;
}
