// Faults at work: see fault.h.
#include "sim/fault.h"
#include "sim/net.h"

#include "sim/net_int.h"

enum { UNLIMITED_BPS = 125000000, ROT_LEN = 512, SKEW_MAX = 500000 };     // a line without limit is throttled as one of 1 Gbit/s

#define LATENCY_MAX (3600 * NSEC_S)     // however many faults add up
#define JUMP_MAX ((int64_t)315360000 * (int64_t)NSEC_S)         // 10 years

static bool in_range(uint32_t host, uint32_t first, uint32_t n)
{
    return n == ACTION_EVERY || (host >= first && host - first < n);
}

static bool drawn(const struct fault_rule *r, uint32_t host)
{
    return r->share_ppm == 0 || mix64((uint64_t)r->salt << 32 | host) % 1000000 < r->share_ppm;
}

static bool covers(const struct fault_rule *r, const struct host *from, const struct host *to)
{
    const bool there = in_range(from->index, r->from, r->from_n) && in_range(to->index, r->to, r->to_n) && drawn(r, from->index);
    const bool back = r->both && in_range(to->index, r->from, r->from_n) && in_range(from->index, r->to, r->to_n) && drawn(r, to->index);
    return there || back;
}

// When a host that looks around in every `every` for `away` is back; now if it is not away.
static nsec scan_back(const struct fault_rule *r, nsec now)
{
    const nsec every = u64_max(r->a, 1), at = (now - r->since) % every;
    return at < r->b && r->b < every ? now - at + r->b : now;
}

// The others are no rules of packets.
static void apply(struct fault_path *p, const struct fault_rule *r, nsec now)
{
    const uint32_t ppm = (uint32_t)u64_min(r->a, 1000000);
    if (r->kind == ACTION_LOSS) {
        p->loss_ppm = ppm;
    } else if (r->kind == ACTION_BURST) {
        p->burst_begin_ppm = ppm;
        p->burst_end_ppm = (uint32_t)u64_min(r->b, 1000000);
    } else if (r->kind == ACTION_DUPLICATE) {
        p->duplicate_ppm = ppm;
    } else if (r->kind == ACTION_REORDER) {
        p->reorder_ppm = ppm;
        p->reorder_max = u64_max(r->b, 1);
    } else if (r->kind == ACTION_REPLAY) {
        p->replay_ppm = ppm;
        p->replay_after = r->b;
    } else if (r->kind == ACTION_FLIP) {
        p->flip_ppm = ppm;
    } else if (r->kind == ACTION_MTU) {
        p->mtu = (uint32_t)u64_min(r->a, UINT32_MAX);
    } else if (r->kind == ACTION_CLOG) {
        p->hold_until = u64_max(p->hold_until, r->until);
    } else if (r->kind == ACTION_SCAN) {
        p->hold_until = u64_max(p->hold_until, scan_back(r, now));
    }
    p->hole |= r->kind == ACTION_HOLE;
    p->no_udp |= r->kind == ACTION_NO_UDP;
    p->no_tcp |= r->kind == ACTION_NO_TCP;
}

struct fault_path fault_path(const struct world *w, const struct host *from, const struct host *to)
{
    struct fault_path p = {.loss_ppm = w->cfg.loss_ppm, .duplicate_ppm = w->cfg.duplicate_ppm, .reorder_ppm = w->cfg.reorder_ppm,
        .reorder_max = 500 * NSEC_MS};
    for (uint32_t i = 0; i < w->faults.n; i++) {
        const struct fault_rule *r = &w->faults.items[i];
        if (w->now >= r->since && w->now < r->until && covers(r, from, to))
            apply(&p, r, w->now);
    }
    return p;
}

nsec fault_latency(const struct world *w, const struct host *from, const struct host *to, nsec latency)
{
    for (uint32_t i = 0; i < w->faults.n; i++) {
        const struct fault_rule *r = &w->faults.items[i];
        if ((r->kind != ACTION_SLOW && r->kind != ACTION_ROUTE) || w->now < r->since || w->now >= r->until || !covers(r, from, to))
            continue;
        latency = u64_min(r->kind == ACTION_SLOW ? latency / 1000 * r->a : latency + r->a, LATENCY_MAX);
    }
    return latency;
}

bool fault_cut(const struct world *w, const struct host *a, const struct host *b, bool udp)
{
    if (a->side != b->side && !a->faults.bridge && !b->faults.bridge)
        return true;
    if (w->faults.n == 0)
        return false;
    const struct fault_path there = fault_path(w, a, b);
    return there.hole || (udp ? there.no_udp : there.no_tcp);
}

