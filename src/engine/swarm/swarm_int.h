// What the files of this room share; nobody else includes it.
#pragma once
#include "base/bits.h"
#include "base/list.h"
#include "codec/extended.h"
#include "codec/hash_request.h"
#include "codec/ut_holepunch.h"
#include "engine/swarm/choker.h"
#include "engine/swarm/known.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/superseed.h"
#include "engine/swarm/swarm.h"

enum {
    ASKED_MAX = SWARM_REQQ,             // requests of ours at one peer
    DEPTH_MIN = 4,                      // requests to begin with
    REQQ_DEFAULT = 250,                 // a peer that does not say how many it keeps
    AHEAD_MAX = POOL_AHEAD_MAX,
    OUT_MIN = 32 * 1024,                // bytes of one peer at the host, not composed beyond: about a second of what
    OUT_START = 64 * 1024,              // the peer takes, so that chokes and cancels still act; composed again below half
    OUT_MAX = 512 * 1024,
    OUT_SMALL_LEN = 1024,               // answers below this are dear to keep for what they bring: OUT_MIN holds for them
    OUT_CONTROL = 64 * 1024,            // over that only what must be said, so much of it; then nothing until the peer reads
    OUT_FAST_MS = 200,                  // drained so soon: more may be composed
    PARTIALS_MAX = 512,
    HASH_BLOCKS = IO_SPANS_MAX,         // blocks of one hash job: 1 MiB, or the piece
    WRITE_BLOCKS = IO_SPANS_MAX,        // blocks of one write job: 1 MiB
    CHECKS_MAX = 8,                     // pieces being read and hashed at once
    SOURCES_MAX = 512,                  // peers remembered for blame after they left
    ENDGAME_ASKS_MAX = 2,
    ALLOWED_FAST_K = 10,                // BEP 6
    STALL_S = 20, DROP_S = 60,          // no block while asked: one request only; requests given up
    ASK_MAX_S = 60,                     // a request that was passed over is given up
    CHOKED_ANSWER_S = 5,                // a peer with fast that chokes us neither answers nor rejects: not waited for any longer
    ASK_PAUSE_S = 2,                    // who did not deliver is asked after all others have had their choice
    REJECTS_ROW_MAX = 16,               // without a block in between
    KEEPALIVE_S = 110, SILENT_MAX_S = 240,
    SILENT_LOST_S = 4,                  // and then the same peer comes again: it has lost the first connection
    CALM_S = 5,                         // between connects with three quarters of the peers: the others are full, most of them
    SAVE_S = 5, SYNC_S = 30, RETRY_S = 30, RECHECKS_MAX = 20,
    FULL_RETRY_S = 10,                  // a full disk: somebody is making room, it may be
    LOOK_S = 60,                        // a seed that gives looks at its files so often
    REMAKES_MAX = 3,
    BROKEN_MAX = 256,                   // files that cannot be written, one by one; after that all that are not complete
    SYNC_BYTES = 256 << 20,
    TOTALS_S = 60,                      // what was sent is saved so often, if nothing else is
    EXTENDED_KEPT_MAX = 16 * 1024,      // a longer extension handshake is skipped: no memory by the length field alone
    UNASKED_MAX = 64, UNASKED_ROUNDS = 6,               // unasked blocks in a minute before the peer is closed
    REJECT_QUEUE_MAX = 4096,
    PUNCH_QUEUE_MAX = 8,                // messages of ut_holepunch that wait for one peer; more are dropped
    METADATA_QUEUE_MAX = 16,            // parts of the info dictionary that one peer may wait for; more are refused
    METADATA_SHARE_S = 60,              // and in so long it gets twice the whole at most
    HASH_ASKS_MAX = 4,                  // hash requests of ours at one peer, and at all
    HASH_ASKS_ALL_MAX = 64,
    HASH_ANSWER_S = 20, HASH_PAUSE_S = 30,      // an answer takes longer, or is a refusal: the peer is not asked for so long
    HASH_QUEUE_MAX = 16,                // requests of one peer that wait
    HASH_SHARE_S = 60, HASH_ANSWERS_MAX = 4096, HASH_READS_MAX = 32,    // in a minute a peer gets so many, and of those from disk
    HASH_LEAVES_MAX = 1024,             // read for one answer: 16 MiB
    HASH_TREES_MAX = 8,                 // files whose trees are in memory
    HASH_TREE_ANSWER = 512,             // pieces whose hashes, put together to a tree, count as one answer
    HASH_OUT_LEN = 64 + HASHES_MAX * SHA256_LEN,
    LEAF_KEPT_S = 10,
    LOST_MAX = 4096,                    // pieces taken back (BEP 54)
    PEX_GONE_MAX = SWARM_PEERS_MAX,     // peers lost that are remembered; older ones are not told
    PEX_KNOWN_MAX = SWARM_KNOWN_MAX / 4 * 3,            // by peer exchange no more: trackers and others keep a share
    CANCEL_LOOKS_MAX = 1 << 17,         // queued requests looked at for one peer's cancels in a second
};

