// Segments turned into memory: see node_load.h.
#include "engine/node/node_load.h"

enum { LOAD_ITEMS_MIN = 16, LOAD_BYTES_KEEP = 4096 };

// In use by a queue (load), or by a job whose queue is gone, or free.
struct load_buf {
    uint8_t *p;
    struct load *load;
    bool reading;
    uint32_t at, n;                     // bytes left in it: at … n
    struct span span;
    struct io_part parts[IO_PARTS_MAX];
};

void loads_init(struct loads *s, const struct env *env)
{
    *s = (struct loads){.mem = env->mem, .payload = env->payload};
    list_init(&s->waiting);
}

void loads_done_all(struct loads *s)
{
    for (uint32_t i = 0; i < s->bufs_n; i++) {
        mem_free(s->payload, s->bufs[i]->p, LOAD_BUF_LEN);
        mem_free(s->mem, s->bufs[i], sizeof *s->bufs[i]);
    }
    s->bufs_n = 0;
}

void load_init(struct load *l, uint32_t conn)
{
    ASSERT(conn != 0);
    *l = (struct load){.conn = conn};
    list_init(&l->link);
}

void load_done(struct loads *s, struct load *l)
{
    list_remove(&l->link);
    if (l->buf != NULL)
        l->buf->load = NULL;
    mem_free(s->mem, l->items, l->cap * sizeof *l->items);
    mem_free(s->mem, l->bytes.p, l->bytes.cap);
    *l = (struct load){.conn = l->conn};
    list_init(&l->link);
}

static struct load_item *item_at(const struct load *l, uint32_t i)
{
    ASSERT(i < l->n);
    return &l->items[(l->head + i) & (l->cap - 1)];
}

static enum err items_grow(struct loads *s, struct load *l)
{
    if (l->n < l->cap)
        return ERR_OK;
    if (l->cap == LOAD_ITEMS_MAX)
        return ERR_FULL;
    const uint32_t cap = l->cap == 0 ? LOAD_ITEMS_MIN : l->cap * 2;
    struct load_item *items = mem_zarray(s->mem, cap, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < l->n; i++)
        items[i] = *item_at(l, i);
    mem_free(s->mem, l->items, l->cap * sizeof *l->items);
    l->items = items;
    l->cap = cap;
    l->head = 0;
    return ERR_OK;
}

static enum err bytes_room(struct loads *s, struct load *l, size_t n)
{
    if (l->bytes_at == l->bytes.n)
        l->bytes_at = l->bytes.n = 0;
    if (n <= buf_room(&l->bytes))
        return ERR_OK;
    if (l->bytes_at != 0)
        memmove(l->bytes.p, l->bytes.p + l->bytes_at, l->bytes.n - l->bytes_at);
    l->bytes.n -= l->bytes_at;
    l->bytes_at = 0;
    if (n <= buf_room(&l->bytes))
        return ERR_OK;
    const size_t cap = (size_t)u64_max(l->bytes.cap * 2, u64_max(l->bytes.n + n, 512));
    uint8_t *p = s->mem->resize(s->mem->ctx, l->bytes.p, l->bytes.cap, cap);
    if (p == NULL)
        return ERR_NOMEM;
    l->bytes.p = p;
    l->bytes.cap = cap;
    return ERR_OK;
}

static enum err push_bytes(struct loads *s, struct load *l, struct slice b)
{
    enum err e = bytes_room(s, l, b.n);
    if (e != ERR_OK)
        return e;
    const bool joins = l->n != 0 && !item_at(l, l->n - 1)->is_file;
    if (!joins) {
        e = items_grow(s, l);
        if (e != ERR_OK)
            return e;
        l->n++;
        *item_at(l, l->n - 1) = (struct load_item){0};
    }
    memcpy(l->bytes.p + l->bytes.n, b.p, b.n);
    l->bytes.n += b.n;
    item_at(l, l->n - 1)->len += b.n;
    l->left += b.n;
    return ERR_OK;
}

// The first file range that is not in the buffer yet; NULL: there is none.
static const struct load_item *unread(const struct load *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (item_at(l, i)->is_file)
            return item_at(l, i);
    return NULL;
}

static void want_read(struct loads *s, struct load *l)
{
    if (l->buf == NULL && list_empty(&l->link) && unread(l) != NULL)
        list_push_back(&s->waiting, &l->link);
}

enum err load_push(struct loads *s, struct load *l, const struct io_seg *segs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (segs[i].kind == SEG_BYTES && segs[i].bytes.n != 0) {
            const enum err e = push_bytes(s, l, segs[i].bytes);
            if (e != ERR_OK)
                return e;
        }
        if (segs[i].kind == SEG_BYTES || segs[i].len == 0)
            continue;
        const enum err e = items_grow(s, l);
        if (e != ERR_OK)
            return e;
        l->n++;
        *item_at(l, l->n - 1) = (struct load_item){true, segs[i].store, segs[i].file, segs[i].off, segs[i].len};
        l->left += segs[i].len;
    }
    want_read(s, l);
    return ERR_OK;
}

