// The UDP tracker protocol: see announce_udp.h. BEP 15, 41.
#include "codec/announce_udp.h"

static const uint64_t PROTOCOL_ID = 0x41727101980;      // BEP 15, "magic constant"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_URL = 2, OPTION_LEN_MAX = 255 };    // BEP 41

static enum announce_event event_of(uint32_t v)
{
    switch (v) {
    case ANNOUNCE_COMPLETED: return ANNOUNCE_COMPLETED;
    case ANNOUNCE_STARTED: return ANNOUNCE_STARTED;
    case ANNOUNCE_STOPPED: return ANNOUNCE_STOPPED;
    default: return ANNOUNCE_NONE;
    }
}

static void parse_announce(struct rd *r, struct udp_request *q)
{
    struct announce *a = &q->announce;
    rd_copy(r, a->info_hash, sizeof a->info_hash);
    rd_copy(r, a->peer_id, sizeof a->peer_id);
    a->downloaded = rd_be64(r);
    a->left = rd_be64(r);
    a->uploaded = rd_be64(r);
    a->event = event_of(rd_be32(r));
    (void)rd_be32(r);                   // IP address: never believed
    a->key = rd_be32(r);
    a->numwant = rd_be32(r);
    a->port = rd_be16(r);
    q->options = slice_of(r->p, r->n);
}

enum err udp_request_parse(struct udp_request *out, struct slice bytes)
{
    struct rd r = rd_make(bytes);
    struct udp_request q = {.connection_id = rd_be64(&r)};
    const uint32_t action = rd_be32(&r);
    q.transaction = rd_be32(&r);
    switch (action) {
    case UDP_CONNECT:
        q.action = UDP_CONNECT;
        if (q.connection_id != PROTOCOL_ID)
            return ERR_PROTOCOL;
        break;
    case UDP_ANNOUNCE:
        q.action = UDP_ANNOUNCE;
        parse_announce(&r, &q);
        break;
    case UDP_SCRAPE:
        q.action = UDP_SCRAPE;
        q.hashes = slice_of(r.p, size_min(r.n / ANNOUNCE_HASH_LEN, UDP_SCRAPE_MAX) * ANNOUNCE_HASH_LEN);
        if (q.hashes.n == 0)
            return ERR_PROTOCOL;
        break;
    default:
        return ERR_PROTOCOL;
    }
    if (!r.ok)
        return ERR_PROTOCOL;
    *out = q;
    return ERR_OK;
}

enum err udp_reply_parse(struct udp_reply *out, struct slice bytes)
{
    struct rd r = rd_make(bytes);
    const uint32_t action = rd_be32(&r);
    struct udp_reply y = {.transaction = rd_be32(&r)};
    switch (action) {
    case UDP_CONNECT:
        y.action = UDP_CONNECT;
        y.connection_id = rd_be64(&r);
        break;
    case UDP_ANNOUNCE:
        y.action = UDP_ANNOUNCE;
        y.interval_s = rd_be32(&r);
        y.leeches = rd_be32(&r);
        y.seeds = rd_be32(&r);
        break;
    case UDP_SCRAPE:
        y.action = UDP_SCRAPE;
        break;
    case UDP_ERROR:
        y.action = UDP_ERROR;
        break;
    default:
        return ERR_PROTOCOL;
    }
    if (!r.ok)
        return ERR_PROTOCOL;
    y.body = slice_of(r.p, r.n);
    *out = y;
    return ERR_OK;
}

bool udp_scrape_item(struct slice body, uint32_t i, struct udp_scrape_item *out)
{
    struct rd r = rd_make(slice_sub(body, (size_t)i * UDP_SCRAPE_ITEM_LEN, UDP_SCRAPE_ITEM_LEN));
    struct udp_scrape_item item;
    item.seeds = rd_be32(&r);
    item.downloaded = rd_be32(&r);
    item.leeches = rd_be32(&r);
    if (!r.ok)
        return false;
    *out = item;
    return true;
}

