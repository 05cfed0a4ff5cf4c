// See run.h.
#include "lab/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "lab/scenario_int.h"
#include "sim/chance.h"
#include "sim/hostile.h"
#include "sim/net.h"
#include "sim/oracle.h"

enum { SESSIONS_MAX = 10000 };

#define END_DEFAULT (3600 * NSEC_S)
#define SESSIONS 0x73657373696f6e73     // purpose of a random stream
#define CHUNK NSEC_S                    // of virtual time between two looks at whether all is done

const struct field result_metrics[METRICS_N] = {
    [METRIC_DONE] = {.name = "done", .type = FIELD_SHARE},
    [METRIC_MEAN] = {.name = "mean", .type = FIELD_TIME},
    [METRIC_P50] = {.name = "p50", .type = FIELD_TIME},
    [METRIC_P95] = {.name = "p95", .type = FIELD_TIME},
    [METRIC_MAX] = {.name = "max", .type = FIELD_TIME},
    [METRIC_WASTE] = {.name = "waste", .type = FIELD_SHARE},
};

void result_done(struct result *r)
{
    if (r->mem != NULL)
        mem_free(r->mem, r->groups, r->groups_n * sizeof *r->groups);
    *r = (struct result){0};
}

// The DHT node that all others begin with; NULL: nobody is in the DHT.
static const struct slice *dht_router(const struct scenario *s)
{
    static char text[ADDR_TEXT_MAX];
    static struct slice router;
    uint32_t g = 0;
    while (g < s->groups_n && s->groups[g].dht == 0)
        g++;
    if (g == s->groups_n)
        return NULL;
    const struct addr a = net_addr(scenario_host(s, g, 0), NET_PEER_PORT);
    router = slice_str(addr_format(&a, text));
    return &router;
}

static struct host_config host_of(const struct scenario *s, const struct scenario_group *g)
{
    struct host_config c = {.up_bps = g->up, .down_bps = g->down, .latency = g->latency, .after = (enum host_after)g->after,
        .linger = g->linger, .dials = (uint32_t)g->dials, .utp = g->utp != 0};
    c.node = (struct node_config){.slots_max = (uint32_t)g->slots, .choke = (enum node_choke)g->choke, .no_optimistic = g->optimistic != 0,
        .no_allowed_fast = g->gifts != 0,
        .peers_max = (uint32_t)g->peers, .tracker = g->tracker != 0, .tracker_interval_s = (uint32_t)(g->interval / NSEC_S)};
    if (g->tracker != 0 && c.node.tracker_interval_s == 0)
        c.node.tracker_interval_s = 60;
    if (g->dht != 0)
        c.node.dht = (struct node_dht_config){.on = true, .ipv4 = true, .routers = dht_router(s), .routers_n = 1};
    c.disk = (struct disk_config){.latency = g->disk_latency, .bps = g->disk_rate, .hash_bps = g->hash_rate, .space_bytes = g->space,
        .eio_ppm = (uint32_t)g->eio};
    if (g->hostile != 0) {
        const uint64_t bits = g->has | g->want;
        uint32_t torrent = 0;
        while (torrent < s->contents_n && (bits >> torrent & 1) == 0)
            torrent++;
        c.hostile = (struct hostile_config){.kind = (enum hostile_kind)g->hostile, .corrupt_ppm = (uint32_t)g->corrupt,
            .torrent = torrent, .dials = c.dials, .announces = c.dials == 0};
    }
    return c;
}

static enum err add_contents(const struct scenario *s, struct stage *st, char why[STAGE_WHY_MAX])
{
    const char *const trackers[] = {NULL, STAGE_TRACKER, STAGE_TRACKER_UDP};
    for (uint32_t i = 0; i < s->contents_n; i++) {
        const struct scenario_content *c = &s->contents[i];
        const struct stage_torrent t = {.v1 = c->form != 1, .v2 = c->form != 0, .piece_len = (uint32_t)c->piece, .lens = c->lens,
            .files_n = (uint32_t)c->files_n, .is_private = c->is_private != 0,
            .tracker = c->tracker == 0 ? trackers[s->groups[0].tracker] : NULL};
        uint32_t number;
        const enum err e = stage_torrent(st, &t, why, &number);
        if (e != ERR_OK)
            return e;
        ASSERT(number == i);
    }
    return ERR_OK;
}

