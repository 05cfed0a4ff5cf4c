// Web seeds: servers that have the torrent's files, as sources of pieces beside the peers. BEP 19 (url-list), over HTTP(S)
// and FTP. For the swarm alone.
//
// A transfer claims a run of missing pieces (no peer is asked for them meanwhile) and fetches file ranges, in order, into
// slots of the pool; pieces are verified, written and blamed as those of peers. Gaps that no peer can fill come first;
// while the peers are fast nothing new is begun; who has nothing to do takes over the far half of a claim.
#pragma once
#include "codec/http_head.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/swarm.h"

enum {
    WEB_SOURCES_MAX = 64,               // URLs of a torrent that are used
    WEB_CONNS_MAX = 8,                  // transfers of a torrent
    WEB_PER_HOST_MAX = 4,               // and with one server
    WEB_SPAN_MIN = 4 << 20,             // bytes of a claim, if there is so much in a row
    WEB_SPAN_MAX = 256 << 20,
    WEB_SPAN_S = 8,                     // of a fast server's rate
    WEB_SPLIT_MIN = 1 << 20,            // a claim with less before it than this is not shared
    WEB_SPLIT_S = 2,                    // nor one that is fetched so soon
    WEB_SKIP_MAX = 1 << 20,             // bytes that are read and thrown away rather than asking again
    WEB_SLOTS_AHEAD = 64,               // slots reserved at once: what is written at once
    WEB_URL_MAX = 8192,
    WEB_SILENT_S = 20,                  // a transfer that brings nothing for so long is over
    WEB_RETRY_S = 2, WEB_RETRY_MAX_S = 600, // after failures, doubling
    WEB_ENOUGH = 4,                     // peers so many times faster than the servers: those rest
};

// A URL.
struct web_source {
    struct slice url, host;
    uint32_t serial;                    // who is blamed
    bool banned;
    bool whole_only;                    // answers with the whole file, whatever is asked: one transfer, from its start
    bool told;                          // its last failure was reported
    bool marked;                        // mark: digest of the ETag or date of its file, where no hash tells
    uint8_t mark[SHA1_LEN];
    uint32_t fails, conns_n, conns_max;
    nsec retry_at;
};

// A transfer.
struct web_conn {
    struct swarm_peer self;             // as owner of its piece and for blame: serial, piece and down_bps, nothing else
    struct web_source *source;          // NULL: idle
    bool fetching, head_ok, starved;    // starved: room was refused, a resume is owed
    bool held;                          // not for want of slots or grant: not before a piece is done, or a second has passed
    bool cancel, begin;                 // still to be said
    uint32_t index, end;                // pieces claimed: this one and those before `end`
    uint64_t at, to;                    // piece space: the next byte; where the present answer ends
    uint64_t skip;                      // bytes of the answer before `at`
    uint64_t from;                      // where this answer began to be of use
    bool entered, drop;                 // the piece at `at` is begun; its bytes are of no use
    uint8_t *mine;                      // bits: blocks of it that wait for this transfer
    uint32_t mine_len;
    uint8_t *slot;                      // memory of the block at `at`; NULL: none yet
    uint32_t reserved;
    nsec rx_at;
    uint64_t bytes_last;
};

struct web {
    struct web_source sources[WEB_SOURCES_MAX];
    struct web_conn conns[WEB_CONNS_MAX];
    uint32_t sources_n, turn;
    bool due;                           // idle transfers may find work
    bool stopped, has_pads;
    uint32_t conns_max;                 // as the peers leave it
    uint64_t bps, best_bps;             // of all transfers: now, and the best second
    struct { struct slice url; const char *why; enum err err; } events[4];
    uint32_t events_n;
    uint8_t text[WEB_URL_MAX];
};

// NULL in s->web: the torrent has none. ERR_NOMEM.
MUST_USE enum err web_init(struct swarm *s);
void web_done(struct swarm *s);
// All transfers end.
void web_stop(struct swarm *s);
void web_beat(struct swarm *s);         // once a second
// One output of it; false: none.
bool web_poll(struct swarm *s, struct swarm_out *out, enum swarm_kind *kind);
// A transfer waits, for the rate limit or for memory.
bool web_waits(const struct swarm *s);
// When something must happen by itself.
nsec web_deadline(const struct swarm *s);
// The piece ends or is given up.
void web_piece_gone(struct swarm *s, const struct piece *p);
// Gives a part of what is claimed back, for a peer that finds nothing to ask for. True: there is something now.
bool web_yield(struct swarm *s);
// The source with this serial sent bad data. False: there is none.
bool web_ban(struct swarm *s, uint32_t serial);
void web_stats(const struct swarm *s, struct swarm_stats *out);
void web_check(const struct swarm *s);

// webseed_pick.c
// Gives idle transfers something to do.
void web_assign(struct swarm *s);
// What is claimed and not begun is missing again.
void web_unclaim(struct swarm *s, struct web_conn *c, uint32_t from);
// The URL and range of the file at c->at, into web.text; its end, at most the claim's, into c->to. False: no URL can be made.
bool web_request(struct swarm *s, struct web_conn *c, struct swarm_out *out);
// The claim grows by the missing pieces behind it, the present answer with it up to the file's end.
void web_extend(struct swarm *s, struct web_conn *c);
// Bytes of a file, from piece space; the file's end in piece space.
const struct metainfo_file *web_file_at(const struct swarm *s, uint64_t at, uint64_t *end);
