// A toy behind node.h, to test the world without the product: copies file 0 of its torrent from the first peer it is told of, asks
// and answers datagrams, and fetches a page if its peer id says so.
#include "base/env.h"
#include "engine/node/node.h"
#include "toy.h"

enum { HEAD = 13, ASK = 4, CONNS = 64, QUEUE = 64, SEG = BLOCK_LEN };

struct toy_conn {
    uint32_t id;
    bool incoming, greet, close_due;
    uint8_t head[HEAD];
    uint32_t head_n;
    uint64_t off;                       // of the file: served or received
    uint32_t unsent;
};

struct node {
    struct node_config cfg;
    const struct env *env;
    const struct metainfo *meta;
    struct slice root;
    struct toy_conn conns[CONNS];
    uint32_t conns_n;
    struct node_out queue[QUEUE];
    uint32_t queue_at, queue_n;
    uint8_t *slot;                      // payload
    struct span span;
    struct io_part part;
    uint32_t slot_n;
    bool busy, seed, stopping;
    uint8_t have[64];
    uint32_t pongs;
    uint64_t got;
    nsec beat;
    struct addr friend_addr;
    uint32_t connect_id;
    struct toy_news news;
};

static void want_out(struct node *n, enum node_kind kind, const struct node_out *out)
{
    ASSERT(n->queue_n < QUEUE);
    struct node_out *o = &n->queue[(n->queue_at + n->queue_n++) % QUEUE];
    *o = *out;
    o->port = (enum node_port)kind;     // the kind waits here; set again on the way out
}

enum err node_new(struct node **out, const struct node_config *cfg, const struct env *env, nsec now)
{
    struct node *n = mem_zalloc(env->mem, sizeof *n);
    if (n == NULL)
        return ERR_NOMEM;
    n->cfg = *cfg;
    n->env = env;
    n->beat = now + NSEC_S;
    n->slot = env->payload->resize(env->payload->ctx, NULL, 0, SEG);
    ASSERT(n->slot != NULL);
    *out = n;
    return ERR_OK;
}

void node_free(struct node *n)
{
    (void)n->env->payload->resize(n->env->payload->ctx, n->slot, SEG, 0);
    mem_free(n->env->mem, n, sizeof *n);
}

void node_warm(const struct node *n, uint32_t conn, uint32_t step)
{
    (void)n;
    (void)conn;
    (void)step;
}

static struct toy_conn *find(struct node *n, uint32_t id)
{
    for (uint32_t i = 0; i < n->conns_n; i++)
        if (n->conns[i].id == id)
            return &n->conns[i];
    return NULL;
}

static struct toy_conn *add(struct node *n, bool incoming)
{
    ASSERT(n->conns_n < CONNS);
    struct toy_conn *c = &n->conns[n->conns_n++];
    *c = (struct toy_conn){.id = 100 + n->conns_n, .incoming = incoming};
    return c;
}

void node_tick(struct node *n, nsec now)
{
    if (now < n->beat)
        return;
    n->beat = now + NSEC_S;
    if (n->friend_addr.port != 0) {
        const struct node_out ask = {.addr = n->friend_addr, .bytes = SLICE_LIT("ping")};
        want_out(n, NODE_DGRAM, &ask);
    }
}

// The next block for somebody who copies from us.
static bool serve(struct node *n, struct buf *tx, struct node_out *out)
{
    for (uint32_t i = 0; i < n->conns_n; i++) {
        struct toy_conn *c = &n->conns[i];
        if (c->close_due) {
            c->close_due = false;
            out->conn = c->id;
            out->flush = true;
            c->id = 0;
            n->queue[0].port = NODE_PORT_PEER;
            out->segs_n = 0;
            return true;
        }
        if (!c->incoming || !c->greet || c->id == 0 || c->unsent > 2 * SEG || c->off >= n->meta->len)
            continue;
        const uint64_t len = u64_min(SEG, n->meta->len - c->off);
        memset(tx->p, 0x11, HEAD);
        struct io_seg *segs = (struct io_seg *)(void *)(tx->p + 64);
        segs[0] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(tx->p, HEAD)};
        segs[1] = (struct io_seg){.kind = SEG_FILE, .store = 1, .file = 0, .off = c->off, .len = len};
        c->off += len;
        c->unsent += (uint32_t)len + HEAD;
        c->close_due = c->off == n->meta->len;
        *out = (struct node_out){.conn = c->id, .segs = segs, .segs_n = 2};
        return true;
    }
    return false;
}

