// What goes out over uTP: what a swarm queued is copied into the transport as it takes it; ranges of files are read by jobs just
// before, so that memory is held for no longer than a read lasts.
#include "engine/node/node_conn.h"
#include "engine/node/node_int.h"
#include "engine/node/node_stream.h"
#include "engine/reach/utp.h"

enum { READ_MIN = 8 * 1024 };           // bytes; the transport says that it takes more when it takes so much

static const uint8_t ZEROS[4096];

static struct stream_item *item_at(const struct stream *s, uint32_t i)
{
    ASSERT(i < s->n);
    return &s->items[(s->head + i) & (s->cap - 1)];
}

static bool items_room(struct node *n, struct stream *s)
{
    if (s->n < s->cap)
        return true;
    const uint32_t cap = s->cap == 0 ? 16 : 2 * s->cap;
    if (cap > STREAM_QUEUE_MAX)
        return false;
    struct stream_item *items = mem_zarray(n->mem, cap, sizeof *items);
    if (items == NULL)
        return false;
    for (uint32_t i = 0; i < s->n; i++)
        items[i] = *item_at(s, i);
    mem_free(n->mem, s->items, s->cap * sizeof *items);
    s->items = items;
    s->cap = cap;
    s->head = 0;
    return true;
}

static bool bytes_room(struct node *n, struct stream *s, size_t len)
{
    if (s->bytes_at == s->bytes_n)
        s->bytes_at = s->bytes_n = 0;
    if (len <= s->bytes_cap - s->bytes_n)
        return true;
    const uint32_t kept = s->bytes_n - s->bytes_at;
    uint64_t cap = u64_max(s->bytes_cap, 512);
    while (cap < kept + len)
        cap *= 2;
    if (cap > STREAM_BYTES_MAX)
        return false;
    if (cap == s->bytes_cap) {
        memmove(s->bytes, s->bytes + s->bytes_at, kept);
    } else {
        uint8_t *bytes = mem_zalloc(n->mem, cap);
        if (bytes == NULL)
            return false;
        if (kept != 0)
            memcpy(bytes, s->bytes + s->bytes_at, kept);
        mem_free(n->mem, s->bytes, s->bytes_cap);
        s->bytes = bytes;
        s->bytes_cap = (uint32_t)cap;
    }
    s->bytes_at = 0;
    s->bytes_n = kept;
    return true;
}

static bool add_bytes(struct node *n, struct stream *s, struct slice b)
{
    if (!bytes_room(n, s, b.n))
        return false;
    if (s->n == 0 || item_at(s, s->n - 1)->is_file) {
        if (!items_room(n, s))
            return false;
        s->n++;
        *item_at(s, s->n - 1) = (struct stream_item){0};
    }
    item_at(s, s->n - 1)->len += b.n;
    memcpy(s->bytes + s->bytes_n, b.p, b.n);
    s->bytes_n += (uint32_t)b.n;
    return true;
}

static bool add_seg(struct node *n, struct stream *s, const struct io_seg *seg)
{
    if (seg->kind == SEG_BYTES)
        return seg->bytes.n == 0 || add_bytes(n, s, seg->bytes);
    if (seg->len == 0)
        return true;
    if (!items_room(n, s))
        return false;
    s->n++;
    *item_at(s, s->n - 1) = (struct stream_item){.is_file = true, .store = seg->store, .file = seg->file, .off = seg->off, .len = seg->len};
    return true;
}

void stream_out_done(struct node *n, struct conn *c)
{
    struct stream *s = &c->out;
    list_remove(&s->wait);
    mem_free(n->mem, s->items, s->cap * sizeof *s->items);
    mem_free(n->mem, s->bytes, s->bytes_cap);
    s->items = NULL;
    s->bytes = NULL;
    s->cap = s->bytes_cap = 0;
    s->read = NULL;                     // a read under way finds that the conn is gone
}

bool stream_out_add(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n)
{
    for (uint32_t i = 0; i < segs_n; i++)
        if (!add_seg(n, &c->out, &segs[i]))
            return false;
    return true;
}

// ---- into the transport

static void consume(struct stream *s, uint64_t len)
{
    struct stream_item *it = item_at(s, 0);
    ASSERT(len <= it->len);
    if (!it->is_file)
        s->bytes_at += (uint32_t)len;
    it->off += len;
    it->len -= len;
    if (it->len != 0)
        return;
    s->head = (s->head + 1) & (s->cap - 1);
    s->n--;
}

// Gives up to `most` bytes of the first item; memory: what was read of a file, NULL for what needs no read.
static uint64_t give(struct node *n, struct conn *c, uint64_t most, const uint8_t *memory)
{
    struct stream *s = &c->out;
    const struct stream_item *it = item_at(s, 0);
    uint64_t len = u64_min(it->len, most);
    const uint8_t *from = memory;
    if (!it->is_file) {
        from = s->bytes + s->bytes_at;
    } else if (it->file == IO_FILE_ZERO) {
        from = ZEROS;
        len = u64_min(len, sizeof ZEROS);
    }
    ASSERT(from != NULL);
    const bool more = s->n > 1 || len < it->len;
    utp_write(n->utp, n->now, c->utp, slice_of(from, (size_t)len), more);
    consume(s, len);
    return len;
}

