// Magnet links. BEP 9 (xt, dn, tr, x.pe), BEP 19 (ws), BEP 46 (xs, s), BEP 52 (btmh), BEP 53 (so).
#pragma once
#include "base/addr.h"
#include "base/bits.h"
#include "codec/dht_item.h"

enum {
    MAGNET_BYTES_MAX = 65536,           // of a whole link
    MAGNET_TRACKERS_MAX = 128,          // the rest is ignored; as for the next two
    MAGNET_WEB_SEEDS_MAX = 64,
    MAGNET_PEERS_MAX = 64,
    MAGNET_FILE_MAX = 10000,            // greatest file index in so=; as libtorrent: "so=0-2000000000" is a memory bomb
};

struct magnet {
    bool has_v1, has_v2;                // neither: only has_key
    bool has_key;                       // the hash is what the newest mutable item of this key in the DHT says
    uint8_t key[SIGN_PUBLIC_LEN];
    struct slice salt;                  // of that item, at most ITEM_SALT_MAX
    uint8_t hash_v1[SHA1_LEN];
    uint8_t hash_v2[SHA256_LEN];
    struct slice name;                  // as given: any bytes, not safe as a file name; empty: none
    struct slice trackers[MAGNET_TRACKERS_MAX];     // each is a tier of its own
    struct slice web_seeds[MAGNET_WEB_SEEDS_MAX];
    struct addr peers[MAGNET_PEERS_MAX];            // literal addresses only
    uint32_t trackers_n, web_seeds_n, peers_n;
    bool has_files;                     // some files are selected: those of files_wanted, in the torrent's order with pads
    uint8_t files_wanted[MAGNET_FILE_MAX / 8 + 1];  // bits.h
};

// Reads a link. What it hands out is decoded into `scratch`, behind what is there already; text.n bytes are enough room.
// ERR_SYNTAX: not a magnet link, broken escaping of a parameter that we use, a broken info-hash or key, or neither;
// ERR_TOO_LONG: over MAGNET_BYTES_MAX, or no room in scratch. *out is untouched on failure.
MUST_USE enum err magnet_parse(struct magnet *out, struct slice text, struct buf *scratch);

// Writes a link with all of m; without a hash or a key it would be none, so one must be there.
void magnet_write(struct wr *w, const struct magnet *m);