enum block_state { BLOCK_FREE, BLOCK_ASKED, BLOCK_HERE };

struct block {
    uint8_t state;                      // enum block_state
    uint8_t asks;                       // outstanding requests
    bool written;
    uint32_t source;                    // serial of the peer that was asked last, or that it came from
    uint8_t *slot;                      // BLOCK_HERE and still in memory
};

// A piece that is being fetched.
struct piece {
    struct list link;                   // swarm.partials, oldest first
    uint32_t index, blocks_n, slot_at;  // slot_at: its place in swarm.partial_at
    uint32_t len;                       // bytes to fetch: without a trailing pad
    uint32_t free_n, here_n;            // blocks in BLOCK_FREE and BLOCK_HERE
    uint32_t hashed;                    // blocks whose digest is in sha1 and leaves
    uint32_t hashing;                   // blocks of the job under way, 0: none
    uint64_t written, writing;          // bytes from the start; of the job under way
    uint32_t free_at;                   // no block below it is BLOCK_FREE
    bool verified, failed;              // failed: being taken apart for blame, then freed
    bool single;                        // failed before: only its owner may ask for its blocks
    bool stale;                         // what is written of it went with its file
    bool restored, parting;             // it was begun before the start; the stop keeps what is there and hashes no more
    nsec opened_at;
    struct sha1 sha1;
    uint8_t (*leaves)[SHA256_LEN];      // v2, or failed before; NULL else
    struct block *blocks;
    struct swarm_peer *owner;           // piece affinity: asks its blocks in order
};

struct asked {
    uint32_t piece, begin, len;
    uint32_t at_s;                      // when
    bool passed;                        // a later request was answered first
};

struct wanted {                         // a request of a peer
    uint32_t index, begin, len;
};

// So many in a second.
struct allowance {
    nsec at;                            // of the next full one
    uint32_t left;
};

// Hole punching with one peer.
struct peer_punch {
    struct ut_holepunch out[PUNCH_QUEUE_MAX];
    struct allowance asks, told, hears; // rendezvous by it; connects told to it, by it
};

// What extensions need to know of one peer.
struct peer_ext {
    uint8_t ids[EXTENSIONS_N];          // by which it wants to be sent them; 0: not
    uint16_t listen_port;               // where it accepts; 0: not said
    bool handshake_due, upload_only_sent;
    bool seen_told;                     // how it sees us
    bool taken_over;                    // it was offered what a torrent offers that is not known to be private
    uint32_t parts_n, refused_n;
    uint32_t lost_pos;                  // of swarm.lost: told up to here
    uint64_t metadata_left;             // bytes of it that the peer may still ask for before
    nsec metadata_at;
    uint32_t parts[METADATA_QUEUE_MAX]; // of the info dictionary: asked by it and to be sent
    uint32_t refused[METADATA_QUEUE_MAX];
};

// Messages of peer exchange that came from one peer.
struct pex_heard {
    bool any;
    nsec at;                            // when the last came that was taken
    uint32_t early;                     // that came too soon after it
};

// Peer exchange with one peer.
struct peer_pex {
    bool due;                           // there may be news to be told
    nsec at;                            // not before; 0: not planned yet
    uint32_t met;                       // which one it was of those whose address became known, from 1; 0: it has none that is known
    uint32_t told, gone;                // it has heard of those met up to here, and of those lost before this one
    struct pex_heard heard;
};

// An address that somebody may know of by us and where nobody is now.
struct pex_gone {
    struct addr addr;
    uint32_t met;
};

struct hash_queues {
    struct hash_request wanted[HASH_QUEUE_MAX], refused[HASH_QUEUE_MAX];
};

// What one peer asks of trees, and whether it may be asked.
struct peer_hash {
    struct hash_queues *queues;         // NULL: it has never asked
    uint32_t wanted_n, refused_n;
    uint32_t answers_left, reads_left;  // until share_at
    nsec share_at, paused_until;
    uint32_t asks_n;                    // of swarm.hash_asks, its own
    bool waits, no_leaves;              // waits: for leaves from the disk; no_leaves: it has refused some
};

enum rx_state { RX_HEAD, RX_BODY, RX_BLOCK, RX_SKIP };

// Fields stand together by what looks at them: of thousands of peers most are far from the cache when something comes for them.
struct swarm_peer {
    struct list link;                   // swarm.peers
    struct list ready;                  // swarm.ready

