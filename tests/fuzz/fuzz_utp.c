// Scripts for uTP: two engines, what one sends reaches the other late, twice, changed or not at all, strangers butt in, owners
// write, take, close when the script says so. Nothing may break, leak or grow past its limit.
#include <stdlib.h>

#include "codec/utp.h"
#include "engine/reach/utp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { WAITING = 256, LEN = 2048, USERS = 8, MEMORY = 1 << 20 };

struct side {
    struct utp *u;
    struct addr addr;
    uint32_t conns[USERS];
    bool open[USERS], greedy;
    nsec due;
};

static struct {
    struct side side[2];
    uint8_t bytes[WAITING][LEN];
    uint16_t len[WAITING];
    uint8_t to[WAITING];
    uint32_t n;
    nsec now;
    struct rd in;
    uint32_t draining;
} s;

static size_t used;

static void *resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    used += new_n;
    used -= old_n;
    if (new_n != 0)
        return realloc(p, new_n);
    free(p);
    return NULL;
}

static void take(struct side *e, uint32_t user)
{
    while (e->open[user]) {
        const struct slice got = utp_peek(e->u, e->conns[user]);
        const size_t k = e->greedy ? got.n : size_min(got.n, rd_u8(&s.in));
        if (k == 0)
            return;
        utp_take(e->u, s.now, e->conns[user], k);
    }
}

static void drain(uint32_t i)
{
    static uint8_t space[64 * 1024];
    struct side *e = &s.side[i];
    for (uint32_t turns = 0;; turns++) {
        ASSERT(turns < 20000);
        struct buf tx = {space, 0, sizeof space};
        struct utp_out out = {0};
        uint32_t free_user = 1;
        switch (utp_poll(e->u, s.now, &tx, &out)) {
        case UTP_OUT_IDLE: e->due = out.deadline; return;
        case UTP_OUT_DGRAM: {
            const size_t seg = out.segment == 0 ? out.bytes.n : out.segment;
            ASSERT(out.bytes.n <= UTP_TRAIN_MAX);
            for (size_t at = 0; at < out.bytes.n; at += seg) {
                const struct slice one = slice_sub(out.bytes, at, seg);
                struct utp_packet p;
                ASSERT(utp_packet_parse(&p, one) == ERR_OK);
                if (s.n == WAITING || one.n > LEN)
                    continue;
                memcpy(s.bytes[s.n], one.p, one.n);
                s.len[s.n] = u16_of(one.n);
                s.to[s.n++] = (uint8_t)(1 - i);
            }
            break;
        }
        case UTP_OUT_ACCEPT:
            while (free_user < USERS && e->open[free_user])
                free_user++;
            if (free_user == USERS) {
                utp_close(e->u, s.now, out.conn, false);
                break;
            }
            e->open[free_user] = true;
            e->conns[free_user] = out.conn;
            utp_accept(e->u, s.now, out.conn, free_user);
            break;
        case UTP_OUT_CONNECTED: break;
        case UTP_OUT_READABLE: take(e, out.user); break;
        case UTP_OUT_WRITABLE: ASSERT(utp_space(e->u, out.conn) != 0); break;
        case UTP_OUT_CLOSED:
            ASSERT(e->open[out.user]);
            e->open[out.user] = false;
            break;
        }
    }
}

static void deliver(uint32_t i, const struct addr *from, struct slice bytes)
{
    uint8_t *exact = malloc(bytes.n + 1);
    if (bytes.n != 0)
        memcpy(exact, bytes.p, bytes.n);
    uint32_t user;
    if (utp_datagram(s.side[i].u, s.now, from, slice_of(exact, bytes.n), &user) && user != 0)
        take(&s.side[i], user);
    utp_keep(s.side[i].u);
    free(exact);
    drain(i);
}

