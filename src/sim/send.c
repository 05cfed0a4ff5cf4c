// From what a node wants sent to the parts of a stream: bytes are copied, content stays a reference. See net.h.
#include "sim/job.h"
#include "sim/net.h"
#include "sim/net_int.h"
#include "sim/oracle.h"
#include "sim/stream.h"
#include "sim/watch.h"

static struct part *part_new(struct world *w, uint64_t len, size_t bytes_n, bool payload)
{
    struct part *part = mem_zalloc(w->env->mem, sizeof *part + bytes_n);
    ASSERT(part != NULL);
    part->len = len;
    part->bytes_n = bytes_n;
    part->payload = payload;
    return part;
}

static void append(struct world *w, struct pipe *p, struct part *part)
{
    if (p->tail == NULL)
        p->head = part;
    else
        p->tail->next = part;
    p->tail = part;
    if (p->cursor == NULL) {
        p->cursor = part;
        p->cursor_off = 0;
    }
    p->queued += part->len;
    watch_said(w, p, part);
}

// Whether the bytes lie in a node's payload memory: then they travel as content, in both modes alike.
static bool is_payload(const struct world *w, const struct host *h, const uint8_t *p)
{
    if (w->cfg.payload == PAYLOAD_REF)
        return payload_is_ref(&w->arena, p);
    LIST_EACH(&h->payload.slabs, link, save) {
        const struct payload_slab *s = CONTAINER(link, struct payload_slab, link);
        if ((uintptr_t)p >= (uintptr_t)s->base && (uintptr_t)p - (uintptr_t)s->base < s->len)
            return true;
    }
    return false;
}

static struct part *part_of_memory(struct world *w, const struct host *h, struct slice bytes)
{
    const bool payload = is_payload(w, h, bytes.p);
    if (!payload || w->cfg.payload == PAYLOAD_BYTES) {
        struct part *part = part_new(w, bytes.n, bytes.n, payload);
        memcpy(part->bytes, bytes.p, bytes.n);
        return part;
    }
    struct part *part = part_new(w, bytes.n, 0, true);
    for (size_t done = 0; done < bytes.n;) {
        struct extent e = payload_at(&w->arena, bytes.p + done, bytes.n - done);
        oracle_upload(w, h, &e);
        if (e.content == CONTENT_NONE)
            e.content = CONTENT_ZERO;
        e.pos = done;
        extents_put(&part->ref, w->env->mem, &e);
        done += (size_t)e.len;
    }
    return part;
}

static void part_drop(struct world *w, struct part *part)
{
    extents_done(&part->ref, w->env->mem);
    mem_free(w->env->mem, part, sizeof *part + part->bytes_n);
}

static enum err part_of_file(struct world *w, struct host *h, const struct io_seg *seg, struct part **out)
{
    const bool bytes = w->cfg.payload == PAYLOAD_BYTES;
    struct part *part = part_new(w, seg->len, bytes ? (size_t)seg->len : 0, true);
    if (seg->file == IO_FILE_ZERO) {
        const struct extent zero = extent_range(0, seg->len);
        if (!bytes)
            extents_put(&part->ref, w->env->mem, &zero);
    } else {
        const enum err e = job_read_for_send(w, h, seg, &part->ref, part->bytes);
        if (e != ERR_OK) {
            part_drop(w, part);
            return e;
        }
    }
    *out = part;
    return ERR_OK;
}

enum err net_send(struct world *w, struct end *end, const struct io_seg *segs, uint32_t n, uint32_t *out_bad)
{
    ASSERT(end->state != END_GONE);
    struct pipe *p = &end->conn->pipes[end->side];
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < n && e == ERR_OK; i++) {
        struct part *part = NULL;
        if (segs[i].kind == SEG_BYTES ? segs[i].bytes.n == 0 : segs[i].len == 0)
            continue;
        if (segs[i].kind == SEG_BYTES)
            part = part_of_memory(w, end->host, segs[i].bytes);
        else
            e = part_of_file(w, end->host, &segs[i], &part);
        if (e != ERR_OK) {
            *out_bad = i;
            break;
        }
        if (part->payload)
            w->totals.payload_up_bytes += part->len;
        append(w, p, part);
    }
    pipe_kick(w, p);
    return e;
}

void net_send_bytes(struct world *w, struct conn *c, uint32_t end, struct slice bytes)
{
    if (bytes.n == 0 || c->ends[end].state == END_GONE)
        return;
    struct part *part = part_new(w, bytes.n, bytes.n, false);
    memcpy(part->bytes, bytes.p, bytes.n);
    append(w, &c->pipes[end], part);
    pipe_kick(w, &c->pipes[end]);
}

void net_send_extent(struct world *w, struct conn *c, uint32_t end, const struct extent *e)
{
    if (e->len == 0 || c->ends[end].state == END_GONE)
        return;
    const bool bytes = w->cfg.payload == PAYLOAD_BYTES;
    struct part *part = part_new(w, e->len, bytes ? (size_t)e->len : 0, true);
    struct extent at = *e;
    at.pos = 0;
    if (bytes)
        content_bytes(&w->content, &at, part->bytes);
    else
        extents_put(&part->ref, w->env->mem, &at);
    append(w, &c->pipes[end], part);
    pipe_kick(w, &c->pipes[end]);
}