    // What every message and every answer looks at
    uint32_t conn, serial;
    enum rx_state rx;
    uint32_t head_n, ahead_n, room_n;   // room_n: spans given by the last swarm_rx_room
    nsec rx_at, tx_at;
    nsec ask_at;                        // not asked before
    uint64_t out_pending;               // bytes composed and not yet sent
    uint8_t *has;                       // bitfield; NULL until its first have
    uint8_t *rx_slot;                   // RX_BLOCK: memory of the block
    uint32_t has_n, useful_n;           // pieces; of those, pieces we want
    uint32_t have_pos;                  // of swarm.have_log: told up to here
    uint32_t depth, asked_n, asked_at, asked_cap;
    bool closing, pointless, has_all, am_choking, am_interested, peer_choking, peer_interested;
    bool choke_sent, interested_sent;   // what the peer was told last
    bool optimistic, upload_only, snubbed, slow_start, starved;     // starved: room was refused, SWARM_RESUME is owed
    bool sent_first, sent_extended, read_paused, room_planned;      // room_planned: it was {rest of slot} {header, slot}…
    bool incoming, utp, fast, extended, dht, v2, got_first;
    bool took_back;                     // said that a piece is gone: its pieces are counted one by one from then on
    uint32_t allowed_n, queue_n;
    uint32_t punch_n;                   // of punch.out
    uint32_t grant;                     // bytes of content that it may bring: charged already
    uint32_t allowed_out_n, allowed_out_sent;
    struct { struct wanted *items; uint32_t n, cap; } rejects;
    struct { struct asked *items; uint32_t n, cap; } cancels;
    uint32_t out_high;                  // composed up to here: OUT_MIN … OUT_MAX
    struct peer_hash hash;
    // Of us as an only seed
    struct superseed_peer super;
    bool super_on, super_due;           // it sees only what it is shown; and is still to be told of the last one
    nsec super_at;                      // nothing is looked for to be shown to it before
    struct peer_ext ext;
    struct peer_pex pex;

    // What beats and rounds look at
    nsec joined_at, choked_changed_at;
    nsec block_at;                      // last block, or when we began to ask
    nsec choked_us_at;
    uint64_t down_bytes, up_bytes, down_last, up_last, down_bps, up_bps;    // …_last: at the last second
    uint64_t down_prev;                 // bytes of the second before
    uint64_t sent_bytes, sent_last;     // all that left; at the last second
    uint64_t down_round[2], up_round, down_mark, up_mark, took_turn;
    uint32_t beat_i;                    // its place in swarm.beats
    uint32_t reqq, cancel_looks;        // cancel_looks: in this second
    uint32_t rounds, turns_wasted;
    struct addr addr;

    // Receiving
    uint8_t head[PIECE_HEADER_LEN];
    struct asked rx_block;
    uint32_t rx_pos, rx_skip;
    uint8_t *body;
    uint32_t body_n, body_len;
    uint8_t *ahead[AHEAD_MAX];

    // Our requests
    struct asked *asked;                // ring of ASKED_MAX, grown by need
    struct piece *piece;                // affinity
    uint32_t rejects_row;
    uint32_t *allowed;                  // pieces we may ask for while choked

    // Its requests
    struct wanted *queue;               // ring
    uint32_t queue_at, queue_cap;
    uint64_t gift_left;                 // bytes it may still ask for while choked: its allowed-fast set once
    uint32_t sending;                   // bytes of the first request already composed, header included
    uint32_t allowed_out[ALLOWED_FAST_K];
    nsec out_at;                        // when payload was composed last

    struct peer_punch punch;
    uint8_t peer_id[PEER_ID_LEN];
    bool said_port;                     // of its DHT node
    bool gave_in_turn, is_source;
    enum err close_err;
    uint32_t unasked, excused;          // blocks we did not ask for; late ones that we took back
};

// What beats, rounds and the endgame look at, one peer after the other: fetched ahead.
static inline void peer_fetch(const struct swarm_peer *p)
{
    prefetch(p, offsetof(struct swarm_peer, grant));
    prefetch(&p->joined_at, offsetof(struct swarm_peer, beat_i) - offsetof(struct swarm_peer, joined_at));
}

static inline bool peer_has(const struct swarm_peer *p, uint32_t index)
{
    return p->has_all || (p->has != NULL && bits_get(p->has, index));
}

struct job {
    struct io_job io;
    struct list link;                   // swarm.jobs_new until polled
    uint32_t id;
    struct piece *piece;                // JOB_HASH, JOB_WRITE of a partial piece
    struct check *check;                // JOB_READ_HASH
    uint64_t from, to;                  // bytes of the piece
    bool look;                          // JOB_STAT of look.c
    nsec posted;                        // when
    struct span spans[IO_SPANS_MAX];
    struct io_part parts[IO_PARTS_MAX];
    bool busy;
};

