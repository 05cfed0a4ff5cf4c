// See record.h.
#include "codec/record.h"

enum { HEAD = 1 + 8 + 8 * RECORD_NUMS + 1 + 16 + 2 + 4 * RECORD_SLICES_MAX };   // of a frame, without its length

static const char *const names[RECORD_KINDS] = {
    "none", "new", "tick", "accept", "connected", "room", "rx", "sent", "closed", "datagram", "job-done", "fetched", "resolved", "saved",
    "read-failed", "add", "priorities", "peer", "stop", "admit", "drained", "mapped", "remove", "limits", "blocked", "magnet",
    "begin", "select", "head", "web-room", "web-rx", "network", "plain", "datagrams", "ask", "known",
};

const char *record_name(enum record_kind kind)
{
    ASSERT(kind < RECORD_KINDS);
    return names[kind];
}

size_t record_size(const struct record *r)
{
    size_t n = 4 + HEAD;
    for (size_t i = 0; i < RECORD_SLICES_MAX; i++)
        n += r->slice[i].n;
    return n;
}

void record_write(struct wr *w, const struct record *r)
{
    ASSERT(record_size(r) <= RECORD_FRAME_MAX);
    wr_be32(w, u32_of(record_size(r) - 4));
    wr_u8(w, (uint8_t)r->kind);
    wr_be64(w, r->now);
    for (size_t i = 0; i < RECORD_NUMS; i++)
        wr_be64(w, r->num[i]);
    wr_u8(w, r->addr.family);
    wr_bytes(w, slice_of(r->addr.ip, sizeof r->addr.ip));
    wr_be16(w, r->addr.port);
    for (size_t i = 0; i < RECORD_SLICES_MAX; i++)
        wr_be32(w, u32_of(r->slice[i].n));
    for (size_t i = 0; i < RECORD_SLICES_MAX; i++)
        if (r->slice[i].n > 0)
            wr_bytes(w, r->slice[i]);
}

bool record_is_whole(struct rd r)
{
    const uint32_t n = rd_be32(&r);
    return r.ok && (n <= r.n || n > RECORD_FRAME_MAX);
}

enum err record_read(struct rd *r, struct record *out)
{
    const uint32_t n = rd_be32(r);
    if (!r->ok || n < HEAD || n > RECORD_FRAME_MAX || n > r->n)
        return ERR_SYNTAX;
    struct rd f = rd_make(rd_bytes(r, n));
    struct record got = {0};
    const uint8_t kind = rd_u8(&f);
    got.now = rd_be64(&f);
    for (size_t i = 0; i < RECORD_NUMS; i++)
        got.num[i] = rd_be64(&f);
    got.addr.family = rd_u8(&f);
    rd_copy(&f, got.addr.ip, sizeof got.addr.ip);
    got.addr.port = rd_be16(&f);
    uint32_t lens[RECORD_SLICES_MAX];
    for (size_t i = 0; i < RECORD_SLICES_MAX; i++)
        lens[i] = rd_be32(&f);
    for (size_t i = 0; i < RECORD_SLICES_MAX; i++)
        got.slice[i] = rd_bytes(&f, lens[i]);
    const bool family = got.addr.family == ADDR_NONE || got.addr.family == ADDR_IPV4 || got.addr.family == ADDR_IPV6;
    if (!f.ok || f.n != 0 || kind == RECORD_NONE || kind >= RECORD_KINDS || !family)
        return ERR_SYNTAX;
    got.kind = (enum record_kind)kind;
    *out = got;
    return ERR_OK;
}
