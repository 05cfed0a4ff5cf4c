// The tracker client's doors and the walk over the tiers. See announcer.h. BEP 12.
#include "engine/find/announcer_int.h"

enum { PURPOSE_ANNOUNCER = 0x616e6e6f };        // of the random stream

static void advance(struct announcer *a, nsec now)
{
    ASSERT(now >= a->now);
    a->now = now;
}

// ---- making

static enum err site_make(struct announcer *a, const struct announcer_tracker *t, uint32_t index)
{
    struct url u;
    if (t->url.n == 0 || t->url.n > ANNOUNCE_URL_MAX || url_parse(t->url, &u) != ERR_OK)
        return ERR_SYNTAX;
    const bool udp = url_is(&u, "udp");
    if ((udp && u.port == 0) || (!udp && !url_is(&u, "http") && !url_is(&u, "https")))
        return ERR_SYNTAX;
    for (uint32_t i = 0; i < a->n_sites; i++)
        if (slice_eq(a->sites[i].url, t->url))
            return ERR_EXISTS;
    uint8_t *text = mem_zalloc(a->env->mem, t->url.n);
    if (text == NULL)
        return ERR_NOMEM;
    memcpy(text, t->url.p, t->url.n);
    uint32_t at = a->n_sites++;
    for (; at > 0 && a->sites[at - 1].tier > t->tier; at--)     // in the order of the tiers, else as given
        a->sites[at] = a->sites[at - 1];
    struct announce_site *s = &a->sites[at];
    *s = (struct announce_site){.index = index, .tier = t->tier, .kind = udp ? SITE_UDP : SITE_HTTP, .text = text,
                                .url = slice_of(text, t->url.n)};
    const enum err e = url_parse(s->url, &s->parts);
    ASSERT(e == ERR_OK);
    if (udp && addr_parse(s->parts.host, u.port, &s->addrs[0]) == ERR_OK) {
        s->addrs[0].port = u.port;
        s->n_addrs = 1;
        s->resolved_until = NSEC_NEVER;
    }
    return ERR_OK;
}

static enum err sites_make(struct announcer *a, const struct announcer_config *cfg)
{
    const uint32_t n = u32_min(cfg->n_trackers, ANNOUNCER_TRACKERS_MAX);
    a->stats.trackers_ignored = cfg->n_trackers - n;
    if (n == 0)
        return ERR_OK;
    a->sites_max = n;
    a->sites = mem_zarray(a->env->mem, n, sizeof *a->sites);
    a->order = mem_zarray(a->env->mem, n, sizeof *a->order);
    if (a->sites == NULL || a->order == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        const enum err e = site_make(a, &cfg->trackers[i], i);
        if (e == ERR_NOMEM)
            return e;
        a->stats.trackers_ignored += e != ERR_OK;
    }
    return ERR_OK;
}

// BEP 12: each tier is shuffled once.
static void shuffle(struct announcer *a)
{
    for (uint32_t i = 0; i < a->n_sites; i++) {
        uint32_t first = i;
        while (first > 0 && a->sites[first - 1].tier == a->sites[i].tier)
            first--;
        const uint32_t other = first + (uint32_t)rng_below(&a->rng, i - first + 1);
        a->order[i] = a->order[other];
        a->order[other] = i;
    }
}

// Lanes of all hashes; those that are there stay as they are.
static enum err lanes_make(struct announcer *a)
{
    const enum addr_family families[2] = {
        a->cfg.has_ipv4 ? ADDR_IPV4 : a->cfg.has_ipv6 ? ADDR_IPV6 : ADDR_NONE, ADDR_IPV6,
    };
    const uint32_t n_families = a->cfg.has_ipv4 && a->cfg.has_ipv6 ? 2 : 1, before = a->n_lanes, all = a->cfg.n_hashes * n_families;
    struct announce_slot *slots = a->n_sites == 0 ? NULL : mem_zarray(a->env->mem, (size_t)all * a->n_sites, sizeof *slots);
    if (a->n_sites != 0 && slots == NULL)
        return ERR_NOMEM;
    if (before != 0 && slots != NULL)
        memcpy(slots, a->slots, (size_t)before * a->n_sites * sizeof *slots);
    mem_free(a->env->mem, a->slots, (size_t)before * a->n_sites * sizeof *slots);
    a->slots = slots;
    a->n_lanes = all;
    for (uint32_t i = 0; i < all; i++) {
        struct announce_lane *l = &a->lanes[i];
        if (i >= before)
            *l = (struct announce_lane){.hash = i / n_families, .family = families[i % n_families], .due = NSEC_NEVER};
        l->slots = slots == NULL ? NULL : &slots[i * a->n_sites];
        for (uint32_t k = 0; k < a->n_sites && i >= before; k++)
            announcer_abort(&l->slots[k]);
    }
    return ERR_OK;
}

