// What a swarm says: what the node is to do, events, and its figures. Part of swarm.h.
#pragma once
#include "base/addr.h"
#include "base/bytes.h"
#include "engine/io.h"

enum swarm_kind {
    SWARM_IDLE,                         // deadline
    SWARM_SEND,                         // conn, segs
    SWARM_CLOSE,                        // conn: the swarm has forgotten the peer
    SWARM_RESUME,                       // conn: room again
    SWARM_JOB,                          // job
    SWARM_SAVE,                         // bytes: resume data, to be answered by swarm_saved
    SWARM_FETCH,                        // id, bytes, fetch: as NODE_STREAM
    SWARM_FETCH_RESUME,                 // id
    SWARM_FETCH_CANCEL,                 // id: it is over
    SWARM_EVENT,                        // event
};

enum swarm_event {
    SWARM_EVENT_CHECKED,
    SWARM_EVENT_COMPLETE,               // all wanted pieces verified and written
    SWARM_EVENT_DONE,                   // and on stable storage
    SWARM_EVENT_FILE_DONE, SWARM_EVENT_ERROR, SWARM_EVENT_RECOVERED,
    SWARM_EVENT_GONE,                   // file: it was removed, replaced, cut or changed by somebody else; err: ERR_NOT_FOUND, ERR_HASH
    SWARM_EVENT_BANNED, SWARM_EVENT_STOPPED,
    SWARM_EVENT_DHT_NODE,               // addr: a peer says that it has a DHT node there
    SWARM_EVENT_SEEN_AS,                // addr: a peer there sees us at `seen` (port 0)
    SWARM_EVENT_PUNCH,                  // addr: connect there now, by uTP, because it connects to us now (BEP 55)
    SWARM_EVENT_LAYERS,                 // all piece layers that the torrent lacked are there
    SWARM_EVENT_WEB_SEED,               // bytes: a URL and what is wrong with it; err
};

struct swarm_out {
    nsec deadline;
    uint32_t conn;
    const struct io_seg *segs;
    uint32_t segs_n;
    struct io_job job;
    uint32_t id;
    struct io_fetch fetch;
    struct slice bytes;
    enum swarm_event event;
    uint32_t file;
    enum err err;
    struct addr addr, seen;
};

enum swarm_state { SWARM_CHECKING, SWARM_DOWNLOADING, SWARM_SEEDING, SWARM_ERROR, SWARM_STOPPING, SWARM_STOPPED };

struct swarm_stats {
    enum swarm_state state;
    enum err error;
    uint32_t error_file;
    bool done;                          // SWARM_EVENT_DONE was said, and it still seeds
    bool stuck;                         // SWARM_ERROR for good: all that is left to do is in files that cannot be written
    uint32_t broken, differ;            // files that cannot be written; that were there and are overwritten
    uint64_t wanted_bytes, done_bytes, left_bytes;
    uint64_t down_bytes, down_seed_bytes, up_bytes, waste_bytes;
    uint64_t down_bps, up_bps;
    uint64_t down_total, up_total;      // bytes in all runs
    nsec seeded;                        // in all runs, up to the swarm's last input
    bool seeding;                       // it goes on
    uint32_t pieces_have, pieces_checked;
    uint32_t peers, seeds, unchoked_by, unchoking, known, hash_failures, banned;
    uint64_t rx_bytes;                  // content that came from peers, blocks under way and what was thrown away included
    uint64_t rx_moved;                  // bytes copied because room was guessed wrong
    uint64_t web_bytes;                 // part of down_bytes that came from web seeds
    uint32_t web_seeds, web_conns;      // URLs not given up; transfers under way
};
