// The node: everything that kith does, composed, as one pure engine. Two hosts run it: app/host.c on the operating system,
// sim on a simulated internet. docs/ARCHITECTURE.md tells the story.
//
// The owner calls an input, then polls until NODE_IDLE. Nothing an output points to lives past the next call.
#pragma once
#include "base/env.h"
#include "codec/magnet.h"
#include "codec/metainfo.h"
#include "engine/io.h"

struct node;
struct ranges;                          // base/ranges.h
struct tracker_stats;                   // engine/find/tracker.h
struct dht_ask;                         // engine/find/dht.h, as the next two
struct dht_out;
struct dht_stats;

// Where a stream or datagram arrived, or leaves from.
// NODE_PORT_LSD: the port of local discovery; what is sent from there goes to a multicast group, on every interface.
// NODE_PORT_ROUTER: where a router tells its network that it has started anew or has another address.
enum node_port { NODE_PORT_PEER, NODE_PORT_TRACKER, NODE_PORT_LSD, NODE_PORT_ROUTER };

enum {
    NODE_TX_MIN = 64 * 1024,            // bytes of `tx` that node_poll wants to make progress
    NODE_FETCH_MAX = 8 << 20,           // greatest body of a fetch: a tracker's answer after gunzip
};

// How upload slots are given. All but the first are for comparison, in the laboratory above all.
enum node_choke {
    NODE_CHOKE_KITH,                    // leech: who gives most; seed: rotation
    NODE_CHOKE_ORIGINAL,                // seeds serve the fastest takers, as Cohen 2003
    NODE_CHOKE_BLIND,                   // rotation, whatever peers give: no tit-for-tat
};

#define NODE_DHT_KEY "dht/nodes"        // of NODE_SAVE: what node_dht_config.saved wants back

// Taking part in the DHT, on NODE_PORT_PEER.
struct node_dht_config {
    bool on;
    bool read_only;                     // BEP 43: asks, but answers nobody
    bool ipv4, ipv6;                    // families that have a socket; neither: both
    const struct slice *routers;        // "HOST:PORT" to begin with; outlive the node
    uint32_t routers_n;
    struct slice saved;                 // of the last run; read by node_new only
};

// Local discovery (BEP 14), by NODE_PORT_LSD.
struct node_lsd_config {
    bool on;
    bool ipv4, ipv6;                    // families whose group the host has joined
};

// MSE/PE: connections that do not show what they are. 0 is off, which the simulator wants: it sends content by reference.
enum node_encryption { NODE_ENCRYPTION_OFF, NODE_ENCRYPTION_PREFER, NODE_ENCRYPTION_REQUIRE };

struct node_config {
    uint8_t peer_id[20];                // BEP 20; -KHxxxx- and random characters
    uint16_t listen_port;               // announced to trackers and peers
    uint64_t up_bps, down_bps;          // bytes/s of payload, all torrents together; 0: no limit
    enum node_encryption encryption;
    const struct ranges *blocked;       // addresses that are not talked to; NULL: none. Outlives the node
    bool map_ports;                     // ask the router by NODE_MAP
    uint64_t pool_bytes;                // memory for content on its way to disk; 0: NODE_POOL_DEFAULT
    uint32_t peers_max;                 // connections, all torrents together; 0: default
    uint32_t slots_max;                 // unchoke slots for each torrent; 0: follows the uplink (bittorrent note 3.2)
    enum node_choke choke;
    bool no_optimistic;                 // no optimistic unchoke: for comparison
    bool no_allowed_fast;               // no pieces for choked peers (BEP 6): for comparison
    bool tracker;                       // run a tracker on NODE_PORT_TRACKER
    bool tracker_whitelist;             // only hashes admitted by node_tracker_admit
    bool tracker_metrics;               // its HTTP side serves /metrics
    uint32_t tracker_interval_s;        // 0: default
    bool no_utp, no_tcp;                // peers: not over this transport, in neither direction
    struct node_dht_config dht;
    struct node_lsd_config lsd;
};

// How a torrent is to be run.
struct node_add {
    const struct metainfo *meta;        // outlives the torrent
    struct slice root;                  // directory of its files; outlives the torrent
    struct slice resume;                // what NODE_SAVE gave earlier, empty: none
    bool trust;                         // the files are complete and just hashed: no check
    bool check;                         // hash everything that exists before starting
    bool check_only;                    // stop after that
    bool keep;                          // the files are the user's own: one that is too long is not cut
    bool sequential;
    bool random_order;                  // pieces at random instead of rarest first: for comparison
    bool reserve;                       // preallocate
    bool super_seed;                    // we are the only seed: BEP 16, until there is a second copy
    const uint8_t *priorities;          // one for each file, 0 skip, 1-7; NULL: all 4
    uint64_t up_bps, down_bps;          // limits of its own, bytes/s of content; 0: none
};

