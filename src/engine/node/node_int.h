// What the files of this room share; nobody else includes it.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/ranges.h"
#include "base/rate.h"
#include "engine/find/announcer.h"
#include "engine/find/dht.h"
#include "engine/find/lsd.h"
#include "engine/find/tracker.h"
#include "engine/node/node.h"
#include "engine/node/node_load.h"
#include "engine/node/node_stream.h"
#include "engine/reach/utp.h"
#include "engine/votes.h"
#include "engine/swarm/metadata.h"
#include "engine/swarm/swarm.h"

enum {
    NODE_TORRENTS_MAX = 4096,
    NODE_CONNS_MAX = 4096,
    NODE_PEERS_MAX = 2000,
    NODE_HALF_OPEN_MAX = 100,           // connects under way
    NODE_CONNECTS_PER_BEAT = 30,        // and begun in one second
    NODE_SHAKING_MAX = 512,             // incoming and silent: beyond it the longest waiting goes
    NODE_HANDSHAKE_S = 15,              // connect and handshake together
    NODE_PENDING_MAX = 1024,            // fetches and name look-ups under way
    NODE_RX_LEN = 4096,                 // bytes read at once from a tracker's client
    NODE_EXCHANGES_PER_S = 200,         // of keys, for MSE/PE
    NODE_PLAIN_MAX = 4096,              // addresses remembered as speaking no MSE/PE
    NODE_MSE_TRY_S = 5,                 // then the address is tried in the clear
    JOB_BITS = 10,                      // of a job's id: the swarm's part
};

#define NODE_POOL_DEFAULT (40 * MIB)

enum conn_state {
    CONN_NONE, CONN_CONNECTING, CONN_SHAKING_OUT, CONN_SHAKING_IN, CONN_PEER, CONN_METADATA, CONN_TRACKER, CONN_DEAD,
};

struct conn {
    // What every input looks at
    uint32_t id;
    enum conn_state state;
    struct torrent *torrent;
    struct swarm_peer *peer;
    uint64_t own_out;                   // bytes sent that the swarm does not know of
    struct crypt *crypt;                // MSE/PE; NULL: none, or not any more
    uint32_t utp;                       // its uTP connection, 0: none
    bool crypted;                       // its handshake is behind us
    struct metadata_peer *metadata;     // CONN_METADATA

    struct list link;                   // node.pending while connecting or shaking hands
    struct list out_link;               // node.closes or node.hellos
    struct addr addr;
    nsec deadline;
    uint8_t shake[HANDSHAKE_LEN];
    uint32_t shake_n;
    bool known;                         // addr is one of the torrent's known addresses
    bool said_hello, hello_due, starved, flush;
    bool waits;                         // came while the torrent is being checked: it hears from us when that is done
    bool tries_mse, second, by_memory;  // how we connect: by MSE; in the clear after that failed, or because it is remembered
    bool host_knows;                    // a stream of the host's has this id, or is being connected
    bool tcp_due, tcp_cut;              // the host is still to be told: connect; forget that
    bool tcp_tried, utp_tried;
    bool punches;                       // by uTP alone: the other side connects at the same time
    nsec other_at;                      // CONN_CONNECTING: when the other transport is tried, too
    struct stream out;
};

// HASH('req2', info-hash) -> info-hash, for MSE/PE.
struct skey {
    struct map_node node;
    uint8_t key[SHA1_LEN];
    const uint8_t *hash;                // NULL: not in the map
};

// A torrent's part in the DHT: for its v1 hash, then its v2 hash.
struct torrent_dht {
    uint32_t op[2];                     // under way; 0: none
    nsec due[2];
    uint32_t rounds;                    // without enough peers
    bool begun;
};

struct torrent {
    // What every input and poll looks at
    uint32_t number;                    // 1 + index in node.torrents
    bool announcer_quiet;               // nothing was told to the announcer since its last IDLE
    bool removing;                      // node_torrent_remove
    bool untimed;                       // one of the timers could not be set
    bool reserve, announcing, swarm_stopped, announcer_stopped;
    struct list touched;
    struct swarm *swarm;                // NULL: only the metadata is being fetched
    struct metadata *metadata;          // of a magnet link, until the swarm has its peers
    struct heap_node swarm_timer, announcer_timer;
    struct announcer *announcer;        // told something by announcer_of only

