// Peers that spoil the metadata of a magnet link: false sizes, false bytes, silence, refusals, floods. BEP 9, 10. See hostile.h.
#include "sim/hostile.h"
#include "sim/net.h"
#include "sim/stream.h"

#include "codec/extended.h"
#include "codec/ut_metadata.h"

enum { META_FLOOD_PARTS = 20 };         // of each beat

static bool is_meta(const struct host *h) { return h->cfg.hostile.kind >= HOSTILE_META_HUGE; }

// What it says the info dictionary has.
static uint64_t claimed(const struct world *w, const struct host *h)
{
    const uint64_t right = hostile_meta(w, h)->info.n;
    if (h->cfg.hostile.kind == HOSTILE_META_HUGE)
        return UT_METADATA_MAX;
    return h->cfg.hostile.kind == HOSTILE_META_SIZES ? right + 1 + h->index : right;
}

void hostile_meta_greet(struct world *w, struct host *h, struct hostile_conn *hc)
{
    uint8_t space[EXTENDED_HANDSHAKE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    struct extended_handshake e = {.has_metadata_size = true, .metadata_size = claimed(w, h)};
    e.has_id[EXT_METADATA] = true;
    e.ids[EXT_METADATA] = extension_id(EXT_METADATA);
    extended_write(&wr, &e);
    ASSERT(wr.ok);
    net_send_bytes(w, hc->conn, hc->side, buf_slice(&b));
}

static void say_part(struct world *w, struct host *h, struct hostile_conn *hc, uint32_t part)
{
    uint8_t space[UT_METADATA_HEAD_MAX], data[UT_METADATA_PART];
    const uint64_t total = claimed(w, h);
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    if (part >= ut_metadata_parts(total))
        return;
    struct ut_metadata m = {.type = UT_METADATA_DATA, .part = part, .total = total};
    m.data = slice_of(data, (size_t)u64_min(UT_METADATA_PART, total - (uint64_t)part * UT_METADATA_PART));
    rng_bytes(&h->hostile->rng, data, m.data.n);
    ut_metadata_write(&wr, hc->meta_id, &m);
    ASSERT(wr.ok);
    net_send_bytes(w, hc->conn, hc->side, buf_slice(&b));
    net_send_bytes(w, hc->conn, hc->side, m.data);
    h->hostile->given_bytes += m.data.n;
}

static void refuse(struct world *w, struct hostile_conn *hc, uint32_t part)
{
    uint8_t space[UT_METADATA_HEAD_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    ut_metadata_write(&wr, hc->meta_id, &(struct ut_metadata){.type = UT_METADATA_REJECT, .part = part});
    ASSERT(wr.ok);
    net_send_bytes(w, hc->conn, hc->side, buf_slice(&b));
}

void hostile_meta_heard(struct world *w, struct host *h, struct hostile_conn *hc, struct slice body)
{
    struct extended_handshake e;
    struct ut_metadata m;
    if (body.n == 0 || !is_meta(h))
        return;
    const struct slice payload = slice_sub(body, 1, body.n);
    if (body.p[0] == 0) {
        if (extended_parse(&e, payload) == ERR_OK && e.has_id[EXT_METADATA])
            hc->meta_id = e.ids[EXT_METADATA];
        return;
    }
    if (hc->meta_id == 0 || ut_metadata_parse(&m, payload) != ERR_OK || m.type != UT_METADATA_REQUEST)
        return;
    if (h->cfg.hostile.kind == HOSTILE_META_REJECT)
        refuse(w, hc, m.part);
    else if (h->cfg.hostile.kind != HOSTILE_META_SILENT)
        say_part(w, h, hc, m.part);
}

void hostile_meta_flood(struct world *w, struct host *h, struct hostile_conn *hc)
{
    const struct pipe *p = &hc->conn->pipes[hc->side];
    for (uint32_t i = 0; hc->meta_id != 0 && i < META_FLOOD_PARTS && p->queued - p->sent < HOSTILE_FLOOD_BYTES; i++)
        say_part(w, h, hc, 0);
}
