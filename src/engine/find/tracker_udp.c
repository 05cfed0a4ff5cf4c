// The tracker server's UDP side: see tracker.h. BEP 15, 41.
#include "codec/announce_udp.h"
#include "engine/find/tracker_int.h"

enum {
    ID_STEP_S = 60,
    ID_STEPS = 3,                       // an id is good for two whole minutes after it was made. BEP 15
};

// Stateless: a keyed hash of the address and the minute. The port does not count: some NATs change it.
static uint64_t id_at(const struct tracker *t, const struct addr *from, uint64_t minute)
{
    uint8_t bytes[16 + 8];
    struct buf b = {bytes, 0, sizeof bytes};
    struct wr w = wr_make(&b);
    wr_bytes(&w, addr_ip(from));
    wr_be64(&w, minute);
    ASSERT(w.ok);
    return siphash(t->cfg.secret, buf_slice(&b));
}

static bool id_is_good(const struct tracker *t, const struct addr *from, uint64_t id)
{
    const uint64_t minute = t->now / (ID_STEP_S * NSEC_S);
    for (uint64_t i = 0; i < ID_STEPS && i <= minute; i++)
        if (id == id_at(t, from, minute - i))
            return true;
    return false;
}

static void reply_error(struct tracker *t, const struct addr *to, uint32_t transaction, const char *text)
{
    uint8_t space[128];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    udp_error_write(&w, transaction, text);
    ASSERT(w.ok);
    tracker_enqueue(t, to, buf_slice(&b));
}

static void input_connect(struct tracker *t, const struct addr *from, const struct udp_request *q)
{
    uint8_t space[16];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    t->stats.udp_connects++;
    udp_connect_reply_write(&w, q->transaction, id_at(t, from, t->now / (ID_STEP_S * NSEC_S)));
    ASSERT(w.ok);
    tracker_enqueue(t, from, buf_slice(&b));
}

static void input_announce(struct tracker *t, const struct addr *from, const struct udp_request *q)
{
    const bool ipv6 = from->family == ADDR_IPV6;
    const uint32_t max = (uint32_t)(TRACKER_UDP_REPLY_MAX - UDP_ANNOUNCE_REPLY_LEN) / (ipv6 ? 18 : 6);
    struct tracker_answer answer;
    t->stats.udp_announces++;
    tracker_announce(t, from, &q->announce, max, &answer);
    if (answer.failure != NULL) {
        reply_error(t, from, q->transaction, answer.failure);
        return;
    }
    struct udp_reply reply = {.transaction = q->transaction, .interval_s = t->cfg.interval_s};
    if (answer.swarm != NULL) {
        reply.seeds = store_count(answer.swarm, CLASS_SEED);
        reply.leeches = store_count(answer.swarm, CLASS_LEECH) + store_count(answer.swarm, CLASS_PARTIAL);
    }
    uint8_t space[TRACKER_UDP_REPLY_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    udp_announce_reply_write(&w, &reply);
    for (uint32_t i = 0; i < answer.n; i++)
        wr_bytes(&w, store_compact(&answer.swarm->pools[ipv6], ipv6, answer.places[i]));
    ASSERT(w.ok);
    tracker_enqueue(t, from, buf_slice(&b));
}

static void input_scrape(struct tracker *t, const struct addr *from, const struct udp_request *q)
{
    uint8_t space[8 + UDP_SCRAPE_MAX * UDP_SCRAPE_ITEM_LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    t->stats.udp_scrapes++;
    udp_scrape_reply_write(&w, q->transaction);
    for (size_t i = 0; i < q->hashes.n; i += ANNOUNCE_HASH_LEN) {
        const struct tracker_swarm *s = store_find(&t->store, q->hashes.p + i);
        struct udp_scrape_item item = {0};
        if (s != NULL) {
            item.seeds = store_count(s, CLASS_SEED);
            item.downloaded = s->downloaded;
            item.leeches = store_count(s, CLASS_LEECH) + store_count(s, CLASS_PARTIAL);
        }
        udp_scrape_item_write(&w, &item);
    }
    ASSERT(w.ok);
    tracker_enqueue(t, from, buf_slice(&b));
}

void tracker_udp_input(struct tracker *t, const struct addr *from, struct slice data)
{
    struct udp_request q;
    if (udp_request_parse(&q, data) != ERR_OK || from->port == 0) {
        t->stats.rx_bad++;
        return;
    }
    if (q.action != UDP_CONNECT && !id_is_good(t, from, q.connection_id)) {
        t->stats.rx_bad_id++;
        reply_error(t, from, q.transaction, TRACKER_SAYS_ID);   // shorter than what it answers: nothing to amplify
        return;
    }
    switch (q.action) {
    case UDP_CONNECT:
        input_connect(t, from, &q);
        break;
    case UDP_ANNOUNCE:
        input_announce(t, from, &q);
        break;
    case UDP_SCRAPE:
        input_scrape(t, from, &q);
        break;
    case UDP_ERROR:
        break;
    }
}