static void add_wants(const struct scenario *s, struct stage *st, const struct scenario_group *g, uint32_t host)
{
    for (uint32_t i = 0; i < s->contents_n && g->hostile == 0; i++) {
        const bool has = (g->has >> i & 1) != 0;
        if (!has && (g->want >> i & 1) == 0)
            continue;
        const enum want_kind wants = g->magnet != 0 ? WANT_MAGNET : g->check != 0 ? WANT_CHECK : WANT_LEECH;
        struct want *want = world_want(st->world, host, i, has ? WANT_SEED : wants);
        want->sequential = g->order == 1 || g->order == 3;
        want->strict_order = g->order == 3;
        want->random_order = g->order == 2;
    }
}

// Times online, one after the other, until the world ends or is healed.
static void plan_sessions(const struct scenario *s, struct stage *st, const struct scenario_group *g, uint32_t host)
{
    struct rng r = rng_make(mix64(s->seed ^ SESSIONS), mix64(host + 1));
    const nsec end = s->world.heal != 0 ? s->world.heal : s->world.end == 0 ? END_DEFAULT : s->world.end;
    nsec t = st->world->hosts[host]->cfg.arrive;
    for (uint32_t n = 0; n < SESSIONS_MAX; n++) {
        const enum chance_swarm like = (enum chance_swarm)g->sessions;
        t = u64_add_sat(t, u64_max(g->online == 0 ? chance_session(&r, like) : chance_session_of(&r, like, g->online), NSEC_MS));
        if (t >= end)
            return;
        const nsec away = g->away / 1000000 * (chance_exponential(&r) / 1000) + NSEC_MS;
        const struct action leave = {.kind = ACTION_LEAVE, .host = host}, off = {.kind = ACTION_CRASH, .host = host, .a = CRASH_KEPT, .lasts = away};
        world_plan(st->world, t, g->away == 0 ? &leave : &off);
        if (g->away == 0)
            return;
        t = u64_add_sat(t, away);
    }
}

// A box for the next host.
static uint32_t nat_box(const struct scenario *s, struct stage *st, uint32_t kind)
{
    struct rng r = rng_make(mix64(s->seed ^ PURPOSE_NAT), mix64(st->world->hosts_n + 1));
    enum nat_class class = (enum nat_class)(kind - SCENARIO_NAT_CLASS);
    if (kind < SCENARIO_NAT_CLASS) {
        const struct nat_mix *mix = nat_mix_find(slice_str(scenario_nat_words[kind]));
        ASSERT(mix != NULL);
        class = nat_mix_draw(mix, &r);
    }
    const struct nat_config cfg = nat_class_config(class);
    return world_nat(st->world, &cfg);
}

static enum err add_nodes(const struct scenario *s, struct stage *st, uint32_t *friends)
{
    for (uint32_t i = 0; i < s->groups_n; i++) {
        const struct scenario_group *g = &s->groups[i];
        nsec *at = calloc(g->count, sizeof *at);
        if (at == NULL)
            return ERR_NOMEM;
        scenario_arrivals(s, i, at);
        struct host_config c = host_of(s, g);
        for (uint32_t k = 0; k < g->count; k++) {
            c.arrive = at[k];
            if (g->knows != 0) {
                const uint32_t whom = (uint32_t)g->knows - 1, member = (uint32_t)(g->knows >> 32);
                friends[st->world->hosts_n] = scenario_host(s, whom, member != 0 ? member - 1 : k % s->groups[whom].count);
                c.friends = &friends[st->world->hosts_n];
                c.friends_n = 1;
            }
            c.nat = g->nat == SCENARIO_PUBLIC ? 0 : nat_box(s, st, (uint32_t)g->nat);
            const uint32_t host = world_host(st->world, &c);
            add_wants(s, st, g, host);
            if (g->sessions != 0)
                plan_sessions(s, st, g, host);
        }
        free(at);
    }
    return ERR_OK;
}

static void plan_faults(const struct scenario *s, struct stage *st)
{
    for (uint32_t i = 0; i < s->faults_n; i++)
        world_plan(st->world, s->faults[i].t, &s->faults[i].action);
}

