// One exchange with one tracker: resolve, connect, ask, retry. See announcer.h. BEP 3, 15.
#include "engine/find/announcer_int.h"

static struct announce_slot *slot_of(struct announce_lane *l, uint32_t site) { return &l->slots[site]; }

static enum announce_event event_now(const struct announcer *a, const struct announce_slot *s)
{
    if (a->state == ANNOUNCER_STOPPING)
        return ANNOUNCE_STOPPED;
    if (!s->joined)
        return ANNOUNCE_STARTED;
    if (s->completed_due)
        return ANNOUNCE_COMPLETED;
    return a->progress.partial_seed ? ANNOUNCE_PAUSED : ANNOUNCE_NONE;
}

void announcer_abort(struct announce_slot *s)
{
    s->state = SLOT_IDLE;
    s->scraping = s->send_due = s->slow = s->requested = s->fresh_id = false;
    s->id = 0;
    s->timer = s->slow_at = NSEC_NEVER;
}

static uint32_t fresh_transaction(struct announcer *a)
{
    return (uint32_t)rng_u64(&a->rng);
}

// With an address: asks at once if the connection id is still good, else connects first.
static void ask(struct announcer *a, struct announce_slot *s, const struct addr *to)
{
    const bool connected = a->now < s->connected_until && addr_eq(to, &s->to);
    s->to = *to;
    s->state = connected ? SLOT_REQUEST : SLOT_CONNECT;
    s->id = fresh_transaction(a);
    s->send_due = true;
    s->timer = NSEC_NEVER;
}

// Another address after each failure. NULL: the host has none of this family.
static const struct addr *pick_address(const struct announce_site *site, enum addr_family family, uint32_t fails)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < site->n_addrs; i++)
        n += family == ADDR_NONE || site->addrs[i].family == family;
    uint32_t skip = n == 0 ? 0 : fails % n;
    for (uint32_t i = 0; i < site->n_addrs; i++)
        if ((family == ADDR_NONE || site->addrs[i].family == family) && skip-- == 0)
            return &site->addrs[i];
    return NULL;
}

void announcer_resolved_slot(struct announcer *a, struct announce_lane *l, uint32_t site, enum err err)
{
    struct announce_slot *s = slot_of(l, site);
    const struct announce_site *t = &a->sites[site];
    const struct addr *to = err == ERR_OK ? pick_address(t, l->family, s->fails) : NULL;
    if (to != NULL)
        ask(a, s, to);
    else
        announcer_fail(a, l, site, err == ERR_OK ? ERR_UNREACHABLE : err, (struct slice){0}, 0);
}

void announcer_begin(struct announcer *a, struct announce_lane *l, uint32_t site, bool scrape)
{
    struct announce_slot *s = slot_of(l, site);
    struct announce_site *t = &a->sites[site];
    ASSERT(s->state == SLOT_IDLE);
    ASSERT(a->state != ANNOUNCER_OFF);
    announcer_abort(s);
    s->scraping = scrape;
    s->scrape_due = s->scrape_due && !scrape;
    s->event = scrape ? ANNOUNCE_NONE : event_now(a, s);
    s->tries = 0;
    s->slow_at = a->now + ANNOUNCER_NEXT_AFTER_NS;
    if (t->kind == SITE_HTTP) {
        s->state = SLOT_FETCH;
        s->id = ++a->next_id;
        s->send_due = true;
        return;
    }
    if (a->now < t->resolved_until) {
        announcer_resolved_slot(a, l, site, ERR_OK);
        return;
    }
    s->state = SLOT_RESOLVE;
    s->timer = a->now + ANNOUNCER_FETCH_TIMEOUT_NS;
    if (t->resolve_id == 0) {
        t->resolve_id = ++a->next_id;
        t->resolve_due = true;
    }
}

// Doubles from the least to the greatest, with up to an eighth on top so that clients do not come back together.
static nsec backoff(struct announcer *a, uint32_t fails)
{
    ASSERT(fails > 0);
    const uint32_t doublings = u32_min(fails - 1, 16);
    const nsec wait = u64_min(ANNOUNCER_BACKOFF_MIN_NS << doublings, ANNOUNCER_BACKOFF_MAX_NS);
    return wait + rng_below(&a->rng, wait / 8);
}

