// The extension handshake: see extended.h. BEP 10.
#include "codec/extended.h"

#include "codec/bencode.h"
#include "codec/peerwire.h"

// In bencode's order, which extended_write needs.
static const char *const names[EXTENSIONS_N] = {
    [EXT_DONTHAVE] = "lt_donthave", [EXT_UPLOAD_ONLY] = "upload_only", [EXT_HOLEPUNCH] = "ut_holepunch",
    [EXT_METADATA] = "ut_metadata", [EXT_PEX] = "ut_pex",
};

const char *extension_name(enum extension e)
{
    ASSERT(e < EXTENSIONS_N);
    return names[e];
}

// A number in 0 … max.
static bool number(struct slice raw, int64_t max, int64_t *out)
{
    int64_t v;
    if (!bencode_raw_int(raw, &v) || v < 0 || v > max)
        return false;
    *out = v;
    return true;
}

static void parse_ids(struct extended_handshake *h, struct slice raw)
{
    struct bencode_field fields[EXTENSIONS_N];
    for (int i = 0; i < EXTENSIONS_N; i++)
        fields[i] = (struct bencode_field){.key = names[i]};
    if (!bencode_fields(raw, fields, EXTENSIONS_N))
        return;
    for (int i = 0; i < EXTENSIONS_N; i++) {
        int64_t v;
        h->has_id[i] = number(fields[i].raw, UINT8_MAX, &v);
        if (h->has_id[i])
            h->ids[i] = u8_of((uint64_t)v);
    }
}

enum err extended_parse(struct extended_handshake *out, struct slice payload)
{
    enum { M, SIZE, PORT, REQQ, UPLOAD_ONLY, CLIENT, YOUR_IP, N };
    struct bencode_field f[N] = {
        [M] = {.key = "m"}, [SIZE] = {.key = "metadata_size"}, [PORT] = {.key = "p"}, [REQQ] = {.key = "reqq"},
        [UPLOAD_ONLY] = {.key = "upload_only"}, [CLIENT] = {.key = "v"}, [YOUR_IP] = {.key = "yourip"},
    };
    if (!bencode_fields(payload, f, N))
        return ERR_PROTOCOL;
    struct extended_handshake h = {0};
    int64_t v;
    parse_ids(&h, f[M].raw);
    h.has_metadata_size = number(f[SIZE].raw, INT64_MAX, &v) && v != 0;
    h.metadata_size = h.has_metadata_size ? (uint64_t)v : 0;
    h.has_listen_port = number(f[PORT].raw, UINT16_MAX, &v) && v != 0;
    h.listen_port = h.has_listen_port ? u16_of((uint64_t)v) : 0;
    h.has_reqq = number(f[REQQ].raw, INT64_MAX, &v);
    h.reqq = h.has_reqq ? (uint32_t)u64_min((uint64_t)v, UINT32_MAX) : 0;
    h.has_upload_only = number(f[UPLOAD_ONLY].raw, INT64_MAX, &v);
    h.upload_only = h.has_upload_only && v != 0;
    struct slice text;
    if (bencode_raw_str(f[CLIENT].raw, &text))
        h.client = slice_sub(text, 0, EXTENDED_CLIENT_MAX);
    if (bencode_raw_str(f[YOUR_IP].raw, &text) && (text.n == 4 || text.n == 16))
        h.your_ip = text.n == 4 ? addr_ipv4(text.p, 0) : addr_ipv6(text.p, 0);
    *out = h;
    return ERR_OK;
}

static void write_dictionary(struct wr *w, const struct extended_handshake *h)
{
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    bencode_put_key_dict(&o, "m");
    for (int i = 0; i < EXTENSIONS_N; i++)
        if (h->has_id[i])
            bencode_put_key_int(&o, names[i], h->ids[i]);
    bencode_put_end(&o);
    if (h->has_metadata_size)
        bencode_put_key_int(&o, "metadata_size", (int64_t)u64_min(h->metadata_size, INT64_MAX));
    if (h->has_listen_port)
        bencode_put_key_int(&o, "p", h->listen_port);
    if (h->has_reqq)
        bencode_put_key_int(&o, "reqq", h->reqq);
    if (h->has_upload_only)
        bencode_put_key_int(&o, "upload_only", h->upload_only);
    if (h->client.n != 0)
        bencode_put_key_str(&o, "v", slice_sub(h->client, 0, EXTENDED_CLIENT_MAX));
    if (h->your_ip.family != ADDR_NONE)
        bencode_put_key_str(&o, "yourip", addr_ip(&h->your_ip));
    bencode_put_end(&o);
}

void extended_write(struct wr *w, const struct extended_handshake *h)
{
    uint8_t space[EXTENDED_HANDSHAKE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr dictionary = wr_make(&b);
    write_dictionary(&dictionary, h);
    ASSERT(dictionary.ok);
    peer_msg_write(w, &(struct peer_msg){.id = MSG_EXTENDED, .payload = buf_slice(&b)});
}
