// See utp_wire.h.
#include "utp_wire.h"

static uint8_t wire_byte(uint64_t i) { return (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) * 31); }

static bool wire_before(const struct wire_packet *a, const struct wire_packet *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static void wire_push(struct wire *w, struct wire_packet p)
{
    assert_true(w->heap_n < WIRE_PACKETS);
    uint32_t i = w->heap_n++;
    for (; i != 0 && wire_before(&p, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = p;
}

static struct wire_packet wire_pop(struct wire *w)
{
    const struct wire_packet top = w->heap[0], last = w->heap[--w->heap_n];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k + 1 < w->heap_n && wire_before(&w->heap[k + 1], &w->heap[k]))
            k++;
        if (k >= w->heap_n || !wire_before(&w->heap[k], &last))
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    w->heap[i] = last;
    return top;
}

bool wire_put(struct wire *w, uint32_t from, const uint8_t *bytes, uint32_t n)
{
    nsec at = w->now;
    if (w->bps[from] != 0) {
        const nsec start = w->free_at[from] > w->now ? w->free_at[from] : w->now;
        if (w->queue_max != 0 && start - w->now > w->queue_max)
            return false;
        w->free_at[from] = start + (uint64_t)(n + 28) * NSEC_S / w->bps[from];
        at = w->free_at[from];
        w->queue_seen = u64_max(w->queue_seen, at - w->now);
    }
    const bool cross = bytes == NULL;
    if (!cross && ((w->cut >> from & 1) != 0 || (w->mtu != 0 && n > w->mtu) || rng_chance(&w->rng, w->loss_ppm[from], 1000000)))
        return false;
    const uint32_t copies = !cross && rng_chance(&w->rng, w->dup_ppm, 1000000) ? 2 : 1;
    for (uint32_t i = 0; i < copies; i++) {
        struct wire_packet p = {.at = at + w->delay[from], .serial = w->serial++, .to = (uint8_t)(1 - from), .n = n};
        if (!cross && rng_chance(&w->rng, w->reorder_ppm, 1000000))
            p.at += rng_below(&w->rng, 50 * NSEC_MS);
        if (!cross) {
            p.bytes = malloc(n);
            memcpy(p.bytes, bytes, n);
        }
        wire_push(w, p);
    }
    return true;
}

void wire_read(struct wire *w, struct wire_end *e)
{
    for (;;) {
        const struct slice s = utp_peek(e->u, e->conn);
        const size_t n = (size_t)u64_min(s.n, e->take_max - e->got);
        if (n == 0)
            return;
        for (size_t i = 0; i < n; i += 97)
            e->bad |= s.p[i] != wire_byte(e->got + i);
        e->got += n;
        utp_take(e->u, w->now, e->conn, n);
    }
}

void wire_write(struct wire *w, struct wire_end *e)
{
    static uint8_t space[4096];
    while (e->open && e->sent < e->to_send) {
        const size_t room = utp_space(e->u, e->conn), left = (size_t)(e->to_send - e->sent), n = size_min(size_min(room, left), sizeof space);
        for (size_t i = 0; i < n; i++)
            space[i] = wire_byte(e->sent + i);
        utp_write(e->u, w->now, e->conn, slice_of(space, n), n < left);
        e->sent += n;
        if (n == 0)
            return;
    }
    if (e->open && e->close_when_sent && e->sent == e->to_send) {
        e->open = false;
        utp_close(e->u, w->now, e->conn, true);
    }
}

void wire_drain(struct wire *w, uint32_t i)
{
    static uint8_t space[64 * 1024];
    struct wire_end *e = &w->end[i];
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct utp_out out = {0};
        const enum utp_kind kind = utp_poll(e->u, w->now, &tx, &out);
        switch (kind) {
        case UTP_OUT_IDLE:
            e->due = out.deadline;
            return;
        case UTP_OUT_DGRAM: {
            const size_t seg = out.segment == 0 ? out.bytes.n : out.segment;
            for (size_t at = 0; at < out.bytes.n; at += seg) {
                const size_t n = size_min(seg, out.bytes.n - at);
                e->packets++;
                e->largest = u64_max(e->largest, n);
                (void)wire_put(w, i, out.bytes.p + at, (uint32_t)n);
            }
            break;
        }
        case UTP_OUT_ACCEPT:
            e->conn = out.conn;
            e->open = e->connected = true;
            utp_accept(e->u, w->now, out.conn, 9);
            wire_write(w, e);
            break;
        case UTP_OUT_CONNECTED:
            e->open = e->connected = true;
            wire_write(w, e);
            break;
        case UTP_OUT_READABLE: wire_read(w, e); break;
        case UTP_OUT_WRITABLE: wire_write(w, e); break;
        case UTP_OUT_CLOSED:
            e->open = false;
            e->closed = true;
            e->err = out.err;
            break;
        }
    }
}

static void wire_deliver(struct wire *w, const struct wire_packet *p)
{
    struct wire_end *e = &w->end[p->to];
    uint32_t user;
    assert_true(utp_datagram(e->u, w->now, &w->end[1 - p->to].addr, slice_of(p->bytes, p->n), &user));
    if (user != 0)
        wire_read(w, e);
    utp_keep(e->u);
    wire_drain(w, p->to);
}

static bool wire_done(const struct wire *w)
{
    for (int i = 0; i < 2; i++)
        if (!w->end[i].closed && (!w->end[i].connected || w->end[i].got < w->end[1 - i].to_send))
            return false;
    return true;
}

static bool wire_step(struct wire *w, nsec until)
{
    nsec at = w->heap_n == 0 ? NSEC_NEVER : w->heap[0].at;
    const nsec due = u64_min(w->end[0].due, w->end[1].due);
    at = u64_min(at, due);
    if (at > until)
        return false;
    w->now = u64_max(w->now, at);
    for (uint32_t i = 0; i < 2; i++) {
        if (w->end[i].due > w->now)
            continue;
        utp_tick(w->end[i].u, w->now);
        wire_drain(w, i);
    }
    if (w->heap_n != 0 && w->heap[0].at <= w->now) {
        const struct wire_packet p = wire_pop(w);
        if (p.bytes == NULL)
            w->cross(w);
        else
            wire_deliver(w, &p);
        free(p.bytes);
    }
    return true;
}

void wire_run(struct wire *w, nsec until)
{
    while (!wire_done(w) && wire_step(w, until))
        ;
}

void wire_run_on(struct wire *w, nsec until)
{
    while (wire_step(w, until))
        ;
    w->now = until;
}

void wire_new(struct wire *w, uint64_t seed)
{
    *w = (struct wire){.rng = rng_make(seed, 77), .now = 100 * NSEC_S};
    w->heap = calloc(WIRE_PACKETS, sizeof *w->heap);
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t ip[4] = {10, 0, 0, (uint8_t)(1 + i)};
        static const struct utp_config cfg = {.conns_max = 64, .syns_max = 8, .tx_bytes_max = 64 << 20, .rx_bytes_max = 64 << 20};
        struct env env = test_env;
        env.seed = seed + i;
        w->end[i].addr = addr_ipv4(ip, 6881);
        w->end[i].take_max = UINT64_MAX;
        w->end[i].due = NSEC_NEVER;
        w->delay[i] = 5 * NSEC_MS;
        assert_int_equal(utp_new(&w->end[i].u, &cfg, &env, w->now), ERR_OK);
    }
}

void wire_connect(struct wire *w)
{
    assert_int_equal(utp_connect(w->end[0].u, w->now, &w->end[1].addr, 5, &w->end[0].conn), ERR_OK);
    wire_drain(w, 0);
}

void wire_free(struct wire *w)
{
    while (w->heap_n != 0)
        free(wire_pop(w).bytes);
    free(w->heap);
    for (int i = 0; i < 2; i++) {
        utp_check(w->end[i].u);
        utp_free(w->end[i].u);
    }
}