static void rule_add(struct world *w, const struct fault_rule *r)
{
    void *items = w->faults.items;
    const enum err e = mem_grow(w->env->mem, &items, &w->faults.cap, w->faults.n + 1, FAULT_RULES_MAX, sizeof *w->faults.items);
    ASSERT(e == ERR_OK);
    w->faults.items = items;
    w->faults.items[w->faults.n++] = *r;
}

// Those whose time is over; order is kept.
static void rules_clean(struct world *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->faults.n; i++)
        if (w->faults.items[i].until > w->now)
            w->faults.items[n++] = w->faults.items[i];
    w->faults.n = n;
}

void fault_done(struct world *w)
{
    mem_free(w->env->mem, w->faults.items, w->faults.cap * sizeof *w->faults.items);
}

static struct fault_rule rule_of(const struct world *w, const struct action *a)
{
    return (struct fault_rule){.kind = a->kind, .from = a->host, .from_n = u32_max(a->count, 1), .to = a->to == 0 ? 0 : a->to - 1,
        .to_n = a->to == 0 ? ACTION_EVERY : u32_max(a->to_count, 1), .share_ppm = a->share_ppm, .salt = (uint32_t)mix64(w->cfg.seed ^ w->now),
        .since = w->now, .until = a->lasts == 0 ? NSEC_NEVER : u64_add_sat(w->now, a->lasts), .a = a->a, .b = a->b};
}

static void path_fault(struct world *w, const struct action *a, bool undo)
{
    rules_clean(w);
    if (undo)
        return;
    struct fault_rule r = rule_of(w, a);
    r.both = a->kind == ACTION_SCAN || a->kind == ACTION_NO_UDP || a->kind == ACTION_NO_TCP;
    rule_add(w, &r);
}

static void loss(struct world *w, const struct action *a, bool undo)
{
    if (a->count == 0 && a->to == 0 && a->share_ppm == 0)
        w->cfg.loss_ppm = undo ? w->faults.loss_before : (uint32_t)a->a;
    else
        path_fault(w, a, undo);
}

// Calls `each` for the hosts of an action that the draw of its share meets.
static void for_hosts(struct world *w, const struct action *a, bool undo,
    void (*each)(struct world *w, struct host *h, const struct action *a, bool undo))
{
    struct fault_rule r = rule_of(w, a);
    if (a->lasts != 0)
        r.salt = (uint32_t)mix64(w->cfg.seed ^ (undo ? w->now - a->lasts : w->now));       // the same ones as when it began
    const uint32_t end = r.from_n == ACTION_EVERY ? w->hosts_n : (uint32_t)u64_min((uint64_t)r.from + r.from_n, w->hosts_n);
    for (uint32_t i = r.from_n == ACTION_EVERY ? 0 : r.from; i < end; i++)
        if (drawn(&r, i))
            each(w, w->hosts[i], a, undo);
}

static void each_clog(struct world *w, struct host *h, const struct action *a, bool undo)
{
    // The i-th is stopped i steps after the begin, and freed in an order of its own in the second half.
    if (undo)
        return;
    const nsec half = u64_max(a->lasts, NSEC_S) / 2;
    const nsec in = mix64(w->cfg.seed ^ mix64(h->index)) % half, out = half + mix64(w->cfg.seed ^ mix64(h->index + (uint64_t)UINT32_MAX)) % half;
    const struct fault_rule r = {.kind = ACTION_CLOG, .from = h->index, .from_n = 1, .to_n = ACTION_EVERY, .both = true,
        .since = w->now + in, .until = w->now + out};
    rule_add(w, &r);
}

static void each_side(struct world *w, struct host *h, const struct action *a, bool undo)
{
    w->faults.sided = true;
    if (a->kind == ACTION_BRIDGE)
        h->faults.bridge = !undo;
    else if (undo)
        h->side = 0;
    else if (a->kind == ACTION_ISOLATE)
        h->side = FAULT_SIDE_FIRST + w->faults.side_next++;
    else if (a->kind == ACTION_SIDE)
        h->side = (uint32_t)a->a;
    else if (mix64(w->cfg.seed ^ w->now ^ mix64(h->index)) % 1000000 < a->a)
        h->side = FAULT_SIDE_FIRST - 1;
}

