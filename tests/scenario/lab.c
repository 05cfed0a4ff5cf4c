// The builder of scenarios: see lab.h.
#include "lab.h"

enum { TRACE_TAIL = 60 };

void lab_open(struct lab *l, const char *name, const struct world_config *cfg)
{
    *l = (struct lab){.name = name};
    struct world_config c = *cfg;
    const char *more = getenv("KITH_SEED");
    if (more != NULL)
        c.seed ^= mix64(strtoull(more, NULL, 10));
    c.forgive_unsynced |= getenv("KITH_FORGIVE") != NULL;
    assert_int_equal(stage_open(&l->stage, &c), ERR_OK);
    l->world = l->stage.world;
}

static void tell(struct lab *l)
{
    const struct world *w = l->world;
    const uint32_t n = trace_kept(&w->trace);
    fprintf(stderr, "%s: seed %llu, at %llu.%03llu s: %s\n", l->name, (unsigned long long)w->cfg.seed,
        (unsigned long long)(w->now / NSEC_S), (unsigned long long)(w->now % NSEC_S / NSEC_MS),
        w->failure[0] != '\0' ? w->failure : "no oracle fired");
    for (uint32_t i = n > TRACE_TAIL ? n - TRACE_TAIL : 0; i < n; i++) {
        uint8_t space[200];
        struct buf b = {space, 0, sizeof space};
        struct wr wr = wr_make(&b);
        trace_line(trace_last(&w->trace, i), &wr);
        fprintf(stderr, "  %.*s\n", (int)b.n, (const char *)space);
    }
}

void lab_expect_good(struct lab *l)
{
    if (l->world->failure[0] == '\0')
        return;
    tell(l);
    l->failed = true;
    fail_msg("%s: %s", l->name, l->world->failure);
}

void lab_expect(struct lab *l, bool ok, const char *what)
{
    lab_expect_good(l);
    if (ok)
        return;
    tell(l);
    l->failed = true;
    fail_msg("%s: %s", l->name, what);
}

uint64_t lab_close(struct lab *l)
{
    (void)world_settled(l->world);
    lab_expect_good(l);
    const uint64_t hash = l->world->trace.hash;
    lab_free(l);
    assert_int_equal(l->stage.used, 0);
    return hash;
}

void lab_free(struct lab *l)
{
    stage_close(&l->stage);
}

uint32_t lab_torrent(struct lab *l, const struct stage_torrent *t)
{
    char why[STAGE_WHY_MAX];
    uint32_t out = 0;
    if (stage_torrent(&l->stage, t, why, &out) != ERR_OK)
        fail_msg("the lab's torrent is bad: %s", why);
    return out;
}

struct node_torrent_stats lab_stats(const struct lab *l, uint32_t host, uint32_t want)
{
    return stage_stats(&l->stage, host, want);
}

uint32_t lab_tracker(struct lab *l)
{
    return stage_tracker(&l->stage, 60);
}

uint32_t lab_next(const struct lab *l) { return l->world->hosts_n; }

struct lab_run lab_swarm(struct lab *l, const struct lab_swarm *s)
{
    lab_open(l, s->name, &s->world);
    struct stage_torrent t = s->torrent;
    if (s->tracker) {
        lab_tracker(l);
        t.tracker = LAB_TRACKER;
    }
    struct lab_run run = {.torrent = lab_torrent(l, &t), .first_seed = lab_next(l)};
    for (uint32_t i = 0; i < s->seeds; i++)
        world_want(l->world, world_host(l->world, &s->seed), run.torrent, WANT_SEED);
    run.first_leech = lab_next(l);
    for (uint32_t i = 0; i < s->leeches; i++) {
        struct host_config c = s->leech;
        c.arrive += NSEC_S + s->arrivals * i / s->leeches;
        world_want(l->world, world_host(l->world, &c), run.torrent, WANT_LEECH);
    }
    return run;
}

nsec lab_complete(struct lab *l, nsec until)
{
    struct world *w = l->world;
    nsec t = 0;
    const uint64_t start = stage_clock_ms();
    const bool ok = world_run_complete(w, until, &t);
    const uint64_t ms = stage_clock_ms() - start;
    print_message("%s: %llu.%03llu s of virtual time, %llu events, %llu ms, %llu events/s, %llu MB of content, trace %016llx\n", l->name,
        (unsigned long long)(w->now / NSEC_S), (unsigned long long)(w->now % NSEC_S / NSEC_MS), (unsigned long long)w->steps,
        (unsigned long long)ms, (unsigned long long)(w->steps * 1000 / (ms + 1)),
        (unsigned long long)w->totals.payload_up_bytes / 1000000, (unsigned long long)w->trace.hash);
    for (uint32_t i = 0, told = 0; i < w->hosts_n && !ok && told < 8; i++)
        for (uint32_t k = 0; k < w->hosts[i]->wants_n; k++)
            if (!w->hosts[i]->wants[k].done && w->hosts[i]->wants[k].kind != WANT_SEED) {
                const struct node_torrent_stats s = lab_stats(l, i, k);
                print_message("  n%u not complete: up %d, life %u, state %d, %u of %u pieces, %u peers, unchoked by %u, %u known\n", i,
                    w->hosts[i]->up, w->hosts[i]->life, (int)s.state, s.pieces_have, s.pieces_n, s.peers, s.unchoked_by, s.known);
                told++;
            }
    lab_expect(l, ok, "not everybody is complete");
    return t;
}
