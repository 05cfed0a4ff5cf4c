// Datagrams through the proxy (SOCKS5 UDP ASSOCIATE, RFC 1928 sections 4, 6 and 7): a control connection that lives as long as
// the proxy relays, and one socket for all datagrams of NODE_PORT_PEER.
//
// Names are left to the proxy, too. The node wants addresses for them, so each name gets one from a range that nobody has
// (240.0.0.0/8, RFC 1112), and a datagram to it goes out with the name. When there are too many names, the one that was used longest ago
// is forgotten: its address means nothing from then on, and is not given again soon. Its answer comes from an address that we have never seen: what
// looks like an answer and comes from the port that was asked is given to the node a second time, as from the name's address.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/host_conn.h"
#include "app/host_net.h"
#include "app/host_parts.h"

enum {
    RELAY_HELD_MAX = 64 * 1024,         // bytes that wait for the relay to stand: the first questions
    RELAY_NAMES_MAX = 256,              // remembered; the last byte of an address tells which
    RELAY_TRAIN_MAX = 63 * 1024,        // with heads
    RELAY_ALIVE_S = 60,                 // TCP keep-alive of the control connection
};

#define RELAY_TALK_MAX (10 * NSEC_S)    // until the proxy has answered
#define RELAY_RETRY_MIN NSEC_S
#define RELAY_RETRY_MAX (10 * NSEC_S)   // all wait for it
#define RELAY_REFUSED_RETRY (600 * NSEC_S)
#define RELAY_TELL_MIN (60 * NSEC_S)    // all peers are tried and all trackers told again: not oftener, however often a proxy comes and goes
#define RELAY_ASKED_MAX (60 * NSEC_S)   // an answer to a name is waited for

enum relay_state { RELAY_WAITING, RELAY_CONNECTING, RELAY_TALKING, RELAY_OPEN };

struct relay_name {
    char *text;
    uint16_t turn;                      // how many had this place before; part of its address
    uint16_t port;                      // that was asked last
    nsec asked_at;                      // NSEC_NEVER: it was not yet
    uint64_t used;                      // number of its last use
};

struct relay {
    struct host *h;
    enum relay_state state;
    int fd;                             // control connection, -1: none
    struct watch *watch, *udp_watch;
    struct udp *udp;
    struct timer *timer;
    struct addr at;                     // where the proxy takes datagrams
    struct socks socks;
    nsec due;                           // of the timer, while RELAY_WAITING
    nsec opened_at, told_at;            // told_at: that it is back; 0: never
    uint32_t fails;
    bool said, was_lost;                // that there is no UDP; an association, or the proxy
    bool away;                          // the proxy itself: not reached, or it ended the association
    struct buf train, held;
    struct relay_name names[RELAY_NAMES_MAX];
    uint32_t names_n;
    uint64_t uses;
};

enum { NAME_RANGE = 240 };              // first byte of their addresses
static_assert(RELAY_NAMES_MAX <= UINT8_MAX + 1, "a byte is enough to tell which");

// ---- names

static struct addr address_of(const struct relay *r, const struct relay_name *n, uint16_t port)
{
    const uint8_t ip[4] = {NAME_RANGE, (uint8_t)(n->turn >> 8), (uint8_t)n->turn, (uint8_t)(n - r->names)};
    return addr_ipv4(ip, port);
}

// An answer to it may be under way.
static bool is_asked(const struct relay_name *n, nsec now) { return n->asked_at != NSEC_NEVER && now - n->asked_at <= RELAY_ASKED_MAX; }

// A place for another name: a free one, or that of the one that was used longest ago. NULL: all have been asked just now.
static struct relay_name *name_place(struct relay *r, nsec now)
{
    struct relay_name *found = NULL;
    if (r->names_n < RELAY_NAMES_MAX)
        return &r->names[r->names_n++];
    for (uint32_t i = 0; i < r->names_n; i++)
        if (!is_asked(&r->names[i], now) && (found == NULL || r->names[i].used < found->used))
            found = &r->names[i];
    return found;
}