// A piece being read back and verified.
struct check {
    bool busy;
    bool stale;                         // it reads what is gone
    uint32_t index;
    uint64_t at;                        // bytes handed to jobs
    struct sha1 sha1;
    uint8_t (*leaves)[SHA256_LEN];
};

// A file's bytes on their way from `.parts` to the file, a block at a time.
struct mover {
    bool active, busy;                  // busy: a job is under way
    uint32_t file;
    uint64_t done;                      // bytes of the file that are over
    uint64_t off, len;                  // of the job, in piece space
    uint8_t *slot;
};

// A hash request of ours.
struct hash_ask {
    uint32_t serial;                    // of the peer
    uint32_t file, piece;               // piece UINT32_MAX: a part of the file's piece layer; else the leaves of one that failed
    struct hash_request r;
    nsec at;
};

// A piece layer that the torrent did not bring.
struct layer {
    uint8_t *nodes;                     // SHA256_LEN for each piece
    uint8_t *got;                       // bits: which requests' parts are there
    uint32_t got_n;
};

struct hash_tree {
    uint32_t file;
    uint8_t (*nodes)[SHA256_LEN];       // layers above the piece layer, from the bottom; NULL: free
    size_t n;
    nsec used;
};

// Leaves being read from the disk for one answer.
struct leaf_read {
    enum { LEAF_NONE, LEAF_READING, LEAF_READY, LEAF_FAILED } state;
    uint32_t serial, file, pieces;
    struct hash_request r;
    uint64_t first;                     // leaf of the file
    uint8_t (*leaves)[SHA256_LEN];
    size_t leaves_n;
    nsec at;
};

// A piece of which only the first blocks are on the disk.
struct unfinished {
    uint32_t piece, blocks;
};

enum { SOURCE_UNKNOWN = 0 };            // no peer has this serial

// When a peer needs its next beat: apart from the peers, most of which are idle and far from the cache.
struct beat {
    nsec at;                            // 0: at the next one of the swarm; NSEC_NEVER: it is being closed
    uint64_t name;                      // of its peer id the end, where programs put what is random
    struct swarm_peer *peer;
};

struct source {
    uint32_t serial;
    struct addr addr;
};

struct event {
    enum swarm_event kind;
    uint32_t file;
    enum err err;
    struct addr addr, seen;
};

enum { EVENTS_MAX = 64, JOBS_MAX = 256 };

// Of the runs before this one.
struct totals {
    uint64_t down_bytes, up_bytes;
    nsec seeded;
};

struct swarm {
    // What nearly every input and poll looks at: as few lines of the cache as may be
    struct swarm_config cfg;
    const struct metainfo *meta;
    const struct env *env;
    const struct mem *mem;
    nsec now;
    enum swarm_state state;
    uint32_t events_at, events_n;
    struct list ready, jobs_new;
    struct web *web;                    // web seeds; NULL: none
    struct superseed *super;            // NULL: a seed as any other
    struct tap up, down;                // its way through the limits
    bool web_turn;                      // the next bite of `down` is for a web seed, if one waits
    bool refill;                        // free slots are to be filled
    bool kick, hungry;                  // what waited may go on; requests wait for memory of the pool
    bool prepared, preparing, prepare_busy, stat_busy, syncing, sync_due, dirty, resumed;
    bool checked;                       // SWARM_EVENT_CHECKED was said
    bool save_due, saving, complete_told, done_told, clean_saved;
    bool look_due, looking;             // look.c
    bool look_ok;                       // the files have been seen as they should be since the last write
    bool all_wanted, parts_used;        // no priorities were given; there is a `.parts` file
    bool probing;                       // a retry is being made
    bool jobs_short;                    // somebody got no job
    uint32_t moves_left;                // wanted files in `.parts`
    uint32_t check_left, checked_n, checks_busy, jobs_busy;
    enum err error;                     // of the storage
    uint32_t broken_n;
    uint32_t again_n;                   // blocks that were asked for while another peer owed them
    uint64_t unsynced_bytes;
    nsec beat_at, round_at, save_at;
    nsec calm_until;                    // with many peers no other is sought before
    struct mover mover;
    struct picker picker;
    struct list peers;
    uint32_t peers_n, closing_n, serial;    // closing_n: of those, being let go by the next poll
    uint32_t unchoked_n, unchoking_us_n;    // of the peers: whom we have unchoked, who has unchoked us
    struct beat *beats;                 // one for each peer, in no order
    uint8_t *have;                      // verified and written
    uint32_t *have_log;                 // in order of completion
    uint32_t have_log_n;
    uint32_t layers_missing, layer_at;  // parts of piece layers that are not there; no file below it lacks any
    uint32_t hash_asks_n, hash_layer_asks, hash_blame_asks;
    struct { uint32_t *items; uint32_t n, cap; } lost;      // pieces that others were told of and that are gone, in order
    struct list partials;
    uint32_t partials_n;
    uint32_t round;
    struct piece **partial_slots;       // grown by need up to PARTIALS_MAX
    uint16_t *partial_at;               // piece -> 1 + index in partial_slots, 0: none
    struct io_seg *segs;                // IO_SEGS_MAX, from the first peer on
    uint32_t slots;                     // regular slots of the last round
    nsec seeding_since;                 // 0: it does not
    struct swarm_stats stats_now;

