// What trackers say, and what follows from it. See announcer.h. BEP 3, 12, 15, 24, 31, 48.
#include "engine/find/announcer_int.h"

// A reply, whichever way it came.
struct answer {
    uint32_t interval_s, min_interval_s;
    struct announcer_counts counts;
};

static struct announcer_out about(const struct announcer *a, const struct announce_lane *l, uint32_t site)
{
    return (struct announcer_out){.tracker = a->sites[site].index, .hash = l->hash, .family = l->family};
}

// BEP 12: the one that works comes first in its tier.
static void promote(struct announcer *a, uint32_t site)
{
    uint32_t at = 0;
    while (a->order[at] != site)
        at++;
    for (; at > 0 && a->sites[a->order[at - 1]].tier == a->sites[site].tier; at--)
        a->order[at] = a->order[at - 1];
    a->order[at] = site;
}

static nsec clamp_interval(uint32_t s, nsec otherwise)
{
    const nsec v = s == ANNOUNCE_UNKNOWN ? otherwise : s * NSEC_S;
    return u64_min(u64_max(v, ANNOUNCER_INTERVAL_MIN_NS), ANNOUNCER_INTERVAL_MAX_NS);
}

static void tell_counts(struct announcer *a, const struct announce_lane *l, uint32_t site, const struct announcer_counts *c)
{
    struct announcer_out out = about(a, l, site);
    out.counts = *c;
    announcer_tell(a, ANNOUNCER_COUNTS, &out, (struct slice){0});
}

// An announce was answered.
static void announced(struct announcer *a, struct announce_lane *l, uint32_t site, const struct answer *y)
{
    struct announce_slot *s = &l->slots[site];
    const enum announce_event event = s->event;
    announcer_abort(s);
    s->fails = 0;
    s->not_before = 0;
    s->joined = event != ANNOUNCE_STOPPED;
    s->stop_due = s->stop_due && event != ANNOUNCE_STOPPED;
    s->completed_due = s->completed_due && event != ANNOUNCE_COMPLETED && event != ANNOUNCE_STOPPED;
    a->stats.replies++;
    if (a->state != ANNOUNCER_RUNNING)
        return;
    const nsec least = clamp_interval(y->min_interval_s, MIN_INTERVAL_DEFAULT_NS);
    const nsec interval = clamp_interval(y->interval_s, ANNOUNCER_INTERVAL_DEFAULT_NS);
    l->due = a->now + (y->min_interval_s == ANNOUNCE_UNKNOWN ? interval : u64_max(interval, least));
    l->earliest = u64_min(l->due, a->now + least);
    promote(a, site);
    struct announcer_out out = about(a, l, site);
    out.next_ns = l->due;
    announcer_tell(a, ANNOUNCER_OK, &out, (struct slice){0});
    if (y->counts.seeds != ANNOUNCE_UNKNOWN || y->counts.leeches != ANNOUNCE_UNKNOWN || y->counts.downloaded != ANNOUNCE_UNKNOWN)
        tell_counts(a, l, site, &y->counts);
}

static bool is_peer(const struct addr *p)
{
    return p->port != 0 && !addr_is_any(p) && !addr_is_multicast(p);
}

static void tell_peers(struct announcer *a, const struct announce_lane *l, uint32_t site, struct announce_peers *from)
{
    const struct announce_peers start = *from;
    struct addr p;
    uint32_t n = 0;
    while (n < ANNOUNCER_PEERS_MAX && announce_peers_next(from, &p))
        n += is_peer(&p);
    if (n == 0 || a->state != ANNOUNCER_RUNNING)
        return;
    const struct announcer_out out = about(a, l, site);
    struct announcer_event *e = announcer_tell_peers(a, &out, n);
    if (e == NULL)
        return;
    *from = start;
    for (uint32_t i = 0; i < n;) {
        const bool more = announce_peers_next(from, &e->peers[i]);
        ASSERT(more);
        i += is_peer(&e->peers[i]);
    }
    a->stats.peers += n;
}

static void fail(struct announcer *a, struct announce_lane *l, uint32_t site, enum err err, struct slice text)
{
    a->stats.rx_bad += err == ERR_PROTOCOL;
    announcer_fail(a, l, site, err, text, 0);
}

static void scrape_http(struct announcer *a, struct announce_lane *l, uint32_t site, struct slice body)
{
    struct scrape_counts c;
    if (scrape_reply_find(body, a->cfg.info_hash[l->hash], &c) == ERR_OK) {
        const struct announcer_counts counts = {.seeds = c.seeds, .leeches = c.leeches, .downloaded = c.downloaded};
        tell_counts(a, l, site, &counts);
    }
    announcer_abort(&l->slots[site]);
}