enum err announcer_new(struct announcer **out, const struct announcer_config *cfg, const struct env *env, nsec now)
{
    ASSERT(cfg->n_hashes >= 1);
    ASSERT(cfg->n_hashes <= ANNOUNCER_HASHES_MAX);
    struct announcer *a = mem_zalloc(env->mem, sizeof *a);
    if (a == NULL)
        return ERR_NOMEM;
    a->cfg = *cfg;
    a->cfg.trackers = NULL;
    a->env = env;
    a->now = now;
    uint64_t purpose;
    memcpy(&purpose, cfg->info_hash[0], sizeof purpose);        // one stream for each torrent
    a->rng = rng_make(env->seed ^ mix64(purpose), PURPOSE_ANNOUNCER);
    a->stop_at = NSEC_NEVER;
    a->progress.left = ANNOUNCE_LEFT_UNKNOWN;
    list_init(&a->events);
    enum err e = sites_make(a, cfg);
    if (e == ERR_OK)
        e = lanes_make(a);
    if (e != ERR_OK) {
        announcer_free(a);
        return e;
    }
    shuffle(a);
    *out = a;
    return ERR_OK;
}

void announcer_free(struct announcer *a)
{
    if (a == NULL)
        return;
    const struct mem *m = a->env->mem;
    announcer_event_free(a, a->told);
    LIST_EACH(&a->events, link, save)
        announcer_event_free(a, CONTAINER(link, struct announcer_event, link));
    mem_free(m, a->slots, (size_t)a->n_lanes * a->n_sites * sizeof *a->slots);
    for (uint32_t i = 0; i < a->n_sites; i++)
        mem_free(m, a->sites[i].text, a->sites[i].url.n);
    mem_free(m, a->order, a->sites_max * sizeof *a->order);
    mem_free(m, a->sites, a->sites_max * sizeof *a->sites);
    mem_free(m, a, sizeof *a);
}

// ---- the walk

// Asks the first tracker in the order of the tiers that may be asked now; waits while one is being asked.
static void walk(struct announcer *a, struct announce_lane *l)
{
    nsec next = NSEC_NEVER;
    l->due = NSEC_NEVER;
    for (uint32_t i = 0; i < a->n_sites; i++) {
        struct announce_slot *s = &l->slots[a->order[i]];
        if (s->state != SLOT_IDLE && s->scraping)
            announcer_abort(s);
        if (s->state != SLOT_IDLE && !s->slow)
            return;
        if (s->state != SLOT_IDLE)
            continue;
        if (s->disabled || s->not_before > a->now) {
            next = u64_min(next, s->not_before);
            continue;
        }
        announcer_begin(a, l, a->order[i], false);
        if (s->state != SLOT_IDLE) {
            l->due = NSEC_NEVER;
            return;
        }
        next = u64_min(next, s->not_before);    // it failed at once
    }
    l->due = next;
}

// What trackers that know us are still to be told.
static void tell_trackers(struct announcer *a, struct announce_lane *l)
{
    for (uint32_t i = 0; i < a->n_sites; i++) {
        struct announce_slot *s = &l->slots[i];
        if (s->state != SLOT_IDLE || !s->joined || s->not_before > a->now)
            continue;
        if (s->completed_due)
            announcer_begin(a, l, i, false);
        else if (s->scrape_due)
            announcer_begin(a, l, i, true);
    }
}

static void finish_stop(struct announcer *a)
{
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++) {
            struct announce_slot *s = &a->lanes[i].slots[k];
            announcer_abort(s);
            s->joined = s->completed_due = s->stop_due = s->scrape_due = false;
        }
    a->state = ANNOUNCER_OFF;
    a->stop_at = NSEC_NEVER;
    a->stops_done += a->stops;
    a->stops = 0;
}