    // Peers
    struct source *sources;             // ring of SOURCES_MAX, grown by need
    uint32_t sources_n, sources_cap;
    uint32_t beats_cap;
    struct pex_gone *pex_gone;          // ring of PEX_GONE_MAX, grown by need
    uint32_t pex_met_n, pex_gone_n, pex_gone_cap;       // addresses ever met and lost
    struct { struct addr *items; uint32_t n, cap; } banned;

    // Pieces
    uint8_t *synced;                    // those we have that are on stable storage
    uint8_t *suspect_bits;              // to be hashed at start: written or opened since the last sync
    uint32_t partial_slots_cap;
    struct { struct unfinished *items; uint32_t n, cap; } unfinished;       // between a stop and its saving, a reading and the start
    struct map blames;                  // struct blame: failed pieces whose culprit is unknown

    // Trees of v2
    struct layer *layers;               // for each file; NULL: the torrent brought all
    struct hash_ask *hash_asks;         // HASH_ASKS_ALL_MAX; NULL: there was never one
    uint8_t *hash_out;

    // Jobs
    struct job **jobs;                  // all that were ever needed at once; JOBS_MAX
    uint32_t jobs_n;
    uint8_t *check_todo;                // bits: to be checked
    uint8_t *recheck_bits;              // bits: could not be read; looked at again at recheck_at (0: none), RECHECKS_MAX times in all
    nsec recheck_at;
    uint32_t rechecks;
    uint32_t check_at;
    struct io_stat *stats;              // of the files, for JOB_STAT
    struct io_stat *stats_saved;        // as they were at the last sync
    struct io_stat *stats_look;         // for look.c
    uint8_t *blob;                      // the resume data being saved
    size_t blob_len;
    nsec sync_at, retry_at;
    struct totals past;
    nsec seeded_before;                 // past.seeded when it began
    nsec totals_saved_at;
    uint64_t totals_saved_up;

    // Files: arrays of files_n, one piece of memory
    uint8_t *priorities;
    uint8_t *in_parts;                  // its bytes lie in `.parts`, not in the file
    uint8_t *was_in_parts;              // and did when the resume data was saved
    uint8_t *touched;                   // written to since the start
    uint8_t *broken;                    // enum err: it cannot be written, ERR_OK: it can
    uint8_t *blocked;                   // bits: pieces that are wanted and that lie in such a file

    // Errors of the storage
    uint32_t error_file;
    enum err told;                      // of which error the host knows; what is tried again in silence is still told
    uint32_t told_file;
    bool told_sync;                     // by a sync: only another one shows that it works
    nsec failed_at;
    uint32_t cuts;                      // under way
    uint32_t remakes;                   // of empty files that were gone
    uint32_t differ_n;                  // files that were there and had nothing of the torrent
    nsec look_at;
    uint64_t look_up;                   // bytes sent when it looked last

    uint32_t *file_left;                // pieces missing for each file
    struct allowance punches;           // connects by ut_holepunch

    // Last, because it is big or seldom used
    struct hash_tree trees[HASH_TREES_MAX];
    struct leaf_read leaf;
    struct check checks[CHECKS_MAX];
    struct event events[EVENTS_MAX];
    uint8_t heads[AHEAD_MAX][16];
    struct known_set known;
    struct rng rng;
};

// layout.c: piece space to files, what makes a piece right.
uint32_t piece_data_len(const struct swarm *s, uint32_t index);         // without a trailing pad
uint32_t piece_parts(const struct swarm *s, uint64_t off, uint64_t len, struct io_part *parts, uint32_t max, uint64_t *covered);
bool verify(const struct swarm *s, uint32_t index, struct sha1 *sha1, uint8_t (*leaves)[SHA256_LEN]);
bool piece_is_v2(const struct swarm *s, uint32_t index);                // has leaves to verify
void have_set(struct swarm *s, uint32_t index);
void have_unset(struct swarm *s, uint32_t index);

