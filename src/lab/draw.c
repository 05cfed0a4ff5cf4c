// See draw.h.
#include "lab/draw.h"

#include <stdio.h>

const char *const draw_classes[] = {"swarm", "tracker", "mixed", NULL};

#define HEAL (75 * NSEC_S)
#define LASTS_MAX (30 * NSEC_S)
#define PATIENCE (600 * NSEC_S)         // beyond three times what physics asks for

enum { LEECHES_MAX = 9, FAULTS_EACH_MAX = 2, PPM = 1000000 };

struct draw {
    struct scenario *s;
    struct rng r;
    enum draw_class class;
    bool homes;                         // some are behind NAT boxes
    bool failed;                        // out of memory
};

static uint64_t below(struct draw *d, uint64_t n) { return rng_below(&d->r, n); }
static bool chance(struct draw *d, uint64_t num, uint64_t den) { return rng_chance(&d->r, num, den); }

// Between low and high, every doubling as likely.
static uint64_t spread(struct draw *d, uint64_t low, uint64_t high)
{
    uint64_t top = low;
    uint32_t doublings = 0;
    for (; top * 2 <= high; doublings++)
        top *= 2;
    const uint64_t at = low << below(d, doublings + 1);
    return u64_min(high, at + below(d, at));
}

static nsec ms(struct draw *d, uint64_t max) { return below(d, max + 1) * NSEC_MS; }

static void draw_world(struct draw *d)
{
    static const uint64_t windows[] = {0, 0, 256 * KIB, 64 * KIB, 16 * KIB};
    struct scenario_world *w = &d->s->world;
    w->payload = chance(d, 1, 5);
    w->latency = ms(d, chance(d, 1, 4) ? 300 : 40);
    w->spread = chance(d, 1, 2) ? ms(d, 200) : 0;
    w->loss = chance(d, 1, 2) ? below(d, 20000) : 0;
    w->duplicate = chance(d, 1, 3) ? below(d, 100000) : 0;
    w->reorder = chance(d, 1, 3) ? below(d, 300000) : 0;
    w->window = windows[below(d, ARRAY_LEN(windows))];
    w->check = chance(d, 1, 2);
    w->rare = chance(d, 1, 2);
    w->heal = HEAL;
}

static void draw_contents(struct draw *d)
{
    const uint32_t n = chance(d, 1, 4) ? 2 : 1;
    for (uint32_t i = 0; i < n; i++) {
        struct scenario_content *c = &d->s->contents[d->s->contents_n++];
        *c = (struct scenario_content){.piece = (16 * KIB) << below(d, 5), .form = below(d, 3), .files_n = chance(d, 1, 3) ? 2 + below(d, 5) : 1};
        (void)snprintf(c->name, sizeof c->name, "c%u", i);
        const uint64_t all = d->class == DRAW_TRACKER ? spread(d, 20000, 200000) : spread(d, 60000, 3000000);
        for (uint32_t f = 0; f < c->files_n; f++)
            c->lens[f] = f > 0 && chance(d, 1, 5) ? 0 : 1 + all / c->files_n - below(d, all / c->files_n / 2 + 1);
    }
}

static struct scenario_group *group(struct draw *d, const char *name, uint32_t number)
{
    char full[SCENARIO_NAME_MAX];
    struct scenario_group *g;
    (void)snprintf(full, sizeof full, "%s%u", name, number);
    if (scenario_add_group(d->s, full, &g) != ERR_OK) {
        static struct scenario_group nowhere;
        d->failed = true;
        return &nowhere;
    }
    d->s->nodes_n++;
    return g;
}

static void draw_line(struct draw *d, struct scenario_group *g)
{
    g->up = spread(d, 20000, 1000000);
    g->down = chance(d, 1, 4) ? 0 : spread(d, 40000, 4000000);
    g->latency = chance(d, 1, 3) ? ms(d, 50) : 0;
    if (chance(d, 1, 4))
        g->disk_latency = ms(d, 60);
    if (chance(d, 1, 4))
        g->disk_rate = spread(d, 500000, 20000000);
    if (chance(d, 1, 6))
        g->hash_rate = spread(d, 500000, 20000000);
    if (chance(d, 1, 4))
        g->slots = 1 + below(d, 8);
    if (chance(d, 1, 5))
        g->peers = 2 + below(d, 8);
}

