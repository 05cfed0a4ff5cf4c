// Web servers of the simulated internet: they have a torrent's files, and faults. For streamed fetches (NODE_STREAM).
#pragma once
#include "sim/world.h"

enum { WEB_QUANTUM = 64 * 1024 };       // bytes that arrive together

void web_start(struct world *w, struct host *h, const struct node_out *out);
void web_resume(struct world *w, struct host *h, uint32_t id);
void web_cancel(struct world *w, struct host *h, uint32_t id);
void web_on_timer(struct world *w, uint32_t task);
