// Ways through NAT boxes: see route.h.
#include "sim/net.h"
#include "sim/route.h"

#include "sim/world.h"

enum { DEPTH_MAX = 8, BOX_NET = 11 };

// Boxes have addresses 11.x.y.z: x.y is the number, z counts the addresses that it has had.
static struct addr box_addr(uint32_t box, uint32_t addresses)
{
    const uint8_t ip[4] = {BOX_NET, (uint8_t)(box >> 8), (uint8_t)box, (uint8_t)(1 + addresses % 254)};
    return addr_ipv4(ip, 0);
}

uint32_t world_nat(struct world *w, const struct nat_config *cfg)
{
    void *items = w->nats.items;
    enum err e = mem_grow(w->env->mem, &items, &w->nats.cap, w->nats.n + 1, NAT_BOXES_MAX, sizeof(struct nat_box *));
    ASSERT(e == ERR_OK);
    w->nats.items = items;
    ASSERT(cfg->outer <= w->nats.n);    // an outer box is made before what is behind it
    struct nat_box *box = mem_zalloc(w->env->mem, sizeof *box);
    ASSERT(box != NULL);
    const struct addr a = box_addr(w->nats.n, 0);
    const struct rng seed = world_rng(w, w->nats.n, PURPOSE_NAT);
    e = nat_init(&box->nat, cfg, &a, w->env->mem, seed.key);
    ASSERT(e == ERR_OK);
    w->nats.items[w->nats.n] = box;
    return ++w->nats.n;
}

void route_done(struct world *w)
{
    for (uint32_t i = 0; i < w->nats.n; i++) {
        nat_done(&w->nats.items[i]->nat);
        mem_free(w->env->mem, w->nats.items[i], sizeof *w->nats.items[i]);
    }
    mem_free(w->env->mem, w->nats.items, w->nats.cap * sizeof(struct nat_box *));
}

// The box with that address, 1 + number; 0: none (any more).
static uint32_t box_at(const struct world *w, const struct addr *a)
{
    if (a->family != ADDR_IPV4 || a->ip[0] != BOX_NET)
        return 0;
    const uint32_t i = (uint32_t)a->ip[1] << 8 | a->ip[2];
    return i < w->nats.n && addr_same_ip(&w->nats.items[i]->nat.address, a) ? i + 1 : 0;
}

static struct nat *nat_of(const struct world *w, uint32_t net) { return &w->nats.items[net - 1]->nat; }

// Whether the address is one of that network; *out_box: of a box of it.
static bool lives_in(const struct world *w, uint32_t net, const struct addr *a, uint32_t *out_box)
{
    *out_box = box_at(w, a);
    if (*out_box != 0)
        return nat_of(w, *out_box)->cfg.outer == net;
    const struct host *h = net_host(w, a);
    return h != NULL && h->cfg.nat == net;
}

// Whom an address will reach at the end, filters aside. UINT32_MAX: nobody.
static uint32_t target_of(const struct world *w, bool tcp, struct addr a)
{
    for (uint32_t depth = 0, box = box_at(w, &a); box != 0 && depth < DEPTH_MAX; depth++, box = box_at(w, &a))
        if (nat_peek(nat_of(w, box), w->now, tcp, a.port, &a) != ERR_OK)
            return UINT32_MAX;
    const struct host *h = net_host(w, &a);
    return h == NULL ? UINT32_MAX : h->index;
}

enum err route_depart(struct world *w, const struct host *from, bool tcp, uint16_t port, const struct addr *to, struct route *out)
{
    struct route r = {.src = net_addr(from->index, port), .dst = *to};
    uint32_t net = from->cfg.nat, box;
    for (uint32_t depth = 0; !lives_in(w, net, to, &box); depth++) {
        if (net == 0 || depth == DEPTH_MAX)
            return ERR_UNREACHABLE;
        struct nat *n = nat_of(w, net);
        const enum err e = nat_out(n, w->now, tcp, &r.src, to, &r.src);
        if (e != ERR_OK)
            return e;
        if (box == net && !n->cfg.hairpin)
            return ERR_UNREACHABLE;
        net = n->cfg.outer;
    }
    r.target = target_of(w, tcp, *to);
    if (r.target == UINT32_MAX)
        return box != 0 ? ERR_NOT_FOUND : ERR_UNREACHABLE;
    *out = r;
    return ERR_OK;
}

enum err route_arrive(struct world *w, bool tcp, const struct route *r, struct addr *out)
{
    struct addr a = r->dst;
    for (uint32_t depth = 0, box = box_at(w, &a); depth < DEPTH_MAX; depth++, box = box_at(w, &a)) {
        if (box == 0) {
            *out = a;
            return net_host(w, &a) == NULL ? ERR_NOT_FOUND : ERR_OK;
        }
        const enum err e = nat_in(nat_of(w, box), w->now, tcp, a.port, &r->src, &a);
        if (e != ERR_OK)
            return e;
    }
    return ERR_NOT_FOUND;
}

uint32_t route_boots(const struct world *w, const struct host *h)
{
    uint32_t boots = 0;
    for (uint32_t net = h->cfg.nat; net != 0; net = nat_of(w, net)->cfg.outer)
        boots += w->nats.items[net - 1]->boots;
    return boots;
}

nsec route_tcp_timeout(const struct world *w, const struct host *h)
{
    nsec least = NSEC_NEVER;
    for (uint32_t net = h->cfg.nat; net != 0; net = nat_of(w, net)->cfg.outer)
        least = u64_min(least, nat_of(w, net)->cfg.tcp_timeout);
    return least;
}

bool route_resets(const struct world *w, const struct addr *to)
{
    const uint32_t box = box_at(w, to);
    return box != 0 && nat_of(w, box)->cfg.reset;
}

void net_nat_restart(struct world *w, const struct host *h, bool fresh_address)
{
    if (h->cfg.nat == 0)
        return;
    struct nat_box *box = w->nats.items[h->cfg.nat - 1];
    nat_reboot(&box->nat);
    box->boots++;
    if (fresh_address)
        box->nat.address = box_addr(h->cfg.nat - 1, ++box->addresses);
}

enum err world_portmap(struct world *w, uint32_t host, bool tcp, uint16_t port, struct addr *out)
{
    struct addr a = net_addr(host, port);
    for (uint32_t net = w->hosts[host]->cfg.nat; net != 0; net = nat_of(w, net)->cfg.outer) {
        struct nat *n = nat_of(w, net);
        uint16_t outside;
        enum err e = nat_portmap(n, w->now, tcp, &a, a.port, &outside);
        if (e == ERR_EXISTS)
            e = nat_portmap(n, w->now, tcp, &a, 0, &outside);
        if (e != ERR_OK)
            return e;
        a = n->address;
        a.port = outside;
    }
    *out = a;
    return ERR_OK;
}
