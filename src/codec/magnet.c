// Magnet links: see magnet.h.
#include "codec/magnet.h"

#include "base/fold.h"
#include "codec/url.h"

enum { BTIH_BASE32_LEN = 32, BTMH_PREFIX = 0x1220 };     // multihash: SHA-256, 32 bytes

// Whether s begins with a lower-case prefix, in any case; *s goes behind it then.
static bool skip_prefix(struct slice *s, const char *prefix)
{
    if (!fold_starts(*s, prefix))
        return false;
    *s = slice_sub(*s, strlen(prefix), s->n);
    return true;
}

// "tr" or one of "tr.0", "tr.1" …: several of a kind are numbered by some.
static bool is_key(struct slice key, const char *name)
{
    if (!skip_prefix(&key, name))
        return false;
    if (key.n == 0)
        return true;
    if (key.n < 2 || key.p[0] != '.')
        return false;
    uint64_t number;
    return dec_parse(slice_sub(key, 1, key.n), UINT32_MAX, &number) == ERR_OK;
}

// RFC 4648 §6, without padding: 32 characters are 20 bytes.
static enum err base32_parse(struct slice text, uint8_t out[SHA1_LEN])
{
    ASSERT(text.n == BTIH_BASE32_LEN);
    uint8_t bytes[SHA1_LEN];
    uint32_t bits = 0, bits_n = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t c = fold(text.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '2' && c <= '7'))
            return ERR_SYNTAX;
        bits = (bits << 5 | (uint32_t)(c >= 'a' ? c - 'a' : c - '2' + 26)) & 0xfff;
        bits_n += 5;
        if (bits_n >= 8) {
            bits_n -= 8;
            bytes[n++] = (uint8_t)(bits >> bits_n);
        }
    }
    ASSERT(n == SHA1_LEN);
    memcpy(out, bytes, SHA1_LEN);
    return ERR_OK;
}

// The first hash of a kind counts. Other URNs are not ours.
static enum err take_topic(struct magnet *m, struct slice value)
{
    if (skip_prefix(&value, "urn:btih:")) {
        uint8_t hash[SHA1_LEN];
        const enum err e = value.n == BTIH_BASE32_LEN ? base32_parse(value, hash) : hex_parse(value, hash, sizeof hash);
        if (e == ERR_OK && !m->has_v1) {
            memcpy(m->hash_v1, hash, sizeof hash);
            m->has_v1 = true;
        }
        return e;
    }
    if (skip_prefix(&value, "urn:btmh:")) {
        uint8_t hash[2 + SHA256_LEN];
        const enum err e = hex_parse(value, hash, sizeof hash);
        if (e != ERR_OK || (hash[0] << 8 | hash[1]) != BTMH_PREFIX)
            return ERR_SYNTAX;
        if (!m->has_v2) {
            memcpy(m->hash_v2, hash + 2, SHA256_LEN);
            m->has_v2 = true;
        }
    }
    return ERR_OK;
}

// BEP 46: a source that is a key. Other sources (the URL of a torrent file) are not ours.
static enum err take_source(struct magnet *m, struct slice value)
{
    if (!skip_prefix(&value, "urn:btpk:"))
        return ERR_OK;
    uint8_t key[SIGN_PUBLIC_LEN];
    const enum err e = hex_parse(value, key, sizeof key);
    if (e == ERR_OK && !m->has_key) {
        memcpy(m->key, key, sizeof key);
        m->has_key = true;
    }
    return e;
}

// Hex, decoded in its place: half of it.
static enum err take_salt(struct magnet *m, struct slice value, struct buf *scratch)
{
    uint8_t salt[ITEM_SALT_MAX];
    if (value.n % 2 != 0 || value.n / 2 > sizeof salt || hex_parse(value, salt, value.n / 2) != ERR_OK)
        return ERR_SYNTAX;
    if (value.n == 0 || m->salt.n != 0)
        return ERR_OK;
    scratch->n -= value.n;
    struct wr w = wr_make(scratch);
    wr_bytes(&w, slice_of(salt, value.n / 2));
    ASSERT(w.ok);
    m->salt = slice_sub(buf_slice(scratch), scratch->n - value.n / 2, scratch->n);
    return ERR_OK;
}

static void take_peer(struct magnet *m, struct slice value)
{
    struct addr peer;
    if (m->peers_n < MAGNET_PEERS_MAX && addr_parse(value, 0, &peer) == ERR_OK && peer.port != 0)
        m->peers[m->peers_n++] = peer;
}

// BEP 53: "0,2,4,6-8". What is malformed or above MAGNET_FILE_MAX is left out.
static void take_files(struct magnet *m, struct slice value)
{
    for (size_t at = 0, n; at < value.n; at += n + 1) {
        n = 0;
        size_t dash = SIZE_MAX;
        for (; at + n < value.n && value.p[at + n] != ','; n++)
            if (value.p[at + n] == '-' && dash == SIZE_MAX)
                dash = n;
        const struct slice item = slice_sub(value, at, n);
        uint64_t first, last;
        if (dec_parse(slice_sub(item, 0, dash), MAGNET_FILE_MAX, &first) != ERR_OK)
            continue;
        last = first;
        if (dash != SIZE_MAX && dec_parse(slice_sub(item, dash + 1, n), MAGNET_FILE_MAX, &last) != ERR_OK)
            continue;
        for (uint64_t i = first; i <= last; i++) {
            bits_set(m->files_wanted, i);
            m->has_files = true;
        }
    }
}

static void add(struct slice *list, uint32_t *n, uint32_t max, struct slice item)
{
    if (*n < max && item.n > 0)
        list[(*n)++] = item;
}

