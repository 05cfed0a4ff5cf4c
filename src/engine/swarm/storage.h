// Jobs of the host, and what is done by them: checks, syncs, saving (storage.c), the saved form (resume.c), and looking whether the
// files are still what was made of them (look.c). Inside the swarm.
#pragma once
#include "base/list.h"
#include "crypto/hash.h"
#include "engine/io.h"
#include "engine/swarm/swarm.h"

struct piece;                           // piece.h

enum {
    JOBS_MAX = 256,
    CHECKS_MAX = 8,                     // pieces being read and hashed at once
    LOOK_S = 60,                        // a seed that gives looks at its files so often
};

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

// Of the runs before this one.
struct totals {
    uint64_t down_bytes, up_bytes;
    nsec seeded;
};

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

// look.c
void look_begin(struct swarm *s);
void look_work(struct swarm *s);
void look_beat(struct swarm *s);
void look_done(struct swarm *s, enum err e, uint32_t file);
void cut_done(struct swarm *s, enum err e, uint32_t file);