// Whose disk rotted spreads what is bad, without knowing it, and is banned, rightly: it is as good as hostile from then on.
static bool honest(const struct host *h) { return h->cfg.hostile.kind == HOSTILE_NONE && !h->disk.spoiled; }

// Every honest node has what it wants; those that stay away by an orderly leave count as done.
static bool all_done(const struct world *w)
{
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        const struct host *h = w->hosts[i];
        for (uint32_t k = 0; honest(h) && !h->left && k < h->wants_n; k++)
            if (h->wants[k].kind != WANT_SEED && !h->wants[k].done)
                return false;
    }
    return true;
}

// Whoever lacks something could have it: an honest node that was set up with it is there, and every piece is on some disk.
static bool all_served(const struct world *w)
{
    for (uint32_t t = 0; t < w->torrents_n; t++) {
        bool served = false;
        for (uint32_t i = 0; i < w->hosts_n && !served; i++) {
            const struct host *h = w->hosts[i];
            for (uint32_t k = 0; honest(h) && h->up && k < h->wants_n; k++)
                served |= h->wants[k].torrent == t && h->wants[k].kind == WANT_SEED;
        }
        if (w->torrents[t].leeches_n > 0 && (!served || !oracle_reachable(w, t)))
            return false;
    }
    return true;
}

static bool riders_done(const struct world *w)
{
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        const struct host *h = w->hosts[i];
        if (h->cfg.hostile.kind == HOSTILE_FREE_RIDER && (h->hostile == NULL || !h->hostile->done))
            return false;
    }
    return true;
}

static bool actions_left(const struct scenario *s, nsec now)
{
    for (uint32_t i = 0; i < s->faults_n; i++)
        if (s->faults[i].t >= now)
            return true;
    return false;
}

static bool run_chunk(const struct run_options *o, struct stage *st, nsec until)
{
    const bool good = world_run(st->world, u64_min(until, st->world->now + CHUNK));
    if (good && o->sample != NULL)
        o->sample(o->ctx, st);
    return good;
}

static bool run_to(const struct scenario *s, const struct run_options *o, struct stage *st, nsec until)
{
    const struct world *w = st->world;
    while (w->now < until) {
        if (!run_chunk(o, st, until))
            return false;
        if (s->world.heal == 0 && all_done(w) && (!o->riders || riders_done(w)) && !actions_left(s, w->now))
            return true;
    }
    return true;
}

static void run_phases(const struct scenario *s, const struct run_options *o, struct stage *st, struct result *out)
{
    struct world *w = st->world;
    const nsec end = s->world.end == 0 ? END_DEFAULT : s->world.end;
    if (s->world.heal == 0) {
        (void)run_to(s, o, st, end);
    } else if (run_to(s, o, st, s->world.heal)) {
        const struct action heal = {.kind = ACTION_HEAL};
        world_plan(w, w->now, &heal);
        while (w->now < end && run_chunk(o, st, end) && !all_done(w))
            continue;
        out->stuck = w->failure[0] == '\0' && !all_done(w) && all_served(w);
    }
    if (w->failure[0] == '\0')
        (void)world_settled(w);
}

static void sort_times(uint64_t *t, uint32_t n)
{
    // Shell's sort: short, and once for each group is enough.
    for (uint32_t gap = n / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < n; i++)
            for (uint32_t k = i; k >= gap && t[k] < t[k - gap]; k -= gap) {
                const uint64_t swap = t[k];
                t[k] = t[k - gap];
                t[k - gap] = swap;
            }
}

static void sum_host(struct host *h, struct result_group *g)
{
    if (h->hostile != NULL) {
        g->down += h->hostile->taken_bytes;
        g->up += h->hostile->given_bytes;
    }
    for (uint32_t k = 0; k < h->wants_n; k++) {
        struct node_torrent_stats now = {0};
        if (h->node != NULL && h->wants[k].given)
            node_torrent_stats(h->node, h->wants[k].number, &now);
        g->down += h->wants[k].down_bytes + now.down_bytes;
        g->up += h->wants[k].up_bytes + now.up_bytes;
        g->waste += h->wants[k].waste_bytes + now.waste_bytes;
    }
}

