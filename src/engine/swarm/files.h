// Files of the torrent: which are wanted and where they lie (files.c), which ranges of them a piece is and what makes it right
// (layout.c). Inside the swarm.
#pragma once
#include "crypto/hash.h"
#include "engine/io.h"
#include "engine/swarm/swarm.h"

struct job;                             // storage.h

// A file's bytes on their way from `.parts` to the file, a block at a time.
struct mover {
    bool active, busy;                  // busy: a job is under way
    uint32_t file;
    uint64_t done;                      // bytes of the file that are over
    uint64_t off, len;                  // of the job, in piece space
    uint8_t *slot;
};

// layout.c
uint32_t piece_data_len(const struct swarm *s, uint32_t index);         // without a trailing pad
uint32_t piece_parts(const struct swarm *s, uint64_t off, uint64_t len, struct io_part *parts, uint32_t max, uint64_t *covered);
bool verify(const struct swarm *s, uint32_t index, struct sha1 *sha1, uint8_t (*leaves)[SHA256_LEN]);
bool piece_is_v2(const struct swarm *s, uint32_t index);                // has leaves to verify
void have_set(struct swarm *s, uint32_t index);
void have_unset(struct swarm *s, uint32_t index);

// files.c
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
