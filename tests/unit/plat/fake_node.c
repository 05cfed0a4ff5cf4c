// See fake_node.h.
#include "fake_node.h"

#include <stdlib.h>

struct node {
    uint32_t conns;
    uint8_t staging[65536];
    nsec now;
};

enum { QUEUE_MAX = 256 };

struct queued {
    enum node_kind kind;
    struct node_out out;
    struct io_seg segs[IO_SEGS_MAX];
    uint8_t *bytes;
};

struct fake_hooks fake;
struct io_file fake_files[8];
uint32_t fake_files_n;
nsec fake_deadline = NSEC_NEVER;

static struct queued queue[QUEUE_MAX];
static uint32_t queue_at, queue_n;
static uint8_t *given;                  // lent by the last poll

uint32_t fake_queued(void) { return queue_n; }

void fake_push(enum node_kind kind, const struct node_out *o)
{
    ASSERT(queue_n < QUEUE_MAX);
    struct queued *q = &queue[(queue_at + queue_n++) % QUEUE_MAX];
    *q = (struct queued){.kind = kind, .out = *o};
    size_t total = o->bytes.n;
    for (uint32_t i = 0; i < o->segs_n; i++)
        total += o->segs[i].bytes.n;
    q->bytes = malloc(total + 1);
    uint8_t *p = q->bytes;
    if (o->bytes.n > 0)
        memcpy(p, o->bytes.p, o->bytes.n);
    q->out.bytes.p = p;
    p += o->bytes.n;
    for (uint32_t i = 0; i < o->segs_n; i++) {
        q->segs[i] = o->segs[i];
        if (o->segs[i].bytes.n > 0)
            memcpy(p, o->segs[i].bytes.p, o->segs[i].bytes.n);
        q->segs[i].bytes.p = p;
        p += o->segs[i].bytes.n;
    }
}

void fake_bytes(uint32_t conn, struct slice s)
{
    const struct io_seg seg = {.kind = SEG_BYTES, .bytes = s};
    fake_push(NODE_SEND, &(struct node_out){.conn = conn, .segs = &seg, .segs_n = 1});
}

void fake_close(uint32_t conn, bool flush) { fake_push(NODE_CLOSE, &(struct node_out){.conn = conn, .flush = flush}); }

void fake_stopped(void) { fake_push(NODE_EVENT, &(struct node_out){.event = {.kind = NODE_EVENT_STOPPED}}); }

static void advance(struct node *n, nsec now)
{
    ASSERT(now >= n->now);
    n->now = now;
}

enum err node_new(struct node **out, const struct node_config *cfg, const struct env *env, nsec now)
{
    (void)cfg, (void)env;
    struct node *n = calloc(1, sizeof *n);
    if (n == NULL)
        return ERR_NOMEM;
    n->now = now;
    *out = n;
    return ERR_OK;
}

void node_free(struct node *n)
{
    free(n);
    free(given);
    given = NULL;
    for (; queue_n > 0; queue_n--, queue_at++)
        free(queue[queue_at % QUEUE_MAX].bytes);
}

void node_tick(struct node *n, nsec now)
{
    advance(n, now);
    if (fake_deadline <= now) {
        fake_deadline = NSEC_NEVER;
        if (fake.tick != NULL)
            fake.tick();
    }
}

enum node_kind node_poll(struct node *n, nsec now, struct buf *tx, struct node_out *out)
{
    advance(n, now);
    ASSERT(buf_room(tx) >= NODE_TX_MIN);
    free(given);
    given = NULL;
    if (queue_n == 0) {
        out->deadline = fake_deadline;
        return NODE_IDLE;
    }
    struct queued *q = &queue[queue_at++ % QUEUE_MAX];
    queue_n--;
    given = q->bytes;
    *out = q->out;
    out->segs = q->segs;
    return q->kind;
}

uint32_t node_accept(struct node *n, nsec now, enum node_port port, const struct addr *from)
{
    advance(n, now);
    ASSERT(from->family != ADDR_NONE);
    const uint32_t conn = ++n->conns;
    return fake.accept == NULL || fake.accept(port, conn) ? conn : 0;
}

