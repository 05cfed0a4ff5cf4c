// What a host has under way outside its node: jobs, fetches, names, saves. Each has a number that events carry.
#pragma once
#include "sim/world.h"

enum task_kind { TASK_JOB, TASK_FETCH, TASK_RESOLVE, TASK_SAVE, TASK_READ_FAILED, TASK_MAP, TASK_WEB };

struct task {
    enum task_kind kind;
    uint32_t index;                     // in world.tasks
    uint32_t host, life;                // late completions of an earlier life are dropped
    uint32_t id;                        // the node's
    size_t size;                        // of the whole allocation
    enum err err;
    uint32_t file;
    // TASK_JOB
    struct io_job job;
    // TASK_SAVE: the blob's new bytes
    struct blob *blob;
    uint8_t *bytes;
    size_t n;
    // TASK_RESOLVE, TASK_MAP
    struct addr addr;
    // TASK_READ_FAILED
    uint32_t store;
};

// A zeroed task of `size` bytes (at least sizeof(struct task)), numbered.
struct task *task_new(struct world *w, const struct host *h, enum task_kind kind, uint32_t id, size_t size);
void task_free(struct world *w, struct task *t);
// The host, if the life that began t is still going on; NULL otherwise.
struct host *task_host(const struct world *w, const struct task *t);