static void pass(uint32_t at, uint8_t how)
{
    const uint32_t to = s.to[at];
    struct slice one = slice_of(s.bytes[at], s.len[at]);
    if ((how & 7) == 1 && one.n != 0)
        s.bytes[at][rd_u8(&s.in) % one.n] = rd_u8(&s.in);
    if ((how & 7) == 2)
        one.n = size_min(one.n, rd_u8(&s.in));
    if ((how & 7) != 3) {
        // The copy on the list may be overwritten by what this one causes.
        uint8_t copy[LEN];
        memcpy(copy, one.p, one.n);
        if ((how & 7) != 4) {
            s.n--;
            memmove(s.bytes[at], s.bytes[s.n], LEN);
            s.len[at] = s.len[s.n];
            s.to[at] = s.to[s.n];
        }
        deliver(to, &s.side[1 - to].addr, slice_of(copy, one.n));
        return;
    }
    s.n--;
    memmove(s.bytes[at], s.bytes[s.n], LEN);
    s.len[at] = s.len[s.n];
    s.to[at] = s.to[s.n];
}

static void act(uint8_t what)
{
    static const uint8_t text[4096];
    const uint32_t i = what >> 7, user = 1 + rd_u8(&s.in) % (USERS - 1);
    struct side *e = &s.side[i];
    switch (what & 7) {
    case 0:
    case 1:
        for (uint32_t k = 0; k < 8 && s.n != 0; k++)
            pass(what % 2 == 0 ? 0 : rd_u8(&s.in) % s.n, rd_u8(&s.in));
        return;
    case 2: s.now += (nsec)rd_u8(&s.in) * NSEC_MS; break;
    case 3:
        for (uint32_t k = 0; k < 2; k++) {
            const nsec due = s.side[k].due;
            s.now = due == NSEC_NEVER || due < s.now ? s.now : due;
        }
        break;
    case 4:
        if (!e->open[user] && utp_connect(e->u, s.now, &s.side[1 - i].addr, user, &e->conns[user]) == ERR_OK)
            e->open[user] = true;
        break;
    case 5:
        if (e->open[user]) {
            const size_t space = size_min(utp_space(e->u, e->conns[user]), 16 * (size_t)rd_u8(&s.in));
            utp_write(e->u, s.now, e->conns[user], slice_of(text, size_min(space, sizeof text)), what >> 3 & 1);
        }
        break;
    case 6:
        if (e->open[user])
            utp_close(e->u, s.now, e->conns[user], what >> 3 & 1);
        e->open[user] = false;
        break;
    case 7: {
        const uint8_t ip[4] = {9, 9, 9, rd_u8(&s.in)};
        const struct addr stranger = addr_ipv4(ip, 9);
        const struct slice made_up = rd_bytes(&s.in, size_min(s.in.n, 20 + what / 8));
        deliver(i, what & 8 ? &stranger : &s.side[1 - i].addr, made_up);
        e->greedy = what >> 4 & 1;
        break;
    }
    }
    for (uint32_t k = 0; k < 2; k++) {
        utp_tick(s.side[k].u, s.now);
        drain(k);
        utp_check(s.side[k].u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct mem mem = {.resize = resize};
    static const struct log log = {.level = LOG_ERROR};
    const struct env env = {.mem = &mem, .payload = &mem, .log = &log, .seed = 3};
    const struct utp_config cfg = {.conns_max = 12, .syns_max = 3, .tx_bytes_max = MEMORY, .rx_bytes_max = MEMORY};
    memset(&s, 0, sizeof s);
    s.in = rd_make(slice_of(data, n));
    s.now = 1000 * NSEC_S;
    used = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t ip[4] = {1, 1, 1, (uint8_t)i};
        s.side[i].addr = addr_ipv4(ip, 7);
        if (utp_new(&s.side[i].u, &cfg, &env, s.now) != ERR_OK)
            abort();
    }
    for (uint32_t steps = 0; s.in.n != 0 && steps < 2000; steps++) {
        act(rd_u8(&s.in));
        for (uint32_t i = 0; i < 2; i++) {
            struct utp_stats st;
            utp_stats(s.side[i].u, &st);
            ASSERT(st.tx_memory <= MEMORY + cfg.conns_max * 64 * KIB);
            ASSERT(st.rx_memory <= MEMORY + 256 * KIB);
            ASSERT(st.conns <= cfg.conns_max);
            ASSERT(st.syns <= cfg.syns_max);
        }
    }
    for (uint32_t i = 0; i < 2; i++)
        utp_free(s.side[i].u);
    ASSERT(used == 0);
    return 0;
}
