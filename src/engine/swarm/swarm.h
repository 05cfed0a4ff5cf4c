// One torrent's swarm: peers, pieces, requests, choking, verification, storage order and resume. BEP 3, 6, 10, 47, 52.
// Streams arrive after their handshake; the node owns connecting, listening and the trackers.
#pragma once
#include "base/env.h"
#include "base/limit.h"
#include "codec/metainfo.h"
#include "codec/peerwire.h"
#include "engine/io.h"
#include "engine/swarm/pool.h"
#include "engine/swarm/swarm_out.h"

struct swarm;
struct swarm_peer;

enum {
    SWARM_PEERS_MAX = 200,              // connections of one torrent
    SWARM_KNOWN_MAX = 2000,             // addresses remembered for one torrent
    SWARM_REQQ = 2000,                  // requests we keep for one peer that has the fast extension, and advertise
    SWARM_REQQ_PLAIN = 16384,           // and for one that has not: it cannot be told that one was dropped
    SWARM_BANNED_MAX = 1024,
    SWARM_TX_MIN = 16 * 1024,           // bytes of tx that swarm_poll wants
};

// As enum node_choke, which explains it.
enum swarm_choke { SWARM_CHOKE_KITH, SWARM_CHOKE_ORIGINAL, SWARM_CHOKE_BLIND };

struct swarm_config {
    const struct metainfo *meta;        // outlives the swarm
    uint32_t store;                     // its number in jobs and segments
    struct pool *pool;                  // shared, outlives the swarm
    struct limit *up, *down;            // shared, outlive the swarm
    uint64_t up_bps, down_bps;          // this torrent's own, bytes/s of content; 0: no limit
    const uint8_t *peer_id;             // ours; 20 bytes, outlive the swarm
    uint16_t listen_port;
    bool utp;                           // we have uTP there, too: hole punching is offered
    bool dht;                           // we have a DHT node at that port: say so, and listen to peers that do
    uint32_t slots;                     // regular unchoke slots, 0: by the uplink
    uint32_t peers_max;                 // 1 … SWARM_PEERS_MAX
    enum swarm_choke choke;
    bool no_optimistic, no_allowed_fast;
    bool sequential, strict_order, random_order;
    bool super_seed;                    // as in node_add
    bool trust, check, check_only, keep;        // as in node_add
    const uint8_t *priorities;          // one for each file or NULL; read during swarm_new only
    struct slice resume;                // read during swarm_new only
};

// A peer whose handshake is done.
struct swarm_peer_new {
    uint32_t conn;                      // the node's handle, comes back in outputs
    struct addr addr;                   // of the stream
    bool incoming;
    bool utp;                           // over uTP: its address is where its datagrams come from
    bool begun;                         // taken over: it was told that we have nothing, and our extension handshake
    struct handshake theirs;
};

// A v2 torrent without piece layers fetches them from its peers first. ERR_NOMEM.
MUST_USE enum err swarm_new(struct swarm **out, const struct swarm_config *cfg, const struct env *env, nsec now);
// No job may be under way.
void swarm_free(struct swarm *s);
void swarm_tick(struct swarm *s, nsec now);
// tx: at least SWARM_TX_MIN bytes free; composed headers stay valid until tx is reused.
enum swarm_kind swarm_poll(struct swarm *s, nsec now, struct buf *tx, struct swarm_out *out);

// ERR_FULL: too many peers; ERR_EXISTS: that peer id is connected, or it is ourselves; ERR_ACCESS: banned; ERR_AGAIN: checking or
// stopping; ERR_NOMEM.
MUST_USE enum err swarm_peer_add(struct swarm *s, nsec now, const struct swarm_peer_new *in, struct swarm_peer **out);
// As node_rx_room and node_rx. False: the peer was closed, SWARM_CLOSE comes.
void swarm_rx_room(struct swarm *s, nsec now, struct swarm_peer *p, struct span *spans, uint32_t *spans_n);
void swarm_rx(struct swarm *s, nsec now, struct swarm_peer *p, size_t len);
// The same for what a peer taken over has said before; at once after swarm_peer_add.
void swarm_replay(struct swarm *s, nsec now, struct swarm_peer *p, struct slice said);
void swarm_sent(struct swarm *s, nsec now, struct swarm_peer *p, uint64_t len);
// The stream ended; p is freed.
void swarm_peer_closed(struct swarm *s, nsec now, struct swarm_peer *p);
void swarm_job_done(struct swarm *s, nsec now, uint32_t id, enum err e, uint32_t file);
void swarm_saved(struct swarm *s, nsec now, enum err e);
// Web seeds: what comes of a SWARM_FETCH, as node_stream_*. An empty span: no room now. swarm_fetch_rx: whether there is
// something to be polled.
void swarm_fetch_head(struct swarm *s, nsec now, uint32_t id, int status, struct slice lines);
void swarm_fetch_room(struct swarm *s, nsec now, uint32_t id, struct span *out);
bool swarm_fetch_rx(struct swarm *s, nsec now, uint32_t id, size_t len);
void swarm_fetched(struct swarm *s, nsec now, uint32_t id, enum err e, int status);
// A file could not be read for an upload: its pieces are checked again.
void swarm_read_failed(struct swarm *s, nsec now, uint32_t file);