// Whether this site answers in another lane: then a failure in one (no IPv6, the other hash not registered) is no news.
static bool works_elsewhere(const struct announcer *a, const struct announce_lane *l, uint32_t site)
{
    for (uint32_t i = 0; i < a->n_lanes; i++) {
        const struct announce_slot *s = &a->lanes[i].slots[site];
        if (&a->lanes[i] != l && s->joined && s->fails == 0)
            return true;
    }
    return false;
}

static void tell_error(struct announcer *a, const struct announce_lane *l, uint32_t site, enum err err, struct slice text,
                       nsec next)
{
    const struct announcer_out out = {.tracker = a->sites[site].index, .hash = l->hash, .family = l->family, .err = err,
                                      .next_ns = next};
    if (!works_elsewhere(a, l, site))
        announcer_tell(a, ANNOUNCER_ERROR, &out, text);
}

void announcer_fail(struct announcer *a, struct announce_lane *l, uint32_t site, enum err err, struct slice text, nsec retry_ns)
{
    struct announce_slot *s = slot_of(l, site);
    const struct announce_site *t = &a->sites[site];
    const bool scraping = s->scraping, slow = s->slow;
    announcer_abort(s);
    s->connected_until = 0;
    if (scraping)
        return;
    a->stats.failures++;
    s->fails++;
    s->stop_due = false;
    s->completed_due = s->completed_due && s->joined;
    s->disabled = retry_ns == NSEC_NEVER;
    const bool no_family = err == ERR_UNREACHABLE && t->kind == SITE_UDP && t->n_addrs != 0;
    const nsec wait = retry_ns != 0 ? u64_min(retry_ns, ANNOUNCER_RETRY_IN_MAX_NS) : no_family ? NO_FAMILY_NS
                      : u64_max(backoff(a, s->fails), err == ERR_REFUSED && text.n != 0 ? REFUSED_MIN_NS : 0);
    s->not_before = s->disabled ? NSEC_NEVER : a->now + wait;
    if (a->state == ANNOUNCER_RUNNING) {
        tell_error(a, l, site, err, text, s->not_before);
        if (!slow || l->due == NSEC_NEVER)      // else the walk has gone on already
            l->due = u64_min(l->due, a->now);
    }
}

static void udp_timeout(struct announcer *a, struct announce_lane *l, uint32_t site)
{
    struct announce_slot *s = slot_of(l, site);
    s->tries++;
    s->timer = NSEC_NEVER;
    if (s->tries > (s->scraping ? SCRAPE_TRIES_MAX : UDP_TRIES_MAX)) {
        announcer_fail(a, l, site, ERR_TIMEOUT, (struct slice){0}, 0);
        return;
    }
    s->send_due = true;
    if (s->tries == 2 && !s->scraping && a->state == ANNOUNCER_RUNNING)     // one lost datagram is no news, two are
        tell_error(a, l, site, ERR_TIMEOUT, (struct slice){0}, a->now);
}

void announcer_slot_tick(struct announcer *a, struct announce_lane *l, uint32_t site)
{
    struct announce_slot *s = slot_of(l, site);
    if (a->now >= s->slow_at) {
        s->slow_at = NSEC_NEVER;
        s->slow = true;
        if (!s->scraping && a->state == ANNOUNCER_RUNNING)
            l->due = u64_min(l->due, a->now);
    }
    if (a->now < s->timer)
        return;
    switch (s->state) {
    case SLOT_IDLE:
        break;
    case SLOT_RESOLVE:
        a->sites[site].resolve_id = 0;  // the next one asks again
        a->sites[site].resolve_due = false;
        announcer_fail(a, l, site, ERR_TIMEOUT, (struct slice){0}, 0);
        break;
    case SLOT_FETCH:
        announcer_fail(a, l, site, ERR_TIMEOUT, (struct slice){0}, 0);
        break;
    case SLOT_CONNECT:
    case SLOT_REQUEST:
        udp_timeout(a, l, site);
        break;
    }
}

