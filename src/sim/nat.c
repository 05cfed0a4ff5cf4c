// The table of a NAT box: see nat.h.
#include "sim/nat.h"

enum { PORTS_N = 65536, CLASS_HUNDRED = 100 };

#define UDP_TIMEOUT_DEFAULT (120 * NSEC_S)      // RFC 4787 REQ-5: not less than two minutes
#define TCP_TIMEOUT_DEFAULT (7440 * NSEC_S)     // RFC 5382 REQ-5: not less than 2 hours and 4 minutes

enum err nat_init(struct nat *n, const struct nat_config *cfg, const struct addr *address, const struct mem *mem, uint64_t seed)
{
    *n = (struct nat){.cfg = *cfg, .address = *address, .mem = mem, .rng = rng_make(seed, 0x6e6174), .port_next = NAT_PORT_FIRST};
    if (n->cfg.udp_timeout == 0)
        n->cfg.udp_timeout = UDP_TIMEOUT_DEFAULT;
    if (n->cfg.tcp_timeout == 0)
        n->cfg.tcp_timeout = TCP_TIMEOUT_DEFAULT;
    if (n->cfg.mappings_max == 0 || n->cfg.mappings_max > NAT_MAPPINGS_MAX)
        n->cfg.mappings_max = NAT_MAPPINGS_MAX;
    map_init(&n->mappings, mem, NAT_MAPPINGS_MAX, seed);
    map_init(&n->outs, mem, NAT_MAPPINGS_MAX, seed);
    list_init(&n->age);
    return ERR_OK;
}

static void forget(struct nat *n, struct nat_mapping *m)
{
    map_remove(&n->mappings, &m->by_in);
    if (m->port != 0)
        map_remove(&n->outs, &m->by_out);
    list_remove(&m->age);
    mem_free(n->mem, m->permits, m->permits_cap * sizeof *m->permits);
    mem_free(n->mem, m, sizeof *m);
}

void nat_reboot(struct nat *n)
{
    LIST_EACH(&n->age, link, save)
        forget(n, CONTAINER(link, struct nat_mapping, age));
}

void nat_done(struct nat *n)
{
    if (n->mem == NULL)
        return;
    nat_reboot(n);
    map_done(&n->mappings);
    map_done(&n->outs);
    *n = (struct nat){0};
}

static void key_addr(struct wr *w, const struct addr *a, bool port)
{
    wr_u8(w, a->family);
    wr_bytes(w, addr_ip(a));
    if (port)
        wr_be16(w, a->port);
}

// What decides whether two flows share a mapping.
static struct slice key_of(const struct nat *n, bool tcp, const struct addr *inside, const struct addr *remote, struct buf *space)
{
    struct wr w = wr_make(space);
    wr_u8(&w, tcp);
    key_addr(&w, inside, true);
    if (remote != NULL && n->cfg.map != NAT_ANY)
        key_addr(&w, remote, n->cfg.map == NAT_PORT);
    ASSERT(w.ok);
    return buf_slice(space);
}

static nsec lifetime(const struct nat *n, bool tcp) { return tcp ? n->cfg.tcp_timeout : n->cfg.udp_timeout; }

static void drop_expired(struct nat *n, nsec now)
{
    LIST_EACH(&n->age, link, save) {
        struct nat_mapping *m = CONTAINER(link, struct nat_mapping, age);
        if (m->until > now)
            continue;
        n->stats.expired++;
        forget(n, m);
    }
}

static void out_key(bool tcp, uint16_t port, uint8_t out[3])
{
    out[0] = tcp;
    out[1] = (uint8_t)(port >> 8);
    out[2] = (uint8_t)port;
}

static struct nat_mapping *at_port(const struct nat *n, bool tcp, uint16_t port)
{
    uint8_t key[3];
    out_key(tcp, port, key);
    struct map_node *node = map_get(&n->outs, slice_of(key, sizeof key));
    return node == NULL ? NULL : CONTAINER(node, struct nat_mapping, by_out);
}

static bool port_is_free(const struct nat *n, bool tcp, uint16_t port) { return at_port(n, tcp, port) == NULL; }

static enum err take_port(struct nat *n, struct nat_mapping *m, uint16_t port)
{
    if (port == 0)
        return ERR_FULL;
    out_key(m->tcp, port, m->out_key);
    const enum err e = map_put(&n->outs, &m->by_out, slice_of(m->out_key, sizeof m->out_key));
    if (e == ERR_OK)
        m->port = port;
    return e;
}

// 0: none is left.
static uint16_t choose_port(struct nat *n, bool tcp, uint16_t wanted)
{
    uint16_t port = wanted;
    if (n->cfg.port == NAT_RANDOM)
        port = (uint16_t)(NAT_PORT_FIRST + rng_below(&n->rng, PORTS_N - NAT_PORT_FIRST));
    else if (n->cfg.port == NAT_SEQUENTIAL)
        port = n->port_next;
    for (uint32_t tries = 0; tries < PORTS_N; tries++) {
        if (port >= NAT_PORT_FIRST && port_is_free(n, tcp, port)) {
            n->port_next = (uint16_t)(port + 1);
            return port;
        }
        port = (uint16_t)(port + 1);
    }
    return 0;
}