static void each_line(struct world *w, struct host *h, const struct action *a, bool undo)
{
    if (undo) {
        h->link.up_bps = h->cfg.up_bps;
        net_down_rate(w, h, h->cfg.down_bps);
    } else if (a->kind == ACTION_RATE) {
        h->link.up_bps = a->a;
        net_down_rate(w, h, a->b);
    } else {
        const uint64_t line_up = h->cfg.up_bps == 0 ? UNLIMITED_BPS : h->cfg.up_bps;
        const uint64_t line_down = h->cfg.down_bps == 0 ? UNLIMITED_BPS : h->cfg.down_bps;
        if (a->a != 0)
            h->link.up_bps = u64_max(line_up * u64_min(a->a, 1000000) / 1000000, 1);
        if (a->b != 0)
            net_down_rate(w, h, u64_max(line_down * u64_min(a->b, 1000000) / 1000000, 1));
    }
    const bool up = h->cfg.up_bps != 0 && (h->link.up_bps == 0 || h->link.up_bps > h->cfg.up_bps);
    const bool down = h->cfg.down_bps != 0 && (h->link.down_bps == 0 || h->link.down_bps > h->cfg.down_bps);
    h->faster |= up || down;
}

static void each_disk(struct world *w, struct host *h, const struct action *a, bool undo)
{
    struct disk *d = &h->disk;
    if (a->kind == ACTION_SPACE) {
        d->cfg.space_bytes = undo ? h->cfg.disk.space_bytes : a->a;
    } else if (a->kind == ACTION_EIO) {
        d->cfg.eio_ppm = undo ? h->cfg.disk.eio_ppm : (uint32_t)u64_min(a->a, 1000000);
    } else if (a->kind == ACTION_DISK_STALL) {
        d->busy_until = u64_add_sat(u64_max(d->busy_until, w->now), a->a);
    } else if (a->kind == ACTION_DISK_SLOW) {
        disk_speed(d, &h->cfg.disk);
        if (!undo) {
            d->cfg.latency = u64_max(a->a, 1);
            d->cfg.bps = a->b == 0 ? d->cfg.bps : a->b;
        }
    }
    d->fail_next |= a->kind == ACTION_EIO_ONCE;
    d->misdirect_next |= a->kind == ACTION_MISDIRECT;
    d->short_next |= a->kind == ACTION_SHORT;
    for (uint64_t i = 0; i < a->a && a->kind == ACTION_ROT; i++)
        disk_rot(d, ROT_LEN);
}

static void skew(struct world *w, struct host *h, int64_t ppm)
{
    struct host_faults *f = &h->faults;
    ASSERT(ppm > -SKEW_MAX);
    ASSERT(ppm < SKEW_MAX);
    f->skew_base = host_now(w, h);
    f->skew_from = w->now;
    f->skew_ppm = ppm;
    host_rearm(w, h);
}

static void jump(struct host_faults *f, int64_t by)
{
    const int64_t to = f->wall_jump + by;
    f->wall_jump = to > JUMP_MAX ? JUMP_MAX : to < -JUMP_MAX ? -JUMP_MAX : to;
}

static void each_node(struct world *w, struct host *h, const struct action *a, bool undo)
{
    struct host_faults *f = &h->faults;
    if (a->kind == ACTION_NOMEM) {
        f->nomem = !undo;
        f->allocations_left = a->a;
    } else if (a->kind == ACTION_CPU) {
        f->cpu_cost = undo ? 0 : a->a;
    } else if (a->kind == ACTION_DESCRIPTORS) {
        f->descriptors = undo ? 0 : (uint32_t)u64_min(a->a, UINT32_MAX);
    } else if (a->kind == ACTION_SKEW) {
        skew(w, h, undo ? 0 : (int64_t)a->a);
    } else if (a->kind == ACTION_JUMP) {
        jump(f, undo ? -(int64_t)a->a : (int64_t)a->a);
    } else if (a->kind == ACTION_WEB) {
        f->web = undo ? WEB_FINE : (uint32_t)a->a;
    } else if (a->kind == ACTION_MASK) {
        f->mask = a->a;
        f->mask_left = 64;
    }
}

static void storm(struct world *w, struct host *h, nsec within)
{
    const struct action start = {.kind = ACTION_START, .host = h->index};
    if (!h->up)
        return;
    host_crash(w, h, CRASH_MIXED, false);
    world_plan(w, w->now + 1 + mix64(w->cfg.seed ^ w->now ^ mix64(h->index)) % u64_max(within, 1), &start);
}

