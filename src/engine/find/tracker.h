// Our tracker server: UDP datagrams and HTTP streams in, replies out. BEP 3, 7, 15, 21, 23, 31, 41, 48.
//
// The owner calls an input, then polls until TRACKER_IDLE. Nothing an output points to lives past the next call.
// A peer's address is always the source of its announce: &ip=, &ipv4=, &ipv6= and BEP 15's IP field are ignored, because
// they would let anyone aim a swarm at a third party.
#pragma once
#include "base/addr.h"
#include "base/env.h"

struct tracker;

enum {
    TRACKER_TX_MIN = 32 * 1024,         // bytes of room in `tx` that the greatest reply needs
    TRACKER_QUEUE_BYTES = 64 * 1024,    // composed datagrams that wait for room; more are dropped and counted
    TRACKER_NUMWANT_DEFAULT = 50,       // peers in a reply if the client does not say
    TRACKER_NUMWANT_MAX = 200,
    TRACKER_UDP_REPLY_MAX = 1400,       // bytes: no fragments
    TRACKER_HEAD_MAX = 4096,            // bytes of an HTTP request
    TRACKER_REQUESTS_MAX = 100,         // requests on one connection
    TRACKER_IDLE_S = 30,                // a connection without a whole request for so long is closed
    TRACKER_SCRAPE_MAX = 74,            // hashes in one scrape; BEP 15

    TRACKER_INTERVAL_S = 1800,          // defaults of the configuration
    TRACKER_SWARMS_MAX = 1000000,
    TRACKER_PEERS_MAX = 10000000,
    TRACKER_SWARM_PEERS_MAX = 1000000,
    TRACKER_IP_PEERS_MAX = 64,          // ports of one address in one swarm: else one host could fill it
    TRACKER_CONNS_MAX = 1000,
    TRACKER_HASHES_MAX = 1000000,
};

// Zero means: the default above.
struct tracker_config {
    uint64_t secret[2];                 // random and kept to ourselves: keys connection ids
    uint32_t interval_s;                // what peers are told; they are forgotten after 2 × interval + 2 min
    uint32_t swarms_max, peers_max, swarm_peers_max, ip_peers_max, conns_max, hashes_max;
    bool whitelist;                     // only hashes given to tracker_admit
    bool metrics;                       // GET /metrics gives tracker_stats as Prometheus reads them, to everybody
};

enum tracker_kind {
    TRACKER_IDLE = 0,   // deadline: call tracker_tick then; NSEC_NEVER: never
    TRACKER_DGRAM,      // addr, bytes
    TRACKER_SEND,       // conn, bytes: the host queues all of it
    TRACKER_CLOSE,      // conn: forget it after what was sent went out; no more calls for it
};

struct tracker_out {
    nsec deadline;
    struct addr addr;
    uint32_t conn;
    struct slice bytes;
};

struct tracker_stats {
    uint32_t swarms, peers_ipv4, peers_ipv6, seeds, conns, hashes;
    uint64_t bytes;                     // memory of swarms and peers
    uint64_t udp_connects, udp_announces, udp_scrapes, http_announces, http_scrapes;
    uint64_t rx_bad;                    // datagrams and requests that could not be read
    uint64_t rx_bad_id;                 // wrong or old connection id
    uint64_t tx_dropped;                // TRACKER_QUEUE_BYTES
    uint64_t refused;                   // not admitted, port 0, or a limit was reached
    uint64_t expired;
};

// ERR_NOMEM. env and what it points to outlive the tracker.
MUST_USE enum err tracker_new(struct tracker **out, const struct tracker_config *cfg, const struct env *env, nsec now);
void tracker_free(struct tracker *t);
void tracker_tick(struct tracker *t, nsec now);
// Wants TRACKER_TX_MIN of room in tx to make progress.
enum tracker_kind tracker_poll(struct tracker *t, nsec now, struct buf *tx, struct tracker_out *out);

void tracker_datagram(struct tracker *t, nsec now, const struct addr *from, struct slice data);
// A stream arrived; conn is the owner's number, not 0 and not in use. ERR_FULL: conns_max; ERR_NOMEM: refuse it.
MUST_USE enum err tracker_accept(struct tracker *t, nsec now, uint32_t conn, const struct addr *from);
// Takes bytes of a stream; what comes after a whole request waits for its reply. Unknown conns are ignored, like all
// bytes after TRACKER_CLOSE was due.
void tracker_rx(struct tracker *t, nsec now, uint32_t conn, struct slice data);
// The stream ended; the conn is forgotten, no TRACKER_CLOSE follows.
void tracker_closed(struct tracker *t, nsec now, uint32_t conn);

// The whitelist. ERR_EXISTS; ERR_FULL: hashes_max; ERR_NOMEM.
MUST_USE enum err tracker_admit(struct tracker *t, const uint8_t hash[20]);
// Forgets a hash; its peers expire. ERR_NOT_FOUND.
MUST_USE enum err tracker_revoke(struct tracker *t, const uint8_t hash[20]);

void tracker_stats(const struct tracker *t, struct tracker_stats *out);
void tracker_check(const struct tracker *t);
