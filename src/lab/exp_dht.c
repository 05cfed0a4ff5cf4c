// No centre: how long a lookup takes and how many it asks as the DHT grows, with dead table entries, NATs, loss and churn; and whether
// made-up ids around a target hide it. Bare DHT nodes (dhtnet.h): the engine of the product, datagram by datagram.
#include <math.h>

#include "lab/dhtnet.h"
#include "lab/exp.h"

enum { LEVELS_MAX = 4, HASHES = 30, ANNOUNCERS = 3, SESSION_S = 6000, DEAD_PCT = 30, NAT_PCT = 30, SYBILS = 16, ATTACKED = 600 };

struct plan {
    uint32_t levels, runs, lookups;
    uint32_t n[LEVELS_MAX];
};

enum { V_P50, V_P90, V_P99, V_P999, V_HOPS, V_ASKED, V_FOUND, V_ANNOUNCE, V_KIB, V_SIZE_OFF, V_HIDDEN, V_HIDDEN_INSECURE };

static struct dht_ask ask_for(uint64_t what, enum dht_ask_kind kind)
{
    struct dht_ask a = {.kind = kind, .port = 6881};
    struct rng r = rng_make(9, what);
    rng_bytes(&r, a.target, NODE_ID_LEN);
    return a;
}

// Time passes; nodes leave and others come.
static void pass(struct dhtlab *l, nsec until, uint32_t *turn)
{
    while (l->now < until) {
        dhtlab_run(l, u64_min(until, l->now + NSEC_S));
        const uint32_t events = (l->cfg.n + *turn % SESSION_S) / SESSION_S;
        for (uint32_t k = 0; k < events; k++, (*turn)++) {
            const uint32_t host = 4 + (uint32_t)rng_below(&l->rng, l->cfg.n - 4);
            if (l->hosts[host].dht != NULL)
                dhtlab_stop(l, host);
            else
                dhtlab_start(l, host);
        }
    }
}

static void judge_lookups(const struct dhtlab *l, uint32_t from, struct cell *out)
{
    static double first[DHTLAB_OPS_MAX];
    uint32_t n = 0, all = l->ops_n - from;
    for (uint32_t i = from; i < l->ops_n; i++) {
        const struct dht_out *o = &l->ops[i].out;
        out->v[V_HOPS] += (double)o->hops / all;
        out->v[V_ASKED] += (double)o->asked / all;
        if (o->first != 0)
            first[n++] = (double)o->first / 1e6;
    }
    out->v[V_FOUND] = 100.0 * n / all;
    out->v[V_P50] = stat_quantile(first, n, 0.5);
    out->v[V_P90] = stat_quantile(first, n, 0.9);
    out->v[V_P99] = stat_quantile(first, n, 0.99);
    out->v[V_P999] = stat_quantile(first, n, 0.999);
}

static void judge_nodes(const struct dhtlab *l, struct cell *out)
{
    double bytes = 0, estimate = 0, up = 0, reachable = 0, counted = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct dht_stats s;
        if (l->hosts[i].dht == NULL)
            continue;
        dht_stats(l->hosts[i].dht, &s);
        up++;
        reachable += !l->hosts[i].nat;
        bytes += (double)l->hosts[i].mem;
        counted += s.estimate[0] != 0;
        estimate += (double)s.estimate[0];
    }
    out->v[V_KIB] = bytes / up / 1024;
    out->v[V_SIZE_OFF] = counted > 0 ? 100 * fabs(estimate / counted / reachable - 1) : 100;
}