static void start(struct world *w, struct host *h)
{
    w->totals.restarts += h->life > 0 && !h->up;
    host_start(w, h);
}

static void each_life(struct world *w, struct host *h, const struct action *a, bool undo)
{
    if (a->kind == ACTION_START || undo) {
        start(w, h);
    } else if (a->kind == ACTION_LEAVE) {
        host_leave(w, h);
    } else if (a->kind == ACTION_CRASH) {
        host_crash(w, h, (enum crash_fate)a->a, a->b != 0);
    } else if (a->kind == ACTION_PAUSE) {
        host_pause(w, h, u64_add_sat(w->now, a->a));
    } else if (a->kind == ACTION_STORM) {
        storm(w, h, a->a);
    } else if (a->kind == ACTION_RESET) {
        net_reset(w, h, (uint16_t)a->a);
    } else {
        net_nat_restart(w, h, a->kind == ACTION_NAT_ADDRESS);
    }
}

// Clocks keep what they show; what sleeps or is busy wakes in its time.
static void heal_host(struct world *w, struct host *h)
{
    const struct host_faults *f = &h->faults;
    h->rare.over = true;
    if (f->skew_base != 0)
        skew(w, h, 0);
    h->faults = (struct host_faults){.wall_jump = f->wall_jump, .skew_base = f->skew_base, .skew_from = f->skew_from, .cpu_busy = f->cpu_busy};
    h->side = 0;
    h->link.up_bps = h->cfg.up_bps;
    h->link.down_bps = h->cfg.down_bps;
    disk_speed(&h->disk, &h->cfg.disk);
    h->disk.cfg.space_bytes = 0;
    h->disk.cfg.eio_ppm = 0;
    h->disk.fail_next = h->disk.misdirect_next = h->disk.short_next = false;
    start(w, h);
}

static void heal(struct world *w)
{
    w->faults.n = 0;
    w->faults.dns_dead = false;
    w->faults.web = WEB_FINE;
    w->faults.healed_at = w->now;
    w->cfg.loss_ppm = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++)
        heal_host(w, w->hosts[i]);
}

void fault_act(struct world *w, const struct action *a, bool undo)
{
    switch (a->kind) {
    case ACTION_START: case ACTION_LEAVE: case ACTION_CRASH: case ACTION_PAUSE: case ACTION_STORM: case ACTION_RESET:
    case ACTION_NAT_REBOOT: case ACTION_NAT_ADDRESS: for_hosts(w, a, undo, each_life); break;
    case ACTION_SIDE: case ACTION_ISOLATE: case ACTION_SPLIT: case ACTION_BRIDGE: for_hosts(w, a, undo, each_side); break;
    case ACTION_RATE: case ACTION_THROTTLE: for_hosts(w, a, undo, each_line); break;
    case ACTION_SPACE: case ACTION_EIO: case ACTION_EIO_ONCE: case ACTION_ROT: case ACTION_MISDIRECT: case ACTION_SHORT:
    case ACTION_DISK_SLOW: case ACTION_DISK_STALL: for_hosts(w, a, undo, each_disk); break;
    case ACTION_NOMEM: case ACTION_CPU: case ACTION_DESCRIPTORS: case ACTION_SKEW: case ACTION_JUMP: case ACTION_MASK:
        for_hosts(w, a, undo, each_node);
        break;
    case ACTION_WEB:
        if (a->count == ACTION_EVERY)
            w->faults.web = undo ? WEB_FINE : (uint32_t)a->a;
        else
            for_hosts(w, a, undo, each_node);
        break;
    case ACTION_DNS: w->faults.dns_dead = !undo; break;
    case ACTION_HEAL: heal(w); break;
    case ACTION_LOSS: loss(w, a, undo); break;
    case ACTION_BURST: case ACTION_DUPLICATE: case ACTION_REORDER: case ACTION_REPLAY: case ACTION_FLIP: case ACTION_MTU: case ACTION_CLOG:
    case ACTION_HOLE: case ACTION_SLOW: case ACTION_ROUTE: case ACTION_SCAN: case ACTION_NO_UDP: case ACTION_NO_TCP:
        path_fault(w, a, undo);
        break;
    case ACTION_SWIZZLE:
        rules_clean(w);
        for_hosts(w, a, undo, each_clog);
        break;
    case ACTION_KINDS: ASSERT(false); break;
    }
}