static enum err add(struct nat *n, nsec now, bool tcp, struct slice key, struct nat_mapping **out)
{
    if (n->mappings.n >= n->cfg.mappings_max)
        drop_expired(n, now);
    if (n->mappings.n >= n->cfg.mappings_max) {
        n->stats.refused_full++;
        return ERR_FULL;
    }
    struct nat_mapping *m = mem_zalloc(n->mem, sizeof *m);
    if (m == NULL)
        return ERR_NOMEM;
    ASSERT(key.n <= sizeof m->key);
    memcpy(m->key, key.p, key.n);
    m->tcp = tcp;
    if (map_put(&n->mappings, &m->by_in, slice_of(m->key, key.n)) != ERR_OK) {
        mem_free(n->mem, m, sizeof *m);
        return ERR_NOMEM;
    }
    list_init(&m->age);
    list_push_back(&n->age, &m->age);
    n->stats.mapped++;
    *out = m;
    return ERR_OK;
}

static void refresh(struct nat *n, nsec now, struct nat_mapping *m)
{
    if (m->fixed)
        return;
    m->until = now + lifetime(n, m->tcp);
    list_remove(&m->age);
    list_push_back(&n->age, &m->age);
}

// Something left for `remote`: it may answer from now on.
static void permit(struct nat *n, nsec now, struct nat_mapping *m, const struct addr *remote)
{
    struct nat_permit *oldest = NULL;
    ASSERT(m->permits_n == 0 || m->permits != NULL);
    for (uint32_t i = 0; i < m->permits_n; i++) {
        struct nat_permit *p = &m->permits[i];
        if (addr_eq(&p->remote, remote)) {
            p->until = now + lifetime(n, m->tcp);
            return;
        }
        if (oldest == NULL || p->until < oldest->until)
            oldest = p;
    }
    void *items = m->permits;
    if (m->permits_n < NAT_PERMITS_MAX &&
        mem_grow(n->mem, &items, &m->permits_cap, m->permits_n + 1, NAT_PERMITS_MAX, sizeof *m->permits) == ERR_OK) {
        m->permits = items;
        oldest = &m->permits[m->permits_n++];
    }
    if (oldest != NULL)
        *oldest = (struct nat_permit){*remote, now + lifetime(n, m->tcp)};
}

static struct nat_mapping *find(struct nat *n, nsec now, struct slice key)
{
    struct map_node *node = map_get(&n->mappings, key);
    if (node == NULL)
        return NULL;
    struct nat_mapping *m = CONTAINER(node, struct nat_mapping, by_in);
    if (m->until > now)
        return m;
    n->stats.expired++;
    forget(n, m);
    return NULL;
}

// A mapping that the host asked for serves what it sends from that port as well.
static struct nat_mapping *find_fixed(struct nat *n, nsec now, bool tcp, const struct addr *inside)
{
    uint8_t space[40];
    struct buf b = {space, 0, sizeof space};
    struct nat_mapping *m = find(n, now, key_of(n, tcp, inside, NULL, &b));
    return m != NULL && m->fixed ? m : NULL;
}

enum err nat_out(struct nat *n, nsec now, bool tcp, const struct addr *inside, const struct addr *remote, struct addr *out)
{
    if (n->cfg.no_udp && !tcp)
        return ERR_ACCESS;
    uint8_t space[40];
    struct buf b = {space, 0, sizeof space};
    const struct slice key = key_of(n, tcp, inside, remote, &b);
    struct nat_mapping *m = find_fixed(n, now, tcp, inside);
    if (m == NULL)
        m = find(n, now, key);
    if (m == NULL) {
        enum err e = add(n, now, tcp, key, &m);
        if (e != ERR_OK)
            return e;
        m->inside = *inside;
        e = take_port(n, m, choose_port(n, tcp, inside->port));
        if (e != ERR_OK) {
            forget(n, m);
            return e;
        }
    }
    refresh(n, now, m);
    permit(n, now, m, remote);
    *out = n->address;
    out->port = m->port;
    return ERR_OK;
}

static bool allowed(const struct nat *n, nsec now, const struct nat_mapping *m, const struct addr *remote)
{
    if (m->fixed || (n->cfg.filter == NAT_ANY && !m->tcp))
        return true;
    for (uint32_t i = 0; i < m->permits_n; i++) {
        const struct nat_permit *p = &m->permits[i];
        if (p->until <= now)
            continue;
        if (n->cfg.filter == NAT_ADDRESS ? addr_same_ip(&p->remote, remote) : addr_eq(&p->remote, remote))
            return true;
    }
    return false;
}