enum torrent_state { TORRENT_METADATA, TORRENT_CHECKING, TORRENT_DOWNLOADING, TORRENT_SEEDING, TORRENT_PAUSED, TORRENT_ERROR };

// Absolute counters and the present moment of one torrent.
struct node_torrent_stats {
    enum torrent_state state;
    enum err error;                     // TORRENT_ERROR: why
    char error_path[256];               // and at which file, may be cut
    bool done;                          // NODE_EVENT_DONE was said, and it still seeds
    bool stuck;                         // TORRENT_ERROR for good: all that is left to do is in files that cannot be written
    uint32_t broken, differ;            // files that cannot be written; that were there with other content and are overwritten
    uint64_t wanted_bytes, done_bytes;  // of the wanted files; done: verified and written
    uint64_t down_bytes, up_bytes;      // payload since start
    uint64_t down_total, up_total;      // payload of all runs, as far as resume data tells
    nsec seeded;                        // time of seeding in all runs
    uint64_t down_seed_bytes;           // part of down_bytes that came from peers that had everything
    uint64_t web_bytes;                 // part of down_bytes that came from web seeds
    uint64_t waste_bytes;               // payload thrown away: duplicates and failed pieces
    uint64_t rx_bytes;                  // as down_bytes, blocks under way and what was thrown away included
    uint64_t down_bps, up_bps;          // over the last seconds
    uint32_t pieces_n, pieces_have, pieces_checked;
    uint32_t peers, seeds, unchoked_by, unchoking, known;
    uint32_t hash_failures, banned;
    uint64_t metadata_size;             // TORRENT_METADATA: bytes, 0: nobody has said yet
    uint32_t metadata_parts, metadata_here;     // of 16 KiB
    uint32_t web_seeds, web_conns;      // URLs in use or waiting for their turn; transfers under way
};

enum node_event_kind {
    NODE_EVENT_METADATA,                // of a magnet link: text is the info dictionary; answer with node_magnet_begin
    NODE_EVENT_LAYERS,                  // the piece layers that a v2 torrent lacked came from peers: node_torrent_layer
    NODE_EVENT_CHECKED,                 // check finished
    NODE_EVENT_DONE,                    // all wanted files complete and on stable storage
    NODE_EVENT_FILE_DONE,               // file: complete and written, not yet synced
    NODE_EVENT_ERROR,                   // storage: the torrent pauses and retries by itself; of errors of one file (ERR_ACCESS,
                                        // ERR_EXISTS, ERR_LINK, ERR_IS_DIR, ERR_NOT_DIR, ERR_TOO_LONG) it leaves that file; err, text: path
    NODE_EVENT_RECOVERED,               // what was said of by NODE_EVENT_ERROR has been written
    NODE_EVENT_GONE,                    // text: path of a file that somebody removed (err ERR_NOT_FOUND) or changed (ERR_HASH)
    NODE_EVENT_TRACKER,                 // a tracker's warning or failure; text
    NODE_EVENT_BANNED,                  // addr sent bad data
    NODE_EVENT_DHT,                     // dht_kind, dht: an answer to node_dht_ask
    NODE_EVENT_WEB_SEED,                // text: a URL and what is wrong with it; err. ERR_HASH: it sent bad data and is not used again
    NODE_EVENT_EXTERNAL,                // addr (port 0): our address, as trackers, peers and the DHT agree
    NODE_EVENT_REMOVED,                 // a torrent is gone, node_torrent_remove: its number means nothing any more, and comes again
    NODE_EVENT_STOPPED,                 // node_stop has finished: saved and announced
};

struct node_event {
    enum node_event_kind kind;
    uint32_t torrent;
    uint32_t file;
    enum err err;
    struct addr addr;
    struct slice text;
    uint32_t dht_kind;                  // enum dht_kind
    const struct dht_out *dht;
};

enum node_kind {
    NODE_IDLE,          // deadline: call node_tick then; NSEC_NEVER: never
    NODE_DGRAM,         // port, addr, bytes, segment
    NODE_CONNECT,       // conn, addr: answered by node_connected
    NODE_SEND,          // conn, segs: progress comes by node_sent
    NODE_CLOSE,         // conn: forget it; flush: after what is queued went out. No more calls for it
    NODE_RESUME,        // conn: room again after node_rx_room gave none
    NODE_JOB,           // job: answered by node_job_done
    NODE_FETCH,         // id, bytes: an http(s) URL: answered by node_fetched
    NODE_STREAM,        // id, bytes, fetch: a URL, also ftp(s): node_stream_head, node_stream_rx …, then node_fetched without body
    NODE_STREAM_RESUME, // id: room again after node_stream_room gave none
    NODE_STREAM_CANCEL, // id: no more calls for it
    NODE_RESOLVE,       // id, bytes: a host name; answered by node_resolved
    NODE_MAP,           // map: answered by node_mapped
    NODE_SAVE,          // id, key, bytes: answered by node_saved once durable
    NODE_EVENT,         // event
};