enum node_kind node_poll(struct node *n, nsec now, struct buf *tx, struct node_out *out)
{
    ASSERT(buf_room(tx) >= NODE_TX_MIN);
    (void)now;
    if (n->queue_n > 0) {
        *out = n->queue[n->queue_at];
        const enum node_kind kind = (enum node_kind)out->port;
        out->port = NODE_PORT_PEER;
        n->queue_at = (n->queue_at + 1) % QUEUE;
        n->queue_n--;
        return kind;
    }
    if (n->meta != NULL && serve(n, tx, out))
        return out->segs_n > 0 ? NODE_SEND : NODE_CLOSE;
    out->deadline = n->beat;
    return NODE_IDLE;
}

uint32_t node_accept(struct node *n, nsec now, enum node_port port, const struct addr *from)
{
    (void)now;
    (void)from;
    return port == NODE_PORT_PEER && n->seed ? add(n, true)->id : 0;
}

static void ask(struct node *n, struct toy_conn *c)
{
    static const uint8_t word[ASK] = {'G', 'E', 'T', '\n'};
    static struct io_seg seg;           // a toy may
    seg = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(word, ASK)};
    const struct node_out out = {.conn = c->id, .segs = &seg, .segs_n = 1};
    want_out(n, NODE_SEND, &out);
}

void node_connected(struct node *n, nsec now, uint32_t conn, enum err e)
{
    (void)now;
    struct toy_conn *c = find(n, conn);
    if (e == ERR_OK)
        ask(n, c);
    else
        c->id = 0;
}

void node_rx_room(struct node *n, nsec now, uint32_t conn, struct node_room *out)
{
    (void)now;
    struct toy_conn *c = find(n, conn);
    const uint32_t head = c->incoming ? ASK : HEAD;
    if (c->head_n < head) {
        out->spans[0] = (struct span){c->head + c->head_n, head - c->head_n};
        out->spans_n = 1;
    } else if (!n->busy && !c->incoming) {
        out->spans[0] = (struct span){n->slot + n->slot_n, SEG - n->slot_n};
        out->spans_n = 1;
    }
}

void node_rx(struct node *n, nsec now, uint32_t conn, size_t len)
{
    (void)now;
    struct toy_conn *c = find(n, conn);
    if (c->head_n < (c->incoming ? ASK : HEAD)) {
        c->head_n += (uint32_t)len;
        c->greet = c->incoming && c->head_n == ASK;
        return;
    }
    n->slot_n += (uint32_t)len;
    if (n->slot_n < SEG && c->off + n->slot_n < n->meta->len)
        return;
    n->busy = true;
    n->span = (struct span){n->slot, n->slot_n};
    n->part = (struct io_part){.file = 0, .off = c->off, .len = n->slot_n};
    const struct node_out out = {.job = {.kind = JOB_WRITE, .id = conn, .store = 1, .spans = &n->span, .spans_n = 1,
        .parts = &n->part, .parts_n = 1}};
    want_out(n, NODE_JOB, &out);
}

void node_sent(struct node *n, nsec now, uint32_t conn, uint64_t len)
{
    (void)now;
    struct toy_conn *c = find(n, conn);
    if (c != NULL && c->incoming)
        c->unsent -= (uint32_t)len;
}

void node_closed(struct node *n, nsec now, uint32_t conn, enum err e)
{
    (void)now;
    (void)e;
    struct toy_conn *c = find(n, conn);
    if (c != NULL)
        c->id = 0;
}

void node_job_done(struct node *n, nsec now, uint32_t id, enum err e, uint32_t file)
{
    (void)now;
    (void)file;
    if (id == 1) {
        const struct node_out done = {.event = {.kind = NODE_EVENT_DONE, .torrent = 1}};
        want_out(n, NODE_EVENT, &done);
        return;
    }
    struct toy_conn *c = find(n, id);
    if (e != ERR_OK) {
        const struct node_out bad = {.event = {.kind = NODE_EVENT_ERROR, .torrent = 1, .err = e}};
        want_out(n, NODE_EVENT, &bad);
        return;
    }
    n->got += n->slot_n;
    n->busy = false;
    if (c != NULL) {
        c->off += n->slot_n;
        c->head_n = 0;
        const struct node_out more = {.conn = c->id};
        want_out(n, NODE_RESUME, &more);
    }
    n->slot_n = 0;
    if (n->got == n->meta->len) {
        const struct node_out sync = {.job = {.kind = JOB_SYNC, .id = 1, .store = 1}};
        want_out(n, NODE_JOB, &sync);
    }
}