static void draw_leech(struct draw *d, uint32_t i, uint64_t all)
{
    struct scenario_group *g = group(d, "p", i);
    draw_line(d, g);
    g->want = chance(d, 1, 3) ? all : (uint64_t)1 << below(d, d->s->contents_n);
    g->arrive_time = ms(d, d->class == DRAW_TRACKER ? 70000 : 20000);
    g->order = chance(d, 1, 3) ? below(d, 3) : 0;
    g->check = chance(d, 1, 8);
    g->choke = chance(d, 1, 6) ? below(d, 3) : 0;
    g->after = chance(d, 1, 3) ? below(d, 3) : 0;
    g->linger = chance(d, 1, 2) ? ms(d, 20000) : 0;
    g->dials = chance(d, 1, 4) ? 1 + below(d, 4) : 0;
    // Whoever cannot send UDP would never hear of a tracker that is asked by it.
    if (d->homes && chance(d, 2, 3))
        g->nat = SCENARIO_NAT_CLASS + below(d, NAT_CLASS_SYMMETRIC + 1);
    g->utp = d->s->world.payload == PAYLOAD_BYTES && chance(d, 1, 2);
}

static void draw_nodes(struct draw *d)
{
    const uint64_t all = ((uint64_t)1 << d->s->contents_n) - 1;
    struct scenario_group *t = group(d, "t", 0);
    t->tracker = chance(d, 1, 3) ? 2 : 1;
    d->homes = chance(d, 1, 4);
    t->interval = (30 + below(d, 60)) * NSEC_S;
    const uint32_t seeds = 1 + (uint32_t)below(d, 2), leeches = 1 + (uint32_t)below(d, d->class == DRAW_TRACKER ? 2 * LEECHES_MAX : LEECHES_MAX);
    for (uint32_t i = 0; i < seeds; i++) {
        struct scenario_group *g = group(d, "s", i);
        draw_line(d, g);
        g->peers = 0;
        g->has = all;
        g->utp = d->s->world.payload == PAYLOAD_BYTES && chance(d, 1, 2);
        g->choke = chance(d, 1, 6) ? below(d, 3) : 0;
    }
    for (uint32_t i = 0; i < leeches; i++)
        draw_leech(d, i, all);
    const uint32_t hostile = d->class != DRAW_TRACKER && chance(d, 1, 2) ? 1 + (uint32_t)below(d, 3) : 0;
    for (uint32_t i = 0; i < hostile; i++) {
        struct scenario_group *g = group(d, "h", i);
        g->up = spread(d, 20000, 1000000);
        g->hostile = HOSTILE_POISON + below(d, HOSTILE_FREE_RIDER - HOSTILE_POISON + 1);
        g->corrupt = spread(d, 1000, PPM);
        g->has = (uint64_t)1 << below(d, d->s->contents_n);
        g->arrive_time = ms(d, 20000);
        g->dials = chance(d, 1, 2) ? 1 + below(d, 6) : 0;
    }
}

static uint64_t draw_param(struct draw *d, const struct action_param *p)
{
    if (p->key == NULL || (p->low == 0 && p->high == 0))
        return 0;
    if (p->kind == ARG_MASK)
        return rng_u64(&d->r);
    if (p->kind == ARG_SIGNED_PPM || p->kind == ARG_SIGNED_TIME) {
        const uint64_t v = spread(d, u64_min(p->high, NSEC_S), p->high);
        return chance(d, 1, 2) ? (uint64_t)-(int64_t)v : v;
    }
    if (p->high <= 5)
        return p->low + below(d, p->high - p->low + 1);
    const uint64_t v = p->low == 0 ? spread(d, 1, p->high) - 1 : spread(d, p->low, p->high);
    return p->kind == ARG_TIME && v >= NSEC_MS ? v / NSEC_MS * NSEC_MS : v;
}

