// A torrent file around an info dictionary that came from peers. BEP 3, 12, 19, 52. See metainfo.h.
#include "codec/bencode.h"
#include "codec/metainfo.h"

size_t metainfo_wrap_len(const struct metainfo_wrapping *m)
{
    size_t n = 256 + m->info.n;
    for (uint32_t i = 0; i < m->trackers_n; i++)
        n += 2 * m->trackers[i].url.n + 32;
    for (uint32_t i = 0; i < m->web_seeds_n; i++)
        n += m->web_seeds[i].n + 16;
    for (uint32_t i = 0; i < m->layers_n; i++)
        n += m->layers[i].hashes.n + SHA256_LEN + 32;
    return n;
}

static void put_trackers(struct bencode_out *o, const struct metainfo_wrapping *m)
{
    if (m->trackers_n == 0)
        return;
    bencode_put_key_str(o, "announce", m->trackers[0].url);
    bencode_put_key_list(o, "announce-list");
    for (uint32_t i = 0; i < m->trackers_n; i++) {
        if (i == 0 || m->trackers[i].tier != m->trackers[i - 1].tier)
            bencode_put_list(o);
        bencode_put_str(o, m->trackers[i].url);
        if (i + 1 == m->trackers_n || m->trackers[i].tier != m->trackers[i + 1].tier)
            bencode_put_end(o);
    }
    bencode_put_end(o);
}

void metainfo_wrap(struct wr *w, const struct metainfo_wrapping *m)
{
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    put_trackers(&o, m);
    bencode_put_key(&o, SLICE_LIT("info"));
    bencode_put_raw(&o, m->info);
    if (m->layers_n != 0) {
        bencode_put_key_dict(&o, "piece layers");
        for (uint32_t i = 0; i < m->layers_n; i++) {
            bencode_put_key(&o, slice_of(m->layers[i].root, SHA256_LEN));
            bencode_put_str(&o, m->layers[i].hashes);
        }
        bencode_put_end(&o);
    }
    if (m->web_seeds_n != 0) {
        bencode_put_key_list(&o, "url-list");
        for (uint32_t i = 0; i < m->web_seeds_n; i++)
            bencode_put_str(&o, m->web_seeds[i]);
        bencode_put_end(&o);
    }
    bencode_put_end(&o);
}