enum err relay_name(struct host *h, struct slice name, struct addr *out)
{
    struct relay *r = h->relay;
    uint32_t i = 0;
    if (r->state == RELAY_WAITING)
        return ERR_UNREACHABLE;
    if (name.n == 0 || name.n > SOCKS5_TEXT_MAX)
        return ERR_SYNTAX;
    while (i < r->names_n && !slice_eq(slice_str(r->names[i].text), name))
        i++;
    struct relay_name *n = i < r->names_n ? &r->names[i] : NULL;
    if (n == NULL) {
        char *text = strndup((const char *)name.p, name.n);
        if (text == NULL)
            return ERR_NOMEM;
        n = name_place(r, loop_now(h->loop));
        if (n == NULL) {
            free(text);
            return ERR_FULL;
        }
        free(n->text);
        *n = (struct relay_name){.text = text, .turn = (uint16_t)(n->turn + 1), .asked_at = NSEC_NEVER};
    }
    n->used = ++r->uses;
    *out = address_of(r, n, 0);
    return ERR_OK;
}

// The name behind one of our made-up addresses, NULL: an ordinary address, or one of that range that is no name's, or not any more.
static struct relay_name *named(struct relay *r, const struct addr *a, bool *out_made_up)
{
    *out_made_up = addr_is_reserved(a);
    if (!*out_made_up || a->ip[3] >= r->names_n)
        return NULL;
    struct relay_name *n = &r->names[a->ip[3]];
    const struct addr its = address_of(r, n, a->port);
    return addr_eq(&its, a) ? n : NULL;
}

// ---- receiving

// A UDP tracker's answer begins with a small number (BEP 15), the DHT's is a dictionary; uTP comes from nobody with a name.
static bool looks_like_answer(struct slice data)
{
    return data.n > 8 && (data.p[0] == 'd' || (data.p[0] == 0 && data.p[1] == 0 && data.p[2] == 0));
}

static void deliver(struct relay *r, const struct socks5_udp *head, struct slice data)
{
    struct host *h = r->h;
    const nsec now = loop_now(h->loop);
    bool made_up = false;
    (void)named(r, &head->addr, &made_up);
    if (made_up)
        return;                         // nobody has such an address
    if (head->addr.family != ADDR_NONE)
        node_datagram(h->node, now, NODE_PORT_PEER, &head->addr, data);
    for (uint32_t i = 0; i < r->names_n && looks_like_answer(data); i++) {
        const struct relay_name *n = &r->names[i];
        const bool fits = head->addr.family != ADDR_NONE || slice_eq(slice_str(n->text), head->name);
        if (!fits || n->port != head->addr.port || !is_asked(n, now))
            continue;
        const struct addr from = address_of(r, n, n->port);
        node_datagram(h->node, now, NODE_PORT_PEER, &from, data);
    }
}

static void on_relayed(void *ctx, unsigned ready)
{
    struct relay *r = ctx;
    struct udp_datagram in[UDP_BATCH];
    bool more = true;
    (void)ready;
    for (int i = 0; i < HOST_READS && more; i++) {
        const uint32_t n = udp_receive(r->udp, in, &more);
        for (uint32_t k = 0; k < n; k++) {
            if (!addr_eq(&in[k].from, &r->at))
                continue;               // RFC 1928: from anybody but the relay it is dropped
            const size_t len = in[k].segment == 0 ? in[k].data.n : in[k].segment;
            for (size_t at = 0; at < in[k].data.n; at += len) {
                struct rd rd = rd_make(slice_sub(in[k].data, at, len));
                struct socks5_udp head;
                if (socks5_udp_read(&rd, &head) == ERR_OK)
                    deliver(r, &head, slice_of(rd.p, rd.n));
            }
            host_turn_node(r->h);
        }
    }
}