// Whom it hits: mostly one node, now and then a share of all.
static void draw_whom(struct draw *d, struct action *a)
{
    const enum action_scope scope = action_info(a->kind)->scope;
    if (scope == SCOPE_WORLD || (scope == SCOPE_PATHS && chance(d, 1, 4)))
        return;
    if (chance(d, 1, 6)) {
        a->count = ACTION_EVERY;
        a->share_ppm = u32_of(spread(d, 100000, 800000));
    } else {
        a->host = u32_of(below(d, d->s->nodes_n));
        a->count = 1;
    }
    if (scope == SCOPE_PATHS && chance(d, 1, 3)) {
        a->to = 1 + u32_of(below(d, d->s->nodes_n));
        a->to_count = 1;
    }
}

static bool drawable(enum action_kind kind)
{
    // Who leaves does not come back, names are not used here, and the healing is the world's.
    return kind != ACTION_START && kind != ACTION_LEAVE && kind != ACTION_HEAL && kind != ACTION_DNS;
}

// Every kind has a random stream of its own, so that a new one changes nothing about the others.
static void draw_faults(struct draw *d)
{
    bool off[ACTION_GROUPS];
    for (uint32_t g = 0; g < ACTION_GROUPS; g++)
        off[g] = chance(d, 1, 2);
    const uint64_t seed = rng_u64(&d->r);
    for (uint32_t kind = 0; kind < ACTION_KINDS; kind++) {
        const struct action_info *info = action_info((enum action_kind)kind);
        d->r = rng_make(seed, kind);
        if (!drawable((enum action_kind)kind) || off[info->group] || chance(d, 1, 2))
            continue;
        for (uint64_t n = 1 + below(d, FAULTS_EACH_MAX); n > 0; n--) {
            struct scenario_fault *f;
            if (scenario_add_fault(d->s, &f) != ERR_OK) {
                d->failed = true;
                return;
            }
            f->t = NSEC_S + ms(d, 60000);
            f->action = action_make((enum action_kind)kind);
            draw_whom(d, &f->action);
            f->action.a = draw_param(d, &info->a);
            f->action.b = draw_param(d, &info->b);
            if (kind == ACTION_PAUSE)
                f->action.a = u64_min(f->action.a, LASTS_MAX);          // nothing outlasts the healing by much
            if (info->lasts)
                f->action.lasts = NSEC_MS + ms(d, LASTS_MAX / NSEC_MS);
        }
    }
}

// Three times as long as physics allows after the healing, and ten minutes.
static nsec patience(const struct scenario *s)
{
    uint64_t bytes = 0, up_min = UINT64_MAX, down_min = UINT64_MAX, n = 0;
    for (uint32_t i = 0; i < s->contents_n; i++)
        for (uint32_t f = 0; f < s->contents[i].files_n; f++)
            bytes += s->contents[i].lens[f];
    for (uint32_t i = 0; i < s->groups_n; i++) {
        const struct scenario_group *g = &s->groups[i];
        n += g->want != 0;
        if (g->has != 0 && g->hostile == 0)
            up_min = u64_min(up_min, g->up);
        if (g->want != 0 && g->down != 0)
            down_min = u64_min(down_min, g->down);
    }
    // The slowest seed alone serves everybody: peers may all have left.
    return 3 * (n * bytes * NSEC_S / up_min + bytes * NSEC_S / down_min) + PATIENCE;
}

enum err draw_scenario(struct scenario *out, const struct mem *mem, enum draw_class class, uint64_t seed)
{
    scenario_init(out, mem);
    out->seed = seed;
    struct draw d = {.s = out, .r = rng_make(seed, 4711 + (uint64_t)class), .class = class};
    if (class == DRAW_MIXED)
        d.class = chance(&d, 1, 3) ? DRAW_TRACKER : DRAW_SWARM;
    draw_world(&d);
    draw_contents(&d);
    draw_nodes(&d);
    draw_faults(&d);
    if (d.failed)
        return ERR_NOMEM;
    out->world.end = HEAL + patience(out) / NSEC_S * NSEC_S;
    return ERR_OK;
}

void draw_signature(const char *why, char out[DRAW_SIGN_MAX])
{
    size_t n = 0;
    // "at 12.345 s: " in front of what an oracle said is a number, too.
    if (strncmp(why, "at ", 3) == 0 && strstr(why, ": ") != NULL)
        why = strstr(why, ": ") + 2;
    for (; *why != '\0' && n + 1 < DRAW_SIGN_MAX; why++)
        if (*why < '0' || *why > '9')
            out[n++] = *why;
    out[n] = '\0';
}
