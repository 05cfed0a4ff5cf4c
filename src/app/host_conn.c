// Streams: connecting, reading into the node's own memory, closing.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "app/host_conn.h"
#include "app/host_out.h"
#include "app/host_parts.h"

struct conn *conn_of(struct host *h, uint32_t id)
{
    struct map_node *n = map_get(&h->conns, slice_of(&id, sizeof id));
    return n == NULL ? NULL : CONTAINER(n, struct conn, node);
}

void conn_interest(struct conn *c)
{
    unsigned want = 0;
    switch (c->state) {
    case CONN_CONNECTING:
        want = WATCH_WRITE;
        break;
    case CONN_PROXY:
        want = WATCH_READ;
        break;
    case CONN_OPEN:
        want = (c->rx_paused ? 0u : WATCH_READ) | (c->tx_blocked ? WATCH_WRITE : 0u);
        break;
    case CONN_FLUSHING:
        want = c->tx_blocked ? WATCH_WRITE : 0u;
        break;
    case CONN_GONE:
        return;
    }
    watch_set(c->watch, want);
}

// The node has forgotten it, or never knew it.
static void forget(struct conn *c)
{
    if (c->id != 0) {
        map_remove(&c->h->conns, &c->node);
        c->id = 0;
    }
}

static void set_gone(struct conn *c)
{
    ASSERT(c->state != CONN_GONE);
    if (c->socks != NULL && (c->state == CONN_OPEN || c->state == CONN_FLUSHING))
        c->h->proxy.open_n--;
    forget(c);
    c->state = CONN_GONE;
    watch_free(c->watch);
    c->watch = NULL;
    (void)close(c->fd);
    list_remove(&c->busy);
    list_remove(&c->flush);
    if (!c->loading)
        send_release(c);
    if (c->out.scratch == NULL)
        list_remove(&c->hold);
    list_push_back(&c->h->gone, &c->gone);
    c->h->stats.conns--;
}

void conn_fail(struct conn *c, enum err e)
{
    struct host *h = c->h;
    const uint32_t id = c->id;
    const enum conn_state state = c->state;
    if (state == CONN_GONE)
        return;
    set_gone(c);
    if (state == CONN_OPEN && c->socks != NULL && h->proxy.open_n == 0)
        relay_doubt(h);                 // that was the last one: it need not be the peer that went
    if (id == 0)
        return;
    if (state == CONN_CONNECTING || state == CONN_PROXY)
        node_connected(h->node, loop_now(h->loop), id, e);
    else
        node_closed(h->node, loop_now(h->loop), id, e);
}

void conn_flushed(struct conn *c)
{
    // What came and nobody reads would make the kernel send a reset, which can overtake our last bytes.
    uint8_t rest[4096];
    for (int i = 0; i < 16 && recv(c->fd, rest, sizeof rest, MSG_DONTWAIT) == (ssize_t)sizeof rest;)
        i++;
    set_gone(c);
}

void conn_sweep(struct host *h)
{
    LIST_EACH(&h->gone, link, save) {
        struct conn *c = CONTAINER(link, struct conn, gone);
        if (c->loading)
            continue;
        list_remove(&c->gone);
        list_remove(&c->hold);
        out_done(&c->out);
        free(c->socks);
        free(c);
    }
}

void conn_expire(struct host *h)
{
    LIST_EACH(&h->flushing, link, save) {
        struct conn *c = CONTAINER(link, struct conn, flush);
        if (loop_now(h->loop) < c->flush_until)
            break;
        set_gone(c);
    }
}

static void read_stream(struct conn *c)
{
    struct host *h = c->h;
    for (int i = 0; i < HOST_READS && c->state == CONN_OPEN; i++) {
        struct node_room room;
        node_rx_room(h->node, loop_now(h->loop), c->id, &room);
        if (room.spans_n == 0) {
            c->rx_paused = true;
            host_turn_node(h);          // it knows now when to resume
            break;
        }
        struct iovec iov[IO_ROOM_MAX];
        size_t asked = 0;
        for (uint32_t k = 0; k < room.spans_n; k++) {
            iov[k] = (struct iovec){room.spans[k].p, room.spans[k].n};
            asked += room.spans[k].n;
        }
        ASSERT(asked > 0);
        const ssize_t got = readv(c->fd, iov, (int)room.spans_n);
        h->stats.rx_calls++;
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) {
            conn_fail(c, got == 0 ? ERR_CLOSED : err_of_errno(errno));
            break;
        }
        h->stats.rx_bytes += (uint64_t)got;
        node_rx(h->node, loop_now(h->loop), c->id, (size_t)got);
        host_turn_node(h);
        if ((size_t)got < asked)
            break;                      // that was all: another call would only say EAGAIN
    }
}