// Candidates: addresses of peers, known from trackers and the user.
void swarm_known_add(struct swarm *s, nsec now, const struct addr *a, bool trusted);
// The next address to connect to now, or false. The caller answers with one of the next three; postponed: our proxy has failed.
MUST_USE bool swarm_known_next(struct swarm *s, nsec now, struct addr *out);
void swarm_known_failed(struct swarm *s, nsec now, const struct addr *a);
void swarm_known_postponed(struct swarm *s, nsec now, const struct addr *a);
void swarm_known_connected(struct swarm *s, nsec now, const struct addr *a);
// How others reach us, port included: orders what swarm_known_next gives, and decides who makes room (BEP 40).
void swarm_external(struct swarm *s, const struct addr *own);
// A SWARM_EVENT_PUNCH is being answered: true: answered like what swarm_known_next gives; false: it is being connected to, or it is
// connected, or not to be.
MUST_USE bool swarm_known_take(struct swarm *s, nsec now, const struct addr *a);
// What another set knows of an address.
struct known;
void swarm_known_adopt(struct swarm *s, nsec now, const struct known *k);
// Peers that come from now on are told that we listen there.
void swarm_listen_port(struct swarm *s, uint16_t port);
// Other limits of its own; also to be called after the shared ones have changed. 0: none.
void swarm_limits(struct swarm *s, nsec now, uint64_t up_bps, uint64_t down_bps);
// Whoever is not connected is due now.
void swarm_known_retry(struct swarm *s);
bool swarm_wants_peers(const struct swarm *s);

// One priority for each file, 0 skip, 1 … 7; copied. Takes effect at once: a file that is wanted now gets first what `.parts` has
// of it; what is skipped now is not asked for any more, and interest follows. ERR_RANGE; ERR_NOMEM: some of it holds.
MUST_USE enum err swarm_set_priorities(struct swarm *s, nsec now, const uint8_t *priorities);
// Wanted, and its bytes lie in the file itself.
bool swarm_file_wanted(const struct swarm *s, uint32_t file);
// Such a torrent may have a `.parts` file: number files_n of its store.
bool swarm_has_parts(const struct metainfo *m);

// Finishes writes, syncs, saves; SWARM_EVENT_STOPPED when nothing is left to do.
void swarm_stop(struct swarm *s, nsec now);
void swarm_stats(const struct swarm *s, struct swarm_stats *out);
nsec swarm_now(const struct swarm *s);  // its last input
bool swarm_is_starting(const struct swarm *s);  // it takes no peers yet, because its files are being looked at
// The piece layer of a file, of the torrent or from peers; NULL: it has none, or not (all of it) is known. Borrowed.
const uint8_t *swarm_layer(const struct swarm *s, uint32_t file);
// Verified and written pieces, borrowed.
struct slice swarm_have(const struct swarm *s);
void swarm_check(const struct swarm *s);
// Whether a poll is worth while after an input of a peer (swarm_rx, swarm_sent). SWARM_CALM: it would only say again when the next
// tick is due, as the last one did.
enum swarm_stir { SWARM_CALM, SWARM_MAYBE, SWARM_STIRRED };
MUST_USE enum swarm_stir swarm_stir(const struct swarm *s);
// Fetches what an input for p (NULL: for none) will look at nearer to the processor: see node_warm; step 0, 1 or 2. Changes nothing.
void swarm_warm(const struct swarm *s, const struct swarm_peer *p, uint32_t step);