    struct map_node by_v1, by_v2;
    bool in_v1, in_v2;
    struct skey skey_v1, skey_v2;
    uint8_t hash_v1[INFO_HASH_LEN], hash_v2[INFO_HASH_LEN];
    const struct metainfo *meta;
    struct slice root;
    char parts_path[64];                // of its `.parts` file, below root
    struct metainfo stub;               // and what `meta` is without a swarm: hashes and trackers
    const struct metainfo_url *trackers;        // by the announcer's numbers
    struct torrent_dht dht;
    bool lsd_v1, lsd_v2;                // announced in the local network by this hash
    uint16_t port_told;                 // that its trackers know of, or will
    uint64_t up_bps, down_bps;          // its own limits
};

// For whoever tells it something: it is polled again.
static inline struct announcer *announcer_of(struct torrent *t)
{
    t->announcer_quiet = false;
    return t->announcer;
}

// A mapping at the router.
struct port_map {
    uint16_t external;
    nsec due;                           // to be asked for, or renewed
    bool wants, asking, releasing, held;
};

struct pending {
    uint32_t torrent, local, id;        // id 0: free; torrent 0: of the DHT
    bool stream;                        // the swarm's; else the announcer's
};

struct node_dht {
    struct dht *dht;                    // NULL: off
    bool touched, save_due, saving;
    nsec at, save_at;
    uint32_t routers_asked;             // of cfg.dht.routers, in this round
    uint32_t left;                      // announces of this second
    struct dht_out out;                 // the last one
};

struct node {
    // What every input and poll looks at: few lines of the cache
    nsec now;
    struct conn **conns;                // NODE_CONNS_MAX
    uint32_t conns_n, conns_high, conns_cap, generation;
    uint32_t half_open, shaking_n, connects_left, connect_turn;
    struct torrent **torrents;          // NODE_TORRENTS_MAX
    uint32_t torrents_n, torrents_cap;  // torrents_n: places in use up to here; a hole is NULL
    uint32_t holes, place_turn;
    struct list touched, pending, hellos, closes;
    struct list exchanges, crypt_ready; // of crypt.wait, crypt.ready
    struct heap timers;
    nsec tracker_at, beat_at, utp_at;
    struct tracker *tracker;
    struct utp *utp;                    // NULL: not wanted
    uint32_t reads_busy, reads_due;     // with the host; to be given to it
    bool tracker_touched, utp_touched, lsd_touched, stopping, stopped_told;
    bool maps_due, externals_due;       // there may be something to ask the router; of our address, to be told
    uint16_t port_told;                 // to trackers and peers
    struct lsd *lsd;                    // NULL: off
    nsec lsd_at;
    const struct env *env;
    const struct mem *mem;
    struct limit up, down;
    struct pool pool;
    struct loads loads;                 // of streams that are sent from memory
    struct node_dht dht;
    struct port_map maps[2];            // TCP, UDP
    struct node_config cfg;

    struct map hashes;                  // info-hash -> torrent
    struct pending *requests;           // NODE_PENDING_MAX
    uint32_t requests_n, requests_cap, request_serial;
    struct list read_waits;             // conns whose files wait for a stream_read
    struct stream_read *reads;          // STREAM_READS_MAX; NULL: none was ever needed
    struct addr *swapped;               // a ring of STREAM_SWAPPED_MAX; NULL: nobody was ever put into it
    uint32_t swapped_i;
    bool no_datagrams;                  // node_datagrams
    struct votes votes[2];              // on our address: IPv4, IPv6
    struct addr external[2];            // what came of it; family ADDR_NONE: not known
    bool external_due[2];               // to be told to the front ends
    nsec map_stop_at, map_news_at;      // no news are heard before
    struct addr map_address;            // that the router has outside; family ADDR_NONE: it did not say
    struct io_seg seg, *segs;           // segs: IO_SEGS_MAX, from the first RC4 stream on
    struct map skeys;
    struct rate exchange_rate;
    struct rng crypt_rng;
    uint64_t plain_key[2];
    uint32_t *plain_only;               // NODE_PLAIN_MAX tags; NULL: no address is remembered
    char text[512];
    uint8_t rx[NODE_RX_LEN];
};