// Of 100 lookups for a hash with SYBILS made-up ids around it, how many find none of its peers?
static double hidden(uint64_t seed, uint32_t insecure_pct)
{
    const struct dhtlab_config cfg = {.seed = seed, .n = ATTACKED, .max = ATTACKED + SYBILS, .local_pct = insecure_pct};
    struct dhtlab *l = dhtlab_new(&cfg);
    const struct dht_ask tell = ask_for(0, DHT_ANNOUNCE), find = ask_for(0, DHT_GET_PEERS);
    for (uint32_t i = 0; i < SYBILS; i++) {
        const uint32_t h = dhtlab_host(l, DHTLAB_SYBIL, 0);
        memcpy(l->hosts[h].id, tell.target, NODE_ID_LEN);
        l->hosts[h].id[NODE_ID_LEN - 2] = (uint8_t)(i + 1);
    }
    for (uint32_t i = 0; i < ATTACKED; i++)
        for (uint32_t k = ATTACKED; k < l->n; k++)
            dht_plant(l->hosts[i].dht, l->now, l->hosts[k].id, &l->hosts[k].addr);
    dhtlab_fill(l);
    for (uint32_t i = 0; i < ANNOUNCERS; i++)
        (void)dhtlab_ask(l, dhtlab_any(l), &tell);
    dhtlab_run(l, l->now + 20 * NSEC_S);
    const uint32_t from = l->ops_n;
    for (uint32_t i = 0; i < 100; i++) {
        (void)dhtlab_ask(l, dhtlab_any(l), &find);
        dhtlab_run(l, l->now + 100 * NSEC_MS);
    }
    dhtlab_run(l, l->now + 20 * NSEC_S);
    double none = 0;
    for (uint32_t i = from; i < l->ops_n; i++)
        none += l->ops[i].out.first == 0;
    dhtlab_free(l);
    return none;
}

static void work(void *ctx, uint32_t i, struct cell *out)
{
    const struct plan *p = ctx;
    const uint64_t seed = i / p->levels + 1;
    const struct dhtlab_config cfg = {.seed = seed, .n = p->n[i % p->levels], .nat_pct = NAT_PCT, .loss_ppm = 5000};
    struct dhtlab *l = dhtlab_new(&cfg);
    static double took[DHTLAB_OPS_MAX];
    uint32_t turn = 0;
    dhtlab_fill(l);
    for (uint32_t k = 4; k < cfg.n; k++)
        if (rng_below(&l->rng, 100) < DEAD_PCT)
            dhtlab_stop(l, k);
    for (uint32_t k = 0; k < HASHES * ANNOUNCERS; k++) {
        const struct dht_ask a = ask_for(k / ANNOUNCERS, DHT_ANNOUNCE);
        (void)dhtlab_ask(l, dhtlab_any(l), &a);
        pass(l, l->now + 500 * NSEC_MS, &turn);
    }
    pass(l, l->now + 10 * NSEC_S, &turn);
    for (uint32_t k = 0; k < l->ops_n; k++)
        took[k] = (double)l->ops[k].out.took / 1e6;
    out->v[V_ANNOUNCE] = stat_quantile(took, l->ops_n, 0.5);
    const uint32_t from = l->ops_n;
    for (uint32_t k = 0; k < p->lookups; k++) {
        const struct dht_ask a = ask_for(k % HASHES, DHT_GET_PEERS);
        (void)dhtlab_ask(l, dhtlab_any(l), &a);
        pass(l, l->now + 200 * NSEC_MS, &turn);
    }
    pass(l, l->now + 10 * NSEC_S, &turn);
    judge_lookups(l, from, out);
    judge_nodes(l, out);
    dhtlab_free(l);
    if (i % p->levels == 0) {
        out->v[V_HIDDEN] = hidden(seed, 0);
        out->v[V_HIDDEN_INSECURE] = hidden(seed, 100);
    }
}