// files.c: which files are wanted, and where they lie.
bool file_pieces(const struct swarm *s, uint32_t file, uint32_t *first, uint32_t *last);    // false: none
uint32_t files_place(const struct swarm *s, uint32_t file);             // the file, or files_n: `.parts`
enum err files_apply(struct swarm *s);                                  // priorities of files to pieces and peers. ERR_NOMEM
enum err files_find_parts(struct swarm *s);                             // after a stat. ERR_NOMEM
// It failed by its own fault, and will again: nothing of it is asked for any more, the other files go on. False: all of the storage
// is concerned.
bool files_block(struct swarm *s, enum err e, uint32_t file);
void files_forget_unwritten(struct swarm *s, uint32_t first, uint32_t last);     // partial pieces of which something was written
bool files_moving(const struct swarm *s, uint32_t piece);               // it may not be written now
void files_work(struct swarm *s);
bool files_drop_parts(struct swarm *s);                                 // false: `.parts` stays, or there is none
void files_job_done(struct swarm *s, const struct job *done, enum err e, uint32_t file);

// storage.c: jobs, checks, sync, save; resume.c: the saved form.
struct job *job_new(struct swarm *s, enum io_job_kind kind);            // NULL: too many, or no memory
void job_post(struct swarm *s, struct job *j);
void storage_start(struct swarm *s);
void storage_beat(struct swarm *s);
void storage_work(struct swarm *s);                                     // checks, sync and save that can begin now
void storage_failed(struct swarm *s, enum err e, uint32_t file);
void storage_written(struct swarm *s, uint64_t bytes);
void storage_proved(struct swarm *s, const struct job *j);              // this job went well
void storage_recovered(struct swarm *s);                                // no error is left
void storage_job_done(struct swarm *s, struct job *j, enum err e, uint32_t file);
enum err resume_read(struct swarm *s, struct slice blob);
enum err resume_write(struct swarm *s);                                 // into s->blob
void check_pieces(struct swarm *s, uint32_t first, uint32_t last);      // marks them to be checked

// look.c: whether the files are still what was made of them.
void look_begin(struct swarm *s);
void look_work(struct swarm *s);
void look_beat(struct swarm *s);
void look_done(struct swarm *s, enum err e, uint32_t file);
void cut_done(struct swarm *s, enum err e, uint32_t file);

// piece.c: partial pieces, hashing, writing.
struct piece *piece_find(const struct swarm *s, uint32_t index);
struct piece *piece_open(struct swarm *s, uint32_t index);              // NULL: no memory, or too many
void piece_block_here(struct swarm *s, struct piece *p, uint32_t block, uint8_t *slot, struct swarm_peer *from);
void piece_work(struct swarm *s, struct piece *p);                      // hash and write what can be
void piece_hash_done(struct swarm *s, struct job *j);
void piece_write_done(struct swarm *s, struct job *j, enum err e, uint32_t file);
void pieces_free(struct swarm *s);
void piece_write(struct swarm *s, struct piece *p, uint64_t len);       // len bytes behind what is written, all there
void piece_reset(struct swarm *s, struct piece *p);                     // gives it up, whatever is in it: it is missing again
void piece_abandon(struct swarm *s, struct piece *p);                   // gives it up unless a block or a worker is at it
void piece_withdraw(struct swarm *s, struct piece *p);                  // the same, and its requests are taken back
static inline uint32_t block_len(const struct piece *p, uint32_t block)
{
    return u32_min(BLOCK_LEN, p->len - block * BLOCK_LEN);
}

// unfinished.c: pieces over a stop and a start.
enum err unfinished_add(struct swarm *s, uint64_t piece, uint64_t blocks);      // was saved. ERR_SYNTAX: there is no such piece. ERR_FULL
void unfinished_forget(struct swarm *s, uint32_t first, uint32_t last);         // these pieces are not as they were left
void unfinished_start(struct swarm *s);                                 // files are ready: reads back what was begun
void unfinished_read(struct swarm *s, struct job *j, enum err e);
bool unfinished_stop(struct swarm *s);                                  // no partial piece is left, what can be kept is

// beat.c: what is looked at once a second.
MUST_USE enum err beat_join(struct swarm *s, struct swarm_peer *p);     // ERR_NOMEM
uint64_t beat_name(const uint8_t peer_id[PEER_ID_LEN]);
void beat_leave(struct swarm *s, const struct swarm_peer *p);
void beat_all(struct swarm *s);
// Something happened to p that the next beat must see: bytes of blocks, requests, what it may be asked.
static inline void peers_fetch(const struct swarm *s)
{
    for (uint32_t i = 0; i < s->peers_n; i++)
        peer_fetch(s->beats[i].peer);
}

static inline void beat_wake(struct swarm *s, const struct swarm_peer *p)
{
    if (!p->closing)
        s->beats[p->beat_i].at = 0;
}