// node_torrent.c
struct torrent *torrent_get(const struct node *n, uint32_t number);     // NULL: none
enum err torrent_new(struct node *n, struct torrent **out);            // not yet in n->torrents; ERR_FULL, ERR_NOMEM
struct torrent *torrent_by_hash(const struct node *n, const uint8_t hash[INFO_HASH_LEN]);
void torrent_place(struct node *n, struct torrent *t);                 // into n->torrents
void torrent_touch(struct node *n, struct torrent *t);
void torrent_stirred(struct node *n, struct torrent *t);               // by an input of a peer: touched only if that matters
void torrent_beat(struct node *n, struct torrent *t);
void torrent_stop(struct node *n, struct torrent *t);
bool torrent_poll(struct node *n, struct torrent *t, struct buf *tx, struct node_out *out, enum node_kind *kind);
void torrent_free(struct node *n, struct torrent *t);
uint32_t request_add(struct node *n, uint32_t torrent, uint32_t local); // 0: too many
bool request_end(struct node *n, uint32_t id, struct pending *out);
struct pending *request_stream(struct node *n, uint32_t id);            // of a streamed fetch; NULL: it is over

enum err torrent_hashes_add(struct node *n, struct torrent *t);         // of t->meta, those that are not there
enum err torrent_swarm_make(struct node *n, struct torrent *t, const struct node_add *add);
enum err torrent_announcer_make(struct node *n, struct torrent *t);

// node_remove.c
void conn_drop_shaking(struct node *n, const struct torrent *of);       // streams that are no peers yet; of NULL: of all
bool torrent_leave(struct node *n, struct torrent *t, struct node_out *out, enum node_kind *kind);  // true: it is gone, and said so

// node_magnet.c: torrents without metadata, and what is the same with and without it.
bool torrent_known_next(struct node *n, struct torrent *t, struct addr *out);
void torrent_known_failed(struct node *n, struct torrent *t, const struct addr *a);
void torrent_known_connected(struct node *n, struct torrent *t, const struct addr *a);
void torrent_known_add(struct node *n, struct torrent *t, const struct addr *a, bool trusted, bool named);
// ERR_…: as swarm_peer_add or metadata_peer_add.
enum err torrent_peer_add(struct node *n, struct conn *c, const struct swarm_peer_new *in);
bool magnet_poll(struct node *n, struct torrent *t, struct buf *tx, struct node_out *out, enum node_kind *kind);
void magnet_beat(struct node *n, struct torrent *t);
void magnet_stats(const struct torrent *t, struct node_torrent_stats *out);
void magnet_handover(struct node *n, struct torrent *t);                // the swarm takes its peers

// node_dht.c: the DHT, if it is on.
enum err node_dht_new(struct node *n);
void node_dht_free(struct node *n);
void node_dht_tick(struct node *n);
nsec node_dht_deadline(const struct node *n);
void node_dht_beat(struct node *n);
void node_dht_work(struct node *n);                                     // announces what is due, as far as it may
bool node_dht_datagram(struct node *n, const struct addr *from, struct slice data);     // true: it was one
bool node_dht_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
void node_dht_resolved(struct node *n, uint32_t router, const struct addr *addrs, uint32_t addrs_n);
void node_dht_saved(struct node *n);
void node_dht_stop(struct node *n);
void node_dht_network_changed(struct node *n);
void node_dht_external(struct node *n, const struct addr *a);            // our address, from whoever found out
bool node_dht_stopped(const struct node *n);
void node_dht_peer(struct node *n, const struct addr *a);               // a peer's PORT message
void node_dht_torrent_gone(struct node *n, const struct torrent *t);
void node_dht_check(const struct node *n);
void torrents_tell_again(struct node *n);                               // trackers: we are elsewhere
void torrent_port(struct node *n, struct torrent *t);                  // the port to be told is another one

// node_external.c: our address, as others see it
void external_vote(struct node *n, uint32_t source, const struct addr *says);   // source: as votes_add; 0: no vote
void external_set(struct node *n, const struct addr *a);                // decided, here or by the DHT
void external_tell(struct node *n, struct torrent *t);                  // to what the torrent has by now
void external_forget(struct node *n);                                   // another network
bool external_poll(struct node *n, struct node_out *out, enum node_kind *kind);

