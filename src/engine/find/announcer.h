// The tracker client of one torrent: whom to ask, when, and with which event. BEP 3, 7, 12, 15, 21, 23, 24, 31, 41, 48.
//
// Every (info-hash, address family) walks the tiers for itself. The owner calls an input or a command, then polls until
// ANNOUNCER_IDLE. Nothing an output points to lives past the next call.
#pragma once
#include "base/addr.h"
#include "base/env.h"
#include "codec/announce.h"

struct announcer;

#define ANNOUNCER_STOP_MAX_NS (5 * NSEC_S)              // announcer_stop never takes longer
#define ANNOUNCER_INTERVAL_MIN_NS (60 * NSEC_S)         // a tracker's wishes are clamped to these
#define ANNOUNCER_INTERVAL_MAX_NS (6 * 3600 * NSEC_S)
#define ANNOUNCER_INTERVAL_DEFAULT_NS (1800 * NSEC_S)   // BEP 3 leaves it open; what most trackers say
#define ANNOUNCER_BACKOFF_MIN_NS (15 * NSEC_S)          // doubles with every failure
#define ANNOUNCER_BACKOFF_MAX_NS (3600 * NSEC_S)
#define ANNOUNCER_RETRY_IN_MAX_NS (24 * 3600 * NSEC_S)  // BEP 31 knows no bound
#define ANNOUNCER_FETCH_TIMEOUT_NS (60 * NSEC_S)        // then a fetch counts as failed, a late completion is ignored
#define ANNOUNCER_NEXT_AFTER_NS (15 * NSEC_S)           // without an answer the next tracker is asked meanwhile
#define ANNOUNCER_RESOLVED_NS (600 * NSEC_S)            // how long a name's addresses are believed

enum {
    ANNOUNCER_TX_MIN = 4096,            // bytes of room in `tx` that a fetch or datagram may need
    ANNOUNCER_HASHES_MAX = 2,           // a hybrid torrent has two
    ANNOUNCER_TRACKERS_MAX = 100,       // the rest is ignored
    ANNOUNCER_PEERS_MAX = 1000,         // taken from one reply
    ANNOUNCER_EVENTS_MAX = 64,          // waiting to be polled; more are dropped and counted
    ANNOUNCER_TEXT_MAX = 240,           // bytes of a tracker's message, the rest is cut
    ANNOUNCER_NUMWANT = 80,             // peers asked for while leeching
};

struct announcer_tracker {
    struct slice url;                   // http, https or udp; copied. Others are ignored (announcer_stats)
    uint32_t tier;                      // BEP 12, the smallest is asked first
};

struct announcer_config {
    uint8_t peer_id[20];
    uint32_t key;                       // the same for all families and trackers of a session (BEP 7)
    uint16_t port;                      // where we accept peers
    uint8_t info_hash[ANNOUNCER_HASHES_MAX][20];
    uint32_t n_hashes;                  // 1 or 2
    bool has_ipv4, has_ipv6;            // families to announce in; neither: as the host likes, once
    bool is_private;                    // &ipv4=, &ipv6= are told to HTTP trackers (announcer_external)
    const struct announcer_tracker *trackers;   // borrowed for the call; indices name trackers in outputs
    uint32_t n_trackers;
};

enum announcer_kind {
    ANNOUNCER_IDLE = 0, // deadline: call announcer_tick then; NSEC_NEVER: never
    ANNOUNCER_FETCH,    // id, bytes: an http(s) URL, family (ADDR_NONE: any): answered by announcer_fetched
    ANNOUNCER_RESOLVE,  // id, bytes: a host name: answered by announcer_resolved
    ANNOUNCER_SEND,     // addr, bytes: a datagram; transaction: the answer will carry it at its bytes 4 … 7, big-endian
    ANNOUNCER_PEERS,    // peers, n_peers, tracker, hash; port 0 and unusable addresses are left out
    ANNOUNCER_COUNTS,   // tracker, hash, counts: from an announce or a scrape
    ANNOUNCER_OK,       // tracker, hash: an announce was answered; next_ns: when it is due again
    ANNOUNCER_WARNING,  // tracker, text
    ANNOUNCER_ERROR,    // tracker, err, text (empty: none), next_ns: when it is tried again, NSEC_NEVER: not
    ANNOUNCER_EXTERNAL, // addr (port 0), tracker: how a tracker sees us (BEP 24)
    ANNOUNCER_STOPPED,  // announcer_stop has finished; once for each call of it
};