void node_connected(struct node *n, nsec now, uint32_t conn, enum err e)
{
    advance(n, now);
    if (fake.connected != NULL)
        fake.connected(conn, e);
}

void node_rx_room(struct node *n, nsec now, uint32_t conn, struct node_room *out)
{
    advance(n, now);
    *out = (struct node_room){.spans = {{n->staging, sizeof n->staging}}, .spans_n = 1};
    if (fake.rx_room != NULL)
        fake.rx_room(conn, out);
}

void node_rx(struct node *n, nsec now, uint32_t conn, size_t len)
{
    advance(n, now);
    if (fake.rx_len != NULL)
        fake.rx_len(conn, len);
    if (fake.rx != NULL)
        fake.rx(conn, slice_of(n->staging, fake.rx_room == NULL ? len : 0));
}

void node_sent(struct node *n, nsec now, uint32_t conn, uint64_t len)
{
    advance(n, now);
    if (fake.sent != NULL)
        fake.sent(conn, len);
}

void node_closed(struct node *n, nsec now, uint32_t conn, enum err e)
{
    advance(n, now);
    if (fake.closed != NULL)
        fake.closed(conn, e);
}

void node_datagram(struct node *n, nsec now, enum node_port port, const struct addr *from, struct slice data)
{
    advance(n, now);
    if (fake.datagram != NULL)
        fake.datagram(port, from, data);
}

void node_job_done(struct node *n, nsec now, uint32_t id, enum err e, uint32_t file)
{
    advance(n, now);
    if (fake.job_done != NULL)
        fake.job_done(id, e, file);
}

void node_fetched(struct node *n, nsec now, uint32_t id, enum err e, int status, struct slice body)
{
    advance(n, now);
    if (fake.fetched != NULL)
        fake.fetched(id, e, status, body);
}

void node_stream_head(struct node *n, nsec now, uint32_t id, int status, struct slice lines)
{
    advance(n, now);
    if (fake.stream_head != NULL)
        fake.stream_head(id, status, lines);
}

static uint8_t stream_space[65536];
static struct span stream_at;

void node_stream_room(struct node *n, nsec now, uint32_t id, struct node_room *out)
{
    advance(n, now);
    stream_at = (struct span){stream_space, sizeof stream_space};
    out->spans_n = fake.stream_room == NULL || fake.stream_room(id, &stream_at) != 0;
    out->spans[0] = stream_at;
}

bool node_stream_wanted(struct node *n, uint32_t id) { (void)n, (void)id; return true; }

void node_stream_rx(struct node *n, nsec now, uint32_t id, size_t len)
{
    advance(n, now);
    if (fake.stream_rx != NULL)
        fake.stream_rx(id, slice_of(stream_at.p, len));
}

void node_resolved(struct node *n, nsec now, uint32_t id, enum err e, const struct addr *addrs, uint32_t n_addrs)
{
    advance(n, now);
    if (fake.resolved != NULL)
        fake.resolved(id, e, addrs, n_addrs);
}

void node_datagrams(struct node *n, nsec now, bool pass) { (void)n, (void)now, (void)pass; }
void node_network_changed(struct node *n, nsec now)
{
    (void)n, (void)now;
    if (fake.network_changed != NULL)
        fake.network_changed();
}

void node_mapped(struct node *n, nsec now, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s)
{
    (void)n, (void)now, (void)udp, (void)e, (void)external, (void)lifetime_s;
}

void node_saved(struct node *n, nsec now, uint32_t id, enum err e)
{
    advance(n, now);
    if (fake.saved != NULL)
        fake.saved(id, e);
}

void node_read_failed(struct node *n, nsec now, uint32_t store, uint32_t file, enum err e)
{
    advance(n, now);
    if (fake.read_failed != NULL)
        fake.read_failed(store, file, e);
}

void node_stop(struct node *n, nsec now)
{
    advance(n, now);
    if (fake.stop != NULL)
        fake.stop();
    else
        fake_stopped();
}

void node_store_file(const struct node *n, uint32_t store, uint32_t file, struct io_file *out)
{
    (void)n, (void)store;
    ASSERT(file < fake_files_n);
    *out = fake_files[file];
}

uint32_t node_store_files(const struct node *n, uint32_t store)
{
    (void)n, (void)store;
    return fake_files_n;
}