// Sends `stopped` where it is due. Returns whether all have been told.
static bool all_stopped(struct announcer *a)
{
    bool all = true;
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++) {
            struct announce_slot *s = &a->lanes[i].slots[k];
            if (s->state == SLOT_IDLE && s->stop_due)
                announcer_begin(a, &a->lanes[i], k, false);
            s->stop_due = s->stop_due && s->state != SLOT_IDLE;     // it failed at once
            all = all && s->state == SLOT_IDLE;
        }
    return all;
}

static void begin_start(struct announcer *a)
{
    a->state = ANNOUNCER_RUNNING;
    for (uint32_t i = 0; i < a->n_lanes; i++) {
        a->lanes[i].due = a->lanes[i].earliest = a->now;
        for (uint32_t k = 0; k < a->n_sites; k++) {
            struct announce_slot *s = &a->lanes[i].slots[k];
            s->disabled = false;
            s->fails = 0;
            s->not_before = 0;
        }
    }
}

// Does everything that is due.
static void work(struct announcer *a)
{
    if (a->state == ANNOUNCER_STOPPING && (a->now >= a->stop_at || all_stopped(a)))
        finish_stop(a);
    if (a->state == ANNOUNCER_OFF && a->restart) {
        a->restart = false;
        begin_start(a);
    }
    if (a->state != ANNOUNCER_RUNNING)
        return;
    for (uint32_t i = 0; i < a->n_lanes; i++) {
        tell_trackers(a, &a->lanes[i]);
        if (a->lanes[i].due <= a->now)
            walk(a, &a->lanes[i]);
    }
}

// ---- commands

void announcer_start(struct announcer *a, nsec now)
{
    advance(a, now);
    a->restart = a->state != ANNOUNCER_RUNNING;
    work(a);
}

void announcer_completed(struct announcer *a, nsec now)
{
    advance(a, now);
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++) {
            struct announce_slot *s = &a->lanes[i].slots[k];
            const bool joining = s->state != SLOT_IDLE && s->event == ANNOUNCE_STARTED && !s->scraping;
            s->completed_due = s->joined || joining;    // others are told left=0 with `started`: BEP 3
        }
    work(a);
}

// What becomes of a slot when all shall stop.
static void stop_slot(struct announce_slot *s)
{
    const bool asked = s->state == SLOT_FETCH ? !s->send_due : s->requested;
    const bool asking = s->state != SLOT_IDLE && !s->scraping && asked;
    s->completed_due = s->scrape_due = false;
    s->stop_due = s->joined || asking;
    if (s->state == SLOT_FETCH && asking)
        return;                                         // `stopped` may not overtake it: wait
    announcer_abort(s);
}

void announcer_stop(struct announcer *a, nsec now)
{
    advance(a, now);
    a->restart = false;
    a->stops++;
    if (a->state == ANNOUNCER_OFF)
        finish_stop(a);
    if (a->state != ANNOUNCER_RUNNING)
        return;
    a->state = ANNOUNCER_STOPPING;
    a->stop_at = now + ANNOUNCER_STOP_MAX_NS;
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++)
            stop_slot(&a->lanes[i].slots[k]);
    work(a);
}

void announcer_update(struct announcer *a, const struct announcer_progress *p)
{
    a->progress = *p;
}

void announcer_want_peers(struct announcer *a, nsec now)
{
    advance(a, now);
    for (uint32_t i = 0; i < a->n_lanes; i++) {
        struct announce_lane *l = &a->lanes[i];
        if (l->due != NSEC_NEVER)
            l->due = u64_min(l->due, u64_max(now, l->earliest));
    }
    work(a);
}

bool announcer_port(struct announcer *a, nsec now, uint16_t port)
{
    bool all = true;
    advance(a, now);
    a->cfg.port = port;
    for (uint32_t i = 0; i < a->n_lanes && a->state == ANNOUNCER_RUNNING; i++) {
        struct announce_lane *l = &a->lanes[i];
        all &= l->due != NSEC_NEVER;
        if (l->due != NSEC_NEVER)
            l->due = now;
    }
    work(a);
    return all;
}