// blame.c: who sent the bad block.
bool blame_single_source(const struct piece *p);
bool blame_known(const struct swarm *s, uint32_t index);                // failed before, culprit unknown
void blame_record(struct swarm *s, const struct piece *p);              // p failed and its leaves are complete
void blame_settle(struct swarm *s, const struct piece *p);              // p is right: bans who sent other blocks
uint32_t blame_first(const struct swarm *s);                            // pieces with digests of a bad copy; UINT32_MAX: no more
uint32_t blame_next(const struct swarm *s, uint32_t index);
void blame_leaves(struct swarm *s, uint32_t index, struct slice leaves);        // what the blocks should have been
void blame_done(struct swarm *s);
void blame_source(struct swarm *s, struct swarm_peer *p);               // it gave a block: its address is remembered
void ban(struct swarm *s, uint32_t serial);
bool is_banned(const struct swarm *s, const struct addr *a);

// request.c: what we ask.
void request_compose(struct swarm *s, struct swarm_peer *p, struct wr *w);
bool request_due(const struct swarm *s, const struct swarm_peer *p);
void request_drop_all(struct swarm *s, struct swarm_peer *p, bool keep_allowed);
bool request_adopt(struct swarm *s, const struct asked *a);             // takes memory for a block that came unasked; false: of no use
bool request_take(struct swarm_peer *p, const struct asked *a);        // its block comes; false: not asked
bool request_rejected(struct swarm *s, struct swarm_peer *p, const struct asked *a);    // false: not asked
void request_unask(struct swarm *s, const struct asked *a);
void request_beat(struct swarm *s, struct swarm_peer *p);
void request_cancel_others(struct swarm *s, uint32_t piece, uint32_t block, struct swarm_peer *but);
bool request_find(const struct swarm_peer *p, uint32_t index, uint32_t begin, uint32_t *at);
bool request_may_ask(const struct swarm *s, const struct swarm_peer *p, uint32_t index);
static inline struct asked *asked_nth(const struct swarm_peer *p, uint32_t i)
{
    return &p->asked[(p->asked_at + i) % p->asked_cap];
}

// endgame.c: whom to ask for what is asked for already; false: nobody, for now.
bool endgame_pick(const struct swarm *s, const struct swarm_peer *p, struct piece **out, uint32_t *block);

// peer_rx.c: bytes in.
void rx_close(struct swarm *s, struct swarm_peer *p, enum err e);
void rx_give_ahead(struct swarm *s, struct swarm_peer *p);
void rx_abort_block(struct swarm *s, struct swarm_peer *p);
void rx_skip_block(struct swarm *s, struct swarm_peer *p);              // the rest of the block is thrown away

// peer_msg.c: what a message means.
void msg_handle(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m);
void interest_update(struct swarm *s, struct swarm_peer *p);

// extend.c: messages of the extension protocol.
void ext_handle(struct swarm *s, struct swarm_peer *p, uint8_t id, struct slice payload);
void ext_write_handshake(struct swarm *s, struct swarm_peer *p, struct wr *w);
void ext_lost(struct swarm *s, uint32_t index);                         // we have it no longer
bool ext_pending(const struct swarm *s, const struct swarm_peer *p);
void ext_compose(struct swarm *s, struct swarm_peer *p, struct wr *w);
uint32_t ext_compose_metadata(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t segs_n, uint64_t *bytes);

// pex.c: addresses told and heard.
void pex_beat(struct swarm *s, struct swarm_peer *p);
void pex_compose(struct swarm *s, struct swarm_peer *p, struct wr *w);
void pex_handle(struct swarm *s, struct swarm_peer *p, struct slice payload);
void pex_met(struct swarm *s, struct swarm_peer *p);                    // others can reach it at an address we know
void pex_lost(struct swarm *s, struct swarm_peer *p);                   // or not any more
// The limits of what is heard: *n addresses of *out are to be looked at. ERR_AGAIN: none, it came too soon; ERR_PROTOCOL: none, no
// message; ERR_ACCESS: too many came too soon, the connection should end.
struct ut_pex;
MUST_USE enum err pex_hear(struct pex_heard *heard, nsec now, struct slice payload, struct ut_pex *out, uint32_t *n);
// Is `a`, told by a peer at `from`, an address that may be connected to?
bool pex_is_usable(const struct addr *from, const struct addr *a);

// Where others can reach it; false: nobody knows.
bool pex_address(const struct swarm_peer *q, struct addr *out);
// The address where p listens may be dialled again, from some time on: p goes, or listens elsewhere. swarm.c
void known_release(struct swarm *s, const struct swarm_peer *p);

// punch.c: peers behind routers (BEP 55).
void punch_handle(struct swarm *s, struct swarm_peer *p, struct slice payload);
void punch_ask(struct swarm *s, struct known *k);                       // whoever told us of it, if it is time
static inline bool punch_pending(const struct swarm_peer *p) { return p->punch_n != 0; }
void punch_compose(struct swarm_peer *p, struct wr *w);