void node_datagram(struct node *n, nsec now, enum node_port port, const struct addr *from, struct slice data)
{
    (void)now;
    if (slice_eq_str(data, "ping")) {
        const struct node_out pong = {.port = port, .addr = *from, .bytes = SLICE_LIT("pong")};
        want_out(n, NODE_DGRAM, &pong);
    } else {
        n->pongs++;
    }
    n->news.heard_n = size_min(data.n, sizeof n->news.heard);
    if (data.n != 0)
        memcpy(n->news.heard, data.p, n->news.heard_n);
}

enum err node_torrent_add(struct node *n, nsec now, const struct node_add *add_, uint32_t *torrent)
{
    (void)now;
    n->meta = add_->meta;
    n->root = add_->root;
    n->seed = add_->trust;
    if (n->seed)
        memset(n->have, 0xff, sizeof n->have);
    *torrent = 1;
    return ERR_OK;
}

// It knows no magnet links.
enum err node_magnet_add(struct node *n, nsec now, const struct magnet *link, uint32_t *torrent)
{
    (void)n, (void)now, (void)link, (void)torrent;
    return ERR_UNSUPPORTED;
}

enum err node_magnet_begin(struct node *n, nsec now, uint32_t torrent, const struct node_add *add_)
{
    (void)n, (void)now, (void)torrent, (void)add_;
    return ERR_UNSUPPORTED;
}

enum err node_peer_add(struct node *n, nsec now, uint32_t torrent, const struct addr *peer)
{
    (void)now;
    (void)torrent;
    n->friend_addr = *peer;
    if (n->seed || n->conns_n > 0)
        return ERR_OK;
    const struct node_out out = {.conn = add(n, false)->id, .addr = *peer};
    want_out(n, NODE_CONNECT, &out);
    return ERR_OK;
}

void node_stop(struct node *n, nsec now)
{
    (void)now;
    const struct node_out out = {.event = {.kind = NODE_EVENT_STOPPED}};
    want_out(n, NODE_EVENT, &out);
}

void node_torrent_stats(const struct node *n, uint32_t torrent, struct node_torrent_stats *out)
{
    (void)torrent;
    *out = (struct node_torrent_stats){.down_bytes = n->got, .pieces_have = n->pongs};
}

struct slice node_torrent_have(const struct node *n, uint32_t torrent)
{
    (void)torrent;
    return n->seed ? slice_of(n->have, sizeof n->have) : (struct slice){0};
}

void node_store_file(const struct node *n, uint32_t store, uint32_t file, struct io_file *out)
{
    (void)store;
    *out = (struct io_file){.root = n->root, .path = n->meta->files[file].path, .len = n->meta->files[file].len};
}

uint32_t node_store_files(const struct node *n, uint32_t store) { (void)store; return n->meta->files_n; }
void node_fetched(struct node *n, nsec now, uint32_t id, enum err e, int status, struct slice body)
{
    (void)now, (void)id;
    n->news.fetches++;
    n->news.fetch_err = e;
    n->news.fetch_status = status;
    n->news.fetch_n = body.n;
}
void node_stream_head(struct node *n, nsec now, uint32_t id, int status, struct slice lines)
{
    (void)n, (void)now, (void)id, (void)status, (void)lines;
}
void node_stream_room(struct node *n, nsec now, uint32_t id, struct node_room *out)
{
    (void)n, (void)now, (void)id;
    out->spans_n = 0;
}
bool node_stream_wanted(struct node *n, uint32_t id) { (void)n, (void)id; return false; }
void node_stream_rx(struct node *n, nsec now, uint32_t id, size_t len) { (void)n, (void)now, (void)id, (void)len; }
void node_resolved(struct node *n, nsec now, uint32_t id, enum err e, const struct addr *addrs, uint32_t n_addrs)
{
    (void)now, (void)id, (void)addrs, (void)n_addrs;
    n->news.resolves++;
    n->news.resolve_err = e;
}
void node_datagrams(struct node *n, nsec now, bool pass) { (void)n, (void)now, (void)pass; }
void node_network_changed(struct node *n, nsec now) { (void)n, (void)now; }

void node_mapped(struct node *n, nsec now, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s)
{
    (void)n, (void)now, (void)udp, (void)e, (void)external, (void)lifetime_s;
}

void node_saved(struct node *n, nsec now, uint32_t id, enum err e) { (void)n, (void)now, (void)id, (void)e; }
void node_read_failed(struct node *n, nsec now, uint32_t store, uint32_t file, enum err e)
{
    (void)n, (void)now, (void)store, (void)file, (void)e;
}
enum err node_tracker_admit(struct node *n, const uint8_t hash[20]) { (void)n, (void)hash; return ERR_OK; }
const struct toy_news *toy_news(const struct node *n) { return &n->news; }
void node_check(const struct node *n) { ASSERT(n->conns_n <= CONNS); }