enum err announcer_hash(struct announcer *a, nsec now, const uint8_t info_hash[20])
{
    advance(a, now);
    ASSERT(a->cfg.n_hashes == 1);
    memcpy(a->cfg.info_hash[1], info_hash, sizeof a->cfg.info_hash[1]);
    a->cfg.n_hashes = 2;
    const uint32_t before = a->n_lanes;
    const enum err e = lanes_make(a);
    if (e != ERR_OK) {
        a->cfg.n_hashes = 1;
        return e;
    }
    for (uint32_t i = before; i < a->n_lanes && a->state == ANNOUNCER_RUNNING; i++)
        a->lanes[i].due = a->lanes[i].earliest = now;
    work(a);
    return ERR_OK;
}

// BEP 48: the name must follow the convention; UDP always can.
static bool can_scrape(const struct announce_site *t)
{
    if (t->kind == SITE_UDP)
        return true;
    uint8_t space[ANNOUNCE_URL_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    return scrape_url_write(&w, t->url, (struct slice){0}) == ERR_OK;
}

void announcer_scrape(struct announcer *a, nsec now)
{
    advance(a, now);
    for (uint32_t k = 0; k < a->n_sites; k++) {
        const bool can = can_scrape(&a->sites[k]);
        for (uint32_t i = 0; i < a->n_lanes; i++) {
            struct announce_slot *s = &a->lanes[i].slots[k];
            s->scrape_due = can && s->joined && !s->scraping;
        }
    }
    work(a);
}

void announcer_external(struct announcer *a, const struct addr *external)
{
    ASSERT(external->family != ADDR_NONE);
    a->external[external->family == ADDR_IPV6] = *external;
}

// ---- inputs

void announcer_fetched(struct announcer *a, nsec now, uint32_t id, enum err err, int status, struct slice body)
{
    advance(a, now);
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++) {
            struct announce_lane *l = &a->lanes[i];
            const struct announce_slot *s = &l->slots[k];
            if (s->state != SLOT_FETCH || s->id != id || s->send_due)
                continue;
            if (err == ERR_OK)
                announcer_http_reply(a, l, k, status, body);
            else
                announcer_fail(a, l, k, err, (struct slice){0}, 0);
            work(a);
            return;
        }
}

static void keep_addresses(struct announcer *a, struct announce_site *t, const struct addr *addrs, uint32_t n)
{
    t->n_addrs = 0;
    for (uint32_t i = 0; i < n && t->n_addrs < SITE_ADDRS_MAX; i++) {
        struct addr *to = &t->addrs[t->n_addrs];
        if (addrs[i].family == ADDR_NONE || addr_is_any(&addrs[i]) || addr_is_multicast(&addrs[i]))
            continue;
        *to = addrs[i];
        to->port = t->parts.port;
        t->n_addrs++;
    }
    t->resolved_until = t->n_addrs == 0 ? 0 : a->now + ANNOUNCER_RESOLVED_NS;
}

void announcer_resolved(struct announcer *a, nsec now, uint32_t id, enum err err, const struct addr *addrs, uint32_t n_addrs)
{
    advance(a, now);
    for (uint32_t k = 0; k < a->n_sites; k++) {
        struct announce_site *t = &a->sites[k];
        if (id == 0 || t->resolve_id != id || t->resolve_due)
            continue;
        t->resolve_id = 0;
        if (err == ERR_OK)
            keep_addresses(a, t, addrs, n_addrs);
        for (uint32_t i = 0; i < a->n_lanes; i++)
            if (a->lanes[i].slots[k].state == SLOT_RESOLVE)
                announcer_resolved_slot(a, &a->lanes[i], k, err);
        work(a);
        return;
    }
}

bool announcer_datagram(struct announcer *a, nsec now, const struct addr *from, struct slice data)
{
    advance(a, now);
    struct udp_reply r;
    if (udp_reply_parse(&r, data) != ERR_OK)
        return false;
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++) {
            struct announce_lane *l = &a->lanes[i];
            const struct announce_slot *s = &l->slots[k];
            const bool waiting = s->state == SLOT_CONNECT || s->state == SLOT_REQUEST;
            if (!waiting || s->id != r.transaction || !addr_eq(&s->to, from))
                continue;
            announcer_udp_reply(a, l, k, &r);
            work(a);
            return true;
        }
    return false;
}