// hashes.c: piece layers from peers; hash_serve.c: for peers.
enum err hashes_init(struct swarm *s);
void hashes_done(struct swarm *s);
void hash_trees_done(struct swarm *s);
const uint8_t *layer_node(const struct swarm *s, uint32_t file, uint32_t k);    // of its piece k; NULL: not known
const uint8_t *layer_whole(const struct swarm *s, uint32_t file);               // NULL: not (all of it) known
void hashes_handle(struct swarm *s, struct swarm_peer *p, const struct peer_msg *m);
void hashes_wanted(struct swarm *s, struct swarm_peer *p, const struct hash_request *r);
bool hashes_due(const struct swarm *s, const struct swarm_peer *p);             // may be asked something
bool hashes_pending(const struct swarm *s, const struct swarm_peer *p);
void hashes_request(struct swarm *s, struct swarm_peer *p, struct wr *w);
void hashes_compose_rejects(struct swarm_peer *p, struct wr *w);
uint32_t hashes_compose(struct swarm *s, struct swarm_peer *p, uint32_t segs_n, uint64_t *bytes);
void hashes_forget(struct swarm *s, struct swarm_peer *p);
void hashes_beat(struct swarm *s, struct swarm_peer *p);
void hashes_leaves_read(struct swarm *s, enum err e);

// peer_tx.c: bytes out.
bool tx_compose(struct swarm *s, struct swarm_peer *p, struct buf *tx, struct swarm_out *out);
bool tx_pending(const struct swarm *s, const struct swarm_peer *p);
static inline bool tx_is_stuck(const struct swarm_peer *p)
{
    return p->out_pending > p->out_high + OUT_CONTROL;      // it asks and does not read: what it is told stays here, within limits
}

// One customer's addresses: one of IPv4, a /64 of IPv6.
static inline bool same_site(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == ADDR_IPV4 ? 4 : 8) == 0;
}

// serve.c: its requests.
uint32_t serve_high(const struct swarm_peer *p);                        // bytes at the host up to which its next request is answered
static inline bool serve_is_low(const struct swarm_peer *p) { return p->out_pending <= serve_high(p) / 2; }
void serve_request(struct swarm *s, struct swarm_peer *p, const struct wanted *w);
void serve_cancel(struct swarm *s, struct swarm_peer *p, const struct wanted *w);
void serve_choked(struct swarm *s, struct swarm_peer *p);
void serve_allowed_fast(struct swarm *s, struct swarm_peer *p);
uint32_t serve_compose(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t segs_n, uint64_t *bytes);

// super.c: an only seed.
enum err super_init(struct swarm *s);                                   // if the configuration says so. ERR_NOMEM
void super_done(struct swarm *s);
void super_begin(struct swarm *s, struct swarm_peer *p);                // a peer that was told that we have nothing
void super_has(struct swarm *s, struct swarm_peer *from);               // it says that it has more than before
void super_sent(struct swarm *s, struct swarm_peer *p, uint32_t piece, uint32_t n);
void super_left(struct swarm *s, const struct swarm_peer *p);
void super_beat(struct swarm *s);
void super_compose(struct swarm_peer *p, struct wr *w);                 // what it is shown
static inline bool super_hides(const struct swarm *s, const struct swarm_peer *p, uint32_t index)
{
    return s->super != NULL && p->super_on && !superseed_may(s->super, index, p->serial);
}

// limits.c: what the rate limits allow, in turn.
bool limits_wake(struct swarm *s);                                      // somebody's turn has come: it is ready now
nsec limits_deadline(struct swarm *s);                                  // of whoever waits; nobody: it leaves the queue
uint32_t limits_send(struct swarm *s, const struct swarm_peer *p, uint32_t left);                   // how much of a block's rest may go, charged
void limits_served(struct swarm *s, struct swarm_peer *p);              // it had its bite
bool limits_rx_open(struct swarm *s, struct swarm_peer *p);             // it may be read from
bool limits_rx_waits(const struct swarm *s);                            // somebody waits to be read from
void limits_rx(struct swarm *s, struct swarm_peer *p, uint32_t n);      // n bytes of content came
void limits_return(struct swarm *s, struct swarm_peer *p);              // what it may still bring does not come
bool limits_up_full(const struct swarm *s);                             // the choker opens no more slots
void limits_changed(struct swarm *s);

// rounds.c
void choke_round(struct swarm *s, bool refill);
void choke_beat(struct swarm *s);                                       // more slots before the next round, if the uplink feeds them
void choke_refill(struct swarm *s);
void choke_wanted(struct swarm *s);

// places.c
MUST_USE bool places_make(struct swarm *s, const struct addr *a);         // for a peer at `a`: somebody is let go; false: nobody

// swarm.c
void ready_set(struct swarm *s, struct swarm_peer *p);
void event_push(struct swarm *s, const struct event *e);
void state_update(struct swarm *s);
nsec swarm_seeded(const struct swarm *s);   // in all runs
bool is_running(const struct swarm *s);     // peers may be talked to