// What a tracker knows of a swarm; ANNOUNCE_UNKNOWN where it did not say.
struct announcer_counts {
    uint32_t seeds, leeches, downloaded;
};

struct announcer_out {
    nsec deadline, next_ns;
    uint32_t id, transaction, tracker, hash;
    enum addr_family family;
    struct addr addr;
    struct slice bytes, text;
    const struct addr *peers;
    uint32_t n_peers;
    enum err err;
    struct announcer_counts counts;
};

struct announcer_stats {
    uint64_t announces, replies, failures, peers;       // peers: reported, with repetitions
    uint64_t rx_bad;                    // answers that could not be read
    uint64_t events_dropped;            // ANNOUNCER_EVENTS_MAX, or no memory
    uint32_t trackers_ignored;          // of the configuration: bad URL, or too many
    bool running, stopping;
};

// Absolute counters of the torrent, bytes; left ANNOUNCE_LEFT_UNKNOWN: no metadata yet.
struct announcer_progress {
    uint64_t uploaded, downloaded, left;
    bool partial_seed;                  // something is missing but not wanted: event=paused (BEP 21)
};

// ERR_NOMEM. env and what it points to outlive the announcer. It does nothing before announcer_start.
MUST_USE enum err announcer_new(struct announcer **out, const struct announcer_config *cfg, const struct env *env, nsec now);
void announcer_free(struct announcer *a);
void announcer_tick(struct announcer *a, nsec now);
enum announcer_kind announcer_poll(struct announcer *a, nsec now, struct buf *tx, struct announcer_out *out);

// Inputs. Unknown ids (late completions) are ignored.
// status: of HTTP, 0 if err is not ERR_OK; body: after decompression.
void announcer_fetched(struct announcer *a, nsec now, uint32_t id, enum err err, int status, struct slice body);
// addrs: of any family and port; the announcer picks and sets the port.
void announcer_resolved(struct announcer *a, nsec now, uint32_t id, enum err err, const struct addr *addrs, uint32_t n_addrs);
// Returns whether the datagram was an answer to us: its transaction id and source match. BEP 15.
bool announcer_datagram(struct announcer *a, nsec now, const struct addr *from, struct slice data);

// Commands.
// Announces `started` to the first tracker that answers. Harmless when running; while stopping it starts again after.
void announcer_start(struct announcer *a, nsec now);
// The torrent became complete just now, in this session: `completed` goes once to every tracker that knows us.
void announcer_completed(struct announcer *a, nsec now);
// `stopped` goes to every tracker that knows us; ANNOUNCER_STOPPED comes within ANNOUNCER_STOP_MAX_NS.
void announcer_stop(struct announcer *a, nsec now);
// Counters for the next announces; causes none.
void announcer_update(struct announcer *a, const struct announcer_progress *p);
// Announces again as soon as the tracker's `min interval` allows.
void announcer_want_peers(struct announcer *a, nsec now);
// We are reached at another port: announced at once. False: an announce is under way, which still says the old one; try again.
MUST_USE bool announcer_port(struct announcer *a, nsec now, uint16_t port);
// A second hash of the torrent, as the metadata of a hybrid's link shows: announced at once beside the first. There is one so far.
// ERR_NOMEM: all is as before.
MUST_USE enum err announcer_hash(struct announcer *a, nsec now, const uint8_t info_hash[20]);
// Asks the trackers that know us for ANNOUNCER_COUNTS. Trackers without scrape (BEP 48's naming rule) are left out.
void announcer_scrape(struct announcer *a, nsec now);
// Our address as others see it, one for each family; told only to trackers of private torrents.
void announcer_external(struct announcer *a, const struct addr *external);

void announcer_stats(const struct announcer *a, struct announcer_stats *out);
void announcer_check(const struct announcer *a);