void announcer_tick(struct announcer *a, nsec now)
{
    advance(a, now);
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++)
            announcer_slot_tick(a, &a->lanes[i], k);
    work(a);
}

// ---- outputs

static enum announcer_kind poll_event(struct announcer *a, struct announcer_out *out)
{
    struct announcer_event *e = LIST_FIRST(&a->events, struct announcer_event, link);
    if (e == NULL)
        return ANNOUNCER_IDLE;
    list_remove(&e->link);
    a->n_events--;
    a->told = e;
    *out = e->out;
    out->text = slice_of(e->text, e->text_n);
    out->peers = e->peers;
    out->n_peers = e->n_peers;
    return e->kind;
}

static enum announcer_kind poll_resolve(struct announcer *a, struct announcer_out *out)
{
    for (uint32_t k = 0; k < a->n_sites; k++) {
        struct announce_site *t = &a->sites[k];
        if (!t->resolve_due)
            continue;
        t->resolve_due = false;
        *out = (struct announcer_out){.id = t->resolve_id, .bytes = t->parts.host, .tracker = t->index};
        return ANNOUNCER_RESOLVE;
    }
    return ANNOUNCER_IDLE;
}

static nsec deadline(const struct announcer *a)
{
    nsec at = a->stop_at;
    for (uint32_t i = 0; i < a->n_lanes; i++) {
        if (a->state == ANNOUNCER_RUNNING)
            at = u64_min(at, a->lanes[i].due);
        for (uint32_t k = 0; k < a->n_sites; k++)
            at = u64_min(at, announcer_slot_due(&a->lanes[i].slots[k]));
    }
    return at;
}

enum announcer_kind announcer_poll(struct announcer *a, nsec now, struct buf *tx, struct announcer_out *out)
{
    advance(a, now);
    announcer_event_free(a, a->told);
    a->told = NULL;
    *out = (struct announcer_out){0};
    enum announcer_kind kind = poll_event(a, out);
    if (kind == ANNOUNCER_IDLE)
        kind = poll_resolve(a, out);
    for (uint32_t i = 0; i < a->n_lanes && kind == ANNOUNCER_IDLE; i++)
        for (uint32_t k = 0; k < a->n_sites && kind == ANNOUNCER_IDLE; k++)
            kind = announcer_slot_send(a, &a->lanes[i], k, tx, out);
    if (kind != ANNOUNCER_IDLE)
        return kind;
    if (a->stops_done != 0) {
        a->stops_done--;
        return ANNOUNCER_STOPPED;
    }
    out->deadline = deadline(a);
    return ANNOUNCER_IDLE;
}

void announcer_stats(const struct announcer *a, struct announcer_stats *out)
{
    *out = a->stats;
    out->running = a->state == ANNOUNCER_RUNNING;
    out->stopping = a->state == ANNOUNCER_STOPPING;
}

void announcer_check(const struct announcer *a)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < a->n_sites; i++) {
        ASSERT(a->order[i] < a->n_sites);
        ASSERT(i == 0 || a->sites[a->order[i - 1]].tier <= a->sites[a->order[i]].tier);
        for (uint32_t k = 0; k < a->n_sites; k++)
            seen += a->order[k] == i;
    }
    ASSERT(seen == a->n_sites);
    ASSERT((a->stop_at != NSEC_NEVER) == (a->state == ANNOUNCER_STOPPING));
    for (uint32_t i = 0; i < a->n_lanes; i++)
        for (uint32_t k = 0; k < a->n_sites; k++) {
            const struct announce_slot *s = &a->lanes[i].slots[k];
            ASSERT(a->state != ANNOUNCER_OFF || s->state == SLOT_IDLE);
            ASSERT(s->state != SLOT_IDLE || (!s->send_due && s->timer == NSEC_NEVER));
            ASSERT(s->state == SLOT_IDLE || s->send_due || s->timer != NSEC_NEVER);
            ASSERT(!s->disabled || s->not_before == NSEC_NEVER);
            ASSERT(!s->stop_due || a->state == ANNOUNCER_STOPPING);
        }
    ASSERT(a->n_events <= ANNOUNCER_EVENTS_MAX);
}