// What is said is short, and the socket is fresh.
bool socks_say(int fd, const struct buf *b)
{
    return b->n == 0 || send(fd, b->p, b->n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)b->n;
}

enum err socks_hear(struct socks *s, int fd)
{
    while (s->talk.state < SOCKS5_DONE) {
        ASSERT(s->talk.want > s->got_n);
        s->let_in = s->talk.state >= SOCKS5_HEAD;
        const ssize_t got = recv(fd, s->got + s->got_n, (size_t)(s->talk.want - s->got_n), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return ERR_AGAIN;
        if (got <= 0)
            return got == 0 ? ERR_CLOSED : err_of_errno(errno);
        s->got_n = (uint8_t)(s->got_n + got);
        if (s->got_n < s->talk.want)
            continue;
        uint8_t space[SOCKS5_TX_MAX];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        socks5_answer(&s->talk, s->got, &w);
        s->got_n = 0;
        if (!socks_say(fd, &b))
            return ERR_CLOSED;
    }
    return ERR_OK;
}

void proxy_failed(struct host *h, enum err e)
{
    char text[ADDR_TEXT_MAX];
    if (!h->proxy.said)
        log_line(&h->log, LOG_WARNING, "the proxy %s does not serve us (%s): no peer is reached until it does",
            addr_format(&h->proxy.addr, text), err_text(e));
    h->proxy.said = true;
    relay_doubt(h);
}

static void proxy_begin(struct conn *c)
{
    struct host *h = c->h;
    uint8_t space[SOCKS5_TX_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct socks *s = c->socks;
    const struct addr to = s->talk.to;
    socks5_begin(&s->talk, &to, slice_str(h->proxy.user), slice_str(h->proxy.password), &w);
    c->state = CONN_PROXY;
    if (!socks_say(c->fd, &b))
        conn_fail(c, ERR_PROXY);
}

// What follows its last answer is the peer's.
static void proxy_answers(struct conn *c)
{
    struct socks *s = c->socks;
    enum err e = socks_hear(s, c->fd);
    if (e == ERR_AGAIN)
        return;
    if (e == ERR_OK && s->talk.state == SOCKS5_FAILED)
        e = s->talk.err;
    if (e != ERR_OK) {
        if (!s->let_in)
            proxy_failed(c->h, e);
        conn_fail(c, s->let_in ? e : ERR_PROXY);
        return;
    }
    c->state = CONN_OPEN;
    c->h->proxy.open_n++;
    c->h->proxy.said = false;
    node_connected(c->h->node, loop_now(c->h->loop), c->id, ERR_OK);
}

static void on_ready(void *ctx, unsigned ready)
{
    struct conn *c = ctx;
    struct host *h = c->h;
    if (c->state == CONN_CONNECTING) {
        const enum err e = net_connected(c->fd);
        if (e != ERR_OK) {
            if (c->socks != NULL)
                proxy_failed(h, e);
            conn_fail(c, c->socks != NULL ? ERR_PROXY : e);
        } else if (c->socks != NULL) {
            proxy_begin(c);
        } else {
            c->state = CONN_OPEN;
            node_connected(h->node, loop_now(h->loop), c->id, ERR_OK);
        }
    } else if (c->state == CONN_PROXY) {
        proxy_answers(c);
    } else {
        if ((ready & WATCH_WRITE) != 0 && c->tx_blocked) {
            c->tx_blocked = false;
            if (list_empty(&c->busy))
                list_push_back(&h->busy, &c->busy);
        }
        if ((ready & WATCH_READ) != 0 && c->state == CONN_OPEN && !c->rx_paused)
            read_stream(c);
    }
    host_turn_node(h);
    conn_interest(c);
}

static struct conn *conn_new(struct host *h, int fd, enum conn_state state)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->h = h;
    c->fd = fd;
    c->state = state;
    if (watch_new(&c->watch, h->loop, fd, on_ready, c) != ERR_OK) {
        free(c);
        return NULL;
    }
    list_init(&c->busy);
    list_init(&c->hold);
    list_init(&c->flush);
    list_init(&c->gone);
    h->stats.conns++;
    return c;
}

// The node knows it by this number from now on.
static bool conn_name(struct conn *c, uint32_t id)
{
    ASSERT(id != 0);
    c->id = id;
    if (map_put(&c->h->conns, &c->node, slice_of(&c->id, sizeof c->id)) == ERR_OK)
        return true;
    c->id = 0;
    return false;
}

void conn_open(struct host *h, const struct addr *to, uint32_t id)
{
    int fd = -1;
    const struct addr peer = *to;
    if (h->proxy.on)
        to = &h->proxy.addr;            // never around it
    const bool bound = h->from.family == to->family;
    enum err e = ERR_UNREACHABLE;       // bound to the other family: never around it
    if (bound || h->from.family == ADDR_NONE)
        e = net_connect(to, bound ? &h->from : NULL, h->device[0] != 0 ? h->device : NULL, &fd);
    if (e != ERR_OK && e != ERR_AGAIN) {
        node_connected(h->node, loop_now(h->loop), id, h->proxy.on ? ERR_PROXY : e);
        return;
    }
    // One that is there already (loopback) takes the same way: it is writable at once.
    struct conn *c = conn_new(h, fd, CONN_CONNECTING);
    if (c != NULL && h->proxy.on) {
        c->socks = calloc(1, sizeof *c->socks);
        if (c->socks != NULL)
            c->socks->talk.to = peer;
    }
    if (c == NULL) {
        (void)close(fd);
    } else if ((!h->proxy.on || c->socks != NULL) && conn_name(c, id)) {
        conn_interest(c);
        return;
    } else {
        set_gone(c);
    }
    node_connected(h->node, loop_now(h->loop), id, ERR_NOMEM);
}

void conn_adopt(struct host *h, int fd, enum node_port port, const struct addr *from)
{
    struct conn *c = conn_new(h, fd, CONN_OPEN);
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    const uint32_t id = node_accept(h->node, loop_now(h->loop), port, from);
    if (id == 0) {
        set_gone(c);
    } else if (!conn_name(c, id)) {
        set_gone(c);
        node_closed(h->node, loop_now(h->loop), id, ERR_NOMEM);
    } else {
        // A tracker's client speaks first, and its request is here: with luck the kernel never has to watch it.
        if (port == NODE_PORT_TRACKER)
            read_stream(c);
        conn_interest(c);
    }
    host_turn_node(h);
}

void conn_close(struct host *h, uint32_t id, bool flush)
{
    struct conn *c = conn_of(h, id);
    if (c == NULL)
        return;
    forget(c);
    if (!flush || c->state != CONN_OPEN || c->out.n == 0) {
        if (c->state == CONN_OPEN)
            conn_flushed(c);
        else
            set_gone(c);
        return;
    }
    c->state = CONN_FLUSHING;
    c->flush_until = loop_now(h->loop) + HOST_FLUSH_MAX;
    list_push_back(&h->flushing, &c->flush);
    if (!c->tx_blocked && list_empty(&c->busy))
        list_push_back(&h->busy, &c->busy);
    conn_interest(c);
}

void conn_resume(struct host *h, uint32_t id)
{
    struct conn *c = conn_of(h, id);
    if (c == NULL || !c->rx_paused)
        return;
    c->rx_paused = false;
    conn_interest(c);
}

void conn_fail_all(struct host *h, enum err e)
{
    for (struct map_node *n = map_first(&h->conns); n != NULL; n = map_first(&h->conns))
        conn_fail(CONTAINER(n, struct conn, node), e);
}

void conn_close_all(struct host *h)
{
    for (struct map_node *n = map_first(&h->conns); n != NULL; n = map_first(&h->conns))
        set_gone(CONTAINER(n, struct conn, node));
    LIST_EACH(&h->flushing, link, save)
        set_gone(CONTAINER(link, struct conn, flush));
    // The workers are gone: nothing loads any more.
    LIST_EACH(&h->gone, link, save) {
        struct conn *c = CONTAINER(link, struct conn, gone);
        c->loading = false;
        send_release(c);
    }
    conn_sweep(h);
}
