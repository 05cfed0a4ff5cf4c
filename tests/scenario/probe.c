// See probe.h.
#include "probe.h"
#include "sim/net.h"

#include "lab/scenario.h"

static void record(void *ctx, const struct trace_record *r)
{
    struct probe *p = ctx;
    if (r->node >= PROBE_HOSTS_MAX)
        return;
    p->ticks[r->node] += r->type == TRACE_TICK;
    if (r->type != TRACE_DGRAM_RX)
        return;
    p->heard[r->node]++;
    p->heard_at[r->node] = r->t;
}

static void begin(struct probe *p, const char *name)
{
    const struct world_config cfg = {.seed = 7, .latency = 10 * NSEC_MS};
    *p = (struct probe){0};
    lab_open(&p->l, name, &cfg);
    p->w = p->l.world;
    p->w->trace.sink = record;
    p->w->trace.sink_ctx = p;
}

void probe_open(struct probe *p, const char *name, uint32_t hosts, const struct host_config *cfg)
{
    begin(p, name);
    for (uint32_t i = 0; i < hosts; i++)
        (void)world_host(p->w, cfg);
    probe_run(p, NSEC_MS);
}

void probe_copying(struct probe *p, const char *name, uint32_t hosts, const struct host_config *cfg)
{
    static const uint64_t lens[] = {PROBE_FILE_LEN};
    static const uint32_t the_seed = 0;
    static const struct stage_torrent one = {.v1 = true, .piece_len = 65536, .lens = lens, .files_n = 1};
    begin(p, name);
    const uint32_t t = lab_torrent(&p->l, &one);
    for (uint32_t i = 0; i < hosts; i++) {
        struct host_config c = *cfg;
        c.friends = &the_seed;
        c.friends_n = i > 0;
        (void)world_want(p->w, world_host(p->w, &c), t, i == 0 ? WANT_SEED : WANT_LEECH);
    }
}

void probe_fault(struct probe *p, const char *line)
{
    char text[300], why[SCENARIO_WHY_MAX];
    struct scenario s;
    (void)snprintf(text, sizeof text, "nodes h %u\nat 0 fault %s\n", p->w->hosts_n, line);
    if (scenario_parse(&s, &test_mem, line, slice_str(text), why) != ERR_OK)
        fail_msg("%s", why);
    assert_int_equal(s.faults_n, 1);
    world_plan(p->w, p->w->now, &s.faults[0].action);
    scenario_done(&s);
    probe_run(p, 0);
}

void probe_run(struct probe *p, nsec time)
{
    (void)world_run(p->w, p->w->now + time);
    lab_expect_good(&p->l);
}

void probe_send(struct probe *p, uint32_t from, uint32_t to, size_t n, uint8_t fill)
{
    uint8_t bytes[2000];
    assert_true(n <= sizeof bytes);
    memset(bytes, fill, n);
    const struct addr a = net_addr(to, p->w->hosts[to]->cfg.node.listen_port);
    net_datagram(p->w, p->w->hosts[from], p->w->hosts[from]->cfg.node.listen_port, &a, slice_of(bytes, n));
}

bool probe_hears(struct probe *p, uint32_t from, uint32_t to)
{
    const uint32_t before = p->heard[to];
    probe_send(p, from, to, 100, 1);
    probe_run(p, NSEC_S);
    return p->heard[to] > before;
}

uint64_t probe_copied(const struct probe *p, uint32_t i)
{
    return lab_stats(&p->l, i, 0).down_bytes;
}

void probe_close(struct probe *p)
{
    lab_close(&p->l);
}
