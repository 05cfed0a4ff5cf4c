// Items kept in the DHT: immutable ones are named by the hash of what they hold, mutable ones by a key. BEP 44, 46.
#pragma once
#include "base/bytes.h"
#include "codec/node_id.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

enum {
    ITEM_VALUE_MAX = 1000,              // bytes, bencoded
    ITEM_SALT_MAX = 64,
    ITEM_SIGNED_MAX = ITEM_VALUE_MAX + ITEM_SALT_MAX + 64,
};

// What a mutable item says; value is one whole bencoded value.
struct dht_item {
    struct slice value, salt;           // salt: empty if there is none
    uint8_t key[SIGN_PUBLIC_LEN];
    int64_t seq;
    uint8_t sig[SIGN_LEN];
};

// Where an immutable item lives: SHA-1 of the bencoded value.
void dht_item_immutable(struct slice value, uint8_t out[NODE_ID_LEN]);
// Where a mutable item lives: SHA-1 of key and salt.
void dht_item_mutable(const uint8_t key[SIGN_PUBLIC_LEN], struct slice salt, uint8_t out[NODE_ID_LEN]);
// Writes the bytes that are signed; ITEM_SIGNED_MAX of room is enough. Value and salt within their limits.
void dht_item_signed(struct wr *w, const struct dht_item *item);
// Fills in item->sig. `secret` belongs to item->key.
void dht_item_sign(struct dht_item *item, const uint8_t secret[SIGN_SECRET_LEN]);
// Whether value and salt are within limits and the signature is the key's.
bool dht_item_verify(const struct dht_item *item);

// The value of an item that names a torrent, d2:ih20:…e (BEP 46): its v1 info-hash. False: it is something else.
bool dht_item_torrent(struct slice value, uint8_t out[SHA1_LEN]);
void dht_item_torrent_write(struct wr *w, const uint8_t hash[SHA1_LEN]);