// ---- sending

static void send_train(struct relay *r, uint32_t segment)
{
    if (r->train.n != 0)
        udp_queue(r->udp, &r->at, buf_slice(&r->train), r->train.n > segment ? segment : 0);
    r->train.n = 0;
}

// What is said before the relay stands waits for it, a little.
static void hold(struct relay *r, const struct socks5_udp *to, struct slice data)
{
    struct wr w = wr_make(&r->held);
    const size_t start = r->held.n;
    wr_be16(&w, 0);
    socks5_udp_write(&w, to);
    wr_bytes(&w, data);
    if (!w.ok || r->held.n - start - 2 > UDP_LEN_MAX) {
        r->held.n = start;
        return;
    }
    struct buf len = {r->held.p + start, 0, 2};
    struct wr l = wr_make(&len);
    wr_be16(&l, (uint16_t)(r->held.n - start - 2));
}

static void send_held(struct relay *r)
{
    struct rd rd = rd_make(buf_slice(&r->held));
    while (rd.ok && rd.n != 0) {
        const struct slice data = rd_bytes(&rd, rd_be16(&rd));
        ASSERT(rd.ok);
        udp_queue(r->udp, &r->at, data, 0);
    }
    r->held.n = 0;
}

void relay_send(struct host *h, const struct node_out *o)
{
    struct relay *r = h->relay;
    bool made_up = false;
    struct relay_name *name = named(r, &o->addr, &made_up);
    struct socks5_udp to = {.addr = o->addr};
    if (r->state == RELAY_WAITING || made_up != (name != NULL))
        return;                         // a datagram may be lost; around the proxy it does not go
    if (name != NULL) {
        to = (struct socks5_udp){.name = slice_str(name->text), .addr.port = o->addr.port};
        name->port = o->addr.port;
        name->asked_at = loop_now(h->loop);
        name->used = ++r->uses;
    }
    const size_t len = o->segment != 0 ? o->segment : o->bytes.n;
    if (len == 0 || len > UDP_LEN_MAX)
        return;
    if (r->state == RELAY_OPEN) {
        ASSERT(r->train.n == 0);
        uint32_t segment = 0;
        for (size_t at = 0; at < o->bytes.n; at += len) {
            struct wr w = wr_make(&r->train);
            socks5_udp_write(&w, &to);
            wr_bytes(&w, slice_sub(o->bytes, at, len));
            ASSERT(w.ok);
            segment = at == 0 ? (uint32_t)r->train.n : segment;
            if (buf_room(&r->train) < SOCKS5_UDP_HEAD_MAX + len)
                send_train(r, segment);
        }
        send_train(r, segment);
        return;
    }
    for (size_t at = 0; at < o->bytes.n; at += len)
        hold(r, &to, slice_sub(o->bytes, at, len));
}

void relay_flush(struct host *h)
{
    if (h->relay != NULL && h->relay->udp != NULL)
        udp_flush(h->relay->udp);
}

// ---- the association

static void let_go(struct relay *r)
{
    watch_free(r->watch);
    watch_free(r->udp_watch);
    r->watch = r->udp_watch = NULL;
    if (r->fd >= 0)
        (void)close(r->fd);
    r->fd = -1;
    udp_free(r->udp);
    r->udp = NULL;
    r->held.n = 0;
    r->state = RELAY_WAITING;
}

// The proxy, or its UDP, is back: whoever was reached over uTP is tried again, from another port. False: it is too early.
static bool tell_back(struct relay *r)
{
    const nsec now = loop_now(r->h->loop);
    if (r->told_at != 0 && now - r->told_at < RELAY_TELL_MIN)
        return false;
    r->told_at = now;
    node_network_changed(r->h->node, now);
    return true;
}