nsec announcer_slot_due(const struct announce_slot *s)
{
    nsec at = u64_min(s->timer, s->slow_at);
    if (s->completed_due && s->state == SLOT_IDLE)
        at = u64_min(at, s->not_before);
    return at;
}

static struct announce announce_now(const struct announcer *a, const struct announce_lane *l, const struct announce_slot *s)
{
    struct announce n = {
        .uploaded = a->progress.uploaded, .downloaded = a->progress.downloaded, .left = a->progress.left,
        .event = s->event, .key = a->cfg.key, .port = a->cfg.port,
        .numwant = s->event == ANNOUNCE_STOPPED ? 0 : ANNOUNCER_NUMWANT,
    };
    memcpy(n.info_hash, a->cfg.info_hash[l->hash], sizeof n.info_hash);
    memcpy(n.peer_id, a->cfg.peer_id, sizeof n.peer_id);
    return n;
}

static const struct addr *told_address(const struct announcer *a, int i)
{
    return a->cfg.is_private && a->external[i].family != ADDR_NONE ? &a->external[i] : NULL;
}

static void write_fetch(struct announcer *a, const struct announce_lane *l, uint32_t site, const struct announce_slot *s, struct wr *w)
{
    const struct announce_site *t = &a->sites[site];
    if (s->scraping) {
        const enum err e = scrape_url_write(w, t->url, slice_of(a->cfg.info_hash[l->hash], ANNOUNCE_HASH_LEN));
        ASSERT(e == ERR_OK);            // asked only of sites that can: announcer_scrape
        return;
    }
    const struct announce_query q = {
        .announce = announce_now(a, l, s), .compact = true, .ipv4 = told_address(a, 0), .ipv6 = told_address(a, 1),
        .tracker_id = slice_of(t->tracker_id, t->tracker_id_n),
    };
    announce_url_write(w, t->url, &q);
}

static void write_datagram(struct announcer *a, const struct announce_lane *l, uint32_t site, struct announce_slot *s, struct wr *w)
{
    if (s->state == SLOT_REQUEST && a->now >= s->connected_until) {
        s->state = SLOT_CONNECT;        // BEP 15: an expired id is asked for again
        s->id = fresh_transaction(a);
    }
    if (s->state == SLOT_CONNECT) {
        udp_connect_write(w, s->id);
    } else if (s->scraping) {
        udp_scrape_write(w, s->connection_id, s->id, slice_of(a->cfg.info_hash[l->hash], ANNOUNCE_HASH_LEN));
    } else {
        const struct announce n = announce_now(a, l, s);
        udp_announce_write(w, s->connection_id, s->id, &n, a->sites[site].parts.path);
        s->requested = true;
    }
}

enum announcer_kind announcer_slot_send(struct announcer *a, struct announce_lane *l, uint32_t site, struct buf *tx,
                                        struct announcer_out *out)
{
    struct announce_slot *s = slot_of(l, site);
    if (!s->send_due || buf_room(tx) < ANNOUNCER_TX_MIN)
        return ANNOUNCER_IDLE;
    const size_t at = tx->n;
    struct wr w = wr_make(tx);
    s->send_due = false;
    a->stats.announces += !s->scraping && (s->state == SLOT_FETCH || (s->state == SLOT_REQUEST && !s->requested));
    *out = (struct announcer_out){.tracker = a->sites[site].index, .hash = l->hash, .family = l->family};
    if (s->state == SLOT_FETCH) {
        write_fetch(a, l, site, s, &w);
        s->timer = a->now + ANNOUNCER_FETCH_TIMEOUT_NS;
        out->id = s->id;
    } else {
        const nsec unit = a->state == ANNOUNCER_STOPPING ? UDP_STOP_RETRY_NS : UDP_RETRY_NS;
        write_datagram(a, l, site, s, &w);
        s->timer = a->now + (unit << s->tries);
        out->transaction = s->id;
        out->addr = s->to;
        out->family = (enum addr_family)s->to.family;
    }
    ASSERT(w.ok);                       // ANNOUNCER_TX_MIN is enough for every URL that was taken
    out->bytes = slice_of(tx->p + at, tx->n - at);
    return s->state == SLOT_FETCH ? ANNOUNCER_FETCH : ANNOUNCER_SEND;
}