static void say_verdicts(struct report *r, const struct plan *p, const struct cell *cells)
{
    const uint32_t top = p->levels - 1;
    char what[80];
#define AT_TOP(v) exp_median(cells, top, p->levels, p->runs, v)
    (void)snprintf(what, sizeof what, "first peers, median, %u nodes", p->n[top]);
    report_published(r, "E21.p50", what, AT_TOP(V_P50));
    report_published(r, "E21.p99", "p99", AT_TOP(V_P99));
    report_published(r, "E21.p999", "p99.9 at 30 % dead entries", AT_TOP(V_P999));
    struct interval s = AT_TOP(V_ANNOUNCE);
    s = (struct interval){s.low / 1000, s.mid / 1000, s.high / 1000};
    report_published(r, "E22.publish", "announce to the nearest nodes, median", s);
    report_published(r, "E23.size.error", "size of the DHT as nodes estimate it, off by", AT_TOP(V_SIZE_OFF));
    report_own(r, "lookups that find peers", AT_TOP(V_FOUND), "%", "reproduced >= 99; better >= 99.9");
    report_own(r, "questions of a lookup", AT_TOP(V_ASKED), "", "reproduced <= 40; better <= 25");
    report_own(r, "hops beside half of log2 N", (struct interval){AT_TOP(V_HOPS).low / (0.5 * log2(p->n[top])),
        AT_TOP(V_HOPS).mid / (0.5 * log2(p->n[top])), AT_TOP(V_HOPS).high / (0.5 * log2(p->n[top]))}, "x", "reproduced <= 1; better <= 0.5");
    report_own(r, "state of a node", AT_TOP(V_KIB), "KiB", "reproduced <= 64; better <= 48");
    report_own(r, "16 made-up ids hide a hash, ids not bound to addresses", exp_median(cells, 0, p->levels, p->runs, V_HIDDEN_INSECURE), "%",
        "reproduced >= 90");
    report_own(r, "the same, ids bound to addresses (BEP 42)", exp_median(cells, 0, p->levels, p->runs, V_HIDDEN), "%",
        "reproduced < 2; better <= 0");
#undef AT_TOP
}

int exp_dht(const struct lab_options *o)
{
    static struct cell cells[EXP_CELLS_MAX];
    struct plan p = {.levels = o->quick ? 2 : 3, .runs = exp_seeds(o, 1, 2), .lookups = o->quick ? 200 : 1000, .n = {100, 1000, 10000}};
    p.runs = u32_min(p.runs, EXP_CELLS_MAX / LEVELS_MAX);
    struct report r;
    report_begin(&r, "dht", o);
    if (!exp_cells(&r, p.levels * p.runs, work, &p, cells))
        return report_end(&r);
    report_row(&r, "nodes\tfirst_p50_ms\tp90_ms\tp99_ms\thops\tquestions\tfound_%%\tannounce_p50_ms\tstate_KiB");
    static double x[LEVELS_MAX], y[LEVELS_MAX], low[LEVELS_MAX], high[LEVELS_MAX], tail[LEVELS_MAX];
    static const char *const names[LEVELS_MAX] = {"100", "1000", "10000"};
    for (uint32_t i = 0; i < p.levels; i++) {
        const struct interval m = exp_median(cells, i, p.levels, p.runs, V_P50);
        x[i] = i;
        y[i] = m.mid;
        low[i] = m.low;
        high[i] = m.high;
        tail[i] = exp_median(cells, i, p.levels, p.runs, V_P99).mid;
#define MID(v) exp_median(cells, i, p.levels, p.runs, v).mid
        report_row(&r, "%u\t%.0f\t%.0f\t%.0f\t%.2f\t%.1f\t%.2f\t%.0f\t%.1f", p.n[i], m.mid, MID(V_P90), tail[i], MID(V_HOPS), MID(V_ASKED),
            MID(V_FOUND), MID(V_ANNOUNCE), MID(V_KIB));
#undef MID
    }
    report_table(&r);
    say_verdicts(&r, &p, cells);
    struct plot plot = {.title = "Finding peers without a server",
        .subtitle = "30 % of table entries dead, 30 % of nodes behind NATs, 0.5 % loss, sessions of 100 min", .y_from_zero = true,
        .x_label = "nodes of the DHT", .y_label = "ms until the first peers", .categories = names, .categories_n = p.levels};
    struct series *s = plot_add(&plot, "median", SERIES_BARS, x, y, p.levels);
    s->low = low;
    s->high = high;
    plot_add(&plot, "p99", SERIES_BARS, x, tail, p.levels);
    report_plot(&r, &plot, NULL);
    return report_end(&r);
}
