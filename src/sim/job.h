// Disk and hash jobs of a simulated host: how long they take, what they do, how they fail.
#pragma once
#include "sim/task.h"

// Begins a job; its completion comes as an event.
void job_start(struct world *w, struct host *h, const struct io_job *job);
void job_on_timer(struct world *w, uint32_t task);
// A range of a store's file for a send: appends to ref (by reference) or copies to bytes. ERR_NOT_FOUND: missing or short;
// ERR_IO. The range's content must be what the torrent says: an oracle.
MUST_USE enum err job_read_for_send(struct world *w, struct host *h, const struct io_seg *seg, struct extents *ref, uint8_t *bytes);
// A state blob of the node, durable after a while.
void save_start(struct world *w, struct host *h, uint32_t id, struct slice key, struct slice bytes);
void save_on_timer(struct world *w, uint32_t task);
