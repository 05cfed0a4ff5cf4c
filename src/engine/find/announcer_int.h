// Inside the tracker client: shared by announcer.c, announcer_slot.c, announcer_reply.c and announcer_event.c only.
#pragma once
#include "base/list.h"
#include "codec/announce_http.h"
#include "codec/announce_udp.h"
#include "codec/url.h"
#include "engine/find/announcer.h"

enum {
    LANES_MAX = ANNOUNCER_HASHES_MAX * 2,   // hash × family
    SITE_ADDRS_MAX = 8,                     // of a host name
    TRACKER_ID_MAX = 128,                   // bytes; a longer one is not echoed
    UDP_TRIES_MAX = 8,                      // BEP 15: n up to 8
    SCRAPE_TRIES_MAX = 2,                   // nobody waits for it for long
};

#define UDP_RETRY_NS (15 * NSEC_S)          // BEP 15: 15 · 2^n seconds
#define UDP_STOP_RETRY_NS (2 * NSEC_S)      // twice within ANNOUNCER_STOP_MAX_NS
#define UDP_ID_NS (60 * NSEC_S)             // BEP 15: a client uses a connection id for one minute
#define REFUSED_MIN_NS (60 * NSEC_S)        // after a failure reason
#define NO_FAMILY_NS (3600 * NSEC_S)        // a host without an address of the lane's family
#define MIN_INTERVAL_DEFAULT_NS (300 * NSEC_S)

enum site_kind { SITE_HTTP, SITE_UDP };

// A tracker, as all lanes see it.
struct announce_site {
    uint32_t index;                     // in the configuration
    uint32_t tier;
    enum site_kind kind;
    uint8_t *text;                      // own copy of the URL
    struct slice url;
    struct url parts;                   // views into text
    struct addr addrs[SITE_ADDRS_MAX];  // UDP
    uint32_t n_addrs;
    nsec resolved_until;                // NSEC_NEVER: the host is an address
    uint32_t resolve_id;                // under way; 0: none
    bool resolve_due;                   // to be told to the owner
    uint8_t tracker_id[TRACKER_ID_MAX];
    uint32_t tracker_id_n;
};

enum slot_state {
    SLOT_IDLE = 0,
    SLOT_RESOLVE,
    SLOT_CONNECT,                       // UDP: no connection id
    SLOT_REQUEST,                       // UDP: an announce or scrape is to be answered
    SLOT_FETCH,                         // HTTP
};

// What one lane has to do with one site.
struct announce_slot {
    enum slot_state state;
    bool scraping;                      // what is under way is a scrape
    bool send_due;                      // a datagram or fetch waits for room in tx
    bool slow;                          // ANNOUNCER_NEXT_AFTER_NS have passed: the lane has walked on
    bool requested;                     // UDP: the request itself has been sent in this round
    bool fresh_id;                      // UDP: the connection id is of this round
    bool joined;                        // the tracker has taken a `started` of ours
    bool completed_due, stop_due, scrape_due;
    bool disabled;                      // BEP 31: never
    enum announce_event event;          // under way
    uint32_t id;                        // of the fetch, or the transaction
    uint64_t connection_id;
    nsec connected_until;
    struct addr to;                     // UDP
    uint32_t tries, fails;
    nsec timer;                         // time-out of what is under way
    nsec slow_at;
    nsec not_before;                    // after a failure
};

// One walk over the tiers: for one hash in one family.
struct announce_lane {
    uint32_t hash;
    enum addr_family family;            // ADDR_NONE: any
    nsec due;                           // NSEC_NEVER: something is under way, or nothing to be done
    nsec earliest;                      // for announcer_want_peers
    struct announce_slot *slots;        // one for each site
};

struct announcer_event {
    struct list link;
    enum announcer_kind kind;
    struct announcer_out out;           // slices are filled in from below
    uint32_t text_n;
    uint8_t text[ANNOUNCER_TEXT_MAX];
    uint32_t n_peers;
    struct addr peers[];
};

enum announcer_state { ANNOUNCER_OFF, ANNOUNCER_RUNNING, ANNOUNCER_STOPPING };

struct announcer {
    struct announcer_config cfg;        // trackers: NULL
    const struct env *env;
    nsec now;
    struct rng rng;
    enum announcer_state state;
    bool restart;                       // started while stopping
    uint32_t stops, stops_done;         // calls of announcer_stop, and how many STOPPED are to be told
    nsec stop_at;
    uint32_t next_id;
    struct announcer_progress progress;
    struct addr external[2];            // IPv4, IPv6
    struct announce_site *sites;        // in the order of the tiers
    uint32_t *order;                    // of sites; changed by shuffling and promotion, inside tiers only
    uint32_t n_sites, sites_max;        // taken; room for
    struct announce_lane lanes[LANES_MAX];
    uint32_t n_lanes;
    struct announce_slot *slots;        // of all lanes
    struct list events;
    uint32_t n_events;
    struct announcer_event *told;       // its slices are with the owner
    struct announcer_stats stats;
};

// announcer_slot.c: one exchange with one tracker.
// Begins an announce (or a scrape) in an idle slot.
void announcer_begin(struct announcer *a, struct announce_lane *l, uint32_t site, bool scrape);
// Puts the slot to rest, whatever was under way.
void announcer_abort(struct announce_slot *s);
// After the resolver: goes on with an address, or fails.
void announcer_resolved_slot(struct announcer *a, struct announce_lane *l, uint32_t site, enum err err);
// Time-outs of the slot.
void announcer_slot_tick(struct announcer *a, struct announce_lane *l, uint32_t site);
// Composes what the slot has to send; ANNOUNCER_IDLE: nothing.
enum announcer_kind announcer_slot_send(struct announcer *a, struct announce_lane *l, uint32_t site, struct buf *tx,
                                        struct announcer_out *out);
// The slot's next deadline.
nsec announcer_slot_due(const struct announce_slot *s);
// A failure ends what is under way. text: the tracker's words, or empty; retry_ns: BEP 31, 0: not said, NSEC_NEVER.
void announcer_fail(struct announcer *a, struct announce_lane *l, uint32_t site, enum err err, struct slice text, nsec retry_ns);

// announcer_reply.c: what trackers say.
void announcer_http_reply(struct announcer *a, struct announce_lane *l, uint32_t site, int status, struct slice body);
void announcer_udp_reply(struct announcer *a, struct announce_lane *l, uint32_t site, const struct udp_reply *r);

// announcer_event.c: what the owner is told. All of them may drop it: see announcer_stats.events_dropped.
void announcer_tell(struct announcer *a, enum announcer_kind kind, const struct announcer_out *out, struct slice text);
// Room for n peers to be filled in; NULL: dropped. n > 0.
struct announcer_event *announcer_tell_peers(struct announcer *a, const struct announcer_out *out, uint32_t n);
// Forgets an event and its memory.
void announcer_event_free(struct announcer *a, struct announcer_event *e);
