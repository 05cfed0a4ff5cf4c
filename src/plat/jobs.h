// Worker threads. Jobs go out to a pool and come back, in batches, on the loop's thread.
#pragma once
#include "plat/loop.h"

enum { WORKER_SCRATCH = 256 * 1024 };   // page-aligned memory of each worker that asks for it, reused, fits the L2

struct pool;
struct jobs;

// Embedded in what the job works on, which must live until done.
struct job {
    void (*run)(struct job *j, uint8_t *(*scratch)(void));  // on a worker; scratch() gives its WORKER_SCRATCH bytes or NULL
    // May be NULL. Else a worker that finds two jobs of the same run_two waiting does both by one call of it.
    void (*run_two)(struct job *a, struct job *b, uint8_t *(*scratch)(void));
    void (*done)(struct job *j);        // on the loop's thread
    void (*drop)(struct job *j);        // instead of done when all ends first; may be NULL
    struct job *next;                   // next and pool are the pool's
    struct pool *pool;
    bool urgent;                        // before those that are not
};

// The way back of all pools of a loop.
MUST_USE enum err jobs_new(struct jobs **out, struct loop *l);
// Wants its pools freed. What has run but is not done is dropped.
void jobs_free(struct jobs *b);
// Calls done() of all that have run; the loop does it by itself, a turn may do it earlier.
void jobs_collect(struct jobs *b);

// What pool_free does about jobs that run: waits for them, or leaves them behind because they may take for ever (names);
// those are dropped on their worker when they return.
enum pool_end { POOL_WAITS, POOL_LEAVES };

// `threads` workers, started when first needed; `name` shows in ps. ERR_NOMEM.
MUST_USE enum err pool_new(struct pool **out, struct jobs *b, uint32_t threads, const char *name, enum pool_end end);
// Jobs still waiting are dropped.
void pool_free(struct pool *p);
// Queues; workers are woken by pool_kick, once for many. Loop's thread only.
void pool_push(struct pool *p, struct job *j);
void pool_kick(struct pool *p);
// Jobs pushed and not done yet; of those, pushed since the last kick.
uint32_t pool_pending(const struct pool *p);
uint32_t pool_fresh(const struct pool *p);
