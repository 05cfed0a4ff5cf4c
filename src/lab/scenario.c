// Scenarios in memory, and the tables of what their lines may say: see scenario.h.
#include "lab/scenario.h"

#include <stdio.h>

#include "lab/scenario_int.h"
#include "sim/chance.h"

static const char *const yes_no[] = {"no", "yes", NULL};
static const char *const no_yes[] = {"yes", "no", NULL};
static const char *const trackers[] = {"no", "yes", "udp", NULL};
static const char *const payloads[] = {"ref", "bytes", NULL};
static const char *const models[] = {"flat", "planetlab", "planet", NULL};       // enum world_latency
static const char *const forms[] = {"v1", "v2", "hybrid", NULL};
static const char *const hostiles[] = {"none", "poison", "stall", "flood", "garbage", "oversize", "liar", "freerider",
    "metahuge", "metawrong", "metasizes", "metasilent", "metareject", "metaflood", NULL};      // enum hostile_kind
static const char *const orders[] = {"rarest", "sequential", "random", "strict", NULL};
static const char *const chokes[] = {"kith", "original", "blind", NULL};
static const char *const sessions[] = {"whole", "debian", "redhat", "flatout", NULL};        // enum chance_swarm
static const char *const afters[] = {"stay", "leave", "vanish", NULL};

const char *const scenario_nat_words[] = {
    [SCENARIO_PUBLIC] = "none", [SCENARIO_NAT_2025] = "nat-2025", [SCENARIO_NAT_2010] = "nat-2010", [SCENARIO_NAT_2005] = "nat-2005",
    [SCENARIO_NAT_CLASS + NAT_CLASS_EIF] = "EIM/EIF", [SCENARIO_NAT_CLASS + NAT_CLASS_ADF] = "EIM/ADF",
    [SCENARIO_NAT_CLASS + NAT_CLASS_APDF] = "EIM/APDF", [SCENARIO_NAT_CLASS + NAT_CLASS_SYMMETRIC] = "symmetric",
    [SCENARIO_NAT_CLASS + NAT_CLASS_BLOCKED] = "no-udp", NULL,
};

#define ARRIVALS 0x6172726976616c         // purpose of a random stream

#define W(text, kind, member, list, most) \
    {.name = text, .type = kind, .offset = offsetof(struct scenario_world, member), .words = list, .max = most}
const struct field scenario_world_fields[] = {
    W("payload", FIELD_WORD, payload, payloads, 0),
    W("latency", FIELD_TIME, latency, NULL, 10 * NSEC_S),
    W("latency", FIELD_WORD, model, models, 0),         // as well: what has the same name takes what the one before does not
    W("spread", FIELD_TIME, spread, NULL, 10 * NSEC_S),
    W("loss", FIELD_SHARE, loss, NULL, 500000),
    W("duplicate", FIELD_SHARE, duplicate, NULL, 500000),
    W("reorder", FIELD_SHARE, reorder, NULL, 1000000),
    W("window", FIELD_SIZE, window, NULL, GIB),
    W("rare", FIELD_WORD, rare, yes_no, 0),
    W("check", FIELD_WORD, check, yes_no, 0),
    W("end", FIELD_TIME, end, NULL, 0),
    W("heal", FIELD_TIME, heal, NULL, 0),
};
const uint32_t scenario_world_fields_n = ARRAY_LEN(scenario_world_fields);

#define C(text, kind, member, list, most) \
    {.name = text, .type = kind, .offset = offsetof(struct scenario_content, member), .words = list, .max = most}
const struct field scenario_content_fields[] = {
    C("size", FIELD_SIZES, lens, NULL, 64 * GIB),
    C("piece", FIELD_SIZE, piece, NULL, 16 * MIB),
    C("form", FIELD_WORD, form, forms, 0),
    C("tracker", FIELD_WORD, tracker, no_yes, 0),
    C("private", FIELD_WORD, is_private, yes_no, 0),
};
const uint32_t scenario_content_fields_n = ARRAY_LEN(scenario_content_fields);

#define N(text, kind, member, list, most) \
    {.name = text, .type = kind, .offset = offsetof(struct scenario_group, member), .words = list, .max = most}
const struct field scenario_node_fields[] = {
    N("tracker", FIELD_WORD, tracker, trackers, 0),
    N("interval", FIELD_TIME, interval, NULL, 86400 * NSEC_S),
    N("hostile", FIELD_WORD, hostile, hostiles, 0),
    N("corrupt", FIELD_SHARE, corrupt, NULL, 1000000),
    N("nat", FIELD_WORD, nat, scenario_nat_words, 0),
    N("utp", FIELD_WORD, utp, yes_no, 0),
    N("dht", FIELD_WORD, dht, yes_no, 0),
    N("up", FIELD_RATE, up, NULL, 0),
    N("down", FIELD_RATE, down, NULL, 0),
    N("latency", FIELD_TIME, latency, NULL, 10 * NSEC_S),
    N("has", FIELD_CONTENTS, has, NULL, 0),
    N("want", FIELD_CONTENTS, want, NULL, 0),
    N("magnet", FIELD_WORD, magnet, yes_no, 0),
    N("check", FIELD_WORD, check, yes_no, 0),
    N("order", FIELD_WORD, order, orders, 0),
    N("optimistic", FIELD_WORD, optimistic, no_yes, 0),
    N("gifts", FIELD_WORD, gifts, no_yes, 0),
    N("choke", FIELD_WORD, choke, chokes, 0),
    N("slots", FIELD_COUNT, slots, NULL, 200),
    N("dials", FIELD_COUNT, dials, NULL, 200),
    N("knows", FIELD_NODES, knows, NULL, 0),
    N("peers", FIELD_COUNT, peers, NULL, 10000),
    N("from", FIELD_TIME, from, NULL, 0),
    N("arrive", FIELD_ARRIVE, arrive, NULL, 0),
    N("sessions", FIELD_WORD, sessions, sessions, 0),
    N("online", FIELD_TIME, online, NULL, 0),
    N("away", FIELD_TIME, away, NULL, 0),
    N("after", FIELD_WORD, after, afters, 0),
    N("linger", FIELD_TIME, linger, NULL, 0),
    N("disk_latency", FIELD_TIME, disk_latency, NULL, 60 * NSEC_S),
    N("disk_rate", FIELD_RATE, disk_rate, NULL, 0),
    N("hash_rate", FIELD_RATE, hash_rate, NULL, 0),
    N("space", FIELD_SIZE, space, NULL, 0),
    N("eio", FIELD_SHARE, eio, NULL, 1000000),
};
const char *const scenario_arrive_words[ARRIVE_KINDS] = {"at", "flash", "every", "poisson", "debian", "redhat", "flatout", "decay", "sine"};