// A port of ours that the router shall let strangers reach, on NODE_PORT_PEER.
struct node_map {
    bool udp;
    uint16_t port, external;            // ours; and the one wished for outside, or held: when it is taken back
    uint32_t lifetime_s;                // 0: take it back
};

struct node_out {
    nsec deadline;
    enum node_port port;
    struct addr addr;
    enum addr_family family;            // NODE_FETCH: over this family only; ADDR_NONE: any
    struct slice bytes, key;
    uint32_t segment;                   // NODE_DGRAM: bytes is a train of packets of this size, the last may be shorter; 0: one
    uint32_t conn, id;
    bool flush;
    const struct io_seg *segs;
    uint32_t segs_n;
    struct io_job job;
    struct node_map map;
    struct io_fetch fetch;
    struct node_event event;
};

// Memory where the next bytes of a stream belong. spans_n 0: none now, NODE_RESUME will come.
struct node_room {
    struct span spans[IO_ROOM_MAX];
    uint32_t spans_n;
};

// ERR_NOMEM. env and what it points to outlive the node.
MUST_USE enum err node_new(struct node **out, const struct node_config *cfg, const struct env *env, nsec now);
// Wants no jobs under way (node_stop and drain first, or never run it again).
void node_free(struct node *n);
void node_tick(struct node *n, nsec now);
// Composes datagrams, headers and events into tx (at least NODE_TX_MIN free) and fills out.
enum node_kind node_poll(struct node *n, nsec now, struct buf *tx, struct node_out *out);

// Streams. conn is never 0.
// A stream arrived; returns its conn, or 0: refuse it.
uint32_t node_accept(struct node *n, nsec now, enum node_port port, const struct addr *from);
void node_connected(struct node *n, nsec now, uint32_t id, enum err e);
// Ask, read into it at once, report what landed: no other call on the node between the two. Filling only the first
// span, or a part of it, is always right. Without room: poll, because the deadline has changed.
void node_rx_room(struct node *n, nsec now, uint32_t id, struct node_room *out);
void node_rx(struct node *n, nsec now, uint32_t id, size_t len);
// len bytes of what was queued left for the network.
void node_sent(struct node *n, nsec now, uint32_t id, uint64_t len);
// The stream ended; the conn is forgotten.
void node_closed(struct node *n, nsec now, uint32_t id, enum err e);

void node_datagram(struct node *n, nsec now, enum node_port port, const struct addr *from, struct slice data);

// Completions. ERR_CANCELLED where the host gave up.
void node_job_done(struct node *n, nsec now, uint32_t id, enum err e, uint32_t file);      // file: the one that failed
void node_fetched(struct node *n, nsec now, uint32_t id, enum err e, int status, struct slice body);
// Streamed fetches. The header lines of the answer (codec/http_head.h), before its first byte; FTP: status 206 and the range.
void node_stream_head(struct node *n, nsec now, uint32_t id, int status, struct slice lines);
// Where the next bytes of the body belong, as node_rx_room. spans_n 0: none now, NODE_STREAM_RESUME will come. These three do
// nothing for an id that is over.
void node_stream_room(struct node *n, nsec now, uint32_t id, struct node_room *out);
// Whether a stream is still waited for.
bool node_stream_wanted(struct node *n, uint32_t id);
void node_stream_rx(struct node *n, nsec now, uint32_t id, size_t len);
void node_resolved(struct node *n, nsec now, uint32_t id, enum err e, const struct addr *addrs, uint32_t n_addrs);
void node_saved(struct node *n, nsec now, uint32_t id, enum err e);
// external: as the router has it, port 0: as wished; lifetime_s: how long it holds.
void node_mapped(struct node *n, nsec now, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s);
// A file range that was being sent could not be read: its torrent is checked again where needed.
void node_read_failed(struct node *n, nsec now, uint32_t store, uint32_t file, enum err e);

