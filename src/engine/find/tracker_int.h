// Inside the tracker server: shared by tracker.c, tracker_udp.c and tracker_http.c only.
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "codec/announce.h"
#include "engine/find/tracker.h"
#include "engine/find/tracker_store.h"

enum { TRACKER_BODY_MAX = 16 * 1024 };  // 200 peers as dictionaries, or 74 hashes scraped, fit

enum tracker_conn_state { CONN_READING, CONN_READY, CONN_CLOSING };

struct tracker_conn {
    struct map_node node;               // keyed by id
    struct list link;                   // of the list that the state names: ready, closing, or none
    struct list age;                    // of `open`, unless closing
    uint32_t id;
    enum tracker_conn_state state;
    bool overflowed;                    // more came than fits
    struct addr from;
    nsec since;                         // of the last whole request, or of the connection
    uint32_t requests;
    uint32_t n;
    uint8_t bytes[TRACKER_HEAD_MAX];
};

struct tracker_admitted {
    struct map_node node;
    uint8_t hash[20];
};

struct tracker {
    struct tracker_config cfg;          // with the defaults filled in
    const struct env *env;
    nsec now, sweep_at;
    uint64_t sweep_s;                   // seconds for a sweep over everything
    struct rng rng;
    struct tracker_store store;
    struct map admitted;
    struct map conns;
    struct list open, ready, closing;   // open: the longest without a whole request first
    uint32_t n_closing;
    struct buf queue;                   // composed datagrams: {addr, u16 length, bytes}
    size_t queue_at;                    // where the first one begins
    struct buf body;                    // of the HTTP reply that is being made
    struct tracker_stats stats;
};

// What is wrong with an announce, in words for its sender.
#define TRACKER_SAYS_UNKNOWN "torrent not registered with this tracker"
#define TRACKER_SAYS_FULL "tracker is full"
#define TRACKER_SAYS_PORT "port is missing or zero"
#define TRACKER_SAYS_ID "connection id mismatch"

// Answers one datagram: at most one goes to the queue.
void tracker_udp_input(struct tracker *t, const struct addr *from, struct slice data);

enum http_served {
    HTTP_NOTHING,                       // no whole request yet
    HTTP_REPLIED,
    HTTP_LAST,                          // replied, and the connection ends
};

// Answers the first request of c, if it is whole, into tx (TRACKER_TX_MIN of room), and takes it off c's bytes.
enum http_served tracker_http_serve(struct tracker *t, struct tracker_conn *c, struct wr *tx);

// Puts one datagram into the queue; dropped and counted if there is no room.
void tracker_enqueue(struct tracker *t, const struct addr *to, struct slice bytes);
bool tracker_is_admitted(const struct tracker *t, const uint8_t hash[20]);

// What an announce led to.
struct tracker_answer {
    const char *failure;                // NULL: none
    struct tracker_swarm *swarm;        // NULL: nobody is there
    uint32_t n;                         // peers for the asker, out of pools[ipv6]
    uint32_t places[STORE_SAMPLE_MAX];
};

// Notes an announce from `from` (its port does not count) and draws up to `max` peers for it.
void tracker_announce(struct tracker *t, const struct addr *from, const struct announce *a, uint32_t max,
                      struct tracker_answer *out);