static bool is_read(const struct stream_item *it) { return it->is_file && it->file != IO_FILE_ZERO; }

static struct stream_read *read_free(struct node *n)
{
    if (n->reads_busy + n->reads_due == STREAM_READS_MAX)
        return NULL;
    if (n->reads == NULL && (n->reads = mem_zarray(n->mem, STREAM_READS_MAX, sizeof *n->reads)) == NULL)
        return NULL;
    struct stream_read *r = n->reads;
    while (r->conn != 0)
        r++;
    if (r->memory == NULL)
        r->memory = n->env->payload->resize(n->env->payload->ctx, NULL, 0, STREAM_READ_LEN);
    return r->memory == NULL ? NULL : r;
}

// Plans one read for as much of the queue as the transport takes now, headers in between.
static void plan_read(struct node *n, struct conn *c, uint64_t space)
{
    struct stream *s = &c->out;
    struct stream_read *r = read_free(n);
    if (r == NULL) {
        if (list_empty(&s->wait))
            list_push_back(&n->read_waits, &s->wait);
        return;
    }
    *r = (struct stream_read){.memory = r->memory, .conn = c->id, .store = item_at(s, 0)->store};
    uint64_t left = space, file_bytes = 0;
    for (uint32_t i = 0; i < s->n && left != 0; i++) {
        const struct stream_item *it = item_at(s, i);
        uint64_t len = u64_min(it->len, left);
        if (is_read(it)) {
            len = u64_min(len, STREAM_READ_LEN - file_bytes);
            if (len == 0 || it->store != r->store || r->parts_n == STREAM_READ_PARTS)
                break;
            struct io_part *last = r->parts_n == 0 ? NULL : &r->parts[r->parts_n - 1];
            if (last != NULL && last->file == it->file && last->off + last->len == it->off)
                last->len += len;       // neighbouring blocks are one range
            else
                r->parts[r->parts_n++] = (struct io_part){it->file, it->off, len};
            file_bytes += len;
        }
        r->total += len;
        left -= len;
        if (len < it->len)
            break;
    }
    r->span = (struct span){r->memory, (size_t)file_bytes};
    s->read = r;
    n->reads_due++;
}

void stream_push(struct node *n, struct conn *c)
{
    struct stream *s = &c->out;
    while (s->n != 0 && s->read == NULL && !s->blocked && list_empty(&s->wait)) {
        const size_t space = utp_space(n->utp, c->utp);
        const bool small = is_read(item_at(s, 0)) && space < u64_min(item_at(s, 0)->len, READ_MIN) && utp_unsent(n->utp, c->utp) != 0;
        if (space == 0 || small) {
            s->blocked = true;
            utp_write(n->utp, n->now, c->utp, (struct slice){0}, true);
            break;
        }
        if (is_read(item_at(s, 0))) {
            plan_read(n, c, space);
            break;
        }
        node_sent(n, n->now, c->id, give(n, c, space, NULL));
    }
    n->utp_touched = true;
}

// ---- reads

bool stream_read_poll(struct node *n, struct node_out *out)
{
    if (n->reads_due == 0)
        return false;
    struct stream_read *r = n->reads;
    while (r->conn == 0 || r->asked)
        r++;
    r->asked = true;
    n->reads_due--;
    n->reads_busy++;
    out->job = (struct io_job){.kind = JOB_READ, .id = (uint32_t)(r - n->reads) + 1, .store = r->store, .urgent = true,
                               .spans = &r->span, .spans_n = 1, .parts = r->parts, .parts_n = r->parts_n};
    return true;
}

static void read_is_free(struct node *n, struct stream_read *r)
{
    r->conn = 0;
    n->reads_busy--;
    if (list_empty(&n->read_waits))
        return;
    struct conn *c = CONTAINER(n->read_waits.next, struct conn, out.wait);
    list_remove(&c->out.wait);
    stream_push(n, c);
}

static void read_failed(struct node *n, struct conn *c, const struct stream_read *r, uint32_t file, enum err e)
{
    node_read_failed(n, n->now, r->store, file, e);
    stream_fail(n, c);
}

void stream_job_done(struct node *n, uint32_t id, enum err e, uint32_t file)
{
    ASSERT(id - 1 < STREAM_READS_MAX);
    struct stream_read *r = &n->reads[id - 1];
    ASSERT(r->asked);
    struct conn *c = conn_get(n, r->conn);
    if (c != NULL && c->out.read == r) {
        c->out.read = NULL;
        if (e == ERR_CANCELLED) {
            stream_fail(n, c);
        } else if (e != ERR_OK) {
            read_failed(n, c, r, file, e);
        } else {
            uint64_t left = u64_min(r->total, utp_space(n->utp, c->utp)), sent = 0;
            const uint8_t *memory = r->memory;
            while (left != 0) {
                const bool file_bytes = is_read(item_at(&c->out, 0));
                const uint64_t len = give(n, c, left, memory);
                memory += file_bytes ? len : 0;
                left -= len;
                sent += len;
            }
            node_sent(n, n->now, c->id, sent);
            stream_push(n, c);
        }
    }
    read_is_free(n, r);
    n->utp_touched = true;
}