// Commands.
// torrent: its number, never 0; also the number of its store. ERR_EXISTS: the same hash is there. ERR_NOMEM,
// ERR_FULL. A v2 torrent without piece layers asks its peers for them.
MUST_USE enum err node_torrent_add(struct node *n, nsec now, const struct node_add *add, uint32_t *torrent);
// A torrent of which only a magnet link is known: fetches the metadata (TORRENT_METADATA), says NODE_EVENT_METADATA once and
// keeps its peers until node_magnet_begin. Of the link the hashes, trackers, peers and name count; it is copied, but its
// texts outlive the torrent. ERR_EXISTS, ERR_NOMEM, ERR_FULL as node_torrent_add.
MUST_USE enum err node_magnet_add(struct node *n, nsec now, const struct magnet *link, uint32_t *torrent);
// Goes on with the metadata, after NODE_EVENT_METADATA (also inside of its delivery): add->meta is what was parsed from its
// text. The peers stay. ERR_NOMEM: the torrent is as before. A private torrent keeps only peers that its
// trackers or the user named (BEP 27).
MUST_USE enum err node_magnet_begin(struct node *n, nsec now, uint32_t torrent, const struct node_add *add);
// Lets a torrent go while the others stay: it announces stop, saves and closes, then says NODE_EVENT_REMOVED; until then its
// hashes are taken and what it borrowed is needed. ERR_NOT_FOUND; ERR_AGAIN: it is going already, or all are.
MUST_USE enum err node_torrent_remove(struct node *n, nsec now, uint32_t torrent);
// One priority for each file, 0 skip, 1 … 7; copied, in force at once. ERR_RANGE; ERR_NOT_FOUND: no such torrent; ERR_AGAIN: its
// metadata is not here yet; ERR_NOMEM.
MUST_USE enum err node_torrent_priorities(struct node *n, nsec now, uint32_t torrent, const uint8_t *priorities);
MUST_USE enum err node_peer_add(struct node *n, nsec now, uint32_t torrent, const struct addr *peer);
// Other limits from now on, bytes/s of content, 0: none: of all torrents together, and of one beside them. ERR_NOT_FOUND: no such
// torrent; ERR_AGAIN: its metadata is not here yet, node_magnet_begin is told.
void node_limits(struct node *n, nsec now, uint64_t up_bps, uint64_t down_bps);
MUST_USE enum err node_torrent_limits(struct node *n, nsec now, uint32_t torrent, uint64_t up_bps, uint64_t down_bps);
// Whether datagrams of NODE_PORT_PEER pass at present; they do until this is said. What went over uTP
// ends when they do not, and peers are reached by TCP at once: if they pass again, then from elsewhere.
void node_datagrams(struct node *n, nsec now, bool pass);
// The machine's way to the internet is another one: known peers and trackers are tried at once.
void node_network_changed(struct node *n, nsec now);
// Announces stop, saves state, closes all; NODE_EVENT_STOPPED when done, within NODE_STOP_MAX.
void node_stop(struct node *n, nsec now);
// BEP 3 whitelist of the tracker. ERR_FULL, ERR_NOMEM, ERR_EXISTS.
MUST_USE enum err node_tracker_admit(struct node *n, const uint8_t hash[20]);
// ERR_NOT_FOUND.
MUST_USE enum err node_tracker_revoke(struct node *n, const uint8_t hash[20]);
// Only with cfg.tracker.
void node_tracker_stats(const struct node *n, struct tracker_stats *out);
// A question to the DHT; answers come by NODE_EVENT_DHT. ERR_UNSUPPORTED: no DHT; else as dht_ask.
MUST_USE enum err node_dht_ask(struct node *n, nsec now, const struct dht_ask *ask, uint32_t *op);
// An address where a DHT node may be.
void node_dht_add(struct node *n, nsec now, const struct addr *a);
// False: there is no DHT.
bool node_dht_stats(const struct node *n, struct dht_stats *out);
// The key under which NODE_SAVE keeps a torrent's resume data: for loading it again. At most 512 bytes.
void node_resume_key(struct wr *w, const struct metainfo *meta, struct slice root);

// File `file` of a store: for the host, which opens lazily. file < files of the store; the last may be `.parts`.
void node_store_file(const struct node *n, uint32_t store, uint32_t file, struct io_file *out);
uint32_t node_store_files(const struct node *n, uint32_t store);
void node_torrent_stats(const struct node *n, uint32_t torrent, struct node_torrent_stats *out);
// The piece layer of a file (BEP 52): 32 bytes for each of its pieces, while the torrent lives; NULL: it has none, or it is not
// known.
const uint8_t *node_torrent_layer(const struct node *n, uint32_t torrent, uint32_t file);
// The verified pieces as a BEP 3 bitfield, borrowed until the next call.
struct slice node_torrent_have(const struct node *n, uint32_t torrent);
void node_check(const struct node *n);

enum { NODE_WARM_STEPS = 5 };
// For hosts of many nodes, whose memory is far from the processor when something comes for them: asks for what an input for conn
// (0: for none) will look at, step by step, some hundred nanoseconds apart, each behind the pointers that the last one fetched;
// step: 0 … NODE_WARM_STEPS - 1. Before step 0 the host fetches the first NODE_WARM_LEN bytes of n. Changes nothing.
void node_warm(const struct node *n, uint32_t conn, uint32_t step);
enum { NODE_WARM_LEN = 448 };