static void again_later(struct relay *r, enum err e, bool refused)
{
    struct host *h = r->h;
    const bool was_open = r->state == RELAY_OPEN;
    if (was_open && loop_now(h->loop) - r->opened_at >= RELAY_RETRY_MAX)
        r->fails = 0;
    nsec wait = u64_min(RELAY_RETRY_MIN << u32_min(r->fails, 16), RELAY_RETRY_MAX);
    if (was_open)
        log_line(&h->log, LOG_INFO, "the proxy has let go of our datagrams: %s", err_text(e));
    let_go(r);
    r->fails = refused ? 0 : r->fails + 1;
    r->was_lost = true;
    if (refused && !r->said) {
        r->said = true;
        log_line(&h->log, LOG_WARNING, "the proxy relays no UDP (%s): no uTP, no DHT and no UDP trackers, all else goes on by TCP", err_text(e));
    }
    node_datagrams(h->node, loop_now(h->loop), false);
    if (refused)
        h->proxy.said = false;
    r->away = !refused || (r->away && !tell_back(r));       // it is back: peers are reached by TCP
    if (refused)
        wait = r->away ? RELAY_TELL_MIN : RELAY_REFUSED_RETRY;
    r->due = loop_now(h->loop) + wait;
    timer_set(r->timer, r->due);
    host_turn_node(h);
}

static enum err open_udp(struct relay *r)
{
    struct host *h = r->h;
    const struct addr *proxy = &h->proxy.addr;
    struct addr bound;
    int fd = -1;
    if (addr_is_any(&r->at)) {
        const uint16_t port = r->at.port;
        r->at = *proxy;
        r->at.port = port;
    }
    const struct addr at = h->from.family == r->at.family ? h->from : (struct addr){.family = r->at.family};
    if (h->from.family != ADDR_NONE && h->from.family != r->at.family)
        return ERR_UNREACHABLE;
    enum err e = net_udp(&at, h->device[0] != 0 ? h->device : NULL, &fd, &bound);
    if (e != ERR_OK)
        return e;
    e = udp_new(&r->udp, fd, true);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    e = watch_new(&r->udp_watch, h->loop, fd, on_relayed, r);
    if (e == ERR_OK)
        watch_set(r->udp_watch, WATCH_READ);
    return e;
}

static void still_open(struct relay *r)
{
    r->was_lost = r->away = r->was_lost && !tell_back(r);
    timer_set(r->timer, r->was_lost ? r->told_at + RELAY_TELL_MIN : NSEC_NEVER);
    host_turn_node(r->h);
}

static void opened(struct relay *r)
{
    struct host *h = r->h;
    r->at = r->socks.talk.bound;
    const enum err e = open_udp(r);
    if (e != ERR_OK) {
        again_later(r, e, false);
        return;
    }
    r->state = RELAY_OPEN;
    h->proxy.said = false;
    r->opened_at = loop_now(h->loop);
    send_held(r);
    node_datagrams(h->node, r->opened_at, true);
    still_open(r);
}