static void take_extras(struct announcer *a, const struct announce_lane *l, uint32_t site, const struct announce_reply *r)
{
    struct announce_site *t = &a->sites[site];
    if (r->tracker_id.n != 0 && r->tracker_id.n <= TRACKER_ID_MAX) {
        memcpy(t->tracker_id, r->tracker_id.p, r->tracker_id.n);
        t->tracker_id_n = (uint32_t)r->tracker_id.n;
    }
    struct announcer_out out = about(a, l, site);
    if (r->warning.n != 0 && a->state == ANNOUNCER_RUNNING)
        announcer_tell(a, ANNOUNCER_WARNING, &out, r->warning);
    out.addr = r->external;
    if (r->external.family != ADDR_NONE && a->state == ANNOUNCER_RUNNING)
        announcer_tell(a, ANNOUNCER_EXTERNAL, &out, (struct slice){0});
}

void announcer_http_reply(struct announcer *a, struct announce_lane *l, uint32_t site, int status, struct slice body)
{
    const bool ok = status >= 200 && status < 300;
    if (l->slots[site].scraping) {
        scrape_http(a, l, site, ok ? body : (struct slice){0});
        return;
    }
    struct announce_reply r;
    const enum err e = announce_reply_parse(&r, body);
    if (e == ERR_OK && r.failed) {      // whatever the status: some send it with 4xx
        const nsec retry = r.retry_in_s == ANNOUNCE_RETRY_NEVER ? NSEC_NEVER : (nsec)r.retry_in_s * NSEC_S;
        announcer_fail(a, l, site, ERR_REFUSED, r.failure, retry);
        return;
    }
    if (!ok) {
        uint8_t space[16];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        wr_str(&w, "HTTP ");
        wr_dec_signed(&w, status);
        fail(a, l, site, ERR_REFUSED, buf_slice(&b));
        return;
    }
    if (e != ERR_OK) {
        fail(a, l, site, e, (struct slice){0});
        return;
    }
    struct announce_peers peers;
    announce_peers_init(&peers, &r);
    const struct answer y = {.interval_s = r.interval_s, .min_interval_s = r.min_interval_s,
                             .counts = {.seeds = r.seeds, .leeches = r.leeches, .downloaded = r.downloaded}};
    announced(a, l, site, &y);
    take_extras(a, l, site, &r);
    tell_peers(a, l, site, &peers);
}

static void connected(struct announcer *a, struct announce_slot *s, uint64_t connection_id)
{
    s->connection_id = connection_id;
    s->connected_until = a->now + UDP_ID_NS;
    s->state = SLOT_REQUEST;
    s->fresh_id = true;
    s->id = (uint32_t)rng_u64(&a->rng);
    s->send_due = true;
    s->timer = NSEC_NEVER;
    if (!s->requested)                  // it answers: the waiting starts over, but only once
        s->tries = 0;
}

// An old connection id may be unknown to a tracker that was restarted: connect, and ask once more.
static void refused(struct announcer *a, struct announce_lane *l, uint32_t site, struct slice text)
{
    struct announce_slot *s = &l->slots[site];
    s->connected_until = 0;
    if (s->state == SLOT_REQUEST && !s->fresh_id) {
        s->fresh_id = true;
        s->state = SLOT_CONNECT;
        s->id = (uint32_t)rng_u64(&a->rng);
        s->send_due = true;
        s->timer = NSEC_NEVER;
        return;
    }
    fail(a, l, site, ERR_REFUSED, text);
}

void announcer_udp_reply(struct announcer *a, struct announce_lane *l, uint32_t site, const struct udp_reply *r)
{
    struct announce_slot *s = &l->slots[site];
    const enum udp_action wanted = s->state == SLOT_CONNECT ? UDP_CONNECT : s->scraping ? UDP_SCRAPE : UDP_ANNOUNCE;
    if (r->action == UDP_ERROR) {
        refused(a, l, site, r->body);
        return;
    }
    if (r->action != wanted) {
        a->stats.rx_bad++;
        return;
    }
    if (wanted == UDP_CONNECT) {
        connected(a, s, r->connection_id);
        return;
    }
    if (wanted == UDP_SCRAPE) {
        struct udp_scrape_item item;
        const bool has = udp_scrape_item(r->body, 0, &item);
        const struct announcer_counts c = {.seeds = item.seeds, .leeches = item.leeches, .downloaded = item.downloaded};
        announcer_abort(s);
        if (has)
            tell_counts(a, l, site, &c);
        return;
    }
    const bool ipv6 = s->to.family == ADDR_IPV6;        // BEP 15: the stride follows the family of the socket
    const struct announce_reply as_http = {.peers4 = ipv6 ? (struct slice){0} : r->body, .peers6 = ipv6 ? r->body : (struct slice){0}};
    struct announce_peers peers;
    announce_peers_init(&peers, &as_http);
    const struct answer y = {.interval_s = r->interval_s, .min_interval_s = ANNOUNCE_UNKNOWN,
                             .counts = {.seeds = r->seeds, .leeches = r->leeches, .downloaded = ANNOUNCE_UNKNOWN}};
    announced(a, l, site, &y);
    tell_peers(a, l, site, &peers);
}