enum err nat_in(struct nat *n, nsec now, bool tcp, uint16_t port, const struct addr *remote, struct addr *out)
{
    struct nat_mapping *m = at_port(n, tcp, port);
    if (m == NULL || m->until <= now)
        return ERR_NOT_FOUND;
    if (!allowed(n, now, m, remote)) {
        n->stats.filtered++;
        return ERR_ACCESS;
    }
    if (n->cfg.refresh_in) {
        refresh(n, now, m);
        permit(n, now, m, remote);
    }
    *out = m->inside;
    return ERR_OK;
}

enum err nat_peek(const struct nat *n, nsec now, bool tcp, uint16_t port, struct addr *out)
{
    const struct nat_mapping *m = at_port(n, tcp, port);
    if (m == NULL || m->until <= now)
        return ERR_NOT_FOUND;
    *out = m->inside;
    return ERR_OK;
}

enum err nat_portmap(struct nat *n, nsec now, bool tcp, const struct addr *inside, uint16_t wanted, uint16_t *out_port)
{
    if (!n->cfg.portmap)
        return ERR_UNSUPPORTED;
    struct nat_mapping *m = find_fixed(n, now, tcp, inside);
    if (m != NULL) {
        *out_port = m->port;
        return ERR_OK;
    }
    m = wanted == 0 ? NULL : at_port(n, tcp, wanted);
    if (m != NULL && !addr_eq(&m->inside, inside))
        return ERR_EXISTS;
    uint8_t space[40];
    struct buf b = {space, 0, sizeof space};
    const struct slice key = key_of(n, tcp, inside, NULL, &b);
    if (m != NULL)
        forget(n, m);                   // what it had by sending gives way
    m = find(n, now, key);
    if (m != NULL)
        forget(n, m);
    enum err e = add(n, now, tcp, key, &m);
    if (e != ERR_OK)
        return e;
    m->inside = *inside;
    m->fixed = true;
    m->until = NSEC_NEVER;
    e = take_port(n, m, wanted != 0 ? wanted : choose_port(n, tcp, inside->port));
    if (e != ERR_OK)
        forget(n, m);
    else
        *out_port = m->port;
    return e;
}

uint32_t nat_mappings(const struct nat *n) { return n->mappings.n; }

void nat_check(const struct nat *n)
{
    uint32_t used = 0;
    for (const struct list *l = n->age.next; l != &n->age; l = l->next, used++) {
        const struct nat_mapping *m = CONTAINER((struct list *)(uintptr_t)l, struct nat_mapping, age);
        ASSERT(at_port(n, m->tcp, m->port) == m);
        ASSERT(m->permits_n <= NAT_PERMITS_MAX);
    }
    ASSERT(used == n->mappings.n);
    ASSERT(used == n->outs.n);
    ASSERT(used <= n->cfg.mappings_max);
}

// libp2p DCUtR 2022 (70 +- 7.1 % of 4.4 million attempts); Halkes and Pouwelse 2011 (over 80 %); Ford, Srisuresh, Kegel 2005 (82 % of
// boxes; a box that is not punchable counts as symmetric).
static const struct nat_mix mixes[] = {
    {"nat-2025", {9, 20, 50, 17, 4}},
    {"nat-2010", {12, 25, 50, 10, 3}},
    {"nat-2005", {0, 0, 82, 18, 0}},
};

const struct nat_mix *nat_mix_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(mixes); i++)
        if (slice_eq_str(name, mixes[i].name))
            return &mixes[i];
    return NULL;
}

enum nat_class nat_mix_draw(const struct nat_mix *m, struct rng *r)
{
    uint64_t at = rng_below(r, CLASS_HUNDRED);
    for (uint32_t c = 0; c < NAT_CLASSES; c++) {
        if (at < m->share[c])
            return (enum nat_class)c;
        at -= m->share[c];
    }
    return NAT_CLASS_BLOCKED;
}

struct nat_config nat_class_config(enum nat_class c)
{
    struct nat_config cfg = {.map = NAT_ANY, .filter = NAT_PORT};
    if (c == NAT_CLASS_EIF)
        cfg.filter = NAT_ANY;
    if (c == NAT_CLASS_ADF)
        cfg.filter = NAT_ADDRESS;
    if (c == NAT_CLASS_SYMMETRIC) {
        cfg.map = NAT_PORT;
        cfg.port = NAT_RANDOM;
    }
    cfg.no_udp = c == NAT_CLASS_BLOCKED;
    return cfg;
}

bool nat_punchable(enum nat_class a, enum nat_class b)
{
    if (a == NAT_CLASS_BLOCKED || b == NAT_CLASS_BLOCKED)
        return false;
    if (a == NAT_CLASS_SYMMETRIC && b == NAT_CLASS_SYMMETRIC)
        return false;
    const bool one = a == NAT_CLASS_SYMMETRIC || b == NAT_CLASS_SYMMETRIC;
    return !one || (a != NAT_CLASS_APDF && b != NAT_CLASS_APDF);
}