// node_lsd.c: local discovery, if it is on.
enum err node_lsd_new(struct node *n);
void node_lsd_tick(struct node *n);
void node_lsd_beat(struct node *n);                                     // torrents that are to be found, or not any more
void node_lsd_torrent_gone(struct node *n, struct torrent *t);
void node_lsd_network_changed(struct node *n);
void node_lsd_datagram(struct node *n, const struct addr *from, struct slice data);
bool node_lsd_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);

// May it be searched for by other ways than its trackers? BEP 27.
static inline bool torrent_is_open(const struct torrent *t) { return !t->meta->is_private && !t->removing && (t->announcing || t->metadata != NULL); }

// node_map.c
void map_start(struct node *n);
void map_beat(struct node *n);
void map_stop(struct node *n);
void map_news(struct node *n, const struct addr *from, struct slice data);      // at NODE_PORT_ROUTER
bool map_is_stopped(const struct node *n);                              // nothing left to take back, or it took too long
bool map_poll(struct node *n, struct node_out *out, enum node_kind *kind);

// node_conn.c
struct conn *conn_get(const struct node *n, uint32_t id);               // NULL: none, or gone
struct conn *conn_new(struct node *n, const struct addr *addr);         // NULL: full
uint32_t conn_accept(struct node *n, enum node_port port, const struct addr *from);    // its id; 0: refused
void conn_drop(struct node *n, struct conn *c, bool tell_host);         // forgets it; NODE_CLOSE comes if tell_host
static inline bool conn_is_blocked(const struct node *n, const struct addr *a) { return n->cfg.blocked != NULL && ranges_has(n->cfg.blocked, a); }
void conn_punch(struct node *n, struct torrent *t, const struct addr *a);  // both sides connect now
void conn_work(struct node *n);                                         // begins connects
void conn_beat(struct node *n);                                         // time-outs
bool conn_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
void conn_say(struct node *n, struct conn *c);                          // it has something for the host: the poll looks
void conn_begin(struct node *n, struct conn *c);                        // connected, by whatever way: the handshake begins
const uint8_t *conn_hello(struct node *n, const struct conn *c, struct buf *b);     // writes the handshake; returns its info-hash
void conn_send_own(struct node *n, struct conn *c, struct slice bytes, struct node_out *out);   // bytes the swarm does not know of
MUST_USE bool conn_room(struct node *n, struct conn *c, struct node_room *out);     // of the handshake or the peer; false: none
void conn_rx(struct node *n, struct conn *c, size_t len);               // clear bytes landed there

// node_stream.c: streams over uTP
MUST_USE enum err stream_start(struct node *n);
void stream_stop(struct node *n);
// Begins to connect by what is likeliest to work. False: there is no way.
MUST_USE bool stream_connect(struct node *n, struct conn *c);
// TCP has failed: uTP is tried, or is under way. False: that was the last.
MUST_USE bool stream_other(struct node *n, struct conn *c, enum err e);
// The other side connects just now: uTP tries at once, or again.
void stream_punch(struct node *n, struct conn *c);
// The time for the other way has come.
void stream_other_due(struct node *n, struct conn *c);
// The host's stream won.
void stream_lost(struct node *n, struct conn *c);
// c has ended in its handshake, without a byte from the other side.
void stream_unheard(struct node *n, struct conn *c);
// True: c is over uTP and the segments are queued.
bool stream_send(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n);
// True: c is over uTP, and what it has goes to where it belongs.
bool stream_resume(struct node *n, struct conn *c);
void stream_done(struct node *n, struct conn *c);                       // c is about to be freed
bool stream_datagram(struct node *n, const struct addr *from, struct slice data);   // false: not uTP
void stream_job_done(struct node *n, uint32_t id, enum err e, uint32_t file);
bool stream_poll(struct node *n, struct buf *tx, struct node_out *out, enum node_kind *kind);
void stream_fail(struct node *n, struct conn *c);                       // gives it up

// node_stream_out.c
bool stream_out_add(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n);    // false: no memory, too much
void stream_out_done(struct node *n, struct conn *c);
void stream_push(struct node *n, struct conn *c);                       // what waits goes into the transport, as far as it takes it
bool stream_read_poll(struct node *n, struct node_out *out);            // true: out->job is a read
