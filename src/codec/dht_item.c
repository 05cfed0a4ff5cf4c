// See dht_item.h.
#include "codec/dht_item.h"

#include "codec/bencode.h"

void dht_item_immutable(struct slice value, uint8_t out[NODE_ID_LEN]) { sha1_of(value, out); }

void dht_item_mutable(const uint8_t key[SIGN_PUBLIC_LEN], struct slice salt, uint8_t out[NODE_ID_LEN])
{
    struct sha1 h;
    sha1_init(&h);
    sha1_update(&h, slice_of(key, SIGN_PUBLIC_LEN));
    sha1_update(&h, salt);
    sha1_final(&h, out);
}

void dht_item_signed(struct wr *w, const struct dht_item *item)
{
    if (item->salt.n != 0) {
        wr_fmt(w, "4:salt%zu:", item->salt.n);
        wr_bytes(w, item->salt);
    }
    wr_str(w, "3:seqi");
    wr_dec_signed(w, item->seq);
    wr_str(w, "e1:v");
    wr_bytes(w, item->value);
}

void dht_item_sign(struct dht_item *item, const uint8_t secret[SIGN_SECRET_LEN])
{
    uint8_t space[ITEM_SIGNED_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    dht_item_signed(&w, item);
    ASSERT(w.ok);
    sign_make(secret, buf_slice(&b), item->sig);
}

bool dht_item_verify(const struct dht_item *item)
{
    if (item->value.n == 0 || item->value.n > ITEM_VALUE_MAX || item->salt.n > ITEM_SALT_MAX)
        return false;
    uint8_t space[ITEM_SIGNED_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    dht_item_signed(&w, item);
    ASSERT(w.ok);
    return sign_verify(item->key, buf_slice(&b), item->sig);
}

bool dht_item_torrent(struct slice value, uint8_t out[SHA1_LEN])
{
    struct bencode_field f[] = {{"ih", {0}}};
    struct slice hash;
    if (!bencode_fields(value, f, ARRAY_LEN(f)) || !bencode_raw_str(f[0].raw, &hash) || hash.n != SHA1_LEN)
        return false;
    memcpy(out, hash.p, SHA1_LEN);
    return true;
}

void dht_item_torrent_write(struct wr *w, const uint8_t hash[SHA1_LEN])
{
    struct bencode_out o;
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    bencode_put_key_str(&o, "ih", slice_of(hash, SHA1_LEN));
    bencode_put_end(&o);
}