const uint32_t scenario_node_fields_n = ARRAY_LEN(scenario_node_fields);

void scenario_init(struct scenario *s, const struct mem *mem)
{
    *s = (struct scenario){.seed = 1, .mem = mem};
}

void scenario_done(struct scenario *s)
{
    mem_free(s->mem, s->groups, s->groups_cap * sizeof *s->groups);
    mem_free(s->mem, s->faults, s->faults_cap * sizeof *s->faults);
    *s = (struct scenario){.mem = s->mem};
}

enum err scenario_copy(struct scenario *out, const struct scenario *s)
{
    struct scenario c = *s;
    c.groups = mem_zarray(s->mem, s->groups_n, sizeof *c.groups);
    c.faults = mem_zarray(s->mem, s->faults_n, sizeof *c.faults);
    c.groups_cap = s->groups_n;
    c.faults_cap = s->faults_n;
    if ((c.groups == NULL && s->groups_n > 0) || (c.faults == NULL && s->faults_n > 0)) {
        scenario_done(&c);
        return ERR_NOMEM;
    }
    if (s->groups_n > 0)
        memcpy(c.groups, s->groups, s->groups_n * sizeof *c.groups);
    if (s->faults_n > 0)
        memcpy(c.faults, s->faults, s->faults_n * sizeof *c.faults);
    *out = c;
    return ERR_OK;
}

enum err scenario_add_group(struct scenario *s, const char *name, struct scenario_group **out)
{
    void *items = s->groups;
    const enum err e = mem_grow(s->mem, &items, &s->groups_cap, s->groups_n + 1, SCENARIO_NODES_MAX, sizeof *s->groups);
    if (e != ERR_OK)
        return e;
    s->groups = items;
    *out = &s->groups[s->groups_n++];
    **out = (struct scenario_group){.count = 1};
    (void)snprintf((*out)->name, sizeof (*out)->name, "%s", name);
    return ERR_OK;
}

enum err scenario_add_fault(struct scenario *s, struct scenario_fault **out)
{
    void *items = s->faults;
    const enum err e = mem_grow(s->mem, &items, &s->faults_cap, s->faults_n + 1, SCENARIO_FAULTS_MAX, sizeof *s->faults);
    if (e != ERR_OK)
        return e;
    s->faults = items;
    *out = &s->faults[s->faults_n++];
    **out = (struct scenario_fault){0};
    return ERR_OK;
}

void scenario_arrivals(const struct scenario *s, uint32_t group, nsec *out)
{
    const struct scenario_group *g = &s->groups[group];
    struct rng r = rng_make(mix64(s->seed ^ ARRIVALS), mix64(group + 1));
    const uint64_t ms = g->arrive_time / NSEC_MS;
    const enum chance_swarm like = (enum chance_swarm)(g->arrive - ARRIVE_DEBIAN + CHANCE_DEBIAN);
    nsec t = g->from;
    for (uint32_t i = 0; i < g->count; i++) {
        switch ((enum arrive_kind)g->arrive) {
        case ARRIVE_AT: t = g->from + g->arrive_time; break;
        case ARRIVE_EVERY: t = g->from + g->arrive_time * i; break;
        case ARRIVE_FLASH: t = g->from + (ms == 0 ? 0 : rng_below(&r, ms)) * NSEC_MS; break;
        case ARRIVE_POISSON: t += ms * (chance_exponential(&r) / 1000) / 1000000 * NSEC_MS; break;
        case ARRIVE_DEBIAN:
        case ARRIVE_REDHAT:
        case ARRIVE_FLATOUT: t += chance_gap(&r, like, g->arrive_time) / NSEC_MS * NSEC_MS; break;
        case ARRIVE_DECAY: t = g->from + ms * (chance_exponential(&r) / 1000) / 1000000 * NSEC_MS; break;
        case ARRIVE_KINDS: break;
        case ARRIVE_SINE: t = g->from + chance_sine(&r, g->arrive_time) / NSEC_MS * NSEC_MS; break;
        }
        out[i] = t;
    }
}

uint32_t scenario_host(const struct scenario *s, uint32_t group, uint32_t i)
{
    uint32_t first = 0;
    for (uint32_t g = 0; g < group; g++)
        first += s->groups[g].count;
    return first + i;
}
