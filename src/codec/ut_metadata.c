// Messages of ut_metadata: see ut_metadata.h. BEP 9.
#include "codec/ut_metadata.h"

#include "codec/bencode.h"
#include "codec/peerwire.h"

enum err ut_metadata_parse(struct ut_metadata *out, struct slice payload)
{
    enum { TYPE, PART, TOTAL, N };
    struct bencode_field f[N] = {[TYPE] = {.key = "msg_type"}, [PART] = {.key = "piece"}, [TOTAL] = {.key = "total_size"}};
    struct bencode b;
    int64_t type, part, total;
    bencode_init(&b, payload, BENCODE_LENIENT);
    if (bencode_peek(&b) != BENCODE_DICT || !bencode_check(&b) || !bencode_fields(payload, f, N))
        return ERR_PROTOCOL;
    if (!bencode_raw_int(f[TYPE].raw, &type) || !bencode_raw_int(f[PART].raw, &part) || part < 0 || part > INT32_MAX)
        return ERR_PROTOCOL;
    if (type < UT_METADATA_REQUEST || type > UT_METADATA_REJECT)
        return ERR_UNSUPPORTED;
    struct ut_metadata m = {.type = (enum ut_metadata_type)type, .part = (uint32_t)part};
    if (m.type == UT_METADATA_DATA) {
        m.data = slice_sub(payload, b.at, payload.n);   // the data has no length of its own: it begins where the dictionary ends
        if (m.data.n == 0 || m.data.n > UT_METADATA_PART)
            return ERR_PROTOCOL;
        if (bencode_raw_int(f[TOTAL].raw, &total) && total > 0)
            m.total = (uint64_t)total;
    }
    *out = m;
    return ERR_OK;
}

void ut_metadata_write(struct wr *w, uint8_t id, const struct ut_metadata *m)
{
    uint8_t space[UT_METADATA_HEAD_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr dictionary = wr_make(&b);
    struct bencode_out o;
    ASSERT(m->data.n <= UT_METADATA_PART);
    bencode_out_init(&o, &dictionary);
    bencode_put_dict(&o);
    bencode_put_key_int(&o, "msg_type", m->type);
    bencode_put_key_int(&o, "piece", m->part);
    if (m->type == UT_METADATA_DATA)
        bencode_put_key_int(&o, "total_size", (int64_t)m->total);
    bencode_put_end(&o);
    ASSERT(dictionary.ok);
    if (!w->ok || buf_room(w->b) < 6 + b.n) {
        w->ok = false;
        return;
    }
    wr_be32(w, u32_of(2 + b.n + (m->type == UT_METADATA_DATA ? m->data.n : 0)));
    wr_u8(w, MSG_EXTENDED);
    wr_u8(w, id);
    wr_bytes(w, buf_slice(&b));
}
