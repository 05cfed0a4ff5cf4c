// What a node says: what its host is to do, events, and the figures of a torrent. Part of node.h.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "engine/io.h"

struct dht_out;                         // engine/find/dht.h

// Where a stream or datagram arrived, or leaves from.
// NODE_PORT_LSD: the port of local discovery; what is sent from there goes to a multicast group, on every interface.
// NODE_PORT_ROUTER: where a router tells its network that it has started anew or has another address.
enum node_port { NODE_PORT_PEER, NODE_PORT_TRACKER, NODE_PORT_LSD, NODE_PORT_ROUTER };

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