static void connected(struct relay *r)
{
    struct host *h = r->h;
    uint8_t space[SOCKS5_TX_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const enum err e = net_connected(r->fd);
    const int on = 1, idle = RELAY_ALIVE_S;
    if (e != ERR_OK) {
        proxy_failed(h, e);
        again_later(r, e, false);
        return;
    }
    (void)setsockopt(r->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(r->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    r->socks = (struct socks){0};
    socks5_begin_udp(&r->socks.talk, slice_str(h->proxy.user), slice_str(h->proxy.password), &w);
    r->state = RELAY_TALKING;
    watch_set(r->watch, WATCH_READ);
    if (!socks_say(r->fd, &b))
        again_later(r, ERR_CLOSED, false);
}

// A byte after the last answer means nothing (RFC 1928), the end of the stream is the end of the association.
static void still_there(struct relay *r)
{
    uint8_t junk[64];
    const ssize_t got = recv(r->fd, junk, sizeof junk, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        again_later(r, got == 0 ? ERR_CLOSED : ERR_IO, false);
}

static void not_let_in(struct relay *r, enum err e)
{
    proxy_failed(r->h, e);
    again_later(r, e, false);
}

static void answers(struct relay *r)
{
    struct socks *s = &r->socks;
    const enum err e = socks_hear(s, r->fd);
    if (e == ERR_AGAIN)
        return;
    if (e != ERR_OK)
        again_later(r, e, false);
    else if (s->talk.state == SOCKS5_FAILED && !s->let_in)
        not_let_in(r, s->talk.err);
    else if (s->talk.state == SOCKS5_FAILED)
        again_later(r, s->talk.err, true);
    else
        opened(r);
}

static void on_control(void *ctx, unsigned ready)
{
    struct relay *r = ctx;
    (void)ready;
    switch (r->state) {
    case RELAY_WAITING: break;          // reported once after it was taken back
    case RELAY_CONNECTING: connected(r); break;
    case RELAY_TALKING: answers(r); break;
    case RELAY_OPEN: still_there(r); break;
    }
}

static void begin(struct relay *r)
{
    struct host *h = r->h;
    const struct addr *to = &h->proxy.addr;
    const bool bound = h->from.family == to->family;
    enum err e = ERR_UNREACHABLE;
    ASSERT(r->state == RELAY_WAITING);
    if (bound || h->from.family == ADDR_NONE)
        e = net_connect(to, bound ? &h->from : NULL, h->device[0] != 0 ? h->device : NULL, &r->fd);
    if (e == ERR_AGAIN)
        e = ERR_OK;
    if (e == ERR_OK)
        e = watch_new(&r->watch, h->loop, r->fd, on_control, r);
    if (e != ERR_OK) {
        again_later(r, e, false);
        return;
    }
    r->state = RELAY_CONNECTING;
    watch_set(r->watch, WATCH_WRITE);
    timer_set(r->timer, loop_now(h->loop) + RELAY_TALK_MAX);
}

static void on_timer(void *ctx)
{
    struct relay *r = ctx;
    if (r->state == RELAY_WAITING)
        begin(r);
    else if (r->state == RELAY_OPEN)
        still_open(r);
    else
        again_later(r, ERR_TIMEOUT, false);
}

void relay_doubt(struct host *h)
{
    struct relay *r = h->relay;
    const nsec soon = loop_now(h->loop) + RELAY_RETRY_MIN;
    if (r == NULL || r->state != RELAY_WAITING || r->due <= loop_now(h->loop) + RELAY_RETRY_MAX)
        return;                         // it will be asked anyway, or tells by itself
    r->due = soon;
    timer_set(r->timer, soon);
}

void relay_stop(struct host *h)
{
    if (h->relay == NULL)
        return;
    let_go(h->relay);
    timer_set(h->relay->timer, NSEC_NEVER);
    h->relay->due = 0;
}

void relay_restart(struct host *h)
{
    relay_stop(h);
    if (h->relay == NULL)
        return;
    h->relay->fails = 0;
    begin(h->relay);
}

enum err relay_new(struct host *h)
{
    struct relay *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    r->h = h;
    r->fd = -1;
    h->relay = r;
    r->train = (struct buf){malloc(RELAY_TRAIN_MAX), 0, RELAY_TRAIN_MAX};
    r->held = (struct buf){malloc(RELAY_HELD_MAX), 0, RELAY_HELD_MAX};
    if (r->train.p == NULL || r->held.p == NULL)
        return ERR_NOMEM;
    const enum err e = timer_new(&r->timer, h->loop, on_timer, r);
    if (e == ERR_OK)
        begin(r);
    return e;
}

void relay_free(struct host *h)
{
    struct relay *r = h->relay;
    if (r == NULL)
        return;
    let_go(r);
    timer_free(r->timer);
    for (uint32_t i = 0; i < r->names_n; i++)
        free(r->names[i].text);
    free(r->train.p);
    free(r->held.p);
    free(r);
    h->relay = NULL;
}