// Decodes into what is left of scratch; in a name '+' is a blank, as forms write it.
static enum err decode(struct buf *scratch, struct slice text, bool plus_is_blank, struct slice *out)
{
    const size_t from = scratch->n;
    struct wr w = wr_make(scratch);
    for (size_t at = 0, n; at < text.n; at += n + 1) {
        for (n = 0; at + n < text.n && !(plus_is_blank && text.p[at + n] == '+');)
            n++;
        const enum err e = url_decode(&w, slice_sub(text, at, n));
        if (e != ERR_OK) {
            scratch->n = from;
            return e;
        }
        if (at + n < text.n)
            wr_u8(&w, ' ');
    }
    *out = slice_sub(buf_slice(scratch), from, scratch->n);
    return w.ok ? ERR_OK : ERR_TOO_LONG;
}

static enum err take(struct magnet *m, struct slice key, struct slice text, struct buf *scratch)
{
    const bool is_topic = is_key(key, "xt"), is_name = is_key(key, "dn");
    const bool is_peer = is_key(key, "x.pe"), is_files = is_key(key, "so");
    const bool is_tracker = is_key(key, "tr"), is_web_seed = is_key(key, "ws");
    const bool is_source = is_key(key, "xs"), is_salt = slice_eq_str(key, "s"), must = is_topic || is_source || is_salt;
    if (!must && !is_name && !is_peer && !is_files && !is_tracker && !is_web_seed)
        return ERR_OK;
    const size_t before = scratch->n;
    struct slice value = {0};
    const enum err e = decode(scratch, text, is_name, &value);
    if (e == ERR_TOO_LONG)
        return e;
    if (e != ERR_OK)
        return must ? e : ERR_OK;       // of the others one that is broken is only left out
    if (is_tracker)
        add(m->trackers, &m->trackers_n, MAGNET_TRACKERS_MAX, value);
    else if (is_web_seed)
        add(m->web_seeds, &m->web_seeds_n, MAGNET_WEB_SEEDS_MAX, value);
    else if (is_name && m->name.n == 0)
        m->name = value;
    else if (is_salt)
        return take_salt(m, value, scratch);
    else
        scratch->n = before;
    if (is_peer)
        take_peer(m, value);
    if (is_files)
        take_files(m, value);
    return is_topic ? take_topic(m, value) : is_source ? take_source(m, value) : ERR_OK;
}

enum err magnet_parse(struct magnet *out, struct slice text, struct buf *scratch)
{
    if (text.n > MAGNET_BYTES_MAX)
        return ERR_TOO_LONG;
    if (!skip_prefix(&text, "magnet:"))
        return ERR_SYNTAX;
    size_t at = 0;
    while (at < text.n && text.p[at] == '/')
        at++;                           // "magnet:///?"
    if (at == text.n || text.p[at] != '?')
        return ERR_SYNTAX;
    struct slice query = slice_sub(text, at + 1, text.n), key, value;
    struct magnet m = {0};
    while (url_query_next(&query, &key, &value)) {
        const enum err e = take(&m, key, value, scratch);
        if (e != ERR_OK)
            return e;
    }
    if (!m.has_v1 && !m.has_v2 && !m.has_key)
        return ERR_SYNTAX;
    *out = m;
    return ERR_OK;
}

static void write_files(struct wr *w, const struct magnet *m)
{
    const char *between = "&so=";
    for (uint32_t i = 0; i <= MAGNET_FILE_MAX; i++) {
        if (!bits_get(m->files_wanted, i))
            continue;
        uint32_t last = i;
        while (last < MAGNET_FILE_MAX && bits_get(m->files_wanted, last + 1))
            last++;
        wr_str(w, between);
        wr_dec(w, i);
        if (last > i) {
            wr_u8(w, '-');
            wr_dec(w, last);
        }
        between = ",";
        i = last;
    }
}

static void write_text(struct wr *w, const char *key, struct slice text)
{
    wr_str(w, key);
    url_encode(w, text);
}

void magnet_write(struct wr *w, const struct magnet *m)
{
    ASSERT(m->has_v1 || m->has_v2 || m->has_key);
    wr_str(w, "magnet:?");
    if (m->has_v1) {
        wr_str(w, "xt=urn:btih:");
        wr_hex(w, slice_of(m->hash_v1, SHA1_LEN));
    }
    if (m->has_v2) {
        wr_str(w, m->has_v1 ? "&xt=urn:btmh:1220" : "xt=urn:btmh:1220");
        wr_hex(w, slice_of(m->hash_v2, SHA256_LEN));
    }
    if (m->has_key) {
        wr_str(w, m->has_v1 || m->has_v2 ? "&xs=urn:btpk:" : "xs=urn:btpk:");
        wr_hex(w, slice_of(m->key, SIGN_PUBLIC_LEN));
        if (m->salt.n > 0) {
            wr_str(w, "&s=");
            wr_hex(w, m->salt);
        }
    }
    if (m->name.n > 0)
        write_text(w, "&dn=", m->name);
    for (uint32_t i = 0; i < m->trackers_n; i++)
        write_text(w, "&tr=", m->trackers[i]);
    for (uint32_t i = 0; i < m->web_seeds_n; i++)
        write_text(w, "&ws=", m->web_seeds[i]);
    for (uint32_t i = 0; i < m->peers_n; i++) {
        char text[ADDR_TEXT_MAX];
        wr_str(w, "&x.pe=");
        wr_str(w, addr_format(&m->peers[i], text));
    }
    if (m->has_files)
        write_files(w, m);
}
