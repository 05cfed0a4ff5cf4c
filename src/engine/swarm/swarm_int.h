// The swarm inside: what all its files work on. Nobody else includes it.
#pragma once
#include "base/limit.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "engine/swarm/event.h"
#include "engine/swarm/files.h"
#include "engine/swarm/hashes.h"
#include "engine/swarm/known.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/pool.h"
#include "engine/swarm/punch.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm.h"

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
    uint8_t heads[POOL_AHEAD_MAX][16];
    struct known_set known;
    struct rng rng;
};

void ready_set(struct swarm *s, struct swarm_peer *p);
void state_update(struct swarm *s);
nsec swarm_seeded(const struct swarm *s);   // in all runs
bool is_running(const struct swarm *s);     // peers may be talked to
// The address where p listens may be dialled again, from some time on: p goes, or listens elsewhere.
void known_release(struct swarm *s, const struct swarm_peer *p);