uint32_t load_peek(struct load *l, struct span *out, uint32_t max)
{
    const struct load_buf *b = l->buf != NULL && !l->buf->reading ? l->buf : NULL;
    size_t bytes_at = l->bytes_at;
    uint32_t at = b == NULL ? 0 : b->at, n = 0;
    for (uint32_t i = 0; i < l->n && n < max; i++) {
        const struct load_item *it = item_at(l, i);
        if (!it->is_file) {
            out[n++] = (struct span){l->bytes.p + bytes_at, (size_t)it->len};
            bytes_at += (size_t)it->len;
            continue;
        }
        if (b == NULL || at == b->n)
            break;
        const uint64_t k = u64_min(it->len, b->n - at);
        out[n++] = (struct span){b->p + at, (size_t)k};
        at += (uint32_t)k;
        if (k < it->len)
            break;
    }
    return n;
}

static void buf_free(struct load *l)
{
    l->buf->load = NULL;
    l->buf = NULL;
}

void load_take(struct loads *s, struct load *l, uint64_t len)
{
    ASSERT(len <= l->left);
    l->left -= len;
    while (len != 0) {
        struct load_item *it = item_at(l, 0);
        const uint64_t k = u64_min(len, it->len);
        len -= k;
        it->len -= k;
        it->off += k;
        if (it->is_file) {
            ASSERT(l->buf != NULL);
            ASSERT(k <= l->buf->n - l->buf->at);
            l->buf->at += (uint32_t)k;
        } else {
            l->bytes_at += (size_t)k;
        }
        if (it->len != 0)
            break;
        l->head = (l->head + 1) & (l->cap - 1);
        l->n--;
    }
    if (l->buf != NULL && !l->buf->reading && l->buf->at == l->buf->n)
        buf_free(l);
    want_read(s, l);
}

static struct load_buf *free_buf(struct loads *s, uint32_t *index)
{
    for (*index = 0; *index < s->bufs_n; ++*index)
        if (s->bufs[*index]->load == NULL && !s->bufs[*index]->reading)
            return s->bufs[*index];
    if (s->bufs_n == LOAD_BUFS_MAX)
        return NULL;
    struct load_buf *b = mem_zalloc(s->mem, sizeof *b);
    if (b == NULL)
        return NULL;
    b->p = s->payload->resize(s->payload->ctx, NULL, 0, LOAD_BUF_LEN);
    if (b->p == NULL) {
        mem_free(s->mem, b, sizeof *b);
        return NULL;
    }
    s->bufs[s->bufs_n++] = b;
    return b;
}

// As many of the next file ranges of one store as fit the buffer.
static uint32_t name_parts(const struct load *l, struct load_buf *b, uint32_t *store)
{
    uint32_t n = 0;
    b->at = b->n = 0;
    for (uint32_t i = 0; i < l->n && n < IO_PARTS_MAX && b->n < LOAD_BUF_LEN; i++) {
        const struct load_item *it = item_at(l, i);
        if (!it->is_file)
            continue;
        if (n == 0)
            *store = it->store;
        else if (it->store != *store)
            break;
        const uint64_t k = u64_min(it->len, LOAD_BUF_LEN - b->n);
        struct io_part *last = n == 0 ? NULL : &b->parts[n - 1];
        if (last != NULL && last->file == it->file && last->off + last->len == it->off)
            last->len += k;             // blocks of one piece are one range
        else
            b->parts[n++] = (struct io_part){it->file, it->off, k};
        b->n += (uint32_t)k;
    }
    return n;
}

bool loads_job(struct loads *s, struct io_job *out)
{
    uint32_t index = 0;
    struct load *l = LIST_FIRST(&s->waiting, struct load, link);
    struct load_buf *b = l == NULL ? NULL : free_buf(s, &index);
    if (b == NULL)
        return false;
    list_remove(&l->link);
    *out = (struct io_job){.kind = JOB_READ, .id = LOAD_JOB_BIT | index, .urgent = true, .spans = &b->span, .spans_n = 1, .parts = b->parts};
    out->parts_n = name_parts(l, b, &out->store);
    ASSERT(out->parts_n != 0);
    b->span = (struct span){b->p, b->n};
    b->load = l;
    b->reading = true;
    l->buf = b;
    s->reading_n++;
    return true;
}

void loads_job_done(struct loads *s, uint32_t id, enum err e, uint32_t *conn)
{
    const uint32_t index = id & ~LOAD_JOB_BIT;
    ASSERT((id & LOAD_JOB_BIT) != 0);
    ASSERT(index < s->bufs_n);
    struct load_buf *b = s->bufs[index];
    ASSERT(b->reading);
    b->reading = false;
    s->reading_n--;
    *conn = b->load == NULL ? 0 : b->load->conn;
    if (e != ERR_OK && b->load != NULL)
        buf_free(b->load);
}
