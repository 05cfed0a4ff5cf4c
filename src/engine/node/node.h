// The node: everything that kith does, composed, as one pure engine. Two hosts run it: app/host.c on the operating system,
// sim on a simulated internet. docs/ARCHITECTURE.md tells the story.
//
// The owner calls an input, then polls until NODE_IDLE. Nothing an output points to lives past the next call.
#pragma once
#include "base/env.h"
#include "codec/magnet.h"
#include "codec/metainfo.h"
#include "engine/io.h"
#include "engine/node/node_config.h"
#include "engine/node/node_out.h"

struct node;
struct tracker_stats;                   // engine/find/tracker.h
struct dht_ask;                         // engine/find/dht.h, as the next one
struct dht_stats;

enum {
    NODE_TX_MIN = 64 * 1024,            // bytes of `tx` that node_poll wants to make progress
    NODE_FETCH_MAX = 8 << 20,           // greatest body of a fetch: a tracker's answer after gunzip
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
// ERR_PROXY: the address was not tried, the way to everybody is closed.
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
// For hosts of many nodes, whose memory is far from the processor when something comes for them: asks for what an input for id
// (0: for none) will look at, step by step, some hundred nanoseconds apart, each behind the pointers that the last one fetched;
// step: 0 … NODE_WARM_STEPS - 1. Before step 0 the host fetches the first NODE_WARM_LEN bytes of n. Changes nothing.
void node_warm(const struct node *n, uint32_t id, uint32_t step);
enum { NODE_WARM_LEN = 448 };
