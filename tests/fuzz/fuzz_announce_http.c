// HTTP trackers: replies and scrapes as a client reads them; requests and queries as a tracker reads them.
#include "codec/announce_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void client(struct slice in)
{
    static const uint8_t hash[20] = "aaaaaaaaaaaaaaaaaaaa";
    struct announce_reply r;
    struct announce_peers p;
    struct scrape_counts c;
    struct addr a;
    (void)scrape_reply_find(in, hash, &c);
    if (announce_reply_parse(&r, in) != ERR_OK)
        return;
    announce_peers_init(&p, &r);
    size_t count = 0;
    while (announce_peers_next(&p, &a)) {
        ASSERT(a.port != 0);
        count++;
    }
    ASSERT(count <= in.n);
    ASSERT(!announce_peers_next(&p, &a));
}

static void tracker(struct slice in)
{
    struct http_request q;
    struct announce_query aq;
    const char *why = NULL;
    uint8_t hashes[74][20];
    struct slice query = in;
    if (http_request_parse(&q, in) == ERR_OK) {
        ASSERT(q.len <= in.n);
        query = q.query;
    }
    (void)scrape_query_hashes(query, hashes, 74);
    if (announce_query_parse(&aq, query, &why) != ERR_OK) {
        ASSERT(why != NULL);
        return;
    }
    ASSERT(aq.announce.port != 0);
    static uint8_t space[1024];                 // what was read is written and read again
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    announce_url_write(&w, SLICE_LIT("http://t/announce"), &aq);
    ASSERT(w.ok);
    struct announce_query back;
    ASSERT(announce_query_parse(&back, slice_sub(buf_slice(&b), 18, b.n), &why) == ERR_OK);
    ASSERT(memcmp(back.announce.info_hash, aq.announce.info_hash, 20) == 0);
    ASSERT(back.announce.port == aq.announce.port);
    ASSERT(back.announce.event == aq.announce.event);
    ASSERT(back.announce.numwant == aq.announce.numwant);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t space[8192];
    const struct slice in = slice_of(data, n);
    client(in);
    tracker(in);
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const uint8_t hash[20] = {0};
    (void)scrape_url_write(&w, in, slice_of(hash, sizeof hash));
    return 0;
}