static void summarize(struct result_group *g, uint64_t *times)
{
    uint64_t sum = 0;
    sort_times(times, g->done);
    for (uint32_t i = 0; i < g->done; i++)
        sum += times[i];
    if (g->done > 0) {
        g->metrics[METRIC_MEAN] = sum / g->done;
        g->metrics[METRIC_P50] = times[(g->done - 1) / 2];
        g->metrics[METRIC_P95] = times[(uint64_t)(g->done - 1) * 95 / 100];
        g->metrics[METRIC_MAX] = times[g->done - 1];
    }
    g->metrics[METRIC_DONE] = g->wants == 0 ? 1000000 : (uint64_t)g->done * 1000000 / g->wants;
    g->metrics[METRIC_WASTE] = g->down == 0 ? 0 : (uint64_t)((double)g->waste * 1e6 / (double)g->down);
}

static enum err collect(const struct scenario *s, struct stage *st, struct result *out)
{
    struct world *w = st->world;
    uint64_t *times = calloc(s->nodes_n, sizeof *times);
    out->mem = s->mem;
    out->groups = mem_zarray(s->mem, s->groups_n, sizeof *out->groups);
    if (times == NULL || out->groups == NULL) {
        free(times);
        return ERR_NOMEM;
    }
    out->groups_n = s->groups_n;
    uint32_t host = 0;
    for (uint32_t i = 0; i < s->groups_n; i++) {
        struct result_group *g = &out->groups[i];
        for (uint32_t k = 0; k < s->groups[i].count; k++, host++) {
            struct host *h = w->hosts[host];
            bool wants = false, done = true;
            nsec last = 0;
            for (uint32_t n = 0; n < h->wants_n; n++) {
                wants |= h->wants[n].kind != WANT_SEED;
                done &= h->wants[n].kind == WANT_SEED || h->wants[n].done;
                last = h->wants[n].kind == WANT_SEED ? last : u64_max(last, h->wants[n].done_at);
            }
            if (h->cfg.hostile.kind == HOSTILE_FREE_RIDER) {
                wants = true;
                done = h->hostile != NULL && h->hostile->done;
                last = done ? h->hostile->done_at : 0;
            }
            sum_host(h, g);
            g->wants += wants;
            if (wants && done) {
                times[g->done++] = u64_sub_sat(last, h->cfg.arrive);
                out->last = u64_max(out->last, last);
            }
        }
        summarize(g, times);
    }
    free(times);
    return ERR_OK;
}

enum err run_scenario(const struct scenario *s, const struct run_options *o, struct result *out, char why[STAGE_WHY_MAX])
{
    *out = (struct result){0};
    (void)snprintf(why, STAGE_WHY_MAX, "not enough memory");
    const struct scenario_world *sw = &s->world;
    const struct world_config cfg = {.seed = s->seed, .payload = (enum payload_mode)sw->payload, .latency = sw->latency,
        .model = (enum world_latency)sw->model, .latency_spread = sw->spread, .loss_ppm = (uint32_t)sw->loss,
        .duplicate_ppm = (uint32_t)sw->duplicate, .reorder_ppm = (uint32_t)sw->reorder, .window_bytes = sw->window,
        .rare = sw->rare != 0, .check = sw->check != 0 || o->check};
    struct stage st;
    uint32_t *friends = calloc(s->nodes_n, sizeof *friends);
    enum err e = friends == NULL ? ERR_NOMEM : stage_open(&st, &cfg);
    if (e != ERR_OK) {
        free(friends);
        return e;
    }
    e = add_contents(s, &st, why);
    if (e == ERR_OK)
        e = add_nodes(s, &st, friends);
    if (e == ERR_OK) {
        plan_faults(s, &st);
        const uint64_t start = stage_clock_ms();
        st.world->trace.sink = o->record;
        st.world->trace.sink_ctx = o->ctx;
        run_phases(s, o, &st, out);
        out->ms = stage_clock_ms() - start;
        memcpy(out->failure, st.world->failure, sizeof out->failure);
        out->hash = st.world->trace.hash;
        out->records = st.world->trace.count;
        out->events = st.world->steps;
        out->end = st.world->now;
        out->crashes = st.world->totals.crashes;
        e = collect(s, &st, out);
    }
    stage_close(&st);
    free(friends);
    if (e == ERR_OK && st.used != 0)
        (void)snprintf(out->failure, sizeof out->failure, "the world leaks %zu bytes", st.used);
    return e;
}