void udp_connect_write(struct wr *w, uint32_t transaction)
{
    wr_be64(w, PROTOCOL_ID);
    wr_be32(w, UDP_CONNECT);
    wr_be32(w, transaction);
}

void udp_announce_write(struct wr *w, uint64_t connection_id, uint32_t transaction, const struct announce *a, struct slice path)
{
    wr_be64(w, connection_id);
    wr_be32(w, UDP_ANNOUNCE);
    wr_be32(w, transaction);
    wr_bytes(w, slice_of(a->info_hash, sizeof a->info_hash));
    wr_bytes(w, slice_of(a->peer_id, sizeof a->peer_id));
    wr_be64(w, a->downloaded);
    wr_be64(w, a->left);                // unknown is all ones, as libtorrent and Transmission send it
    wr_be64(w, a->uploaded);
    wr_be32(w, a->event == ANNOUNCE_PAUSED ? ANNOUNCE_NONE : a->event);
    wr_be32(w, 0);                      // the tracker takes the source address
    wr_be32(w, a->key);
    wr_be32(w, a->numwant);             // unknown is -1
    wr_be16(w, a->port);
    if (path.n != 0)
        udp_options_write(w, path);
}

void udp_scrape_write(struct wr *w, uint64_t connection_id, uint32_t transaction, struct slice hashes)
{
    ASSERT(hashes.n != 0);
    ASSERT(hashes.n % ANNOUNCE_HASH_LEN == 0);
    ASSERT(hashes.n / ANNOUNCE_HASH_LEN <= UDP_SCRAPE_MAX);
    wr_be64(w, connection_id);
    wr_be32(w, UDP_SCRAPE);
    wr_be32(w, transaction);
    wr_bytes(w, hashes);
}

void udp_connect_reply_write(struct wr *w, uint32_t transaction, uint64_t connection_id)
{
    wr_be32(w, UDP_CONNECT);
    wr_be32(w, transaction);
    wr_be64(w, connection_id);
}

void udp_announce_reply_write(struct wr *w, const struct udp_reply *r)
{
    wr_be32(w, UDP_ANNOUNCE);
    wr_be32(w, r->transaction);
    wr_be32(w, r->interval_s);
    wr_be32(w, r->leeches);
    wr_be32(w, r->seeds);
}

void udp_scrape_reply_write(struct wr *w, uint32_t transaction)
{
    wr_be32(w, UDP_SCRAPE);
    wr_be32(w, transaction);
}

void udp_scrape_item_write(struct wr *w, const struct udp_scrape_item *item)
{
    wr_be32(w, item->seeds);
    wr_be32(w, item->downloaded);
    wr_be32(w, item->leeches);
}

void udp_error_write(struct wr *w, uint32_t transaction, const char *text)
{
    wr_be32(w, UDP_ERROR);
    wr_be32(w, transaction);
    wr_str(w, text);
}

void udp_options_write(struct wr *w, struct slice path)
{
    size_t at = 0;
    do {
        const struct slice part = slice_sub(path, at, OPTION_LEN_MAX);
        wr_u8(w, OPTION_URL);
        wr_u8(w, u8_of(part.n));
        wr_bytes(w, part);
        at += OPTION_LEN_MAX;
    } while (at < path.n);
}

enum err udp_options_path(struct slice options, struct wr *w)
{
    struct rd r = rd_make(options);
    while (r.n != 0) {
        const uint8_t type = rd_u8(&r);
        if (type == OPTION_END)
            break;
        if (type == OPTION_NOP)
            continue;
        const struct slice data = rd_bytes(&r, rd_u8(&r));
        if (!r.ok)
            return ERR_SYNTAX;
        if (type == OPTION_URL)
            wr_bytes(w, data);
    }
    return w->ok ? ERR_OK : ERR_TOO_LONG;
}
