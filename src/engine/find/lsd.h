// Local discovery: tells the local network by multicast which torrents we have, and hears who else has them. BEP 14.
//
// The owner calls an input, then polls until LSD_OUT_IDLE. What strangers make it do is bounded: see the limits.
#pragma once
#include "base/addr.h"
#include "base/env.h"

struct lsd;

enum {
    LSD_TORRENTS_MAX = 8192,            // info-hashes; more are not announced
    LSD_EVERY_S = 300,                  // between two announces of one torrent: BEP 14
    LSD_PAUSE_S = 60,                   // between two datagrams to a group: BEP 14
    LSD_GATHER_S = 1,                   // a first torrent waits for others to go with
    LSD_SOURCE_PER_S = 8,               // datagrams of one source that are read; some send one for each torrent
    LSD_SLOTS = 4096,                   // sources told apart: who writes false ones on his datagrams takes nobody's share
    LSD_SOURCES_MAX = 64,               // sources of one torrent that are passed on within LSD_EVERY_S,
    LSD_SOURCES_KEPT = LSD_SOURCES_MAX / 2,     // of them those who spoke in the last such time, too: the first keep their places
    LSD_SOURCE_PEERS_MAX = 4,           // told of one torrent and one source in that time: ports, or the same one again
    LSD_PEERS_MAX = LSD_SOURCES_MAX * LSD_SOURCE_PEERS_MAX,     // so many of one torrent
    LSD_TX_MIN = 1400,                  // bytes of room in `tx` for one datagram
};

struct lsd_config {
    bool ipv4, ipv6;                    // families that have a group here
    uint16_t port;                      // where we accept peers; 0: we only listen
};

enum lsd_kind {
    LSD_OUT_IDLE = 0,                   // deadline
    LSD_OUT_SEND,                       // addr (a group), bytes: to every interface
    LSD_OUT_PEER,                       // addr, hash: a peer of a torrent of ours, perhaps a known one
};

struct lsd_out {
    nsec deadline;
    struct addr addr;
    struct slice bytes;
    const uint8_t *hash;                // 20 bytes, until the next call
};

struct lsd_stats {
    uint64_t sent, heard, bad, own, limited;
    uint32_t torrents;
};

// ERR_NOMEM. env outlives it.
MUST_USE enum err lsd_new(struct lsd **out, const struct lsd_config *cfg, const struct env *env, nsec now);
void lsd_free(struct lsd *l);
void lsd_tick(struct lsd *l, nsec now);
enum lsd_kind lsd_poll(struct lsd *l, nsec now, struct buf *tx, struct lsd_out *out);
void lsd_datagram(struct lsd *l, nsec now, const struct addr *from, struct slice data);

// A torrent to be announced, and to hear of; never a private one (BEP 27). What is there stays as it is; without memory, or
// beyond LSD_TORRENTS_MAX, it does without.
void lsd_add(struct lsd *l, nsec now, const uint8_t hash[20]);
void lsd_remove(struct lsd *l, const uint8_t hash[20]);
// Other neighbours: all is announced anew, as soon as the pause between datagrams allows.
void lsd_network_changed(struct lsd *l, nsec now);

void lsd_stats(const struct lsd *l, struct lsd_stats *out);
void lsd_check(const struct lsd *l);
